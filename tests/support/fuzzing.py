"""Datasets that are changed at random, and signed again, as somebody would who looks for holes."""

from __future__ import annotations

import io
import itertools
import json
import random
import string
import struct
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock

import google_crc32c
import numpy as np
from typer.testing import CliRunner

from exetera_zarr import ExeteraError, Session
from exetera_zarr.cli.application import application
from exetera_zarr.storage.zarr import layout
from exetera_zarr.storage.zarr.chunks.coding import ChunkCodec
from exetera_zarr.storage.zarr.table_documents import Documents
from exetera_zarr.storage.zarr.versions.changes import Manifest, alive
from support.strangers import forge_bytes, signed, use_it_all

__all__ = ["KINDS", "apply", "drawn", "make_grown", "use_it"]

KINDS = ("root", "changes", "older", "bytes", "values", "files")
"""What is changed: the newest root document, its manifest that has changes, one that is below it,
the bytes of a chunk or pack (with a right checksum), its elements, or any bytes of a file."""

Operation = list[Any]
_SURROGATE = "\ud800"
_ODD: list[Any] = [
    None,
    True,
    False,
    *(0, 1, 2, 3, 5, 15, 16, 17, -1, -5, 2**31, 2**40, 2**53, 2**63, 2**80, 10**10 - 1, 10**300),
    *(0.5, -0.5, 1e308, 1e16),
    *("", "..", "../x", "t/number", "values", "index", "int32", "float64", "uint8", "S3", "\0"),
    *("group", "array", "indexedstring", "fixedstring,3", "categorical,int8", "timestamp"),
    *(_SURROGATE, "\x1b[31m", "a" * 300, "__pack-000000000001", "values-000000000001"),
    *([], {}, [[]], [0], [-1], [2**62], ["x"], [["x", 0]], [[0, 0.0]], {"x": 1}, {"values": []}),
]
_OFFSETS = [0, -1, 1, 2, 5, 6, 7, 100, 2**31, 2**40, 2**62, 2**63 - 1, -(2**63)]


def _rows(count: int, first: int) -> dict[str, list[Any]]:
    numbers = range(first, first + count)
    return {
        "number": list(numbers),
        "flag": [number % 3 == 0 for number in numbers],
        "sex": [number % 2 for number in numbers],
        "when": [float(number) for number in numbers],
        "code": [b"abc"] * count,
        "note": [("a", "", "bcd")[number % 3] for number in numbers],
    }


def make_grown(folder: Path) -> Path:
    """A dataset with packs, segments and manifests that have changes; the same each time."""
    place = folder / "theirs.zarr"
    numbers = itertools.count(1)
    plain = mock.patch("secrets.token_hex", lambda size=16: f"{next(numbers):0{2 * size}x}")
    with plain, Session(row_block=16) as session:
        dataset = session.open_dataset(str(place), "w", "theirs")
        for table in ("t", "u", "v"):
            frame = dataset.create_dataframe(table)
            frame.create_numeric("number", "int32")
            frame.create_numeric("flag", "bool")
            frame.create_categorical("sex", "int8", {"f": 0, "m": 1})
            frame.create_timestamp("when")
            frame.create_fixed_string("code", 3)
            frame.create_indexed_string("note")
            for name, values in _rows(12, 0).items():
                frame[name].data.write(values)
        dataset.commit()
        for first, count in ((12, 5), (17, 2), (19, 1)):
            for name, values in _rows(count, first).items():
                dataset["t"][name].data.write(values)
            dataset.commit()
    return place


# -- drawing


def _places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [way] if way else []
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        if isinstance(inner, (dict, list)):
            found += _places(inner, (*way, key))
        else:
            found.append((*way, key))
    return found


def _near(value: Any, chance: random.Random) -> tuple[Any, ...]:
    """A place that is as likely to be near the top as far below."""
    way: tuple[Any, ...] = ()
    while isinstance(value, (dict, list)) and value:
        keys = list(value) if isinstance(value, dict) else range(len(value))
        key = chance.choice(keys)
        way, value = (*way, key), value[key]
        if len(way) > 1 and chance.random() < 0.2:
            break
    return way


