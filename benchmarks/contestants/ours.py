"""exetera_zarr on Zarr."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.contestants.script import Script
from benchmarks.contestants.tasks import questions
from exetera_zarr import Session, merge
from exetera_zarr.io.importer import import_with_schema

SCRIPT = Script(Session, merge, import_with_schema, ".zarr")


def aggregate(
    by: list[str], how: str, targets: list[str], inputs: Path, output: Path, **options: Any
) -> None:
    with SCRIPT.session(**options) as session:
        groups = SCRIPT.table(session, inputs / "groups").groupby(by)
        getattr(groups, how)(targets, ddf=SCRIPT.result(session, output))


TASKS = SCRIPT.tasks() | questions(aggregate)
CANNOT: dict[str, str] = {}
