"""Versions in the store: manifests, how the newest is found, and what other Zarr readers see."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from exetera_zarr.errors import CorruptDataError, UnsupportedError
from exetera_zarr.storage.base import Commit
from exetera_zarr.storage.zarr import layout, transfer

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from exetera_zarr.storage.zarr.store import ObjectStore

__all__ = ["Version", "create", "history", "load", "newest", "publish", "read"]

_FOLDER = "__exetera__/commits"
_ROOT = "zarr.json"
_HIGHEST = 10**10 - 1


@dataclass(frozen=True)
class Version:
    """
    One committed version.

    Parameters
    ----------
    number
        0 is the empty dataset, 1 the first commit.
    data
        The bytes of its manifest.
    document
        The same, decoded and checked.
    published
        Whether the root document of the store was this version when it was opened.
    """

    number: int
    data: bytes
    document: dict[str, Any]
    published: bool = True

    @property
    def facts(self) -> dict[str, Any]:
        """What the manifest says of the version itself."""
        return dict(self.document["attributes"]["exetera"])

    @property
    def below(self) -> dict[str, Any]:
        """The Zarr documents of all nodes below the root, by path."""
        return dict(self.document["consolidated_metadata"]["metadata"])


def _key(number: int) -> str:
    """Manifests count down in their names, so that the newest comes first in a listing."""
    return f"{_FOLDER}/{_HIGHEST - number:010d}.json"


def _number(key: str) -> int:
    try:
        return _HIGHEST - int(key.rsplit("/", 1)[1].removesuffix(".json"))
    except ValueError as error:
        raise CorruptDataError(f"{key} is not the name of a manifest") from error


def newest(store: ObjectStore) -> int | None:
    """Number of the newest version; None where there is no dataset."""
    first = store.first(_FOLDER)
    return None if first is None else _number(first)


def read(store: ObjectStore, number: int) -> Version:
    """
    The manifest of a version.

    Raises
    ------
    FileNotFoundError
        There is none.
    """
    key = _key(number)
    data = store.get(key)
    return _checked(store, key, data, number)


def _checked(store: ObjectStore, key: str, data: bytes, number: int | None = None) -> Version:
    where = f"{store.url}/{key}"
    document = layout.decode(data, where)
    said = document["attributes"]["exetera"]["version"]
    if number is not None and said != number:
        raise CorruptDataError(f"{where} says that it is version {said}, not {number}")
    return Version(said, data, document)


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
    executor = transfer.pool(store.concurrency)
    root = executor.submit(store.get, _ROOT)
    number = newest(store)
    try:
        published = _checked(store, _ROOT, root.result())
    except (FileNotFoundError, CorruptDataError):
        published = None
    finally:
        # Its exception holds our caller's frames, and those would hold it: a dataset that is
        # dropped is to be gone at once, not at the next collection of cycles.
        del root
    if number is None:
        return None
    if published is not None and published.number >= number:
        return published
    manifest = read(store, number)
    return Version(manifest.number, manifest.data, manifest.document, published=False)


def create(store: ObjectStore, number: int, data: bytes) -> bool:
    """Write the manifest of a version, unless that number is taken; whether it is ours now."""
    key = _key(number)
    try:
        if store.create(key, data):
            return True
    except Exception:
        # It may have been applied and only the reply lost: what is there now tells.
        try:
            return store.get(key) == data
        except FileNotFoundError:
            pass
        raise
    # The reply to our own request may have been lost and the request sent again: bytes that carry
    # our draft's id are ours.
    return store.get(key) == data


def publish(store: ObjectStore, version: Version, since: int) -> None:
    """
    Let other Zarr readers see a version: the groups first, the root last.

    The documents of its arrays are there already, since nothing else is ever at their paths. The
    root document only goes forward. A publisher who comes late may have written group documents
    over those of a later version; so whoever finds one publishes it again.

    Parameters
    ----------
    store
        The store.
    version
        A committed version.
    since
        Group documents that last changed in this version or before are not written.
    """
    while True:
        below = version.below
        paths = [path for path, document in below.items() if _changed_after(document, since)]
        transfer.each(partial(_put_document, store, below), paths, store.concurrency)
        ours = version.number
        if store.advance(_ROOT, version.data, partial(_is_before, ours)):
            store.settle()
            return
        latest = newest(store)
        if latest is None or latest <= ours:
            store.settle()
            return
        since = min(since, ours - 1)
        version = read(store, latest)


def _put_document(store: ObjectStore, below: Mapping[str, Any], path: str) -> None:
    store.replace(f"{path}/{_ROOT}", layout.plain(below[path]))


def _is_before(number: int, present: bytes | None) -> bool:
    return _version_of(present) < number


def _changed_after(document: Mapping[str, Any], since: int) -> bool:
    if document["node_type"] != "group":
        return False
    return int(document["attributes"].get("since_version", 0)) > since


def _version_of(data: bytes | None) -> int:
    """The version that a root document says to be; -1 for one that is missing or damaged."""
    if data is None:
        return -1
    try:
        return int(layout.decode(data, _ROOT)["attributes"]["exetera"]["version"])
    except (CorruptDataError, UnsupportedError, ValueError):
        return -1


def history(store: ObjectStore, kept: Collection[int]) -> Iterator[Commit]:
    """The committed versions, newest first; `kept` are the numbers of those that can be opened."""
    manifests = transfer.ordered(
        lambda key: read(store, _number(key)), store.list(_FOLDER), store.concurrency
    )
    for manifest in manifests:
        facts = manifest.facts
        number = facts["version"]
        yield Commit(
            number,
            facts["created"],
            tuple(facts["changed"]),
            facts["writer"],
            number in kept,
        )
