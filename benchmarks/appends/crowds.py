"""Many processes that append to one table at once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.appends.stage import DELTA, LANCE, OURS, FailedError, Stage, measured
from benchmarks.contestants.growing import batch_of
from benchmarks.report import table
from benchmarks.standings import met
from benchmarks.traffic import Client

ABOUT = """\
Processes that append {batches} times each, {crowd_rows} rows at a time, to one table, all at once,
in a bucket without latency and on the disk. Nothing is tried again by the benchmark. *whole* are
batches that are found in one piece; *lost* were acknowledged and are not there. Commits are those
acknowledged; *processor* is its time for each of them."""
LEAST = 5.0


def run(made: Stage) -> str:
    """Let crowds of several sizes loose; the section of the report."""
    arguments = made.arguments
    parts = ["## many processes, one table (`crowd`)", ABOUT.format(**vars(arguments))]
    for where in ("bucket", "disk"):
        rows = []
        for size in arguments.crowd:
            let_loose = partial(crowd, made, size, where)
            entrants = made.some(DELTA, LANCE)
            found = measured(f"crowd of {size}, {where}", entrants, let_loose)
            for name, one in found.items():
                failed = isinstance(one, FailedError)
                cells = [str(one), *["-"] * 6] if failed else line(name, one, where)
                rows.append([name, str(size), *cells])
        head = (
            "contestant|processes|acknowledged|whole|lost|refused|commits a second|processor|target"
        )
        title = "in a bucket" if where == "bucket" else "on the disk"
        parts += [f"### {title}", table(head, rows)]
    return "\n\n".join(parts)


def line(name: str, one: dict[str, Any], where: str) -> list[str]:
    """The cells of one crowd."""
    verdict = "-"
    if name == OURS.name:
        kept = one["lost"] == 0 and not one["refused"] and one["whole"] == one["acknowledged"]
        verdict = f"all there, none refused: {met(kept)}"
        if where == "bucket":
            verdict += f", >= {LEAST:g} a second: {met(one['rate'] >= LEAST)}"
    refused = ", ".join(f"{count} {why}" for why, count in one["refused"].items()) or "0"
    numbers = [str(one[what]) for what in ("acknowledged", "whole", "lost")]
    return [*numbers, refused, f"{one['rate']:.1f}", f"{one['busy']:.2f} s", verdict]


def crowd(made: Stage, size: int, where: str, entrant: Client) -> dict[str, Any]:
    """Let this many processes append, and see what there is afterwards."""
    arguments = made.arguments
    inputs = made.folder("crowd")
    place = (made.in_bucket if where == "bucket" else made.on_disk)(made.fresh())
    made.have(entrant, "begin", place, rows=arguments.crowd_rows)
    sizes = {"batches": arguments.batches, "rows": arguments.crowd_rows}
    one_of = partial(made.have, entrant, "crowd", place, inputs, **sizes)
    with ThreadPoolExecutor(size) as pool:
        waiting = [pool.submit(one_of, writer=writer) for writer in range(1, size + 1)]
        while len(list(inputs.glob("ready-*"))) < size:
            if any(one.done() for one in waiting):
                break
            time.sleep(0.05)
        (inputs / "go").touch()
        wait(waiting)
    laps = [[tuple(lap) for lap in one.result().laps] for one in waiting]
    made.have(entrant, "save", place, inputs, file="found.npz")
    every = [lap for writer in laps for lap in writer]
    known = {
        (writer, int(name.split()[1]))
        for writer, some in enumerate(laps, 1)
        for name, *_ in some
        if name.startswith("acknowledged")
    }
    took = max(end for _, _, end, _ in every) - min(start for _, start, _, _ in every)
    there = batches_in(inputs / "found.npz", arguments.crowd_rows)
    acknowledged = [lap for lap in every if lap[0].startswith("acknowledged")]
    refused = Counter(name.split()[1] for name, *_ in every if name.startswith("refused"))
    return {
        "acknowledged": len(known),
        "whole": len(known & there),
        "lost": len(known - there),
        "refused": refused,
        "rate": len(known) / took,
        "busy": sum(lap[3] for lap in acknowledged) / max(len(acknowledged), 1),
    }


def batches_in(path: Path, rows: int) -> set[tuple[int, int]]:
    """Writer and number of the batches that are in a table in one piece, and once."""
    with np.load(path) as found:
        writer, batch, row = (found[name] for name in ("writer", "batch", "row"))
    starts = np.flatnonzero(row == 0)
    pieces = [
        (int(writer[start]), int(batch[start]))
        for start in starts
        if whole(
            (writer[start : start + rows], batch[start : start + rows], row[start : start + rows]),
            rows,
        )
    ]
    return {piece for piece, count in Counter(pieces).items() if count == 1}


def whole(piece: Sequence[Any], rows: int) -> bool:
    """Whether rows that follow each other are one batch."""
    writer, batch, row = piece
    right = batch_of(int(writer[0]), int(batch[0]), rows)
    return all(
        np.array_equal(values, right[name])
        for name, values in {"writer": writer, "batch": batch, "row": row}.items()
    )
