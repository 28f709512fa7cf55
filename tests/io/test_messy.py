"""CSV files as people have them: imported by the bare call, and by options; value by value."""

from __future__ import annotations

import io
import json
import uuid
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exetera_zarr import Dataset, Session, import_csv, import_tables, propose_schema
from exetera_zarr.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    ExeteraError,
    NameTakenError,
    SchemaError,
)
from exetera_zarr.io import CsvError, Date, DateTime, Numeric, String, load_schema

OWN = ("j_valid_from", "j_valid_to")


@pytest.fixture
def ds():
    with Session() as session:
        dataset = session.open_dataset(f"memory://{uuid.uuid4().hex}", "w", "study")
        yield dataset
        dataset.rollback()


def values(table: Any) -> dict[str, list[Any]]:
    """What a table holds, with None for what is missing, and days of whole days."""
    found = table.to_arrow().to_pydict()
    return {name: [plain(one) for one in cells] for name, cells in found.items() if name not in OWN}


def plain(value: Any) -> Any:
    if isinstance(value, datetime):
        value = value.replace(tzinfo=None)
        return value.date() if value.time() == time() else value
    return value


def moment(*parts: int) -> datetime:
    return datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001 - as a file has it


# -- the bare call

GERMAN = (
    "Name;Größe;Gewicht;Kosten;Geburt\r\n"
    "Müller;1,81;81,5;1.234;31.12.1980\r\n"
    "José;;70,25;12.500;01.02.1975\r\n"
    "Änne;1,65;;;\r\n"
).encode("cp1252")
BRITISH = (
    b"id,seen,score,left\n1,31/12/2020,5,01/02/2021 09:30\n2,01/02/2021,N/A,\n"
    b"3,null,7,28/02/2021 23:59\n"
)
AMERICAN = b'id,seen,cost\n1,12/31/2020,"1,234.50"\n2,01/02/2021,"12.00"\n3,-,\n'
MESSY = {
    "german": (
        GERMAN,
        {
            "Name": ["Müller", "José", "Änne"],
            "Größe": [1.81, None, 1.65],
            "Gewicht": [81.5, 70.25, None],
            "Kosten": [1234, 12500, None],
            "Geburt": [date(1980, 12, 31), date(1975, 2, 1), None],
        },
        ["taken for cp1252", "';' and no comma", "between thousands, since other columns"],
    ),
    "british": (
        BRITISH,
        {
            "id": [1, 2, 3],
            "seen": [date(2020, 12, 31), date(2021, 2, 1), None],
            "score": [5, None, 7],
            "left": [moment(2021, 2, 1, 9, 30), None, moment(2021, 2, 28, 23, 59)],
        },
        ["seen: it has dates (day/month/year)", "'N/A', first in row 2"],
    ),
    "american": (
        AMERICAN,
        {
            "id": [1, 2, 3],
            "seen": [date(2020, 12, 31), date(2021, 1, 2), None],
            "cost": [1234.5, 12.0, None],
        },
        ["seen: it has dates (month/day/year)", "between thousands"],
    ),
    "commented": (
        b'# exported "today\n# by x\nid,a\n1,2\n# more\n3,"# 4"\n',
        {"id": [1, 3], "a": ["2", "# 4"]},
        ["2 lines of comments, which begin with '#'"],
    ),
    "excel": (
        b"sep=;\r\nid;a\r\n1;2,5\r\n2;3\r\n",
        {"id": [1, 2], "a": [2.5, 3.0]},
        ["its first line says that cells are separated by ';'"],
    ),
    "title": (
        b"Report of 2020\n\nid;a\n1;2\n2;3\n",
        {"id": [1, 2], "a": [2, 3]},
        ["2 lines before its header, which are left out ('Report of 2020'...)"],
    ),
    "index of pandas": (
        b",a,a\n0,1,x\n1,4,y\n2,5,z\n",
        {"Unnamed: 0": [0, 1, 2], "a": [1, 4, 5], "a.1": ["x", "y", "z"]},
        ["is empty, so it is called 'Unnamed: 0'", "occurs again, so it is called 'a.1'"],
    ),
    "utf-16 with tabs": (
        "id\tname\n1\tä\n2\tö\n".encode("utf-16"),
        {"id": [1, 2], "name": ["ä", "ö"]},
        ["is in UTF-16", "'\\t' and no comma"],
    ),
    "mark of utf-8": (
        b"\xef\xbb\xbfid|name\n1|\xc3\xa4\n2|b\n",
        {"id": [1, 2], "name": ["ä", "b"]},
        ["'|' and no comma"],
    ),
    "whole numbers with decimals": (b"x\n25\n25.0\n26.5\n", {"x": [25.0, 25.0, 26.5]}, []),
    "no cell tells": (
        b"id;d;n\n1;01/02/2020;1,500\n2;NA;2,500\n",
        {"id": [1, 2], "d": [date(2020, 2, 1), None], "n": [1.5, 2.5]},
        [
            "no cell tells which ('01/02/2020'), and day/month/year was taken",
            "before decimals was taken",
        ],
    ),
    "another column tells": (
        b"id,d,e\n1,01/02/2020,12/31/2020\n2,03/04/2020,12/30/2020\n",
        {
            "id": [1, 2],
            "d": [date(2020, 1, 2), date(2020, 3, 4)],
            "e": [date(2020, 12, 31), date(2020, 12, 30)],
        },
        ["month/day/year was taken as in other columns"],
    ),
    "months in words": (
        (
            b"a,b,c\n31DEC2020,3 Mar 2020,12/31/2020 1:05 PM\n"
            b"1jan1999,04 apr 2021,01/01/2021 12:00 AM\n"
        ),
        {
            "a": [date(2020, 12, 31), date(1999, 1, 1)],
            "b": [date(2020, 3, 3), date(2021, 4, 4)],
            "c": [moment(2020, 12, 31, 13, 5), date(2021, 1, 1)],
        },
        ["name of the month"],
    ),
    "apostrophes": (
        b"a,b\n1'234'567,1 000\n12,250\n",
        {"a": [1234567, 12], "b": [1000, 250]},
        ["between thousands"],
    ),
    "names that are the importer's": (b"a,j_valid_from\n1,2\n", {"a": [1]}, ["must be left out"]),
}


