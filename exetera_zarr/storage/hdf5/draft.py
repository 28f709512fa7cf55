"""The draft of an HDF5 file: what is in it, with the uncommitted changes over that."""

from __future__ import annotations

import contextlib
import os
import threading
import warnings
from typing import TYPE_CHECKING, Any

from exetera_zarr.errors import ConflictError, StorageError, UnsupportedError
from exetera_zarr.storage import sharing, system
from exetera_zarr.storage.base import ROW_BLOCK
from exetera_zarr.storage.hdf5.arrays import DraftArray, Mark, OldValues
from exetera_zarr.storage.hdf5.handle import FileHandle
from exetera_zarr.storage.hdf5.library import library, using
from exetera_zarr.storage.hdf5.nodes import Node
from exetera_zarr.storage.hdf5.places import RemotePlace
from exetera_zarr.storage.hdf5.proof import prove
from exetera_zarr.storage.hdf5.reading import read_tree
from exetera_zarr.storage.hdf5.room import needed_by
from exetera_zarr.storage.hdf5.writing import write_tree
from exetera_zarr.storage.undo import Moment, UndoLog
from exetera_zarr.texts import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exetera_zarr.storage.hdf5.places import Place

__all__ = ["Draft", "open_drafts"]

open_drafts: set[Draft] = set()
"""Those whose file is open: kept alive until a thread that may wait closes it, since the garbage
collector may run in one for which h5py waits."""
_SHOWN = 10


