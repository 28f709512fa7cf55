"""Writes what a dataset holds as JSON, reading it as a program written for ExeTera does."""

import json
import sys

import numpy as np
from exetera.core import fields
from exetera.core.session import Session

TYPES = {
    "indexed string": (fields.IndexedStringField, fields.IndexedStringMemField),
    "fixed string": (fields.FixedStringField, fields.FixedStringMemField),
    "categorical": (fields.CategoricalField, fields.CategoricalMemField),
    "timestamp": (fields.TimestampField, fields.TimestampMemField),
    "numeric": (fields.NumericField, fields.NumericMemField),
}


def type_of(field):
    (found,) = [name for name, classes in TYPES.items() if isinstance(field, classes)]
    return found


def plain(value):
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, float) and np.isnan(value):
        return "nan"
    return value


def dump_field(field):
    kind = type_of(field)
    values = field.data[:]
    found = {"type": kind, "values": [plain(v) for v in np.asarray(values).tolist()]}
    if kind == "categorical":
        found["keys"] = {str(code): plain(name) for code, name in sorted(field.keys.items())}
    if kind != "indexed string":
        found["dtype"] = str(field.data.dtype)
        found["spans"] = len(field.get_spans()) if field.data.dtype != bool else None
    found["sorted"] = bool(field.is_sorted())
    return found


def dump_table(table):
    found = {name: dump_field(table[name]) for name in sorted(table.keys())}
    described = [
        name for name, field in found.items() if field.get("dtype") != "bool" and field["values"]
    ]
    return {"fields": found, "describe": table.describe(include=described, output="none")}


def main(path, out):
    with Session() as s:
        ds = s.open_dataset(path, "r", "dumped")
        found = {name: dump_table(ds[name]) for name in sorted(ds.keys())}
    with open(out, "w", encoding="utf-8") as file:
        json.dump(found, file, ensure_ascii=False, default=plain)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
