"""Many requests at a time: thread pools shared by the process, and uploads that run beside work."""

from __future__ import annotations

import itertools
import os
import sys
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from exetera_zarr.storage.stores.base import ObjectStore

__all__ = ["Uploads", "each", "end_pools", "in_background", "ordered", "pool", "run", "together"]

_T = TypeVar("_T")
_R = TypeVar("_R")

_pools: dict[tuple[str, int], Pool] = {}
_pools_lock = threading.Lock()


def _forget_pools() -> None:
    global _pools_lock  # noqa: PLW0603 - another thread may have held it at the fork
    _pools.clear()
    _pools_lock = threading.Lock()


# The threads of a pool do not survive a fork, where there is such a thing.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pools)


class Pool(ThreadPoolExecutor):
    """
    Threads that do tasks, or none, when the process is ending: then who asks does the task.

    Parameters
    ----------
    threads
        How many there are.
    use
        What for.
    """

    def __init__(self, threads: int, use: str) -> None:
        super().__init__(threads, thread_name_prefix=f"exetera-{use}")

    def submit(self, fn: Callable[..., _R], /, *args: Any, **kwargs: Any) -> Future[_R]:
        """As of `ThreadPoolExecutor`; the task has been done where nobody else could do it."""
        if not _pools_ended:
            # Python ends all pools, at an early step of its end, and refuses tasks from then on.
            # All threads have been started, so this is refused before it is put in a queue.
            with suppress(RuntimeError):
                return super().submit(fn, *args, **kwargs)
        return _done_here(fn, *args, **kwargs)


def _done_here(task: Callable[..., _R], *args: Any, **kwargs: Any) -> Future[_R]:
    """The future of a task that this thread does now."""
    done: Future[_R] = Future()
    try:
        done.set_result(task(*args, **kwargs))
    except Exception as error:  # noqa: BLE001 - it is the future's
        done.set_exception(error)
    return done


_pools_ended = False


def end_pools() -> None:
    """
    Use no other threads from now on: the process is ending.

    The event loop of network clients, which goes on to the very end, resolves names in a pool of
    its own; it has to do without that as well.
    """
    global _pools_ended  # noqa: PLW0603 - there is one end
    if _pools_ended:
        return
    _pools_ended = True
    clients = sys.modules.get("fsspec.asyn")
    loop = getattr(clients, "loop", [None])[0]
    if loop is not None and loop.is_running():
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(loop.set_default_executor, Pool(1, "names"))


def pool(threads: int, use: str = "work") -> Pool:
    """
    The process's pool of that many threads for one use.

    Its tasks must not wait for each other. Those that read and settle may wait for uploads, which
    therefore have a pool of their own, and wait for nothing.
    """
    with _pools_lock:
        if (use, threads) not in _pools:
            executor = Pool(threads, use)
            _start_all(executor, threads)
            _pools[use, threads] = executor
        return _pools[use, threads]


def _start_all(executor: Pool, threads: int) -> None:
    """
    Start the threads of a pool now.

    What was not closed is committed when the interpreter ends, and Python 3.12 starts no thread
    then, not even before it joins those that there are.
    """
    together = threading.Barrier(threads)
    start = super(Pool, executor).submit  # which does nothing in this thread
    try:
        for future in [start(together.wait) for _ in range(threads)]:
            future.result()
    except (RuntimeError, threading.BrokenBarrierError):  # it is ending already
        together.abort()
        executor.shutdown(wait=False)


def ordered(
    task: Callable[[_T], _R],
    items: Iterable[_T],
    threads: int,
    ahead: int | None = None,
    use: str = "work",
) -> Generator[_R]:
    """
    Results of `task` in the order of `items`, some of them computed ahead.

    Parameters
    ----------
    task
        Called from the threads of a pool.
    items
        Drawn as results are taken, so an endless supply is fine.
    threads
        Size of the pool.
    ahead
        How many tasks are under way at a time; by default enough to keep the threads busy while
        the oldest one is waited for.
    use
        Of the pool.
    """
    executor = pool(threads, use)
    waiting: deque[Future[_R]] = deque()
    source = iter(items)
    try:
        for item in source:
            waiting.append(executor.submit(task, item))
            if len(waiting) >= (ahead or 2 * threads):
                break
        while waiting:
            result = waiting.popleft().result()
            for item in source:
                waiting.append(executor.submit(task, item))
                break
            yield result
    finally:
        for future in waiting:
            future.cancel()
        for future in waiting:
            if not future.cancelled():
                future.exception()


def each(task: Callable[[_T], object], items: Iterable[_T], threads: int) -> None:
    """Run `task` on every item, several at a time; the first error stops the rest and is raised."""
    for _ in ordered(task, items, threads):
        pass


def run(jobs: Sequence[Callable[[], object]], threads: int) -> None:
    """Do all of some jobs, several at a time; the first error stops the rest and is raised."""
    if len(jobs) == 1:
        jobs[0]()
    else:
        each(lambda job: job(), jobs, threads)


