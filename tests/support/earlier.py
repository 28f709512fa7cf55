"""A small dataset of everything that is stored, to be kept as an earlier release has written it.

``python -m support.earlier FOLDER`` writes one, by the release that is installed, with what each of
its versions has in ``expected.json`` beside it. `tests/storage/earlier` keeps these as zip files.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from exetera_zarr import Session

__all__ = ["make", "rows_of"]

NUMBERS = ("bool", "int8", "uint8", "int16", "uint32", "int64", "uint64", "float32", "float64")


def rows_of(dataset: Any) -> dict[str, Any]:
    """What each field of each table has, as JSON would have it; what is missing is null."""
    return {
        table.name: {name: _values(field) for name, field in table.items()}
        for table in dataset.values()
    }


def _values(field: Any) -> list[Any]:
    gone = field.isna().data[:].tolist()
    values = field.data[:]
    values = values.tolist() if hasattr(values, "tolist") else values
    shown = [one.decode() if isinstance(one, bytes) else one for one in values]
    return [None if missing else one for missing, one in zip(gone, shown, strict=True)]


def make(folder: Path) -> None:
    """Write a dataset of a few versions, and what they have."""
    expected: dict[str, Any] = {}

    def commit() -> None:
        dataset.commit()
        expected[str(dataset.version)] = rows_of(dataset)

    with Session(row_block=8) as session:
        dataset = session.open_dataset(folder / "study.zarr", "w", "study")
        people = dataset.create_dataframe("people of 2020/ü")
        for dtype in NUMBERS:
            people.create_numeric(f"number {dtype}", dtype).data.write([0, 1, 1, 0, 1] * 8)
        people.create_numeric("age", "int16").data.write([34, None, 51, 28] * 10)
        people.create_categorical("sex", "int8", {"f": 1, "m": 2}).data.write([1, 2] * 20)
        people.create_timestamp("seen").data.write([0.5 + day * 86400 for day in range(40)])
        people.create_fixed_string("code", 3).data.write(["abc", "x"] * 20)
        notes: list[Any] = ["", "é", None, "long " * 9]
        people.create_indexed_string("note").data.write(notes * 10)
        dataset.create_dataframe("empty").create_numeric("nothing", "int8")
        commit()
        people["age"].data[3] = 99
        people.rename("code", "label")
        commit()
        for count in (1, 2, 9):
            for field in list(people.values()):
                if field.name in people.companions().values():
                    continue
                one = {"note": "new", "label": "n"}.get(field.name, 1)
                field.data.write([one] * count)
            commit()
        dataset["copy"] = people
        dataset["copy"].apply_filter(people["age"] > 40)
        commit()
        dataset.retain(20)
    (folder / "expected.json").write_text(json.dumps(expected, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    make(Path(sys.argv[1]))
