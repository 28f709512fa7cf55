"""How many requests an operation makes: the budgets of the design, counted at the server."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from exetera_zarr import Session
from exetera_zarr.testing import counting

pytestmark = [pytest.mark.s3, pytest.mark.zarr]
COLUMNS = 200


def kind_of(request) -> str:
    """What a request is about, in the words of the budget."""
    if "list-type" in request.query:
        return "LIST"
    if "/c/" in request.path:
        return f"{request.verb} chunk"
    if "__exetera__/commits/" in request.path:
        return f"{request.verb} manifest"
    if "__exetera__/probe-" in request.path:
        return f"{request.verb} probe"
    assert request.path.endswith("/zarr.json"), request
    return f"{request.verb} document"


def write_columns(place, count: int = COLUMNS) -> None:
    with Session() as s:
        table = s.open_dataset(
            place.url("wide.zarr"), "w", "d", storage_options=place.storage_options
        ).create_dataframe("table")
        for number in range(count):
            table.create_numeric(f"c{number:03}", "int32").data.write(np.arange(1000) + number)


def test_creating_200_columns(s3_place, s3_server):
    """Each column is one upload; then one manifest, and a document per node for other readers."""
    write_columns(s3_place)
    assert Counter(kind_of(r) for r in s3_server.requests) == {
        "GET document": 1,  # is there a dataset? its root
        "LIST": 3,  # its newest manifest; is there anything else? or a dataset around it?
        "PUT probe": 3,  # once for a bucket that is not Amazon's: does it honour conditions?
        "DELETE probe": 1,
        "PUT manifest": 2,  # the claim of the place, and the commit
        "GET manifest": 1,  # is the version that it is over still there? beside the uploads
        "PUT chunk": COLUMNS,
        "PUT document": 2 * COLUMNS + 2,  # array and group of each field, table, root
    }


def test_reading_one_of_200_columns(s3_place, s3_server):
    """Three requests in two round trips: the root and the newest manifest's name, the chunk."""
    write_columns(s3_place)
    s3_server.requests.clear()
    with Session() as s:
        ds = s.open_dataset(
            s3_place.url("wide.zarr"), "r", "d", storage_options=s3_place.storage_options
        )
        assert sorted(map(kind_of, s3_server.requests)) == ["GET document", "LIST"]
        assert len(ds["table"]["c100"]) == 1000
        assert ds["table"]["c100"].data[:].tolist() == (np.arange(1000) + 100).tolist()
        _ = repr(s), repr(ds), s._repr_html_(), ds._repr_html_()
        _ = ds["table"].shape, ds["table"].dtypes, repr(ds["table"].info())
    assert len(s3_server.requests) == 3
    assert kind_of(s3_server.requests[-1]) == "GET chunk"


def test_looking_at_200_columns(s3_place, s3_server, monkeypatch):
    """A chunk of each field that is shown, and of no other; the second look asks for nothing."""
    monkeypatch.setenv("COLUMNS", "80")
    write_columns(s3_place)
    with Session() as s:
        table = s.open_dataset(
            s3_place.url("wide.zarr"), "r", "d", storage_options=s3_place.storage_options
        )["table"]
        s3_server.requests.clear()
        in_a_terminal = repr(table)
        assert "first 10 rows and 11 fields" in in_a_terminal
        assert Counter(map(kind_of, s3_server.requests)) == {"GET chunk": 11}
        assert "first 20 of 200 fields" in table._repr_html_()
        assert Counter(map(kind_of, s3_server.requests)) == {"GET chunk": 20}
        field = table["c199"]
        assert (repr(field), repr(field)) == (repr(table["c199"]),) * 2
        assert Counter(map(kind_of, s3_server.requests)) == {"GET chunk": 21}
        assert (repr(table), repr(field)) == (in_a_terminal, repr(field))
        _ = table._repr_html_(), field._repr_html_()
    assert len(s3_server.requests) == 21


@pytest.mark.parametrize("times", [3_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_many_small_writes_are_one_upload(place, times):
    """Thousands of writes of ten rows leave one chunk, encoded and stored once."""
    with counting() as stores, Session() as s:
        ds = s.open_dataset(
            place.url("small.zarr"), "w", "d", storage_options=place.storage_options
        )
        data = ds.create_dataframe("t").create_numeric("f", "int32").data
        for number in range(times):
            data.write(np.arange(number, number + 10))
        ds.commit()
        assert len(stores[0].chunks("put")) == 1
        assert data[-10:].tolist() == list(range(times - 1, times + 9))


@pytest.mark.parametrize("times", [3_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_many_single_assignments_are_one_upload(place, times):
    """Thousands of assignments of one row, in any order, store a committed chunk once again."""
    rows = np.random.default_rng(1).permutation(times)
    with counting() as stores, Session() as s:
        ds = s.open_dataset(
            place.url("small.zarr"), "w", "d", storage_options=place.storage_options
        )
        data = ds.create_dataframe("t").create_numeric("f", "int32").data
        data.write(np.zeros(times, "int32"))
        ds.commit()
        stores[0].calls.clear()
        for row in rows.tolist():
            data[row] = row
        ds.commit()
        assert len(stores[0].chunks("put")) == 1
        assert stores[0].verbs["delete"] == 0
    with Session() as s:
        ds = s.open_dataset(
            place.url("small.zarr"), "r", "d", storage_options=place.storage_options
        )
        assert ds["t"]["f"].data[:].tolist() == list(range(times))


def test_an_append_leaves_what_is_there(s3_place, s3_server):
    """No chunk is read, copied or written but that of the rows."""
    options = s3_place.storage_options
    with Session(row_block=100) as s:
        ds = s.open_dataset(s3_place.url("a.zarr"), "w", "d", storage_options=options)
        ds.create_dataframe("t").create_numeric("f", "int32").data.write(np.arange(1950))
    s3_server.requests.clear()
    with Session() as s:
        ds = s.open_dataset(s3_place.url("a.zarr"), "r+", "d", storage_options=options)
        ds["t"]["f"].data.write(np.arange(10))
    found = Counter(map(kind_of, s3_server.requests))
    assert found["PUT chunk"] == 1
    assert found["GET chunk"] == 0
    assert not any(kind.startswith("HEAD") for kind in found)
    with Session() as s:
        ds = s.open_dataset(s3_place.url("a.zarr"), "r", "d", storage_options=options)
        expected = [*range(1950), *range(10)]
        assert ds["t"]["f"].data[:].tolist() == expected
