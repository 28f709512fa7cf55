"""Dask in, Dask out: tables as collections that workers read, and collections as tables.

`reading` and `writing` are what tables hand over to; `opened` is what tasks carry.
"""

from __future__ import annotations

from exetera_zarr.errors import needing

with needing("exetera_zarr.dask", "exetera-zarr[dask]"):
    from exetera_zarr.dask.credentials import WorkerCredentials

__all__ = ["WorkerCredentials"]
