"""What a table writes to files: CSV, Parquet, Feather, SPSS and Stata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence
    from typing import IO

    from exetera_zarr.io.arrow.files import Kind
    from exetera_zarr.io.arrow.stream import ArrowStream
    from exetera_zarr.io.options import PathLike
    from exetera_zarr.tables.dataframe import DataFrame

__all__ = ["TableFiles"]


class TableFiles:
    """The methods of a table that write files."""

    def to_parquet(
        self,
        path: PathLike,
        columns: str | Sequence[str] | None = None,
        where: Any = None,
        *,
        partition_by: str | Sequence[str] | None = None,
        compression: str | None = "zstd",
        raw: bool = False,
        storage_options: Mapping[str, Any] | None = None,
    ) -> None:
        """
        Write a Parquet file, block by block; it is in its place when all of it is written.

        Parameters
        ----------
        path
            Path or URL. What is there is replaced.
        partition_by
            Names of fields, of which each value becomes a folder, such as ``sex=f``, with the rows
            that have it in their order; `path` is that of a folder then, in which there must be
            nothing yet. Points in time must be days.
        columns, where, raw
            As of `to_arrow`.
        compression
            ``"zstd"``, ``"snappy"``, ``"gzip"``, ``"lz4"``, or None.
        storage_options
            For the file system behind a URL.

        Raises
        ------
        DataError, FieldNotFoundError, IndexError, TypeError, ValueError
            As of `to_arrow`. What was at `path` is as it was.
        UnsupportedError
            There is no such compression.

        Examples
        --------
        >>> import os, tempfile
        >>> from exetera_zarr import Session
        >>> with Session() as s, tempfile.TemporaryDirectory() as folder:
        ...     ds = s.open_dataset("memory://parquet.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, None, 51]})
        ...     people.to_parquet(os.path.join(folder, "people.parquet"))
        ...     len(ds.from_parquet("again", folder)["age"])
        3
        """
        if partition_by is None:
            self._write("Parquet", path, columns, where, compression, raw, storage_options)
            return
        from exetera_zarr.io.arrow.partitions import write_folder

        stream = self._arrow_stream(columns, where, raw=raw)
        names = [partition_by] if isinstance(partition_by, str) else list(partition_by)
        write_folder(stream, path, names, compression, storage_options)

    def to_feather(
        self,
        path: PathLike,
        columns: str | Sequence[str] | None = None,
        where: Any = None,
        *,
        compression: str | None = "zstd",
        raw: bool = False,
        storage_options: Mapping[str, Any] | None = None,
    ) -> None:
        """
        Write a Feather file, which is Arrow's own format; else as `to_parquet`.

        Parameters
        ----------
        path, columns, where, raw, storage_options
            As of `to_parquet`.
        compression
            ``"zstd"``, ``"lz4"``, or None.

        Examples
        --------
        >>> import os, tempfile
        >>> from exetera_zarr import Session
        >>> with Session() as s, tempfile.TemporaryDirectory() as folder:
        ...     ds = s.open_dataset("memory://feather.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, None, 51]})
        ...     people.to_feather(os.path.join(folder, "people.feather"), where=people["age"] > 40)
        ...     len(ds.from_parquet("again", os.path.join(folder, "people.feather"))["age"])
        1
        """
        self._write("Arrow", path, columns, where, compression, raw, storage_options)

    def to_csv(
        self,
        filepath: str | os.PathLike[str] | IO[str],
        row_filter: Any = None,
        column_filter: str | list[str] | None = None,
        chunk_row_size: int = 1 << 15,
        *,
        codebook: str | os.PathLike[str] | None = None,
        storage_options: Mapping[str, Any] | None = None,
    ) -> None:
        """
        Write a CSV file, reading the fields a block at a time.

        Missing values are empty, categories have their names, points in time are in UTC as
        ``2020-05-06 07:08:09`` with a fraction if they have one, bool is ``True`` and ``False``,
        and what could be taken for something else is in quotes: an import reads the same table.
        Fields that say what is missing of others are not written unless they are asked for.

        In ExeTera's face what is stored is written: categories as their codes, timestamps as
        seconds since 1970, whether there is a value or not; but fixed strings as text, where
        ExeTera writes ``b'text'``.

        Parameters
        ----------
        filepath
            Path or URL, or a text file open for writing.
        row_filter : Field, array or list
            Which rows, as of `apply_filter`. In ExeTera's face a field of this table is left out
            of the file.
        column_filter
            Name of a field, or names; all by default.
        chunk_row_size
            Rows that are made text at a time.
        codebook
            Path or URL of a JSON file that is written as well: the schema by which an import of the
            CSV file makes the same fields, with their labels, units and missing codes.
        storage_options
            For the file system behind a URL.

        Raises
        ------
        ValueError
            A field does not exist, the fields have different lengths, or an argument is of another
            form.
        IndexError
            The filter has another length.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://to_csv.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": [1, 2], "age": [34, None]})
        ...     import sys
        ...     people.to_csv(sys.stdout)
        id,age
        1,34
        2,
        """
        from exetera_zarr.io.csv.export import write_csv

        write_csv(
            cast("DataFrame", self),
            filepath,
            row_filter,
            column_filter,
            chunk_row_size,
            storage_options,
        )
        if codebook is not None:
            from exetera_zarr.io.exported import write_schema

            write_schema(cast("DataFrame", self), codebook, column_filter, storage_options)

    def to_spss(
        self,
        path: PathLike,
        columns: str | Sequence[str] | None = None,
        where: Any = None,
        *,
        storage_options: Mapping[str, Any] | None = None,
    ) -> None:
        """
        Write a file of SPSS (.sav), by pyreadstat.

        Categories are value labels, missing codes user-missing values, and labels those of
        variables. All numbers are float64 there, points in time are without a zone, of UTC, and a
        text that is missing is one without characters.

        Parameters
        ----------
        path, columns, where, storage_options
            As of `to_parquet`.

        Raises
        ------
        DataError
            The file cannot hold a value exactly, a name, or the missing codes of a field.
        MemoryLimitError
            The table does not fit the memory limit, in which it has to be.
        UnsupportedError
            There is no pyreadstat.

        Examples
        --------
        >>> import os, tempfile
        >>> from exetera_zarr import Session
        >>> with Session() as s, tempfile.TemporaryDirectory() as folder:
        ...     ds = s.open_dataset("memory://spss.zarr", "w", "study")
        ...     people = ds.create_dataframe("people")
        ...     people.create_categorical("sex", "int8", {"f": 1, "m": 2}).data.write(["m", None])
        ...     people.to_spss(os.path.join(folder, "people.sav"))
        ...     ds.from_spss("again", os.path.join(folder, "people.sav"))["sex"].keys
        {1: b'f', 2: b'm'}
        """
        from exetera_zarr.io.statistics.writing import write_statistics

        write_statistics(cast("DataFrame", self), "SPSS", path, columns, where, storage_options)

    def to_stata(
        self,
        path: PathLike,
        columns: str | Sequence[str] | None = None,
        where: Any = None,
        *,
        storage_options: Mapping[str, Any] | None = None,
    ) -> None:
        """
        Write a file of Stata (.dta), by pyreadstat; else as `to_spss`.

        Whole numbers are int32, or float64 where one of them is larger or missing to Stata.
        Missing codes are ``.a``, ``.b`` and so on, in their
        order, with their meanings as labels. Points in time are rounded to the millisecond.

        Examples
        --------
        >>> import os, tempfile
        >>> from exetera_zarr import Session
        >>> with Session() as s, tempfile.TemporaryDirectory() as folder:
        ...     ds = s.open_dataset("memory://stata.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, None, 51]})
        ...     people.to_stata(os.path.join(folder, "people.dta"))
        ...     ds.from_stata("again", os.path.join(folder, "people.dta"))["age"].mean()
        42.5
        """
        from exetera_zarr.io.statistics.writing import write_statistics

        write_statistics(cast("DataFrame", self), "Stata", path, columns, where, storage_options)

    def _write(
        self,
        kind: Kind,
        path: PathLike,
        columns: str | Sequence[str] | None,
        where: Any,
        compression: str | None,
        raw: bool,
        storage_options: Mapping[str, Any] | None,
    ) -> None:
        from exetera_zarr.io.arrow.files import write_file

        stream = self._arrow_stream(columns, where, raw=raw)
        write_file(stream, path, kind, compression, storage_options)

    def _arrow_stream(
        self, columns: str | Sequence[str] | None = None, where: Any = None, *, raw: bool = False
    ) -> ArrowStream:
        from exetera_zarr.io.arrow.stream import ArrowStream

        return ArrowStream(cast("DataFrame", self), columns, where, raw=raw)
