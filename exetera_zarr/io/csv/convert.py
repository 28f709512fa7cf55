"""Cells to values: one vectorised converter for each kind of definition.

A converter returns one array for each of its definition's `columns`, in that order: numpy arrays,
and Arrow large strings for indexed string fields. It raises `CellError` for the cells that
do not fit; it never guesses. Python sees single cells only if they are unusual, and then each
distinct text once.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from exetera_zarr.errors import listing
from exetera_zarr.io.csv.cells import Cells, Faults, Mask, byte_set
from exetera_zarr.io.csv.convert_marks import has_marks, plain_numbers, why_not_plain
from exetera_zarr.io.csv.convert_time import convert_moments
from exetera_zarr.io.schema.definitions import (
    FREETEXT_VALUE,
    Blank,
    Categorical,
    DateTime,
    Definition,
    Numeric,
    String,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Produced", "convert", "without"]

Produced: TypeAlias = npt.NDArray[Any] | pa.Array
Lookup: TypeAlias = tuple[pa.Array, npt.NDArray[Any]]

INTEGER_BYTES = byte_set(b"-0123456789")
FLOAT_BYTES = byte_set(b"-+.0123456789eE")
PLAIN_INTEGER = r"^-?[0-9]+$"
PLAIN_FLOAT = r"^-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$"
TRUE_TEXTS = (b"1", b"y", b"t", b"yes", b"on", b"true")
FALSE_TEXTS = (b"0", b"n", b"f", b"no", b"off", b"false")


def convert(
    array: pa.Array, definition: Definition | Blank, faults: Faults | None = None
) -> list[Produced]:
    """
    Convert the cells of a column.

    Parameters
    ----------
    array
        Binary array without nulls.
    definition
        What the cells mean.
    faults
        Says whether cells that do not fit are made to, as ExeTera makes them, and counts these; by
        default none is.

    Returns
    -------
    list
        An array of equal length for each of ``definition.columns(...)``.

    Raises
    ------
    CellError
        The cells that do not fit.
    """
    faults = Faults() if faults is None else faults
    produced = _convert(Cells(array), definition, faults)
    faults.check()
    return produced


def _convert(cells: Cells, definition: Definition | Blank, faults: Faults) -> list[Produced]:
    """Convert cells; whatever stands in the place of those that do not fit."""
    if not isinstance(definition, Blank) and definition.na_values:
        cells = without(cells, definition.na_values)
    match definition:
        case Categorical():
            return _categories(cells, definition, faults)
        case Numeric(nformat="bool"):
            return _flagged(cells, definition, faults, *_booleans(cells))
        case Numeric() if has_marks(definition):
            return _marked(cells, definition, faults)
        case Numeric():
            return _flagged(cells, definition, faults, *_numbers(cells, definition.nformat, faults))
        case String(fixed_length=None):
            return [cells.utf8(faults).cast(pa.large_string())]
        case String():
            return [_fixed(cells, definition.fixed_length or 0, faults)]
        case DateTime():
            return convert_moments(cells, definition, faults)
        case Blank():
            faults.add(cells.filled, lambda row: definition.reason)  # noqa: ARG005 - one for all
            return []


def without(cells: Cells, texts: Sequence[str]) -> Cells:
    """The cells, and empty ones for those of some texts."""
    meant = pa.array([text.encode() for text in texts], pa.binary())
    found = pc.is_in(cells.trimmed().array, value_set=meant)
    if not pc.any(found).as_py():
        return cells
    return Cells(pc.if_else(found, pa.scalar(b""), cells.array))


# Categories


def _categories(cells: Cells, definition: Categorical, faults: Faults) -> list[Produced]:
    texts = pa.array(list(definition.by_text), pa.binary())
    numbers = np.array(list(definition.by_text.values()), definition.nformat)
    values, missing = _find(cells, (texts, numbers))
    if definition.allow_freetext:
        free = np.zeros(len(cells), bool) if missing is None else missing
        values[free] = FREETEXT_VALUE
        words = Cells(pc.if_else(pa.array(free), cells.array, pa.scalar(b"")))
        return [values, words.utf8(faults).cast(pa.large_string())]
    if missing is not None and faults.lenient:
        faults.let_pass(missing, "took unknown categories for 0")
        values[missing] = 0
    elif missing is not None:
        reason = f"is none of the categories {listing(definition.categories, 10)}"
        faults.add(missing, lambda row: reason)  # noqa: ARG005 - one reason for all
    return [values]


# Numbers


def _marked(cells: Cells, definition: Numeric, faults: Faults) -> list[Produced]:
    """Read numbers that have marks of their own."""
    plain, odd = plain_numbers(cells, definition)
    values, valid = _numbers(plain, definition.nformat, faults)
    if odd.any():
        if definition.validation_mode != "relaxed":
            faults.add(odd, lambda row: why_not_plain(definition))  # noqa: ARG005 - one for all
        valid = valid & ~odd
    return _flagged(plain, definition, faults, values, valid)


def _flagged(
    cells: Cells, definition: Numeric, faults: Faults, values: npt.NDArray[Any], valid: Mask
) -> list[Produced]:
    """Apply the validation mode to values of which some cells held none."""
    if not valid.all():
        mode = definition.validation_mode
        wrong = ~valid if mode == "strict" else ~valid & cells.filled
        if mode != "relaxed":
            faults.add(wrong, lambda row: _why_not(cells[row], definition))
        values[~valid] = definition.fill
    if definition.has_flag:
        return [values, valid]
    # No column says which cells were empty, so the values do.
    return [values if valid.all() else np.ma.MaskedArray(values, ~valid)]


def _why_not(text: bytes, definition: Numeric) -> str:
    nformat, mode = definition.nformat, definition.validation_mode
    if not text:
        return f"is empty, which mode '{mode}' does not allow"
    if nformat == "bool":
        return f"cannot be converted to bool in '{mode}' mode"
    try:
        int(text) if "int" in nformat else float(text)
    except ValueError:
        kind = "float" if nformat.startswith("float") else "int"
        return f"cannot be converted to {kind} in '{mode}' mode"
    if nformat.startswith("float"):
        return f"is too large for {nformat}"
    info = np.iinfo(nformat)
    return f"is out of range for {nformat} ({info.min} to {info.max})"


def _numbers(cells: Cells, nformat: str, faults: Faults) -> tuple[npt.NDArray[Any], Mask]:
    """
    Read integers or floats.

    Arrow reads plain digits. Whatever holds another byte (a space, a plus, 'nan', hexadecimal,
    which Arrow would accept) is left to Python, whose `int` and `float` are what ExeTera uses.
    """
    floating = nformat.startswith("float")
    unusual = cells.rows_with_other_bytes(FLOAT_BYTES if floating else INTEGER_BYTES)
    plain = cells.filled & ~unusual
    values, plain = _read_plain(cells, plain, nformat)
    if floating:
        # Arrow reads 1e999 as infinity without a word.
        plain &= ~np.isinf(values)
    rest = cells.filled & ~plain
    if not rest.any():
        return values, plain
    parse = _float_parser(nformat) if floating else _integer_parser(nformat)
    found, failed = cells.each(rest, parse, nformat)
    values[rest] = found
    valid = plain.copy()
    valid[rest] = ~failed
    if faults.lenient and not valid[rest].all():
        valid |= _made_to_fit(cells, rest & ~valid, values, faults)
    return values, valid


def _made_to_fit(cells: Cells, rows: Mask, values: npt.NDArray[Any], faults: Faults) -> Mask:
    """Put numbers that are out of range in place as ExeTera does: whole ones wrap around."""
    parse: Callable[[bytes], Any] = float
    if values.dtype.kind in "iu":
        mask = (1 << (8 * values.dtype.itemsize)) - 1

        def parse(text: bytes) -> int:
            return int(text) & mask

    kind = f"u{values.dtype.itemsize}" if values.dtype.kind in "iu" else values.dtype.str
    with np.errstate(over="ignore"):
        found, failed = cells.each(rows, parse, kind)
    fits = rows.copy()
    fits[rows] = ~failed
    values[rows] = found.view(values.dtype)
    faults.let_pass(fits, f"made numbers fit {values.dtype.name}")
    return fits


def _read_plain(cells: Cells, plain: Mask, nformat: str) -> tuple[npt.NDArray[Any], Mask]:
    """Let Arrow read the plain cells; return the values and which cells it read."""
    kind = pa.from_numpy_dtype(np.dtype(nformat))
    pattern = PLAIN_FLOAT if nformat.startswith("float") else PLAIN_INTEGER
    try:
        return _values(pc.cast(cells.as_text(plain), kind), nformat), plain
    except pa.ArrowInvalid:
        # One '-' should not make Python read all the others.
        plain = plain & np.asarray(pc.match_substring_regex(cells.array, pattern))
    try:
        return _values(pc.cast(cells.as_text(plain), kind), nformat), plain
    except pa.ArrowInvalid:
        return np.zeros(len(cells), nformat), np.zeros(len(cells), bool)


def _values(array: pa.Array, nformat: str) -> npt.NDArray[Any]:
    """Return the values of a fresh Arrow array, whatever is in the place of nulls."""
    if not len(array):
        return np.zeros(0, nformat)
    # A copy: Arrow's buffers are read-only for numpy, and nulls are still to be filled.
    return np.frombuffer(array.buffers()[1], nformat, len(array), 0).copy()


def _integer_parser(nformat: str) -> Any:
    info = np.iinfo(nformat)

    def parse(text: bytes) -> int:
        value = int(text)
        if not info.min <= value <= info.max:
            raise ValueError
        return value

    return parse


def _float_parser(nformat: str) -> Any:
    def parse(text: bytes) -> float:
        value = float(text)
        if nformat == "float32" and math.isfinite(value):
            # As Arrow reads the others: rounded once, from the text, and only then too large.
            plain = text.strip().replace(b"_", b"").removeprefix(b"+")
            value = pa.scalar(plain.decode()).cast(pa.float32()).as_py()
        if math.isinf(value) and b"inf" not in text.lower():
            raise ValueError
        return value

    return parse


def _find(cells: Cells, lookup: Lookup) -> tuple[npt.NDArray[Any], Mask | None]:
    """Return the value of each cell, and which cells are in no list (None: all are)."""
    texts, values = lookup
    codes = pc.index_in(cells.array, value_set=texts)
    if not codes.null_count:
        return values.take(codes.to_numpy(), mode="clip"), None
    missing = codes.is_null().to_numpy(zero_copy_only=False)
    return values[codes.fill_null(0).to_numpy()], missing


@lru_cache(maxsize=1)
def _bool_lookup() -> Lookup:
    spellings = [
        (spelling, truth)
        for texts, truth in ((TRUE_TEXTS, True), (FALSE_TEXTS, False))
        for text in texts
        for spelling in dict.fromkeys((text, text.upper(), text.title()))
    ]
    texts = pa.array([spelling for spelling, _ in spellings], pa.binary())
    return texts, np.array([truth for _, truth in spellings], bool)


def _parse_bool(text: bytes) -> bool:
    plain = text.strip().lower()
    if plain in TRUE_TEXTS:
        return True
    if plain in FALSE_TEXTS:
        return False
    raise ValueError


def _booleans(cells: Cells) -> tuple[npt.NDArray[Any], Mask]:
    values, missing = _find(cells, _bool_lookup())
    valid = np.ones(len(cells), bool) if missing is None else ~missing
    rest = cells.filled & ~valid
    if rest.any():
        found, failed = cells.each(rest, _parse_bool, bool)
        values[rest] = found
        valid[rest] = ~failed
    return values, valid


# Text


def _fixed(cells: Cells, length: int, faults: Faults) -> npt.NDArray[Any]:
    text = cells.utf8(faults)
    too_long = cells.lengths > length
    if faults.lenient:
        faults.let_pass(too_long, f"cut strings to {length} bytes")
        return _cut(cells, length)
    faults.add(too_long, lambda row: f"has {cells.lengths[row]} bytes; the field holds {length}")
    nul = (cells.byte_at(-1) == 0) & cells.filled
    reason = "ends with a NUL byte, which a fixed string cannot keep"
    faults.add(nul, lambda row: reason)  # noqa: ARG005 - one reason for all
    if faults:
        return np.zeros(len(cells), f"S{length}")
    if not (cells.lengths == length).all():
        text = pc.ascii_rpad(text, length, padding="\0")
    padded = Cells(text.view(pa.binary()))
    return padded.data.view(f"S{length}") if len(cells) else np.zeros(0, f"S{length}")


def _cut(cells: Cells, length: int) -> npt.NDArray[Any]:
    """Fixed strings of the first bytes of each cell, which need not be whole characters."""
    short = Cells(pc.binary_slice(cells.array, 0, length)) if len(cells) else cells
    return np.asarray(short.array.to_pylist(), f"S{length}")
