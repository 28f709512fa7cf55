"""What a person sees of tables, fields, datasets and sessions, and what is read for it."""

from __future__ import annotations

import datetime as dt
import re
import warnings
from collections.abc import Callable, Iterator
from html import unescape
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exetera_zarr import DataFrame, Session
from exetera_zarr.errors import DataError, StorageError
from exetera_zarr.tables.seeing import grids, hidden
from exetera_zarr.tables.seeing.preview import ROWS, cell, preview_of
from exetera_zarr.testing import counting
from exetera_zarr.testing.stores import CountingStore

N = 1234
DAY = 86400.0


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def write(dataset: Any, rows: int = N) -> Any:
    table = dataset.create_dataframe("people")
    every = range(rows)
    table.create_numeric("id", "int32").data.write(np.arange(rows) + 1000)
    table.create_numeric("age", "int8").data.write([None if i % 5 == 2 else i % 60 for i in every])
    sexes = [None if i % 7 == 3 else ["f", "m"][i % 2] for i in every]
    table.create_categorical("sex", "int8", {"f": 1, "m": 2}).data.write(sexes)
    table.create_timestamp("born").data.write([None if i == 4 else DAY * i for i in every])
    table.create_timestamp("seen").data.write([1.6e9 + 0.5 * i for i in every])
    table.create_indexed_string("town").data.write([["York", "-", None, ""][i % 4] for i in every])
    table["age"].label, table["age"].unit = "Age at entry", "years"
    return table


@pytest.fixture
def opened(place: Any) -> Iterator[Any]:
    """The dataset of a table, just written, in a session."""
    with Session() as session:
        yield session.open_dataset(
            place.url("seen.zarr"), "w", "study", storage_options=place.storage_options
        )


def lines(thing: object) -> list[list[str]]:
    """The words of what a terminal shows."""
    return [re.split(r" {2,}", line.strip()) for line in repr(thing).splitlines()]


def texts_in(html: str) -> list[str]:
    """What stands in the cells of HTML."""
    found = re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", html)
    return [unescape(re.sub("<[^>]*>", "", text)) for text in found]


# -- rows


def test_a_table_in_a_terminal(opened: Any) -> None:
    """Names, types and rows as a person reads them, then how large it is."""
    found = lines(write(opened))
    assert found[0] == ["id", "age", "sex", "born", "seen", "town"]
    types = ["int32", "int8", "categorical", "timestamp", "timestamp", "indexedstring"]
    assert found[1] == types
    assert found[2] == ["1000", "0", "f", "1970-01-01", "2020-09-13 12:26:40", "York"]
    assert found[3][:4] + found[3][5:] == ["1001", "1", "m", "1970-01-02", "'-'"]
    assert found[4][:4] == ["1002", "-", "f", "1970-01-03"]
    assert found[5][2] == "-"
    assert found[6][3] == "-"
    assert len(found) == 2 + ROWS + 1
    assert found[-1] == [
        "people: 1,234 rows x 6 fields (the first 10 rows are shown; - is missing)"
    ]


def test_a_table_in_a_notebook(opened: Any) -> None:
    """The same, with label and unit, and in sentences what is not shown."""
    table = write(opened)
    table.label = "Participants"
    html = table._repr_html_()
    texts = texts_in(html)
    assert texts[:6] == ["id", "age", "sex", "born", "seen", "town"]
    assert "Age at entry [years]" in texts
    assert texts[18:24] == ["1000", "0", "f", "1970-01-01", "2020-09-13 12:26:40", "York"]
    assert texts[30:32] == ["1002", "-"]
    assert 'title="missing">-<' in html
    assert "people: 1,234 rows x 6 fields" in html
    assert "Participants" in html
    assert "Shown are the first 10 of 1,234 rows." in html
    # Either theme is readable: nothing but what the page has.
    assert not re.search("background|[^-]color|#[0-9a-f]{3}", html)


def test_a_short_table_is_whole(opened: Any) -> None:
    table = opened.create_dataframe("t")
    assert repr(table) == "t: 0 rows x 0 fields"
    table.create_numeric("x", "float32").data.write([0.1, 2])
    assert repr(table) == "      x\nfloat32\n    0.1\n    2.0\nt: 2 rows x 1 field"
    assert "Shown" not in table._repr_html_()
    assert "<details" not in table._repr_html_()


