"""Schemas proposed from CSV files: right for what is there, and honest about the rest."""

from __future__ import annotations

import csv
import gzip
import json
import string
import uuid
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exetera_zarr import Session
from exetera_zarr.errors import DataError, SchemaError
from exetera_zarr.io import import_tables
from exetera_zarr.io.propose import discovery
from exetera_zarr.io.propose.discovery import Proposal, propose_schema, table_name
from exetera_zarr.io.propose.profiling import DISTINCT, ColumnProfile
from exetera_zarr.io.propose.proposing import MISSING
from support.strangers import soon

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Writing CSV, and what its cells mean, in the plainest way


def csv_text(columns: dict[str, list[str]], *, quote_all: bool = False, end: str = "\n") -> str:
    def cell(text: str) -> str:
        special = any(mark in text for mark in ',"\r\n') or text != text.lstrip(" ")
        alone = len(columns) == 1 and not text
        return '"' + text.replace('"', '""') + '"' if quote_all or special or alone else text

    rows = [list(columns), *zip(*columns.values(), strict=True)]
    return "".join(",".join(map(cell, row)) + end for row in rows)


def proposed(folder: Path, cells: list[str], **options: Any) -> tuple[dict[str, Any], str]:
    """What is proposed for a column of these cells: its entry, and the note on it."""
    path = folder / "t.csv"
    numbers = [str(number) for number in range(len(cells))]
    path.write_bytes(csv_text({"row": numbers, "x": cells}).encode())
    found = propose_schema(path, **({"rows": None} | options))
    entry = dict(found.document["schema"]["t"]["fields"]["x"])
    note = entry.pop("note", "")
    return entry, note


def numeric(nformat: str, mode: str = "strict") -> dict[str, Any]:
    return {"field_type": "numeric", "value_type": nformat, "validation_mode": mode}


def categorical(*names: str) -> dict[str, Any]:
    values = {name: value for value, name in enumerate(["", *names])}
    return {
        "field_type": "categorical",
        "categorical": {"value_type": "int8", "strings_to_values": values},
    }


def moments(kind: str, *, flag: bool = False) -> dict[str, Any]:
    return {"field_type": kind, "create_flag_field": flag}


TEXT = {"field_type": "string"}


@pytest.mark.parametrize(
    ("cells", "entry"),
    [
        (["1", "2", "-128"], numeric("int8")),
        (["1", "", "128"], numeric("int16", "allow_empty")),
        (["9223372036854775807", "-9223372036854775808"], numeric("int64")),
        (
            ["1", "NA", " ", "n/a", "3"],
            numeric("int8", "allow_empty") | {"na_values": ["NA", "", "n/a"]},
        ),
        (["0.5", "2", "-1.25"], numeric("float32")),
        (["0.1", "2"], numeric("float64")),
        (["1e39", "2"], numeric("float64")),
        (["nan", "1.5", "inf"], numeric("float32")),
        (["0.0", "-0.0", "1.5", "inf", "Infinity"], numeric("float32")),
        (["True", "false", "TRUE"], numeric("bool")),
        (["True", "", "False"], numeric("bool", "allow_empty")),
        (["2020-02-29", "1999-1-2"], moments("date")),
        (["2020-02-29", "", "1999-12-31"], moments("date", flag=True)),
        (["2020-02-29", " ", "1999-12-31"], moments("date", flag=True)),
        (["2020-02-29", "\t"], moments("date", flag=True)),
        (["2020-02-29 10:00:00", " "], moments("datetime", flag=True)),
        (["2020-02-29 10:00:00", "2020-02-29T10:00:00.5"], moments("datetime")),
        (["yes", "no", "yes", "no"] * 2, categorical("no", "yes")),
        (["a", "", "a", "", "a", "a"], categorical("a")),
        (["GB1", "GB2", "FR3"], {"field_type": "fixed_string", "length": 3}),
        (["öö", "abcd"], {"field_type": "fixed_string", "length": 4}),
        (["one", "of three", "names"], TEXT),
        (["x" * 300] * 2, TEXT),
        (["a\0", "b\0", "c\0"], TEXT),
        (["inf", "nan"], {"field_type": "fixed_string", "length": 3}),
    ],
)
def test_what_a_column_becomes(tmp_path: Path, cells: list[str], entry: dict[str, Any]) -> None:
    """The narrowest type that holds each cell as it is written."""
    assert proposed(tmp_path, cells)[0] == entry


