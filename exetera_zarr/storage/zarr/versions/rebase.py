"""Putting the changes of a draft over a version that another writer committed meanwhile."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from exetera_zarr.errors import ConflictError, listing
from exetera_zarr.storage import names
from exetera_zarr.storage.zarr import layout
from exetera_zarr.storage.zarr.arrays import StoredArray
from exetera_zarr.storage.zarr.table_documents import Documents
from exetera_zarr.storage.zarr.versions.tags import refuse_clashing

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from exetera_zarr.storage.zarr.layout import Node
    from exetera_zarr.storage.zarr.packs import StoredPack
    from exetera_zarr.storage.zarr.state import State
    from exetera_zarr.storage.zarr.table_documents import TableDocuments
    from exetera_zarr.storage.zarr.versions.manifests import Version

__all__ = ["Merged", "appended", "changed", "differs", "rebased"]


@dataclass
class Merged:
    """
    A state over another version, and what is called otherwise there.

    Parameters
    ----------
    state
        The new one.
    renumbered
        Ids that the draft's own nodes have now, by those that they had: the other writer's have
        these.
    """

    state: State
    renumbered: dict[str, str] = field(default_factory=dict)


def changed(before: Documents, after: Documents) -> list[str]:
    """Names that the root's children have, or had, that differ in themselves or below; sorted."""
    found: set[str] = set()
    for segment in before.tables.keys() | after.tables.keys():
        sides = before.tables.get(segment), after.tables.get(segment)
        if sides[0] is not sides[1] and not _are_same(*sides):
            found |= {table.attributes.get("name", segment) for table in sides if table is not None}
    return sorted(found)


def _are_same(one: TableDocuments | None, other: TableDocuments | None) -> bool:
    return one is not None and other is not None and one.documents == other.documents


def _own(state: State) -> list[str]:
    """The same of what a draft makes of its base, without storing anything of it."""
    before = state.base.below
    assumed: dict[int, Sequence[StoredArray | StoredPack]] = {}
    for table in state.root.groups.values():
        known = before.tables.get(table.segment)
        if known is not None and table.is_still(known):
            continue
        for path, node in [(table.segment, table), *table.walk(table.segment)]:
            for role, array in node.arrays.items():
                unsettled = StoredArray(f"{path}/{role}?", array.dtype, 0, 1, {"unsettled": True})
                stored = () if array.changed else array.stored
                assumed[id(array)] = stored or [unsettled]
    return changed(before, layout.documents(state.root, assumed, before, state.base.number + 1))


def differs(state: State) -> bool:
    """Whether a draft has anything that its base has not."""
    return bool(
        _own(state)
        or state.policy is not None
        or state.tags
        or state.about.message
        or state.root.attributes != _attributes(state.base)
        or list(state.root.groups) != list(state.base.facts["tables"])
    )


def rebased(state: State, newest: Version, theirs: Node, url: str, *, force: bool) -> Merged:
    """
    The changes of a draft over a newer version.

    Parameters
    ----------
    state
        The draft; it stays as it is.
    newest
        The version.
    theirs
        Its tree, which is used up.
    url
        For messages.
    force
        Whether the draft wins where both changed the same table.

    Raises
    ------
    ConflictError
        Both changed the same table, and it does not.
    """
    if not force:
        refuse_clashing(state.tags, state.base, newest, url)
    by_them = set(changed(state.base.below, newest.below))
    ours = set(_own(state))
    if state.emptied:
        ours |= by_them | set(changed(Documents(), state.base.below))
    both = sorted(ours & by_them)
    if both and not state.emptied:
        both = [name for name in both if not _take_appended(state, theirs, name, newest.below)]
        ours -= {name for name in ours if name in by_them} - set(both)
    if both and not force:
        raise ConflictError(
            f"{url}: {listing(both)} changed in this draft, which is over version "
            f"{state.base.number}, and by another writer up to version {newest.number}; the "
            "draft is kept: commit(force=True) lets it win, rollback() and refresh() drop it"
        )
    mine = {name: node for name, node in state.root.groups.items() if name in ours}
    others = {name: node for name, node in theirs.groups.items() if name not in ours}
    renumbered = _beside(mine, others.values())
    theirs.groups = {
        name: mine.get(name, node)
        for name, node in theirs.groups.items()
        if name in others or name in mine
    } | mine
    if state.root.attributes != _attributes(state.base):
        theirs.attributes = state.root.attributes
    for node in mine.values():
        _move_orphans(node, newest.below)
    return Merged(replace(state, base=newest, root=theirs, sent=()), renumbered)


