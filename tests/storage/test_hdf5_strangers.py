"""HDF5 files of a stranger: what they claim to have is looked at before there is room for it.

Each file has beside a good field one that is not as it should be. The good one is read in any case,
the other is right, passed over with a word, or an error of ours, and nothing elsewhere is touched.
"""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from exetera_zarr import ExeteraError, Session
from exetera_zarr.errors import CorruptDataError
from exetera_zarr.storage.hdf5.notes import ATTRIBUTE
from support.strangers import nothing_else_changes, use_it_all

h5py = pytest.importorskip("h5py")

GOOD = [0, 1, 2, 3, 4, 5]
SECRET = [77, 77, 77]


def field(file, kind, name="x"):
    group = file.require_group("t").create_group(name)
    group.attrs["fieldtype"] = kind
    group.attrs["nformat"] = kind.rpartition(",")[2]
    return group


def numbers(file, **options):
    """A field of which the options of h5py say how it is stored."""
    return field(file, "numeric,int32").create_dataset("values", data=GOOD, dtype="i4", **options)


def test_hostile_files_are_told_apart():
    assert len(WRONG) + len(RIGHT) + len(FILES) >= 100


# -- files of which one field cannot be read


WRONG: dict[str, Callable] = {}
RIGHT: dict[str, tuple[Callable, list]] = {}
FILES: dict[str, Callable] = {}


def wrong(make):
    WRONG[make.__name__] = make
    return make


def right(expected):
    def noted(make):
        RIGHT[make.__name__] = make, expected
        return make

    return noted


def secret(file):
    """Another file, beside this one, whose content is nobody's business here."""
    return str(Path(file.filename).parent / "secret.hdf5")


@wrong
def a_field_by_an_external_link(file):
    file.require_group("t")["x"] = h5py.ExternalLink(secret(file), "/t/x")


@wrong
def a_table_by_an_external_link(file):
    file["u"] = h5py.ExternalLink(secret(file), "/t")


@wrong
def values_by_an_external_link(file):
    field(file, "numeric,int32")["values"] = h5py.ExternalLink(secret(file), "/t/x/values")


@wrong
def an_external_link_to_itself(file):
    file["u"] = h5py.ExternalLink(file.filename, "/u")


@wrong
def an_external_link_to_a_device(file):
    file["u"] = h5py.ExternalLink("/dev/zero", "/t")


@wrong
def a_field_by_a_soft_link(file):
    file.require_group("t")["x"] = h5py.SoftLink("/good/y")


@wrong
def a_soft_link_to_itself(file):
    file.require_group("t")["x"] = h5py.SoftLink("/t/x")


@wrong
def soft_links_in_a_circle(file):
    file["a"], file["b"] = h5py.SoftLink("/b"), h5py.SoftLink("/a")


@wrong
def a_link_to_nothing(file):
    file.require_group("t")["x"] = h5py.SoftLink("/nothing")


@wrong
def a_table_in_itself(file):
    group = file.require_group("t")
    group["x"] = group


@wrong
def the_root_in_a_table(file):
    file.require_group("t")["x"] = file["/"]


@wrong
def a_field_in_itself(file):
    group = field(file, "numeric,int32")
    group["values"] = group


@wrong
def two_tables_in_each_other(file):
    file.create_group("a")["b"] = file.create_group("b")
    file["b"]["a"] = file["a"]


@wrong
def bytes_in_another_file(file):
    out = Path(file.filename).parent / "secret.hdf5"
    field(file, "numeric,int8").create_dataset("values", (3,), "i1", external=[(str(out), 0, 3)])


@wrong
def bytes_in_a_file_of_the_system(file):
    given = [("/etc/passwd", 0, 64)]
    field(file, "numeric,uint8").create_dataset("values", (64,), "u1", external=given)


@wrong
def bytes_in_a_file_that_writing_would_make(file):
    out = Path(file.filename).parent / "made"
    field(file, "numeric,int8").create_dataset("values", (3,), "i1", external=[(str(out), 0, 3)])


@wrong
def a_virtual_dataset(file):
    layout = h5py.VirtualLayout((3,), "i4")
    layout[:] = h5py.VirtualSource(secret(file), "/t/x/values", (3,), "i4")
    field(file, "numeric,int32").create_virtual_dataset("values", layout)


