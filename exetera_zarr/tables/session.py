"""Sessions: open datasets, and the functions on fields that older scripts call."""

from __future__ import annotations

import datetime as dt
import os
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Self

from exetera_zarr.engine.streams.freed_memory import keep_little
from exetera_zarr.errors import ArgumentError, DataError, NameTakenError
from exetera_zarr.faces import EXETERA, NATIVE
from exetera_zarr.fields.base import Field
from exetera_zarr.settings import Settings, cache_limit, checked_folder, size_in_bytes
from exetera_zarr.settings import memory_limit as limit_in_bytes
from exetera_zarr.storage import (
    About,
    Group,
    OpenOptions,
    adopted,
    checked_text,
    open_storage,
)
from exetera_zarr.storage.base import OfThisProcess
from exetera_zarr.tables import redirects
from exetera_zarr.tables.dataframe import DataFrame
from exetera_zarr.tables.dataset import Dataset, close_after
from exetera_zarr.tables.group_of_fields import GroupOfFields
from exetera_zarr.tables.neighbours.of_sessions import SessionNeighbours
from exetera_zarr.tables.seeing.faces import SessionFaces
from exetera_zarr.tables.session_fields import is_foreign
from exetera_zarr.tables.session_joins import JoinFunctions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import distributed
    import numpy.typing as npt

    from exetera_zarr.fields.container import FieldContainer
    from exetera_zarr.storage import Durability, Mode
    from exetera_zarr.storage.base import VersionLike

__all__ = ["Session"]

DEFAULT_CHUNKSIZE = 1 << 20


def _now() -> str:
    return str(dt.datetime.now(dt.UTC))


