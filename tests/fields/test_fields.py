"""Fields: the same behaviour stored on any back end and in memory, against numpy."""

from __future__ import annotations

import operator
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from exetera_zarr import DataError, NameTakenError, ReadOnlyError, Session
from exetera_zarr.fields import (
    CategoricalField,
    FixedStringField,
    IndexedStringField,
    NumericField,
    TimestampField,
    dtype_to_str,
)
from exetera_zarr.fields.expressions.operators import compute

ROWS = 23
TEXTS = ["b", "", "a", "日本", "aa", "b\0c", "\udcff", "z" * 50] * 2 + ["b"] * 7
KINDS = ["bool", "int8", "int64", "uint64", "float32", "float64", "time", "cat", "fixed", "string"]


PLACES = ["local", "memory", pytest.param("s3", marks=pytest.mark.s3), "hdf5", "in memory"]


@pytest.fixture(params=PLACES)
def table(request, tmp_path):
    """A table with blocks of four rows on a back end; or one whose fields are copied to memory."""
    yield from make_table(request, tmp_path)


@pytest.fixture(params=PLACES)
def exetera_table(request, tmp_path):
    """The same in ExeTera's face."""
    yield from make_table(request, tmp_path, exetera=True)


def make_table(request, tmp_path, **options):
    url, storage_options = str(tmp_path / "x.zarr"), {}
    if request.param == "s3":
        place = request.getfixturevalue("s3_place")
        url, storage_options = place.url("x.zarr"), place.storage_options
    if request.param == "hdf5":
        pytest.importorskip("h5py")
        url = str(tmp_path / "x.hdf5")
    if request.param == "memory":
        url = f"memory://{tmp_path.name}"
    with Session(row_block=4, **options) as s:
        ds = s.open_dataset(url, "w", "d", storage_options=storage_options)
        frame = ds.create_dataframe("t")
        frame.in_memory = request.param == "in memory"
        yield frame


def make(frame, kind):
    """A field of a kind with 23 rows, and its values as numpy or a list has them."""
    rng = np.random.default_rng(KINDS.index(kind))
    if kind == "string":
        field, values = frame.create_indexed_string(kind), list(TEXTS)
    elif kind == "fixed":
        values = np.asarray([b"%d" % n for n in rng.integers(0, 30, ROWS).tolist()], "S4")
        field = frame.create_fixed_string(kind, 4)
    elif kind == "cat":
        field = frame.create_categorical(kind, "int8", {"no": 0, "yes": 1, "maybe": -3})
        values = rng.choice(np.array([0, 1, -3], "int8"), ROWS)
    elif kind == "time":
        field, values = frame.create_timestamp(kind), rng.integers(0, 10**9, ROWS).astype("float64")
    else:
        field, values = frame.create_numeric(kind, kind), rng.integers(0, 9, ROWS).astype(kind)
    if frame.in_memory:
        field = field.create_like()
    field.data.write(values)
    return field, values


def rows(values, index):
    """Values by row numbers."""
    return [values[i] for i in index] if isinstance(values, list) else values[index].tolist()


def listed(data):
    return data if isinstance(data, list) else data.tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_reading(table, kind):
    """Rows by number, by slices with any bounds and step, by mask, by row numbers, one by one."""
    field, values = make(table, kind)
    data = field.data
    assert len(field) == len(data) == ROWS
    everything = rows(values, range(ROWS))
    for item in (
        slice(None),
        slice(3, 9),
        slice(-5, None),
        slice(None, -20),
        slice(5, 2),
        slice(0, 99),
        slice(None, None, 3),
        slice(None, None, -1),
        slice(20, 3, -4),
        slice(-99, 4),
    ):
        assert listed(data[item]) == everything[item], item
    assert listed(data[...]) == everything
    assert listed(data[()]) == everything
    mask = np.arange(ROWS) % 3 == 0
    assert listed(data[mask]) == rows(values, np.flatnonzero(mask))
    for index in ([22, 0, 0, 5, -1], [], np.array([7], "uint8")):
        assert listed(data[index]) == rows(values, np.asarray(index, int))
    for row in (0, 5, -1, np.int64(3), np.uint8(22)):
        assert data[row] == everything[row]
    assert [x for x in data] == everything  # noqa: C416
    for row in (ROWS, -ROWS - 1):
        with pytest.raises(ValueError, match="row"):
            data[row]
        with pytest.raises(IndexError):
            data[[0, row]]
    with pytest.raises(IndexError):
        data[np.ones(ROWS + 1, bool)]


