"""Datasets and tables: names, renames, copies, rows chosen, sorted, grouped and merged."""

from __future__ import annotations

import math
import threading
from unittest import mock

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import exetera_zarr
from exetera_zarr import DataError, NameTakenError, Session, merge
from exetera_zarr.errors import FieldNotFoundError, TableNotFoundError
from exetera_zarr.fields.base import Field
from exetera_zarr.storage import Capability
from exetera_zarr.tables.dataframe import copy, move
from exetera_zarr.tables.dataset import copy as copy_table
from exetera_zarr.tables.dataset import move as move_table

IDS = [3, 1, 2, 3, 1, 2, 2, 9, 3, 1, 1]
NOTES = ["c", "a", "", "c", "b", "é", "", "z", "c" * 40, "a", "A"]


@pytest.fixture
def dataset(place):
    with Session(row_block=4) as s:
        yield s.open_dataset(place.url("x.zarr"), "w", "d", storage_options=place.storage_options)


@pytest.fixture
def exetera_dataset(place):
    with Session(row_block=4, exetera=True) as s:
        yield s.open_dataset(place.url("x.zarr"), "w", "d", storage_options=place.storage_options)


@pytest.fixture
def table(dataset):
    return fill(dataset.create_dataframe("visits"))


def fill(frame):
    frame.create_numeric("id", "int64").data.write(IDS)
    frame.create_indexed_string("note").data.write(NOTES)
    frame.create_fixed_string("code", 3).data.write([n.encode()[:3] for n in NOTES])
    sex = frame.create_categorical("sex", "int8", {"f": 0, "m": 1})
    sex.data.write([n % 2 for n in range(11)])
    frame.create_timestamp("when").data.write(np.arange(11) * 3600.0)
    frame.create_numeric("score", "float64").data.write(
        [1.5, math.nan, -0.0, 0.0, 7, math.nan, 2, 3, 4, -math.inf, 5]
    )
    return frame


def as_lists(frame):
    """The rows of each field, a NaN as a text that equals itself."""
    found = {}
    for name, field in frame.items():
        values = list(field.data[:])
        found[name] = ["NaN" if isinstance(v, float) and math.isnan(v) else v for v in values]
    return found


def chosen(frame, rows):
    return {name: [values[row] for row in rows] for name, values in as_lists(frame).items()}


# -- names


def test_tables_of_a_dataset(dataset):
    """Made, required, found, listed, deleted; errors name what there is."""
    a, b = dataset.create_dataframe("a"), dataset.create_group("b")
    assert dataset["a"] is a is dataset.get_dataframe("a") is dataset.require_dataframe("a")
    assert dataset.require_dataframe("c").name == "c"
    assert (dataset.keys(), list(dataset), len(dataset)) == (["a", "b", "c"],) * 2 + (3,)
    assert dataset.values()[1] is b
    assert dict(dataset.items())["b"] is b
    assert "a" in dataset
    assert "z" not in dataset
    assert 1 not in dataset
    assert dataset.contains_dataframe(a)
    with pytest.raises(TypeError):
        dataset.contains_dataframe("a")
    with pytest.raises(TypeError):
        dataset[1]
    with pytest.raises(TableNotFoundError, match="there are: 'a', 'b', 'c'"):
        dataset["z"]
    with pytest.raises(ValueError, match="no table"):
        del dataset["z"]
    with pytest.raises(KeyError):
        dataset.drop("z")
    with pytest.raises(NameTakenError):
        dataset.create_dataframe("a")
    with pytest.raises(ValueError, match="DataFrame"):
        dataset.create_dataframe("d", "a")
    del dataset["a"]
    dataset.drop("b")
    dataset.delete_dataframe(dataset["c"])
    assert dataset.keys() == []
    with pytest.raises(ValueError, match="does not exist any more"):
        a.keys()


