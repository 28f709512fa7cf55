"""Schemas and CSV files of a stranger: right, or an error of ours, soon, and in little memory."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from typer.testing import CliRunner

from exetera_zarr import ExeteraError, Session
from exetera_zarr.cli.application import application
from exetera_zarr.io import import_with_schema
from exetera_zarr.io.propose.discovery import propose_schema
from exetera_zarr.io.schema.load import load_schema
from support.strangers import nothing_else_changes, soon

SURROGATE = "\ud800"


def document(fields=None, table="t", **more):
    given = {"a": {"field_type": "string"}} if fields is None else fields
    return {"exetera": {"version": "1.1.0"}, "schema": {table: {"fields": given, **more}}}


def tried(folder, schema, csv=b"a,b\n1,2\n", name="c.csv"):
    """Import a file by a schema; None, or the error, which has to be one of ours."""
    (folder / "s.json").write_bytes(schema)
    (folder / name).write_bytes(csv)
    with nothing_else_changes(folder, folder / "d.zarr"), soon(), Session() as session:
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", category=UserWarning)
                import_with_schema(
                    session, folder / "d.zarr", "d", folder / "s.json", {"t": folder / name}, True
                )
        except ExeteraError as error:
            str(error)
            return error
    return None


# -- schemas

ODD = [None, True, -1, 0, 1.5, 2**63, 10**30, "", "x", SURROGATE, "\0", [], ["x"], {}, {"x": 1}]

PARTS = {
    "all": lambda odd: odd,
    "version": lambda odd: {**document(), "exetera": odd},
    "number of the version": lambda odd: {**document(), "exetera": {"version": odd}},
    "tables": lambda odd: {**document(), "schema": odd},
    "table": lambda odd: {**document(), "schema": {"t": odd}},
    "fields": lambda odd: document() | {"schema": {"t": {"fields": odd}}},
    "field": lambda odd: document({"a": odd}),
    "type": lambda odd: document({"a": {"field_type": odd}}),
    "length": lambda odd: document({"a": {"field_type": "fixed_string", "length": odd}}),
    "categorical": lambda odd: document({"a": {"field_type": "categorical", "categorical": odd}}),
    "value type": lambda odd: document({"a": {"field_type": "numeric", "value_type": odd}}),
    "keys": lambda odd: document(primary_keys=odd, foreign_keys=odd),
    "notes": lambda odd: document(notes=odd),
    "unknown key": lambda odd: document(**{"unknown\x1b[31m": odd}),
    "name of a table": lambda odd: document(table=str(odd)),
    "name of a field": lambda odd: document({str(odd): {"field_type": "string"}}),
    **{
        f"{option} of a number": lambda odd, option=option: document(
            {"a": {"field_type": "numeric", "value_type": "int32", option: odd}}
        )
        for option in ("invalid_value", "validation_mode", "create_flag_field", "flag_field_name")
    },
    **{
        f"{option} of a moment": lambda odd, option=option: document(
            {"a": {"field_type": "datetime", option: odd}}
        )
        for option in ("create_day_field", "create_flag_field", "optional")
    },
    **{
        f"{option} of categories": lambda odd, option=option: document(
            {
                "a": {
                    "field_type": "categorical",
                    "categorical": {
                        "value_type": "int8",
                        "strings_to_values": {"1": 1},
                        option: odd,
                    },
                }
            }
        )
        for option in ("value_type", "strings_to_values", "out_of_range")
    },
    "value of a category": lambda odd: document(
        {
            "a": {
                "field_type": "categorical",
                "categorical": {"value_type": "int8", "strings_to_values": {"1": odd}},
            }
        }
    ),
}


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_a_schema_of_wrong_types(tmp_path, part):
    for odd in ODD:
        schema = json.dumps(part(odd)).encode()
        with soon():
            try:
                load_schema(io.BytesIO(schema))
            except ExeteraError as error:
                str(error)


NAMES = {
    "above": "..",
    "beside": "../x",
    "from the root": "/etc/passwd",
    "below": "a/b",
    "a command": "\x1b[2Jred",
    "turned": "a\u202eb",
    "a line break": "a\nb",
    "NUL": "a\0b",
    "a lone surrogate": SURROGATE,
    "none": "",
    "our own": "__exetera__",
    "a document": "zarr.json",
    "long": "x" * 100_000,
    "a device": "con",
    "reserved": "j_valid_from",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_name_in_a_schema(tmp_path, name):
    """Of a table and of a field; what is a name leads nowhere else."""
    header = name.encode("utf-8", "surrogatepass") or b'""'
    csv = b'"' + header.replace(b'"', b'""') + b'"\n1\n'
    tried(tmp_path, json.dumps(document({name: {"field_type": "string"}})).encode(), csv)
    (tmp_path / "s.json").write_text(json.dumps(document(table=name)))
    (tmp_path / "c.csv").write_bytes(b"a\n1\n")
    with nothing_else_changes(tmp_path, tmp_path / "d.zarr"), soon(), Session() as session:
        try:
            import_with_schema(
                session,
                tmp_path / "d.zarr",
                "d",
                tmp_path / "s.json",
                {name: tmp_path / "c.csv"},
                True,
            )
        except ExeteraError as error:
            str(error)


SCHEMAS = {
    "nothing": b"",
    "half": b'{"exetera": {',
    "no UTF-8": b'{"exetera": "\xff"}',
    "UTF-16": json.dumps(document()).encode("utf-16"),
    "deep lists": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep in its place": b'{"exetera": {"version": "1.1.0"}, "schema": '
    + b'{"t":' * 50_000
    + b"1"
    + b"}" * 50_001,
    "deep in notes": json.dumps(document(notes=5))
    .replace("5}", "[" * 100_000 + "]" * 100_000 + "}")
    .encode(),
    "a long number": b'{"exetera": ' + b"9" * 100_000 + b"}",
    "a long length": json.dumps(document({"a": {"field_type": "fixed_string", "length": 77}}))
    .replace("77", "9" * 100_000)
    .encode(),
    "a large length": json.dumps(
        document({"a": {"field_type": "fixed_string", "length": 2**40}})
    ).encode(),
    "a length that fits in memory alone": json.dumps(
        document({"a": {"field_type": "fixed_string", "length": 2**30}})
    ).encode(),
    "not a number": json.dumps(document({"a": {"field_type": "numeric", "value_type": "int32"}}))
    .replace('"int32"', '"int32", "invalid_value": NaN')
    .encode(),
    "endless": json.dumps(document({"a": {"field_type": "numeric", "value_type": "int32"}}))
    .replace('"int32"', '"int32", "invalid_value": 1e999')
    .encode(),
    "two keys": b'{"exetera": 1, "exetera": 2}',
    "two of many keys": b"{" + b",".join(b'"%d": 1' % (n // 2) for n in range(100_000)) + b"}",
    "a program": b"#!/bin/sh\nrm -rf /\n",
    "pickle": b"\x80\x04\x95\x00",
    "NUL": bytes(1000),
}


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_a_schema_that_is_none(tmp_path, schema):
    assert tried(tmp_path, schema) is not None


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such files")
def test_a_schema_without_end():
    with soon(), pytest.raises(ExeteraError, match="more than"):
        load_schema("/dev/zero")


def test_a_folder_for_a_schema(tmp_path):
    with pytest.raises(ExeteraError):
        load_schema(tmp_path)


def test_many_columns(tmp_path):
    fields = {f"c{n}": {"field_type": "string"} for n in range(50_000)}
    with soon():
        assert len(load_schema(io.StringIO(json.dumps(document(fields))))["t"]) == 50_000


def test_many_unknown_keys(tmp_path):
    keys = {f"k{n}": 1 for n in range(100_000)}
    with soon(), pytest.raises(ExeteraError, match="unknown keys"):
        load_schema(io.StringIO(json.dumps(document(**keys))))


@pytest.mark.slow
def test_a_million_categories(tmp_path):
    categories = {str(n): n for n in range(1_000_000)}
    entry = {
        "field_type": "categorical",
        "categorical": {"value_type": "int32", "strings_to_values": categories},
    }
    with soon():
        load_schema(io.StringIO(json.dumps(document({"a": entry}))))


# -- CSV


def wide(count, name=b"c%d"):
    return b",".join(name % n for n in range(count)) + b"\n" + b",".join([b"1"] * count) + b"\n"


CSVS = {
    "50,000 columns": wide(50_000),
    "50,000 columns of one name": b",".join([b"a"] * 50_000) + b"\n",
    "50,000 columns without names": b"," * 50_000 + b"\n",
    "two columns of one name": b"a,a\n1,2\n",
    "no name": b",a\n1,2\n",
    "no names": b",,\n1,2,3\n",
    "NUL in the header": b"a\0,b\n1,2\n",
    "NUL in a cell": b"a,b\n1\0,2\n",
    "NULs alone": bytes(10_000),
    "a mark": b"\xef\xbb\xbfa,b\n1,2\n",
    "two marks": b"\xef\xbb\xbf\xef\xbb\xbfa,b\n1,2\n",
    "a mark alone": b"\xef\xbb\xbf",
    "UTF-16": "a,b\n1,2\n".encode("utf-16"),
    "UTF-16 without a mark": "a,b\n1,2\n".encode("utf-16-le"),
    "UTF-32": "a,b\n1,2\n".encode("utf-32"),
    "no UTF-8 in the header": b"a\xff,b\n1,2\n",
    "no UTF-8 in a cell": b"a,b\n\xff\xfe,2\n",
    "a surrogate in UTF-8": b"a,b\n\xed\xa0\x80,2\n",
    "returns alone": b"a,b\r1,2\r",
    "returns without end": b"\r" * 100_000,
    "line ends without end": b"\n" * 100_000,
    "blank lines": b"a,b\n" + b"\n" * 1_000_000,
    "quotes without end": b'"' * 100_000,
    "an open quote": b'a,b\n"1,2\n' + b"3,4\n" * 100_000,
    "an open quote in the header": b'"a,b\n' + b"3,4\n" * 100_000,
    "commas without end": b"a,b\n" + b"," * 1_000_000 + b"\n",
    "commands": b"a,b\n\x1b[2J\x1b[31m,\x07\n",
    "commands in the header": b"a,\x1b[2J\n1,2\n",
    "formulas": b"a,b\n=cmd|' /C calc'!A0,@SUM(1)\n",
    "a long cell": b"a,b\n" + b"x" * 10_000_000 + b",1\n",
    "a long name": b"x" * 10_000_000 + b",b\n1,2\n",
    "a long line": b"x" * 10_000_000,
    "a cell with every byte": b"a,b\n" + bytes(set(range(256)) - set(b'",\n\r')) + b",1\n",
    "fields that lack": b"a,b\n1\n",
    "fields too many": b"a,b\n1,2,3\n",
    "nothing": b"",
    "a space": b" ",
    "a zip": b"PK\x03\x04" + bytes(100),
    "a program": b"\x7fELF" + bytes(100),
}


@pytest.mark.parametrize("csv", CSVS.values(), ids=CSVS)
def test_a_csv_file(tmp_path, csv):
    """It is imported, or refused; and a schema is proposed for it, or not."""
    tried(tmp_path, json.dumps(document()).encode(), csv)
    if csv == CSVS["50,000 columns"]:
        return  # each takes a millisecond to propose something for, which is no more than linear
    with soon():
        try:
            propose_schema(tmp_path / "c.csv").to_json()
        except ExeteraError as error:
            str(error)


def bombs():
    zeros = b"a,b\n" + b"x" * (64 << 20)
    return {
        "c.csv.gz": gzip.compress(zeros, 9),
        "c.csv.bz2": bz2.compress(zeros, 9),
        "c.csv.xz": lzma.compress(zeros, preset=0),
        "d.csv.gz": gzip.compress(b"a" * 1000)[:-12],
        "e.csv.gz": b"no gzip",
        "f.csv.xz": b"no xz",
        "g.csv.zst": b"no zstd",
        "h.csv.bz2": b"no bzip2",
        "i.csv.gz": b"",
    }


def test_compressed_files(tmp_path):
    for name, data in bombs().items():
        assert tried(tmp_path, json.dumps(document()).encode(), data, name) is not None, name
        with soon(), pytest.raises(ExeteraError):
            propose_schema(tmp_path / name)


HOLES = """
import sys, warnings
warnings.simplefilter("ignore")
from exetera_zarr import ExeteraError, Session
from exetera_zarr.io import import_with_schema
from exetera_zarr.io.propose.discovery import propose_schema
import pyarrow.csv, pandas
def peak():
    lines = open("/proc/self/status")
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) >> 10
before = peak()
plain = sys.argv[2]
for file in sys.argv[3:]:
    try:
        import_with_schema(Session(), "memory://x", "d", sys.argv[1], {"t": file}, True)
        sys.exit(f"{file} was imported")
    except ExeteraError as error:
        str(error)
    for rows in (100, None):
        try:
            propose_schema({"t": file}, rows=rows)
            sys.exit(f"{file} had a schema")
        except ExeteraError as error:
            str(error)
    try:
        propose_schema({"t": plain}, redcap=file)
        sys.exit(f"{file} was a dictionary")
    except ExeteraError as error:
        str(error)
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the system says it nowhere else")
def test_files_without_end(tmp_path):
    """A line, a quoted cell and zeros of a gigabyte, packed or not, and a device."""
    zeros, line, quoted = tmp_path / "z.csv", tmp_path / "l.csv.gz", tmp_path / "q.csv.gz"
    with zeros.open("wb") as file:
        file.write(b"a,b\n1,2\n")
        file.truncate(1 << 40)
    for path, text in ((line, b"a,b\n1,2\n"), (quoted, b'a,b\n1,"')):
        member = gzip.compress(b"x" * (64 << 20), 9)
        path.write_bytes(gzip.compress(text) + member * 16)
    (tmp_path / "s.json").write_text(json.dumps(document()))
    (tmp_path / "p.csv").write_bytes(b"a,b\n1,2\n")
    files = [str(path) for path in (tmp_path / "p.csv", zeros, line, quoted)]
    command = [sys.executable, "-c", HOLES, str(tmp_path / "s.json"), *files, "/dev/zero"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) < 300


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such files")
@pytest.mark.parametrize("kind", ["folder", "link to nothing", "link to itself", "nothing"])
def test_what_is_no_file(tmp_path, kind):
    path = tmp_path / "c.csv"
    if kind == "folder":
        path.mkdir()
    elif kind != "nothing":
        path.symlink_to(tmp_path / ("c.csv" if kind == "link to itself" else "no"))
    (tmp_path / "s.json").write_text(json.dumps(document()))
    with soon(), Session() as session, pytest.raises((ExeteraError, FileNotFoundError)):
        import_with_schema(
            session, tmp_path / "d.zarr", "d", tmp_path / "s.json", {"t": path}, True
        )
    with soon(), pytest.raises((ExeteraError, FileNotFoundError)):
        propose_schema({"t": path})