@pytest.mark.parametrize("kind", KINDS)
def test_writing_in_parts(table, kind):
    """Parts append; `clear` starts anew; an empty field reads as empty with its type."""
    field, values = make(table, kind)
    empty = field.create_like()
    assert len(empty) == 0
    assert listed(empty.data[:]) == []
    if kind != "string":
        assert empty.data[:].dtype == values.dtype
    field.data.clear()
    for start in range(0, ROWS, 5):
        field.data.write_part(values[start : start + 5])
    field.data.complete()
    assert listed(field.data[:]) == rows(values, range(ROWS))
    field.data.write(empty)
    assert len(field) == ROWS
    empty.data.write(field)
    assert listed(empty.data[:]) == rows(values, range(ROWS))


@pytest.mark.parametrize("kind", KINDS)
def test_filter_index_and_targets(table, kind):
    """Into memory, into a target of any length, in place, and over itself."""
    field, values = make(table, kind)
    mask = np.arange(ROWS) % 2 == 1
    index = np.array([3, 3, 22, 0, -2])
    kept, picked = rows(values, np.flatnonzero(mask)), rows(values, index)
    assert listed(field.apply_filter(mask).data[:]) == kept
    assert listed(field.apply_filter(mask.astype("int8") * 2).data[:]) == kept
    assert listed(field.apply_index(index).data[:]) == picked
    assert type(field.apply_index(index)) is type(field)
    target = field.create_like()
    for turn in range(2):
        assert field.apply_index(index, target=target) is target
        assert listed(target.data[:]) == picked, turn
        field.apply_filter(mask, target=target)
        assert listed(target.data[:]) == kept
    assert listed(field.data[:]) == rows(values, range(ROWS))
    assert field.apply_filter(mask, in_place=True) is field
    assert listed(field.data[:]) == kept
    field.apply_index(np.array([1, 0]), target=field)
    assert listed(field.data[:]) == [kept[1], kept[0]]


def test_filters_that_do_not_fit(table):
    """A wrong length, type or form is an error, and the field stays as it was."""
    field, values = make(table, "int64")
    with pytest.raises(IndexError, match="22 rows"):
        field.apply_filter(np.ones(ROWS - 1, bool), in_place=True)
    with pytest.raises(IndexError):
        field.apply_index(np.array([0, ROWS]), in_place=True)
    with pytest.raises(ValueError, match="filter"):
        field.apply_filter([1] * ROWS)
    with pytest.raises(IndexError, match="filter has 22 rows"):
        field.apply_filter([True] * (ROWS - 1))
    with pytest.raises(TypeError):
        field.apply_filter(np.array(["a"] * ROWS))
    with pytest.raises(ValueError, match="not both"):
        field.apply_filter(np.ones(ROWS, bool), target=field.create_like(), in_place=True)
    text, _ = make(table, "string")
    for one, other in ((field, text), (text, field)):
        with pytest.raises(ValueError, match="cannot hold"):
            one.apply_filter(np.ones(ROWS, bool), target=other)
        assert len(other) == ROWS
    assert field.data[:].tolist() == values.tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_spans(table, kind):
    """Runs across block borders; first, last, least and greatest of each."""
    field, values = make(table, kind)
    repeated = np.repeat(np.arange(ROWS), 3)[:ROWS]
    field.apply_index(repeated, in_place=True)
    everything = rows(values, repeated)
    starts = [i for i in range(ROWS) if i == 0 or everything[i] != everything[i - 1]]
    found = field.get_spans()
    assert listed(found) == [*starts, ROWS]
    assert isinstance(found, list) == (kind == "string")
    spans = np.array([0, 1, 4, 5, 13, ROWS])
    parts = [everything[a:b] for a, b in zip(spans[:-1], spans[1:], strict=True)]

    def by_bytes(text):
        return text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text

    assert listed(field.apply_spans_first(spans).data[:]) == [p[0] for p in parts]
    assert listed(field.apply_spans_last(spans).data[:]) == [p[-1] for p in parts]
    assert listed(field.apply_spans_min(spans).data[:]) == [min(p, key=by_bytes) for p in parts]
    assert listed(field.apply_spans_max(spans).data[:]) == [max(p, key=by_bytes) for p in parts]
    for wrong in ([0, 0, ROWS], [0, ROWS + 1], [0, 5]):
        with pytest.raises(ValueError, match="span"):
            field.apply_spans_first(np.array(wrong))


