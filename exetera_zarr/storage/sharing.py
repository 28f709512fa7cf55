"""The drafts that this process has open: shared, and committed when their users are gone."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import threading
import warnings
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from exetera_zarr.errors import ArgumentError
from exetera_zarr.storage.undo import UndoLog
from exetera_zarr.texts import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exetera_zarr.storage.undo import Changeable

__all__ = [
    "SharedDraft",
    "acquire",
    "collecting",
    "commit_abandoned",
    "commit_orphan",
    "drafts",
    "drop",
    "forget",
    "join",
    "leave",
    "lock",
    "opening",
    "say",
    "warn_of_changes",
]


class SharedDraft(ABC):
    """
    What a back end has open of one place, for all of its users in this process.

    Parameters
    ----------
    identity
        The same for every way of writing the place, and for no other place.
    url
        Where it is, without secrets.
    lock
        Held by who changes it.
    """

    keeps_versions: ClassVar[bool] = True
    """Whether what was committed before can be read after the next commit."""

    def __init__(self, identity: str, url: str, lock: threading.RLock) -> None:
        self.identity = identity
        self.url = url
        self.lock = lock
        self.pid = os.getpid()
        self.depth = 0
        """How many transactions are under way, one inside of the other."""
        self.users: set[int] = set()
        self.log = UndoLog()
        """What the transactions that are under way have changed."""
        self.committing: threading.Thread | None = None
        self._before: object = None

    @property
    @abstractmethod
    def dirty(self) -> bool:
        """Whether there is something to commit."""

    @property
    @abstractmethod
    def clean(self) -> bool:
        """Whether nothing is left to do for it."""

    @abstractmethod
    def changing(self) -> contextlib.AbstractContextManager[None]:
        """A block in which one user alone changes it; what raises an error has changed nothing."""

    def save(self, part: Changeable) -> None:
        """Remember a part, which is about to change."""
        self.log.save(part)

    @abstractmethod
    def snapshot(self) -> object:
        """What `restore` takes to have it as it is now; not None."""

    @abstractmethod
    def restore(self, snapshot: Any) -> None:
        """Have it as it was when `snapshot` was called; can be repeated where it did not end."""

    def drop_snapshot(self, snapshot: Any) -> None:  # noqa: B027 - most need nothing
        """Note that nobody returns to a snapshot any more."""

    @contextlib.contextmanager
    def atomic(self) -> Iterator[None]:
        """All or nothing."""
        with self.lock:
            snapshot = self.snapshot()
            self.depth += 1
            if self.depth == 1:
                self._before = snapshot
            try:
                yield
            except BaseException:
                try:
                    self.restore(snapshot)
                except KeyboardInterrupt:  # which leaves no half
                    self.restore(snapshot)
                    raise
                raise
            else:
                self.drop_snapshot(snapshot)
            finally:
                self.depth -= 1
                if self.depth == 0:
                    self._before = None

    def abandon_transaction(self) -> None:
        """Return to what was before the transaction that somebody never ended."""
        if self._before is not None:
            self.restore(self._before)
            self.depth, self._before = 0, None

    def refuse_within(self, what: str) -> None:
        """Raise ValueError inside of a transaction, of which `what` would break the promise."""
        if self.depth:
            raise ArgumentError(f"{self.url}: {what}")

    @abstractmethod
    def rollback(self) -> None:
        """Return to what is committed."""

    @abstractmethod
    def commit(self) -> int:
        """Commit what is not committed; the number of the version."""

    def finish(self, patience: float | None = None) -> None:  # noqa: B027 - most need nothing
        """Return when nothing is under way any more, or after so many seconds."""

    def release(self) -> None:  # noqa: B027 - likewise
        """Let go of what is held open: it has no users any more."""


drafts: dict[str, SharedDraft] = {}
"""Drafts that can be shared, by the identity of their place."""
lock = threading.RLock()
"""Held while the above are looked at, and never while anything is waited for."""
_opening: dict[str, threading.RLock] = {}


def opening(identity: str) -> threading.RLock:
    """The lock that is held while a place is opened."""
    with lock:
        return _opening.setdefault(identity, threading.RLock())


_collecting = threading.local()
_PATIENCE = 10.0
"""Seconds that are waited for what somebody else does to a dataset that has no user left."""


def join(draft: SharedDraft, user: int) -> None:
    """Note a user of a draft."""
    with lock:
        draft.users.add(user)


def leave(draft: SharedDraft, user: int) -> bool:
    """Note that a user is gone; whether there is none left."""
    with lock:
        draft.users.discard(user)
        return not draft.users


def forget(draft: SharedDraft) -> None:
    """Let go of a draft, unless somebody uses it."""
    with lock:
        unused = not draft.users
        if unused:
            drop(draft)
    if unused:
        draft.release()


def drop(draft: SharedDraft) -> None:
    """Have nobody else share a draft."""
    with lock:
        if drafts.get(draft.identity) is draft:
            del drafts[draft.identity]


def _note_collection(phase: str, _: dict[str, int]) -> None:
    _collecting.active = phase == "start"


def collecting() -> bool:
    """Whether this thread is collecting garbage, and so must wait for nothing."""
    return getattr(_collecting, "active", False)


def commit_orphan(draft: SharedDraft) -> int | None:
    """
    Commit the draft of a dataset whose last user is gone; the version, if that is done already.

    The garbage collector can run anywhere, in the middle of another thread's locks: then the commit
    is made by a thread of its own, and whoever opens the place meanwhile shares the draft.
    """
    if draft.clean:
        forget(draft)
    elif collecting():
        try:
            threading.Thread(target=_commit_quietly, args=(draft,)).start()
        except RuntimeError:  # the interpreter is ending: `ending` finds it
            draft.users.clear()
    else:
        return _commit_quietly(draft)
    return None


def commit_abandoned(identity: str) -> None:
    """Have what a dropped dataset had not committed in a version, before a place is read."""
    with lock:
        draft = drafts.get(identity)
    if draft is None or draft.users or draft.pid != os.getpid() or draft.clean:
        return
    draft.commit()


def warn_of_changes(identity: str) -> None:
    """Say that somebody in this process has changes that a reader of the place does not see."""
    with lock:
        draft = drafts.get(identity)
    if draft is not None and draft.pid == os.getpid() and draft.dirty:
        warnings.warn(
            visible(
                f"the dataset {draft.url} is open for writing in this process, with changes that "
                "are not committed: what was just opened shows the last version without them; "
                "call commit() first, or read from the dataset that is open"
            ),
            UserWarning,
            stacklevel=6,
        )


def _commit_quietly(draft: SharedDraft) -> int | None:
    """Commit for a user who is gone, and say so: first keep the data, then warn."""
    if draft.users:
        return None
    try:
        version = draft.commit()
    except Exception as error:  # noqa: BLE001 - there is nobody left to raise it to
        if not draft.users:  # else whoever has opened it meanwhile has it all
            say(f"what was not committed of {draft.url} is lost: {error}")
        forget(draft)
        return None
    forget(draft)
    draft.finish(_PATIENCE)
    warnings.warn(
        visible(
            f"the dataset {draft.url} was not closed; its changes were committed when it was "
            "dropped"
        ),
        ResourceWarning,
        stacklevel=2,
    )
    return version


def acquire(draft: SharedDraft, patience: float = _PATIENCE) -> bool:
    """Have the draft to ourselves; a commit that is under way may take its time."""
    while not draft.lock.acquire(timeout=patience):
        if draft.committing is None:
            return False
    return True


def say(text: str) -> None:
    """Tell the user what there is nobody to raise to."""
    print(f"exetera_zarr: {visible(text)}", file=sys.stderr)  # noqa: T201


gc.callbacks.append(_note_collection)
