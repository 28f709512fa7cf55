"""Groups of rows that are in no order, by DuckDB: hashed, or sorted."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa

from exetera_zarr.engine.columns.types import Column, is_strings
from exetera_zarr.engine.duckdb.codec import Code, code_of, key_code, numbers_of, to_arrow
from exetera_zarr.engine.duckdb.feed import feeding
from exetera_zarr.engine.group.aggregate_states import LIKE, NUMERIC, result_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    import duckdb

    from exetera_zarr.engine.streams.source import Source
    from exetera_zarr.engine.streams.workspace import Workspace

__all__ = ["CannotHashError", "Parts", "Wanted", "hashed_groups", "sorted_blocks"]

_CHUNK = 1 << 18
_SPREADS = ("std", "var")
#: How many times larger than their spread numbers may be, which costs a result 20 of its 53 bits.
_FAR = 1 << 20

#: Column among the values and name of an aggregate.
Wanted: TypeAlias = tuple[int, str]
#: Columns of keys, and of values or results.
Parts: TypeAlias = "tuple[list[Column], list[Column]]"


class CannotHashError(Exception):
    """The groups have to be made by sorting."""


@dataclass
class _Inputs:
    """
    What DuckDB gets: keys, values, row numbers.

    Values are as they are, or have null for NaN, or are how far they are above the first of all.
    """

    keys: list[Code]
    raw: dict[int, Code] = field(default_factory=dict)
    skipping: dict[int, np.dtype[Any]] = field(default_factory=dict)
    above: dict[int, float | None] = field(default_factory=dict)
    rows: bool = False

    def key_names(self) -> list[str]:
        return [f"k{i}" for i in range(sum(len(code.types) for code in self.keys))]

    def schema(self) -> pa.Schema:
        types = [one for code in self.keys for one in code.types]
        fields = list(zip(self.key_names(), types, strict=True))
        fields += [(f"v{number}", code.types[0]) for number, code in self.raw.items()]
        fields += [(f"s{n}", pa.from_numpy_dtype(dtype)) for n, dtype in self.skipping.items()]
        fields += [(f"d{n}", pa.float64()) for n in self.above]
        return pa.schema([*fields, ("r", pa.int64())] if self.rows else fields)

    def blocks(self, source: Source) -> Generator[list[pa.Array]]:
        """The blocks of a source as they go in."""
        start = 0
        with contextlib.closing(source.blocks()) as blocks:
            for columns in blocks:
                yield self._encode(start, columns)
                start += len(columns[0])

    def _encode(self, start: int, columns: Sequence[Column]) -> list[pa.Array]:
        values = columns[len(self.keys) :]
        arrays: list[pa.Array] = []
        for code, column in zip(self.keys, columns, strict=False):
            arrays += code.encode(column)
        for number, code in self.raw.items():
            arrays += code.encode(values[number])
        for number, dtype in self.skipping.items():
            missing = np.isnan(values[number])
            valid = ~missing if missing.any() else None
            arrays.append(to_arrow(values[number].astype(dtype, copy=False), valid))
        arrays += [self._above_first(number, values[number]) for number in self.above]
        if self.rows:
            arrays.append(to_arrow(np.arange(start, start + len(columns[0]))))
        return arrays

    def _above_first(self, number: int, column: Column) -> pa.Array:
        """Floats above the first one, since those that are far from 0 have no digits for a mean."""
        floats = np.asarray(column).astype(np.float64)
        if self.above[number] is None:
            finite = floats[np.isfinite(floats)]
            self.above[number] = float(finite[0]) if len(finite) else None
        with np.errstate(all="ignore"):
            floats = floats - (self.above[number] or 0.0)
        missing = np.isnan(floats)
        return to_arrow(floats, ~missing if missing.any() else None)

    def decode_keys(self, arrays: Sequence[pa.Array]) -> list[Column]:
        columns, at = [], 0
        for code in self.keys:
            columns.append(code.decode(arrays[at : at + len(code.types)]))
            at += len(code.types)
        return columns


# -- hashed ----------------------------------------------------------------------------------------


def hashed_groups(
    rows: Source, keys: int, wanted: Sequence[Wanted], work: Workspace
) -> Iterator[Parts]:
    """
    The groups of a source whose first columns are keys, ascending.

    Parameters
    ----------
    rows
        The keys, then the values.
    keys
        How many of the columns are keys.
    wanted
        Column among the values and name of each aggregate.
    work
        Where to do it.

    Yields
    ------
    keys, results : lists of columns

    Raises
    ------
    CannotHashError
        They do not fit the memory, since DuckDB does not spill the values of a median, distinct
        values, or strings; or it cannot represent a result.
    """
    import duckdb

    values = rows.empty[keys:]
    inputs = _Inputs([key_code(empty) for empty in rows.empty[:keys]])
    terms = [_term(inputs, number, name, values) for number, name in wanted]
    names = inputs.key_names()
    columns = [f"a{i}" for i in range(len(terms))]
    results = [f"{term} AS {name}" for term, name in zip(terms, columns, strict=True)]
    far = sorted(inputs.above)
    results += [f"greatest(max(d{n}), -min(d{n})) AS w{n}, var_samp(d{n}) AS y{n}" for n in far]
    results += [f"max(d{n}) > min(d{n}) AS x{n}" for n in far]
    select = f"SELECT {', '.join([*names, *results])} FROM rows GROUP BY {', '.join(names)}"  # noqa: S608 - all ours
    with feeding(work) as feeder:
        con = feeder.connection
        feeder.register("rows", inputs.schema(), inputs.blocks(rows))
        try:
            # The two operators that hold all groups are not in one statement: each gets the memory.
            con.execute(f"CREATE TEMP TABLE groups AS {select}")
        except (
            duckdb.OutOfMemoryException,
            duckdb.OutOfRangeException,
            duckdb.ConversionException,
        ) as error:
            raise CannotHashError from error
        spread = [f"a{i}" for i, (_, name) in enumerate(wanted) if name in _SPREADS]
        if spread and (_overflows(con, spread) or _far_apart(con, far)):
            raise CannotHashError
        chosen = ", ".join([*names, *columns])
        found = con.sql(f"SELECT {chosen} FROM groups ORDER BY {', '.join(names)}")  # noqa: S608 - all ours
        for batch in found.to_arrow_reader(_CHUNK):
            arrays = batch.columns
            yield (
                inputs.decode_keys(arrays),
                [
                    _decode(inputs, number, name, values, array)
                    for (number, name), array in zip(wanted, arrays[len(names) :], strict=True)
                ],
            )


def _overflows(con: duckdb.DuckDBPyConnection, spread: Sequence[str]) -> bool:
    """Whether squares of a group were too large for DuckDB, which has its own results then."""
    wrong = " OR ".join(f"NOT isfinite({name}) OR {name} < 0" for name in spread)
    found = con.execute(f"SELECT 1 FROM groups WHERE {wrong} LIMIT 1").fetchone()  # noqa: S608 - all ours
    return found is not None


def _far_apart(con: duckdb.DuckDBPyConnection, columns: Sequence[int]) -> bool:
    """Whether numbers of a group are much nearer to each other than to the first of all."""
    far = " OR ".join(f"(x{n} AND w{n} > {_FAR} * sqrt(y{n}))" for n in columns)
    if not far:
        return False
    return con.execute(f"SELECT 1 FROM groups WHERE {far} LIMIT 1").fetchone() is not None  # noqa: S608 - all ours


def _spread(name: str, value: str) -> str:
    """A spread of whole numbers, exact but for the last division: by their sums, in 128 bits."""
    number = f"{value}::HUGEINT"
    total, count = f"sum({number})", "count(*)::HUGEINT"
    middle = f"({total} // {count})"
    squares = f"(sum({number} * {number}) - 2 * {middle} * {total} + {count} * {middle} * {middle})"
    rest = f"({total} - {count} * {middle})"
    found = f"({count} * {squares} - {rest} * {rest})::DOUBLE"
    variance = f"{found} / (count(*)::DOUBLE * (count(*) - 1))"
    found = f"sqrt({variance})" if name == "std" else variance
    return f"CASE WHEN count(*) > 1 THEN {found} END"


def _term(inputs: _Inputs, number: int, name: str, values: Sequence[Column]) -> str:
    """An aggregate in SQL, null for a spread of too few values; notes in `inputs` what it needs."""
    if name in ("count", "size"):
        return "count(*)"
    empty = values[number]
    floats = not is_strings(empty) and empty.dtype.kind == "f"
    if floats and (name in NUMERIC or name == "nunique"):
        if name in _SPREADS:
            inputs.above.setdefault(number)
            return f"{'stddev' if name == 'std' else 'var'}_samp(d{number})"
        inputs.skipping[number] = empty.dtype.newbyteorder("=")
        value = f"s{number}"
    else:
        inputs.raw[number] = code_of(empty, most_words=1)
        value = f"v{number}"
    match name:
        case "first" | "last":
            inputs.rows = True
            return f"{'arg_min' if name == 'first' else 'arg_max'}({value}, r)"
        case "min" if floats:  # of DuckDB's order NaN is the greatest, of numpy's also the least
            return f"CASE WHEN isnan(max({value})) THEN max({value}) ELSE min({value}) END"
        case "min" | "max":
            return f"{name}({value})"
        case "sum" if floats:
            return f"coalesce(sum({value}), 0)"
        case "sum":
            return f"sum({value})::{'UBIGINT' if empty.dtype.kind == 'u' else 'BIGINT'}"
        case "mean":
            return f"coalesce(avg({value}), 'nan'::DOUBLE)"
        case "median":
            return f"coalesce(median({value}::DOUBLE), 'nan'::DOUBLE)"
        case "nunique":
            return f"count(DISTINCT {value})"
    return _spread(name, value)


def _decode(
    inputs: _Inputs, number: int, name: str, values: Sequence[Column], array: pa.Array
) -> Column:
    if name in LIKE:
        return inputs.raw[number].decode([array])
    if name in ("count", "size"):
        return numbers_of(array, np.int64)
    if name in _SPREADS:
        array = array.fill_null(np.nan)
    return numbers_of(array, result_of(name, values[number]).dtype)


# -- sorted ----------------------------------------------------------------------------------------


def sorted_blocks(
    rows: Source, keys: int, chosen: Sequence[int], work: Workspace, *, by_value: bool
) -> Iterator[Parts]:
    """
    The rows of a source whose first columns are keys, sorted by these.

    Parameters
    ----------
    rows, keys, work
        As of `hashed_groups`.
    chosen
        Which of the values to give.
    by_value
        Rows of one key are sorted by these values; else they stay in their order.

    Yields
    ------
    keys, values : lists of columns
    """
    inputs = _Inputs([key_code(empty) for empty in rows.empty[:keys]], rows=not by_value)
    code = key_code if by_value else code_of
    for number in chosen:
        inputs.raw[number] = code(rows.empty[keys + number], most_words=1)
    names = inputs.key_names()
    given = [f"v{number}" for number in inputs.raw]
    order = [*names, *(given if by_value else ["r"])]
    with feeding(work) as feeder:
        con = feeder.connection
        feeder.register("rows", inputs.schema(), inputs.blocks(rows))
        for arrays in _sorted(con, [*names, *given], order):
            values = zip(inputs.raw.values(), arrays[len(names) :], strict=True)
            yield inputs.decode_keys(arrays), [code.decode([array]) for code, array in values]


def _sorted(
    con: duckdb.DuckDBPyConnection, names: Sequence[str], order: Sequence[str]
) -> Iterator[list[pa.Array]]:
    query = f"SELECT {', '.join(names)} FROM rows ORDER BY {', '.join(order)}"  # noqa: S608 - all ours
    for batch in con.sql(query).to_arrow_reader(_CHUNK):
        yield batch.columns