class Draft(sharing.SharedDraft):
    """
    An HDF5 file, and the uncommitted changes to it.

    What is new goes into datasets of the file that no group has before the commit. Of what is
    overwritten in the file itself the old values are kept, so that an error undoes all; the end of
    the process does not.

    Parameters
    ----------
    place
        Where the file is.
    writable
        Whether some user may change it.
    durable
        Whether a commit waits until its bytes are on the disk.
    row_block
        Rows of a block of new tables.
    spill_dir
        Where long old values go.
    external
        Whether links that lead out of the file are followed.
    """

    keeps_versions = False

    def __init__(
        self,
        place: Place,
        *,
        writable: bool,
        durable: bool = True,
        row_block: int | None = None,
        spill_dir: str | None = None,
        external: bool = False,
    ) -> None:
        super().__init__(place.identity, place.url, threading.RLock())
        self.log = UndoLog(always=True)
        self.place = place
        self.durable = durable
        self._dirty = False
        self._writable = writable
        self._row_block = row_block or ROW_BLOCK
        self._external = external
        self._old = OldValues(spill_dir)
        self._index: dict[int, tuple[tuple[str, ...], Node]] | None = None
        self._torn = False
        self._made = False
        self._replace = False
        self.state = place.state()
        self.passed_over: list[str] = []
        """What of the file is not shown."""
        self.root = Node(row_block=self._row_block)
        self.file = self._handle(None)

    # -- what is shared

    @property
    def dirty(self) -> bool:
        return self._dirty

    @property
    def clean(self) -> bool:
        return not (self.dirty or self._made or self._torn)

    @property
    def made(self) -> bool:
        """Whether it is a new file, which is not in its place yet."""
        return self._made

    @property
    def version(self) -> int:
        """How often it was committed, as the file says."""
        return self.root.version

    @property
    def writable(self) -> bool:
        """Whether some user may change it."""
        return self._writable

    # -- opening and closing

    def open(self, *, quiet: bool = False) -> None:
        """
        Show what is at the place.

        Parameters
        ----------
        quiet
            Whether nothing is said of what is passed over.
        """
        self.file = self._handle(self.place.open("r+" if self._writable else "r"))
        open_drafts.add(self)
        note = self.passed_over.extend if quiet else self._pass_over
        try:
            lazy = not self._writable and isinstance(self.place, RemotePlace)
            self.root = read_tree(self.file, note, external=self._external, lazy=lazy)
        except BaseException:
            self.close_file()
            raise
        self._made, self.state = False, self.place.state()
        self._note()

    def _handle(self, file: Any) -> FileHandle:
        handle = FileHandle(file, self.url)
        handle.overwriting = self._overwriting
        handle.changing = self.log.save
        return handle

    def _pass_over(self, skipped: list[str]) -> None:
        """Say what of the file is not shown."""
        self.passed_over += skipped
        more = len(skipped) - _SHOWN
        warnings.warn(
            visible(
                f"{self.url} holds what is not of ExeTera, and is passed over: "
                f"{'; '.join(skipped[:_SHOWN])}{f'; and {more} more' if more > 0 else ''}"
            ),
            UserWarning,
            stacklevel=2,
        )

    @property
    def external(self) -> bool:
        """Whether links that lead out of the file are followed."""
        return self._external

    def holds(self, state: object) -> bool:
        """Whether the file that is in such a state is the one that is open."""
        return self.file.open and not self._made and self.state == state

    def is_there(self) -> bool:
        """Whether it is what is at the place, or is going to be."""
        return self._made or self.place.state() == self.state

    def _note(self) -> None:
        """Take the tree for what was committed."""
        self._old.clear()
        self.log.clear()
        self.reindex()
        self._dirty = self._torn = False

    def start_empty(self, *, replace: bool, version: int = 0) -> None:
        """
        Go on with a new, empty file, which takes the place when it is committed.

        Parameters
        ----------
        replace
            Whether it may take the place of a file that is there.
        version
            Of that file; 0 where there is none.
        """
        with self.lock:
            file = self.place.create()
            if self.file.open:
                self.close_file()
            self.file = self._handle(file)
            open_drafts.add(self)
            with using(self.url):
                self.root = Node(row_block=self._row_block, version=version)
                self.root.in_file.reference = self.file.reference(self.file.root)
            self._made, self._replace = True, replace
            self._note()
            self._dirty = version > 0

    def make_writable(self) -> None:
        """Open the file for writing, which was open for reading; handles go on."""
        with self.lock:
            if self._writable:
                return
            try:
                self.file.exchange(lambda: self.place.open("r+"))
            except StorageError:
                self.file.exchange(lambda: self.place.open("r"))
                raise
            self._writable = True
            self._note()

    def release(self) -> None:
        """Close the file: it has no users any more."""
        if sharing.collecting():
            with contextlib.suppress(RuntimeError):  # at the end of the interpreter
                threading.Thread(target=self.release).start()
            return
        with sharing.opening(self.identity):
            if not self.users:
                self.close_file()

    def close_file(self) -> None:
        """Close the file, and remove one that never got to its place."""
        if self.pid != os.getpid():
            return
        self.file.close()
        if self._made:
            self.place.discard()
        open_drafts.discard(self)

    # -- the tree

    def reindex(self) -> None:
        """Note that groups came, went or have other names."""
        self._index = None

    def note(self, path: tuple[str, ...], node: Node) -> None:
        """Note that a group without children came, of that path."""
        if self._index is not None:
            self._index[node.id] = path, node

    def note_gone(self, node: Node) -> None:
        """Note that a group went, with all below."""
        if self._index is not None:
            for _, gone in node.walk():
                self._index.pop(gone.id, None)

    def find(self, node_id: int) -> tuple[tuple[str, ...], Node] | None:
        """The names that lead to a node, and the node; None if there is none of that id."""
        index = self._index
        if index is None:
            index = {node.id: (path, node) for path, node in self.root.walk()}
            self._index = index
        return index.get(node_id)

    def children(self, node: Node) -> dict[str, Node]:
        """The children of a node, which are looked for now where nobody has done so."""
        if node.load is not None:
            with self.lock:
                node.loaded()
                self.reindex()
        return node.groups

    # -- changing

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """A block in which one user alone changes the tree."""
        with self.lock:
            before, self._dirty = self.dirty, True
            try:
                yield
            except Exception:
                self._dirty = before
                raise

    def _overwriting(self, array: DraftArray, start: int, count: int) -> None:
        """Keep what is going to be overwritten where somebody may want it back."""
        if self.depth or array.committed:
            self._old.keep(array, start, count)

    def snapshot(self) -> tuple[Moment, Mark, bool]:
        """The present moment, by what changes the tree and what overwrites values."""
        return self.log.mark(self.depth), self._old.mark(), self.dirty

    def restore(self, snapshot: tuple[Moment, Mark, bool]) -> None:
        """Have the tree, and the values that were overwritten, as they were."""
        moment, mark, dirty = snapshot
        self._old.put_back(mark)
        self.log.undo(moment)
        self.reindex()
        self._dirty = dirty

    def drop_snapshot(self, snapshot: tuple[Moment, Mark, bool]) -> None:
        """Note that nobody returns to a snapshot, but perhaps to one before."""
        self.log.forget(snapshot[0])
        self._old.forget(snapshot[1])

    def rollback(self) -> None:
        """Drop what was not committed; a new file that never was gives way to what was there."""
        with self.lock:
            if self._made and self.place.local and self.place.state() is not None:
                self.close_file()
                state = self.place.state()
                for other in [draft for draft in open_drafts if draft.holds(state)]:
                    other.make_writable()  # a process has a file open in one way alone
                self.open()
                return
            self._old.put_back()
            self.log.undo_all()
            self.reindex()
            self._old.clear()
            self._dirty = False
            if self._torn:  # by a commit that failed
                self._write()
                self._note()

    # -- committing

    def commit(self) -> int:
        with self.lock:
            self.refuse_within("a commit inside of a transaction would make a half of it last")
            if self.clean:
                return self.version
            if not self.is_there():
                raise ConflictError(
                    f"{self.url} was replaced or removed since it was opened: rollback() drops the "
                    "changes, and refresh() shows what is there now"
                )
            self.root.version += self.dirty
            try:
                self._write()
                with using(self.url):
                    self.place.put_in_place(
                        self.file.file, durable=self.durable, replace=self._replace
                    )
                    if self._made and self.place.local and not system.MOVES_OPEN_FILES:
                        self._move_closed()
            except BaseException:
                self.root.version -= self.dirty
                raise
            self._made, self.state = False, self.place.state()
            self._note()
            return self.version

    def _move_closed(self) -> None:
        """Have a new file in its place, which is closed meanwhile."""
        failed: list[Exception] = []

        def move() -> Any:
            try:
                self.place.move(durable=self.durable, replace=self._replace)
            except Exception as error:  # noqa: BLE001 - raised below, when it is open again
                failed.append(error)
            return self.place.open("r+")

        self.file.exchange(move)
        if failed:
            raise failed[0]

    def _write(self) -> None:
        """Have the file be as the tree is, and see that it is."""
        self.file.reserve(needed_by(self.root))
        self._torn = True
        write_tree(self.file, self.root)
        self.file.flush()
        with self.place.look() as file:
            prove(file, self.root, self.url)

    def refresh(self) -> None:
        """Show the file that is at the place now, if it is another one."""
        with self.lock:
            self.refuse_within(
                "a refresh inside of a transaction would change what that returns to"
            )
            if not (self.dirty or self._torn) and self.place.state() not in (self.state, None):
                self.close_file()
                self.open()

    def repack(self) -> None:
        """Commit, and write the file anew, without the space of what was deleted."""
        with self.lock:
            if not self.place.local:
                raise UnsupportedError(f"{self.url} cannot be written anew where it is")
            self.commit()
            made = self.place.create()
            try:
                with using(self.url):
                    old, new = self.file.file, made
                    for name in old:
                        link = old.get(name, getlink=True)
                        if isinstance(link, library().HardLink):
                            old.copy(name, new)
                        else:
                            new[name] = link
                    for name, value in old.attrs.items():
                        new.attrs[name] = value
                    made.flush()
                    self.place.put_in_place(made, durable=self.durable, replace=True)
            except BaseException:
                made.close()
                self.place.discard()
                raise
            made.close()
            self.close_file()
            self.place.move(durable=self.durable, replace=True)
            self.open()
