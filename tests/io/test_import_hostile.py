"""A collection of hostile CSV files: what each becomes, or where and why it is refused.

Each is imported with several sizes of block, which must not matter; with errors raised, and with
bad rows skipped, which must leave the good rows, and the bad ones in the file of rejects. Rejects
that nobody corrected must all be rejected again.
"""

# ruff: noqa: RUF001 - characters that look like others are the point

from __future__ import annotations

import bz2
import csv
import lzma
import math
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exetera_zarr import Session
from exetera_zarr.errors import ExeteraError
from exetera_zarr.fields.missing.companions import COMPANION_OF
from exetera_zarr.io import (
    Categorical,
    CsvError,
    Date,
    DateTime,
    Definition,
    Numeric,
    String,
    import_tables,
)
from exetera_zarr.io.csv.rejects import REJECT_COLUMNS
from exetera_zarr.tables.dataset import Dataset

# Cut after every byte, in the middle of everything, and not at all.
BLOCK_SIZES = (1, 13, 1 << 22)

S = String()
INT = Numeric("int32", validation_mode="strict")
INT8 = Numeric("int8", -1, create_flag_field=False)
INT64 = Numeric("int64", create_flag_field=False)
UINT64 = Numeric("uint64", create_flag_field=False)
FLOAT = Numeric("float64", create_flag_field=False)
FLOAT32 = Numeric("float32", create_flag_field=False)
BOOL = Numeric("bool", create_flag_field=False)
RELAXED = Numeric("int16", -5, "relaxed")
YES_NO = Categorical({"": 0, "no": 1, "yes": 2})
LEAKY = Categorical({"": 0, "no": 1, "yes": 2}, allow_freetext=True)
AB = {"a": S, "b": S}
N = {"n": INT}


@dataclass(frozen=True)
class Bad:
    """A row that is refused: its number, its line, what is said; the column, if it is a cell."""

    row: int
    line: int
    told: str
    column: str = ""


@dataclass(frozen=True)
class Case:
    """A file, its schema, what is imported of it, and which rows are refused."""

    name: str
    csv: bytes
    schema: Mapping[str, Definition]
    values: Mapping[str, list[Any]] = field(default_factory=dict)
    bad: tuple[Bad, ...] = ()


@dataclass(frozen=True)
class Hopeless:
    """A file of which nothing can be imported."""

    name: str
    csv: bytes
    schema: Mapping[str, Definition]
    message: str


TWICE = (
    "a.csv: the header has 'a' more than once; in schema, rename and columns the others are 'a.1'"
)
UNNAMED = (
    "a.csv: column 3 of 3 has no name in the header; in schema, rename and columns it is "
    "'Unnamed: 2'"
)
ONE_TWO = {"a": ["1", "3"], "b": ["2", "4"]}
SHORT = "has 1 cell; the header has 2"
LONG = "has 3 cells; the header has 2"
BLANK = "is a blank line"
STRAY = 'has a quote (") in a cell that is not quoted'
AFTER = "has text after the closing quote of a cell"
OPEN = "has a quoted cell that is never closed"


def no_int(text: str, mode: str = "strict") -> str:
    return f"'{text}' cannot be converted to int in '{mode}' mode"


def cells(
    name: str,
    definition: Definition,
    good: Mapping[str, Any],
    bad: Mapping[str, str] | None = None,
    **side: list[Any],
) -> Case:
    """A column of cells beside row numbers, the good ones first: text to value, text to message."""
    texts = [*good, *(bad or {})]
    rows = "".join(f'{n},"{text}"\n' for n, text in enumerate(texts)).encode()
    wrong = tuple(
        Bad(len(good) + n + 1, len(good) + n + 2, f"{text!r} {message}", "x")
        for n, (text, message) in enumerate((bad or {}).items())
    )
    values = {"n": list(range(len(good))), "x": list(good.values()), **side}
    return Case(name, b"n,x\n" + rows, {"n": INT, "x": definition}, values, wrong)


