"""How a file writes what single columns leave open: decimal marks, the order of day and month."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exetera_zarr.io.propose.foreign import DAY_FIRST, MARKS, MONTH_FIRST
from exetera_zarr.io.propose.judging import Habit, fits

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exetera_zarr.io.propose.profiling import ColumnProfile
    from exetera_zarr.io.schema.formats import CsvFormat

__all__ = ["habit_of"]


def habit_of(form: CsvFormat, columns: Iterable[ColumnProfile]) -> Habit:
    """Ask the columns of a file that leave nothing open."""
    decimals: set[str] = set()
    orders: set[bool] = set()
    for profile in columns:
        possible = {
            MARKS[kind][0] for kind in MARKS if fits(profile, kind) and profile.extremes.get(kind)
        }
        if len(possible) == 1 and not fits(profile, "float"):
            decimals |= possible
        first = {
            order
            for order, kinds in ((True, DAY_FIRST), (False, MONTH_FIRST))
            if any(fits(profile, kind) for kind in kinds)
        }
        if len(first) == 1:
            orders |= first
    return Habit(
        decimal=form.decimal or (decimals.pop() if len(decimals) == 1 else None),
        dayfirst=form.dayfirst
        if form.dayfirst is not None
        else (orders.pop() if len(orders) == 1 else None),
        semicolons=form.sep == ";",
        decided=form.decimal is not None or form.thousands is not None,
    )