def test_companions_are_hidden_until_they_are_asked_for(opened: Any) -> None:
    table = write(opened)
    assert "age_valid" in table
    for shown in (repr(table), table._repr_html_(), repr(table.dtypes)):
        assert "_valid" not in shown
    asked = preview_of(table, 3, ["age", "age_valid"])
    assert asked.columns == {"age": [0, 1, None], "age_valid": [True, True, False]}


_EARLY = dt.datetime(1900, 1, 1)  # noqa: DTZ001 - hypothesis takes no others

VALUES = {
    "int": st.integers(-(2**31), 2**31 - 1),
    "float": st.floats(allow_nan=False),
    "sex": st.sampled_from(["f", "m"]),
    "when": st.datetimes(_EARLY, _EARLY.replace(year=2200)),
    "town": st.text(max_size=9).filter(lambda text: not text.endswith("\0")),
}
MAKE: dict[str, Callable[[Any], Any]] = {
    "int": lambda table: table.create_numeric("int", "int32"),
    "float": lambda table: table.create_numeric("float", "float64"),
    "sex": lambda table: table.create_categorical("sex", "int8", {"f": 0, "m": 1}),
    "when": lambda table: table.create_timestamp("when"),
    "town": lambda table: table.create_indexed_string("town"),
}


@settings(max_examples=40, deadline=None)
@given(st.data(), st.integers(0, 14), st.integers(1, 5))
def test_what_is_shown_is_what_there_is(data: st.DataObject, rows: int, block: int) -> None:
    """The first rows, whatever the blocks; missing ones as such."""
    values = {
        name: data.draw(st.lists(st.none() | one, min_size=rows, max_size=rows), name)
        for name, one in VALUES.items()
    }
    with Session(row_block=block) as session:
        table = session.open_dataset("memory://seeing.zarr", "w", "d").create_dataframe("t")
        for name, column in values.items():
            whens = [v and v.replace(tzinfo=dt.UTC) for v in column] if name == "when" else column
            MAKE[name](table).data.write(whens)
        found = preview_of(table).columns
        for name, column in values.items():
            first = column[:ROWS]
            if name == "when":
                read = [v and dt.datetime.fromisoformat(v) for v in found[name]]
                for one, wanted in zip(read, first, strict=True):
                    near = dt.timedelta(microseconds=2)  # seconds are float64
                    assert one is wanted or abs(one - wanted) <= near
            else:
                assert found[name] == first
        shown = lines(table)
        if rows:
            wanted = "-" if values["int"][0] is None else str(values["int"][0])
            assert shown[2][0] == wanted
        assert all(grids.width_of(line) <= 80 for line in repr(table).splitlines()[:-1])


def test_wide_characters_take_two_places(opened: Any) -> None:
    """Columns stay below one another."""
    table = opened.create_dataframe("t")
    table.create_indexed_string("name").data.write(["日本", "e\u0301t", "abcd"])
    table.create_indexed_string("next").data.write(["x", "y", "z"])
    rows = repr(table).splitlines()[2:5]
    ends = [grids.width_of(row[: row.index(end)]) for row, end in zip(rows, "xyz", strict=True)]
    assert len(set(ends)) == 1


def test_long_texts_are_cut() -> None:
    assert cell("x" * 50) == "x" * 39 + "…"
    assert cell("x" * 40) == "x" * 40
    assert len(cell("\x1b" * 50)) == 40


def test_a_view_says_where_its_first_rows_are_read(opened: Any) -> None:
    """What has many rows to gather is asked for ten of them alone, and for no more."""
    table = write(opened)
    first = table.apply_index(np.arange(5, 15), opened.create_dataframe("first"))

    class View(DataFrame):
        def to_show(self, rows: int) -> DataFrame:
            assert rows == ROWS
            return first

    view = View(opened, table.group)
    assert lines(view)[2][0] == "1005"
    assert "1,234 rows x 6 fields" in repr(view)
    assert "1005" in view._repr_html_()
    assert "1234 rows: 1005, 1006" in repr(view["id"])


