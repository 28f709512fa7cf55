"""What a table gives to a cluster of Dask, and takes from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from exetera_zarr.errors import needing

if TYPE_CHECKING:
    from collections.abc import Sequence

    import dask.array
    import dask.dataframe

    from exetera_zarr.dask.types import DaskTypes
    from exetera_zarr.fields.base import Field
    from exetera_zarr.tables.dataframe import DataFrame

__all__ = ["TableOnDask"]


class TableOnDask:
    """The methods of a table by which Dask's workers read and write it."""

    def to_dask(
        self,
        columns: str | Sequence[str] | None = None,
        where: Any = None,
        *,
        types: DaskTypes = "typed",
        index: str | None = None,
        blocks: int = 1,
    ) -> dask.dataframe.DataFrame:
        """
        The table as a DataFrame of Dask, of which each partition is read by who works on it.

        Tasks have the URL, the version and the names of what they read, and no credentials: workers
        find these where they are. What Dask does not need of the columns is not read, and
        how many rows there are is known without reading any. docs/dask.md has the whole story.

        Parameters
        ----------
        columns
            Names of fields; by default all but those that say what is missing of others.
        where : list of tuple, or list of lists
            Which rows: ``[("age", ">", 40), ("sex", "==", "f")]``, of which all have to be true,
            by ``==``, ``!=``, ``<``, ``<=``, ``>``, ``>=``, ``in`` and ``not in``; of a list of
            such lists, one of them. A missing value fulfils none. Blocks that zones rule out make
            no partition, and of others the rest is read where a row fulfils it.
        types
            ``"typed"``: as of `to_pandas`, but numbers that can be missing are always of pandas'
            nullable types, and texts ``string[pyarrow]``, so that all partitions are alike.
            ``"raw"``: what is stored, strings as bytes. ``"arrow"``: the types of Arrow.
        index
            The field that is the index, by which the rows are in order: each partition begins
            with the first row of a key, and its divisions are known. By default the number of the
            row in the table is.
        blocks
            Blocks of the table (`row_block` rows, 2^20 by default) that are one partition.

        Returns
        -------
        dask.dataframe.DataFrame
            With known divisions. It reads the version that is committed now, whatever comes after.

        Raises
        ------
        ArgumentError
            The table has changes that are not committed; or the condition is none.
        DataError
            The rows are not in the order of the index.
        AccessDeniedError, StorageError
            With a cluster of Dask's: not all workers can read it; the message says which, and why.
        UnsupportedError
            The table is in an HDF5 file or in memory, or is a view of chosen rows.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://to_dask.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51], "town": ["York", "Bath"]})
        ...     version = ds.commit()
        ...     people.to_dask(where=[("age", ">", 40)])["town"].compute().tolist()
        ['Bath']
        """
        with needing("to_dask", "exetera-zarr[dask]"):
            from exetera_zarr.dask.reading import collection

        frame = cast("DataFrame", self)
        return collection(frame, columns, where, types=types, index=index, blocks=blocks)

    def write_dask_array(self, name: str, array: dask.array.Array) -> Field:
        """
        Make a column of an array of Dask, whose workers write it, all or nothing.

        Parameters
        ----------
        name
            Of the new field.
        array
            Of one dimension, with an element for each row. NaN and NaT are missing.

        Returns
        -------
        Field
            Which is not committed yet; else as of `Dataset.write_dask`.

        Raises
        ------
        DataError
            There are more rows, or fewer, or a chunk has values that the field cannot hold.
        NameTakenError
            There is a field of that name.
        ConflictError, AccessDeniedError, StorageError
            As of `Dataset.write_dask`.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://write_array.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"height": [1.5, 2.0, 1.75]})
        ...     version = ds.commit()
        ...     height = people["height"].to_dask_array()
        ...     people.write_dask_array("cm", height * 100).tolist()
        [150.0, 200.0, 175.0]
        """
        with needing("write_dask_array", "exetera-zarr[dask]"):
            from exetera_zarr.dask.writing import write_column

        return write_column(cast("DataFrame", self), name, array)
