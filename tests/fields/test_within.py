"""Within spans: the row before, running sums, windows of time, ranks; against pandas."""

from __future__ import annotations

import datetime as dt
import uuid

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exetera_zarr import DataError, Session
from exetera_zarr.errors import ArgumentError, ArgumentTypeError, ResultRangeError
from exetera_zarr.fields import within

HALVES = st.one_of(st.none(), st.sampled_from([0.5, -1.25, 3.0, 1e6, 0.0]))
WHOLE = st.one_of(st.none(), st.integers(-4, 4))
ROWS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(0, 3)),
        st.integers(0, 20),
        WHOLE,
        HALVES,
        st.one_of(st.none(), st.sampled_from(["", "a", "York"])),
    ),
    max_size=24,
)
START = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


def table_of(session, rows, block):
    """A table of these rows, sorted by id and day, in blocks of so many, and the same in pandas."""
    rows = sorted(rows, key=lambda row: (row[0] is None, row[0] or 0, row[1]))
    table = session.open_dataset(f"memory://{uuid.uuid4().hex}", "w", "d").create_dataframe(
        "t", row_block=block
    )
    names = ("id", "day", "n", "x", "s")
    columns = {name: [row[at] for row in rows] for at, name in enumerate(names)}
    days = [START + dt.timedelta(hours=12 * day) for day in columns["day"]]
    table.create_numeric("id", "int32").data.write(columns["id"])
    table.create_timestamp("day").data.write(days)
    table.create_numeric("n", "int64").data.write(columns["n"])
    table.create_numeric("x", "float64").data.write(
        [np.nan if one is None else one for one in columns["x"]]
    )
    table.create_indexed_string("s").data.write(columns["s"])
    frame = pd.DataFrame(
        {
            "id": pd.Series(columns["id"], dtype="Int64"),
            "day": pd.Series(days, dtype="datetime64[us, UTC]"),
            "n": pd.Series(columns["n"], dtype="Int64"),
            "x": pd.Series(columns["x"], dtype="float64"),
            "s": pd.Series(columns["s"], dtype="object"),
        }
    )
    return table, frame


def plain(series):
    return [None if pd.isna(one) else one for one in series.tolist()]


def same(field, series):
    found, wanted = field.tolist(), plain(series)
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert (one is None) == (other is None), (found, wanted)
        if one is not None:
            assert one == (pytest.approx(other) if isinstance(other, float) else other), (
                found,
                wanted,
            )


BLOCKS = st.integers(1, 5)
FEW = settings(max_examples=25)


@FEW
@given(ROWS, BLOCKS, st.integers(-6, 6).filter(bool))
def test_rows_before_and_after(rows, block, periods):
    with Session() as session:
        table, frame = table_of(session, rows, block)
        groups = frame.groupby("id", dropna=True)
        for name in ("n", "x", "s", "day"):
            same(table[name].shift(periods, by=table["id"]), groups[name].shift(periods))
            same(table[name].shift(periods), frame[name].shift(periods))
            same(table[name].ffill(), frame[name].ffill())
            # Where the key is missing pandas forgets the value as well.
            filled = groups[name].ffill().where(frame["id"].notna(), frame[name])
            same(table[name].ffill(by=table["id"]), filled)
        for name in ("n", "x"):
            same(table[name].diff(periods, by=table["id"]), groups[name].diff(periods))
        gaps = table["day"].diff(by=table["id"])
        same(gaps, groups["day"].diff().dt.total_seconds())
        same(gaps.dt.days, groups["day"].diff().dt.days)


@FEW
@given(ROWS, BLOCKS)
def test_what_there_was_so_far(rows, block):
    with Session() as session:
        table, frame = table_of(session, rows, block)
        groups, key = frame.groupby("id", dropna=True), table["id"]
        for name in ("n", "x"):
            for what in ("cumsum", "cummax", "cummin"):
                found = getattr(table[name], what)(by=key)
                same(found, getattr(groups[name], what)())
                same(getattr(table[name], what)(), getattr(frame[name], what)())
        known = frame["id"].notna()
        count = groups.cumcount().where(known)
        same(key.cumcount(), count)
        same(table["x"].cumcount(by=[key]), count)
        same(key.is_first(), (count == 0).astype(object).where(known))
        same(key.is_last(), (~frame.duplicated("id", keep="last")).astype(object).where(known))
        spans = np.flatnonzero(np.diff(frame["id"].fillna(-1), prepend=-2)).tolist()
        given_spans = [*spans, len(frame)] if len(frame) else [0]
        same(
            table["n"].cumsum(by=given_spans),
            frame.groupby(frame["id"].fillna(-1))["n"].cumsum(),
        )


@FEW
@given(ROWS, BLOCKS, st.sampled_from(["7D", "12h", "36h"]), st.sampled_from([None, 1, 2]))
def test_windows_of_time(rows, block, window, least):
    with Session() as session:
        table, frame = table_of(session, rows, block)
        known = frame["id"].notna()
        windows = frame[known].groupby("id").rolling(window, on="day", min_periods=least)
        for name in ("n", "x"):
            frame[name] = frame[name].astype("float64")
            ours = table[name].rolling(window, on=table["day"], by=table["id"], min_periods=least)
            for what in ("sum", "mean", "min", "max", "count"):
                wanted = pd.Series(np.nan, frame.index)
                if known.any():
                    wanted[known] = getattr(windows[name], what)().to_numpy()
                same(getattr(ours, what)(), wanted)
        assert within.rolling(table["x"], window, table["day"], table["id"]) is not None