def test_isin_is_exact_and_takes_text_for_fixed_strings(table):
    big = table.create_numeric("big", "uint64")
    big.data.write(np.array([2**53, 2**53 + 1, 2**64 - 1], np.uint64))
    assert big.isin([2**64 - 1, 2**53]).tolist() == [True, False, True]
    assert big.isin(2**53 + 1).tolist() == [False, True, False]
    fixed = table.create_fixed_string("fixed", 3)
    fixed.data.write([b"a", "\u00e9".encode(), b""])
    assert fixed.isin(["\u00e9", "a"]).tolist() == [True, True, False]
    assert fixed.isin({"", b"a"}).tolist() == [True, False, True]


def test_distinct_strings_keep_their_nuls(table):
    text = table.create_indexed_string("text")
    text.data.write(["a\0", "a", "a\0"])
    assert text.unique().tolist() == ["a", "a\0"]
    assert text.unique(return_counts=True)[0].tolist() == ["a", "a\0"]


def test_where_distinct_strings_come_from(table):
    """The inverse rebuilds the rows, whatever order the strings were first seen in."""
    text = table.create_indexed_string("text")
    text.data.write(["c", "a", "b", "a", "c"])
    distinct, inverse = text.unique(return_inverse=True)
    assert (distinct.tolist(), inverse.tolist()) == (["a", "b", "c"], [2, 0, 1, 0, 2])


@pytest.mark.parametrize("kind", KINDS)
def test_sorted_unique_and_isin(table, kind):
    """As numpy has them; strings by their bytes."""
    field, values = make(table, kind)
    everything = rows(values, range(ROWS))

    def by_bytes(text):
        return text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text

    order = sorted(range(ROWS), key=lambda i: by_bytes(everything[i]))
    assert field.is_sorted() == (everything == [everything[i] for i in order])
    field.apply_index(np.array(order), in_place=True)
    assert field.is_sorted()
    for column in range(1, ROWS):
        if everything[order[column]] != everything[order[column - 1]]:
            swap = np.arange(ROWS)
            swap[[column - 1, column]] = [column, column - 1]
            assert not field.apply_index(swap).is_sorted(), column
    ascending = [everything[i] for i in order]
    distinct, index, inverse, counts = field.unique(True, True, True)
    expected = [v for i, v in enumerate(ascending) if i == 0 or v != ascending[i - 1]]
    if field.type_name == "timestamp":
        assert distinct.dtype == "datetime64[us]"
        distinct = distinct.astype(np.int64) / 1e6
    assert [str(x) for x in distinct.tolist()] == [str(x) for x in expected]
    assert index.tolist() == [ascending.index(v) for v in expected]
    assert [expected[i] for i in inverse.tolist()] == ascending
    assert counts.tolist() == [ascending.count(v) for v in expected]
    wanted = ascending[3:5]
    assert field.isin(wanted).tolist() == [v in wanted for v in ascending]
    assert field.isin(set(wanted)).tolist() == [v in wanted for v in ascending]
    assert not field.isin([]).any()
    if kind == "fixed":
        assert field.isin([w.decode() for w in wanted]).tolist() == [v in wanted for v in ascending]
        assert not field.isin(["é", "x" * 99]).any()


def test_assignment(table):
    """One row, slices, masks and row numbers; the rest stays."""
    field, values = make(table, "int64")
    expected = values.copy()
    assignments = [
        (3, -1),
        (-1, -2),
        (slice(5, 12), np.arange(7)),
        (slice(2, 4), 77),
        (slice(None, None, 5), np.arange(5) * 11),
        (np.arange(ROWS) % 4 == 1, 8),
        ([22, 0, 13], [1, 2, 3]),
        (np.array([], int), []),
        (slice(4, 4), []),
        (slice(None), expected[::-1].copy()),
    ]
    for item, new in assignments:
        field.data[item] = new
        expected[item] = new
        assert field.data[:].tolist() == expected.tolist(), item
    for item, new in ((slice(0, 3), [1, 2]), ([0, 1], [1, 2, 3]), (0, [1, 2])):
        with pytest.raises(ValueError, match="values for"):
            field.data[item] = new
    assert field.data[:].tolist() == expected.tolist()