_INTERESTING = ("pieces", "packs", "arrays", "after", "appends", "kept", "keep", "over", "rows")


def _place(document: Any, chance: random.Random) -> tuple[Any, ...]:
    how = chance.random()
    if how < 0.4:
        return _near(document, chance)
    every = _places(document)
    if how < 0.8:
        some = [way for way in every if any(key in _INTERESTING for key in way)]
        every = some or every
    return chance.choice(every)


def _at(document: Any, way: tuple[Any, ...]) -> Any:
    for key in way:
        document = document[key]
    return document


def _change(document: Any, chance: random.Random) -> Operation:
    way = _place(document, chance)
    action = chance.choice(["replace", "replace", "splice", "remove", "rename", "near", "twice"])
    value: Any = chance.choice(_ODD)
    if action == "splice":
        value = json.loads(json.dumps(_at(document, _place(document, chance))))
    elif action == "near":
        there = _at(document, way)
        if isinstance(there, (int, float)):
            value = there + chance.choice([-1, 1, 2, -2, 16, 0.5])
        elif isinstance(there, str) and there:
            at = chance.randrange(len(there))
            value = there[:at] + chance.choice(string.printable + "\0\u202eé") + there[at + 1 :]
    if action in ("remove", "twice"):
        return [action, list(way)]
    if action == "rename":
        other = _place(document, chance)[-1]
        name = chance.choice([str(value), str(other), "t", "t/number", "u/x", ".."])
        return [action, list(way), name]
    return ["replace", list(way), value]


def _elements(chance: random.Random) -> list[int]:
    return [chance.choice(_OFFSETS) for _ in range(chance.choice([3, 6, 12, 13]))]


def drawn(place: Path, kind: str, chance: random.Random) -> list[Operation]:
    """
    Changes of a kind, as JSON can hold them.

    Parameters
    ----------
    place
        Of a dataset as `make_grown` makes it.
    kind
        One of `KINDS`.
    chance
        Where they come from.
    """
    root = json.loads((place / "zarr.json").read_bytes())
    nodes = root["consolidated_metadata"]["metadata"]
    arrays = [path for path, node in nodes.items() if node["node_type"] == "array"]
    if kind in ("bytes", "values"):
        path = chance.choice([p for p in arrays if kind == "bytes" or p.startswith("t/")])
        if kind == "values":
            return [["values", path, _elements(chance)]]
        return [
            ["flip", path, chance.random(), chance.choice([0, 0, 1]), chance.randrange(256)]
            for _ in range(chance.randint(1, 3))
        ]
    if kind == "files":
        files = sorted(str(p.relative_to(place)) for p in place.rglob("*") if p.is_file())
        name, at = chance.choice(files), chance.random()
        return [[chance.choice(["cut", "byte", "more", "swap", "gone"]), name, at]]
    document = root
    if kind != "root":
        number = 4 if kind == "changes" else chance.choice([2, 2, 3])
        document = json.loads(_manifest(place, number).read_bytes())
    operations: list[Operation] = [] if kind == "root" else [["number", number]]
    if kind != "root":
        operations.append(["shown", chance.choice([None, 1, 2])])
    for _ in range(chance.randint(1, 3)):
        change = _change(document, chance)
        _applied(document, change)
        operations.append(change)
    return operations


# -- applying


def _manifest(place: Path, number: int) -> Path:
    return place / "__exetera__/commits" / f"{10**10 - 1 - number:010d}.json"


def _applied(document: Any, operation: Operation) -> None:
    """Changes that others have made impossible are left out."""
    action, (*way, last), *rest = operation
    with suppress(KeyError, IndexError, TypeError):
        inside = _at(document, tuple(way))
        if action == "replace":
            inside[last] = rest[0]
        elif action == "remove":
            inside.pop(last)
        elif action == "twice" and isinstance(inside, list):
            inside.append(inside[last])
        elif action == "rename" and isinstance(inside, dict):
            inside[rest[0]] = inside.pop(last)


