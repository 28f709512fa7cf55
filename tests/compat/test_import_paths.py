"""ExeTera's import paths and class names, and the command that runs its scripts."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from exetera_zarr import DataError, Session, UnsupportedError
from exetera_zarr import fields as ours
from exetera_zarr.compat import fields, finder, numpy_buffer
from exetera_zarr.compat import session as compat_session
from exetera_zarr.tables.redirects import Redirect, redirected, resolve


@pytest.fixture
def frame(place):
    with Session(row_block=4) as s:
        ds = s.open_dataset(place.url("x.zarr"), "w", "d", storage_options=place.storage_options)
        yield ds.create_dataframe("t")


@pytest.fixture
def exetera():
    """ExeTera's import paths, for the length of a test."""
    finder.install()
    yield
    finder.uninstall()


def run(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, **environment},
    )


# -- import paths


def test_every_way_to_import(exetera):
    """`import a.b.c as d`, `from a.b import c`, `from a.b.c import d`, and attributes alone."""
    names: dict[str, object] = {}
    exec(
        textwrap.dedent(
            """
            import exetera
            import exetera.core.dataframe as edf
            import exetera.core.operations as ops
            import exetera.processing.numpy_buffer
            from exetera.core import dataset, fields, utils
            from exetera.core import validation as val
            from exetera.core.session import Session
            from exetera.core.abstract_types import AbstractSession, DataFrame
            from exetera.io import importer
            from exetera.processing.date_time_helpers import get_days
            late = exetera.core.session.Session
            """
        ),
        names,
    )
    assert names["exetera"].__version__ == "0.6.0"
    assert names["Session"] is names["late"] is compat_session.Session
    assert issubclass(names["Session"], names["AbstractSession"])
    assert names["AbstractSession"] is Session
    assert names["edf"].HDF5DataFrame is names["DataFrame"]
    assert names["dataset"].HDF5Dataset.__name__ == "Dataset"
    assert names["ops"].INVALID_INDEX == 1 << 62
    # Our own modules keep their names: they are the same ones.
    assert sys.modules["exetera.core.session"] is sys.modules["exetera_zarr.compat.session"]
    assert sys.modules["exetera_zarr.compat.session"].__spec__.name == "exetera_zarr.compat.session"


@pytest.mark.parametrize("name", sorted(finder.REPLACED))
def test_what_is_gone_says_what_takes_its_place(exetera, name):
    """Both forms of importing a module that was removed, or never was for scripts."""
    parent, _, module = name.rpartition(".")
    for attempt in (f"import {name}", f"from {parent} import {module}"):
        with pytest.raises(ImportError, match=rf"no {name} here; .*(use|compare)"):
            exec(attempt, {})


def test_what_never_was(exetera):
    """An unknown module is as unknown as any other."""
    with pytest.raises(ModuleNotFoundError, match="nonsense"):
        importlib.import_module("exetera.core.nonsense")
    with pytest.raises(ImportError, match="nonsense"):
        exec("from exetera.core import nonsense", {})
    assert not hasattr(importlib.import_module("exetera.core"), "nonsense")