# -- wide and long


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A table with 1,017 fields of three blocks."""
    url = str(tmp_path_factory.mktemp("wide") / "wide.zarr")
    with Session(row_block=50) as session:
        table = session.open_dataset(url, "w", "d").create_dataframe("t")
        for number in range(1017):
            table.create_numeric(f"question {number}", "int16").data.write(np.arange(150))
    return url


def test_a_wide_table_is_short_and_reads_what_it_shows(wide: str) -> None:
    with counting() as stores, Session() as session:
        table = session.open_dataset(wide, "r", "d")["t"]
        stores[0].calls.clear()
        text = repr(table)
        shown = len(lines(table)[0]) - 1
        assert len(text) < 2000
        assert max(map(len, text.splitlines())) <= 80
        assert f"150 rows x 1,017 fields (the first 10 rows and {shown} fields are shown" in text
        assert len(stores[0].calls) == shown == 6
        html = table._repr_html_()
        assert len(stores[0].calls) == 20
        assert "the first 10 of 150 rows and the first 20 of 1,017 fields" in html
        assert "and 957 more" in html
        assert len(html) < 50_000
        assert len(repr(table.info())) < 10_000
        assert repr(table.dtypes).endswith("and 957 more")
        assert len(stores[0].calls) == 20


@pytest.mark.parametrize("columns", ["1", "20", "40", "200", "5000"])
def test_any_terminal(wide: str, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    with Session() as session:
        table = session.open_dataset(wide, "r", "d")["t"]
        assert max(map(len, repr(table).splitlines()[:-1])) <= max(int(columns), 20)


# -- what is read, and kept


def calls_of(stores: list[CountingStore], look: Callable[[], object]) -> int:
    before = sum(len(store.calls) for store in stores)
    look()
    return sum(len(store.calls) for store in stores) - before


def test_rows_are_read_once_a_version(place: Any) -> None:
    """A second look asks the store for nothing; what was changed is seen at once."""
    url, options = place.url("kept.zarr"), place.storage_options
    with Session() as session:
        write(session.open_dataset(url, "w", "d", storage_options=options))
    with counting() as stores, Session() as session:
        dataset = session.open_dataset(url, "r+", "d", storage_options=options)
        table, field = dataset["people"], dataset["people"]["age"]

        def look() -> str:
            shown = (repr(table), table._repr_html_(), repr(field), field._repr_html_())
            return "".join((*shown, repr(dataset), dataset._repr_html_()))

        first = look()
        assert calls_of(stores, look) == 0
        table["age"].data[0] = 77
        assert "77" in repr(table).splitlines()[2]
        assert "77" in repr(field)
        dataset.rollback()
        assert look() == first
        table["age"].data[0] = 78
        dataset.commit()
        assert "78" in repr(table).splitlines()[2]
        look()
        assert calls_of(stores, look) == 0
        table.apply_filter(np.arange(N) == 5)
        assert "1 row x 6 fields" in repr(table)
        assert "1005" in repr(table)


def test_another_writer_is_seen_after_a_refresh(tmp_path: Any) -> None:
    url = str(tmp_path / "two.zarr")
    with Session() as first, Session() as second:
        table = first.open_dataset(url, "w", "d").create_dataframe("t")
        table.create_numeric("x", "int8").data.write([1])
        table.dataset.commit()
        reader = second.open_dataset(url, "r", "d")
        seen = reader["t"]
        assert "1 row x" in repr(seen)
        table["x"].data.write([2])
        table.dataset.commit()
        assert "1 row x" in repr(seen)
        reader.refresh()
        assert "2 rows x" in repr(seen)


def test_a_file_without_versions_is_never_kept(tmp_path: Any) -> None:
    pytest.importorskip("h5py")
    with Session() as session:
        dataset = session.open_dataset(str(tmp_path / "x.hdf5"), "w", "d")
        table = dataset.create_dataframe("t")
        table.create_numeric("x", "int8").data.write([1])
        dataset.commit()
        assert repr(table).splitlines()[2].strip() == "1"
        table["x"].data[0] = 2
        dataset.commit()
        assert repr(table).splitlines()[2].strip() == "2"
        assert "no versions" in repr(dataset)


def test_a_store_that_is_gone_fails_no_repr(wide: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A debugger and a log show what is known, and ask only once."""
    with Session() as session:
        dataset = session.open_dataset(wide, "r", "d")
        table, field = dataset["t"], dataset["t"]["question 3"]
        asked = []

        def unreachable(*_: object, **__: object) -> None:
            asked.append(1)
            raise StorageError("the server s3.example.org does not answer\nfor a minute")

        monkeypatch.setattr("exetera_zarr.tables.seeing.preview.first_values", unreachable)
        monkeypatch.setattr("exetera_zarr.tables.seeing.texts.first_values", unreachable)
        text, times = repr(table), len(asked)
        assert text.splitlines() == [
            "t: 150 rows x 1,017 fields",
            ", ".join(f"question {n}: int16" for n in range(10)) + " and 1,007 more",
            "its rows cannot be read: the server s3.example.org does not answer",
        ]
        html = table._repr_html_()
        assert "its rows cannot be read: the server s3.example.org does not answer" in html
        assert "question 59" in html
        assert len(asked) == times
        assert "which cannot be read: the server" in repr(field)
        assert "int16, 150 rows" in field._repr_html_()
        assert "150 rows x 1,017 fields" in repr(dataset)