@pytest.mark.parametrize(
    ("cells", "kind", "note"),
    [
        (["", ""], "string", "it has no values"),
        (["007", "008", "9"], "string", "'007' would lose characters"),
        (["+44", "+49", "1"], "string", "'+44' would lose characters"),
        (["1_000", "2_000", "3"], "string", "'1_000' would lose characters"),
        (["250.00", "250.0", "250"], "string", "'250.00' and '250.0' are one number"),
        (["007.5", "1.5"], "string", "'007.5' would lose characters"),
        (["1_0.5", "2.5"], "string", "'1_0.5' would lose characters"),
        ([" ", "\t"], "string", "it has no values"),
        (["9223372036854775809", "1"], "string", "is more than a number here can hold"),
        (["9007199254740993", "1.5"], "string", "'9007199254740993' is more than a number"),
        (["0", "1", "1"], "numeric", "'bool' would do as well"),
        (["20200131", "20210228"], "numeric", "look like dates YYYYMMDD"),
        (["1", "NA", "NA"], "numeric", "2 cells ('NA', first in row 2) will count as missing"),
        ([*map(str, range(99)), "12a"], "string", "integers, but for 1 cell ('12a', first in row"),
        (["2020-01-01"] * 19 + ["soon"], "categorical", "it has dates, but for 1 cell ('soon'"),
        (["13/01/2020", "1/2/2020"], "date", "day/month/year)"),
        (["1/13/2020", "1/02/2020"], "date", "month/day/year)"),
        (["1.2.2020", "01.02.2020 10:00"], "string", "day/month/year or month/day/year"),
        (["2020-01-01 10:00", "2020-01-02 10:00"], "datetime", "times without seconds"),
        (["2020-01-01", "2020-01-01 10:00:00"], "string", "dates with and without times"),
        (["3 Mar 2020", "04-March-2020"], "string", "name of the month"),
        (
            ["31DEC2020", "01jan2021"],
            "date",
            "dates (day, name of the month, year; date_format '%d%b%Y')",
        ),
        (["31DEC2020:10:00:00", "1JAN21:10:00:00"], "string", "day, name of the month, year"),
        (["2020-02-30"], "fixed_string", "dates, of which some are in no calendar ('2020-02-30')"),
        ([f"2021-{n}-01" for n in range(13, 40)], "fixed_string", "in no calendar ('2021-13-01')"),
        (["2020-02-30 10:00:00", "2020-01-01"], "string", "in no calendar ('2020-02-30 10"),
        (["31/12/99", "01/02/05"], "fixed_string", "dates (with years of two digits)"),
        (["31/12/2020"] * 19 + ["soon"], "categorical", "31/12/2024, but for 1 cell ('soon'"),
        (["1.234,5", "2,5"] * 19 + ["some"], "categorical", "1.234,5, but for 1 cell ('some'"),
        (["0123,456", "1,5"], "string", "'0123,456' would lose characters"),
        (["25", "25.0", "26.5"], "numeric", ""),
        (["13/01/2020", "01/13/2020"], "fixed_string", "different orders of day and month"),
        (["3,5", "4", "-7,25"], "numeric", "comma ('3,5'): it stands before decimals"),
        (["1.234,5", "4,5"], "numeric", "comma ('1.234,5'): it stands before decimals"),
        (["3,500", "250", "1,250,000"], "numeric", "comma ('3,500'): it stands between thousands"),
        (["3,500.5", "250.25"], "numeric", "comma ('3,500.5'): it stands between thousands"),
        (["3,500", "4,250"], "numeric", "it may stand before decimals or between thousands"),
        ([*map(str, range(99)), "3,5", "NA"], "string", "comma ('3,5'): it stands before decim"),
        (["2020-01-01 00:00:00Z", "2020-01-01 00:00:00"], "datetime", "has time zones"),
        (["Yes", "yes ", "Yes", "Yes"] * 2, "categorical", "'Yes', 'yes ' differ only in case"),
    ],
)
def test_what_is_ambiguous_is_said(tmp_path: Path, cells: list[str], kind: str, note: str) -> None:
    entry, found = proposed(tmp_path, cells)
    assert entry["field_type"] == kind
    assert note in found


