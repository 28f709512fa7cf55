"""What a terminal shows of a table, a field, a dataset and a session; it raises no error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exetera_zarr.errors import NotFoundError
from exetera_zarr.storage import Capability
from exetera_zarr.tables.seeing.grids import (
    GAP,
    columns_that_fit,
    lines_of,
    terminal_width,
    width_of,
)
from exetera_zarr.tables.seeing.preview import (
    MISSING,
    ROWS,
    Kept,
    Preview,
    cell,
    cells,
    counted,
    first_values,
    is_number,
    names_and_rows,
    preview_of,
    rows_in,
    spoken,
)
from exetera_zarr.texts import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exetera_zarr.fields.base import Field
    from exetera_zarr.tables.dataframe import DataFrame
    from exetera_zarr.tables.dataset import Dataset
    from exetera_zarr.tables.session import Session

__all__ = [
    "about",
    "about_dataset",
    "dataset_text",
    "ended",
    "field_text",
    "first_of",
    "labelled",
    "problem",
    "session_text",
    "size_of",
    "table_text",
    "tables_of",
    "version_of",
]

_MOST_TABLES = 20
_MOST_TAGS = 3
_LONGEST_NAME = 24
_LONGEST_VALUES = 60
_NARROWEST = 3


# -- in words


def ended(thing: Any) -> str | None:
    """Why nothing can be read of a table or field any more; None where it can."""
    try:
        storage = thing.group.storage
        _ = None if storage is None else storage.version  # of a view the group outlives it
    except NotFoundError:
        return ", which exists no more"
    except ValueError:
        return " of a dataset that is closed"
    return None


def problem(error: Exception) -> str:
    """What a reader of one line has to know of an error."""
    return cell(str(error).partition("\n")[0], 400)


def labelled(thing: Any) -> str:
    """The label of a table or field, a field's with its unit in brackets; empty without both."""
    unit = getattr(thing, "unit", None)
    return " ".join(part for part in (thing.label, f"[{unit}]" if unit else "") if part)


def size_of(rows: int | None, fields: int) -> str:
    """How large a table is, such as ``1,234 rows x 6 fields``."""
    if rows is None:
        return f"{counted(fields, 'field')} of unequal lengths"
    return f"{counted(rows, 'row')} x {counted(fields, 'field')}"


def version_of(dataset: Dataset) -> str:
    """The version of a dataset that is seen, and whether something was changed since."""
    if Capability.VERSIONS not in dataset.capabilities:
        return "no versions"
    changed = " with uncommitted changes" if dataset.storage.changed else ""
    return f"version {dataset.version}{changed}"


def _tags_of(dataset: Dataset) -> str:
    """The last tags of a dataset, each with its version."""
    tags = list(dataset.storage.known_tags().values())
    told = [f"{tag.name} (version {tag.version})" for tag in tags[-_MOST_TAGS:]]
    more = [f"{len(tags) - len(told):,} more"] if len(tags) > len(told) else []
    return ", ".join([*told, *more])


# -- a table


def table_text(frame: DataFrame, kept: Kept) -> str:
    """The first rows of a table as far as they fit, and how large it is."""
    name = visible(repr(_name_of(frame)))
    if (why := ended(frame)) is not None:
        return f"<DataFrame {name}{why}>"
    try:
        names, rows = names_and_rows(frame, kept)
    except Exception as error:  # noqa: BLE001 - whoever asks how it looks is not to fail
        return f"<DataFrame {name}, which cannot be read: {problem(error)}>"
    told = f"{visible(frame.name)}: {size_of(rows, len(names))}"
    if not names:
        return told
    try:
        candidates = _that_may_fit(frame, names)
        one = preview_of(frame, ROWS, candidates, kept=kept)
    except Exception as error:  # noqa: BLE001 - likewise
        types = ", ".join(_types(frame, names[:ROWS]))
        more = f" and {len(names) - ROWS:,} more" if len(names) > ROWS else ""
        return f"{told}\n{types}{more}\nits rows cannot be read: {problem(error)}"
    lines, fields, missing = _grid(one, cut=len(candidates) < len(names))
    return "\n".join([*lines, _told(told, one.shown, rows, fields, len(names), missing=missing)])


def _name_of(thing: Any) -> str:
    group = getattr(thing, "_group", None)
    return "" if group is None else str(group.name)


def _types(frame: DataFrame, names: Sequence[str]) -> list[str]:
    found = []
    for name in names:
        try:
            found.append(visible(f"{name}: {spoken(frame[name].fieldtype)}"))
        except Exception:  # noqa: BLE001 - the one that is damaged, which the error names
            found.append(visible(f"{name}: ?"))
    return found


def _that_may_fit(frame: DataFrame, names: Sequence[str]) -> list[str]:
    """The first fields, as many as may fit on a line, whatever their values are."""
    widths: list[int] = []
    for name in names:
        widths.append(max(_NARROWEST, *map(width_of, _heads(name, frame[name].fieldtype))))
        if columns_that_fit(widths, terminal_width()) < len(widths):
            break
    return list(names[: max(columns_that_fit(widths, terminal_width()), 1)])


def _heads(name: str, fieldtype: str) -> tuple[str, str]:
    return cell(name, _LONGEST_NAME), cell(spoken(fieldtype), _LONGEST_NAME)


