"""Import schemas: what is read from JSON, and every way in which one can be wrong."""

from __future__ import annotations

import io
import json
import math
import pickle
from pathlib import Path
from typing import Any

import pytest

from exetera_zarr.errors import SchemaError
from exetera_zarr.io.schema.definitions import Column
from exetera_zarr.io.schema.load import Categorical, Date, DateTime, Numeric, String, load_schema


def document(fields: dict[str, Any], **top: Any) -> dict[str, Any]:
    """A schema with one table, `t`."""
    return {"exetera": {"version": "1.1.0"}, "schema": {"t": {"fields": fields}}} | top


def load(source: Any) -> Any:
    return load_schema(io.StringIO(source if isinstance(source, str) else json.dumps(source)))


def test_every_field_type_of_the_file_format() -> None:
    """Each JSON form gives the definition that says the same in Python."""
    fields = {
        "a": {"field_type": "string", "raw_type": "ignored"},
        "b": {"field_type": "fixed_string", "length": 9},
        "c": {
            "field_type": "categorical",
            "categorical": {"value_type": "int8", "strings_to_values": {"": 0, "yes": 1}},
        },
        "d": {
            "field_type": "categorical",
            "categorical": {
                "value_type": "int16",
                "strings_to_values": {"é": 300},
                "out_of_range": "other",
            },
        },
        "e": {"field_type": "numeric", "value_type": "int64"},
        "f": {
            "field_type": "numeric",
            "value_type": "float32",
            "invalid_value": "min",
            "validation_mode": "relaxed",
            "create_flag_field": False,
            "flag_field_name": "_ok",
        },
        "g": {"field_type": "datetime", "create_day_field": True, "optional": "True"},
        "h": {"field_type": "date", "create_flag_field": True},
    }
    assert load(document(fields)) == {
        "t": {
            "a": String(),
            "b": String(9),
            "c": Categorical({"": 0, "yes": 1}),
            "d": Categorical({"é": 300}, "int16", allow_freetext=True),
            "e": Numeric("int64"),
            "f": Numeric("float32", "min", "relaxed", False, "_ok"),
            "g": DateTime(create_day_field=True, create_flag_field=True),
            "h": Date(create_flag_field=True),
        }
    }


