"""What holds fields: a table, or the top level of a dataset."""

from __future__ import annotations

import weakref
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from exetera_zarr.errors import (
    ArgumentTypeError,
    DataError,
    FieldNotFoundError,
    NameTakenError,
    listing,
)
from exetera_zarr.fields import create
from exetera_zarr.fields.base import Field, new_field
from exetera_zarr.fields.missing import companions
from exetera_zarr.fields.names import Names
from exetera_zarr.fieldtypes import (
    categorical_attributes,
    fixed_string_attributes,
    indexed_string_attributes,
    is_field,
    numeric_attributes,
    timestamp_attributes,
)
from exetera_zarr.settings import face_of
from exetera_zarr.storage import names
from exetera_zarr.storage.base import OfThisProcess

if TYPE_CHECKING:
    import numpy.typing as npt

    from exetera_zarr.engine import Column
    from exetera_zarr.fields.categorical import CategoricalField
    from exetera_zarr.fields.fixed_string import FixedStringField
    from exetera_zarr.fields.indexed_string import IndexedStringField
    from exetera_zarr.fields.numeric import NumericField
    from exetera_zarr.fields.timestamp import TimestampField
    from exetera_zarr.storage.base import Group

__all__ = ["FieldContainer", "normal", "stands_for"]


class FieldContainer(OfThisProcess):
    """
    Named fields in one storage group.

    A subclass says which group that is. Field objects are remembered as long as somebody has them,
    so that the same name gives the same object.
    """

    def __init__(self) -> None:
        self._live: weakref.WeakValueDictionary[Hashable, Field] = weakref.WeakValueDictionary()

    @property
    def group(self) -> Group:
        """The storage group."""
        raise NotImplementedError

    def _phrase(self) -> str:
        """The container in words, for messages."""
        raise NotImplementedError

    def _field_arguments(self) -> dict[str, Any]:
        """What the fields in here are made with."""
        raise NotImplementedError

    def _default_timestamp(self) -> str:
        raise NotImplementedError

    # -- creating

    def create_field(self, name: str, attributes: Mapping[str, Any]) -> Any:
        """
        A new, empty field.

        Parameters
        ----------
        name
            Its name.
        attributes
            Of its group, as the functions of `fieldtypes` make them.

        Raises
        ------
        TypeError
            The name is no text.
        NameTakenError, DataError
            The name exists, or cannot be one.
        """
        _check_text(name)
        arguments = self._field_arguments()
        if self.gives_way(name):
            if companions.can_be_companion(attributes):
                owner = self.group.group(normal(name)).attributes[companions.COMPANION_OF]
                raise NameTakenError(
                    f"{self._phrase()} has {name!r}, which says which rows of {owner!r} have a "
                    "value, since some of them were written as missing: write into that one, or "
                    "choose another name"
                )
            self.make_way(name)
        if self._sees_missing:
            attributes = companions.without_meaning(normal(name), attributes)
        field = new_field(
            arguments["session"],
            {"timestamp": self._default_timestamp(), **attributes},
            self.group,
            name,
            arguments.get("dataframe"),
            arguments.get("owner"),
        )
        self._live[field.group.key] = field
        companions.keep_apart(field)
        return field

    def create_indexed_string(
        self, name: str, timestamp: Any = None, chunksize: int | None = None
    ) -> IndexedStringField:
        """
        A new field of strings of any length.

        Parameters
        ----------
        name
            Its name.
        timestamp
            When it was made, text or datetime; the session's by default.
        chunksize
            Kept as an attribute; says nothing of how it is stored.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://create_indexed_string.zarr", "w", "study")
        ...     people = ds.create_dataframe("people")
        ...     people.create_indexed_string("note").data.write(["", "any text"])
        ...     people["note"].tolist()
        ['', 'any text']
        """
        field: IndexedStringField = self._create(
            name, indexed_string_attributes(), timestamp, chunksize
        )
        return field

    def create_fixed_string(
        self, name: str, length: int, timestamp: Any = None, chunksize: int | None = None
    ) -> FixedStringField:
        """
        A new field of strings of at most `length` bytes; else as `create_indexed_string`.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://create_fixed_string.zarr", "w", "study")
        ...     people = ds.create_dataframe("people")
        ...     people.create_fixed_string("id", 4).data.write(["P001", "P002"])
        ...     people["id"].tolist()
        ['P001', 'P002']
        """
        attributes = fixed_string_attributes(length)
        field: FixedStringField = self._create(name, attributes, timestamp, chunksize)
        return field

    def create_numeric(
        self,
        name: str,
        nformat: npt.DTypeLike,
        timestamp: Any = None,
        chunksize: int | None = None,
    ) -> NumericField:
        """
        A new field of numbers of the type `nformat`; else as `create_indexed_string`.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://create_numeric.zarr", "w", "study")
        ...     people = ds.create_dataframe("people")
        ...     people.create_numeric("age", "int32").data.write([34, 51])
        ...     people["age"].tolist()
        [34, 51]
        """
        attributes = numeric_attributes(nformat)
        field: NumericField = self._create(name, attributes, timestamp, chunksize)
        return field

    def create_categorical(
        self,
        name: str,
        nformat: Any,
        key: Mapping[Any, Any] | None = None,
        timestamp: Any = None,
        chunksize: int | None = None,
    ) -> CategoricalField:
        """
        A new field of named codes; else as `create_indexed_string`.

        Parameters
        ----------
        name
            Its name.
        nformat
            Integer type of the codes. Older scripts leave it out and give the key in its place:
            then it is int8.
        key
            ``{name: code}``, or ``{code: name}``.
        timestamp, chunksize
            As in `create_indexed_string`.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://create_categorical.zarr", "w", "study")
        ...     people = ds.create_dataframe("people")
        ...     smoker = people.create_categorical("smoker", "int8", {"no": 0, "yes": 1})
        ...     smoker.data.write([0, 1])
        ...     smoker.tolist()
        ['no', 'yes']
        """
        if isinstance(nformat, Mapping):
            if key is not None and timestamp is None:
                timestamp = key
            nformat, key = "int8", nformat
        attributes = categorical_attributes(nformat, key)  # type: ignore[arg-type]
        field: CategoricalField = self._create(name, attributes, timestamp, chunksize)
        return field

    def create_timestamp(
        self, name: str, timestamp: Any = None, chunksize: int | None = None
    ) -> TimestampField:
        """
        A new field of points in time; else as `create_indexed_string`.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://create_timestamp.zarr", "w", "study")
        ...     people = ds.create_dataframe("people")
        ...     people.create_timestamp("born").data.write(["1950-02-03", "1988-11-30"])
        ...     people["born"].dt.year.tolist()
        [1950, 1988]
        """
        field: TimestampField = self._create(name, timestamp_attributes(), timestamp, chunksize)
        return field

    def _create(
        self, name: str, attributes: dict[str, Any], timestamp: Any, chunksize: int | None
    ) -> Any:
        if timestamp is not None:
            attributes["timestamp"] = str(timestamp)
        if chunksize is not None:
            attributes["chunksize"] = int(chunksize)
        return self.create_field(name, attributes)

    def gives_way(self, name: str) -> bool:
        """Whether there is a companion of that name that was made by itself, not by the user."""
        group, name = self.group, normal(name)
        return name in group and companions.COMPANION_OF in group.group(name).attributes

    def make_way(self, name: str) -> None:
        """
        Free a name, if it is that of a companion that was made by itself, for something else.

        Parameters
        ----------
        name
            Of what is to come; the companion goes on under another one.
        """
        if not self.gives_way(name):
            return
        group, name = self.group, normal(name)
        users, other = self.users_of(name), companions.free_name(self, name)
        group.rename_groups({name: other})
        for user in users:
            group.group(user).update_attributes({companions.COMPANION: other})

    # -- finding

    def keys(self) -> Names:
        """Names of what is in here, in order; as sets they go together by ``& | - ^``."""
        raise NotImplementedError

    def __getitem__(self, name: str) -> Any:
        raise NotImplementedError

    def values(self) -> list[Any]:
        """
        What is in here, in order.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://values.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [1, 2], "age": [34, 51]})
        ...     [field.max() for field in people.values()]
        [2, 51]
        """
        return [self[name] for name in self.keys()]

    def items(self) -> list[tuple[str, Any]]:
        """
        Names and what they name, in order.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://items.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [1, 2], "age": [34, 51]})
        ...     {name: field.max() for name, field in people.items()}
        {'id': 2, 'age': 51}
        """
        return [(name, self[name]) for name in self.keys()]

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def _field(self, name: str) -> Field:
        """The field of that name; FieldNotFoundError (a ValueError) where there is none."""
        _check_text(name)
        name = normal(name)
        group = self.group
        child = group.group(name) if name in group else None
        if child is None or not create.is_field_group(child):
            raise FieldNotFoundError(
                f"there is no field {name!r} in {self._phrase()}; there are: "
                f"{listing(self._field_names())}"
            )
        field = self._live.get(child.key)
        if field is None or not stands_for(field.group, child.key):
            field = self._live[child.key] = create.wrap(group=child, **self._field_arguments())
        return field

    def _field_names(self) -> Names:
        return Names(self.group.with_attributes(is_field))

    # -- changing

    def _delete_field(self, name: str) -> None:
        """Delete a field, and the companion that was made for it alone."""
        group, name = self.group, normal(name)
        if not self._sees_missing or name not in group:
            group.delete_group(name)
            return
        made = group.group(name).attributes.get(companions.COMPANION)
        self.refuse_to_lose(name)
        group.delete_group(name)
        if made is None or made not in group or self.users_of(made):
            return
        if group.group(made).attributes.get(companions.COMPANION_OF) == name:
            group.delete_group(made)

    @property
    def _sees_missing(self) -> bool:
        return face_of(self._field_arguments()["session"]).sees_missing

    def refuse_to_lose(self, name: str) -> None:
        """DataError if a field of that name says which rows of others have a value."""
        if self._sees_missing and (users := self.users_of(name)):
            raise DataError(
                f"{name!r} of {self._phrase()} says which rows of {listing(users)} have a value: "
                "delete these first, or put what fillna() gives in their place"
            )

    def users_of(self, companion: str) -> list[str]:
        """The fields that have it as their companion, which is a field of bool."""
        group = self.group
        if group.group(companion).attributes.get("nformat") != "bool":
            return []  # without a look at the others, which may be very many
        users = group.with_attribute(companions.COMPANION, companion)
        users += [
            name
            for name in companions.owners_by_name(companion)
            if name in group and self._companion_by_name(name) == companion
        ]
        return [name for name in users if name != companion]

    def _companion_by_name(self, name: str) -> str | None:
        """The companion of a field that has it by its name, and not by a link."""
        if not self._sees_missing or companions.COMPANION in self.group.group(name).attributes:
            return None
        found = companions.companion_of(self._field(name), as_long=False)
        return None if found is None else str(found.name)

    def _rename_fields(self, renames: Mapping[str, str]) -> None:
        """Rename fields; the objects that somebody has follow, and so do links to companions."""
        new = {normal(old): new for old, new in renames.items()}
        for old, name in new.items():
            # Of two fields of bool nobody has said which one says what is missing.
            of_bool = companions.can_be_companion(self.group.group(old).attributes)
            if normal(name) not in new and not of_bool:
                self.make_way(name)
        links = self._companions()
        self.group.rename_groups(new)
        for name, companion in links.items():
            if name in new or companion in new:
                self._link(normal(new.get(name, name)), normal(new.get(companion, companion)))
        if self._sees_missing:
            self._without_meaning(map(normal, new.values()))

    def _without_meaning(self, names: Iterable[str]) -> None:
        """After fields got these names: have no link be made by them."""
        for name in names:
            group = self.group.group(name)
            attributes = companions.without_meaning(name, group.attributes)
            if attributes != group.attributes:
                group.update_attributes({companions.BY_LINK: True})
            companions.keep_apart(self._field(name))

    def _link(self, name: str, companion: str) -> None:
        """Link a field that has another name now to its companion, or one that has."""
        group = self.group.group(companion)
        made_by_itself = companions.COMPANION_OF in group.attributes
        companions.link(self.group.group(name), group, owner=name if made_by_itself else None)

    def _companions(self) -> dict[str, str]:
        """The name of the companion of each field that has one, by attribute or by name."""
        if not self._sees_missing:
            return {}
        found = {}
        for name in self._field_names():
            field = self._field(name)
            companion = companions.companion_of(field) if field.dataframe is not None else None
            if companion is not None:
                found[name] = str(companion.name)
        return found

    def replace_field(
        self, name: str, attributes: Mapping[str, Any], columns: Iterable[Column]
    ) -> Any:
        """
        Put a field of another type in the place of one, with the same name and position.

        Parameters
        ----------
        name
            Of the present field, which `columns` may be read from.
        attributes
            As in `create_field`.
        columns
            The rows of the new field; what is missing stays so.

        Raises
        ------
        DataError
            Others have it as their companion. The present field is as it was, after any error.
        """
        order, companion = list(self.group), self._companions().get(name)
        self.refuse_to_lose(name)
        passing = f"{name} (being replaced)"
        while passing in order:
            passing += "_"
        field = self.create_field(passing, attributes)
        field.take_over(self._field(name))
        try:
            for column in columns:
                field.append(column)
        except BaseException:
            self.group.delete_group(passing)
            raise
        self.group.delete_group(name)
        self.group.rename_groups({passing: name})
        if companion is not None:
            self._link(name, companion)
        if self._sees_missing:
            self._without_meaning([normal(name)])
        self.group.reorder(order)
        return field


def stands_for(group: Group, key: Hashable) -> bool:
    """Whether a group has that key still: after a forced commit, another one can have it."""
    try:
        return group.key == key
    except KeyError:
        return False


def normal(name: str) -> str:
    """A name in its normal form, if it can be a name; else as it is, since there is none such."""
    try:
        return names.check(name)
    except DataError:
        return name


def _check_text(name: object) -> None:
    if not isinstance(name, str):
        raise ArgumentTypeError(f"a name is a str, not a {type(name).__name__}")
