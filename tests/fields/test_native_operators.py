"""Operators and writes as they are right, where ExeTera's face does as ExeTera."""

from __future__ import annotations

import operator
from datetime import UTC, date, datetime

import numpy as np
import pytest

from exetera_zarr import DataError, Session

NAMES = ["no", "yes", "maybe", "yes"]
TEXTS = ["b", "", "é", "ab"]
TIMES = [0.0, 86400.0, 86400.5, -1.0]
COMPARE = [operator.lt, operator.le, operator.eq, operator.ne, operator.gt, operator.ge]


@pytest.fixture
def table():
    with Session(row_block=3) as s:
        made = s.open_dataset("memory://native", "w", "d").create_dataframe("t")
        made.create_numeric("small", "int8").data.write([100, -128, 3, 0])
        made.create_numeric("large", "int64").data.write([2**62, -(2**63), 1, 0])
        made.create_numeric("real", "float32").data.write([0.5, np.nan, 2.0, -1.0])
        cat = made.create_categorical("cat", "int8", {"no": 0, "yes": 1, "maybe": 2})
        cat.data.write([0, 1, 2, 1])
        made.create_timestamp("time").data.write(TIMES)
        made.create_indexed_string("text").data.write(TEXTS)
        made.create_fixed_string("fixed", 4).data.write([one.encode() for one in TEXTS])
        yield made


def given(field):
    return field.data[:].tolist()


@pytest.mark.parametrize("function", [operator.eq, operator.ne])
def test_categories_are_compared_by_name(table, function):
    for other in ("yes", b"yes", 1):
        assert given(function(table["cat"], other)) == [function(name, "yes") for name in NAMES]
        assert given(function(other, table["cat"])) == [function(name, "yes") for name in NAMES]
    names = ["no", "no", "maybe", "maybe"]
    wanted = [function(one, two) for one, two in zip(NAMES, names, strict=True)]
    assert given(function(table["cat"], names)) == wanted
    other = table.create_categorical("other", "int8", {"maybe": 0, "no": 5, "never": 1})
    other.data.write([5, 5, 0, 1])
    wanted = [function(a, b) for a, b in zip(NAMES, ["no", "no", "maybe", "never"], strict=True)]
    assert given(function(table["cat"], other)) == wanted
    assert table["cat"].isin({"yes", "nobody"}).tolist() == [name == "yes" for name in NAMES]


def test_categories_are_no_numbers(table):
    for wrong in (
        lambda: table["cat"] + 1,
        lambda: 2 * table["cat"],
        lambda: -table["cat"],
        lambda: round(table["cat"]),
    ):
        with pytest.raises(TypeError):
            wrong()
    for wrong in (lambda: table["cat"] == table["small"], lambda: table["small"] < table["cat"]):
        with pytest.raises(TypeError, match="do not go together"):
            wrong()
    with pytest.raises(DataError, match=r"no category 'nobody'.*'no', 'yes', 'maybe'"):
        table["cat"] == "nobody"  # noqa: B015


@pytest.mark.parametrize("function", COMPARE)
@pytest.mark.parametrize("name", ["text", "fixed"])
def test_text_is_compared_by_its_bytes(table, function, name):
    raw = [one.encode() for one in TEXTS]
    for other in ("b", b"b"):
        assert given(function(table[name], other)) == [function(one, b"b") for one in raw]
        assert given(function(other, table[name])) == [function(b"b", one) for one in raw]
    pairs = list(zip(raw, raw[::-1], strict=True))
    assert given(function(table[name], TEXTS[::-1])) == [function(a, b) for a, b in pairs]
    assert given(function(table["text"], table["fixed"])) == [function(a, a) for a in raw]


@pytest.mark.parametrize("function", COMPARE)
def test_moments_are_compared_in_any_form(table, function):
    wanted = [function(one, 86400.0) for one in TIMES]
    for other in (
        datetime(1970, 1, 2, tzinfo=UTC),
        date(1970, 1, 2),
        np.datetime64("1970-01-02"),
        "1970-01-02 00:00:00",
        86400,
    ):
        assert given(function(table["time"], other)) == wanted


