"""Columns of every type for hypothesis, and the model's pairs in the form of the engine."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from exetera_zarr.engine.columns import selection, strings
from exetera_zarr.engine.join.row_pairs import concatenated
from exetera_zarr.engine.streams.source import Source
from exetera_zarr.engine.streams.workspace import Workspace
from support.model import merge, order_key

NAN = float("nan")
WHOLE = st.one_of(st.integers(-3, 3), st.sampled_from([-(2**63), -(2**53) - 1, 2**53 + 1]))
FLOATS = st.one_of(
    st.sampled_from([NAN, -NAN, 0.0, -0.0, 1.0, -1.5, 0.5, 2.0**53, 2.0**63, -(2.0**64)]),
    st.sampled_from([math.inf, -math.inf, 5e-324, -1e-20, 1e300]),
    st.integers(-3, 3).map(float),
)
BYTES = st.one_of(
    st.sampled_from([b"", b"a", b"aa", b"ab", b"b", b"\xff", b"\xc3\xa9", b"a,b", b'"', b"z" * 20]),
    st.binary(max_size=3),
)

#: For each type of column the values that its rows may have.
ELEMENTS: dict[str, st.SearchStrategy[Any]] = {
    "bool": st.booleans(),
    "int8": st.integers(-128, 127) | st.integers(-2, 2),
    "uint16": st.integers(0, 5),
    "int64": WHOLE | st.just(2**63 - 1),
    "uint64": st.integers(0, 3) | st.sampled_from([2**53 + 1, 2**63, 2**64 - 1]),
    "float32": st.sampled_from([NAN, 0.0, -0.0, 1.0, -1.5, 0.1, math.inf, -3e38]).map(
        lambda x: float(np.float32(x))
    ),
    "float64": FLOATS,
    "S3": BYTES.map(lambda b: b[:3].rstrip(b"\0")),
    "S12": BYTES.map(lambda b: b[:12].rstrip(b"\0")),
    "text": BYTES,
}
NUMBERS = ["bool", "int8", "uint16", "int64", "uint64", "float32", "float64"]


def build(kind: str, values: list[Any]) -> Any:
    """A column of `values`; strings as a slice, so that offsets do not start at 0."""
    if kind == "text":
        return strings.encode([b"before", *values, b"after"]).slice(1, len(values))
    return np.array(values, dtype=kind)


def listed(col: Any) -> list[Any]:
    """The rows of a column as Python values."""
    return list(col.to_pylist() if not isinstance(col, np.ndarray) else col.tolist())


@st.composite
def pools(draw: st.DrawFn, kind: str) -> st.SearchStrategy[Any]:
    """Any values of a type, or mostly a few values, so that rows repeat."""
    few = draw(st.lists(ELEMENTS[kind], max_size=3))
    if kind.startswith("float"):
        few += draw(st.sampled_from([[], [NAN], [NAN, -0.0, 0.0]]))
    return st.sampled_from(few) if few else ELEMENTS[kind]


@st.composite
def columns(draw: st.DrawFn, kinds: list[str] | None = None, max_size: int = 12) -> Any:
    """A type, the values of a column, and the column."""
    kind = draw(st.sampled_from(kinds or list(ELEMENTS)))
    values = draw(st.lists(draw(pools(kind)), max_size=max_size))
    return kind, values, build(kind, values)


@st.composite
def tables(draw: st.DrawFn, max_columns: int = 3, max_rows: int = 12) -> Any:
    """Rows as tuples, and the columns that hold them."""
    kinds = draw(st.lists(st.sampled_from(list(ELEMENTS)), min_size=1, max_size=max_columns))
    return draw(rows_of(kinds, max_rows))


@st.composite
def rows_of(draw: st.DrawFn, kinds: list[str], max_rows: int = 12) -> Any:
    rows = draw(st.lists(st.tuples(*(draw(pools(kind)) for kind in kinds)), max_size=max_rows))
    return rows, as_columns(kinds, rows)


def as_columns(kinds: list[str], rows: list[tuple[Any, ...]]) -> list[Any]:
    return [build(kind, [row[i] for row in rows]) for i, kind in enumerate(kinds)]


#: Types that may meet as keys of a merge.
COMPARABLE = st.one_of(
    st.tuples(st.sampled_from(NUMBERS), st.sampled_from(NUMBERS)),
    st.tuples(*[st.sampled_from(["S3", "S12", "text"])] * 2),
)


@st.composite
def key_tables(draw: st.DrawFn, ordered: bool, max_rows: int = 12) -> Any:
    """Two tables of keys that can be compared: (rows, columns) of each."""
    pairs = draw(st.lists(COMPARABLE, min_size=1, max_size=3))
    sides = []
    for kinds in ([a for a, _ in pairs], [b for _, b in pairs]):
        rows, cols = draw(rows_of(kinds, max_rows))
        if ordered:
            rows = sorted(rows, key=order_key)
            cols = as_columns(kinds, rows)
        sides.append((rows, cols))
    return sides


def model_merge(
    left: list[tuple[Any, ...]], right: list[tuple[Any, ...]], how: str
) -> tuple[list[int], list[int]]:
    """The model's pairs in the engine's form: row numbers of each side, -1 for none."""
    pairs = [[-1 if row is None else row for row in pair] for pair in merge(left, right, how)]
    return [i for i, _ in pairs], [j for _, j in pairs]


def blocks(cols: list[Any], cuts: list[int]) -> list[list[Any]]:
    """The columns cut at rows `cuts`."""
    bounds = [0, *sorted(cuts), selection.length(cols[0])]
    return [[col[a:b] for col in cols] for a, b in itertools.pairwise(bounds)]


def joined_at_once(join: Any, left: list[Any], right: list[Any], how: Any, **memory: Any) -> Any:
    """All pairs of a join of columns in memory."""
    with Workspace(**memory) as work:
        return concatenated(join(Source.of(left), Source.of(right), how, work))
