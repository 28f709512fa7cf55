"""Collections as tables: what `Dataset.write_dask` hands over to."""

from __future__ import annotations

import secrets
import warnings
from typing import TYPE_CHECKING, Any, get_args

import dask.array as da
import dask.dataframe as dd
import numpy as np

from exetera_zarr.dask import jobs
from exetera_zarr.dask.clients import check_workers, current_client
from exetera_zarr.dask.columns import as_frame, check_types
from exetera_zarr.dask.placing import Place, Placed, Staged, Target, by_rows
from exetera_zarr.dask.running import end_all, place_all, stage_all
from exetera_zarr.dask.staging import BYTES, INDEX, MASK, VALUES, Job, template_of
from exetera_zarr.engine.columns import strings
from exetera_zarr.errors import (
    ArgumentError,
    ArgumentTypeError,
    ConflictError,
    DataError,
    NameTakenError,
    ReadOnlyError,
)
from exetera_zarr.fields.missing import companions
from exetera_zarr.fields.missing.companions import COMPANION, COMPANION_OF
from exetera_zarr.tables.rows.appending import append
from exetera_zarr.tables.rows.arrow_metadata import TIME_ZONE
from exetera_zarr.tables.rows.columns import Columns, append_to
from exetera_zarr.tables.rows.creating import IfExists, replacing
from exetera_zarr.tables.rows.given import rows_given
from exetera_zarr.tables.views.new_tables import new_table
from exetera_zarr.texts import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from exetera_zarr.dask.staging import Receipt
    from exetera_zarr.fields.base import Field
    from exetera_zarr.storage.base import AnyArray, Workshop
    from exetera_zarr.tables.dataframe import DataFrame
    from exetera_zarr.tables.dataset import Dataset

__all__ = ["write", "write_column"]

_GROUP = 32
"""Blocks that a task places."""
_ROW_BLOCK = 1 << 20


def write(
    dataset: Dataset,
    collection: dd.DataFrame,
    name: str,
    mode: IfExists,
    *,
    row_block: int | None,
) -> DataFrame:
    """See `Dataset.write_dask`."""
    _check(dataset, collection, name, mode)
    existing = dataset.get_dataframe(name) if name in dataset and mode == "append" else None
    if existing is not None and row_block is not None:
        raise ArgumentError(
            f"{name!r} has blocks already: leave row_block out where it is extended"
        )
    if existing is not None:
        existing.refuse_ragged()
    block = row_block or dataset.settings.row_block or dataset.group.row_block
    block = existing.group.row_block if existing is not None else block
    job = Job(
        secrets.token_hex(8),
        dataset.storage.address(),
        name,
        _fields_of(dataset, collection, name, existing),
        block,
        not dataset.settings.face.sees_missing,
    )
    # What does not fit raises an error before anything is computed.
    Columns(template_of(dataset, job), rows_given(collection._meta), "error", "error")  # noqa: SLF001
    return _run(dataset, collection, job, existing, mode)


def write_column(table: DataFrame, name: str, array: da.Array) -> Field:
    """See `DataFrame.write_dask_array`."""
    dataset = table.dataset
    collection = as_frame(table, name, array)
    rows, block = table.length(), table.group.row_block
    known = array.shape[0]
    if known == known and known != rows:  # noqa: PLR0124 - NaN, where Dask does not know it
        raise DataError(_lengths(table, name, int(known), rows))
    job = Job(
        secrets.token_hex(8),
        dataset.storage.address(),
        table.name,
        _fields_of(dataset, collection, name, None),
        block,
        not dataset.settings.face.sees_missing,
    )
    _run(dataset, collection, job, table, "columns")
    return table.get_field(name)


def _lengths(table: DataFrame, name: str, given: int, rows: int) -> str:
    return (
        f"{name!r} has {given:,} rows, and the table {table.name!r} has {rows:,}: a column has a "
        "value for each row"
    )