def test_whole_numbers_do_not_wrap(table):
    """They widen to what holds the result, and beyond 64 bits are an error."""
    for function, other in (
        (operator.mul, 10),
        (operator.add, 100),
        (operator.sub, 100),
        (operator.floordiv, -1),
        (operator.mod, 7),
    ):
        found = function(table["small"], other)
        assert given(found) == [function(one, other) for one in [100, -128, 3, 0]]
        assert found.data.dtype == np.int64
    assert given(-table["small"]) == [-100, 128, -3, 0]
    assert given(abs(table["small"])) == [100, 128, 3, 0]
    assert given(table["small"] + table["small"]) == [200, -256, 6, 0]
    for wrong in (
        lambda: table["large"] * 2,
        lambda: table["large"] - 1,
        lambda: -table["large"],
        lambda: table["small"] + (1 << 70),
    ):
        with pytest.raises(OverflowError, match="t/"):
            wrong()
    assert given(table["small"] > 300) == [False] * 4
    assert given(table["large"] == 2.0**62) == [True, False, False, False]


def test_nothing_equals_none_or_nan(table):
    for wrong in (lambda: table["small"] == None, lambda: table["text"] != None):  # noqa: E711
        with pytest.raises(TypeError, match="isna"):
            wrong()
    with pytest.raises(TypeError, match="isna"):
        table["real"] == np.nan  # noqa: B015
    assert given(table["real"].isna()) == [False, True, False, False]


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("small", [300]),
        ("small", [1.7]),
        ("small", np.array([1.9])),
        ("small", [np.nan]),
        ("cat", [77]),
        ("cat", ["nobody"]),
        ("fixed", ["longer"]),
    ],
)
def test_what_does_not_fit_is_not_written(table, name, wrong):
    """Appended or assigned: an error that names the field, and the rows are as they were."""
    before = given(table[name])
    with pytest.raises(DataError, match=f"t/{name}"):
        table[name].data.write(wrong)
    with pytest.raises(DataError, match=f"t/{name}"):
        table[name].data[0] = wrong[0]
    assert given(table[name]) == before


def test_what_fits_is_written_exactly(table):
    """Whole floats, names of categories, and None and masks for what is missing."""
    table["small"].data.write([1.0, True, None])
    table["small"].data.write(np.ma.MaskedArray([5, 6], [False, True]))
    assert given(table["small"])[4:] == [1, 1, 0, 5, 0]
    assert given(table["small"].isna())[4:] == [False, False, True, False, True]
    table["cat"].data.write(["maybe", "no"])
    assert given(table["cat"])[4:] == [2, 0]
    table["text"].data.write(["x", None])
    assert table["text"].data[:][4:] == ["x", ""]
    assert given(table["text"].isna())[4:] == [False, True]


@pytest.mark.parametrize("codes", [[0, 1, 2], [-1, 0, 7], [5], [0, 1, 2, 3, 40], range(0, 60, 3)])
def test_every_code_has_a_name(codes):
    """The first code that has none is told, whether the keys have gaps or not."""
    with Session() as session:
        frame = session.open_dataset("memory://codes", "w", "d").create_dataframe("t")
        field = frame.create_categorical("c", "int8", {f"n{code}": code for code in codes})
        known = [*codes, *reversed(codes)]
        field.data.write(known)
        assert field.data[:].tolist() == known
        for wrong in sorted(set(range(-2, 62)) - set(codes)):
            with pytest.raises(DataError, match=f"code {wrong}, which is value {len(known)} of"):
                field.data.write(np.array([*known, wrong, wrong], "int8"))
        assert field.data[:].tolist() == known


@pytest.mark.parametrize(
    "function",
    [
        lambda one, two: np.concatenate([one, two]),
        lambda one, two: np.append(one, two),
        lambda one, two: np.where(np.ones(4, bool), one, two),
        lambda one, two: np.select([np.ones(4, bool)], [one], two),
        lambda one, two: np.union1d(one, two.data),
        np.intersect1d,
        np.setdiff1d,
        np.array_equal,
    ],
)
def test_numpy_puts_no_codes_of_other_names_together(table, function):
    """In one array a code stands for one name."""
    other = table.create_categorical("other", "int8", {"no": 1, "yes": 0, "maybe": 2})
    other.data.write(NAMES)
    with pytest.raises(DataError, match="name their categories differently"):
        function(table["cat"], other)
    same = np.asarray(function(table["cat"], table["cat"]))
    assert set(same.reshape(-1).tolist()) <= {0, 1, 2}
