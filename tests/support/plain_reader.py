"""A reader of the format that knows docs/format.md, zarr and numcodecs, and nothing of ours."""

from __future__ import annotations

from typing import Any

import numpy as np
import zarr
from numcodecs import blosc


def read(url: Any, storage_options: Any = None) -> dict[str, dict[str, list[Any]]]:
    """The values of each field of each table, as they are stored; strings as text."""
    options = storage_options or None
    root = zarr.open_group(url, mode="r", zarr_format=3, storage_options=options)
    return {
        str(table.attrs["name"]): {
            str(field.attrs["name"]): values_of(table, field) for _, field in table.groups()
        }
        for _, table in root.groups()
    }


def values_of(table: Any, field: Any) -> list[Any]:
    """The values of a field, by zarr alone; strings as text."""
    parts = parts_of(table, field)
    if "index" not in parts:
        values = np.concatenate(parts["values"]).tolist()
        return [one.decode() if isinstance(one, bytes) else one for one in values]
    texts = []
    for index, values in zip(parts["index"], parts["values"], strict=True):
        data = values.tobytes()
        texts += [data[a:b].decode() for a, b in zip(index[:-1], index[1:], strict=True)]
    return texts


def parts_of(table: Any, field: Any) -> dict[str, list[Any]]:
    """What the arrays of a field are made of, in order: segments, then pieces of packs."""
    about = field.attrs
    packs = [name for name, _ in table.attrs.get("packs", ())]
    if "after" in about:
        packs = packs[packs.index(about["after"]) + 1 :]
    parts = {}
    for role, names in about["arrays"].items():
        names = [names] if isinstance(names, str) else names
        parts[role] = [_shaped(field[name][...], about) for name in names]
    for name in packs:
        data = table[name][...].tobytes()
        pieces = table[name].attrs["pieces"][about["id"]]
        for role, (elements, first, size) in pieces.items():
            raw = blosc.decompress(data[first : first + size - 4]) if elements else b""
            values = np.frombuffer(raw, parts[role][0].dtype)
            assert len(values) == elements
            parts[role].append(values)
    return parts


def _shaped(array: Any, about: Any) -> Any:
    return array.view(f"S{about['strlen']}").reshape(-1) if "strlen" in about else array
