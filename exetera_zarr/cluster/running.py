"""One verb on a cluster: its tasks, what they stage for each other, and the end of all of it."""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

from exetera_zarr.cluster.filtering import kept_rows
from exetera_zarr.cluster.gathering import RowsOnCluster
from exetera_zarr.cluster.grouping import groups_of
from exetera_zarr.cluster.merging import pairs_of
from exetera_zarr.cluster.sorting import sorted_rows
from exetera_zarr.dask import jobs
from exetera_zarr.dask.clients import check_workers
from exetera_zarr.dask.reading import place_of
from exetera_zarr.dask.running import end_all, run_all
from exetera_zarr.dask.staging import Job
from exetera_zarr.fields.sources import workspace

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from exetera_zarr.cluster.numbers import Part
    from exetera_zarr.dask.opened import TablePlace
    from exetera_zarr.dask.running import Task
    from exetera_zarr.fields.base import Field
    from exetera_zarr.tables.dataframe import DataFrame
    from exetera_zarr.tables.present_groups import PresentGroups

__all__ = ["Run"]


class Run:
    """
    A verb on the cluster of a session, within ``with``; an error leaves nothing of it behind.

    Parameters
    ----------
    verb
        Its name, which its tasks have.
    frames
        The tables that it reads, as they are committed.
    where
        A table of the dataset that tasks write to, and stage in.
    """

    def __init__(self, verb: str, frames: Sequence[DataFrame], where: DataFrame) -> None:
        dataset = where.dataset
        self.client: Any = frames[0].dataset.settings.cluster
        self.verb = verb
        self.job = Job(
            secrets.token_hex(8),
            dataset.storage.address(),
            where.name,
            (),
            where.group.row_block,
            not dataset.settings.face.sees_missing,
        )
        self.workshop = dataset.storage.workshop(self.job.id)
        self.paths: list[str] = []
        """Where blocks are placed; told before they are."""
        self._places = {id(frame): place_of(frame) for frame in frames}
        self._stack = ExitStack()
        self._work = workspace(dataset.settings)

    def __enter__(self) -> Self:
        self._stack.enter_context(self._work)
        self._stack.enter_context(self.client.as_current())
        try:
            for address in dict.fromkeys(
                [self.job.address, *(place.address for place in self._places.values())]
            ):
                check_workers(self.client, address)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        with self._stack:
            if error is None:
                jobs.end(self.job.id)
                self.workshop.remove()
            else:
                end_all(self.job.id)
                self.workshop.remove(self.paths)

    def place_of(self, frame: DataFrame) -> TablePlace:
        """Where tasks find a table: as it was committed when the verb began."""
        return self._places[id(frame)]

    # -- the verbs

    def filtered(self, frame: DataFrame, given: Any) -> RowsOnCluster:
        """The rows for which a filter is true; errors are those of `DataFrame.apply_filter`."""
        return self.rows(frame, kept_rows(self, frame, given))

    def ordered(
        self, frame: DataFrame, by: Sequence[str], ascending: list[bool] | bool, *, copy: bool
    ) -> RowsOnCluster | None:
        """The rows in the order of keys; None where they are in it, unless they are copied."""
        parts = sorted_rows(self, frame, by, ascending, copy=copy)
        return None if parts is None else self.rows(frame, parts)

    def groups(
        self,
        frame: DataFrame,
        by: Sequence[str],
        targets: Sequence[str],
        wanted: Sequence[tuple[int, str]],
        *,
        ordered: bool | None,
    ) -> Generator[PresentGroups]:
        """The groups of a table; see `tables.present_groups.grouped`."""
        return groups_of(self, frame, by, targets, wanted, ordered=ordered)

    def pairs(
        self,
        left: DataFrame,
        right: DataFrame,
        left_keys: Sequence[Field],
        right_keys: Sequence[Field],
        how: str,
        *,
        hinted: bool,
    ) -> tuple[RowsOnCluster, RowsOnCluster] | None:
        """The rows of both sides of a merge; None where they are to be found in this process."""
        found = pairs_of(self, left, right, left_keys, right_keys, how, hinted=hinted)
        return None if found is None else (self.rows(left, found[0]), self.rows(right, found[1]))

    def rows(self, frame: DataFrame, parts: Sequence[Part]) -> RowsOnCluster:
        """Row numbers of a table that tasks have staged."""
        return RowsOnCluster(self, frame, parts, self._work)

    # -- its tasks

    def all(self, tasks: Sequence[Task]) -> list[Any]:
        """The results of tasks, in their order; each is taken once, as it comes."""
        return run_all(tasks) if tasks else []

    def ranges(self, frame: DataFrame, share: int) -> list[tuple[int, int]]:
        """
        Rows of a table for tasks: whole blocks, several where there are many.

        Parameters
        ----------
        frame
            The table.
        share
            Tasks for each thread, at most.
        """
        block, rows = frame.group.row_block, frame.length()
        blocks = -(-rows // block)
        step = max(blocks // (share * self.threads), 1) * block
        return [(start, min(start + step, rows)) for start in range(0, rows, step)]

    @property
    def threads(self) -> int:
        """How many tasks run at a time."""
        return max(sum(map(int, self.client.nthreads().values())), 1)

    def partitions(self, size: int) -> int:
        """How many partitions a shuffle of so many bytes has: each fits a task, all are busy."""
        return max(2 * self.threads, -(-size // self.memory))

    @property
    def memory(self) -> int:
        """Bytes that a task may hold: an eighth of what the least worker has for a thread."""
        workers = self.client.scheduler_info(n_workers=-1)["workers"].values()
        shares = [one["memory_limit"] // max(one["nthreads"], 1) for one in workers]
        known = [share for share in shares if share]
        return int(min(known, default=2 << 30)) // 8
