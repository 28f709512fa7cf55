"""Documents become objects here: what a manifest or root document says is checked as a whole.

A dataset may come from a stranger, who can make a right checksum as anybody can. What is behind
this module takes types, bounds and paths for granted. The checks are msgspec's, which are compiled.

Arrays of one type and length have the same document, byte for byte. It is decoded and checked once,
and is one object wherever it is, so that opening costs less than it does without any check.
"""

from __future__ import annotations

import gc
import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from exetera_zarr.errors import CorruptDataError, DataError
from exetera_zarr.fieldtypes import NUMBERS  # noqa: TC001 - msgspec reads the annotations
from exetera_zarr.storage import keys, names
from exetera_zarr.storage.codebooks import Codebook  # noqa: TC001 - msgspec reads it
from exetera_zarr.storage.stores.base import LARGEST_CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "MOST_BLOCKS",
    "check",
    "check_changes",
    "check_count",
    "check_erased",
    "check_facts",
    "check_nodes",
    "count_of",
    "limits",
    "parsed",
    "parsed_nodes",
    "plain",
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
_ArrayName: TypeAlias = Annotated[str, Meta(pattern=keys.ARRAY_NAME)]
_PackName: TypeAlias = Annotated[str, Meta(pattern=keys.PACK_NAME)]
_MOST_PARTS = 1 << 12
_ArrayNames: TypeAlias = Annotated[list[_ArrayName], Meta(min_length=1, max_length=_MOST_PARTS)]
_Role: TypeAlias = Literal["values", "index"]


class _Keep(Struct):
    versions: Annotated[int, Meta(ge=1)] = 3
    seconds: Annotated[float, Meta(ge=0)] | None = None


class _Tag(Struct):
    version: _Version
    created: str = ""
    message: str = ""
    author: str = ""


class _Operation(Struct):
    verb: str
    table: str
    read: list[str] = []
    details: dict[str, Any] = {}


class _About(Struct):
    version: _Version
    message: str = ""
    author: str = ""
    program: str = ""
    operations: list[_Operation] = []
    left_out: Annotated[int, Meta(ge=0)] = 0


class _Rewritten(Struct):
    id: Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
    ranges: Annotated[list[tuple[_Version, _Version]], Meta(min_length=1)]


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
    tags: dict[str, _Tag] = {}
    restored: list[_Version] = []
    about: _About | UnsetType = UNSET
    rewritten: _Rewritten | UnsetType = UNSET
    erasure: _Version | UnsetType = UNSET


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
    codebook: Codebook | UnsetType = UNSET


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


class _Root(Struct):
    attributes: _RootAttributes


class _FactsOfChanges(_Facts, kw_only=True):
    root: _Digest


class _AttributesOfChanges(Struct):
    exetera: _FactsOfChanges


class _Changes(Struct):
    """A manifest that has only what changed."""

    attributes: _AttributesOfChanges
    over: Annotated[list[tuple[_Version, int]], Meta(min_length=1, max_length=64)]


class _Consolidated(Struct):
    metadata: dict[str, Raw]


class _Parts(Struct):
    """What is used of a document, with its nodes as they are written."""

    attributes: Any = UNSET
    over: Any = UNSET
    changes: dict[str, Raw] | UnsetType = UNSET
    consolidated_metadata: _Consolidated | UnsetType = UNSET


_anything: Final = msgspec.json.Decoder()
_parts: Final = msgspec.json.Decoder(_Parts)


class _FactsOfErased(Struct):
    checksum: _Digest
    root: _Digest
    version: _Version
    previous: _Digest | None
    created: str
    writer: str
    changed: list[str]


class _AttributesOfErased(Struct):
    exetera: _FactsOfErased


class _Erased(Struct):
    """A manifest of which an erasure has left nothing but its place."""

    attributes: _AttributesOfErased


