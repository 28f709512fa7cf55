"""Tables of text for a terminal."""

from __future__ import annotations

import shutil
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["columns_that_fit", "lines_of", "terminal_width", "width_of"]

GAP = 2


def terminal_width() -> int:
    """Characters on a line of the terminal; 80 where there is none."""
    return max(shutil.get_terminal_size().columns, 20)


def width_of(text: str) -> int:
    """How many places of a line a text takes."""
    if text.isascii():
        return len(text)
    return sum(_width_of_one(character) for character in text)


def _width_of_one(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def columns_that_fit(widths: Sequence[int], total: int, mark: int = 1) -> int:
    """How many columns of these widths fit on a line, with a mark where others do not."""
    used = 0
    for number, width in enumerate(widths):
        used += width + GAP * (number > 0)
        rest = 0 if number == len(widths) - 1 or not mark else GAP + mark
        if used + rest > total:
            return max(number, 1)
    return len(widths)


def lines_of(columns: Sequence[Sequence[str]], right: Sequence[bool]) -> list[str]:
    """
    Columns side by side.

    Parameters
    ----------
    columns
        The texts of each, from the top, all as many.
    right
        Which columns are set to the right.
    """
    padded = []
    for column, to_the_right in zip(columns, right, strict=True):
        width = max(map(width_of, column), default=0)
        spaces = [" " * (width - width_of(text)) for text in column]
        padded.append(
            [
                space + text if to_the_right else text + space
                for text, space in zip(column, spaces, strict=True)
            ]
        )
    return [(" " * GAP).join(line).rstrip() for line in zip(*padded, strict=True)]
