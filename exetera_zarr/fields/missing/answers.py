"""Answers in memory: a masked array of bool that keeps to what is said of conditions.

A masked array of numpy's has something under its mask, and ``~`` makes True of the False there: an
index of numpy arrays or of pandas, which does not look at the mask, would choose such rows. Here
the rows of which nothing is known stay False, and ``&``, ``|`` and ``^`` follow Kleene's logic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from exetera_zarr.storage.base import AnyArray

__all__ = ["Answers", "answers"]

_Sides = tuple["AnyArray", "AnyArray"]
"""Which rows are known to be true, and which to be false."""


class Answers(np.ma.MaskedArray[Any, Any]):
    """A masked array of bool, of which the masked rows are neither true nor false."""

    def __array_ufunc__(
        self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **options: Any
    ) -> Any:
        if any(hasattr(one, "masked_blocks") for one in inputs):
            return NotImplemented  # a field knows how
        logic = _LOGIC.get(ufunc) if method == "__call__" and not options else None
        sides = None if logic is None else [_sides(one) for one in inputs]
        if logic is None or sides is None or None in sides:
            inputs = tuple(_plain(one) for one in inputs)
            if out is not None:
                options["out"] = tuple(_plain(one) for one in out)
            return getattr(ufunc, method)(*inputs, **options)
        true, false = logic(*sides)
        if out is None:
            return answers(true, true | false)
        (target,) = out
        if isinstance(target, np.ma.MaskedArray):
            target[...] = np.ma.masked_array(true, ~(true | false))
            target.data[~(true | false)] = False
        else:
            target[...] = true
        return target

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        # numpy's own concatenate, append and others drop the mask without a word.
        masked = getattr(np.ma, function.__name__, None)
        if masked is not None and masked is not function:
            return masked(*args, **kwargs)
        return super().__array_function__(function, types, args, kwargs)

    def __eq__(self, other: object) -> Any:
        return self._compared(np.equal, other)

    def __ne__(self, other: object) -> Any:
        return self._compared(np.not_equal, other)

    def __lt__(self, other: object) -> Any:
        return self._compared(np.less, other)

    def __le__(self, other: object) -> Any:
        return self._compared(np.less_equal, other)

    def __gt__(self, other: object) -> Any:
        return self._compared(np.greater, other)

    def __ge__(self, other: object) -> Any:
        return self._compared(np.greater_equal, other)

    def _compared(self, ufunc: Any, other: object) -> Any:
        if hasattr(other, "masked_blocks"):
            return NotImplemented
        found = ufunc(self, other)
        if not isinstance(found, np.ma.MaskedArray) or found.dtype != np.bool_:
            return found
        return answers(np.ma.getdata(found), ~np.ma.getmaskarray(found))

    def astype(self, *arguments: Any, **options: Any) -> Any:
        """As of numpy; of another type it is a masked array like others."""
        found = super().astype(*arguments, **options)
        if found.dtype != np.bool_:
            return _plain(found)
        return answers(np.ma.getdata(found), ~np.ma.getmaskarray(found))

    __hash__ = None  # type: ignore[assignment]


def answers(found: AnyArray, known: AnyArray) -> Any:
    """
    An array of bool: a plain one where all is known.

    Parameters
    ----------
    found
        What is true.
    known
        The rows of which that is known.
    """
    if known.all():
        return found
    # Where somebody wants it filled, by default nothing is chosen.
    return np.ma.masked_array(found & known, ~known, fill_value=False).view(Answers)


def _plain(value: Any) -> Any:
    return value.view(np.ma.MaskedArray) if isinstance(value, Answers) else value


def _sides(value: Any) -> _Sides | None:
    """None if it is not of bool."""
    if isinstance(value, np.ma.MaskedArray):
        known = ~np.ma.getmaskarray(value)
        data = value.data
    else:
        if not isinstance(value, (bool, np.bool_, np.ndarray)):
            return None
        data, known = np.asarray(value), np.ones((), np.bool_)
    return (data & known, ~data & known) if data.dtype == np.bool_ else None


def _and(one: _Sides, other: _Sides) -> _Sides:
    return one[0] & other[0], one[1] | other[1]


def _or(one: _Sides, other: _Sides) -> _Sides:
    return one[0] | other[0], one[1] & other[1]


def _not(one: _Sides) -> _Sides:
    return one[1], one[0]


def _differ(one: _Sides, other: _Sides) -> _Sides:
    return (one[0] & other[1]) | (one[1] & other[0]), (one[0] & other[0]) | (one[1] & other[1])


def _agree(one: _Sides, other: _Sides) -> _Sides:
    return _not(_differ(one, other))


_LOGIC: dict[Any, Callable[..., _Sides]] = {
    np.invert: _not,
    np.logical_not: _not,
    np.bitwise_and: _and,
    np.logical_and: _and,
    np.bitwise_or: _or,
    np.logical_or: _or,
    np.bitwise_xor: _differ,
    np.logical_xor: _differ,
    np.not_equal: _differ,
    np.equal: _agree,
}
