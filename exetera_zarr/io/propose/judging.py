"""What is said of a column, and what its cells that say "missing" are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exetera_zarr.io.propose.profiling import ColumnProfile, Kind, Misfit

__all__ = [
    "INTEGERS",
    "MISSING",
    "Habit",
    "Proposed",
    "cells",
    "counted",
    "counted_missing",
    "examples",
    "fits",
    "missing_only",
    "na_values",
    "shown",
]

INTEGERS = ("int8", "int16", "int32", "int64")
# How people and programs write "no number"; compared without case and spaces.
MISSING = frozenset(
    {b"", b"na", b"n/a", b"#n/a", b"nan", b"null", b"none", b"nil", b"missing", b"-", b".", b"?"}
)


@dataclass(frozen=True)
class Habit:
    """
    What columns of a file tell of the others.

    Parameters
    ----------
    decimal
        What stands before decimals; None where no column says it.
    dayfirst
        Whether the day comes before the month; None where no column says it.
    semicolons
        Whether cells are separated by a semicolon, as where a comma stands before decimals.
    decided
        Whether somebody said what stands before decimals: then no column is asked.
    """

    decimal: str | None = None
    dayfirst: bool | None = None
    semicolons: bool = False
    decided: bool = False


@dataclass
class Proposed:
    """
    What is proposed for a column.

    Parameters
    ----------
    entry
        The column's entry in the schema.
    notes
        What is to be looked at, a sentence each.
    """

    entry: dict[str, Any]
    notes: list[str] = field(default_factory=list)


def fits(profile: ColumnProfile, kind: Kind) -> bool:
    """Whether the cells are of a type, but for those that say that there is none."""
    return missing_only(profile, kind) is not None


def missing_only(profile: ColumnProfile, kind: Kind) -> Mapping[bytes, Misfit] | None:
    """Return what is not of a type if all of that says "missing", and not every cell does."""
    misfits = profile.misfits.get(kind)
    if misfits is None or any(text.strip().lower() not in MISSING for text in misfits):
        return None
    return misfits if counted(misfits) < profile.filled else None


def na_values(misfits: Mapping[bytes, Misfit]) -> dict[str, list[str]]:
    """What an entry says of texts that stand for no value."""
    texts = list(dict.fromkeys(text.decode().strip() for text in misfits))
    return {"na_values": texts} if texts else {}


def counted_missing(misfits: Mapping[bytes, Misfit]) -> list[str]:
    """What is said of cells that will count as missing."""
    if not misfits:
        return []
    return [f"{cells(counted(misfits))} {examples(misfits)} will count as missing"]


def counted(misfits: Mapping[bytes, Misfit]) -> int:
    """How many cells hold some texts."""
    return sum(misfit.count for misfit in misfits.values())


def cells(count: int) -> str:
    """A number of cells."""
    return f"{count:,} cell{'' if count == 1 else 's'}"


def examples(misfits: Mapping[bytes, Misfit]) -> str:
    """Some texts, and where the first of them is."""
    texts = [shown(text) for text in list(misfits)[:3]]
    first = next(iter(misfits.values())).row
    where = f", first in row {first:,}" if first is not None else ""
    more = ", ..." if len(misfits) > len(texts) else ""
    return f"({', '.join(texts)}{more}{where})"


def shown(text: bytes) -> str:
    """A text, in not too many characters."""
    found = repr(text[:40].decode("utf-8", "backslashreplace"))
    return found if len(text) <= 40 else f"{found}..."
