"""What the functions of a session write to fields, and what they take for equal keys."""

from __future__ import annotations

import numpy as np
import pytest

from exetera_zarr import DataError, Session, merge
from exetera_zarr.tables.session_joins import INVALID_INDEX

CODES = {"no": 0, "yes": 1, "dk": 2}
OTHERS = {"yes": 0, "no": 1}
ROWS = np.arange(3)
SPANS = np.arange(4)


@pytest.fixture
def s():
    with Session(row_block=2) as session:
        yield session


@pytest.fixture
def table(s):
    return s.open_dataset("memory://session-items", "w", "d").create_dataframe("t")


def said(field):
    """Names of categories, other values, and None for what is missing."""
    names = getattr(field, "keys", {})
    return [
        None if gone else names.get(value, value)
        for value, gone in zip(list(field.data[:]), field.isna().data[:], strict=True)
    ]


INTO = {
    "apply_filter": lambda s, c, dest: s.apply_filter(np.ones(3, bool), c, dest),
    "apply_index": lambda s, c, dest: s.apply_index(ROWS, c, dest),
    "apply_spans_first": lambda s, c, dest: s.apply_spans_first(SPANS, c, dest),
    "apply_spans_last": lambda s, c, dest: s.apply_spans_last(SPANS, c, dest),
    "apply_spans_min": lambda s, c, dest: s.apply_spans_min(SPANS, c, dest),
    "apply_spans_max": lambda s, c, dest: s.apply_spans_max(SPANS, c, dest),
    "aggregate_first": lambda s, c, dest: s.aggregate_first(ROWS, c, dest),
    "aggregate_max": lambda s, c, dest: s.aggregate_max(ROWS, c, dest),
    "join": lambda s, c, dest: s.join(ROWS, ROWS, c, dest),
    "merge_left": lambda s, c, dest: s.merge_left(ROWS, ROWS, (c,), (dest,)),
    "merge_right": lambda s, c, dest: s.merge_right(ROWS, ROWS, (c,), (dest,)),
    "merge_inner": lambda s, c, dest: s.merge_inner(
        ROWS, ROWS, right_fields=(c,), right_writers=(dest,)
    ),
    "ordered_merge_left": lambda s, c, dest: s.ordered_merge_left(
        ROWS, ROWS, (c,), (dest,), right_unique=True
    ),
    "ordered_merge_inner": lambda s, c, dest: s.ordered_merge_inner(ROWS, ROWS, (c,), (dest,)),
}


@pytest.fixture(params=[*INTO])
def into(request):
    return INTO[request.param]


def test_categories_by_their_names(s, table, into):
    """Not by their codes, which would swap them."""
    field, dest = (
        table.create_categorical("c", "int8", CODES),
        table.create_categorical("d", "int8", OTHERS),
    )
    field.data.write(["no", None, "yes"])
    into(s, field, dest)
    assert said(dest) == [b"no", None, b"yes"]


def test_a_name_that_is_not_there(s, table, into):
    field, dest = (
        table.create_categorical("c", "int8", CODES),
        table.create_categorical("d", "int8", OTHERS),
    )
    field.data.write(["no", None, "dk"])
    with pytest.raises(DataError, match="t/d has no category 'dk', which is value 2 of"):
        into(s, field, dest)


def test_codes_that_have_no_name(s, table, into):
    field = table.create_numeric("n", "int8")
    field.data.write([0, None, 7])
    dest = table.create_categorical("d", "int8", OTHERS)
    with pytest.raises(DataError, match=r"t/d has no category of the code 7, .* value 2 of"):
        into(s, field, dest)
    field.data[2] = 1
    other = table.create_categorical("e", "int8", OTHERS)
    into(s, field, other)
    assert said(other) == [b"yes", None, b"no"]


def test_the_data_of_a_field_has_its_names(s, table):
    field, dest = (
        table.create_categorical("c", "int8", CODES),
        table.create_categorical("d", "int8", OTHERS),
    )
    field.data.write(["no", "yes", "no"])
    s.apply_index(ROWS, field.data, dest)
    assert said(dest) == [b"no", b"yes", b"no"]


@pytest.mark.parametrize("dtype", [list, "U3", "S3", object])
def test_names_in_a_row(s, table, dtype):
    names = ["no", "yes"]
    given = names if dtype is list else np.array(names, dtype)
    dest = table.create_categorical("d", "int8", OTHERS)
    s.apply_index(np.array([1, 0]), given, dest)
    assert said(dest) == [b"yes", b"no"]


def test_fixed_strings_as_text(s, table):
    field, dest = table.create_fixed_string("f", 3), table.create_indexed_string("t")
    field.data.write(["a", None, "abc"])
    s.apply_index(ROWS, field, dest)
    assert said(dest) == ["a", None, "abc"]


@pytest.mark.parametrize("dtype", ["bool", "int32", "float32"])
def test_row_numbers_that_do_not_fit(s, table, dtype):
    """A number for what is not there would be another, or that of a row."""
    keys, wanted = np.array([5, 6]), np.array([6, 8, 9])
    assert s.get_index(keys, wanted).tolist() == [1, INVALID_INDEX, INVALID_INDEX + 1]
    dest = table.create_numeric("d", dtype)
    with pytest.raises(DataError, match="does not fit"):
        s.get_index(keys, wanted, dest)
    with pytest.raises(DataError, match="does not fit"):
        s.get_index(keys, wanted, np.zeros(3, dtype))
    row_map = table.create_numeric("m", "uint8")
    with pytest.raises(DataError, match="does not fit"):
        s.ordered_merge_left(np.array([4, 5, 9]), keys, (), None, row_map, right_unique=True)
    whole = np.zeros(3, np.int64)
    assert s.get_index(keys, wanted, whole).tolist() == [1, INVALID_INDEX, INVALID_INDEX + 1]


