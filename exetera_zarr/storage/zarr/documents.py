"""Documents become objects here: what a manifest or root document says is checked as a whole.

A dataset may come from a stranger, who can make a right checksum as anybody can. What is behind
this module takes types, bounds and paths for granted. The checks are msgspec's, which are compiled:
they take a sixth of the time of opening a dataset of 10,000 columns (measured).
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from exetera_zarr.errors import CorruptDataError, DataError
from exetera_zarr.fieldtypes import NUMBERS  # noqa: TC001 - msgspec reads the annotations
from exetera_zarr.storage import keys, names
from exetera_zarr.storage.stores.base import LARGEST_CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "MOST_BLOCKS",
    "check",
    "check_changes",
    "limits",
    "parsed",
    "without_collections",
]

MOST_BLOCKS = 1 << 24
"""Chunks of an array."""
_MOST_ROWS = 1 << 56
_LAST_VERSION = 10**10 - 1


@dataclass
class Limits:
    """
    What is taken of every document, in the whole process.

    Parameters
    ----------
    values
        Values in one document. So many take some 250 MB; a column needs about fifty, and each
        category three.
    """

    values: int = 4_000_000


limits: Final = Limits()

_Version: TypeAlias = Annotated[int, Meta(ge=0, le=_LAST_VERSION)]
_Rows: TypeAlias = Annotated[int, Meta(ge=0, le=_MOST_ROWS)]
_Block: TypeAlias = Annotated[int, Meta(ge=1, le=_MOST_ROWS)]
_Width: TypeAlias = Annotated[int, Meta(ge=1, le=LARGEST_CHUNK)]
_Digest: TypeAlias = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
_Path: TypeAlias = Annotated[str, Meta(pattern=keys.NODE_OR_ARRAY)]
_ArrayName: TypeAlias = Annotated[str, Meta(pattern=keys.ARRAY_NAME)]
_PackName: TypeAlias = Annotated[str, Meta(pattern=keys.PACK_NAME)]
_MOST_PARTS = 1 << 12
_ArrayNames: TypeAlias = Annotated[list[_ArrayName], Meta(min_length=1, max_length=_MOST_PARTS)]
_Role: TypeAlias = Literal["values", "index"]


class _Keep(Struct):
    versions: Annotated[int, Meta(ge=1)] = 3
    seconds: Annotated[float, Meta(ge=0)] | None = None


class _Facts(Struct):
    """What a manifest says of its version."""

    checksum: _Digest
    version: _Version
    previous: _Digest | None
    draft: str
    created: str
    writer: str
    tables: list[str]
    changed: list[str]
    row_block: _Block
    dataset: str = ""
    keep: _Keep = msgspec.field(default_factory=_Keep)
    kept: list[tuple[_Version, float]] = []


class _FieldAttributes(Struct):
    """Attributes of a table or field that have a meaning here; there may be others."""

    id: str = ""
    name: str | UnsetType = UNSET
    arrays: dict[_Role, _ArrayName | _ArrayNames] = {}
    packs: Annotated[list[tuple[_PackName, _Version]], Meta(max_length=_MOST_PARTS)] = []
    after: _PackName | UnsetType = UNSET
    appends: tuple[_Version, _Version] | UnsetType = UNSET
    columns: list[str] = []
    since_version: _Version = 0
    row_block: _Block | UnsetType = UNSET
    fieldtype: str | UnsetType = UNSET
    nformat: Literal[NUMBERS] | UnsetType = UNSET  # type: ignore[valid-type]
    strlen: _Width | UnsetType = UNSET
    key: list[tuple[str, int | float]] | UnsetType = UNSET


class _Group(Struct, tag_field="node_type", tag="group"):
    attributes: _FieldAttributes


class _Chunk(Struct):
    chunk_shape: Annotated[list[_Block], Meta(min_length=1, max_length=2)]


class _Grid(Struct):
    name: str
    configuration: _Chunk


class _Codec(Struct):
    name: str
    configuration: dict[str, Any] = {}


class _KeyEncoding(Struct):
    name: str
    configuration: dict[str, Any] = {}


class _Array(Struct, tag_field="node_type", tag="array"):
    shape: Annotated[list[_Rows], Meta(min_length=1, max_length=2)]
    data_type: str
    chunk_grid: _Grid
    chunk_key_encoding: _KeyEncoding
    codecs: Annotated[list[_Codec], Meta(min_length=1, max_length=16)]
    attributes: dict[str, Any] = {}


class _PackAttributes(Struct):
    rows: _Rows
    pieces: dict[str, dict[_Role, tuple[_Rows, _Rows, _Rows]]]


class _IndexAttributes(Struct):
    bytes: _Rows | UnsetType = UNSET


class _RootAttributes(Struct):
    exetera: _Facts


class _Consolidated(Struct):
    metadata: dict[str, _Group | _Array]  # of which `_wrong_with` looks at the paths


class _Root(Struct):
    attributes: _RootAttributes
    consolidated_metadata: _Consolidated


class _FactsOfChanges(_Facts, kw_only=True):
    root: _Digest


class _AttributesOfChanges(Struct):
    exetera: _FactsOfChanges


class _Changes(Struct):
    """A manifest that has only what changed."""

    attributes: _AttributesOfChanges
    over: Annotated[list[tuple[_Version, int]], Meta(min_length=1, max_length=64)]
    changes: dict[_Path, _Group | _Array]


def parsed(data: bytes, where: str) -> dict[str, Any]:
    """
    The JSON object that some bytes are.

    Raises
    ------
    CorruptDataError
        They are none, or have more values than a dataset needs.
    """
    count = data.count(b",") + data.count(b"[") + data.count(b"{")
    if count > limits.values:
        raise CorruptDataError(
            f"{where} may have up to {count:,} values, and {limits.values:,} are the most that are "
            "read of a document; exetera_zarr.storage.zarr.documents.limits.values is that number"
        )
    try:
        with without_collections():
            document = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CorruptDataError(f"{where} is not a document of a dataset: {error}") from error
    if not isinstance(document, dict):
        raise CorruptDataError(f"{where} is not a document of a dataset: it is no JSON object")
    return document


def check(document: Mapping[str, Any], where: str) -> None:
    """
    Check all that a root document or manifest says.

    Parameters
    ----------
    document
        As `parsed` gives it.
    where
        For messages.

    Raises
    ------
    CorruptDataError
        A value is of another type, beyond its bounds, or a path that leads somewhere else.
    """
    try:
        with without_collections():
            root = msgspec.convert(document, _Root)
    except msgspec.ValidationError as error:
        raise CorruptDataError(f"{where}: {_located(document, error)}") from None
    below = root.consolidated_metadata.metadata
    for path, node in below.items():
        problem = _wrong_with(path, node, below)
        if problem is not None:
            raise CorruptDataError(f"{where}: {path!r} {problem}")


def check_changes(document: Mapping[str, Any], where: str) -> None:
    """The same of a manifest that has only what changed; what it is over is checked with it."""
    try:
        with without_collections():
            found = msgspec.convert(document, _Changes)
    except msgspec.ValidationError as error:
        raise CorruptDataError(f"{where}: it is not well formed: {error}") from None
    numbers = [found.attributes.exetera.version, *(number for number, _ in found.over)]
    if numbers != sorted(set(numbers), reverse=True):
        raise CorruptDataError(f"{where}: version {numbers[0]} cannot be over {numbers[1:]}")


def _wrong_with(path: str, node: _Group | _Array, below: Mapping[str, Any]) -> str | None:
    if isinstance(node, _Array):
        return _wrong_with_array(path, node)
    about = node.attributes
    if not keys.is_node(path):
        return "is not the path of a table or field"
    if about.name is not UNSET and (said := _wrong_name(about.name)):
        return said
    for role, listed in about.arrays.items():
        for name in [listed] if isinstance(listed, str) else listed:
            if not name.startswith(role) or type(below.get(f"{path}/{name}")) is not _Array:
                return f"has no array {name!r} for its {role}"
    if about.arrays and "values" not in about.arrays:
        return "has an index of values that it does not have"
    if len({1 if isinstance(one, str) else len(one) for one in about.arrays.values()}) > 1:
        return "has offsets and bytes in different numbers of segments"
    for name, _ in about.packs:
        if type(below.get(f"{path}/{name}")) is not _Array:
            return f"has no pack {name!r}"
    return None


def _wrong_name(name: str) -> str | None:
    if name.isascii() and "\0" not in name and name not in ("", ".", ".."):
        return None
    try:
        names.check(name)
    except DataError as error:
        return f"has a wrong name: {error}"
    return None


def _wrong_with_array(path: str, array: _Array) -> str | None:
    if not keys.is_array(path):
        return "is not the path of an array"
    kind = _PackAttributes if "/__pack-" in path else _IndexAttributes
    if array.attributes or kind is _PackAttributes:
        try:
            msgspec.convert(array.attributes, kind)
        except msgspec.ValidationError as error:
            return f"has wrong attributes: {error}"
    shape, chunk = array.shape, array.chunk_grid.configuration.chunk_shape
    if len(shape) != len(chunk):
        return f"has the shape {shape} and chunks of {chunk}"
    width = chunk[1] if len(chunk) > 1 else 8
    if chunk[0] * width > LARGEST_CHUNK and chunk[0] > 1:
        return f"has chunks of {chunk}; one of ours has at most {LARGEST_CHUNK:,} bytes"
    if -(-shape[0] // chunk[0]) > MOST_BLOCKS:
        return f"has the shape {shape} and chunks of {chunk}: more than {MOST_BLOCKS:,} chunks"
    return None


def _located(document: Mapping[str, Any], error: msgspec.ValidationError) -> str:
    """The error with the path of the node that it is about, which msgspec does not tell."""
    try:
        below = document["consolidated_metadata"]["metadata"]
        for path, node in below.items():
            try:
                msgspec.convert({path: node}, dict[_Path, _Group | _Array])
            except msgspec.ValidationError as found:
                return f"{path!r} is not well formed: {found}"
    except (KeyError, TypeError, AttributeError):
        pass
    return f"it is not well formed: {error}"


@contextmanager
def without_collections() -> Iterator[None]:
    """
    Without looking for cycles, of which JSON makes none.

    They are three fifths of the time of opening a dataset of 10,000 columns (measured).
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
