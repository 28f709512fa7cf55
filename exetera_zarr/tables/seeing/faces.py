"""The methods by which a table, a dataset and a session are seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from exetera_zarr.errors import NotFoundError, listing
from exetera_zarr.tables.seeing.hidden import IN_DATASETS, IN_SESSIONS, IN_TABLES, without
from exetera_zarr.tables.seeing.preview import Kept
from exetera_zarr.tables.seeing.types import Types

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exetera_zarr.tables.dataframe import DataFrame
    from exetera_zarr.tables.dataset import Dataset
    from exetera_zarr.tables.overview import TableInfo
    from exetera_zarr.tables.session import Session

__all__ = ["DatasetFaces", "SessionFaces", "TableFaces"]


class TableFaces:
    """How a table is seen."""

    @property
    def _kept(self) -> Kept:
        kept: Kept = self.__dict__.setdefault("_rows_shown", Kept())
        return kept

    def __repr__(self) -> str:
        from exetera_zarr.tables.seeing.texts import table_text

        return table_text(cast("DataFrame", self), self._kept)

    def _repr_html_(self) -> str:
        from exetera_zarr.tables.html import table_html

        return table_html(cast("DataFrame", self), self._kept)

    def __dir__(self) -> list[str]:
        return without(IN_TABLES, object.__dir__(self))

    def _ipython_key_completions_(self) -> list[str]:
        return list(cast("DataFrame", self).keys())

    def to_show(self, rows: int) -> DataFrame:  # noqa: ARG002
        """
        The table that the first rows are read from, which has these at least.

        A view, of which a column costs more to read the more rows it has, gives one of these alone.
        """
        return cast("DataFrame", self)

    @property
    def shape(self) -> tuple[int, int]:
        """
        How many rows and fields the table has, as `to_pandas` gives it.

        Fields that say what is missing of others do not count; ``len(df)`` counts them, since it
        is the number of all fields, as in ExeTera.

        Raises
        ------
        DataError
            The fields have different lengths.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     people = s.open_dataset("memory://s.zarr", "w", "d").create_dataframe("people")
        ...     people.create_numeric("age", "int8").data.write([34, None, 51])
        ...     people.shape, len(people), list(people)
        ((3, 1), 2, ['age', 'age_valid'])
        """
        frame = cast("DataFrame", self)
        names = frame.own_columns()
        return frame.length(names), len(names)

    @property
    def dtypes(self) -> Types:
        """
        The type of each field by its name, without those that say what is missing of others.

        Returns
        -------
        Types
            A mapping of text to text: the name of a number type, ``bool``, ``categorical``,
            ``timestamp``, ``indexedstring``, or ``fixedstring`` with its bytes.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     people = s.open_dataset("memory://t.zarr", "w", "d").create_dataframe("people")
        ...     _ = people.create_numeric("age", "int8"), people.create_fixed_string("postcode", 8)
        ...     people.dtypes
        age       int8
        postcode  fixedstring,8
        """
        frame = cast("DataFrame", self)
        return Types({name: frame[name].fieldtype for name in frame.own_columns()})

    def info(self, *, missing: bool = False, sizes: bool = False) -> TableInfo:
        """
        What the table holds: of each field its type, label, unit and size.

        Parameters
        ----------
        missing
            Whether missing values are counted, for which what says so is read; else the number is
            told only of fields that cannot miss any.
        sizes
            Whether the stored size of each field is found out, for which the store is listed.

        Returns
        -------
        TableInfo
            Which is shown as text or in a notebook; in a script it is printed by ``print``.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     people = s.open_dataset("memory://i.zarr", "w", "d").create_dataframe("people")
        ...     people.create_numeric("age", "int8").data.write([34, None, 51])
        ...     people["age"].unit = "years"
        ...     print(people.info(missing=True))
        people: 3 rows x 1 field, 3 B
        field  type  missing  label    size
        age    int8        1  [years]   3 B
        1 more field says what is missing of others
        """
        from exetera_zarr.tables.overview import describe_table

        return describe_table(cast("DataFrame", self), missing=missing, sizes=sizes)


class DatasetFaces:
    """How a dataset is seen."""

    @property
    def _kept(self) -> Kept:
        kept: Kept = self.__dict__.setdefault("_tables_shown", Kept())
        return kept

    def __repr__(self) -> str:
        from exetera_zarr.tables.seeing.texts import dataset_text

        return dataset_text(cast("Dataset", self), self._kept)

    def _repr_html_(self) -> str:
        from exetera_zarr.tables.html import dataset_html

        return dataset_html(cast("Dataset", self), self._kept)

    def __dir__(self) -> list[str]:
        return without(IN_DATASETS, object.__dir__(self))

    def _ipython_key_completions_(self) -> list[str]:
        return list(cast("Dataset", self).keys())


class SessionFaces:
    """How a session is seen: as its open datasets."""

    def __repr__(self) -> str:
        from exetera_zarr.tables.seeing.texts import session_text

        return session_text(cast("Session", self))

    def _repr_html_(self) -> str:
        from exetera_zarr.tables.html import session_html

        return session_html(cast("Session", self))

    def __dir__(self) -> list[str]:
        return without(IN_SESSIONS, object.__dir__(self))

    def _ipython_key_completions_(self) -> list[str]:
        return list(cast("Session", self).datasets)

    def __getitem__(self, name: str) -> Any:
        datasets = cast("Session", self).datasets
        if name not in datasets:
            raise NotFoundError(
                f"the session has no open dataset {name!r}; there are: {listing(datasets)}"
            )
        return datasets[name]

    def __contains__(self, name: object) -> bool:
        return name in cast("Session", self).datasets

    def __iter__(self) -> Iterator[str]:
        return iter(cast("Session", self).datasets)
