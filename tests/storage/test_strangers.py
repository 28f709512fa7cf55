"""Datasets from strangers: each is right, or an error of ours, and nothing outside is touched."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numcodecs import zstd

from exetera_zarr import CorruptDataError, ExeteraError, Session
from exetera_zarr.errors import MemoryLimitError
from exetera_zarr.storage.stores.local import LocalStore
from support.fuzzing import make_grown
from support.strangers import (
    below,
    forge,
    forge_bytes,
    make,
    nothing_else_changes,
    signed,
    soon,
    use_it_all,
)

FIELD, ARRAY = "u/number", "u/number/values"
SURROGATE = "\ud800"


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    return make(tmp_path_factory.mktemp("honest"))


@pytest.fixture
def theirs(honest, tmp_path):
    """A dataset to be forged, and beside it one that is to stay as it is, and other files."""
    folder = tmp_path / "folder"
    folder.mkdir()
    place = folder / "theirs.zarr"
    shutil.copytree(honest, place)
    shutil.copytree(honest, folder / "ours.zarr")
    (folder / "x").mkdir()
    (folder / "x" / "zarr.json").write_text("{}")
    with nothing_else_changes(folder, place):
        yield place


def is_refused(place):
    """Reading it is an error; so is everything else that is done to it."""
    errors = use_it_all(place)
    assert isinstance(errors["_read"], CorruptDataError), errors
    assert isinstance(errors["_change"], ExeteraError), errors


# -- paths


PATHS = {
    "the folder above": "..",
    "beside": "../x",
    "up from below": "a/../../x",
    "below and back": "t/../x",
    "from the root": "/tmp/x",
    "two slashes": "a//b",
    "here": "./a",
    "here at the end": "a/.",
    "backslashes": "..\\x",
    "a drive": "C:x",
    "ours": "__exetera__",
    "our manifests": "__exetera__/commits",
    "a document": "zarr.json",
    "a document in capitals": "ZARR.JSON",
    "too deep": "a/b/c",
    "no name": "",
    "a slash at the end": "a/",
    "a line break": "a\n",
    "NUL": "a\0b",
    "too long": "a" * 256,
    "a lone surrogate": SURROGATE,
    "a space at the end": "a ",
    "a dot at the end": "a.",
    "hidden": ".a",
    "not encoded": "ä",
    "a query": "a?b",
    "another scheme": "s3:__bucket_x",
}


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_a_table_at_a_wrong_path(theirs, path):
    def change(document):
        nodes = document["consolidated_metadata"]["metadata"]
        moved = {path + p[1:]: d for p, d in nodes.items() if p == "t" or p.startswith("t/")}
        kept = {p: d for p, d in nodes.items() if not (p == "t" or p.startswith("t/"))}
        document["consolidated_metadata"]["metadata"] = {**kept, **moved}

    forge(theirs, change)
    is_refused(theirs)


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_a_field_at_a_wrong_path(theirs, path):
    def change(document):
        nodes = document["consolidated_metadata"]["metadata"]
        document["consolidated_metadata"]["metadata"] = {
            p.replace(FIELD, f"u/{path}") if p.startswith(FIELD) else p: d for p, d in nodes.items()
        }

    forge(theirs, change)
    is_refused(theirs)


ARRAYS = [
    "../../../ours.zarr/t/number/values",
    "../flag/values",
    "/etc/passwd",
    "values/../../x",
    "index",
    "values-zz",
    "values\n",
    "",
    "..",
    5,
    None,
    {},
]


@pytest.mark.parametrize("name", ARRAYS, ids=repr)
def test_an_array_that_is_no_sibling(theirs, name):
    def change(document):
        below(document, FIELD)["attributes"]["arrays"] = {"values": name}
        if isinstance(name, str):  # as if it were there
            nodes = document["consolidated_metadata"]["metadata"]
            nodes[f"{FIELD}/{name}"] = dict(nodes[ARRAY])

    forge(theirs, change)
    is_refused(theirs)


@pytest.mark.parametrize("role", ["index", "values"])
def test_a_string_field_without_one_of_its_arrays(theirs, role):
    forge(theirs, lambda document: below(document, "t/note")["attributes"]["arrays"].pop(role))
    is_refused(theirs)


# -- values of wrong types, and beyond their bounds

ODD = [None, True, -1, 0, 1.5, 2**63, 2**80, "", "x", SURROGATE, [], ["x"], [[]], {}, {"x": 1}]

FACTS = {
    "version": [*ODD, 10**11, 10**10],
    "requires": [5, "x", ["x"], {"x": 1}],
    "format": [*ODD, 2, "1"],
    "previous": [5, "x", [], {}],
    "tables": [5, "x", [5], [[]], {}],
    "row_block": [*ODD, -5],
    "keep": [5, [], {"versions": 0}, {"versions": "x"}, {"seconds": -1}, {"seconds": "x"}],
    "kept": [5, [5], [[1]], [["a", 0]], [[10**11, 0]], [[-1, 0]], {"x": 1}, [[0, "x"]]],
    "checksum": [5, None, "", "x", [], {}],
    "changed": [5, "x", [5]],
    "draft": [5, [], {}],
    "dataset": [5, [], {}],
    "created": [5, [], {}],
    "writer": [5, [], {}],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in FACTS.items() for value in values]
)
def test_a_fact_of_a_wrong_type(theirs, name, value):
    forge(theirs, lambda document: document["attributes"]["exetera"].update({name: value}))
    use_it_all(theirs)


@pytest.mark.parametrize("name", FACTS)
def test_a_fact_that_is_not_there(theirs, name):
    forge(theirs, lambda document: document["attributes"]["exetera"].pop(name))
    use_it_all(theirs)


ATTRIBUTES = {
    "name": [5, [], {}, "", "..", "a\0b", SURROGATE, "flag"],
    "columns": [5, "x", [1], {}],
    "since_version": ["x", -1, 10**11, 1.5, []],
    "row_block": [0, -5, "x", 2**80, 1.5, []],
    "arrays": [5, "x", [], ["values"], {"other": "values"}, {}, {"values": []}, {"values": [5]}],
    "packs": [5, [5], [["x", 1]], [["__pack-0123456789ab", 1]], [["__pack-0123456789ab", -1]]],
    "after": [5, "x", "__pack-0123456789ab"],
    "appends": [5, [1], [-1, 2], ["a", 1]],
    "fieldtype": [5, [], "nonsense", "categorical,int8", "fixedstring,3", "indexedstring", ""],
    "nformat": ["object", "S5", "float64", 5, [], ""],
    "strlen": [0, -1, "x", 2**40, 3, []],
    "key": [5, "x", [5], [["a"]], [["a", {}]], {}, [["a", "b"]]],
    "id": [5, [], {}],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in ATTRIBUTES.items() for value in values]
)
@pytest.mark.parametrize("path", ["u", FIELD, "u/sex"])
def test_an_attribute_of_a_wrong_type(theirs, path, name, value):
    forge(theirs, lambda document: below(document, path)["attributes"].update({name: value}))
    use_it_all(theirs)


CODEBOOKS = [
    *(None, 5, "x", [], {"label": 5}, {"label": None}, {"label": "x" * 10_001}, {"unit": []}),
    *({"description": {}}, {"missing_codes": {"-9": "x"}}, {"missing_codes": [5]}),
    *({"missing_codes": [[1]]}, {"missing_codes": [[1, 2]]}, {"missing_codes": [[None, "x"]]}),
    *({"missing_codes": [[1, "x"]] * 1001}, {"annotations": []}, {"annotations": "x"}),
]


@pytest.mark.parametrize("value", CODEBOOKS, ids=lambda value: str(value)[:40])
@pytest.mark.parametrize("path", ["u", FIELD])
def test_a_codebook_of_a_wrong_type(theirs, path, value):
    forge(theirs, lambda document: below(document, path)["attributes"].update(codebook=value))
    is_refused(theirs)


@pytest.mark.parametrize("code", ["x", 1.5, 2**40, True])
def test_a_missing_code_that_the_field_cannot_hold(theirs, code):
    said = {"missing_codes": [[code, "x"]], "label": SURROGATE * (code is True)}
    forge(theirs, lambda document: below(document, FIELD)["attributes"].update(codebook=said))
    assert isinstance(use_it_all(theirs)["_change"], CorruptDataError)


def grid(*chunk):
    return {"name": "regular", "configuration": {"chunk_shape": [*chunk]}}


def deep(depth):
    found = "x"
    for _ in range(depth):
        found = [found]
    return found


DOCUMENTS = {
    "shape": [*ODD, [-1], ["x"], [2**33], [2**60], [2**70], [1, 2, 3], [True], [1.5], [6, 6]],
    "chunk_grid": [
        *ODD,
        grid(0),
        grid(-5),
        grid(),
        grid("x"),
        grid(2**40),
        grid(2**31),
        grid(6, 6),
        grid(5),
        {"name": "regular"},
        {"name": "irregular", "configuration": {"chunk_shape": [6]}},
    ],
    "data_type": [*ODD, "object", "S5", "float64", "int8", {"name": "x"}],
    "codecs": [
        *ODD,
        [{"name": 5}],
        [{}],
        [{"name": "pickle"}],
        [{"name": "bytes"}] * 100,
        deep(90),
    ],
    "chunk_key_encoding": [*ODD, {"name": "v2"}, {"name": "default", "configuration": 5}],
    "node_type": [*ODD, "group"],
    "attributes": [5, "x", [], None],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in DOCUMENTS.items() for value in values]
)
def test_a_document_of_an_array(theirs, name, value):
    forge(theirs, lambda document: below(document, ARRAY).update({name: value}))
    use_it_all(theirs)


@pytest.mark.parametrize("blocks", [2**33, 2**24, 2**20])
def test_chunks_without_number(theirs, blocks):
    """As many as it claims are neither looked for nor allocated."""

    def change(document):
        below(document, ARRAY).update({"shape": [blocks], "chunk_grid": grid(1)})
        below(document, "u")["attributes"]["row_block"] = 1

    forge(theirs, change)
    use_it_all(theirs)


@pytest.mark.parametrize("number", [10**10 - 10, 10**9, 5000])
@pytest.mark.parametrize("keep", [{"versions": 1, "seconds": 0}, {"versions": 3, "seconds": None}])
def test_versions_without_number(theirs, number, keep):
    """All from the first one on are said to be kept, and there is none of them."""
    facts = {"version": number, "kept": [[0, 0.0], [number, 0.0]], "keep": keep}
    forge(theirs, lambda document: document["attributes"]["exetera"].update(facts))
    for path in sorted((theirs / "__exetera__/commits").iterdir())[1:]:
        path.unlink()
    newest = next((theirs / "__exetera__/commits").iterdir())
    newest.rename(newest.with_name(f"{10**10 - 1 - number:010d}.json"))
    errors = use_it_all(theirs)
    assert errors["_read"] is None
    assert isinstance(errors["_verify"], CorruptDataError)
    assert len(str(errors["_verify"])) < 10_000


REWRITTEN = {
    "none of them there": [[0, 1]],
    "nothing": [],
    "descending": [[1, 0]],
    "twice": [[0, 1], [0, 1]],
    "itself": [[0, 2]],
    "beyond": [[0, 10**10 - 1]],
}


@pytest.mark.parametrize("ranges", REWRITTEN.values(), ids=REWRITTEN)
def test_versions_that_no_erasure_has_rewritten(theirs, ranges):
    """What is not there is said, by versions and history too, and as soon for 10^10 of them."""
    facts = {"rewritten": {"id": "0" * 16, "ranges": ranges}, "requires": ["rewritten"]}
    forge(theirs, lambda document: document["attributes"]["exetera"].update(facts))
    for use in (
        lambda session: session.open_dataset(str(theirs), "r", "d", version=1),
        lambda session: session.open_dataset(str(theirs), "r", "d").history(),
    ):
        with soon(), Session() as session, pytest.raises(CorruptDataError):
            use(session)
    use_it_all(theirs)


def test_tags_without_number(theirs):
    tags = {f"t{number}": {"version": 1} for number in range(100_000)}
    facts = {"tags": tags, "requires": ["tags"]}
    forge(theirs, lambda document: document["attributes"]["exetera"].update(facts))
    with soon(), Session() as session:
        commits = session.open_dataset(str(theirs), "r", "d").history()
    assert sum(len(one.tags) for one in commits) == 100_000
    use_it_all(theirs)


@pytest.mark.parametrize("value", ODD, ids=repr)
@pytest.mark.parametrize(
    "where", ["attributes", "consolidated_metadata", "metadata", "exetera", "node", "all"]
)
def test_a_part_of_a_wrong_type(theirs, where, value):
    def change(document):
        if where == "all":
            return value
        if where == "metadata":
            document["consolidated_metadata"]["metadata"] = value
        elif where == "exetera":
            document["attributes"]["exetera"] = value
        elif where == "node":
            document["consolidated_metadata"]["metadata"][FIELD] = value
        else:
            document[where] = value
        return None

    forge(theirs, change)
    use_it_all(theirs)


NO_JSON = {
    "nothing": b"",
    "a list": b"[]",
    "null": b"null",
    "half": b'{"a":',
    "no UTF-8": b'{"a": "\xff"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "a mark": b"\xef\xbb\xbf{}",
    "not a number": b'{"a": NaN}',
    "deep lists": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "a long number": b'{"a": ' + b"9" * 100_000 + b"}",
    "zeros": b"\0" * 1000,
}


@pytest.mark.parametrize("data", NO_JSON.values(), ids=NO_JSON)
def test_what_is_no_document(theirs, data):
    forge_bytes(theirs, data)
    is_refused(theirs)


def test_two_tables_of_one_name(theirs):
    """One of them would be out of sight, and lost with the next commit."""
    forge(theirs, lambda document: below(document, "u")["attributes"].update({"name": "t"}))
    is_refused(theirs)


# -- packs


PACKED = {
    "more than a chunk": 1 << 31,
    "more than there is memory": 1 << 40,
    "more than anybody has": 1 << 55,
}


@pytest.mark.parametrize("rows", PACKED.values(), ids=PACKED)
def test_rows_that_a_pack_only_claims(tmp_path, rows):
    """Its document says how many they are, and nothing else does."""
    place = make_grown(tmp_path)
    root = json.loads((place / "zarr.json").read_bytes())
    nodes = root["consolidated_metadata"]["metadata"]
    pack = next(node for path, node in nodes.items() if "/__pack-" in path)["attributes"]
    pack["rows"] = rows
    for pieces in pack["pieces"].values():
        claimed = {"index": rows + 1, "values": rows if "index" not in pieces else None}
        for role, piece in pieces.items():
            piece[0] = claimed[role] or piece[0]
    forge_bytes(place, signed(root))
    is_refused(place)


def test_rows_without_memory_for_them(tmp_path, monkeypatch):
    """Where they are really there, the error says what to do."""
    place = make(tmp_path)

    def no_room(*_):
        raise MemoryError("Unable to allocate")

    with Session() as session:
        field = session.open_dataset(str(place), "r", "d")["u"]["number"]
        monkeypatch.setattr("exetera_zarr.storage.base.np.empty", no_room)
        with pytest.raises(MemoryLimitError, match="read some of them at a time"):
            field.data[:]


# -- links, and what is no file


@pytest.mark.parametrize("what", ["u", "u/number", "u/number/values/c", "__exetera__/commits"])
def test_a_folder_that_is_somewhere_else(theirs, what):
    """Nothing is read or written through a link that leads out, though all is as it should be."""
    target = theirs.parent / "ours.zarr" / what
    shutil.rmtree(theirs / what)
    (theirs / what).symlink_to(target, target_is_directory=True)
    errors = use_it_all(theirs)
    assert isinstance(errors["_read"], CorruptDataError)
    assert isinstance(errors["_change"], CorruptDataError)


@pytest.mark.parametrize("what", ["zarr.json", "u/number/values/c/0"])
def test_a_file_that_is_somewhere_else(theirs, what):
    (theirs / what).unlink()
    (theirs / what).symlink_to(theirs.parent / "ours.zarr" / what)
    errors = use_it_all(theirs)
    if what == "zarr.json":
        assert errors["_read"] is None  # the manifest is asked
    else:
        assert isinstance(errors["_read"], CorruptDataError)


def test_a_file_that_is_somewhere_else_is_not_copied(theirs, monkeypatch):
    """Where the disk has no hard links, a new version has copies of what stays the same."""
    chunk = theirs / ARRAY / "c/0"
    chunk.unlink()
    chunk.symlink_to(theirs.parent / "ours.zarr" / ARRAY / "c/0")

    def no_links(*_, **__):
        raise OSError(errno.EPERM, "no links")

    monkeypatch.setattr(os, "link", no_links)
    store = LocalStore(str(theirs))
    with pytest.raises(CorruptDataError, match="leads out"):
        store.copy(f"{ARRAY}/c/0", f"{ARRAY}/c/1")


def test_links_that_stay_inside(honest, tmp_path):
    """As tools make that keep the content of files in one folder; and a link to all of it."""
    place = tmp_path / "moved.zarr"
    shutil.copytree(honest, place)
    chunk = place / "t/number/values/c/0"
    chunk = next((place / "t/number").glob("values-*/c/0"), chunk)
    (place / "kept").mkdir()
    shutil.move(chunk, place / "kept" / "a")
    chunk.symlink_to(place / "kept" / "a")
    (tmp_path / "link.zarr").symlink_to(place, target_is_directory=True)
    with Session() as session:
        dataset = session.open_dataset(str(tmp_path / "link.zarr"), "r+", "d")
        assert dataset["t"]["number"].data[:].tolist() == [7, 1, 2, 3, 4, 5]
        dataset["t"]["number"].data[0] = 8
    with Session() as session:
        found = session.open_dataset(str(place), "r", "d")["t"]["number"].data[:]
    assert found.tolist() == [8, 1, 2, 3, 4, 5]


def replaced(path, kind):
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        with path.open("wb") as file:
            file.truncate(1 << 40)


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such files")
@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "holes"])
@pytest.mark.parametrize("what", ["manifest", "chunk"])
def test_what_is_no_file(theirs, what, kind):
    commits = sorted((theirs / "__exetera__/commits").iterdir())
    chunk = theirs / "u/number/values/c/0"
    replaced(commits[0] if what == "manifest" else chunk, kind)
    if what == "manifest":
        replaced(theirs / "zarr.json", kind)
    errors = use_it_all(theirs)
    if (what, kind) == ("manifest", "folder"):
        # A folder is no manifest, so the one before it is the newest, as if it were not there.
        assert errors["_read"] is None
    else:
        assert isinstance(errors["_read"], ExeteraError)


# -- what takes memory


MEMORY = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from support.strangers import use_it_all
place = Path(sys.argv[1])
def peak():
    lines = open("/proc/self/status")
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) >> 10
import exetera_zarr, pandas
before = peak()
errors = use_it_all(place)
assert errors["_read"] is not None
print(peak() - before)
"""