# -- the command

PATHS = {
    "above": "../../x",
    "a device": "/dev/zero",
    "nothing": "/dev/null",
    "a folder of the system": "/proc/self",
    "itself": "/proc/self/fd",
    "NUL": "a\0b",
    "a command": "\x1b[2Jx",
    "long": "x" * 5000,
    "an option": "--version=x",
    "another scheme": "nothing://x/y",
    "no scheme": "://",
    "a scheme of code": "python://os.system",
    "a chain": "zip://x::/dev/zero",
    "an archive without end": "zip::/dev/zero",
    "a port beyond": "http://127.0.0.1:99999/x",
    "a pattern": "/nowhere/[*",
    "a query": "file://x?y#z",
    "a lone surrogate": SURROGATE,
    "a drive": "C:\\x",
    "blank": " ",
    "none": "",
}
COMMANDS = [
    ("info", "{}"),
    ("head", "{}/t"),
    ("history", "{}"),
    ("verify", "{}"),
    ("vacuum", "{}"),
    ("schema", "t:{}"),
    ("convert", "{}", "{new}"),
    ("import", "-s", "{}", "-o", "{new}", "-i", "t:c.csv"),
    ("import", "-s", "s.json", "-o", "{new}", "-i", "t:{}"),
]


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_a_path_that_the_command_is_given(tmp_path, monkeypatch, path):
    inside = tmp_path / "inside"
    inside.mkdir()
    monkeypatch.chdir(inside)
    (inside / "s.json").write_text(json.dumps(document()))
    (inside / "c.csv").write_bytes(b"a\n1\n")
    for command in COMMANDS:
        given = [part.replace("{new}", "new.zarr").replace("{}", path) for part in command]
        with nothing_else_changes(inside, inside / "new.zarr"), soon():
            ended = CliRunner().invoke(application(), given)
        assert ended.exit_code != 0, (given, ended.output)
        assert isinstance(ended.exception, SystemExit), (given, ended.exception)
        assert "\x1b" not in ended.output
        assert "MemoryError" not in ended.output
    assert list(tmp_path.iterdir()) == [inside]
    assert Path("/dev/null").stat().st_size == 0