@wrong
def a_virtual_dataset_of_itself(file):
    layout = h5py.VirtualLayout((3,), "i4")
    layout[:] = h5py.VirtualSource(".", "/t/x/values", (3,), "i4")
    field(file, "numeric,int32").create_virtual_dataset("values", layout)


@wrong
def virtual_names_of_categories(file):
    group = field(file, "categorical,int8")
    group.create_dataset("values", data=np.zeros(3, "i1"))
    group.create_dataset("key_values", data=[77, 78, 79])
    layout = h5py.VirtualLayout((3,), "S4")
    layout[:] = h5py.VirtualSource(secret(file), "/t/x/values", (3,), "S4")
    group.create_virtual_dataset("key_names", layout)


def of_type(dtype, kind="numeric,int32", shape=(3,)):
    def make(file):
        field(file, kind).create_dataset("values", shape, dtype)

    return make


TYPES = {
    "compound": [("a", "i4"), ("b", "f8")],
    "arrays": np.dtype(("i4", (2, 2))),
    "texts of any length": h5py.string_dtype(),
    "lists of any length": h5py.vlen_dtype("i4"),
    "references": h5py.ref_dtype,
    "references to regions": h5py.regionref_dtype,
    "opaque": np.dtype("V16"),
    "complex": "c16",
    "half": "f2",
    "long": np.longdouble,
    "other numbers": "i8",
    "unsigned": "u4",
    "texts": "S4",
    "truth": "?",
}
for _name, _dtype in TYPES.items():
    WRONG[f"values of the type {_name}"] = of_type(_dtype)
    WRONG[f"codes of the type {_name}"] = of_type(_dtype, "categorical,int32")
    if _name != "texts":
        WRONG[f"strings of the type {_name}"] = of_type(_dtype, "fixedstring,4")
        WRONG[f"moments of the type {_name}"] = of_type(_dtype, "timestamp")
for _shape in [(), (3, 3), (2, 2, 2)]:
    WRONG[f"values of the shape {_shape}"] = of_type("i4", shape=_shape)
WRONG["values without a shape"] = lambda file: field(file, "numeric,int32").create_dataset(
    "values", data=h5py.Empty("i4")
)


@wrong
def a_group_for_values(file):
    field(file, "numeric,int32").create_group("values")


@wrong
def a_type_for_values(file):
    field(file, "numeric,int32")["values"] = np.dtype("i4")


@wrong
def a_type_for_a_field(file):
    file.require_group("t")["x"] = np.dtype("i4")


@wrong
def a_dataset_for_a_field(file):
    file.require_group("t").create_dataset("x", data=GOOD)


def typed(value):
    def make(file):
        group = field(file, "numeric,int32")
        group.create_dataset("values", data=GOOD, dtype="i4")
        del group.attrs["fieldtype"]
        group.attrs["fieldtype"] = value

    return make


FIELDTYPES = {
    "a number": 5,
    "a fraction": 0.5,
    "several": ["numeric,int32", "numeric,int8"],
    "no numbers": np.zeros(0, "i4"),
    "nothing": h5py.Empty("S1"),
    "compound": np.array((1, 2.0), [("a", "i4"), ("b", "f8")]),
    "unknown": "pickle,object",
    "empty": "",
    "no text": np.bytes_(b"\xff\xfe"),
    "a command": "\x1b[2Jnumeric,int32",
    "long": "x" * 60_000,
    "strings": "indexedstring",
    "fixed": "fixedstring,4",
    "without end": "fixedstring,99999999999999999999",
    "below zero": "fixedstring,-1",
}
for _name, _value in FIELDTYPES.items():
    WRONG[f"a type that is {_name}"] = typed(_value)


def offsets_of(*offsets, dtype="i8"):
    def make(file):
        group = field(file, "indexedstring")
        group.create_dataset("index", data=np.array(offsets, dtype))
        group.create_dataset("values", data=np.frombuffer(b"abcdef", "u1"))

    return make


