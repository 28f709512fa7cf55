"""How many requests a cluster makes, by verb: what docs/dask.md says, on a real server."""

from __future__ import annotations

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest

from exetera_zarr import Session

pytestmark = pytest.mark.s3

WORKERS = 2
BLOCK = 100


@pytest.fixture
def study(far_place):
    """A dataset to which others add tables."""
    with Session() as s:
        options = far_place.storage_options
        yield s.open_dataset(far_place.url, "w", "study", storage_options=options)


def make(study, columns, blocks, name="wide"):
    """A table of so many columns of so many blocks."""
    table = study.create_dataframe(name, row_block=BLOCK)
    for number in range(columns):
        values = np.arange(BLOCK * blocks, dtype="int32") + number
        table.create_numeric(f"c{number}", "int32").data.write(values)
    study.commit()


@pytest.mark.parametrize(("columns", "blocks"), [(3, 5), (1, 8)])
def test_a_scan(client, study, far_place, columns, blocks):
    """Who opens it asks twice, each worker once, and then each chunk is asked for once."""
    make(study, columns, blocks)
    proxy = far_place.proxy
    proxy.clear()
    with Session() as s:
        options = far_place.storage_options
        ds = s.open_dataset(far_place.url, "r", "reading", storage_options=options)
        assert proxy.verbs() == {"GET": 1, "LIST": 1}
        found = ds["wide"].to_dask()
        assert proxy.verbs() == {"GET": 1 + WORKERS, "LIST": 1}
        total = found.sum().compute()
    assert total["c0"] == sum(range(BLOCK * blocks))
    assert proxy.verbs() == {"GET": 1 + WORKERS + columns * blocks, "LIST": 1}
    assert len(chunks_of(proxy)) == columns * blocks


def chunks_of(proxy):
    return [exchange.path for exchange in proxy.log if "/c/" in exchange.path]


def test_what_is_known_is_not_asked_for(client, study, far_place):
    """The number of rows, the shape and what is shown cost nothing; one column, its chunks."""
    make(study, 3, 5)
    found = study["wide"].to_dask()
    far_place.proxy.clear()
    assert len(found) == BLOCK * 5
    assert found.shape[1] == 3
    assert found.shape[0].compute() == BLOCK * 5
    assert "c1" in repr(found)
    assert far_place.proxy.verbs() == {}
    assert found["c1"].max().compute() == BLOCK * 5
    assert far_place.proxy.verbs() == {"GET": 5}


def some_rows(first, last, width):
    """Rows from one number to another."""
    return pd.DataFrame({f"c{n}": np.arange(first, last, dtype="int32") for n in range(width)})


@pytest.mark.parametrize(
    ("columns", "partitions", "step", "tasks"),
    [
        pytest.param(3, 6, BLOCK, 1, id="aligned"),
        pytest.param(40, 3, BLOCK, 2, id="aligned, more columns than a task places"),
        pytest.param(3, 7, 90, 1, id="ragged"),
    ],
)
def test_a_write(client, study, far_place, columns, partitions, step, tasks):
    """Each partition is an object, which a task that needs it reads once; each chunk, another."""
    make(study, 1, 1)
    starts = list(range(0, partitions * step, step))
    stops = [start + step for start in starts]
    meta = some_rows(0, 0, columns)
    found = dd.from_map(some_rows, starts, stops, width=columns, meta=meta)
    rows = partitions * step
    blocks, rest = rows // BLOCK, rows % BLOCK > 0
    proxy = far_place.proxy
    proxy.clear()
    study.write_dask(found, "copy", row_block=BLOCK)
    look = 2  # for other writers' changes, before and after partitions are staged
    assert proxy.verbs() == {
        "PUT": partitions + columns * blocks,
        "GET": look + WORKERS + partitions * tasks + rest,
        "LIST": look + 1,
        "DELETE": partitions,
    }
    proxy.clear()
    study.commit()
    zones = blocks + rest >= 4
    documents = 2 * columns + 2  # array and field of each column, the table, the root
    manifest = 1
    assert proxy.verbs() == {"GET": 1, "PUT": columns * (rest + zones) + documents + manifest}
    assert study["copy"]["c0"].data[:].tolist() == list(range(rows))
