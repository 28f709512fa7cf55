"""What differs between two versions, beside a plain model, and what is read to tell it."""

from __future__ import annotations

import json
import uuid

import numpy as np
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from exetera_zarr import DataError, Session
from exetera_zarr.errors import FieldNotFoundError, VersionNotFoundError
from exetera_zarr.testing import counting
from exetera_zarr.texts import json_text

pytestmark = pytest.mark.zarr

NAMES = {"no": 0, "yes": 1, "perhaps": 2}
OTHERS = {"perhaps": 0, "no": 1, "yes": 5}
ROW = st.fixed_dictionaries(
    {
        "id": st.integers(0, 12),
        "a": st.one_of(st.none(), st.integers(-3, 3)),
        "f": st.sampled_from([0.0, -0.0, 1.5, float("nan"), None]),
        "s": st.sampled_from(["", "x", "y\u00e4", None]),
        "c": st.sampled_from([*NAMES, None]),
    }
)
TABLE = st.lists(ROW, max_size=12, unique_by=lambda row: row["id"])


def write(ds, rows, categories):
    """The rows as a new table."""
    if "t" in ds:
        del ds["t"]
    table = ds.create_dataframe("t")
    table.create_numeric("id", "int64").data.write([row["id"] for row in rows])
    table.create_numeric("a", "int16").data.write([row["a"] for row in rows])
    table.create_numeric("f", "float32").data.write([row["f"] for row in rows])
    table.create_indexed_string("s").data.write([row["s"] for row in rows])
    codes = [None if row["c"] is None else categories[row["c"]] for row in rows]
    table.create_categorical("c", "int8", categories).data.write(codes)


def value(row, name):
    """A value so that those which are equal are: missing floats are NaN, and zero has no sign."""
    found = row[name]
    if name == "f":
        return None if found is None or np.isnan(found) else found + 0.0
    return found


