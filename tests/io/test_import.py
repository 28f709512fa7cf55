"""CSV import: what cells become, what is refused and in which words, and that it is atomic."""

from __future__ import annotations

import io
import json
import math
import pickle
import uuid
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exetera_zarr import Session, import_csv
from exetera_zarr.errors import DataError, ExeteraError, NameTakenError, SchemaError
from exetera_zarr.fields.missing.companions import COMPANION_OF
from exetera_zarr.io import (
    Categorical,
    CsvError,
    Date,
    DateTime,
    Numeric,
    Progress,
    String,
    import_tables,
    import_with_schema,
)
from exetera_zarr.io.csv import text as csv_text
from exetera_zarr.io.csv.cells import CellError
from exetera_zarr.io.csv.convert import convert
from exetera_zarr.io.csv.records import parse_block
from exetera_zarr.moments import parse_moment
from exetera_zarr.tables.dataset import Dataset

S = String()
INT = Numeric("int32", validation_mode="strict")
# Cut after every byte, in the middle of everything, and not at all.
BLOCK_SIZES = (1, 7, 1 << 20)


@pytest.fixture
def dataset() -> Iterator[Dataset]:
    with Session() as session:
        yield session.open_dataset(f"memory://{uuid.uuid4().hex}", "w", "ds")


def plain(values: Any) -> list[Any]:
    return values.tolist() if isinstance(values, np.ndarray) else list(values)


def contents(table: Any) -> dict[str, list[Any]]:
    """The stored values of every field that was asked for."""
    return {
        name: plain(field.data[:])
        for name, field in table.items()
        if not name.startswith("j_") and COMPANION_OF not in field.group.attributes
    }


@pytest.fixture
def read_once(dataset: Dataset, tmp_path: Path) -> Callable[..., Any]:
    """Import bytes; gives the fields' values, or the text of the error without the folder."""

    def run(csv: bytes, definitions: dict[str, Any], block_bytes: int) -> Any:
        path = tmp_path / "a.csv"
        path.write_bytes(csv)
        name = uuid.uuid4().hex
        try:
            import_tables(dataset, {name: definitions}, {name: path}, block_bytes=block_bytes)
        except ExeteraError as error:
            assert name not in dataset
            return str(error).replace(f"{tmp_path}/", "")
        return contents(dataset[name])

    return run


@pytest.fixture
def read(read_once: Callable[..., Any]) -> Callable[..., Any]:
    """As `read_once`, but with several sizes of block, which must agree."""

    def run(csv: bytes, definitions: dict[str, Any]) -> Any:
        found = [read_once(csv, definitions, size) for size in BLOCK_SIZES]
        assert found[1:] == found[:-1]
        return found[0]

    return run


# -- the text


TWICE = (
    "a.csv: the header has 'a' more than once; in schema, rename and columns the others are 'a.1'"
)
UNNAMED = (
    "a.csv: column 3 of 3 has no name in the header; in schema, rename and columns it is "
    "'Unnamed: 2'"
)
AB = {"a": S, "b": S}


@pytest.mark.parametrize(
    ("csv", "expected"),
    [
        pytest.param(b"a,b\n1,2\n3,4\n", {"a": ["1", "3"], "b": ["2", "4"]}, id="plain"),
        pytest.param(b"a,b\n1,2\n3,4", {"a": ["1", "3"], "b": ["2", "4"]}, id="no last newline"),
        pytest.param(b"a,b\r\n1,2\r\n3,4\r\n", {"a": ["1", "3"], "b": ["2", "4"]}, id="CRLF"),
        pytest.param(b"a,b\r\n1,2\r\n3,4", {"a": ["1", "3"], "b": ["2", "4"]}, id="CRLF, open"),
        pytest.param(b"a,b\r1,2\r3,4\r", {"a": ["1", "3"], "b": ["2", "4"]}, id="CR"),
        pytest.param(b"a,b\n1,2\r\n3,4\n", {"a": ["1", "3"], "b": ["2", "4"]}, id="mixed ends"),
        pytest.param(b"\xef\xbb\xbfa,b\n1,2\n", {"a": ["1"], "b": ["2"]}, id="BOM"),
        pytest.param(b'\xef\xbb\xbf"a",b\n1,2\n', {"a": ["1"], "b": ["2"]}, id="BOM, quoted"),
        pytest.param(b"a,b\n", {"a": [], "b": []}, id="header only"),
        pytest.param(b"a,b", {"a": [], "b": []}, id="header only, open"),
        pytest.param(b"a,b\n\n \r\n\n", {"a": [], "b": []}, id="header and blank lines"),
        pytest.param(b"a,b\n1,2\n\n\n", {"a": ["1"], "b": ["2"]}, id="blank lines at the end"),
        pytest.param(b"a,b\r\n1,2\r\n\r\n", {"a": ["1"], "b": ["2"]}, id="the same in CRLF"),
        pytest.param(b"a,b\n1,\n  \n", {"a": ["1"], "b": [""]}, id="spaces at the end"),
        pytest.param(b"a,b\n,\n,\n", {"a": ["", ""], "b": ["", ""]}, id="empty cells"),
        pytest.param(b'a,b\n"",""\n', {"a": [""], "b": [""]}, id="empty quoted cells"),
        pytest.param(b'a,b\n"x,y","p""q"\n', {"a": ["x,y"], "b": ['p"q']}, id="quoted"),
        pytest.param(
            b'a,b\n"1\n2\r\n3\r4",x\n5,"\n"\n',
            {"a": ["1\n2\r\n3\r4", "5"], "b": ["x", "\n"]},
            id="quoted line ends",
        ),
        pytest.param(b'a,b\n"""",""""""\n', {"a": ['"'], "b": ['""']}, id="only quotes"),
        pytest.param(b'a,b\n1,"x\n\n,y"\n', {"a": ["1"], "b": ["x\n\n,y"]}, id="quoted blank line"),
        pytest.param(
            b' a ,  b\n  1 , 2\n,  \n 3,"  4 "\n',
            {"a": ["1 ", "", "3"], "b": ["2", "", "  4 "]},
            id="spaces before a cell",
        ),
        pytest.param(b'a, b\n1, "x, y"\n', {"a": ["1"], "b": ["x, y"]}, id="space before quote"),
        pytest.param(
            "a,b\né,日本\n🙂,\u2028\n".encode(),
            {"a": ["é", "🙂"], "b": ["日本", "\u2028"]},
            id="UTF-8",
        ),
        pytest.param(b"a,b\n\x00,x\x00y\n", {"a": ["\x00"], "b": ["x\x00y"]}, id="NUL"),
        pytest.param(b'"a","b"\n1,2\n', {"a": ["1"], "b": ["2"]}, id="quoted header"),
        pytest.param(b"b,a\n1,2\n", {"b": ["1"], "a": ["2"]}, id="order of the file"),
    ],
)
def test_text_of_every_dialect(read: Callable[..., Any], csv: bytes, expected: Any) -> None:
    """These are read, to these very cells, wherever the blocks are cut."""
    found = read(csv, AB)
    assert found == expected
    assert list(found) == list(expected)


