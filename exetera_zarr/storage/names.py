"""Logical names of tables and fields, and the path segments that stand for them in a store.

Any text can be a name, but not every text can be a folder, an object key or a Zarr node on every
system. A name is kept as an attribute; its path is the percent-encoding of what some system would
trip over.
"""

from __future__ import annotations

import hashlib
import unicodedata
from typing import TYPE_CHECKING

from exetera_zarr.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["check", "encode", "unique_segment"]

_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 ._-")
_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(1, 10))]
)
_LONGEST = 255
_HASH = 16


def check(name: str) -> str:
    """
    The name in its one normal form (Unicode NFC).

    Parameters
    ----------
    name
        Name of a table or a field, as the user gives it.

    Returns
    -------
    str
        The same name, so that composed and decomposed letters name the same thing.

    Raises
    ------
    DataError
        It is empty, ``.`` or ``..``, or holds a NUL or a lone surrogate.
    """
    if name in ("", ".", ".."):
        raise DataError(f"{name!r} cannot be the name of a table or field")
    if name.isascii() and "\0" not in name:  # as nearly all are, and nothing else to look at
        return name
    normal = unicodedata.normalize("NFC", name)
    for position, letter in enumerate(normal):
        if letter == "\0" or unicodedata.category(letter) == "Cs":
            raise DataError(
                f"the name {name!r} holds the NUL or lone surrogate {letter!r} at position "
                f"{position}"
            )
    return normal


def encode(name: str) -> str:
    """
    The path segment of a name, where no sibling is in the way.

    Parameters
    ----------
    name
        A name that `check` returned.

    Returns
    -------
    str
        ASCII, safe as a file name, an object key and a Zarr node name, of at most 255 bytes.
    """
    raw = name.encode("utf-8", "surrogatepass")
    marked = {position for position, byte in enumerate(raw) if byte not in _PLAIN}
    stem = name.split(".", maxsplit=1)[0].rstrip(" ").lower()
    if name.startswith(("__", ".")) or stem in _DEVICES or name.lower() == "zarr.json":
        marked.add(0)
    if name.endswith((".", " ")):
        marked.add(len(raw) - 1)
    return _shortened(_percent(raw, marked), raw)


def _shortened(segment: str, raw: bytes) -> str:
    """A segment that fits a path: a long one ends in a hash of the name, whose attribute has it."""
    if len(segment) <= _LONGEST:
        return segment
    kept = segment[: _LONGEST - _HASH - 1]
    if "%" in kept[-2:]:  # the first byte of an encoding, or two
        kept = kept[: kept.rindex("%")]
    return f"{kept}-{hashlib.sha256(raw).hexdigest()[:_HASH]}"


def unique_segment(name: str, taken: Collection[str]) -> str:
    """
    The path segment of a name beside the segments that its siblings have.

    Two segments that differ only by case are one file on some systems. The later of two such names
    has its upper-case letters encoded, and where that is not enough, its first byte.

    Parameters
    ----------
    name
        A name that `check` returned.
    taken
        Segments of the siblings, each in the form that ``casefold`` gives.

    Returns
    -------
    str
        Differs from all of `taken`, also without regard to case.

    Raises
    ------
    DataError
        No such segment is left.
    """
    raw = name.encode("utf-8")
    plain = encode(name)
    upper = {p for p, byte in enumerate(raw) if byte not in _PLAIN or 65 <= byte <= 90}
    first = {p for p, byte in enumerate(raw) if byte not in _PLAIN} | {0}
    for segment in (
        plain,
        _percent(raw, upper),
        _percent(raw, first),
        _percent(raw, upper | first),
    ):
        short = _shortened(segment, raw)
        if short.casefold() not in taken:
            return short
    raise DataError(f"the name {name!r} differs only by case from too many others")


def _percent(raw: bytes, marked: set[int]) -> str:
    return "".join(
        f"%{byte:02X}" if position in marked else chr(byte) for position, byte in enumerate(raw)
    )
