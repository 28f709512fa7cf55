"""An import gives fields what the schema says of them, and has missing codes missing."""

from __future__ import annotations

import json

import pytest

from exetera_zarr import SchemaError, Session, import_csv
from exetera_zarr.io.appending import append_files
from exetera_zarr.io.schema.definitions import Numeric

CSV = "id,age,weight,well,note,seen\n1,34,60.5,y,a,2020-01-01\n2,-9,-9,dk,NA,1900-01-01\n3,,,n,,\n"
NUMBER = {"field_type": "numeric", "value_type": "int16", "label": "Age", "unit": "years"}
FIELDS = {
    "id": {"field_type": "numeric", "value_type": "int32", "validation_mode": "strict"},
    "age": {**NUMBER, "missing_codes": {"-9": "refused"}, "annotations": {"q": 1}},
    "weight": {
        "field_type": "numeric",
        "value_type": "float32",
        "create_flag_field": False,
        "missing_codes": {"-9": "refused"},
    },
    "well": {
        "field_type": "categorical",
        "categorical": {"value_type": "int8", "strings_to_values": {"y": 1, "n": 0, "dk": 2}},
        "missing_codes": {"dk": "does not know"},
    },
    "note": {"field_type": "string", "missing_codes": {"NA": "not known"}},
    "seen": {
        "field_type": "date",
        "create_flag_field": True,
        "missing_codes": {"1900-01-01": "never"},
    },
}
MISSING = {"id": [], "age": [1, 2], "weight": [1, 2], "well": [1], "note": [1], "seen": [1, 2]}


def schema(**changes):
    fields = {name: {**entry, **changes.get(name, {})} for name, entry in FIELDS.items()}
    table = {"label": "People", "description": "All.", "primary_keys": [], "fields": fields}
    return {"exetera": {"version": "1.1.0"}, "schema": {"p": table}}


def files(folder, **changes):
    (folder / "p.csv").write_text(CSV)
    (folder / "s.json").write_text(json.dumps(schema(**changes)))
    return folder / "p.csv", folder / "s.json"


def missing(table):
    return {name: table[name].isna().data[:].nonzero()[0].tolist() for name in FIELDS}


def test_an_import_has_the_codebook_of_its_schema(place, tmp_path):
    with Session() as session:
        options = place.storage_options
        study = session.open_dataset(place.url("s.zarr"), "w", "s", storage_options=options)
        people = import_csv(study, "p", *files(tmp_path))
        assert (people.label, people.description) == ("People", "All.")
        age = people["age"]
        assert (age.label, age.unit, age.annotations) == ("Age", "years", {"q": 1})
        assert missing(people) == MISSING
        assert (age.data[1], people["well"].data[1], people["note"].data[1]) == (-9, 2, "NA")
        # One field says what is missing, of empty cells and of codes.
        assert people.companions()["age"] == "age_valid"
        assert "age_valid_" not in people
        append_files(people, tmp_path / "p.csv")
        assert missing(people) == {
            name: rows + [n + 3 for n in rows] for name, rows in MISSING.items()
        }


@pytest.mark.parametrize(
    ("name", "code"), [("age", "40000"), ("age", "x"), ("well", "perhaps"), ("seen", "soon")]
)
def test_a_code_that_a_column_cannot_have_is_told_before_a_row_is_read(tmp_path, name, code):
    with Session() as session:
        study = session.open_dataset(str(tmp_path / "s.zarr"), "w", "s")
        with pytest.raises(SchemaError, match=f"the missing code .* of field p/{name}"):
            import_csv(study, "p", *files(tmp_path, **{name: {"missing_codes": {code: "x"}}}))
        assert "p" not in study


def test_an_error_names_the_table_that_an_import_was_to_replace(tmp_path):
    with Session() as session:
        study = session.open_dataset("memory://replaced.zarr", "w", "s")
        import_csv(study, "p", *files(tmp_path))
        given = files(tmp_path, well={"missing_codes": {"perhaps": "x"}})
        with pytest.raises(SchemaError, match=r"the missing code 'perhaps' of field p/well: ") as e:
            import_csv(study, "p", *given, mode="replace")
        assert "p_" not in str(e.value)
        assert list(study) == ["p"]
        people = import_csv(study, "p", *files(tmp_path), mode="replace")
        assert people["well"].phrase() == "field p/well"


def test_a_schema_in_python_says_it_as_well(tmp_path):
    with Session() as session:
        study = session.open_dataset(str(tmp_path / "s.zarr"), "w", "s")
        said = {"age": Numeric("int16", label="Age", missing_codes={-9: "refused"})}
        people = import_csv(study, "p", files(tmp_path)[0], said, include=["age"])
        assert (people["age"].label, people["age"].missing_codes) == ("Age", {-9: "refused"})
        assert people["age"].isna().data[:].tolist() == [False, True, True]
