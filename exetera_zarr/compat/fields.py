"""`exetera.core.fields`: ExeTera's names for fields of a dataset, fields in memory, and their data.

Here a field type is one class, wherever its bytes live. ExeTera has two for each, and scripts ask
``isinstance(field, fields.NumericMemField)``: the classes below answer that, and calling one makes
a field of ours. None of them ever has an instance of its own.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from exetera_zarr import fields, fieldtypes
from exetera_zarr.errors import ArgumentTypeError, DataError, UnsupportedError
from exetera_zarr.fields import (
    Field,
    argsort,
    base,
    categorical,
    create,
    dtype_to_str,
    fixed_string,
    indexed_string,
    isin,
    numeric,
    timestamp,
)
from exetera_zarr.fields.data import RawData, StringData
from exetera_zarr.fields.expressions.operators import compute

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exetera_zarr.storage.base import Group
    from exetera_zarr.tables.session import Session

__all__ = [
    "CategoricalField",
    "CategoricalMemField",
    "Field",
    "FieldDataOps",
    "FixedStringField",
    "FixedStringMemField",
    "HDF5Field",
    "IndexedStringField",
    "IndexedStringMemField",
    "MemoryField",
    "MemoryFieldArray",
    "NumericField",
    "NumericMemField",
    "ReadOnlyFieldArray",
    "ReadOnlyIndexedFieldArray",
    "TimestampField",
    "TimestampMemField",
    "WriteableFieldArray",
    "WriteableIndexedFieldArray",
    "argsort",
    "as_field",
    "base_field_contructor",
    "categorical_field_constructor",
    "dtype_to_str",
    "fixed_string_field_constructor",
    "indexed_string_field_constructor",
    "isin",
    "numeric_field_constructor",
    "timestamp_field_constructor",
]


def as_field(data: Any, key: Mapping[Any, Any] | None = None) -> Field:
    """An array as a field in memory, as of `exetera_zarr.fields`, but of what is under a mask."""
    return fields.as_field(np.asarray(data), key)


class _Name(type):
    """A class that stands for some of the instances of others."""

    ours: type[Any] | tuple[type[Any], ...]

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, cls.ours) and cls.holds(instance)

    def holds(cls, instance: Any) -> bool:
        """Whether an instance of ours is meant."""
        raise NotImplementedError


# -- fields of a dataset


class _Stored(_Name):
    def holds(cls, instance: Field) -> bool:
        return instance.stored

    def __call__(
        cls, session: object, group: Group, dataframe: Any = None, write_enabled: bool = False
    ) -> Any:
        """Wrap the field that a storage group holds; for reading unless `write_enabled`."""
        found = create.field_class(group)
        assert isinstance(cls.ours, type)
        if not issubclass(found, cls.ours):
            raise DataError(f"{group.name!r} is a {found.type_name} field, not a {cls.__name__}")
        return found(session, group, dataframe, write_enabled)


class HDF5Field(Field, metaclass=_Stored):
    """A field of a dataset, whatever its back end."""

    ours: ClassVar[type[Any]] = Field


class IndexedStringField(HDF5Field, indexed_string.IndexedStringField):
    """A field of strings of any length, of a dataset."""

    ours: ClassVar[type[Any]] = indexed_string.IndexedStringField


class FixedStringField(HDF5Field, fixed_string.FixedStringField):
    """A field of strings of limited length, of a dataset."""

    ours: ClassVar[type[Any]] = fixed_string.FixedStringField


class NumericField(HDF5Field, numeric.NumericField):
    """A field of numbers, of a dataset."""

    ours: ClassVar[type[Any]] = numeric.NumericField


class CategoricalField(HDF5Field, categorical.CategoricalField):
    """A field of named codes, of a dataset."""

    ours: ClassVar[type[Any]] = categorical.CategoricalField


class TimestampField(HDF5Field, timestamp.TimestampField):
    """A field of points in time, of a dataset."""

    ours: ClassVar[type[Any]] = timestamp.TimestampField


# -- fields in memory


class _InMemory(_Name):
    def holds(cls, instance: Field) -> bool:
        return not instance.stored

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Make an empty field."""
        session, attributes = cls.attributes(*args, **kwargs)  # type: ignore[attr-defined]
        assert isinstance(cls.ours, type)
        return base.new_field(session, attributes)