def _replace(path: Path, data: bytes) -> None:
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def apply(place: Path, kind: str, operations: list[Operation]) -> None:
    """
    Change a dataset.

    Parameters
    ----------
    place
        A copy of one of `make_grown`.
    kind, operations
        As of `drawn`.
    """
    if kind == "files":
        _change_file(place, *operations[0])
    elif kind == "bytes":
        for _, path, where, part, mask in operations:
            _flip(place, path, where, part, mask)
    elif kind == "values":
        _put_values(place, *operations[0][1:])
    elif kind == "root":
        document = json.loads((place / "zarr.json").read_bytes())
        for operation in operations:
            _applied(document, operation)
        forge_bytes(place, signed(document))
    else:
        _change_manifest(place, operations)


def _change_manifest(place: Path, operations: list[Operation]) -> None:
    """Of one version; those that are over it are made to match, as far as that can be."""
    (_, number), (_, shown), *changes = operations
    documents = {n: json.loads(_manifest(place, n).read_bytes()) for n in (2, 3, 4)}
    for change in changes:
        _applied(documents[number], change)
    _replace(_manifest(place, number), signed(documents[number]))
    for newer in (3, 4):
        with suppress(Exception):  # as far as that can be
            _match(documents, newer)
        if newer >= number:
            _replace(_manifest(place, newer), signed(documents[newer]))
    (place / "zarr.json").unlink()
    if shown is not None:
        (place / "zarr.json").write_bytes(_manifest(place, shown).read_bytes())


def _match(documents: dict[int, Any], number: int) -> None:
    """Have a manifest say the checksum of the root document that it comes to."""
    document = documents[number]
    manifest = Manifest(number, b"", document)
    below: dict[str, Any] = {}
    for over, _ in reversed(manifest.over):
        below |= Manifest(over, b"", documents[over]).documents
    attributes = dict(document["attributes"])
    del attributes["exetera"]
    facts = manifest.facts
    del facts["checksum"]
    root = layout.encode(
        alive(Documents(), below | manifest.documents, facts["tables"]), facts, attributes
    )
    document["attributes"]["exetera"]["root"] = layout.checksum_of(root)


def _change_file(place: Path, action: str, name: str, at: float) -> None:
    path = place / name
    data = path.read_bytes()
    where = int(at * len(data))
    if action == "gone":
        path.unlink()
        return
    if action == "swap":
        others = sorted(p for p in place.rglob("*") if p.is_file())
        data = others[int(at * len(others))].read_bytes()
    else:
        byte = bytes([data[where] ^ 0x55]) if data else b""
        data = {
            "cut": data[:where],
            "byte": data[:where] + byte + data[where + 1 :],
            "more": data + data[where:],
        }[action]
    _replace(path, data)


def _document(place: Path, path: str) -> dict[str, Any]:
    root = json.loads((place / "zarr.json").read_bytes())
    found: dict[str, Any] = root["consolidated_metadata"]["metadata"][path]
    return found


def _chunk(place: Path, path: str) -> Path:
    return place / path / ("c/0/0" if len(_document(place, path)["shape"]) > 1 else "c/0")


def _pieces(place: Path, path: str) -> list[tuple[int, int]]:
    """First byte and bytes of what has a checksum in an object: pieces, or the whole."""
    about = _document(place, path)
    if "pieces" in about["attributes"]:
        pieces = about["attributes"]["pieces"].values()
        return [(first, size) for each in pieces for _, first, size in each.values() if size]
    return [(0, _chunk(place, path).stat().st_size)]


def _flip(place: Path, path: str, where: float, part: int, mask: int) -> None:
    """Change a byte of the header (part 1) or anywhere; the checksum is right again."""
    file = _chunk(place, path)
    data = bytearray(file.read_bytes())
    pieces = _pieces(place, path)
    first, size = pieces[int(where * 1000) % len(pieces)]
    at = first + int(where * (16 if part else size - 4))
    data[at] ^= mask
    body = bytes(data[first : first + size - 4])
    data[first + size - 4 : first + size] = struct.pack("<I", google_crc32c.value(body))
    _replace(file, bytes(data))