def test_a_table_assigned_within_its_dataset_is_copied(dataset, table):
    """Both are there, and neither shows what is done to the other; itself is no copy."""
    before = as_lists(table)
    dataset["seen"] = table
    dataset["visits"] = table
    assert dataset.keys() == ["visits", "seen"]
    table.apply_filter(np.zeros(11, bool))
    assert as_lists(dataset["seen"]) == before
    dataset["emptied"] = table
    dataset["emptied"] = dataset["seen"]  # which replaces it
    assert as_lists(dataset["emptied"]) == before
    assert dataset.keys() == ["visits", "seen", "emptied"]
    del dataset["emptied"]
    move_table(dataset["seen"], dataset, "moved")
    assert dataset.keys() == ["visits", "moved"]
    assert as_lists(dataset["moved"]) == before


def test_renaming_and_copying_tables(exetera_dataset, place):
    """In ExeTera's face: assigned within its dataset a table is renamed, to another one copied."""
    dataset, table = exetera_dataset, fill(exetera_dataset.create_dataframe("visits"))
    before = as_lists(table)
    field = table["note"]
    with pytest.raises(AttributeError, match=r"ds\['seen'\] = df"):
        table.name = "seen"
    dataset["seen"] = table
    assert dataset.keys() == ["seen"]
    assert dataset["seen"] is table
    assert table.name == "seen"
    assert field.data[:] == NOTES
    dataset.create_dataframe("copied", table)
    table.apply_filter(np.zeros(11, bool))
    assert as_lists(dataset["copied"]) == before
    with pytest.raises(NameTakenError):
        dataset["copied"] = table
    with Session() as s:
        other = s.open_dataset(
            place.url("other.zarr"), "w", "o", storage_options=place.storage_options
        )
        other["here"] = dataset["copied"]
        copy_table(dataset["copied"], other, "again")
        move_table(dataset["copied"], other, "moved")
        assert other.keys() == ["here", "again", "moved"]
        assert dataset.keys() == ["seen"]
        for name in other:
            assert as_lists(other[name]) == before
            assert other[name]["sex"].keys == {0: b"f", 1: b"m"}


def test_fields_of_a_table(table):
    """Found, listed, copied, deleted; an empty table is falsy; columns is a copy."""
    assert table.keys() == ["id", "note", "code", "sex", "when", "score"]
    assert len(table) == 6
    assert "id" in table
    assert table["id"] is table.get_field("id")
    assert table["id"].dataframe is table
    with pytest.raises(TypeError):
        1 in table  # noqa: B015
    for wrong, instead in ((1, r"df\.iloc\[1\]"), (table["score"], "by a condition")):
        with pytest.raises(TypeError, match=instead):
            table[wrong]
    with pytest.raises(FieldNotFoundError, match="there are: 'id', 'note'"):
        table["nope"]
    table["twin"] = table["note"]
    assert table["twin"].data[:] == NOTES
    table["twin"] = table["id"]
    assert table["twin"].data[:].tolist() == table["id"].data[:].tolist()
    with pytest.raises(DataError, match=r"2 values for 'x'.* rows"):
        table["x"] = [1, 2]
    with pytest.raises(TypeError):
        table[1] = table["id"]
    assert table.contains_field(table["id"])
    table.columns.clear()
    del table["twin"]
    table.drop("id")
    table.delete_field(table["when"])
    assert table.keys() == ["note", "code", "sex", "score"]
    with pytest.raises(KeyError):
        table.drop("id")
    empty = table.dataset.create_dataframe("empty")
    assert not empty
    with pytest.raises(ValueError, match="not of"):
        empty.delete_field(table["note"])


