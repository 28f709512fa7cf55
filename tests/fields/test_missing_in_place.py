"""What changes a field as a whole keeps what is missing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from exetera_zarr import DataError, Session
from exetera_zarr.errors import ResultRangeError
from exetera_zarr.fields import argsort, as_field, isin


@pytest.fixture(params=["memory", "local", "hdf5"])
def table(request, tmp_path):
    url = {"memory": "memory://in-place", "local": tmp_path / "x.zarr", "hdf5": tmp_path / "x.hdf5"}
    with Session(row_block=2) as session:
        frame = session.open_dataset(str(url[request.param]), "w", "d").create_dataframe("t")
        frame.create_numeric("k", "int8").data.write([1, None, 3])
        frame.create_numeric("after", "int8").data.write([7, 8, 9])
        yield frame


def values(field):
    return [
        None if gone else value
        for value, gone in zip(field.data[:].tolist(), field.isna().data[:], strict=True)
    ]


@pytest.mark.parametrize("dtype", ["int16", "float64", "float32"])
def test_astype(table, dtype):
    table["k"].astype(dtype)
    assert values(table["k"]) == [1, None, 3]
    assert table["k"].mean() == 2
    assert next(iter(table.keys())) == "k"
    table.dataset.commit()
    assert values(table["k"]) == [1, None, 3]
    assert len(table.to_pandas()) == 3


def test_astype_that_fails(table):
    table.create_numeric("a", "int16").data.write([1, 300, 2])
    before = list(table.keys())
    for _ in range(2):
        with pytest.raises(DataError):
            table["a"].astype("int8")
    assert list(table.keys()) == before
    assert table["a"].data[:].tolist() == [1, 300, 2]


def test_whole_numbers_become_floats(table):
    """F9: what is missing is NaN, and no 0."""
    for name in ("float32", "float64"):
        field = table.create_numeric(name, name)
        field.data.write(table["k"])
        assert [math.isnan(v) for v in field.data[:]] == [False, True, False]
        field.data[:] = table["k"] * 2
        assert (field.mean(), field.count()) == (4, 2)
    when = table.create_timestamp("when")
    when.data.write(table["k"])
    assert when.isna().data[:].tolist() == [False, True, False]


def test_rows_in_place(table):
    table["k"].apply_index(np.array([1, 0, 2]), in_place=True)
    assert values(table["k"]) == [None, 1, 3]
    table["k"].apply_filter(np.array([True, True, False]), in_place=True)
    assert values(table["k"]) == [None, 1]
    table["k"].apply_spans_max(np.array([0, 1, 2]), in_place=True)
    assert values(table["k"]) == [None, 1]
    table["k"].apply_spans_max(np.array([0, 2]), in_place=True)
    assert values(table["k"]) == [1]


@pytest.mark.parametrize("nothing", [None, np.ma.masked])
def test_nothing_fills_nothing(table, nothing):
    with pytest.raises(DataError, match="takes a value"):
        table["k"].fillna(nothing)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "int64", "uint64"])
def test_rounding_does_not_wrap(table, dtype):
    limits = np.iinfo(dtype)
    numbers = [limits.min, limits.max, 0, 5, 15, 25, 17, limits.max // 2]
    field = table.create_numeric("n", dtype)
    field.data.write(numbers)
    for digits in (0, 1, -1, -2, -3, -18, -19, -20):
        right = [round(number, digits) for number in numbers]
        wide = np.iinfo("uint64" if dtype == "uint64" else "int64")
        if all(wide.min <= number <= wide.max for number in right):
            found = round(field, digits).data[:]
            assert [int(number) for number in found] == right
        else:
            with pytest.raises(ResultRangeError):
                round(field, digits).data[:]


def test_remap(table):
    """What is missing is no category, whatever the code in its place becomes."""
    field = table.create_categorical("c", "int8", {"no": 0, "yes": 1})
    field.data.write(["no", None, "yes", None, None])
    other = field.remap([(0, 1), (1, 2)], {"nein": 1, "ja": 2})
    assert values(other) == [1, None, 2, None, None]
    assert other.value_counts() == {"nein": 1, "ja": 1}
    assert values(other.remap([(1, 7), (2, 8)], {"a": 7, "b": 8})) == [7, None, 8, None, None]


def test_remap_to_codes_without_a_name(table):
    """A code that no one spoke of is no 0, which may be a category."""
    field = table.create_categorical("c", "int8", {"no": 0, "yes": 1})
    field.data.write(["no", None, "yes"])
    with pytest.raises(DataError, match="the code 1 of field t/c the new one 5, for which"):
        field.remap([(0, 1), (1, 5)], {"nein": 1, "ja": 2})
    field.array().write(2, np.array([9], np.int8))
    with pytest.raises(DataError, match="the code 9, which is in row 2 of field t/c"):
        field.remap([(0, 0), (1, 1)], {"nein": 0, "ja": 1})
    assert values(field.remap([(0, 0), (1, 1), (9, 1)], {"nein": 0, "ja": 1})) == [0, None, 1]


def test_functions_of_fields(table):
    """They see what is missing, as the methods do."""
    assert values(isin(table["k"], [1])) == [True, None, False]
    assert values(isin(table["k"], [0])) == [False, None, False]
    field = table.create_numeric("n", "int8")
    field.data.write([5, None, -3, None, 1])
    assert argsort(field, "int32").data[:].tolist() == [2, 4, 0, 1, 3]
    made = as_field(np.ma.masked_array([5, 6, 7], [False, True, False]))
    assert values(made) == [5, None, 7]
    coded = as_field(np.ma.masked_array([0, 9], [False, True]), {"a": 0})
    assert values(coded) == [0, None]
