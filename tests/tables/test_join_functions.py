"""The functions of a session that join fields and arrays."""

from __future__ import annotations

import math
import uuid

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exetera_zarr import Session
from exetera_zarr.errors import DataError
from exetera_zarr.tables.session_joins import INVALID_INDEX

LEFT = np.array([30, 10, 20, 10, 50])
RIGHT = np.array([10, 20, 10, 40])


@pytest.fixture(params=["native", "exetera"])
def s(request):
    with Session(row_block=2, exetera=request.param == "exetera") as session:
        yield session


@pytest.fixture
def nothing(s):
    """What a row without a partner is."""
    return None if s.settings.face.sees_missing else 0


@pytest.fixture
def table(s, place):
    ds = s.open_dataset(place.url("x.zarr"), "w", "d", storage_options=place.storage_options)
    return ds.create_dataframe("t")


@pytest.fixture(params=["arrays", "fields", "strings"])
def as_key(request, table):
    """Keys as arrays, as stored fields of numbers, and as fields of strings."""

    def make(name, values):
        if request.param == "arrays":
            return np.asarray(values, np.int64)
        if request.param == "fields":
            field = table.create_numeric(name, "int64")
            field.data.write(np.asarray(values))
        else:
            field = table.create_indexed_string(name)
            field.data.write([f"{v:03}" for v in values])
        return field

    return make


def test_shared_index(s, as_key):
    found = s.get_shared_index((as_key("a", [30, 10, 20]), as_key("b", [40, 10]), as_key("c", [])))
    assert [part.tolist() for part in found] == [[2, 0, 1], [3, 0], []]


def test_shared_index_is_exact(s):
    with pytest.raises(TypeError, match="never equal to a string"):
        s.get_shared_index((np.array([1]), np.array([b"1"])))
    with pytest.raises(TypeError, match="exactly"):
        s.get_shared_index((np.array([2**53 + 1]), np.array([2.0**53])))
    with pytest.raises(ValueError, match="tuple"):
        s.get_shared_index([np.array([1])])


def test_signed_and_unsigned_keys_are_compared_exactly(s):
    """numpy would make floats of them, in which 2^53 and 2^53 + 1 are one."""
    signed = np.array([2**53, -1, 2**62])
    unsigned = np.array([2**53 + 1, 2**64 - 1, 2**62], np.uint64)
    assert s.get_index(signed, unsigned).tolist() == [INVALID_INDEX, INVALID_INDEX + 1, 2]
    found = s.get_shared_index((signed, unsigned, np.array([-1, 5], np.int8)))
    assert [part.tolist() for part in found] == [[2, 0, 4], [3, 5, 4], [0, 1]]


def test_distinct(s):
    assert s.distinct(np.array([3, 1, 3, 2])).tolist() == [1, 2, 3]
    assert len(s.distinct(np.array([np.nan, 1.0, np.nan]))) == 2
    both = s.distinct(fields=[np.array([2, 1, 2, 1]), np.array([5, 7, 5, 6])])
    assert [part.tolist() for part in both] == [[1, 1, 2], [6, 7, 5]]
    chosen = s.distinct(np.array([3, 1, 2]), filter=np.array([True, False, True]))
    assert chosen.tolist() == [2, 3]
    with pytest.raises(ValueError, match="either field or fields"):
        s.distinct()


def test_index_of_a_foreign_key(s, as_key):
    """The last of equal targets; what is not there gets growing numbers, equal ones the same."""
    target = as_key("target", [10, 20, 10])
    found = s.get_index(target, as_key("fk", [20, 70, 10, 60, 70, 20, 5]))
    assert found[[0, 2, 5]].tolist() == [1, 2, 1]
    missing = (found[[1, 3, 4, 6]] - INVALID_INDEX).tolist()
    assert missing[0] == missing[2] == 0
    assert 0 < missing[1] < missing[3]


KEYS = {
    "numbers": st.integers(-2, 6),
    "floats": st.sampled_from([math.nan, -0.0, 0.0, 1.5, -math.inf]),
    "strings": st.text("ab", max_size=3),
}


@pytest.mark.parametrize("kind", KEYS)
@given(data=st.data())
@settings(max_examples=25)
def test_indices_are_those_of_dictionaries(kind, data):
    """However keys lie in blocks, and in fields or arrays; NaN equals NaN."""
    some = st.lists(KEYS[kind], max_size=12)
    target, wanted = data.draw(some), data.draw(some)
    with Session(row_block=2) as s:
        table = s.open_dataset(f"memory://index-{uuid.uuid4()}", "w", "d").create_dataframe("t")
        fields = [written(table, name, kind, v) for name, v in (("t", target), ("w", wanted))]
        plain = [plain_key(value) for value in wanted]
        places = {plain_key(value): row for row, value in enumerate(target)}
        missing = [key for key in plain if key not in places]
        expected = [
            places.get(k, INVALID_INDEX + missing.index(k) if k in missing else 0) for k in plain
        ]
        assert s.get_index(*fields).tolist() == expected
        every = sorted({*places, *plain})
        shared = s.get_shared_index(tuple(fields))
        assert shared[0].tolist() == [every.index(plain_key(value)) for value in target]
        assert shared[1].tolist() == [every.index(key) for key in plain]
        assert [plain_key(value) for value in s.distinct(fields[1])] == sorted(set(plain))


def plain_key(value):
    """What orders and compares as the value does here."""
    if isinstance(value, str):
        return value
    return (1, 0) if math.isnan(value) else (0, float(value))


