"""Versions in the store: manifests, how the newest is found, and what other Zarr readers see."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from exetera_zarr.errors import (
    CommitStateUnknownError,
    ConflictError,
    CorruptDataError,
    StorageError,
    UnsupportedError,
    VersionNotFoundError,
    is_full,
)
from exetera_zarr.storage import concurrency, keys
from exetera_zarr.storage.base import Commit
from exetera_zarr.storage.provenance import About
from exetera_zarr.storage.zarr import layout
from exetera_zarr.storage.zarr.table_documents import Document, Documents, since_of
from exetera_zarr.storage.zarr.versions import changes
from exetera_zarr.storage.zarr.versions.changes import Manifest
from exetera_zarr.storage.zarr.versions.retention import kept_versions
from exetera_zarr.storage.zarr.versions.rewritten import UNCHANGED, Rewritten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from exetera_zarr.storage.stores.base import ObjectStore

__all__ = [
    "Version",
    "changed_documents",
    "confirm",
    "create",
    "documents",
    "history",
    "is_shown_after",
    "load",
    "manifest",
    "newest",
    "read",
    "reveal",
    "show_groups",
    "shown",
    "version_of",
]

_ROOT = keys.DOCUMENT
_BEHIND = 100
"""Versions that the root document may be behind where nothing can be listed."""


@dataclass(frozen=True)
class Version:
    """
    One committed version.

    Parameters
    ----------
    number
        0 is the empty dataset, 1 the first commit.
    data
        The bytes of its root document.
    attributes
        Those that it has, decoded and checked.
    below
        The documents that it has of all nodes below.
    revealed
        Whether the root document of the store is known to be of this version.
    """

    number: int
    data: bytes
    attributes: dict[str, Any]
    below: Documents
    revealed: bool = False

    @classmethod
    def of(cls, data: bytes, document: Document) -> Version:
        """The version of a root document, as it was read and decoded."""
        attributes = document["attributes"]
        below = Documents.of(document["consolidated_metadata"]["metadata"])
        return cls(attributes["exetera"]["version"], data, attributes, below)

    @classmethod
    def made(
        cls,
        below: Documents,
        facts: Mapping[str, Any],
        attributes: Document,
        known: Documents,
        where: str,
    ) -> Version:
        """
        The version of what is going to be its root document.

        It is what `of` and `layout.decode` make of the bytes, and costs what is new in it.

        Parameters
        ----------
        below
            The documents of all nodes below.
        facts
            What is said of the version.
        attributes
            Other attributes of the root.
        known
            Documents of which the tables have been checked.
        where
            For messages.

        Raises
        ------
        CorruptDataError
            No reader would take it.
        """
        tables = {
            segment: table if known.tables.get(segment) is table else table.checked(where)
            for segment, table in below.tables.items()
        }
        below = Documents(tables)
        data = layout.encode(below, facts, attributes)
        head = {"checksum": layout.checksum_of(data), **facts}
        count = below.count
        said = layout.decode_attributes({"exetera": head, **attributes}, where, count)
        return cls(said["exetera"]["version"], data, said, below)

    @property
    def facts(self) -> dict[str, Any]:
        """What the manifest says of the version itself."""
        return dict(self.attributes["exetera"])


def _number(key: str) -> int | None:
    """The number of a manifest; None for what somebody else has put into their folder."""
    name = key.rsplit("/", 1)[1]
    return keys.HIGHEST - int(name.removesuffix(".json")) if keys.is_manifest(name) else None


def _numbers(store: ObjectStore) -> Iterator[int]:
    """The numbers of all versions, newest first."""
    try:
        for key in store.list(keys.MANIFESTS):
            number = _number(key)
            if number is not None:
                yield number
    except (PermissionError, UnsupportedError):
        found = _newest_from_root(store, partial(store.get, _ROOT))
        yield from range(found, -1, -1) if found is not None else ()


def manifest(store: ObjectStore, number: int, rewritten: Rewritten = UNCHANGED) -> Manifest:
    """
    The manifest of a version, as it is stored.

    Parameters
    ----------
    store
        The store.
    number
        Of the version.
    rewritten
        Versions of which something else counts.

    Raises
    ------
    FileNotFoundError
        There is none.
    """
    key = rewritten.key(number)
    try:
        return _manifest(store, number, key, store.get(key))
    except CorruptDataError:  # it may have been damaged on its way
        return _manifest(store, number, key, store.get_again(key))
    except FileNotFoundError as error:
        if number not in rewritten:
            raise
        raise CorruptDataError(
            f"{store.url}: what an erasure has written of version {number} is missing; perhaps "
            "another erasure came since: open the dataset anew"
        ) from error


def _manifest(store: ObjectStore, number: int, key: str, data: bytes) -> Manifest:
    where = f"{store.url}/{key}"
    document = layout.decode(data, where)
    said = document["attributes"]["exetera"]["version"]
    if said != number:
        raise CorruptDataError(f"{where} says that it is version {said}, not {number}")
    return Manifest(number, data, document)


def newest(store: ObjectStore, root: Callable[[], bytes] | None = None) -> int | None:
    """
    Number of the newest version; None where there is no dataset.

    Parameters
    ----------
    store
        The store.
    root
        Gets its root document, where that is under way already.
    """
    try:
        first = store.first(keys.MANIFESTS)
    except (PermissionError, UnsupportedError):
        return _newest_from_root(store, root or partial(store.get, _ROOT))
    if first is None:
        return None
    number = _number(first)
    return next(_numbers(store), None) if number is None else number


def _newest_from_root(store: ObjectStore, root: Callable[[], bytes]) -> int | None:
    """
    The same where nothing can be listed: the first number after the root's that is free.

    What is there has to be a manifest of that number: some web servers have a page for every name.
    """
    try:
        shown = _root(store, root()).number
    except FileNotFoundError:
        return None
    for number in range(shown + 1, shown + _BEHIND + 1):
        try:
            _probe(store, number)
        except (FileNotFoundError, PermissionError):
            # S3 refuses what is not there to those who may not list.
            return number - 1
    raise StorageError(
        f"{store.url}: its root document is of version {shown}, and there seem to be more than "
        f"{_BEHIND:,} later ones; nobody leaves so many unshown, so the server may make them up"
    )


def _probe(store: ObjectStore, number: int) -> None:
    """Look for a manifest that may not be there; a page of another kind is an error."""
    try:
        manifest(store, number)
    except CorruptDataError as error:
        raise CorruptDataError(
            f"{error}. A web server that answers every name with a page of its own does this as "
            "well: it has to answer a name that it does not know with status 404"
        ) from error


def read(
    store: ObjectStore,
    number: int,
    before: Version | None = None,
    rewritten: Rewritten = UNCHANGED,
) -> Version:
    """
    A version by its number.

    Parameters
    ----------
    store
        The store.
    number
        Its number.
    before
        An earlier version, which may spare asking for what this one is over.
    rewritten
        Versions of which something else than their manifests counts.

    Raises
    ------
    FileNotFoundError
        There is none.
    VersionNotFoundError
        It was erased.
    """
    return version_of(store, manifest(store, number, rewritten), before, rewritten)


def version_of(
    store: ObjectStore,
    found: Manifest,
    before: Version | None = None,
    rewritten: Rewritten = UNCHANGED,
) -> Version:
    """
    The version of a manifest.

    Parameters
    ----------
    store, before, rewritten
        As of `read`.
    found
        The manifest.

    Raises
    ------
    VersionNotFoundError
        It was erased.
    """
    number = found.number
    if found.whole:
        return Version.of(found.data, found.document)
    if not found.over:
        raise VersionNotFoundError(f"{store.url}: what version {number} had was erased")
    numbers = [over for over, _ in reversed(found.over)]
    known, changed = Documents(), dict[str, Document]()
    if before is not None and numbers[-1] <= before.number < number:
        known = before.below
    else:
        over = partial(_below, store, number, rewritten.written_with(number))
        for part in concurrency.ordered(over, numbers, store.concurrency):
            changed |= part
    below = changes.alive(known, changed | found.documents, found.facts["tables"])
    facts = found.facts
    checksum = facts.pop("checksum")
    where = f"{store.url}/{rewritten.key(number)}"
    version = Version.made(below, facts, found.attributes, known, where)
    if version.facts["checksum"] != checksum:
        raise CorruptDataError(
            f"{where}: what it says to be over is not what it was written over: checksums differ"
        )
    return version


def _below(store: ObjectStore, number: int, rewritten: Rewritten, over: int) -> dict[str, Any]:
    try:
        return manifest(store, over, rewritten).documents
    except FileNotFoundError as error:
        raise CorruptDataError(
            f"{store.url}: version {number} is over version {over}, whose manifest is missing"
        ) from error


def _root(store: ObjectStore, data: bytes) -> Version:
    where = f"{store.url}/{_ROOT}"
    document = layout.decode(data, where)
    facts = document["attributes"]["exetera"]
    if {layout.CHANGES, layout.ERASED} & set(facts.get("requires", ())):
        raise CorruptDataError(f"{where} is a manifest, and not a root document")
    return Version.of(data, document)


def documents(
    store: ObjectStore, runs: Iterable[range], rewritten: Rewritten = UNCHANGED
) -> Iterator[Mapping[str, Any]]:
    """
    The documents that any of some versions have, by path, some at a time.

    Parameters
    ----------
    store
        The store.
    runs
        Numbers of versions that follow each other; of one that was erased there are none.
    rewritten
        Versions of which something else than their manifests counts.

    Yields
    ------
    Mapping
        Of the first version of a run all; of the others what changed, or more.
    """
    for run in runs:
        if not run:
            continue
        try:
            yield read(store, run[0], None, rewritten).below
        except VersionNotFoundError:
            pass
        except FileNotFoundError as error:
            raise _missing(store, run[0]) from error
        yield from changed_documents(store, run[1:], rewritten)


def changed_documents(
    store: ObjectStore, numbers: Sequence[int], rewritten: Rewritten = UNCHANGED
) -> Iterator[dict[str, Any]]:
    """The documents that the manifests of some versions have, by path, a manifest at a time."""
    there = partial(_there, store, rewritten)
    found = concurrency.ordered(there, numbers, store.concurrency)
    return (one.documents for one in found)


def _there(store: ObjectStore, rewritten: Rewritten, number: int) -> Manifest:
    """The manifest of a version that is said to have been."""
    try:
        return manifest(store, number, rewritten)
    except FileNotFoundError as error:
        raise _missing(store, number) from error


def _missing(store: ObjectStore, number: int) -> CorruptDataError:
    return CorruptDataError(
        f"{store.url}: the manifest of version {number} is missing, and manifests are never removed"
    )


def load(store: ObjectStore) -> Version | None:
    """
    The newest version, with two requests at once, and a third where the root is behind.

    Returns
    -------
    Version or None
        None where there is no dataset of ours.

    Raises
    ------
    CorruptDataError
        The newest manifest is damaged. (A damaged root document is not asked.)
    """
    executor = concurrency.pool(store.concurrency)
    root = executor.submit(store.get, _ROOT)
    # To list very many names takes longer, on a disk, than to ask for the one after the root's.
    asks = store.exists(keys.manifest_key(0))
    number = None if asks else newest(store, root.result)
    try:
        revealed = _root(store, root.result())
    except (FileNotFoundError, CorruptDataError):
        revealed = None
    finally:
        # Its exception holds our caller's frames, and those would hold it: a dataset that is
        # dropped is to be gone at once, not at the next collection of cycles.
        del root
    if asks:
        number = _next_to(store, revealed)
    if number is None:
        return None
    if revealed is not None and revealed.number >= number:
        return replace(revealed, revealed=True)
    return read(store, number, revealed)


def _next_to(store: ObjectStore, revealed: Version | None) -> int | None:
    """The newest number, from the one that other readers see on: there are no gaps."""
    if revealed is not None and store.exists(keys.manifest_key(revealed.number)):
        for number in range(revealed.number, revealed.number + _BEHIND):
            if not store.exists(keys.manifest_key(number + 1)):
                return number
    return newest(store)


def shown(store: ObjectStore) -> Version | None:
    """The version that other Zarr readers see; None if there is none, or it is damaged."""
    try:
        return _root(store, store.get(_ROOT))
    except (FileNotFoundError, CorruptDataError):
        return None


def confirm(store: ObjectStore, version: Version, known: Manifest | None = None) -> Manifest:
    """
    The manifest of a version; ConflictError unless it is still that which was opened.

    Parameters
    ----------
    store
        The store.
    version
        The version.
    known
        A manifest that is perhaps this one, and need not be decoded then.
    """
    there = None
    with contextlib.suppress(FileNotFoundError, CorruptDataError):
        key = keys.manifest_key(version.number)
        if known is not None and known.number == version.number:
            there = known if store.get(key) == known.data else None
        there = there or manifest(store, version.number)
    if there is None or there.facts["checksum"] != version.facts["checksum"]:
        raise ConflictError(
            f"{store.url} was removed, or replaced by another dataset, since it was opened: its "
            f"version {version.number}, which this draft is over, is not there any more; the draft "
            "is kept, and can be copied into another dataset"
        )
    return there


def create(store: ObjectStore, number: int, data: bytes) -> bool:
    """
    Write the manifest of a version, unless that number is taken; whether it is ours now.

    Raises
    ------
    CommitStateUnknownError
        The store failed, and did not say afterwards whether it had applied the request.
    """
    key = keys.manifest_key(number)
    try:
        if store.create(key, data):
            return True
    except Exception as error:  # noqa: BLE001 - raised below
        # It may have been applied and only the reply lost, or not be known to be durable yet.
        try:
            if store.create(key, data):
                return True
        except Exception as again:  # noqa: BLE001 - the first one tells more
            full = is_full(error) and is_full(again)
            known = isinstance(error, PermissionError) or full
            if known or not isinstance(error, StorageError):
                raise error from None
            raise CommitStateUnknownError(
                f"{store.url}: whether version {number} was committed is not known: {error}. "
                "Nothing is lost: commit() again finds out, and commits it if it was not"
            ) from error
    # It may be the one that we sent before: bytes that carry our draft's id are ours.
    return store.get(key) == data


def reveal(store: ObjectStore, version: Version, shown: Version | None) -> None:
    """
    Let other Zarr readers see a version: the groups first, the root last.

    The documents of its arrays are there already, since nothing else is ever at their paths. Those
    of groups and the root only go forward, so that nobody who comes late shows what was before.

    Parameters
    ----------
    store
        The store.
    version
        A committed version.
    shown
        The newest version that is known to be revealed; None where all documents are looked at.
    """
    since = -1 if shown is None else shown.number
    before = Documents() if shown is None else shown.below
    repairs = shown is None and version.number > 1
    while True:
        groups = [path for path, _ in version.below.changed_after(since)]
        show_groups(store, version, groups, before, repairs=repairs)
        forward = partial(_is_before, version.number, shown)
        moved = store.advance(_ROOT, version.data, forward, shown.data if shown else None)
        if moved and store.swaps:
            break
        # Somebody has shown a later one; or may have, and been overwritten just now.
        latest = newest(store)
        if latest is None or latest <= version.number:
            break
        version = read(store, latest, version)
    store.sync()


def show_groups(
    store: ObjectStore,
    version: Version,
    paths: Iterable[str],
    before: Mapping[str, Any] | None = None,
    *,
    repairs: bool = False,
) -> None:
    """
    Write group documents of a version, where what is there is older.

    Parameters
    ----------
    store
        The store.
    version
        A committed version.
    paths
        Node paths of the groups.
    before
        The documents that are there as far as is known, by path.
    repairs
        Whether what says to be of a version that there is not is replaced as well.
    """
    beyond = _Beyond(store) if repairs else _never

    def show(path: str) -> None:
        data = layout.plain(version.below[path])

        def wanted(present: bytes | None) -> bool:
            there = _since_of(present)
            # What is not older is newer; or damaged, where there is no such version.
            return (there <= version.number or beyond(there)) and present != data

        expected = layout.plain(before[path]) if before and path in before else None
        store.advance(f"{path}/{_ROOT}", data, wanted, expected)

    concurrency.each(show, paths, store.concurrency)


class _Beyond:
    """Whether a number is higher than that of any version; looks again before it says so."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._highest = -1

    def __call__(self, number: int) -> bool:
        if number > self._highest:
            self._highest = max(self._highest, newest(self._store) or 0)
        return number > self._highest


