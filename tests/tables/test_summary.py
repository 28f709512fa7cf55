"""Summaries of a table, and a table as CSV, against numpy and the csv module of Python."""

from __future__ import annotations

import csv
import io
import math
import uuid
from collections import Counter
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exetera_zarr import Session
from exetera_zarr.engine.columns import strings
from exetera_zarr.engine.group import frequencies
from exetera_zarr.engine.sort import long_strings
from exetera_zarr.engine.streams.source import Source
from exetera_zarr.engine.streams.workspace import Workspace
from exetera_zarr.fields.statistics import figures

NUMBERS = ["mean", "std", "min", "25%", "50%", "75%", "max"]
TEXTS = ["b", "", "a,b", 'say "a"', "é", "b", "line\nbreak", "b", "日本", ""]
CODES = [2, 0, 2, 1, 0, 1, 1, 0, 0, 2]


@pytest.fixture
def table(place):
    """Ten rows in blocks of four, in ExeTera's face."""
    with Session(row_block=4, exetera=True) as s:
        ds = s.open_dataset(place.url("x.zarr"), "w", "d", storage_options=place.storage_options)
        frame = ds.create_dataframe("t")
        frame.create_numeric("n", "int32").data.write([5, 1, -3, 2, 2, 9, 0, 7, 7, 1])
        frame.create_numeric("x", "float64").data.write(np.linspace(-1, 1, 10))
        frame.create_numeric("b", "bool").data.write([True] * 3 + [False] * 7)
        frame.create_timestamp("when").data.write(np.arange(10) * 86400.5)
        frame.create_categorical("c", "int8", {"p": 0, "q": 1, "r": 2}).data.write(CODES)
        frame.create_fixed_string("f", 4).data.write([t.encode()[:2] for t in "babacbddad"])
        frame.create_indexed_string("s").data.write(TEXTS)
        yield frame


def of_numbers(values):
    """The cells of a column of numbers as ExeTera computes them."""
    values = np.asarray(values, "float64")
    found = [values.mean(), values.std(), values.min()]
    found += [np.percentile(values, q) for q in (0.25, 0.5, 0.75)]
    return [f"{value:.2f}" for value in [*found, values.max()]]


def test_numbers_and_the_rest(table):
    """By default the numbers; with other fields three more rows, and NaN where there is nothing."""
    found = table.describe(output="none")
    assert list(found) == ["fields", "count", *NUMBERS]
    assert found["fields"] == ["n", "x", "b", "when"]
    assert found["count"] == [10] * 4
    for place, name in enumerate(found["fields"]):
        assert [found[row][place] for row in NUMBERS] == of_numbers(table[name].data[:])
    found = table.describe("all", output="none")
    assert list(found) == ["fields", "count", *NUMBERS, "unique", "top", "freq"]
    assert found["fields"] == table.keys()
    assert found["unique"] == ["NaN"] * 4 + [3, 4, 7]
    assert found["top"] == ["NaN"] * 4 + [0, b"a", "b"]
    assert found["freq"] == ["NaN"] * 4 + [4, 3, 3]
    assert [found[row][4:] for row in NUMBERS] == [["NaN"] * 3] * 7


@pytest.mark.parametrize(
    ("include", "exclude", "wanted"),
    [
        ("n", None, ["n"]),
        (["s", "nope", "n"], None, ["s", "n"]),
        (np.int32, None, ["n"]),
        (np.number, None, ["n", "x", "when", "c"]),
        (np.bytes_, None, ["f"]),
        ([np.int8, np.bool_], None, ["c", "b"]),
        (None, "n", ["x", "b", "when"]),
        (None, ["n", "b"], ["x", "when"]),
        (None, np.float64, ["n", "b"]),
        (np.number, ["c", "b"], ["n", "x", "when"]),
        (["n", "c", "s"], np.int8, ["n", "s"]),
    ],
)
def test_which_fields_are_described(table, include, exclude, wanted):
    found = table.describe(include=include, exclude=exclude, output="none")
    assert found["fields"] == wanted


@pytest.mark.parametrize(
    ("include", "exclude"),
    [
        ("nope", None),
        (["nope"], None),
        ("n", "x"),
        ("all", np.bool_),
        (["n"], ["x"]),
        (np.number, np.int8),
        (None, ["nope"]),
        (None, np.generic),
        (np.complex128, None),
        (3, None),
        (["n", np.int8], None),
    ],
)
def test_descriptions_that_make_no_sense(table, include, exclude):
    with pytest.raises(ValueError):  # noqa: PT011
        table.describe(include, exclude)


def test_the_printed_description(table, capsys):
    """Five fields abreast, a row for each number, by default; silent otherwise."""
    table.describe("all", output="none")
    assert capsys.readouterr().out == ""
    table.describe("all")
    blocks = capsys.readouterr().out.strip("\n").split("\n\n")
    assert [block.splitlines()[0].split() for block in blocks] == [
        ["fields", "n", "x", "b", "when", "c"],
        ["fields", "f", "s"],
    ]
    order = ["fields", "count", "unique", "top", "freq", *NUMBERS]
    assert [line.split("\t")[0] for line in blocks[0].splitlines()] == order


