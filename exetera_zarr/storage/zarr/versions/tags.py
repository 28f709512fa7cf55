"""Tags, and which version is meant by a number, a tag or a moment."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.errors import (
    ArgumentTypeError,
    ConflictError,
    DataError,
    NameTakenError,
    VersionNotFoundError,
    listing,
)
from exetera_zarr.moments import moment, moment_text
from exetera_zarr.storage import names
from exetera_zarr.storage.provenance import Tag
from exetera_zarr.storage.zarr.versions import manifests
from exetera_zarr.storage.zarr.versions.retention import kept_versions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exetera_zarr.storage.base import VersionLike
    from exetera_zarr.storage.stores.base import ObjectStore

__all__ = [
    "NEXT",
    "check_name",
    "found",
    "refuse_clashing",
    "refuse_taken",
    "tags_after",
    "tags_of",
    "unset_tags",
]

NEXT = -1
"""Stands for the version that is about to be committed, in a tag for that."""
_NUMBER = re.compile(r"[0-9]+")


def tags_of(facts: Mapping[str, Any]) -> dict[str, Tag]:
    """The tags that a manifest has, by name, in the order of their versions."""
    tags = [Tag.of(name, said) for name, said in facts.get("tags", {}).items()]
    return {tag.name: tag for tag in sorted(tags, key=lambda tag: (tag.version, tag.name))}


def check_name(name: object) -> str:
    """
    The name of a tag in normal form.

    Raises
    ------
    ValueError
        It is no name, or one that is taken for the number or the moment of a version.
    """
    if not isinstance(name, str):
        raise ArgumentTypeError(f"a tag is a str, not a {type(name).__name__}")
    odd = name != name.strip() or name.startswith(("-", "+")) or not name.isprintable()
    if not name or odd:
        raise DataError(
            f"{name!r} cannot be a tag: a tag has no space at its ends, no sign at its beginning, "
            "and no control characters"
        )
    if _NUMBER.fullmatch(name) or _moment_of(name) is not None:
        raise DataError(
            f"{name!r} cannot be a tag: it reads as the number or the moment of a version; write "
            f"for example 'release-{name}'"
        )
    return names.check(name)


def tags_after(
    facts: Mapping[str, Any], changes: Mapping[str, Tag | None], number: int, where: str
) -> dict[str, Any]:
    """
    The tags that the next manifest has.

    Parameters
    ----------
    facts
        Of the manifest before.
    changes
        Tags to be set; None for those that go.
    number
        Of the next one.
    where
        For messages.

    Raises
    ------
    VersionNotFoundError
        A version that is to have a tag is no longer kept.
    """
    said = dict(facts.get("tags", {}))
    kept = kept_versions(facts)
    for name, tag in changes.items():
        if tag is None:
            said.pop(name, None)
            continue
        document = tag.document()
        if tag.version == NEXT:
            document["version"] = number
        elif tag.version not in kept:
            raise VersionNotFoundError(
                f"{where}: version {tag.version} cannot be tagged {name!r}, since it is no longer "
                f"kept; there are: {listing(kept)}"
            )
        said[name] = document
    return said


def unset_tags(
    changes: Mapping[str, Tag | None], facts: Mapping[str, Any]
) -> dict[str, Tag | None]:
    """Those of a draft's changes of tags that a version does not have."""
    there = tags_of(facts)
    return {
        name: tag
        for name, tag in changes.items()
        if (name in there) != (tag is not None)
        or (tag is not None and tag.version not in (NEXT, there[name].version))
    }


def refuse_taken(facts: Mapping[str, Any], name: str, where: str) -> None:
    """Raise NameTakenError if there is a tag of that name."""
    there = tags_of(facts).get(name)
    if there is not None:
        raise NameTakenError(
            f"{where} has the tag {name!r} already, for version {there.version}; untag({name!r}) "
            "first if it is to name another one"
        )


def refuse_clashing(
    changes: Mapping[str, Tag | None],
    before: manifests.Version,
    newest: manifests.Version,
    url: str,
) -> None:
    """Raise ConflictError if another writer has set or removed the same tags."""
    old, new = before.facts.get("tags", {}), newest.facts.get("tags", {})
    both = sorted(name for name in changes if old.get(name) != new.get(name))
    if both:
        raise ConflictError(
            f"{url}: the tag {listing(both)} was set or removed in this draft, which is over "
            f"version {before.number}, and by another writer up to version {newest.number}; the "
            "draft is kept: commit(force=True) lets it win, rollback() and refresh() drop it"
        )


def found(store: ObjectStore, newest: manifests.Version, asked: VersionLike) -> int:
    """
    Number of the version that is meant.

    Parameters
    ----------
    store
        The store.
    newest
        Its newest version.
    asked
        A number, a tag, or a moment: then the version that was the newest one at that time. Text
        that is not a tag may be the number or the moment as well.

    Raises
    ------
    VersionNotFoundError
        There is none, or it is no longer kept.
    """
    tags = tags_of(newest.facts)
    if isinstance(asked, str):
        if asked in tags:
            return tags[asked].version
        if _NUMBER.fullmatch(asked):
            asked = int(asked)
        elif (at := _moment_of(asked)) is not None:
            return _at_moment(store, newest, at)
        else:
            raise VersionNotFoundError(
                f"{store.url} has no tag {asked!r}; there are: {listing(tags)}"
            )
    if isinstance(asked, np.datetime64):
        if np.isnat(asked):
            raise ArgumentTypeError("a version is a number, a tag or a moment, and NaT is none")
        asked = asked.astype("datetime64[us]").item()
    if isinstance(asked, dt.date):
        return _at_moment(store, newest, moment(asked))
    if isinstance(asked, bool) or not hasattr(asked, "__index__"):
        raise ArgumentTypeError(
            "a version is a number, a tag or a moment (a datetime, or text such as "
            f"'2026-03-01 12:00:00'), not a {type(asked).__name__}"
        )
    number = asked.__index__()
    kept = kept_versions(newest.facts)
    if number not in kept:
        before = "" if number > newest.number else ", and what it had may have been removed"
        raise VersionNotFoundError(
            f"{store.url} has no version {number}{before}; there are: {listing(kept)}"
        )
    return number


def _moment_of(text: str) -> float | None:
    try:
        return moment(text)
    except ValueError:
        return None


def _at_moment(store: ObjectStore, newest: manifests.Version, at: float) -> int:
    """The last version that was made at a moment or before it, by the clocks of the writers."""
    kept = kept_versions(newest.facts)
    # The first of these that is known to be later, and the last that is known to be not.
    later, not_later = newest.number + 1, -1
    for listed, (number, made) in enumerate(newest.facts.get("kept", [])):
        if made <= at:
            not_later = number
        elif listed:  # the first one may have the time of a later one
            later = min(later, number)
    while later - not_later > 1:
        middle = (later + not_later) // 2
        if moment(manifests.manifest(store, middle).facts["created"]) > at:
            later = middle
        else:
            not_later = middle
    if not_later < 0:
        raise VersionNotFoundError(f"{store.url} did not exist at {moment_text(at)}")
    if not_later not in kept:
        raise VersionNotFoundError(
            f"{store.url} was at version {not_later} at {moment_text(at)}, which is no longer "
            f"kept; there are: {listing(kept)}"
        )
    return not_later
