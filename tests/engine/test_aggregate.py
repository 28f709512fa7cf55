"""Aggregates over spans and groups that are read by rows, against loops in Python."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exetera_zarr.engine.columns import selection, spans, strings
from exetera_zarr.engine.group import aggregate, duckdb_groups, holistic
from exetera_zarr.engine.streams.sorted_runs import DisorderError, first_disorder
from exetera_zarr.engine.streams.source import Source
from exetera_zarr.engine.streams.workspace import Workspace
from support import model
from support.engine_model import build, columns, listed, tables
from support.model import is_nan, same_key

STEPS = st.sampled_from([3, 5, 100])
#: Columns to aggregate, and which of the aggregates each has.
LIKE = ("count", "size", "nunique", "min", "max", "first", "last")
VALUES = {
    "bool": aggregate.NAMES,
    "int8": aggregate.NAMES,
    "uint64": aggregate.NAMES,
    "float32": aggregate.NAMES,
    "float64": aggregate.NAMES,
    "S3": LIKE,
    "S12": LIKE,
    "text": LIKE,
}
MODEST = st.sampled_from([math.nan, 0.0, -0.0, 1.5, -2.25, 1e6, 3.0])
ELEMENTS = {
    "bool": st.booleans(),
    "int8": st.integers(-128, 127),
    "uint64": st.integers(0, 5) | st.just(2**60),
    "float32": MODEST,
    "float64": MODEST,
    "S3": st.sampled_from([b"", b"a", b"ab", b"\xff"]),
    "S12": st.sampled_from([b"", b"a", b"twelve bytes", b"\xff"]),
    "text": st.sampled_from([b"", b"a", b"ab", b"\xff", b"much longer than twelve bytes"]),
}
WANTED = [(i, name) for i, names in enumerate(VALUES.values()) for name in names]


@st.composite
def keyed_tables(draw):
    """Rows of keys with their columns, as many rows of values, and some aggregates of these."""
    rows, columns = draw(tables(max_rows=14))
    values = [tuple(draw(ELEMENTS[kind]) for kind in VALUES) for _ in rows]
    wanted = draw(st.lists(st.sampled_from(WANTED), max_size=8, unique=True))
    return rows, columns, values, wanted


def all_groups(keys, values, wanted, step=100, memory=1 << 30, **options):
    """The keys and the results of all groups, as lists of columns."""
    found = [[] for _ in [*keys, *wanted]]
    length = len(keys[0])
    source = Source.of(values, step) if values else Source(length, [], lambda _a, _b: [], step)
    with Workspace(memory) as work:
        parts = aggregate.grouped(Source.of(keys, step), source, wanted, work, **options)
        for groups in parts:
            assert len({len(c) for c in [*groups.keys, *groups.results]}) == 1
            for known, part in zip(found, [*groups.keys, *groups.results], strict=True):
                known.extend(listed(part))
    return found[: len(keys)], found[len(keys) :]


def expected(name, values):
    """What the model says of the values of a group."""
    skip = name not in ("min", "max", "first", "last")
    if name in ("count", "size"):
        return len(values)
    if name in ("std", "var"):
        found = model.aggregate("std", [float(v) for v in values], skip_nan=True)
        return found if name == "std" else found * found
    if name in ("mean", "median", "sum") and isinstance(values[0], float):
        return float(model.aggregate(name, values, skip_nan=True))
    return model.aggregate(name, values, skip_nan=skip)


def check_groups(rows, values, found, wanted):
    keys, results = found
    groups = model.group(rows)
    found_keys = [same_key(row) for row in zip(*keys, strict=True)]
    assert found_keys == [same_key(rows[group[0]]) for group in groups]
    for (number, name), result in zip(wanted, results, strict=True):
        for group, value in zip(groups, result, strict=True):
            right = expected(name, [values[row][number] for row in group])
            if isinstance(right, float) and not math.isnan(right):
                assert value == pytest.approx(right, rel=1e-6, abs=1e-9), name
            else:
                assert (value == right) or (is_nan(value) and is_nan(right)), name


@settings(max_examples=60)
@given(keyed_tables(), STEPS)
def test_groups_of_rows_in_any_order(drawn, step):
    """Every aggregate of every type, by one to three keys of any type, hashed or in order."""
    rows, keys, values, wanted = drawn
    columns = [build(kind, [v[i] for v in values]) for i, kind in enumerate(VALUES)]
    check_groups(rows, values, all_groups(keys, columns, wanted, step), wanted)


@settings(max_examples=40)
@given(keyed_tables(), STEPS)
def test_both_ways_give_the_same(drawn, step):
    """Rows in order, in one pass or by DuckDB's hash or sort, give the same values and types."""
    rows, keys, values, wanted = drawn
    order = model.sort(rows, [True] * len(keys))
    keys = [selection.take(key, order) for key in keys]
    columns = [build(kind, [values[row][i] for row in order]) for i, kind in enumerate(VALUES)]
    linear = all_groups(keys, columns, wanted, step, ordered=True)
    check_groups([rows[i] for i in order], [values[i] for i in order], linear, wanted)
    hashed_too = all_groups(keys, columns, wanted, step, ordered=False)
    with pytest.MonkeyPatch.context() as patch:
        for module in (aggregate, holistic):
            patch.setattr(module, "hashed_groups", cannot_hash)
        sorted_too = all_groups(keys, columns, wanted, step, ordered=False)
    for other in (hashed_too, sorted_too):
        for ours, theirs in zip([*linear[0], *linear[1]], [*other[0], *other[1]], strict=True):
            assert [type(v) for v in ours] == [type(v) for v in theirs]
            assert theirs == close_to(ours)


