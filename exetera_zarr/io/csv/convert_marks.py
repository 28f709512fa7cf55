"""Numbers with another decimal mark, or with marks between thousands, as plain ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from exetera_zarr.io.csv.cells import Cells

if TYPE_CHECKING:
    from exetera_zarr.io.csv.cells import Mask
    from exetera_zarr.io.schema.definitions import Numeric

__all__ = ["has_marks", "plain_numbers", "why_not_plain"]

# Before RE2 looks at bytes, these are texts of several.
ESCAPED = frozenset(r".^$*+?{}[]\|()-")


def has_marks(definition: Numeric) -> bool:
    """Whether numbers are written otherwise than Python's are."""
    return definition.decimal == "," or definition.thousands is not None


def plain_numbers(cells: Cells, definition: Numeric) -> tuple[Cells, Mask]:
    """
    Write numbers as Python does.

    Parameters
    ----------
    cells
        The cells of a column.
    definition
        Says which marks they have.

    Returns
    -------
    Cells
        The same with a point before decimals, and nothing between thousands.
    numpy.ndarray
        Which cells have a mark where there can be none, such as 1,5 where a comma stands between
        thousands.
    """
    decimal, thousands = definition.decimal or ".", definition.thousands
    point = _escaped(decimal)
    whole = "[0-9]*"
    if thousands is not None:
        whole = f"(?:[0-9]{{1,3}}(?:{_escaped(thousands)}[0-9]{{3}})+|[0-9]*)"
    number = rf"^[ \t]*[-+]?{whole}(?:{point}[0-9]*)?(?:[eE][-+]?[0-9]+)?[ \t]*$"
    fits = np.asarray(pc.match_substring_regex(cells.array, number))
    marked = np.zeros(len(cells), bool)
    for mark in {".", ",", thousands or ","} - {" "}:
        marked |= np.asarray(pc.match_substring(cells.array, mark))
    if thousands == " ":
        marked |= np.asarray(pc.match_substring_regex(cells.array, "[0-9] +[0-9]"))
    plain = cells.array
    if thousands is not None:
        plain = pc.replace_substring(plain, thousands.encode(), b"")
    if decimal != ".":
        plain = pc.replace_substring(plain, decimal.encode(), b".")
    # Others, such as nan, are as they were.
    return Cells(pc.if_else(fits & marked, plain, cells.array)), marked & ~fits


def why_not_plain(definition: Numeric) -> str:
    """What is said of a cell with a mark in the wrong place, to follow its value."""
    said = f"decimal={definition.decimal or '.'!r}"
    if definition.thousands is not None:
        said += f" and thousands={definition.thousands!r}"
    return f"is not a number as {said} would have it"


def _escaped(mark: str) -> str:
    return f"\\{mark}" if mark in ESCAPED else mark