CASES = [
    # Lines
    Case("CRLF", b"a,b\r\n1,2\r\n3,4\r\n", AB, ONE_TWO),
    Case("CRLF without the last", b"a,b\r\n1,2\r\n3,4", AB, ONE_TWO),
    Case(
        "CRLF and a category last",
        b"a,b\r\n1,yes\r\n3,no\r\n",
        {"a": INT, "b": YES_NO},
        {"a": [1, 3], "b": [2, 1]},
    ),
    Case("CR alone", b"a,b\r1,2\r3,4\r", AB, ONE_TWO),
    Case("CR alone without the last", b"a,b\r1,2\r3,4", AB, ONE_TWO),
    Case(
        "three kinds of line end",
        b"a,b\r\n1,2\r3,4\n5,6",
        AB,
        {"a": ["1", "3", "5"], "b": ["2", "4", "6"]},
    ),
    Case("LF CR", b"a,b\n\r1,2\n\r3,4\n\r", AB, ONE_TWO, (Bad(1, 2, BLANK), Bad(3, 4, BLANK))),
    Case("no last line end", b"a,b\n1,2\n3,4", AB, ONE_TWO),
    Case("last cell empty and open", b"a,b\n1,2\n3,", AB, {"a": ["1", "3"], "b": ["2", ""]}),
    Case("blank lines at the end", b"a,b\n1,2\n3,4\n\n \n\r\n", AB, ONE_TWO),
    Case("blank line in between", b"a,b\n1,2\n\n3,4\n", AB, ONE_TWO, (Bad(2, 3, BLANK),)),
    Case(
        "blank line of spaces in between", b"a,b\n1,2\n   \n3,4\n", AB, ONE_TWO, (Bad(2, 3, BLANK),)
    ),
    Case("blank line first", b"a,b\n\n1,2\n3,4\n", AB, ONE_TWO, (Bad(1, 2, BLANK),)),
    Case(
        "many blank lines",
        b"a,b\n1,2\n" + b"\n" * 99 + b"3,4\n",
        AB,
        ONE_TWO,
        tuple(Bad(row, row + 1, BLANK) for row in range(2, 101)),
    ),
    Case("blank lines of one column", b"n\n1\n\n3\n\n", {"n": INT8}, {"n": [1, -1, 3, -1]}),
    Case(
        "blank line of one strict column",
        b"n\n1\n\n3\n",
        N,
        {"n": [1, 3]},
        (Bad(2, 3, "'' is empty, which mode 'strict' does not allow", "n"),),
    ),
    Case("only a header", b"a,b\n", AB, {"a": [], "b": []}),
    Case("only a header without line end", b"a,b", AB, {"a": [], "b": []}),
    Case("only a header of numbers", b"a,b\r\n", {"a": INT, "b": FLOAT}, {"a": [], "b": []}),
    Case("an end-of-file character", b"a,b\n1,2\n3,4\n\x1a", AB, ONE_TWO, (Bad(3, 4, SHORT),)),
    Case(
        "only bad rows",
        b"a,b\n1\n2\n",
        AB,
        {"a": [], "b": []},
        (Bad(1, 2, SHORT), Bad(2, 3, SHORT)),
    ),
    # The header
    Case("byte order mark", b"\xef\xbb\xbfa,b\n1,2\n3,4\n", AB, ONE_TWO),
    Case("byte order mark and quotes", b'\xef\xbb\xbf"a","b"\n1,2\n3,4\n', AB, ONE_TWO),
    Case(
        "a second byte order mark is text",
        b"\xef\xbb\xbfa,b\n\xef\xbb\xbf1,2\n",
        AB,
        {"a": ["\ufeff1"], "b": ["2"]},
    ),
    Case("spaces in the header", b" a ,  b \n1,2\n3,4\n", AB, ONE_TWO),
    Case(
        "comma in the header", b'"a, b",c\n1,2\n', {"a, b": S, "c": S}, {"a, b": ["1"], "c": ["2"]}
    ),
    Case(
        "quote in the header",
        b'"a ""b""",c\n1,2\n',
        {'a "b"': S, "c": S},
        {'a "b"': ["1"], "c": ["2"]},
    ),
    Case(
        "case tells names apart",
        b"Age,age\n1,2\n",
        {"Age": INT, "age": INT},
        {"Age": [1], "age": [2]},
    ),
    Case(
        "names of all scripts",
        "größe,名前,🙂\n1,2,3\n".encode(),
        {"größe": INT, "名前": INT, "🙂": INT},
        {"größe": [1], "名前": [2], "🙂": [3]},
    ),
    Case(
        "the header once more",
        b"a,n\nx,1\na,n\ny,2\n",
        {"a": S, "n": INT},
        {"a": ["x", "y"], "n": [1, 2]},
        (Bad(2, 3, no_int("n"), "n"),),
    ),
    Case("order of the file", b"b,a\n2,1\n4,3\n", AB, {"b": ["2", "4"], "a": ["1", "3"]}),
    Hopeless("empty file", b"", AB, "a.csv has no header: it is empty"),
    Hopeless(
        "only a byte order mark",
        b"\xef\xbb\xbf",
        AB,
        "a.csv has no header: its first line is blank",
    ),
    Hopeless("blank header", b"\r\n1,2\r\n", AB, "a.csv has no header: its first line is blank"),
    Hopeless(
        "UTF-16",
        "a,b\n1,2\n".encode("utf-16"),
        AB,
        "a.csv is UTF-16, not CSV text in UTF-8: write encoding='utf-16'",
    ),
    Hopeless(
        "UTF-16, the other way",
        b"\xfe\xff" + "a,b\n1,2\n".encode("utf-16-be"),
        AB,
        "a.csv is UTF-16, not CSV text in UTF-8: write encoding='utf-16'",
    ),
    Hopeless(
        "UTF-16 without a mark",
        "a,b\n1,2\n".encode("utf-16-le"),
        AB,
        "a.csv: the header has NUL bytes; perhaps it is UTF-16, not UTF-8",
    ),
    Hopeless("UTF-32", "a,b\n1,2\n".encode("utf-32"), AB, "a.csv is UTF-32, not CSV text in UTF-8"),
    Hopeless(
        "Latin-1 header",
        "a,größe\n".encode("latin-1"),
        AB,
        "a.csv: the header is not UTF-8: 'utf-8' codec can't decode byte 0xf6 in position 4: "
        "invalid start byte; encoding='cp1252' and the like say what else it is",
    ),
    Hopeless(
        "a spreadsheet",
        b"PK\x03\x04\x14\x00",
        AB,
        "a.csv is zip (or a spreadsheet), not CSV text in UTF-8",
    ),
    Hopeless(
        "gzip by another name", b"\x1f\x8b\x08\x00", AB, "a.csv is gzip, not CSV text in UTF-8"
    ),
    Hopeless(
        "bzip2 by another name", bz2.compress(b"a,b\n"), AB, "a.csv is bzip2, not CSV text in UTF-8"
    ),
    Hopeless("nothing in bzip2", bz2.compress(b""), AB, "a.csv is bzip2, not CSV text in UTF-8"),
    Hopeless(
        "xz by another name", lzma.compress(b"a,b\n"), AB, "a.csv is xz, not CSV text in UTF-8"
    ),
    Hopeless(
        "a 7z archive",
        b"7z\xbc\xaf\x27\x1c\x00\x04\xaa\x00\x00\x00\n",
        AB,
        "a.csv is 7z, not CSV text in UTF-8",
    ),
    Hopeless("a rar archive", b"Rar!\x1a\x07\x01\x00\n", AB, "a.csv is rar, not CSV text in UTF-8"),
    Hopeless(
        "an HDF5 file", b"\x89HDF\r\n\x1a\n\x00\x00", AB, "a.csv is HDF5, not CSV text in UTF-8"
    ),
    Hopeless(
        "something with NUL bytes",
        b"\x01\x00\x00\x00\x07\x03\x00abc\n1,2\n",
        AB,
        "a.csv: the header has NUL bytes; so it is no text, whatever its name says",
    ),
    Case(
        "names like marks", b"PAR1,BZh\n1,2\n", {"PAR1": S, "BZh": S}, {"PAR1": ["1"], "BZh": ["2"]}
    ),
    Hopeless("a name twice", b"a,b,a\n1,2,3\n", AB, TWICE),
    Hopeless(
        "a name twice, with spaces",
        b"a, a,b\n1,2,3\n",
        AB,
        TWICE,
    ),
    Hopeless(
        "comma at the end of every line",
        b"a,b,\n1,2,\n",
        AB,
        UNNAMED,
    ),
    Hopeless(
        "semicolons",
        b"a;b\n1;2\n",
        AB,
        "a.csv lacks 'a', 'b', which the schema asks for; its header has 'a;b' "
        "(missing='skip' leaves such columns out); perhaps its cells are separated by ';': write "
        "sep=';'",
    ),
    Hopeless(
        "tabs",
        b"a\tb\n1\t2\n",
        AB,
        "a.csv lacks 'a', 'b', which the schema asks for; its header has 'a\\tb' "
        "(missing='skip' leaves such columns out); perhaps its cells are separated by '\\t': write "
        "sep='\\t'",
    ),
    Case("a line for a spreadsheet first", b"sep=,\na,b\n1,2\n3,4\n", AB, ONE_TWO),
    Hopeless(
        "no header at all",
        b"1,2\n3,4\n",
        AB,
        "a.csv lacks 'a', 'b', which the schema asks for; its header has '1', '2' "
        "(missing='skip' leaves such columns out)",
    ),
    Hopeless(
        "open quote in the header",
        b'a,"b\n1,2\n',
        AB,
        "a.csv, line 1: the header has a quoted cell that is never closed",
    ),
    Hopeless(
        "inches in the header",
        b'a,b (")\n1,2\n3,4\n',
        AB,
        'a.csv, line 1: the header has a quote (") in a cell that is not quoted',
    ),
    Case(
        "CR CR LF in one column",
        b"n\r\n1\r\r\n2\r\r\n\r\n",
        {"n": S},
        {"n": ["1", "2", ""]},
        (Bad(2, 3, BLANK), Bad(4, 5, BLANK)),
    ),
    Case(
        "ragged rows that are not UTF-8",
        b"a,b\n1,2\n2,M\xfcller,x\n\n3,4\nM\xfcller",
        AB,
        ONE_TWO,
        (Bad(2, 3, LONG), Bad(3, 4, BLANK), Bad(5, 6, SHORT)),
    ),
    # Cells and quotes
    Case("empty cells", b'a,b\n,\n"",""\n', AB, {"a": ["", ""], "b": ["", ""]}),
    Case("quotes in quotes", b'a,b\n"x ""y"" z",""""\n', AB, {"a": ['x "y" z'], "b": ['"']}),
    Case("commas in quotes", b'a,b\n"1,2",",,"\n', AB, {"a": ["1,2"], "b": [",,"]}),
    Case(
        "line ends in quotes",
        b'a,b\r\n"1\r\n2","\n\r"\r\n3,4\r\n',
        AB,
        {"a": ["1\r\n2", "3"], "b": ["\n\r", "4"]},
    ),
    Case("blank line in quotes", b'a,b\n"1\n\n2",3\n', AB, {"a": ["1\n\n2"], "b": ["3"]}),
    Case(
        "bad cell after line ends in quotes",
        b'a,n\n"1\r\n2\n3",4\n"5\n6",x\n7,8\n',
        {"a": S, "n": INT},
        {"a": ["1\r\n2\n3", "7"], "n": [4, 8]},
        (Bad(2, 5, no_int("x"), "n"),),
    ),
    Case("spaces around", b'a,b\n  1 , 2  \n , "x "\n', AB, {"a": ["1 ", ""], "b": ["2  ", "x "]}),
    Case("spaces before a quote", b'a,b\n1,   "x, y"\n', AB, {"a": ["1"], "b": ["x, y"]}),
    Case(
        "tab before a quote",
        b'a,b\n1,\t"x"\n3,4\n',
        AB,
        {"a": ["3"], "b": ["4"]},
        (Bad(1, 2, STRAY),),
    ),
    Case("inches", b'a,b\n1,5" pipe\n3,4\n', AB, {"a": ["3"], "b": ["4"]}, (Bad(1, 2, STRAY),)),
    Case(
        "inches in every other row",
        b'a,b\n1,5"\n3,4\n5,6"\n7,8\n',
        AB,
        {"a": ["3", "7"], "b": ["4", "8"]},
        (Bad(1, 2, STRAY), Bad(3, 4, STRAY)),
    ),
    Case(
        "two quotes in an open cell",
        b'a,b\n1,x "y" z\n3,4\n',
        AB,
        {"a": ["3"], "b": ["4"]},
        (Bad(1, 2, STRAY),),
    ),
    Case(
        "text after a quote",
        b'a,b\n1,"x"y\n3,4\n',
        AB,
        {"a": ["3"], "b": ["4"]},
        (Bad(1, 2, AFTER),),
    ),
    Case(
        "space after a quote",
        b'a,b\n1,"x" \n3,4\n',
        AB,
        {"a": ["3"], "b": ["4"]},
        (Bad(1, 2, AFTER),),
    ),
    Case(
        "backslash before a quote",
        b'a,b\n1,"x \\"y\\" z"\n3,4\n',
        AB,
        {"a": ["3"], "b": ["4"]},
        (Bad(1, 2, AFTER),),
    ),
    Case(
        "bad quote beside a good one",
        b'a,b\n"1",x"\n"3","4"\n',
        AB,
        {"a": ["3"], "b": ["4"]},
        (Bad(1, 2, STRAY),),
    ),
    Case(
        "bad quote in a cell of two lines",
        b'a,b\n1,2\n"x\ny"z,2\n3,4\n',
        AB,
        ONE_TWO,
        (Bad(2, 3, AFTER),),
    ),
    Case(
        "a quote left open for a line",
        b'a,b\n1,2\n"x,y\n5,"6"\n3,4\n',
        AB,
        ONE_TWO,
        (Bad(2, 3, AFTER),),
    ),
    Case(
        "a quote left open to the end",
        b'a,b\n1,2\n3,4\n5,"6\n7,8\n',
        AB,
        ONE_TWO,
        (Bad(3, 4, OPEN),),
    ),
    Case("a quote opened last", b'a,b\n1,2\n3,4\n5,"', AB, ONE_TWO, (Bad(3, 4, OPEN),)),
    Case(
        "single quotes",
        b"a,b\n1,'2'\n3,'4,5'\n",
        AB,
        {"a": ["1"], "b": ["'2'"]},
        (Bad(2, 3, LONG),),
    ),
    Case("NUL", b"a,b\n\x00,x\x00y\n", AB, {"a": ["\x00"], "b": ["x\x00y"]}),
    Case(
        "NUL in a number",
        b"n\n1\n2\x00\n3\n",
        N,
        {"n": [1, 3]},
        (Bad(2, 3, no_int("2\\x00"), "n"),),
    ),
    Case(
        "controls and separators of lines",
        "a,b\n\x0b\x0c\x1f,\x85\u2028\u2029\n".encode(),
        AB,
        {"a": ["\x0b\x0c\x1f"], "b": ["\x85\u2028\u2029"]},
    ),
    Case(
        "all scripts",
        "a,b\né,日本\n🙂,e\u0301\n".encode(),
        AB,
        {"a": ["é", "🙂"], "b": ["日本", "e\u0301"]},
    ),
    Case(
        "Latin-1 in a cell",
        b"a,b\n1,2\ncaf\xe9,x\n3,4\n",
        AB,
        ONE_TWO,
        (Bad(2, 3, "'caf\\\\xe9' is not UTF-8: unexpected end of data", "a"),),
    ),
    Case(
        "half a character",
        b"a,b\n1,2\n\xe6\x97,x\n3,4\n",
        AB,
        ONE_TWO,
        (Bad(2, 3, "'\\\\xe6\\\\x97' is not UTF-8: unexpected end of data", "a"),),
    ),
    Case(
        "a surrogate",
        b"a,b\n1,2\nx,\xed\xa0\x80\n3,4\n",
        AB,
        ONE_TWO,
        (Bad(2, 3, "'\\\\xed\\\\xa0\\\\x80' is not UTF-8: invalid continuation byte", "b"),),
    ),
    Case(
        "an overlong slash",
        b"a,b\n1,2\nx,\xc0\xaf\n3,4\n",
        AB,
        ONE_TWO,
        (Bad(2, 3, "'\\\\xc0\\\\xaf' is not UTF-8: invalid start byte", "b"),),
    ),
    # Rows of other widths
    Case(
        "short rows",
        b"a,b\n1\n1,2\n3\n3,4\n5",
        AB,
        ONE_TWO,
        (Bad(1, 2, SHORT), Bad(3, 4, SHORT), Bad(5, 6, SHORT)),
    ),
    Case(
        "long rows",
        b"a,b\n1,2,3\n1,2\n3,4\n5,6,\n",
        AB,
        ONE_TWO,
        (Bad(1, 2, LONG), Bad(4, 5, LONG)),
    ),
    Case("a comment", b"a,b\n# a comment\n1,2\n3,4\n", AB, ONE_TWO, (Bad(1, 2, SHORT),)),
    Case(
        "everything at once",
        b'a,n\n"1\n1",2\n\nx\n3,y\n"4"5,6\n\xff,7\n8,9,10\n11,"12"\n',
        {"a": S, "n": INT},
        {"a": ["1\n1", "11"], "n": [2, 12]},
        (
            Bad(2, 4, BLANK),
            Bad(3, 5, SHORT),
            Bad(4, 6, no_int("y"), "n"),
            Bad(5, 7, AFTER),
            Bad(6, 8, "'\\\\xff' is not UTF-8: invalid start byte", "a"),
            Bad(7, 9, LONG),
        ),
    ),
    Case(
        "the first of two bad cells",
        b"a,n,m\nx,1,2\ny,p,q\nz,3,4\n",
        {"a": S, "n": INT, "m": INT},
        {"a": ["x", "z"], "n": [1, 3], "m": [2, 4]},
        (Bad(2, 3, no_int("p"), "n"),),
    ),
    Case(
        "two reasons in one column",
        b"f,n\nab,1\nabc,2\n\xff,3\n\xff\xff\xff,4\n",
        {"f": String(2), "n": INT},
        {"f": [b"ab"], "n": [1]},
        (
            Bad(2, 3, "'abc' has 3 bytes; the field holds 2", "f"),
            Bad(3, 4, "'\\\\xff' is not UTF-8: invalid start byte", "f"),
            Bad(4, 5, "'\\\\xff\\\\xff\\\\xff' is not UTF-8: invalid start byte", "f"),
        ),
    ),
    # Numbers
    cells(
        "integers as people write them",
        INT64,
        {"5": 5, " 6": 6, "7 ": 7, "+8": 8, "-0": 0, "007": 7, "1_000": 1000, "\t9": 9, "": 0},
        dict.fromkeys(
            (
                "1.0",
                "1e3",
                "0x1F",
                "1,000",
                "--1",
                "+",
                "1 2",
                "NA",
                "null",
                "nan",
                "=1+1",
                "١",
                "−5",
                "5\xa0",
                "_1",
                "1__0",
                "1_",
            ),
            "cannot be converted to int in 'allow_empty' mode",
        ),
    ),
    cells(
        "int8 to its ends",
        INT8,
        {"-128": -128, "127": 127, "": -1},
        dict.fromkeys(("128", "-129", "300"), "is out of range for int8 (-128 to 127)"),
    ),
    cells(
        "int64 to its ends",
        INT64,
        {
            "9223372036854775807": 2**63 - 1,
            "-9223372036854775808": -(2**63),
            "9007199254740993": 2**53 + 1,
        },
        dict.fromkeys(
            ("9223372036854775808", "-9223372036854775809", "1" + "0" * 30),
            f"is out of range for int64 ({-(2**63)} to {2**63 - 1})",
        ),
    ),
    cells(
        "uint64 to its ends",
        UINT64,
        {"18446744073709551615": 2**64 - 1, "0": 0, "-0": 0},
        dict.fromkeys(
            ("-1", "18446744073709551616"), f"is out of range for uint64 (0 to {2**64 - 1})"
        ),
    ),
    cells("strict", INT, {"1": 1}, {"": "is empty, which mode 'strict' does not allow"}),
    cells(
        "relaxed",
        RELAXED,
        {"1": 1, "": -5, "x": -5, "99999": -5, "1.5": -5, "-32768": -32768},
        x_valid=[True, False, False, False, False, True],
    ),
    cells(
        "floats as people write them",
        FLOAT,
        {
            "1.5": 1.5,
            "-2.": -2.0,
            ".5": 0.5,
            "1e3": 1000.0,
            "1E-3": 0.001,
            "+4": 4.0,
            " 5": 5.0,
            "6 ": 6.0,
            "1_0.5": 10.5,
            "nan": np.nan,
            "NaN": np.nan,
            "inf": np.inf,
            "-Infinity": -np.inf,
            "-0.0": -0.0,
            "1e-400": 0.0,
            "0.1": 0.1,
            "5e-324": 5e-324,
            "1.7976931348623157e308": 1.7976931348623157e308,
            "": math.nan,
        },
        dict.fromkeys(
            ("1,5", "0x1p3", "1d5", "1.5.2", "e5", "12:30", "N/A", "1.5%", "½"),
            "cannot be converted to float in 'allow_empty' mode",
        )
        | dict.fromkeys(("1e309", "-1e999"), "is too large for float64"),
    ),
    cells(
        "float32",
        FLOAT32,
        {
            "0.1": float(np.float32(0.1)),
            "16777217": 16777216.0,
            "3.4028235e38": float(np.finfo("float32").max),
            "inf": np.inf,
            "1e-50": 0.0,
        },
        {"3.5e38": "is too large for float32", "1e39": "is too large for float32"},
    ),
    cells(
        "true and false",
        BOOL,
        dict.fromkeys(("True", "true", "TRUE", "1", "yes", "Y", "t", "on", " true "), True)
        | dict.fromkeys(("False", "0", "no", "N", "f", "OFF", ""), False),
        dict.fromkeys(
            ("2", "maybe", "1.0", "-1", "wahr", "tr ue"),
            "cannot be converted to bool in 'allow_empty' mode",
        ),
    ),
    # Categories
    cells(
        "categories exactly",
        YES_NO,
        {"yes": 2, "no": 1, "": 0},
        dict.fromkeys(
            ("Yes", "NO", "yes ", "y", "yeѕ", "\xa0yes", "yes\u200b"),
            "is none of the categories '', 'no', 'yes'",
        ),
    ),
    cells(
        "categories without the empty one",
        Categorical({"yes": 1}),
        {"yes": 1},
        {"": "is none of the categories 'yes'"},
    ),
    cells(
        "categories with accents",
        Categorical({"caf\u00e9": 1, "": 0}),
        {"caf\u00e9": 1, "": 0},
        {"cafe\u0301": "is none of the categories 'caf\u00e9', ''"},
    ),
    cells(
        "categories with commas and line ends",
        Categorical({"a, b": 300, "c\nd": -300}, "int16"),
        {"a, b": 300, "c\nd": -300},
    ),
    cells(
        "more categories than a byte",
        Categorical({f"c{k}": k for k in range(1000)}, "int16"),
        {"c999": 999, "c256": 256, "c0": 0},
        {
            "c1000": "is none of the categories "
            + ", ".join(f"'c{k}'" for k in range(10))
            + " and 990 more"
        },
    ),
    cells(
        "free text",
        LEAKY,
        {"yes": 2, "": 0, "Yes": -1, "no ": -1, "日本": -1, "no": 1},
        x_freetext=["", "", "Yes", "no ", "日本", ""],
    ),
    Case(
        "free text that is not UTF-8",
        b"n,x\n1,yes\n2,\xff\n",
        {"n": INT, "x": LEAKY},
        {"n": [1], "x": [2], "x_freetext": [""]},
        (Bad(2, 3, "'\\\\xff' is not UTF-8: invalid start byte", "x"),),
    ),
    # Fixed strings
    cells(
        "fixed strings",
        String(4),
        {
            "abcd": b"abcd",
            "éé": "éé".encode(),
            "a": b"a",
            "": b"",
            "a b ": b"a b ",
            "\U0001f642": "\U0001f642".encode(),
        },
        {
            "abcde": "has 5 bytes; the field holds 4",
            "abcé": "has 5 bytes; the field holds 4",
            "日本": "has 6 bytes; the field holds 4",
        },
    ),
    Case(
        "fixed string with NUL at its end",
        b"n,x\n1,ab\n2,a\x00\n3,\x00b\n",
        {"n": INT, "x": String(2)},
        {"n": [1, 3], "x": [b"ab", b"\x00b"]},
        (Bad(2, 3, "'a\\x00' ends with a NUL byte, which a fixed string cannot keep", "x"),),
    ),
    # Days and moments
    cells(
        "days",
        Date(),
        {
            "2020-02-29": 1582934400.0,
            "1970-01-01": 0.0,
            "0001-01-01": -62135596800.0,
            "9999-12-31": 253402214400.0,
            "2020-1-5": 1578182400.0,
            "": math.nan,
            " 2020-01-05 ": 1578182400.0,
        },
        dict.fromkeys(
            (
                "2021-02-29",
                "1900-02-29",
                "2020-13-01",
                "2020-00-10",
                "2020-04-31",
                "10000-01-01",
                "0000-12-31",
                "20200105",
                "2020/01/05",
                "05-01-2020",
                "20-01-05",
                "2020-01-05 00:00:00",
                "-2020-01-05",
                "2020-01",
                "0",
                "2020-01-0٥",
            ),
            "is not a date YYYY-MM-DD",
        ),
    ),
    cells(
        "moments",
        DateTime(),
        {
            "2020-05-12 07:00:00": 1589266800.0,
            "2020-05-12T07:00:00": 1589266800.0,
            "2020-05-12 07:00:00Z": 1589266800.0,
            "2020-05-12 07:00:00 UTC": 1589266800.0,
            "2020-05-12 07:00:00.1 UTC": 1589266800.1,
            "2020-05-12 07:00:00.12 UTC": 1589266800.12,
            "2020-05-12 07:00:00.123 UTC": 1589266800.123,
            "2020-05-12 07:00:00.123": 1589266800.123,
            "2020-05-12 07:00:00+00:00": 1589266800.0,
            "2020-05-12 08:00:00+01:00": 1589266800.0,
            "2020-05-12 01:30:00.500000-05:30": 1589266800.5,
            "2020-05-12T07:00:00-00:00": 1589266800.0,
            "2020-05-12 21:00:00+14:00": 1589266800.0,
            "2020-02-29 23:59:59.999999": 1583020799.999999,
            "1969-12-31 23:59:59.5": -0.5,
            "0001-01-01 00:00:00": -62135596800.0,
            "9999-12-31 23:59:59": 253402300799.0,
            "": math.nan,
            # An hour that clocks in Europe skipped, and one that they had twice: UTC has each once.
            "2020-03-29 01:30:00": 1585445400.0,
            "2020-10-25 01:30:00": 1603589400.0,
        },
        dict.fromkeys(
            (
                "2016-12-31 23:59:60",
                "2020-05-12 24:00:00",
                "2020-05-12 07:60:00",
                "2020-05-12",
                "2020-05-12 07:00",
                "2020-05-12 7:00:00",
                "2021-02-29 00:00:00",
                "2020-05-12 07:00:00 CET",
                "2020-05-12 07:00:00+24",
                "2020-05-12 07:00:00+01:60",
                "2020-05-12t07:00:00z",
                "2020-05-12 07:00:00,5",
                "2020-05-12  07:00:00",
                "12/05/2020 07:00:00",
                "1589266800",
                "2020-05-12 07:00:00.1234567890",
                "2020-05-12 07:00:00 PM",
                "x" * 19,
            ),
            "is not a date and time YYYY-MM-DD HH:MM:SS",
        ),
    ),
    cells(
        "moments with their side fields",
        DateTime(True, True),
        {"2020-05-12 00:30:00+01:00": 1589239800.0, "": 0.0},
        x_day=[b"2020-05-12", b""],
        x_set=[True, False],
    ),
]


