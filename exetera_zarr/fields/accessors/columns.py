"""Methods of fields by the names that pandas has for them."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from exetera_zarr.engine import is_strings
from exetera_zarr.engine.columns import selection, strings
from exetera_zarr.errors import ArgumentError, ArgumentTypeError, DataError
from exetera_zarr.fields import filters
from exetera_zarr.fields.accessors.durations import dates_of
from exetera_zarr.fields.accessors.reading import Readable
from exetera_zarr.fields.accessors.text import texts_of
from exetera_zarr.fields.data import blank_missing
from exetera_zarr.fields.missing.companions import masked_reader
from exetera_zarr.fields.sources import source_of
from exetera_zarr.fields.statistics.figures import present_blocks, shown
from exetera_zarr.fields.writing.given import is_nothing, is_number, number_array
from exetera_zarr.fieldtypes import indexed_string_attributes, label_bytes, label_text
from exetera_zarr.moments import moment

if TYPE_CHECKING:
    from exetera_zarr.fields.accessors.dates import Dates
    from exetera_zarr.fields.accessors.durations import Durations
    from exetera_zarr.fields.accessors.text import Texts
    from exetera_zarr.fields.base import Field
    from exetera_zarr.fields.numeric import NumericField

__all__ = ["Columnar"]


class _Accessible:
    """The parts of values; not in the class below, in which `str` is the type."""

    @property
    def dt(self) -> Dates | Durations:
        """
        Parts of points in time and their rounding, or of durations, such as differences of them.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     t = s.open_dataset("memory://dt.zarr", "w", "d").create_dataframe("t")
        ...     t.create_timestamp("from").data.write(["2020-02-27", None])
        ...     t.create_timestamp("to").data.write(["2020-03-01 12:00:00", "2020-03-02"])
        ...     t["from"].dt.month.tolist(), (t["to"] - t["from"]).dt.days.tolist()
        ([2, None], [3, None])
        """
        return dates_of(cast("Field", self))

    @property
    def str(self) -> Texts:
        """What text contains, and other text made of it; of categories by their names."""
        return texts_of(cast("Field", self))


class Columnar(_Accessible, Readable):
    """What is asked of a column, and columns made of it, row by row."""

    # -- conditions

    def between(
        self,
        left: Any,
        right: Any,
        inclusive: Literal["both", "neither", "left", "right"] = "both",
    ) -> NumericField:
        """
        Row by row, whether the value lies between two others.

        Parameters
        ----------
        left, right
            As a comparison takes them: numbers, text, dates, fields.
        inclusive
            Which of the two belong to what is between them.

        Returns
        -------
        NumericField of bool
            In memory; missing where the value is.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     t = s.open_dataset("memory://between.zarr", "w", "d").create_dataframe("t")
        ...     t["age"] = [17, None, 40, 66]
        ...     t["age"].between(18, 65).tolist()
        [False, None, True, False]
        """
        if inclusive not in ("both", "neither", "left", "right"):
            raise ArgumentError(
                f"inclusive is 'both', 'neither', 'left' or 'right', not {inclusive!r}"
            )
        field: Any = self
        low = field >= left if inclusive in ("both", "left") else field > left
        high = field <= right if inclusive in ("both", "right") else field < right
        return cast("NumericField", low & high)

    def any(self) -> bool:
        """
        Whether a value is true, or other than 0; what is missing is not looked at.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://any.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, None, 47]})
        ...     (people["age"] > 50).any()
        True
        """
        field = _of_numbers(self, "any")
        return any(bool(np.any(column)) for column in present_blocks(field))

    def all(self) -> bool:
        """
        Whether all values are true, or other than 0; what is missing is not looked at.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://all.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, None, 47]})
        ...     (people["age"] > 50).all()
        False
        """
        field = _of_numbers(self, "all")
        return all(bool(np.all(column)) for column in present_blocks(field))

    # -- other numbers

    def abs(self) -> NumericField:
        """
        The numbers without their sign, in memory.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://abs.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"change": [-2, 3, None]})
        ...     people["change"].abs().tolist()
        [2, 3, None]
        """
        return cast("NumericField", abs(cast("Any", self)))

    def round(self, decimals: int = 0) -> NumericField:
        """
        The numbers rounded, those half-way to the even one, in memory; of their own type.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://round.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"height": [1.234, 1.756]})
        ...     people["height"].round(1).tolist()
        [1.2, 1.8]
        """
        return cast("NumericField", round(cast("Any", self), decimals))

    def clip(self, lower: Any = None, upper: Any = None) -> Any:
        """
        The values, with `lower` for those below it and `upper` for those above.

        Parameters
        ----------
        lower, upper
            A number, or of points in time one of these; None for no limit.

        Returns
        -------
        Field
            Of the same type, in memory; what is missing stays so.

        Raises
        ------
        DataError
            The field cannot hold a limit exactly, or the lower one is above the upper one.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://clip.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, None, 47]})
        ...     people["age"].clip(40, 50).tolist()
        [40, 50, None, 47]
        """
        field = _of_numbers(self, "clip", times=True)
        limits = [None if one is None else _limit(field, one) for one in (lower, upper)]
        low, high = limits
        if low is not None and high is not None and low > high:
            raise ArgumentError(f"clip of {field.phrase()}: {lower!r} is above {upper!r}")
        made: Field = field.memory_like()
        made.missing_codes = {}
        for column, mask in field.masked_blocks():
            made.append_masked(np.clip(np.asarray(column), low, high), mask)
        return made

    def where(self, cond: Any, other: Any = None) -> Any:
        """
        The values where a condition is true, else another value, or none.

        Parameters
        ----------
        cond
            A field, an array or a list of bool, as long as the field. Where it is missing there
            is no value.
        other
            A value of the field's type, or None for no value.

        Returns
        -------
        Field
            Of the same type, in memory.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://where.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, None, 47]})
        ...     people["age"].where(people["age"] > 40).tolist()
        [None, 51, None, 47]
        """
        return _chosen(cast("Field", self), cond, other, inverted=False)

    def mask(self, cond: Any, other: Any = None) -> Any:
        """
        The values but where a condition is true, there another one or none; as `where`.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://mask.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, None, 47]})
        ...     people["age"].mask(people["age"] > 40).tolist()
        [34, None, None, None]
        """
        return _chosen(cast("Field", self), cond, other, inverted=True)

    def map(self, arg: Mapping[Any, Any]) -> Any:
        """
        Each value replaced by what a dict has for it.

        Parameters
        ----------
        arg
            Values as a person reads them, such as names of categories, and what each becomes: all
            of them numbers, all text, or all bool. What is not in it becomes missing, and so does
            what it has None for.

        Returns
        -------
        Field
            In memory: numeric, or of indexed strings. What is missing stays so.

        Raises
        ------
        ArgumentTypeError
            It is no dict, such as a function.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     t = s.open_dataset("memory://map.zarr", "w", "d").create_dataframe("t")
        ...     t["answer"] = ["yes", "no", None, "?"]
        ...     t["answer"].map({"yes": 1, "no": 0}).tolist()
        [1, 0, None, None]
        """
        field = cast("Field", self)
        if not isinstance(arg, Mapping):
            what = "a function" if callable(arg) else f"a {type(arg).__name__}"
            raise ArgumentTypeError(
                f"{field.phrase()} is mapped by a dict, not by {what}: write an expression of "
                "fields, or df['new'] = [function(value) for value in df['old']]"
            )
        return _mapped(field, arg)

    # -- the ends

    def nlargest(self, n: int = 5) -> list[Any]:
        """
        The greatest values, the first one greatest; a list, as `tolist` has them.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://nlargest.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, None, 47]})
        ...     people["age"].nlargest(2)
        [51, 47]
        """
        field = _of_numbers(self, "nlargest", times=True)
        return _ends(field, n, heapq.nlargest)

    def nsmallest(self, n: int = 5) -> list[Any]:
        """
        The least values, the first one least; a list, as `tolist` has them.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://nsmallest.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51, None, 47]})
        ...     people["age"].nsmallest(2)
        [34, 47]
        """
        field = _of_numbers(self, "nsmallest", times=True)
        return _ends(field, n, heapq.nsmallest)

    if not TYPE_CHECKING:  # to whom every attribute would be one of any type

        def __getattr__(self, name):
            hint = _ELSEWHERE.get(name)
            if hint is None:
                return object.__getattribute__(self, name)  # which raises the error that says why
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute {name!r}: {hint}"
            )


_ELSEWHERE = {
    "apply": "write an expression of fields, or df['new'] = [f(value) for value in df['old']]",
    "iloc": "field[3], field[:5] and field[[0, 2]] give rows by number",
    "loc": "field[condition] gives the rows for which it is true; rows have no labels",
    "index": "rows have numbers, and no labels",
    "values": "field.data[:] has what is stored, list(field) the values as they are read",
    "to_numpy": "field.data[:] has what is stored, list(field) the values as they are read",
    "size": "len(field) is the number of rows, field.count() that of values",
    "shape": "(len(field),)",
    "dropna": "field[field.notna()] has the rows with a value",
    "sort_values": "df.sort_values(by=name, ddf=other) sorts rows; sorted(...) sorts a list",
    "reset_index": "rows have numbers, and no labels: there is nothing to reset",
    "groupby": "df.groupby(key) groups the rows of a table; field.shift(by=key), field.diff(by=key)"
    " and field.cumsum(by=key) go within groups",
    "drop_duplicates": "field.unique() has the distinct values",
    "to_frame": "df[name] = field makes it a column of a table",
    "hasnans": "field.isna().any()",
    "dtype": "field.fieldtype is its type, field.data.dtype that of what is stored",
    "describe": "df.describe(include=[name]) describes a column of a table",
    "copy": "field[:] is a copy in memory, and df[name] = field one in a table",
    "rename": "df.rename(name, new) renames a column of a table",
    "agg": "field.mean(), field.sum() and the like are methods of their own",
    "duplicated": "~field.is_first() of a key by which the rows are sorted",
    "bfill": "only ffill is there: the value of a row before",
    "sample": "field[rows] gives rows by their numbers, which numpy.random chooses",
    "add": "write field + other",
    "sub": "write field - other",
    "mul": "write field * other",
    "div": "write field / other",
    "eq": "write field == other",
    "ne": "write field != other",
    "lt": "write field < other",
    "le": "write field <= other",
    "gt": "write field > other",
    "ge": "write field >= other",
    "cat": "field.keys has the names of the categories by their codes",
}


def _of_numbers(readable: Readable, what: str, *, times: bool = False) -> Field:
    field = cast("Field", readable)
    if field.type_name == "numeric" or (times and field.type_name == "timestamp"):
        return field
    raise DataError(f"{what} of {field.phrase()} ({field.fieldtype}): it is of numbers")


def _refuse_many(field: Field, value: Any, instead: str) -> None:
    """ArgumentTypeError for a column where one value is wanted."""
    many = hasattr(value, "masked_blocks") or hasattr(value, "__len__")
    if many and not isinstance(value, (str, bytes)):
        raise ArgumentTypeError(
            f"a {type(value).__name__} is not one value, which {field.phrase()} needs here: "
            f"write {instead}"
        )


def _limit(field: Field, value: Any) -> Any:
    _refuse_many(field, value, "numpy.maximum(field, lower) or numpy.minimum(field, upper)")
    if is_nothing(value) or (isinstance(value, float) and math.isnan(value)):
        raise ArgumentError(f"a limit of {field.phrase()} is a value, and {value!r} is none")
    values, _ = field.encoded([field.stored_value(value)])
    return values[0]


def _chosen(field: Field, cond: Any, other: Any, *, inverted: bool) -> Any:
    conditions = filters.filter_reader(cond, len(field), field.face)
    made: Field = field.memory_like()
    _refuse_many(field, other, "numpy.where(condition, field, other)")
    nothing = other is None or is_nothing(other)
    filler = made if nothing else field.filler(field.stored_value(other))
    source, (_, read) = source_of([field]), masked_reader(field)
    for start, stop in source.cuts():
        (column, mask), true = read(start, stop), conditions(start, stop)
        known = ~np.ma.getmaskarray(true)
        kept = selection.as_mask(true, stop - start) ^ inverted
        there = np.ones(len(column), np.bool_) if mask is None else mask
        told = known & (there | ~kept if not nothing else there & kept)
        if not nothing:
            both = selection.concat([column, filler.read(0, 1)])
            column = selection.take(both, np.where(kept, np.arange(len(column)), len(column)))
        if is_strings(column):
            column = blank_missing(column, told)
        made.append_masked(column, None if told.all() else told)
    return made


def _mapped(field: Field, given: Mapping[Any, Any]) -> Any:
    targets = [one for one in given.values() if not is_nothing(one) and one == one]  # noqa: PLR0124
    of_text = bool(targets) and all(isinstance(one, (str, bytes)) for one in targets)
    if not of_text and not all(is_number(one) for one in targets):
        raise ArgumentTypeError(
            f"a dict maps {field.phrase()} to numbers alone, or to text alone, not to both"
        )
    made: Field
    if of_text:
        made = field.in_memory(indexed_string_attributes())
    else:
        array = number_array(targets) if targets else np.zeros(0)
        made = field.numeric_like("float64" if array.dtype.kind == "O" else array.dtype)
    known = {_known(field, key): target for key, target in given.items()}
    filled: list[Any]
    for column, mask in field.masked_blocks():
        distinct, codes = _coded(column)
        found = [known.get(_known(field, _read(field, value))) for value in distinct]
        there = np.asarray([not is_nothing(v) and v == v for v in found], np.bool_)  # noqa: PLR0124
        filled = [v if has else ("" if of_text else 0) for v, has in zip(found, there, strict=True)]
        told = there[codes] if mask is None else there[codes] & mask
        if of_text:
            values = strings.take(strings.encode([label_bytes(v) for v in filled]), codes)
            values = blank_missing(values, told)
        else:
            values = np.asarray(filled, made.dtype_of_rows)[codes]
        made.append_masked(values, None if told.all() else told)
    return made


def _known(field: Field, value: Any) -> Any:
    """A value by which a dict knows it: of points in time seconds, whatever tells them."""
    if field.type_name == "timestamp" and not is_nothing(value):
        return moment(value)
    return label_text(value) if isinstance(value, bytes) else value


def _coded(column: Any) -> tuple[list[Any], Any]:
    """The distinct values, and for each row which one it has."""
    if is_strings(column):
        found = strings.unique(column, return_inverse=True)
        return strings.decode(found.values), found.inverse
    distinct, codes = np.unique(column, return_inverse=True)
    return list(distinct), codes


def _read(field: Field, value: Any) -> Any:
    return value if isinstance(value, str) else shown(field, value)


def _ends(field: Field, n: int, choose: Callable[..., list[Any]]) -> list[Any]:
    best: list[Any] = []
    for column in present_blocks(field):
        values = np.asarray(column)
        if n < len(values):
            part = np.partition(values, n if choose is heapq.nsmallest else len(values) - n)
            values = part[:n] if choose is heapq.nsmallest else part[len(part) - n :]
        best = choose(n, [*best, *values.tolist()])
    return [shown(field, value) for value in best]
