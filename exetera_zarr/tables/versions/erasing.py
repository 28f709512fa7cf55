"""Erasing people or fields from every version of a dataset, and the certificate of it."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from exetera_zarr.errors import ArgumentError, DataError, FieldNotFoundError, listing
from exetera_zarr.fields import filters
from exetera_zarr.fields.missing.masked import masked_of
from exetera_zarr.fields.sources import workspace
from exetera_zarr.fieldtypes import label_text
from exetera_zarr.storage import About, Capability, names, present
from exetera_zarr.tables.overview import frames_of
from exetera_zarr.tables.rows.deleting import chosen_rows, kept_rows
from exetera_zarr.tables.rows.values import of_field
from exetera_zarr.tables.versions.certificate import Certificate, remains

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from exetera_zarr.engine.streams.workspace import Spill, Workspace
    from exetera_zarr.fields.base import Field
    from exetera_zarr.storage.base import AnyArray, Storage
    from exetera_zarr.tables.dataframe import DataFrame
    from exetera_zarr.tables.dataset import Dataset

__all__ = ["Erasure"]

Versions: TypeAlias = Literal["drop", "rewrite"]

_STEP = 1 << 20


class Erasure:
    """
    An erasure, as `Dataset.purge` is told.

    Parameters
    ----------
    dataset
        The dataset.
    table, rows, field, key, values, versions
        As of `Dataset.purge`.
    """

    def __init__(
        self,
        dataset: Dataset,
        table: str | None,
        rows: Any,
        field: str | None,
        key: str | None,
        values: Any,
        versions: Versions | None,
    ) -> None:
        if field is not None and (rows is not None or key is not None or values is not None):
            raise ArgumentError("purge takes either rows or a field")
        if rows is not None and table is None:
            raise ArgumentError("rows are those of a table: give its name as well")
        if rows is not None and values is not None:
            raise ArgumentError("purge takes either rows, or values of a key")
        if values is not None and key is None:
            raise ArgumentError("values are those of a key: give the name of its field as well")
        if field is not None and table is None:
            raise ArgumentError("a field is one of a table: give its name as well")
        if versions not in (None, "drop", "rewrite"):
            raise ArgumentError(f"versions is 'drop' or 'rewrite', not {versions!r}")
        self._dataset, self._rows = dataset, rows
        self._table = None if table is None else names.check(table)
        self._field, self._key = field, key
        self._rewrite = versions == "rewrite"
        if self._rewrite and rows is not None and key is None:
            raise ArgumentError(
                "older versions may have the same rows at other places: give the key as well, the "
                "name of the field that tells whose rows they are"
            )
        self._tags = dict(dataset.tags()) if self._versioned else {}
        if versions is None and self._tags:
            raise ArgumentError(
                f"{dataset.url} has versions with tags, {listing(self._tags)}: say what becomes of "
                "versions; 'rewrite' keeps these and all others, each without what is erased, and "
                "'drop' removes all but the newest, and the tags"
            )
        self._values = self._chosen_values(values)
        self._known_tables, self._known_fields = self._known()
        self._author = ""
        self._told: dict[str, int] = {}
        self._numbers: dict[int, int] = {}

    @property
    def _versioned(self) -> bool:
        return Capability.VERSIONS in self._dataset.capabilities

    def _chosen_values(self, values: Any) -> list[Any] | None:
        """The values of the key: those that are given, or those of the rows."""
        if self._key is None:
            return None
        if values is not None:
            one = isinstance(values, str | bytes) or not hasattr(values, "__iter__")
            found = [values] if one else list(values)
        elif self._rows is None:
            raise ArgumentError("the key says whose rows go by its values: give these as well")
        else:
            found = self._values_of_rows()
        if not found:
            raise ArgumentError("there are no values of the key, so that nothing would go")
        if any(value is None for value in found):
            raise DataError("a key that is missing tells no rows apart: leave None out")
        return found

    def _values_of_rows(self) -> list[Any]:
        frame = self._dataset.get_dataframe(str(self._table))
        found: dict[Any, None] = {}
        field = frame[str(self._key)]
        with workspace(self._dataset.settings) as work:
            column, first = masked_of(field), 0
            rows = chosen_rows(self._rows, frame.length(), work, frame.dataset.settings.face)
            for gone in rows.blocks(_STEP):
                for row in (np.flatnonzero(gone) + first).tolist():
                    one = of_field(field, *column.read(row, row + 1))
                    found[None if one.all_missing else one.one(0)] = None
                first += len(gone)
        return list(found)

    # -- doing it

    def _known(self) -> tuple[set[Any], set[Any]]:
        """What tells the table and the fields of the newest version from all others."""
        tables, fields = set(), set()
        for frame in frames_of(self._dataset):
            if self._limited and frame.name == self._table:
                tables.add(frame.group.key)
            if self._wanted is not None and self._wanted in frame:
                fields.add(frame[self._wanted].group.key)
        return tables, fields

    @property
    def _wanted(self) -> str | None:
        return self._field or self._key

    @property
    def _limited(self) -> bool:
        """Whether it is about one table."""
        return self._table is not None and (self._key is None or self._rows is None)

    def check(self) -> None:
        """
        Raise an error unless there is such a table and field.

        What is to be rewritten may be in older versions alone, as a field that was deleted.
        """
        if self._wanted is None and self._rows is None:
            return
        if self._targets(self._dataset):
            return
        if self._rewrite:
            for number in self._dataset.storage.kept():
                with self._dataset.at(number) as there:
                    if self._targets(there):
                        return
        where = "" if not self._rewrite else ", nor has an older version that is kept"
        if self._limited and self._table is not None:
            frame = self._dataset.get_dataframe(self._table)  # which says what there is
            raise FieldNotFoundError(
                f"the table {self._table!r} has no field {self._wanted!r}{where}; it has "
                f"{listing(frame.keys())}"
            )
        raise FieldNotFoundError(
            f"no table of {self._dataset.url} has a field {self._wanted!r}{where}"
        )

    def dry_run(self) -> Certificate:
        """Say what would go, and change nothing."""
        self.check()
        storage = self._dataset.storage
        self._told = self._counts(self._dataset)
        older: Collection[int] = storage.kept() if self._versioned else []
        if self._rewrite:
            for number in older:
                with self._dataset.at(number) as there:
                    self._numbers[number] = sum(self._counts(there).values())
        dropped = () if self._rewrite else tuple(n for n in older if n != self._dataset.version)
        return self._certificate(self._dataset.version, dropped, (), dry=True)

    def run(self, author: str, message: str | None) -> Certificate:
        """Do it."""
        self._author = author
        self.check()
        about = About(message or "erased data", author)
        done = self._dataset.storage.erase(self._change, about, rewrite=self._rewrite)
        return self._certificate(done.version, done.dropped, done.objects, dry=False)

    def _certificate(
        self,
        version: int,
        dropped: tuple[int, ...],
        objects: tuple[str, ...],
        *,
        dry: bool,
    ) -> Certificate:
        return Certificate(
            self._dataset.url,
            present(),
            self._author,
            self._key,
            len(self._values or ()),
            self._field,
            self._told,
            version,
            dict(self._numbers),
            dropped,
            objects,
            tuple(remains(self._dataset)),
            dry,
        )

    def _change(self, storage: Storage) -> Collection[Any]:
        """Take it out of a draft; the names of the tables that it may be in."""
        newest = storage is self._dataset.storage
        dataset = self._dataset if newest else self._dataset.over(storage)
        told: dict[str, int] = {}
        targets = self._targets(dataset)
        for frame, name in targets:
            if self._field is not None:
                told[frame.name] = len(frame[name])
                frame.drop(name)
                continue
            with workspace(dataset.settings) as work:
                count = self._without(frame, name, work)
            if count:
                told[frame.name] = count
        for frame in frames_of(dataset):
            self._forget_categories(frame)
            frame.group.leave_packs()
        if newest:
            self._told = told
            for table, count in told.items():
                dataset.note("erase", table, rows=count)
        else:
            self._numbers[storage.version] = sum(told.values())
        # Also those without such rows: an earlier purge may have left something of them.
        return {*(frame.name for frame, _ in targets), self._table} - {None}

    def _targets(self, dataset: Dataset) -> list[tuple[DataFrame, str]]:
        """The tables that it may be in, and the name of the field there, whatever it was called."""
        found = []
        for frame in frames_of(dataset):
            if self._limited and not self._is_meant(frame):
                continue
            if self._wanted is None:
                found += [(frame, "")] if self._rows is not None else []
                continue
            names = [n for n, one in frame.items() if one.group.key in self._known_fields]
            if not names and self._wanted in frame:
                names = [self._wanted]
            found += [(frame, name) for name in names]
        return found

    def _is_meant(self, frame: DataFrame) -> bool:
        """Whether a table is the one that was named, or was called so when that was not there."""
        if self._known_tables:
            return frame.group.key in self._known_tables
        return frame.name == self._table

    def _counts(self, dataset: Dataset) -> dict[str, int]:
        found: dict[str, int] = {}
        for frame, name in self._targets(dataset):
            if self._field is not None:
                found[frame.name] = len(frame[name])
                continue
            with workspace(dataset.settings) as work:
                count = _total(self._gone(frame, name, work))
            if count:
                found[frame.name] = count
        return found

    # -- rows of a table

    def _given(self, frame: DataFrame, name: str) -> tuple[Any, int]:
        """What chooses the rows of a table that go, and of how many."""
        if self._key is None:
            return self._rows, frame.length()
        field = frame[name]
        return field.isin(_of_kind(self._values or (), field)), len(field)

    def _gone(self, frame: DataFrame, name: str, work: Workspace) -> Spill:
        """For each row of a table, whether it goes."""
        given, rows = self._given(frame, name)
        return chosen_rows(given, rows, work, frame.dataset.settings.face)

    def _without(self, frame: DataFrame, name: str, work: Workspace) -> int:
        """Take the rows out of a table; how many there were."""
        gone = self._gone(frame, name, work)
        count = _total(gone)
        if count:
            for column in list(frame.values()):
                if not column.group.without_rows(_padded(gone)):
                    self._rewritten(frame, name, work)
                    break
        return count

    def _rewritten(self, frame: DataFrame, name: str, work: Workspace) -> None:
        """Take the rows out where a back end writes whole fields."""
        given, _ = self._given(frame, name)
        rows = kept_rows(given, frame.length(), work, frame.dataset.settings.face)
        for column in list(frame.values()):
            with closing(filters.chosen(column, rows)) as columns:
                column.replace(columns)

    def _forget_categories(self, frame: DataFrame) -> None:
        """Remove names of categories that are erased values, and that no row has any more."""
        values = self._values or ()
        gone = {label_text(one) if isinstance(one, bytes) else str(one) for one in values}
        for column in frame.values():
            if column.type_name != "categorical":
                continue
            codes = {code for code, name in column.keys.items() if label_text(name) in gone}
            if codes:
                with closing(column.blocks()) as blocks:
                    for block in blocks:
                        codes -= set(np.unique(np.asarray(block)).tolist())
            if codes:
                names = [[label_text(n), c] for c, n in column.keys.items() if c not in codes]
                column.group.update_attributes({"key": names})


def _total(gone: Spill) -> int:
    return sum(int(np.count_nonzero(some)) for some in gone.blocks(_STEP))


def _padded(gone: Spill) -> Callable[[int, int], AnyArray]:
    """Which rows go of a field that may have more of them than the key: those stay."""

    def read(start: int, stop: int) -> AnyArray:
        there = max(min(stop, len(gone)), start)
        some = gone.read(start, there) if there > start else np.zeros(0, np.bool_)
        return np.concatenate((some, np.zeros(stop - start - len(some), np.bool_)))

    return read


def _of_kind(values: Sequence[Any], field: Field) -> list[Any]:
    """
    Values as a field may have them.

    A key can be numbers in one version, or table, and text in another: a number is taken for its
    text, and text for the number that it is. What is neither is in no row.
    """
    if field.type_name in ("indexedstring", "fixedstring"):
        return [one if isinstance(one, str | bytes) else str(one) for one in values]
    if field.type_name != "numeric":  # categories go by their names, and moments are many things
        return list(values)
    found = []
    for one in values:
        text = one.decode("utf-8", "replace") if isinstance(one, bytes) else one
        if not isinstance(text, str):
            found.append(text)
            continue
        for kind in (int, float):
            try:
                found.append(kind(text))
                break
            except ValueError:
                continue
    return found
