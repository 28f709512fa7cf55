"""Copying a dataset to another place or another format, whole or not at all.

What is copied goes to a place beside the destination, a table at a time, each of them committed; it
is compared with the source, and then moved to where it belongs. So a failure leaves nothing at the
destination, and the next try goes on with the tables that are missing.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exetera_zarr.conversion.copying import Copier
from exetera_zarr.errors import (
    CorruptDataError,
    DataError,
    DatasetExistsError,
    UnsupportedError,
    listing,
)
from exetera_zarr.storage.staging import Staging
from exetera_zarr.tables.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from exetera_zarr.storage import Group
    from exetera_zarr.tables.dataset import Dataset

__all__ = ["Conversion", "Progress", "convert"]

TOP = ""
"""Stands for the fields at the top level, where tables are named."""


@dataclass(frozen=True)
class Progress:
    """
    How far a conversion is.

    Parameters
    ----------
    table
        The table; empty for fields at the top level.
    rows
        Rows of its present field that are done, or offsets of its strings.
    bytes_read
        Bytes of it that are copied, or compared.
    bytes_total
        Bytes that it has, uncompressed.
    step
        ``copy`` or ``verify``.
    """

    table: str
    rows: int
    bytes_read: int
    bytes_total: int
    step: str


@dataclass
class Conversion:
    """
    What a conversion did.

    Parameters
    ----------
    url
        Of the new dataset.
    tables
        Bytes of each table, uncompressed; fields at the top level count as ``""``.
    resumed
        Tables that an earlier try had copied.
    seconds
        How long it took.
    verified
        Whether it was compared with the source.
    """

    url: str
    tables: dict[str, int] = field(default_factory=dict)
    resumed: list[str] = field(default_factory=list)
    seconds: float = 0.0
    verified: bool = False

    @property
    def bytes(self) -> int:
        """Bytes of all tables, uncompressed."""
        return sum(self.tables.values())


def convert(
    source: Any,
    destination: str | os.PathLike[str],
    *,
    tables: str | Collection[str] | None = None,
    include: Mapping[str, Collection[str]] | None = None,
    exclude: Mapping[str, Collection[str]] | None = None,
    verify: bool = True,
    restart: bool = False,
    source_options: Mapping[str, Any] | None = None,
    destination_options: Mapping[str, Any] | None = None,
    memory_limit: float | str | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Conversion:
    """
    Copy a dataset, of any kind, to a place where there is none yet.

    Parameters
    ----------
    source
        Path or URL, or a file object with an HDF5 file.
    destination
        Path or URL. HDF5 where it ends in ``.hdf5``, ``.h5`` or ``.hdf``, else Zarr.
    tables
        Which tables, or the name of one; all, and fields at the top level, by default.
    include, exclude
        ``{table: fields}``: of these tables only these fields, or not these.
    verify
        Whether all is read again, and compared.
    restart
        Whether what an earlier try left is thrown away rather than completed.
    source_options, destination_options
        For the file systems behind URLs.
    memory_limit
        As of `Session`.
    progress
        Called after each block.

    Returns
    -------
    Conversion

    Raises
    ------
    DatasetExistsError
        There is something at the destination, or what an earlier try left is of something else.
    DataError
        There is no such table or field.
    UnsupportedError
        The name of the destination ends as that of a file of another kind.
    CorruptDataError
        The source is damaged, or the copy is not what the source is.
    """
    began = time.monotonic()
    tables = [tables] if isinstance(tables, str) else tables
    _refuse_other_kinds(os.fspath(destination))
    place = Staging(os.fspath(destination), destination_options)
    with Session(memory_limit=memory_limit) as session:
        original = session.open_dataset(source, "r", "source", storage_options=source_options)
        chosen = _choose(original, tables, include or {}, exclude or {})
        place.check_free()
        place.check_source(original.url)
        told = _facts(original, source, chosen)
        if place.has_remains() and not restart:
            _check_same(place, told)
        else:
            place.clear()
            place.note(told)
        done = Conversion(place.url)
        work = _Work(original.group, chosen, done, progress)
        copy = session.open_dataset(
            place.partial, "a", "copy", storage_options=destination_options, single_writer=True
        )
        work.copy_to(copy)
        session.close_dataset("copy")
        if verify:
            copy = session.open_dataset(
                place.partial, "r", "copy", storage_options=destination_options
            )
            work.compare_with(copy)
            session.close_dataset("copy")
            done.verified = True
    place.finish()
    done.seconds = time.monotonic() - began
    return done


_OTHER_KINDS = (
    *(".parquet", ".pq", ".feather", ".arrow", ".arrows", ".ipc", ".csv", ".tsv", ".txt", ".gz"),
    *(".json", ".jsonl", ".xlsx", ".xls", ".dta", ".sav", ".sas7bdat", ".xpt", ".db", ".duckdb"),
    *(".sqlite", ".nc", ".npz", ".npy", ".pkl", ".orc", ".avro"),
)


def _refuse_other_kinds(destination: str) -> None:
    name = destination.rstrip("/").lower()
    kind = next((one for one in _OTHER_KINDS if name.endswith(one)), None)
    if kind is not None:
        raise UnsupportedError(
            f"{destination}: a dataset becomes one of Zarr, or of HDF5 where the name ends in "
            f".hdf5, .h5 or .hdf, and no {kind} file; `exetera-zarr export` writes a table to "
            ".parquet, .feather, .arrow and .csv files"
        )


class _Work:
    """The tables of a source, and what is done with them."""

    def __init__(
        self,
        source: Group,
        chosen: Mapping[str, list[str]],
        done: Conversion,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self._source = source
        self._chosen = chosen
        self._done = done
        self._progress = progress

    def _told(self, step: str, table: str) -> Copier:
        """What copies or compares a table, and says how far it is."""
        group = self._source if table == TOP else self._source.group(table)
        total = sum(_size(group.group(name)) for name in self._chosen[table])
        self._done.tables[table] = total
        done = 0

        def tell(rows: int, count: int) -> None:
            nonlocal done
            done += count
            if self._progress is not None:
                self._progress(Progress(table, rows, done, total, step))

        return Copier(tell)

    def copy_to(self, dataset: Dataset) -> None:
        """Copy the tables that are not there yet, each of them in a commit of its own."""
        root = dataset.group
        for table, names in self._chosen.items():
            there = list(root.keys())
            if table in there or (table == TOP and names and names[0] in there):
                self._done.resumed.append(table)
                continue
            copier = self._told("copy", table)
            with dataset.transaction():
                if table == TOP:
                    copier.fields(self._source, root, names)
                else:
                    copier.table(self._source.group(table), root, names)
            dataset.commit()
        wanted = [name for name in self._source if name in root]
        if wanted != list(root.keys()):
            root.reorder(wanted)
        if dict(self._source.attributes) != dict(root.attributes):
            root.update_attributes(self._source.attributes)
        dataset.commit()

    def compare_with(self, dataset: Dataset) -> None:
        """Raise CorruptDataError where the copy is not what the source is."""
        root = dataset.group
        order = [name for name in self._source if name in root]
        if list(root.keys()) != order or set(order) != set(self._names()):
            raise CorruptDataError(
                f"{dataset.url} has {listing(root.keys())} where {listing(self._names())} were "
                "expected"
            )
        for table, names in self._chosen.items():
            copier = self._told("verify", table)
            if table == TOP:
                copier.same_fields(self._source, root, names)
            else:
                copier.same_table(self._source.group(table), root.group(table), names)

    def _names(self) -> Iterator[str]:
        """Names at the top level of the copy."""
        for table, names in self._chosen.items():
            yield from names if table == TOP else [table]


def _choose(
    dataset: Dataset,
    tables: Collection[str] | None,
    include: Mapping[str, Collection[str]],
    exclude: Mapping[str, Collection[str]],
) -> dict[str, list[str]]:
    """The fields that are to be copied, by table."""
    root = dataset.group
    every = {
        name: list(root.group(name).keys())
        for name in root
        if "fieldtype" not in root.group(name).attributes
    }
    top = [name for name in root if name not in every]
    for wanted in ({*(tables or ())}, set(include), set(exclude)):
        if missing := sorted(wanted - set(every)):
            raise DataError(
                f"there is no table {missing[0]!r} in {dataset.url}; there are: {listing(every)}"
            )
    chosen = {name: fields for name, fields in every.items() if tables is None or name in tables}
    for choice in (include, exclude):
        for table, names in choice.items():
            if missing := sorted(set(names) - set(every[table])):
                raise DataError(
                    f"there is no field {missing[0]!r} in the table {table!r}; there are: "
                    f"{listing(every[table])}"
                )
            if table in chosen:
                keep = choice is include
                chosen[table] = [n for n in chosen[table] if (n in names) == keep]
    return chosen | ({TOP: top} if top and tables is None else {})


def _size(group: Group) -> int:
    return sum(len(array) * array.dtype.itemsize for array in group.arrays().values())


def _facts(source: Dataset, place: Any, chosen: Mapping[str, list[str]]) -> dict[str, Any]:
    """What says whether the remains of a try are of the same conversion."""
    facts: dict[str, Any] = {"source": source.url, "version": source.version, "fields": chosen}
    if isinstance(place, (str, os.PathLike)) and (path := Path(place)).is_file():
        about = path.stat()
        facts |= {"size": about.st_size, "modified": about.st_mtime_ns}
    return facts


def _check_same(place: Staging, told: dict[str, Any]) -> None:
    if place.noted() != json.loads(json.dumps(told)):
        raise DatasetExistsError(
            f"{place.shown} is what a conversion of something else, or of an older state of it, "
            "left: restart throws it away"
        )
