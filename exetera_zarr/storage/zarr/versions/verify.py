"""Reading everything of a version, to find out whether it is what was written."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from exetera_zarr.errors import ExeteraError
from exetera_zarr.storage import concurrency, keys
from exetera_zarr.storage.zarr import layout
from exetera_zarr.storage.zarr.packs import PackedPart
from exetera_zarr.storage.zarr.versions import manifests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from exetera_zarr.storage.zarr.draft import Draft
    from exetera_zarr.storage.zarr.layout import Node
    from exetera_zarr.storage.zarr.segments import SegmentedArray

__all__ = ["problems"]

_MOST = 100
"""Chunks of a field, or manifests, that are named: a document can claim millions of either."""


def problems(draft: Draft, kept: Iterable[int]) -> Iterator[str]:
    """
    What is wrong with the committed version that a draft is over, in words.

    Parameters
    ----------
    draft
        Without changes.
    kept
        Numbers of the versions whose manifests are checked as well.

    Yields
    ------
    str
        Naming table, field and chunk, or the object.
    """
    yield from _manifests(draft, kept)
    yield from _documents(draft)
    yield from _identities(draft.root)
    for name, node in draft.root.groups.items():
        if node.arrays:
            yield from _field(f"field {name!r}", node)
        for field, below in node.groups.items():
            yield from _field(f"table {name!r}, field {field!r}", below)


def _manifests(draft: Draft, kept: Iterable[int]) -> Iterator[str]:
    """The manifests that are kept, each with the digest of the one before."""
    previous, found, last = None, 0, -1
    for number in kept:
        if number != last + 1:
            previous = None
        last = number
        try:
            facts = manifests.manifest(draft.store, number).facts
        except (ExeteraError, OSError) as error:
            yield f"the manifest of version {number}: {error}"
            previous, found = None, found + 1
            if found == _MOST:
                yield f"no more than {_MOST} manifests are named; there may be others"
                return
            continue
        if previous is not None and facts["previous"] != previous:
            yield f"version {number} does not follow from version {number - 1}: digests differ"
        previous = facts["checksum"]


def _documents(draft: Draft) -> Iterator[str]:
    """What other Zarr readers see is this version; or a later one, beside the same arrays."""
    expected = {keys.DOCUMENT: draft.base.data}
    later = manifests.is_shown_after(draft.store, draft.base)
    if later:
        expected.clear()
    for path, document in draft.base.below.items():
        if document["node_type"] == "array" or not later:
            expected[f"{path}/{keys.DOCUMENT}"] = layout.plain(document)

    def check(key: str) -> str | None:
        try:
            found = draft.store.get(key)
        except OSError as error:
            return f"{key} cannot be read by other Zarr readers: {error}"
        return None if found == expected[key] else f"{key} is not the document of this version"

    for said in concurrency.ordered(check, expected, draft.store.concurrency):
        if said is not None:
            yield said


def _identities(root: Node) -> Iterator[str]:
    """No two tables or fields have the same id."""
    paths: dict[str, str] = {}
    for path, node in root.walk():
        if node.id in paths:
            yield f"{path} and {paths[node.id]} have the same id"
        paths[node.id] = path


def _field(where: str, node: Node) -> Iterator[str]:
    sound, found = True, 0
    for role, array in node.arrays.items():
        for said in concurrency.ordered(_said_by, _checks(array), array.context.store.concurrency):
            if said is None:
                continue
            sound = False
            yield f"{where}, {role}, {said}"
            found += 1
            if found == _MOST:
                yield f"{where}: no more than {_MOST} chunks are named; there may be others"
                return
    if sound and "index" in node.arrays:
        yield from _offsets(where, node.arrays["index"], node.arrays["values"].length)


def _checks(array: SegmentedArray) -> Iterator[tuple[str, Callable[[], None]]]:
    """What reads each chunk, or piece of a pack, of an array, and its zones; with what it reads."""
    number = 0
    for part in array.parts:
        if isinstance(part, PackedPart):
            yield f"chunk {number}", part.check
            number += 1
            continue
        yield "zones", part.check_zones
        for block in range(part.blocks):
            yield f"chunk {number}", partial(part.check, block)
            number += 1


def _said_by(check: tuple[str, Callable[[], None]]) -> str | None:
    what, read = check
    try:
        read()
    except (ExeteraError, OSError, ValueError) as error:
        return f"{what}: {error}"
    return None


def _offsets(where: str, index: SegmentedArray, size: int) -> Iterator[str]:
    last = 0
    for start in range(0, index.length, index.block):
        offsets = index.read(start, min(start + index.block, index.length))
        if start == 0 and offsets[0] != 0:
            yield f"{where}, index: the first offset is {offsets[0]}, not 0"
        if (np.diff(offsets, prepend=last) < 0).any() or offsets[-1] > size:
            yield f"{where}, index: the offsets do not ascend to at most {size}"
            return
        last = int(offsets[-1])
