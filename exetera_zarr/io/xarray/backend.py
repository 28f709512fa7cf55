"""What `xarray.open_dataset(url, engine="exetera_zarr")` calls: tables, read when needed."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import xarray as xr
from xarray.backends import BackendArray, BackendEntrypoint
from xarray.core import indexing

from exetera_zarr.errors import ArgumentError, listing
from exetera_zarr.io.arrow.stream import ArrowStream
from exetera_zarr.io.xarray.variables import ROW, variable_of
from exetera_zarr.storage import Capability, shown
from exetera_zarr.tables.neighbours.of_datasets import tables_of
from exetera_zarr.tables.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from exetera_zarr.io.xarray.variables import Variable
    from exetera_zarr.storage.base import AnyArray, VersionLike
    from exetera_zarr.tables.dataframe import DataFrame
    from exetera_zarr.tables.dataset import Dataset

__all__ = ["ExeteraBackend"]

_STEP = 1 << 20
_OPEN = ("anon", "endpoint_url", "profile", "project", "requester_pays")
"""The options that a pickle takes along, which are no secrets."""


class ExeteraBackend(BackendEntrypoint):
    """
    Tables of this package as datasets of xarray, by ``engine="exetera_zarr"``.

    Examples
    --------
    >>> import xarray
    >>> from exetera_zarr import Session
    >>> from exetera_zarr.io.xarray.backend import ExeteraBackend
    >>> with Session() as s:
    ...     ds = s.open_dataset("memory://labelled.zarr", "w", "study")
    ...     _ = ds.from_dict("people", {"age": [34, None, 51], "town": ["York", "Bath", None]})
    >>> people = xarray.open_dataset("memory://labelled.zarr", engine=ExeteraBackend)
    >>> float(people["age"].mean())
    42.5
    >>> people.close()
    """

    description: ClassVar[str] = "Open tables of exetera_zarr"
    supports_groups: ClassVar[bool] = True
    open_dataset_parameters: ClassVar[tuple[str, ...] | None] = (
        *("filename_or_obj", "drop_variables", "group"),
        *("raw", "version", "storage_options", "session_options"),
    )

    def open_dataset(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        group: str | None = None,
        raw: bool = False,
        version: VersionLike | None = None,
        storage_options: Mapping[str, Any] | None = None,
        session_options: Mapping[str, Any] | None = None,
    ) -> xr.Dataset:
        """
        A table as a dataset of xarray, of which each variable is read when it is needed.

        Parameters
        ----------
        filename_or_obj, version, storage_options
            As of `Session.open_dataset`. Without a version it is the newest one.
        drop_variables
            Names of fields to leave out.
        group
            The name of the table; needed where there are several.
        raw
            Whether what is stored is wanted: codes, with ``flag_values`` and ``flag_meanings``,
            seconds, and the fields that say what is missing of others.
        session_options
            As of `Session`.

        Returns
        -------
        xarray.Dataset
            See `DataFrame.to_xarray`. It keeps the dataset open until it is closed.

        Raises
        ------
        ArgumentError
            `group` is not given, and there is not one table.
        TableNotFoundError
            There is no such table.
        """
        place = _Place(filename_or_obj, version, dict(storage_options or {}), session_options or {})
        tables = list(tables_of(place.dataset))
        if group is None and len(tables) != 1:
            name = place.dataset.url
            place.close()
            raise ArgumentError(
                f"the dataset {name} has the tables {listing(tables)}: write "
                "group='name' for one of them"
                if tables
                else f"the dataset {name} has no table"
            )
        made = _lazily(place, tables[0] if group is None else group, drop_variables, raw=raw)
        made.set_close(place.close)
        return made

    def open_groups_as_dict(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        raw: bool = False,
        version: VersionLike | None = None,
        storage_options: Mapping[str, Any] | None = None,
        session_options: Mapping[str, Any] | None = None,
    ) -> dict[str, xr.Dataset]:
        """All tables by name; parameters are those of `open_dataset`."""
        place = _Place(filename_or_obj, version, dict(storage_options or {}), session_options or {})
        found = {"/": xr.Dataset()}
        for name in tables_of(place.dataset):
            if "/" in name:
                place.close()
                raise ArgumentError(
                    f"xarray has no group called {name!r}, since '/' goes between groups: open it "
                    "alone, by open_dataset(..., group=...)"
                )
            found[f"/{name}"] = _lazily(place, name, drop_variables, raw=raw)
        found["/"].set_close(place.close)
        return found

    def open_datatree(self, filename_or_obj: Any, **options: Any) -> xr.DataTree:
        """
        The tables of a dataset as a tree; parameters are those of `open_dataset`.

        Raises
        ------
        ArgumentError
            A table or a field has "/" in its name.
        """
        found = self.open_groups_as_dict(filename_or_obj, **options)
        for group, table in found.items():
            for name in table:
                if "/" in str(name):
                    found["/"].close()
                    raise ArgumentError(
                        f"a tree of xarray has no variable called {name!r}, since '/' goes between "
                        f"groups: open {group[1:]!r} alone, by open_dataset(..., "
                        f"group={group[1:]!r}), or leave the field out by drop_variables={name!r}"
                    )
        tree = xr.DataTree.from_dict(found)
        tree.set_close(found["/"].close)
        return tree


@dataclass
class _Place:
    """A dataset that is opened when it is needed, also by another process at the same version."""

    url: Any
    version: VersionLike | None
    storage_options: dict[str, Any] = field(repr=False)
    session_options: Mapping[str, Any]
    _session: Session | None = field(default=None, repr=False)
    _dataset: Dataset | None = field(default=None, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def dataset(self) -> Dataset:
        """Open."""
        with self._lock:
            if self._dataset is None:
                self._session = Session(**self.session_options)
                self._dataset = self._session.open_dataset(
                    self.url, "r", storage_options=self.storage_options, version=self.version
                )
                if self.version is None and Capability.VERSIONS in self._dataset.capabilities:
                    self.version = self._dataset.version
            return self._dataset

    def close(self) -> None:
        """Close the dataset, and what it takes."""
        with self._lock:
            session, self._session, self._dataset = self._session, None, None
        if session is not None:
            session.close()

    def __reduce__(self) -> Any:
        # Whoever opens it again finds credentials where they are, as in Dask's workers.
        options = {key: value for key, value in self.storage_options.items() if key in _OPEN}
        url = shown(self.url) if isinstance(self.url, str) else self.url
        return _Place, (url, self.version, options, dict(self.session_options))


class _Column(BackendArray):
    """A field that xarray reads some rows of."""

    def __init__(self, place: _Place, table: str, name: str, *, raw: bool) -> None:
        self._place, self._table, self._name, self._raw = place, table, name, raw
        variable = variable_of(self._frame[name], raw=raw)
        self.dtype = variable.dtype
        self.shape = (self._frame.length([name]),)

    @property
    def _frame(self) -> DataFrame:
        return self._place.dataset.get_dataframe(self._table)

    @property
    def variable(self) -> Variable:
        """How it becomes an array."""
        return variable_of(self._frame[self._name], raw=self._raw)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> AnyArray:
        support = indexing.IndexingSupport.OUTER
        found: AnyArray = indexing.explicit_indexing_adapter(key, self.shape, support, self._read)
        return found

    def _read(self, key: tuple[Any]) -> Any:
        (wanted,) = key
        if isinstance(wanted, slice):
            rows = range(*wanted.indices(self.shape[0]))
            if not rows:
                return np.empty(0, self.dtype)
            first, last = sorted((rows[0], rows[-1]))
            return self._between(self._frame, first, last + 1)[:: rows.step]
        if np.ndim(wanted) == 0:
            row = int(wanted) % self.shape[0]
            # An array without dimensions: None alone is nothing that older releases of xarray take.
            return self._between(self._frame, row, row + 1).reshape(())
        return self._between(self._frame.iloc[np.asarray(wanted)], 0, len(wanted))

    def _between(self, frame: DataFrame, start: int, stop: int) -> AnyArray:
        """Rows from one number to another, some at a time."""
        stream, make = ArrowStream(frame, [self._name], raw=self._raw), self.variable.make
        found = np.empty(stop - start, self.dtype)
        for at in range(start, stop, _STEP):
            batch = stream.read(at, min(at + _STEP, stop))
            found[at - start : at - start + len(batch)] = make(batch[self._name])
        return found


def _lazily(
    place: _Place, table: str, drop_variables: str | Iterable[str] | None, *, raw: bool
) -> xr.Dataset:
    frame = place.dataset.get_dataframe(table)
    drop = {drop_variables} if isinstance(drop_variables, str) else set(drop_variables or ())
    variables = {}
    for name in ArrowStream(frame, raw=raw).schema.names:
        if name in drop:
            continue
        column = _Column(place, table, name, raw=raw)
        data = indexing.LazilyIndexedArray(column)
        variables[name] = xr.Variable(
            (ROW,),
            data,
            column.variable.attributes,
            {"preferred_chunks": {ROW: _block(frame, name)}},
        )
    said = {"title": frame.label, "comment": frame.description}
    return xr.Dataset(
        variables, attrs={key: value for key, value in said.items() if value is not None}
    )


def _block(frame: DataFrame, name: str) -> int:
    """Rows that are read at once, so that Dask takes whole ones."""
    return int(frame[name].group.row_block)
