"""What older scripts give to the functions of a session, and what they get from them."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from exetera_zarr.engine import is_strings
from exetera_zarr.engine.columns import selection, strings
from exetera_zarr.engine.streams.source import Source
from exetera_zarr.errors import ArgumentError
from exetera_zarr.fields.base import Field, column_of
from exetera_zarr.fields.container import FieldContainer
from exetera_zarr.fields.create import is_field_group, wrap
from exetera_zarr.fields.data import RawData, StringData
from exetera_zarr.fields.filters import refuse_categories, rows_given
from exetera_zarr.fields.missing.companions import holds_nan, in_place_of_missing
from exetera_zarr.fields.missing.keys import check_comparable, key_source, masked_key_source
from exetera_zarr.fields.missing.masked import Masked, as_masked, chosen_masked, masked_of
from exetera_zarr.fields.writing.given import split_missing
from exetera_zarr.fields.writing.receiving import Receiving
from exetera_zarr.storage import Group, adopted

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from exetera_zarr.engine import Column
    from exetera_zarr.engine.streams.row_gather import RowNumbers
    from exetera_zarr.engine.streams.workspace import Workspace
    from exetera_zarr.settings import Settings
    from exetera_zarr.storage.base import AnyArray
    from exetera_zarr.tables.dataset import Dataset

__all__ = ["Items", "as_bytes", "as_given"]


class Items:
    """
    Fields, storage groups and arrays as columns of which some rows may be missing, and back.

    In ExeTera's face no row is missing.
    """

    settings: Settings
    datasets: dict[str, Dataset]

    def get(self, field: Any) -> Any:
        """
        The field that is meant: a field is itself.

        Raises
        ------
        ValueError
            It is a table or something else that holds no field.
        AttributeError
            It is nothing stored at all, such as a name.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://get.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51]})
        ...     s.get(people["age"]).tolist()
        [34, 51]
        """
        field = adopted(field)
        if isinstance(field, Field):
            return field
        if isinstance(field, Group):
            if is_field_group(field):
                found = self._in_its_table(field) if self._sees_missing else None
                return wrap(self, field) if found is None else found
        elif not isinstance(field, FieldContainer) and not hasattr(field, "attrs"):
            raise AttributeError(f"a {type(field).__name__} has no field; write s.get(ds['name'])")
        raise ArgumentError(f"{field!r} is not a field")

    def _in_its_table(self, group: Group) -> Any:
        """The field of that group in its table, where its companion is; None if it is in none."""
        for dataset in self.datasets.values():
            if group.storage is None or dataset.storage is not group.storage:
                continue
            for name in dataset.group:
                table = dataset.group.group(name)
                within = group.name in table and not is_field_group(table)
                if within and table.group(group.name).key == group.key:
                    return dataset[name][group.name]
        return None

    @property
    def _sees_missing(self) -> bool:
        return self.settings.face.sees_missing

    # -- in

    def _column(self, value: Any) -> Column:
        """All rows of what stands for a field: itself, its group, an array, or a list of str."""
        value = adopted(value)
        if isinstance(value, Group):
            value = self.get(value)
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return strings.encode(value)
        if isinstance(value, np.ndarray) and value.dtype.kind in "UO":
            return strings.encode(value.tolist())
        return column_of(value)

    def _masked(self, value: Any) -> Masked:
        """The same as a column that is read by rows, and which of them have a value."""
        value = adopted(value)
        if isinstance(value, (Field, Group)):
            return masked_of(self.get(value))
        if isinstance(value, pa.Array):
            return Masked(Source.of([value]))
        mask = None
        if self._sees_missing and _may_lack(value):
            value, mask = _split(value)
        column = Source.of([self._column(value)])
        return Masked(column, None if mask is None else Source.of([mask]))

    def _whole(self, value: Any) -> tuple[Column, AnyArray | None]:
        """All rows at once, and which of them have a value; None for all."""
        column = self._masked(value)
        return column.read(0, column.rows)

    def _rows(self, what: str, value: Any) -> Any:
        """Row numbers, or a filter that says which rows: none of the numbers may be missing."""
        if isinstance(value, (Field, np.ma.MaskedArray)):
            refuse_categories(what, value)
            return as_masked(*self._whole(value))
        value = rows_given(what, value, self.settings.face)
        if not isinstance(value, np.ndarray):
            raise ArgumentError(
                f"the {what} is a field or an ndarray, not a {type(value).__name__}"
            )
        return value

    def _keys(self, *sides: Sequence[Any]) -> tuple[list[Source], list[bool]]:
        """Keys of each side as the engine compares them; see `fields.missing.keys.key_source`."""
        given = [[self._as_key(value) for value in values] for values in sides]
        if all(isinstance(value, (Field, Group)) for values in given for value in values):
            return key_source(*([self.get(value) for value in values] for values in given))
        fields = (
            [self.get(value) if isinstance(value, (Field, Group)) else None for value in values]
            for values in given
        )
        check_comparable(*fields)
        return masked_key_source(*([self._masked(value) for value in values] for values in given))

    def _as_key(self, value: Any) -> Any:
        """What is given as a key; for the data of a field, which compare as it does, the field."""
        value = adopted(value)
        if isinstance(value, (RawData, StringData)) and self._sees_missing:
            return value.as_rows()
        return value

    def _key(self, *values: Any) -> Source:
        """The keys of one side."""
        return self._keys(values)[0][0]

    # -- out

    def _receiving(self, dest: Field, item: Any) -> Receiving:
        """What makes rows of a field or an array, or others if it is None, those of a field."""
        source = adopted(item)
        if isinstance(source, RawData | StringData):
            source = source.field
        return Receiving(dest, self.get(source) if isinstance(source, Field | Group) else None)

    def _append(
        self, dest: Field, column: Column, mask: AnyArray | None, receiving: Receiving
    ) -> None:
        """Append rows of which some may be missing; DataError for what the field cannot hold."""
        if self._sees_missing:
            dest.append_masked(*receiving(column, mask))
        else:
            dest.append(column)

    def _replace(
        self, dest: Field, column: Column, mask: AnyArray | None, receiving: Receiving
    ) -> None:
        """Put these rows in the place of all; else the same."""
        if not self._sees_missing:
            dest.replace([column])
            return
        dest.replace([receiving(column, mask)[0]])
        by_itself = mask is None or holds_nan(dest.empty_column())
        dest.say_present(None if by_itself else [mask])

    def _chosen(
        self, item: Any, rows: RowNumbers, work: Workspace
    ) -> Generator[tuple[Column, AnyArray | None]]:
        """The chosen rows of a field or an array; one that is chosen by -1 is missing."""
        for column, mask in chosen_masked(self._masked(item), rows, work):
            yield column, mask if self._sees_missing else None

    def _of_rows(self, item: Any, rows: RowNumbers, work: Workspace) -> Any:
        """The same at once, as users see them."""
        column, mask = self._joined(item, rows, work)
        return plain(column, mask)

    def _joined(
        self, item: Any, rows: RowNumbers, work: Workspace
    ) -> tuple[Column, AnyArray | None]:
        with closing(self._chosen(item, rows, work)) as parts:
            return joined(parts, self._masked(item).empty)


def joined(
    parts: Iterable[tuple[Column, AnyArray | None]], empty: Column
) -> tuple[Column, AnyArray | None]:
    """Parts of a column and what is missing of them, in one."""
    columns, masks = [empty], []
    for column, mask in parts:
        columns.append(column)
        masks.append(np.ones(len(column), np.bool_) if mask is None else mask)
    mask = np.concatenate([np.ones(0, np.bool_), *masks])
    return selection.concat(columns), None if mask.all() else mask


def _may_lack(value: Any) -> bool:
    """Whether it is something in memory in which a value can be missing."""
    if isinstance(value, np.ndarray):
        return isinstance(value, np.ma.MaskedArray) or value.dtype.kind == "O"
    return isinstance(value, list)


def _split(value: Any) -> tuple[Any, AnyArray | None]:
    """What is in memory without what is missing, and which rows have a value; None for all."""
    found, mask = split_missing(value)
    if mask is not None and not mask.any():
        of_text = isinstance(value, list) or value.dtype.kind == "O"
        return [""] * len(mask) if of_text else np.zeros(len(mask), value.dtype), mask
    return found, mask


def plain(column: Column, mask: AnyArray | None) -> Any:
    """
    A column as users see it.

    Returns
    -------
    ndarray, or list of str
        What is missing is None in a list, NaN in an array of floats, and masked in others.
    """
    if is_strings(column):
        texts = strings.decode(column)
        if mask is None:
            return texts
        return [text if has else None for text, has in zip(texts, mask.tolist(), strict=True)]
    if mask is None:
        return column
    if holds_nan(column):
        return in_place_of_missing(column, mask)
    return as_masked(column, mask)


def as_given(column: Column, mask: AnyArray | None, item: Any) -> Any:
    """The same, but an array of strings where an array of them was given."""
    if not isinstance(item, np.ndarray):
        return plain(column, mask)
    if is_strings(column):
        texts = np.asarray(strings.decode(column), item.dtype)
        return texts if mask is None else np.ma.masked_array(texts, ~mask)
    found = plain(column, mask)
    return found if mask is not None else np.asarray(found, item.dtype)


def as_bytes(column: Column, mask: AnyArray | None) -> Any:
    """
    The same, but strings as older scripts expect them.

    Returns
    -------
    ndarray; of strings (offsets, bytes), or a masked array of str where some are missing
    """
    if not is_strings(column):
        return plain(column, mask)
    if mask is None:
        return strings.from_arrow(column)
    texts = np.empty(len(column), object)
    texts[:] = strings.decode(column)
    return np.ma.masked_array(texts, ~mask)
