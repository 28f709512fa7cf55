"""A small dataset, everything that can be stored in it, and what others may then see of it."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from exetera_zarr import Session, StorageError, import_csv
from exetera_zarr.errors import DatasetNotFoundError
from exetera_zarr.io import Numeric, String
from exetera_zarr.storage.options import Durability
from exetera_zarr.tables.dataset import Dataset
from exetera_zarr.testing import Faults, as_another_process, failing
from support.plain_reader import parts_of

BLOCK = 4
ROWS = 6
PACKED = 64
"""Rows of a block of the table that has segments and packs; what has more than 15 is no pack."""
NAME = "x.zarr"
State = dict[str, dict[str, list[Any]]] | None


def session() -> Session:
    return Session(timestamp="2020-01-01", row_block=BLOCK)


# -- what is stored


def base(folder: Path) -> None:
    """Two versions of two tables, the newest of which is what every operation starts from."""
    with session() as s:
        ds = s.open_dataset(folder / NAME, "w", "d", durability="none")
        table = ds.create_dataframe("t")
        table.create_numeric("a", "int32").data.write(np.arange(ROWS - 1) % 3 + 1)
        table.create_indexed_string("s").data.write([f"text {n}" for n in range(ROWS - 1)])
        ds.commit()
        table["a"].data.write([9])
        table["s"].data.write(["last"])
        ds.create_dataframe("u").create_numeric("b", "float64").data.write([0.5, 1.5])


def with_parts(folder: Path) -> None:
    """The base, and a table of which each column is in two segments and three packs."""
    base(folder)
    with session() as s:
        ds = s.open_dataset(folder / NAME, "r+", "d", durability="none")
        table = ds.create_dataframe("p", row_block=PACKED)
        table.create_numeric("k", "int32")
        table.create_indexed_string("s")
        table.create_numeric("x", "float64")
        done = 0
        for rows in (50, 40, 2, 2, 2):
            table.append(parted(range(done, done + rows)))
            ds.commit()
            done += rows


def parted(keys: Iterable[int], tail: str = "") -> dict[str, Any]:
    """Rows of that table."""
    keys = list(keys)
    return {
        "k": keys,
        "s": [f"text {key}{tail}" for key in keys],
        "x": [float(len(tail)) for _ in keys],
    }


def create(ds: Dataset) -> None:
    with ds.transaction():
        write_columns(ds)


def write_columns(ds: Dataset) -> None:
    with ds.transaction():
        table = ds.create_dataframe("new")
        table.create_numeric("n", "int64").data.write(np.arange(1, 2 * BLOCK + 2))
        table.create_indexed_string("s").data.write([f"note {n}" for n in range(2 * BLOCK + 1)])
        table.create_fixed_string("f", 3).data.write(np.array([b"abc"] * (2 * BLOCK + 1)))
        table.create_categorical("c", "int8", {"no": 0, "yes": 1}).data.write([1] * 9)


def append(ds: Dataset) -> None:
    with ds.transaction():
        ds["t"]["a"].data.write(np.arange(7) + 50)
        ds["t"]["s"].data.write([f"more {n}" for n in range(7)])


def assign(ds: Dataset) -> None:
    ds["t"]["a"].data[2:5] = np.array([70, 71, 72], "int32")


def filter_rows(ds: Dataset) -> None:
    ds["t"].apply_filter(np.array([True, False, True, True, False, True]))


def sort(ds: Dataset) -> None:
    ds["t"].sort_values("a")


def rename_field(ds: Dataset) -> None:
    ds["t"].rename("a", "renamed")


def rename_table(ds: Dataset) -> None:
    ds["renamed"] = ds["t"]


def delete_field(ds: Dataset) -> None:
    del ds["t"]["s"]


def delete_table(ds: Dataset) -> None:
    del ds["t"]


def import_file(ds: Dataset) -> None:
    path = Path(ds.url).parent.parent / "people.csv"
    if not path.exists():
        lines = [f"{n},person {n}" for n in range(1, BLOCK + 2)]
        path.write_text("\n".join(["id,name", *lines]) + "\n")
    import_csv(ds, "p", path, {"id": Numeric("int32"), "name": String()}, timestamp=1.0)


def pack(ds: Dataset) -> None:
    """With this one, the packs before become one."""
    ds["p"].append(parted(range(200, 203)))


def segment(ds: Dataset) -> None:
    """After which there are no packs."""
    ds["p"].append(parted(range(200, 230)))


def field_by_field(ds: Dataset) -> None:
    with ds.transaction():
        for name, values in parted(range(200, 203)).items():
            ds["p"][name].data.write(values)


def one_column(ds: Dataset) -> None:
    ds["p"]["x"].data.write([1.5, 2.5])


def upsert(ds: Dataset) -> None:
    """Rows in a segment and in two packs are changed, and two are new."""
    ds["p"].upsert(parted([0, 91, 95, 300, 301], "!"), "k")


def delete_rows(ds: Dataset) -> None:
    ds["p"].delete([0, 49, 60, 93])


def add_column(ds: Dataset) -> None:
    """And append to that and to the others."""
    with ds.transaction():
        table = ds["p"]
        table.create_numeric("more", "int16").data.write(np.arange(96))
        table.append({**parted([400, 401]), "more": [1, 2]})


def drop_column(ds: Dataset) -> None:
    """And append to those that are left."""
    with ds.transaction():
        table = ds["p"]
        del table["s"]
        table.append({"k": [400], "x": [0.5]})


def rename_column(ds: Dataset) -> None:
    """And append."""
    with ds.transaction():
        ds["p"].rename("s", "t")
        ds["p"].append({"t" if name == "s" else name: v for name, v in parted([400]).items()})


def compact(ds: Dataset) -> None:
    """As `Dataset.compact`, which also commits, does it again where it failed."""
    ds.storage.compact("p")


def nothing(ds: Dataset) -> None:
    """Leave the draft as it is."""


def retain(ds: Dataset) -> None:
    ds["t"]["a"].data[0] = 99
    ds.retain(1, 0.0)


def commit(ds: Dataset) -> None:
    ds.commit()


def vacuum(ds: Dataset) -> None:
    ds.vacuum(keep=1, older_than=0)


def purge(ds: Dataset) -> None:
    """As a caller does who tries again until it is done."""
    if "s" in ds["t"]:
        ds.purge("t", field="s")
    else:
        ds.purge("t")


def tag(ds: Dataset) -> None:
    """With what was appended, which the version that is tagged has; once."""
    if "freeze" not in ds.tags():
        ds.tag("freeze", message="for the paper")


def tag_older(ds: Dataset) -> None:
    """A version that the same commit would let go, but for its tag."""
    if "freeze" not in ds.tags():
        ds.retain(1, 0.0)
        ds.tag("freeze", 1)


def restore(ds: Dataset) -> None:
    """As a caller does who tries again what may have been done."""
    if ds.storage.changed:
        ds.commit()
    elif ds.history()[0].message != "back":
        ds.restore(1, message="back")


@dataclass(frozen=True)
class Operation:
    """A change of the draft, and what makes it last; `fresh` where there is no dataset before."""

    change: Callable[[Dataset], None]
    store: Callable[[Dataset], None] = commit
    fresh: bool = False
    opens: bool = False
    """Whether opening is part of it."""
    template: str = "revealed"
    """Which dataset there is before."""


OPERATIONS = {
    "create": Operation(create, fresh=True, opens=True),
    "write columns": Operation(write_columns),
    "append": Operation(append),
    "assign": Operation(assign),
    "filter": Operation(filter_rows),
    "sort": Operation(sort),
    "rename field": Operation(rename_field),
    "rename table": Operation(rename_table),
    "delete field": Operation(delete_field),
    "delete table": Operation(delete_table),
    "import": Operation(import_file),
    "reveal": Operation(nothing, opens=True, template="unrevealed"),
    "retain": Operation(retain),
    "vacuum": Operation(append, vacuum),
    "purge": Operation(nothing, purge),
    "tag": Operation(append, tag),
    "tag an older version": Operation(assign, tag_older),
    "restore": Operation(nothing, restore),
    **{
        change.__name__.replace("_", " "): Operation(change, template="parts")
        for change in (
            *(pack, segment, field_by_field, one_column, upsert, delete_rows),
            *(add_column, drop_column, rename_column, compact),
        )
    },
}
NAMES = [
    pytest.param(name, marks=() if usual else pytest.mark.slow)
    for name, one in OPERATIONS.items()
    for usual in [one.template != "parts" or name in ("pack", "upsert", "compact")]
]
"""Of those; what these three do as well is slow."""


def prepare(operation: Operation, folder: Path, template: Path) -> Path:
    """A place as it is before the operation: links to files that are never changed in place."""
    folder.mkdir()
    if not operation.fresh:
        clone(template / operation.template, folder)
    return folder / NAME


def clone(source: Path, target: Path) -> None:
    if (source / NAME).exists():
        shutil.copytree(source / NAME, target / NAME, copy_function=os.link)


def make_template(folder: Path) -> Path:
    """
    The base; the same as it is when the process ended before version 2 was revealed; and one with
    segments and packs.
    """
    for name in ("revealed", "unrevealed", "parts"):
        (folder / name).mkdir()
    base(folder / "revealed")
    with_parts(folder / "parts")
    clone(folder / "revealed", folder / "unrevealed")
    place = folder / "unrevealed" / NAME
    first = max((place / "__exetera__" / "commits").iterdir())
    first = first.with_name(f"{int(first.stem) - 1:010}.json")
    (place / "zarr.json").unlink()
    (place / "zarr.json").write_bytes(first.read_bytes())
    return folder


# -- doing it


class Attempt:
    """
    An operation on an open dataset, as somebody does it who tries again what failed.

    Where the change failed, nothing of it is in the draft, and it is made again; where storing
    failed, only that is done again.
    """

    def __init__(
        self, operation: Operation, place: Path, faults: Faults, durability: Durability = "none"
    ) -> None:
        self.operation, self.place, self.faults = operation, place, faults
        self.durability = durability
        self.session = session()
        self.ds: Dataset | None = None
        self.changed = False
        if not operation.opens:
            self._open()

    def _open(self) -> None:
        with failing(self.faults):
            self.ds = self.session.open_dataset(
                self.place,
                "w" if self.operation.fresh else "r+",
                "d",
                durability=self.durability,
            )

    def go(self) -> bool:
        """Do what is left to be done; whether that worked."""
        with quiet():
            try:
                if self.ds is None:
                    self._open()
                assert self.ds is not None
                if not self.changed:
                    self.operation.change(self.ds)
                    self.changed = True
                self.operation.store(self.ds)
            except StorageError:
                return False
        return True

    def finish(self) -> None:
        """Try again without failures; the first time may tell of an upload that had failed."""
        self.faults.disarm()
        assert self.go() or self.go()
        with quiet():
            self.session.close()


@contextmanager
def quiet() -> Iterator[None]:
    """Warnings that a version is not revealed yet, or not swept, are as they should be."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


