"""Imports through ExeTera's names: what it lets pass is let pass, counted and told."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest

from exetera_zarr import DataError, Session, import_csv
from exetera_zarr.compat.field_importers import CategoricalImporter
from exetera_zarr.compat.load_schema import load_schema, schema_file_to_dict
from exetera_zarr.compat.parsers import read_csv
from exetera_zarr.compat.session import Session as ExeteraSession
from exetera_zarr.errors import ExeteraCompatibilityWarning, SchemaError
from exetera_zarr.io import Categorical, CsvError, DateTime, Numeric, String
from exetera_zarr.io import load_schema as load_strictly
from exetera_zarr.io.importer import import_with_schema

CSV = """town,kind,count,share,seen
York,cat,300,1e40,2022/02/03 12:00:01
Ely,emu,-129,2,2020-01-01 00:00:00+00.00
Bath,,7,,2020-01-01 00:00:00.5
"""
DEFINITIONS = {
    "town": String(3),
    "kind": Categorical({"cat": 1, "dog": 2}),
    "count": Numeric("int8"),
    "share": Numeric("float32"),
    "seen": DateTime(),
    "weight": Numeric("int32"),
}
WANTED = {
    "town": [b"Yor", b"Ely", b"Bat"],
    "kind": [1, 0, 0],
    "count": [44, 127, 7],
    "count_valid": [True, True, True],
    "share": [np.inf, 2.0, 0.0],
    "share_valid": [True, True, False],
    "seen": [1643889601.0, 1577836800.0, 1577836800.5],
}
PASSED = {
    ("cut strings to 3 bytes", "t/town"): 2,
    ("took unknown categories for 0", "t/kind"): 2,
    ("made numbers fit int8", "t/count"): 2,
    ("made numbers fit float32", "t/share"): 1,
    ("read moments whatever separates their parts", "t/seen"): 2,
}


@pytest.fixture
def path(tmp_path):
    (tmp_path / "t.csv").write_text(CSV, encoding="utf-8")
    return tmp_path / "t.csv"


@pytest.mark.parametrize("block_bytes", [40, 1 << 20])
@pytest.mark.parametrize("where", ["memory://lenient", "lenient.hdf5"])
def test_what_does_not_fit_is_made_to(path, where, block_bytes):
    """As ExeTera 0.6 makes it, on Zarr and HDF5, in one block and in several."""
    place = where if "://" in where else str(path.parent / where)
    with ExeteraSession() as s:
        table = s.open_dataset(place, "w", "d").create_dataframe("t")
        with pytest.warns(ExeteraCompatibilityWarning) as told:
            read_csv(path, table, DEFINITIONS, block_bytes=block_bytes)
        assert {n: f.data[:].tolist() for n, f in table.items() if n[:2] != "j_"} == WANTED
        passed = dict(s.settings.leniencies)
    absent = "left out 'weight' of the schema, which the file lacks"
    assert passed == {**PASSED, (absent, str(path)): 1} or passed == {
        **PASSED,
        (absent, path.name): 1,
    }
    assert len(told) == len(passed)
    assert any("took unknown categories for 0, as ExeTera does" in str(w.message) for w in told)


@pytest.mark.parametrize("column", ["town", "kind", "count", "share", "seen"])
def test_the_native_face_refuses_each(path, column):
    """By an error that names the column, and nothing is imported."""
    with Session() as s:
        ds = s.open_dataset("memory://strict", "w", "d")
        with pytest.raises(DataError, match=column):
            import_csv(ds, "t", path, {column: DEFINITIONS[column]}, include=[column])
        assert ds.keys() == []


def test_the_native_face_asks_for_every_column(path):
    with Session() as s:
        ds = s.open_dataset("memory://strict", "w", "d")
        with pytest.raises(SchemaError, match=r"lacks 'weight'"):
            import_csv(ds, "t", path, DEFINITIONS)
        assert ds.keys() == []


def schema_of(**column):
    entry = {"field_type": "date", **column}
    return {"exetera": {"version": "1.1.0"}, "schema": {"t": {"fields": {"day": entry}}}}


def test_unknown_keys_of_a_schema(tmp_path):
    """Natively an error that names them and those there are; told in ExeTera's face."""
    unknown = json.dumps(schema_of(dateformat="%d.%m.%Y"))
    said = "table 't', column 'day' has the unknown key 'dateformat'; known are .*'create_day_f"
    with pytest.raises(SchemaError, match=said):
        load_strictly(io.StringIO(unknown))
    # ExeTera does not know this one, which we do.
    schema = json.dumps(schema_of(date_format="%d.%m.%Y"))
    assert load_strictly(io.StringIO(schema))["t"]["day"].date_format == "%d.%m.%Y"
    told = "ignored the unknown key 'date_format' of table 't', column 'day', as ExeTera does"
    with pytest.warns(ExeteraCompatibilityWarning, match=told):
        assert list(load_schema(io.StringIO(schema))["t"]) == ["day"]
    with pytest.warns(ExeteraCompatibilityWarning, match="date_format"):
        schema_file_to_dict(json.loads(schema)["schema"]["t"])
    (tmp_path / "t.csv").write_text("day\n2020-01-01\n", encoding="utf-8")
    files = {"t": tmp_path / "t.csv"}
    with ExeteraSession() as s:
        with pytest.warns(ExeteraCompatibilityWarning, match=told):
            import_with_schema(s, "memory://keys", "d", io.StringIO(schema), files, True)
        assert s.get_dataset("d")["t"]["day"].data[:].tolist() == [1577836800.0]
        assert s.settings.leniencies.total() == 1
    with Session() as s, pytest.raises(SchemaError, match="dateformat"):
        import_with_schema(s, "memory://keys", "d", io.StringIO(unknown), files, True)
    with Session() as s, pytest.raises(CsvError, match="date of the format"):
        import_with_schema(s, "memory://keys", "d", io.StringIO(schema), files, True)


@pytest.mark.parametrize(
    ("where", "schema"),
    [
        ("table 't'", {"fields": {}, "primary_key": ["id"]}),
        (
            "'categorical' of table 't', column 'c'",
            {
                "fields": {
                    "c": {
                        "field_type": "categorical",
                        "categorical": {
                            "value_type": "int8",
                            "strings_to_values": {"a": 1},
                            "out_of_reach": "x",
                        },
                    }
                }
            },
        ),
    ],
)
def test_unknown_keys_elsewhere(where, schema):
    document = {"exetera": {"version": "1.1.0"}, "schema": {"t": schema}}
    with pytest.raises(SchemaError, match=f"{where} has the unknown key '(primary_key|out_of_r)"):
        load_strictly(io.StringIO(json.dumps(document)))


def test_what_schemas_of_exetera_and_proposals_have_besides():
    """`raw_type`, keys of tables, and notes mean nothing and are no error."""
    schema = schema_of(raw_type="string", note="looks like dates", optional=True)
    schema["schema"]["t"] |= {"primary_keys": ["id"], "foreign_keys": {}, "notes": "x"}
    assert list(load_strictly(io.StringIO(json.dumps(schema)))["t"]) == ["day"]


def test_importers_of_single_fields():
    with ExeteraSession() as s:
        table = s.open_dataset("memory://single", "w", "d").create_dataframe("t")
        importer = CategoricalImporter(s, table, "kind", {"cat": 1})
        with pytest.warns(ExeteraCompatibilityWarning, match="t/kind: took unknown categories"):
            importer.write_part([b"cat", b"emu"])
        assert table["kind"].data[:].tolist() == [1, 0]