class Session(SessionFaces, SessionNeighbours, OfThisProcess, JoinFunctions):
    """
    Opens datasets, and closes them; a new one costs nothing.

    Parameters
    ----------
    chunksize
        ExeTera's number of rows to work on at a time; kept, but `row_block` is what counts here.
    timestamp
        What new fields say of when they were made; now by default.
    row_block
        Rows of a block of new tables, 2^20 by default.
    memory_limit
        What operations may use: bytes, text such as ``"2GB"``, or a share of the memory there is;
        half of it by default.
    spill_dir
        Where what does not fit goes for a while; the system's temporary folder by default. One that
        cannot be written to is an error.
    on_error
        What happens to changes that were not committed when an exception leaves ``with Session()``:
        ``"rollback"``, the default, undoes them; ``"commit"``, the default in ExeTera's face,
        commits what had completed. `SystemExit` without a status, or with 0, is no error, nor
        is the end of a generator of which nobody takes the rest. Without a ``with`` block, what a
        program has changed when an exception ends it is committed, and a line on stderr says so.
    author
        Who makes the versions that are committed; the environment variable
        ``EXETERA_ZARR_AUTHOR`` by default.
    progress
        Whether a line tells how far work is that takes longer than two seconds. By default it does
        so in a notebook and at a terminal, and not in scripts whose output goes to a file; the
        environment variable ``EXETERA_ZARR_PROGRESS``, 0 or 1, decides as well.
    cluster : distributed.Client or str, optional
        A cluster of Dask, or the address of its scheduler, such as ``"tcp://host:8786"``. Filters,
        sorts, groups and merges of committed tables that all workers can read then run there, and
        give the same tables in the same order. What runs in this process all the same says so,
        once, to the logger ``exetera_zarr.cluster``. docs/dask.md has the whole story.
    exetera
        Whether to do as ExeTera does, to the letter, where that is not what one would expect:
        missing values count as what is stored in their place, usually 0; whole numbers wrap;
        and so on. docs/exetera.md has the whole list. What ExeTera does without a word is told by
        an `ExeteraCompatibilityWarning`.

    Examples
    --------
    >>> with Session() as s:
    ...     ds = s.open_dataset("memory://example.zarr", "w", "study")
    ...     patients = ds.create_dataframe("patients")
    ...     patients.create_numeric("age", "int32").data.write([34, 51, 47])
    ...     print(patients["age"].data[:])
    [34 51 47]
    """

    def __init__(
        self,
        chunksize: int = DEFAULT_CHUNKSIZE,
        timestamp: Any = None,
        *,
        row_block: int | None = None,
        memory_limit: float | str | None = None,
        spill_dir: str | os.PathLike[str] | None = None,
        on_error: Literal["rollback", "commit"] | None = None,
        author: str | None = None,
        progress: bool | None = None,
        cluster: distributed.Client | str | None = None,
        exetera: bool = False,
    ) -> None:
        if row_block is not None and row_block < 1:
            raise ArgumentError(f"a block has at least one row, not {row_block}")
        if on_error not in (None, "rollback", "commit"):
            raise ArgumentError(f"on_error is 'rollback' or 'commit', not {on_error!r}")
        self.chunksize = chunksize
        self.settings: Settings = Settings(
            timestamp=_now() if timestamp is None else _timestamp(timestamp),
            memory_limit=limit_in_bytes(memory_limit),
            cache_limit=cache_limit(memory_limit),
            row_block=row_block,
            spill_dir=None if spill_dir is None else checked_folder(spill_dir),
            face=EXETERA if exetera else NATIVE,
            on_error=on_error,
            author=checked_text(author or "", "an author"),
            progress=progress,
        )
        self._own_client: Any = None
        cluster = redirects.default_cluster() if cluster is None else cluster
        if cluster is not None:
            from exetera_zarr.cluster.clients import client_of

            self.settings.cluster, own = client_of(cluster)
            self._own_client = self.settings.cluster if own else None
        keep_little(self.settings.memory_limit)
        self.datasets: dict[str, Dataset] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            for dataset in self.datasets.values():
                dataset.end_by(error)
        close_after(error, self.close)

    @property
    def timestamp(self) -> str:
        """What new fields say of when they were made."""
        return self.settings.timestamp

    def set_timestamp(self, timestamp: Any = None) -> None:
        """
        Set what new fields say of when they were made: text or datetime; now by default.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     s.set_timestamp("2020-03-24")
        ...     s.timestamp
        '2020-03-24'
        """
        self.settings.timestamp = _now() if timestamp is None else _timestamp(timestamp)

    # -- datasets

    def open_dataset(
        self,
        dataset_path: Any,
        mode: Mode = "r",
        name: str | None = None,
        *,
        storage_options: Mapping[str, Any] | None = None,
        durability: Durability = "fsync",
        single_writer: bool = False,
        version: VersionLike | None = None,
        external: bool = False,
        cache: str | os.PathLike[str] | None = None,
        cache_size: float | str = "10GB",
    ) -> Dataset:
        """
        Open or create a dataset.

        Parameters
        ----------
        dataset_path : str or os.PathLike
            A local path, or a URL such as ``s3://bucket/study.zarr`` or ``memory://study``; an
            HDF5 file of ExeTera's also as a binary file object. New ones are HDF5 where the path
            ends in ``.hdf5``, ``.h5`` or ``.hdf``.
        mode
            ``'r'`` read; ``'r+'`` read and write; ``'w'`` new, in place of what is there (whose
            versions stay); ``'a'`` open or create; ``'x'`` or ``'w-'`` create.
        name
            Its name in this session; by default the last part of the path, without its suffix.
        storage_options
            For the file system behind the URL; `S3Options` and `GCSOptions` name those of buckets.
            Credentials come from the environment by default.
        durability
            ``'fsync'``, or ``'none'`` where a commit to a local disk need not survive a loss of
            power.
        single_writer
            A promise that nobody else writes, for stores that cannot keep two writers apart.
        version
            An older version to read: its number, a tag, or a moment, as a datetime or text, for
            what was the newest version then. `Dataset.history` says which there are.
        external
            Whether an HDF5 file may have parts of it in other files, and links to them: only for
            files that one trusts.
        cache
            A folder, such as ``~/.cache/exetera_zarr``, where chunks that were read from a bucket
            or a web server are kept for the next time. Any number of processes may share it; it
            is never wrong, since what is stored never changes.
        cache_size
            Bytes that the folder may have, or text such as ``"10GB"``: beyond that, what was used
            longest ago goes.

        Returns
        -------
        Dataset

        Raises
        ------
        DatasetNotFoundError
            There is none, and the mode does not create one.
        DatasetExistsError
            Something is there, and the mode would create a dataset.
        ValueError
            The mode is another one, or the session has a dataset of that name.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://open_dataset.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51]})
        ...     list(ds)
        ['people']
        """
        options = OpenOptions(
            storage_options=storage_options or {},
            durability=durability,
            single_writer=single_writer,
            version=version,
            external=external,
            cache=None if cache is None else cache_folder(cache),
            cache_size=size_in_bytes(cache_size, "cache size"),
        )
        return self.open_with(dataset_path, mode, name, options)

    def open_with(
        self, dataset_path: Any, mode: Mode, name: str | None, options: OpenOptions
    ) -> Dataset:
        """
        Open or create a dataset: see `open_dataset`, of which the options are one object here.

        Parameters
        ----------
        dataset_path, mode, name
            As of `open_dataset`.
        options
            The rest; how much memory there is, and where to spill, the session says.
        """
        name = _default_name(dataset_path) if name is None else name
        if name in self.datasets:
            raise NameTakenError(
                f"this session has an open dataset {name!r} already: close it, or give another name"
            )
        dataset_path, given = redirects.resolve(dataset_path, options.storage_options or None)
        options = replace(
            options,
            storage_options=given or {},
            row_block=self.settings.row_block,
            cache_limit=self.settings.cache_limit,
            spill_dir=self.settings.spill_dir,
            about=About(self.settings.message, self.settings.author),
            shared_reads=self.settings.face.shares_reads,
        )
        storage = open_storage(dataset_path, mode, options)
        dataset = self.datasets[name] = Dataset(self, storage, name, self.settings)
        return dataset

    def close_dataset(self, name: str) -> None:
        """
        Commit and close the dataset of that name; a name that there is not is ignored.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://close_dataset.zarr", "w", "study")
        ...     s.close_dataset("study")
        ...     s.list_datasets()
        ()
        """
        if isinstance(name, str) and name in self.datasets:
            self.datasets[name].close()
            del self.datasets[name]

    def list_datasets(self) -> tuple[str, ...]:
        """
        Names of the open datasets.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://list_datasets.zarr", "w", "study")
        ...     s.list_datasets()
        ('study',)
        """
        return tuple(self.datasets)

    def get_dataset(self, name: str) -> Dataset:
        """
        The open dataset of that name; KeyError where there is none.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://get_dataset.zarr", "w", "study")
        ...     s.get_dataset("study") is ds
        True
        """
        return self.datasets[name]

    def close(self) -> None:
        """
        Commit and close all datasets; one that fails does not keep the others from it.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://session_close.zarr", "w", "study")
        ...     s.close()
        ...     ds.closed
        True
        """
        failures: list[Exception] = []
        for name in list(self.datasets):
            try:
                self.close_dataset(name)
            except Exception as failure:  # noqa: BLE001 - raised below
                failures.append(failure)
        if self._own_client is not None:
            self.settings.cluster = None
            self._own_client.close()
            self._own_client = None
        for another in failures[1:]:
            failures[0].add_note(f"another dataset failed to close as well: {another!r}")
        if failures:
            raise failures[0]

    def temp_filename(self) -> str:
        """A file name that does not exist in the working folder."""
        while True:
            name = f"{uuid.uuid4()}.zarr"
            if not os.path.exists(name):
                return name

    # -- fields

    def create_like(
        self,
        field: Any,
        dest_group: Any,
        dest_name: str,
        timestamp: Any = None,
        chunksize: int | None = None,
    ) -> Any:
        """
        An empty field of the type of `field`, in a table; ValueError if it is no field.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://create_like.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51]})
        ...     s.create_like(people["age"], people, "next").data.write([35, 52])
        ...     people["next"].tolist()
        [35, 52]
        """
        if not isinstance(adopted(field), (Field, Group)):
            raise ArgumentError(f"expected a field, not a {type(field).__name__}")
        stored = isinstance(adopted(dest_group), Group)
        dest = self._table(dest_group) if stored else dest_group
        return self.get(field).create_like(dest, dest_name, timestamp)

    def create_indexed_string(
        self, group: Any, name: str, timestamp: Any = None, chunksize: int | None = None
    ) -> Any:
        """
        See `DataFrame.create_indexed_string`.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://session_create_indexed_string.zarr", "w", "study")
        ...     people = ds.create_dataframe("people")
        ...     s.create_indexed_string(people, "note").data.write(["", "any text"])
        ...     people["note"].tolist()
        ['', 'any text']
        """
        return self._table(group).create_indexed_string(name, timestamp, chunksize)

    def create_fixed_string(
        self,
        group: Any,
        name: str,
        length: int,
        timestamp: Any = None,
        chunksize: int | None = None,
    ) -> Any:
        """
        See `DataFrame.create_fixed_string`.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://session_create_fixed_string.zarr", "w", "study")
        ...     people = ds.create_dataframe("people")
        ...     s.create_fixed_string(people, "id", 4).data.write(["P001", "P002"])
        ...     people["id"].tolist()
        ['P001', 'P002']
        """
        return self._table(group).create_fixed_string(name, length, timestamp, chunksize)

    def create_categorical(
        self,
        group: Any,
        name: str,
        nformat: Any,
        key: Any = None,
        timestamp: Any = None,
        chunksize: int | None = None,
    ) -> Any:
        """
        See `DataFrame.create_categorical`.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://session_create_categorical.zarr", "w", "study")
        ...     people = ds.create_dataframe("people")
        ...     smoker = s.create_categorical(people, "smoker", "int8", {"no": 0, "yes": 1})
        ...     smoker.data.write([0, 1])
        ...     smoker.tolist()
        ['no', 'yes']
        """
        return self._table(group).create_categorical(name, nformat, key, timestamp, chunksize)

    def create_numeric(
        self,
        group: Any,
        name: str,
        nformat: npt.DTypeLike,
        timestamp: Any = None,
        chunksize: int | None = None,
    ) -> Any:
        """
        See `DataFrame.create_numeric`.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://session_create_numeric.zarr", "w", "study")
        ...     people = ds.create_dataframe("people")
        ...     s.create_numeric(people, "age", "int32").data.write([34, 51])
        ...     people["age"].tolist()
        [34, 51]
        """
        return self._table(group).create_numeric(name, nformat, timestamp, chunksize)

    def create_timestamp(
        self, group: Any, name: str, timestamp: Any = None, chunksize: int | None = None
    ) -> Any:
        """
        See `DataFrame.create_timestamp`.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://session_create_timestamp.zarr", "w", "study")
        ...     people = ds.create_dataframe("people")
        ...     s.create_timestamp(people, "born").data.write(["1950-02-03", "1988-11-30"])
        ...     people["born"].dt.year.tolist()
        [1950, 1988]
        """
        return self._table(group).create_timestamp(name, timestamp, chunksize)

    def _table(self, group: Any) -> FieldContainer:
        """The table that is meant by it or by its storage group, or a group of h5py's."""
        if is_foreign(group):
            return GroupOfFields(self, adopted(group))
        if isinstance(group, Group):
            for dataset in self.datasets.values():
                if dataset.storage is group.storage and group.name in dataset:
                    group = dataset[group.name]
        if not isinstance(group, DataFrame):
            raise ArgumentError(
                f"fields are created in a DataFrame, not in a {type(group).__name__}"
            )
        return group

    def get_or_create_group(self, group: Any, name: str) -> Any:
        """
        ``group[name]``, created if there is none.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://get_or_create_group.zarr", "w", "study")
        ...     people = s.get_or_create_group(ds, "people")
        ...     s.get_or_create_group(ds, "people") is people
        True
        """
        return group[name] if name in group else group.create_group(name)

    def chunks(self, length: int, chunksize: int | None = None) -> Iterator[tuple[int, int]]:
        """
        Start and end of each chunk of that many rows.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     list(s.chunks(25, 10))
        [(0, 10), (10, 20), (20, 25)]
        """
        step = chunksize or self.chunksize
        for start in range(0, length, step):
            yield start, min(start + step, length)


def cache_folder(place: str | os.PathLike[str]) -> str:
    """Where a cache on the local disk is; ``~`` is the home folder."""
    return os.path.abspath(os.path.expanduser(os.fspath(place)))


def _timestamp(timestamp: Any) -> str:
    if not isinstance(timestamp, (str, dt.datetime)):
        raise DataError(f"a timestamp is text or a datetime, not a {type(timestamp).__name__}")
    return str(timestamp)


def _default_name(path: Any) -> str:
    try:
        last = str(os.fspath(path)).rstrip("/").rsplit("/", 1)[-1]
    except TypeError:
        return "dataset"
    return last.rsplit(".", 1)[0] or last
