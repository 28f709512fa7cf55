"""A fresh process: does one task of one contestant, and writes time and peak memory as JSON.

The task is first done on a small input, so that loading libraries and compiling (numba's, which
takes ExeTera many seconds) are not timed. What the task wrote is synced to the disk within the
timed region. Runs also in ExeTera's environment, and so imports nothing but the contestant.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import resource
import sys
import time
import zlib
from pathlib import Path
from typing import Any

from benchmarks.files import make_durable


def peak_memory() -> int:
    """Most bytes that this process has had resident."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    # Of this program alone; what getrusage says may be of the one that started it.
    (high,) = [line for line in lines if line.startswith("VmHWM:")]
    return int(high.split()[1]) * 1024


def digest(columns: dict[str, Any]) -> dict[str, int]:
    """Checksum of each column's values in memory."""
    import numpy as np

    return {name: zlib.crc32(np.asarray(values).tobytes()) for name, values in columns.items()}


def do(request: dict[str, Any]) -> dict[str, Any]:
    """Do what a request says: warm up, then time."""
    contestant = importlib.import_module(request["contestant"])
    task = contestant.TASKS.get(request["task"])
    if task is None:
        return {"error": contestant.CANNOT.get(request["task"], "cannot")}
    for step in (request["small"], request["work"]):
        if step is None:
            continue
        output = Path(step["output"])
        gc.collect()
        os.sync()
        start = time.perf_counter()
        result = task(Path(step["inputs"]), output, **request["options"])
        if output.exists():
            make_durable(output)
        seconds = time.perf_counter() - start
        if step is request["small"]:
            del result
    report: dict[str, Any] = {"seconds": seconds, "peak": peak_memory()}
    if isinstance(result, tuple):  # with what the task has timed itself
        report["laps"], result = result
    if isinstance(result, dict):  # what was read, if that is the task
        report["digest"] = digest(result)
    return report


def main() -> None:
    request = json.load(sys.stdin)
    try:
        report = do(request)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is this contestant's result
        text = " ".join(str(error).split())[:200]
        report = {"error": f"{type(error).__name__}: {text}"}
    Path(request["report"]).write_text(json.dumps(report), encoding="utf-8")


if __name__ == "__main__":
    main()
