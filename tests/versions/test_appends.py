"""Rows that are appended: in packs and segments, beside a plain model, and by several at once."""

from __future__ import annotations

import shutil
import uuid
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exetera_zarr import ConflictError, Session
from exetera_zarr.errors import CorruptDataError, StorageError
from exetera_zarr.storage.zarr import settling
from exetera_zarr.testing import Faults, as_another_process, counting, failing
from support import plain_reader

pytestmark = pytest.mark.zarr

TEXTS = ["", "a", "\u00e9\u00e9", "word" * 3]


def value(kind, number):
    return {
        "n": number % 100,
        "x": number / 2,
        "s": TEXTS[number % len(TEXTS)],
        "f": f"{number % 1000}"[:3],
    }[kind]


CREATE = {
    "n": lambda table, name: table.create_numeric(name, "int16"),
    "x": lambda table, name: table.create_numeric(name, "float64"),
    "s": lambda table, name: table.create_indexed_string(name),
    "f": lambda table, name: table.create_fixed_string(name, 3),
}


class Table:
    """A table, and the same in lists; each column begins with its kind."""

    def __init__(self, ds):
        self.ds = ds
        self.columns = {}
        self.count = 0

    @property
    def table(self):
        return self.ds["t"]

    def add(self, name, rows):
        CREATE[name[0]](self.table, name)
        self.columns[name] = []
        self.append([name], rows)

    def append(self, names, rows):
        for name in names:
            values = [value(name[0], self.count + k) for k in range(rows)]
            if rows or name[0] != "s":
                self.table[name].data.write(values)
            self.columns[name] += values
        self.count += rows

    def read(self, ds):
        found = {}
        for name in self.columns:
            values = ds["t"][name].data[:]
            values = values if isinstance(values, list) else values.tolist()
            found[name] = [v.decode() if isinstance(v, bytes) else v for v in values]
        return found


def act(model, action, number, rows):  # noqa: C901 - one case for each
    """One change, to the table and to the lists."""
    table, columns = model.table, model.columns
    names = sorted(columns)
    name = names[number % len(names)]
    length = len(columns[name])
    even = len({len(values) for values in columns.values()}) == 1
    match action:
        case "append":
            model.append(names, rows)
        case "append to one":
            model.append([name], rows)
        case "overwrite" if length and name[0] != "s":
            at = (number * 7) % length
            table[name].data[at] = value(name[0], number)
            columns[name][at] = value(name[0], number)
        case "overwrite many" if length and name[0] != "s":
            at = (number * 3) % length
            values = [value(name[0], number + k) for k in range(min(5, length - at))]
            table[name].data[at : at + len(values)] = values
            columns[name][at : at + len(values)] = values
        case "filter" if even and length:
            kept = [k % (2 + number % 3) != 1 for k in range(length)]
            table.apply_filter(np.array(kept))
            for each in names:
                columns[each] = [v for v, k in zip(columns[each], kept, strict=True) if k]
        case "filter one" if length:
            kept = [k % (2 + number % 3) != 1 for k in range(length)]
            table[name].apply_filter(np.array(kept), in_place=True)
            columns[name] = [v for v, k in zip(columns[name], kept, strict=True) if k]
        case "clear":
            table[name].data.clear()
            columns[name] = []
        case "add":
            kind = "nxsf"[number % 4]
            model.add(f"{kind}{uuid.uuid4().hex[:6]}", length)
        case "drop" if len(names) > 1:
            del table[name]
            del columns[name]
        case "rename":
            new = f"{name[0]}{uuid.uuid4().hex[:6]}"
            table.rename(name, new)
            columns[new] = columns.pop(name)
        case "compact":
            model.ds.compact()


