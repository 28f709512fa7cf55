"""What a user of ExeTera writes; ExeTera and exetera_zarr run the same script."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.contestants.tasks import Tasks, make_tasks, wide_names


@dataclass(frozen=True)
class Script:
    """
    The tasks that both can do.

    Parameters
    ----------
    session
        Makes a session, given ``memory_limit``.
    merge, journal_table, import_with_schema
        Their functions of these names.
    suffix
        Of their files.
    """

    session: Callable[..., Any]
    merge: Callable[..., None]
    journal_table: Callable[..., None]
    import_with_schema: Callable[..., object]
    suffix: str

    def tasks(self) -> Tasks:
        tasks = make_tasks(
            self.join, self.sort, self.filter, self.group, self.read, self.import_csv
        )
        return tasks | {
            "journal": partial(self.journal, "sorted"),
            "journal_shuffled": partial(self.journal, "shuffled"),
        }

    def table(self, session: Any, path: Path) -> Any:
        return session.open_dataset(str(path.with_suffix(self.suffix)), "r", path.stem)["table"]

    def result(self, session: Any, path: Path) -> Any:
        return session.open_dataset(str(path), "w", "result").create_dataframe("table")

    def join(self, name: str, inputs: Path, output: Path, **options: Any) -> None:
        hints = ("left_keys_ordered", "right_keys_ordered", "left_keys_unique")
        known = {f"hint_{hint}": True for hint in hints if name == "sorted"}
        with self.session(**options) as session:
            left = self.table(session, inputs / f"{name}_left")
            right = self.table(session, inputs / f"{name}_right")
            self.merge(left, right, self.result(session, output), "pk", "fk", how="left", **known)

    def sort(self, inputs: Path, output: Path, **options: Any) -> None:
        with self.session(**options) as session:
            table = self.table(session, inputs / "records")
            table.sort_values(["key", "time"], ddf=self.result(session, output))

    def filter(self, share: float, inputs: Path, output: Path, **options: Any) -> None:
        with self.session(**options) as session:
            table = self.table(session, inputs / "records")
            table.apply_filter(table["uniform"] < share, ddf=self.result(session, output))

    def group(self, inputs: Path, output: Path, **options: Any) -> None:
        with self.session(**options) as session:
            groups = self.table(session, inputs / "records").groupby("key")
            result = self.result(session, output)
            groups.max(["count", "score"], ddf=result)
            groups.last(["count", "score"], ddf=result, write_keys=False)

    def read(self, k: int, inputs: Path, output: Path, **options: Any) -> dict[str, Any]:
        with self.session(**options) as session:
            table = self.table(session, inputs / "wide")
            return {name: table[name].data[:] for name in wide_names(k)}

    def journal(self, order: str, inputs: Path, output: Path, **options: Any) -> None:
        with self.session(**options) as session:
            old = self.table(session, inputs / f"{order}_journal")
            new = self.table(session, inputs / f"{order}_snapshot")
            schema = SimpleNamespace(fields=dict.fromkeys(new.keys()))
            result = self.result(session, output)
            self.journal_table(session, schema, old, new, "id", result)

    def import_csv(self, inputs: Path, output: Path, **options: Any) -> None:
        with self.session(**options) as session:
            self.import_with_schema(
                session,
                str(output),
                "result",
                str(inputs / "schema.json"),
                {"table": str(inputs / "table.csv")},
                True,
                timestamp="2020-05-09 00:00:00.000000+00:00",
            )
