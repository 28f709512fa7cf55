"""Pictures: what is drawn is what numpy counts, whatever the size of the blocks."""

from __future__ import annotations

import sys

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import dates
from matplotlib import pyplot as plt

from exetera_zarr import Session
from exetera_zarr.errors import ArgumentError, ArgumentTypeError, DataError, UnsupportedError

ROWS = 60_000


@pytest.fixture(autouse=True)
def _no_window():
    backend = mpl.get_backend()
    mpl.use("Agg")
    yield
    plt.close("all")
    mpl.use(backend)


@pytest.fixture(scope="module")
def drawn():
    random = np.random.default_rng(3)
    weight = np.where(random.random(ROWS) < 0.1, np.nan, random.normal(70, 10, ROWS))
    columns = {
        "weight": weight,
        "age": random.integers(0, 99, ROWS),
        "day": 1.6e9 + np.sort(random.random(ROWS)) * 3e7,
        "sex": random.integers(1, 3, ROWS),
    }
    with Session(row_block=7_000) as s:
        ds = s.open_dataset("memory://plots.zarr", "w", "d")
        table = ds.create_dataframe("t")
        table.create_numeric("weight", "float64").data.write(weight)
        ages = np.ma.masked_array(columns["age"], np.arange(ROWS) % 5 == 0)
        table.create_numeric("age", "int8").data.write(ages)
        table.create_timestamp("day").data.write(columns["day"])
        table.create_categorical("sex", "int8", {"f": 1, "m": 2, "other": 3}).data.write(
            columns["sex"]
        )
        table["weight"].label, table["weight"].unit = "Weight", "kg"
        yield table, columns


def steps(ax):
    values, edges, _ = ax.patches[0].get_data()
    return values, edges


def test_a_histogram_counts_every_block(drawn):
    table, columns = drawn
    ax = table["weight"].hist(30)
    there = columns["weight"][~np.isnan(columns["weight"])]
    counts, edges = np.histogram(there, 30)
    assert steps(ax)[0].tolist() == counts.tolist()
    assert steps(ax)[1] == pytest.approx(edges)
    assert ax.get_xlabel() == "Weight [kg]"
    assert ax.get_title(loc="right") == f"{ROWS - len(there):,} missing"
    ages = table["age"].plot(bins=10)
    kept = columns["age"][np.arange(ROWS) % 5 > 0]
    assert steps(ages)[0].tolist() == np.histogram(kept, 10)[0].tolist()


def test_dates_are_on_the_axis(drawn):
    table, columns = drawn
    ax = table["day"].plot()
    assert isinstance(ax.xaxis.get_major_locator(), dates.AutoDateLocator)
    first = dates.num2date(ax.convert_xunits(steps(ax)[1][0]))
    assert abs(first.timestamp() - columns["day"][0]) < 1


def test_names_of_categories_are_on_the_axis(drawn):
    table, columns = drawn
    ax = table["sex"].plot()
    assert [text.get_text() for text in ax.get_xticklabels()] == ["f", "m", "other"]
    heights = [bar.get_height() for bar in ax.patches]
    assert heights == [int((columns["sex"] == 1).sum()), int((columns["sex"] == 2).sum()), 0]


def test_a_long_line_is_the_mean_and_the_range(drawn):
    table, columns = drawn
    ax = table.plot("day", "weight")
    (line,) = ax.lines
    assert len(line.get_xdata()) <= 1000
    there = ~np.isnan(columns["weight"])
    edges = np.linspace(columns["day"][there].min(), columns["day"][there].max(), 1001)
    place = np.clip(np.searchsorted(edges, columns["day"][there], "right") - 1, 0, 999)
    means = np.bincount(place, columns["weight"][there]) / np.bincount(place)
    assert np.nanmax(np.abs(line.get_ydata()[5:-5].mean() - np.nanmean(means[5:-5]))) < 0.1
    low, high = ax.dataLim.intervaly
    assert low <= np.nanmin(columns["weight"]) + 1e-9
    assert high >= np.nanmax(columns["weight"]) - 1e-9


def test_a_short_line_has_every_row_and_gaps(drawn):
    table, columns = drawn
    (line,) = table.head(500).plot(y="weight").lines
    assert np.array_equal(line.get_ydata(), columns["weight"][:500], equal_nan=True)


def test_a_scatter_of_many_rows_counts_them(drawn):
    table, columns = drawn
    ax = table.plot.scatter("age", "weight")
    both = ~np.isnan(columns["weight"]) & (np.arange(ROWS) % 5 > 0)
    assert int(ax.collections[0].get_array().sum()) == both.sum()
    points = table.head(100).plot.scatter("age", "weight").collections[0].get_offsets()
    assert len(points) == both[:100].sum()


def test_bars_of_groups(drawn):
    table, columns = drawn
    ax = table.groupby("sex")["weight"].mean().plot(x="sex", kind="bar")
    heights = [bar.get_height() for bar in ax.patches]
    assert heights == pytest.approx(
        [np.nanmean(columns["weight"][columns["sex"] == code]) for code in (1, 2)]
    )


@pytest.mark.parametrize(
    ("draw", "kind", "why"),
    [
        (lambda t: t["sex"].hist(), ArgumentTypeError, r"df\['name'\]\.plot\(\)"),
        (lambda t: t.plot.bar(), ArgumentError, "groupby"),
        (lambda t: t[["sex"]].plot(), ArgumentError, "no numbers"),
        (lambda t: t.plot(kind="pie"), ArgumentError, "'pie'"),
        (lambda t: t["age"].plot("pie"), ArgumentError, "'pie'"),
        (lambda t: t["age"].hist(0), ArgumentError, "bins"),
        (lambda t: t.plot("nope", "age"), ValueError, "'nope'"),
        (lambda t: t.plot(kind="scatter"), ArgumentError, "scatter"),
        (lambda t: t[t["age"] > 200]["age"].plot(), DataError, "nothing to draw"),
    ],
)
def test_what_cannot_be_drawn(drawn, draw, kind, why):
    with pytest.raises(kind, match=why):
        draw(drawn[0])


def test_matplotlib_is_an_extra(drawn, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "matplotlib", None)
        with pytest.raises(UnsupportedError, match=r"exetera-zarr\[plots\]"):
            drawn[0]["age"].plot()
