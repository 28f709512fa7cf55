"""Changed and new rows by their key, into a long table on the disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.appends.stage import (
    DELTA,
    LANCE,
    OURS,
    FailedError,
    Stage,
    busy,
    measured,
    middle,
)
from benchmarks.contestants.growing import Lap
from benchmarks.report import table
from benchmarks.results import Check, Column, digest
from benchmarks.standings import met
from benchmarks.traffic import Client

ABOUT = """\
A table of {upsert_rows:,} rows and 50 columns: a unique int64 key `id` in no order, 20 columns of
int32, 14 of float64, 4 of moments, 4 of bool, 4 of texts of 20 values (categories of ours,
dictionaries in what Lance is given) and 3 of texts of very many. A fresh process upserts 1 % of the
rows, of which {changed}, and 0.1 % new ones, in no order; *peak* is the most memory that it had
resident, libraries and `memory_limit="1GB"` of ours included. All rows were compared by their
hashes. One run after another."""
LIMIT = "1GB"
PEAK = 1.2e9
SLOWEST = 2.0
BLOCK = 1 << 18
KINDS = {
    **{f"number{i:02}": "int" for i in range(20)},
    **{f"value{i:02}": "float" for i in range(14)},
    **{f"moment{i}": "time" for i in range(4)},
    **{f"flag{i}": "bool" for i in range(4)},
    **{f"few{i}": "few" for i in range(4)},
    **{f"text{i}": "text" for i in range(3)},
}
FEW = [f"answer {number}" for number in range(20)]
SOME = ("number00", "value00", "moment0", "flag0", "few0")
"""The columns in which rows differ that differ in some."""
COLUMNS = tuple(
    Column(name, "text" if kind == "few" else kind) for name, kind in {"id": "int", **KINDS}.items()
)


def run(made: Stage) -> str:
    """Measure with rows that differ in all columns, and in some; the section of the report."""
    count = made.arguments.upsert_rows
    inputs = made.folder("upsert-inputs")
    write(inputs / "rows.parquet", np.random.default_rng(0).permutation(count), seed=1)
    parts = ["## 1 % of the rows changed, and 0.1 % new (`upsert`)"]
    for title, changed in {"in all columns": tuple(KINDS), "in five columns": SOME}.items():
        expect(inputs, count, changed)
        entrants = made.some(LANCE, DELTA)
        entrants[0] = replace(OURS, options={"memory_limit": LIMIT})
        found = measured(f"upsert, {title}", entrants, lambda who: upsert(made, who, inputs))
        what = f"each differs {title}"
        about = ABOUT.format(upsert_rows=count, changed=what)
        parts += [f"### rows that differ {title}", about, lines(found)]
    return "\n\n".join(parts)


def upsert(made: Stage, entrant: Client, inputs: Path) -> tuple[Lap, int]:
    """Load the table, upsert, and compare; what the upsert took, and its peak."""
    place = made.on_disk(made.fresh())
    made.have(entrant, "load", place, inputs, file="rows.parquet")
    done = made.have(entrant, "upsert", place, inputs, file="changes.parquet")
    target = f"{made.fresh()}.parquet"
    made.have(entrant, "export", place, inputs, file=target)
    check = Check(COLUMNS)
    found, right = (digest(inputs / name, check) for name in (target, "expected.parquet"))
    (inputs / target).unlink()
    if replace(found, ordered=0) != replace(right, ordered=0):
        raise FailedError("other values")
    return tuple(done.laps[0]), done.peak


def lines(found: dict[str, tuple[Lap, int] | FailedError]) -> str:
    """The table of one kind of change."""
    done = {name: one for name, one in found.items() if not isinstance(one, FailedError)}
    rivals = [middle([lap]) for name, (lap, _) in done.items() if name != OURS.name]
    rows = []
    for name, one in found.items():
        if isinstance(one, FailedError):
            rows.append([name, str(one), *["-"] * 3])
            continue
        lap, peak = one
        verdict = "-"
        if name == OURS.name:
            verdict = f"peak < {PEAK / 1e9:g} GB: {met(peak < PEAK)}"
            if rivals:
                reached = middle([lap]) <= SLOWEST * min(rivals)
                verdict = f"<= {SLOWEST:g} of the better peer's time: {met(reached)}, {verdict}"
        times = [f"{middle([lap]):.1f} s", f"{busy([lap]):.1f} s"]
        rows.append([name, *times, f"{peak / 1e6:,.0f} MB", verdict])
    return table("contestant|time|processor|peak|target", rows)


# -- rows


def blocks(keys: np.ndarray[tuple[int], np.dtype[np.int64]], seed: int) -> Iterator[pa.Table]:
    """Rows of such keys, some at a time."""
    for start in range(0, len(keys), BLOCK):
        some = keys[start : start + BLOCK]
        made = np.random.default_rng([seed, start])
        columns = {name: values(kind, made, len(some)) for name, kind in KINDS.items()}
        yield pa.table({"id": some, **columns})


def values(kind: str, made: np.random.Generator, count: int) -> pa.Array:
    """Values of one kind."""
    match kind:
        case "int":
            return pa.array(made.integers(0, 10_000, count, dtype="int32"))
        case "float":
            return pa.array(made.integers(0, 1 << 20, count) / 64)
        case "time":
            seconds = made.integers(0, 1 << 30, count)
            return pa.array(seconds * 1_000_000).cast(pa.timestamp("us"))
        case "bool":
            return pa.array(made.random(count) < 0.5)
        case "few":
            codes = pa.array(made.integers(0, len(FEW), count, dtype="int8"))
            return pa.DictionaryArray.from_arrays(codes, FEW)
    return pa.array([f"text {number}" for number in made.integers(0, 1 << 30, count)])


def write(path: Path, keys: np.ndarray[tuple[int], np.dtype[np.int64]], seed: int) -> None:
    """Write rows as a Parquet file."""
    writer = None
    for block in blocks(keys, seed):
        writer = writer or pq.ParquetWriter(path, block.schema)
        writer.write_table(block)
    if writer:
        writer.close()


def expect(inputs: Path, count: int, changed: tuple[str, ...]) -> None:
    """Write what is upserted, and what the table then is."""
    made = np.random.default_rng(2)
    old = np.sort(made.choice(count, count // 100, replace=False))
    new = np.arange(count, count + count // 1000)
    rows = pq.read_table(inputs / "rows.parquet", filters=[("id", "in", old)])
    rows = rows.sort_by("id")
    other = pa.concat_tables(blocks(np.concatenate([old, new]), seed=3)).unify_dictionaries()
    differing = other.slice(0, len(old))
    for name in set(KINDS) - set(changed):
        differing = differing.set_column(
            differing.schema.get_field_index(name), differing.field(name), rows[name]
        )
    changes = pa.concat_tables([differing, other.slice(len(old))]).unify_dictionaries()
    changes = changes.take(made.permutation(len(changes)))
    pq.write_table(changes, inputs / "changes.parquet")
    with pq.ParquetWriter(inputs / "expected.parquet", changes.schema) as writer:
        gone = pa.array(old)
        for batch in pq.ParquetFile(inputs / "rows.parquet").iter_batches(BLOCK):
            block = pa.Table.from_batches([batch])
            stays = pa.compute.invert(pa.compute.is_in(block["id"], gone))
            writer.write_table(block.filter(stays).cast(changes.schema))
        writer.write_table(changes)
