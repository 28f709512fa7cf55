"""The tasks by name, and what they have in common for all contestants."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

Task = Callable[..., Any]
Tasks = dict[str, Task]

WIDEST_READ = 8


def make_tasks(
    join: Task, sort: Task, filter_rows: Task, group: Task, read: Task, import_csv: Task
) -> Tasks:
    """Name the functions of a contestant; `join`, `filter_rows` and `read` take what differs."""
    return {
        "join_sorted": partial(join, "sorted"),
        "join_shuffled": partial(join, "shuffled"),
        "sort": sort,
        "filter_half": partial(filter_rows, 0.5),
        "filter_hundredth": partial(filter_rows, 0.01),
        "group_string": group,
        **{f"read_{k}": partial(read, k) for k in range(1, WIDEST_READ + 1)},
        "import": import_csv,
    }


def questions(aggregate: Task) -> Tasks:
    """Questions 1, 2, 4 and 5 on groups of db-benchmark: keys, what of, and of which columns."""
    return {
        "q1": partial(aggregate, ["id1"], "sum", ["v1"]),
        "q2": partial(aggregate, ["id1", "id2"], "sum", ["v1"]),
        "q4": partial(aggregate, ["id4"], "mean", ["v1", "v2", "v3"]),
        "q5": partial(aggregate, ["id6"], "sum", ["v1", "v2", "v3"]),
    }


def wide_names(k: int) -> list[str]:
    """Names of k columns to read, spread over the table."""
    return [f"c{7 * number:02}" for number in range(k)]


def csv_columns(inputs: Path) -> Iterator[tuple[str, str, Any]]:
    """Name, type and detail of the columns of the CSV: the labels, or the type of a number."""
    schema = json.loads((inputs / "schema.json").read_text(encoding="utf-8"))
    for name, field in schema["schema"]["table"]["fields"].items():
        kind = field["field_type"]
        if kind == "categorical":
            texts = field["categorical"]["strings_to_values"]
            yield name, kind, [text for text in texts if text]  # an empty cell is a null
        elif kind == "datetime":
            yield name, "zoned" if "zoned" in name else kind, None
        else:
            yield name, kind, field.get("value_type")