@pytest.fixture
def dataset() -> Iterator[Dataset]:
    with Session() as session:
        yield session.open_dataset(f"memory://{uuid.uuid4().hex}", "w", "ds")


def contents(table: Any) -> str:
    """The stored values of every field that was asked for, NaN and -0.0 told apart."""
    return repr(
        {
            name: found.tolist() if isinstance(found := field.data[:], np.ndarray) else list(found)
            for name, field in table.items()
            if not name.startswith("j_") and COMPANION_OF not in field.group.attributes
        }
    )


@dataclass
class Importer:
    """Imports the file at a place, over and over."""

    dataset: Dataset
    folder: Path

    def __call__(
        self,
        schema: Mapping[str, Definition],
        block_bytes: int,
        file: str = "a.csv",
        **options: Any,
    ) -> Any:
        """The summary and the table; or the text of the error, without the folder."""
        name = uuid.uuid4().hex
        try:
            summary = import_tables(
                self.dataset,
                {name: dict(schema)},
                {name: self.folder / file},
                block_bytes=block_bytes,
                **options,
            )
        except ExeteraError as error:
            assert name not in self.dataset
            return str(error).replace(f"{self.folder}/", "")
        return summary[name], self.dataset[name]

    def skipping(self, schema: Mapping[str, Definition], size: int, file: str = "a.csv") -> Any:
        """The same with bad rows skipped, and the rows of the file of rejects."""
        place = self.folder / f"rejects-of-{file}"
        found = self(schema, size, file, on_error="skip", rejects=place)
        if isinstance(found, str):
            assert not place.exists()
            return found
        summary, table = found
        with place.open(encoding="utf-8", newline="") as lines:
            csv.field_size_limit(1 << 30)
            header, *rows = csv.reader(lines, strict=True)
        assert tuple(header[: len(REJECT_COLUMNS)]) == REJECT_COLUMNS
        assert all(len(row) == len(header) for row in rows)
        return summary, table, [dict(zip(header, row, strict=True)) for row in rows]