ACTIONS = ["append", "append to one", "overwrite", "overwrite many", "filter", "filter one"]
ACTIONS += ["clear", "add", "drop", "rename", "compact"]
STEPS = st.tuples(
    st.sampled_from(["append"] * 12 + ACTIONS),
    st.integers(0, 30),
    st.sampled_from([0, 1, 1, 2, 3, 9, 40]),
)
AFTER = st.sampled_from(["commit", "commit", "commit", "nothing", "rollback", "fail", "reopen"])


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    row_block=st.sampled_from([4, 64, 400]),
    steps=st.lists(st.tuples(st.lists(STEPS, min_size=1, max_size=3), AFTER), max_size=14),
)
def test_a_table_is_what_a_plain_one_is(tmp_path_factory, row_block, steps):
    """Whatever is appended, overwritten, filtered, dropped and rolled back, in any order."""
    place = tmp_path_factory.mktemp("a") / f"{uuid.uuid4().hex}.zarr"
    session = Session(row_block=row_block)
    ds = session.open_dataset(place, "w", "d", durability="none")
    ds.create_dataframe("t")
    model = Table(ds)
    for kind in "nsfx":
        model.add(f"{kind}0", 5)
    ds.commit()
    committed = {name: list(values) for name, values in model.columns.items()}
    for changes, after in steps:
        if after == "fail":
            with pytest.raises(ZeroDivisionError), model.ds.transaction():
                before = {name: list(values) for name, values in model.columns.items()}
                for change in changes:
                    if change[0] != "compact":
                        act(model, *change)
                _ = 1 / 0
            model.columns = before
        else:
            for change in changes:
                act(model, *change)
                if change[0] == "compact":
                    committed = {name: list(values) for name, values in model.columns.items()}
        assert model.read(model.ds) == model.columns
        if after == "rollback":
            model.ds.rollback()
            model.columns = {name: list(values) for name, values in committed.items()}
            assert model.read(model.ds) == model.columns
        if after in ("commit", "reopen"):
            model.ds.commit()
            committed = {name: list(values) for name, values in model.columns.items()}
            with as_another_process(), Session() as other:
                seen = other.open_dataset(place, "r", "d")
                assert model.read(seen) == committed
                seen.verify()
            assert plain_reader.read(place)["t"] == committed
        if after == "reopen":
            session.close()
            session = Session(row_block=row_block)
            model.ds = session.open_dataset(place, "r+", "d", durability="none")
    model.ds.rollback()
    session.close()
    shutil.rmtree(place)


@pytest.fixture
def study(place):
    """A table of three columns, committed, and the store that it is opened with."""
    with counting() as stores, Session(row_block=4096) as s:
        options = {"storage_options": place.storage_options}
        ds = s.open_dataset(place.url("x.zarr"), "w", "d", **options)
        ds.create_dataframe("t")
        model = Table(ds)
        for kind in "nsf":
            model.add(f"{kind}0", 5000)
        ds.commit()
        yield model, stores[-1], options


def test_an_append_asks_for_nothing_that_is_there(study):
    """One object for all columns, whatever they have; nothing is read or copied."""
    model, store, options = study
    for _ in range(2):
        store.calls.clear()
        model.append(sorted(model.columns), 20)
        model.ds.commit()
        verbs = [verb for verb, _ in store.calls]
        assert "copy" not in verbs
        chunks = [key for verb, key in store.calls if verb == "put" and "/c/" in key]
        assert len(chunks) == 1
        packs = [k for verb, k in store.calls if verb == "get" and "/__pack" in k]
        assert not [k for v, k in store.calls if v == "get" and "/c/" in k and k not in packs]
    with as_another_process(), Session() as s:
        assert model.read(s.open_dataset(model.ds.url, "r", "d", **options)) == model.columns


def test_there_are_few_packs_and_segments(tmp_path):
    """A logarithm of what was appended, by any number of appends."""
    with Session(row_block=1 << 12) as s:
        ds = s.open_dataset(tmp_path / "x.zarr", "w", "d", durability="none")
        ds.create_dataframe("t")
        model = Table(ds)
        model.add("n0", 3)
        ds.commit()
        most = 0
        for _ in range(300):
            model.append(["n0"], 9)
            ds.commit()
            array = ds.storage.draft.root.groups["t"].groups["n0"].arrays["values"]
            most = max(most, len(array.parts))
        assert most <= 3 * 5 + 2
        assert model.read(ds) == model.columns


