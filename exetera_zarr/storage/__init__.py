"""Where bytes live. The only package that knows zarr, numcodecs, fsspec and h5py."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from exetera_zarr.storage.base import Array, Capability, Commit, Group, Storage
from exetera_zarr.storage.concurrency import together
from exetera_zarr.storage.hdf5.foreign import adopted
from exetera_zarr.storage.memory import MemoryGroup
from exetera_zarr.storage.options import Durability, Mode, OpenOptions
from exetera_zarr.storage.provenance import (
    About,
    Operation,
    Tag,
    checked_text,
    default_author,
    present,
    way_of,
)
from exetera_zarr.storage.registry import open_address, open_scratch, open_storage, shown
from exetera_zarr.storage.system import check_file

if TYPE_CHECKING:
    from exetera_zarr.storage.remote.files import (
        create_file,
        file_exists,
        list_files,
        open_at_random,
        open_file,
    )

__all__ = [
    "About",
    "Array",
    "Capability",
    "Commit",
    "Durability",
    "Group",
    "MemoryGroup",
    "Mode",
    "OpenOptions",
    "Operation",
    "Storage",
    "Tag",
    "adopted",
    "check_file",
    "checked_text",
    "create_file",
    "default_author",
    "file_exists",
    "list_files",
    "open_address",
    "open_at_random",
    "open_file",
    "open_scratch",
    "open_storage",
    "present",
    "shown",
    "together",
    "way_of",
]

# Retries of requests come with a library that most scripts do not need.
_FILES = ("create_file", "file_exists", "list_files", "open_at_random", "open_file")


def __getattr__(name: str) -> Any:
    if name in _FILES:
        return getattr(importlib.import_module("exetera_zarr.storage.remote.files"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