def test_a_damaged_column_is_named(tmp_path: Any) -> None:
    url = tmp_path / "damaged.zarr"
    with Session() as session:
        write(session.open_dataset(str(url), "w", "d"))
    (chunk,) = (url / "people" / "id").glob("values*/c/0")
    chunk.write_bytes(chunk.read_bytes()[:-5])
    with Session() as session:
        table = session.open_dataset(str(url), "r", "d")["people"]
        for shown in (repr(table), unescape(table._repr_html_())):
            assert "its rows cannot be read" in shown
            assert "people/id/values/c/0" in shown


# -- what there is no more


def test_what_is_closed_says_so_in_one_line(opened: Any) -> None:
    table = write(opened)
    field, gone = table["age"], table["sex"]
    session = opened.session
    del table["sex"]
    assert repr(gone) == "<CategoricalField 'sex', which exists no more>"
    opened.close()
    for thing, text in (
        (opened, "<Dataset 'study', closed>"),
        (table, "<DataFrame 'people' of a dataset that is closed>"),
        (field, "<NumericField 'age' of a dataset that is closed>"),
    ):
        assert repr(thing) == text
        assert text in unescape(thing._repr_html_())
    assert "closed" in repr(session)
    assert "closed" in session._repr_html_()
    session.close()
    assert repr(session) == "Session without an open dataset"


def test_a_deleted_table_says_so(opened: Any) -> None:
    table = write(opened)
    del opened["people"]
    assert repr(table) == "<DataFrame 'people', which exists no more>"
    assert "exists no more" in table._repr_html_()


# -- fields, datasets, sessions


def test_a_field(opened: Any) -> None:
    table = write(opened)
    text = repr(table["age"])
    assert text.startswith(
        "<NumericField 'age': numeric,int8, 1234 rows, Age at entry [years]: 0, 1, -, 3, 4, 5, 6, -"
    )
    assert text.endswith(", ...>")
    assert repr(table["born"]).count("1970-01-0") == 4
    html = table["sex"]._repr_html_()
    assert texts_in(html)[:4] == ["f", "m", "f", "-"]
    assert texts_in(html)[-4:] == ["1", "f", "2", "m"]
    over = table["age"] > 3
    assert repr(over).startswith("<NumericField: numeric,bool, 1234 rows: False, False, -, False, ")
    assert (
        repr(table.create_numeric("none", "int8")) == "<NumericField 'none': numeric,int8, 0 rows>"
    )


def test_fields_at_the_top_of_a_dataset_and_in_memory(opened: Any) -> None:
    opened.create_numeric("loose", "int16").data.write([1, 2, 3])
    assert repr(opened["loose"]) == "<NumericField 'loose': numeric,int16, 3 rows: 1, 2, 3>"
    assert ["loose", "3 rows, a field: int16"] in lines(opened)


