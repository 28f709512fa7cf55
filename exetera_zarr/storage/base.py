"""The contract of a storage back end: a storage holds a tree of groups, a group holds arrays.

A table is a group of the root, a field is a group of a table (or of the root), and the bytes of a
field are the one-dimensional arrays of its group, by role: ``values``, and ``index`` for indexed
strings. Handles are names, not snapshots: after a rollback they show what is there then.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import numpy as np
import numpy.typing as npt

from exetera_zarr.errors import ArgumentTypeError, MemoryLimitError, UnsupportedError
from exetera_zarr.storage.provenance import NOTHING_SAID, About, Operation, Tag

if TYPE_CHECKING:
    import contextlib
    import datetime as dt
    from collections.abc import (
        Callable,
        Collection,
        Container,
        Hashable,
        Iterable,
        Iterator,
        Mapping,
        Sequence,
    )

__all__ = [
    "OWN_TABLES",
    "Address",
    "AnyArray",
    "Array",
    "Capability",
    "Commit",
    "Erased",
    "Group",
    "OfThisProcess",
    "Storage",
    "Usage",
    "VersionLike",
    "Workshop",
    "empty",
]

AnyArray = npt.NDArray[Any]
VersionLike: TypeAlias = "int | str | dt.date"
"""Which version is meant: its number, a tag, or a moment (as text, too)."""

ROW_BLOCK = 1 << 20
"""Rows of a block, unless a table says otherwise."""


def empty(count: int, dtype: np.dtype[Any]) -> AnyArray:
    """
    Room for elements, which have any values.

    Raises
    ------
    MemoryLimitError
        There is less memory than they take.
    """
    try:
        return np.empty(count, dtype)
    except MemoryError as error:
        gigabytes = count * dtype.itemsize / 1e9
        raise MemoryLimitError(
            f"{count:,} values of {dtype} take {gigabytes:,.0f} GB, which is more memory than "
            "there is: read some of them at a time, such as data[:1000000]"
        ) from error


class OfThisProcess:
    """What is not to leave the process: it is open, and may have credentials."""

    def __reduce__(self) -> NoReturn:
        raise ArgumentTypeError(
            f"a {type(self).__name__} is open in this process and cannot be pickled: pass the "
            "dataset's URL, and open it where it is needed"
        )


OWN_TABLES = "the session's own tables"
"""What stands where others have a URL."""


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
class Usage:
    """
    Bytes that a dataset has in its store, by who needs them.

    Parameters
    ----------
    newest
        What the newest version has.
    older
        What only older versions have that are kept.
    manifests
        The documents of versions.
    unreachable
        What no version has that is kept: of drafts that are alive, or that crashed.
    freed
        What a vacuum would free of these, once what no version had is a week old.
    versions
        How many versions are kept.
    expiring
        Numbers of those that a vacuum would no longer keep.
    """

    newest: int
    older: int
    manifests: int
    unreachable: int
    freed: int
    versions: int
    expiring: tuple[int, ...] = ()

    @property
    def total(self) -> int:
        """All bytes."""
        return self.newest + self.older + self.manifests + self.unreachable


@dataclass(frozen=True)
class Erased:
    """
    What became of a dataset when something was erased.

    Parameters
    ----------
    version
        The version without it.
    rewritten
        Older versions that are without it as well.
    dropped
        Older versions that can no longer be opened.
    objects
        Keys of the objects that were removed.
    """

    version: int
    rewritten: tuple[int, ...] = ()
    dropped: tuple[int, ...] = ()
    objects: tuple[str, ...] = ()


@dataclass(frozen=True)
class Commit:
    """One committed version, as `Storage.history` lists it."""

    version: int
    created: str
    changed: tuple[str, ...]
    writer: str
    kept: bool = True
    """Whether it can still be opened."""
    tags: tuple[str, ...] = ()
    """Tags that name it."""
    about: About = NOTHING_SAID
    """Its message and author, and what was done."""

    @property
    def message(self) -> str:
        """Why it was made; empty where nobody said."""
        return self.about.message

    @property
    def author(self) -> str:
        """Who made it; empty where nobody said."""
        return self.about.author

    @property
    def operations(self) -> tuple[Operation, ...]:
        """What was done since the version before, in order."""
        return self.about.operations


@dataclass(frozen=True)
class Address:
    """
    Where another process finds a version, without anything that is secret.

    Parameters
    ----------
    url
        Path or URL of the dataset.
    options
        Storage options that say where and how, as JSON; never those by which one logs in.
    version
        Number of the version.
    digest
        What tells it from every other version of any dataset.
    withheld
        Names of the storage options that stay in the process that has them.
    durable
        Whether what is written to a local disk is to survive a loss of power.
    single_writer
        As of `OpenOptions`.
    """

    url: str
    options: str
    version: int
    digest: str
    withheld: tuple[str, ...] = ()
    durable: bool = True
    single_writer: bool = False

    def __str__(self) -> str:
        return f"version {self.version} of {self.url}"


class Workshop(ABC):
    """
    Where the tasks of one job write, in any process, what a draft then takes over.

    What a task stages is private to its attempt: the name has to be one that nobody else has. What
    it places is at the path of an array to be, at most once, whoever comes first.
    """

    @abstractmethod
    def stage(
        self, name: str, arrays: Mapping[str, AnyArray]
    ) -> tuple[str, dict[str, tuple[int, int, int]]]:
        """
        Write some arrays as one object.

        Parameters
        ----------
        name
            Of the object.
        arrays
            By any name.

        Returns
        -------
        key : str
            Of the object.
        pieces : dict
            Elements, first byte and bytes of each array.
        """

    @abstractmethod
    def staged(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        """An object that was staged, or some bytes of it."""

    @abstractmethod
    def piece(self, data: bytes, piece: tuple[int, int, int], dtype: np.dtype[Any]) -> AnyArray:
        """An array in such an object; CorruptDataError where it is damaged."""

    @abstractmethod
    def place(self, path: str, role: str, number: int, values: AnyArray) -> Any:
        """
        Write a whole block of an array to be, unless it is there; durable when this returns.

        Returns
        -------
        object
            What is to be known of the block when a draft takes it over.
        """

    @abstractmethod
    def place_each(self, blocks: Iterable[tuple[str, str, int, AnyArray]]) -> Iterator[Any]:
        """As `place`, of several blocks, some of which are on their way at a time."""

    @abstractmethod
    def paths(self, table: str, fields: Sequence[str], *, anew: bool) -> Callable[[str, str], str]:
        """
        Paths for new arrays of a table, which nobody has written to before.

        Parameters
        ----------
        table, fields
            Names; in order.
        anew
            Whether the table is to be made, in the place of one of its name if there is one.

        Returns
        -------
        function
            Which takes a field and a role.
        """

    @abstractmethod
    def changed_since(self) -> Collection[str]:
        """Names of tables that others have changed since the version that the draft is over."""

    @abstractmethod
    def remove(self, paths: Collection[str] = ()) -> None:
        """Remove what was staged, and what was placed at some paths."""


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
    def content(self) -> Sequence[tuple[Hashable, int]]:
        """
        What its parts are stored as, in order, and how many elements each has.

        What is stored does not change, so that parts of the same name are equal. Nothing where
        that is not known.
        """
        return ()

    def at_once(self, elements: int) -> int:  # noqa: ARG002 - here, always the same
        """
        How many arrays of this store are better read at a time, so many elements of each.

        As many as a store that is far away answers at a time, or as there are processors to
        decode large pieces; see `storage.together`.
        """
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
        """Set attributes, and remove those that are None; the others stay."""

    @abstractmethod
    def keys(self) -> Sequence[str]:
        """Names of the child groups, in order."""

    def rely_on_rows(self) -> None:  # noqa: B027 - nothing to do where one writer is alone
        """
        Note that what is written to the fields below depends on the rows that are there.

        Rows that are only appended do not, and go beside those of other writers. Where those of a
        key are appended because the table has not got it, another writer may just have added it.
        """

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

    def with_attributes(self, wanted: Callable[[Mapping[str, Any]], bool]) -> list[str]:
        """Names of the child groups whose attributes are wanted."""
        return [child for child in self.keys() if wanted(self.group(child).attributes)]

    def with_key_in(self, keys: Container[Hashable]) -> list[str]:
        """Names of the child groups whose `key` is among some."""
        return [child for child in self.keys() if self.group(child).key in keys]

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

    def leave_packs(self) -> None:  # noqa: B027 - most back ends have none
        """Have the columns of a table in no object that also has what is in no field of it."""

    def without_rows(self, gone: Callable[[int, int], AnyArray]) -> bool:  # noqa: ARG002
        """
        Take rows out of a field, without writing what is stored apart from them.

        Parameters
        ----------
        gone
            For the rows from one number to another, which of them go: an array of bool.

        Returns
        -------
        bool
            False where nothing was done, since this back end has no way to do so.
        """
        return False

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

    def address(self, name: str | None = None) -> Address:
        """
        Where other processes find a table, or a field at the top level, as it is here.

        Parameters
        ----------
        name
            Of the table or field; None where none is to be read.

        Raises
        ------
        ArgumentError
            It has changes that are not committed.
        UnsupportedError
            Others cannot read what is here.
        """
        raise UnsupportedError(
            f"{self.url} has no versions that other processes could read {name!r} from: convert it "
            "to a Zarr dataset first, by `exetera-zarr convert`"
        )

    def workshop(self, job: str) -> Workshop:  # noqa: ARG002
        """Where the tasks of a job write what is to be in a draft; see `Workshop`."""
        raise UnsupportedError(
            f"{self.url} cannot be written by several processes: convert it to a Zarr dataset "
            "first, by `exetera-zarr convert`"
        )

    @abstractmethod
    def commit(self, *, force: bool = False, message: str = "", author: str = "") -> int:
        """
        Make the changes a new version for everybody.

        Parameters
        ----------
        force
            Whether our tables win where another writer changed the same ones.
        message, author
            What the version says of itself; with either there is a version even if nothing
            was changed.

        Returns
        -------
        int
            Its number.

        Raises
        ------
        ConflictError
            Another writer changed the same table; the changes are still here.
        """

    def note(self, operation: Operation) -> None:
        """Have the next version say what was done, unless that is rolled back."""

    @abstractmethod
    def refresh(self) -> int:
        """Move to the newest version, with our changes over it; returns its number."""

    @abstractmethod
    def tags(self) -> Mapping[str, Tag]:
        """The tags of the newest version, by name."""

    def known_tags(self) -> Mapping[str, Tag]:
        """The tags that the version which is seen knows of, without asking the store."""
        return {}

    @abstractmethod
    def tag(self, tag: Tag, version: VersionLike | None = None) -> int:
        """
        Commit, and with that have a tag for a version, which is kept for as long as it has one.

        Parameters
        ----------
        tag
            Its name and what it says; its own version does not count.
        version
            Which version; that of this commit by default, or the present one where nothing is
            changed.

        Returns
        -------
        int
            Number of the version that has the tag.

        Raises
        ------
        NameTakenError
            There is such a tag.
        VersionNotFoundError
            There is no such version, or it is no longer kept.
        """

    @abstractmethod
    def untag(self, name: str) -> None:
        """Commit, and with that remove a tag; KeyError where there is none."""

    @abstractmethod
    def restore(self, version: VersionLike, about: About) -> int:
        """Have all that an older version had, as a new version; returns the number of that."""

    @property
    @abstractmethod
    def retention(self) -> tuple[int, float]:
        """What is kept: at least so many versions, and all that are younger in seconds."""

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
    ) -> int:
        """
        Commit, forget older versions and remove what no version reaches.

        Parameters
        ----------
        keep, older_than
            At least so many versions stay, and all that are not older than so many seconds.
        orphans_older_than
            Seconds after which an object that no version has cannot belong to a living draft.

        Returns
        -------
        int
            How many objects were removed that no version had.
        """

    @abstractmethod
    def kept(self) -> Collection[int]:
        """Numbers of the versions that can be opened, ascending."""

    @abstractmethod
    def erase(
        self,
        change: Callable[[Storage], Collection[str]],
        about: About,
        *,
        rewrite: bool,
    ) -> Erased:
        """
        Have something in no version, and in no object, in one commit.

        Parameters
        ----------
        change
            Takes it out of the draft that it is given, and returns the names of the tables that it
            was in.
        about
            What the new version says of itself.
        rewrite
            Whether older versions are kept, each without it; otherwise, and with them their tags,
            they are gone.

        Raises
        ------
        ConflictError
            Another writer has committed something meanwhile; nothing is changed.
        """

    @abstractmethod
    def usage(self, keep: int | None = None, older_than: float | None = None) -> Usage:
        """What versions take, and what `vacuum` would free; lists all objects."""

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
    def at(self, version: VersionLike | None) -> Storage:
        """
        The same place for reading at a version, the newest if None.

        Raises
        ------
        VersionNotFoundError
            There is none, or it is no longer kept.
        """

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
