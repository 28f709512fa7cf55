"""What the field types have in common."""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, cast

import numpy as np
import numpy.typing as npt

from exetera_zarr.engine import is_strings
from exetera_zarr.engine.columns import membership, selection, spans
from exetera_zarr.engine.streams.sorted_runs import first_disorder
from exetera_zarr.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    FieldNotFoundError,
    ReadOnlyError,
    about,
    needing,
)
from exetera_zarr.fields import filters
from exetera_zarr.fields.accessors.columns import Columnar
from exetera_zarr.fields.accessors.reading import HAVE_NAMES, array_shown, distinct_shown
from exetera_zarr.fields.data import RawData, StringData
from exetera_zarr.fields.describing import (
    Described,
    code_values,
    codes_of,
    mark_codes,
    said_of,
    set_codes,
    take_over,
)
from exetera_zarr.fields.expressions import numpy_functions
from exetera_zarr.fields.missing import companions
from exetera_zarr.fields.missing.answers import answers
from exetera_zarr.fields.missing.keys import key_source
from exetera_zarr.fields.missing.masked import chosen_masked, masked_of
from exetera_zarr.fields.missing.present_spans import over_present
from exetera_zarr.fields.rows import Rows
from exetera_zarr.fields.sources import source_of, workspace
from exetera_zarr.fields.statistics import figures
from exetera_zarr.fields.statistics.methods import Statistical
from exetera_zarr.fields.within.methods import Within
from exetera_zarr.fields.writing.given import TIMES, in_a_row, is_number, split_missing
from exetera_zarr.fields.writing.receiving import Receiving, have_same_type
from exetera_zarr.fields.writing.values import as_values
from exetera_zarr.fieldtypes import (
    TYPE_ATTRIBUTES,
    array_dtypes,
    check_labels,
    kind_of,
    label_text,
    numeric_attributes,
)
from exetera_zarr.settings import face_of, let_pass, settings_of
from exetera_zarr.storage import codebooks
from exetera_zarr.storage.memory import MemoryGroup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import dask.array

    from exetera_zarr.engine import Column
    from exetera_zarr.engine.streams.row_gather import RowNumbers
    from exetera_zarr.engine.streams.workspace import Workspace
    from exetera_zarr.faces import Face
    from exetera_zarr.fields.rows import Read
    from exetera_zarr.settings import Settings
    from exetera_zarr.storage.base import AnyArray, Array, Group
    from exetera_zarr.tables.dataframe import DataFrame

__all__ = ["Field", "column_of", "of_all_rows"]

ENCODING_VERSION = 1
DEFAULT_CHUNKSIZE = 1 << 20
_STEP = 1 << 20
_ALIKE = (*TYPE_ATTRIBUTES, codebooks.ATTRIBUTE)
_ALONE = (str, bytes, *TIMES)
"""Values that are one, whatever they can be taken apart to."""


FIELD_CLASSES: dict[str, type[Field]] = {}
"""The class of each kind of field."""