def test_names_go_together_as_sets(dataset, table):
    """The keys of a table and of a dataset are a list, and have the operators of a dict's keys."""
    other = people(dataset)
    plain = {"id": 0, "name": 0, "ok": 0}
    assert table.keys() & other.keys() == {"id"} == plain.keys() & table.keys()
    assert table.keys() - other.keys() == {"note", "code", "sex", "when", "score"}
    assert plain.keys() - table.keys() == {"name", "ok"} == {"id", "name", "ok"} - table.keys()
    assert other.keys() | ["x"] == {"id", "name", "ok", "x"} == {"x"} | other.keys()
    assert other.keys() ^ {"id", "x"} == {"name", "ok", "x"} == {"id", "x"} ^ other.keys()
    assert other.keys() == plain.keys() == set(other.keys())
    assert other.keys() == ["id", "name", "ok"] != list(table.keys())
    assert other.keys() != {"id"}
    assert other.keys().isdisjoint({"x"})
    assert dataset.keys() & {"people", "x"} == {"people"}
    assert [*other.keys()[1:], other.keys()[0]] == ["name", "ok", "id"]


def test_renaming_and_moving_fields(dataset, table):
    """Objects follow a rename, names may swap; a move to another table ends the old object."""
    one, two = table["id"], table["score"]
    table.rename({"id": "score", "score": "id"})
    assert (one.name, two.name) == ("score", "id")
    assert table.keys() == ["score", "note", "code", "sex", "when", "id"]
    assert table["score"] is one
    assert one.data[:].tolist() == IDS
    with pytest.raises(KeyError):
        table.rename("nope", "x")
    with pytest.raises(ValueError, match="exists"):
        table.rename("id", "note")
    for wrong in (("id",), ({"id": "x"}, "y"), (["id"], "x")):
        with pytest.raises(ValueError, match="rename takes"):
            table.rename(*wrong)
    other = dataset.create_dataframe("other")
    assert move(one, table, "back") is one
    assert one.name == "back"
    there = move(one, other, "there")
    assert not one.valid
    assert there.data[:].tolist() == IDS
    assert "back" not in table
    assert copy(there, other, "twice").data[:].tolist() == IDS
    assert other.add(table["note"]).data[:] == NOTES


@pytest.mark.parametrize("name", ["id", "note"])
def test_a_copy_that_fails_half_way_leaves_none_behind(dataset, table, name, monkeypatch):
    """That the fields beside it cost nothing is shown by storage.test_many_tables."""
    table["twin"] = table[name]
    assert list(table["twin"].data[:]) == list(table[name].data[:])
    del table["twin"]

    def half_way():
        yield table[name].read(0, 4), None
        raise InterruptedError

    broken = copy(table[name], dataset.create_dataframe("other"), "broken")
    monkeypatch.setattr(broken, "masked_blocks", half_way)
    before = table.keys()
    with pytest.raises(InterruptedError):
        copy(broken, table, "twin")
    assert table.keys() == before
    assert "twin" not in table
    with pytest.raises(NameTakenError):
        copy(broken, table, name)
    assert len(table[name]) == 11


# -- rows


def test_filter_and_index(dataset, table):
    """To another table and in place; every field type; the result names its fields alike."""
    keep = table["id"] > 1
    rows = np.flatnonzero(np.array(IDS) > 1).tolist()
    expected = chosen(table, rows)
    other = dataset.create_dataframe("other")
    assert table.apply_filter(keep, other) is other
    assert as_lists(other) == expected
    index = np.array([10, 0, 0, 5])
    picked = chosen(table, [10, 0, 0, 5])
    assert as_lists(table.apply_index(index, dataset.create_dataframe("third"))) == picked
    assert table.apply_filter(keep) is table
    assert as_lists(table) == expected


def test_a_failed_operation_leaves_the_tables_as_they_were(dataset, table, place):
    """Half-way through a filter, in place or to another table, nothing has changed."""
    before = as_lists(table)
    other = dataset.create_dataframe("other")
    other.create_numeric("code", "int8")
    with pytest.raises(NameTakenError):
        table.apply_filter(np.ones(11, bool), other)
    assert other.keys() == ["code"]
    with pytest.raises(IndexError):
        table.apply_filter(np.ones(10, bool))
    with pytest.raises(IndexError):
        table.apply_index(np.array([0, 11]))
    with pytest.raises(ValueError, match="filter"):
        table.apply_filter([1] * 11)
    with pytest.raises(IndexError, match="filter"):
        table.apply_filter([True] * 10)
    with pytest.raises(TypeError):
        table.apply_filter(np.ones(11, bool), "other")
    assert as_lists(table) == before
    table["note"].data.write(["one more"])
    with pytest.raises(DataError, match="different lengths"):
        table.apply_filter(np.ones(11, bool))


