"""Zones: comparisons read the chunks that can matter, and no others; wrong zones change nothing."""

from __future__ import annotations

import operator
import uuid

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exetera_zarr import CorruptDataError, Session
from exetera_zarr.fields import as_field
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


def nan(value):
    return value is not None and value != value  # noqa: PLR0124


def masked(answers):
    """An array of bool, with None where it is masked."""
    return np.ma.masked_array(answers).tolist()


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


@settings(max_examples=15)
@given(columns())
def test_comparisons_are_those_of_the_values(case):
    dtype, values, changes, others = case
    with Session(row_block=BLOCK) as session:
        url = f"memory://{uuid.uuid4()}"
        table = session.open_dataset(url, "w", "d").create_dataframe("t")
        table.create_numeric("n", dtype).data.write(values)
        table.dataset.commit()
        for what, row, new in changes:
            values = changed(table, values, what, row, new)
            if not len(values):
                return
        compare(table, values, others[:1])
        table.dataset.commit()
        compare(session.open_dataset(url, "r", "again")["t"], values, others)
        table.dataset.verify()


def compare(table, values, others):
    field = table[table.keys()[0]]
    dtype = field.data.dtype
    given = [None if value is None else dtype.type(value) for value in values]
    for wanted in (others, [*others, *values[:1], None], []):
        among = {dtype.type(one) for one in wanted if one is not None}
        model = [None if value is None else value in among for value in given]
        assert (
            masked(field.isin(np.array(wanted, dtype) if None not in wanted else wanted)) == model
        )
    starts = [
        row
        for row in range(len(given))
        if row == 0
        or given[row] != given[row - 1]
        or nan(given[row])
        or (dtype.kind == "f" and given[row] is None)
    ]
    assert field.get_spans().tolist() == [*starts, len(given)]
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
        places = {f"place {code}": code for code in range(5)}
        table.create_categorical("place", "int16", places).data.write(np.arange(1000) // 200)
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


def test_membership_and_names_read_the_chunks_that_can_match(sorted_place):
    rows, chunks, _ = days_of(sorted_place, lambda t: as_field(t["day"].isin([57, 83, 1000])))
    assert rows == [*range(570, 580), *range(830, 840)]
    assert chunks == ["t/day/values/c/5", "t/day/values/c/8"]
    rows, chunks, _ = days_of(sorted_place, lambda t: t["place"] == "place 2")
    assert rows == list(range(400, 600))
    assert chunks == []  # each chunk is of one place
    names = ["place 2", "place 9"]
    rows, chunks, _ = days_of(sorted_place, lambda t: as_field(t["place"].isin(names)))
    assert rows == list(range(400, 600))
    assert chunks == []


def test_spans_need_no_chunk_of_one_value(sorted_place):
    with Session() as session, counting() as stores:
        table = session.open_dataset(sorted_place, "r+", "d")["t"]
        assert table["place"].get_spans().tolist() == [0, 200, 400, 600, 800, 1000]
        assert stores[-1].chunks("get") == []
        table["place"].data[450:460] = [4] * 10
        table.dataset.commit()
        assert table["place"].get_spans().tolist() == [0, 200, 400, 450, 460, 600, 800, 1000]
        assert set(stores[-1].chunks("get")) <= {
            key for key in stores[-1].chunks("get") if key.endswith("/c/4")
        }


def test_a_journal_reads_the_chunks_that_a_moment_can_be_in(tmp_path):
    """Of one in the order of its snapshots; rows that are valid still have a moment far ahead."""
    begun, ended = np.arange(1000.0), np.arange(1000.0) + 150
    ended[950:] = 32_503_680_000.0
    with Session(row_block=100) as session:
        table = session.open_dataset(tmp_path / "x.zarr", "w", "d").create_dataframe("t")
        table.create_timestamp("j_valid_from").data.write(begun)
        table.create_timestamp("j_valid_to").data.write(ended)
    for moment, wanted in [(250.0, {2, 1}), (-1.0, set()), (40_000.0, {9})]:
        rows, chunks, _ = days_of(tmp_path / "x.zarr", lambda t, moment=moment: t.valid_at(moment))
        assert rows == np.flatnonzero((begun <= moment) & (moment < ended)).tolist()
        assert {int(key.rpartition("/")[2]) for key in chunks} == wanted


def test_a_day_of_some_columns_takes_few_requests(sorted_place):
    """Of a table that is opened: the zones, and one chunk of the day and of each column."""
    with Session() as session, counting() as stores:
        table = session.open_dataset(sorted_place, "r", "d")["t"]
        found = table.to_pandas(table["day"] == 57, ["x", "when"])
        assert found["x"].tolist() == list(range(570, 580))
        (store,) = stores
        assert len(store.calls) <= 2 + 2 + 2


MOMENTS = st.sampled_from([0.0, 1.0, 1.5, 2.0, 3.0, 32_503_680_000.0, None])


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.sampled_from([0.0, 1.0, 2.0]), MOMENTS, st.integers(1, 7)), max_size=6),
    st.lists(st.tuples(st.integers(0, 40), MOMENTS), max_size=2),
)
def test_a_journal_at_a_moment_is_as_without_zones(runs, changes):
    """Open ends, moments that are missing, and ends that are set later."""
    rows = [[since, until] for since, until, count in runs for _ in range(count)]
    with Session(row_block=BLOCK) as session:
        table = session.open_dataset(f"memory://{uuid.uuid4()}", "w", "d").create_dataframe("t")
        table.create_timestamp("j_valid_from").data.write([since for since, _ in rows])
        table.create_timestamp("j_valid_to").data.write([until for _, until in rows])
        table.dataset.commit()
        for at, until in changes:
            if rows:
                rows[at % len(rows)][1] = until
                table["j_valid_to"].data[at % len(rows)] = np.nan if until is None else until
        for _ in range(2):
            for moment in (-1.0, 0.0, 1.0, 1.5, 2.0, 2.5, 4.0, 40_000_000_000.0):
                model = [
                    since <= moment < (32_503_680_000.0 if until is None else until)
                    for since, until in rows
                ]
                assert table.valid_at(moment).data[:].tolist() == model
            table.dataset.commit()


