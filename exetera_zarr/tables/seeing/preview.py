"""The first rows of a table as a person reads them; the terminal, notebooks and `head` show these.

No more is read than is shown: of the fields that fit, the block with the first rows.
"""

from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from exetera_zarr.errors import StorageError
from exetera_zarr.fields.missing.companions import masked_reader
from exetera_zarr.storage import Capability
from exetera_zarr.texts import visible

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping, Sequence

    from exetera_zarr.fields.base import Field
    from exetera_zarr.storage.base import Group
    from exetera_zarr.tables.dataframe import DataFrame

__all__ = [
    "LONGEST",
    "MISSING",
    "ROWS",
    "Kept",
    "Preview",
    "cell",
    "cells",
    "counted",
    "first_values",
    "is_number",
    "names_and_rows",
    "preview_of",
    "records_of",
    "rows_in",
    "spoken",
]

MISSING = "-"
"""What stands for a missing value."""
ROWS = 10
"""How many rows of a table are shown."""
LONGEST = 40
"""Characters of a value that are shown."""
# Columns are read side by side, since most of the time each waits for the store.
_THREADS = 16
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PATIENCE = 5.0
"""Seconds in which a store that was not reached is not asked again."""
_MIDNIGHT = " 00:00:00"


@dataclass(frozen=True)
class Preview:
    """
    The first rows of a table.

    Parameters
    ----------
    table
        Its name.
    rows
        How many rows it has; None where its fields differ.
    types
        ``{field: type}`` of the fields that are shown.
    columns
        ``{field: values}``: categories by name, moments as text, None for what is missing.
    fields
        How many fields the table has, shown or not, without those that say what is missing of
        others.
    """

    table: str
    rows: int | None
    types: Mapping[str, str]
    columns: Mapping[str, Sequence[Any]]
    fields: int

    @property
    def shown(self) -> int:
        """How many rows there are here."""
        return max(map(len, self.columns.values()), default=0)


class Kept:
    """What was read of a table or field to be shown, which is not read again while it is so."""

    def __init__(self) -> None:
        self._state: Hashable = None
        self._found: dict[Hashable, Any] = {}
        self._failed: tuple[float, StorageError] | None = None

    @contextmanager
    def reading(self) -> Iterator[None]:
        """
        A block that reads from the store.

        A notebook asks for text and for HTML: a store that was not reached for the one, which may
        have taken a minute, is not asked again for the other.
        """
        if self._failed is not None and time.monotonic() - self._failed[0] < _PATIENCE:
            raise self._failed[1]
        self._failed = None
        try:
            yield
        except StorageError as error:
            self._failed = time.monotonic(), error
            raise

    def of(self, group: Group) -> dict[Hashable, Any]:
        """What is known; to be kept, more is given to `keep`."""
        state = _state_of(group)
        if state is None or state != self._state:
            self._state, self._found = state, {}
        return dict(self._found)

    def keep(self, group: Group, found: Mapping[Hashable, Any]) -> None:
        """Keep what was read after `of`, unless something was changed meanwhile."""
        state = _state_of(group)
        if state is not None and state == self._state:
            self._found = {**self._found, **found}


def _state_of(group: Group) -> Hashable:
    """What tells the content of a group from what it was before; None where nothing does."""
    storage = group.storage
    if storage is None or Capability.VERSIONS not in storage.capabilities or storage.changed:
        return None
    return storage.version, group.key


# -- what there is


def rows_in(frame: DataFrame, names: Sequence[str]) -> int | None:
    """How many rows fields of a table have; None where they differ."""
    lengths = {len(frame[name]) for name in names} or {0}
    return next(iter(lengths)) if len(lengths) == 1 else None


def names_and_rows(frame: DataFrame, kept: Kept) -> tuple[list[str], int | None]:
    """What `own_columns` and `rows_in` give, which may be known."""
    known = kept.of(frame.group)
    if "names" not in known:
        names = frame.own_columns()
        known = {"names": (names, rows_in(frame, names))}
        kept.keep(frame.group, known)
    found: tuple[list[str], int | None] = known["names"]
    return found