def test_strings_are_not_overwritten(table):
    """Text cannot be assigned in place, as in ExeTera."""
    field, _ = make(table, "string")
    with pytest.raises(PermissionError):
        field.data[0] = "x"


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("int8", np.array([1, 300])),
        ("int8", np.array([1.0, np.nan])),
        ("int64", np.array([1e300])),
        ("int64", np.array([2.0**63])),
        ("uint64", np.array([-1])),
        ("uint64", np.array([-0.0, -1.0])),
        ("int8", np.array(["1"])),
        ("bool", np.array([1.0, np.nan])),
        ("bool", [0.0, 0.5]),
        ("int8", ["x"]),
        ("fixed", ["12345"]),
        ("fixed", [b"12345"]),
        ("fixed", np.array([1, 2])),
        ("fixed", ["a", 1]),
        ("int64", np.zeros((2, 2), int)),
    ],
)
def test_values_that_do_not_fit(table, kind, values):
    """An error that says what and where, and nothing is written."""
    field, before = make(table, kind)
    with pytest.raises(DataError):
        field.data.write(values)
    with pytest.raises((DataError, ValueError)):
        field.data[:2] = values
    assert field.data[:].tolist() == before.tolist()


def test_values_that_are_converted(exetera_table):
    """Floats lose their fraction, lists wrap as ExeTera's did, text is encoded."""
    field, _ = make(exetera_table, "int8")
    field.data.clear()
    field.data.write(np.array([1.9, -1.9, 127.9, -128.9]))
    field.data.write([300, -129, True])
    field.data.write(x for x in (5, 6))
    assert field.data[:].tolist() == [1, -1, 127, -128, 44, 127, 1, 5, 6]
    great = exetera_table.create_numeric("great", "uint64")
    great.data.write([1, 2**63 + 5, 2**64 - 1])
    assert great.data[:].tolist() == [1, 2**63 + 5, 2**64 - 1]
    flags, _ = make(exetera_table, "bool")
    flags.data.clear()
    flags.data.write(np.array([0.0, 1.0]))
    flags.data.write(np.array([0, 2]))
    flags.data.write([0, 1.0, True])
    assert flags.data[:].tolist() == [False, True, False, True, False, True, True]
    fixed, _ = make(exetera_table, "fixed")
    fixed.data.clear()
    fixed.data.write(["é", "ab", ""])
    fixed.data.write(np.array(["x", "abcd"]))
    assert fixed.data[:].tolist() == ["é".encode(), b"ab", b"", b"x", b"abcd"]


def test_strings_that_are_no_text(exetera_table):
    """Bytes, numbers or None among the strings are named, and nothing is written."""
    field, values = make(exetera_table, "string")
    for wrong in (["a", 1], [None], "abc", [["a"]]):
        with pytest.raises(TypeError):
            field.data.write(wrong)
    assert field.data[:] == values


BINARY = [operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv]
COMPARE = [operator.lt, operator.le, operator.eq, operator.ne, operator.gt, operator.ge]


@pytest.mark.parametrize("kind", ["int64", "float32", "cat", "time"])
@pytest.mark.parametrize("function", BINARY + COMPARE)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_operators(exetera_table, kind, function):
    """With a field, an array, a list and a scalar on either side, as numpy computes it."""
    field, values = make(exetera_table, kind)
    array = np.arange(ROWS, dtype="int32") + 1
    other = exetera_table.create_numeric("other", "int32")
    other.data.write(array)
    for right in (other, array, array.tolist(), 3, 2.5):
        plain = np.asarray(right) if isinstance(right, list) else right
        plain = array if right is other else plain
        with np.errstate(all="ignore"):
            for result, expected in (
                (function(field, right), function(values, plain)),
                (function(right, field), function(plain, values)),
            ):
                assert isinstance(result, NumericField)
                assert result.data.dtype == expected.dtype
                assert np.array_equal(result.data[:], expected, equal_nan=True)
    with pytest.raises(ValueError, match="rows"):
        function(field, array[:3])


