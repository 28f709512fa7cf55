"""Zones: comparisons read the chunks that can matter, and no others; wrong zones change nothing."""

from __future__ import annotations

import operator
import uuid

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exetera_zarr import CorruptDataError, Session
from exetera_zarr.storage.zarr.zones import Zones
from exetera_zarr.testing.stores import counting

COMPARISONS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]
LIMITS = {"int16": (-(2**15), 2**15 - 1), "int64": (-(2**63), 2**63 - 1), "uint64": (0, 2**64 - 1)}
BLOCK = 4


def numbers(dtype):
    if dtype.startswith("float"):
        return st.floats(-3, 3) | st.sampled_from([0.0, -0.0, 0.1, np.inf, -np.inf])
    low, high = LIMITS[dtype]
    return st.integers(max(low, -3), 3) | st.sampled_from([low, high, low + 1, high - 1])


def truth(function, dtype, value, other):
    """As of numpy, which rounds a Python number to float32 beside such."""
    if value is None:
        return None
    return bool(function(np.float32(value) if dtype == "float32" else value, other))


def seen(field):
    gone = field.isna().data[:]
    return [None if one else bool(value) for one, value in zip(gone, field.data[:], strict=True)]


@st.composite
def columns(draw):
    """A type, values in runs, so that chunks are decided, and what is done to them."""
    dtype = draw(st.sampled_from([*LIMITS, "float32", "float64"]))
    runs = draw(st.lists(st.tuples(numbers(dtype), st.integers(1, 9)), min_size=1, max_size=6))
    values = [value for value, count in runs for _ in range(count)]
    for row in draw(st.lists(st.integers(0, len(values) - 1), max_size=3)):
        values[row] = draw(st.none() | numbers(dtype))
    changes = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["overwrite", "append", "commit", "filter", "rename"]),
                st.integers(0, 30),
                st.lists(numbers(dtype), min_size=1, max_size=9),
            ),
            max_size=4,
        )
    )
    return dtype, values, changes, draw(st.lists(numbers(dtype), min_size=1, max_size=3))


def changed(table, values, what, row, new):
    """Make a change; the values that are there then."""
    field = table[table.keys()[0]]
    if what == "overwrite":
        row, new = row % len(values), new[: len(values) - row % len(values)]
        field.data[row : row + len(new)] = new
        return [*values[:row], *new, *values[row + len(new) :]]
    if what == "append":
        field.data.write(new)
        return [*values, *new]
    if what == "filter":
        keep = [number % (row + 2) != 0 for number in range(len(values))]
        table.apply_filter(np.array(keep))
        return [value for value, kept in zip(values, keep, strict=True) if kept]
    if what == "rename":
        table.rename(field.name, f"n{uuid.uuid4().hex[:6]}")
    table.dataset.commit()
    return values


@settings(max_examples=40)
@given(columns())
def test_comparisons_are_those_of_the_values(case):
    dtype, values, changes, others = case
    with Session(row_block=BLOCK) as session:
        url = f"memory://{uuid.uuid4()}"
        table = session.open_dataset(url, "w", "d").create_dataframe("t")
        table.create_numeric("n", dtype).data.write(values)
        table.dataset.commit()
        for what, row, new in changes:
            values = changed(table, values, what, row, new) or values
            if not len(values):
                return
        compare(table, values, others[:1])
        table.dataset.commit()
        compare(session.open_dataset(url, "r", "again")["t"], values, others)
        table.dataset.verify()


def compare(table, values, others):
    field = table[table.keys()[0]]
    for function in COMPARISONS:
        for other in others:
            model = [truth(function, str(field.data.dtype), value, other) for value in values]
            assert seen(function(field, other)) == model, (function, other)
            assert seen(~function(field, other)) == [None if m is None else not m for m in model]