class MemoryField(Field, metaclass=_InMemory):
    """A field in memory; the classes of the types make one."""

    ours: ClassVar[type[Any]] = Field

    @staticmethod
    def attributes(*_: Any, **__: Any) -> Any:
        """Refuse: it has no type."""
        raise ArgumentTypeError("a field in memory has a type: make a NumericMemField, for example")


class IndexedStringMemField(MemoryField, indexed_string.IndexedStringField):
    """A field of strings of any length, in memory."""

    ours: ClassVar[type[Any]] = indexed_string.IndexedStringField

    @staticmethod
    def attributes(session: Session | None, chunksize: int | None = None) -> Any:
        """What makes such a field."""
        size = {} if chunksize is None else {"chunksize": chunksize}
        return session, fieldtypes.indexed_string_attributes() | size


class FixedStringMemField(MemoryField, fixed_string.FixedStringField):
    """A field of strings of at most `length` bytes, in memory."""

    ours: ClassVar[type[Any]] = fixed_string.FixedStringField

    @staticmethod
    def attributes(session: Session | None, length: int) -> Any:
        """What makes such a field."""
        return session, fieldtypes.fixed_string_attributes(length)


class NumericMemField(MemoryField, numeric.NumericField):
    """A field of numbers of the type `nformat`, in memory."""

    ours: ClassVar[type[Any]] = numeric.NumericField

    @staticmethod
    def attributes(session: Session | None, nformat: npt.DTypeLike) -> Any:
        """What makes such a field."""
        return session, fieldtypes.numeric_attributes(nformat)


class CategoricalMemField(MemoryField, categorical.CategoricalField):
    """A field of codes of the type `nformat` with names, in memory."""

    ours: ClassVar[type[Any]] = categorical.CategoricalField

    @staticmethod
    def attributes(session: Session | None, nformat: npt.DTypeLike, keys: Mapping[Any, Any]) -> Any:
        """What makes such a field."""
        return session, fieldtypes.categorical_attributes(nformat, keys)


class TimestampMemField(MemoryField, timestamp.TimestampField):
    """A field of points in time, in memory."""

    ours: ClassVar[type[Any]] = timestamp.TimestampField

    @staticmethod
    def attributes(session: Session | None) -> Any:
        """What makes such a field."""
        return session, fieldtypes.timestamp_attributes()


# -- the data of a field


class _Data(_Name):
    def __call__(cls, *_: Any, **__: Any) -> Any:
        raise UnsupportedError(f"a {cls.__name__} is not made by itself: it is the data of a field")


class _ReadOnly(_Data):
    def holds(cls, instance: RawData | StringData) -> bool:
        return not instance.field.write_enabled


class _Writeable(_Data):
    def holds(cls, instance: RawData | StringData) -> bool:
        # In memory ExeTera has one of its own for arrays, but not for strings.
        field = instance.field
        return field.write_enabled and (field.stored or isinstance(instance, StringData))


class ReadOnlyFieldArray(RawData, metaclass=_ReadOnly):
    """Data of a field of a dataset that may not be changed."""

    ours: ClassVar[type[Any]] = RawData


class WriteableFieldArray(RawData, metaclass=_Writeable):
    """Data of a field of a dataset."""

    ours: ClassVar[type[Any]] = RawData


class ReadOnlyIndexedFieldArray(StringData, metaclass=_ReadOnly):
    """Data of an indexed string field that may not be changed."""

    ours: ClassVar[type[Any]] = StringData


class WriteableIndexedFieldArray(StringData, metaclass=_Writeable):
    """Data of an indexed string field."""

    ours: ClassVar[type[Any]] = StringData


class _MemoryData(_Name):
    def holds(cls, instance: RawData) -> bool:
        return not instance.field.stored

    def __call__(cls, dtype: npt.DTypeLike) -> Any:
        """Make an empty array that grows."""
        kind = np.dtype(dtype)
        if kind.kind == "S":
            made = _InMemory.__call__(FixedStringMemField, None, kind.itemsize)
        else:
            made = _InMemory.__call__(NumericMemField, None, kind)
        return made.data