def close_to(values):
    """Floats to be compared with some tolerance, other values exactly."""
    return [pytest.approx(v, rel=1e-12, nan_ok=True) if isinstance(v, float) else v for v in values]


def cannot_hash(*_):
    raise duckdb_groups.CannotHashError
    yield


@settings(max_examples=20)
@given(keyed_tables())
def test_what_does_not_fit_is_spilled(drawn):
    """Next to no memory for what is kept: medians of open groups and results go through files."""
    rows, keys, values, _ = drawn
    columns = [build("float64", [v[4] for v in values])]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Workspace, "spill", lambda work, dtype: SPILL(work, dtype, 0.0))
        for module in (aggregate, holistic):
            patch.setattr(module, "hashed_groups", cannot_hash)
        wanted = [(0, "median"), (0, "nunique"), (0, "count")]
        found = all_groups(keys, columns, wanted, 3)
    check_groups(rows, [(v[4],) for v in values], found, wanted)


SPILL = Workspace.spill


def test_a_group_over_many_blocks():
    """States of a group that goes on and on are joined, not held as rows."""
    rng = np.random.default_rng(0)
    values = rng.normal(1e3, 1, 1000)
    values[::7] = np.nan
    keys = np.array([1] * 990 + [2] * 10)
    wanted = [(0, name) for name in aggregate.NAMES]
    for ordered in (True, False):
        _, found = all_groups([keys], [values], wanted, 7, ordered=ordered)
        check_groups(
            [(k,) for k in keys.tolist()],
            [(v,) for v in values.tolist()],
            ([keys[[0, -1]].tolist()], found),
            wanted,
        )


def test_no_rows_have_no_groups():
    """Nothing in, nothing out; whatever is asked of them."""
    for ordered in (None, True, False):
        empty = [build(kind, []) for kind in VALUES]
        keys, results = all_groups([np.zeros(0)], empty, WANTED, ordered=ordered)
        assert keys == [[]]
        assert all(result == [] for result in results)


def test_counts_need_no_values():
    """Distinct keys and their rows, of a source of keys alone."""
    keys, (count,) = all_groups([np.array([2, 1, 2])], [], [(0, "count")])
    assert (keys, count) == ([[1, 2]], [1, 2])
    assert all_groups([np.array([2, 1, 2])], [], []) == ([[1, 2]], [])