@settings(max_examples=settings.default.max_examples // 2)
@given(before=TABLE, after=TABLE, others=st.booleans(), block=st.integers(1, 5))
def test_tables_by_key(tmp_path_factory, before, after, others, block):
    place = tmp_path_factory.mktemp("diff") / "x.zarr"
    with Session(row_block=block) as s:
        ds = s.open_dataset(str(place), "w", durability="none")
        write(ds, before, NAMES)
        ds.commit()
        write(ds, after, OTHERS if others else NAMES)
        ds.commit()
        found = ds.diff(1, 2, key="id", examples=100)
        note(str(found))
    old = {row["id"]: row for row in before}
    new = {row["id"]: row for row in after}
    common = old.keys() & new.keys()
    counts = {
        name: sum(value(old[key], name) != value(new[key], name) for key in common)
        for name in ("a", "f", "s", "c")
    }
    changed = {
        key
        for key in common
        if any(value(old[key], name) != value(new[key], name) for name in counts)
    }
    told = {column.name: column.rows for column in found["t"].columns} if found else {}
    assert told == {
        name: count for name, count in counts.items() if count or (name == "c" and others)
    }
    if not found:
        assert (old.keys(), changed) == (new.keys(), set())
        return
    table = found["t"]
    assert (table.added, table.removed) == (len(new.keys() - old), len(old.keys() - new))
    assert table.changed == len(changed)
    keys = {kind: {one["id"] for one in some} for kind, some in table.examples.items()}
    wanted = {"added": new.keys() - old, "removed": old.keys() - new, "changed": changed}
    assert keys == {kind: set(some) for kind, some in wanted.items() if some}
    json.dumps(found.to_dict())


def test_tables_columns_and_names(place):
    with Session(row_block=4) as s:
        ds = s.open_dataset(place.url("x.zarr"), "w", storage_options=place.storage_options)
        write(ds, [{"id": n, "a": n, "f": 1.0, "s": "x", "c": "no"} for n in range(6)], NAMES)
        ds.create_dataframe("gone").create_numeric("x", "int8").data.write([1, 2])
        ds.create_dataframe("called").create_numeric("x", "int8").data.write([1, 2])
        ds.commit()
        ds.tag("before")
        table = ds["t"]
        table.rename("a", "b")
        del table["s"]
        table.create_timestamp("w").data.write(np.arange(6.0))
        table["f"].astype("float64")
        del ds["gone"]
        ds.create_dataframe("made").create_numeric("x", "int8").data.write([1])
        ds.group.rename_groups({"called": "renamed"})
        ds.commit()
        found = ds.diff("before", key="id")
        assert {(one.name, one.kind) for one in found.tables} == {
            ("t", "changed"),
            ("gone", "removed"),
            ("made", "added"),
            ("renamed", "changed"),
        }
        assert found["renamed"].renamed_from == "called"
        columns = {one.name: one for one in found["t"].columns}
        assert {name: one.kind for name, one in columns.items()} == {
            "b": "changed",
            "s": "removed",
            "w": "added",
            "f": "changed",
        }
        assert columns["b"].renamed_from == "a"
        assert (columns["f"].type_before, columns["f"].rows) == ("numeric,float32", 0)
        assert found["t"].changed == 0
        text, html = str(found), found._repr_html_()
        assert "gone: removed, 2 rows" in text
        assert "b: it was called a" in text
        assert "<table>" in html
        assert not ds.diff(ds.version, key="id")
        assert str(ds.diff(ds.version)).endswith("no differences")


def test_rows_without_a_key(tmp_path):
    with Session(row_block=4) as s:
        ds = s.open_dataset(str(tmp_path / "x.zarr"), "w")
        table = ds.create_dataframe("t")
        table.create_numeric("a", "int32").data.write(np.arange(10))
        ds.commit()
        table["a"].data[3] = 70
        table["a"].data.write([1, 2])
        ds.commit()
        (one,) = ds.diff(1).tables
        assert (one.added, one.removed, one.changed, one.key) == (2, 0, 1, ())
        assert one.examples == {"added": [{"row": 10}, {"row": 11}], "changed": [{"row": 3}]}
        (back,) = ds.diff(2, 1).tables
        assert (back.added, back.removed, back.changed) == (0, 2, 1)


def test_what_cannot_be_told(tmp_path):
    with Session() as s:
        ds = s.open_dataset(str(tmp_path / "x.zarr"), "w")
        rows = [{"id": n % 2, "a": n, "f": 1.0, "s": "x", "c": "no"} for n in range(4)]
        write(ds, rows, NAMES)
        ds.commit()
        ds["t"].delete([0])
        ds.commit()
        with pytest.raises(DataError, match=r"the key id = 1 occurs more than once in the"):
            ds.diff(1, key="id")
        with pytest.raises(FieldNotFoundError, match="'nope'"):
            ds.diff(1, key={"t": "nope"})
        with pytest.raises(FieldNotFoundError, match="no table 'nope'"):
            ds.diff(1, key={"nope": "id"})
        with pytest.raises(VersionNotFoundError):
            ds.diff("nope")
        with pytest.raises(FieldNotFoundError, match=r"no table .* has the key 'nope'"):
            ds.diff(1, key="nope")
        with pytest.raises(TypeError, match="name of a field"):
            ds.diff(1, key=[5])
        ds["t"].rename("a", "renamed")
        ds.commit()
        assert ds.diff(2, key="renamed")["t"].changed == 0  # of which it was called a
        assert ds.diff(1, key="renamed")["t"].removed == 1


def test_what_both_versions_share_is_not_read(tmp_path):
    """Of a column of ten that was corrected both versions are read, and of the others nothing."""
    url = str(tmp_path / "x.zarr")
    with Session(row_block=64) as s:
        ds = s.open_dataset(url, "w")
        table = ds.create_dataframe("t")
        for name in "abcdefghij":
            table.create_numeric(name, "int64").data.write(np.arange(256))
        table.create_indexed_string("s").data.write([f"text {n}" for n in range(256)])
        ds.commit()
        table["c"].data[70] = 0
        ds.commit()
        table.append({name: [1000] for name in "abcdefghij"} | {"s": ["more"]})
        ds.commit()
    for versions, wanted in (((1, 2), {"t/c"}), ((2, 3), set())):
        with Session() as s, counting() as stores:
            ds = s.open_dataset(url, "r")
            found = ds.diff(*versions, key="a", examples=0)
            assert found["t"].changed == (versions == (1, 2))
            keys = [
                key for store in stores for verb in ("get", "part") for key in store.chunks(verb)
            ]
        read = {"/".join(key.split("/")[:2]) for key in keys}
        assert read == wanted


def test_what_json_has_no_number_for_is_text():
    with Session() as s:
        ds = s.open_dataset(f"memory://{uuid.uuid4()}.zarr", "w", "d")
        table = ds.create_dataframe("t")
        table.create_numeric("x", "float64").data.write([1.0])
        ds.commit()
        table["x"].data.write([float("inf")])
        ds.commit()
        found = ds.diff(1, 2, key="x")
        assert '"x": "inf"' in json_text(found.to_dict())
        for wrong in (-1, True, 1.5):
            with pytest.raises(ValueError, match="number of keys"):
                ds.diff(1, 2, examples=wrong)