def test_a_dataset_and_its_session(opened: Any, place: Any) -> None:
    assert lines(opened)[1] == ["no tables"]
    write(opened).label = "Participants"
    ragged = opened.create_dataframe("ragged")
    ragged.create_numeric("a", "int8").data.write([1])
    ragged.create_numeric("b", "int8")
    assert lines(opened)[1:] == [
        ["people", "1,234 rows x 6 fields", "Participants"],
        ["ragged", "2 fields of unequal lengths"],
    ]
    assert texts_in(opened._repr_html_())[3:6] == [
        "people",
        "1,234 rows x 6 fields",
        "Participants",
    ]
    session = opened.session
    assert lines(session)[1][0] == "'study'"
    assert list(session) == ["study"]
    assert session["study"] is opened
    with pytest.raises(KeyError, match="no open dataset 'x'; there are: 'study'"):
        session["x"]
    if place.backend == "hdf5":
        assert "2 tables, no versions" in repr(session)
        return
    assert "2 tables, version 0 with uncommitted changes" in repr(session)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        opened.commit()
    opened.tag("freeze-1")
    assert "tags: freeze-1 (version 1)" in repr(opened)
    assert "tags: freeze-1 (version 1)" in opened._repr_html_()
    assert "uncommitted" not in repr(session)


def test_many_tables_are_counted(tmp_path: Any) -> None:
    with Session() as session:
        dataset = session.open_dataset(str(tmp_path / "m.zarr"), "w", "d")
        for number in range(30):
            dataset.create_dataframe(f"t{number}")
        assert repr(dataset).endswith("and 10 more")
        assert "and 10 more" in dataset._repr_html_()


# -- shape, dtypes, info


def test_shape_and_types_are_those_of_pandas(opened: Any) -> None:
    table = write(opened)
    frame = table.to_pandas()
    assert table.shape == frame.shape
    assert list(table.dtypes) == list(frame.columns)
    assert table.dtypes["age"] == "int8"
    assert table.dtypes["sex"] == "categorical"
    assert len(table) == len(table.keys()) == 9  # as ExeTera: all fields
    assert opened.create_dataframe("none").shape == (0, 0)
    table["age"].data.write([1])
    with pytest.raises(DataError, match="different lengths"):
        _ = table.shape
    assert "unequal" in repr(table)


def test_info_counts_what_it_is_asked_to_count(opened: Any) -> None:
    table = write(opened)
    known = {field.name: field.missing for field in table.info().fields}
    assert known == {"id": 0, **dict.fromkeys(["age", "sex", "born", "seen", "town"])}
    counted = {field.name: field.missing for field in table.info(missing=True).fields}
    assert counted == {name: int(table[name].isna().data[:].sum()) for name in counted}
    found = lines(table.info())
    assert found[0][0].startswith("people: 1,234 rows x 6 fields, ")
    assert found[1] == ["field", "type", "missing", "label", "size"]
    assert found[3] == ["age", "int8", "?", "Age at entry [years]", "1.2 KiB"]
    assert repr(table.info()).endswith("3 more fields say what is missing of others")
    assert "Age at entry [years]" in texts_in(table.info()._repr_html_())


def test_info_has_what_is_stored(tmp_path: Any) -> None:
    with Session() as session:
        dataset = session.open_dataset(str(tmp_path / "x.zarr"), "w", "d")
        table = write(dataset)
        assert {field.stored_bytes for field in table.info().fields} == {None}
        assert {field.stored_bytes for field in table.info(sizes=True).fields} == {0}
        dataset.commit()
        stored = {field.name: field.stored_bytes for field in table.info(sizes=True).fields}
        assert stored == {name: dataset.stored_sizes()["people", name] for name in stored}
        assert " stored" in repr(table.info(sizes=True))


# -- describe