class Field(Described, Statistical, Columnar, Within, Rows):
    """
    A column: typed values with a name, in a table of a dataset or in memory.

    Fields are names, not snapshots: they show what is stored under their name now.

    Parameters
    ----------
    session
        Kept for ExeTera's sake.
    group
        The storage group that holds the arrays.
    dataframe
        The table it is a column of, if it is.
    write_enabled
        False makes every change of it through this object an error.
    owner
        What must stay alive as long as the field does.
    """

    type_name: ClassVar[str]
    """First part of the ``fieldtype`` attribute."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "type_name" in cls.__dict__:  # not of a class that only stands for one of these
            FIELD_CLASSES[cls.type_name] = cls

    def __init__(
        self,
        session: object,
        group: Group,
        dataframe: DataFrame | None = None,
        write_enabled: bool = True,
        owner: object = None,
    ) -> None:
        self._session = session
        self._group = group
        self._dataframe = dataframe
        self._write_enabled = write_enabled
        self._owner = owner
        self._companion: Field | None = None  # of a field in memory

    # -- identity

    @property
    def group(self) -> Group:
        """The storage group; ValueError if the field exists no more."""
        try:
            _ = self._group.attributes
        except KeyError as error:
            raise FieldNotFoundError(
                f"the field {self._group.name!r} does not exist any more: it was deleted, moved "
                "or rolled back"
            ) from error
        return self._group

    @property
    def valid(self) -> bool:
        """Whether the field still exists."""
        try:
            return self.group is not None
        except ValueError:
            return False

    @property
    def stored(self) -> bool:
        """Whether its bytes live in a dataset rather than in memory."""
        return self._group.stored

    @property
    def name(self) -> str | None:
        """Its name in the table; None in memory."""
        group = self.group
        return group.name if self.stored else None

    @property
    def dataframe(self) -> DataFrame | None:
        """The table it is a column of; None in memory and at the top level of a dataset."""
        return self._dataframe

    @property
    def fieldtype(self) -> str:
        """Type as it is stored, such as ``numeric,int32``."""
        return str(self.group.attributes["fieldtype"])

    @property
    def timestamp(self) -> str:
        """When it was created, as the creating script said."""
        return str(self.group.attributes.get("timestamp", ""))

    @property
    def chunksize(self) -> int:
        """The ``chunksize`` that ExeTera keeps; says nothing of how it is stored here."""
        return int(self.group.attributes.get("chunksize", DEFAULT_CHUNKSIZE))

    def phrase(self) -> str:
        """The field in words, for messages."""
        if not self.stored:
            article = "an" if self.indexed else "a"
            return f"{article} {self.type_name} field in memory"
        table = self._dataframe
        place = "" if table is None else f"{table.becomes or table.name}/"
        return f"field {place}{self._group.name}"

    _who = phrase

    def __repr__(self) -> str:
        from exetera_zarr.tables.seeing.texts import field_text

        return field_text(self)

    def _repr_html_(self) -> str:
        from exetera_zarr.tables.html import field_html

        return field_html(self)

    def __dir__(self) -> list[str]:
        from exetera_zarr.tables.seeing.hidden import IN_FIELDS, without

        return without(IN_FIELDS, object.__dir__(self))

    def __bool__(self) -> bool:
        if self.face.refuses_truth:
            raise DataError(
                f"{self.phrase()} has many rows, and is neither true nor false as a whole: write "
                "& for and, | for or, ~ for not, with each comparison in parentheses, as in "
                "(a > 1) & (a < 3); whether a field is there is asked by `is not None`"
            )
        let_pass(self.settings, "was true as a whole, whatever its rows are", self.phrase())
        return True

    def __len__(self) -> int:
        return self.rows_of(self.arrays())

    @property
    def session(self) -> object:
        """The session it was made with."""
        return self._session

    @property
    def settings(self) -> Settings | None:
        """The settings of the session; None where it was made without one."""
        return settings_of(self._session)

    @property
    def write_enabled(self) -> bool:
        """Whether it may be changed through this object."""
        return self._write_enabled

    @property
    def face(self) -> Face:
        """What the session does where being right and being ExeTera differ."""
        return face_of(self._session)

    # -- missing values

    @property
    def validity(self) -> Field | None:
        """
        The companion: a bool field that says which rows have a value.

        None where every row has one, but for NaN; and in ExeTera's face, which knows no missing
        values.

        Raises
        ------
        DataError
            The companion has another number of rows than the field.
        """
        if not self.face.sees_missing:
            return None
        return companions.companion_of(self) if self.stored else self._companion

    def masked_blocks(self) -> Iterator[tuple[Column, AnyArray | None]]:
        """The rows in order, some at a time, and which of them have a value; None for all."""
        length, read = companions.masked_reader(self)
        source = source_of([self], length)
        for start, stop in source.cuts():
            yield read(start, stop)

    def masked_rows(self) -> tuple[Column, AnyArray | None]:
        """All rows, and which of them have a value; None for all."""
        length, read = companions.masked_reader(self)
        found: tuple[Column, AnyArray | None] = read(0, length)
        return found

    def append_masked(self, column: Column, mask: AnyArray | None, *, blank: bool = True) -> None:
        """
        Append rows of which some may be missing.

        Parameters
        ----------
        column
            As in `append`.
        mask : ndarray of bool, optional
            Which rows have a value; None for all. A float or timestamp without one is NaN; other
            fields have a companion, which is made when it is first needed.
        blank
            Whether what is stored for a missing value is 0 or False; else it is what is given.
        """
        if not self.face.sees_missing:
            self.append(column)
            return
        coded = self.coded(column)
        if blank or companions.holds_nan(column):
            stays = mask if mask is None or coded is None else mask | coded
            column = companions.in_place_of_missing(column, stays)
        mask = companions.without(mask, coded)
        by_itself = companions.holds_nan(column) and coded is None
        companion, before = self._companion_to_extend(), len(self)
        if companion is None and mask is not None and not by_itself:
            companion = self._new_companion(before)
        self.append(column)
        if companion is not None:
            told = np.ones(len(column), np.bool_) if mask is None else mask
            self._extend(companion, before, told)

    def encoded(self, values: Any) -> tuple[AnyArray, AnyArray | None]:
        """
        Values that a person writes, as they are stored, and which of them there are.

        Returns
        -------
        values : ndarray
            Of the field's type.
        mask : ndarray of bool, or None
            Which rows have a value; None where all have.

        Raises
        ------
        DataError
            The field cannot hold a value exactly.
        """
        exact, where, dtype = self.face.writes_exactly, self.phrase(), self.dtype_of_rows
        if exact and isinstance(values, (RawData, StringData)):
            values = values.as_rows()  # with its names, and what is missing of it
        if exact and isinstance(values, Field):
            found, there = Receiving(self, values, as_they_are=False)(*values.masked_rows())
            return np.asarray(found), None if dtype.kind == "f" else there
        values = in_a_row(values, where, missing=exact)
        if not exact:
            return self._made_to_fit(values, dtype, where), None
        values, mask = split_missing(values)
        if mask is not None and not mask.any():
            found = np.zeros(mask.shape, dtype)
        else:
            found = self._encoded_beside_missing(values, mask, dtype, where)
        if mask is None:
            return found, None
        found = np.asarray(companions.in_place_of_missing(found, mask))
        return found, None if dtype.kind == "f" else mask

    def _encoded_beside_missing(
        self, values: Any, mask: AnyArray | None, dtype: np.dtype[Any], where: str
    ) -> AnyArray:
        try:
            return self._encoded(values, dtype, where)
        except DataError as error:
            first = 0 if mask is None else int(np.argmax(mask))
            if not first:
                raise
            # What is missing was given the first value that exists: the error is about that one.
            said = str(error).replace("value 0 of those", f"value {first} of those", 1)
            raise type(error)(said) from error

    def _made_to_fit(self, values: Any, dtype: np.dtype[Any], where: str) -> AnyArray:
        """Values as ExeTera makes them fit; what is not exact is told."""
        if isinstance(values, np.ma.MaskedArray):
            values = values.data
        try:
            return as_values(values, dtype, where)
        except DataError:
            fitted = as_values(values, dtype, where, exact=False)
            let_pass(self.settings, f"made numbers fit {dtype.name}", where, fitted.size)
            return fitted

    def exact(self, column: Column) -> AnyArray:
        """Rows of any type as this field stores them; DataError for what it cannot hold."""
        return self._encoded(column, self.dtype_of_rows, self.phrase())

    def _encoded(self, values: Any, dtype: np.dtype[Any], where: str) -> AnyArray:
        return as_values(values, dtype, where)

    def extend_companion(self, column: Any) -> None:
        """Before rows are appended that have a value, but for missing codes: have it say so."""
        coded = self.coded(column)
        if coded is not None:
            companion, before = self._companion_to_extend(), len(self)
            if companion is None:
                companion = self._new_companion(before)
            self._extend(companion, before, ~coded)
        elif self._companion is not None:
            self._companion.append(np.ones(len(column), np.bool_))
        elif self.stored and companions.COMPANION in self.group.attributes:
            companion = self._companion_to_extend()
            if companion is not None:
                self._extend(companion, len(self), np.ones(len(column), np.bool_))

    def _companion_to_extend(self) -> Field | None:
        """The companion, which may be longer where a field that shares it was written before."""
        if not self.stored or not self.face.sees_missing:
            return self.validity
        companion = companions.companion_of(self, as_long=False)
        if companion is not None and len(companion) != len(self):
            shared = len(companion) > len(self) and companions.is_shared(self, companion)
            return companion if shared else self.validity
        return companion

    def _extend(self, companion: Field, rows: int, mask: AnyArray) -> None:
        """Have the companion say which of the rows after these have a value."""
        told = min(len(companion) - rows, len(mask))
        if told > 0:  # by the fields that share it, whose rows may be missing where these are not
            if np.array_equal(companion.read(rows, rows + told), mask[:told]):
                mask = mask[told:]
            else:
                companion = self._apart(companion, rows)
        companion.append(mask)

    def own_companion(self) -> Field | None:
        """The companion, as this field alone may change it: one that others share is copied."""
        companion = self.validity
        if companion is None or not companions.is_shared(self, companion):
            return companion
        return self._apart(companion, len(self))

    def _apart(self, companion: Field, rows: int) -> Field:
        """A companion of its own that says of these rows what the one that it has shared says."""
        made = companions.add_companion(self)
        for block in companion.blocks():
            made.append(block[: rows - len(made)])
        return made

    def with_companion(self) -> Field:
        """The companion, which is made if there is none."""
        companion = self.own_companion()
        return self._new_companion(len(self)) if companion is None else companion

    def _new_companion(self, rows: int) -> Field:
        """A companion that says that the rows so far have a value."""
        made: Field
        if self._dataframe is None:
            made = self._companion = self.numeric_like("bool")
        else:
            made = companions.add_companion(self)
        made.append(np.ones(rows, np.bool_))
        return made

    # -- the codebook

    def _check_describable(self) -> None:
        self.check_writeable()

    @property
    def unit(self) -> str | None:
        """What its numbers are counted in, such as ``kg``; None removes it."""
        return self._text("unit")

    @unit.setter
    def unit(self, text: str | None) -> None:
        self._set_text("unit", text)

    @property
    def missing_codes(self) -> dict[Any, str]:
        """
        The stored values that stand for no value, and what each means: ``{-9: "refused"}``.

        Of categories they are set by name or code, and are codes. To set them marks the rows that
        have such a value as missing, and those that are written later are so as well; the value
        stays where it is stored. To remove one, with ``None`` or by setting the others, brings no
        value back: write these rows again. In ExeTera's face they are kept, and mark nothing.
        """
        return codes_of(self)

    @missing_codes.setter
    def missing_codes(self, codes: Mapping[Any, str] | None) -> None:
        set_codes(self, codes)

    def coded(self, column: Column) -> AnyArray | None:
        """Which rows hold a missing code; None for none, as always in ExeTera's face."""
        if not said_of(self).get("missing_codes") or not self.face.sees_missing:
            return None
        if is_strings(column) != self.indexed:
            return None  # offsets or bytes of strings
        found = np.asarray(self._among(column, code_values(self)))
        return found if found.any() else None

    def mark_codes(self) -> None:
        """Have the rows that hold a missing code be missing; their values stay as they are."""
        if said_of(self).get("missing_codes") and self.face.sees_missing:
            mark_codes(self)

    def take_over(self, other: Field) -> None:
        """Say of this field what is said of another one, but for codes that it cannot hold."""
        take_over(self, other)

    # -- what is missing

    def isna(self) -> Any:
        """
        Row by row, whether the value is missing.

        Returns
        -------
        NumericField of bool
            In memory.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://isna.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, None, 47]})
        ...     people["age"].isna().tolist()
        [False, False, True, False]
        """
        return self._presence(inverted=True)

    def notna(self) -> Any:
        """
        Row by row, whether there is a value: the opposite of `isna`.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://notna.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, None, 47]})
        ...     people["age"].notna().tolist()
        [True, True, False, True]
        """
        return self._presence(inverted=False)

    def _presence(self, *, inverted: bool) -> Any:
        found = self.numeric_like("bool")
        for column, mask in self.masked_blocks():
            here = np.ones(len(column), np.bool_) if mask is None else mask
            found.append(~here if inverted else here)
        return found

    def fillna(self, value: Any) -> Any:
        """
        The field with a value in the place of those that are missing.

        Parameters
        ----------
        value
            As `write` takes it; of a categorical field a name or a code.

        Returns
        -------
        Field
            Of the same type, in memory, without missing values.

        Raises
        ------
        DataError
            The field cannot hold the value, or it is none.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://fillna.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, None, 47]})
        ...     people["age"].fillna(0).tolist()
        [34, 51, 0, 47]
        """
        if split_missing([value])[1] is not None:
            raise DataError(f"fillna of {self.phrase()} takes a value, and {value!r} is none")
        if isinstance(value, Field) or not (
            isinstance(value, _ALONE) or np.ndim(np.asarray(value, object)) == 0
        ):
            raise ArgumentTypeError(
                f"fillna of {self.phrase()} takes one value, not a {type(value).__name__}: a value "
                "for each row comes from numpy.where(field.notna(), field.data[:], values)"
            )
        filler = self.filler(self.stored_value(value))
        if companions.any_missing(filler):
            raise DataError(f"fillna of {self.phrase()} takes a value, and {value!r} is none")
        filled = self.memory_like()
        filled.missing_codes = {}  # which may be the value
        for column, mask in self.masked_blocks():
            if mask is None:
                filled.append(column)
                continue
            both = selection.concat([column, filler.read(0, 1)])
            filled.append(selection.take(both, np.where(mask, np.arange(len(mask)), len(mask))))
        return filled

    def filler(self, value: Any) -> Self:
        """A field in memory of this one value."""
        filler = self.memory_like()
        filler.append(self.encoded([value])[0])
        return filler

    def stored_value(self, value: Any) -> Any:
        """A value as `write` takes it, of one that a person writes, such as a name or a date."""
        return value

    def writeable(self) -> Self:
        """The same field with writing enabled."""
        if self._write_enabled:
            return self
        return type(self)(self._session, self._group, self._dataframe, True, self._owner)

    # -- bytes

    def array(self, role: str = "values") -> Array:
        """The storage array of that role, as it is now."""
        return self.group.array(role)

    def arrays(self) -> Mapping[str, Array]:
        """The storage arrays by role, as they belong together now."""
        return self.group.arrays()

    @staticmethod
    def rows_of(arrays: Mapping[str, Array]) -> int:
        """Rows that arrays of such a field hold."""
        return len(arrays["values"])

    def check_writeable(self) -> None:
        """Raise ReadOnlyError (a PermissionError) unless it may be changed."""
        if not self._write_enabled:
            raise ReadOnlyError(f"{self.phrase()} was opened for reading; use writeable()")

    @property
    def data(self) -> Any:
        """Reading, writing and overwriting of the values; see `fields.data`."""
        return RawData(self)

    def write(self, values: Any) -> None:
        """
        Append values; the same as ``data.write``.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://write.zarr", "w", "study")
        ...     people = ds.create_dataframe("people")
        ...     age = people.create_numeric("age", "int32")
        ...     age.write([34, 51])
        ...     age.tolist()
        [34, 51]
        """
        self.data.write(values)

    def write_part(self, values: Any) -> None:
        """
        Append values; the same as ``data.write_part``.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://write_part.zarr", "w", "study")
        ...     people = ds.create_dataframe("people")
        ...     age = people.create_numeric("age", "int32")
        ...     for part in ([34, 51], [47]):
        ...         age.write_part(part)
        ...     age.complete()
        ...     age.tolist()
        [34, 51, 47]
        """
        self.data.write_part(values)

    def flush(self) -> None:
        """Note that the column is whole; the same as ``data.complete``."""
        self.data.complete()

    complete = flush

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> AnyArray:
        wanted = None if dtype is None else np.dtype(dtype)
        as_read = wanted is None or wanted.kind in "MOUST"
        if as_read and self.face.chooses_by_item and self.type_name in HAVE_NAMES:
            shown = array_shown(self)  # names and dates; numbers where these are asked for
            return shown if wanted is None else shown.astype(wanted)
        return self.as_stored(dtype)

    def as_stored(self, dtype: Any = None) -> AnyArray:
        """An array of what is stored; DataError where values are missing without a sign for it."""
        if self.validity is not None and companions.holds_nan(self.empty_column()):
            blocks = [companions.in_place_of_missing(*block) for block in self.masked_blocks()]
            return np.asarray(selection.concat([self.empty_column(), *blocks]), dtype=dtype)
        if self.validity is not None and companions.any_missing(self):
            raise DataError(
                f"{self.phrase()} has missing values, for which an array has no sign: write "
                "field.fillna(...) to put a value in their place, or field.data[:] for what "
                "is stored"
            )
        return np.asarray(self.data[:], dtype=dtype)

    @property
    def _data(self) -> AnyArray:
        """
        What masked arrays ask for, before they take anything for an array.

        They do so where one is on the left of an operator, which then neither sees what is missing
        here nor knows dates, names and text, or types in which nothing wraps.
        """
        if not self.face.sees_missing:
            raise AttributeError("_data")
        raise DataError(
            f"{self.phrase()} is on the right of a masked array, or is given to a function of "
            "numpy.ma, which takes only what is stored: write the field first, as in field == "
            "array, or use numpy's own function, as in np.subtract(array, field)"
        )

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return numpy_functions.call(function, args, kwargs)

    def to_dask_array(
        self, blocks: int = 1, *, missing: Literal["error", "nan", "stored"] = "error"
    ) -> dask.array.Array:
        """
        The column as an array of Dask, of which each chunk is read by who works on it.

        Parameters
        ----------
        blocks
            Blocks of the table that are one chunk.
        missing
            What to do where values are missing and the type has no sign for that: ``"error"``,
            when they are read; ``"nan"``, by which the array is of float64; ``"stored"``, by which
            there is what is stored, usually 0. Missing floats and timestamps are NaN in any case.

        Returns
        -------
        dask.array.Array, shape (rows,)
            What is stored: categories are codes, and points in time seconds.

        Raises
        ------
        UnsupportedError
            It is a field of indexed strings, or of a view, or in memory.
        ArgumentError
            There are changes that are not committed.
        AccessDeniedError, StorageError
            As of `DataFrame.to_dask`.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://to_dask_array.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, 47]})
        ...     version = ds.commit()
        ...     int(people["age"].to_dask_array().sum().compute())
        132
        """
        with needing("to_dask_array", "exetera-zarr[dask]"):
            from exetera_zarr.dask.arrays import array

        return array(self, blocks, missing)

    @property
    def dtype_of_rows(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = self.data.dtype
        return dtype

    def extremes(self, start: int, stop: int) -> tuple[Any, Any] | None:
        """Bounds of what is stored in some rows of numbers, where they are known without these."""
        return self.arrays()["values"].extremes(start, stop) if self.of_numbers else None

    def reader(self) -> tuple[int, Read]:
        arrays = self.arrays()
        return self.rows_of(arrays), lambda start, stop: self.read(start, stop, arrays)

    # -- columns: the form in which the engine takes and gives rows

    def read(self, start: int, stop: int, arrays: Mapping[str, Array] | None = None) -> Column:
        """
        Rows ``start`` to ``stop`` as a column of the engine.

        Parameters
        ----------
        start, stop
            Row numbers.
        arrays
            What `arrays` gave, to read several times from the same rows.
        """
        return (arrays or self.arrays())["values"].read(start, stop)

    def append(self, column: Column, *, given: bool = False) -> None:
        """Append a column of the engine; if it is `given` away, nobody changes it any more."""
        self.check_writeable()
        array = self.array()
        array.append(as_values(column, array.dtype, self.phrase(), exact=False), given=given)

    def take(self, rows: AnyArray) -> Column:
        """
        Rows by number, each block that holds some of them read once.

        Parameters
        ----------
        rows : ndarray of int64
            Any order; negative ones are not counted from the end but are an error.
        """
        return self.data[rows]

    def blocks(self) -> Iterator[Column]:
        """The rows in order, a block of the table at a time, or less where strings are long."""
        source = source_of([self])
        for start, stop in source.cuts():
            yield source.read(start, stop)[0]

    def empty_column(self) -> Column:
        """A column of this type without rows."""
        return self.read(0, 0)

    def replace(self, columns: Iterable[Column]) -> None:
        """Put other rows in the place of the present ones, at once, after the last was made."""
        if isinstance(columns, dict) or not isinstance(columns, Iterable):
            raise ArgumentTypeError(
                f"{self.phrase()}: replace takes the rows that are to be there, not pairs. Write "
                "field.map({...}) or field.where(field != 1, 2) for something else in the place of "
                "some, and field.missing_codes = {-9: 'refused'} for codes that stand for no value"
            )
        self.check_writeable()
        made = _Rewritten(self.group)
        twin = type(self)(self._session, made)
        for column in columns:
            twin.append(column)
        self.group.set_arrays(made.arrays())

    def rewrite(self, fill: Callable[[Mapping[str, Array]], None]) -> None:
        """Put arrays in the place of the present ones, by role, which a function fills."""
        self.check_writeable()
        made = _Rewritten(self.group)
        fill(made.arrays())
        self.group.set_arrays(made.arrays())

    # -- making more of the same type

    def type_attributes(self) -> dict[str, Any]:
        """The attributes that make another field of the same type, with the same codebook."""
        attributes = self.group.attributes
        return {name: attributes[name] for name in _ALIKE if name in attributes}

    def memory_like(self) -> Self:
        """An empty field of this type in memory."""
        return cast("Self", new_field(self._session, self.type_attributes()))

    def numeric_like(self, dtype: npt.DTypeLike) -> Any:
        """An empty numeric field of that type in memory, of the same session."""
        return new_field(self._session, numeric_attributes(dtype))

    def in_memory(self, attributes: Mapping[str, Any]) -> Any:
        """An empty field in memory, of the same session, with the attributes of its type."""
        return new_field(self._session, dict(attributes))

    def create_like(self, group: Any = None, name: str | None = None, timestamp: Any = None) -> Any:
        """
        An empty field of the same type.

        Parameters
        ----------
        group : DataFrame or Group, optional
            Where to create it; in memory if not given.
        name
            Its name there.
        timestamp
            When it was made; text or datetime.

        Raises
        ------
        ValueError
            A name without a group, a group without a name, or the name is taken.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://create_like.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51]})
        ...     _ = people["age"].create_like(people, "next")
        ...     people["next"].data.write([35, 52])
        ...     people["next"].tolist()
        [35, 52]
        """
        if group is None:
            if name is not None:
                raise ArgumentError(
                    "a field in memory has no name: give a group as well, or neither"
                )
            return self.memory_like()
        if name is None:
            raise ArgumentError("a stored field needs a name")
        attributes = self.type_attributes()
        attributes["timestamp"] = str(timestamp) if timestamp is not None else self.timestamp
        if hasattr(group, "create_field"):
            return group.create_field(name, attributes)
        if self.face.sees_missing:
            attributes = dict(companions.without_meaning(name, attributes))
        return new_field(self._session, attributes, group, name)

    # -- questions

    def is_sorted(self) -> bool:
        """
        Whether no row is less than the one before it; strings by their bytes.

        What is missing comes last, as in a sort; in ExeTera's face NaN has no place.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://is_sorted.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [1, 2, 2, 3]})
        ...     people["id"].is_sorted()
        True
        """
        if self.face.sees_missing:
            (keys,), _ = key_source([self])
            return first_disorder(keys) is None
        last: Column | None = None
        for column in self.blocks():
            joined = column if last is None else selection.concat([last, column[:1]])
            if not selection.is_sorted(column) or not selection.is_sorted(joined):
                return False
            last = column[-1:]
        return True

    def get_spans(self) -> Any:
        """
        Starts of the runs of equal adjacent rows, and the number of rows at the end.

        Returns
        -------
        ndarray of int32, or int64 from 2^31 - 1 rows
            ``[0, ..., len(self)]``; each NaN is a run of its own, other missing values that follow
            each other are one.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://get_spans.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [7, 7, 8]})
        ...     people["id"].get_spans()
        array([0, 2, 3], dtype=int32)
        """
        result = spans.find_in_blocks(
            [column] if mask is None and self.validity is None else self._with_absence(column, mask)
            for column, mask in self._blocks_of_runs()
        )
        return result.astype(np.int32) if len(self) < 2**31 - 1 else result

    def _blocks_of_runs(self) -> Iterator[tuple[Column, AnyArray | None]]:
        """As `masked_blocks`; a block of one value is not read, if its zone says which."""
        length, read = companions.masked_reader(self)
        for start, stop in source_of([self], length).cuts():
            known = self.extremes(start, stop)
            if known is None or known[0] != known[1]:
                yield read(start, stop)
            else:
                yield np.full(stop - start, known[0], self.dtype_of_rows), self._told(start, stop)

    def _told(self, start: int, stop: int) -> AnyArray | None:
        """Which rows have a value, as the companion says; None where there is none."""
        companion = self.validity
        return None if companion is None else np.asarray(companion.read(start, stop))

    def _valued_blocks(self) -> Iterator[Column]:
        """The rows of which the companion says that they have a value, some at a time."""
        companion = self.validity
        for start, stop in source_of([self]).cuts():
            column = self.read(start, stop)
            kept = None if companion is None else np.asarray(companion.read(start, stop))
            yield column if kept is None else selection.compress(column, kept)

    def _with_absence(self, column: Column, mask: AnyArray | None) -> list[Column]:
        """The rows, and which are missing: a run of missing values is one, and none of zeros."""
        if companions.holds_nan(column):
            return [column]
        absent = np.zeros(len(column), np.bool_) if mask is None else ~mask
        return [absent, companions.in_place_of_missing(column, mask)]

    def isin(self, test_elements: Any) -> AnyArray:
        """
        Row by row, whether the value is one of `test_elements`.

        Parameters
        ----------
        test_elements : list, set, ndarray, Field or scalar
            Numbers, compared exactly; text, names, dates. What is missing among them is ignored.

        Returns
        -------
        ndarray of bool
            A masked array, in which the rows without a value are masked, where there are some. An
            index by it, or by its opposite ``~``, chooses none of these, of numpy arrays and of
            pandas as well; ``&`` and ``|`` are as of conditions.

        Raises
        ------
        TypeError
            There is text for a field of numbers, or there are numbers for one of text.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://isin.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"town": ["York", "Bath", None]})
        ...     people["town"].isin(["Bath", "Hull"]).tolist()
        [False, True, None]
        """
        wanted = self._wanted(test_elements)
        ordered = np.sort(wanted, axis=None) if isinstance(wanted, np.ndarray) else None
        found, there = [np.empty(0, np.bool_)], [np.empty(0, np.bool_)]
        length, read = companions.masked_reader(self)
        for start, stop in source_of([self], length).cuts():
            known, all_there = self.extremes(start, stop), np.ones(stop - start, np.bool_)
            decided = (
                None if known is None or ordered is None else membership.within(ordered, *known)
            )
            if decided is None:
                column, mask = read(start, stop)
                found.append(self._among(column, wanted))
            else:  # by the zones of its chunks
                mask = self._told(start, stop)
                found.append(all_there & decided)
            there.append(all_there if mask is None or not self.face.sees_missing else mask)
        result: AnyArray = answers(np.concatenate(found), np.concatenate(there))
        return result

    def _wanted(self, elements: Any) -> Any:
        """What `isin` looks for, as it is stored; TypeError for what no row can be equal to."""
        if self.face.sees_missing:
            if isinstance(elements, (RawData, StringData)):
                elements = elements.comparable()
            if isinstance(elements, Field):
                return self._values_of(self.operand(elements, operator.eq))
            elements = self._present_elements(elements)
        elif not isinstance(elements, np.ndarray):
            alone = isinstance(elements, _ALONE) or not isinstance(elements, Iterable)
            elements = [elements] if alone else list(elements)
        return self._members(self._elements(elements))

    def _values_of(self, other: Field) -> Any:
        """The distinct values of a field that this one was compared with."""
        column: Any = figures.distinct(other)
        return self._members(column.to_pylist() if is_strings(column) else column)

    def _members(self, elements: Any) -> Any:
        return membership.members(elements, self.dtype_of_rows)

    def _among(self, column: Column, wanted: Any) -> AnyArray:
        return np.isin(column, wanted)

    def _present_elements(self, elements: Any) -> Any:
        """The elements that there are, in one dimension."""
        if isinstance(elements, _ALONE) or not (
            hasattr(elements, "__array__") or isinstance(elements, Iterable)
        ):
            elements = [elements]
        values, mask = split_missing(in_a_row(elements, self.phrase()))
        if isinstance(values, np.ndarray) and values.dtype.kind != "O":
            return values.reshape(-1) if mask is None else values[mask]
        values = values.tolist() if isinstance(values, np.ndarray) else list(values)
        if any(isinstance(one, (list, tuple, np.ndarray)) for one in values):
            raise ArgumentTypeError(f"isin of {self.phrase()} takes values, and not lists of them")
        return (
            values if mask is None else [one for one, has in zip(values, mask, strict=True) if has]
        )

    def _elements(self, elements: Any) -> Any:
        """Elements that were given, if a row may be equal to them."""
        of_numbers = isinstance(elements, np.ndarray) and elements.dtype.kind in "biuf"
        first = elements.reshape(-1)[:1] if isinstance(elements, np.ndarray) else elements
        for value in () if of_numbers else first:
            if isinstance(value, _ALONE) or (self.face.sees_missing and not is_number(value)):
                plain = value.item() if isinstance(value, np.generic) else value
                self.operand(plain, operator.eq)  # raises, and says why
        return elements

    def operand(self, other: Any, function: Any) -> Any:
        """The other side of an operator in the terms of this field; see `operators.Comparison`."""
        raise NotImplementedError

    def unique(
        self, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False
    ) -> Any:
        """
        The distinct values in ascending order, without what is missing but for one NaN.

        The arguments are those of `numpy.unique`; in the inverse, what is missing is masked.
        Categories are told by their names, in the order of their codes, and points in time as
        ``datetime64[us]`` in UTC; in ExeTera's face by their codes, and as seconds.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://unique.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"town": ["York", "Bath", "York"]})
        ...     people["town"].unique()
        array(['Bath', 'York'], dtype='<U4')
        """
        wanted: dict[str, Any] = {
            "return_index": return_index,
            "return_inverse": return_inverse,
            "return_counts": return_counts,
        }
        if not any(wanted.values()):
            distinct = membership.distinct(self._valued_blocks(), self.empty_column())
            return distinct_shown(self, distinct) if self.face.chooses_by_item else distinct
        mask = self._there()
        found = np.unique(self.data[:] if mask is None else self.data[mask], **wanted)
        if self.face.chooses_by_item:
            found = (distinct_shown(self, found[0]), *found[1:])
        return found if mask is None else of_all_rows(found, mask, return_index, return_inverse)

    def _there(self) -> AnyArray | None:
        """For all rows whether they have a value, which NaN is here; None for all."""
        companion = self.validity
        return None if companion is None else np.asarray(companion.read(0, len(self)))

    # -- rows chosen

    def apply_filter(
        self, filter_to_apply: Any, target: Field | None = None, in_place: bool = False
    ) -> Field:
        """
        Keep the rows for which a filter is true.

        Parameters
        ----------
        filter_to_apply : Field, array or list
            Bool, or numbers of which all but zero keep; as long as the field. What is missing
            keeps no row.
        target
            Field whose rows are replaced by the result, as ``data.write`` would write it:
            categories by their names, all else exactly. Strings go to a field of the same type.
        in_place
            Replace the field's own rows.

        Returns
        -------
        Field
            `target`, the field itself, or a new field in memory.

        Raises
        ------
        DataError
            The target cannot hold a value; it is as it was.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://apply_filter.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, 47]})
        ...     people["age"].apply_filter(people["age"] > 40).tolist()
        [51, 47]
        """
        with workspace(self.settings) as work:
            with about(self.phrase):
                rows = filters.filter_rows(filter_to_apply, len(self), work, self.face)
            return self._deliver_rows(rows, target, in_place, work)

    def apply_index(
        self, index_to_apply: Any, target: Field | None = None, in_place: bool = False
    ) -> Field:
        """
        Choose rows by number, in the order given.

        Parameters
        ----------
        index_to_apply : Field, array or list of integers
            Negative ones count from the end; they may repeat.
        target, in_place
            As in `apply_filter`.

        Returns
        -------
        Field
            As in `apply_filter`.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://apply_index.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, 47]})
        ...     people["age"].apply_index([2, 0]).tolist()
        [47, 34]
        """
        with workspace(self.settings) as work:
            with about(self.phrase):
                rows = filters.index_rows(index_to_apply, len(self), work, self.face)
            return self._deliver_rows(rows, target, in_place, work)

    def apply_spans_first(
        self, spans_to_apply: Any, target: Field | None = None, in_place: bool = False
    ) -> Field:
        """
        The first value of each span; `target` and `in_place` as in `apply_filter`.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://apply_spans_first.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [7, 7, 8], "dose": [5, 2, 9]})
        ...     people["dose"].apply_spans_first(people["id"].get_spans()).tolist()
        [5, 9]
        """
        return self._over_spans("first", spans_to_apply, target, in_place)

    def apply_spans_last(
        self, spans_to_apply: Any, target: Field | None = None, in_place: bool = False
    ) -> Field:
        """
        The last value of each span; `target` and `in_place` as in `apply_filter`.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://apply_spans_last.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [7, 7, 8], "dose": [5, 2, 9]})
        ...     people["dose"].apply_spans_last(people["id"].get_spans()).tolist()
        [2, 9]
        """
        return self._over_spans("last", spans_to_apply, target, in_place)

    def apply_spans_min(
        self, spans_to_apply: Any, target: Field | None = None, in_place: bool = False
    ) -> Field:
        """
        The least value of each span, strings by their bytes; else as in `apply_filter`.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://apply_spans_min.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [7, 7, 8], "dose": [5, 2, 9]})
        ...     people["dose"].apply_spans_min(people["id"].get_spans()).tolist()
        [2, 9]
        """
        return self._over_spans("min", spans_to_apply, target, in_place)

    def apply_spans_max(
        self, spans_to_apply: Any, target: Field | None = None, in_place: bool = False
    ) -> Field:
        """
        The greatest value of each span, strings by their bytes; else as in `apply_filter`.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://apply_spans_max.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [7, 7, 8], "dose": [5, 2, 9]})
        ...     people["dose"].apply_spans_max(people["id"].get_spans()).tolist()
        [5, 9]
        """
        return self._over_spans("max", spans_to_apply, target, in_place)

    def _deliver_rows(
        self, rows: RowNumbers, target: Field | None, in_place: bool, work: Workspace
    ) -> Field:
        """Put chosen rows where the caller wants them, and what is missing of them as well."""
        if self._is_of_another_type(target):
            parts = chosen_masked(masked_of(self), rows, work)
            return self._deliver_exactly(parts, target, in_place, work)
        companion = self.validity
        result = self.deliver(filters.chosen(self, rows), target, in_place)
        result.say_present(None if companion is None else filters.chosen(companion, rows))
        return result

    def say_present(self, masks: Iterable[Column] | None) -> None:
        """After all rows were replaced: say which have a value, of which None says that all do."""
        if not self.face.sees_missing:
            return
        if masks is not None:
            self.set_companion(masks)
        elif not self.stored:
            self._companion = None
        elif companions.companion_of(self, as_long=False) is not None:
            self.set_companion([np.ones(len(self), np.bool_)])
        self.mark_codes()

    def leave_table(self, group: Group, companion: Field | None) -> None:
        """Go on with rows that are no longer those of the table, which has others by this name."""
        self._group, self._dataframe, self._companion = group, None, companion

    def forget_companion(self) -> None:
        """Before all rows are forgotten: do so with the companion that was made for this field."""
        if self._companion is not None:
            self._companion = None
        elif self.stored and companions.COMPANION in self.group.attributes:
            companion = companions.companion_of(self, as_long=False)
            if companion is not None and companions.is_made_for(self, companion):
                companion.data.clear()

    def set_companion(self, masks: Iterable[Column]) -> None:
        """Say anew which rows have a value, after their number may have changed."""
        if self._dataframe is None:
            self._companion = self.numeric_like("bool")
            self._companion.replace(masks)
        else:
            companion = companions.companion_of(self, as_long=False)
            if companion is None or companions.is_shared(self, companion):
                companion = companions.add_companion(self)
            companion.replace(masks)

    def _over_spans(self, what: str, given: Any, target: Field | None, in_place: bool) -> Field:
        with workspace(self.settings) as work:
            column = masked_of(self)
            results, mask = over_present(what, self._spans(given), column, work)
            if self._is_of_another_type(target):
                parts = _with_mask(results, mask)
                return self._deliver_exactly(parts, target, in_place, work)
            result = self.deliver(results, target, in_place)
            by_itself = mask is None or companions.holds_nan(column.empty)
            result.say_present(None if mask is None or by_itself else [mask])
            return result

    def _spans(self, given: Any) -> AnyArray:
        with about(self.phrase):
            return spans.check_spans(_parameter("spans", given), len(self))

    def deliver(self, columns: Iterable[Column], target: Field | None, in_place: bool) -> Field:
        """
        Put a result where the caller wants it.

        Raises
        ------
        ValueError
            Both a target and in place, or a target that cannot hold such rows.
        """
        target = self._target(target, in_place)
        target.replace(columns)
        return target

    def _target(self, target: Field | None, in_place: bool) -> Field:
        if in_place and target is not None:
            raise ArgumentError("give a target or in_place=True, not both")
        if in_place:
            return self
        if target is None:
            return self.memory_like()
        if not isinstance(target, Field):
            raise ArgumentTypeError(f"the target is a {type(target).__name__}, not a field")
        if target.indexed != self.indexed:
            raise DataError(f"{target.phrase()} cannot hold the rows of {self.phrase()}")
        return target

    def _is_of_another_type(self, target: Field | None) -> bool:
        """Whether what is written to a target has to be made to fit it, exactly."""
        if not isinstance(target, Field) or not self.face.writes_exactly:
            return False
        return not have_same_type(target, self)

    def _deliver_exactly(
        self,
        parts: Iterator[tuple[Column, AnyArray | None]],
        target: Field | None,
        in_place: bool,
        work: Workspace,
    ) -> Field:
        """Put rows into a target of another type, as it holds them."""
        target = self._target(target, in_place)
        receiving, told, lacks = Receiving(target, self), work.spill(np.bool_), False

        def columns() -> Iterator[Column]:
            nonlocal lacks
            for column, mask in parts:
                there = companions.present(column, mask)
                lacks = lacks or there is not None
                told.append(np.ones(len(column), np.bool_) if there is None else there)
                yield receiving(column, there)[0]

        target.replace(columns())
        by_itself = companions.holds_nan(target.empty_column())
        target.say_present(told.blocks(_STEP) if lacks and not by_itself else None)
        return target


def _with_mask(
    columns: Iterable[Column], mask: AnyArray | None
) -> Iterator[tuple[Column, AnyArray | None]]:
    """Columns, each with its part of what says which rows have a value."""
    start = 0
    for column in columns:
        stop = start + len(column)
        yield column, None if mask is None else mask[start:stop]
        start = stop


class _Rewritten(MemoryGroup):
    """A group whose arrays are made by another, to take their place when they are whole."""

    def __init__(self, group: Group) -> None:
        super().__init__(group.name, group.attributes, group.row_block)
        types = array_dtypes(group.attributes)
        self._made = {role: group.new_array(role, dtype) for role, dtype in types.items()}

    def arrays(self) -> Mapping[str, Array]:
        return self._made


def new_field(
    session: object,
    attributes: dict[str, Any],
    group: Group | None = None,
    name: str = "",
    dataframe: Any = None,
    owner: object = None,
) -> Any:
    """
    A new, empty field.

    Parameters
    ----------
    session
        Kept for ExeTera's sake.
    attributes
        Those of its group; valid.
    group
        Where to create it; None for a field in memory.
    name
        Its name in `group`.
    dataframe, owner
        As of `Field`.
    """
    attributes = {"encoding_version": ENCODING_VERSION, "chunksize": DEFAULT_CHUNKSIZE} | attributes
    check_labels(attributes)
    if group is None:
        settings = settings_of(session)
        room = None if settings is None else settings.memory_limit // 8
        folder = None if settings is None else settings.spill_dir
        place = _with_arrays(MemoryGroup(name, attributes, room=room, folder=folder))
    else:
        if "key" in attributes:
            attributes["key"] = [
                [label_text(label), int(code)] for label, code in attributes["key"]
            ]
        storage = group.storage
        # Else the commit of another thread, or the end of the process, may take half a field.
        with contextlib.nullcontext() if storage is None else storage.atomic():
            place = _with_arrays(group.create_group(name, attributes))
    return FIELD_CLASSES[kind_of(attributes)](session, place, dataframe, True, owner)


def of_all_rows(found: Any, mask: AnyArray, has_index: bool, has_inverse: bool) -> Any:
    """What `numpy.unique` says of the rows for which the mask is true, as said of all rows."""
    parts, rows = list(found), np.flatnonzero(mask)
    if has_index:
        parts[1] = rows[parts[1]]
    if has_inverse:
        at = 1 + has_index
        inverse = np.zeros(len(mask), np.int64)
        inverse[rows] = parts[at]
        parts[at] = np.ma.masked_array(inverse, ~mask)
    return tuple(parts)


def _with_arrays(place: Group) -> Group:
    """A group, with the empty arrays that its attributes speak of."""
    types = array_dtypes(place.attributes)
    place.set_arrays({role: place.new_array(role, dtype) for role, dtype in types.items()})
    return place


def column_of(value: Any) -> Column:
    """
    All rows of a field, or an array as it is.

    Raises
    ------
    ValueError
        It is neither.
    """
    if isinstance(value, Field):
        arrays = value.arrays()
        return value.read(0, value.rows_of(arrays), arrays)
    if isinstance(value, (RawData, StringData)):
        return np.asarray(value)
    if isinstance(value, np.ndarray):
        return value
    raise DataError(f"expected a field or an ndarray, not a {type(value).__name__}")


def _parameter(what: str, value: Any) -> Any:
    try:
        return column_of(value)
    except DataError as error:
        raise DataError(f"the {what}: {error}") from error
