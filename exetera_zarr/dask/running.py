"""The tasks of a write, on a cluster or in this process: each result is taken once, as it comes."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import dask
import pandas as pd

from exetera_zarr.dask import jobs
from exetera_zarr.dask.clients import current_client
from exetera_zarr.dask.staging import Stage, said_of
from exetera_zarr.errors import ExeteraError, StorageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import dask.dataframe as dd

    from exetera_zarr.dask.placing import Place
    from exetera_zarr.dask.staging import Job, Receipt

__all__ = ["Task", "end_all", "place_all", "run_all", "stage_all", "taken_from"]

_PAUSE = 0.05
_ENDING = 30.0
"""Seconds that tasks which are under way have to end when the others are cancelled."""

_STEP = (
    "exetera_zarr: the error is of a step that makes the collection; where Dask finds columns that "
    "the collection does not have, give that step the right meta="
)


class Task(Protocol):
    """What a worker does, which is the same whoever does it, and however often."""

    @property
    def name(self) -> str:
        """Of this task alone."""

    def __call__(self) -> Any: ...


def stage_all(collection: dd.DataFrame, job: Job) -> list[Receipt]:
    """
    Run what a collection stands for once, and have each partition staged.

    Parameters
    ----------
    collection
        What is written.
    job
        The write.

    Returns
    -------
    list of Receipt
        One of each partition, in order.
    """
    client = current_client()
    if client is None:
        parts = collection.to_delayed()
        tasks = [
            dask.delayed(Stage(job, number), pure=False, traverse=False)(part)
            for number, part in enumerate(parts)
        ]
        try:
            return list(dask.compute(*tasks))
        except ValueError as error:
            if not isinstance(error, ExeteraError):
                error.add_note(_STEP)
            raise
    staged = collection.map_partitions(
        Stage(job),
        meta=pd.Series([], dtype=object),
        enforce_metadata=False,
        token=f"stage-{job.id}",
    )
    # Not compute(): a result that a worker holds until the end is lost with it, and made again.
    return taken_from(client, staged, partial(_of_partition, job))


def taken_from(client: Any, collection: Any, told: Any = None) -> list[Any]:
    """
    The partitions of a collection, in order, each of which is a result to be taken once.

    Parameters
    ----------
    client
        Of the cluster.
    collection
        Each partition of which is what a task gives, and no part of a table.
    told
        Raises what went wrong with a partition, from its number and future.
    """
    persisted = client.persist(collection)
    futures = _futures_of(persisted)
    del persisted
    return _taken(client, futures, told or _of_block)


def place_all(work: Sequence[Place]) -> list[tuple[str, int, Any]]:
    """
    Have blocks placed.

    Returns
    -------
    list
        As of `Place`, of all.
    """
    return [block for blocks in run_all(work) for block in blocks]


def run_all(work: Sequence[Task]) -> list[Any]:
    """The results of tasks, in their order."""
    client = current_client()
    if client is None:
        return list(
            dask.compute(*[dask.delayed(one, pure=False, traverse=False)() for one in work])
        )
    futures = {client.submit(_call, one, key=one.name, pure=False): n for n, one in enumerate(work)}
    return _taken(client, futures, _of_block)


def end_all(job: str) -> None:
    """Have no task of a job begin to write anywhere; return when those that do so have ended."""
    jobs.end(job)
    # In a thread, since a frozen worker does not answer; what it leaves is removed by a vacuum.
    waiting = threading.Thread(target=_end, args=(job, current_client()), daemon=True)
    waiting.start()
    waiting.join(_ENDING)


def _end(job: str, client: Any) -> None:
    until = time.monotonic() + _ENDING
    while time.monotonic() < until:
        busy = jobs.end(job)
        if client is not None:
            with suppress(Exception):  # of a client or of workers that are gone
                counts = client.run(jobs.end, job, on_error="ignore")
                busy += sum(counts.values())
        if not busy:
            return
        time.sleep(_PAUSE)


def _call(task: Task) -> Any:
    return task()


def _futures_of(persisted: Any) -> dict[Any, int]:
    """The futures of a collection, and the numbers of their partitions."""
    from distributed import futures_of

    return {future: future.key[-1] for future in futures_of(persisted)}


def _taken(client: Any, futures: dict[Any, int], told: Any) -> list[Any]:
    """The results in order; each is let go when it was taken, so that none is made again."""
    from distributed import as_completed

    found: dict[int, Any] = {}
    count = len(futures)
    waiting = list(futures)
    try:
        for future in as_completed(waiting):
            number = futures.pop(future)
            if future.status != "finished":
                told(number, future)
            found[number] = future.result()
            future.release()
    except BaseException:
        client.cancel(list(futures), force=True)
        raise
    finally:
        waiting.clear()
    if sorted(found) != list(range(count)):  # never seen; better told than written
        raise StorageError(f"of {count} tasks of the cluster, {len(found)} have told what they did")
    return [found[number] for number in range(count)]


def _of_partition(job: Job, number: int, future: Any) -> None:
    """Raise what went wrong with a partition, and say with which."""
    error = future.exception()
    if isinstance(error, ExeteraError):
        raise type(error)(said_of(number, job.table, error)) from error
    if isinstance(error, ValueError):
        error.add_note(f"exetera_zarr: partition {number}; {_STEP.partition(': ')[2]}")
    _of_block(number, future)


def _of_block(_number: int, future: Any) -> None:
    error = future.exception()
    if isinstance(error, ExeteraError) or error is None:
        return  # raised where the result is asked for
    error.add_note("exetera_zarr: nothing was written, and what had been staged is removed")
    raise error
