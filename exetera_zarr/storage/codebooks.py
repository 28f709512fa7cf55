"""What people say of tables and fields, as it is stored: the attribute ``codebook`` of a group.

It is checked here for all back ends, since a dataset may come from a stranger.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from exetera_zarr.errors import CorruptDataError
from exetera_zarr.storage.provenance import LONGEST

__all__ = ["ATTRIBUTE", "MOST_ANNOTATIONS", "MOST_CODES", "Codebook", "check"]

ATTRIBUTE: Final = "codebook"
"""The attribute of a table or field that has its label, its description, and so on."""
MOST_ANNOTATIONS: Final = 100_000
"""Characters of annotations, as JSON."""
MOST_CODES: Final = 1_000
"""Missing codes of one field."""

_Text: TypeAlias = Annotated[str, Meta(max_length=LONGEST)]
_Code: TypeAlias = tuple[str | int | float, _Text]


class Codebook(Struct):
    """The value of the attribute; there may be other keys, which are kept."""

    label: _Text | UnsetType = UNSET
    unit: _Text | UnsetType = UNSET
    description: _Text | UnsetType = UNSET
    missing_codes: Annotated[list[_Code], Meta(max_length=MOST_CODES)] | UnsetType = UNSET
    annotations: dict[str, Any] | UnsetType = UNSET


def check(value: object, where: str) -> None:
    """Raise CorruptDataError unless a value read from JSON is what the attribute may be."""
    try:
        msgspec.convert(value, Codebook)
        json.dumps(value, ensure_ascii=False).encode()
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise CorruptDataError(f"{where}: the codebook is not well formed: {error}") from None
