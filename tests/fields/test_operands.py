"""The other side of an operator, in every form in which people have it, beside Python's numbers."""

from __future__ import annotations

import datetime as dt
import math
import operator
import pickle
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exetera_zarr import Session, fields
from exetera_zarr.errors import ArgumentTypeError, DataError, ResultRangeError, RowError
from support.missing import brought

INTS = {"int8": (-128, 127), "uint8": (0, 255), "int64": (-(2**63), 2**63 - 1)}
INTS["uint64"] = (0, 2**64 - 1)
ARITHMETIC = [operator.add, operator.sub, operator.mul, operator.floordiv, operator.mod]
COMPARE = [operator.lt, operator.le, operator.eq, operator.ne, operator.gt, operator.ge]
BITWISE = [operator.and_, operator.or_, operator.xor]


def in_memory(dtype, values):
    with Session(row_block=2) as session:
        table = session.open_dataset("memory://one-field", "w", "d").create_dataframe("t")
        field = table.create_numeric("x", dtype)
        field.data.write(values)
        return field.apply_filter(np.ones(len(values), bool))


def shown(field):
    return [
        None if gone else value
        for value, gone in zip(_listed(field.data[:]), field.isna().data[:], strict=True)
    ]


def _listed(values):
    return values.tolist() if isinstance(values, np.ndarray) else values


def whole(dtype):
    low, high = INTS[dtype]
    edges = st.sampled_from([low, low + 1, high, high - 1, 0, 1, 2])
    return st.integers(low, high) | edges | st.integers(max(low, -5), 5)


def holding(values):
    there = [v for v in values if v is not None]
    return "uint64" if there and min(there) >= 0 and max(there) >= 2**63 else "int64"


def masked(values):
    data = np.array([0 if v is None else v for v in values], holding(values))
    return np.ma.masked_array(data, [v is None for v in values])


FORMS = {
    "list": list,
    "tuple": tuple,
    "objects": lambda values: np.array(values, object),
    "masked": masked,
    "pandas": lambda values: pd.array(values, dtype=_pandas_name(values)),
    "series": lambda values: pd.Series(values, dtype=_pandas_name(values)),
    "field": lambda values: in_memory(holding(values), values),
}


def _pandas_name(values):
    return {"int64": "Int64", "uint64": "UInt64"}[holding(values)]


@st.composite
def cases(draw, functions):
    dtype, other = draw(st.sampled_from(sorted(INTS))), draw(st.sampled_from(sorted(INTS)))
    rows = draw(st.integers(1, 5))
    left = draw(st.lists(st.none() | whole(dtype), min_size=rows, max_size=rows))
    right = draw(st.lists(st.none() | whole(other), min_size=rows, max_size=rows))
    form = draw(st.sampled_from(sorted(FORMS)))
    return draw(st.sampled_from(functions)), dtype, left, right, form, draw(st.booleans())


def by_python(function, left, right):
    """Row by row; ZeroDivisionError is a missing result."""
    found = []
    for one, two in zip(left, right, strict=True):
        try:
            found.append(None if one is None or two is None else function(one, two))
        except ZeroDivisionError:
            found.append(None)
    return found


@settings(max_examples=120, deadline=None)
@given(cases(ARITHMETIC + COMPARE + BITWISE))
@example((operator.eq, "int64", [2**53 + 1, None], [2**53, 1], "masked", False))
@example((operator.add, "int64", [2**53 + 1, None], [0, None], "pandas", True))
def test_operators_are_those_of_python(case):
    """Whatever the form of the other side: exactly, or an error, and missing where either is."""
    function, dtype, left, right, form, mirrored = case
    field, other = in_memory(dtype, left), FORMS[form](right)
    if mirrored and form not in ("objects", "masked"):  # numpy's arrays come first themselves
        wanted, call = by_python(function, right, left), lambda: function(other, field)
    else:
        wanted, call = by_python(function, left, right), lambda: function(field, other)
    try:
        found = shown(call())
    except ResultRangeError:
        unsigned = {dtype, holding(right)} <= {"uint8", "uint64"} and function is not operator.sub
        low, high = INTS["uint64" if unsigned else "int64"]
        assert any(not low <= v <= high for v in left + right + wanted if v is not None)
        return
    assert found == wanted


UFUNCS = {
    np.maximum: max,
    np.minimum: min,
    np.fmax: max,
    np.fmin: min,
    np.gcd: math.gcd,
    np.lcm: math.lcm,
    np.fmod: lambda a, b: int(math.copysign(abs(a) % abs(b), a)) if abs(a) < 2**50 else _fmod(a, b),
    np.left_shift: lambda a, b: a << b,
    np.right_shift: lambda a, b: a >> b,
    np.add: operator.add,
    np.logical_and: lambda a, b: bool(a) and bool(b),
    np.logical_or: lambda a, b: bool(a) or bool(b),
    np.logical_xor: lambda a, b: bool(a) != bool(b),
}


def _fmod(a, b):
    rest = abs(a) % abs(b)
    return rest if a >= 0 else -rest


@settings(max_examples=120, deadline=None)
@given(cases(list(UFUNCS)))
def test_numpys_functions_of_two_are_those_of_python(case):
    ufunc, dtype, left, right, form, _ = case
    if ufunc in (np.left_shift, np.right_shift):
        right = [v if v is None else abs(v) % 80 for v in right]
    field, other = in_memory(dtype, left), FORMS[form](right)
    wanted = by_python(UFUNCS[ufunc], left, right)
    if ufunc in (np.logical_and, np.logical_or):  # Kleene: what is decided stays so
        decided = ufunc is np.logical_or
        wanted = [
            decided if any(v is not None and bool(v) is decided for v in pair) else found
            for found, pair in zip(wanted, zip(left, right, strict=True), strict=True)
        ]
    try:
        found = shown(ufunc(field, other))
    except ResultRangeError:
        values = [v for v in [*left, *right, *wanted] if v is not None]
        assert any(v >= 2**63 for v in values) or min(values) <= -(2**63)
        return
    assert found == wanted


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(INTS)), st.data())
def test_numpys_functions_of_one_are_those_of_python(dtype, data):
    values = data.draw(st.lists(st.none() | whole(dtype), min_size=1, max_size=5))
    field = in_memory(dtype, values)
    signs = [None if v is None else (v > 0) - (v < 0) for v in values]
    assert shown(np.sign(field)) == signs
    assert shown(np.positive(field)) == values
    squares = [None if v is None else v * v for v in values]
    limit = 2**64 if dtype == "uint64" else 2**63
    if all(v is None or v < limit for v in squares):
        assert shown(np.square(field)) == squares
    else:
        with pytest.raises(ResultRangeError, match="beyond 64 bits"):
            np.square(field)
    roots = [None if v is None or v < 0 else math.sqrt(v) for v in values]
    for found, root in zip(shown(np.sqrt(field)), roots, strict=True):
        assert found == (root if root is None else pytest.approx(root, rel=1e-15))
    assert shown(np.reciprocal(field)) == [
        None if v is None else 1 / v if v else math.inf for v in values
    ]