def test_a_column_that_grew_alone(study):
    model, _, options = study
    model.append(sorted(model.columns), 3)
    model.ds.commit()
    model.append(["n0"], 2)
    model.ds.commit()
    model.append(["s0", "f0"], 2)
    model.ds.commit()
    model.append(sorted(model.columns), 1)
    model.ds.commit()
    with as_another_process(), Session() as s:
        ds = s.open_dataset(model.ds.url, "r", "d", **options)
        assert model.read(ds) == model.columns
        ds.verify()


def replaced(array, number):
    """Have another segment in the place of one pack, as an erasure does."""
    parts = list(array.parts)
    segment = array.new_segment()
    segment.append(parts[number].read(0, parts[number].length))
    parts[number] = segment
    array.replace(parts)


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("left", [["n0"], ["s0"], ["f0", "n0", "s0"]])
def test_a_column_that_has_left_a_pack_keeps_out_of_the_joined_one(study, left, number):
    """A pack that is joined has only fields of which it has all rows of the packs before."""
    model, _, options = study
    columns = sorted(model.columns)
    for _ in range(3):
        model.append(columns, 2)
        model.ds.commit()
    draft = model.ds.storage.draft
    table = draft.root.groups["t"]
    assert all(len(f.arrays["values"].packs) == 3 for f in table.groups.values())
    with draft.changing():
        for name in left:
            for array in table.groups[name].arrays.values():
                replaced(array, number)
    model.append(columns, 2)  # the fourth of a size, with which the others become one
    model.ds.commit()
    if len(left) < len(columns):
        for name, field in table.groups.items():
            rows = [pack.rows for pack in field.arrays["values"].packs]
            assert rows == ([] if name in left else [8])
    with as_another_process(), Session() as s:
        ds = s.open_dataset(model.ds.url, "r", "d", **options)
        assert model.read(ds) == model.columns
        ds.verify()
    model.append(columns, 1)
    model.ds.commit()
    with as_another_process(), Session() as s:
        assert model.read(s.open_dataset(model.ds.url, "r", "d", **options)) == model.columns


def test_a_pack_is_read_once_for_all_columns(place):
    with Session(row_block=4096) as s:
        options = {"storage_options": place.storage_options}
        ds = s.open_dataset(place.url("x.zarr"), "w", "d", **options)
        ds.create_dataframe("t")
        model = Table(ds)
        for number in range(6):
            model.add(f"n{number}", 10)
        ds.commit()
        model.append(sorted(model.columns), 2)
        ds.commit()
    with as_another_process(), counting() as stores, Session() as s:
        ds = s.open_dataset(place.url("x.zarr"), "r", "d", **options)
        assert model.read(ds) == model.columns
        assert sum("__pack" in key for verb, key in stores[-1].calls if verb == "get") == 1


def test_a_damaged_pack_is_told(tmp_path):
    place = tmp_path / "x.zarr"
    with Session(row_block=4096) as s:
        ds = s.open_dataset(place, "w", "d")
        ds.create_dataframe("t")
        model = Table(ds)
        model.add("n0", 10)
        model.add("s0", 10)
        ds.commit()
        model.append(["n0", "s0"], 2)
        ds.commit()
    (chunk,) = Path(place, "t").glob("__pack-*/c/0")
    data = bytearray(chunk.read_bytes())
    for position in range(0, len(data), 3):
        damaged = bytearray(data)
        damaged[position] ^= 0x10
        chunk.write_bytes(damaged)
        with Session() as s, pytest.raises(CorruptDataError, match=r"(thing is|things are) wrong"):
            s.open_dataset(place, "r", "d").verify()
    chunk.write_bytes(data[:-1])
    with Session() as s, pytest.raises(CorruptDataError, match="__pack"):
        _ = s.open_dataset(place, "r", "d")["t"]["n0"].data[:]
    chunk.unlink()
    with Session() as s, pytest.raises(CorruptDataError, match="is missing"):
        _ = s.open_dataset(place, "r", "d")["t"]["n0"].data[:]