def test_keys_are_given_in_one_form():
    """-0.0 comes back as 0.0 and every NaN as the one NaN, in order or not."""
    for keys in ([-0.0, 0.0, -math.nan], [-math.nan, 0.0, -0.0]):
        (found,), _ = all_groups([np.array(keys)], [], [])
        assert np.array_equal(
            np.array(found).view(np.uint64), np.array([0.0, math.nan]).view(np.uint64)
        )


@given(tables(), STEPS)
def test_the_first_row_out_of_order(table, step):
    """It is found wherever a block ends; groups that are said to be in order name it."""
    rows, columns = table
    where = next(
        (i for i in range(1, len(rows)) if model.order_key(rows[i]) < model.order_key(rows[i - 1])),
        None,
    )
    source = Source.of(columns, step)
    assert first_disorder(source) == where
    if where is not None:
        with pytest.raises(DisorderError, match=f"row {where} is less than row {where - 1}"):
            all_groups(columns, [], [], step, ordered=True)


WHOLE = {
    "int64": [2**63 - 1, -(2**63), 1, -1, 0, 2**62],
    "uint64": [2**64 - 1, 2**63, 0, 1],
}


@given(st.sampled_from(list(WHOLE)), st.data(), STEPS, st.booleans())
def test_whole_sums_are_exact_or_refused(dtype, data, step, ordered):
    """A sum that passes the limit on the way is right; one that ends beyond it is an error."""
    values = data.draw(st.lists(st.sampled_from(WHOLE[dtype]), min_size=1, max_size=10))
    keys = np.zeros(len(values), np.int8)
    total, limits = sum(values), np.iinfo(dtype)
    columns = [keys, np.array(values, dtype)]
    if limits.min <= total <= limits.max:
        _, ((found,),) = all_groups([keys], columns, [(1, "sum")], step, ordered=ordered)
        assert found == total
    else:
        with pytest.raises(OverflowError, match=f"column 1: a sum does not fit {dtype}"):
            all_groups([keys], columns, [(1, "sum")], step, ordered=ordered)


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize(
    ("values", "right"),
    [
        ([math.inf, 1.0], math.nan),
        ([1e300, -1e300], math.inf),
        ([1.5e308, -1.5e308], math.inf),
        ([1.5e308, -1.5e308, 1.5e308, 1.0], math.inf),
        ([1.5e308, 1.5e308, 1.5e308], 0.0),
        ([5.0, 5.0], 0.0),
    ],
)
@pytest.mark.parametrize("step", [1, 100])
def test_deviations_at_the_edges(ordered, values, right, step):
    """No error for what has no finite deviation, and the same however the rows come."""
    wanted = [(0, "std"), (0, "var")]
    keys = np.zeros(len(values))
    _, found = all_groups([keys], [np.array(values)], wanted, step, ordered=ordered)
    np.testing.assert_equal(found, [[right], [right]])


def test_what_is_refused():
    """Before anything is read."""

    def fail(_start, _stop):
        raise AssertionError

    keys, texts = Source(3, [np.zeros(0)], fail), Source(3, [strings.encode([])], fail)
    with Workspace() as work:
        for error, wanted, message in (
            (TypeError, "mean", "mean needs numbers, not string"),
            (TypeError, "median", "median needs numbers"),
            (ValueError, "mode", "no aggregate 'mode'"),
        ):
            with pytest.raises(error, match=message):
                next(aggregate.grouped(keys, texts, [(0, wanted)], work))
        with pytest.raises(ValueError, match="3 rows of keys, but 2"):
            next(aggregate.grouped(keys, Source.of([np.zeros(2)]), [], work, ordered=True))
        with pytest.raises(ValueError, match="at least one key"):
            next(aggregate.grouped(Source(3, [], fail), texts, [], work, ordered=True))


