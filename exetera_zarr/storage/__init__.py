"""Where bytes live. The only package that knows zarr, numcodecs, fsspec and h5py."""

from exetera_zarr.storage.base import Array, Capability, Commit, Group, Storage
from exetera_zarr.storage.concurrency import together
from exetera_zarr.storage.memory import MemoryGroup
from exetera_zarr.storage.registry import list_files, open_file, open_storage, share_reads, shown

__all__ = [
    "Array",
    "Capability",
    "Commit",
    "Group",
    "MemoryGroup",
    "Storage",
    "list_files",
    "open_file",
    "open_storage",
    "share_reads",
    "shown",
    "together",
]