# -- several writers


class Writer:
    """A session that shares no draft with the others, as if in a process of its own."""

    def __init__(self, place, row_block=4096):
        with as_another_process():
            self.session = Session(row_block=row_block)
            self.ds = self.session.open_dataset(
                place.url("x.zarr"), "r+", "d", storage_options=place.storage_options
            )

    def write(self, texts):
        self.ds["t"]["n"].data.write(list(range(len(texts))))
        self.ds["t"]["s"].data.write(texts)


@pytest.fixture
def shared(place):
    with Session(row_block=4096) as s:
        options = {"storage_options": place.storage_options}
        ds = s.open_dataset(place.url("x.zarr"), "w", "d", **options)
        table = ds.create_dataframe("t")
        table.create_numeric("n", "int32").data.write([0, 1])
        table.create_indexed_string("s").data.write(["a", "b"])
    return place


def texts_of(place):
    with as_another_process(), Session() as s:
        options = {"storage_options": place.storage_options}
        ds = s.open_dataset(place.url("x.zarr"), "r", "d", **options)
        ds.verify()
        texts = ds["t"]["s"].data[:]
        assert len(ds["t"]["n"]) == len(texts)
        return texts


@pytest.mark.parametrize("rows", [1, 30, 5000])
def test_appends_of_several_writers_all_land(shared, rows):
    """In the order of their commits, each batch whole; as packs and as segments."""
    writers = [Writer(shared) for _ in range(4)]
    wanted = ["a", "b"]
    for number, writer in enumerate(writers):
        writer.write([f"{number}-{row}" for row in range(rows)])
    for number, writer in enumerate(writers):
        writer.ds.commit()
        wanted += [f"{number}-{row}" for row in range(rows)]
        assert writer.ds["t"]["s"].data[:] == wanted
    assert texts_of(shared) == wanted
    for number, writer in enumerate(reversed(writers)):  # again, over what has moved on
        writer.write([f"more {number}"])
        writer.ds.commit()
        wanted.append(f"more {number}")
    assert texts_of(shared) == wanted
    for writer in writers:
        writer.session.close()


def test_a_pack_is_not_sent_again(shared):
    """What was uploaded by the slower one is used where it is."""
    with counting() as stores:
        one, two = Writer(shared), Writer(shared)
    one.write(["one"])
    two.write(["two"])
    one.ds.commit()
    two.ds.commit()
    assert sum("/__pack" in key and "/c/" in key for _, key in stores[-1].calls) == 1
    assert texts_of(shared) == ["a", "b", "one", "two"]
    one.session.close()
    two.session.close()


