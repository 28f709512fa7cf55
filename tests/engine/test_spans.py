from __future__ import annotations

import csv
import io
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exetera_zarr.engine.columns import spans, strings
from support.engine_model import (
    BYTES,
    blocks,
    build,
    columns,
    listed,
    rows_of,
    tables,
)
from support.model import is_nan, order_key
from support.model import spans as model_spans


def bounds_of(n: int, cuts: list[int]) -> np.ndarray:
    """Spans of `n` rows that begin at `cuts`."""
    return np.array(sorted({0, n, *(c for c in cuts if c < n)}), np.int64)


def parts(values: list, bounds: np.ndarray) -> list[list]:
    return [values[a:b] for a, b in itertools.pairwise(bounds.tolist())]


SPANS = st.lists(st.integers(0, 12), max_size=6)


@given(tables(), st.booleans())
def test_spans_are_runs_of_equal_rows(table, nan_equal):
    """Over any types and any number of columns, a span begins where a row differs."""
    rows, cols = table
    assert spans.find_spans(cols, nan_equal).tolist() == model_spans(rows, nan_equal)


@given(tables(), st.booleans(), st.lists(st.integers(0, 12), max_size=5))
def test_spans_of_blocks_are_those_of_the_whole(table, nan_equal, cuts):
    """Fed in any blocks, also empty ones, the finder knows what find_spans knows."""
    rows, cols = table
    finder = spans.SpanFinder(nan_equal)
    found = []
    for block in blocks(cols, [min(c, len(rows)) for c in cuts]):
        found += finder.feed(block).tolist()
    assert [*found, finder.finish()] == spans.find_spans(cols, nan_equal).tolist()


@pytest.mark.parametrize("nan_equal", [False, True])
def test_spans_of_every_split_of_a_column(nan_equal):
    """All 64 ways to cut seven rows give the same spans, for numbers and strings alike."""
    cols = [
        np.array([1, 1, math.nan, math.nan, 2, 2, 2]),
        strings.encode("aaaabbb".replace("", " ").split()),
    ]
    whole = spans.find_spans(cols, nan_equal).tolist()
    for size in range(7):
        for cuts in itertools.combinations(range(1, 7), size):
            finder = spans.SpanFinder(nan_equal)
            found = [s for block in blocks(cols, list(cuts)) for s in finder.feed(block).tolist()]
            assert [*found, finder.finish()] == whole


def test_the_finder_refuses_blocks_of_another_shape():
    """A block of another type or with another number of columns is not compared."""
    finder = spans.SpanFinder()
    finder.feed([np.array([1])])
    with pytest.raises(TypeError, match="float64 after one of int64"):
        finder.feed([np.array([1.0])])
    with pytest.raises(ValueError, match="2 columns after blocks of 1"):
        finder.feed([np.array([1]), np.array([1])])


def test_find_spans_refuses_what_is_no_table():
    """No columns, or columns of different lengths, have no rows to compare."""
    with pytest.raises(ValueError, match="at least one column"):
        spans.find_spans([])
    with pytest.raises(ValueError, match="different lengths"):
        spans.find_spans([np.zeros(1), np.zeros(2)])
    with pytest.raises(TypeError, match="not a column"):
        spans.find_spans([[1, 2]])
    with pytest.raises(TypeError, match="dtype object"):
        spans.find_spans([np.array([None])])


@pytest.mark.parametrize(
    ("wrong", "n", "message"),
    [
        ([0, 2, 2, 4], 4, "span 1 is empty"),
        ([0, 3, 2, 4], 4, "span 1 ends before"),
        ([0, 2], 3, "end at row 2, the data has 3"),
        ([1, 3], 3, "start with 0"),
        ([], 0, "start with 0"),
    ],
)
def test_spans_that_do_not_fit_are_refused(wrong, n, message):
    """Empty, descending, short and late spans are errors that say where."""
    with pytest.raises(ValueError, match=message):
        spans.check_spans(wrong, n)
    with pytest.raises(TypeError):
        spans.check_spans([0.0, 1.0], 1)


@given(columns(), SPANS)
def test_rows_and_values_at_the_ends_of_spans(drawn, cuts):
    """count, first and last agree with slices of the list, for every type."""
    _, values, col = drawn
    bounds = bounds_of(len(values), cuts)
    pieces = parts(values, bounds)
    assert spans.count(bounds).tolist() == [len(p) for p in pieces]
    assert spans.index_of_first(bounds).tolist() == bounds[:-1].tolist()
    assert spans.index_of_last(bounds).tolist() == [b - 1 for b in bounds[1:].tolist()]
    for verb, at in ((spans.first, 0), (spans.last, -1)):
        for found, piece in zip(listed(verb(bounds, col)), pieces, strict=True):
            assert found == piece[at] or is_nan(found)