@pytest.fixture
def table():
    with Session(row_block=2) as s:
        made = s.open_dataset("memory://operands", "w", "d").create_dataframe("t")
        made.create_numeric("n", "int8").data.write([1, None, 3])
        made.create_numeric("big", "int64").data.write([2**53 + 1, None, -3])
        made.create_numeric("real", "float64").data.write([0.1, None, 2.5])
        made.create_numeric("half", "float32").data.write([0.1, None, 2.5])
        made.create_numeric("flag", "bool").data.write([True, None, False])
        made.create_categorical("cat", "int8", {"no": 0, "yes": 1}).data.write(["no", None, "yes"])
        made.create_timestamp("time").data.write(
            [dt.datetime(2020, 1, 1, tzinfo=dt.UTC), None, 86400.0]
        )
        made.create_indexed_string("text").data.write(["a", None, "b"])
        made.create_fixed_string("fixed", 4).data.write(["a", None, "b"])
        yield made


MASKED = np.ma.masked_array([1, 2, 3], [False, False, True])
LONDON = pd.Series([pd.Timestamp("2020-01-01", tz="Europe/London"), pd.NaT, pd.NaT])
EXPRESSIONS = {
    "masked": (lambda t: t["n"] + MASKED, [2, None, None]),
    "masked equal": (lambda t: t["n"] == MASKED, [True, None, None]),
    "series on the left": (lambda t: pd.Series([1, 2, 3]) - t["n"], [0, None, 0]),
    "series // field": (lambda t: pd.Series([1, 2, 7]) // t["n"], [1, None, 2]),
    "array of pandas on the left": (lambda t: pd.array([1, 2, None]) - t["n"], [0, None, None]),
    "series == field": (lambda t: pd.Series([1, 2, 4]) == t["n"], [True, None, False]),
    "nullable": (lambda t: t["big"] + pd.array([1, 1, None]), [2**53 + 2, None, None]),
    "mixed list": (lambda t: t["big"] == [2**53 + 1, None, 0.5], [True, None, False]),
    "not rounded": (lambda t: t["big"] == [2**53, None, -3.0], [False, None, True]),
    "boolean": (lambda t: t["flag"] & pd.array([True, None, False]), [True, None, False]),
    "decided": (lambda t: t["flag"] | pd.array([None, True, None]), [True, True, None]),
    "text": (lambda t: t["text"] == ["a", "b", None], [True, None, None]),
    "text of pandas": (lambda t: t["text"] == pd.Series(["a", "b", None]), [True, None, None]),
    "fixed": (
        lambda t: t["fixed"] < pd.Series(["b", None, "b"], dtype="string"),
        [True, None, False],
    ),
    "names": (lambda t: t["cat"] == ["no", "no", None], [True, None, None]),
    "times": (
        lambda t: t["time"] == [dt.datetime(2020, 1, 1, tzinfo=dt.UTC), None, pd.NaT],
        [True, None, None],
    ),
    "zone": (lambda t: t["time"] == LONDON, [True, None, None]),
    "zone array": (lambda t: t["time"] == LONDON.array, [True, None, None]),
    "all missing": (lambda t: t["time"] == [None, pd.NaT, None], [None, None, None]),
    "all missing text": (lambda t: t["text"] == [None, None, None], [None, None, None]),
    "durations": (
        lambda t: t["time"] - pd.Series([pd.Timedelta("1D"), pd.NaT, pd.Timedelta("1D")]),
        [1577836800.0 - 86400, None, 0.0],
    ),
    "list of durations": (
        lambda t: t["time"] + [dt.timedelta(1), None, None],
        [1577836800.0 + 86400, None, None],
    ),
    "bits beyond the type": (lambda t: t["n"] & 255, [1, None, 3]),
    "or beyond the type": (lambda t: 256 | t["n"], [257, None, 259]),
    "truth beside a large number": (lambda t: t["flag"] == 2**63, [False, None, False]),
    "float32 and Python's float": (lambda t: t["half"] == 0.1, [True, None, False]),
    "float32 and a list of them": (lambda t: t["half"] == [0.1, 0.1, 0.1], [True, None, False]),
    "float32 and float64": (lambda t: t["half"] == np.full(3, 0.1), [False, None, False]),
    "power": (lambda t: 2 ** t["n"], [2, None, 8]),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_expressions(table, name):
    expression, wanted = EXPRESSIONS[name]
    assert shown(expression(table)) == wanted


def rows_of_time(table, values):
    other = table.dataset.create_dataframe("times")
    other.create_timestamp("at")
    other.append({"at": values})


REFUSED = {
    "masked alone": (lambda t: t["n"] == np.ma.masked, ArgumentTypeError, "isna()"),
    "NA alone": (lambda t: t["n"] + pd.NA, ArgumentTypeError, "nothing is equal to NA"),
    "NaT alone": (lambda t: t["time"] == pd.NaT, ArgumentTypeError, "nothing is equal to NaT"),
    "float & float": (lambda t: t["real"] & t["real"], ArgumentTypeError, "compare first"),
    "~float": (lambda t: ~t["real"], ArgumentTypeError, "compare first"),
    "whole & fraction": (lambda t: t["big"] & 1.5, ArgumentTypeError, "compare first"),
    "^ beyond": (lambda t: t["n"] ^ 2**70, ResultRangeError, "beyond int64"),
    "float beyond": (lambda t: t["real"] + 2**1100, ResultRangeError, "too large"),
    "list beyond": (lambda t: t["n"] + [2**70, 1, 1], ResultRangeError, "beyond 64 bits"),
    "Decimal": (lambda t: t["n"] == Decimal(1), ArgumentTypeError, "a Decimal"),
    "complex": (lambda t: t["n"] + 1j, ArgumentTypeError, "a complex"),
    "two dimensions": (lambda t: t["n"] + np.ones((3, 1)), DataError, "one dimension of rows"),
    "a list in a list": (lambda t: t["n"] == [[1, 2, 3]], DataError, "one dimension of rows"),
    "a year": (lambda t: t["time"] + np.timedelta64(1, "Y"), ArgumentTypeError, "no fixed length"),
    "months": (
        lambda t: t["time"] + np.array([1, 2, 3], "m8[M]"),
        ArgumentTypeError,
        "no fixed length",
    ),
    "a duration compared": (lambda t: t["time"] == dt.timedelta(1), ArgumentTypeError, "datetime"),
    "maximum of codes": (lambda t: np.maximum(t["cat"], 3), ArgumentTypeError, "codes"),
    "exp of codes": (lambda t: np.exp(t["cat"]), ArgumentTypeError, "codes"),
    "codes as the other": (lambda t: np.maximum(t["n"], t["cat"]), ArgumentTypeError, "numbers"),
    "minimum of text": (lambda t: np.minimum(t["text"], "a"), ArgumentTypeError, "of numbers"),
    "matmul": (lambda t: t["n"] @ np.ones(3), ArgumentTypeError, "does not go row by row"),
    "matmul, mirrored": (lambda t: np.ones(3) @ t["n"], ArgumentTypeError, "row by row"),
    "out": (lambda t: np.add(t["n"], 1, out=np.zeros(3)), ArgumentTypeError, "out=..."),
    "where": (lambda t: np.add(t["n"], 1, where=np.ones(3, bool)), ArgumentTypeError, "where"),
    "reduce": (lambda t: np.add.reduce(t["n"]), ArgumentTypeError, "sum()"),
    "shift by less than 0": (lambda t: np.left_shift(t["n"], -1), ArgumentTypeError, "0 bits"),
    "array of what is missing": (lambda t: np.asarray(t["n"]), DataError, "has missing values"),
    "sorted by numpy": (lambda t: np.sort(t["flag"]), DataError, "has missing values"),
    "strings as an array": (lambda t: np.asarray(t["text"]), DataError, "has missing values"),
    "where of numpy": (lambda t: np.where(t["n"] > 1, 1, 0), DataError, "has missing values"),
    "a list of fields": (lambda t: np.concatenate([t["n"], t["n"]]), DataError, "missing values"),
    "row numbers missing": (lambda t: t["big"].apply_index(t["n"]), RowError, "is missing"),
    "row numbers masked": (lambda t: t["n"].data[MASKED - 1], RowError, "at position 2"),
    "a number of pandas missing": (
        lambda t: t["n"].data[pd.array([0, None], dtype="Int64")],
        RowError,
        "position 1 is missing",
    ),
    "a truth value in time": (lambda t: t["time"] == True, ArgumentTypeError, "points"),  # noqa: E712
    "truth values in time": (lambda t: t["time"] > [True, 1, 2], ArgumentTypeError, "points"),
    "a flag in time": (lambda t: t["time"] == t["flag"], ArgumentTypeError, "points"),
    "isin of truth": (lambda t: t["time"].isin([True]), ArgumentTypeError, "points"),
    "truth written": (lambda t: t["time"].data.write([True]), ArgumentTypeError, "points"),
    "truth, array": (lambda t: t["time"].data.write(np.array([True])), TypeError, "points"),
    "truth, mixed": (lambda t: t["time"].data.write([5.0, None, True]), TypeError, "points"),
    "truth, in place": (lambda t: t["time"].data.__setitem__(0, True), TypeError, "points"),
    "a flag written": (lambda t: t["time"].data.write(t["flag"]), ArgumentTypeError, "points"),
    "truth appended": (lambda t: rows_of_time(t, [True]), DataError, "give a date"),
    "nanoseconds": (
        lambda t: t["time"].data.write([5, 1577836800000000000]),
        DataError,
        "value 1 of those given, 1.5778368e+18, is none of them: write numpy.asarray(values, 'date",
    ),
    "milliseconds in place": (
        lambda t: t["time"].data.__setitem__(0, 1577836800000),
        DataError,
        "'datetime64[ms]' for milliseconds",
    ),
    "nanoseconds of a field": (
        lambda t: t["time"].data.write(in_memory("int64", [1577836800000000000])),
        DataError,
        "years 1 to 9999",
    ),
    "nanoseconds appended": (
        lambda t: rows_of_time(t, [1577836800000000000]),
        DataError,
        "'at' is 1577836800000000000, which",
    ),
    "data + 1": (lambda t: t["n"].data + 1, ArgumentTypeError, "field + 1"),
    "2 * data": (lambda t: 2 * t["n"].data, ArgumentTypeError, "field.data[:]"),
    "data - data": (lambda t: t["n"].data - t["n"].data, ArgumentTypeError, "field + 1"),
    "text + text": (lambda t: t["text"] + "x", ArgumentTypeError, "[text + 'x' for text in"),
    "fixed + text": (lambda t: t["fixed"] + "x", ArgumentTypeError, "[text + 'x' for text in"),
    "text + fixed": (lambda t: "x" + t["fixed"], ArgumentTypeError, "[text + 'x' for text in"),
    "isin Decimal": (lambda t: t["n"].isin([Decimal(1)]), ArgumentTypeError, "a Decimal"),
    "isin lists": (lambda t: t["n"].isin([[1, 3]]), ArgumentTypeError, "not lists of them"),
    "isin text": (lambda t: t["n"].isin(t["text"]), ArgumentTypeError, "holds numbers"),
    "isin numbers": (lambda t: t["text"].isin(t["n"]), ArgumentTypeError, "holds strings"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_go_together_says_why(table, name):
    expression, error, part = REFUSED[name]
    with pytest.raises(error) as raised:
        expression(table)
    assert part in str(raised.value)


def test_statistics_of_numpy_are_those_of_the_field(table):
    """They would otherwise be of what is stored."""
    values = np.array([1, 3])
    for function in (np.sum, np.mean, np.median, np.min, np.max, np.std, np.var, np.nanmean):
        assert function(table["n"]) == function(values)
    assert np.mean(table["real"]) == pytest.approx(1.3)
    assert np.quantile(table["real"].fillna(0), 0.5) == pytest.approx(0.1)
    assert np.isnan(np.asarray(table["real"])).tolist() == [False, True, False]
    assert np.concatenate([table["n"].fillna(9), [4]]).tolist() == [1, 9, 3, 4]


ABOUT_VALUES = {
    "amin": np.amin,
    "amax": np.amax,
    "sum by axis": lambda a: np.sum(a, axis=0),
    "mean of all": lambda a: np.mean(a, axis=None),
    "mean of a name": lambda a: np.mean(a=a),
    "std of a sample": lambda a: np.std(a, ddof=1),
    "variance of a sample": lambda a: np.var(a, axis=0, ddof=1),
    "count_nonzero": np.count_nonzero,
    "ptp": np.ptp,
    "quantile": lambda a: np.quantile(a, 0.25),
    "percentiles": lambda a: np.percentile(a, [25, 50]),
    "nanquantile": lambda a: np.nanquantile(a, q=0.5),
    "histogram": lambda a: np.histogram(a, bins=2)[0],
    "edges": lambda a: np.histogram_bin_edges(a, bins=3),
}


@pytest.mark.parametrize("name", ABOUT_VALUES)
def test_functions_of_numpy_are_about_the_values_that_there_are(table, name):
    function = ABOUT_VALUES[name]
    for field, values in (("n", [1, 3]), ("big", [2**53 + 1, -3]), ("real", [0.1, 2.5])):
        np.testing.assert_allclose(function(table[field]), function(np.array(values)))


TAKING_NAN = {
    "digitize": lambda f: np.digitize(f, [0, 1]),
    "searchsorted": lambda f: np.searchsorted([0, 1], f),
    "argmax": np.argmax,
    "argmin": np.argmin,
    "any": np.any,
    "all": np.all,
    "nonzero": np.nonzero,
    "flatnonzero": np.flatnonzero,
    "argwhere": np.argwhere,
    "where": lambda f: np.where(f, 1, 0),
    "a named argument": lambda f: np.digitize(x=f, bins=[0, 1]),
}


@pytest.mark.parametrize("name", TAKING_NAN)
def test_a_missing_float_is_not_taken_for_a_number_by_numpy(table, name):
    """There NaN is true, the greatest, and in the last bin."""
    for field in ("real", "n"):
        with pytest.raises(DataError, match=r"missing values.*fillna"):
            TAKING_NAN[name](table[field])
    np.testing.assert_equal(
        TAKING_NAN[name](table["real"].fillna(0.5)), TAKING_NAN[name](np.array([0.1, 0.5, 2.5]))
    )
    assert np.where(table["real"].notna(), table["real"], 7.0).tolist() == [0.1, 7.0, 2.5]


def test_numpy_does_not_wrap_whole_numbers_of_fields():
    small, large = in_memory("int8", [-128, 127, 100]), in_memory("uint64", [2**64 - 1, 0])
    assert np.ptp(small) == 255
    assert np.diff(small).tolist() == [255, -27]
    assert np.dot(small, small) == 128**2 + 127**2 + 100**2
    assert np.inner(small, np.array([2, 2, 2], "int8")) == 2 * 99
    assert np.ediff1d(small).tolist() == [255, -27]
    assert np.outer(small, small).max() == 128**2
    assert np.diff(large).tolist() == [-(2**64) + 1]
    assert np.ptp(large) == 2**64 - 1
    assert np.ptp(in_memory("int8", [-128, None, 127])) == 255
    assert np.diff(in_memory("float64", [0.5, 2.0])).tolist() == [1.5]


SMALL, BYTES, HUGE = [100, -5, 127, 3], [200, 6, 1, 255], [2**63, 2**63, 2, 3]
FLAGS = [True, True, False, True]
OF_NUMPY = {
    "where": (lambda i, u, q, b: np.where(i > 0, i, 300), [100, 300, 127, 3]),
    "where negative": (lambda i, u, q, b: np.where(u > 5, u, -1), [200, 6, -1, 255]),
    "where stored": (lambda i, u, q, b: np.where(b, i.data[:], 300), [100, -5, 300, 3]),
    "where of both": (lambda i, u, q, b: np.where(i > 0, q, i), [2**63, -5, 2, 3]),
    "select": (lambda i, u, q, b: np.select([u > 5], [u], -1), [200, 6, -1, 255]),
    "choose": (lambda i, u, q, b: np.choose(b, [300, i]), [100, -5, 300, 3]),
    "clip": (lambda i, u, q, b: np.clip(i, 0, 300), [100, 0, 127, 3]),
    "insert": (lambda i, u, q, b: np.insert(i, 0, 300), [300, *SMALL]),
    "append": (lambda i, u, q, b: np.append(i, 300), [*SMALL, 300]),
    "concatenate": (lambda i, u, q, b: np.concatenate([i, q]), [*SMALL, *HUGE]),
    "union1d": (lambda i, u, q, b: np.union1d(i, q), [-5, 2, 3, 100, 127, 2**63]),
    "round": (lambda i, u, q, b: np.round(i, -1), [100, 0, 130, 0]),
    "around": (lambda i, u, q, b: np.around(a=i, decimals=-1), [100, 0, 130, 0]),
    "round of bool": (lambda i, u, q, b: np.round(b), [1, 1, 0, 1]),
    "einsum": (lambda i, u, q, b: np.einsum("i,i", i, i), 26163),
    "einsum beyond": (lambda i, u, q, b: np.einsum("i,i", q, q), 2 * 2**126 + 13),
    "tensordot": (lambda i, u, q, b: np.tensordot(i, i, 1), 26163),
    "kron": (lambda i, u, q, b: np.kron(i, [2, 1])[4:6], [254, 127]),
    "trapezoid": (lambda i, u, q, b: np.trapezoid(i), 173.5),
    "sum from": (lambda i, u, q, b: np.sum(q, initial=5), 2**64 + 10),
    "sum where": (lambda i, u, q, b: np.sum(q, where=b), 2**64 + 3),
    "sum in floats": (lambda i, u, q, b: np.sum(i, dtype=float), 225.0),
    "sum of a list": (lambda i, u, q, b: np.sum([i, u], axis=0), [300, 1, 128, 258]),
    "cumsum": (lambda i, u, q, b: np.cumsum(q), [2**63, 2**64, 2**64 + 2, 2**64 + 5]),
    "cumprod": (lambda i, u, q, b: np.cumprod(q)[:2], [2**63, 2**126]),
    "prod": (lambda i, u, q, b: np.prod(q), 6 * 2**126),
    "polyval": (lambda i, u, q, b: np.polyval([1] + [0] * 7, i), [v**7 for v in SMALL]),
    "dot of bool": (lambda i, u, q, b: np.dot(b, b), 3),
    "vdot of bool": (lambda i, u, q, b: np.vdot(b, b), 3),
    "inner of bool": (lambda i, u, q, b: np.inner(b, b), 3),
    "dot with a number": (lambda i, u, q, b: np.dot(i, 300), [300 * v for v in SMALL]),
    "diff of bool": (lambda i, u, q, b: np.diff(b), [0, -1, 1]),
    "diff twice": (lambda i, u, q, b: np.diff(i, 2, prepend=-128), [-333, 237, -256]),
    "percentile of bool": (lambda i, u, q, b: np.percentile(b, 25), 0.75),
    "quantile of bool": (lambda i, u, q, b: np.quantile(b, 0.5), 1.0),
    "ptp of bool": (lambda i, u, q, b: np.ptp(b), 1),
    "ediff1d of bool": (lambda i, u, q, b: np.ediff1d(b), [0, -1, 1]),
    "bincount of uint64": (lambda i, u, q, b: np.bincount(q.apply_filter(q < 5)), [0, 0, 1, 1]),
    "max from": (lambda i, u, q, b: np.max(i, initial=300), 300),
    "std by place": (lambda i, u, q, b: np.std(i, 0), float(np.std(SMALL))),
    "isin": (lambda i, u, q, b: np.isin([2**63, -5], q), [True, False]),
    "searchsorted": (lambda i, u, q, b: np.searchsorted(i.apply_filter(i > 99), 300), 2),
}


@pytest.mark.parametrize("name", OF_NUMPY)
def test_functions_of_numpy_are_right_for_small_types_and_large_numbers(name):
    function, wanted = OF_NUMPY[name]
    pairs = (("int8", SMALL), ("uint8", BYTES), ("uint64", HUGE), ("bool", FLAGS))
    found = function(*(in_memory(*pair) for pair in pairs))
    found = found.tolist() if hasattr(found, "tolist") else found
    assert found == wanted
    assert type(found) is type(wanted)


NOT_OF_NUMPY = {
    "unknown": (lambda i, t: np.piecewise(i, [i.data[:] > 0], [300]), "field.data[:]"),
    "padded": (lambda i, t: np.pad(i, 1, constant_values=300), "field.data[:]"),
    "an own function": (lambda i, t: np.apply_along_axis(np.sum, 0, i), "field.data[:]"),
    "full_like": (lambda i, t: np.full_like(i, 300), "field.data[:]"),
    "a small type": (lambda i, t: np.sum(i, dtype="int8"), "such options"),
    "a small type by place": (lambda i, t: np.cumsum(i, 0, "int8"), "no dtype="),
    "out": (lambda i, t: np.dot(i, i, np.zeros(1)), "no out="),
    "codes": (lambda i, t: np.diff(t["cat"]), "codes"),
    "text": (lambda i, t: np.diff(t["fixed"]), "of numbers"),
    "conditions that are none": (lambda i, t: np.select([i], [i]), "numpy.select"),
}


@pytest.mark.parametrize("name", NOT_OF_NUMPY)
def test_functions_of_numpy_that_are_not_known_to_be_right_are_refused(table, name):
    function, part = NOT_OF_NUMPY[name]
    with pytest.raises(ArgumentTypeError) as raised:
        function(in_memory("int8", SMALL), table)
    assert part in str(raised.value)


def test_numpy_rounds_no_whole_numbers_beside_fractions():
    large, real = in_memory("int64", [2**60 + 1, 5]), in_memory("float32", [0.5, 1.0])
    with pytest.raises(ResultRangeError, match="rounded"):
        np.where(large > 9, large, 0.5)
    assert np.where(large > 9, 1, real).dtype == np.float32
    assert np.where(large > 9, 1e300, real).tolist() == [1e300, 1.0]


def test_numpy_drops_no_mask_beside_a_field(table):
    given = np.ma.masked_array([1, 7, 3], [True, False, False])
    for wrong in (
        lambda: np.where(table["big"].notna(), given, 0),
        lambda: np.concatenate([table["n"].fillna(0), given]),
    ):
        with pytest.raises(DataError, match="masked"):
            wrong()
    assert np.isclose(table["n"].fillna(7), given).tolist() == [None, True, True]
    assert (~np.isclose(table["n"].fillna(7), given)).filled().tolist() == [False] * 3


def test_numpy_reckons_with_fields_of_exeteras_face_as_with_arrays():
    with Session(exetera=True) as s:
        made = s.open_dataset("memory://to-the-letter", "w", "d").create_dataframe("t")
        made.create_numeric("i", "int8").data.write([100, 100])
        assert np.cumprod(made["i"], dtype="int8").tolist() == [100, 16]
        assert np.pad(made["i"], 1).tolist() == [0, 100, 100, 0]
        assert np.dot(made["i"], made["i"]) == 32


WRITING = {
    "putmask": lambda f: np.putmask(f, np.array([True, False, True]), 9),
    "place": lambda f: np.place(f, np.array([True, False, True]), [9]),
    "put": lambda f: np.put(f, [0], [9]),
    "copyto": lambda f: np.copyto(f, 9),
}


@pytest.mark.parametrize("name", WRITING)
def test_numpy_does_not_write_to_an_array_that_nobody_sees(table, name):
    for given_to in (table["real"], table["n"].data):
        with pytest.raises((DataError, TypeError), match=r"field\.data|array"):
            WRITING[name](given_to)
    assert shown(table["real"]) == [0.1, None, 2.5]


def test_isclose_is_a_condition(table):
    for name, value in (("real", 0.1), ("n", 1), ("big", 2**53 + 1)):
        for found in (np.isclose(table[name], value), np.isclose(value, b=table[name])):
            assert found.tolist() == [True, None, False]
            assert np.array([10, 20, 30])[~found].tolist() == [30]
    assert np.isclose(table["real"], table["half"], rtol=1e-3).tolist() == [True, None, True]
    assert np.isclose(table["real"].fillna(0), 0.1).tolist() == [True, False, False]
    assert (np.size(table["n"]), np.shape(table["n"]), np.ndim(table["text"])) == (3, (3,), 1)


def test_isin_of_numpy_is_that_of_the_field(table):
    for field, value in (("n", 1), ("real", 0.1), ("text", "a"), ("cat", "yes")):
        wanted = table[field].isin([value])
        assert np.isin(table[field], [value]).tolist() == wanted.tolist()
        opposite = np.isin(table[field], [value], invert=True)
        assert opposite.tolist() == [None if v is None else not v for v in wanted.tolist()]
    assert np.isin([0, 1, 3], table["n"]).tolist() == [False, True, True]
    assert np.isin([0, 1, 3], table["n"], False, True).tolist() == [True, False, False]
    assert np.isin([0.1, 0.0], table["real"]).tolist() == [True, False]


CHOOSING = {
    "~": lambda found: ~found,
    "logical_not": np.logical_not,
    "invert": np.invert,
    "== False": lambda found: found == False,  # noqa: E712
    "!= True": lambda found: found != True,  # noqa: E712
    "== 0": lambda found: found == 0,
    "< 1": lambda found: found < 1,
    "^ True": lambda found: found ^ True,
    "True ^": lambda found: True ^ found,
    "~ of a copy": lambda found: ~found.copy(),
    "~ of a part": lambda found: ~found[:],
    "~ of astype": lambda found: ~found.astype(bool),
    "~ of both": lambda found: ~(found & np.array([True, True, True])),
    "array & ~": lambda found: np.array([True, True, True]) & ~found,
    "array, in place": lambda found: operator.iand(np.array([True, True, True]), ~found),
    "in place": lambda found: operator.iand(~found, np.array([True, True, True])),
    "~ or in place": lambda found: ~operator.ior(found, found),
    "~ of parts": lambda found: ~np.concatenate([found[:1], found[1:]]),
    "~ of append": lambda found: ~np.append(found[:1], found[1:]),
    "pickled": lambda found: ~pickle.loads(pickle.dumps(found)),
    "filled": lambda found: (~found).filled(),
    "where": lambda found: np.where(~found, True, False),
    "flatnonzero": lambda found: np.flatnonzero(~found),
    "nonzero": lambda found: (~found).nonzero()[0],
}


@pytest.mark.parametrize("name", CHOOSING)
@pytest.mark.parametrize("field", ["n", "real", "text", "cat", "time"])
def test_the_opposite_of_isin_chooses_nothing_that_is_missing(table, name, field):
    """Nor where the index is of numpy or pandas, which look at no mask."""
    first = table[field].data[:][0]
    rows = CHOOSING[name](table[field].isin([first]))
    assert np.array([10, 20, 30])[rows].tolist() == [30]
    frame = pd.DataFrame({"x": [10, 20, 30]})
    if name not in ("flatnonzero", "nonzero"):
        assert frame[rows]["x"].tolist() == [30]
        assert frame.loc[rows, "x"].tolist() == [30]
        assert table.apply_filter(rows, ddf=table.dataset.create_dataframe("k"))["n"].sum() == 3


@given(*[st.lists(st.sampled_from([True, False, None]), min_size=4, max_size=4)] * 2)
@pytest.mark.parametrize("function", BITWISE)
def test_answers_go_together_as_conditions_do(function, left, right):
    """Answers of isin, fields and masked arrays, on either side."""
    fields = [in_memory("bool", values) for values in (left, right)]
    asked = [field.isin([True]) for field in fields]
    wanted = shown(function(*fields))
    plain = np.array([bool(value) for value in right])
    assert function(*asked).tolist() == wanted
    assert shown(function(asked[0], fields[1])) == wanted
    assert shown(function(fields[0], asked[1])) == wanted
    with_plain = shown(function(fields[0], plain))
    assert function(asked[0], plain).tolist() == with_plain
    assert function(plain, asked[0]).tolist() == with_plain
    for one in (function(*asked), ~function(*asked)):
        assert not one[np.ma.getmaskarray(one)].any()
        assert not np.asarray(one)[np.ma.getmaskarray(one)].any()


def test_what_is_stored_for_a_missing_float_is_no_number():
    """Files of ExeTera have 0 there, and a flag that says that it is none."""
    with Session() as s:
        made = s.open_dataset("memory://flags", "w", "d").create_dataframe("t")
        made.create_timestamp("date").data.write([0.0, 5.0])
        brought(made, "date_set", [False, True])
        made.create_numeric("x", "float32").data.write([0.0, 5.0])
        brought(made, "x_valid", [False, True])
        five = {"date": np.datetime64(5, "s"), "x": 5}
        for name in ("date", "x"):
            assert np.nanmin(np.asarray(made[name])) == five[name]
            assert np.nanmin(np.asarray(made[name], float)) == 5
            assert np.median(made[name]) in (5, dt.datetime.fromtimestamp(5, dt.UTC))


@pytest.mark.parametrize("form", FORMS)
def test_isin(table, form):
    assert table["n"].isin(FORMS[form]([3, None, 0])).tolist() == [False, None, True]
    assert table["big"].isin(FORMS[form]([2**53 + 1, 2**53])).tolist() == [True, None, False]
    assert table["big"].isin(FORMS[form]([2**53])).tolist() == [False, None, False]


def test_isin_of_exeteras_face_knows_no_missing_values():
    with Session(exetera=True) as s:
        made = s.open_dataset("memory://nan-isin", "w", "d").create_dataframe("t")
        made.create_numeric("x", "float64").data.write([1.0, np.nan, 2.0])
        found = made["x"].isin([1.0])
        assert type(found) is np.ndarray
        assert (~found).tolist() == [False, True, True]


def test_isin_of_other_types(table):
    other = table.create_categorical("other", "int8", {"yes": 0, "maybe": 1})
    other.data.write(["yes", "maybe", "maybe"])
    assert table["cat"].isin(other).tolist() == [False, None, True]
    assert table["cat"].isin(["yes", None]).tolist() == [False, None, True]
    assert table["text"].isin(table["fixed"]).tolist() == [True, None, True]
    assert table["fixed"].isin(table["text"]).tolist() == [True, None, True]
    assert table["fixed"].isin(pd.Series(["b", None])).tolist() == [False, None, True]
    assert table["text"].isin(table["text"].data).tolist() == [True, None, True]
    assert table["time"].isin(table["time"]).tolist() == [True, None, True]
    assert table["time"].isin(LONDON).tolist() == [True, None, False]
    assert table["half"].isin([0.1]).tolist() == [True, None, False]
    assert table["half"].isin(np.array([0.1])).tolist() == [False, None, False]
    assert table["real"].isin(table["half"]).tolist() == [False, None, True]
    assert table["n"].fillna(0).isin([0]).tolist() == [False, True, False]
    kept = table.apply_filter(~table["n"].isin([1]), ddf=table.dataset.create_dataframe("kept"))
    assert kept["n"].data[:].tolist() == [3]  # neither is what is missing


def test_masks_of_rows(table):
    mask = np.ma.masked_array([True, True, False], [True, False, False])
    stored = np.ma.masked_array([True, True, True], [True, False, False])
    assert shown(table["big"].apply_filter(mask)) == [None]
    assert table["n"].data[stored].tolist() == [0, 3]
    assert table["n"].data[table["flag"]].tolist() == [1]
    table["real"].data[mask] = 7.0
    assert shown(table["real"]) == [0.1, 7.0, 2.5]
    kept = table.apply_filter(mask, ddf=table.dataset.create_dataframe("kept"))
    assert len(kept["n"]) == 1


def test_unique_counts_what_there_is(table):
    values, rows, inverse, counts = table["n"].unique(True, True, True)
    assert (values.tolist(), rows.tolist(), counts.tolist()) == ([1, 3], [0, 2], [1, 1])
    assert inverse.tolist() == [0, None, 1]
    values, rows, inverse, counts = table["text"].unique(True, True, True)
    assert (values.tolist(), rows.tolist(), counts.tolist()) == (["a", "b"], [0, 2], [1, 1])
    assert inverse.tolist() == [0, None, 1]
    names, counts = table["cat"].unique(return_counts=True)
    assert (names.tolist(), counts.tolist()) == (table["cat"].unique().tolist(), [1, 1])


def test_distinct_values_are_as_a_person_reads_them(table):
    assert set(table["cat"].unique()) == {one for one in table["cat"].tolist() if one is not None}
    when = table.create_timestamp("when")
    when.data.write(["2021-01-01", None, "2020-01-01"])
    days, rows = when.unique(return_index=True)
    assert days.astype("M8[D]").astype(str).tolist() == ["2020-01-01", "2021-01-01", "NaT"]
    assert rows.tolist() == [2, 0, 1]
    assert when.unique().tolist() == days.tolist()


WRITES = {
    "nullable": ("int64", pd.array([2**53 + 1, None], dtype="Int64"), [2**53 + 1, None]),
    "series": ("int8", pd.Series([1, None], dtype="Int8"), [1, None]),
    "boolean": ("bool", pd.array([True, None], dtype="boolean"), [True, None]),
    "nullable floats": ("float64", pd.array([0.5, None], dtype="Float64"), [0.5, None]),
    "large beside none": ("int64", [2**53 + 1, None], [2**53 + 1, None]),
    "large beside a whole float": ("int64", [2**53 + 1, 2.0], [2**53 + 1, 2]),
    "large as a float": ("float64", [2.0**60, None, 2**53], [2.0**60, None, 2**53]),
}


@pytest.mark.parametrize("name", WRITES)
def test_writes(name):
    dtype, values, wanted = WRITES[name]
    found = in_memory(dtype, values)
    assert shown(found) == wanted


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        ("float64", [2**53 + 1]),
        ("float64", [0.5, 2**53 + 1]),
        ("float64", [0.5, None, 2**53 + 1]),
        ("float64", np.array([2**53 + 1])),
        ("float64", pd.array([2**53 + 1, None])),
        ("float32", [2**24 + 1]),
        ("int64", [2**53 + 1, 0.5]),
        ("int64", [2**63, None]),
    ],
)
def test_a_number_that_would_be_rounded_is_not_written(dtype, values):
    with pytest.raises(DataError, match="does not fit"):
        in_memory(dtype, values)


def test_texts_and_times_of_pandas_are_written(table):
    table["text"].data.write(pd.Series(["c", None]))
    table["fixed"].data.write(pd.array(["c", None], dtype="string"))
    table["cat"].data.write(pd.Series(["yes", None], dtype="category"))
    table["time"].data.write(LONDON)
    assert shown(table["text"])[3:] == ["c", None]
    assert shown(table["fixed"])[3:] == [b"c", None]
    assert shown(table["cat"])[3:] == [1, None]
    assert shown(table["time"])[3:] == [1577836800.0, None, None]


def test_moments_of_any_year_that_a_file_has_are_copied(table):
    """Older releases wrote what they were given."""
    table["time"].append(np.array([1.5e18]))
    made = table["time"].memory_like()
    made.data.write(table["time"])
    made.data.write(table["time"].data)
    assert made.data[:][[3, 7]].tolist() == [1.5e18] * 2
    made.data.write([np.inf, -62135596800.0, 253402300799.0])
    with Session(exetera=True) as s:
        lenient = s.open_dataset("memory://years", "w", "d").create_dataframe("t")
        lenient.create_timestamp("at").data.write([1577836800000000000, True])
        assert lenient["at"].data[:].tolist() == [1577836800000000000, 1.0]
        assert (lenient["at"] == True).data[:].tolist() == [False, True]  # noqa: E712


def test_data_beside_arrays_and_fields_is_reckoned_with(table):
    stored = table["n"].data[:]
    assert (table["n"].data + np.int8([1, 1, 1])).tolist() == (stored + 1).tolist()
    assert (np.int8([1, 1, 1]) + table["n"].data).tolist() == (stored + 1).tolist()
    assert shown(table["n"].data + table["n"]) == shown(table["n"] + table["n"].data)


def test_functions_over_fields_see_what_is_missing(table):
    assert fields.argsort(in_memory("int8", [1, None, -5]), "int32").data[:].tolist() == [2, 0, 1]
    assert fields.argsort(table["text"], "int64").data[:].tolist() == [0, 2, 1]
    assert fields.argsort(table["time"], "int64").data[:].tolist() == [2, 0, 1]
    for name, value in (("n", 1), ("cat", "no"), ("real", 0.1), ("text", "a")):
        found = fields.isin(table[name], [value])
        assert shown(found) == [True, None, False]
        assert shown(~found) == [False, None, True]


AS_FIELDS = {
    "masked": (np.ma.masked_array([1, 2], [0, 1]), [1, None], "int64"),
    "masked, small": (np.ma.masked_array(np.int8([1, 2]), [1, 1]), [None, None], "int8"),
    "a list": ([1, None, 2**53 + 1], [1, None, 2**53 + 1], "int64"),
    "all missing": ([None, None], [None, None], "float64"),
    "pandas": (pd.array([1, None], dtype="Int8"), [1, None], "int8"),
    "Arrow": (pa.array([1, None]), [1, None], "int64"),
    "plain": (np.float32([0.5, np.nan]), [0.5, None], "float32"),
    "a field": (in_memory("int8", [1, None]), [1, None], "int8"),
    "its data": (in_memory("int8", [1, None]).data, [1, None], "int8"),
}


@pytest.mark.parametrize("form", AS_FIELDS)
def test_an_array_as_a_field_has_what_is_missing(form):
    given_values, wanted, dtype = AS_FIELDS[form]
    found = fields.as_field(given_values)
    assert shown(found) == wanted
    assert found.data.dtype == dtype


def test_an_array_as_a_field_of_categories_has_what_is_missing():
    found = fields.as_field(np.ma.masked_array(np.int8([0, 1]), [0, 1]), {"no": 0, "yes": 1})
    assert shown(found) == [0, None]


TEXT_ARRAYS = {
    "a list": ["c", None, ""],
    "Arrow": pa.array(["c", None, ""]),
    "Arrow, large": pa.array(["c", None, ""], pa.large_string()),
    "Arrow, bytes": pa.array([b"c", None, b""]),
    "Arrow, a view": pa.array(["c", None, ""], pa.string_view()),
    "Arrow, of a dictionary": pa.array(["c", None, ""]).dictionary_encode(),
    "Arrow, in chunks": pa.chunked_array([["c", None], [""]]),
    "polars": pl.Series(["c", None, ""]),
    "numpy, None": np.array(["c", None, ""], np.dtypes.StringDType(na_object=None)),
    "numpy, NaN": np.array(["c", np.nan, ""], np.dtypes.StringDType(na_object=np.nan)),
    "pandas": pd.Series(["c", None, ""], dtype="string"),
}


@pytest.mark.parametrize("form", TEXT_ARRAYS)
def test_missing_text_of_an_array_is_missing(table, form):
    for name, wanted in (("text", ["c", None, ""]), ("fixed", [b"c", None, b""])):
        table[name].data.write(TEXT_ARRAYS[form])
        assert shown(table[name])[3:] == wanted
    assert table["text"].isin(TEXT_ARRAYS[form])[3:].tolist() == [True, None, True]
    assert shown(table["text"].apply_index([3, 4, 5]) == TEXT_ARRAYS[form]) == [
        True,
        None,
        True,
    ]


NUMBER_ARRAYS = {
    "Arrow": pa.array([1, None, 0]),
    "Arrow, in chunks": pa.chunked_array([[1, None], [0]]),
    "polars": pl.Series([1, None, 0]),
}


@pytest.mark.parametrize("form", NUMBER_ARRAYS)
def test_missing_numbers_of_an_array_are_missing(table, form):
    for name in ("n", "big", "flag", "real", "cat", "time"):
        table[name].data.write(NUMBER_ARRAYS[form])
        assert shown(table[name])[3:] == [1, None, 0]
    assert shown(in_memory("int64", pa.array([2**53 + 1, None]))) == [2**53 + 1, None]
    assert shown(in_memory("int8", pa.nulls(2))) == [None, None]
    table["time"].data.write(pa.array([5, None], pa.timestamp("s")))
    assert shown(table["time"])[6:] == [5.0, None]


WRITTEN_FROM = {
    "text": ["text", "fixed"],
    "fixed": ["fixed", "text"],
    "n": ["n", "flag"],
    "real": ["real", "n", "half"],
    "cat": ["cat"],
    "time": ["time", "real"],
    "flag": ["flag"],
}


@pytest.mark.parametrize("name", WRITTEN_FROM)
@pytest.mark.parametrize("of_data", [False, True])
def test_a_field_and_its_data_are_written_with_what_is_missing(table, name, of_data):
    for source in WRITTEN_FROM[name]:
        made = table[name].memory_like()
        made.data.write_part(table[source].data if of_data else table[source])
        made.data.write(table[source].data if of_data else table[source])
        assert made.isna().data[:].tolist() == table[source].isna().data[:].tolist() * 2
        for row in np.flatnonzero(made.notna()):
            there = table[source].data[int(row) % 3]
            found = made.data[int(row)]
            assert _text(found) == _text(there)


def _text(value):
    return value.decode() if isinstance(value, bytes) else value


def test_data_that_is_put_in_place_is_missing_where_it_was(table):
    table["big"].data[:] = table["n"].data
    assert shown(table["big"]) == shown(table["n"])


def test_offsets_of_strings_are_written_as_the_numbers_that_they_are(table):
    made = in_memory("int64", [])
    made.data.write(table["text"].indices)
    assert made.data[:].tolist() == [0, 1, 1, 2]


def test_text_of_exeteras_face_is_written_from_data_as_it_is():
    with Session(exetera=True) as s:
        made = s.open_dataset("memory://from-data", "w", "d").create_dataframe("t")
        for name in ("a", "b"):
            made.create_indexed_string(name)
        made["a"].data.write(pa.array(["x", None]))
        made["b"].data.write(made["a"].data)
        assert made["b"].data[:] == ["x", ""]


@pytest.mark.parametrize("name", ["n", "text", "cat"])
def test_a_field_that_was_cleared_takes_other_rows(table, name):
    field = table[name]
    field.data.clear()
    assert len(field.isna()) == 0
    values = {"n": [4, None], "text": ["x", None], "cat": ["no", None]}[name]
    field.data.write(values)
    assert field.isna().data[:].tolist() == [False, True]
    field.data.clear()
    field.data.write(values[:1])
    assert field.isna().data[:].tolist() == [False]


def test_spread_and_middle_of_large_numbers():
    """Of which floats do not hold each: exact before they are rounded."""
    values = [2**60 + 1, 2**60 + 2, 2**60 + 4, None]
    field = in_memory("int64", values)
    assert field.std() == pytest.approx(np.std([1, 2, 4], ddof=1), rel=1e-14)
    assert field.var() == pytest.approx(np.var([1, 2, 4], ddof=1), rel=1e-14)
    assert field.median() == 2**60
    assert in_memory("int64", [-(2**60), 2**60 + 2**9]).median() == 256
    everything = in_memory("uint64", [2**64 - 1, 0, 5])
    assert everything.std() == pytest.approx(float(np.std([2.0**64, 0, 5], ddof=1)), rel=1e-14)


@pytest.mark.parametrize("ordered", [False, True])
def test_spread_of_groups_of_large_numbers(ordered):
    rng = np.random.default_rng(5)
    keys = rng.integers(0, 7, 1000).astype(np.int32)
    keys = np.sort(keys) if ordered else keys
    small = rng.integers(0, 100, 1000)
    with Session(row_block=64) as s:
        ds = s.open_dataset("memory://spread", "w", "d")
        table = ds.create_dataframe("t")
        table.create_numeric("k", "int32").data.write(keys)
        table.create_numeric("v", "int64").data.write(small + np.where(keys % 2, 2**60, 0))
        table.groupby("k").agg({"v": ["std", "var"]}, ddf=(found := ds.create_dataframe("g")))
        wanted = [np.std(small[keys == key], ddof=1) for key in range(7)]
        np.testing.assert_allclose(found["v_std"].data[:], wanted, rtol=1e-12)
        np.testing.assert_allclose(found["v_var"].data[:], np.square(wanted), rtol=1e-12)


SPREAD = {
    "whole": ("int64", [10**15 + n for n in range(50)]),
    "whole, small": ("int8", [*range(-25, 25)]),
    "whole, unsigned": ("uint64", [2**63 + n for n in range(50)]),
    "whole, of all sizes": ("int64", [(-1) ** n * 10 ** (n % 18) for n in range(50)]),
    "bool": ("bool", [n % 5 == 0 for n in range(50)]),
    "near": ("float64", [1e15 + n % 7 for n in range(50)]),
    "nearer": ("float64", [1.5e9 + (n % 5) / 1024 for n in range(50)]),
    "apart": ("float64", [1e12 * (n % 3) + n / 8 for n in range(50)]),
    "some missing": ("float64", [None if n % 4 == 0 else 1e15 + n for n in range(50)]),
    "float32": ("float32", [2.0**23 + n % 3 for n in range(50)]),
    "equal": ("float64", [0.1] * 50),
}


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("name", SPREAD)
def test_spread_is_as_exact_in_groups_as_of_a_field(name, ordered):
    dtype, values = SPREAD[name]
    keys = np.arange(50, dtype="int8") % 3
    if ordered:
        order = np.argsort(keys, kind="stable")
        keys, values = keys[order], [values[row] for row in order]
    with Session(row_block=8) as s:
        ds = s.open_dataset("memory://exact-spread", "w", "d")
        table = ds.create_dataframe("t")
        table.create_numeric("k", "int8").data.write(keys)
        table.create_numeric("v", dtype).data.write(values)
        table.groupby("k").agg({"v": ["std", "var"]}, ddf=(found := ds.create_dataframe("g")))
        wanted = [_variance(values, keys == key) for key in range(3)]
        np.testing.assert_allclose(found["v_var"].data[:], wanted, rtol=1e-12, atol=1e-30)
        np.testing.assert_allclose(found["v_std"].data[:], np.sqrt(wanted), rtol=1e-12, atol=1e-15)
        assert table["v"].var() == pytest.approx(_variance(values, keys >= 0), rel=1e-12, abs=1e-30)


def _variance(values, chosen):
    kept = [Fraction(v) for v, one in zip(values, chosen, strict=True) if one and v is not None]
    if isinstance(values[1], float):
        kept = [Fraction(float(v)) for v in kept]
    mean = sum(kept) / len(kept)
    return float(sum((v - mean) ** 2 for v in kept) / (len(kept) - 1))
