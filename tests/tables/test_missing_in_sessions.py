"""Missing values in the functions of a session on fields and arrays, beside plain models."""

from __future__ import annotations

import itertools
import uuid
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exetera_zarr import DataError, Session, merge
from exetera_zarr.errors import RowError
from exetera_zarr.tables.session_joins import INVALID_INDEX
from support.missing import (
    DAYS,
    KINDS,
    brought,
    close_scratch,
    examples,
    merged_rows,
    scratch,
    values_of,
    write_column,
)

FORMS = ["field", "group", "array"]
"""As what a column is given to a session."""
NAN_APART = ("float64", "float32", "moment")
"""The kinds of which each missing value is a run of its own, as NaN is."""


@pytest.fixture(scope="module", autouse=True)
def _closed_in_the_end():
    yield
    close_scratch()


class Column:
    """A column of some kind in a table, and what it says."""

    def __init__(self, table: Any, name: str, kind: str, values: list[Any]) -> None:
        self.kind, self.values = kind, values
        self.field = KINDS[kind].create(table, name)
        write_column(self.field, values, KINDS[kind])

    def form(self, form: str) -> Any:
        """The column as a session takes it."""
        if form == "field":
            return self.field
        if form == "group":
            return self.field.dataframe.h5group.group(self.field.name)
        missing = [value is None for value in self.values]
        stored = self.field.data[:]
        if self.kind == "text":
            stored = np.array(stored, object)
        return np.ma.masked_array(stored, missing) if any(missing) else np.asarray(stored)

    def seen(self, result: Any) -> list[Any]:
        """What a session gave of the column, with None for what is missing."""
        if isinstance(result, tuple):
            offsets, data = result
            return [data[a:b].tobytes().decode() for a, b in itertools.pairwise(offsets)]
        if hasattr(result, "notna"):
            shown = [self.field._shown(value) for value in result.data[:]]
            there = result.notna().data[:]
            return [value if has else None for value, has in zip(shown, there, strict=True)]
        if isinstance(result, list):
            return result
        if isinstance(result, np.ma.MaskedArray):
            assert result.dtype.kind != "f" or not result.mask.any()
            assert result.mask.any()
        gone = np.ma.getmaskarray(np.ma.asarray(result))
        if result.dtype.kind == "f":
            gone = gone | np.isnan(result)
        data = np.ma.getdata(result)
        return [
            None if missing else (value if result.dtype.kind in "OU" else self.field._shown(value))
            for value, missing in zip(data, gone, strict=True)
        ]

    def dest(self, name: str) -> Any:
        """An empty field of the same type in the same table."""
        return self.field.create_like(self.field.dataframe, name)


def plain(result: Any) -> list[Any]:
    """Whole numbers, with None for those that are masked."""
    return np.ma.asarray(result).tolist()


def cells(kind: str) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), KINDS[kind].values)


@st.composite
def columns(draw: Any, most: int = 8) -> tuple[str, list[Any]]:
    kind = draw(st.sampled_from(list(KINDS)))
    return kind, draw(st.lists(cells(kind), max_size=most))


def key(value: Any) -> Any:
    """What sorts as a key does: what is missing last."""
    if isinstance(value, str):
        value = value.encode()
    return (value is None, 0 if value is None else value)


def runs(rows: list[tuple[Any, ...]], apart: list[bool]) -> list[int]:
    """The spans of rows, where each missing value of some columns is a run of its own."""
    starts = [0]
    for row in range(1, len(rows)):
        before, here = rows[row - 1], rows[row]
        lone = any(b is None and alone for b, alone in zip(here, apart, strict=True))
        if before != here or lone:
            starts.append(row)
    return [*starts, len(rows)] if rows else [0]


AGGREGATES = {
    "first": lambda rows, _: rows[0],
    "last": lambda rows, _: rows[-1],
    "min": lambda rows, by: min(rows, key=by),
    "max": lambda rows, by: max(rows, key=by),
}


