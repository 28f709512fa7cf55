"""Scripts as people wrote them for older ExeTeras; and scripts that never close."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from datetime import UTC, datetime

import numpy as np
import pytest

from exetera_zarr import Session

TEXTS = ["", "é", "a longer text", "b", "", "日本"]


def make_study(place, *, top_level=False):
    """A dataset of every field type, in a table, or with the fields at the top level."""
    with Session(row_block=4) as s:
        ds = s.open_dataset(
            place.url("a_dataset.zarr"), "w", "ds1", storage_options=place.storage_options
        )
        home = ds if top_level else ds.create_dataframe("patients")
        home.create_numeric("age", "int32").data.write(np.arange(6) * 10)
        home.create_fixed_string("patient_id", 4).data.write([b"p%d" % n for n in range(6)])
        home.create_indexed_string("foo").data.write(TEXTS)
        home.create_categorical("sex", "int8", {"f": 0, "m": 1}).data.write([0, 1, 1, 0, 1, 0])
        home.create_timestamp("seen").data.write(np.arange(6) * 86400.0)


@pytest.mark.parametrize("top_level", [False, True])
def test_opening_reading_and_listing(place, top_level):
    """Open, list, get, len, data: with the fields in a table, or at the top level."""
    make_study(place, top_level=top_level)
    s = Session()
    ds = s.open_dataset(
        place.url("a_dataset.zarr"), "r", "ds1", storage_options=place.storage_options
    )
    fields = ["age", "patient_id", "foo", "sex", "seen"]
    assert [k for k in ds.keys()] == (fields if top_level else ["patients"])  # noqa: C416, SIM118
    table = ds if top_level else ds["patients"]
    r = s.get(table["patient_id"])
    assert len(r) == 6
    assert r.data[:].tolist() == [b"p0", b"p1", b"p2", b"p3", b"p4", b"p5"]
    assert table["age"].data[2] == 20
    assert table["foo"].data[:] == TEXTS
    s.close_dataset("ds1")
    assert s.list_datasets() == ()


def test_with_and_without_with(place):
    """`with Session()` commits when it is left; so does close_dataset; a session costs nothing."""
    url, options = place.url("x.zarr"), place.storage_options
    with Session() as s:
        ds = s.open_dataset(url, "w", "ds1", storage_options=options)
        s.create_numeric(ds.create_dataframe("t"), "n", "int32").data.write([1])
    s = Session()
    ds = s.open_dataset(url, "r+", "ds1", storage_options=options)
    ds["t"]["n"].data.write([2])
    s.close_dataset("ds1")
    with Session() as s:
        ds = s.open_dataset(url, "a", "ds1", storage_options=options)
        assert ds["t"]["n"].data[:].tolist() == [1, 2]


@pytest.mark.parametrize("top_level", [False, True])
def test_creating_fields_and_writing_on_the_field_itself(place, top_level):
    """Every create function, `write_part` and `flush` on the field, timestamps of any kind."""
    make_study(place, top_level=top_level)
    s = Session(timestamp=datetime.now(UTC))
    ds = s.open_dataset(
        place.url("a_dataset.zarr"), "r+", "ds1", storage_options=place.storage_options
    )
    patients = ds if top_level else ds["patients"]
    creator = s if not top_level else None
    now = datetime.now(UTC)

    def create(kind, *args):
        if creator is None:
            return getattr(patients, f"create_{kind}")(*args)
        return getattr(creator, f"create_{kind}")(patients, *args)

    foo = create("indexed_string", "foo2", now)
    bar = create("fixed_string", "bar", 10)
    boo = create("categorical", "boo", {"no": 0, "maybe": 2, "yes": 1})
    boo2 = create("categorical", "boo2", "int8", {"no": 0, "maybe": 2, "yes": 1})
    boo3 = create("categorical", "boo3", {0: b"no", 1: b"yes"})
    far = create("numeric", "far", "uint32", now)
    foobar = create("timestamp", "foobar", now)
    for chunk in (["a", "bb"], [], ["", "ccc"]):
        foo.write_part(chunk)
    foo.flush()
    for chunk in (["a", "bb"], ["", "ccc"]):
        bar.write_part(chunk)
    bar.flush()
    for field in (boo, boo2):
        field.write([0, 2, 1, 0])
    boo3.write(np.array([0, 1, 1, 0]))
    far.write(np.array([1, 2, 3, 2**32 - 1], "uint32"))
    foobar.write(np.arange(4.0))
    s.close()
    with Session() as s:
        ds = s.open_dataset(
            place.url("a_dataset.zarr"), "r", "ds1", storage_options=place.storage_options
        )
        table = ds if top_level else ds["patients"]
        assert table["foo2"].data[:] == ["a", "bb", "", "ccc"]
        assert table["bar"].data[:].tolist() == [b"a", b"bb", b"", b"ccc"]
        for name in ("boo", "boo2"):
            assert table[name].keys == {0: b"no", 2: b"maybe", 1: b"yes"}
            assert table[name].nformat == "int8"
            assert table[name].data[:].tolist() == [0, 2, 1, 0]
        assert table["boo3"].keys == {0: b"no", 1: b"yes"}
        assert table["far"].data[:].tolist() == [1, 2, 3, 2**32 - 1]
        assert table["foobar"].data[:].tolist() == [0.0, 1.0, 2.0, 3.0]
        assert table["foo2"].timestamp == str(now)


@pytest.mark.parametrize("name", ["age", "patient_id", "foo", "sex", "seen"])
@pytest.mark.parametrize("top_level", [False, True])
def test_the_forms_of_apply_index_and_apply_filter(place, name, top_level):
    """A field, the field that get returns, its data, or an array: the same result for each type."""
    make_study(place, top_level=top_level)
    with Session() as s:
        ds = s.open_dataset(
            place.url("a_dataset.zarr"), "r", "ds1", storage_options=place.storage_options
        )
        src = ds if top_level else ds["patients"]
        index = np.array([5, 0, 0, 2])
        keep = np.array([True, False, False, True, True, True])
        for function, chosen in ((s.apply_index, index), (s.apply_filter, keep)):
            forms = [src[name], s.get(src[name]), s.get(src[name]).data[:]]
            results = [function(chosen, form) for form in forms]
            if name == "foo":
                rows = index if chosen is index else np.flatnonzero(keep)
                texts = [TEXTS[row] for row in rows]
                for offsets, data in results:
                    found = [
                        data[a:b].tobytes().decode()
                        for a, b in zip(offsets[:-1], offsets[1:], strict=True)
                    ]
                    assert found == texts
            else:
                for result in results:
                    assert result.tolist() == src[name].data[:][chosen].tolist()


def test_older_names_of_arguments(place):
    """`src=` and `reader=` are `target=`."""
    make_study(place)
    with Session() as s:
        ds = s.open_dataset(
            place.url("a_dataset.zarr"), "r", "ds1", storage_options=place.storage_options
        )
        age = ds["patients"]["age"]
        spans = s.get_spans(np.array([1, 1, 2, 2, 2, 3]))
        assert spans.tolist() == [0, 2, 5, 6]
        for older in ({"src": age}, {"reader": age}, {"target": age}):
            assert s.apply_spans_max(spans, **older).tolist() == [10, 40, 50]
            index = np.array([1, 1, 2, 2, 2, 3])
            assert s.aggregate_max(index, **older).tolist() == [10, 40, 50]


# -- scripts that end, or go on, without closing

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
}


def run(script: str, *arguments: str, code: int = 0) -> str:
    """Run a script in a process of its own; its output and errors."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **ENVIRONMENT},
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