@pytest.mark.parametrize("name", ["sum", "median"])
def test_an_error_of_the_source_is_raised_as_it_is(tmp_path, name):
    """Not as what DuckDB makes of it; nothing is left."""

    def read(start, _stop):
        if start:
            raise OSError("the disk is gone")
        return [np.arange(3)]

    keys = Source(6, [np.zeros(0, np.int64)], read, 3)
    with Workspace(spill_dir=str(tmp_path)) as work, pytest.raises(OSError, match="disk is gone"):
        list(aggregate.grouped(keys, keys, [(0, name)], work, ordered=False))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ordered", [True, False])
def test_groups_need_not_be_read_to_the_end(tmp_path, ordered):
    """A consumer that stops leaves no file and no thread that reads on."""
    keys = Source.of([np.arange(1000)], 10)
    with Workspace(spill_dir=str(tmp_path)) as work:
        found = aggregate.grouped(keys, keys, [(0, "sum")], work, ordered=ordered)
        next(found)
        found.close()
    assert list(tmp_path.iterdir()) == []


# -- over spans

SPAN_VERBS = ["first", "last", "min", "max", "index_of_min", "index_of_max"]


@given(columns(), st.sets(st.integers(1, 11)), STEPS, st.booleans())
def test_spans_over_blocks_are_as_in_memory(drawn, cuts, step, spilled):
    """The same values and types as the functions for whole columns, wherever a block ends."""
    kind, values, col = drawn
    bounds = np.array(sorted({0, len(values), *(c for c in cuts if c < len(values))}), np.int64)
    verbs = list(SPAN_VERBS)
    verbs += ["concat"] if kind == "text" else []
    verbs += ["sum", "mean"] if kind in ("int8", "uint16", "float32", "float64") else []
    with Workspace() as work:
        given_spans = bounds
        if spilled:
            given_spans = work.spill(np.int64)
            given_spans.append(bounds)
        for verb in verbs:
            right = getattr(spans, verb)(bounds, col)
            parts = list(aggregate.over_spans(verb, given_spans, Source.of([col], step), work))
            found = selection.concat(parts) if parts else right[:0]
            assert getattr(found, "dtype", None) == getattr(right, "dtype", None)
            assert listed(found) == close_to(listed(right))


@given(st.sets(st.integers(1, 30)), STEPS, st.booleans())
def test_rows_of_spans_read_nothing(cuts, step, spilled):
    """count, index_of_first and index_of_last need no column."""
    bounds = np.array([0, *sorted(cuts)], np.int64)
    source = Source(int(bounds[-1]), [], lambda _a, _b: [], step)
    with Workspace() as work:
        given_spans = bounds
        if spilled:
            given_spans = work.spill(np.int64)
            given_spans.append(bounds)
        for verb in ("count", "index_of_first", "index_of_last"):
            parts = aggregate.over_spans(verb, given_spans, source, work)
            found = np.concatenate([np.zeros(0, np.int64), *parts])
            assert found.tolist() == getattr(spans, verb)(bounds).tolist()


@pytest.mark.parametrize("spilled", [True, False])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([], "start with 0"),
        ([1, 9], "start with 0"),
        ([0, 4], "end at row 4, the data has 9"),
        ([0, 2, 4, 6, 6, 9], "span 3 is empty: from row 6"),
        ([0, 2, 4, 6, 8, 7, 9], "span 4 ends before it starts"),
    ],
)
def test_wrong_spans(wrong, message, spilled):
    """An error that says where, not a wrong answer."""
    with Workspace() as work:
        given_spans = np.array(wrong, np.int64)
        if spilled:
            given_spans = work.spill(np.int64)
            given_spans.append(np.array(wrong, np.int64))
        for verb in ("min", "count"):
            with pytest.raises(ValueError, match=message):
                list(aggregate.over_spans(verb, given_spans, Source.of([np.arange(9)], 2), work))