@pytest.mark.parametrize(
    ("csv", "expected"),
    [
        (b"a\n1\n\n2\n", ["1", "", "2"]),
        (b"a\n\n", [""]),
        (b"a\r\n1\r\n\r\n", ["1", ""]),
        (b'a\n""\n" "\n', ["", " "]),
        (b"a\n1\n  ", ["1", ""]),
        (b"a\n ", [""]),
        (b"a\n", []),
    ],
)
def test_a_blank_line_in_a_file_of_one_column_is_an_empty_cell(
    read: Callable[..., Any], csv: bytes, expected: list[str]
) -> None:
    assert read(csv, {"a": S}) == {"a": expected}


@pytest.mark.parametrize(
    ("csv", "message"),
    [
        (b"a,b\n1,2\n3\n", "a.csv, row 2 (line 3): has 1 cell; the header has 2"),
        (b"a,b\n1,2,3\n", "a.csv, row 1 (line 2): has 3 cells; the header has 2"),
        (b"a,b\n1,2,\n", "a.csv, row 1 (line 2): has 3 cells; the header has 2"),
        (b"a,b\n1,2\n\n3,4\n", "a.csv, row 2 (line 3): is a blank line"),
        (b"a,b\n\n3,4\n", "a.csv, row 1 (line 2): is a blank line"),
        (b"a,b\r\n1,2\r\n\r\n3,4\r\n", "a.csv, row 2 (line 3): is a blank line"),
        (b"a,b\n1,2\n  \n3,4\n", "a.csv, row 2 (line 3): is a blank line"),
        (
            b'a,b\n"1\n2",3\n4\n',
            "a.csv, row 2 (line 4): has 1 cell; the header has 2",
        ),
        (
            b'a,b\n1,2\n3,"4\n5,6\n',
            "a.csv, row 2 (line 3): has a quoted cell that is never closed",
        ),
        (
            b'a,b\n1,5" pipe\n',
            'a.csv, row 1 (line 2): has a quote (") in a cell that is not quoted',
        ),
        (
            b'a,b\n1,5""\n',
            'a.csv, row 1 (line 2): has a quote (") in a cell that is not quoted',
        ),
        (
            b'a,b\n1,"x"y\n',
            "a.csv, row 1 (line 2): has text after the closing quote of a cell",
        ),
        (
            b'a,b\n1,"x" \n',
            "a.csv, row 1 (line 2): has text after the closing quote of a cell",
        ),
        (
            b'a,b\n1,2\n"3,4\n5,"6"\n',
            "a.csv, row 2 (line 3): has text after the closing quote of a cell",
        ),
        (
            b"a,b\n1,\xff\xfe\n",
            r"a.csv, row 1 (line 2), column 'b': '\\xff\\xfe' is not UTF-8: invalid start byte",
        ),
        (b"", "a.csv has no header: it is empty"),
        (b"\n1,2\n", "a.csv has no header: its first line is blank"),
        (b"\xef\xbb\xbf", "a.csv has no header: its first line is blank"),
        (b"\xff\xfea\x00", "a.csv is UTF-16, not CSV text in UTF-8: write encoding='utf-16'"),
        (b"PK\x03\x04rest", "a.csv is zip (or a spreadsheet), not CSV text in UTF-8"),
        (
            b'a,"b\n1,2\n',
            "a.csv, line 1: the header has a quoted cell that is never closed",
        ),
        (
            b'id,waist (")\n1,2\n3,4\n',
            'a.csv, line 1: the header has a quote (") in a cell that is not quoted',
        ),
        (
            b'\xef\xbb\xbf"a\nb",6"\n"x",5\n',
            'a.csv, line 2: the header has a quote (") in a cell that is not quoted',
        ),
        (b"a,b,a\n1,2,3\n", TWICE),
        (b"a, a ,b\n1,2,3\n", TWICE),
        (b"a,b,\n1,2,3\n", UNNAMED),
        (
            b"a;b\n1;2\n",
            (
                "a.csv lacks 'a', 'b', which the schema asks for; its header has 'a;b' "
                "(missing='skip' leaves such columns out); perhaps its cells are separated by "
                "';': write sep=';'"
            ),
        ),
    ],
)
def test_text_that_is_refused(read: Callable[..., Any], csv: bytes, message: str) -> None:
    """Nothing is guessed; the message is the same wherever the blocks are cut."""
    assert read(csv, AB) == message


def test_a_header_that_is_not_utf8(read: Callable[..., Any]) -> None:
    assert read(b"a,\xe9\n", AB).startswith("a.csv: the header is not UTF-8: ")