# -- what others see


def values_of(ds: Dataset) -> dict[str, dict[str, list[Any]]]:
    return {
        name: {
            field_name: np.asarray(field.data[:]).tolist() for field_name, field in table.items()
        }
        for name, table in ds.items()
    }


def seen(place: Path, version: int | None = None) -> State:
    """All values that another process reads; None where it finds no dataset."""
    with as_another_process(), Session() as s:
        try:
            return values_of(s.open_dataset(place, "r", "d", version=version))
        except DatasetNotFoundError:
            return None


def kept(place: Path) -> dict[int, State]:
    """All values of each version that the history says can be opened."""
    with as_another_process(), Session() as s:
        try:
            history = s.open_dataset(place, "r", "d").history()
        except DatasetNotFoundError:
            return {}
    return {entry.version: seen(place, entry.version) for entry in history if entry.kept}


def seen_by_zarr(place: Path) -> dict[str, Any] | None:
    """Elements of every array of every field that zarr finds by the consolidated metadata."""
    try:
        root = zarr.open_group(str(place), mode="r", zarr_format=3, use_consolidated=True)
    except FileNotFoundError:
        return None
    found = {}
    for _, table in root.groups():
        for _, field in table.groups():
            for role, parts in parts_of(table, field).items():
                values = np.concatenate(parts).tolist()
                found[f"{table.attrs['name']}/{field.attrs['name']}/{role}"] = values
    return found