def test_exetera_itself_is_not_pushed_aside(tmp_path):
    """Where it is imported already, the import is refused and nothing changes; else ours leads."""
    (tmp_path / "exetera").mkdir()
    (tmp_path / "exetera" / "__init__.py").write_text("who = 'the real one'\n", encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    code = """
        import exetera
        try:
            import exetera_zarr.compat
        except ImportError as error:
            print(error)
        import exetera
        print(exetera.who)
        """
    done = run(code, PYTHONPATH=path)
    assert "imported already" in done.stdout, done.stderr
    assert "before anything of ExeTera" in done.stdout
    assert "the real one" in done.stdout
    done = run("import exetera_zarr.compat, exetera; print(exetera.__version__)", PYTHONPATH=path)
    assert done.stdout == "0.6.0\n"


# -- classes


STORED = {
    "IndexedStringField": lambda t: t.create_indexed_string("f"),
    "FixedStringField": lambda t: t.create_fixed_string("f", 3),
    "NumericField": lambda t: t.create_numeric("f", "int16"),
    "CategoricalField": lambda t: t.create_categorical("f", "int8", {"a": 1}),
    "TimestampField": lambda t: t.create_timestamp("f"),
}
IN_MEMORY = {
    "IndexedStringMemField": (),
    "FixedStringMemField": (3,),
    "NumericMemField": ("int16",),
    "CategoricalMemField": ("int8", {"a": 1}),
    "TimestampMemField": (),
}
VALUES = {"IndexedString": ["a", ""], "FixedString": [b"a", b""]}


@pytest.mark.parametrize(("stored", "in_memory"), list(zip(STORED, IN_MEMORY, strict=True)))
def test_which_class_a_field_is_of(frame, stored, in_memory):
    """A field is an instance of exactly the classes that it has in ExeTera."""
    field = STORED[stored](frame)
    made = getattr(fields, in_memory)(frame.dataset.session, *IN_MEMORY[in_memory])
    values = VALUES.get(stored.removesuffix("Field"), [1, 1])
    for one, of, general in ((field, stored, "HDF5Field"), (made, in_memory, "MemoryField")):
        every = [*STORED, *IN_MEMORY, "HDF5Field", "MemoryField", "Field"]
        found = {name for name in every if isinstance(one, getattr(fields, name))}
        assert found == {of, general, "Field"}
        assert issubclass(getattr(fields, of), getattr(fields, general))
        one.data.write(values)
        assert list(one.data[:]) == values
    assert isinstance(field.create_like(), getattr(fields, in_memory))
    assert isinstance(made.create_like(frame, "g"), getattr(fields, stored))
    assert not isinstance(values, fields.Field)
    assert (made.name, made.dataframe, made.valid) == (None, None, True)


def test_fields_made_from_their_groups(frame):
    """For reading unless asked otherwise; a group of another type is refused."""
    frame.create_numeric("n", "int32").data.write([1, 2])
    group = frame._h5group.group("n")
    reader = fields.NumericField(None, group, None)
    with pytest.raises(PermissionError):
        reader.data.write([3])
    with pytest.raises(ValueError, match="reading"):
        reader.apply_filter(np.array([True, False]), in_place=True)
    fields.NumericField(None, group, frame, write_enabled=True).data.write([3])
    assert frame["n"].data[:].tolist() == [1, 2, 3]
    with pytest.raises(DataError, match="numeric field, not a TimestampField"):
        fields.TimestampField(None, group, None)
    with pytest.raises(TypeError, match="NumericMemField"):
        fields.MemoryField(None)


def test_which_class_the_data_is_of(frame):
    """Read-only, writeable, in memory; strings have classes of their own."""
    number, text = frame.create_numeric("n", "int32"), frame.create_indexed_string("s")
    reader = fields.NumericField(None, number.group, None)
    text_reader = fields.IndexedStringField(None, text.group, None)
    kinds = {
        "WriteableFieldArray": number.data,
        "ReadOnlyFieldArray": reader.data,
        "MemoryFieldArray": number.create_like().data,
        "WriteableIndexedFieldArray": text.data,
        "ReadOnlyIndexedFieldArray": text_reader.data,
    }
    for name, data in kinds.items():
        assert [k for k in kinds if isinstance(data, getattr(fields, k))] == [name]
    assert isinstance(text.create_like().data, fields.WriteableIndexedFieldArray)
    for dtype in ("int16", "S4", "bool"):
        made = fields.MemoryFieldArray(dtype)
        assert (len(made), made.dtype) == (0, np.dtype(dtype))
    with pytest.raises(UnsupportedError, match="data of a field"):
        fields.WriteableFieldArray(number.group, "values")


def test_constructors(frame):
    """Each makes a field in a table, given by itself or by its storage group."""
    session = frame.dataset.session
    for place in (frame, frame.h5group):
        assert fields.indexed_string_field_constructor(session, place, "s") is None
        fields.fixed_string_field_constructor(session, place, "f", 4)
        fields.numeric_field_constructor(session, place, "n", "int8", "now", 8)
        fields.categorical_field_constructor(session, place, "c", "int8", {"a": 1})
        fields.timestamp_field_constructor(session, place, "t")
        types = [field.fieldtype for field in frame.values()]
        wanted = ["indexedstring", "fixedstring,4", "numeric,int8", "categorical,int8", "timestamp"]
        assert types == wanted
        assert frame["n"].dataframe is frame
        assert frame["n"].timestamp == "now"
        with pytest.raises(ValueError, match="exists"):
            fields.timestamp_field_constructor(session, place, "t")
        for name in list(frame):
            del frame[name]
    with pytest.raises(UnsupportedError, match="type"):
        fields.base_field_contructor(session, frame, "x")


def test_operators_as_functions(frame):
    """FieldDataOps does what operators and methods do."""
    number = frame.create_numeric("n", "int32")
    number.data.write([5, -2, 0])
    for function, wanted in (
        (fields.FieldDataOps.numeric_add(None, number, 2), [7, 0, 2]),
        (fields.FieldDataOps.numeric_sub(None, 2, number), [-3, 4, 2]),
        (fields.FieldDataOps.less_than(None, number, 0), [False, True, False]),
        (fields.FieldDataOps.logical_not(None, number), [False, False, True]),
    ):
        assert isinstance(function, fields.NumericMemField)
        assert function.data[:].tolist() == wanted
    quotient, remainder = fields.FieldDataOps.numeric_divmod(None, number, 3)
    assert (quotient.data[:].tolist(), remainder.data[:].tolist()) == ([1, -1, 0], [2, 1, 0])
    kept = fields.FieldDataOps.apply_filter_to_field(number, np.array([1, 0, 1]))
    assert kept.data[:].tolist() == [5, 0]
    assert fields.FieldDataOps.apply_isin(number, [0]).tolist() == [False, False, True]


def test_functions_over_fields(frame):
    """isin, as_field and argsort: a field in memory, or an error for what ExeTera refuses."""
    number = frame.create_numeric("n", "int32")
    number.data.write([5, -2, 0, 5, -2])
    found = ours.isin(number, {5})
    assert isinstance(found, fields.NumericMemField)
    assert found.data[:].tolist() == [True, False, False, True, False]
    with pytest.raises(Exception, match="field"):
        ours.isin(np.arange(2), [1])
    for values in (np.arange(3, dtype="uint16"), np.array([0.5, np.nan])):
        made = ours.as_field(values)
        np.testing.assert_array_equal(made.data[:], values)
        assert made.data.dtype == values.dtype
    assert ours.as_field(np.array([1, 1], "int8"), {"a": 1}).keys == {1: "a"}
    for wrong in (np.array(["a"]), np.array([b"a"]), np.zeros((2, 2))):
        with pytest.raises(NotImplementedError):
            ours.as_field(wrong)
    masked = fields.as_field(np.ma.masked_array([1, 2], [False, True]))
    assert (masked.data[:].tolist(), masked.isna().data[:].tolist()) == ([1, 2], [False, False])
    for dtype in ("int32", "int64", "uint32"):
        order = ours.argsort(number, dtype)
        assert order.data[:].tolist() == [1, 4, 2, 0, 3]
        assert order.data.dtype == dtype
    text = frame.create_indexed_string("s")
    text.data.write(["b", "a", "é", "", "b"])
    assert ours.argsort(text, "int64").data[:].tolist() == [3, 1, 0, 4, 2]
    for wrong in (None, "int8"):
        with pytest.raises(ValueError, match="int32, int64, uint32"):
            ours.argsort(number, wrong)
    with pytest.raises(ValueError, match="field"):
        ours.argsort(np.arange(2), "int64")


@pytest.mark.parametrize("count", [0, 1, 4, 5, 300])
def test_buffers(count):
    """Values appended one by one come out, also where ExeTera zeroed the last block."""
    rows = list(range(count))
    found = []
    for made in (
        numpy_buffer.NumpyBuffer("int32", 2),
        numpy_buffer.NumpyBuffer2("int32", block_pow=2),
        numpy_buffer.ListBuffer(2),
    ):
        for row in rows:
            made.append(row)
        found.append(made.finalise())
    if count == 0:
        assert found[0] is None
        assert (found[1].tolist(), found[2]) == ([], None)
        return
    assert [list(values) for values in found] == [rows] * 3
    assert found[0].dtype == found[1].dtype == np.int32


# -- other places


@pytest.mark.parametrize(
    ("rule", "path", "wanted"),
    [
        ("old.hdf5=new.zarr", "old.hdf5", "new.zarr"),
        ("old.hdf5=new.zarr", str(Path.cwd() / "old.hdf5"), "new.zarr"),
        ("./old.hdf5=new.zarr", "old.hdf5", "new.zarr"),
        ("old.hdf5=new.zarr", "data/old.hdf5", None),
        ("*.hdf5=s3://b/*.zarr", "one.hdf5", "s3://b/one.zarr"),
        ("data/*.hdf5=s3://b/*.zarr", "data/a/b.hdf5", "s3://b/a/b.zarr"),
        ("data/*.hdf5=s3://b/*.zarr", "other/a.hdf5", None),
        ("data/*=memory://all", "data/a", "memory://all"),
        ("a*a=b", "a", None),
        ("s3://old/*=s3://new/*", "s3://old/x.zarr", "s3://new/x.zarr"),
        ("old=s3://b/x?a=b", "old", "s3://b/x?a=b"),
    ],
)
def test_where_a_path_is_sent(rule, path, wanted):
    """As it is written or as a whole path; a star stands for the same text on both sides."""
    redirect = Redirect.parse(rule, {"anon": True})
    with redirected([redirect]):
        place, options = resolve(path, None)
        assert (place, options) == ((path, None) if wanted is None else (wanted, {"anon": True}))
        assert redirect.used == (wanted is not None)
        assert resolve(path, {"mine": 1})[1] == {"mine": 1}
        assert resolve(None, None) == (None, None)
    assert resolve(path, None) == (path, None)


@pytest.mark.parametrize("rule", ["old", "=new", "old=", "a*b*=c", "a=b*"])
def test_rules_that_make_no_sense(rule):
    with pytest.raises(DataError, match="OLD"):
        Redirect.parse(rule)


SCRIPT = """
import json, os, sys
from exetera.core.session import Session
import beside

with Session() as s:
    ds = s.open_dataset("old.hdf5", "w", "d")
    ds.create_dataframe("t").create_numeric("n", "int8").data.write([1, 2])
print(json.dumps([sys.argv, __name__, __file__, sys.path[0], beside.name]))
if "fail" in sys.argv:
    beside.fail()
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "scripts" / "old.py"
    path.parent.mkdir()
    path.write_text(SCRIPT, encoding="utf-8")
    helper = "name = 'helper'\ndef fail():\n    raise RuntimeError('the script failed')\n"
    (path.parent / "beside.py").write_text(helper, encoding="utf-8")
    return path


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    code = "from exetera_zarr.cli import main; main()"
    return run(code, "run", *map(str, arguments))


def test_running_a_script(script, tmp_path):
    """Its arguments, name, folder and exit code are its own; its dataset goes elsewhere."""
    new = tmp_path / "new.zarr"
    done = command("--map", f"old.hdf5={new}", script, "3", "--map", "-x")
    assert done.returncode == 3, done.stderr
    assert json.loads(done.stdout) == [
        [str(script), "3", "--map", "-x"],
        "__main__",
        str(script),
        str(script.parent),
        "helper",
    ]
    with Session() as s:
        assert s.open_dataset(new, "r", "d")["t"]["n"].data[:].tolist() == [1, 2]


def test_a_script_that_fails(script, tmp_path):
    """The traceback begins in the script, and what had completed is kept."""
    new = tmp_path / "new.zarr"
    done = command("--map", f"*.hdf5={tmp_path}/*.zarr", script, "fail")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert str(script) in lines[1]
    assert lines[-1] == "RuntimeError: the script failed"
    assert "exetera_zarr" not in done.stderr
    assert not new.exists()
    assert (tmp_path / "old.zarr").is_dir()
    script.write_text("def f(:\n", encoding="utf-8")
    done = command(script)
    assert done.returncode == 1
    assert "exetera_zarr" not in done.stderr
    assert "SyntaxError" in done.stderr


def test_a_script_that_cannot_be_run(script, tmp_path):
    """No such file, a rule that makes no sense, and a rule that no dataset needed."""
    done = command(tmp_path / "none.py")
    assert done.returncode == 2
    assert "there is no file" in done.stderr
    done = command("--map", "nonsense", script)
    assert done.returncode == 2
    assert "OLD=NEW" in done.stderr
    script.write_text("print('done')", encoding="utf-8")
    done = command("--map", "a.hdf5=b.zarr", script)
    assert (done.returncode, done.stdout) == (0, "done\n")
    assert "no dataset was opened at a.hdf5" in done.stderr
