"""What a dataset takes from its neighbours: tables of Arrow, pandas and Polars, and questions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from exetera_zarr.errors import ArgumentTypeError
from exetera_zarr.tables.neighbours.dask_of_datasets import DatasetOnDask
from exetera_zarr.tables.neighbours.files_of_datasets import DatasetFiles

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd
    import polars as pl

    from exetera_zarr.io.sql.query import Query
    from exetera_zarr.tables.dataframe import DataFrame
    from exetera_zarr.tables.dataset import Dataset
    from exetera_zarr.tables.rows.creating import IfExists, Structs

__all__ = ["DatasetNeighbours", "tables_of"]


class DatasetNeighbours(DatasetFiles, DatasetOnDask):
    """The methods of a dataset by which tables of others enter."""

    def from_arrow(
        self, name: str, data: Any, mode: IfExists = "error", *, structs: Structs = "error"
    ) -> DataFrame:
        """
        Make a table of rows of Arrow, block by block, all or nothing.

        Parameters
        ----------
        name
            Of the table.
        data
            Anything that has ``__arrow_c_stream__``: a table, a batch or a reader of Arrow, a
            frame of Polars, a relation of DuckDB, a table of this package.
        mode
            What to do if there is a table of that name: ``"error"``; ``"replace"`` it; or
            ``"append"`` to it, as `DataFrame.append` does.
        structs
            What to do with columns of structs: ``"error"``, or ``"flatten"``, by which each child
            becomes a column ``name.child``.

        Returns
        -------
        DataFrame
            The table. docs/arrow.md has the field that each type of Arrow becomes; metadata that
            `DataFrame.to_arrow` has written makes the fields that it was given by.

        Raises
        ------
        DataError
            There is no field for a type, or a value cannot be held exactly: the message names the
            column, and the row. The dataset is as it was.
        NameTakenError
            There is a table of that name.
        ArgumentTypeError
            `data` is no table.

        Examples
        --------
        >>> import pyarrow as pa
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://from_arrow.zarr", "w", "study")
        ...     people = ds.from_arrow("people", pa.table({"age": [34, None]}))
        ...     people["age"].mean(), len(people["age"])
        (34.0, 2)
        """
        from exetera_zarr.tables.rows.creating import create

        if not hasattr(data, "__arrow_c_stream__") and not hasattr(data, "__arrow_c_array__"):
            raise ArgumentTypeError(
                f"from_arrow takes what has __arrow_c_stream__, which a {type(data).__name__} has "
                "not: from_pandas, from_polars and from_dict take other tables"
            )
        return create(cast("Dataset", self), name, data, mode, structs)

    def from_pandas(
        self, name: str, data: pd.DataFrame, mode: IfExists = "error", *, index: bool = False
    ) -> DataFrame:
        """
        Make a table of a pandas DataFrame; else as `from_arrow`.

        Parameters
        ----------
        name, mode
            As of `from_arrow`.
        data
            The frame. None, NaN, NaT and NA are missing, categories keep their order, and a column
            of objects has the type that all of its values have.
        index
            Whether its index is a column, or several; else it is left out.

        Examples
        --------
        >>> import pandas as pd
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://from_pandas.zarr", "w", "study")
        ...     frame = pd.DataFrame({"sex": pd.Categorical(["m", None, "f"])})
        ...     ds.from_pandas("people", frame)["sex"].isna().data[:].tolist()
        [False, True, False]
        """
        from exetera_zarr.tables.rows.creating import create

        if not all(hasattr(data, one) for one in ("reset_index", "columns")):
            raise ArgumentTypeError(
                f"from_pandas takes a pandas DataFrame, not a {type(data).__name__}"
            )
        return create(cast("Dataset", self), name, data.reset_index() if index else data, mode)

    def from_polars(
        self,
        name: str,
        data: pl.DataFrame,
        mode: IfExists = "error",
        *,
        structs: Structs = "error",
    ) -> DataFrame:
        """
        Make a table of a Polars DataFrame; parameters and errors are those of `from_arrow`.

        Examples
        --------
        >>> import polars as pl
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://from_polars.zarr", "w", "study")
        ...     len(ds.from_polars("people", pl.DataFrame({"age": [34, 51]}))["age"])
        2
        """
        if not hasattr(data, "__arrow_c_stream__"):
            raise ArgumentTypeError(
                f"from_polars takes a Polars DataFrame, not a {type(data).__name__}; of a "
                "LazyFrame give what collect() returns"
            )
        return self.from_arrow(name, data, mode, structs=structs)

    def from_dict(
        self, name: str, data: Mapping[str, Iterable[Any]], mode: IfExists = "error"
    ) -> DataFrame:
        """
        Make a table of columns by name; else as `from_arrow`.

        Parameters
        ----------
        name, mode
            As of `from_arrow`.
        data
            ``{name: values}`` of arrays, lists, fields or Series.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://from_dict.zarr", "w", "study")
        ...     ds.from_dict("people", {"age": [34, None], "town": ["York", "Leeds"]}).to_arrow()
        pyarrow.Table
        age: int64
        town: large_string
        ----
        age: [[34,null]]
        town: [["York","Leeds"]]
        """
        from exetera_zarr.tables.rows.creating import create

        if not hasattr(data, "items") or hasattr(data, "__arrow_c_stream__"):
            raise ArgumentTypeError(f"from_dict takes columns by name, not a {type(data).__name__}")
        return create(cast("Dataset", self), name, data, mode)

    def sql(self, query: str) -> Query:
        """
        Ask a question of the tables in SQL, which DuckDB answers block by block.

        Parameters
        ----------
        query
            One SELECT statement, in DuckDB's SQL. Tables and fields go by their names, in double
            quotes where these have spaces or dots, and upper and lower case are the same.
            Categories are text, points in time ``TIMESTAMPTZ``, what is missing is NULL.

        Returns
        -------
        Query
            Which gives the result by `to_arrow`, `to_pandas`, `to_polars`, or ``write(ds, name)``,
            and shows its first rows in a notebook. Only the columns and, where the condition is
            simple, the blocks that matter are read, within the memory limit of the session.

        Raises
        ------
        ArgumentError
            DuckDB does not understand the query, or it does more than read tables.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://sql.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51], "town": ["York", "Bath"]})
        ...     ds.sql("SELECT town FROM people WHERE age > 40").to_arrow().to_pylist()
        [{'town': 'Bath'}]
        """
        from exetera_zarr.io.sql.query import Query

        tables: dict[tuple[str, ...], DataFrame] = {
            (name,): table for name, table in tables_of(cast("Dataset", self)).items()
        }
        return Query(query, tables, cast("Dataset", self).settings)


def tables_of(dataset: Dataset) -> dict[str, DataFrame]:
    """The tables of a dataset by name, without the fields at its top level."""
    return {name: item for name, item in dataset.items() if not hasattr(item, "fieldtype")}