def _run(
    dataset: Dataset,
    collection: dd.DataFrame,
    job: Job,
    existing: DataFrame | None,
    mode: str,
) -> DataFrame:
    """Have the rows of a collection in the draft, or nothing."""
    name = job.table
    _refuse_conflict(dataset, name, mode)
    client = current_client()
    if client is not None:
        check_workers(client, job.address)
    workshop = dataset.storage.workshop(job.id)
    paths: list[str] = []
    try:
        placed = _in_order(stage_all(collection, job))
        _refuse_conflict(dataset, name, mode)
        written = _Written(dataset, job, existing, placed, workshop, columns=mode == "columns")
        table = written.write(paths)
    except BaseException as error:
        end_all(job.id)
        if left := _remains(workshop, paths):
            error.add_note(visible(left))
        raise
    jobs.end(job.id)
    if left := _remains(workshop):
        warnings.warn(visible(left), RuntimeWarning, stacklevel=4)
    return table


def _remains(workshop: Workshop, paths: Sequence[str] = ()) -> str:
    """Remove what tasks have written; what is to be said if that could not be done."""
    try:
        workshop.remove(paths)
    except OSError as error:
        return f"some objects of tasks are still there, until a vacuum: {error}"
    return ""


def _check(dataset: Dataset, collection: Any, name: Any, mode: str) -> None:
    if mode not in get_args(IfExists):
        raise ArgumentError(f"mode is 'error', 'replace' or 'append', not {mode!r}")
    if not isinstance(collection, dd.DataFrame):
        raise ArgumentTypeError(
            f"write_dask takes a DataFrame of Dask, not a {type(collection).__name__}: "
            "from_pandas, from_arrow and from_dict take other tables; of a Series write "
            "series.to_frame()"
        )
    if not isinstance(name, str):
        raise ArgumentTypeError(f"a name is a str, not a {type(name).__name__}")
    if not dataset.storage.writable:
        raise ReadOnlyError(
            f"the dataset {dataset.url} is open for reading; open it with mode 'r+' to change it"
        )
    if name in dataset and mode == "error":
        raise NameTakenError(
            f"the dataset {dataset.name!r} ({dataset.url}) has {name!r} already: write "
            "mode='replace' for another table in its place, or mode='append' for more rows of it"
        )


def _refuse_conflict(dataset: Dataset, name: str, mode: str) -> None:
    """Raise ConflictError where the commit would, before the expensive part."""
    changed = dataset.storage.workshop("0" * 16).changed_since()
    if name in changed and mode != "append":
        raise ConflictError(
            f"another writer has committed changes of {name!r} of {dataset.url} since version "
            f"{dataset.version}, which this draft is over: rollback() and refresh(), and write "
            "again"
        )


def _fields_of(
    dataset: Dataset, collection: dd.DataFrame, name: str, existing: DataFrame | None
) -> tuple[tuple[str, dict[str, Any]], ...]:
    """The fields that are written, and their attributes, which hold for every partition."""
    if existing is None:
        check_types(collection)
        table = new_table(dataset, name)
        append(table, collection._meta.iloc[:0], new="add", empty=True)  # noqa: SLF001 - Dask's word
        existing = table
    links = existing.companions()
    kept = (COMPANION_OF, companions.BY_LINK, TIME_ZONE)
    found = []
    for field_name in existing:
        field = existing[field_name]
        about = {**field.type_attributes()}
        about |= {one: value for one, value in field.group.attributes.items() if one in kept}
        if field_name in links:
            about[COMPANION] = links[field_name]
        found.append((str(field_name), about))
    return tuple(found)


def _in_order(receipts: Sequence[Receipt]) -> list[Placed]:
    """The fragments of all partitions, and what comes before each."""
    found, row, sizes = [], 0, dict[str, int]()
    for receipt in receipts:
        for fragment in receipt.fragments:
            found.append(Placed(fragment, row, {**dict.fromkeys(fragment.texts, 0), **sizes}))
            row += fragment.rows
            for owner, (_, piece) in fragment.texts.items():
                sizes[owner] = sizes.get(owner, 0) + piece[0]
    return found


