"""Small helpers of ExeTera's `core.utils` that scripts call."""

from __future__ import annotations

import codecs
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from exetera_zarr.errors import ArgumentError
from exetera_zarr.moments import SECONDS_PER_DAY

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping, MutableSequence, Sequence

    from exetera_zarr.storage.base import AnyArray

__all__ = [
    "INT64_INDEX_LENGTH",
    "PERMITTED_NUMERIC_TYPES",
    "SECONDS_PER_DAY",
    "USE_NUMBA",
    "Timer",
    "build_histogram",
    "check_input_lengths",
    "count_flag_empty",
    "count_flag_not_set",
    "count_flag_set",
    "datetime_to_seconds",
    "exetera_njit",
    "filter_field",
    "find_longest_sequence_of",
    "get_min_max",
    "guess_encoding",
    "map_between_categories",
    "numba_bool",
    "one_dim_data_to_indexed_for_test",
    "string_to_datetime",
    "timestamp_to_day",
    "validate_file_exists",
]

INT64_INDEX_LENGTH = (1 << 31) - 1
PERMITTED_NUMERIC_TYPES = (
    "float32",
    "float64",
    "bool",
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
)
USE_NUMBA = False
"""Nothing here is compiled."""
numba_bool = np.bool_

_MARKS = (
    # UTF-32 leads: its mark begins as that of UTF-16 does.
    ("utf-32", (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)),
    ("utf-8-sig", (codecs.BOM_UTF8,)),
    ("utf-16", (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)),
)
_DATE = "%Y-%m-%d"
_MOMENTS = (f"{_DATE} %H:%M:%S.%f%z", f"{_DATE} %H:%M:%S%z", f"{_DATE} %H:%M:%S", _DATE)


def exetera_njit(*functions: Callable[..., Any], **_: Any) -> Any:
    """Leave a function as it is; with arguments, a decorator that does."""
    return functions[0] if functions and callable(functions[0]) else lambda function: function


class Timer:
    """
    A ``with`` block that prints how long it took.

    Parameters
    ----------
    start_msg
        Printed at the start.
    new_line
        Whether the end has a line of its own.
    end_msg
        Printed at the end, before the seconds.
    """

    def __init__(
        self, start_msg: str, new_line: bool = False, end_msg: str = "completed in"
    ) -> None:
        self.start_msg = start_msg
        self.new_line = new_line
        self.end_msg = end_msg

    def __enter__(self) -> Self:
        print(self.start_msg, end="\n" if self.new_line else ": ", flush=True)
        self._start = time.perf_counter()
        return self

    def __exit__(self, *error: object) -> None:
        print(self.end_msg, f"{time.perf_counter() - self._start:.6g} seconds", flush=True)


# -- files


def validate_file_exists(file_name: str | os.PathLike[str]) -> None:
    """
    Raise unless there is a local file of that name.

    Raises
    ------
    FileExistsError
        There is nothing. The name of the error is ExeTera's.
    FileNotFoundError
        It is no file.
    """
    path = Path(file_name)
    if not path.exists():
        raise FileExistsError(f"{path} does not exist")
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file")


def guess_encoding(filename: str | os.PathLike[str]) -> str:
    """Encoding of a text file by its byte order mark: utf-8-sig, utf-16, utf-32, else utf-8."""
    with Path(filename).open("rb") as file:
        start = file.read(4)
    return next((name for name, marks in _MARKS if start.startswith(marks)), "utf-8")


# -- text and time


def find_longest_sequence_of(string: str, char: str) -> int:
    """Length of the longest run of a character in a text."""
    longest = run = 0
    for one in string:
        run = run + 1 if one == char else 0
        longest = max(longest, run)
    return longest


def timestamp_to_day(field: str) -> str:
    """The day in a text that begins with ``YYYY-MM-DD``; empty text stays so."""
    return field[:10]


def datetime_to_seconds(dt: str) -> str:
    """A text that begins with ``YYYY-MM-DD HH:MM:SS``, without what follows the seconds."""
    return dt[:19]


def string_to_datetime(field: str) -> datetime:
    """
    Read a point in time.

    Parameters
    ----------
    field
        ``YYYY-MM-DD``, with or without ``HH:MM:SS``, a fraction of a second, and an offset.

    Returns
    -------
    datetime
        With a time zone if the text has an offset.

    Raises
    ------
    ValueError
        It is something else.
    """
    for form in _MOMENTS:
        try:
            return datetime.strptime(field, form)  # noqa: DTZ007 - text without offset stays so
        except ValueError:
            continue
    raise ArgumentError(f"{field!r} is not a date or a point in time, such as 2020-05-06 07:08:09")


