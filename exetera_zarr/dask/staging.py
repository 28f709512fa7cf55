"""The first round of a write: each partition, as the fields store it, in objects of its attempt."""

from __future__ import annotations

import secrets
import threading
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.dask.jobs import working
from exetera_zarr.dask.opened import dataset_at
from exetera_zarr.engine import is_strings
from exetera_zarr.engine.columns import selection, strings
from exetera_zarr.errors import ArgumentTypeError, DataError
from exetera_zarr.fields.missing.companions import holds_nan, in_place_of_missing, without
from exetera_zarr.fields.sources import workspace
from exetera_zarr.tables.rows.columns import Columns
from exetera_zarr.tables.rows.given import rows_given
from exetera_zarr.tables.views.new_tables import new_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from exetera_zarr.engine import Column
    from exetera_zarr.fields.base import Field
    from exetera_zarr.storage.base import Address, AnyArray, Workshop
    from exetera_zarr.tables.dataframe import DataFrame
    from exetera_zarr.tables.dataset import Dataset

__all__ = ["BYTES", "INDEX", "MASK", "VALUES", "Fragment", "Job", "Receipt", "Stage", "template_of"]

VALUES, INDEX, BYTES, MASK = "values", "index", "bytes", "mask"
"""What a fragment has of a field: one value a row; or ends and bytes of strings; what is there."""
Piece = tuple[int, int, int]


@dataclass(frozen=True)
class Job:
    """
    A write of a collection.

    Parameters
    ----------
    id
        Of its folder.
    address
        Of the dataset, as of the version that the draft is over.
    table
        Name of the table, for messages.
    fields
        Name and attributes of each field, in order.
    rows
        Of a fragment, at most.
    exetera
        Whether it is written in ExeTera's face.
    """

    id: str
    address: Address
    table: str
    fields: tuple[tuple[str, dict[str, Any]], ...] = field(repr=False)
    rows: int
    exetera: bool = False

    def __dask_tokenize__(self) -> object:
        return type(self).__name__, self.id

    def workshop(self) -> Workshop:
        """Where its tasks write."""
        return dataset_at(self.address, exetera=self.exetera).storage.workshop(self.id)


@dataclass(frozen=True)
class Fragment:
    """
    Some rows of a partition, staged.

    Parameters
    ----------
    rows
        How many.
    key, pieces
        The object with all but the bytes of strings, and what is where in it, by field and kind.
    texts
        By field, the object of the bytes of its strings, and the piece in it.
    missing
        How many rows of a field have no value, where that is to be told by a companion.
    """

    rows: int
    key: str
    pieces: dict[tuple[str, str], Piece] = field(repr=False)
    texts: dict[str, tuple[str, Piece]] = field(repr=False)
    missing: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Receipt:
    """
    What an attempt of a task has written.

    Parameters
    ----------
    attempt
        Sixteen hexadecimal digits, of this attempt alone.
    fragments
        The rows of the partition, in order.
    """

    attempt: str
    fragments: tuple[Fragment, ...]


@dataclass(frozen=True)
class Stage:
    """
    Stages a partition, in objects that no other attempt knows.

    Parameters
    ----------
    job
        What it is part of.
    number
        Of the partition, where it is known.
    """

    job: Job
    number: int | None = None

    def __dask_tokenize__(self) -> object:
        return type(self).__name__, self.job.id, self.number

    def __call__(self, partition: Any) -> Receipt:
        """
        Stage the rows of a partition.

        Raises
        ------
        ArgumentTypeError, DataError
            It is no table, or the fields cannot hold its rows exactly.
        """
        attempt = secrets.token_hex(8)
        try:
            with working(self.job.id):
                return Receipt(attempt, tuple(self._staged(partition, attempt)))
        except (ArgumentTypeError, DataError) as error:
            if self.number is None:
                raise
            raise type(error)(said_of(self.number, self.job.table, error)) from error

    def _staged(self, partition: Any, attempt: str) -> Iterator[Fragment]:
        job = self.job
        dataset = dataset_at(job.address, exetera=job.exetera)
        template = _known_template(dataset, job)
        workshop = dataset.storage.workshop(job.id)
        for number, start in enumerate(range(0, max(len(partition), 1), job.rows)):
            some = partition.iloc[start : start + job.rows]
            columns = _fitted(template, some, start)
            yield _stage(workshop, f"{attempt}-{number}", columns)


