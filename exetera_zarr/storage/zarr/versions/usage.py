"""What versions take of a store, and what would be free without some of them."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from exetera_zarr.storage import keys
from exetera_zarr.storage.base import Usage
from exetera_zarr.storage.zarr.versions import manifests
from exetera_zarr.storage.zarr.versions.retention import kept_versions
from exetera_zarr.storage.zarr.versions.rewritten import Rewritten

if TYPE_CHECKING:
    from exetera_zarr.storage.stores.base import ObjectStore
    from exetera_zarr.storage.zarr.versions.retention import Keep

__all__ = ["usage"]


def usage(store: ObjectStore, newest: manifests.Version, expire: Keep) -> Usage:
    """
    Bytes in a store, by who needs them.

    Parameters
    ----------
    store
        The store, all objects of which are listed.
    newest
        Its newest version.
    expire
        What would be kept by a vacuum.
    """
    facts = newest.facts
    now, rewritten = kept_versions(facts), Rewritten.of(facts)
    kept, (number, present) = facts["kept"][:-1], facts["kept"][-1]
    chosen = expire.choose(kept, int(number), present) if kept else facts["kept"]
    then = kept_versions({**facts, "kept": chosen})
    live, left = set(newest.below), set(newest.below)
    for found in manifests.documents(store, now.runs, rewritten):
        live |= found.keys()
    gone = now.without(then)
    if gone:
        for found in manifests.documents(store, then.runs, rewritten):
            left |= found.keys()
    else:
        left = live
    said = dict.fromkeys(("newest", "older", "manifests", "unreachable", "freed"), 0)
    for entry in store.everything(""):
        kind = _kind(entry.key, newest, live)
        said[kind] += entry.size
        if kind in ("older", "unreachable") and keys.node_of(entry.key) not in left:
            said["freed"] += entry.size
    return Usage(**said, versions=len(now), expiring=tuple(chain.from_iterable(gone)))


def _kind(key: str, newest: manifests.Version, live: set[str]) -> str:
    if key.startswith("__exetera__/") or key == keys.DOCUMENT:
        return "manifests"
    node = keys.node_of(key)
    if node in newest.below:
        return "newest"
    return "older" if node in live else "unreachable"