OFFSETS = {
    "decrease": (0, 4, 2, 6),
    "are below zero": (-6, -3, 0, 3),
    "begin below zero": (-1, 2, 4, 6),
    "lead beyond": (0, 2, 4, 7),
    "lead far beyond": (0, 2, 4, 2**62),
    "turn over": (0, 2**62, -(2**62), 6),
    "lead beyond and back": (0, 100, 3, 6),
    "are the least": (-(2**63),) * 4,
}
for _name, _offsets in OFFSETS.items():
    WRONG[f"offsets that {_name}"] = offsets_of(*_offsets)
WRONG["offsets that are fractions"] = offsets_of(0, 2, 4, 6, dtype="f8")
WRONG["offsets that are short"] = offsets_of(0, 2, 4, 6, dtype="i4")


@wrong
def a_filter_that_there_is_not(file):
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((6,))
    plan.set_filter(305, h5py.h5z.FLAG_OPTIONAL, (1, 2, 3))
    space = h5py.h5s.create_simple((6,))
    group = field(file, "numeric,int32")
    h5py.h5d.create(group.id, b"values", h5py.h5t.NATIVE_INT32, space, plan)


@wrong
def a_filter_that_takes_any_word(file):
    numbers(file, chunks=(6,), scaleoffset=0)


@wrong
def a_filter_twice(file):
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((6,))
    plan.set_deflate(1)
    plan.set_deflate(1)
    space = h5py.h5s.create_simple((6,))
    group = field(file, "numeric,int32")
    h5py.h5d.create(group.id, b"values", h5py.h5t.NATIVE_INT32, space, plan)


def packed(data, mask=0, compression="gzip", **options):
    """A chunk of 1,000 numbers that is those bytes."""

    def make(file):
        group = field(file, "numeric,int32")
        made = group.create_dataset(
            "values", (1000,), "i4", chunks=(1000,), compression=compression, **options
        )
        made.id.write_direct_chunk((0,), data() if callable(data) else data, mask)

    return make


