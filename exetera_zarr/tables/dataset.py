"""Datasets: the named tables of one store."""

from __future__ import annotations

import sys
import warnings
import weakref
from typing import TYPE_CHECKING, Any, Self

from exetera_zarr.errors import (
    ArgumentError,
    ArgumentTypeError,
    NameTakenError,
    RaggedTableWarning,
    TableNotFoundError,
    listing,
    listing_lengths,
)
from exetera_zarr.fields import filters
from exetera_zarr.fields.container import FieldContainer, normal, stands_for
from exetera_zarr.fields.create import is_field_group, rows_of_fields
from exetera_zarr.fields.names import Names
from exetera_zarr.settings import let_pass
from exetera_zarr.tables.dataframe import DataFrame
from exetera_zarr.texts import visible

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable, Hashable, Mapping

    from exetera_zarr.settings import Settings
    from exetera_zarr.storage.base import Capability, Commit, Group, Storage
    from exetera_zarr.tables.session import Session

__all__ = ["Dataset", "copy", "move"]


class Dataset(FieldContainer):
    """
    The tables of one place, as `Session.open_dataset` gives them.

    Changes are made in a draft that other processes do not see before `commit`, which `close` and
    leaving ``with Session()`` do.

    Parameters
    ----------
    session
        The session that opened it.
    storage
        The open storage.
    name
        Its name in the session.
    settings
        Of the session.
    """

    def __init__(self, session: Session, storage: Storage, name: str, settings: Settings) -> None:
        super().__init__()
        self._session = weakref.ref(session)
        self._storage = storage
        self._settings = settings
        self.name = name
        self._left: Names | None = None  # the names when it was closed
        self._frames: weakref.WeakValueDictionary[Hashable, DataFrame] = (
            weakref.WeakValueDictionary()
        )
        self._used: set[Hashable] = set()  # keys of the tables that may have been changed
        self._dropped = weakref.finalize(self, storage.abandon)
        # At the end of the process the storage commits by itself, while it still can.
        self._dropped.atexit = False

    @property
    def session(self) -> Session | None:
        """The session that opened it; None if nobody has that any more."""
        return self._session()

    @property
    def settings(self) -> Settings:
        """The settings of the session."""
        return self._settings

    @property
    def storage(self) -> Storage:
        """The open storage."""
        return self._storage

    @property
    def group(self) -> Group:
        """The storage's root group."""
        return self._storage.root

    _file = group  # as ExeTera's own tests reach it

    @property
    def url(self) -> str:
        """Where it lives, without secrets."""
        return self._storage.url

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What its back end can do."""
        return self._storage.capabilities

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return not self._dropped.alive

    def __repr__(self) -> str:
        if self.closed:
            return f"<Dataset {self.name!r}, closed>"
        place = f"{visible(self.url)}, version {self.version}"
        return f"<Dataset {self.name!r} at {place}: {listing(self)}>"

    def _repr_html_(self) -> str:
        from exetera_zarr.tables.html import dataset_html

        return repr(self) if self.closed else dataset_html(self)

    def _phrase(self) -> str:
        return f"the dataset {self.name!r} ({self.url})"

    def _field_arguments(self) -> dict[str, Any]:
        return {"session": self.session, "owner": self}

    def _default_timestamp(self) -> str:
        return self._settings.timestamp

    # -- versions

    @property
    def version(self) -> int:
        """Number of the committed version that is seen; 0 is the empty dataset."""
        return self._storage.version

    def commit(self, *, force: bool = False) -> int:
        """
        Make the changes so far a new version, all at once.

        What other processes committed meanwhile to other tables stays beside it.

        Parameters
        ----------
        force
            Whether the tables changed here win where another process changed the same ones.

        Returns
        -------
        int
            The number of the newest version.

        Raises
        ------
        ConflictError
            Another process changed the same table meanwhile; the draft is kept.
        ReadOnlyError
            The dataset is open for reading.

        Warns
        -----
        RaggedTableWarning
            Fields of a table have different lengths; not in ExeTera's face.
        """
        self._tell_ragged()
        return self._storage.commit(force=force)

    def _tell_ragged(self) -> None:
        """Before a commit: warn of tables used since the last one whose lengths differ."""
        used = self._used | set(self._frames)
        self._used = set(self._frames)  # which may change without anybody asking for them again
        told = self._settings.face.refuses_ragged and self._storage.writable
        if not used or not told or not self._storage.changed:
            return
        root = self.group
        for name in root:
            child = root.group(name)
            lengths = rows_of_fields(child) if child.key in used else {}
            if len(set(lengths.values())) > 1:
                warnings.warn(
                    visible(
                        f"the table {name!r} of {self.url} is committed with fields of different "
                        f"lengths: {listing_lengths(lengths)}; to filter, sort, group, merge or "
                        "export it will be an error until each has as many rows"
                    ),
                    RaggedTableWarning,
                    stacklevel=3,
                )

    def rollback(self) -> None:
        """Drop what was not committed."""
        self._storage.rollback()

    def refresh(self) -> int:
        """
        Move to the newest version, with the changes made here over it.

        Returns
        -------
        int
            Its number.

        Raises
        ------
        ConflictError
            Another process changed the same table.
        """
        return self._storage.refresh()

    def transaction(self) -> contextlib.AbstractContextManager[None]:
        """
        A ``with`` block whose changes are dropped when an exception leaves it.

        Other threads that change the dataset wait until it ends, so do not wait for them inside.
        """
        return self._storage.atomic()

    def history(self) -> list[Commit]:
        """The committed versions, newest first."""
        return list(self._storage.history())

    def retain(self, versions: int = 3, older_than: float = 86_400.0) -> None:
        """
        Say which versions are kept, from the next commit on.

        Parameters
        ----------
        versions
            At least so many, the newest included.
        older_than
            Seconds; younger ones are kept in any case, with ``inf`` all of them. 0 keeps just
            `versions` of them, whatever the clocks of the writers say.
        """
        self._storage.retain(versions, older_than)

    def vacuum(self, keep: int | None = None, older_than: float | None = None) -> int:
        """
        Commit, forget older versions, and remove what no version reaches.

        That is what crashed writers left, once it is a week old by the store's clock.

        Parameters
        ----------
        keep
            At least so many versions stay; what `retain` says by default.
        older_than
            Seconds; younger versions stay as well; what `retain` says by default.

        Returns
        -------
        int
            How many objects of no version were removed.
        """
        self._tell_ragged()
        return self._storage.vacuum(keep, older_than)

    def compact(self, table: str | None = None) -> None:
        """
        Have each column in one array, and commit.

        Rows that were appended are kept apart from those that were there, so that an append costs
        what is appended: in a pack, which has those of all columns, or in a segment of each column.
        Any reader of Zarr then finds a column in several arrays, and needs to know of packs
        (docs/format.md). A table that is to be read by others, or that has had many appends, is
        compacted first. Versions before stay as they were.

        Parameters
        ----------
        table
            Name of a table, or of a field at the top; all by default.

        Raises
        ------
        TableNotFoundError
            There is no such table.
        """
        if table is not None and table not in self:
            raise TableNotFoundError(
                f"there is no table {table!r} in {self._phrase()}; there are: {listing(self)}"
            )
        self._storage.compact(table)
        self.commit()

    def verify(self) -> None:
        """
        Read everything of the committed version.

        Raises
        ------
        CorruptDataError
            Something is not what was written: its message names table, field and chunk.
        """
        self._storage.verify()

    def purge(self, table: str, *, rows: Any = None, field: str | None = None) -> int:
        """
        Remove rows or a field, and every version that had them, from the store.

        Nothing else may be writing the table: what an unfinished draft of it has is removed, too.
        Given neither rows nor a field it removes what older versions had and this one has not, as
        when an earlier purge was interrupted.

        Parameters
        ----------
        table
            Name of the table.
        rows : Field, array or list of bool
            Which rows go.
        field
            Name of the field that goes.

        Returns
        -------
        int
            The number of the version without them.
        """
        if rows is not None and field is not None:
            raise ArgumentError("purge takes either rows or a field")
        frame = self.get_dataframe(table)
        with self.transaction():
            if field is not None:
                del frame[field]
            elif rows is not None:
                gone = filters.filter_mask(rows, frame.length(), self._settings.face)
                frame.apply_filter(~gone)
        self._tell_ragged()
        self._storage.vacuum(1, 0.0, all_of=frame.name)
        return self.version

    def close(self) -> None:
        """Commit, and end: but for their names, its tables and fields cannot be used after."""
        if self.closed:
            return
        self._tell_ragged()
        names = self.keys()
        names_of = {frame: frame.keys() for frame in self._frames.values() if frame.exists}
        self._storage.close()
        self._dropped.detach()
        self._left = names
        for frame, fields in names_of.items():
            frame.leave(fields)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            self.end_by(error)
        close_after(error, self.close)

    def end_by(self, error: BaseException) -> None:
        """Undo what was not committed, or tell that it is kept, when an exception ends the work."""
        if self._settings.undoes(error):
            self.undo(error)
            return
        quiet = isinstance(error, (SystemExit, GeneratorExit))
        asked = self._settings.on_error is not None or quiet
        if not (asked or self.closed) and self._storage.changed:
            what = "committed what had completed, although an exception has ended the work"
            let_pass(self._settings, what, self.url)

    def undo(self, error: BaseException) -> None:
        """
        Return to the last commit since an exception has left the ``with`` block, and say so.

        A dataset that others in this process write as well keeps its draft, which is theirs, too.
        """
        if self.closed or not self._storage.changed:
            return
        try:
            self.rollback()
        except Exception as failure:  # noqa: BLE001 - the script's own error stays the primary one
            error.add_note(visible(f"the changes of {self.url} could not be undone: {failure!r}"))
            return
        told = visible(
            f"what was not committed of {self.url} is undone, back to version {self.version}; "
            "Session(on_error='commit') keeps what had completed"
        )
        if isinstance(error, SystemExit):  # of which nobody sees the notes
            print(f"exetera_zarr: {told}", file=sys.stderr)  # noqa: T201
        else:
            error.add_note(told)

    # -- tables

    def create_dataframe(
        self, name: str, dataframe: DataFrame | None = None, row_block: int | None = None
    ) -> DataFrame:
        """
        A new table.

        Parameters
        ----------
        name
            Its name.
        dataframe
            A table whose content is copied into it.
        row_block
            Rows of a block: the unit of storing, streaming and parallel work. 2^20, or what the
            session says, by default.

        Raises
        ------
        NameTakenError
            There is one of that name.
        ValueError
            `dataframe` is no table.
        """
        if not isinstance(name, str):
            raise ArgumentTypeError(f"a name is a str, not a {type(name).__name__}")
        if dataframe is not None and not isinstance(dataframe, DataFrame):
            raise ArgumentError(f"expected a DataFrame to copy, not a {type(dataframe).__name__}")
        if row_block is not None and row_block < 1:
            raise ArgumentError(f"a block has at least one row, not {row_block}")
        block = row_block or self._settings.row_block
        with self.transaction():
            group = self.group.create_group(name, row_block=block)
            frame = DataFrame(self, group)
            if dataframe is not None:
                dataframe.copy_rows(frame)
        self._frames[group.key] = frame
        self._used.add(group.key)
        return frame

    def create_group(self, name: str) -> DataFrame:
        """The older name of `create_dataframe`."""
        return self.create_dataframe(name)

    def require_dataframe(self, name: str) -> DataFrame:
        """The table of that name, created if there is none."""
        return self.get_dataframe(name) if name in self else self.create_dataframe(name)

    def get_dataframe(self, name: str) -> DataFrame:
        """The table of that name; TableNotFoundError (a ValueError) where there is none."""
        found = self[name]
        if not isinstance(found, DataFrame):
            raise TableNotFoundError(f"{name!r} is a field of {self._phrase()}, not a table")
        return found

    def __getitem__(self, name: str) -> Any:
        if not isinstance(name, str):
            raise ArgumentTypeError(f"a name is a str, not a {type(name).__name__}")
        group, name = self.group, normal(name)
        if name not in group:
            raise TableNotFoundError(
                f"there is no table {name!r} in {self._phrase()}; there are: {listing(self)}"
            )
        child = group.group(name)
        if is_field_group(child):
            return self._field(name)
        self._used.add(child.key)
        frame = self._frames.get(child.key)
        if frame is None or not stands_for(frame.group, child.key):
            frame = self._frames[child.key] = DataFrame(self, child)
        return frame

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and normal(name) in self.keys()

    def contains_dataframe(self, dataframe: DataFrame) -> bool:
        """Whether that table is one of this dataset; TypeError for something else."""
        if not isinstance(dataframe, DataFrame):
            raise ArgumentTypeError(f"expected a DataFrame, not a {type(dataframe).__name__}")
        return any(dataframe is frame for frame in self.values())

    def __setitem__(self, name: str, dataframe: DataFrame) -> None:
        if not isinstance(name, str) or not isinstance(dataframe, DataFrame):
            raise ArgumentTypeError("a dataset takes tables by name: ds[str] = DataFrame")
        if dataframe.dataset is self and self._settings.face.assignment_renames:
            let_pass(self._settings, "renamed the table that was assigned", f"ds[{name!r}]")
            self.group.rename_groups({dataframe.name: name})
        elif dataframe.dataset is not self or dataframe.name != normal(name):
            self.copy(dataframe, name)

    def copy(self, dataframe: DataFrame, name: str) -> None:
        """Copy a table, of any dataset, into this one; NameTakenError if the name exists."""
        self.create_dataframe(name, dataframe)

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise TableNotFoundError(
                f"there is no table {name!r} in {self._phrase()}; there are: {listing(self)}"
            )
        self.group.delete_group(normal(name))

    def delete_dataframe(self, dataframe: DataFrame) -> None:
        """Delete a table; ValueError if it is not of this dataset."""
        if dataframe.dataset is not self:
            raise ArgumentError(f"{dataframe.name!r} is not a table of {self._phrase()}")
        del self[dataframe.name]

    def drop(self, name: str) -> None:
        """Delete the table of that name; TableNotFoundError (a KeyError) where there is none."""
        del self[name]

    def keys(self) -> Names:
        """Names of the tables, and of fields at the top level, in order; also as sets are."""
        return Names(self.group.keys()) if self._left is None else self._left

    def stored_sizes(self) -> Mapping[tuple[str, ...], int]:
        """Bytes in the store of each committed field, by table and field name."""
        return self._storage.stored_sizes()


def close_after(error: BaseException | None, close: Callable[[], None]) -> None:
    """
    Close what a ``with`` block is left of.

    What had completed is kept, and the script's own error stays the one that is raised.
    """
    try:
        close()
    except Exception as failure:
        if error is None:
            raise
        error.add_note(f"closing failed as well: {failure!r}")


def copy(dataframe: DataFrame, dataset: Dataset, name: str) -> None:
    """Copy a table into a dataset under a name; NameTakenError if that exists."""
    dataset.copy(dataframe, name)


def move(dataframe: DataFrame, dataset: Dataset, name: str) -> None:
    """Copy a table into a dataset under a name, and delete it where it was; or rename it there."""
    if name in dataset:
        raise NameTakenError(f"{name!r} exists already in {dataset.url}")
    if dataframe.dataset is dataset:
        dataset.group.rename_groups({dataframe.name: name})
        return
    dataset.copy(dataframe, name)
    dataframe.dataset.delete_dataframe(dataframe)
