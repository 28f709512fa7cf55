"""Removing what no kept version reaches any more."""

from __future__ import annotations

import secrets
from functools import partial
from typing import TYPE_CHECKING, Any

from exetera_zarr.storage.zarr import commit, transfer

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from exetera_zarr.storage.zarr.store import ObjectStore

__all__ = ["sweep_orphans", "sweep_versions"]

_DOCUMENT = "zarr.json"


def sweep_versions(
    store: ObjectStore, expired: Sequence[int], kept: Sequence[int], newest: commit.Version
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
        Numbers of versions that are not kept any more.
    kept
        Numbers of those that are, ascending.
    newest
        The newest of these, which is published.
    """
    live = dict(newest.below)
    for number in kept:
        if number != newest.number:
            live |= commit.read(store, number).below
    dead: dict[str, Any] = {}
    for number in expired:
        dead |= {p: d for p, d in commit.read(store, number).below.items() if p not in live}
    groups = [path for path in dead if path not in newest.below]
    transfer.each(store.delete, [f"{path}/{_DOCUMENT}" for path in groups], store.concurrency)
    transfer.each(store.delete, _chunk_keys(dead), store.concurrency)
    store.settle()


def _chunk_keys(documents: Mapping[str, Any]) -> Iterable[str]:
    for path, document in documents.items():
        if document["node_type"] == "array":
            shape = document["shape"]
            chunk = document["chunk_grid"]["configuration"]["chunk_shape"]
            tail = "/0" * (len(shape) - 1)
            for number in range(-(-shape[0] // chunk[0])):
                yield f"{path}/c/{number}{tail}"


def sweep_orphans(
    store: ObjectStore, kept: Sequence[int], older_than: float, all_below: str = ""
) -> int:
    """
    Remove objects that no kept version reaches: what crashed drafts and interrupted sweeps left.

    Parameters
    ----------
    store
        The store.
    kept
        Numbers of the versions that are kept.
    older_than
        Seconds, by the store's own clock: younger objects may belong to a draft that is alive,
        unless a version had them that is no longer kept.
    all_below
        Node path of a table whose orphans are removed whatever their age.

    Returns
    -------
    int
        How many there were.
    """
    live: set[str] = set()
    for number in kept:
        live |= commit.read(store, number).below.keys()
    probe = f"__exetera__/clock-{secrets.token_hex(8)}"
    store.put(probe, b"")
    try:
        entries = list(store.everything(""))
    finally:
        store.delete(probe)
    present = next(entry.modified for entry in entries if entry.key == probe)
    orphans = [entry for entry in entries if _is_orphan(entry.key, live)]
    old = [
        entry.key
        for entry in orphans
        if present - entry.modified > older_than
        or (all_below and entry.key.startswith(f"{all_below}/"))
    ]
    young = {entry.key for entry in orphans}.difference(old)
    if young:
        expired = _reached(store, kept)
        old += [key for key in young if _node(key) in expired]
    documents = [key for key in old if key.endswith(f"/{_DOCUMENT}")]
    rest = [key for key in old if not key.endswith(f"/{_DOCUMENT}")]
    for keys in (documents, rest):
        transfer.each(store.delete, keys, store.concurrency)
    store.settle()
    return len(old)


def _reached(store: ObjectStore, kept: Sequence[int]) -> set[str]:
    """
    Node paths that expired versions reached, and so no draft is writing.

    They are still there where a sweep was interrupted.
    """
    numbers = range(min(kept))
    reached: set[str] = set()
    for version in transfer.ordered(partial(commit.read, store), numbers, store.concurrency):
        reached |= version.below.keys()
    return reached


def _node(key: str) -> str:
    """Path of the node that an object belongs to."""
    return key.split("/c/", 1)[0].removesuffix(f"/{_DOCUMENT}")


def _is_orphan(key: str, live: Collection[str]) -> bool:
    """Whether no version that is kept, nor the history, has to do with an object."""
    if "/.tmp-" in f"/{key}":
        return True
    if key == _DOCUMENT or key.startswith("__exetera__/commits/"):
        return False
    return _node(key) not in live