@pytest.mark.parametrize("cells", [["12AB20", "13CD20"], ["1,2,3", "4,5,6"], ["x,5", "3,5"]])
def test_what_only_resembles_dates_or_numbers_gets_no_note(tmp_path: Path, cells: Any) -> None:
    assert proposed(tmp_path, cells)[1] == ""


def test_two_spellings_of_a_name_are_one(tmp_path: Path) -> None:
    """What is proposed can be imported as the note says; names of flags are compared likewise."""
    path = tmp_path / "t.csv"
    path.write_text(
        "caf\u00e9,cafe\u0301,e\u0301,\u00e9_valid\n1,x,1,a\n2,y,,b\n", encoding="utf-8"
    )
    found = propose_schema(path, rows=None)
    assert list(found.schema()["t"]) == ["caf\u00e9", "e\u0301", "\u00e9_valid"]
    (note,) = [note for note in found.notes if note.column == "cafe\u0301"]
    assert "'cafe\\u0301' and that of another column, 'caf\\xe9', are one name" in note.text
    assert "exclude t:(cafe\u0301)" in note.text
    with Session() as session:
        dataset = session.open_dataset(f"memory://{uuid.uuid4().hex}", "w", "d")
        chosen = {"exclude": {"t": ["cafe\u0301"]}}
        import_tables(dataset, found.schema(), {"t": str(path)}, **chosen)
        table = dataset["t"]
        assert table["caf\u00e9"].data[:].tolist() == [1, 2]
        assert table["\u00e9_valid_2"].data[:].tolist() == [True, False]


