"""Committed datasets are plain Zarr v3: unmodified zarr reads them, and we read what it codes."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray
import zarr
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec, GzipCodec, TransposeCodec

from exetera_zarr import Session
from exetera_zarr.storage.zarr.arrays import StoredArray
from exetera_zarr.storage.zarr.chunks.coding import ChunkCodec
from exetera_zarr.storage.zarr.chunks.foreign import decode_foreign
from exetera_zarr.storage.zarr.chunks.packing import BLOCK, Packer, usual
from exetera_zarr.storage.zarr.layout import array_document, dimensions_of

pytestmark = pytest.mark.zarr

ROWS = 2500
DTYPES = ["bool", "int8", "uint8", "int16", "uint32", "int64", "uint64", "float32", "float64"]


def columns() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    found = {f"n {dtype}": rng.integers(0, 2, ROWS).astype(dtype) for dtype in DTYPES}
    found["fixed"] = rng.integers(0, 10**6, ROWS).astype("S6")
    return found


def write_study(url: str, options: dict) -> None:
    with Session(row_block=1000) as s:
        ds = s.open_dataset(url, "w", "study", storage_options=options)
        table = ds.create_dataframe("people/2020")
        for name, values in columns().items():
            if values.dtype.kind == "S":
                table.create_fixed_string(name, 6).data.write(values)
            else:
                table.create_numeric(name, values.dtype).data.write(values)
        table.create_indexed_string("note").data.write([f"é{n}" * (n % 4) for n in range(ROWS)])
        ds.commit()
        for name in list(columns()):  # an append, so that there are later versions of each array
            table[name].data.write(columns()[name][:10])
        ds.compact()


@pytest.mark.parametrize("consolidated", [True, False])
def test_zarr_reads_every_committed_array(place, consolidated):
    """`zarr.open_group` finds and reads every array, with and without consolidated metadata."""
    write_study(place.url("study.zarr"), place.storage_options)
    options = place.storage_options or None
    root = zarr.open_group(
        place.url("study.zarr"),
        mode="r",
        zarr_format=3,
        storage_options=options,
        use_consolidated=consolidated,
    )
    assert root.attrs["exetera"]["version"] == 2
    table = root["people%2F2020"]
    assert table.attrs["name"] == "people/2020"
    for name, values in columns().items():
        group = table[name]
        assert group.attrs["name"] == name
        array = group[group.attrs["arrays"]["values"]][...]
        expected = np.concatenate([values, values[:10]])
        if values.dtype.kind == "S":
            array = array.view("S6").reshape(-1)
        assert array.dtype == values.dtype
        assert np.array_equal(array, expected)
    note = table["note"]
    index = note[note.attrs["arrays"]["index"]][...]
    data = note[note.attrs["arrays"]["values"]][...].tobytes()
    texts = [data[a:b].decode() for a, b in zip(index[:-1], index[1:], strict=True)]
    assert texts == [f"é{n}" * (n % 4) for n in range(ROWS)]


def test_xarray_opens_each_group(tmp_path):
    """Also where there are segments and packs of other lengths."""
    place = tmp_path / "x.zarr"
    with Session(row_block=64) as session:
        dataset = session.open_dataset(place, "w", "d")
        table = dataset.create_dataframe("t")
        table.create_numeric("number", "int32").data.write(range(200))
        table.create_fixed_string("fixed", 3).data.write(["abc"] * 200)
        table.create_indexed_string("text").data.write(["ab"] * 200)
        dataset.commit()
        for rows in (100, 3):
            table["number"].data.write([7] * rows)
            table["fixed"].data.write(["x"] * rows)
            table["text"].data.write(["y"] * rows)
            dataset.commit()
    parts = {path.name for path in (place / "t").rglob("*") if (path / "c").exists()}
    assert any(name.startswith("__pack-") for name in parts)
    assert any(name.startswith("values-") for name in parts)
    tree = xarray.open_datatree(place, engine="zarr", consolidated=True)
    assert tree["t/number"].ds["values"].dims == ("row",)
    assert tree["t/number"].ds["values"].values.tolist() == list(range(200))
    assert tree["t/fixed"].ds["values"].dims == ("row", "byte")
    assert tree["t/text"].ds["index"].dims == ("offset",)
    assert {name for node in tree.subtree for name in node.ds.variables} == parts


@pytest.mark.parametrize("dtype", [*DTYPES, "S7"])
@pytest.mark.parametrize("length", [0, 7, 10, 25])
def test_our_array_documents_are_those_of_zarr(tmp_path, dtype, length):
    """zarr, asked for the same array, writes a document that says the same."""
    dtype = np.dtype(dtype)
    chunk = 10 if length == 0 or length >= 10 else length
    names = dimensions_of("values", dtype)
    ours = array_document(StoredArray("x", dtype, length, chunk, {}), "values", names)
    fixed = dtype.kind == "S"
    packing = usual("values", dtype)
    group = zarr.open_group(tmp_path, mode="w", zarr_format=3)
    group.create_array(
        "x",
        shape=(length, 7) if fixed else (length,),
        chunks=(chunk, 7) if fixed else (chunk,),
        dtype="uint8" if fixed else dtype,
        serializer=BytesCodec(endian="little" if packing.typesize > 1 else None),
        compressors=[
            BloscCodec(
                typesize=packing.typesize,
                cname=packing.compressor,
                clevel=packing.level,
                shuffle=packing.shuffle,
                blocksize=BLOCK,
            ),
            Crc32cCodec(),
        ],
        dimension_names=names,
    )
    assert ours == json.loads((tmp_path / "x" / "zarr.json").read_text())


@pytest.mark.parametrize("dtype", [*DTYPES, "S7"])
def test_hot_path_and_zarr_decode_the_same(tmp_path, dtype):
    """A chunk that zarr encoded is decoded by ours, and the other way round."""
    dtype = np.dtype(dtype)
    values = np.random.default_rng(5).integers(0, 200, 64).astype(dtype)
    codec = ChunkCodec("values", dtype)
    names = dimensions_of("values", dtype)
    document = array_document(StoredArray("x", dtype, 64, 64, {}), "values", names)
    (tmp_path / "zarr.json").write_text(json.dumps(document))
    array = zarr.open_array(tmp_path, mode="r+", zarr_format=3)
    array[...] = values.view(np.uint8).reshape(64, -1) if dtype.kind == "S" else values
    key = tmp_path / ("c/0/0" if dtype.kind == "S" else "c/0")
    mine = np.empty(64, dtype)
    codec.decode(key.read_bytes(), mine)
    assert np.array_equal(mine, values)
    key.write_bytes(codec.encode(values, 64))
    read = array[...]
    assert np.array_equal(read.view(dtype).reshape(-1) if dtype.kind == "S" else read, values)


LONG = 1 << 19  # of one byte, as many as are tried
COLUMNS = {
    "noise": lambda random: random.random(LONG),
    "one decimal": lambda random: np.round(random.normal(70, 15, LONG), 1).astype("f4"),
    "runs": lambda random: np.repeat(random.random(LONG // 8), 8),
    "row numbers": lambda random: np.arange(LONG),
    "keys": lambda random: np.sort(random.integers(0, 5 * LONG, LONG)),
    "ages": lambda random: random.integers(0, 100, LONG).astype("i4"),
    "codes": lambda random: random.integers(0, 5, LONG).astype("i1"),
    "flags": lambda random: random.random(LONG) < 0.01,
    "zeros": lambda random: np.zeros(LONG),
    "identifiers": lambda random: np.char.mod("P%09d", random.integers(0, 10**8, LONG)).astype("S"),
    "wider than a frame can name": lambda random: random.bytes(300 * 2048),
}


def column(name: str) -> np.ndarray:
    values = COLUMNS[name](np.random.default_rng(7))
    return np.frombuffer(values, "S300") if isinstance(values, bytes) else values


@pytest.mark.parametrize("name", COLUMNS)
def test_zarr_reads_every_packing(tmp_path, name):
    """A frame says how it is packed; the document names another way than most chunks have."""
    values = column(name)
    dtype, rows = values.dtype, len(values)
    names = dimensions_of("values", dtype)
    document = array_document(StoredArray("x", dtype, rows, rows, {}), "values", names)
    (tmp_path / "zarr.json").write_text(json.dumps(document))
    (tmp_path / "c").mkdir()
    codec, packer = ChunkCodec("values", dtype), Packer("values", dtype)
    for packing in (packer.usual, *packer._others):
        codec._packer._chosen, codec._packer._ratio = packing, 1.0
        encoded = codec.encode(values, rows)
        assert encoded[:-4] == packing.pack(values.view(np.uint8))
        mine = np.empty(rows, dtype)
        codec.decode(encoded, mine)
        assert np.array_equal(mine, values)
        key = tmp_path / ("c/0/0" if dtype.kind == "S" else "c/0")
        key.parent.mkdir(exist_ok=True)
        key.write_bytes(encoded)
        read = zarr.open_array(tmp_path, mode="r", zarr_format=3)[...]
        read = read.reshape(-1).view(dtype) if dtype.kind == "S" else read
        assert np.array_equal(read, values)


@pytest.mark.parametrize("name", COLUMNS)
def test_what_is_chosen_is_not_larger(name):
    values = column(name)
    packer, data = Packer("values", values.dtype), values.view(np.uint8)
    found = [len(packer.pack(data)) for _ in range(2)]
    # 2 % of a sample, which is a part of it.
    assert max(found) <= 1.04 * len(packer.usual.pack(data)) + 64


def test_a_column_that_becomes_another_is_tried_again(monkeypatch):
    tried = []
    monkeypatch.setattr(
        Packer, "_tried", lambda self, data, real=Packer._tried: tried.append(1) or real(self, data)
    )
    packer = Packer("values", np.dtype("f8"))
    for name, trials in (("zeros", 1), ("zeros", 1), ("noise", 1), ("noise", 2), ("noise", 2)):
        packer.pack(column(name).view(np.uint8))
        assert len(tried) == trials, name


@pytest.mark.parametrize(
    "codecs",
    [
        {"compressors": [GzipCodec()]},
        {"compressors": None, "filters": [TransposeCodec(order=(0,))]},
        {"compressors": [BloscCodec(cname="lz4", shuffle="noshuffle")]},
        {"serializer": BytesCodec(endian="big"), "compressors": [BloscCodec(), Crc32cCodec()]},
    ],
)
def test_other_codecs_are_decoded_by_zarr(tmp_path, codecs):
    """A chunk with codecs that are not ours comes out right as well."""
    values = np.arange(40, dtype="int32")
    array = zarr.create_array(tmp_path / "x", shape=(40,), chunks=(40,), dtype="int32", **codecs)
    array[...] = values
    document = json.loads((tmp_path / "x" / "zarr.json").read_text())
    encoded = (tmp_path / "x" / "c" / "0").read_bytes()
    assert np.array_equal(decode_foreign(document, encoded, values.dtype), values)


def test_a_dataset_with_other_codecs_can_be_read_and_changed(tmp_path):
    """An array whose codecs are not ours is read through zarr, and written anew with ours."""
    url = str(tmp_path / "x.zarr")
    with Session(row_block=10) as s:
        s.open_dataset(url, "w", "d").create_dataframe("t").create_numeric("f", "int32").data.write(
            np.arange(25)
        )
    recode(Path(url), "t/f/values")
    with Session() as s:
        field = s.open_dataset(url, "r+", "d")["t"]["f"]
        assert field.data[:].tolist() == list(range(25))
        field.data[3] = -3
        field.data.write([99])
    with Session() as s:
        field = s.open_dataset(url, "r", "d")["t"]["f"]
        assert field.data[:].tolist() == [0, 1, 2, -3, *range(4, 25), 99]


def recode(root: Path, path: str) -> None:
    """Store an array of a dataset with gzip instead of our codecs, and say so in its root."""
    from exetera_zarr.storage.zarr import layout

    node = root / path
    values = zarr.open_array(node, mode="r")[...]
    array = zarr.create_array(
        node,
        shape=values.shape,
        chunks=(10,),
        dtype=values.dtype,
        compressors=[GzipCodec()],
        overwrite=True,
    )
    array[...] = values
    document = json.loads((root / "zarr.json").read_text())
    below = document["consolidated_metadata"]["metadata"]
    below[path] = json.loads((node / "zarr.json").read_text())
    attributes = document["attributes"]
    facts = attributes.pop("exetera")
    facts.pop("checksum")
    data = layout.encode(below, facts, attributes)
    newest = min((root / "__exetera__" / "commits").iterdir())
    newest.write_bytes(data)
    (root / "zarr.json").write_bytes(data)


def test_the_consolidated_metadata_is_what_zarr_would_consolidate(tmp_path):
    """Consolidating again changes nothing: each document says the same as its node's own."""
    url = str(tmp_path / "study.zarr")
    write_study(url, {})
    ours = json.loads((tmp_path / "study.zarr" / "zarr.json").read_text())
    below = ours["consolidated_metadata"]["metadata"]
    for path, document in below.items():
        own = json.loads((tmp_path / "study.zarr" / path / "zarr.json").read_text())
        assert own == document, path
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        group = zarr.open_group(url, mode="r", zarr_format=3)
    assert {name for name, _ in group.members(max_depth=None)} == set(below)
