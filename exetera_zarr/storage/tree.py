"""What one user of a draft holds, whatever the back end: the storage, its groups and arrays."""

from __future__ import annotations

import contextlib
import os
from abc import abstractmethod
from collections import Counter
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar

from exetera_zarr.errors import ArgumentError, NameTakenError, ReadOnlyError
from exetera_zarr.storage import ending, names, sharing
from exetera_zarr.storage.base import Array, Group, Storage

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Hashable, Iterator, Mapping, Sequence

    import numpy as np

    from exetera_zarr.storage.base import AnyArray

__all__ = ["ArrayOfDraft", "DraftArrayHandle", "DraftGroup", "DraftStorage"]

D = TypeVar("D", bound=sharing.SharedDraft)


class ArrayOfDraft(Protocol):
    """An array as a draft has it, for all users."""

    dtype: np.dtype[Any]

    @property
    def length(self) -> int:
        """Elements."""

    @property
    def block(self) -> int:
        """As of `Array`."""

    def at_once(self, elements: int) -> int:
        """As of `Array`."""

    def read(self, start: int, stop: int, out: AnyArray | None = None) -> AnyArray:
        """As of `Array`."""

    def extremes(self, start: int, stop: int) -> tuple[Any, Any] | None:
        """As of `storage.base.Array`."""

    def append(self, values: AnyArray, *, given: bool = False) -> None:
        """As of `Array`."""

    def write(self, start: int, values: AnyArray) -> None:
        """As of `Array`."""

    @property
    def content(self) -> Sequence[tuple[Hashable, int]]:
        """As of `Array`."""

    def emptied(self) -> Self:
        """One of the same type and place without elements."""


class DraftStorage(Storage, Generic[D]):
    """
    One user's handle on a draft.

    Parameters
    ----------
    draft
        Shared with the other users of the same place in this process.
    writable
        Whether this user may change it.
    """

    def __init__(self, draft: D, *, writable: bool) -> None:
        self._draft: D | None = draft
        self._writable = writable
        self._url = draft.url
        sharing.join(draft, id(self))

    @property
    def draft(self) -> D:
        """The draft; ValueError once closed."""
        if self._draft is None:
            raise ArgumentError(f"the dataset {self._url} is closed")
        return self._draft

    def to_change(self) -> D:
        """The draft, to be changed; ReadOnlyError where this user may not."""
        draft = self.draft
        if not self._writable:
            raise ReadOnlyError(
                f"the dataset {self._url} is open for reading; open it with mode 'r+' to change it"
            )
        if draft.pid != os.getpid():
            raise ReadOnlyError(
                f"the dataset {self._url} was opened before this process was forked: its draft "
                "belongs to the parent; open it again here"
            )
        ending.check(self._url)
        return draft

    @contextlib.contextmanager
    def changing(self) -> Iterator[D]:
        """A block in which this user alone changes the draft."""
        draft = self.to_change()
        with draft.changing():
            ending.check(self._url)  # which may have come while another thread had the draft
            yield draft

    @property
    def url(self) -> str:
        return self._url

    @property
    def writable(self) -> bool:
        return self._writable

    @property
    def changed(self) -> bool:
        return self.draft.dirty

    def rollback(self) -> None:
        self.to_change().rollback()

    def atomic(self) -> contextlib.AbstractContextManager[None]:
        return self.to_change().atomic()

    def close(self) -> None:
        draft = self._draft
        if draft is None:
            return
        # A failed commit leaves it open, so that nothing is lost and it can be tried again. What a
        # writer has left who was dropped is committed by the last user, whoever that is.
        alone = draft.dirty and draft.users == {id(self)}
        if draft.pid == os.getpid() and (self._writable or alone):
            draft.commit()
        self._draft = None
        if sharing.leave(draft, id(self)):
            if draft.dirty and draft.pid == os.getpid():
                sharing.commit_orphan(draft)  # somebody has changed it, and gone, since
            sharing.forget(draft)
            draft.finish()

    def abandon(self) -> None:
        draft = self._draft
        self._draft = None
        if draft is not None and sharing.leave(draft, id(self)):
            if draft.pid == os.getpid():
                sharing.commit_orphan(draft)
            else:
                sharing.forget(draft)


