"""
Files that other programs wrote: each value as pyarrow reads it, or an error that says what it is.

`foreign/` has archives of small files, which `foreign/make.py` wrote by the newest release of each
library and by an old one, and may have files themselves. `foreign/expected.json` has what is not
read as it stands: a part of the message, by a pattern of the file's name. Add a file,
and it is read.
"""

from __future__ import annotations

import fnmatch
import io
import json
import zipfile
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyarrow import parquet

from exetera_zarr import Session
from exetera_zarr.errors import ExeteraError

FOLDER = Path(__file__).parent / "foreign"
SUFFIXES = (".parquet", ".arrow", ".arrows", ".feather")
EXPECTED = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))


def members():
    for source in sorted(FOLDER.iterdir()):
        if source.suffix == ".zip":
            with zipfile.ZipFile(source) as archive:
                yield from ((source, name) for name in sorted(archive.namelist()))
        elif source.suffix in SUFFIXES:
            yield source, source.name


FILES: dict[str, list[str]] = {}
for _source, _name in members():
    FILES.setdefault(_source.name, []).append(_name)


def contents(source):
    """Each file of an archive with its bytes; or the one file."""
    place = FOLDER / source
    if place.suffix != ".zip":
        yield source, place.read_bytes()
        return
    with zipfile.ZipFile(place) as archive:
        yield from ((name, archive.read(name)) for name in FILES[source])


def message_of(name):
    """What an error says of it, if it is none that is read."""
    fitting = [text for pattern, text in EXPECTED.items() if fnmatch.fnmatch(name, pattern)]
    return fitting[0] if fitting else None


def by_pyarrow(name, data):
    if name.endswith(".parquet"):
        return parquet.ParquetFile(io.BytesIO(data)).read()
    if data.startswith(b"ARROW1"):
        return pa.ipc.open_file(pa.BufferReader(data)).read_all()
    return pa.ipc.open_stream(pa.BufferReader(data)).read_all()


def plain(column):
    """Values as docs/arrow.md says that they become: seconds, bytes, numbers, and None."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return plain(pa.chunked_array([one.storage for one in column.chunks], kind.storage_type))
    if pa.types.is_run_end_encoded(kind):
        return plain(pa.chunked_array([pc.run_end_decode(one) for one in column.chunks]))
    if pa.types.is_date(kind):
        column = column.cast(pa.timestamp("s" if pa.types.is_date32(kind) else "ms"))
        kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind) or pa.types.is_time(kind):
        narrow = pa.types.is_time32(kind)
        whole = column.cast(pa.int32() if narrow else pa.int64()).to_pylist()
        units = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
        return [None if one is None else _seconds(one, units[kind.unit], kind) for one in whole]
    found = column.to_pylist()
    if pa.types.is_floating(kind):
        return [None if one is None or np.isnan(one) else float(one) for one in found]
    return [
        one.encode() if isinstance(one, str) else float(one) if isinstance(one, Decimal) else one
        for one in found
    ]


def _seconds(count, unit, kind):
    if pa.types.is_timestamp(kind) and unit == 10**9:
        count, unit = count // 1000, 10**6  # nanoseconds are cut
    return count / unit


def ours(table, name):
    field = table[name]
    stored = table.to_arrow([name], raw=True)[name].to_pylist()
    gone = field.isna().data[:].tolist()
    if field.type_name == "categorical":
        keys = {code: bytes(label) for code, label in field.keys.items()}
        stored = [None if no else keys[one] for one, no in zip(stored, gone, strict=True)]
    return [None if no else one for one, no in zip(stored, gone, strict=True)]


@pytest.fixture(scope="module")
def ds():
    with Session() as s:
        yield s.open_dataset("memory://foreign.zarr", "w", "d")


@pytest.mark.parametrize("source", FILES)
def test_files_of_another_program(ds, tmp_path, source):
    wrong = {}
    for name, data in contents(source):
        (tmp_path / name).write_bytes(data)
        if found := what_is_wrong(ds, name, tmp_path / name, data):
            wrong[name] = found
    assert wrong == {}


def what_is_wrong(ds, name, path, data):
    message = message_of(name)
    try:
        table = ds.from_parquet(name, path)
    except ExeteraError as error:
        assert name not in ds
        wanted = [] if message is None else message.split("|")  # of releases of Arrow
        return None if any(one in str(error) for one in wanted) else str(error)
    if message is not None:
        return "it is read"
    told = by_pyarrow(name, data)
    hidden = set(table.companions().values())
    names = [column for column in table if column not in hidden]
    if names != told.schema.names:
        return f"it has the columns {names}"
    pairs = {column: (ours(table, column), plain(told[column])) for column in names}
    return {column: pair for column, pair in pairs.items() if pair[0] != pair[1]}


def test_patterns_are_of_files():
    """What is expected of a file that is no longer there is taken back."""
    names = [name for of_source in FILES.values() for name in of_source]
    assert len(names) > 100
    assert [one for one in EXPECTED if not fnmatch.filter(names, one)] == []