def _put_values(place: Path, path: str, elements: list[int]) -> None:
    """Other elements for a chunk, or for each piece of a pack, which are as many as there were."""
    file, about = _chunk(place, path), _document(place, path)
    if "pieces" not in about["attributes"]:
        dtype, count = np.dtype(about["data_type"]), int(np.prod(about["shape"]))
        role = path.rsplit("/", 1)[1].partition("-")[0]
        wanted = _as_many(elements, count).astype(dtype)
        if len(about["shape"]) > 1:
            wanted = wanted.view(f"S{about['shape'][1]}")
        _replace(file, ChunkCodec(role, wanted.dtype).encode(wanted, len(wanted)))
        return
    _replace_pack(place, path, elements)


def _as_many(elements: list[int], count: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.resize(np.array(elements, np.int64), count)


def _replace_pack(place: Path, path: str, elements: list[int]) -> None:
    """Other offsets for the strings in a pack."""
    root = json.loads((place / "zarr.json").read_bytes())
    about = root["consolidated_metadata"]["metadata"][path]
    data, made = _chunk(place, path).read_bytes(), bytearray()
    for pieces in about["attributes"]["pieces"].values():
        for role, (count, first, size) in pieces.items():
            piece = data[first : first + size]
            if role == "index":
                values = _as_many(elements, count)
                piece = ChunkCodec(role, values.dtype).encode(values, count)
            pieces[role] = [count, len(made), len(piece)]
            made += piece
    about["shape"] = about["chunk_grid"]["configuration"]["chunk_shape"] = [len(made)]
    _replace(place / path / "c/0", bytes(made))
    forge_bytes(place, signed(root))


# -- using


def _work(session: Session, url: str) -> None:
    """What is done with tables, beyond looking at them."""
    dataset = session.open_dataset(url, "r", "d")
    mine = session.open_dataset(f"memory://{uuid.uuid4()}", "w", "mine")
    for table in list(dataset.keys())[:1]:  # the others are like it
        frame = dataset[table]
        for number, use in enumerate((_sort, _filter, _group, _rows_of, _export)):
            with suppress(ExeteraError):
                use(frame, mine.create_dataframe(f"{len(table)}-{table.encode().hex()}-{number}"))
        with suppress(ExeteraError):
            frame.describe(output="None")


def _sort(frame: Any, target: Any) -> None:
    frame.sort_values(by=list(frame.keys())[-1:], ddf=target)


def _filter(frame: Any, target: Any) -> None:
    count = frame.length()
    frame.apply_filter([row % 2 == 0 for row in range(count)] if count < 10**6 else [], target)


def _group(frame: Any, target: Any) -> None:
    names = list(frame.keys())
    frame.groupby(names[-1:]).count(ddf=target)


def _rows_of(frame: Any, target: Any) -> None:
    for name in list(frame.keys()):
        data = frame[name].data
        data[:2], data[-1:], data[len(data) // 2]
    frame.apply_index([0, 1, 0], target)


def _export(frame: Any, _: Any) -> None:
    frame.to_csv(io.StringIO())


def _commands(_: Session, url: str) -> None:
    for command in (["info", url], ["head", url, "t"], ["history", url]):
        ended = CliRunner().invoke(application(), command)
        if ended.exception is not None and not isinstance(ended.exception, SystemExit):
            raise ended.exception


def _history(session: Session, url: str) -> None:
    dataset = session.open_dataset(url, "r+", "d")
    dataset.history()
    with suppress(ExeteraError):
        dataset.compact()
        dataset.commit()
    dataset.retain(versions=1, older_than=0)
    for table in list(dataset.keys()):
        for name in list(dataset[table].keys()):
            field = dataset[table][name]
            with suppress(ExeteraError):
                field.data.write(field.data[:1])
    dataset.commit()
    dataset.vacuum(older_than=0)


def use_it(place: Path) -> dict[str, BaseException | None]:
    """As of `use_it_all`, and what else is done with tables that have packs and segments."""
    return use_it_all(place, also=(_work, _commands, _history))