def _grid(one: Preview, *, cut: bool) -> tuple[list[str], int, bool]:
    """The lines of a table, how many fields are in them, and whether something is missing."""
    columns = []
    for name, values in one.columns.items():
        texts = cells(values, one.types[name])
        blank = [""] * (one.shown - len(texts))
        columns.append([*_heads(name, one.types[name]), *texts, *blank])
    widths = [max(map(width_of, column)) for column in columns]
    room = terminal_width() - (GAP + 1 if cut else 0)
    fits = columns_that_fit(widths, room)
    right = [is_number(kind) for kind in one.types.values()][:fits]
    shown = columns[:fits]
    missing = any(MISSING in column[2:] for column in shown)
    if cut or fits < len(columns):
        shown.append(["…"] * (2 + one.shown))
        right.append(False)
    return [line[: terminal_width()] for line in lines_of(shown, right)], fits, missing


def _told(
    size: str, rows: int, of_rows: int | None, fields: int, of_fields: int, *, missing: bool
) -> str:
    """How large a table is, and what is to be known of the lines above."""
    cut = []
    if of_rows is not None and rows < of_rows:
        cut.append(counted(rows, "row"))
    if fields < of_fields:
        cut.append(counted(fields, "field"))
    notes = [f"the first {' and '.join(cut)} are shown"] if cut else []
    if missing:
        notes.append(f"{MISSING} is missing")
    return f"{size} ({'; '.join(notes)})" if notes else size


# -- a field


def field_text(field: Field) -> str:
    """A field on one line: its type, rows and first values."""
    kind, name = type(field).__name__, visible(repr(_name_of(field)))
    if (why := ended(field)) is not None:
        return f"<{kind} {name}{why}>"
    called = f" {name}" if field.stored else ""
    try:
        told = f"{kind}{called}: {visible(field.fieldtype)}, {len(field)} rows"
        if label := labelled(field):
            told += f", {cell(label, 60)}"
        values = first_of(field)
    except Exception as error:  # noqa: BLE001 - whoever asks how it looks is not to fail
        return (
            f"<{kind}{called}: {visible(field.fieldtype)}, which cannot be read: {problem(error)}>"
        )
    return f"<{told}: {_listed(field, values)}>" if values else f"<{told}>"


def first_of(field: Field) -> list[Any]:
    """The first values of a field, which may be known."""
    group = field.group
    kept: Kept = field.__dict__.setdefault("_values_shown", Kept())
    known = kept.of(group)
    if ROWS in known:
        found: list[Any] = known[ROWS]
        return found
    frame, name = field.dataframe, field.name
    shown = frame if frame is None else frame.to_show(ROWS)
    source = field if shown is None or shown is frame or name is None else shown[name]
    with kept.reading():
        found = first_values(source)
    kept.keep(group, {ROWS: found})
    return found


def _listed(field: Field, values: Sequence[Any]) -> str:
    """Values on a line, and a mark where there are more."""
    texts = cells(values, field.fieldtype)
    shown: list[str] = []
    for text in texts:
        if shown and sum(map(len, shown)) + 2 * len(shown) + len(text) > _LONGEST_VALUES:
            break
        shown.append(text)
    more = ["..."] if len(shown) < len(field) else []
    return ", ".join([*shown, *more])


# -- a dataset and a session


def tables_of(dataset: Dataset, kept: Kept) -> list[tuple[str, str, str]]:
    """The name, the size and the label of tables of a dataset, and of fields at its top level."""
    known = kept.of(dataset.group)
    if "tables" in known:
        found: list[tuple[str, str, str]] = known["tables"]
        return found
    found = [_line_of(dataset, name) for name in dataset.keys()[:_MOST_TABLES]]
    kept.keep(dataset.group, {"tables": found})
    return found


def _line_of(dataset: Dataset, name: str) -> tuple[str, str, str]:
    try:
        thing = dataset[name]
        if hasattr(thing, "fieldtype"):
            size = f"{counted(len(thing), 'row')}, a field: {spoken(thing.fieldtype)}"
        else:
            names = thing.own_columns()
            size = size_of(rows_in(thing, names), len(names))
        return name, size, labelled(thing)
    except Exception as error:  # noqa: BLE001 - the others are shown
        return name, f"cannot be read: {problem(error)}", ""


def dataset_text(dataset: Dataset, kept: Kept) -> str:
    """A dataset: its version, and its tables with their sizes."""
    called = visible(repr(dataset.name))
    if dataset.closed:
        return f"<Dataset {called}, closed>"
    lines = [f"Dataset {called}: {visible(about_dataset(dataset))}"]
    tables = [[cell(part) for part in line] for line in tables_of(dataset, kept)]
    if not tables:
        return f"{lines[0]}\n  no tables"
    lines += [f"  {line}" for line in lines_of(list(zip(*tables, strict=True)), [False] * 3)]
    if (more := len(dataset) - len(tables)) > 0:
        lines.append(f"  and {more:,} more")
    return "\n".join(lines)


def session_text(session: Session) -> str:
    """A session: its open datasets."""
    datasets = session.datasets
    if not datasets:
        return "Session without an open dataset"
    lines = [
        (cell(repr(name)), "closed" if one.closed else cell(about(one), 60), visible(one.url))
        for name, one in datasets.items()
    ]
    return "\n".join(
        [
            f"Session with {counted(len(datasets), 'open dataset')}",
            *(f"  {line}" for line in lines_of(list(zip(*lines, strict=True)), [False] * 3)),
        ]
    )


def about(dataset: Dataset) -> str:
    """A dataset in a few words, for a list of several."""
    return f"{counted(len(dataset), 'table')}, {version_of(dataset)}"


def about_dataset(dataset: Dataset) -> str:
    """The version of a dataset, where it is, and its tags."""
    tags = _tags_of(dataset)
    return f"{version_of(dataset)}, {dataset.url}" + (f"; tags: {tags}" if tags else "")
