"""Which columns of tables are keys, guessed from names and values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exetera_zarr.io.propose.discovery import Table

__all__ = ["choose_foreign_keys", "choose_primary_key", "key_rank"]

# Names that keys have, best first; what stands for a table's own name comes from `_own_names`.
KEY_NAME = re.compile(r"(^|_)(id|key|uuid|guid)$|[a-z](Id|ID|Key)$", re.IGNORECASE)


def _own_names(table: str) -> set[str]:
    """Return a table's name in one and in many: patients, patient."""
    lower = table.lower()
    one = lower[:-3] + "y" if lower.endswith("ies") else lower.removesuffix("s")
    return {lower, one}


def _is_key_type(entry: Mapping[str, Any]) -> bool:
    kind = entry["field_type"]
    return kind in ("string", "fixed_string") or entry.get("value_type", "").startswith("int")


def key_rank(table: str, name: str) -> int | None:
    """Say how much a column is called like its table's key: the less the better, None for not."""
    lower = name.lower()
    if lower == "id":
        return 0
    if lower in {f"{own}{end}" for own in _own_names(table) for end in ("_id", "id", "_key")}:
        return 1
    return 2 if KEY_NAME.search(name) else None


def choose_primary_key(table: Table) -> None:
    """Take a column in which no two cells are equal, if it is called like a key."""
    ranked = []
    for position, (name, entry) in enumerate(table.entries.items()):
        profile, rank = table.columns[name], key_rank(table.name, name)
        if rank is not None and profile.unique and profile.rows > 1 and _is_key_type(entry):
            ranked.append((rank, position, name))
    for _, _, name in sorted(ranked):
        compared = table.columns[name].compared_keys()
        if table.columns[name].unique:
            table.primary_key = name
            if compared < table.rows or not table.complete:
                table.note(f"it is unique in the {compared:,} rows that were compared", name)
            return


def choose_foreign_keys(table: Table, tables: Sequence[Table]) -> None:
    """Take columns that are called like the key of another table, and have values of it."""
    for other in tables:
        key = other.primary_key
        if key is None or other is table:
            continue
        names = {f"{one}{end}{key}".lower() for one in _own_names(other.name) for end in ("", "_")}
        if key.lower() not in ("id", "key", "uuid"):
            names.add(key.lower())
        for name, entry in table.entries.items():
            if name.lower() in names and _refers(table, name, other, entry):
                table.foreign_keys[name] = {"space": other.name, "key": key}


def _refers(table: Table, name: str, other: Table, entry: Mapping[str, Any]) -> bool:
    key = str(other.primary_key)
    numbers = [one["field_type"] == "numeric" for one in (entry, other.entries[key])]
    if numbers[0] != numbers[1]:
        return False
    keys = other.columns[key].keys
    if not other.complete or sum(map(len, keys)) < other.rows:
        return True
    values = set(table.columns[name].texts)
    missing = len(values - {value for chunk in keys for value in chunk.to_pylist()})
    if missing == len(values):
        return False
    if missing:
        table.note(
            f"{missing:,} of {len(values):,} values looked at are not in {other.name}.{key}", name
        )
    return True