class MemoryFieldArray(RawData, metaclass=_MemoryData):
    """Data of a field in memory."""

    ours: ClassVar[type[Any]] = RawData


# -- functions that make a field in a table


def base_field_contructor(
    session: Session, group: Any, name: str, timestamp: Any = None, chunksize: int | None = None
) -> Any:
    """Refuse: a field has a type; the name is spelt as in ExeTera."""
    raise UnsupportedError(f"the field {name!r} needs a type: use the constructor of that type")


def indexed_string_field_constructor(
    session: Session, group: Any, name: str, timestamp: Any = None, chunksize: int | None = None
) -> None:
    """See `Session.create_indexed_string`."""
    session.create_indexed_string(group, name, timestamp, chunksize)


def fixed_string_field_constructor(
    session: Session,
    group: Any,
    name: str,
    length: int,
    timestamp: Any = None,
    chunksize: int | None = None,
) -> None:
    """See `Session.create_fixed_string`."""
    session.create_fixed_string(group, name, length, timestamp, chunksize)


def numeric_field_constructor(
    session: Session,
    group: Any,
    name: str,
    nformat: npt.DTypeLike,
    timestamp: Any = None,
    chunksize: int | None = None,
) -> None:
    """See `Session.create_numeric`."""
    session.create_numeric(group, name, nformat, timestamp, chunksize)


def categorical_field_constructor(
    session: Session,
    group: Any,
    name: str,
    nformat: npt.DTypeLike,
    key: Mapping[Any, Any],
    timestamp: Any = None,
    chunksize: int | None = None,
) -> None:
    """See `Session.create_categorical`."""
    session.create_categorical(group, name, nformat, key, timestamp, chunksize)


def timestamp_field_constructor(
    session: Session, group: Any, name: str, timestamp: Any = None, chunksize: int | None = None
) -> None:
    """See `Session.create_timestamp`."""
    session.create_timestamp(group, name, timestamp, chunksize)


# -- what the methods of fields do, as functions


def _computed(function: Callable[..., Any]) -> Any:
    def method(session: object, *operands: Any) -> Any:
        return compute(function, *operands)

    return staticmethod(method)


def _method(name: str) -> Any:
    def method(source: Field, *args: Any, **kwargs: Any) -> Any:
        return getattr(source, name)(*args, **kwargs)

    return staticmethod(method)


class FieldDataOps:
    """Operators as ``FieldDataOps.numeric_add(session, first, second)``, and methods of fields."""

    numeric_add: Any = _computed(operator.add)
    numeric_sub: Any = _computed(operator.sub)
    numeric_mul: Any = _computed(operator.mul)
    numeric_truediv: Any = _computed(operator.truediv)
    numeric_floordiv: Any = _computed(operator.floordiv)
    numeric_mod: Any = _computed(operator.mod)
    numeric_divmod: Any = _computed(np.divmod)
    numeric_and: Any = _computed(operator.and_)
    numeric_xor: Any = _computed(operator.xor)
    numeric_or: Any = _computed(operator.or_)
    invert: Any = _computed(operator.invert)
    logical_not: Any = _computed(np.logical_not)
    less_than: Any = _computed(operator.lt)
    less_than_equal: Any = _computed(operator.le)
    equal: Any = _computed(operator.eq)
    not_equal: Any = _computed(operator.ne)
    greater_than: Any = _computed(operator.gt)
    greater_than_equal: Any = _computed(operator.ge)

    apply_filter_to_field: Any = _method("apply_filter")
    apply_filter_to_indexed_field: Any = _method("apply_filter")
    apply_index_to_field: Any = _method("apply_index")
    apply_index_to_indexed_field: Any = _method("apply_index")
    apply_spans_first: Any = _method("apply_spans_first")
    apply_spans_last: Any = _method("apply_spans_last")
    apply_spans_min: Any = _method("apply_spans_min")
    apply_spans_max: Any = _method("apply_spans_max")
    apply_isin: Any = _method("isin")
    apply_unique: Any = _method("unique")
    indexed_string_create_like: Any = _method("create_like")
    fixed_string_field_create_like: Any = _method("create_like")
    numeric_field_create_like: Any = _method("create_like")
    categorical_field_create_like: Any = _method("create_like")
    timestamp_field_create_like: Any = _method("create_like")
