"""Removing what no kept version reaches any more."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

from exetera_zarr.errors import is_full
from exetera_zarr.storage import concurrency, keys
from exetera_zarr.storage.zarr.versions import manifests
from exetera_zarr.storage.zarr.versions.retention import kept_versions
from exetera_zarr.storage.zarr.versions.rewritten import UNCHANGED, Rewritten
from exetera_zarr.storage.zarr.zones import zones_key

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from exetera_zarr.storage.stores.base import Entry, ObjectStore
    from exetera_zarr.storage.zarr.versions.retention import KeptVersions

__all__ = ["remove_documents", "remove_groups", "sweep_orphans", "sweep_versions"]

_MANY = 1 << 12
"""Chunks of an array, of which those that are there are listed before they are removed."""


def sweep_versions(
    store: ObjectStore,
    expired: Sequence[range],
    kept: KeptVersions,
    newest: manifests.Version,
    rewritten: Rewritten = UNCHANGED,
) -> None:
    """
    Remove the arrays that only expired versions reach.

    What the versions reach is known from their manifests, so nothing is listed. The documents go
    first, so that no reader finds an array whose chunks are gone, and would take zeros for values.

    Parameters
    ----------
    store
        The store.
    expired
        Numbers of versions that are no longer kept, ascending.
    kept
        Those that are.
    newest
        The newest of these, which is revealed.
    rewritten
        Which of the expired ones had other documents than their manifests.
    """
    # An array that a version no longer has comes back in no later one, since its path is never
    # used again, but in one that was restored from a version before. So all that is kept and that
    # an expired version had is in one of these.
    whole = {*kept.apart, kept.recent.start, *newest.facts.get("restored", ())} - {newest.number}
    live, now = set(newest.below), Rewritten.of(newest.facts)
    for number in whole:
        live |= manifests.read(store, number, None, now).below.keys()
    before = manifests.documents(store, expired, rewritten)
    remove_documents(store, before, live, newest.number)


def remove_documents(
    store: ObjectStore,
    documents: Iterable[Mapping[str, Any]],
    live: Collection[str],
    newest: int,
) -> None:
    """
    Remove the nodes of some documents, but for those that are needed.

    Parameters
    ----------
    store
        The store.
    documents
        Of nodes, by path.
    live
        Paths of those that stay.
    newest
        Number of the newest version, which is revealed.
    """
    dead: dict[str, Any] = {}
    for found in documents:
        dead |= {path: document for path, document in found.items() if path not in live}
    arrays = {path: about for path, about in dead.items() if about["node_type"] == "array"}
    concurrency.each(store.delete, _documents(arrays), store.concurrency)
    remove_groups(store, dead.keys() - arrays.keys(), newest)
    concurrency.each(store.delete, _objects(store, arrays), store.concurrency)
    store.sync()


def _documents(paths: Iterable[str]) -> list[str]:
    return [f"{path}/{keys.DOCUMENT}" for path in paths]


def remove_groups(store: ObjectStore, paths: Collection[str], newest: int) -> None:
    """
    Remove documents of tables and fields that a version has no more.

    A table of the same name may come back meanwhile. Its writer commits before he shows it, so what
    he has shown before it was removed here is in a version that is there now, and is shown again.
    """
    if not paths:
        return
    concurrency.each(store.delete, _documents(paths), store.concurrency)
    latest = manifests.newest(store)
    if latest is not None and latest > newest:
        version = manifests.read(store, latest)
        manifests.show_groups(store, version, [path for path in paths if path in version.below])


def _objects(store: ObjectStore, documents: Mapping[str, Any]) -> Iterable[str]:
    """Keys of what arrays have beside their documents."""
    for path, document in documents.items():
        shape = document["shape"]
        chunk = document["chunk_grid"]["configuration"]["chunk_shape"]
        count, tail = -(-shape[0] // chunk[0]), "/0" * (len(shape) - 1)
        if count > _MANY:  # a document can claim any number
            found = (entry.key for entry in store.everything(f"{path}/c"))
            yield from (key for key in found if keys.is_chunk(key))
        else:
            yield from (f"{path}/c/{number}{tail}" for number in range(count))
        if "zones" in document.get("attributes", {}):
            yield zones_key(path)


def sweep_orphans(
    store: ObjectStore,
    facts: Mapping[str, Any],
    older_than: float,
    at_once: Callable[[str], bool],
    spared: Iterable[str] = (),
) -> int:
    """
    Remove objects that no kept version reaches: what crashed drafts and interrupted sweeps left.

    Only keys that this format makes are looked at. What belongs to another dataset or another Zarr
    group in the same folder, or to nobody, stays.

    Parameters
    ----------
    store
        The store.
    facts
        Of the newest version, which say what is kept.
    older_than
        Seconds, by the store's own clock: younger objects may belong to a draft that is alive,
        unless a version had them that is no longer kept.
    at_once
        Whether orphans of the node at a path are removed whatever their age.
    spared
        Paths of other nodes that are still needed.

    Returns
    -------
    int
        How many there were.
    """
    live: set[str] = set(spared)
    kept, rewritten = kept_versions(facts), Rewritten.of(facts)
    for found in manifests.documents(store, kept.runs, rewritten):
        live |= found.keys()
    entries, present = _listed(store)
    orphans = [entry for entry in entries if _is_orphan(entry.key, live)]
    expired = _reached(store, kept.recent.start) if orphans else {}
    foreign = _foreign(entries, live | expired.keys())
    groups, arrays = [], []
    for entry in orphans:
        node = keys.node_of(entry.key)
        old = present - entry.modified > older_than
        if expired.get(node) == "group":
            groups.append(node)
        elif _is_below(entry.key, foreign):
            continue
        elif (erasure := keys.erasure_of(entry.key)) is not None:
            arrays += [entry.key] if erasure != rewritten.id and old else []
        elif keys.is_passing(entry.key):
            arrays += [entry.key] if old else []
        elif keys.is_array_key(entry.key) and (node in expired or old or at_once(node)):
            arrays.append(entry.key)
    documents = [key for key in arrays if key.endswith(f"/{keys.DOCUMENT}")]
    concurrency.each(store.delete, documents, store.concurrency)
    remove_groups(store, groups, kept.recent[-1])
    rest = [key for key in arrays if not key.endswith(f"/{keys.DOCUMENT}")]
    concurrency.each(store.delete, rest, store.concurrency)
    store.sync()
    return len(groups) + len(arrays)


def _listed(store: ObjectStore) -> tuple[list[Entry], float]:
    """Everything there is, and the time by the store's clock."""
    probe = f"__exetera__/clock-{secrets.token_hex(8)}"
    try:
        store.put(probe, b"")
    except OSError as error:
        if not is_full(error):
            raise
        # Not even that has room. A disk of this machine has the machine's clock; elsewhere, what
        # was written last tells, so that nothing is taken for older than it is.
        entries = list(store.everything(""))
        now = 0.0 if store.distant else time.time()
        return entries, max(now, *(entry.modified for entry in entries), 0.0)
    try:
        entries = list(store.everything(""))
    finally:
        store.delete(probe)
    present = next(entry.modified for entry in entries if entry.key == probe)
    return [entry for entry in entries if entry.key != probe], present


