"""exetera_zarr on Zarr."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from benchmarks.contestants.script import Script
from benchmarks.contestants.tasks import questions
from exetera_zarr import Session, merge
from exetera_zarr.compat.journal import journal_table
from exetera_zarr.io.importer import import_with_schema

SCRIPT = Script(Session, merge, journal_table, import_with_schema, ".zarr")


def aggregate(
    by: list[str], how: str, targets: list[str], inputs: Path, output: Path, **options: Any
) -> None:
    with SCRIPT.session(**options) as session:
        groups = SCRIPT.table(session, inputs / "groups").groupby(by)
        getattr(groups, how)(targets, ddf=SCRIPT.result(session, output))


def journal_in_place(inputs: Path, output: Path, **options: Any) -> None:
    shutil.copytree(inputs / "shuffled_journal.zarr", output)
    with SCRIPT.session(**options) as session:
        table = session.open_dataset(str(output), "r+", "journal")["table"]
        table.journal(SCRIPT.table(session, inputs / "shuffled_snapshot"), "id")


TASKS = SCRIPT.tasks() | questions(aggregate) | {"journal_in_place": journal_in_place}
CANNOT: dict[str, str] = {}