@given(columns(), SPANS)
def test_extremes_of_spans(drawn, cuts):
    """min, max and their rows are those of a loop: bytes order, first of ties, NaN as in numpy."""
    _, values, col = drawn
    bounds = bounds_of(len(values), cuts)
    least, greatest = listed(spans.min(bounds, col)), listed(spans.max(bounds, col))
    at_least = spans.index_of_min(bounds, col).tolist()
    at_greatest = spans.index_of_max(bounds, col).tolist()
    for i, (start, stop) in enumerate(itertools.pairwise(bounds.tolist())):
        piece = values[start:stop]
        nans = [k for k, v in enumerate(piece) if is_nan(v)]
        if nans:
            assert math.isnan(least[i])
            assert math.isnan(greatest[i])
            assert at_least[i] == at_greatest[i] == start + nans[0]
        else:
            assert least[i] == min(piece)
            assert greatest[i] == max(piece)
            assert at_least[i] == start + piece.index(min(piece))
            assert at_greatest[i] == start + piece.index(max(piece))


def test_the_least_string_is_the_shortest_prefix():
    """What ExeTera's apply_spans_min gets wrong (Q12) is right here."""
    found = spans.min([0, 3], strings.encode(["b", "aaaaa", "aa"]))
    assert listed(found) == [b"aa"]


@given(columns(["bool", "int8", "uint16", "float32", "float64"]), SPANS)
def test_sums_and_means_of_spans(drawn, cuts):
    """Sums of small types do not overflow; the mean is the sum by the count."""
    kind, values, col = drawn
    bounds = bounds_of(len(values), cuts)
    total, mean = spans.sum(bounds, col), spans.mean(bounds, col)
    expected = {"b": "int64", "i": "int64", "u": "uint64", "f": "float64"}[np.dtype(kind).kind]
    assert (total.dtype, mean.dtype) == (expected, "float64")
    with np.errstate(all="ignore"):
        for found, average, piece in zip(total, mean, parts(values, bounds), strict=True):
            exact = np.sum(np.array(piece, float))
            np.testing.assert_allclose(float(found), exact, rtol=1e-12)
            np.testing.assert_allclose(average, exact / len(piece), rtol=1e-12)


def test_sum_and_mean_refuse_strings():
    """There is no sum of strings."""
    for col in (strings.encode(["a"]), np.array([b"a"])):
        for verb in (spans.sum, spans.mean):
            with pytest.raises(TypeError, match="needs numbers"):
                verb([0, 1], col)


@pytest.mark.parametrize("verb", ["first", "last", "min", "max", "sum", "mean", "index_of_min"])
def test_no_rows_have_no_spans(verb):
    """The spans [0] of an empty column give an empty answer of the right type."""
    found = getattr(spans, verb)([0], np.zeros(0, np.int8))
    assert len(found) == 0


@given(st.lists(BYTES, max_size=12), SPANS)
def test_concat_writes_a_line_of_csv_per_span(values, cuts):
    """Joined as csv.writer would join the non-empty strings, quoting only for commas and quotes."""
    bounds = bounds_of(len(values), cuts)

    def cell(value: bytes) -> bytes:
        special = b"," in value or b'"' in value
        return b'"' + value.replace(b'"', b'""') + b'"' if special else value

    expected = [b",".join(cell(v) for v in piece if v) for piece in parts(values, bounds)]
    arr = strings.encode([b"x", *values])[1:]
    assert spans.concat(bounds, arr).to_pylist() == expected


@given(st.lists(st.text(alphabet='ab,"é', min_size=1), min_size=1, max_size=6))
def test_csv_reads_back_what_concat_joined(values):
    """The joined line, read as CSV, is the list of strings again."""
    joined = strings.decode(spans.concat([0, len(values)], strings.encode(values)))[0]
    assert next(csv.reader(io.StringIO(joined))) == values


def test_concat_needs_strings():
    """Fixed strings and numbers are the caller's to convert."""
    with pytest.raises(TypeError, match="needs strings"):
        spans.concat([0, 1], np.array([b"a"]))


@given(rows_of(["float64", "text"]))
def test_sorted_rows_have_one_span_per_distinct_row(table):
    """With equal NaNs, spans of sorted rows are the groups of a group-by."""
    rows, _ = table
    rows = sorted(rows, key=order_key)
    cols = [build("float64", [r[0] for r in rows]), build("text", [r[1] for r in rows])]
    distinct = {("nan" if r[0] != r[0] else r[0], r[1]) for r in rows}
    assert len(spans.find_spans(cols, nan_equal=True)) - 1 == len(distinct)
