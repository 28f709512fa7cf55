"""Aggregates of spans that come block by block."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exetera_zarr.engine.columns import selection
from exetera_zarr.errors import ResultRangeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exetera_zarr.engine.columns.types import Column, IntArray
    from exetera_zarr.engine.group.aggregate_states import Partial, State

__all__ = ["Running", "SumError"]


class SumError(ResultRangeError):
    """
    A sum of whole numbers does not fit 64 bits.

    Parameters
    ----------
    column
        The number of the column.
    """

    def __init__(self, column: int, problem: object) -> None:
        super().__init__(f"column {column}: {problem}")
        self.column = column


class Running:
    """Aggregates over spans that come block by block; the last span of a block is held back."""

    def __init__(self, partials: Sequence[tuple[int, Partial]]) -> None:
        self._partials = partials
        self._held: list[State] | None = None

    def feed(self, bounds: IntArray, columns: Sequence[Column], continued: bool) -> list[State]:
        """The states of the spans that are whole, the held one among them unless it goes on."""
        states = [p.of(bounds, columns[number]) for number, p in self._partials]
        if self._held is not None:
            for i, (_, partial) in enumerate(self._partials):
                before, now = self._held[i], states[i]
                if continued:
                    before = partial.join(before, _rows(now, 0, 1))
                    now = _rows(now, 1, None)
                pairs = zip(before, now, strict=True)
                states[i] = tuple(selection.concat([a, b]) for a, b in pairs)
        # take() copies the row, a slice would keep the whole block alive.
        self._held = [tuple(selection.take(column, [-1]) for column in state) for state in states]
        return [_rows(state, 0, -1) for state in states]

    def finish(self) -> list[State]:
        """The state of the last span; of no rows, no states."""
        return self._held or []

    def results(self, states: Sequence[State]) -> list[Column]:
        """What the aggregates give; SumError names the column."""
        found = []
        for (number, partial), state in zip(self._partials, states, strict=True):
            try:
                found.append(partial.result(state))
            except OverflowError as error:
                raise SumError(number, error) from error
        return found


def _rows(state: State, start: int, stop: int | None) -> State:
    return tuple(column[start:stop] for column in state)