def test_empty_and_broken_columns(table):
    """No rows, and rows that are no numbers, are said as such."""
    empty = table.apply_filter(np.zeros(10, bool), table.dataset.create_dataframe("empty"))
    found = empty.describe("all", output="none")
    assert found["count"] == [0] * 7
    assert found["mean"] == ["NaN"] * 7
    assert found["unique"] == ["NaN"] * 4 + [0] * 3
    table["x"].data[3] = math.nan
    assert [table.describe("x", output="none")[row] for row in NUMBERS] == [["nan"]] * 7


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.floats(allow_nan=False, allow_infinity=False, min_value=-1e9, max_value=1e9),
        min_size=1,
        max_size=900,
    ),
    st.integers(1, 400),
)
def test_numbers_do_not_depend_on_the_blocks(values, block):
    """The low percentiles come out of a pass over blocks as of the whole column."""
    with Session(row_block=block, exetera=True) as s:
        frame = s.open_dataset("memory://describing.zarr", "w", "d").create_dataframe("t")
        frame.create_numeric("x", "float64").data.write(values)
        found = frame.describe(output="none")
    for row, wanted in zip(NUMBERS, of_numbers(values), strict=True):
        assert math.isclose(float(found[row][0]), float(wanted), rel_tol=1e-12, abs_tol=0.0101)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["", "a", "b", "ab", "é"]), max_size=20), st.booleans())
def test_the_most_frequent_string(texts, long):
    """In one block, and over several; of several strings the least by its bytes."""
    counts = Counter(text.encode() for text in texts)
    few = long_strings._FEW << 40 if long else long_strings._FEW
    source = Source.of([strings.encode(texts)], step=4)
    with Workspace() as work, mock.patch.object(long_strings, "_FEW", few):
        found = frequencies.most_frequent(source, work)
    if not counts:
        assert found is None
        return
    top = min(counts, key=lambda text: (-counts[text], text))
    assert found == (top, counts[top], len(counts))


# -- CSV


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_a_table_as_csv(table, tmp_path):
    """Text as it is, fixed strings too; codes, seconds, True and False; any chunk size."""
    wanted = [table.keys()]
    columns = [
        [v.decode() if isinstance(v, bytes) else v for v in np.asarray(field.data[:]).tolist()]
        for field in table.values()
    ]
    wanted += [[str(cell) for cell in row] for row in zip(*columns, strict=True)]
    for number, size in enumerate((1, 3, 1 << 15)):
        path = tmp_path / f"{number}.csv"
        assert table.to_csv(path, chunk_row_size=size) is None
        assert rows_of(path) == wanted
    assert b"\r" not in (tmp_path / "0.csv").read_bytes()
    said = io.StringIO()
    table.to_csv(said)
    assert said.getvalue() == (tmp_path / "0.csv").read_text(encoding="utf-8")


def test_chosen_rows_and_columns_as_csv(table, tmp_path, place):
    """A filter that is a column is left out in this face; an empty text on its line is quoted."""
    path = tmp_path / "x.csv"
    table.to_csv(path, row_filter=table["b"], column_filter=["b", "n"])
    assert rows_of(path) == [["n"], ["5"], ["1"], ["-3"]]
    table.to_csv(path, row_filter=table["n"] > 5, column_filter="s")
    assert path.read_text(encoding="utf-8") == "s\nb\nb\n日本\n"
    table.to_csv(path, row_filter=np.arange(10) == 1, column_filter="s")
    assert path.read_text(encoding="utf-8") == 's\n""\n'
    table.to_csv(path, row_filter=np.zeros(10, bool), column_filter=["n", "s"])
    assert path.read_text(encoding="utf-8") == "n,s\n"
    url = place.url("there.csv")
    table.to_csv(url, column_filter="n", storage_options=place.storage_options)
    table.to_csv(path, column_filter="n")
    other = table.dataset.create_dataframe("other")
    from exetera_zarr.storage import open_file

    with open_file(url, place.storage_options) as file:
        assert file.read() == path.read_bytes()
    assert len(other) == 0


def test_csv_that_makes_no_sense(table, tmp_path):
    """Refused before a file is made."""
    path = tmp_path / "x.csv"
    short = table.dataset.create_dataframe("short").create_numeric("n", "bool")
    for wrong in (
        {"row_filter": [1, 0, 3]},
        {"row_filter": [True] * 9},
        {"row_filter": short},
        {"row_filter": np.ones(9, bool)},
        {"column_filter": "nope"},
        {"column_filter": []},
        {"column_filter": ("n",)},
        {"chunk_row_size": 0},
    ):
        with pytest.raises((ValueError, IndexError)):
            table.to_csv(path, **wrong)
    table.create_numeric("shorter", "int8").data.write([1])
    with pytest.raises(ValueError, match="different lengths"):
        table.to_csv(path)
    with pytest.raises(ValueError, match="path"):
        table.to_csv(3, column_filter="n")
    assert not path.exists()


@pytest.mark.parametrize("room", [None, 100_000])
def test_quartiles_of_what_does_not_fit_the_memory(monkeypatch, room):
    """A long column is sorted beside its values; a short one is only parted at the quartiles."""
    random = np.random.default_rng(7)
    values = np.where(random.random(5000) < 0.1, np.nan, random.normal(size=5000).round(2))
    if room is not None:
        monkeypatch.setattr(figures, "workspace", lambda _: Workspace(room))
    with Session(row_block=512) as s:
        table = s.open_dataset(f"memory://{uuid.uuid4()}.zarr", "w", "d").create_dataframe("t")
        table.create_numeric("x", "float64").data.write(values)
        shares = [0, 0.1, 0.25, 0.5, 0.75, 1]
        for way in ("linear", "lower", "higher", "nearest", "midpoint"):
            wanted = np.nanquantile(values, shares, method=way)
            assert table["x"].quantile(shares, way) == pytest.approx(wanted.tolist())
