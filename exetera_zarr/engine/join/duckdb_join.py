"""The join of any keys, strings among them: DuckDB's hash join of the keys with their row numbers.

The smaller side is held in a table, which DuckDB spills, and the larger one streams along it. What
is out of memory all the same is tried again over parts of the keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from exetera_zarr.engine.duckdb.feed import BATCH, feeding, schema_of, words_of
from exetera_zarr.engine.join.matches import Matches, numbered, regrouped
from exetera_zarr.engine.streams.radix_sort import Words, bits_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from exetera_zarr.engine.columns.types import Column
    from exetera_zarr.engine.duckdb.feed import Feeder
    from exetera_zarr.engine.sort import sort_keys
    from exetera_zarr.engine.streams.source import Source
    from exetera_zarr.engine.streams.workspace import Spill, Workspace

__all__ = ["HashJoin"]

#: Into how many parts the keys are divided if they do not fit at once.
PARTITIONS = (1, 8, 64)
#: The first two would choose the side that is built, without knowing how large a reader's is. The
#: last asks a reader for the range of the built keys, and fails at words above 2**63 (DuckDB 1.5).
_UNWANTED = "join_order,build_side_probe_side,join_filter_pushdown"


class HashJoin:
    """The join of any keys; the methods are those of `WordJoin`."""

    def __init__(self, left: Source, right: Source, plan: sort_keys.Keys, work: Workspace) -> None:
        self._left, self._right, self._plan, self._work = left, right, plan, work
        self._places: Spill | None = None
        self._keys = [f"k{i}" for i in range(len(plan.read(left.empty)))]

    def regroup(self) -> Spill | None:
        """As `WordJoin.regroup`."""
        order = regrouped(self._all_heads(), self._left.rows, self._work)
        if order is None:
            return None
        self._places = order.places
        return order.rows

    def _all_heads(self) -> Words | None:
        bits = bits_of(self._left.rows)
        heads = Words(self._work, 2 * bits)
        repeated = _by_partitions(lambda where: self._heads(where, heads), heads.close)
        if repeated:
            return heads
        heads.close()
        return None

    def _heads(self, where: str, heads: Words) -> bool:
        """Find the heads of a part of the keys; whether a key occurs twice."""
        names = ", ".join(self._keys)
        with feeding(self._work) as feeder:
            self._register(feeder, "fed", self._left, None)
            run = feeder.connection.sql
            run(f"CREATE TEMP TABLE l AS SELECT * FROM fed {where}")  # noqa: S608 - all ours
            run(
                "CREATE TEMP TABLE h AS "  # noqa: S608 - all ours
                f"SELECT {names}, min(row) AS head FROM l GROUP BY {names} HAVING count(*) > 1"
            )
            query = f"SELECT coalesce(head, row), row FROM l LEFT JOIN h USING ({names})"  # noqa: S608
            repeated = False
            for batch in run(query).to_arrow_reader(BATCH):
                head, row = words_of(batch)
                repeated = repeated or bool((head != row).any())
                heads.append((head << np.uint64(heads.bits // 2)) | row)
        return repeated

    def find(self, found: Matches) -> None:
        """As `WordJoin.find`."""
        _by_partitions(lambda where: self._find(where, found), found.close)

    def _find(self, where: str, found: Matches) -> bool:
        """Find the pairs of a part of the keys."""
        n_left, n_right = self._left.rows, self._right.rows
        probe, build = ("r", "l") if n_left < n_right else ("l", "r")
        kept = {"l": found.keep, "r": found.alone}
        kind = {
            (True, True): "FULL",
            (True, False): "LEFT",
            (False, True): "RIGHT",
            (False, False): "INNER",
        }[kept[probe], kept[build]]
        on = " AND ".join(f"p.{name} = b.{name}" for name in self._keys)
        rows = {probe: "p.row", build: "b.row"}
        with feeding(self._work) as feeder:
            self._register(feeder, "l", self._left, self._places)
            self._register(feeder, "r", self._right, None)
            run = feeder.connection.sql
            run(f"SET disabled_optimizers = '{_UNWANTED}'")
            run(f"CREATE TEMP TABLE b AS SELECT * FROM {build} {where}")  # noqa: S608 - all ours
            query = (
                f"SELECT coalesce({rows['l']}, {n_left}::UBIGINT), "  # noqa: S608 - all ours
                f"coalesce({rows['r']}, {n_right}::UBIGINT) "
                f"FROM (SELECT * FROM {probe} {where}) p {kind} JOIN b ON {on}"
            )
            for batch in run(query).to_arrow_reader(BATCH):
                left, right = words_of(batch)
                if found.alone:
                    single = left == n_left
                    found.append_right(right[single])
                    left, right = left[~single], right[~single]
                found.append(left.copy(), right)
        return True

    def _register(self, feeder: Feeder, name: str, source: Source, places: Spill | None) -> None:
        def blocks() -> Generator[list[Column]]:
            for block, numbers in numbered(source, places):
                yield [*self._plan.read(block), numbers]

        empty = [*self._plan.read(source.empty), np.zeros(0, np.uint64)]
        feeder.register(name, schema_of([*self._keys, "row"], empty), blocks())

    def close(self) -> None:
        """There is nothing to forget."""


def _by_partitions(work: Callable[[str], bool], clear: Callable[[], None]) -> bool:
    """Work on all keys at once, or on one part of them after the other; whether any did."""
    for parts in PARTITIONS:
        try:
            done = [work(where) for where in _conditions(parts)]
            return any(done)
        except MemoryError:
            clear()
            if parts == PARTITIONS[-1]:
                raise
    raise AssertionError


def _conditions(parts: int) -> list[str]:
    if parts == 1:
        return [""]
    return [f"WHERE hash(k0) % {parts} = {part}" for part in range(parts)]