# -- keys


def categories(table, name, key, values=("0", "1")):
    field = table.create_categorical(name, "int8", key)
    field.data.write(list(values))
    return field


def numbers(table, name, dtype, values=(0, 1)):
    field = table.create_timestamp(name) if dtype == "moment" else table.create_numeric(name, dtype)
    field.data.write(list(values))
    return field


def merged(s, one, other):
    ds = one.dataframe.dataset
    name = f"dest{len(ds)}"
    try:
        merge(one.dataframe, other.dataframe, ds.create_dataframe(name), one.name, other.name)
    finally:
        assert one.dataframe.keys() == ["one", "other"]


JOINS = {
    "merge": merged,
    "merge of two keys": lambda s, one, other: merge(
        one.dataframe,
        other.dataframe,
        one.dataframe.dataset.create_dataframe("dest"),
        ["one", one.name],
        ["one", other.name],
    ),
    "get_index": lambda s, one, other: s.get_index(one, other),
    "get_index of data": lambda s, one, other: s.get_index(one.data, other),
    "get_shared_index": lambda s, one, other: s.get_shared_index((one, np.array([1]), other)),
    "merge_left": lambda s, one, other: s.merge_left(one, other, (one,)),
    "merge_right": lambda s, one, other: s.merge_right(one, other, (one,)),
    "merge_inner": lambda s, one, other: s.merge_inner(one, other, (one,), None, (other,)),
    "ordered_merge_left": lambda s, one, other: s.ordered_merge_left(
        one, other, (other,), right_unique=True
    ),
    "ordered_merge_right": lambda s, one, other: s.ordered_merge_right(
        one, other, (one,), left_unique=True
    ),
    "ordered_merge_inner": lambda s, one, other: s.ordered_merge_inner(one, other),
}


@pytest.fixture(params=[*JOINS])
def join(request):
    return JOINS[request.param]


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("kind", ["int8", "float64", "bool", "moment", "text", "fixed"])
def test_a_category_is_no_number_and_no_text(s, table, join, kind, turned):
    """Else 0 would be the category of that code, whatever its name is; == refuses it too."""
    if kind == "text":
        one = table.create_indexed_string("one")
        one.data.write(["0", "1"])
    elif kind == "fixed":
        one = table.create_fixed_string("one", 1)
        one.data.write(["0", "1"])
    else:
        one = numbers(table, "one", kind)
    other = categories(table, "other", {"1": 0, "0": 1})
    with pytest.raises(TypeError):
        one == other  # noqa: B015
    pair = (other, one) if turned else (one, other)
    with pytest.raises(TypeError, match=r"a category is one of its field, and no|never equal"):
        join(s, *pair)


def test_what_the_error_says_to_write(s, table):
    """It gives what is meant."""
    one = numbers(table, "one", "int8")
    other = categories(table, "other", {"1": 0, "0": 1})
    text = table.create_indexed_string("text")
    text.data.write(["1", "1"])
    with pytest.raises(TypeError, match=r"field t/one .*field t/other .*write them to a numeric"):
        s.get_index(one, other)
    codes = table.create_numeric("codes", "int8")
    codes.data.write(other)
    assert s.get_index(one, codes).tolist() == [1, 0]
    with pytest.raises(TypeError, match=r"such as create_like\(\) makes"):
        s.get_index(other, text)
    named = other.create_like()
    named.data.write(text)
    assert s.get_index(other, named).tolist() == [1, 1]


def test_other_codes_for_the_same_names(s, table, join):
    one = categories(table, "one", {"0": 0, "1": 1})
    other = categories(table, "other", {"1": 0, "0": 1})
    with pytest.raises(DataError, match=r"name their categories differently.*remap one of them"):
        join(s, one, other)


def test_categories_of_which_one_has_more(s, table):
    """No code stands for two names, so the functions of a session may compare them."""
    one = categories(table, "one", {"0": 0, "1": 1})
    other = categories(table, "other", {"1": 1, "2": 2}, ["2", "1"])
    assert s.get_index(one, other).tolist() == [INVALID_INDEX, 1]


def test_codes_in_an_array(s, table):
    """They are codes, as for ==."""
    one = categories(table, "one", {"1": 0, "0": 1})
    assert s.get_index(one, np.array([1, 0], np.int8)).tolist() == [0, 1]


def test_keys_in_exeteras_face():
    """Codes are numbers there."""
    with Session(row_block=2, exetera=True) as s:
        table = s.open_dataset("memory://items-exetera", "w", "d").create_dataframe("t")
        one = numbers(table, "one", "int8")
        other = table.create_categorical("other", "int8", {"1": 0, "0": 1})
        other.data.write(np.array([1, 0]))
        assert s.get_index(one, other).tolist() == [1, 0]
        dest = table.dataset.create_dataframe("dest")
        merge(table, table, dest, "one", "other", ["one"], ["other"])
        assert dest["other"].data[:].tolist() == [0, 1]
        third = table.create_categorical("third", "int8", OTHERS)
        third.data.write(np.array([1, 0]))
        assert s.get_index(other, third).tolist() == [0, 1]