@FEW
@given(ROWS, BLOCKS, st.integers(1, 4))
def test_windows_of_rows(rows, block, window):
    with Session() as session:
        table, frame = table_of(session, rows, block)
        frame["x"] = frame["x"].astype("float64")
        for what in ("sum", "mean", "min", "max", "count"):
            same(
                getattr(table["x"].rolling(window), what)(),
                getattr(frame["x"].rolling(window), what)(),
            )


@FEW
@given(
    ROWS,
    BLOCKS,
    st.sampled_from(["average", "min", "max", "first", "dense"]),
    st.booleans(),
)
def test_ranks(rows, block, method, ascending):
    with Session() as session:
        table, frame = table_of(session, rows, block)
        mixed = np.random.default_rng(len(rows)).permutation(len(frame))
        if len(frame):
            table.apply_index(mixed)
            frame = frame.iloc[mixed].reset_index(drop=True)
        for name in ("n", "x"):
            column = frame[name].astype("float64")
            wanted = column.rank(method=method, ascending=ascending)
            same(table[name].rank(method, ascending=ascending), wanted)
            groups = column.groupby(frame["id"])
            same(
                table[name].rank(method, ascending=ascending, by=table["id"]),
                groups.rank(method=method, ascending=ascending),
            )


@pytest.fixture
def table():
    with Session() as session:
        table = session.open_dataset("memory://within", "w", "d").create_dataframe("t", row_block=2)
        table["id"] = [2, 1, 1, 3]
        table["x"] = [1.0, np.inf, 2.0, 3.0]
        table["day"] = [START + dt.timedelta(days=d) for d in (0, 3, 2, 5)]
        yield table


def test_rows_that_are_not_sorted(table):
    """It says what to do; spans of equal keys that stand together need no order."""
    for function in (
        lambda: table["x"].shift(by=table["id"]),
        lambda: table["x"].shift(-1, by=table["id"]),
        lambda: table["x"].cumsum(by=table["id"]),
        lambda: table["id"].is_last(),
    ):
        with pytest.raises(DataError, match=r"row 1 is less than row 0 .*sort_values"):
            function()
    spans = table["id"].get_spans()
    assert table["x"].shift(by=spans).tolist() == [None, None, np.inf, None]
    with pytest.raises(DataError, match=r"row 2 of field t/day .*sort_values"):
        table["x"].rolling("7D", on=table["day"], by=spans).mean()


def test_nothing_leaks_from_one_span_to_another(table):
    """Neither infinity nor the rounding of large numbers."""
    spans = table["id"].get_spans()
    assert table["x"].cumsum(by=spans).tolist() == [1.0, np.inf, np.inf, 3.0]
    table["x"] = [1.0, 1e300, 0.1, 0.3]
    assert table["x"].cumsum(by=[0, 2, 4]).tolist() == [1.0, 1e300, 0.1, 0.4]
    assert table["x"].rolling(1).sum().tolist() == [1.0, 1e300, 0.1, 0.3]


def test_sums_do_not_wrap(table):
    table["n"] = [2**62, 2**62 - 1, -5, 2**62]
    assert table["n"].cumsum(by=[0, 3, 4]).tolist() == [2**62, 2**63 - 1, 2**63 - 6, 2**62]
    with pytest.raises(ResultRangeError, match="64 bits"):
        table["n"].cumsum()
    table["u"] = np.array([2**63, 2**63 - 1, 0, 1], "uint64")
    assert table["u"].cumsum(by=[0, 3, 4]).tolist() == [2**63, 2**64 - 1, 2**64 - 1, 1]
    with pytest.raises(ResultRangeError, match="64 bits"):
        table["u"].cumsum()
    table["b"] = [True, True, None, True]
    assert table["b"].cumsum().tolist() == [1, 2, None, 3]


@pytest.mark.parametrize(
    ("function", "error", "said"),
    [
        (lambda t: t["x"].shift(by="id"), ArgumentTypeError, r"df\['id'\]"),
        (lambda t: t["x"].shift(1.5), ArgumentTypeError, "number of rows"),
        (lambda t: t["x"].shift(by=[0, 9]), ArgumentError, "end at row 9"),
        (lambda t: t["x"].rolling("7D"), ArgumentTypeError, "on="),
        (lambda t: t["x"].rolling("1M", on=t["day"]), ArgumentError, "no months"),
        (lambda t: t["x"].rolling(2, on=t["day"]), ArgumentError, "no times"),
        (lambda t: t["x"].rolling(0), ArgumentError, "one row"),
        (lambda t: t["day"].cumsum(), DataError, "of numbers"),
        (lambda t: t["x"].rank("best"), ArgumentError, "average"),
    ],
)
def test_what_cannot_be_asked(table, function, error, said):
    with pytest.raises(error, match=said):
        function(table)


def test_other_types_and_times_that_are_missing(table):
    table["sex"] = pd.Categorical(["f", "m", None, "f"])
    assert table["sex"].shift().tolist() == [None, "f", "m", None]
    table["when"] = [START, None, START + dt.timedelta(days=1), START + dt.timedelta(days=9)]
    found = table["x"].rolling("7D", on=table["when"]).sum()
    assert found.tolist() == [1.0, None, 3.0, 3.0]
    assert table["sex"].rank("dense").tolist() == [1.0, 2.0, None, 1.0]