def bomb():
    """What comes to a gigabyte, made of one piece."""
    stream, zeros = zlib.compressobj(9), bytes(16 << 20)
    first, again = (stream.compress(zeros) + stream.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first + again * 63


WHOLE = zlib.compress(bytes(4000), 9)
CHUNKS = {
    "grows": bomb,
    "grows a little": lambda: zlib.compress(bytes(4001)),
    "grows to three thousand times": lambda: zlib.compress(bytes(4 << 20)),
    "is short": zlib.compress(b"abc"),
    "is empty": zlib.compress(b""),
    "is a byte short": zlib.compress(bytes(3999)),
    "has no end": WHOLE[:-6],
    "is nothing that was packed": b"\x00" * 50,
    "has a wrong sum": WHOLE[:-1] + bytes([WHOLE[-1] ^ 1]),
}
for _name, _data in CHUNKS.items():
    WRONG[f"a chunk that {_name}"] = packed(_data)
    WRONG[f"a shuffled chunk that {_name}"] = packed(_data, shuffle=True)
WRONG["a chunk that was not packed, and is short"] = packed(b"abc", 1)
WRONG["a chunk that was not packed, and is long"] = packed(bytes(5000), 1)
WRONG["a chunk of lzf that is short"] = packed(bytes([2]) + b"abc", compression="lzf")
WRONG["a chunk of lzf that is long"] = packed(
    bytes([0, 0]) + bytes([0xFF, 0xFF, 0]) * 40, compression="lzf"
)
WRONG["a chunk of lzf that ends in the middle"] = packed(bytes([0, 0, 0xFF]), compression="lzf")
WRONG["a chunk whose checksum is wrong"] = packed(WHOLE + b"1234", fletcher32=True)


@wrong
def short_chunks_of_codes(file):
    """They are read when the file is opened."""
    group = field(file, "categorical,int8")
    group.create_dataset("values", data=np.zeros(3, "i1"))
    group.create_dataset("key_names", data=np.array([b"a"] * 1000))
    codes = group.create_dataset(
        "key_values", (1000,), "i8", chunks=(1000,), compression="gzip", compression_opts=1
    )
    codes.id.write_direct_chunk((0,), zlib.compress(b"abc"))


def rows(kind, dtype, count, chunk):
    def make(file):
        field(file, kind).create_dataset("values", (count,), dtype, chunks=(chunk,))

    return make


WRONG["numbers that are not there"] = rows("numeric,int64", "i8", 2**40, 2**20)
WRONG["texts that are not there"] = rows("fixedstring,1000000", "S1000000", 10**9, 1)
WRONG["chunks without number"] = rows("numeric,int8", "i1", 2**50, 1)


@wrong
def offsets_that_are_not_there(file):
    group = field(file, "indexedstring")
    group.create_dataset("index", (2**36,), "i8", chunks=(2**20,))
    group.create_dataset("values", (2**40,), "u1", chunks=(2**20,))


@wrong
def contiguous_numbers_that_are_not_there(file):
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_alloc_time(h5py.h5d.ALLOC_TIME_LATE)
    space = h5py.h5s.create_simple((2**40,))
    group = field(file, "numeric,int64")
    h5py.h5d.create(group.id, b"values", h5py.h5t.NATIVE_INT64, space, plan)


def categories(names, codes, dtype=None):
    def make(file):
        group = field(file, "categorical,int8")
        group.create_dataset("values", data=np.zeros(3, "i1"))
        if names is not None:
            group.create_dataset("key_names", data=names)
        if codes is not None:
            group.create_dataset("key_values", data=codes, dtype=dtype)

    return make


WRONG["more names than codes"] = categories([b"a", b"b"], [0])
WRONG["codes that are fractions"] = categories([b"a", b"b"], [0.5, 1.5])
WRONG["codes that are texts"] = categories([b"a", b"b"], [b"0", b"1"])
WRONG["names that are numbers"] = categories([1, 2], [0, 1])
WRONG["codes in two dimensions"] = categories([[b"a"]], [[0]])
WRONG["many names in many chunks"] = lambda file: [
    categories(None, None)(file),
    file["t/x"].create_dataset("key_names", (2**20,), "S1", chunks=(1,)),
    file["t/x"].create_dataset("key_values", (2**20,), "i1", chunks=(1,)),
]


@wrong
def names_of_categories_that_take_more_than_they_may(file):
    group = field(file, "categorical,int8")
    group.create_dataset("values", data=np.zeros(3, "i1"))
    names = group.create_dataset("key_names", (700,), h5py.string_dtype())
    names[:] = "b" * 100_000
    group.create_dataset("key_values", data=np.arange(700))


@pytest.fixture
def there(tmp_path):
    """Where a file is to be made, and what is beside it."""
    with h5py.File(tmp_path / "secret.hdf5", "w") as file:
        field(file, "numeric,int32").create_dataset("values", data=SECRET, dtype="i4")
    (tmp_path / "other").write_text("x")
    with nothing_else_changes(tmp_path, tmp_path / "x.hdf5"):
        yield tmp_path / "x.hdf5"


def made(there, make):
    with h5py.File(there, "w") as file:
        good = file.create_group("good").create_group("y")
        good.attrs["fieldtype"] = "numeric,int32"
        good.create_dataset("values", data=GOOD, dtype="i4")
        make(file)


def used(there):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning)  # of what is passed over
        return use_it_all(there)


def found(there, name="x", table="t"):
    """The values of a field; None where it is passed over, or the error that reading it is."""
    with Session() as session, warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning)
        dataset = session.open_dataset(there, "r", "d")
        if table not in dataset or name not in dataset[table]:
            return None
        try:
            return list(dataset[table][name].data[:])
        except ExeteraError as error:
            return error


@pytest.mark.parametrize("make", WRONG.values(), ids=WRONG)
def test_a_field_that_is_not_what_it_says(there, make):
    made(there, make)
    assert found(there, "y", "good") == GOOD
    wrong = found(there)
    assert wrong is None or isinstance(wrong, ExeteraError), wrong
    used(there)


@right([1, 2, 3])
def big_endian(file):
    field(file, "numeric,int32").create_dataset("values", data=np.array([1, 2, 3], ">i4"))


@right([1.5, 2.5])
def big_endian_moments(file):
    field(file, "timestamp").create_dataset("values", data=np.array([1.5, 2.5], ">f8"))


@right([0, 1, 0])
def an_enum(file):
    kind = h5py.enum_dtype({"f": 0, "m": 1}, "i1")
    field(file, "numeric,int8").create_dataset("values", data=np.array([0, 1, 0], "i1"), dtype=kind)