@pytest.mark.parametrize("name", MESSY)
def test_the_bare_call(ds: Dataset, tmp_path: Path, name: str, capsys: Any) -> None:
    """Each value is there, or missing; what was decided is said on stderr."""
    content, expected, told = MESSY[name]
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    assert values(import_csv(ds, "t", path)) == expected
    said = capsys.readouterr().err
    assert said.startswith("t: no schema was given, so one was proposed from ")
    assert f"exetera_zarr.propose_schema({str(path)!r}, room=True) shows it" in said
    for words in told:
        assert words in said
    # What is saved imports the same, and says nothing more.
    propose_schema({"t": path}, rows=None, room=True).save(tmp_path / "s.json")
    assert values(import_csv(ds, "u", path, tmp_path / "s.json")) == expected
    assert capsys.readouterr().err == ""


def test_a_table_without_a_schema_grows(ds: Dataset, tmp_path: Path) -> None:
    """The second day's file has a larger number, a longer code, and empty cells."""
    first, second = tmp_path / "1.csv", tmp_path / "2.csv"
    first.write_text("n,x,code\n1,0.5,A12\n2,0.25,B34\n")
    second.write_text("n,x,code\n70000,0.1,C5678\n,,\n")
    import_csv(ds, "t", first)
    found = import_csv(ds, "t", second, mode="append")
    assert values(found) == {
        "n": [1, 2, 70000, None],
        "x": [0.5, 0.25, 0.1, None],
        "code": ["A12", "B34", "C5678", ""],
    }