def test_transactions(dataset, table):
    """What a `with ds.transaction()` block did is dropped when an exception leaves it."""
    before = as_lists(table)
    note = table["note"]
    with pytest.raises(InterruptedError), dataset.transaction():
        table.apply_filter(table["id"] > 2)
        table["more"] = table["id"] + 1
        del table["note"]
        dataset.create_dataframe("new")
        raise InterruptedError
    assert dataset.keys() == ["visits"]
    assert as_lists(table) == before
    assert note.data[:] == NOTES
    with dataset.transaction():
        table.apply_filter(table["id"] > 2)
    assert len(note) == 4
    with pytest.raises(ValueError, match="transaction"), dataset.transaction():
        dataset.commit()


@pytest.mark.parametrize("by", ["id", "note", "code", "sex", "when", "score", ["sex", "note"]])
@pytest.mark.parametrize("ascending", [True, False])
def test_sorting(dataset, table, by, ascending):
    """Stable by any type, either way, NaN last; to another table and in place."""
    names = [by] if isinstance(by, str) else by
    values = as_lists(table)

    def rank(name, row):
        """Ascending position of a key, with NaN last either way."""
        texts = [v.encode() if isinstance(v, str) and v != "NaN" else v for v in values[name]]
        distinct = sorted({v for v in texts if v != "NaN"}, reverse=not ascending)
        return len(distinct) if texts[row] == "NaN" else distinct.index(texts[row])

    order = sorted(range(11), key=lambda row: [rank(name, row) for name in names])
    expected = chosen(table, order)
    other = table.sort_values(by, dataset.create_dataframe("sorted"), ascending=ascending)
    assert as_lists(other) == expected
    assert table.sort_values(by, ascending=ascending) is table
    assert as_lists(table) == expected


def test_sorting_by_the_session(dataset, table):
    """`dataset_sort_index` and `sort_on`, as older scripts sort."""
    s = dataset.session
    index = s.dataset_sort_index((table["id"], table["when"]), np.arange(11, dtype="uint32"))
    assert index.dtype == np.uint32
    assert index.tolist() == sorted(range(11), key=lambda row: IDS[row])
    by_arrays = s.dataset_sort_index([np.array(IDS)])
    assert by_arrays.tolist() == index.tolist()
    expected = chosen(table, index)
    other = dataset.create_dataframe("other")
    s.sort_on(table, other, ("id", "when"), verbose=False)
    s.sort_on(table, table, ("id", "when"))
    assert as_lists(table) == as_lists(other) == expected
    for wrong in ((table["id"],)[0], (), ["id"]):
        with pytest.raises(ValueError):  # noqa: PT011
            s.dataset_sort_index(wrong)


def test_to_pandas(table):
    """Numbers as they are, strings as objects; rows and columns chosen."""
    frame = table.to_pandas(types="raw")
    assert list(frame.columns) == table.keys()
    assert frame["note"].tolist() == NOTES
    assert frame["sex"].tolist() == [n % 2 for n in range(11)]
    small = table.to_pandas(row_filter=np.array(IDS) == 2, col_filter=["id", "note"])
    assert small.to_dict("list") == {"id": [2, 2, 2], "note": ["", "é", ""]}


# -- merges


def people(dataset):
    frame = dataset.create_dataframe("people")
    frame.create_numeric("id", "int64").data.write([1, 2, 3, 4])
    frame.create_indexed_string("name").data.write(["Ann", "Bob", "", "Dee"])
    frame.create_numeric("ok", "bool").data.write([True, True, False, True])
    return frame


