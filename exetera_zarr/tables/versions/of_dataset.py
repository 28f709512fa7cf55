"""What a dataset can do with its versions: commit, name, restore, forget and check them."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Literal, cast

from exetera_zarr.errors import (
    ArgumentError,
    RaggedTableWarning,
    TableNotFoundError,
    listing,
    listing_lengths,
)
from exetera_zarr.fields.container import FieldContainer
from exetera_zarr.fields.create import rows_of_fields
from exetera_zarr.storage import (
    About,
    Capability,
    Operation,
    Tag,
    checked_text,
    default_author,
    present,
    way_of,
)
from exetera_zarr.texts import visible

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Hashable, Iterable, Mapping, MutableMapping, Sequence

    from exetera_zarr.settings import Settings
    from exetera_zarr.storage.base import Storage, Usage, VersionLike
    from exetera_zarr.tables.dataframe import DataFrame
    from exetera_zarr.tables.dataset import Dataset
    from exetera_zarr.tables.versions.certificate import Certificate
    from exetera_zarr.tables.versions.difference import Difference
    from exetera_zarr.tables.versions.history import History

__all__ = ["DatasetVersions"]


class DatasetVersions(FieldContainer):
    """The part of a `Dataset` that is about its versions."""

    _storage: Storage
    _settings: Settings
    _used: set[Hashable]
    _frames: MutableMapping[Hashable, DataFrame]

    @property
    @abstractmethod
    def url(self) -> str:
        """Where it lives, without secrets."""

    @abstractmethod
    def get_dataframe(self, name: str) -> DataFrame:
        """The table of that name; TableNotFoundError (a ValueError) where there is none."""

    @property
    def version(self) -> int:
        """Number of the committed version that is seen; 0 is the empty dataset."""
        return self._storage.version

    def commit(
        self, *, force: bool = False, message: str | None = None, author: str | None = None
    ) -> int:
        """
        Make the changes so far a new version, all at once.

        What other processes committed meanwhile to other tables stays beside it.

        Parameters
        ----------
        force
            Whether the tables changed here win where another process changed the same ones.
        message
            Why; `history` shows it. With a message or an author there is a new version even if
            nothing was changed.
        author
            Who; the environment variable ``EXETERA_ZARR_AUTHOR`` by default.

        Returns
        -------
        int
            The number of the newest version.

        Raises
        ------
        ConflictError
            Another process changed the same table meanwhile; the draft is kept.
        ReadOnlyError
            The dataset is open for reading.

        Warns
        -----
        RaggedTableWarning
            Fields of a table have different lengths; not in ExeTera's face.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://commit.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51]})
        ...     ds.commit(message="First wave")
        1
        """
        self._tell_ragged()
        return self._storage.commit(force=force, message=message or "", author=author or "")

    def _tell_ragged(self) -> None:
        """Before a commit: warn of tables used since the last one whose lengths differ."""
        used = self._used | set(self._frames)
        self._used = set(self._frames)  # which may change without anybody asking for them again
        told = self._settings.face.refuses_ragged and self._storage.writable
        if not used or not told or not self._storage.changed:
            return
        root = self.group
        for name in root.with_key_in(used):
            lengths = rows_of_fields(root.group(name))
            if len(set(lengths.values())) > 1:
                warnings.warn(
                    visible(
                        f"the table {name!r} of {self.url} is committed with fields of different "
                        f"lengths: {listing_lengths(lengths)}; to filter, sort, group, merge or "
                        "export it will be an error until each has as many rows"
                    ),
                    RaggedTableWarning,
                    stacklevel=3,
                )

    def rollback(self) -> None:
        """
        Drop what was not committed.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://rollback.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51]})
        ...     version = ds.commit()
        ...     _ = people.append({"age": [60]})
        ...     ds.rollback()
        ...     ds["people"]["age"].tolist()
        [34, 51]
        """
        self._storage.rollback()

    def refresh(self) -> int:
        """
        Move to the newest version, with the changes made here over it.

        Returns
        -------
        int
            Its number.

        Raises
        ------
        ConflictError
            Another process changed the same table.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://refresh.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51]})
        ...     version = ds.commit()
        ...     ds.refresh()
        1
        """
        return self._storage.refresh()

    def transaction(self) -> contextlib.AbstractContextManager[None]:
        """
        A ``with`` block whose changes are dropped when an exception leaves it.

        Other threads that change the dataset wait until it ends, so do not wait for them inside.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://transaction.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51]})
        ...     with ds.transaction():
        ...         _ = people.append({"age": [60]})
        ...     len(people["age"])
        3
        """
        return self._storage.atomic()

    def note(self, verb: str, table: str, read: Iterable[DataFrame] = (), **details: Any) -> None:
        """
        Have the next version say what was done, unless that is rolled back.

        The verbs of tables do this themselves; a program may have steps of its own to tell.

        Parameters
        ----------
        verb
            What was done, such as ``"impute"``.
        table
            Name of the table that it made or changed.
        read
            The tables that it read.
        details
            What else is to be known, as JSON takes it.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://notes.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, None, 51]})
        ...     people["age"] = people["age"].fillna(42)
        ...     ds.note("impute", "people", value=42)
        ...     _ = ds.commit()
        ...     done = ds.history()[0].operations[-1]
        >>> done.verb, done.table, dict(done.details)
        ('impute', 'people', {'value': 42})
        """
        if not (self._storage.writable and Capability.VERSIONS in self._storage.capabilities):
            return
        names = []
        for frame in read:
            name = frame.name if frame.dataset is self else f"{frame.dataset.url}/{frame.name}"
            if name != table and name not in names:
                names.append(name)
        self._storage.note(Operation(verb, table, tuple(names), details))

    def history(self, table: str | None = None) -> History:
        """
        The committed versions, newest first.

        Parameters
        ----------
        table
            Name of a table: only versions that changed it, or that changed a table from which it
            was made, as far as the versions say so, from its import on. All versions by default.

        Returns
        -------
        History
            A list of commits, each with `message`, `author`, `tags` and `operations`; shown as
            lines, and in a notebook as a table.

        Examples
        --------
        >>> with exetera_zarr.Session() as s:  # doctest: +SKIP
        ...     for commit in s.open_dataset("study.zarr", "r").history():
        ...         print(commit.version, commit.created, commit.message, commit.tags)
        """
        from exetera_zarr.tables.versions.history import History

        commits = self._storage.history()
        if table is None:
            return History(commits, self.url)
        return History(way_of(commits, table), f"{self.url}: {table}")

    def tags(self) -> Mapping[str, Tag]:
        """
        The tags of the newest version, by name, in the order of the versions that they name.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://tags.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51]})
        ...     version = ds.commit()
        ...     _ = ds.tag("paper")
        ...     list(ds.tags())
        ['paper']
        """
        return self._storage.tags()

    def tag(
        self,
        name: str,
        version: VersionLike | None = None,
        *,
        message: str | None = None,
        author: str | None = None,
        compact: bool = False,
    ) -> int:
        """
        Commit, and name a version, which is then kept until `untag`, whatever is retained.

        Parameters
        ----------
        name
            The tag, such as ``"release-1"``. It does not read as a number or a date.
        version
            The version that it names, by number, another tag or a moment; by default what this
            dataset shows now.
        message
            Why.
        author
            Who; the environment variable ``EXETERA_ZARR_AUTHOR`` by default.
        compact
            Whether to have each column in one array first, as any reader of Zarr takes it; see
            `compact`. Not together with `version`, since that stays as it is.

        Returns
        -------
        int
            Number of the version that has the tag.

        Raises
        ------
        NameTakenError
            There is such a tag.
        ConflictError
            Another process set it, or changed the same table, meanwhile.
        VersionNotFoundError
            There is no such version, or it is no longer kept.

        Examples
        --------
        >>> with exetera_zarr.Session() as s:  # doctest: +SKIP
        ...     ds = s.open_dataset("study.zarr", "r+")
        ...     ds.tag("freeze-1", message="as analysed in the paper")
        ...     s.open_dataset("study.zarr", "r", "frozen", version="freeze-1")
        """
        if compact:
            if version is not None:
                raise ArgumentError("an older version stays as it is: leave out version or compact")
            self._storage.compact()
        self._tell_ragged()
        told = checked_text(message or "", "a message")
        tag = Tag(name, 0, present(), told, self._author(author))
        return self._storage.tag(tag, version)

    def _author(self, author: str | None) -> str:
        """Who does something, where it is not said."""
        return checked_text(author or self._settings.author or default_author(), "an author")

    def untag(self, name: str) -> None:
        """
        Remove a tag by a commit. Its version is then kept as any other.

        Raises
        ------
        VersionNotFoundError
            There is no such tag.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://untag.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51]})
        ...     version = ds.commit()
        ...     _ = ds.tag("paper")
        ...     ds.untag("paper")
        ...     list(ds.tags())
        []
        """
        self._tell_ragged()
        self._storage.untag(name)

    def restore(
        self, version: VersionLike, *, message: str | None = None, author: str | None = None
    ) -> int:
        """
        Make what an older version had the newest version, by a commit.

        Nothing is copied, and the versions between stay as well: to restore one of these undoes it.

        Parameters
        ----------
        version
            By number, tag or moment.
        message, author
            As of `commit`.

        Returns
        -------
        int
            Number of the new version.

        Raises
        ------
        VersionNotFoundError
            There is none, or it is no longer kept.
        ConflictError
            Another process has changed something meanwhile.
        ValueError
            There are changes that are not committed.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://restore.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51]})
        ...     first = ds.commit()
        ...     _ = people.append({"age": [60]})
        ...     _ = ds.commit()
        ...     _ = ds.restore(first)
        ...     ds["people"]["age"].tolist()
        [34, 51]
        """
        return self._storage.restore(version, About(message or "", author or ""))

    def diff(
        self,
        before: VersionLike,
        after: VersionLike | None = None,
        *,
        key: str | Sequence[str] | Mapping[str, str | Sequence[str]] | None = None,
        examples: int = 3,
    ) -> Difference:
        """
        What differs between two versions.

        Parameters
        ----------
        before
            The earlier one, by number, tag or moment.
        after
            The later one; the newest by default. What was not committed here does not count.
        key
            Name of the field, or names, by which rows are recognised in the tables that have it;
            or ``{table: key}``, as they are called in the later version. Without one, rows are
            recognised by their numbers.
        examples
            How many keys are told of the rows that were added, removed or changed.

        Returns
        -------
        Difference
            Which is shown as text or in a notebook, and has `tables` and `to_dict`.

        Raises
        ------
        VersionNotFoundError
            There is no such version, or it is no longer kept.
        DataError
            A key occurs more than once in a version, as far as rows have to be looked for by it:
            rows of which the keys are stored as one are the same rows.
        FieldNotFoundError
            A table has no such field, of those in a mapping.

        Notes
        -----
        Columns of which two versions share what is stored are not read. Memory is bounded by the
        session's limit.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://diff_of_versions.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51]})
        ...     first = ds.commit()
        ...     _ = people.append({"age": [60]})
        ...     second = ds.commit()
        ...     ds.diff(first, second)
        memory://diff_of_versions.zarr: version 1 to 2
        people: 2 to 3 rows; by row number 1 added, 0 removed, 0 changed
          added: row=2
        """
        from exetera_zarr.tables.versions.difference import difference

        if isinstance(examples, bool) or not isinstance(examples, int) or examples < 0:
            raise ArgumentError(f"examples is a number of keys from 0 on, not {examples!r}")
        with self.at(before) as old, self.at(after) as new:
            return difference(old, new, key, examples)

    def at(self, version: VersionLike | None) -> Dataset:
        """
        The dataset at a version, by number, tag or moment, for reading; the newest if None.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://at.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51]})
        ...     first = ds.commit()
        ...     _ = people.append({"age": [60]})
        ...     _ = ds.commit()
        ...     len(ds.at(first)["people"]["age"])
        2
        """
        return self.over(self._storage.at(version))

    @abstractmethod
    def over(self, storage: Storage) -> Dataset:
        """The tables of another storage, in the same session."""

    def retain(self, versions: int = 3, older_than: float = 86_400.0) -> None:
        """
        Keep fewer versions, from the next commit on; all are kept unless this was called.

        Those that have a tag are kept in any case.

        Parameters
        ----------
        versions
            At least so many, the newest included.
        older_than
            Seconds; younger ones are kept in any case, with ``inf`` all of them. 0 keeps just
            `versions` of them, whatever the clocks of the writers say.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://retain.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51]})
        ...     ds.retain(versions=10)
        ...     ds.retention
        (10, 86400.0)
        """
        self._storage.retain(versions, older_than)

    @property
    def retention(self) -> tuple[int, float]:
        """What `retain` said: at least so many versions, and all that are younger in seconds."""
        return self._storage.retention

    def vacuum(self, keep: int | None = None, older_than: float | None = None) -> int:
        """
        Commit, forget older versions, and remove what no version reaches.

        That is what crashed writers left, once it is a week old by the store's clock.

        Parameters
        ----------
        keep
            At least so many versions stay; what `retain` says by default.
        older_than
            Seconds; younger versions stay as well; what `retain` says by default.

        Returns
        -------
        int
            How many objects of no version were removed.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://vacuum.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51]})
        ...     version = ds.commit()
        ...     ds.vacuum()
        0
        """
        self._tell_ragged()
        return self._storage.vacuum(keep, older_than)

    def usage(self, keep: int | None = None, older_than: float | None = None) -> Usage:
        """
        What the dataset takes of its store, and what `vacuum` would free.

        Parameters
        ----------
        keep, older_than
            As of `vacuum`.

        Returns
        -------
        Usage
            Bytes: of the newest version, of what only older ones have, of manifests, and of what
            no version has.

        Notes
        -----
        All objects are listed, and the documents of all versions that are kept are read.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://usage.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51]})
        ...     version = ds.commit()
        ...     ds.usage().versions
        2
        """
        return self._storage.usage(keep, older_than)

    def compact(self, table: str | None = None) -> None:
        """
        Have each column in one array, and commit.

        Rows that were appended are kept apart from those that were there, so that an append costs
        what is appended: in a pack, which has those of all columns, or in a segment of each column.
        Any reader of Zarr then finds a column in several arrays, and needs to know of packs
        (docs/format.md). A table that is to be read by others, or that has had many appends, is
        compacted first. Versions before stay as they were.

        Parameters
        ----------
        table
            Name of a table, or of a field at the top; all by default.

        Raises
        ------
        TableNotFoundError
            There is no such table.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://compact.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51]})
        ...     version = ds.commit()
        ...     ds.compact()  # faster to read after many appends
        ...     ds["people"]["age"].tolist()
        [34, 51]
        """
        if table is not None and table not in self:
            raise TableNotFoundError(
                f"there is no table {table!r} in {self._phrase()}; there are: {listing(self)}"
            )
        self._storage.compact(table)
        self.commit()

    def verify(self) -> None:
        """
        Read everything of the committed version.

        Raises
        ------
        CorruptDataError
            Something is not what was written: its message names table, field and chunk.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://verify.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"age": [34, 51]})
        ...     version = ds.commit()
        ...     ds.verify()  # what is not as it was written would be an error
        """
        self._storage.verify()

    def purge(
        self,
        table: str | None = None,
        *,
        rows: Any = None,
        field: str | None = None,
        key: str | None = None,
        values: Any = None,
        versions: Literal["drop", "rewrite"] | None = None,
        dry_run: bool = False,
        message: str | None = None,
        author: str | None = None,
    ) -> Certificate:
        """
        Erase rows or a field: from the newest version, from all others, and from the store.

        Nothing else may be writing the dataset: what an unfinished draft has of the tables is
        removed, too. Given neither rows nor a field it removes what older versions had and the
        newest has not, as when an earlier purge was interrupted.

        Parameters
        ----------
        table
            Name of the table. With a key it is left out for all tables that have it.
        rows : Field, array or list
            Which rows of the newest version go: bool, or row numbers. With a key, all rows go that
            have the keys of these, in all tables that have it.
        field
            Name of the field that goes.
        key
            Name of the field that tells whose rows they are, such as ``"participant_id"``.
        values
            Values of the key, whose rows go.
        versions
            ``"drop"``: all older versions, and their tags, are removed; this is the default where
            there are no tags. ``"rewrite"``: each older version that is kept stays, without what is
            erased, and under its number and its tags.
        dry_run
            Whether to say what would go, and do nothing.
        message, author
            As of `commit`.

        Returns
        -------
        Certificate
            What went, of which versions, and what remained outside. It has none of what was erased.

        Raises
        ------
        ConflictError
            Another process has committed something meanwhile; nothing is changed.
        FieldNotFoundError, TableNotFoundError
            There is no such field or table in the newest version.

        Notes
        -----
        Manifests of versions that were removed or rewritten keep nothing but their number, when
        they were made, and their place in the chain. Only columns, and of these only the parts that
        have such rows, are written anew; versions share what is written as they shared what was
        there.

        Examples
        --------
        >>> with exetera_zarr.Session() as s:  # doctest: +SKIP
        ...     ds = s.open_dataset("study.zarr", "r+")
        ...     certificate = ds.purge(key="id", values=["P0123"], versions="rewrite")
        ...     print(certificate)
        """
        from exetera_zarr.tables.versions.erasing import Erasure

        self._tell_ragged()
        dataset = cast("Dataset", self)
        erasure = Erasure(dataset, table, rows, field, key, values, versions)
        return erasure.dry_run() if dry_run else erasure.run(self._author(author), message)
