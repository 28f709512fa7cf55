"""The contract of a storage back end: a storage holds a tree of groups, a group holds arrays.

A table is a group of the root, a field is a group of a table (or of the root), and the bytes of a
field are the one-dimensional arrays of its group, by role: ``values``, and ``index`` for indexed
strings. Handles are names, not snapshots: after a rollback they show what is there then.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import numpy.typing as npt

from exetera_zarr.errors import ArgumentTypeError

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Hashable, Iterator, Mapping, Sequence

__all__ = ["AnyArray", "Array", "Capability", "Commit", "Group", "OfThisProcess", "Storage"]

AnyArray = npt.NDArray[Any]

ROW_BLOCK = 1 << 20
"""Rows of a block, unless a table says otherwise."""


class OfThisProcess:
    """What is not to leave the process: it is open, and may have credentials."""

    def __reduce__(self) -> NoReturn:
        raise ArgumentTypeError(
            f"a {type(self).__name__} is open in this process and cannot be pickled: pass the "
            "dataset's URL, and open it where it is needed"
        )


class Capability(Enum):
    """What a back end may be able to do, asked for by name instead of by type."""

    VERSIONS = "versions"
    """Commits are atomic and kept; an old version can be opened."""
    MULTIPLE_WRITERS = "multiple writers"
    """Several processes may write; the slower one is told, nothing is lost."""
    ROLLBACK = "rollback"
    """Uncommitted changes can be dropped, and a failed operation leaves nothing behind."""
    ZARR = "zarr"
    """Committed arrays are plain Zarr v3."""


@dataclass(frozen=True)
class Commit:
    """One committed version, as `Storage.history` lists it."""

    version: int
    created: str
    changed: tuple[str, ...]
    writer: str
    kept: bool = True
    """Whether it can still be opened."""


class Array(ABC):
    """One-dimensional array that grows at its end. Fixed strings are ``S<width>`` elements."""

    @property
    @abstractmethod
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements."""

    @property
    @abstractmethod
    def block(self) -> int:
        """Elements of a storage block: the unit in which reading and writing is cheapest."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def read(self, start: int, stop: int, out: AnyArray | None = None) -> AnyArray:
        """
        Elements ``start`` to ``stop``.

        Parameters
        ----------
        start, stop
            ``0 <= start <= stop <= len(self)``.
        out
            Where to put them: contiguous, of this dtype and of length ``stop - start``.

        Returns
        -------
        ndarray, shape (stop - start,)
            `out`, or a new array that the caller owns.
        """

    def extremes(self, start: int, stop: int) -> tuple[Any, Any] | None:  # noqa: ARG002
        """
        Bounds of the elements ``start`` to ``stop``, where they are known without reading these.

        Returns
        -------
        (least, greatest) or None
            Python's numbers; no element is less or greater, and none is NaN.
        """
        return None

    @property
    def at_once(self) -> int:
        """How many arrays of this store are better read at a time; see `storage.together`."""
        return 1

    def __getitem__(self, item: Any) -> Any:
        """What numpy gives for `item`; a slice reads no more than it names."""
        if isinstance(item, slice):
            start, stop, step = item.indices(len(self))
            if step == 1:
                return self.read(start, max(start, stop))
        return self.read(0, len(self))[item]

    @abstractmethod
    def append(self, values: AnyArray, *, given: bool = False) -> None:
        """
        Add elements at the end.

        Parameters
        ----------
        values
            One-dimensional, of this dtype.
        given
            Whether nobody changes them from now on; else they may be reused when this returns.
        """

    @abstractmethod
    def write(self, start: int, values: AnyArray) -> None:
        """Overwrite from `start` with `values`, which end within the present length."""

    @abstractmethod
    def clear(self) -> None:
        """Forget all elements."""


class Group(ABC):
    """A node of the tree; its children keep the order of their creation."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Logical name; empty for the root."""

    @property
    @abstractmethod
    def key(self) -> Hashable:
        """What tells it from every other group, whatever either is called; KeyError if gone."""

    @abstractmethod
    def exclusive(self) -> contextlib.AbstractContextManager[object]:
        """A ``with`` block in which no other thread changes the dataset."""

    @property
    @abstractmethod
    def storage(self) -> Storage | None:
        """The storage it belongs to; None for a group in memory."""

    @property
    def stored(self) -> bool:
        """Whether its bytes are in a dataset, or in a file, rather than in memory."""
        return self.storage is not None

    @property
    @abstractmethod
    def row_block(self) -> int:
        """Rows of a block of the fields in this group."""

    @property
    @abstractmethod
    def attributes(self) -> Mapping[str, Any]:
        """Attributes, JSON values; not to be changed in place."""

    @abstractmethod
    def update_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Set attributes; the others stay."""

    @abstractmethod
    def keys(self) -> Sequence[str]:
        """Names of the child groups, in order."""

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    @property
    def attrs(self) -> Mapping[str, Any]:
        """The attributes, under the name that h5py has for them."""
        return self.attributes

    def __getitem__(self, name: str) -> Group | Array:
        """The child group, or the array of that role, as in h5py; KeyError where there is none."""
        if name in self:
            return self.group(name)
        here, _, below = name.partition("/")
        return self.group(here)[below] if below else self.array(name)

    @abstractmethod
    def __contains__(self, name: object) -> bool: ...

    @abstractmethod
    def group(self, name: str) -> Group:
        """The child group; KeyError where there is none."""

    @abstractmethod
    def create_group(
        self, name: str, attributes: Mapping[str, Any] | None = None, row_block: int | None = None
    ) -> Group:
        """
        A new child group.

        Parameters
        ----------
        name
            Logical name, any text that `names.check` accepts.
        attributes
            JSON values.
        row_block
            Rows of a block of the fields below; the parent's by default.

        Raises
        ------
        NameTakenError
            There is a child of that name.
        """

    def with_attribute(self, name: str, value: object) -> list[str]:
        """Names of the children that have that value of an attribute."""
        return [child for child in self.keys() if self.group(child).attributes.get(name) == value]

    @abstractmethod
    def delete_group(self, name: str) -> None:
        """Remove a child and all below; KeyError where there is none."""

    @abstractmethod
    def rename_groups(self, renames: Mapping[str, str]) -> None:
        """Give children new names, all at once, so that two may swap; the order stays."""

    @abstractmethod
    def reorder(self, order: Sequence[str]) -> None:
        """Put the children in the order of their names in `order`, which has all of them."""

    @abstractmethod
    def arrays(self) -> Mapping[str, Array]:
        """The arrays by role, as they belong together now."""

    def array(self, role: str) -> Array:
        """The array of that role; KeyError where there is none."""
        return self.arrays()[role]

    @abstractmethod
    def new_array(self, role: str, dtype: npt.DTypeLike) -> Array:
        """An empty array that `set_arrays` can put in place; until then nobody sees it."""

    @abstractmethod
    def set_arrays(self, arrays: Mapping[str, Array]) -> None:
        """Put arrays, made by `new_array` of this group, in the place of their roles, at once."""

    def set_array(self, role: str, array: Array) -> None:
        """Put an array in the place of its role; see `set_arrays`."""
        self.set_arrays({role: array})


class Storage(OfThisProcess, ABC):
    """One open dataset, as one user of it sees it."""

    @property
    @abstractmethod
    def url(self) -> str:
        """Where it lives, without secrets."""

    @property
    @abstractmethod
    def writable(self) -> bool:
        """Whether this user may change it."""

    @property
    @abstractmethod
    def capabilities(self) -> frozenset[Capability]:
        """What this back end can do."""

    @property
    @abstractmethod
    def version(self) -> int:
        """The committed version that is the base of what is seen."""

    @property
    @abstractmethod
    def changed(self) -> bool:
        """Whether there is something to commit."""

    @property
    @abstractmethod
    def root(self) -> Group:
        """The root group."""

    @abstractmethod
    def commit(self, *, force: bool = False) -> int:
        """
        Make the changes a new version for everybody.

        Parameters
        ----------
        force
            Whether our tables win where another writer changed the same ones.

        Returns
        -------
        int
            Its number.

        Raises
        ------
        ConflictError
            Another writer changed the same table; the changes are still here.
        """

    @abstractmethod
    def refresh(self) -> int:
        """Move to the newest version, with our changes over it; returns its number."""

    @abstractmethod
    def retain(self, versions: int, seconds: float) -> None:
        """Keep at least so many versions, and all younger than that, from the next commit on."""

    @abstractmethod
    def vacuum(
        self,
        keep: int | None = None,
        older_than: float | None = None,
        *,
        orphans_older_than: float = ...,
        all_of: str = "",
    ) -> int:
        """
        Commit, forget older versions and remove what no version reaches.

        Parameters
        ----------
        keep, older_than
            At least so many versions stay, and all that are not older than so many seconds.
        orphans_older_than
            Seconds after which an object that no version has cannot belong to a living draft.
        all_of
            Table whose unreachable objects are removed whatever their age.

        Returns
        -------
        int
            How many objects were removed that no version had.
        """

    def compact(self, table: str | None = None) -> None:
        """Have each column in one array, of one table or of all, from the next commit on."""

    @abstractmethod
    def verify(self) -> None:
        """Read everything; CorruptDataError naming table, field and chunk of what is damaged."""

    @abstractmethod
    def rollback(self) -> None:
        """Drop what was not committed."""

    @abstractmethod
    def atomic(self) -> contextlib.AbstractContextManager[None]:
        """All or nothing: an exception inside leaves the draft as it was before."""

    @abstractmethod
    def history(self) -> Iterator[Commit]:
        """The committed versions, newest first."""

    @abstractmethod
    def stored_sizes(self) -> Mapping[tuple[str, ...], int]:
        """Bytes in the store of each committed field, by the names that lead to it."""

    @abstractmethod
    def close(self) -> None:
        """Commit and end; nothing below can be used after."""

    @abstractmethod
    def abandon(self) -> None:
        """End as `close` does, for a user that was dropped without closing; never raises."""