def test_cells_that_are_no_text_are_named(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b\n1,x\n2,\xff\n")
    (note,) = propose_schema(path, rows=None).notes
    assert str(note) == "t.b: a cell is not UTF-8 (row 2); the import will not take it"


def test_categories_are_few_and_come_often(tmp_path: Path) -> None:
    """More texts than asked for are text; so are few texts that hardly come again."""
    letters = list(string.ascii_lowercase)
    assert proposed(tmp_path, letters * 4)[0]["field_type"] == "categorical"
    assert proposed(tmp_path, letters * 3)[0]["field_type"] == "fixed_string"
    assert proposed(tmp_path, letters * 4, max_categories=25)[0]["field_type"] == "fixed_string"
    many = [f"name {number}" for number in range(200)] * 4
    body = proposed(tmp_path, many, max_categories=200)[0]["categorical"]
    assert body["value_type"] == "int16"
    assert body["strings_to_values"]["name 99"] == 200


def test_rows_that_are_no_csv_are_counted(tmp_path: Path) -> None:
    """Five are named, the others counted; the columns are those of the rest."""
    path = tmp_path / "t.csv"
    bad = "".join(f"{number}\n" for number in range(8))
    path.write_text(f'a,b\n1,2\n{bad}3,4\n5,x"y\n6,7\n')
    found = propose_schema(path, rows=None)
    texts = [note.text for note in found.notes]
    assert texts[0] == f"{path}, row 2 has 1 cell; the header has 2; the import will not take it"
    assert len(texts) == 6
    assert texts[5] == "9 rows in all are no CSV of the header's width"
    assert found.document["schema"]["t"]["notes"] == texts
    assert found.document["schema"]["t"]["fields"]["b"] == numeric("int8")


# Keys


def test_primary_and_foreign_keys(tmp_path: Path) -> None:
    """By name and by content: unique in the one table, known there in the other."""
    patients = {"id": ["p1", "p2", "p3"], "code": ["a", "b", "c"]}
    tests = {
        "id": ["1", "2", "3", "4"],
        "patient_id": ["p1", "p1", "p3", "p9"],
        "patientid": ["x", "y", "x", "y"],
    }
    for name, columns in (("patients", patients), ("tests", tests)):
        (tmp_path / f"{name}.csv").write_text(csv_text(columns))
    found = propose_schema([tmp_path / "patients.csv", tmp_path / "tests.csv"], rows=None)
    tables = found.document["schema"]
    assert tables["patients"]["primary_keys"] == ["id"]
    assert tables["tests"]["primary_keys"] == ["id"]
    assert tables["tests"]["foreign_keys"] == {"patient_id": {"space": "patients", "key": "id"}}
    assert "1 of 3 values looked at are not in patients.id" in str(found.notes)
    assert "foreign_keys" not in tables["patients"]


def test_a_key_that_repeats_in_another_block_is_none(tmp_path: Path) -> None:
    """Uniqueness is asked over blocks of the reader, not within each."""
    path = tmp_path / "t.csv"
    rows = [f"{number},{'x' * 1000}" for number in range(10_000)]
    path.write_text("\n".join(["id,filler", *rows, rows[0]]) + "\n")
    assert "primary_keys" not in propose_schema(path, rows=None).document["schema"]["t"]
    path.write_text("\n".join(["id,filler", *rows]) + "\n")
    assert propose_schema(path, rows=None).document["schema"]["t"]["primary_keys"] == ["id"]


# Names


def test_flags_get_names_that_no_column_has(tmp_path: Path) -> None:
    """A table that was exported with its flags can be proposed for and imported again."""
    columns = {
        "age": ["1", "", "3"],
        "age_valid": ["True", "False", "True"],
        "day": ["2020-01-01", "", "2020-01-02"],
        "day_set": ["True", "False", "True"],
    }
    path = tmp_path / "t.csv"
    path.write_text(csv_text(columns))
    found = propose_schema(path, rows=None)
    fields = found.document["schema"]["t"]["fields"]
    assert fields["age"]["flag_field_name"] == "_valid_2"
    assert fields["day"]["create_flag_field"] is False
    with Session() as session:
        dataset = session.open_dataset(f"memory://{uuid.uuid4().hex}", "w", "d")
        import_tables(dataset, found.schema(), {"t": str(path)})
        table = dataset["t"]
        assert table["age_valid_2"].data[:].tolist() == [True, False, True]
        assert table["age_valid"].data[:].tolist() == [True, False, True]
        assert table["day_set"].data[:].tolist() == [True, False, True]
        assert table["day"].isna().data[:].tolist() == [False, True, False]
        assert table.length() == 3


def test_the_importers_own_fields_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,j_valid_from\n1,2\n")
    found = propose_schema(path, rows=None)
    assert list(found.schema()["t"]) == ["a"]
    assert "exclude t:(j_valid_from)" in str(found.notes[0])


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/patients.csv", "patients"),
        ("patients.CSV.gz", "patients"),
        ("s3://bucket/2020/tests.v2.csv.zst", "tests.v2"),
        ("https://host/x/data.csv?token=1.2", "data"),
        (Path("plain"), "plain"),
    ],
)
def test_a_table_is_called_as_its_file(path: Any, name: str) -> None:
    assert table_name(path) == name


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ("", DataError, "t.csv has no header: it is empty"),
    ],
)
def test_a_file_without_a_header_is_an_error(
    tmp_path: Path, content: str, error: type[Exception], message: str
) -> None:
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(error, match=message):
        propose_schema(tmp_path / "t.csv")


def test_a_name_that_no_field_can_have(tmp_path: Path) -> None:
    """The schema leaves it out; the import says so before it reads a row."""
    (tmp_path / "t.csv").write_text("id,..\n1,x\n")
    proposal = propose_schema(tmp_path / "t.csv")
    assert list(proposal.document["schema"]["t"]["fields"]) == ["id"]
    assert "'..' cannot be the name of a table or field, so" in proposal.notes[0].text
    with Session() as session:
        dataset = session.open_dataset(f"memory://{uuid.uuid4().hex}", "w", "ds")
        with pytest.raises(SchemaError, match=r"t\.csv, column '\.\.': '\.\.' cannot be the name"):
            import_tables(dataset, {"t": dict(proposal.schema()["t"])}, {"t": tmp_path / "t.csv"})
        import_tables(dataset, proposal.schema(), {"t": tmp_path / "t.csv"})
        assert list(dataset["t"]) == ["id", "j_valid_from", "j_valid_to"]