@pytest.fixture
def run(dataset: Dataset, tmp_path: Path) -> Importer:
    return Importer(dataset, tmp_path)


@pytest.mark.parametrize("block_bytes", BLOCK_SIZES)
@pytest.mark.parametrize(
    "case", [case for case in CASES if isinstance(case, Case)], ids=lambda case: case.name
)
def test_a_hostile_file(run: Importer, case: Case, block_bytes: int) -> None:
    """The right values of the good rows, and for each of the others where and why."""
    (run.folder / "a.csv").write_bytes(case.csv)
    expected = repr(dict(case.values))
    raised = run(case.schema, block_bytes)
    if case.bad:
        first = case.bad[0]
        cell = f", column '{first.column}'" if first.column else ""
        assert raised == f"a.csv, row {first.row} (line {first.line}){cell}: {first.told}"
    else:
        assert contents(raised[1]) == expected
        assert (raised[0].rejected, raised[0].bytes) == (0, len(case.csv))

    summary, table, rejects = run.skipping(case.schema, block_bytes)
    assert contents(table) == expected
    assert len(table["j_valid_to"]) == summary.rows
    assert summary.rejected == len(rejects) == len(case.bad)
    found = [
        (
            int(row["rejected_row"]),
            int(row["rejected_line"]),
            row["rejected_column"],
            row["rejected_reason"].split("; column ")[0],
        )
        for row in rejects
    ]
    assert found == [(bad.row, bad.line, bad.column, bad.told) for bad in case.bad]


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if isinstance(case, Case) and case.bad],
    ids=lambda case: case.name,
)
def test_rejects_that_nobody_corrected(run: Importer, case: Case) -> None:
    """They are rejected again, every one, and none is taken for something else."""
    (run.folder / "a.csv").write_bytes(case.csv)
    run.skipping(case.schema, 50)
    summary, _, rejects = run.skipping(case.schema, 7, "rejects-of-a.csv")
    assert (summary.rows, summary.rejected) == (0, len(case.bad))
    for again, bad in zip(rejects, case.bad, strict=True):
        if bad.column and not again["rejected_text"]:
            assert again["rejected_reason"].startswith(bad.told)
        else:
            assert again["rejected_column"] == "rejected_text"


