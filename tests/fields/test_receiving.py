"""Rows of one field that go to another: exactly, categories by their names, or not at all."""

from __future__ import annotations

import numpy as np
import pytest

from exetera_zarr import DataError, Session

CODES = {"no": 0, "yes": 1, "dk": 2}
OTHERS = {"yes": 0, "no": 1}


@pytest.fixture(params=["memory", "local", "hdf5"])
def table(request, tmp_path):
    url = {"memory": "memory://receiving", "local": tmp_path / "x.zarr", "hdf5": tmp_path / "x.h5"}
    with Session(row_block=2) as session:
        frame = session.open_dataset(str(url[request.param]), "w", "d").create_dataframe("t")
        yield frame


MAKERS = {
    "categories": lambda frame, name: frame.create_categorical(name, "int8", CODES),
    "others": lambda frame, name: frame.create_categorical(name, "int8", OTHERS),
    "moment": lambda frame, name: frame.create_timestamp(name),
    "fixed": lambda frame, name: frame.create_fixed_string(name, 3),
}


def make(frame, kind, name, values=()):
    field = MAKERS[kind](frame, name) if kind in MAKERS else frame.create_numeric(name, kind)
    field.data.write(list(values))
    return field


def said(field):
    """The values that there are, names of categories, and None for what is missing."""
    names = getattr(field, "keys", {})
    return [
        None if gone else names.get(value, value)
        for value, gone in zip(field.data[:].tolist(), field.isna().data[:], strict=True)
    ]


BRINGERS = {
    "filter": lambda field, target: field.apply_filter(np.ones(len(field), bool), target=target),
    "index": lambda field, target: field.apply_index(np.arange(len(field)), target=target),
    "first": lambda field, target: field.apply_spans_first(
        np.arange(len(field) + 1), target=target
    ),
    "last": lambda field, target: field.apply_spans_last(np.arange(len(field) + 1), target=target),
    "min": lambda field, target: field.apply_spans_min(np.arange(len(field) + 1), target=target),
    "max": lambda field, target: field.apply_spans_max(np.arange(len(field) + 1), target=target),
    "write": lambda field, target: (target.data.clear(), target.data.write(field)),
    "data": lambda field, target: (target.data.clear(), target.data.write(field.data)),
}


@pytest.fixture(params=[*BRINGERS])
def bring(request):
    return BRINGERS[request.param]


MISFITS = [
    ("float64", [None, 1, 2, 2.7], "int8", "t/y holds int8; value 3 of those given, 2.7,"),
    ("float64", [1, 0, 300], "int8", "t/y holds int8; value 2 of those given, 300.0,"),
    ("int8", [1, 0, None, 2], "bool", "t/y holds bool; value 3 of those given, 2,"),
    ("uint64", [1, 2, 2**53 + 1], "float64", "t/y .*value 2 of those given, 9007199254740993,"),
    ("int64", [1, 2, None, 2**53 + 1], "moment", "t/y .*value 3 .*9007199254740993"),
    ("int8", [1, None, 0, 7], "categories", "t/y has no category of the code 7, .* value 3 "),
    ("categories", [0, None, 1, 2], "others", "t/y has no category 'dk', which is value 3 of"),
    ("categories", [0, 1, None, 2], "others", "t/y has no category 'dk', which is value 3 of"),
    ("categories", [0, None, 1, 2], "bool", "t/y holds bool; value 3 of those given, 2,"),
    ("fixed", ["no", None, "yes", "x"], "categories", r"t/y has no category b'x'.*value 3.*'x'"),
    ("fixed", ["1", None], "float64", "t/y holds float64.*value 0 of those given, '1'"),
]


@pytest.mark.parametrize(("kind", "values", "other", "words"), MISFITS)
def test_what_does_not_fit(table, bring, kind, values, other, words):
    """It is told with field, row and value, and the target is as it was."""
    field, target = make(table, kind, "x", values), make(table, other, "y")
    target.data.write([1, None] if other != "moment" else [1.0, None])
    before = said(target)
    with pytest.raises(DataError, match=words):
        bring(field, target)
    if bring not in (BRINGERS["write"], BRINGERS["data"]):
        assert said(target) == before