def test_tables_and_columns_keep_the_order_of_the_file() -> None:
    schema = load(
        {
            "hystore": {"version": "1.0.0"},
            "schema": {
                "z": {
                    "primary_keys": ["b"],
                    "foreign_keys": {"k": {"space": "a", "key": "b"}},
                    "fields": {"b": {"field_type": "string"}, "a": {"field_type": "string"}},
                },
                "a": {"fields": {}},
            },
        }
    )
    assert list(schema) == ["z", "a"]
    assert list(schema["z"]) == ["b", "a"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_schema_is_read_from_a_path_and_from_an_open_file(tmp_path: Path, encoding: str) -> None:
    """As text and as bytes, with and without the mark that Windows puts first."""
    text = json.dumps(document({"é": {"field_type": "string"}}), ensure_ascii=False)
    path = tmp_path / "s.json"
    path.write_text(text, encoding=encoding)
    expected = {"t": {"é": String()}}
    assert load_schema(path) == load_schema(str(path)) == expected
    with path.open("rb") as file:
        assert load_schema(file) == expected


def test_a_missing_file_and_a_wrong_source() -> None:
    with pytest.raises(FileNotFoundError):
        load_schema("no/such/file.json")
    with pytest.raises(TypeError, match="a schema is a path or an open file, not int"):
        load_schema(3)  # type: ignore[arg-type]


CATEGORIES = {"value_type": "int8", "strings_to_values": {"a": 1}}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{", "is not JSON: .*line 1"),
        ("[]", "the top level must be an object"),
        ('{"schema": {}}', "the key 'exetera' with the schema's version is missing"),
        ({"exetera": {"version": "2.0.0"}, "schema": {}}, "'exetera' has version '2.0.0'"),
        ({"hystore": {"version": "1.1.0"}, "schema": {}}, "understood are '1.0.0'$"),
        ({"exetera": "1.1.0", "schema": {}}, "'exetera' has version None"),
        ({"exetera": {"version": "1.1.0"}}, "the top level has no 'schema'"),
        (document({}, schema=[]), "'schema' of the top level must be an object"),
        (document({}, schema={"t": []}), "table 't' must be an object"),
        (document({}, schema={"t": {}}), "table 't' has no 'fields'"),
        (
            (
                '{"exetera": {"version": "1.1.0"}, "schema": {"t": {"fields": '
                '{"a": {"field_type": "string"}, "a": {"field_type": "date"}}}}}'
            ),
            "'a' occurs more than once in one object",
        ),
    ],
)
def test_a_document_that_is_no_schema(source: Any, message: str) -> None:
    """Each is a `SchemaError`, which is a `ValueError` as in ExeTera, and names the source."""
    with pytest.raises(ValueError, match=message) as caught:
        load(source)
    assert isinstance(caught.value, SchemaError)
    assert str(caught.value).startswith("schema (open file)")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("string", "its definition must be an object"),
        ({}, "'field_type' is missing"),
        ({"field_type": "text"}, "field_type 'text' is not one of 'string', 'fixed_string'"),
        ({"field_type": ["string"]}, "field_type \\['string'\\] is not one of"),
        ({"field_type": "fixed_string"}, "'length' is missing"),
        ({"field_type": "fixed_string", "length": None}, "must be 1 or more, not null"),
        ({"field_type": "fixed_string", "length": 0}, "must be 1 or more, not 0"),
        ({"field_type": "fixed_string", "length": "9"}, "must be 1 or more, not '9'"),
        ({"field_type": "fixed_string", "length": True}, "must be 1 or more, not True"),
        ({"field_type": "categorical"}, "'categorical' is missing"),
        ({"field_type": "categorical", "categorical": []}, "must be an object"),
        (
            {"field_type": "categorical", "categorical": {"strings_to_values": {"a": 1}}},
            "'value_type' is missing",
        ),
        (
            {"field_type": "categorical", "categorical": {"value_type": "int8"}},
            "'categorical' has no 'strings_to_values'",
        ),
        (
            {"field_type": "categorical", "categorical": CATEGORIES | {"strings_to_values": {}}},
            "must be a non-empty",
        ),
        (
            {"field_type": "categorical", "categorical": CATEGORIES | {"value_type": "float32"}},
            "value_type 'float32' of a categorical is not one of",
        ),
        (
            {
                "field_type": "categorical",
                "categorical": CATEGORIES | {"strings_to_values": {"a": 300}},
            },
            r"the value of category 'a', 300, is outside int8 \(-128 to 127\)",
        ),
        (
            {
                "field_type": "categorical",
                "categorical": CATEGORIES | {"strings_to_values": {"a": 1.0}},
            },
            "category 'a' has the value 1.0, not an integer",
        ),
        (
            {
                "field_type": "categorical",
                "categorical": CATEGORIES | {"strings_to_values": {"a": True}},
            },
            "category 'a' has the value True, not an integer",
        ),
        (
            {
                "field_type": "categorical",
                "categorical": CATEGORIES | {"value_type": "uint8", "out_of_range": ""},
            },
            "free text is stored as -1, which value_type 'uint8' cannot hold",
        ),
        (
            {
                "field_type": "categorical",
                "categorical": CATEGORIES
                | {"strings_to_values": {"a": -1}, "out_of_range": "other"},
            },
            "category 'a' has the value -1, as which free text is stored",
        ),
        (
            {
                "field_type": "categorical",
                "categorical": CATEGORIES | {"strings_to_values": {"\ud800": 1}},
            },
            r"category '\\ud800' is not text that UTF-8 can hold",
        ),
        (
            {"field_type": "numeric", "value_type": "float64", "invalid_value": 10**400},
            r"invalid_value 10+\.\.\. is outside float64",
        ),
        (
            {"field_type": "numeric", "value_type": "int64", "invalid_value": 10**400},
            r"invalid_value, 10+\.\.\., is outside int64",
        ),
        (
            {"field_type": "numeric", "value_type": "float64", "invalid_value": "1e999"},
            "invalid_value '1e999' is outside float64",
        ),
        ({"field_type": "numeric"}, "'value_type' is missing"),
        ({"field_type": "numeric", "value_type": "int128"}, "numeric type 'int128' is not one of"),
        ({"field_type": "numeric", "value_type": []}, "numeric type \\[\\] is not one of"),
        (
            {"field_type": "numeric", "value_type": "int8", "validation_mode": "loose"},
            "validation_mode 'loose' is not one of 'strict', 'allow_empty', 'relaxed'",
        ),
        (
            {"field_type": "numeric", "value_type": "int8", "invalid_value": 300},
            r"invalid_value, 300, is outside int8 \(-128 to 127\)",
        ),
        (
            {"field_type": "numeric", "value_type": "int8", "invalid_value": "1.5"},
            "invalid_value '1.5' is not an integer, as int8 needs",
        ),
        (
            {"field_type": "numeric", "value_type": "int8", "invalid_value": "nan"},
            "invalid_value 'nan' is not an integer",
        ),
        (
            {"field_type": "numeric", "value_type": "int8", "invalid_value": "none"},
            "invalid_value 'none' is not a number, 'min' or 'max'",
        ),
        (
            {"field_type": "numeric", "value_type": "int8", "invalid_value": None},
            "invalid_value None is not a number",
        ),
        (
            {"field_type": "numeric", "value_type": "float32", "invalid_value": 1e39},
            "invalid_value 1e\\+39 is outside float32",
        ),
        (
            {"field_type": "numeric", "value_type": "bool", "invalid_value": "min"},
            "invalid_value 'min' has no meaning for a bool",
        ),
        (
            {"field_type": "numeric", "value_type": "bool", "invalid_value": 2},
            "invalid_value 2 is not true or false",
        ),
        (
            {"field_type": "numeric", "value_type": "int8", "create_flag_field": "perhaps"},
            "create_flag_field must be true or false, not 'perhaps'",
        ),
        (
            {"field_type": "numeric", "value_type": "int8", "flag_field_name": ""},
            "flag_field_name is empty",
        ),
        (
            {"field_type": "numeric", "value_type": "int8", "flag_field_name": 7},
            "flag_field_name must be text, not 7",
        ),
        (
            {"field_type": "date", "create_day_field": 1},
            "create_day_field must be true or false, not 1",
        ),
    ],
)
def test_a_wrong_definition_names_its_table_and_column(entry: Any, message: str) -> None:
    with pytest.raises(SchemaError, match=f"table 't', column 'x': .*{message}"):
        load(document({"x": entry}))


