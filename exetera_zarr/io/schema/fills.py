"""What is stored where a cell holds no number."""

from __future__ import annotations

import math

import numpy as np

from exetera_zarr.errors import SchemaError

__all__ = ["check_range", "fill_value", "shown"]


def shown(value: object) -> str:
    """A value, in not too many characters."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def check_range(value: int, nformat: str, what: str) -> None:
    """SchemaError if an integer dtype cannot hold a value."""
    info = np.iinfo(nformat)
    if not info.min <= value <= info.max:
        raise SchemaError(
            f"{what}, {shown(value)}, is outside {nformat} ({info.min} to {info.max})"
        )


def _extreme(which: str, nformat: str) -> int | float:
    # ExeTera's limits for floats are those of the integer of the same width. Imported data and
    # scripts that look for them rely on it.
    info = np.iinfo(nformat.replace("float", "int"))
    extreme = int(info.min if which == "min" else info.max)
    return float(extreme) if nformat.startswith("float") else extreme


def fill_value(value: object, nformat: str) -> bool | int | float:
    """Turn an `invalid_value` into a number of the dtype, or say why it is none."""
    text = value.strip().lower() if isinstance(value, str) else ""
    if text in ("min", "max"):
        if nformat == "bool":
            raise SchemaError(f"invalid_value {value!r} has no meaning for a bool")
        return _extreme(text, nformat)
    number = _number(value, text)
    if nformat == "bool":
        if number not in (0, 1):
            raise SchemaError(f"invalid_value {value!r} is not true or false")
        return bool(number)
    if nformat.startswith("float"):
        return _fill_float(number, value, nformat)
    if isinstance(number, float) and not number.is_integer():
        raise SchemaError(f"invalid_value {value!r} is not an integer, as {nformat} needs")
    check_range(int(number), nformat, "invalid_value")
    return int(number)


def _fill_float(number: float, value: object, nformat: str) -> float:
    try:
        found = float(number)
        with np.errstate(over="ignore"):
            too_large = math.isfinite(found) and np.isinf(np.dtype(nformat).type(found))
    except OverflowError:
        too_large = True
    if too_large or (math.isinf(found) and isinstance(value, str) and "inf" not in value.lower()):
        raise SchemaError(f"invalid_value {shown(value)} is outside {nformat}")
    return found


def _number(value: object, text: str) -> int | float:
    if isinstance(value, bool | int | float | np.number | np.bool_):
        plain = value.item() if isinstance(value, np.generic) else value
        return int(plain) if isinstance(plain, bool) else plain
    if text in ("true", "false"):
        return int(text == "true")
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    raise SchemaError(f"invalid_value {value!r} is not a number, 'min' or 'max'")
