"""What a manifest says of its version."""

from __future__ import annotations

import datetime as dt
import secrets
from typing import TYPE_CHECKING, Any

from exetera_zarr._version import __version__
from exetera_zarr.storage.base import ROW_BLOCK
from exetera_zarr.storage.provenance import About
from exetera_zarr.storage.zarr import layout
from exetera_zarr.storage.zarr.versions.rebase import changed
from exetera_zarr.storage.zarr.versions.retention import Keep, kept_versions, lists_all
from exetera_zarr.storage.zarr.versions.rewritten import Rewritten
from exetera_zarr.storage.zarr.versions.tags import tags_after

if TYPE_CHECKING:
    from exetera_zarr.storage.zarr.state import State
    from exetera_zarr.storage.zarr.table_documents import Documents

__all__ = ["first", "following"]


def first(draft: str, row_block: int | None, present: float) -> dict[str, Any]:
    """
    Of version 0, the empty dataset.

    Parameters
    ----------
    draft
        Random identity of the writer.
    row_block
        Rows of a block of tables that do not say otherwise.
    present
        Seconds since 1970.
    """
    return {
        "format": layout.FORMAT,
        "requires": [],
        "version": 0,
        "previous": None,
        "dataset": secrets.token_hex(16),
        "draft": draft,
        **_made(present),
        "changed": [],
        "tables": [],
        "row_block": row_block or ROW_BLOCK,
        "keep": Keep().document(),
        "kept": [[0, present]],
        "about": About().document(0),
    }


def following(
    state: State,
    below: Documents,
    draft: str,
    expire: Keep | None,
    present: float,
    where: str,
) -> dict[str, Any]:
    """
    Of the version that a draft would be.

    Parameters
    ----------
    state
        The draft.
    below
        The documents of its nodes.
    draft
        Random identity of the draft.
    expire
        What is kept of the versions before, this time; what the dataset says if not given.
    present
        Seconds since 1970.
    where
        For messages.
    """
    facts = state.base.facts
    number = state.base.number + 1
    policy = state.policy or Keep.of(facts)
    checksum = facts.pop("checksum")
    kept = (expire or policy).choose(facts.get("kept", []), number, present)
    tags = tags_after(facts, state.tags, number, where)
    restored = [one for one in facts.pop("restored", ()) if one >= kept[0][0]]
    restored += [number] * state.restoring
    facts.pop("tags", None)
    rewritten = (state.rewritten or Rewritten.of(facts)).among(
        kept_versions({"kept": kept, "tags": tags, "version": number}).runs
    )
    facts.pop("rewritten", None)
    marks: dict[str, Any] = {
        layout.TAGS: tags,
        layout.RESTORED: restored,
        layout.REWRITTEN: rewritten.document(),
    }
    marks = {name: said for name, said in marks.items() if said}
    erasure = {"erasure": number} if state.rewritten is not None else {}
    requires = [
        *layout.features(below),
        *([] if lists_all(kept) else [layout.RANGES]),
        *marks,
    ]
    return {
        **facts,
        **marks,
        **erasure,
        "requires": requires,
        "version": number,
        "previous": checksum,
        "draft": draft,
        **_made(present),
        "changed": changed(state.base.below, below),
        "tables": list(state.root.groups),
        "row_block": state.root.row_block,
        "keep": policy.document(),
        "kept": kept,
        "about": state.about.document(number),
    }


def _made(present: float) -> dict[str, str]:
    moment = dt.datetime.fromtimestamp(present, dt.UTC).isoformat(timespec="milliseconds")
    return {"created": moment, "writer": f"exetera_zarr {__version__}"}