@pytest.fixture
def sorted_place(tmp_path):
    """1,000 rows sorted by day, in ten chunks, and a second column."""
    place = tmp_path / "x.zarr"
    with Session(row_block=100) as session:
        table = session.open_dataset(place, "w", "d").create_dataframe("t")
        table.create_numeric("day", "int32").data.write(np.arange(1000) // 10)
        table.create_timestamp("when").data.write(np.arange(1000.0) // 10 * 86400)
        table.create_numeric("x", "float32").data.write(np.arange(1000))
        table.create_categorical("kind", "int8", {"a": 0, "b": 1}).data.write([0, 1] * 500)
    return place


def days_of(place, condition):
    """The rows of a condition, and the chunks that it read."""
    with Session() as session, counting() as stores:
        table = session.open_dataset(place, "r", "d")["t"]
        rows = np.flatnonzero(condition(table).data[:]).tolist()
        (store,) = stores
        return rows, store.chunks("get"), [key for _, key in store.calls if key.endswith("/zones")]


def test_a_filter_reads_the_chunks_that_can_match(sorted_place):
    rows, chunks, fetched = days_of(sorted_place, lambda t: t["day"] == 57)
    assert rows == list(range(570, 580))
    assert chunks == ["t/day/values/c/5"]
    assert fetched == ["t/day/values/zones"]
    rows, chunks, _ = days_of(sorted_place, lambda t: (t["day"] >= 20) & (t["day"] < 30))
    assert rows == list(range(200, 300))
    assert chunks == []
    rows, chunks, _ = days_of(sorted_place, lambda t: t["when"] == "1970-02-27")
    assert rows == list(range(570, 580))
    assert chunks == ["t/when/values/c/5"]


def test_a_day_of_some_columns_takes_few_requests(sorted_place):
    """Of a table that is opened: the zones, and one chunk of the day and of each column."""
    with Session() as session, counting() as stores:
        table = session.open_dataset(sorted_place, "r", "d")["t"]
        found = table.to_pandas(table["day"] == 57, ["x", "when"])
        assert found["x"].tolist() == list(range(570, 580))
        (store,) = stores
        assert len(store.calls) <= 2 + 2 + 2


@pytest.mark.parametrize("what", ["gone", "empty", "cut", "flipped", "of another array"])
def test_zones_that_cannot_be_read_say_nothing(sorted_place, what):
    path = sorted_place / "t/day/values/zones"
    data = path.read_bytes()
    path.unlink()
    if what != "gone":
        path.write_bytes(
            {
                "empty": b"",
                "cut": data[:-3],
                "flipped": bytes([data[0] ^ 1]) + data[1:],
                "of another array": Zones.of(np.dtype("int32"), [(0, 1)] * 4).encoded(),
            }[what]
        )
    rows, chunks, _ = days_of(sorted_place, lambda t: t["day"] == 57)
    assert rows == list(range(570, 580))
    assert len(chunks) == 10


def test_verify_finds_a_wrong_zone(sorted_place):
    wrong = Zones.of(np.dtype("int32"), [(0, 1)] * 10).encoded()
    path = sorted_place / "t/day/values/zones"
    path.unlink()
    path.write_bytes(wrong)
    with Session() as session, pytest.raises(CorruptDataError, match=r"day.*chunk 1.*zone"):
        session.open_dataset(sorted_place, "r", "d").verify()


def test_zones_go_with_their_array(sorted_place):
    """What is swept, purged or moved leaves none behind."""
    with Session() as session:
        dataset = session.open_dataset(sorted_place, "r+", "d")
        dataset["t"].rename("day", "date")
        dataset["t"]["when"].data[0:1] = [86400.0]
        dataset.commit()
        dataset.vacuum(keep=1, older_than=0)
        zones = {str(path.relative_to(sorted_place)) for path in sorted_place.rglob("zones")}
        assert len(zones) == 3
        assert all((sorted_place / path).parent.joinpath("c").exists() for path in zones)
        del dataset["t"]
        dataset.commit()
        dataset.vacuum(keep=1, older_than=0)
        assert not list(sorted_place.rglob("zones"))


def test_a_column_that_has_none():
    """Of few chunks, of values of one byte, of text; and an array that was appended to."""
    with Session(row_block=100) as session, counting() as stores:
        dataset = session.open_dataset("memory://without", "w", "d")
        table = dataset.create_dataframe("t")
        table.create_numeric("few", "int32").data.write(np.arange(300))
        table.create_numeric("byte", "uint8").data.write(np.arange(1000) % 7)
        table.create_fixed_string("fixed", 3).data.write(["abc"] * 1000)
        table.create_indexed_string("text").data.write(["abc"] * 1000)
        dataset.commit()
        assert not [key for store in stores for _, key in store.calls if key.endswith("/zones")]
