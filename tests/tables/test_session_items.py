"""What the functions of a session write to fields, and what they take for equal keys."""

from __future__ import annotations

import numpy as np
import pytest

from exetera_zarr import DataError, Session
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