def test_describe_says_what_is_missing_and_when(opened: Any) -> None:
    """Names of categories, dates as dates, and a dash where there is no value to say it of."""
    table = write(opened, 20)
    table.create_numeric("none", "float64").data.write([None] * 20)
    table.create_indexed_string("blank").data.write([""] * 20)
    text = repr(table.describe())
    rows: dict[str, str] = {}
    for line in text.splitlines():
        rows[line[:9].strip()] = rows.get(line[:9].strip(), "") + line[9:] + "  "
    assert max(map(len, text.splitlines())) <= 80
    assert re.split(" {2,}", rows["label"].strip()) == ["Age at entry"]
    assert re.split(" {2,}", rows["min"].strip()) == [
        *("1000", "0", "1970-01-01", "2020-09-13 12:26:40", "-")
    ]
    days = np.std([n for n in range(20) if n != 4], ddof=1)
    assert re.split(" {2,}", rows["std"].strip())[2:4] == [f"{days:.6g} days", "2.95804 s"]
    assert re.split(" {2,}", rows["top"].strip()) == ["f", "''", "''"]
    assert re.split(" {2,}", rows["missing"].strip()) == ["0", "4", "3", "1", "0", "5", "20", "0"]
    assert "nan" not in text.lower()
    html = table.describe()._repr_html_()
    assert "Age at entry" in texts_in(html)
    assert 'title="missing">-<' in html
    assert not re.search("background|[^-]color", html)


# -- completion


def test_completion_in_ipython(opened: Any) -> None:
    """Names of fields, tables and datasets, and of methods that somebody calls."""
    pytest.importorskip("IPython")
    from IPython.core.completer import IPCompleter, provisionalcompleter

    table = write(opened)
    names = {"df": table, "ds": opened, "s": opened.session, "x": table["age"]}
    completer = IPCompleter(namespace=names, global_namespace={}, use_jedi=True)

    def complete(text: str) -> set[str]:
        with provisionalcompleter(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = list(completer.completions(text, len(text)))
        return {one.text.strip("\"'[]").removeprefix(".") for one in found}

    assert complete('df["') >= {"age", "sex", "town"}
    assert complete('ds["') >= {"people"}
    assert complete('s["') >= {"study"}
    for prefix, wanted, unwanted in (
        ("df.", {"describe", "shape", "dtypes", "info", "to_pandas"}, hidden.IN_TABLES),
        ("ds.", {"commit", "create_dataframe", "history"}, hidden.IN_DATASETS),
        ("s.", {"open_dataset", "close"}, hidden.IN_SESSIONS),
        ("x.", {"mean", "label", "isna"}, hidden.IN_FIELDS),
    ):
        found = {one.rpartition(".")[2] for one in complete(prefix)}
        assert found >= wanted, found
        assert not found & unwanted


def test_what_completion_hides_is_there(opened: Any) -> None:
    """The lists name nothing that has gone, and hide nothing that anybody needs."""
    table = write(opened)
    things = (
        (table, hidden.IN_TABLES),
        (opened, hidden.IN_DATASETS),
        (opened.session, hidden.IN_SESSIONS),
        (table["age"], hidden.IN_FIELDS),
    )
    for thing, names in things:
        assert [name for name in names if not hasattr(thing, name)] == []
        assert {"__repr__", "_repr_html_"} < set(dir(thing))


def test_exeteras_face_shows_what_is_stored(place: Any) -> None:
    """There nothing is missing, and companions are fields like others."""
    url, options = place.url("face.zarr"), place.storage_options
    with Session() as session:
        write(session.open_dataset(url, "w", "d", storage_options=options))
    with Session(exetera=True) as session:
        table = session.open_dataset(url, "r", "d", storage_options=options)["people"]
        assert table.shape == (N, 9)
        row = next(line for line in lines(table) if line[0] == "1002")
        assert row[1:3] == ["0", "False"]


def test_what_reckoning_leaves_behind_the_fifteenth_digit_is_not_shown():
    for value, text in (
        (0.1 + 0.2, "0.3"),
        (23.988750000000003, "23.98875"),
        (1 / 3, "0.333333333333333"),
        (1e22, "1e+22"),
        (-0.0, "-0.0"),
        (float("inf"), "inf"),
        (2**53 + 1, "9007199254740993"),
    ):
        assert cell(value) == text