@pytest.mark.parametrize("name", ["j_valid_from", "j_valid_to"])
def test_the_names_that_every_table_gets_are_reserved(name: str) -> None:
    with pytest.raises(SchemaError, match=f"table 't' declares '{name}', one of the reserved"):
        load(document({name: {"field_type": "string"}}))


@pytest.mark.parametrize(
    ("dtype", "invalid", "expected"),
    [
        ("int8", "min", -128),
        ("uint16", "max", 65535),
        ("int64", " MAX ", 2**63 - 1),
        ("uint64", 2**64 - 1, 2**64 - 1),
        ("int32", "-7", -7),
        ("int32", 3.0, 3),
        ("int", "min", -(2**63)),
        # ExeTera's own limits for floats, which scripts look for (exetera-api.md, section 7).
        ("float32", "min", -2147483648),
        ("float64", "max", 2.0**63),
        ("float", "1.5", 1.5),
        ("float32", "3.4028235e+38", 3.4028235e38),
        ("float64", "-inf", -math.inf),
        ("bool", 0, False),
        ("bool", "true", True),
        ("bool", True, True),
    ],
)
def test_what_an_invalid_value_means(dtype: str, invalid: Any, expected: Any) -> None:
    fill = Numeric(dtype, invalid).fill
    assert fill == expected
    assert type(fill) is (float if "float" in dtype else bool if dtype == "bool" else int)