@given(columns(), st.sampled_from(FORMS), st.data())
def test_aggregates_of_spans(given_column, form, data):
    """They are of the values that there are; of none they are missing, also in a destination."""
    kind, values = given_column
    cuts = data.draw(st.sets(st.integers(1, max(len(values) - 1, 1))))
    spans = sorted({0, len(values)} | {cut for cut in cuts if cut < len(values)})
    with scratch(2) as ds:
        session, table = ds.session, ds.create_dataframe("t")
        column = Column(table, "x", kind, values)
        for what, pick in AGGREGATES.items():
            rows = [
                pick(there, lambda row: key(values[row])) if there else None
                for a, b in itertools.pairwise(spans)
                if (there := [row for row in range(a, b) if values[row] is not None]) or True
            ]
            expected = [None if row is None else values[row] for row in rows]
            dest = column.dest(f"{what}_of_x")
            function = getattr(session, f"apply_spans_{what}")
            for times in (1, 2):
                found = function(np.array(spans), column.form(form), dest)
                assert column.seen(found) == expected
                assert column.seen(dest) == expected * times
            of_field = getattr(column.field, f"apply_spans_{what}")(np.array(spans))
            assert column.seen(of_field) == expected
            # A target that says something of other rows is told anew.
            again = getattr(column.field, f"apply_spans_{what}")(np.array(spans), target=dest)
            assert column.seen(again) == expected
            if what in ("min", "max"):
                numbers = table.create_numeric(f"row_of_{what}", "int64")
                function = getattr(session, f"apply_spans_index_of_{what}")
                found = function(np.array(spans, "int32"), column.form(form), numbers)
                assert (plain(found), found.dtype) == (rows, np.int32)
                there = numbers.notna().data[:]
                assert [
                    row if has else None for row, has in zip(numbers.data[:], there, strict=True)
                ] == rows
        copied = column.field.apply_filter(np.ones(len(values), bool))
        assert column.seen(copied) == values


@given(columns(), columns(), st.sampled_from(FORMS))
def test_runs(one, other, form):
    """Missing values that follow each other are one run, and no run of zeros."""
    size = min(len(one[1]), len(other[1]))
    with scratch(2) as ds:
        session, table = ds.session, ds.create_dataframe("t")
        first = Column(table, "x", one[0], one[1][:size])
        second = Column(table, "y", other[0], other[1][:size])
        apart = [column.kind in NAN_APART for column in (first, second)]
        of_one = runs([(value,) for value in first.values], apart[:1])
        assert list(session.get_spans(first.form(form))) == of_one
        of_both = runs(list(zip(first.values, second.values, strict=True)), apart)
        found = session.get_spans(fields=(first.form(form), second.form(form)))
        assert list(found) == of_both
        counts = session.aggregate_count(first.form(form))
        assert counts.tolist() == np.diff(of_one).tolist()
        dest = second.dest("dest")
        expected = []
        for a, b in itertools.pairwise(of_one):
            there = [value for value in second.values[a:b] if value is not None]
            expected.append(max(there, key=key) if there else None)
        assert session.aggregate_max(first.form(form), second.form(form), dest) is dest
        assert second.seen(dest) == expected
        custom = session.aggregate_custom(
            session.apply_spans_max, first.form(form), second.form(form)
        )
        assert second.seen(custom) == expected


@given(columns(), columns(), st.sampled_from(FORMS))
def test_sort_indices(one, other, form):
    """What is missing comes last; equal rows stay in order."""
    size = min(len(one[1]), len(other[1]))
    with scratch(2) as ds:
        session, table = ds.session, ds.create_dataframe("t")
        first = Column(table, "x", one[0], one[1][:size])
        second = Column(table, "y", other[0], other[1][:size])
        keys = [(key(a), key(b)) for a, b in zip(first.values, second.values, strict=True)]
        found = session.dataset_sort_index((first.form(form), second.form(form)))
        assert found.tolist() == sorted(range(size), key=keys.__getitem__)
        session.sort_on(table, ds.create_dataframe("out"), ["x", "y"])
        rows = [(first.values[row], second.values[row]) for row in found]
        assert [tuple(row.values()) for row in values_of(ds["out"], ["x", "y"])] == rows


@given(columns(), columns(), st.sampled_from(FORMS))
def test_distinct(one, other, form):
    """What is missing is one value, the last one."""
    size = min(len(one[1]), len(other[1]))
    with scratch(2) as ds:
        session, table = ds.session, ds.create_dataframe("t")
        first = Column(table, "x", one[0], one[1][:size])
        second = Column(table, "y", other[0], other[1][:size])
        found = session.distinct(first.form(form))
        assert first.seen(found) == sorted(set(first.values), key=key)
        rows = set(zip(first.values, second.values, strict=True))
        expected = sorted(rows, key=lambda row: (key(row[0]), key(row[1])))
        a, b = session.distinct(fields=[first.form(form), second.form(form)])
        assert list(zip(first.seen(a), second.seen(b), strict=True)) == expected
        keep = Column(table, "keep", "bool", [[None, True, False][row % 3] for row in range(size)])
        kept = session.distinct(first.form(form), filter=keep.field)
        assert first.seen(kept) == sorted(set(first.values[1::3]), key=key)