def said_of(number: int, table: str, error: BaseException) -> str:
    """What went wrong with a partition."""
    return f"partition {number} of what is written to {table!r}: {error}"


def template_of(dataset: Dataset, job: Job) -> DataFrame:
    """A table without rows of the fields of a job, for what they take and how they store it."""
    table = new_table(dataset, job.table, job.rows)
    for name, attributes in job.fields:
        table.create_field(name, attributes)
    return table


_templates: OrderedDict[str, DataFrame] = OrderedDict()
_lock = threading.Lock()
_MOST = 4


def _known_template(dataset: Dataset, job: Job) -> DataFrame:
    """The same, made once for a job; nobody changes it."""
    with _lock:
        if job.id not in _templates:
            _templates[job.id] = template_of(dataset, job)
        while len(_templates) > _MOST:
            _templates.popitem(last=False)
        return _templates[job.id]


def _fitted(
    template: DataFrame, given: Any, first: int
) -> dict[str, tuple[Field, Column, AnyArray | None, int]]:
    """By field the rows as it stores them, which of them have a value, and how many have none."""
    rows = rows_given(given)
    columns = Columns(template, rows, "error", "error")
    parts: dict[str, list[tuple[Column, AnyArray | None]]] = {name: [] for name in columns.names}
    with workspace(template.dataset.settings) as work:
        done = first
        for block in rows.blocks(columns.wanted, work.memory):
            if not block[0]:  # of rows that are none the types do not matter
                continue
            for name, column, mask in columns.fitted(block, done):
                parts[name].append((column, mask))
            done += block[0]
    found = {}
    for name, some in parts.items():
        held = columns.field(name)
        column = selection.concat([held.empty_column(), *(one for one, _ in some)])
        masks = [np.ones(len(one), np.bool_) if mask is None else mask for one, mask in some]
        mask = np.concatenate([np.zeros(0, np.bool_), *masks])
        found[name] = held, *_as_stored(held, column, None if mask.all() else mask)
    return found


def _as_stored(
    held: Field, column: Column, mask: AnyArray | None
) -> tuple[Column, AnyArray | None, int]:
    """As `Field.append_masked` stores them."""
    if not held.face.sees_missing:
        return column, None, 0
    coded = held.coded(column)
    stays = mask if mask is None or coded is None else mask | coded
    column = in_place_of_missing(column, stays)
    mask = without(mask, coded)
    if mask is not None and mask.all():
        mask = None
    told = mask is not None and not (holds_nan(column) and coded is None)
    return column, mask, int(np.count_nonzero(~mask)) if told and mask is not None else 0


def _stage(
    workshop: Workshop,
    name: str,
    columns: Mapping[str, tuple[Field, Column, AnyArray | None, int]],
) -> Fragment:
    arrays: dict[tuple[str, str], AnyArray] = {}
    texts: dict[str, tuple[str, Piece]] = {}
    missing: Counter[str] = Counter()
    rows = 0
    for number, (owner, (_, column, mask, gone)) in enumerate(columns.items()):
        rows = len(column)
        if is_strings(column):
            offsets, data = strings.from_arrow(column)
            arrays[owner, INDEX] = np.asarray(offsets - offsets[:1], np.int64)
            key, pieces = workshop.stage(f"{name}-{number}", {BYTES: np.asarray(data)})
            texts[owner] = key, pieces[BYTES]
        else:
            arrays[owner, VALUES] = np.asarray(column)
        if mask is not None:
            arrays[owner, MASK] = mask
        if gone:
            missing[owner] = gone
    labels = {f"{n}": one for n, one in enumerate(arrays)}
    key, made = workshop.stage(name, {label: arrays[one] for label, one in labels.items()})
    found = {labels[label]: piece for label, piece in made.items()}
    return Fragment(rows, key, found, texts, dict(missing))
