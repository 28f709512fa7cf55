"""What a dataset takes from a cluster of Dask."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from exetera_zarr.errors import needing

if TYPE_CHECKING:
    import dask.dataframe

    from exetera_zarr.tables.dataframe import DataFrame
    from exetera_zarr.tables.dataset import Dataset
    from exetera_zarr.tables.rows.creating import IfExists

__all__ = ["DatasetOnDask"]


class DatasetOnDask:
    """The methods of a dataset by which Dask's workers write tables."""

    def write_dask(
        self,
        ddf: dask.dataframe.DataFrame,
        name: str,
        mode: IfExists = "error",
        *,
        row_block: int | None = None,
    ) -> DataFrame:
        """
        Make a table of a DataFrame of Dask, whose workers write it, all or nothing.

        Each partition is computed once, and staged where nobody else looks; then blocks of the
        table are cut from that, wherever partitions end, and placed by the workers. When all of
        them are there the draft has the table: `commit` makes it a version, together with whatever
        else is in the draft. docs/dask.md has the whole story.

        Parameters
        ----------
        ddf
            The collection. Its index is no column: ``ddf.reset_index()`` makes it one. A field is
            of the type of its column as the collection says it, whatever a partition has; every
            partition is held to that, exactly.
        name
            Of the table.
        mode
            As of `from_arrow`.
        row_block
            Rows of a block of a new table; as of `create_dataframe`.

        Returns
        -------
        DataFrame
            The table, which is not committed yet.

        Raises
        ------
        DataError
            A field cannot hold a value exactly, or a partition has other columns: the message
            names the partition, the row in it and the column. The dataset is as it was, as it is
            after any error here.
        ConflictError
            Another writer has committed changes of the same table meanwhile.
        NameTakenError
            There is a table of that name.
        AccessDeniedError, StorageError
            With a cluster of Dask's: not all workers can reach the dataset.

        Examples
        --------
        >>> import dask.dataframe as dd, pandas as pd
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://write_dask.zarr", "w", "study")
        ...     frame = pd.DataFrame({"id": [1, 2, 3], "dose": [0.5, None, 1.5]})
        ...     table = ds.write_dask(dd.from_pandas(frame, npartitions=2), "doses")
        ...     table["dose"].mean(), ds.commit()
        (1.0, 1)
        """
        with needing("write_dask", "exetera-zarr[dask]"):
            from exetera_zarr.dask.writing import write

        return write(cast("Dataset", self), ddf, name, mode, row_block=row_block)