@st.composite
def pairs_of_keys(draw: Any) -> tuple[str, list[Any], list[Any]]:
    kind = draw(st.sampled_from(list(KINDS)))
    some = st.lists(cells(kind), max_size=7)
    return kind, draw(some), draw(some)


@given(pairs_of_keys(), st.sampled_from(FORMS), st.sampled_from(FORMS))
def test_indices(keys, one_form, other_form):
    """A foreign key that is missing is one that a missing key has, and no key that is 0."""
    kind, targets, wanted = keys
    with scratch(2) as ds:
        session, table = ds.session, ds.create_dataframe("t")
        target, foreign = Column(table, "t", kind, targets), Column(table, "f", kind, wanted)
        forms = target.form(one_form), foreign.form(other_form)
        places = {value: row for row, value in enumerate(targets)}
        alone = [value for value in wanted if value not in places]
        expected = [
            places.get(value, INVALID_INDEX + alone.index(value) if value in alone else 0)
            for value in wanted
        ]
        assert session.get_index(*forms).tolist() == expected
        every = sorted({*targets, *wanted}, key=key)
        found = session.get_shared_index(forms)
        assert found[0].tolist() == [every.index(value) for value in targets]
        assert found[1].tolist() == [every.index(value) for value in wanted]


@given(pairs_of_keys(), st.sampled_from(FORMS), columns(), st.data())
@examples(60)
def test_merges(keys, form, values, data):
    """A missing key is equal to missing ones alone; a row without a partner is missing."""
    kind, left, right = keys
    of_values = data.draw(st.lists(cells(values[0]), min_size=len(right), max_size=len(right)))
    with scratch(2) as ds:
        session, table = ds.session, ds.create_dataframe("t")
        one, other = Column(table, "l", kind, left), Column(table, "r", kind, right)
        value = Column(table, "v", values[0], of_values)
        on = one.form(form), other.form(form)
        singles = [(v,) for v in left], [(v,) for v in right]

        def expected(how: str, swapped: bool = False) -> list[Any]:
            sides = singles[::-1] if swapped else singles
            pairs = merged_rows(*sides, how, "equal")
            return [
                None if pair[1 - swapped] < 0 else of_values[pair[1 - swapped]] for pair in pairs
            ]

        rows = [j for _, j in merged_rows(*singles, "left", "equal")]
        in_order = [None if j < 0 else of_values[j] for j in rows]
        (found,) = session.merge_left(*on, right_fields=(value.form(form),))
        assert value.seen(found) == in_order
        writer = value.dest("writer")
        assert session.merge_left(*on, (value.field,), (writer,)) == []
        assert value.seen(writer) == in_order
        (found,) = session.merge_right(on[1], on[0], left_fields=(value.form(form),))
        assert value.seen(found) == in_order
        inner = [of_values[j] for _, j in merged_rows(*singles, "inner", "equal")]
        _, (found,) = session.merge_inner(*on, None, None, (value.form(form),), None)
        assert value.seen(found) == inner