def written(table, name, kind, values):
    if kind == "strings":
        field = table.create_indexed_string(name)
    else:
        field = table.create_numeric(name, "int64" if kind == "numbers" else "float64")
    field.data.write(values)
    return field


@pytest.mark.parametrize("as_key", ["fields", "strings"], indirect=True)
def test_keys_are_read_block_by_block(s, as_key, monkeypatch):
    """Never a whole column."""
    target, wanted = as_key("target", range(40)), as_key("wanted", range(20, 60))
    rows = as_key("again", range(40)) if not target.indexed else None
    original, longest = type(target).read, []

    def reading(field, start, stop, *more):
        longest.append(stop - start)
        return original(field, start, stop, *more)

    monkeypatch.setattr(type(target), "read", reading)
    s.get_index(target, wanted)
    s.get_shared_index((target, wanted))
    if rows is not None:
        s.join(target, rows, wanted)
    assert max(longest) <= 4 * 2


def test_index_into_a_destination(s, table):
    field = table.create_numeric("row", "int64")
    assert s.get_index(np.array([5, 6]), np.array([6, 5]), field) is field
    assert field.data[:].tolist() == [1, 0]
    array = np.zeros(2, np.int64)
    assert s.get_index(np.array([5, 6]), np.array([6, 5]), array) is array
    assert array.tolist() == [1, 0]


def test_join(s, table, nothing):
    """One value for each run of a foreign key, at the row that it names."""
    fkey = np.array([0, 0, 2, INVALID_INDEX, INVALID_INDEX + 1])
    values = np.array([7, 8, 9, 9])
    assert s.join(np.zeros(4), fkey, values).tolist() == [7, nothing, 8, nothing]
    writer = table.create_numeric("w", "int64")
    assert s.join(np.zeros(4), fkey, values, writer, np.array([0, 2, 3, 4, 5])) is None
    assert writer.data[:].tolist() == [7, 0, 8, 0]
    text = table.create_indexed_string("text")
    text.data.write(["a", "b", "", ""])
    no_text = "" if nothing == 0 else None
    assert s.join(np.zeros(4), fkey, text) == ["a", no_text, "b", no_text]
    with pytest.raises(DataError, match="no row of the 2"):
        s.join(np.zeros(2), fkey, values)
    with pytest.raises(DataError, match="3 values for 4 runs"):
        s.join(np.zeros(4), fkey, values[:3])


def test_merges_of_keys_in_any_order(s, table, as_key, nothing):
    left_on, right_on = as_key("left", LEFT), as_key("right", RIGHT)
    number = np.arange(4) + 1
    text = table.create_indexed_string("text")
    text.data.write(["a", "b", "c", "d"])
    numbers, texts = s.merge_left(left_on, right_on, right_fields=(number, text))
    assert numbers.tolist() == [nothing, 1, 3, 2, 1, 3, nothing]
    assert texts.data[:] == ["", "a", "c", "b", "a", "c", ""]
    alone = [nothing is None, False, False, False, False, False, nothing is None]
    assert texts.isna().data[:].tolist() == alone
    (found,) = s.merge_right(left_on, right_on, left_fields=(LEFT,))
    assert found.tolist() == [10, 10, 20, 10, 10, nothing]
    one, other = s.merge_inner(left_on, right_on, (LEFT,), None, (RIGHT,), None)
    assert one[0].tolist() == other[0].tolist() == [10, 10, 10, 10, 20]
    writer = table.create_numeric("writer", "int64")
    assert s.merge_left(left_on, right_on, (number,), (writer,)) == []
    assert writer.data[:].tolist() == [0, 1, 3, 2, 1, 3, 0]
    assert writer.isna().data[:].tolist() == alone


def test_merges_of_keys_that_ascend(s, table, as_key, nothing):
    left_on, right_on = as_key("left", [10, 10, 20, 30, 50]), as_key("right", [10, 20, 40, 50])
    values = np.array([1, 2, 3, 4])
    assert s.ordered_merge_left(left_on, right_on, (values,), right_unique=True)[0].tolist() == [
        1,
        1,
        2,
        nothing,
        4,
    ]
    rows = table.create_numeric("rows", "int64")
    sink = table.create_numeric("sink", "int64")
    assert (
        s.ordered_merge_left(left_on, right_on, (values,), (sink,), rows, right_unique=True) is None
    )
    assert rows.data[:].tolist() == [0, 0, 1, INVALID_INDEX, 3]
    assert sink.data[:].tolist() == [1, 1, 2, 0, 4]
    swapped = s.ordered_merge_right(right_on, left_on, (values,), left_unique=True)
    assert swapped[0].tolist() == [1, 1, 2, nothing, 4]
    inner = s.ordered_merge_inner(
        left_on, right_on, left_field_sources=(np.arange(5),), right_field_sources=(values,)
    )
    assert [side[0].tolist() for side in inner] == [[0, 1, 2, 4], [1, 1, 2, 4]]


def test_ordered_merges_refuse_what_is_not_so(s):
    ascending, values = np.array([1, 2, 3]), np.arange(3)
    with pytest.raises(ValueError, match="right_unique must be True"):
        s.ordered_merge_left(ascending, ascending, (values,))
    with pytest.raises(DataError, match="occurs twice"):
        s.ordered_merge_left(ascending, np.array([1, 1, 2]), (values,), right_unique=True)
    with pytest.raises(ValueError, match="do not ascend"):
        s.ordered_merge_left(ascending[::-1], ascending, (values,), right_unique=True)
    with pytest.raises(ValueError, match="all fields or all arrays"):
        s.ordered_merge_left(ascending, ascending, (values, s), right_unique=True)