@pytest.mark.parametrize(
    ("kind", "other", "hint"),
    [
        ("int64", "1", "with numbers"),
        ("int64", np.bytes_(b"1"), "with numbers"),
        ("int64", np.array(["1"] * ROWS), "an array of <U1: compare it with numbers"),
        ("int64", datetime(2020, 1, 1, tzinfo=UTC), "with numbers"),
        ("cat", np.datetime64("2020-01-01"), "with a name, of 'no', 'yes', 'maybe', or a code"),
        ("string", 1, "with text"),
        ("fixed", np.arange(ROWS), "with text"),
        ("time", b"2020-01-01", "with a datetime, a date, text such as"),
    ],
)
@pytest.mark.parametrize("function", [operator.eq, operator.ne, operator.lt])
@pytest.mark.parametrize("exetera", [False, True])
def test_what_cannot_be_compared(exetera, kind, other, hint, function):
    """An error on either side in both faces, never a silent False."""
    with Session(row_block=4, exetera=exetera) as s:
        table = s.open_dataset("memory://comparing", "w", "d").create_dataframe("t")
        table.in_memory = False
        field, _ = make(table, kind)
        for operands in ((field, other), (other, field)):
            with pytest.raises(TypeError, match=f"field t/{kind} .*{hint}"):
                function(*operands)


@pytest.mark.parametrize("kind", ["int64", "cat", "time"])
@pytest.mark.parametrize("function", [operator.eq, operator.ne, operator.lt, operator.add])
def test_numbers_beside_fields_of_strings(table, kind, function):
    field, _ = make(table, kind)
    where = "field in memory" if table.in_memory else f"field t/{kind}"
    for strings in ("string", "fixed"):
        other, _ = make(table, strings)
        with pytest.raises(TypeError, match=where):
            function(field, other)


def test_numbers_beside_none_and_wide_numbers(exetera_table):
    """None equals no row; a number beyond the field's type widens the result."""
    field, values = make(exetera_table, "int8")
    assert (field == None).data[:].tolist() == [False] * ROWS  # noqa: E711
    assert (field != None).data[:].tolist() == [True] * ROWS  # noqa: E711
    assert (field + 300).data[:].tolist() == (values.astype(int) + 300).tolist()
    assert (-300 - field).data[:].tolist() == (-300 - values.astype(int)).tolist()
    assert not (field > 300).data[:].any()
    where = "in memory" if exetera_table.in_memory else "t/int8"
    for wrong, error in ((lambda: field + None, TypeError), (lambda: field & 0.5, TypeError)):
        with pytest.raises(error, match=where):
            wrong()
    with pytest.raises(OverflowError, match=where):
        field + (1 << 70)
    with pytest.raises(ValueError, match=f"{where}.* {ROWS} rows, the other operand has 2"):
        field + np.arange(2)


@pytest.mark.parametrize(
    ("kind", "wrong", "said"),
    [
        ("int64", lambda f: f.data[ROWS], f"has no row {ROWS}, only {ROWS} rows"),
        ("string", lambda f: f.data[-ROWS - 1], f"has no row -{ROWS + 1}"),
        ("int64", lambda f: f.data[[0, 99]], "row 99"),
        ("string", lambda f: f.data[np.ones(2, bool)], "mask of 2 rows"),
        ("time", lambda f: f.data["a"], "not by 'a'"),
        ("time", lambda f: f.data[1.5], r"not by 1\.5"),
        ("fixed", lambda f: f.data.__setitem__(99, b"a"), "no row 99"),
        ("int64", lambda f: f.data.__setitem__(0, [1, 2]), "2 values for one row of"),
        ("string", lambda f: f.data.write(None), "iterable"),
        ("string", lambda f: f.data.write(["a", 1.5]), "float, not str"),
        ("string", lambda f: f.isin([1]), "int, not str"),
        ("int64", lambda f: f.isin(["1"]), "not go together with '1'"),
        ("cat", lambda f: f == "nope", "no category 'nope'.*'no', 'yes', 'maybe'"),
        ("fixed", lambda f: f.isin([1]), "strings, not int64"),
        ("cat", lambda f: f.apply_filter(np.ones(2, bool)), "filter has 2 rows"),
        ("cat", lambda f: f.apply_filter([1.5]), "not float64"),
        ("cat", lambda f: f.apply_filter([True]), "filter has 1 rows"),
        ("string", lambda f: f.apply_index(np.array([99])), "row 99"),
        ("bool", lambda f: f.apply_index(np.array([0.5])), "must be integers"),
        ("fixed", lambda f: f.apply_spans_first(np.array([0, 2])), "end at row 2"),
        ("fixed", lambda f: f.apply_spans_max([0, 2]), "the spans"),
    ],
)
def test_messages_name_the_field(table, kind, wrong, said):
    field, _ = make(table, kind)
    where = "field in memory" if table.in_memory else f"field t/{kind}"
    with pytest.raises((ValueError, TypeError, IndexError), match=said) as caught:
        wrong(field)
    assert where in str(caught.value)