@given(pairs_of_keys(), st.sampled_from(FORMS), st.data(), st.booleans())
@examples(60)
def test_ordered_merges(keys, form, data, missing_first):
    """The same of keys that ascend, wherever those that are missing lie."""
    kind, left, right = keys
    right = list(dict.fromkeys(right))
    by = (lambda v: (v is not None, key(v))) if missing_first else key
    left, right = sorted(left, key=by), sorted(right, key=by)
    if kind in NAN_APART:  # NaN is where it is in any order: last
        left, right = sorted(left, key=key), sorted(right, key=key)
    values_kind = data.draw(st.sampled_from(list(KINDS)))
    of_values = data.draw(st.lists(cells(values_kind), min_size=len(right), max_size=len(right)))
    with scratch(2) as ds:
        session, table = ds.session, ds.create_dataframe("t")
        one, other = Column(table, "l", kind, left), Column(table, "r", kind, right)
        value = Column(table, "v", values_kind, of_values)
        on = one.form(form), other.form(form)
        rows = [right.index(v) if v in right else -1 for v in left]
        expected = [None if row < 0 else of_values[row] for row in rows]
        (found,) = session.ordered_merge_left(*on, (value.form(form),), right_unique=True)
        assert value.seen(found) == expected
        sink, row_map = value.dest("sink"), table.create_numeric("map", "int64")
        assert (
            session.ordered_merge_left(*on, (value.field,), (sink,), row_map, right_unique=True)
            is None
        )
        assert value.seen(sink) == expected
        assert row_map.data[:].tolist() == [INVALID_INDEX if row < 0 else row for row in rows]
        (found,) = session.ordered_merge_right(on[1], on[0], (value.form(form),), left_unique=True)
        assert value.seen(found) == expected
        pairs = merged_rows([(v,) for v in left], [(v,) for v in right], "inner", "equal")
        _, (found,) = session.ordered_merge_inner(*on, (on[0],), None, (value.form(form),))
        assert value.seen(found) == [of_values[j] for _, j in pairs]


@given(columns(), st.sampled_from(FORMS), st.data())
def test_joins(given_column, form, data):
    """One value for each run of a foreign key; a row that no run names is missing."""
    kind, values = given_column
    size = len(values) + 2
    rows = [
        [None, row, INVALID_INDEX][data.draw(st.sampled_from([0, 1, 1, 2]))]
        for row in range(len(values))
    ]
    kept = [at for at, row in enumerate(rows) if at == 0 or row != rows[at - 1]]
    with scratch(2) as ds:
        session, table = ds.session, ds.create_dataframe("t")
        index = Column(table, "i", "int64", rows)
        value = Column(table, "v", kind, [values[at] for at in kept])
        expected = [None] * size
        for at in kept:
            if rows[at] not in (None, INVALID_INDEX):
                expected[rows[at]] = values[at]
        arguments = np.zeros(size), index.form(form), value.form(form)
        assert value.seen(session.join(*arguments)) == expected
        writer = value.dest("writer")
        assert session.join(*arguments, writer) is None
        assert value.seen(writer) == expected


@given(columns(), st.sampled_from(FORMS), st.data())
def test_chosen_rows(given_column, form, data):
    """What is missing stays so; a condition that is missing keeps no row."""
    kind, values = given_column
    wanted = data.draw(st.lists(cells("bool"), min_size=len(values), max_size=len(values)))
    with scratch(2) as ds:
        session, table = ds.session, ds.create_dataframe("t")
        column, keep = Column(table, "x", kind, values), Column(table, "keep", "bool", wanted)
        dest, expected = (
            column.dest("dest"),
            [v for v, has in zip(values, wanted, strict=True) if has],
        )
        times = 0
        for chosen in (keep.field, keep.form("array")):
            found = session.apply_filter(chosen, column.form(form), dest)
            assert column.seen(found) == expected
            times = 1 if form == "field" else times + 1
            assert column.seen(dest) == expected * times
        rows = data.draw(
            st.lists(st.integers(0, max(len(values) - 1, 0)), max_size=9 if values else 0)
        )
        dest = column.dest("other")
        found = session.apply_index(np.array(rows, int), column.form(form), dest)
        assert column.seen(found) == column.seen(dest) == [values[row] for row in rows]


def test_row_numbers_that_are_missing_name_no_row():
    with scratch() as ds:
        session, table = ds.session, ds.create_dataframe("t")
        values = Column(table, "x", "int8", [1, None, 3]).field
        rows = Column(table, "rows", "int64", [2, None]).field
        for index in (rows, np.ma.masked_array([2, 0], [False, True])):
            with pytest.raises(RowError, match="position 1 is missing"):
                session.apply_index(index, values)
            with pytest.raises(RowError, match="position 1 is missing"):
                session.dataset_sort_index((values,), index)