def test_later_files_are_read_as_the_first_was(ds: Dataset, tmp_path: Path) -> None:
    """What a file alone leaves open was decided once; another meaning would be a wrong number."""

    def append(table: str, content: str, **options: Any) -> list[Any]:
        path = tmp_path / "next.csv"
        path.write_text(content)
        found = import_csv(ds, table, path, mode="append", **options)
        return next(iter(values(found).values()))

    first = tmp_path / "first.csv"
    first.write_text('w;d;n\n"1,5";12/31/2020;NA\n"2,25";11/30/2020;3\n')
    import_csv(ds, "t", first, rename={"w": "weight"})
    for name in ("w", "d", "n"):
        import_csv(ds, name, first, columns=[name])
    assert append("w", 'w\n"5,678"\n') == [1.5, 2.25, 5.678]
    with pytest.raises(CsvError, match=r"'5\.678' is not a number as decimal=','"):
        append("w", "w\n5.678\n")
    assert append("w", "w\n5.678\n", decimal=".")[-1] == 5.678
    days = append("d", "d\n05/06/2021\n")
    assert days[-1] == date(2021, 5, 6)
    assert append("d", "d\n05/06/2021\n", dayfirst=True)[-1] == date(2021, 6, 5)
    assert append("n", "n\n4\nNA\n") == [None, 3, 4, None]
    first.write_text('w;d;n\n"9,75";01/02/2020;NA\n')
    table = import_csv(ds, "t", first, mode="append", rename={"w": "weight"})
    assert values(table)["weight"] == [1.5, 2.25, 9.75]


def test_a_text_beyond_those_looked_at_is_not_missing_by_itself(
    ds: Dataset, tmp_path: Path
) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a\n1\nNA\n" + "2\n" * 120_000 + "abc\n")
    assert values(import_csv(ds, "t", path))["a"][-1] == "abc"


