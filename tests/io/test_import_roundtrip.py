"""Any table, written as CSV in any dialect and imported again, is the same table."""

from __future__ import annotations

import gzip
import math
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exetera_zarr import Session
from exetera_zarr.io import (
    Categorical,
    Date,
    DateTime,
    Definition,
    Numeric,
    String,
    import_tables,
)
from exetera_zarr.tables.dataset import Dataset

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TEXT = st.text(
    st.one_of(st.sampled_from('",\n\r ab\x00é'), st.characters(exclude_categories=["Cs"])),
    max_size=8,
)


@dataclass(frozen=True)
class Kind:
    """A type of column: its definition, its values, the cell of one, and what is stored for it."""

    definition: Definition
    values: st.SearchStrategy[Any]
    cell: Callable[[Any], str]
    stored: Callable[[Any], Any] = lambda value: value


def integers(nformat: str) -> Kind:
    info = np.iinfo(nformat)
    values = st.integers(int(info.min), int(info.max))
    return Kind(Numeric(nformat, create_flag_field=False), values, str)


def floats(width: Any) -> Kind:
    definition = Numeric(f"float{width}", create_flag_field=False)
    return Kind(definition, st.floats(width=width), repr)


def fits(text: str) -> bool:
    return len(text.encode()) <= 6 and not text.endswith("\0")


def moment_cell(moment: datetime) -> str:
    return moment.isoformat(sep=" ").replace("+00:00", " UTC")


def seconds(moment: datetime) -> float:
    # As a whole number of microseconds, over a million: what a float of seconds can be at best.
    return (moment - EPOCH) // timedelta(microseconds=1) / 1e6


CATEGORIES = {"": 0, "yes": 1, " no": -2, 'a "b", c': 3, "é\n": 127}
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
KINDS: dict[str, Kind] = {
    **{name: integers(name) for name in ("int8", "uint8", "int16", "int32", "int64", "uint64")},
    "float32": floats(32),
    "float64": floats(64),
    "bool": Kind(Numeric("bool", create_flag_field=False), st.booleans(), str),
    "text": Kind(String(), TEXT, str),
    "fixed": Kind(String(6), TEXT.filter(fits), str, str.encode),
    "category": Kind(
        Categorical(CATEGORIES), st.sampled_from(list(CATEGORIES)), str, CATEGORIES.__getitem__
    ),
    "day": Kind(
        Date(),
        st.dates(),
        date.isoformat,
        lambda day: seconds(datetime(day.year, day.month, day.day, tzinfo=UTC)),
    ),
    "moment": Kind(
        DateTime(),
        st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=ZONES),  # noqa: DTZ001
        moment_cell,
        seconds,
    ),
}


@dataclass(frozen=True)
class Dialect:
    """How a file is written."""

    line_end: str
    bom: bool
    quote_all: bool
    final_end: bool
    compressed: bool

    def quoted(self, cell: str) -> str:
        if self.quote_all or cell.startswith(" ") or any(mark in cell for mark in '",\r\n'):
            return '"' + cell.replace('"', '""') + '"'
        return cell

    def write(self, path: Path, rows: list[list[str]]) -> None:
        # A last line that is not ended and empty would be no line.
        ended = self.final_end or rows[-1] == [""]
        text = self.line_end.join(",".join(map(self.quoted, row)) for row in rows)
        data = (text + self.line_end * ended).encode("utf-8-sig" if self.bom else "utf-8")
        path.write_bytes(gzip.compress(data, 0) if self.compressed else data)


dialects = st.builds(
    Dialect,
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)


@pytest.fixture(scope="module")
def dataset() -> Any:
    with Session() as session:
        yield session.open_dataset(f"memory://{uuid.uuid4().hex}", "w", "ds")


@given(data=st.data(), dialect=dialects, size=st.sampled_from([1, 30, 1 << 20]))
def test_a_table_comes_back(
    dataset: Dataset,
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
    dialect: Dialect,
    size: int,
) -> None:
    """Types, values, order of columns of the file; whatever the blocks."""
    names = data.draw(st.lists(st.sampled_from(list(KINDS)), min_size=1, unique=True), "columns")
    rows = data.draw(st.lists(st.tuples(*(KINDS[name].values for name in names)), max_size=6))
    path = tmp_path_factory.mktemp("csv") / ("t.csv.gz" if dialect.compressed else "t.csv")
    cells = [[KINDS[name].cell(v) for name, v in zip(names, row, strict=True)] for row in rows]
    dialect.write(path, [names, *cells])

    schema = {name: KINDS[name].definition for name in sorted(names)}
    table = uuid.uuid4().hex
    import_tables(dataset, {table: schema}, {table: path}, block_bytes=size)
    found = dataset[table]
    assert list(found.keys()) == [*names, "j_valid_from", "j_valid_to"]
    for column, name in enumerate(names):
        expected = [KINDS[name].stored(row[column]) for row in rows]
        assert [*map(same, found[name].data[:])] == [*map(same, expected)], name
    dataset.drop(table)


def same(value: Any) -> Any:
    """A value that equals what is the same: NaN itself, and not 0.0 for -0.0."""
    if isinstance(value, float | np.floating):
        return "nan" if math.isnan(value) else repr(float(value))
    return value
