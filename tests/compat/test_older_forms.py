"""Forms of ExeTera's older scripts: groups of h5py, arrays in merges, and what a session leaves."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from exetera_zarr import DataError, NameTakenError
from exetera_zarr.compat import validation
from exetera_zarr.compat.session import Session

h5py = pytest.importorskip("h5py")
TEXTS = ["c", "", "bb"]


@pytest.fixture
def file(tmp_path):
    """A file that the script itself opened, with a field of each type in the group `t`."""
    with Session() as s, h5py.File(tmp_path / "old.hdf5", "w") as hf:
        group = hf.create_group("t")
        s.create_numeric(group, "n", "int32").data.write([3, 1, 2])
        s.create_numeric(group, "b", "bool").data.write([True, False, True])
        s.create_indexed_string(group, "x").data.write(TEXTS)
        s.create_fixed_string(group, "f", 3).data.write([b"a", b"bb", b"ccc"])
        s.create_categorical(group, "c", "int8", {"no": 0, "yes": 1}).data.write([0, 1, 0])
        s.create_timestamp(group, "w").data.write([1.5, 2.5, 3.5])
        yield s, hf


def test_fields_at_the_root_of_a_file(tmp_path):
    with Session() as s, h5py.File(tmp_path / "old.hdf5", "w") as hf:
        field = s.create_numeric(hf, "n", "int32")
        field.data.write([1, 2])
        field.data.write_part([3])
        assert (field.name, field.dataframe, len(field)) == ("n", None, 3)
        assert hf["n"]["values"][:].tolist() == [1, 2, 3]
        with pytest.raises(NameTakenError):
            s.create_numeric(hf, "n", "int32")
    with Session() as s, h5py.File(tmp_path / "old.hdf5", "r") as hf:
        assert s.get(hf["n"]).data[:].tolist() == [1, 2, 3]
        with pytest.raises(RuntimeError):
            s.get(hf["n"]).data.write([4])


def test_what_is_in_the_file_is_of_exeteras_layout(file):
    """A dataset opened by path finds it as it finds what ExeTera wrote."""
    s, hf = file
    assert dict(hf["t"]["n"].attrs)["fieldtype"] == "numeric,int32"
    assert (hf["t"]["n"]["values"].chunks, hf["t"]["n"]["values"].maxshape) == ((1024,), (None,))
    assert hf["t"]["c"]["key_names"].asstr()[:].tolist() == ["no", "yes"]
    path = hf.filename
    hf.close()
    table = s.open_dataset(path, "r", "d")["t"]
    assert {n: list(f.data[:]) for n, f in table.items()} == {
        "n": [3, 1, 2],
        "b": [True, False, True],
        "x": TEXTS,
        "f": [b"a", b"bb", b"ccc"],
        "c": [0, 1, 0],
        "w": [1.5, 2.5, 3.5],
    }
    assert table["c"].keys == {0: b"no", 1: b"yes"}


def test_functions_of_the_session_on_groups(file):
    s, hf = file
    t = hf["t"]
    assert s.get(t["x"]).data[:] == TEXTS
    assert s.get(t["c"]).keys == {0: b"no", 1: b"yes"}
    assert s.apply_index(np.array([2, 0]), t["n"]).tolist() == [2, 3]
    assert s.apply_filter(np.array([True, False, True]), t["f"]).tolist() == [b"a", b"ccc"]
    order = s.dataset_sort_index((t["n"],), np.arange(3, dtype="uint32"))
    assert (order.tolist(), order.dtype) == ([1, 2, 0], np.uint32)
    assert s.get_index(t["n"], t["n"]).tolist() == [0, 1, 2]
    assert [one.tolist() for one in s.get_shared_index((t["n"], t["n"]))] == [[2, 0, 1]] * 2
    assert s.aggregate_count(t["b"]).tolist() == [1, 1, 1]
    (joined,) = s.merge_left(t["n"], t["n"], right_fields=(t["x"],))
    assert joined.data[:] == TEXTS
    made = s.create_like(t["x"], t, "like")
    s.apply_index(np.array([1, 2]), s.get(t["x"]), t["like"])
    assert made.data[:] == ["", "bb"]
    assert s.get_or_create_group(hf, "t") == t
    assert s.get_or_create_group(hf, "new").name == "/new"
    assert validation.is_field_parameter(t["n"])
    assert validation.raw_array_from_parameter(s, "n", t["n"]).tolist() == [3, 1, 2]
    for wrong in (t, t["n"]["values"]):
        with pytest.raises(ValueError, match="not a field"):
            s.get(wrong)


def test_sorting_groups(file):
    """To another group, and in place."""
    s, hf = file
    s.sort_on(hf["t"], hf.create_group("sorted"), ("n",), verbose=False)
    s.sort_on(hf["t"], hf["t"], ("n",), verbose=False)
    for group in (hf["sorted"], hf["t"]):
        assert s.get(group["n"]).data[:].tolist() == [1, 2, 3]
        assert s.get(group["x"]).data[:] == ["", "bb", "c"]
        assert s.get(group["f"]).data[:].tolist() == [b"bb", b"ccc", b"a"]


def test_fields_in_groups_change_as_others_do(file):
    s, hf = file
    number, text = s.get(hf["t"]["n"]), s.get(hf["t"]["x"])
    number.data[1] = 9
    number.apply_filter(np.array([True, True, False]), in_place=True)
    text.data.clear()
    text.data.write(["again"])
    assert number.data[:].tolist() == [3, 9]
    assert s.get(hf["t"]["x"]).data[:] == ["again"]
    assert hf["t"]["x"]["index"][:].tolist() == [0, 5]
    assert (number + 1).data[:].tolist() == [4, 10]


def test_fields_that_were_made_otherwise(file):
    """Without values, as older versions left them; or of a fixed size."""
    s, hf = file
    del hf["t"]["n"]["values"]
    assert s.get(hf["t"]["n"]).data[:].tolist() == []
    s.get(hf["t"]["n"]).data.write([7])
    del hf["t"]["w"]["values"]
    hf["t"]["w"].create_dataset("values", data=[1.0])
    s.get(hf["t"]["w"]).data.write([2.0])
    assert hf["t"]["n"]["values"][:].tolist() == [7]
    assert hf["t"]["w"]["values"][:].tolist() == [1.0, 2.0]


def test_sessions_do_not_import_h5py():
    code = "import sys, exetera_zarr.compat as c; import exetera.core.session as m; "
    code += "m.Session().get_spans; print('h5py' in sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert found.stdout.strip() == "False"


def test_merges_of_arrays_give_arrays():
    """Strings as well; and a map that is an array is left as it is, as in ExeTera."""
    with Session() as s:
        left, right = np.array([1, 2, 3]), np.array([2, 3, 4])
        words, codes = np.array(["x", "yy", "z"]), np.array([b"x", b"yy", b"z"])
        for values, nothing in ((words, ""), (codes, b""), (np.array([0.5, 1, 2]), 0.0)):
            (found,) = s.merge_left(left, right, right_fields=(values,))
            assert isinstance(found, np.ndarray)
            assert found.dtype == values.dtype
            assert found.tolist() == [nothing, *values[:2].tolist()]
        (found,) = s.merge_right(left, right, left_fields=(words,))
        assert found.tolist() == ["yy", "z", ""]
        row_map = np.zeros(3, "int64")
        (found,) = s.ordered_merge_left(
            left, right, (words,), left_to_right_map=row_map, right_unique=True
        )
        assert (found.tolist(), row_map.tolist()) == (["", "x", "yy"], [0, 0, 0])


def test_names_are_there_after_the_session(tmp_path):
    for place in ("memory://after", str(tmp_path / "x.zarr"), str(tmp_path / "x.hdf5")):
        with Session() as s:
            d = s.open_dataset(place, "w", "d")
            table = d.create_dataframe("t")
            table.create_numeric("n", "int8").data.write([1])
            d.create_dataframe("gone")
            d.drop("gone")
        assert (list(d.keys()), len(d), "t" in d) == (["t"], 1, True)
        assert (list(table.keys()), len(table), "n" in table, "x" in table) == (
            ["n"],
            1,
            True,
            False,
        )
        with pytest.raises(ValueError, match="closed"):
            table["n"]


def test_codes_given_as_floats():
    """Those that are whole, as pandas makes them."""
    with Session() as s:
        table = s.open_dataset("memory://floats", "w", "d").create_dataframe("t")
        field = table.create_categorical("c", "int8", {"a": 0.0, "b": np.float64(1)})
        assert field.keys == {0: b"a", 1: b"b"}
        field.data.write([0.0, 1.0])
        assert field.data[:].tolist() == [0, 1]
        with pytest.raises(DataError):
            table.create_categorical("d", "int8", {"a": 0.5})


def test_fields_are_described_in_the_order_of_the_types():
    with Session() as s:
        table = s.open_dataset("memory://order", "w", "d").create_dataframe("t")
        for name, dtype in (("a", "int32"), ("b", "int64"), ("c", "int32")):
            table.create_numeric(name, dtype).data.write([1])
        for include, wanted in (
            ([np.int32, np.int64], ["a", "c", "b"]),
            ([np.int64, np.int32], ["b", "a", "c"]),
            ([np.number, np.int64], ["a", "b", "c"]),
        ):
            assert table.describe(include=include, output="none")["fields"] == wanted