CHANGES = {
    "overwritten": lambda ds: ds["t"]["n"].data.__setitem__(0, 9),
    "a new column": lambda ds: ds["t"].create_numeric("m", "int8").data.write([1, 2]),
    "a column less": lambda ds: ds["t"].__delitem__("n"),
    "renamed": lambda ds: ds["t"].rename("n", "m"),
    "filtered": lambda ds: ds["t"].apply_filter(np.array([True, False])),
    "one column longer": lambda ds: ds["t"]["n"].data.write([5]),
    "an attribute": lambda ds: ds["t"]["n"].group.update_attributes({"unit": "cm"}),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("first", ["the change", "the append"])
def test_what_is_no_append_is_a_conflict(shared, change, first):
    one, two = Writer(shared), Writer(shared)
    CHANGES[change](one.ds)
    two.write(["x"])
    fast, slow = (one, two) if first == "the change" else (two, one)
    fast.ds.commit()
    with pytest.raises(ConflictError, match="'t' changed"):
        slow.ds.commit()
    # Also where an append of a third one is on top.
    third = Writer(shared)
    if change not in ("a new column", "a column less", "renamed") or first == "the append":
        third.write(["y"])
        if change == "one column longer" and first == "the change":
            third.ds.rollback()
        third.ds.commit()
    with pytest.raises(ConflictError, match="'t' changed"):
        slow.ds.commit()
    slow.ds.rollback()
    for writer in (one, two, third):
        writer.session.close()


def parts_of(ds):
    """By column, how many segments and how many packs it is in."""
    node = ds.storage.draft.root.groups["t"]
    arrays = {name: column.arrays["values"] for name, column in node.groups.items()}
    return {name: (len(array.segments), len(array.packs)) for name, array in arrays.items()}


def test_an_upsert_writes_the_chunks_that_change_and_a_pack(study):
    """Of columns whose values stay as they are, it writes the new rows alone."""
    model, store, options = study
    model.add("n1", 5000)
    model.add("x0", 5000)
    model.table["n1"].data[:] = np.arange(5000)  # the key
    model.ds.commit()
    store.calls.clear()
    rows = {
        "n1": [7, 4999, 5000, 5001],
        "n0": [-1, -2, -3, -4],
        "x0": [*model.table["x0"].data[[7, 4999]].tolist(), 0.5, 1.5],
        "s0": ["other", "texts", "of", "rows"],
        "f0": [*model.table["f0"].data[[7, 4999]].tolist(), "x", "y"],
    }
    done = model.table.upsert(rows, "n1")
    assert (done.new, done.changed) == (2, 2)
    model.ds.commit()
    written = [key for verb, key in store.calls if verb in ("put", "copy") and "/c/" in key]
    assert sum("/__pack-" in key for key in written) == 1
    columns = {key.split("/")[1] for key in written if "/__pack-" not in key}
    assert columns == {"n0", "s0"}
    # Texts are written anew, with those that are new.
    assert parts_of(model.ds) == {
        **dict.fromkeys(("n0", "n1", "x0", "f0"), (1, 1)),
        "s0": (1, 0),
    }
    with as_another_process(), Session() as s:
        ds = s.open_dataset(model.ds.url, "r", "d", **options)
        ds.verify()
        assert ds["t"]["n0"].data[[7, 4999, 5000, 5001]].tolist() == [-1, -2, -3, -4]
        assert ds["t"]["s0"].data[[7, 4999, 5000, 5001]] == ["other", "texts", "of", "rows"]
        assert [len(ds["t"][name]) for name in rows] == [5002] * 5


def test_upserts_day_by_day_leave_few_packs(tmp_path):
    """Also where rows that are in packs are changed, so that their column leaves these."""
    with Session(row_block=1 << 12) as s:
        ds = s.open_dataset(tmp_path / "x.zarr", "w", "d", durability="none")
        table = ds.create_dataframe("t")
        for name in ("key", "a", "b"):
            table.create_numeric(name, "int32").data.write(np.arange(100))
        ds.commit()
        wanted = {name: list(range(100)) for name in ("key", "a", "b")}
        for day in range(60):
            last = len(wanted["key"])
            keys = [last - 1, last - 20, *range(last, last + 5)]
            table.upsert({"key": keys, "a": [-day] * 7, "b": keys}, "key")
            ds.commit()
            for key in keys[:2]:
                wanted["a"][key] = -day
            wanted["key"] += keys[2:]
            wanted["a"] += [-day] * 5
            wanted["b"] += keys[2:]
            assert max(sum(found) for found in parts_of(ds).values()) <= 3 * 4
        assert {name: field.data[:].tolist() for name, field in table.items()} == wanted
        ds.verify()
        assert plain_reader.read(tmp_path / "x.zarr")["t"] == wanted


def test_fields_that_are_written_one_by_one_are_one_append(shared):
    """As scripts of ExeTera write them, in parts that are cut otherwise in each field."""
    with counting() as stores, as_another_process():
        script = Session(row_block=4096, exetera=True)
        ds = script.open_dataset(
            shared.url("x.zarr"), "r+", "d", storage_options=shared.storage_options
        )
    other = Writer(shared)
    texts = [f"script {n}" for n in range(20)]
    for part in (np.arange(7, dtype="int32"), np.arange(7, 20, dtype="int32")):
        ds["t"]["n"].data.write_part(part)
    ds["t"]["n"].data.complete()
    ds["t"]["s"].data.write(texts)
    other.write(["other"])
    other.ds.commit()
    ds.commit()
    written = [key for verb, key in stores[-1].calls if verb == "put" and "/c/" in key]
    assert [key.split("-")[0] for key in written] == ["t/__pack"]
    assert parts_of(ds) == {"n": (1, 2), "s": (1, 2)}
    assert texts_of(shared) == ["a", "b", "other", *texts]
    ds["t"]["n"].data.write([1])  # and one that grew alone is a segment, and no append
    other.ds.refresh()
    other.write(["more"])
    other.ds.commit()
    with pytest.raises(ConflictError, match="'t' changed"):
        ds.commit()
    ds.rollback()
    ds.refresh()
    ds["t"]["n"].data.write([1])
    ds.commit()
    assert parts_of(ds) == {"n": (1, 0), "s": (1, 3)}
    script.close()
    other.session.close()


BY_KEY = {
    "upsert": lambda table, row: table.upsert({"n": [7], "s": [row]}, "n"),
    "journal": lambda table, row: table.journal(
        snapshot(table.dataset, row), "n", valid_from="2020-01-01", fields=["n", "s"]
    ),
}


def snapshot(dataset, text):
    """A table of one row, in a dataset of its own."""
    other = dataset.session.open_dataset(f"memory://{uuid.uuid4()}", "w", uuid.uuid4().hex)
    table = other.create_dataframe("snapshot")
    table.create_numeric("n", "int32").data.write([7])
    table.create_indexed_string("s").data.write([text])
    return table


@pytest.mark.parametrize("verb", BY_KEY)
def test_a_key_that_two_writers_find_missing_is_added_once(place, verb):
    """The slower one of them has not seen that row, and neither appends another nor loses it."""
    options = {"storage_options": place.storage_options}
    with Session(row_block=4096) as s:
        table = s.open_dataset(place.url("x.zarr"), "w", "d", **options).create_dataframe("t")
        table.create_numeric("n", "int32").data.write([1])
        table.create_indexed_string("s").data.write(["first"])
        if verb == "journal":
            for name, moment in (("j_valid_from", 0.0), ("j_valid_to", 1.0)):
                table.create_timestamp(name).data.write([moment])
    one, two, plain = Writer(place), Writer(place), Writer(place)
    for writer in (one, two):
        BY_KEY[verb](writer.ds["t"], "by key")
    one.ds.commit()
    with pytest.raises(ConflictError, match="'t' changed"):
        two.ds.commit()
    two.ds.rollback()
    two.ds.refresh()
    BY_KEY[verb](two.ds["t"], "by key")
    two.ds.commit()  # which finds it as it should be
    rows = {name: [8] for name in two.ds["t"]} | {"s": ["appended"]}
    two.ds["t"].append(rows)  # and what was only looked at is no conflict ever after
    plain.ds["t"].append(rows)
    two.ds.commit()
    plain.ds.commit()
    assert texts_of(place) == ["first", "by key", "appended", "appended"]
    for writer in (one, two, plain):
        writer.session.close()


@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("rollback", [False, True])
def test_an_append_that_fails_at_any_call(shared, applied, rollback):
    """The rows are there once, after another commit; or not at all after a rollback."""
    fast = Writer(shared)
    with failing(Faults()) as faults:
        writer = Writer(shared)
    for call in range(1, 60):
        before = texts_of(shared)
        writer.write([f"{call}", ""])
        if call % 3 == 0:
            fast.write([f"fast {call}"])
            fast.ds.commit()
            before.append(f"fast {call}")
        faults.arm(call, applied=applied)
        failed = False
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # others could not see it yet
            try:
                writer.ds.commit()
            except StorageError:
                failed = True
            calls = faults.disarm()
            if failed and rollback:
                writer.ds.rollback()
                writer.ds.refresh()
            writer.ds.commit()
        there = [*before, f"{call}", ""]
        assert texts_of(shared) in ([there, before] if failed and rollback else [there])
        fast.ds.refresh()
        if call > calls:
            break
    assert call > calls
    writer.session.close()
    fast.session.close()


def pack(ds, call):
    ds["t"].append({"n": [call], "s": [f"pack {call}"]})


def upsert(ds, call):
    """A row that is there, perhaps in a pack, and one that is not."""
    ds["t"].upsert({"n": [call - 1, call], "s": ["changed", f"new {call}"]}, "n")


def delete(ds, call):
    ds["t"].delete(ds["t"]["n"] == call - 1)


def columns(ds, call):
    """One more, which all rows have, and one less."""
    with ds.transaction():
        table = ds["t"]
        for name in [name for name in table if name.startswith("c")]:
            del table[name]
        table.create_numeric(f"c{call}", "int32").data.write([call] * len(table["n"]))
        table.append({"n": [call], "s": [""], f"c{call}": [0]})


def compact(ds, call):
    ds.storage.compact("t")


def rows_of(ds):
    return {name: np.asarray(field.data[:]).tolist() for name, field in ds["t"].items()}


def rows_at(place):
    with as_another_process(), Session() as s:
        options = {"storage_options": place.storage_options}
        return rows_of(s.open_dataset(place.url("x.zarr"), "r", "d", **options))


@pytest.mark.parametrize("verb", [pack, upsert, delete, columns, compact])
def test_a_verb_that_fails_at_any_call(shared, verb):
    """Before it is tried again all is as before, or done; afterwards it is done, once."""
    with failing(Faults()) as faults:
        writer = Writer(shared)
    session = Session()
    twin = session.open_dataset(f"memory://{uuid.uuid4()}", "w", "twin")
    table = twin.create_dataframe("t")
    for name, field in writer.ds["t"].items():
        field.create_like(table, name).data.write(field.data[:])
    twin.commit()
    for call in range(1, 90):
        if verb is not pack:
            for ds in (writer.ds, twin):
                with ds.transaction():
                    for name, field in ds["t"].items():
                        field.data.write([f"row {call}"] if name == "s" else [2 * call])
                ds.commit()
        before = rows_of(twin)
        verb(twin, 2 * call + 1)
        after = rows_of(twin)
        done = False
        faults.arm(call, applied=call % 2 == 0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # others could not see it yet
            try:
                verb(writer.ds, 2 * call + 1)
                done = True
                writer.ds.commit()
            except StorageError:
                assert rows_of(writer.ds) == (after if done else before)
            calls = faults.disarm()
            assert rows_at(shared) in (before, after)
            if not done:
                verb(writer.ds, 2 * call + 1)
            writer.ds.commit()
        assert rows_at(shared) == after
        twin.commit()
        if call > calls:
            break
    assert call > calls
    writer.ds.verify()
    writer.session.close()
    session.close()


def test_packs_are_joined_by_whoever_is_alone(shared, monkeypatch):
    """A writer that was slower leaves that to the next."""
    joined = []
    real = settling._Added.to_join

    def to_join(self, packs):
        found = real(self, packs)
        joined.append(len(found))
        return found

    monkeypatch.setattr(settling._Added, "to_join", to_join)
    one, two = Writer(shared), Writer(shared)
    for number in range(6):
        one.write([f"one {number}"])
        two.write([f"two {number}"])
        one.ds.commit()
        two.ds.commit()
    assert texts_of(shared)[2:] == [f"{who} {n}" for n in range(6) for who in ("one", "two")]
    assert any(joined)
    one.session.close()
    two.session.close()