SOMEWHERE = """
import json, sys
import numpy as np
from exetera_zarr import Session
url, options = sys.argv[1], json.loads(sys.argv[2])
"""


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.s3)])
def away(request, tmp_path):
    """A place that other processes reach, too, and the options for it as an argument."""
    place = request.getfixturevalue("s3_place") if request.param == "s3" else None
    if place is None:
        return str(tmp_path / "x.zarr"), "{}", {}
    return place.url("x.zarr"), json.dumps(place.storage_options), place.storage_options


@pytest.mark.parametrize(
    ("ending", "code", "said"),
    [
        ("", 0, ""),
        ("sys.exit(3)", 3, ""),
        ("raise RuntimeError('the script failed')", 1, "the script failed"),
        ("del s, ds, field", 0, ""),
        ("keep = [s]; keep.append(keep); del s, ds, field, keep", 0, ""),
    ],
)
def test_a_script_that_ends_without_closing_loses_nothing(away, ending, code, said):
    """However a script ends but by being killed, what it wrote is committed; warnings say so."""
    url, argument, options = away
    script = (
        SOMEWHERE
        + """
s = Session(row_block=10)
ds = s.open_dataset(url, 'w', 'ds1', storage_options=options)
field = s.create_numeric(ds.create_dataframe('t'), 'n', 'int32')
field.data.write(np.arange(25))
s.create_indexed_string(ds['t'], 's').data.write(['x'] * 25)
"""
        + ending
    )
    assert said in run(script, url, argument, code=code)
    with Session() as s:
        table = s.open_dataset(url, "r", "d", storage_options=options)["t"]
        assert table["n"].data[:].tolist() == list(range(25))
        assert table["s"].data[:] == ["x"] * 25