def test_which_fields_a_column_becomes() -> None:
    """The names and types of section 3.2, side fields included."""
    assert String().columns("x") == (Column("x", "indexed_string"),)
    assert String(4).columns("x") == (Column("x", "fixed_string", length=4),)
    assert Categorical({"a": 1}, "int16", allow_freetext=True).columns("x") == (
        Column("x", "categorical", "int16", keys={"a": 1}),
        Column("x_freetext", "indexed_string"),
    )
    assert Categorical({"a": 1, "b": 2, "A": 1}).columns("x")[0].keys == {"A": 1, "b": 2}
    values, flag = Column("x", "numeric", "int8"), Column("x_valid", "numeric", "bool")
    flagged = Column("x", "numeric", "int8", companion="x_valid")
    assert Numeric("int8").columns("x") == (flagged, flag)
    assert Numeric("int8", validation_mode="strict").columns("x") == (values,)
    assert Numeric("int8", create_flag_field="False").columns("x") == (values,)
    moment = Column("x", "timestamp")
    assert Date().columns("x") == DateTime().columns("x") == (moment,)
    assert Date(create_day_field=True, create_flag_field=True).columns("x") == (
        Column("x", "timestamp", companion="x_set"),
        Column("x_day", "fixed_string", length=10),
        Column("x_set", "numeric", "bool"),
    )


def test_exeteras_default_arguments() -> None:
    """A definition that is made as ExeTera's documentation shows it means the same."""
    assert Numeric("int32", create_flag_field="True") == Numeric("int32")
    assert Numeric("int32") == Numeric("int32", 0, "allow_empty", True, "_valid")
    assert Categorical({"a": 1}) == Categorical({"a": 1}, "int8", False)


def test_definitions_survive_pickling() -> None:
    """They travel to worker processes."""
    for definition in (String(3), Numeric("int8"), Categorical({"a": 1}), Date()):
        assert pickle.loads(pickle.dumps(definition)) == definition


SAID = {
    "label": "Age",
    "unit": "years",
    "description": "At entry.",
    "annotations": {"question": ["Q1", None]},
}


def test_what_a_schema_says_for_people() -> None:
    """Of columns and tables; codes, which JSON has as text, are values of the column."""
    names = {"": 0, "yes": 1, "2": 5}
    fields = {
        "n": {"field_type": "numeric", "value_type": "int8", **SAID, "missing_codes": {"-9": "x"}},
        "f": {"field_type": "numeric", "value_type": "float32", "missing_codes": {"-9.5": "x"}},
        "s": {"field_type": "string", "missing_codes": {"9": "x"}},
        "d": {"field_type": "date", "missing_codes": {"1900-01-01": "x", "-9": "y"}},
        "c": {
            "field_type": "categorical",
            "categorical": {"value_type": "int8", "strings_to_values": names},
            "missing_codes": {"yes": "x", "2": "y", "0": "z"},
        },
    }
    whole = document(fields)
    whole["schema"]["t"] |= {"label": "People", "description": "All.", "annotations": {"a": 1}}
    found = load(whole)["t"]
    assert {key: getattr(found["n"], key) for key in SAID} == SAID
    codes = {name: definition.missing_codes for name, definition in found.items()}
    assert codes == {
        "n": {-9: "x"},
        "f": {-9.5: "x"},
        "s": {"9": "x"},
        "d": {"1900-01-01": "x", -9: "y"},
        "c": {"yes": "x", "2": "y", 0: "z"},
    }
    assert (found.label, found.description, found.annotations) == ("People", "All.", {"a": 1})
    assert found == {name: found[name] for name in fields}  # a dict as it was
    assert Numeric("int8", label="Age") == Numeric("int8", label="Age") != Numeric("int8")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("label", 5, "'label' is a str"),
        ("unit", ["kg"], "'unit' is a str"),
        ("description", "\ud800", "not Unicode text"),
        ("missing_codes", [-9], "must be an object"),
        ("missing_codes", {"-9": 5}, "the meaning of the missing code -9"),
        ("annotations", 5, "'annotations' are a mapping"),
        ("lable", "Age", "unknown key 'lable'"),
    ],
)
def test_what_it_cannot_say(key: str, value: Any, message: str) -> None:
    entry = {"field_type": "numeric", "value_type": "int8", key: value}
    with pytest.raises(SchemaError, match=message) as caught:
        load(document({"age": entry}))
    assert "table 't', column 'age'" in str(caught.value)
    if key in ("label", "description", "annotations"):
        whole = document({})
        whole["schema"]["t"][key] = value
        with pytest.raises(SchemaError, match=f"table 't': .*{message}"):
            load(whole)