FITS = [
    ("float64", [None, 1, 2, 127], "int8", [None, 1, 2, 127]),
    ("int8", [1, 0, None, 1], "bool", [True, False, None, True]),
    ("int8", [None, None, 3], "float64", [None, None, 3.0]),
    ("int8", [None, None], "float32", [None, None]),
    ("float64", [None, None], "int8", [None, None]),
    ("float64", [5, None, 6], "moment", [5.0, None, 6.0]),
    ("moment", [5, None, 6], "int8", [5, None, 6]),
    ("bool", [True, None, False], "int8", [1, None, 0]),
    ("int8", [2, None, 1], "categories", [b"dk", None, b"yes"]),
    ("categories", [0, None, 1, 1], "others", [b"no", None, b"yes", b"yes"]),
    ("others", [0, None, 1, 1], "categories", [b"yes", None, b"no", b"no"]),
    ("categories", [2, None, 1], "int8", [2, None, 1]),
    ("fixed", ["no", None, "yes"], "others", [b"no", None, b"yes"]),
]


@pytest.mark.parametrize("had", ["some missing", "none missing"])
@pytest.mark.parametrize(("kind", "values", "other", "wanted"), FITS)
def test_what_fits(table, bring, kind, values, other, wanted, had):
    """Categories keep their names and get other codes; what is missing stays so."""
    field, target = make(table, kind, "x", values), make(table, other, "y")
    target.data.write([None, 1] if had == "some missing" else [1])
    bring(field, target)
    assert said(target) == wanted
    assert field.face.sees_missing
    assert target.count() == sum(one is not None for one in wanted)


def test_codes_without_a_name(table):
    """They pass to a field of the same categories, and to no other."""
    field = make(table, "categories", "x", [0, 2, 1])
    field.array().write(2, np.array([9], np.int8))
    same = field.apply_filter(np.ones(3, bool), target=make(table, "categories", "same"))
    assert same.data[:].tolist() == [0, 2, 9]
    twin = make(table, "others", "y")
    with pytest.raises(DataError, match="value 1 of those given can be: its code, 9, has no name"):
        field.apply_index([0, 2], target=twin)


def test_the_target_in_exeteras_face():
    """What ExeTera makes of it, to the letter."""
    with Session(row_block=2, exetera=True) as s:
        frame = s.open_dataset("memory://receiving-exetera", "w", "d").create_dataframe("t")
        field, target = frame.create_numeric("x", "float64"), frame.create_numeric("y", "int8")
        field.data.write(np.array([0.9, 2.7, 0.0]))
        field.apply_filter(np.ones(3, bool), target=target)
        assert target.data[:].tolist() == [0, 2, 0]
        one = frame.create_categorical("c", "int8", CODES)
        one.data.write(np.array([0, 2, 1]))
        other = frame.create_categorical("d", "int8", OTHERS)
        one.apply_index(np.arange(3), target=other)
        assert other.data[:].tolist() == [0, 2, 1]


def test_the_data_of_text(table):
    """It is written as the field is, with what is missing of it."""
    field, twin = (table.create_indexed_string(name) for name in ("x", "y"))
    field.data.write(["a", None, ""])
    twin.data.write(field.data)
    assert list(twin.data[:]) == ["a", "", ""]
    assert twin.isna().data[:].tolist() == [False, True, False]
    other = table.create_fixed_string("z", 3)
    other.data.write(field.data)
    assert said(other) == [b"a", None, b""]


def test_many_categories(table):
    """They are looked up, and not one after the other."""
    names = [f"name {number}" for number in range(20_000)]
    field = table.create_categorical("x", "int32", {name: i for i, name in enumerate(names)})
    target = table.create_categorical("y", "int32", {name: -i for i, name in enumerate(names)})
    rows = np.arange(0, 20_000, 700, dtype=np.int32)
    field.data.write(rows)
    field.apply_index(np.arange(len(rows)), target=target)
    assert (target.data[:] == -rows).all()
