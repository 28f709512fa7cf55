"""Import schemas as ExeTera reads them: `exetera.io.load_schema`, which ignores unknown keys."""

from __future__ import annotations

from functools import partial
from typing import IO, TYPE_CHECKING, Any

from exetera_zarr.io.schema import load
from exetera_zarr.settings import let_pass

if TYPE_CHECKING:
    import os

    from exetera_zarr.io.schema.definitions import Definition, Schema

__all__ = ["load_schema", "load_schema_file", "schema_file_to_dict"]

_tell = partial(let_pass, None)


def load_schema(source: str | os.PathLike[str] | IO[Any], verbosity: int = 0) -> Schema:
    """As `exetera_zarr.io.load_schema`, but unknown keys are told of instead of refused."""
    return load.load_schema(source, verbosity, tell=_tell)


load_schema_file = load_schema


def schema_file_to_dict(schema: dict[str, Any]) -> dict[str, Definition]:
    """The definitions of one table of a schema, in which unknown keys are told of."""
    return load.schema_file_to_dict(schema, tell=_tell)