class _Written:
    """
    The table of what was staged.

    Parameters
    ----------
    dataset, job, existing
        As of `write`.
    placed
        The fragments, in order.
    workshop
        Of the job.
    columns
        Whether these are new columns of the table that there is.
    """

    def __init__(
        self,
        dataset: Dataset,
        job: Job,
        existing: DataFrame | None,
        placed: list[Placed],
        workshop: Workshop,
        *,
        columns: bool,
    ) -> None:
        self._columns = columns
        self._dataset, self._job, self._existing = dataset, job, existing
        self._placed, self._workshop = placed, workshop
        self.rows = sum(one.fragment.rows for one in placed)
        self._template = template_of(dataset, job)
        gone = {owner for one in placed for owner in one.fragment.missing}
        self._new = [owner for owner in self._template if owner in gone]
        links = self._template.companions()
        self._new = [owner for owner in self._new if owner not in links]

    def write(self, paths: list[str]) -> DataFrame:
        """
        Have the table in the draft.

        Parameters
        ----------
        paths
            Grows by those of what is placed, before it is.
        """
        known: dict[tuple[str, str], tuple[Target, list[Any]]] = {}
        if self.rows >= self._job.rows and self._is_plain():
            known = self._place(paths, anew=self._existing is None)
        dataset, name, existing = self._dataset, self._job.table, self._existing
        with dataset.transaction():
            if existing is not None:
                self._extend(existing, known)
                return existing
            with replacing(dataset, name, self._job.rows) as table:
                for field_name, about in self._job.fields:
                    table.create_field(field_name, about)
                self._fill(table, known, 0)
            table.note("create", rows=self.rows)
        return table

    def _extend(
        self, table: DataFrame, known: Mapping[tuple[str, str], tuple[Target, list[Any]]]
    ) -> None:
        """Have more rows, or more columns, in a table that there is."""
        before = table.length()
        if not self._columns:
            self._fill(table, known, before)
            table.note("append", rows=self.rows)
            return
        names = [name for name, _ in self._job.fields]
        if self.rows != before:
            raise DataError(_lengths(table, names[0], self.rows, before))
        for name, about in self._job.fields:
            table.create_field(name, about)
        self._fill(table, known, 0)
        table.note("assign", fields=names)

    def _is_plain(self) -> bool:
        """Whether each array is of one field, so that it can be made apart from the others."""
        links = list(self._template.companions().values())
        written = set(self._template) - set(links)
        existing = self._existing
        if len(set(links)) < len(links) or not written:
            return False
        if self._columns:
            return True
        if existing is None or not existing.length():
            return existing is None
        # Else what was appended, and is not committed, goes on in the middle of a block.
        return not existing.dataset.storage.changed or _is_committed(existing)

    def _place(
        self, paths: list[str], *, anew: bool
    ) -> dict[tuple[str, str], tuple[Target, list[Any]]]:
        """Have all whole blocks placed; by field and role what is, and what is known of it."""
        template = self._template
        for owner in self._new:
            companions.add_companion(template[owner])
        path_of = self._workshop.paths(self._job.table, list(template), anew=anew)
        targets = {
            key: self._with_path(target, path_of(*key), paths)
            for key, target in self._targets(template).items()
        }
        work: list[tuple[Target, int]] = []
        texts: list[tuple[Target, int]] = []
        for target in targets.values():
            blocks = [(target, number) for number in range(target.blocks)]
            (texts if target.kind == BYTES else work).extend(blocks)
        groups = [*by_rows(work, self._job.rows, _GROUP)]
        groups += [texts[start : start + _GROUP] for start in range(0, len(texts), _GROUP)]
        tasks = [Place.of(self._job, blocks, self._placed) for blocks in groups]
        found = {(path, number): known for path, number, known in place_all(tasks)}
        return {
            key: (target, [found[target.path, number] for number in range(target.blocks)])
            for key, target in targets.items()
        }

    @staticmethod
    def _with_path(target: Target, path: str, paths: list[str]) -> Target:
        paths.append(path)
        return Target(target.owner, target.kind, target.dtype, target.block, target.elements, path)

    def _targets(self, table: DataFrame) -> dict[tuple[str, str], Target]:
        """The arrays of a table, by field and role."""
        found = {}
        links = table.companions()
        owners = {companion: owner for owner, companion in links.items()}
        last = self._placed[-1]
        for name in table:
            field = table[name]
            if name in owners:
                sizes = {VALUES: self.rows}
                kinds = {"values": MASK}
            elif field.indexed:
                of_bytes = last.bytes[name] + last.fragment.texts[name][1][0]
                sizes = {INDEX: self.rows + 1, BYTES: of_bytes}
                kinds = {"index": INDEX, "values": BYTES}
            else:
                sizes, kinds = {VALUES: self.rows}, {"values": VALUES}
            for role, array in field.arrays().items():
                kind = kinds[role]
                elements = sizes.get(kind, self.rows)
                block = self._block_of(name, role, array.block)
                found[str(name), role] = Target(
                    str(owners.get(name, name)), kind, array.dtype, block, elements
                )
        return found

    def _block_of(self, name: str, role: str, block: int) -> int:
        """Elements of a block of an array: those of the table that there is, or of its like."""
        existing = self._existing
        if existing is None or name not in existing:
            return block
        known: int = existing[name].arrays()[role].block
        return known

    def _fill(
        self,
        table: DataFrame,
        known: Mapping[tuple[str, str], tuple[Target, list[Any]]],
        before: int,
    ) -> None:
        """Put the rows into the fields, behind those that are there."""
        if known:
            self._adopt(table, known, before)
        else:
            self._append(table)

    def _adopt(
        self,
        table: DataFrame,
        known: Mapping[tuple[str, str], tuple[Target, list[Any]]],
        before: int,
    ) -> None:
        for owner in self._new:
            made = companions.add_companion(table[owner])
            _append_true(made, before)
        staged = Staged(self._workshop, self._placed)
        for (name, role), (target, blocks) in known.items():
            rest = staged.read(target, target.blocks * target.block, target.elements)
            array: Any = table[name].array(role)
            array.adopt(target.path, blocks, rest)

    def _append(self, table: DataFrame) -> None:
        """Have the rows appended here, which for few of them is the least work."""
        staged_of: Callable[[Placed], Staged] = lambda one: Staged(self._workshop, [one])  # noqa: E731
        links = table.companions()
        hidden = set(links.values())
        for one in self._placed:
            rows, start = one.fragment.rows, one.row
            if not rows:
                continue
            staged = staged_of(one)

            def read(owner: str, kind: str, dtype: Any, first: int, last: int) -> AnyArray:
                return staged.read(Target(owner, kind, np.dtype(dtype), 1, last), first, last)  # noqa: B023

            for name in table:
                if name in hidden or name not in self._template:
                    continue
                field: Field = table[name]
                column: Any
                if field.indexed:
                    low = one.bytes[name]
                    high = low + one.fragment.texts[name][1][0]
                    ends = read(name, INDEX, np.int64, start + 1, start + rows + 1)
                    offsets = np.concatenate([[low], ends]) - low
                    column = strings.to_arrow(offsets, read(name, BYTES, np.uint8, low, high))
                else:
                    column = read(name, VALUES, field.dtype_of_rows, start, start + rows)
                mask = None
                if (name, MASK) in one.fragment.pieces:
                    mask = read(name, MASK, np.bool_, start, start + rows)
                append_to(field, column, mask)


def _append_true(companion: Field, rows: int) -> None:
    for start in range(0, rows, _ROW_BLOCK):
        companion.append(np.ones(min(_ROW_BLOCK, rows - start), np.bool_))


def _is_committed(table: DataFrame) -> bool:
    """Whether a table is as it is in the version that the draft is over."""
    storage = table.group.storage
    try:
        return storage is not None and bool(storage.address(table.name))
    except ArgumentError:
        return False
