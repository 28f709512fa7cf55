"""What the real ExeTera 0.6 does, in an environment of its own: `python real.py COMMAND ...`."""

import json
import sys
from pathlib import Path

import numpy as np
from exetera.core.session import Session
from exetera.io.importer import import_with_schema

NUMBERS = ["bool", "float32", "float64"] + [
    f"{u}int{b}" for u in ("", "u") for b in (8, 16, 32, 64)
]
BLOCK = 1 << 18


def numbers_of(dtype, rows):
    """Any bits, so that NaNs and extremes are among them."""
    rng = np.random.default_rng(7)
    if dtype == "bool":
        return rng.integers(0, 2, rows).astype(bool)
    width = np.dtype(dtype).itemsize
    return np.frombuffer(rng.bytes(rows * width), dtype)


def text_of(row):
    return ["", "a", "naïve", '日本, "x"', "word " * (row % 7), str(row)][row % 6]


def make_fields(table, rows):
    """A field of each type."""
    for dtype in NUMBERS:
        put(table.create_numeric(f"n_{dtype}", dtype), numbers_of(dtype, rows))
    codes = np.random.default_rng(8).integers(-2, 3, rows)
    for dtype in ("int8", "int16", "int32"):
        key = {"": 0, "yes": 1, "nö": 2, "gone": -1, "other": -2}
        put(table.create_categorical(f"c_{dtype}", dtype, key), codes.astype(dtype))
    put(table.create_timestamp("when"), codes * 86400.25)
    put(table.create_fixed_string("fixed", 6), codes.astype("S6"))
    strings = table.create_indexed_string("text")
    for start in range(0, rows, BLOCK):
        strings.data.write_part([text_of(n) for n in range(start, min(start + BLOCK, rows))])
    strings.data.complete()
    table.create_indexed_string("nothing")


def put(field, values):
    for start in range(0, len(values), BLOCK):
        field.data.write_part(values[start : start + BLOCK])
    field.data.complete()


def make(path, csv, schema, rows):
    """Make a dataset: fields of each type, and a table imported by every option."""
    rows = int(rows)
    with Session() as s:
        ds = s.open_dataset(path, "w", "made")
        make_fields(ds.create_dataframe("made"), rows)
        make_fields(ds.create_dataframe("few"), 5)
        ds.create_dataframe("no_fields")
    with Session() as s:
        import_with_schema(
            s,
            path,
            "made",
            schema,
            {"imported": csv},
            False,
            timestamp="2022-02-02 00:00:00.000000+00:00",
        )


def dump(path, folder):
    """Save every array of every field, as ExeTera reads it."""
    folder = Path(folder)
    folder.mkdir()
    found = []
    with Session() as s:
        ds = s.open_dataset(path, "r", "dumped")
        for name in sorted(ds.keys()):
            for field_name in sorted(ds[name].keys()):
                field = ds[name][field_name]
                about = {
                    "table": name,
                    "field": field_name,
                    "class": type(field).__name__,
                    "rows": len(field),
                }
                if hasattr(field, "indices"):
                    arrays = {"index": field.indices[:], "values": field.values[:]}
                else:
                    arrays = {"values": field.data[:]}
                if hasattr(field, "keys"):
                    about["keys"] = sorted((int(c), bytes(k).hex()) for c, k in field.keys.items())
                for role, values in arrays.items():
                    np.save(folder / f"{len(found)}.{role}.npy", values)
                found.append(about)
    (folder / "index.json").write_text(json.dumps(found))


def change(path):
    """Go on with a file that somebody else has made: append, add, rename, delete, filter."""
    with Session() as s:
        ds = s.open_dataset(path, "r+", "changed")
        table = ds["made"]
        for field in table.values():
            if hasattr(field, "indices"):
                field.data.write(["appended", ""])
            else:
                field.data.write(field.data[:2])
        table.create_numeric("added", "int16").data.write(np.arange(3, dtype="int16"))
        table.rename("when", "renamed")
        del table["n_int8"]
        copy = ds.create_dataframe("filtered")
        keep = np.arange(len(ds["few"]["when"])) % 2 == 0
        ds["few"].apply_filter(keep, copy)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