def plain(document: Mapping[str, Any]) -> bytes:
    """The bytes of a Zarr document."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8")


def count_of(data: bytes) -> int:
    """The values that a document may have at most."""
    return len(data) - len(data.translate(None, b",[{"))


def check_count(count: int, where: str) -> None:
    """CorruptDataError where a document may have more values than a dataset needs."""
    if count > limits.values:
        raise CorruptDataError(
            f"{where} may have up to {count:,} values, and {limits.values:,} are the most that are "
            "read of a document; exetera_zarr.storage.zarr.documents.limits.values is that number"
        )


def parsed(data: bytes, where: str) -> dict[str, Any]:
    """
    The JSON object that some bytes are.

    Parameters
    ----------
    data
        The bytes.
    where
        For messages.

    Returns
    -------
    dict
        What is used of it. Nodes that are written alike are one object, not to be changed.

    Raises
    ------
    CorruptDataError
        They are none, or have more values than a dataset needs.
    """
    if len(data) > limits.values:  # a value has a byte, and more
        check_count(count_of(data), where)
    try:
        with without_collections():
            document = _decoded(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CorruptDataError(f"{where} is not a document of a dataset: {error}") from error
    if not isinstance(document, dict):
        raise CorruptDataError(f"{where} is not a document of a dataset: it is no JSON object")
    return document


def parsed_nodes(data: bytes) -> dict[str, Any]:
    """The documents of nodes, by path, that a JSON object of ours has; as of `parsed`."""
    with without_collections():
        return _nodes(msgspec.json.decode(data, type=dict[str, Raw]))


def _decoded(data: bytes) -> Any:
    try:
        parts = _parts.decode(data)
    except msgspec.ValidationError:  # of which `check` finds out what is wrong
        return _anything.decode(data)
    found: dict[str, Any] = {}
    if parts.attributes is not UNSET:
        found["attributes"] = parts.attributes
    if parts.over is not UNSET:
        found["over"] = parts.over
    if parts.changes is not UNSET:
        found["changes"] = _nodes(parts.changes)
    if parts.consolidated_metadata is not UNSET:
        found["consolidated_metadata"] = {"metadata": _nodes(parts.consolidated_metadata.metadata)}
    return found


def _nodes(written: Mapping[str, Raw]) -> dict[str, Any]:
    """The documents of nodes; those that are alike are decoded once."""
    known: dict[bytes, Any] = {}
    found: dict[str, Any] = {}
    for path, raw in written.items():
        data = bytes(raw)
        node = known.get(data)
        if node is None:
            node = known[data] = _anything.decode(data)
        found[path] = node
    return found


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
    check_facts(document, where)
    below = document.get("consolidated_metadata")
    check_nodes(below.get("metadata") if isinstance(below, dict) else below, where)


def check_facts(document: Mapping[str, Any], where: str) -> None:
    """The same of what a root document says of its version alone."""
    facts = _converted(document, _Root, where).attributes.exetera
    problem = _wrong_with_kept(facts)
    if problem is not None:
        raise CorruptDataError(f"{where}: it {problem}")


def check_nodes(below: object, where: str) -> None:
    """The same of the documents of nodes alone, by path; of a group's, all that it names."""
    found = _checked(below, where)
    right: set[int] = set()
    """Ids of arrays of which nothing but their paths can be wrong."""
    for path, node in found.items():
        problem = _wrong_with_path(path, node)
        if problem is None and isinstance(node, _Group):
            problem = _wrong_with_group(path, node, found)
        elif problem is None and isinstance(node, _Array):
            kind = _PackAttributes if "/__pack-" in path else _IndexAttributes
            if kind is _PackAttributes or id(node) not in right:
                problem = _wrong_with_array(node, kind)
                right.add(id(node))
        if problem is not None:
            raise CorruptDataError(f"{where}: {path!r} {problem}")


def check_changes(document: Mapping[str, Any], where: str) -> None:
    """The same of a manifest that has only what changed; what it is over is checked with it."""
    said = _converted(document, _Changes, where)
    problem = _wrong_with_kept(said.attributes.exetera)
    if problem is not None:
        raise CorruptDataError(f"{where}: it {problem}")
    numbers = [said.attributes.exetera.version, *(number for number, _ in said.over)]
    if numbers != sorted(set(numbers), reverse=True):
        raise CorruptDataError(f"{where}: version {numbers[0]} cannot be over {numbers[1:]}")
    for path, node in _checked(document.get("changes"), where).items():
        problem = _wrong_with_path(path, node)
        if problem is not None:
            raise CorruptDataError(f"{where}: {path!r} {problem}")


def check_erased(document: Mapping[str, Any], where: str) -> None:
    """The same of a manifest that was erased."""
    _converted(document, _Erased, where)


_Checked = TypeVar("_Checked", bound=Struct)


def _converted(document: Mapping[str, Any], kind: type[_Checked], where: str) -> _Checked:
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise CorruptDataError(f"{where}: it is not well formed: {error}") from None


def _checked(nodes: object, where: str) -> dict[str, _Group | _Array]:
    """What the documents of nodes say; the same object for the same document."""
    if not isinstance(nodes, dict):
        raise CorruptDataError(f"{where}: it is not well formed: it has no documents of nodes")
    each = {id(node): node for node in nodes.values()}
    try:
        with without_collections():
            found = msgspec.convert([*each.values()], list[_Group | _Array])
    except msgspec.ValidationError as error:
        raise CorruptDataError(f"{where}: {_located(nodes, error)}") from None
    known = dict(zip(each, found, strict=True))
    return {path: known[id(node)] for path, node in nodes.items()}


def _wrong_with_kept(facts: _Facts) -> str | None:
    """What a sweep goes by: where no version is said to be kept, all would be removed."""
    numbers = [number for number, _ in facts.kept]
    if numbers and (numbers != sorted(set(numbers)) or numbers[-1] != facts.version):
        return f"is version {facts.version} and keeps {numbers}, which does not end with it"
    if facts.rewritten is not UNSET:
        ends = [number for one in facts.rewritten.ranges for number in one]
        if ends != sorted(ends) or ends[-1] >= facts.version:
            return f"is version {facts.version} and has rewritten ranges that do not ascend to it"
    return None


def _wrong_with_path(path: str, node: _Group | _Array) -> str | None:
    if isinstance(node, _Array):
        return None if keys.is_array(path) else "is not the path of an array"
    return None if keys.is_node(path) else "is not the path of a table or field"


def _wrong_with_group(path: str, node: _Group, below: Mapping[str, Any]) -> str | None:
    about = node.attributes
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


def _wrong_with_array(array: _Array, kind: type[_PackAttributes | _IndexAttributes]) -> str | None:
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


def _located(nodes: Mapping[str, Any], error: msgspec.ValidationError) -> str:
    """The error with the path of the node that it is about, which msgspec does not tell."""
    for path, node in nodes.items():
        try:
            msgspec.convert(node, _Group | _Array)
        except msgspec.ValidationError as found:
            return f"{path!r} is not well formed: {found}"
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