def test_merging_left_unordered(dataset, table):
    """Every left row in order; suffixes where both have a name; valid_r says who had none."""
    dest = dataset.create_dataframe("dest")
    merge(table, people(dataset), dest, "id", "id", left_fields=["id", "note"])
    names = {1: "Ann", 2: "Bob", 3: ""}
    assert as_lists(dest) == {
        "id_l": IDS,
        "note": NOTES,
        "id_r": [i if i in names else 0 for i in IDS],
        "name": [names.get(i, "") for i in IDS],
        "ok": [i in (1, 2) for i in IDS],
        "valid_r": [i in names for i in IDS],
    }


@pytest.mark.parametrize("of", ["left", "right"])
def test_a_field_of_the_users_that_is_called_as_what_a_merge_adds(dataset, table, of):
    """The message says what needs the name, and what it says to do helps."""
    other = people(dataset)
    owner = table if of == "left" else other
    owner.create_numeric("valid_r", "int8").data.write([1] * len(owner["id"]))
    fields = {
        "left_fields": ["id", "valid_r"] if of == "left" else ["id"],
        "right_fields": ["name"] if of == "left" else ["name", "valid_r"],
    }
    with pytest.raises(NameTakenError) as caught:
        merge(table, other, dataset.create_dataframe("dest"), "id", "id", **fields)
    assert "has to say in 'valid_r' for which rows there is a partner" in str(caught.value)
    assert "give left_suffix or right_suffix another value" in str(caught.value)
    assert "earlier merge" not in str(caught.value)
    dest = dataset.create_dataframe("again")
    merge(table, other, dest, "id", "id", **fields, right_suffix="_2")
    assert {"valid_r", "valid_2"} <= set(dest.keys())


def test_merging_with_hints(dataset, table):
    """Both sides ordered: ExeTera's other names, the same rows, and no helper fields."""
    table.sort_values("id")
    dest = dataset.create_dataframe("dest")
    merge(
        table,
        people(dataset),
        dest,
        "id",
        "id",
        left_fields=("id",),
        right_fields=("id", "name"),
        hint_left_keys_ordered=True,
        hint_right_keys_ordered=True,
        hint_right_keys_unique=True,
    )
    ids = sorted(IDS)
    assert as_lists(dest) == {
        "id": ids,
        "id_r": [i if i < 9 else 0 for i in ids],
        "name": [{1: "Ann", 2: "Bob"}.get(i, "") for i in ids],
        "valid_r": [i < 9 for i in ids],
    }
    table.sort_values("when")
    with pytest.raises(ValueError, match="left"):
        merge(
            table,
            people_again(dataset),
            dataset.create_dataframe("no"),
            "id",
            "id",
            hint_left_keys_ordered=True,
            hint_right_keys_ordered=True,
        )
    assert dataset["no"].keys() == []


@pytest.mark.parametrize(
    ("how", "keys", "names"),
    [
        ("inner", "id", ["id", "id_r"]),
        ("inner", ("id",), ["id", "id_r"]),
        ("outer", "id", ["id_l", "id_r"]),
        ("left", ("id", "id"), ["id_l", "id_r"]),
    ],
)
def test_names_of_a_merge_with_hints(dataset, table, how, keys, names):
    """ExeTera's other names are those of its ordered path: one key, and no outer merge."""
    table.sort_values("id")
    dest = dataset.create_dataframe("dest")
    merge(
        table,
        people(dataset),
        dest,
        keys,
        keys,
        left_fields=["id"],
        right_fields=["id"],
        how=how,
        hint_left_keys_ordered=True,
        hint_right_keys_ordered=True,
    )
    assert [name for name in dest if name.startswith("id")] == names


def people_again(dataset):
    return dataset["people"]


def test_merging_into_one_of_the_tables(dataset, table):
    """The result can be added to the left table itself."""
    merge(table, people(dataset), table, "id", "id", left_fields=[], right_fields=["name"])
    assert table.keys()[-2:] == ["name", "valid_r"]
    assert table["name"].data[0] == ""
    assert table["name"].data[1] == "Ann"