def memory_of(place):
    command = [sys.executable, "-c", MEMORY, str(place), str(Path(__file__).parent.parent)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    return int(ended.stdout)


BOMBS = {
    "lists": lambda: b'{"a":[' + b",".join([b"[]"] * 20_000_000) + b"]}",
    "objects": lambda: b'{"a":[' + b",".join([b"{}"] * 2_000_000) + b"]}",
    "text": lambda: b'{"a":"' + b"x" * (60 << 20) + b'"}',
    "too long": lambda: b'{"a":"' + b"x" * (100 << 20) + b'"}',
}


@pytest.mark.skipif(sys.platform != "linux", reason="the system says it nowhere else")
@pytest.mark.parametrize(
    "kind", ["lists", *(pytest.param(kind, marks=pytest.mark.slow) for kind in list(BOMBS)[1:])]
)
def test_a_document_that_takes_memory(theirs, kind):
    forge_bytes(theirs, BOMBS[kind]())
    assert memory_of(theirs) < 300


@pytest.mark.skipif(sys.platform != "linux", reason="the system says it nowhere else")
@pytest.mark.parametrize("codec", ["zstd", "gzip"])
def test_a_chunk_that_grows(theirs, codec):
    """With codecs that are not ours, which decode as much as there is."""
    import gzip

    name = "values"

    def change(document):
        array = below(document, f"{FIELD}/{name}")
        array["codecs"] = [
            {"name": "bytes", "configuration": {"endian": "little"}},
            {"name": codec, "configuration": {"level": 1, "checksum": False}}
            if codec == "zstd"
            else {"name": codec, "configuration": {"level": 1}},
        ]

    forge(theirs, change)
    packed = (
        zstd.compress(bytes(1 << 30), 1) if codec == "zstd" else gzip.compress(bytes(1 << 30), 1)
    )
    (theirs / FIELD / name / "c/0").unlink()
    (theirs / FIELD / name / "c/0").write_bytes(packed)
    assert memory_of(theirs) < 300


def shards(**configuration):
    """The codec of an array of which each part is packed by zstd."""
    little = {"name": "bytes", "configuration": {"endian": "little"}}
    said = {
        "chunk_shape": [3],
        "codecs": [little, {"name": "zstd", "configuration": {"level": 0, "checksum": False}}],
        "index_codecs": [little],
        "index_location": "end",
    }
    return [{"name": "sharding_indexed", "configuration": said | configuration}]


def shard(*parts):
    """A chunk of two parts, and the index behind them."""
    data, index = b"", []
    for part in parts:
        index += [len(data), len(part)]
        data += part
    return data + np.array(index, "<u8").tobytes()


def packed(numbers):
    return zstd.compress(np.array(numbers, "<i4").tobytes(), 1)


PARTS = [packed([1, 2, 3]), packed([4, 5, 6])]
SHARDS = {
    "a bomb": (shard(PARTS[0], zstd.compress(bytes(1 << 28), 1)), {}),
    "two of one bomb": (shard(zstd.compress(bytes(1 << 28), 1), b""), {}),
    "no room": (b"\0" * 31, {}),
    "beyond": (b"".join(PARTS) + np.array([0, 17, 17, 10**6], "<u8").tobytes(), {}),
    "far beyond": (b"".join(PARTS) + np.array([0, 17, 2**63, 2**63], "<u8").tobytes(), {}),
    "short": (shard(packed([1]), PARTS[1]), {}),
    "no parts": (shard(*PARTS), {"chunk_shape": [0]}),
    "other parts": (shard(*PARTS), {"chunk_shape": [4]}),
    "other dimensions": (shard(*PARTS), {"chunk_shape": [3, 1]}),
    "no chunks": (shard(*PARTS), {"chunk_shape": "x"}),
    "many parts": (shard(*PARTS), {"chunk_shape": [1]}),
    "a packed index": (shard(*PARTS), {"index_codecs": [{"name": "gzip"}]}),
    "no index": (shard(*PARTS), {"index_codecs": 5}),
    "shards in shards": (shard(*PARTS), {"codecs": shards()}),
}


def sharded(theirs, data, configuration):
    def change(document):
        below(document, ARRAY)["codecs"] = shards(**configuration)

    forge(theirs, change)
    chunk = theirs / ARRAY / "c/0"
    chunk.unlink()
    chunk.write_bytes(data)


def test_shards_of_another_program(theirs):
    sharded(theirs, shard(*PARTS), {})
    with Session() as session:
        dataset = session.open_dataset(str(theirs), "r", "d")
        assert dataset["u"]["number"].data[:].tolist() == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(("data", "configuration"), SHARDS.values(), ids=SHARDS)
def test_a_shard_that_is_none(theirs, data, configuration):
    sharded(theirs, data, configuration)
    is_refused(theirs)


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such files")
@pytest.mark.parametrize("suffix", [".h5", ".hdf5", ".zip", ".zarr", ""])
@pytest.mark.parametrize("mode", ["r", "r+"])
def test_a_pipe_for_a_dataset(tmp_path, suffix, mode):
    """Nobody waits for one who writes to it."""
    os.mkfifo(tmp_path / f"x{suffix}")
    with soon(), Session() as session, pytest.raises(ExeteraError, match="is a device or a pipe"):
        session.open_dataset(str(tmp_path / f"x{suffix}"), mode, "d")


# -- archives


def archive(folder, path, entries=()):
    with zipfile.ZipFile(path, "w") as made:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                made.write(file, file.relative_to(folder))
        for name, data in entries:
            made.writestr(name, data, zipfile.ZIP_DEFLATED)
    return path


def test_names_that_lead_out_of_an_archive(honest, tmp_path):
    path = archive(
        honest, tmp_path / "a.zip", [("../x", b"1"), ("/etc/x", b"1"), ("a/../../y", b"")]
    )
    with nothing_else_changes(tmp_path, path), Session() as session:
        found = session.open_dataset(str(path), "r", "d")["t"]["number"].data[:]
    assert found.tolist() == [7, 1, 2, 3, 4, 5]


@pytest.mark.skipif(sys.platform != "linux", reason="the system says it nowhere else")
def test_zeros_in_an_archive(honest, tmp_path):
    copied = tmp_path / "copied"
    shutil.copytree(honest, copied)
    for path in [copied / "zarr.json", *(copied / "__exetera__/commits").iterdir()]:
        path.unlink()
    newest = "__exetera__/commits/0000000000.json"
    zeros = bytes(400 << 20)
    path = archive(copied, tmp_path / "a.zip", [("zarr.json", zeros), (newest, zeros)])
    assert memory_of(path) < 300


# -- anything


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["..", "../x", "values", "t/number", SURROGATE, "int32", "group", "array"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


def places(value, path=()):
    """Each place in a document, by the keys that lead to it."""
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value[:3]):
            yield from places(inner, (*path, number))


def changed(document, data):
    for _ in range(data.draw(st.integers(1, 3))):
        found = list(places(document))
        *way, last = data.draw(st.sampled_from(found[1:]))
        inside = document
        for key in way:
            inside = inside[key]
        action = data.draw(st.sampled_from(["replace", "remove", "rename"]))
        if action == "replace" or isinstance(inside, list):
            inside[last] = data.draw(JSON)
        else:
            value = inside.pop(last)
            if action == "rename":
                inside[data.draw(st.text(max_size=6) | st.sampled_from(list(PATHS.values())))] = (
                    value
                )


@settings(max_examples=int(os.environ.get("STRANGERS", "40")))
@given(st.data())
def test_any_change_of_a_document(honest, tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("fuzz")
    place = folder / "inside" / "theirs.zarr"
    shutil.copytree(honest, place)
    shutil.copytree(honest, folder / "inside" / "ours.zarr")
    try:
        with nothing_else_changes(folder, place):
            forge(place, lambda document: changed(document, data))
            use_it_all(place)
    finally:
        shutil.rmtree(folder)