def test_another_separator_is_said(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id;name\n1;x\n")
    notes = propose_schema(tmp_path / "t.csv").notes
    assert "the header of" in notes[0].text
    assert "has ';' and no comma" in notes[0].text


def test_two_files_of_one_name_are_asked_about(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="several files would be the table 't'"):
        propose_schema([tmp_path / "a" / "t.csv", tmp_path / "b" / "t.csv"])


# Samples


def long_table(rows: int, late: str) -> str:
    """Rows of text with line ends in quoted cells, and a category that only the last ones have."""
    lines = [
        f'{number},"a ""note"",\nof {number}",{late if number > 0.9 * rows else "usual"}\n'
        for number in range(rows)
    ]
    return "id,note,kind\n" + "".join(lines)


def test_later_parts_of_a_file_are_looked_at(tmp_path: Path) -> None:
    """Also where a place in the middle may be within quotes."""
    path = tmp_path / "t.csv"
    path.write_text(long_table(100_000, "late"))
    found = propose_schema(path, rows=1000)
    table = found.document["schema"]["t"]
    assert list(table["fields"]["kind"]["categorical"]["strings_to_values"]) == [
        "",
        "late",
        "usual",
    ]
    assert table["fields"]["id"]["value_type"] == "int32"
    assert 2000 < found.rows["t"] < 50_000
    assert "not all: numbers have room for twice" in table["notes"][0]


def test_a_sample_gives_numbers_room(tmp_path: Path) -> None:
    """A column that just fits a type may not fit it in the rows that were not read."""
    cells = ["100"] * 10
    assert proposed(tmp_path, cells)[0] == numeric("int8")
    assert proposed(tmp_path, cells, rows=5)[0] == numeric("int16", "allow_empty")
    assert proposed(tmp_path, cells, rows=10)[0] == numeric("int8")


def test_of_a_compressed_file_the_start_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(long_table(50_000, "late").encode()))
    found = propose_schema(path, rows=1000)
    assert found.rows["t"] == 1000
    every = propose_schema(path, rows=None)
    assert every.rows["t"] == 50_000
    categories = every.document["schema"]["t"]["fields"]["kind"]["categorical"]
    assert list(categories["strings_to_values"]) == ["", "late", "usual"]


def test_several_files_are_one_table(tmp_path: Path) -> None:
    """Their columns may have another order; what one of them lacks is said."""
    (tmp_path / "a.csv").write_text("x,y\n1,2020-01-01\n")
    (tmp_path / "b.csv").write_text("y,x\n2020-01-02,1000\n")
    (tmp_path / "c.csv").write_text("x\n5\n")
    paths = [tmp_path / f"{name}.csv" for name in "abc"]
    found = propose_schema({"t": paths}, rows=None)
    assert found.document["schema"]["t"]["fields"] == {
        "x": numeric("int16"),
        "y": moments("date"),
    }
    assert [note.text for note in found.notes] == [
        f"{paths[2]} lacks 'y', which other files of the table have"
    ]


def test_what_is_kept_of_a_column_is_bounded() -> None:
    """However many texts there are, and however long they are."""
    import pyarrow as pa

    profile = ColumnProfile()
    for start in range(0, 10_000, 1000):
        profile.observe(pa.array([b"%d" % n for n in range(start, start + 1000)], pa.binary()))
    profile.observe(pa.array([b"x" * 100_000], pa.binary()))
    assert profile.rows == 10_001
    assert len(profile.texts) <= DISTINCT
    assert max(map(len, profile.texts)) < 1000


# Any table


def moment_text(microseconds: int) -> str:
    return str(EPOCH + timedelta(microseconds=microseconds)).removesuffix("+00:00")


