"""What has rows that can be read: so fields, their data and operators need not know each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, TypeAlias

if TYPE_CHECKING:
    from exetera_zarr.engine import Column

__all__ = ["Read", "Rows"]

Read: TypeAlias = Callable[[int, int], "Column"]
"""Gives the rows from one number to another."""


class Rows:
    """A field, or the data of one: rows that can be read from their present state."""

    indexed: ClassVar[bool] = False
    """Whether the rows are strings of any length, stored as offsets and bytes."""
    of_numbers: bool = False
    """Whether the rows are numbers, which go together with those of others."""

    def reader(self) -> tuple[int, Read]:
        """How many rows there are, and a function that reads some; both of the same moment."""
        raise NotImplementedError