def appended(state: State) -> set[str]:
    """Paths of the tables of which a draft has appended rows, and changed nothing else."""
    before = state.base.below
    return {
        node.segment
        for node in state.root.groups.values()
        if node.segment in before.tables
        and not node.is_still(before.tables[node.segment])
        and _is_appended(node, before)
    }


def _is_appended(node: Node, before: Mapping[str, Any]) -> bool:
    """Whether rows were appended to all columns of a table, as many, and nothing was changed."""
    fields = [(f"{node.segment}/{column.segment}", column) for column in node.groups.values()]
    if not fields or not _is_as_before(node.segment, node, before):
        return False
    if list(node.groups) != list(before[node.segment]["attributes"].get("columns", ())):
        return False
    rows = set()
    for path, column in fields:
        lead = column.arrays.get("index", column.arrays.get("values"))
        if lead is None or not _is_as_before(path, column, before):
            return False
        if any(array.tail is None for array in column.arrays.values()):
            return False
        assert lead.tail is not None
        rows.add(lead.tail.length - (lead.role == "index"))
    return len(rows) == 1


def _is_as_before(path: str, node: Node, before: Mapping[str, Any]) -> bool:
    """Whether a group has the attributes that a version has."""
    if path not in before:
        return False
    about = dict(before[path]["attributes"])
    if about.pop("id", None) != node.id:
        return False
    for name in ("since_version", "appends", "packs", "arrays", "after", "columns"):
        about.pop(name, None)
    return bool(about == {k: v for k, v in node.attributes.items() if k != "columns"})


def _take_appended(state: State, theirs: Node, name: str, newest: Documents) -> bool:
    """
    Append the rows that a draft has appended to a table to those that others have appended.

    Parameters
    ----------
    state
        The draft.
    theirs
        The tree of a newer version.
    name
        Of the table.
    newest
        The documents of that.

    Returns
    -------
    bool
        False where somebody has done something else, and nothing was changed here.
    """
    mine, other = state.root.groups.get(name), theirs.groups.get(name)
    if mine is None or other is None or mine.id != other.id:
        return False
    since = newest.tables[other.segment].appended_since
    if since is None or since > state.base.number or not _is_appended(mine, state.base.below):
        return False
    if mine.relied_on:  # as of an upsert, which found no such keys in the rows that there were
        return False
    for column_name, column in mine.groups.items():
        for role, array in column.arrays.items():
            assert array.tail is not None
            other.groups[column_name].arrays[role].take(array.tail)
    return True


def _attributes(version: Version) -> dict[str, Any]:
    """Attributes of the root that are not the format's own."""
    return {k: v for k, v in version.attributes.items() if k != "exetera"}


def _beside(mine: dict[str, Node], others: Collection[Node]) -> dict[str, str]:
    """
    Give nodes other segments and ids than those that others have; the ids that changed.

    A table that differs by case alone from one that the other writer made is another table, but
    would be the same folder on some systems. One that the other writer renamed is another one now.
    """
    ids = {node.id for node in others}
    folded = {node.segment.casefold() for node in others}
    renumbered: dict[str, str] = {}
    for name, node in mine.items():
        if node.id in ids:
            node = _renumbered(node, renumbered)  # noqa: PLW2901
        if node.segment.casefold() in folded:
            node = replace(node, segment=names.unique_segment(name, folded))  # noqa: PLW2901
        folded.add(node.segment.casefold())
        mine[name] = node
    return renumbered


def _renumbered(node: Node, renumbered: dict[str, str]) -> Node:
    renumbered[node.id] = secrets.token_hex(8)
    groups = {name: _renumbered(below, renumbered) for name, below in node.groups.items()}
    return replace(node, id=renumbered[node.id], groups=groups)


def _move_orphans(node: Node, below: Mapping[str, Any]) -> None:
    """Have arrays copied that a newer version does not reach: they may be swept any time."""
    for part in (node, *(child for _, child in node.walk())):
        for array in part.arrays.values():
            if any(stored.path not in below for stored in array.stored):
                array.move()