def test_zones_of_what_was_before_are_not_asked(sorted_place):
    """Of chunks that are overwritten, before and after that is committed; packs have none."""
    with Session() as session:
        dataset = session.open_dataset(sorted_place, "r+", "d")
        days = dataset["t"]["day"]
        assert np.flatnonzero((days == 57).data[:]).tolist() == list(range(570, 580))
        days.data[0:2] = [57, 57]
        model = [0, 1, *range(570, 580)]
        assert np.flatnonzero((days == 57).data[:]).tolist() == model
        dataset.rollback()
        assert np.flatnonzero((days == 57).data[:]).tolist() == model[2:]
        days.data[0:2] = [57, 57]
        row = {name: [0] for name in ("x", "kind", "place")} | {"when": ["1970-01-01"]}
        dataset["t"].append({"day": [57], **row})
        model.append(1000)
        for _ in range(2):
            assert np.flatnonzero((days == 57).data[:]).tolist() == model
            assert np.flatnonzero(days.isin([57])).tolist() == model
            dataset.commit()
        for count in (40, 10):  # a segment, and another pack
            dataset["t"].append(
                {"day": [57] * count, **{key: value * count for key, value in row.items()}}
            )
            dataset.commit()
            model += range(len(days) - count, len(days))
            assert np.flatnonzero((days == 57).data[:]).tolist() == model
    rows, chunks, _ = days_of(sorted_place, lambda t: t["day"] == 57)
    assert rows == model
    in_segments = [key for key in chunks if "/day/" in key]
    assert len(in_segments) == 3
    assert [key for key in chunks if key not in in_segments] == [chunks[-1]]
    assert "/__pack-" in chunks[-1]


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
    rows, chunks, _ = days_of(sorted_place, lambda t: as_field(t["day"].isin([57])))
    assert rows == list(range(570, 580))
    assert len(chunks) == 10
    with Session() as session, pytest.raises(CorruptDataError, match=r"day.*zones"):
        session.open_dataset(sorted_place, "r", "d").verify()


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
        assert len(zones) == 4
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