def together(task: Callable[[_T], _R], items: Iterable[_T], at_once: int) -> list[_R]:
    """
    Results of a task that reads from a store, for many things at a time where that is far away.

    Parameters
    ----------
    task
        May itself read many chunks at a time, and must not call this.
    items
        What for.
    at_once
        See `storage.base.Array.at_once`.
    """
    given = list(items)
    if at_once <= 1 or len(given) <= 1:
        return [task(item) for item in given]
    return list(ordered(task, given, at_once, use="columns"))


def in_background(task: Callable[[], _R], threads: int) -> Future[_R]:
    """
    Run one task after the other in a thread of their own, beside the caller's work.

    Where only one request at a time is worth while, or the interpreter is ending, it has run when
    this returns.
    """
    return pool(1, "sweep").submit(task) if threads > 1 else _done_here(task)


_happened = threading.Event()
_happened.set()


class Upload:
    """
    One object on its way to the store.

    It keeps the encoded bytes until the store has them, so that they can be read meanwhile, and
    sent again after a failure.
    """

    _serials = itertools.count(1)

    def __init__(self, key: str) -> None:
        self.key = key
        self.serial = next(self._serials)
        self.landed = False
        """Whether the store has answered the only request that there was."""
        self.encoded: bytes | None = None
        self.error: BaseException | None = None
        self._made = threading.Event()
        self._done = threading.Event()

    @classmethod
    def made(cls, key: str) -> Upload:
        """An object that is in the store already."""
        upload = cls(key)
        upload.landed = True
        upload._made = upload._done = (
            _happened  # of very many, an event for each is a lot of memory
        )
        return upload

    def wait_encoded(self) -> None:
        """Return when the source is no longer needed."""
        self._made.wait()

    def wait(self) -> None:
        """Return when the request has ended; `encoded` is still here if it failed."""
        self._done.wait()

    def wait_stored(self) -> None:
        """Return when the store has the object; raise what went wrong."""
        self._done.wait()
        if self.error is not None:
            raise self.error

    def run(self, store: ObjectStore, encode: Callable[[], bytes]) -> None:
        """Encode and send; what goes wrong is kept for `wait`."""
        try:
            self.encoded = encode()
            self._made.set()
            store.put(self.key, self.encoded)
            self.encoded, self.landed = None, True
        except BaseException as failure:  # noqa: BLE001 - raised by wait() in the user's thread
            self.error = failure
        finally:
            self._made.set()
            self._done.set()

    def resend(self, store: ObjectStore) -> None:
        """Wait for the object to be in the store; send it once more if it had failed."""
        self._done.wait()
        if self.error is None:
            return
        if self.encoded is None:
            raise self.error
        store.put(self.key, self.encoded)
        self.error = self.encoded = None


class Uploads:
    """
    The uploads of one dataset, bounded in memory.

    Parameters
    ----------
    store
        Where to.
    limit
        Bytes that may be under way at a time; a larger single object goes alone.
    """

    def __init__(self, store: ObjectStore, limit: int = 256 << 20) -> None:
        self._store = store
        self._limit = limit
        self._flying = 0
        self._room = threading.Condition()
        self._failed: BaseException | None = None
        self._undone = 0
        pool(store.concurrency, "upload")  # its threads may be needed when none can be started

    def forget_failure(self) -> None:
        """What failed, or will yet, belongs to changes that are undone."""
        self._failed = None
        self._undone += 1

    def send(self, key: str, encode: Callable[[], bytes], size: int) -> Upload:
        """
        Encode and upload an object beside the caller's work.

        Parameters
        ----------
        key
            Where to put it.
        encode
            Makes the bytes; called in another thread.
        size
            Bytes that the source of `encode` holds in memory.

        Raises
        ------
        Exception
            What an earlier upload met, once: better told now than at the commit.
        """
        failed, self._failed = self._failed, None
        if failed is not None:
            raise failed
        self._enter(size)
        upload = Upload(key)
        pool(self._store.concurrency, "upload").submit(
            self._run, upload, encode, size, self._undone
        )
        return upload

    def _run(self, upload: Upload, encode: Callable[[], bytes], size: int, undone: int) -> None:
        upload.run(self._store, encode)
        if undone == self._undone:
            self._failed = upload.error or self._failed
        self._leave(size)

    @contextmanager
    def room(self, size: int) -> Iterator[None]:
        """Count so many bytes as under way; waits until there is room for them."""
        self._enter(size)
        try:
            yield
        finally:
            self._leave(size)

    def wait(self) -> None:
        """Return when none is under way."""
        with self._room:
            while self._flying:
                self._room.wait()

    def _enter(self, size: int) -> None:
        with self._room:
            while self._flying and self._flying + size > self._limit:
                self._room.wait()
            self._flying += size

    def _leave(self, size: int) -> None:
        with self._room:
            self._flying -= size
            self._room.notify_all()
