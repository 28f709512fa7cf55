"""Some rows of a column that was given, in one of a few forms, whatever it came in."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa

from exetera_zarr import moments
from exetera_zarr.engine import is_strings
from exetera_zarr.engine.columns import strings
from exetera_zarr.errors import DataError
from exetera_zarr.fields.writing.given import is_nothing, is_number, number_array
from exetera_zarr.fieldtypes import label_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exetera_zarr.engine import Column
    from exetera_zarr.fields.base import Field
    from exetera_zarr.storage.base import AnyArray

__all__ = ["Kind", "Values", "of_array", "of_arrow", "of_codes", "of_field", "of_objects"]

Kind: TypeAlias = Literal[
    "numbers", "moments", "durations", "texts", "labels", "objects", "nothing", "others"
]


@dataclass(frozen=True)
class Values:
    """
    Values in a row, of which some may be missing.

    Parameters
    ----------
    kind
        ``numbers``: an array of bool, integers or floats. ``moments``: an array of datetime64, or
        of POSIX seconds. ``durations``: an array of seconds, as float64. ``texts``: strings of
        Arrow, or an array of ``S<width>``. ``labels``: an array of integers that stand for texts.
        ``objects``: a list of Python's own. ``nothing``: no value at all. ``others``: what no field
        holds, as a list or as Arrow has it.
    data
        As of the kind, with any value where one is missing.
    mask : ndarray of bool, optional
        Which rows have a value; None where all have.
    codes, labels
        The integers that stand for texts, ascending, and these texts.
    type
        That of Arrow, where they came in one.
    """

    kind: Kind
    data: Any
    mask: AnyArray | None = None
    codes: AnyArray | None = None
    labels: pa.LargeBinaryArray | None = None
    type: pa.DataType | None = None

    def __len__(self) -> int:
        return len(self.data)

    @property
    def all_missing(self) -> bool:
        """Whether there is no value at all."""
        return self.kind == "nothing" or (self.mask is not None and not self.mask.any())

    def part(self, start: int, stop: int) -> Values:
        """The rows from one number to another."""
        mask = None if self.mask is None else self.mask[start:stop]
        if self.kind == "objects":  # of which some may be of one kind
            found = of_objects(self.data[start:stop])
            return found if mask is None else found.present_in(mask)
        return replace(self, data=self.data[start:stop], mask=mask)

    def present_in(self, mask: AnyArray) -> Values:
        """The same, where what is not in the mask is missing, too."""
        return replace(self, mask=mask if self.mask is None else self.mask & mask)

    def one(self, row: int) -> Any:
        """A value as Python has it, for messages."""
        value = self.data[row]
        if self.kind == "labels":
            assert self.codes is not None
            assert self.labels is not None
            at = int(np.searchsorted(self.codes, value))
            named = at < len(self.codes) and self.codes[at] == value
            value = self.labels[at] if named else value
        if isinstance(value, pa.Scalar):
            value = value.as_py()
        elif isinstance(value, np.generic) and not isinstance(value, np.datetime64):
            value = value.item()
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


_NO_FIXED_LENGTH = ("Y", "M", "generic")
"""Units of durations that are no number of seconds."""


def _without_nan(data: AnyArray, mask: AnyArray | None) -> AnyArray | None:
    """Which rows have a value, of an array in which NaN is none."""
    if data.dtype.kind == "f":
        nan = np.isnan(data)
        if nan.any():
            return ~nan if mask is None else mask & ~nan
    return None if mask is None or mask.all() else mask


def of_array(array: AnyArray) -> Values:
    """Values of an array of numpy, in which NaN, NaT and what is masked is missing."""
    mask = None
    if isinstance(array, np.ma.MaskedArray):
        mask, array = ~np.ma.getmaskarray(array), array.data
        mask = None if mask.all() else mask
    match array.dtype.kind:
        case "b" | "i" | "u" | "f":
            if array.dtype.name not in ("float16", "float32", "float64") and (
                array.dtype.kind == "f"
            ):
                return Values("others", array, mask)
            return Values("numbers", array, _without_nan(array, mask))
        case "M":
            nat = np.isnat(array)
            there = ~nat if mask is None else mask & ~nat
            return Values("moments", array, None if there.all() else there)
        case "m" if np.datetime_data(array.dtype)[0] not in _NO_FIXED_LENGTH:
            nat = np.isnat(array)
            there = ~nat if mask is None else mask & ~nat
            seconds = np.where(nat, np.zeros((), array.dtype), array) / np.timedelta64(1, "s")
            return Values("durations", seconds, None if there.all() else there)
        case "S":
            return Values("texts", array, mask)
        case "U":
            return Values("texts", strings.encode(array.tolist()), mask)
        case "O":
            found = of_objects(array.tolist())
            return found if mask is None else found.present_in(mask)
    return Values("others", array, mask)


def of_objects(given: Sequence[Any]) -> Values:
    """Values of Python's own; None, NaN, NA, NaT and what is masked is missing."""
    values = list(given)
    kinds = set(map(type, values))
    if kinds == {str}:
        return Values("texts", strings.encode(values))
    if kinds and kinds <= {int, float, bool}:
        array = number_array(values)
        if array.dtype.kind in "biuf":
            return Values("numbers", array, _without_nan(array, None))
    gone = [is_nothing(one) or _is_nan(one) for one in values]
    mask = None if not any(gone) else ~np.asarray(gone, np.bool_)
    if mask is not None and not mask.any():
        return Values("nothing", values, mask)
    there = values if mask is None else [v for v, no in zip(values, gone, strict=True) if not no]
    types = set(map(type, there))
    if types and all(issubclass(kind, (str, bytes)) for kind in types):
        return Values("texts", strings.encode(_filled(values, gone, "")), mask)
    if types and all(_is_date(kind) for kind in types):
        filled = _filled(values, gone, there[0])
        return Values("moments", np.asarray([moments.moment(one) for one in filled]), mask)
    if types and all(map(is_number, there)):
        array = number_array(_filled(values, gone, there[0]))
        if array.dtype.kind in "biuf":
            return Values("numbers", array, mask)
    return Values("objects" if types else "nothing", values, mask)