def test_keys_of_different_types_are_missing_alike():
    """A missing whole number is no 0.0, and equal to NaN; also in the merge of tables."""
    with scratch() as ds:
        session, table = ds.session, ds.create_dataframe("t")
        whole = Column(table, "i", "int8", [None, 0, 2]).field
        other = ds.create_dataframe("u")
        floats = Column(other, "f", "float64", [0.0, None, 2.0]).field
        assert session.get_index(floats, whole).tolist() == [1, 0, 2]
        assert session.get_index(whole, floats).tolist() == [1, 0, 2]
        (found,) = session.merge_left(whole, floats, (np.array([10, 20, 30]),))
        assert found.tolist() == [20, 10, 30]
        merge(table, other, ds.create_dataframe("m"), "i", "f", how="inner")
        assert values_of(ds["m"], ["i", "f"]) == [
            {"i": None, "f": None},
            {"i": 0, "f": 0.0},
            {"i": 2, "f": 2.0},
        ]


def test_keys_have_the_same_number_of_rows():
    with scratch() as ds:
        session, table = ds.session, ds.create_dataframe("t")
        short = Column(table, "x", "int8", [1, None]).field
        long = Column(table, "y", "int8", [1, None, 3]).field
        with pytest.raises(DataError, match="rows"):
            session.dataset_sort_index((short, long))
        with pytest.raises(DataError, match="rows"):
            session.get_spans(fields=(short, np.array([1, 2, 3])))


def test_a_destination_of_another_type_holds_what_is_there_or_says_why_not():
    """What is missing is so in any type; a fraction is never cut, nor a number wrapped."""
    with scratch() as ds:
        session, table = ds.session, ds.create_dataframe("t")
        spans = np.array([0, 2, 3])
        floats = Column(table, "f", "float64", [1.0, 2.0, None]).field
        whole = Column(table, "i", "int64", [300, 5, None]).field
        small = Column(table, "small", "int8", [])
        session.apply_spans_max(spans, floats, small.field)
        assert small.seen(small.field) == [2, None]
        wide = Column(table, "wide", "float64", [])
        session.apply_spans_max(spans, whole, wide.field)
        assert wide.seen(wide.field) == [300.0, None]
        for source in (whole, Column(table, "g", "float64", [1.5, None, 1.0]).field):
            with pytest.raises(DataError, match="does not fit"):
                session.apply_spans_max(spans, source, small.field)
        assert small.seen(small.field) == [2, None]


def test_joined_strings_are_of_those_that_there_are():
    with scratch() as ds:
        session, table = ds.session, ds.create_dataframe("t")
        texts = Column(table, "x", "text", ["a", None, "b", None, "", None])
        dest = texts.dest("dest")
        session.apply_spans_concat(np.array([0, 3, 4, 6]), texts.field, dest)
        assert texts.seen(dest) == ["a,b", None, ""]


@pytest.mark.parametrize("exetera", [False, True])
def test_the_faces_differ(exetera, place):
    """ExeTera's sees what is stored: 0 where nothing is, and where a row has no partner."""
    with Session(exetera=exetera) as session:
        ds = session.open_dataset(
            place.url(f"{uuid.uuid4().hex}.zarr"), "w", "d", storage_options=place.storage_options
        )
        table = ds.create_dataframe("t")
        table.create_numeric("n", "int8").data.write(np.array([2, 0, 3]))
        brought(table, "n_valid", [True, False, True])
        table.create_numeric("m", "float64").data.write(np.array([np.nan, 1.0, 2.0]))
        field, spans = table["n"], np.array([0, 2, 3])
        nothing = 0 if exetera else None
        assert session.apply_spans_min(spans, field).tolist() == [0 if exetera else 2, 3]
        assert session.dataset_sort_index((field,)).tolist() == (
            [1, 0, 2] if exetera else [0, 2, 1]
        )
        assert session.distinct(field).tolist() == ([0, 2, 3] if exetera else [2, 3, None])
        (found,) = session.merge_left(field, np.array([0, 2]), (np.array([7, 8]),))
        assert found.tolist() == [8, 7 if exetera else None, nothing]
        least = session.apply_spans_min(spans, table["m"]).tolist()
        assert np.isnan(least[0]) if exetera else least == [1.0, 2.0]


def test_moments_are_missing_as_nan():
    with scratch() as ds:
        session, table = ds.session, ds.create_dataframe("t")
        moments = Column(table, "x", "moment", [DAYS[1], None, None])
        found = session.apply_spans_min(np.array([0, 2, 3]), moments.field)
        assert not isinstance(found, np.ma.MaskedArray)
        assert found.tolist()[0] == DAYS[1].timestamp()
        assert np.isnan(found[1])