def words(alphabet: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.text(alphabet, max_size=8)


CHARACTERS = st.characters(codec="utf-8", exclude_characters="\0")
COLUMNS: list[st.SearchStrategy[str]] = [
    st.integers(-200, 200).map(str),
    st.integers(-(2**70), 2**70).map(str),
    st.floats(width=32).map(repr),
    st.floats().map(repr),
    st.sampled_from(["True", "False", "true"]),
    st.sampled_from(["0", "1", "007", "1.50", "+3", "NA"]),
    st.dates(date(1, 1, 1)).map(str),
    st.integers(-(10**15), 10**16 // 2).map(moment_text),
    st.sampled_from(["no", "Yes", "yes ", "ä,b", 'q"uote', " "]),
    words(CHARACTERS),
    words(st.sampled_from("01a-: .\n\r")),
]
NAMES = st.sampled_from(
    ["id", "a", "a_valid", "a_set", "a_valid_2", "day", "day_set", "été", "T 1"]
)


@st.composite
def tables(draw: st.DrawFn) -> dict[str, list[str]]:
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    rows = draw(st.integers(0, 12))
    table = {}
    for name in names:
        cell = draw(st.sampled_from(COLUMNS))
        if draw(st.booleans()):
            cell = st.one_of(st.just(""), cell)
        # Drawn from few, so that there are categories.
        pool = draw(st.lists(cell, min_size=1, max_size=4))
        table[name] = draw(st.lists(st.sampled_from(pool), min_size=rows, max_size=rows))
    return table


def meaning(text: str, field: Any) -> Any:
    """What a field must hold where a cell has this text."""
    match field.fieldtype.split(","):
        case ["numeric", "bool"]:
            return text.strip().lower() == "true"
        case ["numeric", nformat]:
            read = float if "float" in nformat else int
            try:
                return read(text)
            except ValueError:
                assert text.strip().lower().encode() in MISSING
                return read(0)
        case ["timestamp", *_]:
            if not text.strip():
                # Without a flag, whose name may be taken, it says by itself that it is missing.
                return float("nan") if field.validity is None else 0.0
            moment = datetime.fromisoformat(text.strip()).replace(tzinfo=UTC)
            return (moment - EPOCH) / timedelta(seconds=1)
        case ["categorical", *_]:
            return next(code for code, name in field.keys.items() if name.decode() == text)
        case ["fixedstring", *_]:
            return text.encode()
    return text


@given(tables(), st.booleans(), st.sampled_from(["\n", "\r\n"]))
def test_a_proposal_imports_its_own_file(
    tmp_path_factory: pytest.TempPathFactory,
    table: dict[str, list[str]],
    quote_all: bool,
    end: str,
) -> None:
    """Any table: CSV, its schema, the import, the same values."""
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    path.write_bytes(csv_text(table, quote_all=quote_all, end=end).encode())
    found = propose_schema(path, rows=None)
    assert list(found.schema()["t"]) == list(table)
    with Session() as session:
        dataset = session.open_dataset(f"memory://{uuid.uuid4().hex}", "w", "d")
        import_tables(dataset, found.schema(), {"t": str(path)})
        for name, cells in table.items():
            field = dataset["t"][name]
            values = list(field.data[:])
            expected = [meaning(text, field) for text in cells]
            plain = [value.item() if hasattr(value, "item") else value for value in values]
            # By their text, since NaN equals nothing.
            assert list(map(repr, plain)) == list(map(repr, expected))


def test_a_proposal_is_a_schema_file(tmp_path: Path) -> None:
    """Its JSON is read by `load_schema`, notes and all, and is laid out to be edited."""
    path = tmp_path / "t.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["id", "código"], ["1", "007"], ["2", "08"]])
    found: Proposal = propose_schema(str(path), rows=None)
    assert json.loads(found.to_json()) == found.document
    assert set(found.schema()["t"]) == {"id", "código"}
    line = '"id": {"field_type": "numeric", "value_type": "int8", "validation_mode": "strict"},'
    assert line in [line.strip() for line in found.to_json().splitlines()]


def test_more_columns_than_are_looked_at(tmp_path, monkeypatch):
    """Each costs a millisecond, so that a header of a stranger may take minutes."""
    path = tmp_path / "wide.csv"
    path.write_text(",".join(f"c{number}" for number in range(50_000)) + "\n")
    with soon(), pytest.raises(SchemaError, match=r"50,000 columns.*5,000 at most"):
        propose_schema(path)
    path.write_text("a,b,c\n1,2,3\n")
    monkeypatch.setattr(discovery, "MOST_COLUMNS", 2)
    with pytest.raises(SchemaError, match="2 at most"):
        propose_schema(path)
    monkeypatch.setattr(discovery, "MOST_COLUMNS", 3)
    assert len(propose_schema(path).document["schema"]["wide"]["fields"]) == 3
