"""HDF5 files as others make them: ExeTera's older versions, and whoever means harm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

STAMP = "2021-01-01 00:00:00+00:00"


def put(group: Any, role: str, values: Any, chunk: int = 1024, **more: Any) -> Any:
    """A dataset as ExeTera makes it."""
    values = np.asarray(values) if not isinstance(values, list) else values
    dataset = group.create_dataset(role, data=values, maxshape=(None,), chunks=(chunk,), **more)
    dataset.attrs["completed"] = True
    return dataset


def field(table: Any, name: str, fieldtype: str, **attributes: Any) -> Any:
    """The group of a field, as ExeTera 0.6 makes it."""
    group = table.create_group(name)
    about = {"fieldtype": fieldtype, "chunksize": 1 << 20, "timestamp": 1 << 20, **attributes}
    group.attrs.update(about)
    return group


def strings(group: Any, texts: list[str], chunk: int = 1024) -> None:
    """The arrays of an indexed string field."""
    data = [text.encode() for text in texts]
    put(group, "index", np.cumsum([0, *map(len, data)]).astype("int64"), chunk)
    put(group, "values", np.frombuffer(b"".join(data), "uint8"), chunk)


def keys(group: Any, key: dict[str, int]) -> None:
    """The key of a categorical field."""
    put(group, "key_values", np.asarray(list(key.values()), "int8"))
    put(group, "key_names", list(key), dtype=h5py.string_dtype())


def made_by_06(path: Path) -> None:
    """A table with a field of each type, as ExeTera 0.6 writes it."""
    with h5py.File(path, "w") as file:
        table = file.create_group("patients")
        put(
            field(table, "age", "numeric,int32", nformat="int32"),
            "values",
            np.arange(5, dtype="i4"),
        )
        put(
            field(table, "well", "numeric,bool", nformat="bool"),
            "values",
            np.array([True, False, True, True, False]),
        )
        sex = field(table, "sex", "categorical,int8", nformat="int8")
        put(sex, "values", np.array([0, 1, 2, 1, 0], "int8"))
        keys(sex, {"": 0, "female": 1, "mäle": 2})
        put(
            field(table, "code", "fixedstring,3", strlen=3),
            "values",
            np.array([b"a", b"bcd"] * 2, "S3"),
        )
        put(field(table, "seen", "timestamp"), "values", np.array([0.5, 1.5, -1.0]))
        strings(field(table, "note", "indexedstring"), ["", "one", "zwei ä", "", "5"])
        empty = field(table, "unused", "indexedstring")
        put(empty, "index", np.empty(0, "int64"))
        put(empty, "values", np.empty(0, "uint8"))


def made_by_04(path: Path) -> None:
    """What 0.4 imported: string timestamps, huge chunks, days beside dates, and the trash."""
    with h5py.File(path, "w") as file:
        table = file.create_group("assessments")

        def old(name: str, fieldtype: str, **attributes: Any) -> Any:
            about = {"timestamp": STAMP, "completed": True, **attributes}
            return field(table, name, fieldtype, **about)

        chunk = 1 << 20
        put(
            old("temperature", "numeric,float32", nformat="float32"),
            "values",
            np.array([36.5, 0], "f4"),
            chunk,
        )
        put(
            old("temperature_valid", "numeric,bool", nformat="bool"),
            "values",
            np.array([True, False]),
            chunk,
        )
        tested = old("tested", "categorical")
        put(tested, "values", np.array([2, 1], "int8"), chunk)
        keys(tested, {"freetext": -1, "": 0, "no": 1, "yes": 2})
        put(old("created_at", "datetime"), "values", np.array([1e9, 2e9]), chunk)
        put(
            old("created_at_day", "fixedstring,10", strlen="10"),
            "values",
            np.array([b"2001-09-09", b"2033-05-18"]),
            chunk,
        )
        put(old("born", "date"), "values", np.array([0.0, 86400.0]), chunk)
        put(old("born_set", "boolean", nformat="bool"), "values", np.array([True, True]), chunk)
        strings(old("note", "indexedstring"), ["first", "second"], chunk)
        old("never_flushed", "numeric,int16", nformat="int16")
        old("never_flushed_text", "indexedstring")
        old("never_flushed_code", "fixedstring,4", strlen="4")
        trash = file.create_group("trash/assessments/1f2e")
        put(field(trash, "note", "numeric,int8", nformat="int8"), "values", np.zeros(3, "int8"))


def fields_at_the_top(path: Path) -> None:
    """What a script of before 0.5 makes in a file that it opened: fields in no table."""
    with h5py.File(path, "w") as file:
        put(field(file, "foo", "numeric,int64", nformat="int64"), "values", np.arange(3))
        strings(field(file, "bar", "indexedstring"), ["x", "yz", ""])


# -- files that are damaged, or meant to do damage


def _good(table: Any) -> None:
    put(field(table, "good", "numeric,int32", nformat="int32"), "values", np.arange(3, dtype="i4"))


def _elsewhere(path: Path) -> Path:
    secret = path.with_name("secret.hdf5")
    with h5py.File(secret, "w") as file:
        _good(file.create_group("secrets"))
        file["secrets/good/values"][:] = 42
        _good(file.create_group("others"))
    return secret


def external_link(path: Path) -> None:
    with h5py.File(path, "w") as file:
        _good(file.create_group("t"))
        file["t/bad"] = h5py.ExternalLink(str(_elsewhere(path)), "/secrets/good")
        file["also_bad"] = h5py.ExternalLink(str(path.with_name("secret.hdf5")), "/others")


def external_values(path: Path) -> None:
    with h5py.File(path, "w") as file:
        _good(table := file.create_group("t"))
        bad = field(table, "bad", "numeric,int32", nformat="int32")
        bad["values"] = h5py.ExternalLink(str(_elsewhere(path)), "/secrets/good/values")


def external_storage(path: Path) -> None:
    path.with_name("secret.bin").write_bytes(b"\x2a\0\0\0" * 3)
    with h5py.File(path, "w") as file:
        _good(table := file.create_group("t"))
        bad = field(table, "bad", "numeric,int32", nformat="int32")
        bad.create_dataset(
            "values", (3,), "i4", external=[(str(path.with_name("secret.bin")), 0, 12)]
        )


def virtual_dataset(path: Path) -> None:
    layout = h5py.VirtualLayout((3,), "i4")
    layout[:] = h5py.VirtualSource(str(_elsewhere(path)), "secrets/good/values", (3,))
    with h5py.File(path, "w", libver="latest") as file:
        _good(table := file.create_group("t"))
        bad = field(table, "bad", "numeric,int32", nformat="int32")
        bad.create_virtual_dataset("values", layout)


def wrong_attributes(path: Path) -> None:
    with h5py.File(path, "w") as file:
        _good(table := file.create_group("t"))
        values = np.arange(3, dtype="i4")
        put(field(table, "bad", "numeric,float64", nformat="float64"), "values", values)
        put(field(table, "bad2", "no such type"), "values", values)
        put(field(table, "bad3", "fixedstring,3", strlen=7), "values", np.array([b"abc"] * 3))
        odd = table.create_group("bad4")
        odd.attrs["fieldtype"] = np.arange(5)
        put(odd, "values", values)
        empty = table.create_group("bad5")
        empty.attrs["fieldtype"] = h5py.Empty("f")
        two_dimensional = field(table, "bad6", "numeric,int32", nformat="int32")
        two_dimensional["values"] = np.zeros((3, 3), "i4")


def link_loop(path: Path) -> None:
    with h5py.File(path, "w") as file:
        _good(table := file.create_group("t"))
        table["bad"] = file["/"]
        table["bad2"] = table
        table["bad3"] = h5py.SoftLink("/t/bad4")
        table["bad4"] = h5py.SoftLink("/t/bad3")
        file["the bad5"] = table
        file["the bad6"] = file["/"]


def compound_and_object(path: Path) -> None:
    with h5py.File(path, "w") as file:
        _good(table := file.create_group("t"))
        pair = np.dtype([("a", "i4"), ("b", "f8")])
        field(table, "bad", "numeric,int32", nformat="int32")["values"] = np.zeros(3, pair)
        field(table, "bad2", "fixedstring,3", strlen=3).create_dataset(
            "values", data=["a", "b"], dtype=h5py.string_dtype()
        )
        field(table, "bad3", "numeric,int32", nformat="int32").create_dataset(
            "values", (3,), dtype=h5py.ref_dtype
        )
        field(table, "bad4", "numeric,int32", nformat="int32").create_dataset(
            "values", (3,), dtype=h5py.vlen_dtype("i4")
        )


def as_pandas_makes_it(path: Path) -> None:
    """The shape of ``DataFrame.to_hdf``."""
    with h5py.File(path, "w") as file:
        group = file.create_group("df")
        group.attrs["pandas_type"] = "frame"
        group["axis0"] = np.array([b"a", b"b"])
        group["block0_values"] = np.zeros((3, 2))
        _good(file.create_group("t"))


HOSTILE = [
    external_link,
    external_values,
    external_storage,
    virtual_dataset,
    wrong_attributes,
    link_loop,
    compound_and_object,
    as_pandas_makes_it,
]
"""Files with a field ``t/good``, and others that are to be passed over."""


def index_not_ascending(path: Path) -> None:
    with h5py.File(path, "w") as file:
        bad = field(file.create_group("t"), "bad", "indexedstring")
        strings(bad, ["one", "two", "three"])
        bad["index"][1] = 7


def index_beyond_values(path: Path) -> None:
    with h5py.File(path, "w") as file:
        bad = field(file.create_group("t"), "bad", "indexedstring")
        strings(bad, ["one", "two", "three"])
        bad["index"][3] = 1 << 40


def huge_declared_size(path: Path) -> None:
    with h5py.File(path, "w") as file:
        bad = field(file.create_group("t"), "bad", "numeric,float64", nformat="float64")
        bad.create_dataset("values", (1 << 50,), "f8", maxshape=(None,), chunks=(1024,))


def huge_contiguous(path: Path) -> None:
    with h5py.File(path, "w") as file:
        bad = field(file.create_group("t"), "bad", "numeric,float64", nformat="float64")
        bad.create_dataset("values", (1 << 50,), "f8")


DAMAGED = [index_not_ascending, index_beyond_values, huge_declared_size, huge_contiguous]
"""Files whose field ``t/bad`` is an error when it is read."""
