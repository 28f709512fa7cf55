"""Blocks of a file to arrays, in several threads, in order."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exetera_zarr.errors import ExeteraError
from exetera_zarr.io.cells import CellError
from exetera_zarr.io.convert import Produced, convert
from exetera_zarr.io.csv_text import parse_block

if TYPE_CHECKING:
    from collections.abc import Generator

    from exetera_zarr.io.plan import TablePlan

__all__ = ["Converted", "Failure", "converted_blocks"]

# Blocks under way beside those being worked on: enough that no thread waits for the writer.
BLOCKS_AHEAD = 2
MAX_THREADS = 16


@dataclass(frozen=True)
class Failure:
    """What is wrong with a block: the first bad record, the first bad cell in it."""

    row: int
    reason: str
    column: str | None = None
    value: bytes | None = None


@dataclass(frozen=True)
class Converted:
    """The values of a block, in the order of the plan's fields; or why there are none."""

    rows: int
    lines: int
    arrays: list[Produced]
    failure: Failure | None = None


def converted_blocks(plan: TablePlan) -> Generator[tuple[bytes, Converted]]:
    """
    Split, check and convert the blocks of a file in a pool of threads.

    Parameters
    ----------
    plan
        The file, and what its columns mean.

    Yields
    ------
    block, converted
        In the order of the file. A block with a failure is the last that counts.

    Raises
    ------
    DataError, OSError
        The file cannot be read on; after all blocks before that place.
    """
    threads = min(os.cpu_count() or 1, MAX_THREADS)
    blocks = plan.text.blocks()
    under_way: deque[tuple[bytes, Future[Converted]]] = deque()
    stopped: Exception | None = None
    more = True
    pool = ThreadPoolExecutor(threads, thread_name_prefix="exetera-import")
    try:
        while more or under_way:
            while more and len(under_way) < threads + BLOCKS_AHEAD:
                try:
                    block = next(blocks)
                except StopIteration:
                    more = False
                except (ExeteraError, OSError) as error:
                    # An earlier block may hold an earlier error.
                    stopped, more = error, False
                else:
                    under_way.append((block, pool.submit(_convert_block, block, plan)))
            if under_way:
                block, future = under_way.popleft()
                yield block, future.result()
        if stopped is not None:
            raise stopped
    finally:
        pool.shutdown(cancel_futures=True)


def _convert_block(data: bytes, plan: TablePlan) -> Converted:
    positions = [source.position for source in plan.sources]
    parsed = parse_block(data, len(plan.text.names), positions)
    arrays: list[Produced] = []
    failures: list[Failure] = []
    for source in plan.sources:
        cells = parsed.cells[source.position]
        try:
            arrays += convert(cells, source.definition)
        except CellError as error:
            value = cells[error.row].as_py()
            failures.append(Failure(error.row, error.reason, source.name, value))
    if not failures and parsed.problem is not None:
        failures.append(Failure(parsed.problem.row, parsed.problem.reason))
    # The first in the file, so that the message does not depend on where blocks are cut.
    first = min(failures, key=lambda failure: failure.row, default=None)
    return Converted(parsed.rows, parsed.lines, arrays, first)
