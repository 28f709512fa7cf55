"""What is said of a snapshot: its fields, its moment, and what is wrong with either."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime

import numpy as np
import pytest

from exetera_zarr import DataError, Session


@pytest.fixture
def dataset(place):
    with Session(row_block=2) as s:
        yield s.open_dataset(place.url("x.zarr"), "w", "d", storage_options=place.storage_options)


def table(dataset, name, moment=None, **columns):
    """A table of int32 and, where there is text, of indexed strings."""
    frame = dataset.create_dataframe(name)
    for column, values in columns.items():
        text = any(isinstance(value, str) for value in values)
        made = frame.create_indexed_string if text else frame.create_numeric
        made(column, *(() if text else ("int32",))).data.write(values)
    if moment is not None:
        rows = len(next(iter(columns.values())))
        frame.create_timestamp("j_valid_from").data.write([moment] * rows)
    return frame


def test_only_the_fields_to_compare_count(dataset):
    """Also of those that a snapshot lacks; the rows that changed have all that it has."""
    journal = dataset.create_dataframe("journal")
    journal.journal(table(dataset, "a", 1.0, id=[1, 2], n=[1, 2], note=["x", "y"]), "id")
    second = table(dataset, "b", 2.0, id=[1, 2], n=[1, 3])
    assert journal.journal(second, "id", compare="n").changed == 1
    assert journal["note"].data[:] == ["x", "y", ""]
    assert journal.journal(second, "id", 3.0).changed == 1
    assert journal["note"].data[:] == ["x", "y", "", ""]


def test_one_field_by_its_name(dataset):
    journal = dataset.create_dataframe("journal")
    journal.journal(table(dataset, "a", 1.0, id=[1], n=[1]), "id", fields="id")
    assert journal.keys() == ["id", "j_valid_from", "j_valid_to"]


def test_a_moment_before_rows_ended(dataset):
    """A snapshot that only closes is one as well: none may come before it."""
    journal = dataset.create_dataframe("journal")
    first = table(dataset, "a", 1.0, id=[1, 2])
    journal.journal(first, "id")
    journal.journal(table(dataset, "b", 9.0, id=[2]), "id", close_vanished=True)
    with pytest.raises(DataError, match=r"before the last one .* 00:00:09"):
        journal.journal(first, "id", 5.0)
    assert journal.journal(first, "id", 9.0).new == 1


def test_what_is_no_snapshot(dataset):
    """One sentence each, and the journal is as it was."""
    journal = dataset.create_dataframe("journal")
    journal.journal(table(dataset, "a", 1.0, id=[1, 2], n=[1, 2]), "id")
    uneven = table(dataset, "uneven", id=[1, 2], n=[1])
    empty = table(dataset, "empty", 2.0, id=[], n=[])
    several = table(dataset, "several", id=[1, 2])
    several.create_timestamp("j_valid_from").data.write([2.0, 3.0])
    worded = table(dataset, "worded", id=[1], j_valid_from=["now"])
    for frame, arguments, said in (
        (None, ("id", 2.0), "the snapshot is a NoneType, not a table"),
        (journal["id"], ("id", 2.0), "NumericField, not a table"),
        (uneven, ("id", 2.0), "different lengths"),
        (empty, ("id",), "'empty' does not say .* as it has no rows"),
        (several, ("id",), "'several' does not say .* has several"),
        (worded, ("id",), "'worded' does not say .* no timestamps"),
    ):
        with pytest.raises(DataError, match=said):
            journal.journal(frame, *arguments)
        assert journal["id"].data[:].tolist() == [1, 2]
    for wrong in ({"absolute": "1"}, {"relative": {"n": None}}):
        with pytest.raises(DataError, match="is a number, 0 or more"):
            journal.journal(several, "id", 4.0, **wrong)
    assert journal.journal(empty, "id", 4.0).vanished == 2


def test_what_is_no_journal(dataset):
    """Whose moments are of another type, with rows and without."""
    for name, ids in (("rows", [1]), ("no rows", [])):
        worded = table(dataset, name, id=ids)
        worded.create_numeric("j_valid_from", "float32").data.write([1.0] * len(ids))
        worded.create_timestamp("j_valid_to").data.write([2.0] * len(ids))
        with pytest.raises(DataError, match="'j_valid_from' is numeric,float32"):
            worded.journal(table(dataset, f"to {name}", 3.0, id=[1]), "id")
        with pytest.raises(DataError, match="not timestamp"):
            worded.valid_at(1.0)


def test_a_repeated_key_is_told_by_its_name(dataset):
    frame = dataset.create_dataframe("a")
    frame.create_categorical("sex", "int8", {"f": 1, "m": 2}).data.write([2, 1, 2])
    frame.create_timestamp("day").data.write([math.nan] * 3)
    with pytest.raises(DataError, match="sex = 'm', day = missing occurs more than once"):
        dataset.create_dataframe("journal").journal(frame, ["sex", "day"], 1.0)


def test_moments(dataset):
    """Numbers of any type, text and datetimes; anything else is told apart."""
    journal = dataset.create_dataframe("journal")
    journal.journal(table(dataset, "a", id=[1]), "id", np.int64(86_400))
    for moment in (np.float32(86_400), "1970-01-02", datetime(1970, 1, 2, tzinfo=UTC)):
        assert journal.valid_at(moment).data[:].tolist() == [True]
    for moment in (86_399, "1970-01-01 23:59:59.999", "1970-01-02 00:30+01:00"):
        assert journal.valid_at(moment).data[:].tolist() == [False]
    for same in (date(1970, 1, 2), np.datetime64("1970-01-02")):
        assert journal.valid_at(same).data[:].tolist() == [True]
    for wrong in (None, [86_400]):
        with pytest.raises(ValueError, match="a moment is text, a datetime or POSIX seconds"):
            journal.valid_at(wrong)


@pytest.mark.parametrize("kind", ["int8", "text", "category"])
def test_a_repeated_key_that_is_missing(dataset, kind):
    """What is stored in its place, such as 0, is a key that others may have."""
    frame = dataset.create_dataframe("a")
    field = {
        "int8": lambda: frame.create_numeric("id", "int8"),
        "text": lambda: frame.create_indexed_string("id"),
        "category": lambda: frame.create_categorical("id", "int8", {"f": 0, "m": 1}),
    }[kind]()
    zero, one = {"int8": (0, 1), "text": ("", "a"), "category": ("f", "m")}[kind]
    field.data.write([zero, None, one, None])
    frame.create_timestamp("day").data.write([1.0, 2.0, 3.0, 4.0])
    with pytest.raises(DataError, match="the key id = missing occurs more than once"):
        dataset.create_dataframe("b").journal(frame, "id", 5.0)
