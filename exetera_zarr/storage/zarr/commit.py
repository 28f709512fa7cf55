"""Versions in the store: manifests, how the newest is found, and what other Zarr readers see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exetera_zarr.errors import CorruptDataError
from exetera_zarr.storage.base import Commit
from exetera_zarr.storage.zarr import layout, transfer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
    if store.create(_key(number), data):
        return True
    # The reply to our own request may have been lost and the request sent again: bytes that carry
    # our draft's id are ours.
    return store.get(_key(number)) == data


def publish(store: ObjectStore, version: Version, before: Mapping[str, Any]) -> None:
    """
    Let other Zarr readers see a version: arrays first, then groups, the root last.

    Parameters
    ----------
    store
        The store.
    version
        A committed version.
    before
        Documents that are published already; the same ones are not written again.
    """
    below = version.below
    waves: tuple[list[str], list[str]] = ([], [])
    for path, document in below.items():
        if before.get(path) != document:
            waves[document["node_type"] == "group"].append(path)
    for wave in waves:
        transfer.each(
            lambda path: store.replace(f"{path}/{_ROOT}", layout.plain(below[path])),
            wave,
            store.concurrency,
        )
    store.replace(_ROOT, version.data)
    store.settle()


def history(store: ObjectStore) -> Iterator[Commit]:
    """The committed versions, newest first."""
    manifests = transfer.ordered(
        lambda key: read(store, _number(key)), store.list(_FOLDER), store.concurrency
    )
    for manifest in manifests:
        facts = manifest.facts
        yield Commit(facts["version"], facts["created"], tuple(facts["changed"]), facts["writer"])