@right(GOOD)
def packed_as_h5py_does_it(file):
    numbers(file, chunks=(4,), compression="gzip", shuffle=True, fletcher32=True)


@right(GOOD)
def packed_by_lzf(file):
    numbers(file, chunks=(4,), compression="lzf", shuffle=True)


@right(GOOD)
def with_a_checksum_alone(file):
    numbers(file, chunks=(4,), fletcher32=True)


@right([*range(1000)])
def left_unpacked(file):
    packed(np.arange(1000, dtype="i4").tobytes(), 1)(file)


@right([])
def none_at_all(file):
    field(file, "numeric,int32").create_dataset("values", (0,), "i4", maxshape=(None,))


@right(["ab", "cd", "ef"])
def strings_as_they_should_be(file):
    offsets_of(0, 2, 4, 6)(file)


@right(["b", "cd"])
def strings_that_begin_later(file):
    offsets_of(1, 2, 4)(file)


@pytest.mark.parametrize(("make", "expected"), RIGHT.values(), ids=RIGHT)
def test_a_field_that_is_unusual(there, make, expected):
    made(there, make)
    assert found(there) == expected
    assert found(there, "y", "good") == GOOD
    errors = used(there)
    assert errors["_read"] is None
    assert errors["_verify"] is None


# -- names


