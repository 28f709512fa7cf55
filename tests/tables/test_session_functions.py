"""The functions of a session on fields, storage groups and arrays, on every back end."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import numpy as np
import pytest

from exetera_zarr import NameTakenError, Session, UnsupportedError

IDS = [3, 3, 1, 1, 1, 2, 3]
TEXTS = ["b", "a", "", "é", 'q"q', "", "x,y"]
RUNS = [0, 2, 5, 6, 7]


@pytest.fixture
def session(place):
    with Session(row_block=3) as s:
        s.open_dataset(place.url("x.zarr"), "w", "d", storage_options=place.storage_options)
        yield s


@pytest.fixture
def table(session):
    frame = session.get_dataset("d").create_dataframe("t")
    frame.create_numeric("id", "int32").data.write(IDS)
    frame.create_numeric("x", "float64").data.write([2.5, -1, 4, 4, 0, 7, 1])
    frame.create_fixed_string("code", 2).data.write([t.encode()[:2] for t in TEXTS])
    frame.create_categorical("c", "int8", {"n": 0, "y": 1}).data.write([1, 0, 1, 1, 0, 0, 1])
    frame.create_timestamp("when").data.write(np.arange(7) * 60.0)
    frame.create_indexed_string("s").data.write(TEXTS)
    return frame


def forms(table, name):
    """A field, its storage group, and its rows as an array."""
    return [table[name], table.h5group.group(name), np.asarray(table[name].data[:])]


def as_text(result):
    """The strings in the offsets and bytes of a result."""
    offsets, data = result
    return [data[a:b].tobytes().decode() for a, b in itertools.pairwise(offsets)]


# -- datasets and fields


def test_a_session_and_its_datasets(session, place, monkeypatch, tmp_path):
    """Names, timestamps, chunks and a name for a file that does not exist."""
    assert Session().chunksize == 1 << 20
    assert session.list_datasets() == ("d",)
    session.set_timestamp("then")
    made = session.get_dataset("d").create_dataframe("u").create_numeric("n", "int8")
    assert (session.timestamp, made.timestamp) == ("then", "then")
    with pytest.raises(ValueError, match="timestamp"):
        session.set_timestamp(5)
    assert list(session.chunks(7, 3)) == [(0, 3), (3, 6), (6, 7)]
    assert list(session.chunks(7)) == [(0, 7)]
    monkeypatch.chdir(tmp_path)
    assert not (tmp_path / session.temp_filename()).exists()
    with pytest.raises(NameTakenError):
        session.open_dataset(place.url("y.zarr"), "w", "d")
    session.close_dataset(session.get_dataset("d"))
    assert session.list_datasets() == ("d",)
    session.close()
    assert session.datasets == {}


@pytest.mark.parametrize("name", ["id", "code", "c", "when", "s"])
def test_groups_are_subscripted_as_those_of_h5py(session, table, name):
    """``df.h5group['f']['values'][:]`` and its attributes, as scripts reach past the fields."""
    group, field = table.h5group[name], table[name]
    assert list(session.get(group).data[:]) == list(field.data[:])
    assert group.attrs["fieldtype"] == field.fieldtype
    values, plain = group["values"], (field.values if name == "s" else field.data)[:]
    for item in (slice(None), slice(1, 3), slice(None, None, 2), -1, [0, 2], plain == plain[0]):
        assert np.array_equal(values[item], plain[item])
    table.rename(name, "a/b")
    root = session.get_dataset("d").group
    assert np.array_equal(table.h5group["a/b"]["values"][:], plain)
    table.rename("a/b", name)
    assert np.array_equal(root[f"t/{name}/values"][:], plain)
    for missing in (lambda: table.h5group["nope"], lambda: group["nope"]):
        with pytest.raises(KeyError):
            missing()


def test_getting_and_making_fields(session, table):
    """From fields and groups; in tables and their groups; never in a dataset or a list."""
    for name, field in table.items():
        found = session.get(table.h5group.group(name))
        assert type(found) is type(field)
        assert list(found.data[:]) == list(field.data[:])
        assert session.get(field) is field
    dest = session.get_or_create_group(session.get_dataset("d"), "dest")
    assert session.get_or_create_group(session.get_dataset("d"), "dest") is dest
    for place, name in ((dest, "one"), (dest.h5group, "two")):
        made = session.create_like(table.h5group.group("c"), place, name, datetime.now(UTC), 7)
        assert made is dest[name]
        assert (len(made), made.fieldtype) == (0, "categorical,int8")
        assert made.keys == {0: b"n", 1: b"y"}
    with pytest.raises(NameTakenError):
        session.create_like(table["c"], dest, "one")
    with pytest.raises(ValueError, match="field"):
        session.create_like([1], dest, "three")
    for wrong in (session.get_dataset("d"), [], None, table["c"]):
        with pytest.raises(ValueError, match="DataFrame"):
            session.create_timestamp(wrong, "x")
    with pytest.raises(UnsupportedError, match="create_numeric"):
        session.get_or_create_group(table, "group")
    assert session.get_or_create_group(table, "id") is table["id"]
    assert "group" not in table


# -- sorting


def test_sort_indices(session, table):
    """Fields, groups or arrays; the first key leads; from an order that is given; any type."""
    by_id = np.argsort(IDS, kind="stable")
    for keys in ([f] for f in forms(table, "id")):
        assert session.dataset_sort_index(keys).tolist() == by_id.tolist()
    both = session.dataset_sort_index((table["id"], table["x"]))
    assert both.tolist() == [4, 2, 3, 5, 1, 6, 0]
    for index in (np.arange(7, dtype="uint32")[::-1], np.array([6, 1, 0], "uint32")):
        found = session.dataset_sort_index((table["id"],), index)
        assert found.dtype == "uint32"
        assert found.tolist() == sorted(index.tolist(), key=lambda row: IDS[row])
    texts = session.dataset_sort_index((table["s"],))
    assert [TEXTS[row] for row in texts] == sorted(TEXTS)
    for wrong in (table["id"], (), "id", ([1, 2],)):
        with pytest.raises(ValueError):  # noqa: PT011
            session.dataset_sort_index(wrong)


# -- rows


@pytest.mark.parametrize("name", ["id", "x", "code", "c", "when"])
def test_choosing_rows(session, table, name):
    """Of a field or group a destination is overwritten, of an array it is appended to."""
    values = table[name].data[:]
    keep, index = np.array([1, 0, 2, 0, 0, 0, 1]), np.array([6, 0, 0])
    mask = session.get_dataset("d").create_dataframe("m").create_numeric("m", "bool")
    mask.data.write(keep != 0)
    field, group, array = forms(table, name)
    dest = field.create_like()
    for chosen in (keep, keep != 0, mask):
        assert session.apply_filter(chosen, field, dest).tolist() == values[keep != 0].tolist()
        assert dest.data[:].tolist() == values[keep != 0].tolist()
    # Of an array, numbers are row numbers, as in ExeTera.
    dest = field.create_like(table, "dest")
    for src in (array, group):
        assert session.apply_filter(mask, src).tolist() == values[keep != 0].tolist()
        assert session.apply_filter(keep, src, dest).tolist() == values[keep].tolist()
    assert dest.data[:].tolist() == values[keep].tolist() * 2
    for src in (field, group, array):
        assert session.apply_index(index, src).tolist() == values[index].tolist()
    session.apply_index(index, array, table.h5group.group("dest"))
    assert len(dest) == 17
    for function in (session.apply_filter, session.apply_index):
        with pytest.raises((ValueError, TypeError), match=r"'nothing'|a str"):
            function("nothing", field)


def test_choosing_strings(session, table):
    """Offsets and bytes come back; a destination gets the strings."""
    index = np.array([6, 0, 3])
    dest = session.create_indexed_string(session.get_dataset("d").create_dataframe("u"), "s")
    wanted = [TEXTS[row] for row in index]
    for src, times in ((table["s"], 1), (table["s"], 1), (table.h5group.group("s"), 2)):
        assert as_text(session.apply_index(index, src, dest)) == wanted
        assert dest.data[:] == wanted * times
    assert as_text(session.apply_filter(np.array(IDS) == 1, table["s"])) == TEXTS[2:5]
    # An array of text stays one.
    for array in (np.array(TEXTS), np.array(TEXTS, object)):
        found = session.apply_index(index, array)
        assert (found.tolist(), found.dtype) == (wanted, array.dtype)


# -- spans


def test_spans(session, table):
    """Of a field, its group or an array; of several; to a field."""
    for name, wanted in (("id", RUNS), ("s", list(range(8))), ("c", [0, 1, 2, 4, 6, 7])):
        for form in forms(table, name):
            assert list(session.get_spans(form)) == wanted
            assert list(session.get_spans(field=form)) == wanted
    assert session.get_spans(table["id"]).dtype == np.int32
    three = (table["id"], table["c"].data[:], table.h5group.group("when"))
    assert list(session.get_spans(fields=three)) == list(range(8))
    assert session.get_spans(fields=(table["id"], table["c"])) == [0, 1, 2, 4, 5, 6, 7]
    arrays = (table["id"].data[:], table["c"].data[:])
    assert session.get_spans(fields=arrays).tolist() == [0, 1, 2, 4, 5, 6, 7]
    assert session.get_spans(fields=arrays).dtype == np.int32
    assert list(session.get_spans(fields=(table["id"],))) == RUNS
    assert list(session.get_spans(np.array([True, True, False]))) == [0, 2, 3]
    assert list(session.get_spans(np.empty(0))) == [0]
    dest = table.create_numeric("spans", "int32")
    assert session.get_spans(table["id"], dest) is dest
    assert dest.data[:].tolist() == RUNS
    with pytest.raises(TypeError):
        session.get_spans(table["id"], np.empty(5))
    for wrong in ({}, {"field": [1, 2]}, {"field": table["id"], "fields": (table["id"],)}):
        with pytest.raises(ValueError):  # noqa: PT011
            session.get_spans(**wrong)


def chosen_rows(function, values):
    """Row numbers of what a function chooses of each run."""
    return [a + function(values[a:b]) for a, b in itertools.pairwise(RUNS)]


@pytest.mark.parametrize("name", ["x", "code", "c", "when"])
def test_aggregates_of_spans(session, table, name):
    """Of a field, a group or an array; the result is returned, and appended to a field."""
    values = table[name].data[:].tolist()
    rows = {
        "first": [0, 2, 5, 6],
        "last": [1, 4, 5, 6],
        "min": chosen_rows(lambda run: run.index(min(run)), values),
        "max": chosen_rows(lambda run: run.index(max(run)), values),
    }
    for form in forms(table, name):
        for what, wanted in rows.items():
            dest = table[name].create_like()
            function = getattr(session, f"apply_spans_{what}")
            for _ in range(2):
                found = function(np.array(RUNS), form, dest)
                assert found.tolist() == [values[row] for row in wanted]
            assert dest.data[:].tolist() == found.tolist() * 2
            assert found.dtype == table[name].data.dtype
            aggregate = getattr(session, f"aggregate_{what}")
            assert aggregate(table["id"], form).tolist() == found.tolist()
            assert aggregate(table["id"], form, dest) is dest
            assert len(dest) == 12
        for what in ("min", "max"):
            index_of = getattr(session, f"apply_spans_index_of_{what}")
            found = index_of(np.array(RUNS, "int32"), form)
            assert found.tolist() == rows[what]
            assert found.dtype == np.int32
    custom = session.aggregate_custom(session.apply_spans_max, table["id"].data[:], table[name])
    assert custom.tolist() == [values[row] for row in rows["max"]]


def test_row_numbers_and_counts_of_spans(session, table):
    dest = table.create_numeric("n", "int64")
    spans = np.array(RUNS)
    assert session.apply_spans_index_of_first(spans, dest).tolist() == RUNS[:-1]
    assert session.apply_spans_index_of_last(spans).tolist() == [1, 4, 5, 6]
    assert session.apply_spans_count(spans, dest).tolist() == [2, 3, 1, 1]
    assert session.apply_spans_count(spans).dtype == np.int64
    for form in forms(table, "id"):
        assert session.aggregate_count(form).tolist() == [2, 3, 1, 1]
    assert session.aggregate_count(table["id"], dest) is dest
    assert dest.data[:].tolist() == [0, 2, 5, 6, 2, 3, 1, 1, 2, 3, 1, 1]


def test_joined_strings_of_spans(session, table):
    """As a line of CSV, without the empty ones; appended to the destination."""
    dest = table.create_indexed_string("joined")
    for _ in range(2):
        session.apply_spans_concat(np.array(RUNS), table["s"], dest, 2, 2, 1)
    assert dest.data[:] == ["b,a", 'é,"q""q"', "", '"x,y"'] * 2
    for wrong in ((table["x"], dest), (table["s"], table["x"]), (table["s"], None)):
        with pytest.raises(ValueError, match="indexed string"):
            session.apply_spans_concat(np.array(RUNS), *wrong)


def test_joined_strings_over_many_blocks(session, table):
    """The offsets go on from block to block, whatever chunks ExeTera's arguments ask for."""
    texts = [f"t{row}" * (row % 3) for row in range(60)]
    many = table.create_indexed_string("many")
    many.data.write(texts)
    spans = np.array([*range(0, 60, 4), 60])
    dest = table.create_indexed_string("joined")
    session.apply_spans_concat(spans, many, dest, 2, 2, 1)
    assert dest.data[:] == [
        ",".join(filter(None, texts[start:stop])) for start, stop in itertools.pairwise(spans)
    ]


def test_spans_that_do_not_fit(session, table):
    """Other lengths, other types, no target: an error, and nothing is written."""
    dest = table.create_numeric("n", "float64")
    spans = np.array(RUNS)
    for wrong in (
        lambda: session.apply_spans_max(spans[:-1], table["x"], dest),
        lambda: session.apply_spans_index_of_min(spans, np.arange(6), dest),
        lambda: session.apply_spans_first(spans, [1] * 7, dest),
        lambda: session.apply_spans_max(np.array([0, 3, 3, 7]), table["x"], dest),
        lambda: session.apply_spans_max(spans, None, dest),
        lambda: session.aggregate_max(table["id"], None, dest),
        lambda: session.aggregate_max(table["id"], table["x"], np.empty(4)),
        lambda: session.aggregate_count(table["id"], np.empty(4)),
        lambda: session.aggregate_min([1, 1], table["x"], dest),
    ):
        with pytest.raises(ValueError):  # noqa: PT011
            wrong()
    with pytest.raises(TypeError):
        session.apply_spans_count(spans, np.empty(4))
    assert len(dest) == 0
