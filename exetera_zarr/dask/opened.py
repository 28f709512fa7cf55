"""Tables as tasks carry them: an address and a name, by which a worker opens the table once."""

from __future__ import annotations

import os
import sys
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exetera_zarr.storage import open_address
from exetera_zarr.tables.dataset import Dataset
from exetera_zarr.tables.session import Session

if TYPE_CHECKING:
    from exetera_zarr.fields.base import Field
    from exetera_zarr.storage.base import Address
    from exetera_zarr.tables.dataframe import DataFrame

__all__ = ["TablePlace", "dataset_at"]

_MOST = 8
"""Datasets that a process has open."""
_LEAST_MEMORY = 256 * 10**6
_CACHE = 64 << 20


@dataclass(frozen=True)
class TablePlace:
    """
    Where a table is, for another process.

    Parameters
    ----------
    address
        Of the version.
    name
        Of the table; of a field at the top level, its own.
    exetera
        Whether it is seen in ExeTera's face.
    """

    address: Address
    name: str
    exetera: bool = False

    def __str__(self) -> str:
        return f"{self.name!r} in {self.address}"

    def __dask_tokenize__(self) -> object:
        return (type(self).__name__, self.address.digest, self.name, self.exetera)

    def open(self) -> DataFrame:
        """The table, in this process."""
        return dataset_at(self.address, exetera=self.exetera).get_dataframe(self.name)

    def field(self, name: str | None) -> Field:
        """A field of the table; without a name the one at the top level."""
        if name is not None:
            return self.open().get_field(name)
        found: Field = dataset_at(self.address, exetera=self.exetera)[self.name]
        return found


class _Opened:
    """The datasets that this process has opened for tasks; those used last."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.locks: dict[Any, threading.Lock] = {}
        self.datasets: OrderedDict[Any, tuple[Session, Dataset]] = OrderedDict()


_opened = _Opened()


def dataset_at(address: Address, *, exetera: bool = False) -> Dataset:
    """
    The dataset at an address, opened when it is first asked for in this process.

    Parameters
    ----------
    address
        Of a version.
    exetera
        Whether it is seen in ExeTera's face.
    """
    global _opened  # noqa: PLW0603 - what was open before a fork is the parent's
    if _opened.pid != os.getpid():
        _opened = _Opened()
    known, key = _opened, (address, exetera)
    with known.lock:
        lock = known.locks.setdefault(key, threading.Lock())
    with lock:  # who wants the same waits, and asks for nothing
        with known.lock:
            if key in known.datasets:
                known.datasets.move_to_end(key)
                return known.datasets[key][1]
        memory = _memory()
        session = Session(memory_limit=memory, exetera=exetera)
        storage = open_address(address, _CACHE)
        dataset = Dataset(session, storage, "read by tasks", session.settings)
        with known.lock:
            known.datasets[key] = session, dataset
            while len(known.datasets) > _MOST:
                gone, _ = known.datasets.popitem(last=False)
                known.locks.pop(gone, None)
        return dataset


def _memory() -> int | None:
    """A share of the memory of this worker, if this is one: that of a thread, by half."""
    distributed = sys.modules.get("distributed")
    try:
        worker = distributed.get_worker() if distributed is not None else None
        limit = worker.memory_manager.memory_limit if worker is not None else None
        threads = worker.state.nthreads if worker is not None else 1
    except (ValueError, AttributeError):  # no worker, or one of another release
        return None
    return max(int(limit) // (2 * threads), _LEAST_MEMORY) if limit else None
