"""The table of docs/exetera.md, "Two faces": what each row says is what happens."""

from __future__ import annotations

import dataclasses
import inspect
import io
import json
import uuid
from contextlib import nullcontext
from pathlib import Path

import pytest

from exetera_zarr import Session
from exetera_zarr.compat.session import Session as ExeteraSession
from exetera_zarr.errors import ExeteraCompatibilityWarning
from exetera_zarr.faces import EXETERA, NATIVE, Face
from exetera_zarr.io.importer import import_with_schema
from support.missing import brought

DOCS = Path(__file__).parents[2] / "docs" / "exetera.md"


def rows_of_the_table():
    """Name, cell of the native face, cell of ExeTera's."""
    text = DOCS.read_text(encoding="utf-8").partition("\n## Two faces\n")[2].partition("\n## ")[0]
    cells = [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in text.splitlines()
        if line.startswith("| `")
    ]
    return [(row[0].strip("` "), row[2].strip("` "), row[3].strip("` ")) for row in cells]


ROWS = rows_of_the_table()


def url():
    return f"memory://faces-{uuid.uuid4().hex}"


def new_table(session):
    return session.open_dataset(url(), "w", "d").create_dataframe("t")


def number(session, nformat, values):
    field = new_table(session).create_numeric("age", nformat)
    field.data.write(values)
    return field


def mean_with_a_missing_value(session):
    age = number(session, "int32", [34, 0, 51])
    brought(age.dataframe, "age_valid", [True, False, True])
    return float(age.mean())


def truth(session):
    return bool(number(session, "int32", [1, 2]))


def product(session):
    return (number(session, "int8", [100]) * 10).data[:].tolist()


def written(session):
    return number(session, "int8", [300]).data[:].tolist()


def cut(session):
    town = new_table(session).create_fixed_string("town", 3)
    town.data.write(["York"])
    return town.data[:].tolist()


def after_an_exception(session):
    place = url()
    with pytest.raises(ZeroDivisionError), session:
        session.open_dataset(place, "w", "d").create_dataframe("made")
        _ = 1 / 0
    with Session() as later:
        return list(later.open_dataset(place, "r", "d").keys())


def quartile(session):
    field = number(session, "int32", list(range(101)))
    described = field.dataframe.describe(output="none")
    if isinstance(described, dict):
        return described["25%"][described["fields"].index("age")]
    return float(described["age"]["25%"])


def assigned(session):
    ds = session.open_dataset(url(), "w", "d")
    ds.create_dataframe("a")
    ds["b"] = ds["a"]
    return list(ds.keys())


def unknown_category(session, tmp_path):
    (tmp_path / "t.csv").write_text("c\nmaybe\n", encoding="utf-8")
    key = {"value_type": "int8", "strings_to_values": {"no": 0, "yes": 1}}
    fields = {"c": {"field_type": "categorical", "categorical": key}}
    schema = {"exetera": {"version": "1.1.0"}, "schema": {"t": {"fields": fields}}}
    files = {"t": tmp_path / "t.csv"}
    import_with_schema(session, url(), "d", io.StringIO(json.dumps(schema)), files, True)
    return session.get_dataset("d")["t"]["c"].data[:].tolist()


def seen_by_another(session):
    place = url()
    session.open_dataset(place, "w", "first").commit()
    session.get_dataset("first").create_dataframe("made")
    face = session.settings.face
    told = pytest.warns(UserWarning, match="not committed") if face is NATIVE else nullcontext()
    with Session(exetera=face is EXETERA) as other, told:
        return list(other.open_dataset(place, "r", "second").keys())


def groups_of_a_ragged_table(session):
    table = number(session, "int8", [1, 2, 2]).dataframe
    table.create_numeric("short", "int8").data.write([1])
    groups = table.dataset.create_dataframe("groups")
    try:
        return table.groupby("age").count(ddf=groups)["count"].data[:].tolist()
    finally:
        table.dataset.rollback()


def rows_by_a_condition(session):
    table = number(session, "int8", [1, 2, 3]).dataframe
    return table[[True, False, True]].length()


def assigned_values(session):
    table = number(session, "int8", [34, 51]).dataframe
    table["age"] = [1, 2]
    return table["age"].data[:].tolist()


PROBES = {
    "sees_missing": mean_with_a_missing_value,
    "refuses_truth": truth,
    "widens_integers": product,
    "writes_exactly": written,
    "cuts_strings": cut,
    "rolls_back_on_error": after_an_exception,
    "describes_percentiles": quartile,
    "assignment_renames": assigned,
    "lenient_imports": unknown_category,
    "refuses_ragged": groups_of_a_ragged_table,
    "chooses_by_item": rows_by_a_condition,
    "shares_reads": seen_by_another,
    "assigns_values": assigned_values,
}
SILENT = (
    "sees_missing",
    "widens_integers",
    "refuses_ragged",
    "chooses_by_item",
    "shares_reads",
    "assigns_values",
)
"""What ExeTera's face computes as it is documented, without anything to let pass."""


def outcome(probe, session, tmp_path):
    """The repr of what a probe gives, or the name of its error's class."""
    arguments = [session, tmp_path][: len(inspect.signature(probe).parameters)]
    try:
        return repr(probe(*arguments))
    except Exception as error:  # noqa: BLE001 - its class is the result
        named = [c.__name__ for c in type(error).__mro__]
        return "DataError" if "DataError" in named else named[0]


def test_each_difference_has_a_row_and_a_probe():
    names = [field.name for field in dataclasses.fields(Face) if field.name != "name"]
    assert [name for name, _, _ in ROWS] == names == list(PROBES)


@pytest.mark.parametrize(("name", "native", "exetera"), ROWS)
def test_a_row_says_what_happens(name, native, exetera, tmp_path):
    with Session() as session:
        assert outcome(PROBES[name], session, tmp_path) == native
    with ExeteraSession() as session:
        assert outcome(PROBES[name], session, tmp_path) == exetera
    if name not in SILENT:
        assert session.settings.leniencies.total() > 0


def test_a_leniency_is_counted_and_told_once_for_each_place():
    told_once = pytest.warns(ExeteraCompatibilityWarning, match="t/town: cut strings to 3 bytes")
    with ExeteraSession() as session:
        town = new_table(session).create_fixed_string("town", 3)
        with told_once as told:
            town.data.write(["York", "Bath", "Ely"])
            town.data.write(["Leeds"])
    assert len(told) == 1
    assert session.settings.leniencies == {("cut strings to 3 bytes", "field t/town"): 3}


def test_the_class_of_exetera_has_its_face():
    assert ExeteraSession().settings.face is Session(exetera=True).settings.face is EXETERA
    assert Session().settings.face is NATIVE