def test_cells_that_never_close(away):
    """Five cells of a notebook, each with a Session of its own: each sees what was before it."""
    url, argument, options = away
    cells = (
        SOMEWHERE
        + """
from exetera_zarr.compat.session import Session  # whose mode 'r' shows the draft of the process
cells = ['''
s = Session()
ds = s.open_dataset(url, 'w', 'ds1', storage_options=options)
df = ds.create_dataframe('t')
s.create_numeric(df, 'n', 'int32').data.write(np.arange(5))
''', '''
s = Session()
ds = s.open_dataset(url, 'r+', 'ds1', storage_options=options)
assert ds['t']['n'].data[:].tolist() == [0, 1, 2, 3, 4]
ds['t']['n'].data.write(np.arange(5))
''', '''
s = Session()
ds = s.open_dataset(url, 'r', 'ds1', storage_options=options)
assert len(ds['t']['n']) == 10
print(ds['t'])
''', '''
s = Session()
ds = s.open_dataset(url, 'r+', 'ds1', storage_options=options)
df = ds['t']
df['double'] = df['n'] * 2
del ds
''', '''
s = Session()
ds2 = s.open_dataset(url, 'r+', 'ds1', storage_options=options)
assert ds2['t']['double'].data[:].tolist() == [0, 2, 4, 6, 8] * 2
df = ds2['t']
df.apply_filter(df['n'].data[:] > 2)
''']
names = globals()
for cell in cells:
    exec(cell, names)
"""
    )
    run(cells, url, argument)
    with Session() as s:
        table = s.open_dataset(url, "r", "d", storage_options=options)["t"]
        assert table["n"].data[:].tolist() == [3, 4, 3, 4]
        assert table["double"].data[:].tolist() == [6, 8, 6, 8]


def test_a_dropped_dataset_is_committed_at_once(tmp_path):
    """When the last reference goes, the changes are committed, with a ResourceWarning."""
    url = str(tmp_path / "x.zarr")
    s = Session()
    ds = s.open_dataset(url, "w", "d")
    ds.create_dataframe("t").create_numeric("n", "int8").data.write([1, 2])
    with pytest.warns(ResourceWarning, match="was not closed"):
        del s, ds
    seen = run(
        "import sys; from exetera_zarr import Session\n"
        "print(Session().open_dataset(sys.argv[1], 'r', 'd')['t']['n'].data[:])",
        url,
    )
    assert "[1 2]" in seen


def test_a_field_keeps_its_dataset_open(tmp_path):
    """Who has only a field can still use it, whatever else was let go."""
    url = str(tmp_path / "x.zarr")
    with Session() as s:
        ds = s.open_dataset(url, "w", "d")
        ds.create_dataframe("t").create_numeric("n", "int8").data.write([1, 2])
    field = Session().open_dataset(url, "r+", "d")["t"]["n"]
    field.data.write([3])
    assert field.data[:].tolist() == [1, 2, 3]
    with pytest.warns(ResourceWarning, match="was not closed"):
        del field
    with Session() as s:
        assert len(s.open_dataset(url, "r", "d")["t"]["n"]) == 3


def test_a_reader_beside_a_writer_sees_its_draft(place, shared_reads):
    """Within a process the opens of one place are one draft; 'w' empties it for all."""
    url, options = place.url("x.zarr"), place.storage_options
    with Session() as one, Session() as two, Session() as three:
        ds = one.open_dataset(url, "w", "d", storage_options=options)
        field = ds.create_dataframe("t").create_numeric("n", "int8")
        field.data.write([1, 2])
        reader = two.open_dataset(url, "r", "d", storage_options=options)
        assert reader["t"]["n"].data[:].tolist() == [1, 2]
        with pytest.raises(PermissionError):
            reader["t"]["n"].data.write([3])
        again = three.open_dataset(url, "w", "d", storage_options=options)
        assert again.keys() == []
        assert ds.keys() == []
        again.create_dataframe("u")
        assert ds.keys() == ["u"]


def test_an_error_in_the_with_block_keeps_what_was_done(place):
    """The script's own error is the one that is raised, and what had completed is kept."""
    url, options = place.url("x.zarr"), place.storage_options
    with pytest.raises(ZeroDivisionError), Session(exetera=True) as s:
        ds = s.open_dataset(url, "w", "d", storage_options=options)
        ds.create_dataframe("t").create_numeric("n", "int8").data.write([1, 2])
        _ = 1 / 0
    with Session() as s:
        ds = s.open_dataset(url, "r", "d", storage_options=options)
        assert ds["t"]["n"].data[:].tolist() == [1, 2]
