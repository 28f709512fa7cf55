"""Tables with missing values, and a model of them in pandas' nullable types."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import settings
from hypothesis import strategies as st

from exetera_zarr import DataFrame, Dataset, Session
from exetera_zarr.fields.base import new_field
from exetera_zarr.fieldtypes import numeric_attributes

CODES = {"f": 3, "m": 4}
DAYS = [dt.datetime(2020, 1, day, tzinfo=dt.UTC) for day in (1, 2)]
Column = list[Any]


@dataclass(frozen=True)
class Kind:
    """
    A kind of field.

    Parameters
    ----------
    values
        What may be in it.
    create
        Makes one in a table.
    dtype
        What pandas calls it.
    suffix
        That of the name of a companion that needs no link; empty where it needs one.
    """

    values: st.SearchStrategy[Any]
    create: Callable[[DataFrame, str], Any]
    dtype: str
    suffix: str = ""


def _numeric(dtype: str) -> Callable[[DataFrame, str], Any]:
    return lambda table, name: table.create_numeric(name, dtype)


WHOLE, HALVES = st.integers(-3, 3), st.sampled_from([0.0, -1.5, 2.25])
TEXTS = ["", "York", "Leeds", "é"]
KINDS = {
    "int8": Kind(WHOLE, _numeric("int8"), "Int64", "_valid"),
    "int64": Kind(WHOLE, _numeric("int64"), "Int64", "_valid"),
    "float64": Kind(HALVES, _numeric("float64"), "Float64", "_valid"),
    "float32": Kind(HALVES, _numeric("float32"), "Float64", "_valid"),
    "bool": Kind(st.booleans(), _numeric("bool"), "boolean", "_valid"),
    "text": Kind(
        st.sampled_from(TEXTS), lambda table, name: table.create_indexed_string(name), "string"
    ),
    "fixed": Kind(
        st.sampled_from(["", "a", "zzz"]),
        lambda table, name: table.create_fixed_string(name, 3),
        "string",
    ),
    # in the order of their codes, as pandas has it by their names
    "category": Kind(
        st.sampled_from(list(CODES)),
        lambda table, name: table.create_categorical(name, "int8", CODES),
        "string",
    ),
    "moment": Kind(
        st.sampled_from(DAYS),
        lambda table, name: table.create_timestamp(name),
        "datetime64[us, UTC]",
        "_set",
    ),
}

PEOPLE = {
    "age": "int8",
    "weight": "float64",
    "flag": "bool",
    "town": "text",
    "sex": "category",
    "when": "moment",
    "code": "fixed",
}
"""The fields of a table that has one of each kind."""
NAMES = list(PEOPLE)


def examples(percent: int) -> settings:
    """That part of the examples of the profile, for what takes long."""
    profile = settings.default
    assert profile is not None
    return settings(max_examples=max(profile.max_examples * percent // 100, 2))


def rows_of(kinds: Mapping[str, str], most: int = 12) -> st.SearchStrategy[list[tuple[Any, ...]]]:
    """Rows of a table of these fields; None stands for what is missing."""
    cells = [st.one_of(st.none(), KINDS[kind].values) for kind in kinds.values()]
    return st.lists(st.tuples(*cells), max_size=most)


ROWS = rows_of(PEOPLE)


def columns_of(kinds: Mapping[str, str], rows: Sequence[tuple[Any, ...]]) -> dict[str, Column]:
    """The same by columns."""
    columns = zip(*rows, strict=True) if rows else [()] * len(kinds)
    return {name: list(column) for name, column in zip(kinds, columns, strict=True)}


def brought(table: DataFrame, name: str, values: Any, nformat: str = "bool") -> Any:
    """A field as ExeTera or an older release wrote it, of which its name may say what it means."""
    field = new_field(table.dataset.session, numeric_attributes(nformat), table.group, name, table)
    field.append(np.asarray(values, nformat))
    return field


WAYS = ("none", "masked", "by name")
"""How one may say that a value is missing: None, a masked array, a companion of older files."""


def write(
    table: DataFrame,
    rows: Sequence[tuple[Any, ...]],
    kinds: Mapping[str, str] = PEOPLE,
    way: str = "none",
) -> DataFrame:
    """A table of these rows."""
    for name, column in columns_of(kinds, rows).items():
        kind = KINDS[kinds[name]]
        field = kind.create(table, name)
        write_column(field, column, kind, way)
    return table


def write_column(field: Any, column: Column, kind: Kind, way: str = "none") -> None:
    """A column, of which some may be missing."""
    missing = [value is None for value in column]
    if way == "none" or (way == "masked" and kind.dtype in ("string", "datetime64[us, UTC]")):
        field.data.write(column)
        return
    nothing = DAYS[0] if kind.dtype.startswith("datetime") else 1
    filled = [nothing if value is None else value for value in column]
    if way == "masked":
        field.data.write(np.ma.MaskedArray(np.array(filled, field.data.dtype), missing))
    elif not kind.suffix:
        field.data.write(column)
    else:
        field.data.write(filled)
        brought(field.dataframe, field.name + kind.suffix, ~np.array(missing, bool))


def visible(table: DataFrame) -> list[str]:
    """The fields that say nothing of others."""
    hidden = set(table.companions().values())
    return [name for name in table if name not in hidden]


def values_of(table: DataFrame, names: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """The rows as dicts of what a person sees, None for what is missing."""
    columns = {}
    for name in visible(table) if names is None else names:
        field = table[name]
        present = field.notna().data[:]
        shown = [field._shown(value) for value in field.data[:]]
        columns[name] = [v if there else None for v, there in zip(shown, present, strict=True)]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def model_of(rows: Sequence[tuple[Any, ...]], kinds: Mapping[str, str] = PEOPLE) -> pd.DataFrame:
    """The same in pandas."""
    return pd.DataFrame(
        {
            name: pd.Series(column, dtype=KINDS[kinds[name]].dtype)
            for name, column in columns_of(kinds, rows).items()
        }
    )


def rows_of_model(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A pandas frame as `values_of` gives a table."""
    columns = {
        str(name): [None if pd.isna(value) else _plain(value) for value in frame[name]]
        for name in frame
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _plain(value: Any) -> Any:
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime()
    return value.item() if isinstance(value, np.generic) else value


def url() -> str:
    """A new place in memory."""
    return f"memory://{uuid.uuid4().hex}/x.zarr"


_open: dict[int, tuple[Session, Dataset]] = {}


@contextmanager
def scratch(row_block: int = 3) -> Iterator[Dataset]:
    """An empty dataset of tables in small blocks; it is emptied again, and never committed."""
    if row_block not in _open:
        # Opened once for all: opening and committing one is a third of the time of an example.
        session = Session(row_block=row_block)
        _open[row_block] = session, session.open_dataset(url(), "w", "d")
    dataset = _open[row_block][1]
    try:
        yield dataset
    finally:
        dataset.rollback()
        assert list(dataset) == []


def close_scratch() -> None:
    """Close what `scratch` has opened."""
    while _open:
        _open.popitem()[1][0].close()


def sorted_model(
    frame: pd.DataFrame, keys: Sequence[str], ascending: Sequence[bool]
) -> pd.DataFrame:
    """Sorted with what is missing last; equal rows stay in order, as pandas grants of one key."""
    for key, up in reversed(list(zip(keys, ascending, strict=True))):
        frame = frame.sort_values(key, ascending=up, kind="stable", na_position="last")
    return frame.reset_index(drop=True)


def merged_rows(
    left: Sequence[tuple[Any, ...]], right: Sequence[tuple[Any, ...]], how: str, missing: str
) -> list[tuple[int, int]]:
    """
    The pairs of rows of a merge, -1 for no row, in the order that is documented.

    Parameters
    ----------
    left, right
        The keys of each row, None for what is missing.
    how, missing
        As of `merge`.
    """
    pairs = [
        (i, j)
        for i, one in enumerate(left)
        for j, other in enumerate(right)
        if one == other and (missing == "equal" or None not in one)
    ]
    if missing == "drop":
        here = [i for i, key in enumerate(left) if None not in key]
        there = [j for j, key in enumerate(right) if None not in key]
    else:
        here, there = list(range(len(left))), list(range(len(right)))
    if how in ("left", "outer"):
        pairs += [(i, -1) for i in here if i not in {pair[0] for pair in pairs}]
    if how in ("right", "outer"):
        pairs += [(-1, j) for j in there if j not in {pair[1] for pair in pairs}]
    alone = missing != "equal"  # a key that is missing, which then has no equal
    first = [i if alone and None in key else left.index(key) for i, key in enumerate(left)]
    order: dict[str, Callable[[tuple[int, int]], Any]] = {
        "left": lambda pair: pair,
        "right": lambda pair: (pair[1], pair[0]),
        "inner": lambda pair: (first[pair[0]], pair),
        "outer": lambda pair: (pair[0] < 0, first[pair[0]] if pair[0] >= 0 else 0, pair),
    }
    return sorted(pairs, key=order[how])