def test_merge_errors(dataset, table):
    """Wrong arguments are ValueErrors, and the destination stays empty."""
    dest = dataset.create_dataframe("dest")
    right = people(dataset)
    wrong = [
        {"how": "sideways"},
        {"left_on": ("id",), "right_on": "id"},
        {"left_on": ("id", "note"), "right_on": ("id",)},
        {"left_on": "nope"},
        {"left_on": ["id"]},
        {"left_fields": ["nope"]},
        {"right": "people"},
        {"left_on": "note", "right_on": "id"},
        {"left_on": "sex", "right_on": "cat"},
    ]
    right.create_categorical("cat", "int8", {"m": 0, "f": 1}).data.write([0, 1, 1, 0])
    for change in wrong:
        arguments = {"left": table, "right": right, "dest": dest, "left_on": "id", "right_on": "id"}
        with pytest.raises((ValueError, TypeError)):
            merge(**{**arguments, **change})
        assert dest.keys() == []


keys = st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["", "a", "b"])), max_size=9)


@settings(max_examples=60, deadline=None)
@given(keys, keys, st.sampled_from(["left", "right", "inner", "outer"]), st.booleans())
def test_merges_have_the_rows_that_pandas_has(left, right, how, hinted):
    """Any two small tables, one or two keys, with rows that repeat or have no partner."""
    with Session(row_block=3) as s:
        ds = s.open_dataset("memory://merges.zarr", "w", "d")
        if hinted:
            left, right = sorted(left), sorted(right)
        frames, plain = [], []
        for name, rows in (("left", left), ("right", right)):
            frame = ds.create_dataframe(name)
            frame.create_numeric("n", "int32").data.write([n for n, _ in rows])
            frame.create_indexed_string("t").data.write([t for _, t in rows])
            frame.create_numeric(f"row_{name}", "int32").data.write(range(1, len(rows) + 1))
            frames.append(frame)
            plain.append(
                pd.DataFrame(
                    {
                        "n": [n for n, _ in rows],
                        "t": [t for _, t in rows],
                        f"row_{name}": range(1, len(rows) + 1),
                    }
                ).astype({"n": int, "t": object, f"row_{name}": int})
            )
        dest = ds.create_dataframe("dest")
        merge(
            *frames,
            dest,
            ("n", "t"),
            ("n", "t"),
            left_fields=["row_left"],
            right_fields=["row_right"],
            how=how,
            hint_left_keys_ordered=hinted,
            hint_right_keys_ordered=hinted,
        )
        expected = plain[0].merge(plain[1], on=["n", "t"], how=how)
        pairs = list(zip(dest["row_left"].data[:], dest["row_right"].data[:], strict=True))
        wanted = expected[["row_left", "row_right"]].fillna(0).astype(int).to_numpy().tolist()
        assert sorted(map(tuple, wanted)) == sorted(pairs)
        for side, flag in ((0, "valid_l"), (1, "valid_r")):
            flags = [pair[side] > 0 for pair in pairs]
            assert (flag in dest) == (not all(flags))
            if flag in dest:
                assert dest[flag].data[:].tolist() == flags


# -- the package


def test_open_dataset_without_a_session(place):
    """One dataset, in a with block."""
    with exetera_zarr.open_dataset(
        place.url("x.zarr"), "w", storage_options=place.storage_options
    ) as ds:
        ds.create_dataframe("t").create_numeric("n", "int8").data.write([1])
    with exetera_zarr.open_dataset(
        place.url("x.zarr"), storage_options=place.storage_options
    ) as ds:
        assert ds["t"]["n"].data[:].tolist() == [1]
        assert ds.version == 1
        if Capability.VERSIONS in ds.capabilities:
            assert [commit.version for commit in ds.history()] == [1, 0]
            assert "version 1" in repr(ds)
        else:
            assert "no versions" in repr(ds)
    assert ds.closed
    with pytest.raises(ValueError, match="closed"):
        ds["t"]