def _never(_: int) -> bool:
    return False


def _since_of(data: bytes | None) -> int:
    """The same of the bytes of a document; -1 for one that is missing or damaged."""
    try:
        return since_of(json.loads(data or b""))
    except (ValueError, KeyError, TypeError, AttributeError):
        return -1


def _is_before(number: int, shown: Version | None, present: bytes | None) -> bool:
    if shown is not None and present == shown.data:  # by far the most frequent, and read before
        return shown.number < number
    return _version_of(present) < number


def _version_of(data: bytes | None) -> int:
    """The version that a root document says to be; -1 for one that is missing or damaged."""
    if data is None:
        return -1
    try:
        found = layout.decode(data, _ROOT, facts_alone=True)
        return int(found["attributes"]["exetera"]["version"])
    except (CorruptDataError, UnsupportedError, ValueError, KeyError, TypeError):
        return -1


def is_shown_after(store: ObjectStore, version: Version) -> bool:
    """Whether other Zarr readers see a later version than that."""
    try:
        return _version_of(store.get(_ROOT)) > version.number
    except FileNotFoundError:
        return False


def history(store: ObjectStore, newest: Mapping[str, Any]) -> Iterator[Commit]:
    """The committed versions, newest first; `newest` are the facts of the newest."""
    kept = kept_versions(newest)
    tags: dict[int, list[str]] = {}
    for name, said in sorted(newest.get("tags", {}).items()):
        tags.setdefault(said["version"], []).append(name)
    there = partial(manifest, store, rewritten=Rewritten.of(newest))
    manifests = concurrency.ordered(there, _numbers(store), store.concurrency)
    for one in manifests:
        facts = one.facts
        number = facts["version"]
        yield Commit(
            number,
            facts["created"],
            tuple(facts["changed"]),
            facts["writer"],
            number in kept,
            tuple(tags.get(number, ())),
            About.of(facts),
        )


def erase(store: ObjectStore, numbers: Iterable[int]) -> None:
    """
    Leave of the manifests of some versions their places in the chain, and when they were made.

    They are not asked for what they had, since no version is over them that is kept.
    """

    def task(number: int) -> None:
        found = _there(store, UNCHANGED, number)
        if layout.ERASED not in found.document["attributes"]["exetera"]["requires"]:
            store.put(keys.manifest_key(number), layout.encode_erased(found.facts))

    concurrency.each(task, numbers, store.concurrency)
    store.sync()
