"""The end of the process: what was not closed is committed, and then nothing is changed any more.

Python ends in steps. It calls the hooks of `threading`, of which one ends all thread pools; it
joins the other threads; it calls the handlers of `atexit`, then the finalizers of `weakref`, and
takes the modules apart. Users change datasets in each of these steps. So drafts are committed at
the first one, while there are threads for it; again after the threads are joined; and after the
last commit a change is refused.

What an exception has left half done is committed as well, since it may be the work of days; but
then that is said.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import warnings
import weakref
from typing import TYPE_CHECKING

from exetera_zarr.errors import StorageError
from exetera_zarr.storage import concurrency, sharing

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from exetera_zarr.storage.sharing import SharedDraft

__all__ = ["PATIENCE", "check", "commit_before", "note_error"]

PATIENCE = 10.0
"""Seconds that the end of the process waits for a thread that is changing a dataset."""
_SHORTLY = 0.5
_pid = os.getpid()
_ended = False
_later: list[Callable[[], object]] = []
_error: list[str] = []
"""The class of the exception by which the program has ended, if somebody said so."""
_told: set[str] = set()
"""The places of which it was said what became of their changes."""


def check(url: str) -> None:
    """
    Raise StorageError if it is too late for a change, since nobody would commit it.

    Parameters
    ----------
    url
        Of what is to be changed, for the message.
    """
    if _ended:
        raise StorageError(
            f"{url} cannot be changed: the process is ending, and all datasets have been committed "
            "for the last time. Make the change before, or call close() in an atexit handler that "
            "is registered after exetera_zarr was imported"
        )


def commit_before(handler: Callable[[], object]) -> None:
    """
    Have an `atexit` handler of a library run only when all drafts are committed.

    Parameters
    ----------
    handler
        After which the library cannot write.
    """
    atexit.unregister(handler)
    _later.append(handler)


def note_error(error: BaseException) -> None:
    """
    Note an exception by which the program ends, where it does not leave the program itself.

    Parameters
    ----------
    error
        It.
    """
    _error[:] = [type(error).__name__]


def _error_of_the_end() -> str | None:
    """
    The class of the exception by which the program ends; None if it does not, as far as is known.

    Python notes an exception that nobody caught before it calls `sys.excepthook`, which may be
    anybody's. So do IPython, pytest and other shells of those that they caught; but these have come
    up to them only, and not to the first frame of the program.
    """
    if _error:
        return _error[0]
    if hasattr(sys, "ps1") or sys.flags.interactive or sys.flags.inspect:
        return None  # whoever saw the exception went on
    trace: TracebackType | None = getattr(sys, "last_traceback", None)
    if trace is None or trace.tb_frame.f_back is not None:
        return None
    return type(getattr(sys, "last_value", None)).__name__


def _tell_error(draft: SharedDraft, version: int) -> None:
    """Say what became of the changes that a program made which an exception has ended."""
    error = _error_of_the_end()
    if error is None or draft.identity in _told or draft.url.startswith("memory:"):
        return
    _told.add(draft.identity)
    before = f"open_dataset(..., version={version - 1}) reads what was there before. "
    sharing.say(
        f"the program was ended by an exception ({error}) while {draft.url} had changes that were "
        f"not committed. They are committed now, as version {version}, even if a table is half "
        f"written. {before if draft.keeps_versions and version > 1 else ''}Open datasets in a "
        "`with Session(on_error='rollback') as s:` block to have such changes undone, or with "
        "on_error='commit' to keep them"
    )


def _ours() -> list[SharedDraft]:
    return [draft for draft in list(sharing.drafts.values()) if draft.pid == os.getpid()]


def _commit_early() -> None:
    """
    Commit what there is, while thread pools still work.

    The drafts stay open for the threads that go on. What fails is tried again, and told, later.
    """
    for draft in _ours():
        if not sharing.acquire(draft, _SHORTLY):
            continue  # of a thread that goes on
        try:
            _end_transaction(draft)
            with contextlib.suppress(Exception), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if not draft.clean:
                    changed, version = draft.dirty, draft.commit()
                    if changed:
                        _tell_error(draft, version)
        finally:
            draft.lock.release()


def _end_transaction(draft: SharedDraft) -> None:
    """Undo a transaction of this thread that was never ended, and let others go on."""
    depth = draft.depth
    if depth:
        sharing.say(f"a transaction on {draft.url} was never ended; it is undone")
        draft.abandon_transaction()
        with contextlib.suppress(RuntimeError):
            for _ in range(depth):
                draft.lock.release()


def _commit_after_pools() -> None:
    """Have all go on without pools, and in a child of `multiprocessing` commit: it has no more."""
    concurrency.end_pools()
    if not _is_child():
        return
    for thread in threading.enumerate():
        if not thread.daemon and thread not in (
            threading.current_thread(),
            threading.main_thread(),
        ):
            thread.join()
    _commit_last()


def _is_child() -> bool:
    """Whether the process ends without the handlers of `atexit`."""
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None


def _commit_last() -> None:
    """Commit what is still open, and refuse what is changed from now on."""
    global _ended  # noqa: PLW0603 - there is one end
    concurrency.end_pools()
    _ended = True
    for draft in _ours():
        if not sharing.acquire(draft, PATIENCE):
            sharing.say(f"{draft.url} is still being changed; what was not committed is lost")
            continue
        try:
            _end_transaction(draft)
            draft.users.clear()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)
                changed = draft.dirty
                version = sharing.commit_orphan(draft)
                if changed and version is not None:
                    _tell_error(draft, version)
            draft.finish(PATIENCE)
        finally:
            draft.lock.release()
    for handler in _later:
        handler()
    _later.clear()


def _install() -> None:
    # A finalizer may close a connection, or remove a folder of spilled blocks, that a commit
    # needs. All finalizers run in one handler of `atexit`, which is registered with the first of
    # them, and handlers run in the reverse order: so there has to be one before ours.
    weakref.finalize(concurrency.Uploads, int)
    atexit.register(_commit_last)
    hooks = getattr(threading, "_threading_atexits", None)
    with contextlib.suppress(AttributeError, RuntimeError):  # the latter if it is ending already
        threading._register_atexit(_commit_early)  # type: ignore[attr-defined]  # noqa: SLF001
        if isinstance(hooks, list):
            hooks.insert(0, _commit_after_pools)  # they are called from the last to the first


_install()