class DraftGroup(Group):
    """
    A group of a draft: a name for one of its nodes.

    Parameters
    ----------
    storage
        The handle.
    path
        Logical names that lead to it from the root.
    """

    def __init__(self, storage: DraftStorage[Any], path: tuple[str, ...]) -> None:
        self._storage = storage
        self._path = path

    @property
    @abstractmethod
    def node(self) -> Any:
        """The node that it stands for now; KeyError where there is none."""

    def _to_change(self) -> Any:
        """The node, which is about to change; call with the draft locked."""
        node = self.node
        self._storage.draft.save(node)
        return node

    @abstractmethod
    def _below(self, node: Any, name: str) -> DraftGroup:
        """The group for a child."""

    def _children(self) -> Mapping[str, Any]:
        """The nodes of the children, by name."""
        children: Mapping[str, Any] = self.node.groups
        return children

    @property
    def key(self) -> Any:
        return self.node.id

    def exclusive(self) -> contextlib.AbstractContextManager[object]:
        lock: contextlib.AbstractContextManager[object] = self._storage.draft.lock
        return lock

    @property
    def name(self) -> str:
        return self._path[-1] if self._path else ""

    @property
    def storage(self) -> DraftStorage[Any]:
        return self._storage

    @property
    def row_block(self) -> int:
        return int(self.node.row_block)

    @property
    def attributes(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.node.attributes
        return found

    def update_attributes(self, attributes: Mapping[str, Any]) -> None:
        with self._storage.changing():
            node = self._to_change()
            gone = {name for name, value in attributes.items() if value is None}
            after = {**node.attributes, **attributes}
            node.attributes = {name: after[name] for name in after if name not in gone}

    def keys(self) -> Sequence[str]:
        return list(self._children())

    def __contains__(self, name: object) -> bool:
        return name in self._children()

    def group(self, name: str) -> DraftGroup:
        return self._below(self._children()[name], name)

    def _check_new(self, name: str, taken: Container[str]) -> None:
        """Raise NameTakenError if there is a child of that name among others."""
        if name in taken:
            where = f"{'/'.join(self._path)!r} of " if self._path else ""
            raise NameTakenError(f"{name!r} exists already in {where}{self._storage.url}")

    def _set_groups(self, node: Any, groups: Mapping[str, Any]) -> None:
        """Give a node other children, all at once; whoever looks for one finds those."""
        draft = self._storage.draft
        draft.save(node)
        draft.reindex()
        node.groups = groups
        draft.reindex()

    def with_attribute(self, name: str, value: object) -> list[str]:
        children = self._children().items()
        return [child for child, node in children if node.attributes.get(name) == value]

    def with_attributes(self, wanted: Callable[[Mapping[str, Any]], bool]) -> list[str]:
        return [child for child, node in self._children().items() if wanted(node.attributes)]

    def with_key_in(self, keys: Container[Hashable]) -> list[str]:
        return [child for child, node in self._children().items() if node.id in keys]

    def delete_group(self, name: str) -> None:
        with self._storage.changing() as draft:
            node = self.node
            groups = node.groups.copy()
            gone = groups.pop(name)
            draft.save(node)
            draft.note_gone(gone)
            node.groups = groups
            draft.note_gone(gone)

    def rename_groups(self, renames: Mapping[str, str]) -> None:
        renames = {old: names.check(new) for old, new in renames.items()}
        with self._storage.changing():
            node = self.node
            after = [renames.get(name, name) for name in node.groups]
            for name, times in Counter(after).items():
                self._check_new(name, {name} if times > 1 else ())
            self._set_groups(node, self._renamed(node, renames))

    def _renamed(self, node: Any, renames: Mapping[str, str]) -> dict[str, Any]:
        """The children of a node by their new names."""
        return {renames.get(name, name): child for name, child in node.groups.items()}

    def reorder(self, order: Sequence[str]) -> None:
        with self._storage.changing():
            node = self.node
            self._set_groups(node, {name: node.groups[name] for name in order})

    def arrays(self) -> Mapping[str, Array]:
        return {
            role: DraftArrayHandle(self._storage, array, self, role)
            for role, array in self.node.arrays.items()
        }

    def set_arrays(self, arrays: Mapping[str, Array]) -> None:
        handles = {r: a for r, a in arrays.items() if isinstance(a, DraftArrayHandle)}
        with self._storage.changing():
            self.put({role: handle.draft_array for role, handle in handles.items()})

    def put(self, arrays: Mapping[str, ArrayOfDraft]) -> None:
        """Have other arrays of the draft in some roles; call with the draft locked."""
        node = self._to_change()
        node.arrays = {**node.arrays, **arrays}


class DraftArrayHandle(Array):
    """
    An array of a draft, as one user may use it.

    It reads what the array was when it was asked for, or has become by appending and overwriting;
    a change goes to the array that is in its place when the change is made.

    Parameters
    ----------
    storage
        The handle.
    array
        Of the draft.
    group, role
        Its place; None while it is in none.
    """

    def __init__(
        self,
        storage: DraftStorage[Any],
        array: ArrayOfDraft,
        group: DraftGroup | None = None,
        role: str = "",
    ) -> None:
        self._storage = storage
        self.draft_array = array
        self._group = group
        self._role = role

    def _present(self) -> ArrayOfDraft:
        """The array that is in its place now; call with the draft locked."""
        if self._group is not None:
            self.draft_array = self._group.node.arrays[self._role]
        return self.draft_array

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.draft_array.dtype

    @property
    def block(self) -> int:
        return self.draft_array.block

    def __len__(self) -> int:
        return self.draft_array.length

    def read(self, start: int, stop: int, out: AnyArray | None = None) -> AnyArray:
        _ = self._storage.draft
        return self.draft_array.read(start, stop, out)

    def extremes(self, start: int, stop: int) -> tuple[Any, Any] | None:
        _ = self._storage.draft
        return self.draft_array.extremes(start, stop)

    @property
    def content(self) -> Sequence[tuple[Hashable, int]]:
        return self.draft_array.content

    def at_once(self, elements: int) -> int:
        return self.draft_array.at_once(elements)

    def append(self, values: AnyArray, *, given: bool = False) -> None:
        if len(values) == 0:
            self._storage.to_change()
            return
        with self._storage.changing():
            self._present().append(values, given=given)

    def adopt(self, path: str, extremes: Sequence[Any], rest: AnyArray) -> None:
        """Have blocks that others have written, and a rest, at the end; see `Workshop`."""
        with self._storage.changing():
            present: Any = self._present()
            present.adopt(path, extremes, rest)

    def write(self, start: int, values: AnyArray) -> None:
        if len(values) == 0:
            self._storage.to_change()
            return
        with self._storage.changing():
            self._present().write(start, values)

    def clear(self) -> None:
        with self._storage.changing():
            twin = self._present().emptied()
            if self._group is not None:
                self._group.put({self._role: twin})
            self.draft_array = twin