def _filled(values: Sequence[Any], gone: Sequence[bool], filler: Any) -> list[Any]:
    return [filler if no else value for value, no in zip(values, gone, strict=True)]


def _is_nan(value: object) -> bool:
    if isinstance(value, (float, np.floating, Decimal)):
        return bool(value != value)  # noqa: PLR0124 - which NaN alone is
    return isinstance(value, (np.datetime64, np.timedelta64)) and bool(np.isnat(value))


def _is_date(kind: type) -> bool:
    return issubclass(kind, (dt.date, np.datetime64))


def of_arrow(array: pa.Array | pa.ChunkedArray) -> Values:
    """Values of an array of Arrow, in which nulls and NaN are missing."""
    found = _of_arrow(_in_one(array) if isinstance(array, pa.ChunkedArray) else array)
    return found if found.type is not None else replace(found, type=array.type)


def _of_arrow(array: pa.Array) -> Values:
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        if not kind.extension_name.startswith("arrow."):
            return Values("others", array)
        return of_arrow(array.storage)
    if pa.types.is_run_end_encoded(kind):
        import pyarrow.compute as pc

        return of_arrow(pc.run_end_decode(array))
    if pa.types.is_null(kind):
        return Values("nothing", array, np.zeros(len(array), np.bool_))
    if pa.types.is_dictionary(kind):
        return _of_dictionary(array)
    mask = _mask_of(array)
    if strings.holds_strings(kind):
        return Values("texts", strings.as_strings(array), mask)
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        data = _plain(array)
        return Values("numbers", data, _without_nan(data, mask))
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return Values("moments", _moments(array), mask)
    if pa.types.is_duration(kind) or pa.types.is_time(kind):
        whole = pa.int32() if pa.types.is_time32(kind) else pa.int64()
        units = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
        return Values("durations", _plain(array.cast(whole)) / units[kind.unit], mask)
    if pa.types.is_decimal(kind):
        return Values("objects", array.to_pylist(), mask)
    return Values("others", array, mask)


