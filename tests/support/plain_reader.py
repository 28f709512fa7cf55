"""A reader of the format that knows docs/format.md, zarr and numcodecs, and nothing of ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numcodecs import blosc


def read(place: Path) -> dict[str, dict[str, list[Any]]]:
    """The values of each field of each table, as they are stored; strings as text."""
    root = json.loads((place / "zarr.json").read_bytes())
    documents = root["consolidated_metadata"]["metadata"]
    group = zarr.open_group(place, mode="r", zarr_format=3)
    found: dict[str, dict[str, list[Any]]] = {}
    for path, document in documents.items():
        about = document["attributes"]
        if document["node_type"] != "group" or "fieldtype" not in about or "/" not in path:
            continue
        table = documents[path.split("/")[0]]["attributes"]
        fields = found.setdefault(table["name"], {})
        fields[about["name"]] = _field(group, path, about, table, documents)
    return found


def _field(group: zarr.Group, path: str, about: Any, table: Any, documents: Any) -> list[Any]:
    packs = [name for name, _ in table.get("packs", ())]
    if "after" in about:
        packs = packs[packs.index(about["after"]) + 1 :]
    parts = {}
    for role, names in about["arrays"].items():
        names = [names] if isinstance(names, str) else names
        parts[role] = [_shaped(group[f"{path}/{name}"][...], about) for name in names]
    for name in packs:
        pack = f"{path.split('/', maxsplit=1)[0]}/{name}"
        data = group[pack][...].tobytes()
        pieces = documents[pack]["attributes"]["pieces"][about["id"]]
        for role, (elements, first, size) in pieces.items():
            dtype = parts[role][0].dtype
            raw = blosc.decompress(data[first : first + size - 4]) if elements else b""
            values = np.frombuffer(raw, dtype)
            assert len(values) == elements
            parts[role].append(values)
    if "index" not in parts:
        return np.concatenate(parts["values"]).tolist()
    texts = []
    for index, values in zip(parts["index"], parts["values"], strict=True):
        data = values.tobytes()
        texts += [data[a:b].decode() for a, b in zip(index[:-1], index[1:], strict=True)]
    return texts


def _shaped(array: Any, about: Any) -> Any:
    return array.view(f"S{about['strlen']}").reshape(-1) if "strlen" in about else array