def preview_of(
    frame: DataFrame,
    rows: int = ROWS,
    names: Sequence[str] | None = None,
    *,
    kept: Kept | None = None,
) -> Preview:
    """
    The first rows of a table.

    Parameters
    ----------
    frame
        The table, or what can be read as one.
    rows
        How many, if it has as many.
    names
        Of the fields to show; by default all but those that say what is missing of others.
    kept
        What was read before.

    Returns
    -------
    Preview
        Its `rows` and `fields` are those of the fields to show where `names` is given.
    """
    wanted = frame.own_columns() if names is None else list(names)
    kept = Kept() if kept is None else kept
    known = kept.of(frame.group)
    fields: dict[str, Field] = {name: frame[name] for name in wanted}
    new = [name for name in wanted if (name, rows) not in known]
    found: dict[str, list[Any]] = {}
    if new:
        source = frame.to_show(rows)
        with kept.reading():
            found = dict(zip(new, _read([source[name] for name in new], rows), strict=True))
    kept.keep(frame.group, {(name, rows): values for name, values in found.items()})
    return Preview(
        str(frame.name),
        rows_in(frame, wanted),
        {name: field.fieldtype for name, field in fields.items()},
        {name: found[name] if name in found else known[name, rows] for name in wanted},
        len(wanted),
    )


def _read(fields: Sequence[Field], rows: int) -> list[list[Any]]:
    if len(fields) < 2 or not all(field.stored for field in fields):
        return [first_values(field, rows) for field in fields]
    threads = min(_THREADS, len(fields))
    with ThreadPoolExecutor(threads, thread_name_prefix="exetera-preview") as pool:
        return list(pool.map(lambda field: first_values(field, rows), fields))


def first_values(field: Field, rows: int = ROWS) -> list[Any]:
    """
    The first values of a field, as Python has them.

    Returns
    -------
    list
        Categories by name, moments as text in UTC, strings as text, and None for what is missing.
    """
    length, read = masked_reader(field)
    column, mask = read(0, min(rows, length))
    values = _present_values(field, column)
    if mask is None:
        return values
    return [value if has else None for value, has in zip(values, mask.tolist(), strict=True)]


def _present_values(field: Any, values: Any) -> list[Any]:
    match field.type_name:
        case "indexedstring":
            return [value.decode("utf-8", "backslashreplace") for value in values.to_pylist()]
        case "fixedstring":
            return [value.decode("utf-8", "backslashreplace") for value in values.tolist()]
        case "categorical":
            names = {code: _text(name) for code, name in field.keys.items()}
            return [names.get(code, code) for code in values.tolist()]
        case "timestamp":
            return [_moment(value) for value in values.tolist()]
    if values.dtype == "float32":
        # Its own shortest text, not that of the double which Python would make of it.
        return [float(str(value)) for value in values]
    found: list[Any] = values.tolist()
    return found


def _text(name: str | bytes) -> str:
    return name if isinstance(name, str) else name.decode("utf-8", "replace")


def _moment(seconds: float) -> str | float:
    try:
        return (_EPOCH + timedelta(seconds=seconds)).isoformat(" ").removesuffix("+00:00")
    except (OverflowError, ValueError):  # outside the years 1 to 9999, or NaN
        return seconds


# -- as text


def spoken(fieldtype: str) -> str:
    """
    The type of a field as a person says it.

    Examples
    --------
    >>> [spoken(kind) for kind in ("numeric,int32", "categorical,int8", "fixedstring,4")]
    ['int32', 'categorical', 'fixedstring,4']
    """
    kind, _, rest = fieldtype.partition(",")
    if kind in ("numeric", "boolean"):
        return rest or "bool"
    return kind if kind == "categorical" else fieldtype


def is_number(fieldtype: str) -> bool:
    """Whether the values of a field of this type are set to the right."""
    return fieldtype.startswith("numeric") and fieldtype != "numeric,bool"


def cells(values: Sequence[Any], fieldtype: str, longest: int = LONGEST) -> list[str]:
    """The values of a field as they are shown: days without a time where none has one."""
    if fieldtype.partition(",")[0] in ("timestamp", "datetime", "date"):
        told = [value for value in values if value is not None]
        if told and all(isinstance(one, str) and one.endswith(_MIDNIGHT) for one in told):
            values = [value and value.removesuffix(_MIDNIGHT) for value in values]
    return [cell(value, longest) for value in values]


def cell(value: Any, longest: int = LONGEST) -> str:
    """A value on one line, and not too long; the text that stands for missing ones is quoted."""
    if value is None:
        return MISSING
    if value == MISSING:
        return repr(value)
    if isinstance(value, float) and math.isfinite(value):
        # Fifteen digits, which every double has: those beyond are what arithmetic leaves.
        value = float(f"{value:.15g}")
    # What is cut off is not looked at, and may be long.
    text = visible(value[: longest + 1] if isinstance(value, str) else value)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def counted(number: int, noun: str) -> str:
    """A number and what it counts, such as ``1,234 rows``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def records_of(one: Preview) -> list[dict[str, Any]]:
    """The rows, as JSON has them."""
    return [
        {name: _json(values[row]) for name, values in one.columns.items() if row < len(values)}
        for row in range(one.shown)
    ]


def _json(value: Any) -> Any:
    """A value as JSON has it: there is no NaN and no infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