def test_a_journal_is_kept_where_one_is_wanted(ds: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a\n1\n")
    assert list(import_csv(ds, "bare", path)) == ["a"]
    for name, wanted in {"at": {"timestamp": "2021-01-01"}, "told": {"validity": True}}.items():
        table = import_csv(ds, name, path, **wanted)
        assert list(table) == ["a", *OWN]
        # Of rows that come later it is said as well.
        assert list(import_csv(ds, name, path, mode="append")) == ["a", *OWN]
        assert len(table["j_valid_from"]) == 2
    assert list(import_csv(ds, "bare", path, mode="append", timestamp="2021-01-01")) == ["a"]
    schema = {"a": {"field_type": "string"}}
    assert list(import_csv(ds, "schema", path, schema)) == ["a", *OWN]
    assert list(import_csv(ds, "neither", path, schema, validity=False)) == ["a"]


def test_rows_beyond_those_looked_at_decide(ds: Dataset, tmp_path: Path) -> None:
    """A guess from the first rows that a later one contradicts is none that stays."""
    path = tmp_path / "t.csv"
    rows = ["1,01/02/2020"] * 120_000 + ["x,02/28/2020"]
    path.write_text("\n".join(["a,d", *rows]) + "\n")
    found = import_csv(ds, "t", path)
    assert len(found["a"]) == 120_001
    assert values(found)["a"][-1] == "x"
    assert plain(found["d"].data[:1].tolist()[0]) == datetime(2020, 1, 2, tzinfo=UTC).timestamp()


def test_characters_of_another_encoding_far_behind(ds: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    rows = [f"{number},plain" for number in range(200_000)]
    path.write_bytes("\n".join(["id,name", *rows, "-1,Größe"]).encode("cp1252"))
    import_csv(ds, "t", path)
    assert values(ds["t"])["name"][-1] == "Größe"


# -- forms of schemas


def test_every_form_of_a_schema(ds: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "patients.csv"
    path.write_bytes(GERMAN)
    proposal = propose_schema({"patients": path}, rows=None)
    (tmp_path / "s.json").write_text(proposal.to_json(), encoding="utf-8")
    body = proposal.document["schema"]["patients"]
    forms = [
        proposal,
        proposal.schema(),
        proposal.document,
        json.loads(proposal.to_json()),
        proposal.to_json(),
        body,
        tmp_path / "s.json",
        str(tmp_path / "s.json"),
        f"file://{tmp_path / 's.json'}",
        io.BytesIO(proposal.to_json().encode()),
    ]
    expected = MESSY["german"][1]
    for number, form in enumerate(forms):
        assert values(import_csv(ds, f"t{number}", path, form)) == expected, number
    entries = {"a": {"field_type": "numeric", "value_type": "int8"}}
    (tmp_path / "a.csv").write_text("a\n1\n\n")
    assert values(import_csv(ds, "a", tmp_path / "a.csv", entries)) == {"a": [1, None]}
    import_tables(ds, proposal, {"patients": path})
    assert values(ds["patients"]) == expected
    import_tables(ds, None, {"again": path})
    assert values(ds["again"]) == expected
    with pytest.raises(ArgumentTypeError, match="a schema is a path or an open file, not int"):
        import_csv(ds, "x", path, 5)


# -- options


def test_options_in_python_and_in_the_schema(ds: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(
        b"Liste\n'Id'|'Wert'|'Tag'\n% note\n'1'|'1 234,5'|'2020.31.12'\n'2'|k. A.|''\n"
    )
    how: dict[str, Any] = {
        "sep": "|",
        "quotechar": "'",
        "comment": "%",
        "skiprows": 1,
        "decimal": ",",
        "thousands": " ",
        "date_format": "%Y.%d.%m",
        "na_values": ["k. A."],
    }
    fields = {
        "Id": Numeric("int8"),
        "Wert": Numeric("float64"),
        "Tag": Date(create_flag_field=True),
    }
    expected = {"Id": [1, 2], "Wert": [1234.5, None], "Tag": [date(2020, 12, 31), None]}
    assert values(import_csv(ds, "a", path, fields, **how)) == expected
    assert values(import_csv(ds, "b", path, **how)) == expected
    document = {
        "exetera": {"version": "1.1.0"},
        "schema": {
            "t": {
                "csv": how | {"rename": {"Wert": "value"}, "columns": ["Id", "Wert"]},
                "fields": {
                    "Id": {"field_type": "numeric", "value_type": "int8"},
                    "value": {"field_type": "numeric", "value_type": "float64"},
                },
            }
        },
    }
    assert values(import_csv(ds, "c", path, document)) == {"Id": [1, 2], "value": [1234.5, None]}
    renamed = import_csv(ds, "d", path, fields, rename={"Id": "id"}, columns=["Id"], **how)
    assert values(renamed) == {"id": [1, 2]}
    # What is said in Python comes before the schema, and what a field says before both.
    own = fields | {"Tag": Date(date_format="%Y.%d.%m", create_flag_field=True)}
    assert values(import_csv(ds, "e", path, own, **how | {"date_format": "%Y"})) == expected


def test_what_does_not_fit_is_named(ds: Dataset, tmp_path: Path) -> None:
    """With row, line of the file and column; and the rejects are imported like the file."""
    path, bad = tmp_path / "t.csv", tmp_path / "bad.csv"
    path.write_bytes(
        "über\n# ü\nid;n;d\n1;1,5;31.01.2020\n# x\n2;1.5;31.01.2020\n3;2;30.02.2020\n".encode(
            "cp1252"
        )
    )
    how: dict[str, Any] = {
        "sep": ";",
        "encoding": "cp1252",
        "skiprows": 1,
        "comment": "#",
        "decimal": ",",
        "dayfirst": True,
    }
    fields = {"id": Numeric("int8"), "n": Numeric("float64"), "d": Date()}
    with pytest.raises(CsvError) as caught:
        import_csv(ds, "t", path, fields, **how)
    assert (caught.value.row, caught.value.line, caught.value.column) == (2, 6, "n")
    assert "'1.5' is not a number as decimal=',' would have it" in str(caught.value)
    with pytest.warns(UserWarning, match="2 of 3 rows were not imported"):
        import_csv(ds, "t", path, fields, on_error="skip", rejects=bad, **how)
    corrected = bad.read_bytes().replace(b'"1.5"', b'"1,5"').replace(b"30.02", b"29.02")
    bad.write_bytes(corrected)
    assert b"is not a date DD/MM/YYYY" in corrected
    again = import_csv(ds, "again", bad, fields, **how)
    assert values(again) == {
        "id": [2, 3],
        "n": [1.5, 2.0],
        "d": [date(2020, 1, 31), date(2020, 2, 29)],
    }


@pytest.mark.parametrize(
    ("cells", "definition"),
    [
        (["1,5"], Numeric("float64", thousands=",")),
        (["1,2345", "12,34"], Numeric("float64", thousands=",")),
        (["1.5"], Numeric("float64", decimal=",", thousands=".")),
        (["1 23"], Numeric("int32", thousands=" ")),
        (["31/12/2020"], Date(dayfirst=False)),
        (["31/12-2020"], Date(dayfirst=True)),
        (["31/12/20"], Date(dayfirst=True)),
        (["29.02.2023", "00.01.2020", "1.13.2020", "1.1.20200"], Date(date_format="%d.%m.%Y")),
        (["1112020"], Date(date_format="%d%m%Y")),
        (["2020-01-01 25:00"], DateTime(date_format="%Y-%m-%d %H:%M")),
        (["2020-01-01 13:00 PM"], DateTime(date_format="%Y-%m-%d %I:%M %p")),
        (["2021-366"], Date(date_format="%Y-%j")),
    ],
)
def test_what_is_nearly_of_a_form_is_none(
    ds: Dataset, tmp_path: Path, cells: list[str], definition: Any
) -> None:
    for number, cell in enumerate(cells):
        (tmp_path / "t.csv").write_text(f'x\n"{cell}"\n')
        with pytest.raises(CsvError, match=r"t\.csv, row 1 \(line 2\), column 'x'"):
            import_csv(ds, f"t{number}", tmp_path / "t.csv", {"x": definition})


def test_bytes_that_an_encoding_has_not(ds: Dataset, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"a,b\n1,x\n2,\x81\n")
    with pytest.raises(CsvError, match=r"row 2 \(line 3\), column 'b'"):
        import_csv(ds, "t", tmp_path / "t.csv", {"a": String(), "b": String()}, encoding="cp1252")


def test_missing_text_and_categories(ds: Dataset, tmp_path: Path) -> None:
    """A text that means missing is read as an empty cell, unless the category of that name is."""
    (tmp_path / "t.csv").write_text("a,b\nNA,NA\nx,no\n")
    entries = {
        "a": {"field_type": "string"},
        "b": {
            "field_type": "categorical",
            "categorical": {"value_type": "int8", "strings_to_values": {"": 0, "no": 1, "NA": 2}},
        },
    }
    found = import_csv(ds, "t", tmp_path / "t.csv", entries, na_values="NA")
    assert list(found["a"].data[:]) == ["", "x"]
    assert found["b"].data[:].tolist() == [2, 1]


WRONG: list[tuple[dict[str, Any], type[ExeteraError], str]] = [
    ({"sep": ";;"}, ArgumentError, "sep is one ASCII character, not ';;'"),
    ({"sep": '"'}, ArgumentError, "sep and quotechar are both"),
    ({"encoding": "cp9"}, ArgumentError, "encoding 'cp9' is not known"),
    ({"skiprows": -1}, ArgumentError, "skiprows must be 0 or more"),
    ({"skiprows": 9}, DataError, "skiprows=9 would leave out more"),
    ({"decimal": ";"}, SchemaError, "decimal must be"),
    ({"decimal": ",", "thousands": ","}, SchemaError, "thousands cannot be"),
    ({"date_format": "%d.%m"}, SchemaError, "says no year"),
    ({"date_format": "%Q"}, SchemaError, "known are"),
    ({"date_format": "%Y-%m-%d", "dayfirst": True}, ArgumentError, "leave out dayfirst"),
    ({"date_format": {"z": "%Y"}}, ArgumentError, "date_format= names the columns 'z'"),
    ({"date_format": "%Y-%m-%d %H"}, SchemaError, "column 'd'.*make it a datetime"),
    ({"na_values": [1.5]}, SchemaError, "na_values must be texts"),
    ({"rename": {"q": "r"}}, ArgumentError, "rename= names the columns 'q'"),
    ({"rename": {"a": "d"}}, SchemaError, "makes the field 'd'"),
    ({"columns": ["q"]}, SchemaError, "no column 'q'"),
    ({"columns": ["a"], "include": ["a"]}, ArgumentError, "one option"),
    ({"mode": "update"}, ArgumentError, "mode is 'error', 'replace' or 'append'"),
    ({"encoding": "utf-16"}, DataError, "utf-16|UTF-16"),
]


@pytest.mark.parametrize(("options", "error", "words"), WRONG)
def test_options_that_cannot_be(
    ds: Dataset, tmp_path: Path, options: Any, error: Any, words: str
) -> None:
    (tmp_path / "t.csv").write_text("a,d\n1,2020-01-01\n")
    with pytest.raises(error, match=words):
        import_csv(ds, "t", tmp_path / "t.csv", {"a": Numeric("int8"), "d": Date()}, **options)
    assert "t" not in ds


@pytest.mark.parametrize(
    ("csv", "words"),
    [
        ({"separator": ";"}, "'csv' has the unknown key 'separator'; known are 'sep'"),
        ({"sep": ";;"}, "table 't': 'csv': sep is one ASCII character"),
        (["sep"], "'csv' must be an object"),
    ],
)
def test_a_schema_that_says_it_wrong(tmp_path: Path, csv: Any, words: str) -> None:
    document = {"exetera": {"version": "1.1.0"}, "schema": {"t": {"csv": csv, "fields": {}}}}
    (tmp_path / "s.json").write_text(json.dumps(document))
    with pytest.raises(SchemaError, match=words):
        load_schema(tmp_path / "s.json")


def test_names_that_tell_no_columns_apart(ds: Dataset, tmp_path: Path) -> None:
    """They are refused until somebody says what they become."""
    (tmp_path / "t.csv").write_text("a,a,\n1,2,3\n")
    with pytest.raises(SchemaError, match=r"the header has 'a' more than once.*'a\.1'"):
        import_csv(ds, "t", tmp_path / "t.csv", {"a": Numeric("int8")})
    names = {"a.1": "b", "Unnamed: 2": "c"}
    entries = {name: Numeric("int8") for name in "abc"}
    found = import_csv(ds, "t", tmp_path / "t.csv", entries, rename=names)
    assert values(found) == {"a": [1], "b": [2], "c": [3]}


# -- again


def test_a_cell_that_runs_twice(ds: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(GERMAN)
    expected = MESSY["german"][1]
    for _ in range(2):
        assert values(import_csv(ds, "t", path, mode="replace")) == expected
    with pytest.raises(NameTakenError, match="mode='replace' or mode='append'"):
        import_csv(ds, "t", path)
    path.write_bytes(GERMAN.replace(b"1.234", b"9.999.999"))
    with pytest.raises(DataError, match="Kosten"):
        import_csv(ds, "t", path, mode="append")  # beyond the field
    assert values(ds["t"]) == expected
    path.write_bytes(GERMAN)
    both = values(import_csv(ds, "t", path, mode="append"))
    assert both == {name: cells * 2 for name, cells in expected.items()}
    assert values(import_csv(ds, "new", path, mode="append")) == expected


def test_a_failed_replacement_leaves_what_was(ds: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a\n1\n2\n")
    import_csv(ds, "t", path, {"a": Numeric("int8")})
    path.write_text("a\n3\nx\n")
    for mode in ("replace", "append"):
        with pytest.raises(CsvError):
            import_csv(ds, "t", path, {"a": Numeric("int8")}, mode=mode)
        assert values(ds["t"]) == {"a": [1, 2]}
        assert list(ds) == ["t"]


def test_rows_are_appended_by_name(ds: Dataset, tmp_path: Path) -> None:
    """To tables of any origin, in the order of their fields; else it is an error."""
    ds.from_dict("t", {"a": [1], "d": [moment(2020, 1, 1)]})
    path = tmp_path / "t.csv"
    path.write_text("d;a\n31.12.2020;5\n")
    assert values(import_csv(ds, "t", path, mode="append")) == {
        "a": [1, 5],
        "d": [date(2020, 1, 1), date(2020, 12, 31)],
    }
    for text, words in (
        ("a\n1\n", "'d'"),
        ("a,d,z\n1,2020-01-01,2\n", "'z'"),
        ("a,d\nx,2020-01-01\n", "a"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=words):
            import_csv(ds, "t", path, mode="append")
    assert len(ds["t"]["a"]) == 2


@pytest.mark.parametrize("how", ["import_tables", "query", "from_dict"])
def test_mode_is_everywhere(ds: Dataset, tmp_path: Path, how: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a\n7\n")

    def make(mode: Any) -> None:
        if how == "import_tables":
            import_tables(ds, {"t": {"a": Numeric("int64")}}, {"t": path}, mode=mode)
        elif how == "query":
            ds.sql("SELECT 7 AS a").write(ds, "t", mode)
        else:
            ds.from_dict("t", {"a": [7]}, mode=mode)

    make("append")
    make("append")
    assert values(ds["t"])["a"] == [7, 7]
    make("replace")
    assert values(ds["t"])["a"] == [7]
    with pytest.raises(NameTakenError):
        make("error")


# -- any dialect

TEXTS = st.text(
    st.characters(codec="cp1252", exclude_characters="\0\r\n", exclude_categories=["Cc"]),
    max_size=6,
).map(str.strip)
NUMBERS = st.decimals(-(10**9), 10**9, places=3, allow_nan=False).map(float)
ROWS = st.lists(
    st.tuples(
        st.none() | st.integers(-(10**8), 10**8),
        st.none() | NUMBERS,
        st.none() | st.dates(date(1, 1, 1)),
        st.none() | st.datetimes(moment(1000, 1, 1)).map(lambda one: one.replace(microsecond=0)),
        TEXTS,
    ),
    min_size=1,
    max_size=8,
)


def written_number(value: float, decimal: str, thousands: str | None) -> str:
    text = f"{Decimal(repr(value)):,f}" if thousands else f"{Decimal(repr(value)):f}"
    marks = {",": thousands or "", ".": decimal}
    return "".join(marks.get(one, one) for one in text)


@settings(max_examples=60)
@given(
    rows=ROWS,
    sep=st.sampled_from(",;\t|"),
    marks=st.sampled_from(
        [(".", None), (",", None), (",", "."), (".", ","), (",", " "), (".", "'")]
    ),
    quote=st.sampled_from("\"'"),
    quote_all=st.booleans(),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le"]),
    dates=st.sampled_from(["%d.%m.%Y", "%m/%d/%Y", "%Y%m%d", "%d-%b-%Y", "%Y-%j"]),
    na=st.sampled_from(["", "NA", "-"]),
    comment=st.sampled_from([None, "#", "//"]),
    skip=st.integers(0, 2),
    block=st.sampled_from([7, 64, 1 << 20]),
)
def test_a_table_in_any_dialect(
    tmp_path_factory: Any, rows: Any, sep: str, marks: Any, quote: str, quote_all: bool,
    encoding: str, dates: str, na: str, comment: str | None, skip: int, block: int,
) -> None:  # fmt: skip
    """Written so, and imported with those options, it is the same table."""
    decimal, thousands = marks

    def cell(text: str) -> str:
        special = any(one in text for one in (sep, quote, " ")) or (
            comment and text.startswith(comment)
        )
        return quote + text.replace(quote, quote * 2) + quote if quote_all or special else text

    def day(value: date, form: str) -> str:
        year = f"{value.year:04}"
        return value.strftime(form.replace("%Y", year))

    texts = [["i", "f", "d", "t", "s"]]
    for i, f, d, t, s in rows:
        texts.append(
            [
                na if i is None else written_number(i, decimal, thousands),
                na if f is None else written_number(f, decimal, thousands),
                na if d is None else day(d, dates),
                na if t is None else day(t, dates + " %H:%M:%S"),
                f"<{s}>",
            ]
        )
    lines = [sep.join(map(cell, line)) for line in texts]
    if comment:
        lines[1:1] = [f"{comment} it's \"odd"]
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    path.write_bytes("".join(f"{line}\n" for line in ['x"y'] * skip + lines).encode(encoding))
    with Session() as session:
        ds = session.open_dataset(f"memory://{uuid.uuid4().hex}", "w", "study")
        found = import_csv(
            ds,
            "t",
            path,
            {
                "i": Numeric("int64"),
                "f": Numeric("float64"),
                "d": Date(create_flag_field=True),
                "t": DateTime(create_flag_field=True),
                "s": String(),
            },
            sep=sep, decimal=decimal, thousands=thousands, quotechar=quote, encoding=encoding,
            date_format={"d": dates, "t": dates + " %H:%M:%S"}, na_values=[na] if na else None,
            comment=comment, skiprows=skip, block_bytes=block,
        )  # fmt: skip
        mask = {name: found[name].isna().data[:].tolist() for name in "ifdt"}
        raw = {name: list(found[name].data[:]) for name in "ifdts"}
        ds.rollback()
    for row, (i, f, d, t, s) in enumerate(rows):
        assert [mask[name][row] for name in "ifdt"] == [one is None for one in (i, f, d, t)]
        assert raw["s"][row] == f"<{s}>"
        assert i is None or raw["i"][row] == i
        assert f is None or raw["f"][row] == f
        midnight = None if d is None else datetime.combine(d, time(), UTC)
        for name, value in (("d", midnight), ("t", t and t.replace(tzinfo=UTC))):
            if value is not None:
                assert raw[name][row] == (value - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
