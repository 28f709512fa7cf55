"""What the numbers were measured on, for the head of a report."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil


def cpu_model() -> str:
    """Name of the processor, as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def filesystem(folder: Path) -> str:
    """Type of the file system that holds a folder."""
    here = folder.resolve()
    mounts = {Path(mount.mountpoint): mount.fstype for mount in psutil.disk_partitions(all=True)}
    for parent in (here, *here.parents):
        if parent in mounts:
            return mounts[parent]
    return "unknown"


def command_line() -> str:
    """Return the command that is running, as it can be typed again."""
    return shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]])


def describe(packages: Sequence[str], folder: Path) -> str:
    """Markdown list of command, date, machine and versions."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = psutil.virtual_memory().total / 2**30
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    system = f"{filesystem(folder)}, {platform.system()} {platform.release()}"
    facts = {
        "command": f"`{command_line()}`",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{cpu_model()}, {cores} cores, {memory:.0f} GiB of memory, {system}",
        "load": f"{os.getloadavg()[0]:.1f} processes at the start, besides this one's own work",
        "versions": f"Python {platform.python_version()}, {versions}",
    }
    return "\n".join(f"* {name}: {fact}" for name, fact in facts.items())