def test_bits_and_remainders(table):
    """`& | ^ ~ % divmod` and `logical_not` of numbers."""
    field, values = make(table, "int64")
    flags, truth = make(table, "bool")
    assert (field & 3).data[:].tolist() == (values & 3).tolist()
    assert (3 | field).data[:].tolist() == (values | 3).tolist()
    assert (flags ^ True).data[:].tolist() == (~truth).tolist()
    assert (~flags).data[:].tolist() == (~truth).tolist()
    assert field.logical_not().data[:].tolist() == (values == 0).tolist()
    assert (field % 4).data[:].tolist() == (values % 4).tolist()
    quotient, remainder = divmod(field, 4)
    assert quotient.data[:].tolist() == (values // 4).tolist()
    assert remainder.data[:].tolist() == (values % 4).tolist()
    text, texts = make(table, "string")
    with pytest.raises(TypeError):
        text + 1
    assert (text == "a").data[:].tolist() == [one == "a" for one in texts]
    np.testing.assert_array_equal(values, field)
    np.testing.assert_array_equal(field, values)


def test_categories(exetera_table):
    """Names by code, a remap to other codes, keys of either form, and keys that are refused."""
    field, values = make(exetera_table, "cat")
    names = {0: b"no", 1: b"yes", -3: b"maybe"}
    assert field.keys == names
    mask = np.ones(ROWS, bool)
    for made in (
        field.create_like(),
        field.apply_filter(mask),
        field.create_like(exetera_table, "twin"),
    ):
        assert made.keys == names
    field.data[-1] = 77
    values[-1] = 77
    again = field.remap([(0, 5), (1, 6), (-3, 7)], {"n": 5, "y": 6, "m": 7})
    assert again.keys == again.create_like().keys == {5: "n", 6: "y", 7: "m"}
    assert again.data[:].tolist() == [{0: 5, 1: 6, -3: 7, 77: 0}[v] for v in values.tolist()]
    with pytest.raises(ValueError, match="-3"):
        field.remap([(0, 5), (1, 6)], {"n": 5})
    for number, key in enumerate(
        [{}, {"a": 300}, {"a": "b"}, {"a": 1, b"b": 2}, {"a": 1, "b": 1}, {1: 2}, None, ["a"]]
    ):
        with pytest.raises(DataError):
            exetera_table.create_categorical(f"bad{number}", "int8", key)
        assert f"bad{number}" not in exetera_table
    with pytest.raises(ValueError, match="integers"):
        exetera_table.create_categorical("bad", "float32", {"a": 1})


def test_like_and_types(table):
    """`create_like` has type, length, keys and no rows; in memory, or in a table."""
    for kind in KINDS:
        field, _ = make(table, kind)
        for twin in (field.create_like(), field.create_like(table, f"{kind} twin")):
            assert type(twin) is type(field)
            assert twin.fieldtype == field.fieldtype
            assert len(twin) == 0
        if kind == "cat":
            assert list(twin.keys) == list(field.keys)
        with pytest.raises(ValueError, match="name"):
            field.create_like(None, "x")
        with pytest.raises(NameTakenError):
            field.create_like(table, kind)
    classes = {"fixed": FixedStringField, "string": IndexedStringField, "cat": CategoricalField}
    classes |= {"time": TimestampField}
    for kind in KINDS:
        assert type(table[kind]) is classes.get(kind, NumericField)


def test_bad_types_are_refused_before_anything_is_made(table):
    """A wrong type or length is an error that leaves the name free."""
    for make_it in (
        lambda: table.create_numeric("x", "int7"),
        lambda: table.create_numeric("x", None),
        lambda: table.create_numeric("x", "S3"),
        lambda: table.create_numeric("x", "complex128"),
        lambda: table.create_fixed_string("x", 0),
        lambda: table.create_fixed_string("x", "three"),
        lambda: table.create_fixed_string("x", 2**40),
    ):
        with pytest.raises(DataError):
            make_it()
        assert "x" not in table
    assert dtype_to_str(np.float32) == dtype_to_str("float32") == "float32"


def test_astype(table):
    """A column changes its type under the same name and at the same place."""
    table.in_memory = False
    field, values = make(table, "int64")
    make(table, "bool")
    changed = field.astype("float32")
    assert table.keys() == ["int64", "bool"]
    assert table["int64"] is changed
    assert changed.nformat == "float32"
    assert changed.data[:].tolist() == values.tolist()
    with pytest.raises(TypeError):
        changed.astype("int8", casting="safe")
    with pytest.raises(ValueError, match="number type"):
        changed.astype("text")
    assert table["int64"].data[:].tolist() == values.tolist()
    changed.data[0] = np.nan
    with pytest.raises(ValueError, match=r"field t/int64 holds int8.*nan"):
        changed.astype("int8")


def test_read_only_and_gone(table):
    """A field that may not be written, one that was deleted, and one that was renamed."""
    table.in_memory = False
    field, _ = make(table, "int64")
    reader = NumericField(None, field.group, table, write_enabled=False)
    for attempt in (
        lambda: reader.data.write([1]),
        lambda: reader.data.clear(),
        lambda: reader.data.__setitem__(0, 1),
        lambda: reader.apply_filter(np.ones(ROWS, bool), in_place=True),
    ):
        with pytest.raises(ReadOnlyError):
            attempt()
    reader.writeable().data.write([1])
    assert len(field) == ROWS + 1
    table.rename("int64", "other")
    assert field.name == "other"
    assert table["other"] is field
    del table["other"]
    assert not field.valid
    with pytest.raises(ValueError, match="does not exist any more"):
        field.data[:]
    assert "no more" in repr(field)


def test_results_of_operators_are_not_held_in_memory():
    """Each block goes to the result, which may spill, before the next one is made."""
    held = 0
    most = 0

    class Block(np.ndarray):
        def __del__(self):
            nonlocal held
            held -= 1

    def watched(values):
        nonlocal held, most
        held += 1
        most = max(most, held)
        return (values + 1).view(Block)

    with Session(row_block=10) as s:
        table = s.open_dataset("memory://operators", "w", "d").create_dataframe("t")
        table.create_numeric("a", "int64").data.write(np.arange(500))
        result = compute(watched, table["a"])
        assert result.data[:].tolist() == list(range(1, 501))
    assert most <= 2


@pytest.mark.parametrize(
    "given",
    [
        ["a", "b\0"],
        (b"a", b"b\0"),
        np.array(["a", "b\0"], object),
        pd.Series(["a", "b\0"]),
        iter(["a", "b\0"]),
        [None, "\0", "b"],
        ["a", "b\0\0\0\0\0\0\0"],
    ],
)
def test_a_fixed_string_that_ends_in_a_nul_is_not_cut_silently(given):
    """The NULs that pad the others could not be told from it."""
    with Session() as s:
        table = s.open_dataset("memory://nuls", "w", "d").create_dataframe("t")
        fixed = table.create_fixed_string("f", 4)
        fixed.data.write(["b", "c\0d"])
        with pytest.raises(DataError, match=r"field t/f pads .* value 1 of those given, b?'"):
            fixed.data.write(given)
        with pytest.raises(DataError, match="value 0"):
            fixed.data[0] = "b\0"
        with pytest.raises(DataError, match="field t/f"):
            fixed.fillna("b\0")
        (texts := table.create_indexed_string("x")).data.write(["b\0", "c\0d"])
        with pytest.raises(DataError, match="value 0"):
            fixed.data.write(texts)
        assert fixed.data[:].tolist() == [b"b", b"c\0d"]
        assert fixed.isin(["b\0"]).tolist() == (fixed == "b\0").data[:].tolist() == [False, False]
        assert fixed.isin(texts).tolist() == [False, True]
    with Session(exetera=True) as s:  # as numpy has it
        fixed = s.open_dataset("memory://nuls", "w", "d").create_dataframe("t")
        (fixed := fixed.create_fixed_string("f", 4)).data.write(["b\0"])
        assert fixed.data[:].tolist() == [b"b"]
        assert fixed.isin(["b\0"]).tolist() == [True]


def test_bool_is_rounded_as_whole_numbers_are(table):
    field = table.create_numeric("truths", "bool")
    field.data.write([True, False])
    assert (round(field).fieldtype, round(field).data[:].tolist()) == ("numeric,int64", [1, 0])
    assert round(field, 1).data[:].tolist() == [1, 0]