def _in_one(chunked: pa.ChunkedArray) -> pa.Array:
    if pa.types.is_dictionary(chunked.type):
        chunked = chunked.unify_dictionaries()
    if chunked.num_chunks == 1:
        return chunked.chunk(0)
    return pa.concat_arrays(chunked.chunks) if chunked.num_chunks else pa.array([], chunked.type)


def _mask_of(array: pa.Array) -> AnyArray | None:
    if array.null_count == 0:
        return None
    return np.asarray(array.is_valid().to_numpy(zero_copy_only=False), np.bool_)


def _plain(array: pa.Array) -> AnyArray:
    """Numbers as numpy has them, with zeros for nulls, but NaN among halves."""
    if array.null_count and not pa.types.is_float16(array.type):
        array = array.fill_null(pa.scalar(0).cast(array.type))
    return np.asarray(array.to_numpy(zero_copy_only=False))


def _moments(array: pa.Array) -> AnyArray:
    """Dates and times as datetime64, in UTC where they have a zone."""
    kind = array.type
    if pa.types.is_date32(kind):
        days = _plain(array.cast(pa.int32()))
        return days.astype(np.int64).view("datetime64[D]")
    unit = "ms" if pa.types.is_date64(kind) else kind.unit
    return _plain(array.cast(pa.int64())).astype(np.int64, copy=False).view(f"datetime64[{unit}]")


def _of_dictionary(array: pa.DictionaryArray) -> Values:
    values = array.dictionary
    if not strings.holds_strings(values.type):
        return of_arrow(array.dictionary_decode())
    mask = _mask_of(array.indices)
    codes = _plain(array.indices).astype(np.int64)
    if values.null_count:
        named = np.asarray(values.is_valid().to_numpy(zero_copy_only=False), np.bool_)
        there = named[codes] if mask is None else mask & named[np.where(mask, codes, 0)]
        mask = None if there.all() else there
    return Values("labels", codes, mask, np.arange(len(values)), strings.as_strings(values))


def of_field(field: Field, column: Column, mask: AnyArray | None) -> Values:
    """Some rows of a field of ours, and which of them have a value."""
    if field.type_name == "categorical":
        return of_codes(Values("numbers", column, mask), field.keys)  # type: ignore[attr-defined]
    if is_strings(column) or column.dtype.kind == "S":
        return Values("texts", column, mask)
    kind: Kind = "moments" if field.type_name == "timestamp" else "numbers"
    return Values(kind, column, mask)


def of_codes(values: Values, keys: Mapping[int, Any]) -> Values:
    """Whole numbers as what stands for texts, by the name of each."""
    ordered = dict(sorted(keys.items()))
    labels = strings.encode([label_bytes(name) for name in ordered.values()])
    codes = np.asarray([*ordered], np.int64)
    return replace(values, kind="labels", codes=codes, labels=labels)


def texts_of_labels(values: Values) -> Values:
    """What stands for texts, as these texts; DataError for what stands for none."""
    assert values.codes is not None
    assert values.labels is not None
    at = np.searchsorted(values.codes, values.data)
    at = np.minimum(at, max(len(values.codes) - 1, 0))
    there = np.ones(len(values), np.bool_) if values.mask is None else values.mask
    if len(values.codes) == 0 or (there & (values.codes[at] != values.data)).any():
        raise DataError("a code has no name")
    # Where a value is missing there is no text either.
    labels = strings.concat([values.labels, strings.encode([""])])
    return Values("texts", strings.take(labels, np.where(there, at, len(labels) - 1)), values.mask)