# -- flags, categories and counts


def count_flag_empty(flags: npt.ArrayLike) -> int:
    """How many have no flag set."""
    return int(np.count_nonzero(np.asarray(flags) == 0))


def count_flag_set(flags: npt.ArrayLike, flag_to_test: int) -> int:
    """How many have any bit of a flag set."""
    return int(np.count_nonzero(np.asarray(flags) & flag_to_test))


def count_flag_not_set(flags: npt.ArrayLike, flag_to_test: int) -> int:
    """How many have no bit of a flag set."""
    return int(np.count_nonzero((np.asarray(flags) & flag_to_test) == 0))


def build_histogram(
    dataset: Iterable[Any],
    filtered_records: Iterable[Any] | None = None,
    tx: Callable[[Any], Any] | None = None,
) -> list[tuple[Any, int]]:
    """
    Count the values, in the order in which they first occur.

    Parameters
    ----------
    dataset
        The values.
    filtered_records
        As long; what is not zero there is left out.
    tx
        Applied to each value first.

    Returns
    -------
    list of (value, count)
    """
    values = list(dataset)
    if filtered_records is not None:
        values = [v for v, out in zip(values, filtered_records, strict=True) if not out]
    return list(Counter(map(tx, values) if tx is not None else values).items())


def filter_field(
    fields: Sequence[str],
    filter_list: MutableSequence[int] | AnyArray,
    f_missing: int,
    f_bad: int,
    is_type_fn: Callable[[str], bool],
    type_fn: Callable[[str], Any],
    valid_fn: Callable[[Any], bool],
) -> None:
    """
    Flag the texts that cannot be read or are not valid, in `filter_list`.

    Parameters
    ----------
    fields
        The texts.
    filter_list
        As long; flags are added to it.
    f_missing, f_bad
        Flag of a text that is empty or cannot be read, and of one that is not valid.
    is_type_fn, type_fn, valid_fn
        Whether a text can be read, reading it, and whether what was read is valid.
    """
    for row, text in enumerate(fields):
        if not text or not is_type_fn(text):
            filter_list[row] |= f_missing
        elif not valid_fn(type_fn(text)):
            filter_list[row] |= f_bad


def map_between_categories(
    first_map: Mapping[Any, int], second_map: Mapping[Any, int]
) -> dict[int, int]:
    """The code in the second map for each code in the first; KeyError where a name is missing."""
    return {code: second_map[name] for name, code in first_map.items()}


def check_input_lengths(names: Sequence[str], fields: Sequence[Any]) -> None:
    """Raise ValueError unless all fields or arrays have one length."""
    lengths = dict(zip(names, map(len, fields), strict=True))
    if len(set(lengths.values())) > 1:
        raise ArgumentError(f"these have different lengths: {lengths}")


def get_min_max(value_type: str) -> tuple[int, int]:
    """
    Least and greatest value of a number type; for floats those of the integers as wide.

    The latter is ExeTera's rule for the `invalid_value` of an import.

    Raises
    ------
    KeyError
        It is no such type.
    """
    dtype = np.dtype(value_type)
    if dtype.kind not in "iuf":
        raise KeyError(value_type)
    limits = np.iinfo(f"int{8 * dtype.itemsize}" if dtype.kind == "f" else dtype)
    return int(limits.min), int(limits.max)


def one_dim_data_to_indexed_for_test(
    data: Sequence[str], field_size: int
) -> tuple[AnyArray, AnyArray, AnyArray, int]:
    """
    Texts in the form that importers take: one column of cells.

    Parameters
    ----------
    data
        The texts.
    field_size
        Bytes of room for each.

    Returns
    -------
    indices : ndarray of int64, shape (1, rows + 1)
    values : ndarray of uint8, shape (rows * field_size,)
    offsets : ndarray of int64, shape (2,)
    rows : int
    """
    cells = [text.encode() for text in data]
    ends = np.cumsum([0, *map(len, cells)], dtype=np.int64)
    values = np.zeros(len(cells) * field_size, np.uint8)
    values[: ends[-1]] = np.frombuffer(b"".join(cells), np.uint8)
    return ends[None, :], values, np.asarray([0, len(values)], np.int64), len(cells)
