"""Datasets: the named tables of one store."""

from __future__ import annotations

import sys
import weakref
from typing import TYPE_CHECKING, Any, Self

from exetera_zarr.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    NameTakenError,
    TableNotFoundError,
    listing,
)
from exetera_zarr.fields.container import normal, stands_for
from exetera_zarr.fields.create import is_field_group
from exetera_zarr.fields.names import Names
from exetera_zarr.settings import let_pass
from exetera_zarr.tables.dataframe import DataFrame
from exetera_zarr.tables.neighbours.of_datasets import DatasetNeighbours
from exetera_zarr.tables.seeing.faces import DatasetFaces
from exetera_zarr.tables.versions.of_dataset import DatasetVersions
from exetera_zarr.texts import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from exetera_zarr.settings import Settings
    from exetera_zarr.storage.base import Capability, Group, Storage
    from exetera_zarr.tables.codebook.book import Codebook
    from exetera_zarr.tables.session import Session

__all__ = ["Dataset", "copy", "move"]


class Dataset(DatasetFaces, DatasetNeighbours, DatasetVersions):
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

    def __init__(
        self, session: Session | None, storage: Storage, name: str, settings: Settings
    ) -> None:
        super().__init__()
        self._session = _nobody if session is None else weakref.ref(session)
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

    def _phrase(self) -> str:
        return f"the dataset {self.name!r} ({self.url})"

    def _field_arguments(self) -> dict[str, Any]:
        return {"session": self.session, "owner": self}

    def _default_timestamp(self) -> str:
        return self._settings.timestamp

    def over(self, storage: Storage) -> Dataset:
        session = self.session
        if session is None:
            storage.abandon()
            raise ArgumentError(
                f"the session that opened {self._phrase()} is gone: keep it in a variable"
            )
        return Dataset(session, storage, self.name, self._settings)

    def beside(self, storage: Storage) -> Dataset:
        """Another storage, with the settings of this one's session."""
        return Dataset(self.session, storage, self.name, self._settings)

    def close(self) -> None:
        """
        Commit, and end: but for their names, its tables and fields cannot be used after.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://close.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51]})
        ...     version = ds.commit()
        ...     ds.close()
        ...     ds.closed
        True
        """
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

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://create_dataframe.zarr", "w", "study")
        ...     people = ds.create_dataframe("people")
        ...     people.create_numeric("age", "int32").data.write([34, 51])
        ...     list(ds)
        ['people']
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
        """
        The table of that name, created if there is none.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://require_dataframe.zarr", "w", "study")
        ...     people = ds.require_dataframe("people")
        ...     ds.require_dataframe("people") is people
        True
        """
        return self.get_dataframe(name) if name in self else self.create_dataframe(name)

    def get_dataframe(self, name: str) -> DataFrame:
        """
        The table of that name; TableNotFoundError (a ValueError) where there is none.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://get_dataframe.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51]})
        ...     ds.get_dataframe("people")["age"].tolist()
        [34, 51]
        """
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
        """
        Whether that table is one of this dataset; TypeError for something else.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://contains_dataframe.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51]})
        ...     ds.contains_dataframe(people)
        True
        """
        if not isinstance(dataframe, DataFrame):
            raise ArgumentTypeError(f"expected a DataFrame, not a {type(dataframe).__name__}")
        return any(dataframe is frame for frame in self.values())

    def __setitem__(self, name: str, dataframe: DataFrame) -> None:
        if not isinstance(name, str) or not isinstance(dataframe, DataFrame):
            raise ArgumentTypeError(
                "a dataset takes tables by name: ds[str] = DataFrame; ds.from_pandas, from_arrow, "
                "from_polars and from_dict make tables of other things"
            )
        own, as_exetera = dataframe.dataset is self, self._settings.face.assignment_renames
        if dataframe.replaced:
            raise DataError(
                f"the table {dataframe.name!r} was replaced since it was taken from the dataset, "
                "so that what it had is gone: rollback() brings it back; to swap two tables, give "
                "one a third name first"
            )
        if own and as_exetera and not dataframe.is_view:
            let_pass(self._settings, "renamed the table that was assigned", f"ds[{name!r}]")
            self.group.rename_groups({dataframe.name: name})
        elif as_exetera or name not in self:
            self.copy(dataframe, name)
        elif dataframe.is_view or not own or dataframe.name != normal(name):
            self._replace(normal(name), dataframe)

    def _replace(self, name: str, dataframe: DataFrame) -> None:
        """Put a copy of a table, or of a view of the present one, in the place of a table."""
        from exetera_zarr.tables.rows.creating import replacing

        order, key = list(self.group), self.group.group(name).key
        with self.transaction():
            with replacing(self, name) as table:
                dataframe.copy_rows(table)
            self.group.reorder(order)
        if (present := self._frames.get(key)) is not None:
            present.stood_for = key

    def copy(self, dataframe: DataFrame, name: str) -> None:
        """
        Copy a table, of any dataset, into this one; NameTakenError if the name exists.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://copy.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51]})
        ...     ds.copy(people, "copy")
        ...     ds["copy"]["age"].tolist()
        [34, 51]
        """
        self.create_dataframe(name, dataframe)

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise TableNotFoundError(
                f"there is no table {name!r} in {self._phrase()}; there are: {listing(self)}"
            )
        self.group.delete_group(normal(name))

    def delete_dataframe(self, dataframe: DataFrame) -> None:
        """
        Delete a table; ValueError if it is not of this dataset.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://delete_dataframe.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51]})
        ...     ds.delete_dataframe(people)
        ...     list(ds)
        []
        """
        if dataframe.dataset is not self:
            raise ArgumentError(f"{dataframe.name!r} is not a table of {self._phrase()}")
        del self[dataframe.name]

    def drop(self, name: str) -> None:
        """
        Delete the table of that name; TableNotFoundError (a KeyError) where there is none.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://drop.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51]})
        ...     ds.drop("people")
        ...     list(ds)
        []
        """
        del self[name]

    def keys(self) -> Names:
        """
        Names of the tables, and of fields at the top level, in order; also as sets are.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://keys.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51]})
        ...     list(ds.keys())
        ['people']
        """
        return Names(self.group.keys()) if self._left is None else self._left

    def codebook(self, table: str | None = None, *, missing: bool = False) -> Codebook:
        """
        What each table and field is: types, labels, units, categories, missing codes.

        Parameters
        ----------
        table
            Name of the one table that it is about; all by default.
        missing
            Whether the rows without a value are counted, for which all fields are read.

        Returns
        -------
        Codebook
            Which is shown as text or in a notebook, and has `to_dict`, `to_csv`, `to_html` and
            `to_schema`.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://codebook.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51]})
        ...     people["age"].unit = "years"
        ...     ds.codebook()
        <Codebook of memory://codebook.zarr, version 0: 1 tables, 1 fields>
        """
        from exetera_zarr.tables.codebook.book import codebook

        return codebook(self, table, missing=missing)

    def stored_sizes(self) -> Mapping[tuple[str, ...], int]:
        """
        Bytes in the store of each committed field, by table and field name.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://stored_sizes.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51]})
        ...     version = ds.commit()
        ...     list(ds.stored_sizes())
        [('people', 'age')]
        """
        return self._storage.stored_sizes()


def _nobody() -> None:
    """What a weak reference to a session that is gone gives."""


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
