"""What a view has in the place of a storage group: columns of other groups, and rows of these."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from exetera_zarr.errors import ReadOnlyError
from exetera_zarr.fields import filters
from exetera_zarr.fields.base import FIELD_CLASSES
from exetera_zarr.fields.sources import workspace
from exetera_zarr.fieldtypes import kind_of
from exetera_zarr.storage.base import Array, Group

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Hashable, Mapping, Sequence

    import numpy.typing as npt

    from exetera_zarr.fields.base import Field
    from exetera_zarr.storage.base import AnyArray, Storage
    from exetera_zarr.tables.views.chosen_rows import ChosenRows

__all__ = ["ColumnGroup", "TableGroup"]


class _Viewed(Group):
    """A group that cannot be changed."""

    def __init__(
        self, name: str, attributes: Mapping[str, Any], base: Group, storage: Storage | None
    ) -> None:
        self._attributes = {**attributes, "name": name}
        self._base, self._storage = base, storage
        self._row_block = base.row_block  # also when the base is gone

    @property
    def base(self) -> Group:
        """The group that it shows something of."""
        return self._base

    @property
    def name(self) -> str:
        return str(self._attributes["name"])

    @property
    def key(self) -> Hashable:
        return id(self)

    def exclusive(self) -> contextlib.AbstractContextManager[object]:
        return self._base.exclusive()

    @property
    def storage(self) -> Storage | None:
        return self._storage

    @property
    def row_block(self) -> int:
        return self._row_block

    @property
    def attributes(self) -> Mapping[str, Any]:
        return self._attributes

    def _refuse(self) -> NoReturn:
        raise ReadOnlyError(
            f"{self.name!r} is a view of chosen rows and columns, which is for reading alone: "
            "ds['name'] = view makes a table of it, and view.assign(x=...) a view with more columns"
        )

    def update_attributes(self, attributes: Mapping[str, Any]) -> None:  # noqa: ARG002
        self._refuse()

    def create_group(
        self,
        name: str,  # noqa: ARG002
        attributes: Mapping[str, Any] | None = None,  # noqa: ARG002
        row_block: int | None = None,  # noqa: ARG002
    ) -> Group:
        self._refuse()

    def delete_group(self, name: str) -> None:  # noqa: ARG002
        self._refuse()

    def rename_groups(self, renames: Mapping[str, str]) -> None:  # noqa: ARG002
        self._refuse()

    def reorder(self, order: Sequence[str]) -> None:  # noqa: ARG002
        self._refuse()

    def new_array(self, role: str, dtype: npt.DTypeLike) -> Array:  # noqa: ARG002
        self._refuse()

    def set_arrays(self, arrays: Mapping[str, Array]) -> None:  # noqa: ARG002
        self._refuse()


class TableGroup(_Viewed):
    """
    The columns of a view.

    Parameters
    ----------
    name, attributes
        Of the view.
    base
        The group of the table that it is a view of.
    columns
        By name, in order.
    rows
        How many rows the view has.
    """

    def __init__(
        self,
        name: str,
        attributes: Mapping[str, Any],
        base: Group,
        columns: Mapping[str, ColumnGroup],
        rows: int,
    ) -> None:
        super().__init__(name, attributes, base, base.storage)
        self.columns = columns
        self.rows = rows

    def keys(self) -> Sequence[str]:
        return list(self.columns)

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def group(self, name: str) -> ColumnGroup:
        return self.columns[name]

    def arrays(self) -> Mapping[str, Array]:
        return {}


class ColumnGroup(_Viewed):
    """
    A column of a view: that of another group, under a name, and all of its rows or chosen ones.

    The arrays are those that the group has when this is made, with as many rows as they have then.
    Chosen rows are read when the first of them is asked for, and kept as a field in memory is.

    Parameters
    ----------
    name, attributes
        Of the column.
    base
        The group of the field, which may be one in memory.
    storage
        Of the view.
    owner
        What fields are made with, for its settings.
    rows
        Which rows; None for all.
    arrays
        Of the field, where the group has no longer those that are meant.
    """

    def __init__(
        self,
        name: str,
        attributes: Mapping[str, Any],
        base: Group,
        storage: Storage | None,
        owner: object,
        rows: ChosenRows | None = None,
        arrays: Mapping[str, Array] | None = None,
    ) -> None:
        super().__init__(name, attributes, base, storage)
        self._owner = owner
        self.chosen_rows = rows
        self._lock = threading.Lock()
        self._read: Mapping[str, Array] | None = None
        if arrays is None:
            arrays = {role: _Pinned(array) for role, array in base.arrays().items()}
        self._pinned = arrays
        if rows is None:
            self._arrays = arrays
        else:
            self._arrays = {
                role: _Chosen(
                    self, role, array, _length(role, len(rows), indexed="index" in arrays)
                )
                for role, array in arrays.items()
            }

    def of(
        self,
        name: str,
        attributes: Mapping[str, Any],
        rows: ChosenRows | None,
    ) -> ColumnGroup:
        """The same column with another name, and other rows of the field that is below it."""
        base = self._base if isinstance(self._base, ColumnGroup) else self  # which may be gone
        return ColumnGroup(name, attributes, base, self._storage, self._owner, rows, self._pinned)

    def keys(self) -> Sequence[str]:
        return ()

    def __contains__(self, name: object) -> bool:
        return False

    def group(self, name: str) -> Group:
        below: dict[str, Group] = {}
        return below[name]

    def arrays(self) -> Mapping[str, Array]:
        return self._arrays

    def read_rows(self) -> Mapping[str, Array]:
        """The arrays of the chosen rows."""
        with self._lock:
            if self._read is None:
                self._read = self._gathered()
            return self._read

    def _gathered(self) -> Mapping[str, Array]:
        assert self.chosen_rows is not None
        below = self.of(self.name, self._attributes, None)
        field: Field = FIELD_CLASSES[kind_of(self._attributes)](self._owner, below)
        result = field.memory_like()
        with workspace(field.settings) as work:
            rows = self.chosen_rows.numbers(work)
            with closing(filters.chosen(field, rows)) as columns:
                for column in columns:
                    result.append(column)
        return result.arrays()


def _length(role: str, rows: int, *, indexed: bool) -> int | None:
    """How long an array of so many rows is; None for the bytes of strings, which are not known."""
    if not indexed:
        return rows
    return (rows + 1 if rows else 0) if role == "index" else None


class _ForReading(Array):
    """An array that cannot be changed, of the type of another one."""

    def __init__(self, base: Array) -> None:
        self._base = base

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._base.dtype

    @property
    def block(self) -> int:
        return self._base.block

    def append(self, values: AnyArray, *, given: bool = False) -> None:  # noqa: ARG002
        raise ReadOnlyError("a view is for reading alone: ds['name'] = view makes a table of it")

    def write(self, start: int, values: AnyArray) -> None:  # noqa: ARG002
        self.append(values)

    def clear(self) -> None:
        self.append(np.empty(0))


class _Pinned(_ForReading):
    """An array as long as it is now, whatever is appended to it."""

    def __init__(self, base: Array) -> None:
        super().__init__(base)
        self._length = len(base)

    def __len__(self) -> int:
        return self._length

    def read(self, start: int, stop: int, out: AnyArray | None = None) -> AnyArray:
        return self._base.read(start, stop, out)

    def extremes(self, start: int, stop: int) -> tuple[Any, Any] | None:
        return self._base.extremes(start, stop)

    def at_once(self, elements: int) -> int:
        return self._base.at_once(elements)


class _Chosen(_ForReading):
    """An array of chosen rows, which are read when the first of them is asked for."""

    def __init__(self, column: ColumnGroup, role: str, base: Array, rows: int | None) -> None:
        super().__init__(base)
        self._column, self._role, self._length = column, role, rows

    def __len__(self) -> int:
        return len(self._read()) if self._length is None else self._length

    def _read(self) -> Array:
        return self._column.read_rows()[self._role]

    def read(self, start: int, stop: int, out: AnyArray | None = None) -> AnyArray:
        if start == stop and out is None:
            return np.empty(0, self.dtype)
        return self._read().read(start, stop, out)