@pytest.mark.parametrize("block_bytes", BLOCK_SIZES)
@pytest.mark.parametrize(
    "case", [case for case in CASES if isinstance(case, Hopeless)], ids=lambda case: case.name
)
def test_a_hopeless_file(run: Importer, case: Hopeless, block_bytes: int) -> None:
    """One sentence, whether rows may be skipped or not, and no table."""
    (run.folder / "a.csv").write_bytes(case.csv)
    assert run(case.schema, block_bytes) == case.message
    assert run.skipping(case.schema, block_bytes) == case.message


def test_there_are_enough_of_them() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 100


@pytest.mark.parametrize("block_bytes", [1 << 12, 1 << 20, 1 << 26])
def test_a_very_long_cell(run: Importer, block_bytes: int) -> None:
    """Twenty million bytes, with line ends and quotes in them, between rows that are small."""
    long = 'line, "quoted"\r\n' * (20_000_000 // 16)
    quoted = long.replace('"', '""')
    (run.folder / "a.csv").write_bytes(f'n,s\n1,x\n2,"{quoted}"\n3,y\n'.encode())
    _, table = run({"n": INT, "s": S}, block_bytes)
    assert table["n"].data[:].tolist() == [1, 2, 3]
    assert table["s"].data[:] == ["x", long, "y"]


def test_ten_thousand_columns(run: Importer) -> None:
    """Of which some are wanted, with a bad cell in the last of them."""
    width = 10_000
    names = [f"c{k}" for k in range(width)]
    rows = [[str(row * k % 7) for k in range(width)] for row in range(3)]
    rows[1][-1] = "x"
    (run.folder / "a.csv").write_text("\n".join(",".join(row) for row in [names, *rows]))
    wanted = names[::1111]
    schema = {name: Categorical({str(k): k for k in range(7)}) for name in names}
    name = wanted[-1]
    assert name == "c9999"
    with pytest.raises(CsvError, match=r"line 3.*, column 'c9999': 'x' is none of the categories"):
        import_tables(
            run.dataset,
            {"t": schema},
            {"t": run.folder / "a.csv"},
            include={"t": wanted},
            block_bytes=1 << 12,
        )
    summary = import_tables(
        run.dataset,
        {"t": schema},
        {"t": run.folder / "a.csv"},
        include={"t": wanted},
        on_error="skip",
        rejects=run.folder / "rejects.csv",
    )
    assert (summary.rows, summary.rejected) == (2, 1)
    assert run.dataset["t"]["c8888"].data[:].tolist() == [0, 2 * 8888 % 7]
    reject = (run.folder / "rejects.csv").read_text().splitlines()[1]
    assert reject.count('","') == width + len(REJECT_COLUMNS) - 1


def test_a_quote_that_opens_in_a_large_file(run: Importer) -> None:
    """What comes before it is imported; what follows is one record, and found fast."""
    rows = "".join(f"{k},{k % 3}\n" for k in range(20_000))
    (run.folder / "a.csv").write_text(f'n,m\n{rows}1,"2\n{rows}')
    assert run({"n": INT, "m": INT}, 4096) == f"a.csv, row 20001 (line 20002): {OPEN}"
    summary, table, rejects = run.skipping({"n": INT, "m": INT}, 4096)
    assert (summary.rows, len(rejects)) == (20_000, 1)
    assert rejects[0]["rejected_text"] == f'1,"2\n{rows}'.rstrip()
    assert table["n"].data[-1] == 19_999


def test_an_error_far_into_a_file(run: Importer) -> None:
    """Rows and lines are counted over all blocks and cells of several lines."""
    rows = [f'{k},"one\ntwo {k}"\n' for k in range(3000)]
    rows[2500] = '2500,"one\ntwo",\n'
    rows[2600] = 'x,"one\ntwo"\n'
    (run.folder / "a.csv").write_text("n,s\n" + "".join(rows))
    schema = {"n": INT, "s": S}
    for size in (100, 5000, 1 << 22):
        assert run(schema, size) == ("a.csv, row 2501 (line 5002): has 3 cells; the header has 2")
        summary, table, rejects = run.skipping(schema, size)
        assert summary.rows == len(table["n"]) == 2998
        assert [row["rejected_line"] for row in rejects] == ["5002", "5202"]


def test_an_error_knows_its_parts(run: Importer) -> None:
    """For whoever handles errors one by one."""
    (run.folder / "a.csv").write_bytes(b"n\n1\nx\n")
    with pytest.raises(CsvError) as caught:
        import_tables(run.dataset, {"t": N}, {"t": run.folder / "a.csv"})
    error = caught.value
    assert (error.row, error.line, error.column, error.value) == (2, 3, "n", b"x")
    assert error.told == no_int("x")