def test_session_arguments(tmp_path):
    """Limits, blocks, names and modes that make no sense are refused."""
    for wrong in (
        {"memory_limit": "1MB"},
        {"memory_limit": "lots"},
        {"row_block": 0},
        {"timestamp": 1},
    ):
        with pytest.raises(ValueError):  # noqa: PT011
            Session(**wrong)
    assert Session(memory_limit="2GB").settings.memory_limit == 2 * 10**9
    assert Session(memory_limit="1GiB").settings.memory_limit == 2**30
    with Session() as s:
        with pytest.raises(ValueError, match="mode"):
            s.open_dataset(str(tmp_path / "x.zarr"), "rw", "d")
        with pytest.raises(FileNotFoundError):
            s.open_dataset(str(tmp_path / "x.zarr"), "r", "d")
        s.open_dataset(tmp_path / "x.zarr", "w")
        with pytest.raises(ValueError, match="open dataset"):
            s.open_dataset(tmp_path / "y.zarr", "w", "x")
        assert s.list_datasets() == ("x",)
        with pytest.raises(KeyError):
            s.get_dataset("y")
        s.close_dataset("nope")
        assert s.get_dataset("x").create_dataframe("t", row_block=7).group.row_block == 7
        for wrong in ("t", 5):
            with pytest.raises(AttributeError):
                s.get(wrong)
        with pytest.raises(ValueError, match="not a field"):
            s.get(s.get_dataset("x")["t"])
        with pytest.raises(ValueError, match="DataFrame"):
            s.create_numeric(s.get_dataset("x"), "n", "int8")


@pytest.mark.parametrize("operation", ["index", "merge", "group"])
def test_an_error_that_is_kept_holds_no_threads_or_connections(operation):
    """A notebook keeps the last traceback, and with it all that its frames have not closed."""
    before = set(threading.enumerate())
    connections = []

    def connect(*args, **options):
        connections.append(duckdb_connect(*args, **options))
        return connections[-1]

    duckdb_connect = duckdb.connect
    with Session(row_block=4) as s:
        ds = s.open_dataset("memory://kept", "w", "d")
        table, result = ds.create_dataframe("t"), ds.create_dataframe("r")
        table.create_numeric("k", "int64").data.write(np.arange(40)[::-1])
        run = {
            "index": lambda: table.apply_index(np.arange(40)[::-1], result),
            "merge": lambda: merge(table, table, result, "k", "k"),
            "group": lambda: table.groupby("k").count(result),
        }[operation]
        with (
            mock.patch.object(Field, "append", side_effect=RuntimeError),
            mock.patch.object(duckdb, "connect", connect),
            pytest.raises(RuntimeError) as kept,
        ):
            run()
        assert kept.tb
        reading = {t for t in threading.enumerate() if t.name.startswith("exetera-ahead")}
        assert not reading - before
        for connection in connections:
            with pytest.raises(duckdb.ConnectionException):
                connection.execute("SELECT 1")
        assert bool(connections) == (operation == "group")


@pytest.mark.parametrize("way", ["break", "close", "let go"])
def test_a_generator_of_which_nobody_takes_the_rest_has_committed(place, way):
    """Nothing failed, and Python swallows what ends it: undoing would lose data without a word."""
    url = place.url("x.zarr")

    def rows():
        with Session() as session:
            dataset = session.open_dataset(url, "w", "d", storage_options=place.storage_options)
            field = dataset.create_dataframe("t").create_numeric("n", "int8")
            for number in range(3):
                field.data.write([number])
                yield number

    running = rows()
    if way == "break":
        for _ in running:
            break
    else:
        next(running)
    if way == "close":
        running.close()
    del running
    with Session() as session:
        again = session.open_dataset(url, "r", "d", storage_options=place.storage_options)
        assert again["t"]["n"].data[:].tolist() == [0]