def test_the_first_error_of_the_file_is_reported(read: Callable[..., Any]) -> None:
    """Not that of the first column, nor the ragged row that the splitter sees first."""
    definitions = {"a": INT, "b": INT}
    assert read(b"a,b\n1,1\n2,x\ny,2\n1\n", definitions) == (
        "a.csv, row 2 (line 3), column 'b': 'x' cannot be converted to int in 'strict' mode"
    )
    assert read(b'a,b\n1,1\n2\ny,2\n"1\n', definitions) == (
        "a.csv, row 2 (line 3): has 1 cell; the header has 2"
    )


def test_a_record_without_end_does_not_take_all_memory(
    read_once: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what comes before it is still checked first."""
    monkeypatch.setattr(csv_text, "RECORD_LIMIT", 100)
    endless = b'3,"' + b"x" * 200 + b'"\n'
    assert read_once(b"a,b\n1,2\n" + endless, AB, 10).startswith(
        "a.csv: the record at byte 8 has more than 0 MiB"
    )
    assert read_once(b"a,b\n1\n" + endless, AB, 10) == (
        "a.csv, row 1 (line 2): has 1 cell; the header has 2"
    )


# -- the values


def test_a_float32_does_not_depend_on_its_neighbours(read: Callable[..., Any]) -> None:
    """What only Python reads beside it changes neither its rounding nor its range."""
    texts = ["3.4028235e+38", "1.000000059604644775390626", " +3.4028235e+38", "4e38", "-"]
    largest = 3.4028234663852886e38
    found = read(
        b"x,k\n" + b"".join(f"{text},1\n".encode() for text in texts),
        {"x": Numeric("float32", -1.0, "relaxed"), "k": INT},
    )
    assert found["x"] == [largest, 1.0000001192092896, largest, -1.0, -1.0]
    assert found["x_valid"] == [True, True, True, False, False]


@pytest.mark.parametrize(
    ("definition", "cells", "expected"),
    [
        pytest.param(
            Numeric("int8"),
            ["-128", "127", "", "+5", " 7", "1_0", "007", "-0"],
            [[-128, 127, 0, 5, 7, 10, 7, 0], [True, True, False, *[True] * 5]],
            id="int8",
        ),
        pytest.param(
            Numeric("int64", "min"),
            ["9223372036854775807", "-9223372036854775808", ""],
            [[2**63 - 1, -(2**63), -(2**63)], [True, True, False]],
            id="int64",
        ),
        pytest.param(
            Numeric("uint64", "max", create_flag_field=False),
            ["18446744073709551615", "0", ""],
            [[2**64 - 1, 0, 2**64 - 1]],
            id="uint64",
        ),
        pytest.param(
            Numeric("int8", 99, "relaxed"),
            ["1", "x", "", "128", "0x10", "1.0", "1e1", "-"],
            [[1, *[99] * 7], [True, *[False] * 7]],
            id="relaxed int8",
        ),
        pytest.param(
            Numeric("float64", create_flag_field=False),
            ["0.1", "1e3", "-.5", "5.", "+2", " 1.5", "1_0.5", "1e-400", "inf", "-Infinity"],
            [[0.1, 1000.0, -0.5, 5.0, 2.0, 1.5, 10.5, 0.0, math.inf, -math.inf]],
            id="float64",
        ),
        pytest.param(
            Numeric("float32", "min", "relaxed"),
            ["3.4e38", "3.5e38", "1e999", "nan(1)", "1,5", ""],
            [
                [float(np.float32(3.4e38)), *[-2147483648.0] * 5],
                [True, *[False] * 5],
            ],
            id="relaxed float32",
        ),
        pytest.param(
            Numeric("bool", True),
            ["1", "Y", "t", "YES", "oN", "True", "0", "n", "F", "no", "off", "FALSE", "", " no "],
            [
                [*[True] * 6, *[False] * 6, True, False],
                [*[True] * 12, False, True],
            ],
            id="bool",
        ),
        pytest.param(
            Numeric("bool", validation_mode="relaxed"),
            ["maybe", "2", "true"],
            [[False, False, True], [False, False, True]],
            id="relaxed bool",
        ),
        pytest.param(
            Categorical({"": 0, "yes": 1, "no": 1, "é": -7}),
            ["yes", "", "é", "no"],
            [[1, 0, -7, 1]],
            id="categories",
        ),
        pytest.param(
            Categorical({f"category number {k}": k * 100 for k in range(300)}, "int16"),
            ["category number 299", "category number 3", "category number 0"],
            [[29900, 300, 0]],
            id="many categories beyond int8",
        ),
        pytest.param(
            Categorical({"a": 1}, allow_freetext=True),
            ["a", "", "b", "日本", "a"],
            [[1, -1, -1, -1, 1], ["", "", "b", "日本", ""]],
            id="free text",
        ),
        pytest.param(
            Categorical({"a": 1}, allow_freetext=True), ["a"], [[1], [""]], id="no free text"
        ),
        pytest.param(S, ["", "x", "日本"], [["", "x", "日本"]], id="string"),
        pytest.param(
            String(6), ["", "日本", "x"], [[b"", "日本".encode(), b"x"]], id="fixed string"
        ),
        pytest.param(String(2), ["ab", "cd"], [[b"ab", b"cd"]], id="full fixed string"),
        pytest.param(String(3), ["\x00ab"], [[b"\x00ab"]], id="NUL in front"),
        pytest.param(
            Date(create_day_field=True, create_flag_field=True),
            ["1970-01-02", "", "1969-12-31", "2020-2-9", " 2000-02-29 ", "0001-01-01"],
            [
                [86400.0, 0.0, -86400.0, 1581206400.0, 951782400.0, -62135596800.0],
                [b"1970-01-02", b"", b"1969-12-31", b"2020-2-9", b"2000-02-29", b"0001-01-01"],
                [True, False, True, True, True, True],
            ],
            id="date",
        ),
        pytest.param(
            DateTime(create_day_field=True, create_flag_field=True),
            [
                "2020-05-12 07:00:00",
                "2020-05-12T07:00:00Z",
                "2020-05-12 07:00:00 UTC",
                "2020-05-12 07:00:00.5 UTC",
                "2020-05-12 07:00:00.250000+00:00",
                "2020-05-12 00:30:00+01:00",
                "2020-05-12T07:00:00-0530",
                "2020-05-12 07:00:00+02",
                "2020-05-12 07:00:00.123456789",
                "  2020-05-12 07:00:00 ",
                "",
                "9999-12-31 23:59:59",
            ],
            [
                [
                    1589266800.0,
                    1589266800.0,
                    1589266800.0,
                    1589266800.5,
                    1589266800.25,
                    1589239800.0,
                    1589286600.0,
                    1589259600.0,
                    1589266800.123456789,
                    1589266800.0,
                    0.0,
                    253402300799.0,
                ],
                [*[b"2020-05-12"] * 10, b"", b"9999-12-31"],
                [*[True] * 10, False, True],
            ],
            id="datetime",
        ),
    ],
)
def test_what_cells_become(
    read: Callable[..., Any], definition: Any, cells: list[str], expected: list[Any]
) -> None:
    """Values and side fields, to the bit."""
    rows = "".join(f'{number},"{cell}"\n' for number, cell in enumerate(cells))
    found = read(f"n,x\n{rows}".encode(), {"n": INT, "x": definition})
    assert found.pop("n") == list(range(len(cells)))
    assert list(found) == [column.name for column in definition.columns("x")]
    assert list(found.values()) == expected


@pytest.mark.parametrize(
    ("definition", "cell", "message"),
    [
        (Numeric("int8"), "128", "'128' is out of range for int8 (-128 to 127)"),
        (Numeric("int8"), "300", "'300' is out of range for int8 (-128 to 127)"),
        (Numeric("uint8"), "-1", "'-1' is out of range for uint8 (0 to 255)"),
        (
            Numeric("int64"),
            "9223372036854775808",
            (
                "'9223372036854775808' is out of range for int64 "
                "(-9223372036854775808 to 9223372036854775807)"
            ),
        ),
        (Numeric("int8"), "0xFF", "'0xFF' cannot be converted to int in 'allow_empty' mode"),
        (Numeric("int8"), "2.5", "'2.5' cannot be converted to int in 'allow_empty' mode"),
        (Numeric("int8"), "1e1", "'1e1' cannot be converted to int in 'allow_empty' mode"),
        (INT, "", "'' is empty, which mode 'strict' does not allow"),
        (INT, "5@", "'5@' cannot be converted to int in 'strict' mode"),
        (Numeric("float32"), "1e39", "'1e39' is too large for float32"),
        (Numeric("float64"), "1e999", "'1e999' is too large for float64"),
        (Numeric("float64"), "NA", "'NA' cannot be converted to float in 'allow_empty' mode"),
        (Numeric("float64"), "0x1p3", "'0x1p3' cannot be converted to float in 'allow_empty' mode"),
        (Numeric("bool"), "2", "'2' cannot be converted to bool in 'allow_empty' mode"),
        (
            Numeric("bool", validation_mode="strict"),
            "",
            "'' is empty, which mode 'strict' does not allow",
        ),
        (Categorical({"a": 1, "b": 2}), "c", "'c' is none of the categories 'a', 'b'"),
        (Categorical({"a": 1}), "", "'' is none of the categories 'a'"),
        (Categorical({"a": 1}), "A", "'A' is none of the categories 'a'"),
        (Categorical({"a": 1}), "a ", "'a ' is none of the categories 'a'"),
        (String(3), "abcd", "'abcd' has 4 bytes; the field holds 3"),
        (String(3), "éé", "'éé' has 4 bytes; the field holds 3"),
        (String(3), "a\x00", "'a\\x00' ends with a NUL byte, which a fixed string cannot keep"),
        (Date(), "2020-02-30", "'2020-02-30' is not a date YYYY-MM-DD"),
        (Date(), "0000-01-01", "'0000-01-01' is not a date YYYY-MM-DD"),
        (Date(), "01/02/2020", "'01/02/2020' is not a date YYYY-MM-DD"),
        (Date(), "2020-01-01 00:00:00", "'2020-01-01 00:00:00' is not a date YYYY-MM-DD"),
        *(
            (DateTime(), cell, f"{cell!r} is not a date and time YYYY-MM-DD HH:MM:SS")
            for cell in (
                "2020-01-01",
                "2020-01-01 10:00",
                "2020-01-01 24:00:00",
                "2020-01-01 10:00:60",
                "2020-02-30 10:00:00",
                "0000-01-01 10:00:00",
                "2020-01-01 10:00:00+24:00",
                "2020-01-01 10:00:00 CET",
                "2020-01-01 10:00:00.",
                "1577836800",
                "not long enough? ok",
            )
        ),
    ],
)
def test_a_cell_that_is_refused(
    read: Callable[..., Any], definition: Any, cell: str, message: str
) -> None:
    """The message names file, row, line, column and value."""
    fine = {"Numeric": "1", "Categorical": "a", "Date": "", "DateTime": "", "String": ""}
    rows = [fine[type(definition).__name__], cell]
    csv = "n,x\n" + "".join(f'0,"{row}"\n' for row in rows)
    assert read(csv.encode(), {"n": INT, "x": definition}) == (
        f"a.csv, row 2 (line 3), column 'x': {message}"
    )


def test_a_csv_error_carries_its_parts(dataset: Dataset, tmp_path: Path) -> None:
    """For whoever collects errors; and it survives the way back from a worker process."""
    path = tmp_path / "a.csv"
    path.write_text('id,note,x\n1,"two\nlines",1\n2,,' + "y" * 100 + "\n")
    with pytest.raises(DataError) as caught:
        import_csv(dataset, "t", path, {"id": INT, "note": S, "x": INT})
    error = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(error, CsvError)
    assert (error.file, error.row, error.line, error.column) == (str(path), 2, 4, "x")
    assert error.value == b"y" * 100
    assert str(error) == str(caught.value)
    assert f"'{'y' * 60}'... (100 bytes) cannot be" in str(error)


# -- tables


def test_every_table_gets_its_validity(dataset: Dataset, tmp_path: Path) -> None:
    """From the given moment to the year 3000 exactly, whatever the machine's time zone."""
    path = tmp_path / "a.csv"
    path.write_text("a\n1\n2\n")
    moment = datetime(2021, 3, 4, 5, 6, 7, tzinfo=UTC)
    given_as = [
        "2021-03-04 05:06:07",
        str(moment),
        moment,
        moment.timestamp(),
        "2021-03-04T05:06:07Z",
    ]
    for number, timestamp in enumerate(given_as):
        table = import_csv(dataset, f"t{number}", path, {"a": S}, timestamp=timestamp)
        assert plain(table["j_valid_from"].data[:]) == [moment.timestamp()] * 2
        assert plain(table["j_valid_to"].data[:]) == [32503680000.0] * 2
    before = datetime.now(UTC).timestamp()
    table = import_csv(dataset, "now", path, {"a": S})
    assert before <= table["j_valid_from"].data[0] <= datetime.now(UTC).timestamp()
    with pytest.raises(ValueError, match="timestamp 'yesterday' is not a date and time"):
        import_csv(dataset, "never", path, {"a": S}, timestamp="yesterday")


def test_the_types_of_the_fields(dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("c,l,n,s,f,d\nx,y,1,a,b,2020-01-01\n")
    definitions = {
        "c": Categorical({"x": 300}, "int16"),
        "l": Categorical({"x": 1}, allow_freetext=True),
        "n": Numeric("uint64"),
        "s": S,
        "f": String(7),
        "d": Date(True, True),
    }
    table = import_csv(dataset, "t", path, definitions)
    assert {name: field.fieldtype for name, field in table.items()} == {
        "c": "categorical,int16",
        "l": "categorical,int8",
        "l_freetext": "indexedstring",
        "n": "numeric,uint64",
        "n_valid": "numeric,bool",
        "s": "indexedstring",
        "f": "fixedstring,7",
        "d": "timestamp",
        "d_day": "fixedstring,10",
        "d_set": "numeric,bool",
        "j_valid_from": "timestamp",
        "j_valid_to": "timestamp",
    }
    assert table["c"].keys == {300: b"x"}


def test_include_and_exclude(dataset: Dataset, tmp_path: Path) -> None:
    """They choose columns of the file; what is left out is neither converted nor asked for."""
    path = tmp_path / "a.csv"
    path.write_text("a,b,c\n1,not a number,3\n")
    definitions = {"a": INT, "b": INT, "c": INT, "gone": INT}
    import_csv(dataset, "in", path, definitions, include=["c", "a"])
    assert contents(dataset["in"]) == {"a": [1], "c": [3]}
    import_csv(dataset, "ex", path, definitions, exclude=["b"], missing="skip")
    assert contents(dataset["ex"]) == {"a": [1], "c": [3]}
    import_csv(dataset, "none", path, definitions, include=[])
    with pytest.raises(TypeError, match="lists of column names"):
        import_csv(dataset, "text", path, definitions, include="a")
    assert list(dataset["none"].keys()) == ["j_valid_from", "j_valid_to"]
    assert len(dataset["none"]["j_valid_to"]) == 1


def test_an_unnamed_column_can_be_left_out(dataset: Dataset, tmp_path: Path) -> None:
    """pandas writes its index so."""
    path = tmp_path / "a.csv"
    path.write_text(",a\n0,1\n1,2\n")
    import_csv(dataset, "t", path, {"a": INT}, exclude=[""])
    assert contents(dataset["t"]) == {"a": [1, 2]}


@pytest.mark.parametrize(
    ("schema", "files", "options", "message"),
    [
        ({"t": AB}, {}, {}, "no files to import"),
        ({"t": AB}, {"u": "{csv}"}, {}, "the schema has no table 'u'; it has 't'"),
        (
            {"t": AB},
            {"t": "{csv}"},
            {"include": {"u": ["a"]}},
            "-n/--include: the following include table(s) are not part of any input files: {'u'}",
        ),
        (
            {"t": AB},
            {"t": "{csv}"},
            {"exclude": {"u": ["a"]}},
            "-x/--exclude: the following exclude table(s) are not part of any input files: {'u'}",
        ),
        (
            {"t": AB},
            {"t": "{csv}"},
            {"include": {"t": ["a"]}, "exclude": {"t": ["b"]}},
            "table 't' is in both include and exclude",
        ),
        (
            {"t": AB},
            {"t": "{csv}"},
            {"include": {"t": ["z"]}},
            "a.csv has no column 'z' to include or exclude; it has 'a', 'b'",
        ),
        (
            {"t": AB | {"c": S}},
            {"t": "{csv}"},
            {},
            (
                "a.csv lacks 'c', which the schema asks for; its header has 'a', 'b' "
                "(missing='skip' leaves such columns out)"
            ),
        ),
        (
            {"t": {"a": Numeric("int8", flag_field_name="_or"), "b": S, "a_or": S}},
            {"t": "{csv}"},
            {"missing": "skip"},
            None,
        ),
        (
            {"t": {"a": Date(create_flag_field=True), "a_set": S}},
            {"t": "{clash}"},
            {},
            "clash.csv: column 'a_set' makes the field 'a_set', which column 'a' already has",
        ),
        (
            {"t": {"j_valid_to": S}},
            {"t": "{csv}"},
            {},
            "table 't' declares the reserved name 'j_valid_to'",
        ),
    ],
)
def test_schema_and_files_that_do_not_fit(
    dataset: Dataset, tmp_path: Path, schema: Any, files: Any, options: Any, message: str | None
) -> None:
    """Found from the headers, before a table is made."""
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    (tmp_path / "clash.csv").write_text("a,a_set\n,\n")
    places = {"csv": str(tmp_path / "a.csv"), "clash": str(tmp_path / "clash.csv")}
    files = {table: path.format(**places) for table, path in files.items()}
    if message is None:
        import_tables(dataset, schema, files, **options)
        return
    with pytest.raises(SchemaError) as caught:
        import_tables(dataset, schema, files, **options)
    assert str(caught.value).replace(f"{tmp_path}/", "") == message
    assert list(dataset.keys()) == []


def test_unknown_columns_are_strings_with_one_warning(dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b,c\n1,x,\n")
    with pytest.warns(UserWarning, match="indexed strings: 'b', 'c'$") as caught:
        import_csv(dataset, "t", path, {"a": INT})
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert contents(dataset["t"]) == {"a": [1], "b": ["x"], "c": [""]}


def test_a_column_with_the_name_of_a_validity_field(dataset: Dataset, tmp_path: Path) -> None:
    """As in a file that was exported from an imported table."""
    path = tmp_path / "a.csv"
    path.write_text("a,j_valid_from\n1,2\n")
    with pytest.raises(SchemaError, match="makes the field 'j_valid_from', which every table"):
        import_csv(dataset, "t", path, {"a": INT})
    import_csv(dataset, "t", path, {"a": INT}, exclude=["j_valid_from"])
    assert contents(dataset["t"]) == {"a": [1]}


def test_a_schema_in_every_form(dataset: Dataset, tmp_path: Path) -> None:
    """Path, URL, open file, tables, columns; the table of the name, or the only one."""
    path = tmp_path / "a.csv"
    path.write_text("a\n1\n")
    fields = {"a": {"field_type": "numeric", "value_type": "int8", "validation_mode": "strict"}}
    document = {"exetera": {"version": "1.0.0"}, "schema": {"t": {"fields": fields}}}
    file = tmp_path / "s.json"
    file.write_text(json.dumps(document))
    forms: list[Any] = [
        file,
        str(file),
        file.as_uri(),
        io.StringIO(file.read_text()),
        {"t": {"a": INT}},
        {"a": INT},
        {"t": {"a": INT}, "n5": {"a": S}},
    ]
    for number, schema in enumerate(forms[:-1]):
        import_csv(dataset, f"n{number}", path, schema)
        assert contents(dataset[f"n{number}"]) == {"a": [1]}
    with pytest.raises(SchemaError, match="the schema has no table 'u'; it has 't', 'n5'"):
        import_csv(dataset, "u", path, forms[-1])
    with pytest.raises(TypeError, match="a schema maps columns to definitions"):
        import_csv(dataset, "u", path, {"a": "int8"})


def test_progress_counts_rows_and_bytes(dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a\n" + "1\n" * 100)
    seen: list[Progress] = []
    summary = import_tables(
        dataset, {"t": {"a": INT}}, {"t": path}, progress=seen.append, block_bytes=50
    )
    assert (summary["t"].rows, summary["t"].bytes, summary.rejected) == (100, 202, 0)
    assert [step.rows for step in seen] == sorted(step.rows for step in seen)
    assert seen[-1] == Progress("t", 100, 202, 202)
    assert len(seen) > 3


@pytest.mark.parametrize("chunk_row_size", [1, 3, 1 << 20])
def test_rows_per_write_change_nothing(
    dataset: Dataset, tmp_path: Path, chunk_row_size: int
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,s\n" + "".join(f"{k},text {k}\n" for k in range(10)))
    import_tables(dataset, {"t": {"a": INT, "s": S}}, {"t": path}, chunk_row_size=chunk_row_size)
    expected = {"a": list(range(10)), "s": [f"text {k}" for k in range(10)]}
    assert contents(dataset["t"]) == expected


def test_rows_per_write_must_be_a_number_of_rows(dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a\n1\n")
    with pytest.raises(ValueError, match="chunk_row_size must be 1 or more, not 0"):
        import_tables(dataset, {"t": {"a": INT}}, {"t": path}, chunk_row_size=0)


# -- all or nothing


def test_a_failed_import_leaves_the_dataset_as_it_was(dataset: Dataset, tmp_path: Path) -> None:
    """Tables, what was not committed before, and no trace of the first of two new tables."""
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text("a\n1\n2\n")
    bad.write_text("a\n" + "1\n" * 1000 + "x\n")
    import_csv(dataset, "before", good, {"a": INT})
    schema = {"one": {"a": INT}, "two": {"a": INT}}
    with pytest.raises(CsvError, match="row 1001"):
        import_tables(dataset, schema, {"one": good, "two": bad}, block_bytes=64)
    assert list(dataset.keys()) == ["before"]
    assert contents(dataset["before"]) == {"a": [1, 2]}
    assert import_tables(dataset, schema, {"one": good, "two": good}).rows == 4


def test_a_table_that_exists_is_not_touched(dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a\n1\n")
    import_csv(dataset, "t", path, {"a": INT})
    with pytest.raises(NameTakenError, match="already has table 't'; an import makes new tables"):
        import_csv(dataset, "t", path, {"a": INT})
    assert contents(dataset["t"]) == {"a": [1]}


def write_schema(path: Path, tables: dict[str, dict[str, Any]]) -> str:
    schema = {table: {"fields": fields} for table, fields in tables.items()}
    path.write_text(json.dumps({"exetera": {"version": "1.1.0"}, "schema": schema}))
    return str(path)


NUMBER = {"field_type": "numeric", "value_type": "int32", "validation_mode": "strict"}


def test_import_with_schema_as_exetera_calls_it(place: Any, tmp_path: Path) -> None:
    """By position; new, added to, and replaced; committed at once, and open under its alias."""
    schema = write_schema(
        tmp_path / "s.json",
        {"p": {"id": NUMBER}, "q": {"id": NUMBER, "t": {"field_type": "string"}}},
    )
    (tmp_path / "p.csv").write_text("id\n1\n2\n")
    (tmp_path / "q.csv").write_text("id,t\n3,x\n")
    p, q = {"p": str(tmp_path / "p.csv")}, {"q": str(tmp_path / "q.csv")}
    url, when = place.url("study.zarr"), "2021-01-01 00:00:00"
    options = {"storage_options": place.storage_options}
    with Session() as session:
        import_with_schema(session, url, "ds", schema, p, False, None, None, when, 7, **options)
        assert contents(session.get_dataset("ds")["p"]) == {"id": [1, 2]}
        with Session() as other:
            seen = other.open_dataset(url, "r", "r", storage_options=place.storage_options)
            assert contents(seen["p"]) == {"id": [1, 2]}
        session.close_dataset("ds")
        import_with_schema(session, url, "ds", schema, q, False, timestamp=when, **options)
        assert sorted(session.get_dataset("ds").keys()) == ["p", "q"]
        session.close_dataset("ds")
        import_with_schema(session, url, "ds", schema, q, True, timestamp=when, **options)
        assert list(session.get_dataset("ds").keys()) == ["q"]
    with Session() as session:
        ds = session.open_dataset(url, "r", "ds", storage_options=place.storage_options)
        assert contents(ds["q"]) == {"id": [3], "t": ["x"]}
        assert plain(ds["q"]["j_valid_from"].data[:]) == [1609459200.0]


@pytest.mark.parametrize("overwrite", [False, True])
def test_import_with_schema_that_fails(place: Any, tmp_path: Path, overwrite: bool) -> None:
    """Even where it was to replace the dataset: what was there stays, and a retry works."""
    schema = write_schema(tmp_path / "s.json", {"p": {"id": NUMBER}, "q": {"id": NUMBER}})
    (tmp_path / "p.csv").write_text("id\n1\n2\n")
    (tmp_path / "q.csv").write_text("id\n3\nx\n")
    files = {table: str(tmp_path / f"{table}.csv") for table in "pq"}
    url = place.url("study.zarr")
    options: Any = {"storage_options": place.storage_options}
    with Session() as session:
        import_with_schema(session, url, "ds", schema, {"p": files["p"]}, True, **options)
        session.close_dataset("ds")
        with pytest.raises(CsvError, match=r"q.csv, row 2 \(line 3\), column 'id': 'x' cannot be"):
            import_with_schema(session, url, "ds", schema, {"q": files["q"]}, overwrite, **options)
        assert session.list_datasets() == ()
    with Session() as session:
        ds = session.open_dataset(url, "r", "ds", **options)
        assert contents(ds["p"]) == {"id": [1, 2]}
        assert list(ds.keys()) == ["p"]
        assert ds.version == 1
        session.close_dataset("ds")
        (tmp_path / "q.csv").write_text("id\n3\n")
        import_with_schema(session, url, "ds", schema, {"q": files["q"]}, overwrite, **options)
        assert contents(session.get_dataset("ds")["q"]) == {"id": [3]}


def test_headers_are_checked_before_the_dataset_is_opened(tmp_path: Path) -> None:
    """A wrong schema makes no empty dataset."""
    schema = write_schema(tmp_path / "s.json", {"p": {"id": NUMBER}})
    (tmp_path / "p.csv").write_text("ident\n1\n")
    files = {"p": str(tmp_path / "p.csv")}
    with Session() as session, pytest.raises(SchemaError, match="lacks 'id'"):
        import_with_schema(session, str(tmp_path / "x.zarr"), "ds", schema, files, True)
    assert not (tmp_path / "x.zarr").exists()


def test_files_behind_urls(place: Any, tmp_path: Path) -> None:
    """CSV and schema are read from where the dataset is."""
    import fsspec

    schema = write_schema(tmp_path / "s.json", {"p": {"id": NUMBER}})
    url = place.url("in.csv")
    url = url if "://" in url else Path(url).as_uri()
    with fsspec.open(url, "wb", **place.storage_options) as file:
        file.write(b"id\n1\n2\n")
    with Session() as session:
        ds = session.open_dataset(
            place.url("o.zarr"), "w", "ds", storage_options=place.storage_options
        )
        table = import_csv(ds, "p", url, schema, storage_options=place.storage_options)
        assert contents(table) == {"id": [1, 2]}


# -- properties


class Named(io.BytesIO):
    """A file in memory, as `CsvText` reads one."""

    name: Any = "x"


CELL = st.text(alphabet='ab1", \n\ré\x00', max_size=6)


@given(
    rows=st.lists(st.tuples(CELL, CELL, st.booleans(), st.booleans()), max_size=8),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    final=st.booleans(),
    size=st.integers(1, 40),
)
def test_what_is_written_is_read(
    rows: list[tuple[str, str, bool, bool]], end: str, final: bool, size: int
) -> None:
    """Any cells, quoted where they must be or happen to be, in any line ends and blocks."""
    lines, expected = ["a,b"], []
    for first, second, quote_first, quote_second in rows:
        texts, values = [], []
        for cell, quoted in ((first, quote_first), (second, quote_second)):
            must = quoted or any(mark in cell for mark in '",\r\n')
            texts.append('"' + cell.replace('"', '""') + '"' if must else cell)
            values.append(cell if must else cell.lstrip(" "))
        lines.append(",".join(texts))
        expected.append(values)
    text = end.join(lines) + (end if final else "")
    source = csv_text.CsvText(Named(text.encode()), size)
    found: list[list[str]] = []
    for block in source.blocks():
        assert block.problem is None
        parsed = parse_block(block.text, 2, [0, 1])
        assert not parsed.problems
        columns = [parsed.cells[number].to_pylist() for number in (0, 1)]
        found += [[cell.decode() for cell in row] for row in zip(*columns, strict=True)]
    assert found == expected


@given(
    body=st.text(alphabet='a", \n\r1', max_size=25),
    width=st.integers(1, 3),
    size=st.integers(1, 30),
)
def test_what_is_accepted_is_what_python_reads(body: str, width: int, size: int) -> None:
    """
    Whatever the text: the same cells as the csv module, or a problem; never other cells.

    And the same answer for one block and for many.
    """
    import csv

    def outcome(block_bytes: int) -> Any:
        header = ",".join("abc"[:width])
        source = csv_text.CsvText(Named(f"{header}\n{body}".encode()), block_bytes)
        rows: list[list[str]] = []
        for block in source.blocks():
            if block.problem:
                return len(rows), block.problem
            parsed = parse_block(block.text, width, range(width))
            columns = [parsed.cells[number].to_pylist() for number in range(width)]
            if parsed.problems:
                first = min(parsed.problems)
                return len(rows) + first, parsed.problems[first]
            rows += [[cell.decode() for cell in row] for row in zip(*columns, strict=True)]
        return rows

    found = outcome(1 << 20)
    assert outcome(size) == found
    if isinstance(found, tuple):
        return
    reader = csv.reader(io.StringIO(body, newline=""), skipinitialspace=True, strict=True)
    expected = [row or [""] for row in reader]
    while width > 1 and expected and expected[-1] == [""]:
        expected.pop()
    assert found == expected


# Without a zone, as `st.datetimes` wants them; far enough from the ends for every offset.
FIRST_DAY, LAST_DAY = (datetime.fromisoformat(day) for day in ("0001-01-02", "9999-12-30"))


def reference(definition: Numeric, text: str) -> tuple[Any, bool] | None:
    """What Python makes of a cell: its value and flag; None if it is to be refused."""
    nformat = definition.nformat
    try:
        value = float(text) if "float" in nformat else int(text)
    except ValueError:
        accepted = definition.validation_mode == "relaxed" or not text
        return (definition.fill, False) if accepted else None
    if "float" in nformat:
        if np.isinf(value) and "inf" not in text.lower():  # digits that are too large
            return (definition.fill, False) if definition.validation_mode == "relaxed" else None
        return np.dtype(nformat).type(value).item(), True
    info = np.iinfo(nformat)
    if info.min <= value <= info.max:
        return value, True
    return (definition.fill, False) if definition.validation_mode == "relaxed" else None


@given(
    texts=st.lists(
        st.one_of(
            st.integers(-200, 200).map(str),
            st.integers().map(str),
            st.floats(width=32).map(str),
            st.text(alphabet="0123456789+-._eEx naif", max_size=8),
        ),
        max_size=12,
    ),
    nformat=st.sampled_from(["int8", "uint16", "int64", "uint64", "float64"]),
    mode=st.sampled_from(["allow_empty", "relaxed"]),
)
@example(texts=["1E310", "1"], nformat="float64", mode="relaxed")
@example(texts=["1E310", "1"], nformat="float64", mode="allow_empty")
def test_numbers_are_what_python_reads(texts: list[str], nformat: str, mode: Any) -> None:
    """The fast path, the slow one and their mixture agree with `int` and `float`."""
    definition = Numeric(nformat, 3, mode)
    expected = [reference(definition, text) for text in texts]
    array = pa.array([b"sliced off", *(text.encode() for text in texts)], pa.binary())[1:]
    if None in expected:
        with pytest.raises(CellError) as caught:
            convert(array, definition)
        assert caught.value.row == expected.index(None)
        return
    values, flags = convert(array, definition)
    assert values.dtype == np.dtype(nformat)
    np.testing.assert_array_equal(values, np.array([pair[0] for pair in expected if pair], nformat))
    assert flags.tolist() == [pair[1] for pair in expected if pair]


@given(
    moments=st.lists(
        st.tuples(
            st.datetimes(FIRST_DAY, LAST_DAY),
            st.sampled_from([0, 1, 3, 6, 9]),
            st.sampled_from(["", " UTC", "Z", "+00:00", "-11:30", "+0545", "+02", "UTC", " Z"]),
            st.sampled_from([" ", "T"]),
        ),
        max_size=10,
    ),
    gaps=st.booleans(),
)
def test_moments_are_what_python_reads(moments: list[Any], gaps: bool) -> None:
    """All forms side by side; the same as one at a time, and as `datetime` to the microsecond."""
    texts, expected = [], []
    for moment, digits, zone, separator in moments:
        fraction = f".{f'{moment.microsecond:06}000'[:digits]}" if digits else ""
        text = f"{moment:%H:%M:%S}{fraction}{zone}"
        texts.append(f"{moment.year:04}-{moment:%m-%d}{separator}{text}")
        iso = texts[-1].replace("UTC", "Z").replace(" Z", "Z")
        known = datetime.fromisoformat(iso)
        known = known if known.tzinfo else known.replace(tzinfo=UTC)
        expected.append(known.timestamp())
    if gaps:
        texts, expected = ["", *texts, ""], [0.0, *expected, 0.0]
    (found,) = convert(pa.array([text.encode() for text in texts], pa.binary()), DateTime())
    np.testing.assert_allclose(np.ma.getdata(found), expected, rtol=0, atol=1e-4)
    assert found.tolist() == [parse_moment(text.encode()) if text else None for text in texts]


def test_a_large_file_is_read_in_blocks(dataset: Dataset, tmp_path: Path) -> None:
    """Thousands of rows over dozens of blocks and several threads stay in their order."""
    path = tmp_path / "a.csv"
    rows = 20_000
    with path.open("w") as file:
        file.write("n,s,c\n")
        file.writelines(f'{k},"row, {k}",{"yn"[k % 2]}\n' for k in range(rows))
    definitions = {"n": INT, "s": S, "c": Categorical({"y": 1, "n": 2})}
    import_tables(dataset, {"t": definitions}, {"t": path}, block_bytes=10_000)
    table = dataset["t"]
    np.testing.assert_array_equal(table["n"].data[:], np.arange(rows))
    np.testing.assert_array_equal(table["c"].data[:], np.arange(rows) % 2 + 1)
    assert table["s"].data[19_998:] == ["row, 19998", "row, 19999"]


def test_nothing_warns_on_a_clean_import(dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2020-01-01\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        import_csv(dataset, "t", path, {"a": Numeric("float32"), "b": Date(True, True)})