def _reached(store: ObjectStore, end: int) -> dict[str, str]:
    """
    Node paths that expired versions reached, and so no draft is writing, and what each is.

    They are still there where a sweep was interrupted.
    """
    reached: dict[str, str] = {}
    for found in manifests.changed_documents(store, range(end)):
        reached |= {path: about["node_type"] for path, about in found.items()}
    return reached


def _is_orphan(key: str, live: Collection[str]) -> bool:
    """Whether an object can be one of ours that no kept version has to do with."""
    if keys.is_array_key(key) or keys.is_group_document(key):
        return keys.node_of(key) not in live
    return keys.is_passing(key) or keys.erasure_of(key) is not None


def _foreign(entries: Iterable[Entry], known: Collection[str]) -> set[str]:
    """Folders of other datasets, and of Zarr nodes that no version ever had."""
    found = set()
    for key in (entry.key for entry in entries):
        above, mark, _ = key.partition("/__exetera__/")
        if mark:
            found.add(above)
        elif keys.is_group_document(key) and not keys.is_array_key(key):
            found.add(keys.node_of(key))
    return found.difference(known)


def _is_below(key: str, folders: Collection[str]) -> bool:
    parts = key.split("/")
    return any("/".join(parts[:end]) in folders for end in range(1, len(parts)))
