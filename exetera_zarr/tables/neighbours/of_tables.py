"""What a table gives to its neighbours in memory: Arrow, pandas, Polars and xarray."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from exetera_zarr.errors import ArgumentTypeError
from exetera_zarr.tables.neighbours.dask_of_tables import TableOnDask
from exetera_zarr.tables.neighbours.files_of_tables import TableFiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    import polars as pl
    import pyarrow as pa
    import xarray as xr

    from exetera_zarr.tables.dataframe import DataFrame
    from exetera_zarr.tables.neighbours.pandas_frame import PandasTypes

__all__ = ["TableNeighbours"]


class TableNeighbours(TableFiles, TableOnDask):
    """The methods of a table by which its rows leave."""

    def to_arrow(
        self,
        columns: str | Sequence[str] | None = None,
        where: Any = None,
        *,
        raw: bool = False,
    ) -> pa.Table:
        """
        The table as one of Arrow, in memory.

        Missing values are nulls, categories are dictionaries in the order of their codes, with the
        names that do not occur, and points in time are ``timestamp[us, UTC]``, rounded to the
        microsecond. What Arrow has no type for is metadata, so that `Dataset.from_arrow` makes
        the same table again. For a table larger than memory give the table itself to what takes
        ``__arrow_c_stream__``: it is read block by block.

        Parameters
        ----------
        columns
            Names of fields; by default all but those that say what is missing of others.
        where : Field, array or list of bool
            A filter, as `apply_filter` takes it. Blocks of which it keeps nothing are not read.
        raw
            Whether what is stored is wanted: codes, seconds and bytes, with 0, False or no text
            for what is missing, and the fields that say so. In ExeTera's face it always is.

        Returns
        -------
        pa.Table

        Raises
        ------
        DataError
            A text is not UTF-8, a code has no name, or a moment is beyond the years of
            microseconds: the message names field and row. Or the fields have different lengths.
        FieldNotFoundError
            A name is none of a field.
        IndexError, TypeError, ValueError
            The filter does not fit.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://to_arrow.zarr", "w", "study")
        ...     people = ds.create_dataframe("people")
        ...     people.create_numeric("age", "int8").data.write([34, None, 51])
        ...     people.create_categorical("sex", "int8", {"f": 1, "m": 2}).data.write([1, 2, 2])
        ...     people.to_arrow(where=people["sex"] == "m").to_pylist()
        [{'age': None, 'sex': 'm'}, {'age': 51, 'sex': 'm'}]
        """
        return self._arrow_stream(columns, where, raw=raw).reader().read_all()

    def to_polars(
        self,
        columns: str | Sequence[str] | None = None,
        where: Any = None,
        *,
        raw: bool = False,
    ) -> pl.DataFrame:
        """
        The table as a Polars DataFrame, in memory.

        Parameters and errors are those of `to_arrow`. Categories are an ``Enum``, which keeps
        their order and the names that do not occur.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     people = s.open_dataset("memory://polars.zarr", "w", "d").create_dataframe("people")
        ...     people.create_categorical("sex", "int8", {"f": 1, "m": 2}).data.write(["m", None])
        ...     people.to_polars()["sex"].dtype
        Enum(categories=['f', 'm'])
        """
        from exetera_zarr.io.arrow.frames import polars_frame

        return polars_frame(self._arrow_stream(columns, where, raw=raw))

    def to_pandas(
        self,
        row_filter: Any = None,
        col_filter: str | list[str] | None = None,
        *,
        types: PandasTypes = "typed",
    ) -> pd.DataFrame:
        """
        The table as a pandas DataFrame, in memory.

        Missing values are missing: whole numbers and bool of which some are come as pandas'
        nullable types. Fields that say what is missing of others are left out unless they are asked
        for. In ExeTera's face what is stored comes, as `types` has no say there.

        Parameters
        ----------
        row_filter : Field, array or list of bool or of row numbers, or slice
            Which rows; all by default. A condition that is missing chooses no row.
        col_filter
            Which fields; all by default.
        types
            ``"typed"``: categories are ``category`` in the order of the codes, points in time
            ``datetime64[us, UTC]``, and strings text. ``"arrow"``: all columns are in the types of
            Arrow, ``pd.ArrowDtype``, as of `to_arrow`. ``"raw"``: categories are codes, points in
            time seconds, and fixed strings bytes.

        Raises
        ------
        ArgumentError
            `types` is none of these.
        DataError
            Unless raw: a code has no name, two have the same, or a moment is beyond the years of
            microseconds; the message names field and row. Or the fields have different lengths.
        FieldNotFoundError
            A name is none of a field.
        IndexError, TypeError, ValueError
            The filter does not fit.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     people = s.open_dataset("memory://p.zarr", "w", "d").create_dataframe("people")
        ...     people.create_categorical("sex", "int8", {"f": 1, "m": 2}).data.write(["m", None])
        ...     people.to_pandas()["sex"].tolist()
        ['m', nan]
        """
        from exetera_zarr.tables.neighbours.pandas_frame import pandas_frame

        return pandas_frame(cast("DataFrame", self), row_filter, col_filter, types)

    def to_xarray(
        self,
        columns: str | Sequence[str] | None = None,
        where: Any = None,
        *,
        raw: bool = False,
    ) -> xr.Dataset:
        """
        The table as a dataset of xarray, in memory, along the dimension ``row``.

        ``xarray.open_dataset(url, engine="exetera_zarr", group="people")`` gives the same of a
        table larger than memory, of which each variable is read when it is needed.

        Parameters
        ----------
        columns, where
            As of `to_arrow`.
        raw
            Whether what is stored is wanted: codes with ``flag_values`` and ``flag_meanings``,
            seconds with their ``units``, and the fields that say what is missing of others. In
            ExeTera's face it always is.

        Returns
        -------
        xarray.Dataset
            Categories and strings are objects, with None for what is missing; points in time are
            ``datetime64[us]`` in UTC. Whole numbers and bool that can be missing are floats, as
            always in xarray: float32 up to 16 bits, else float64. Labels, units and descriptions
            are the attributes ``long_name``, ``units`` and ``comment``.

        Raises
        ------
        DataError, FieldNotFoundError, IndexError, TypeError, ValueError
            As of `to_arrow`; or a whole number beyond 2^53 is in a field with missing values.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://to_xarray.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, None, 51]})
        ...     people.to_xarray()["age"].values
        array([34., nan, 51.])
        """
        from exetera_zarr.io.xarray.variables import dataset_of

        return dataset_of(cast("DataFrame", self), columns, where, raw=raw)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The rows for any library that takes Arrow's streams; each call reads them anew."""
        return self._arrow_stream().reader().__arrow_c_stream__(requested_schema)

    def __arrow_c_schema__(self) -> object:
        """The types of the columns, for such a library."""
        return self._arrow_stream().schema.__arrow_c_schema__()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        """Refused: the columns of a table have different types."""
        raise ArgumentTypeError(
            f"the table {cast('DataFrame', self).name!r} is no array, since its columns have types "
            "of their own: write df.to_pandas(), df.to_arrow() or df.to_polars() for all of them, "
            "and numpy.asarray(df['name']) for one"
        )
