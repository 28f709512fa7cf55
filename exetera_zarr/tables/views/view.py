"""Views: rows and columns of a table that are chosen, and not copied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from exetera_zarr.errors import NameTakenError
from exetera_zarr.fields.missing import companions
from exetera_zarr.tables.dataframe import DataFrame
from exetera_zarr.tables.views.groups import ColumnGroup, TableGroup
from exetera_zarr.tables.views.new_tables import new_table

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from exetera_zarr.engine.streams.row_gather import RowNumbers
    from exetera_zarr.fields.base import Field
    from exetera_zarr.tables.views.chosen_rows import ChosenRows

__all__ = ["View", "view_of"]


class View(DataFrame):
    """
    Rows and columns of a table, chosen but not copied; for reading alone.

    It is taken wherever a table is read: ``ds["adults"] = df[df["age"] >= 18]`` makes a table of
    it. It has the rows that were chosen when it was made, whatever becomes of the table: what is
    appended later, or filtered there, does not change it. A column of chosen rows is read when it
    is first asked for, and kept then, in a temporary file where it is large. A value that is
    overwritten in the table before that is seen with its new value.
    """

    is_view: ClassVar[bool] = True
    _group: TableGroup

    def length(self, names: Sequence[str] | None = None) -> int:
        for name in names or ():
            self._field(name)
        return self._group.rows

    def to_show(self, rows: int) -> DataFrame:
        """Of a column of chosen rows all are read at once, so that the first ones are chosen."""
        return self.head(rows)

    def _rewrite(
        self, rows: RowNumbers | None, ddf: DataFrame | None, verb: str, **details: Any
    ) -> DataFrame:
        if ddf is None or ddf is self:
            ddf = new_table(self.dataset, self.name)
        return super()._rewrite(rows, ddf, verb, **details)


def view_of(
    frame: DataFrame,
    names: Mapping[str, str] | None = None,
    rows: ChosenRows | None = None,
    more: Mapping[str, Field] | None = None,
) -> View:
    """
    A view of a table, or of another view.

    Parameters
    ----------
    frame
        The table.
    names
        For each column its name in the view, by its name in the table; all by default. What says
        which rows of these have a value comes along.
    rows
        Which rows; all by default.
    more
        Other columns, each of as many rows as the view has, which take the place of those of the
        same name.
    """
    if names is None:
        names = {name: name for name in frame.own_columns()}
    replacing = more or {}
    made = _Columns(frame, rows)
    for old, new in names.items():
        made.reserve(new, None if new in replacing else frame.get_field(old))
    for name, field in replacing.items():
        made.reserve(name, field)
    columns = made.columns(replacing)
    count = frame.length() if rows is None else len(rows)
    group = TableGroup(frame.name, frame.group.attributes, frame.group, columns, count)
    return View(frame.dataset, group)


class _Columns:
    """The columns of a view that is being made."""

    def __init__(self, frame: DataFrame, rows: ChosenRows | None) -> None:
        self._frame, self._rows = frame, rows
        self._owner = frame.dataset.session or frame.dataset
        self._fields: dict[str, Field | None] = {}
        self._composed: dict[int, ChosenRows] = {}

    def reserve(self, name: str, field: Field | None) -> None:
        """Note a column, by its name in the view; None for one that is to come."""
        if self._fields.get(name) is not None:
            raise NameTakenError(f"two columns of the view would have the name {name!r}")
        self._fields[name] = field

    def columns(self, others: Container[str]) -> dict[str, ColumnGroup]:
        """
        The groups of all columns, each of the companions behind the columns that were asked for.

        Parameters
        ----------
        others
            Names of the columns that are of no table here, and have all rows.
        """
        fields = {name: field for name, field in self._fields.items() if field is not None}
        shown = {_key(field): name for name, field in reversed(fields.items())}
        links: dict[str, str] = {}
        beside: dict[str, tuple[Field, str]] = {}
        for name, field in fields.items():
            companion = field.validity
            if companion is None:
                continue
            found = shown.get(_key(companion))
            if found is None:
                found = companion.name or companions.companion_name(field, name)
                while found in fields or found in beside:
                    found += "_"
                shown[_key(companion)] = found
                beside[found] = companion, name
            links[name] = found
        made = {}
        for name, field in fields.items():
            about = {companions.COMPANION: links.get(name), companions.COMPANION_OF: None}
            made[name] = self._column(name, field, about, whole=name in others)
        for name, (companion, owner) in beside.items():
            own = [column for column, its in links.items() if its == name] == [owner]
            about = {companions.COMPANION: None, companions.COMPANION_OF: owner if own else None}
            made[name] = self._column(name, companion, about, whole=owner in others)
        return made

    def _column(
        self, name: str, field: Field, about: Mapping[str, str | None], *, whole: bool
    ) -> ColumnGroup:
        group = field.group
        attributes = {**group.attributes, **about}
        if companions.can_be_companion(attributes):
            # Of which the name says nothing: what belongs together here has links.
            attributes[companions.BY_LINK] = (
                True if about[companions.COMPANION_OF] is None else None
            )
        attributes = {key: value for key, value in attributes.items() if value is not None}
        rows = None if whole else self._rows
        if not isinstance(group, ColumnGroup):
            storage = self._frame.group.storage
            return ColumnGroup(name, attributes, group, storage, self._owner, rows)
        below = group.chosen_rows
        if rows is None:
            rows = below
        elif below is not None:
            if id(below) not in self._composed:
                self._composed[id(below)] = below.choose(rows)
            rows = self._composed[id(below)]
        return group.of(name, attributes, rows)


def _key(field: Field) -> object:
    return field.group.key
