"""What befalls the workers and the client of a cluster, and what may be left of it."""

from __future__ import annotations

import errno
import itertools
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any, Self

from exetera_zarr.storage import keys
from exetera_zarr.storage.zarr.versions import manifests
from exetera_zarr.storage.zarr.versions.retention import kept_versions
from exetera_zarr.storage.zarr.versions.rewritten import Rewritten
from exetera_zarr.storage.zarr.zones import zones_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from exetera_zarr import Dataset

__all__ = [
    "CLIENT_ENDS",
    "ONCE",
    "die_in_shuffle",
    "die_once",
    "fill_disk",
    "free_disk",
    "hurry",
    "relax",
    "strays",
    "wait_until",
]

ONCE = "exetera-once"
"""Name of the variable of the environment that has the marker of who died."""
_TIMEOUT = 60.0


def wait_until(true: Callable[[], bool], what: str) -> None:
    """Wait for something that another process does; AssertionError if it never does."""
    until = time.monotonic() + _TIMEOUT
    while not true():
        assert time.monotonic() < until, f"not in {_TIMEOUT:.0f} seconds: {what}"
        time.sleep(0.02)


# -- what is left


def strays(dataset: Dataset) -> set[str]:
    """Keys in a dataset's place that belong to none of the versions that are kept."""
    storage: Any = dataset.storage
    store, facts = storage.draft.store, storage.draft.base.facts
    known = {keys.DOCUMENT}
    for documents in manifests.documents(store, kept_versions(facts).runs, Rewritten.of(facts)):
        for path, about in documents.items():
            known.add(f"{path}/{keys.DOCUMENT}")
            if about["node_type"] == "array":
                known |= _objects(path, about)
    found = {entry.key for entry in store.everything("")}
    return {key for key in found - known if not key.startswith(f"{keys.MANIFESTS}/")} | {
        key for key in found if ".tmp-" in key
    }


def _objects(path: str, about: Any) -> set[str]:
    (rows, *rest), (block, *_) = about["shape"], about["chunk_grid"]["configuration"]["chunk_shape"]
    tail = "/0" * len(rest)
    chunks = {f"{path}/c/{number}{tail}" for number in range(-(-rows // block))}
    return chunks | ({zones_key(path)} if "zones" in about.get("attributes", {}) else set())


# -- workers


def die_once(marker: str | None = None) -> None:
    """Be killed, unless another process was already."""
    try:
        os.close(os.open(marker or os.environ[ONCE], os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def _dies_before(kind: Any, name: str, number: int, marker: str) -> None:
    """Have this process die before the n-th call of a method, if it is the first to come there."""
    called, calls = getattr(kind, name), itertools.count(1)

    def calling(*given: Any, **named: Any) -> Any:
        if next(calls) == number:
            die_once(marker)
        return called(*given, **named)

    setattr(kind, name, calling)


def die_in_shuffle(marker: str, at: str) -> None:
    """Have one worker die in a shuffle: when it sends, when it receives, or when it unpacks."""
    from distributed.shuffle._core import ShuffleRun
    from distributed.shuffle._shuffle import DataFrameShuffleRun

    match at:
        case "sends":
            _dies_before(ShuffleRun, "add_partition", 2, marker)
        case "receives":
            _dies_before(DataFrameShuffleRun, "_receive", 2, marker)
        case "unpacks":
            _dies_before(ShuffleRun, "get_output_partition", 2, marker)
        case "creates":
            from exetera_zarr.storage import system

            _dies_before(system, "link_or_move", 2, marker)


def fill_disk(part: str, number: int) -> None:
    """Have the n-th new file with something in its path, and all later ones, find the disk full."""
    from exetera_zarr.storage.stores import local

    count = itertools.count(1)

    def opens(path: Any, mode: str = "r", *given: Any, **named: Any) -> Any:
        file = open(path, mode, *given, **named)  # noqa: SIM115, PTH123 - as in the place of it
        if mode == "xb" and part in str(path) and next(count) >= number:
            return _Full(file)
        return file

    local.open = opens  # type: ignore[attr-defined]


class _Full:
    """A file of which half of what is written finds room."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def write(self, data: bytes) -> int:
        self.file.write(data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def free_disk() -> None:
    """Let there be room again."""
    from exetera_zarr.storage.stores import local

    vars(local).pop("open", None)


def hurry() -> None:
    """Have this process try as often as ever, in less time."""
    from exetera_zarr.storage.remote.requests import patience

    patience.deadline, patience.shortest, patience.longest = 3.0, 0.001, 0.02


def relax() -> None:
    """Have it as much patience as it had."""
    from exetera_zarr.storage.remote.requests import Patience, patience

    vars(patience).update(vars(Patience()))


# -- the client

CLIENT_ENDS = (
    "when partitions are being staged",
    "when all partitions are staged",
    "when blocks are being placed",
    "when the table is in the draft",
    "before the manifest",
    "after the manifest",
)


def _arm_client(at: str) -> None:
    from exetera_zarr.dask import running, writing
    from exetera_zarr.storage.stores.local import LocalStore

    def dies(*_: Any, **__: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    taken, create = running._taken, LocalStore.create
    match at:
        case "when partitions are being staged":
            running._taken = dies  # type: ignore[assignment]
        case "when all partitions are staged":
            writing.place_all = dies  # type: ignore[assignment, attr-defined]
        case "when blocks are being placed":
            placing: Any = lambda *given: dies() if given[2] is running._of_block else taken(*given)
            running._taken = placing
        case "when the table is in the draft":
            pass
        case _:

            def creates(self: Any, key: str, data: bytes) -> bool:
                if not key.startswith(keys.MANIFESTS) or key == keys.manifest_key(0):
                    return create(self, key, data)  # also that of a scratch dataset
                if at == "after the manifest":
                    create(self, key, data)
                dies()
                return False

            LocalStore.create = creates  # type: ignore[method-assign]


def main(scheduler: str, url: str, at: str) -> None:
    """Write a copy of a table on a cluster, and be killed."""
    from distributed import Client

    from exetera_zarr import Session

    _arm_client(at)
    with Client(scheduler), Session() as s:
        ds = s.open_dataset(url, "r+", "study")
        ds.write_dask(ds["people"].to_dask(), "copy", row_block=7)
        if at == "when the table is in the draft":
            os.kill(os.getpid(), signal.SIGKILL)
        ds.commit()


if __name__ == "__main__":
    main(*sys.argv[1:])