NAMES = {
    "a command": "\x1b[2J\x1b[31mred",
    "a line break": "a\nb",
    "turned": "a\u202eb",
    "dots": "...",
    "a percent sign": "%2e%2e",
    "our own": "__exetera__",
    "a document": "zarr.json",
    "long": "x" * 60_000,
    "a space": " ",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_name(there, name, capsys):
    made(
        there,
        lambda file: field(file, "numeric,int8", name).create_dataset(
            "values", data=[1], dtype="i1"
        ),
    )
    errors = used(there)
    assert errors["_read"] is None
    assert "\x1b" not in capsys.readouterr().out
    with Session() as session:
        dataset = session.open_dataset(there, "r", "d")
        assert all(character.isprintable() for character in repr(dataset["t"]).replace("\n", ""))


def test_a_name_that_is_not_utf8(there):
    made(there, lambda file: file["good"].__setitem__(b"\xff\xfe", h5py.SoftLink("/good/y")))
    assert found(there, "y", "good") == GOOD
    used(there)


# -- what we note in files


def deep(depth):
    return "[" * depth + "]" * depth


NOTES = {
    "no JSON": "{",
    "a list": "[]",
    "deep": deep(100_000),
    "a number": "5",
    "another order": json.dumps({"order": [5, None, [], {}, "y", "y", "nothing"]}),
    "an order that is none": json.dumps({"order": 5}),
    "a wrong name": json.dumps({"name": "..", "version": -1, "row_block": -5}),
    "wrong types": json.dumps({"name": [], "version": "x", "row_block": {}, "attributes": 5}),
    "other attributes": json.dumps({"attributes": {"fieldtype": "indexedstring", "key": 5}}),
    "large numbers": json.dumps({"version": 10**30, "row_block": 2**80}),
    "a lone surrogate": json.dumps({"name": "\ud800"}),
    "NUL": json.dumps({"name": "a\0b", "order": ["\0"]}),
    "a long number": '{"version": ' + "9" * 10_000 + "}",
    "not a number": '{"row_block": NaN, "version": Infinity}',
}


@pytest.mark.parametrize("where", ["/", "good", "good/y"])
@pytest.mark.parametrize("note", NOTES.values(), ids=NOTES)
def test_a_note(there, note, where):
    def make(file):
        kind = h5py.string_dtype()
        file[where].attrs.create(ATTRIBUTE, note, dtype=kind)

    made(there, make)
    errors = used(there)
    assert not isinstance(errors["_read"], CorruptDataError) or "name" in str(errors["_read"])


@pytest.mark.parametrize("where", ["good", "good/y"])
@pytest.mark.parametrize(
    "codebook",
    [None, 5, {"label": 5}, {"label": "\ud800"}, {"missing_codes": [[1, 2]]}, {"annotations": []}],
    ids=str,
)
def test_a_codebook_that_is_none(there, codebook, where, caplog):
    """As other damage: what has it is passed over, and told, and nothing else is lost."""

    def make(file):
        note = json.dumps({"attributes": {"codebook": codebook}})
        file[where].attrs.create(ATTRIBUTE, note, dtype=h5py.string_dtype())
        field(file, "numeric,int8").create_dataset("values", data=[1], dtype="i1")

    made(there, make)
    with Session() as session:
        with pytest.warns(UserWarning, match="codebook"):
            dataset = session.open_dataset(there, "r", "d")
        assert dataset["t"]["x"].data[:].tolist() == [1]
        assert "good" not in dataset or "y" not in dataset["good"]
    used(there)


# -- files


def whole_file(make):
    FILES[make.__name__] = make
    return make


@whole_file
def cut_in_the_middle(there):
    data = there.read_bytes()
    there.write_bytes(data[: len(data) // 2])


@whole_file
def nothing_but_a_signature(there):
    there.write_bytes(there.read_bytes()[:8])


@whole_file
def an_empty_file(there):
    there.write_bytes(b"")


@whole_file
def zeros_behind_the_signature(there):
    there.write_bytes(there.read_bytes()[:8] + bytes(4096))


@whole_file
def another_superblock(there):
    data = bytearray(there.read_bytes())
    data[8:80] = b"\xff" * 72
    there.write_bytes(data)


@whole_file
def a_file_that_ends_far_away(there):
    with there.open("r+b") as file:
        file.truncate(1 << 40)


@whole_file
def zeros_for_groups(there):
    data = bytearray(there.read_bytes())
    data[96:400] = bytes(304)
    there.write_bytes(data)


@pytest.mark.parametrize("change", FILES.values(), ids=FILES)
def test_a_file_that_is_not_whole(there, change):
    made(there, lambda _: None)
    change(there)
    used(there)


def test_a_user_block(there):
    """What stands before the file is not ours, and stays."""
    with h5py.File(there, "w", userblock_size=1024) as file:
        good = file.create_group("good").create_group("y")
        good.attrs["fieldtype"] = "numeric,int32"
        good.create_dataset("values", data=GOOD, dtype="i4")
    data = bytearray(there.read_bytes())
    data[:1024] = b"#!/bin/sh\n" + bytes(1014)
    there.write_bytes(data)
    assert found(there, "y", "good") == GOOD
    with Session() as session:
        session.open_dataset(there, "r+", "d")["good"]["y"].data[0] = 9
    assert found(there, "y", "good") == [9, *GOOD[1:]]
    assert there.read_bytes()[:10] == b"#!/bin/sh\n"


def test_deep_groups(there):
    def make(file):
        group = file
        for _ in range(10_000):
            group = group.create_group("a")

    made(there, make)
    assert found(there, "y", "good") == GOOD
    used(there)


def test_a_bomb_takes_no_memory(tmp_path):
    """A chunk of a gigabyte, one string of many categories, and rows that are not there."""
    for name in LARGE:
        folder = tmp_path / name
        folder.mkdir()
        made(folder / "x.hdf5", WRONG[name])
    command = [sys.executable, "-c", MEMORY, str(tmp_path), str(Path(__file__).parent.parent)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) < 300


LARGE = (
    "a chunk that grows",
    "numbers that are not there",
    "offsets_that_are_not_there",
    "names_of_categories_that_take_more_than_they_may",
)
MEMORY = """
import sys, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, sys.argv[2])
from pathlib import Path
import pandas
from support.strangers import use_it_all
def peak():
    lines = open("/proc/self/status")
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) >> 10
before = peak()
for there in Path(sys.argv[1]).glob("*/x.hdf5"):
    use_it_all(there)
print(peak() - before)
"""


@pytest.mark.slow
def test_many_names_of_categories(there):
    """As many as there may be are read within the time."""

    def make(file):
        group = field(file, "categorical,int32")
        group.create_dataset("values", data=np.zeros(3, "i4"))
        count = 1 << 20
        group.create_dataset("key_values", data=np.arange(count, dtype="i4"))
        group.create_dataset("key_names", data=np.array([f"n{n}".encode() for n in range(count)]))

    made(there, make)
    assert used(there)["_read"] is None
