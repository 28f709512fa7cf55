"""What a dataset takes from files: Parquet, Feather, SPSS, Stata and SAS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exetera_zarr.io.options import PathLike
    from exetera_zarr.io.statistics.times import Package
    from exetera_zarr.tables.dataframe import DataFrame
    from exetera_zarr.tables.dataset import Dataset
    from exetera_zarr.tables.rows.creating import IfExists, Structs

__all__ = ["DatasetFiles"]


class DatasetFiles:
    """The methods of a dataset by which tables in files enter."""

    def from_parquet(
        self,
        name: str,
        paths: PathLike | Sequence[PathLike],
        mode: IfExists = "error",
        *,
        structs: Structs = "error",
        storage_options: Mapping[str, Any] | None = None,
    ) -> DataFrame:
        """
        Make a table of Parquet files, or of Feather files, block by block, all or nothing.

        Parameters
        ----------
        name, mode, structs
            As of `from_arrow`.
        paths
            A file, a pattern such as ``s3://bucket/2024/*.parquet``, or a folder (of which the URL
            ends in ``/``); or several. Their rows follow each other in the order of the names. In
            a folder, folders called ``name=value`` are columns of all that is in them.
        storage_options
            For URLs.

        Raises
        ------
        DataError
            As of `from_arrow`; or a file has other columns than the first one, or is none of these.

        Examples
        --------
        See `DataFrame.to_parquet`.
        """
        from exetera_zarr.io.arrow.files import joined_files
        from exetera_zarr.tables.rows.creating import create

        rows = joined_files(paths, storage_options)
        return create(cast("Dataset", self), name, rows, mode, structs)

    def from_spss(
        self,
        name: str,
        path: PathLike,
        mode: IfExists = "error",
        *,
        columns: Sequence[str] | None = None,
        encoding: str | None = None,
        storage_options: Mapping[str, Any] | None = None,
    ) -> DataFrame:
        """
        Make a table of a file of SPSS (.sav, .zsav), by pyreadstat, all or nothing.

        A variable of which all values have a label becomes a categorical field; user-missing values
        become missing codes, with their labels as meanings; the labels of variables, and that of
        the file, those of fields and table. Dates are points in time in UTC, and times of the day
        seconds. docs/statistics.md has all of it.

        Parameters
        ----------
        name, mode
            As of `from_arrow`.
        path
            Path or URL.
        columns
            Names of variables; all by default.
        encoding
            Of the texts, where the file does not say it rightly.
        storage_options
            For a URL.

        Returns
        -------
        DataFrame
            The table.

        Raises
        ------
        DataError
            It is no such file; or as of `from_arrow`.
        UnsupportedError
            There is no pyreadstat: the extra ``statistics`` installs it.

        Examples
        --------
        See `DataFrame.to_spss`.
        """
        return self._from_statistics(
            "SPSS", name, path, mode, columns, storage_options, encoding=encoding
        )

    def from_stata(
        self,
        name: str,
        path: PathLike,
        mode: IfExists = "error",
        *,
        columns: Sequence[str] | None = None,
        encoding: str | None = None,
        storage_options: Mapping[str, Any] | None = None,
    ) -> DataFrame:
        """
        Make a table of a file of Stata (.dta); else as `from_spss`.

        Values such as ``.a`` are missing codes: the numbers that Stata stores for them.

        Examples
        --------
        See `DataFrame.to_stata`.
        """
        return self._from_statistics(
            "Stata", name, path, mode, columns, storage_options, encoding=encoding
        )

    def from_sas(
        self,
        name: str,
        path: PathLike,
        mode: IfExists = "error",
        *,
        catalog: PathLike | None = None,
        columns: Sequence[str] | None = None,
        encoding: str | None = None,
        storage_options: Mapping[str, Any] | None = None,
    ) -> DataFrame:
        """
        Make a table of a file of SAS (.sas7bdat, .xpt); else as `from_spss`.

        Parameters
        ----------
        name, path, mode, columns, encoding, storage_options
            As of `from_spss`.
        catalog
            Path or URL of the file of formats (.sas7bcat), which has the labels of values.

        Examples
        --------
        >>> import os, tempfile
        >>> import pandas as pd
        >>> import pyreadstat
        >>> from exetera_zarr import Session
        >>> with Session() as s, tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "people.xpt")
        ...     pyreadstat.write_xport(pd.DataFrame({"AGE": [34.0, None, 51.0]}), path)
        ...     ds = s.open_dataset("memory://sas.zarr", "w", "study")
        ...     ds.from_sas("people", path)["AGE"].mean()
        42.5
        """
        return self._from_statistics(
            "SAS", name, path, mode, columns, storage_options, encoding=encoding, catalog=catalog
        )

    def _from_statistics(
        self,
        package: Package,
        name: str,
        path: PathLike,
        mode: IfExists,
        columns: Sequence[str] | None,
        storage_options: Mapping[str, Any] | None,
        **more: Any,
    ) -> DataFrame:
        from exetera_zarr.io.statistics.reading import rows_of_file
        from exetera_zarr.tables.rows.creating import create

        dataset = cast("Dataset", self)
        memory = dataset.settings.memory_limit
        rows = rows_of_file(path, package, columns, memory, storage_options, **more)
        return create(dataset, name, rows, mode)
