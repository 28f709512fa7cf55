"""Exports of REDCap by the data dictionary of their project: types, names of codes, codebook."""

from __future__ import annotations

import csv
import datetime as dt
import itertools
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exetera_zarr import Session, import_csv, propose_schema
from exetera_zarr.errors import ArgumentError, SchemaError
from support.missing import values_of

HEADER = [
    *("Variable / Field Name", "Form Name", "Section Header", "Field Type", "Field Label"),
    *("Choices, Calculations, OR Slider Labels", "Field Note"),
    *("Text Validation Type OR Show Slider Number", "Text Validation Min", "Text Validation Max"),
    *("Identifier?", "Branching Logic (Show field only if...)", "Required Field?"),
    *("Custom Alignment", "Question Number (surveys only)", "Matrix Group Name"),
    *("Matrix Ranking?", "Field Annotation"),
]
AT = {name: place for place, name in enumerate(HEADER)}
SHORT = {
    "name": 0, "form": 1, "section": 2, "kind": 3, "label": 4, "choices": 5, "note": 6,
    "validation": 7, "least": 8, "greatest": 9, "identifier": 10, "branching": 11, "required": 12,
    "annotation": 17,
}  # fmt: skip
RACE = "1, White|2, Black, African or Caribbean|-99,Unknown|a.b, Other <i>group</i>"
PROJECT = [
    {"name": "record_id", "form": "baseline", "kind": "text", "label": "Record ID"},
    {
        "name": "given_name", "form": "baseline", "kind": "text", "identifier": "y",
        "section": "<h3>About you</h3>",
        "label": '<div class="rich"><p>Given&nbsp;name, "as in\nthe passport"</p></div>',
    },
    {"name": "born", "form": "baseline", "kind": "text", "label": "Born", "validation": "date_dmy",
     "required": "y", "least": "1900-01-01"},
    {"name": "seen", "form": "baseline", "kind": "text",
     "label": "Seen", "validation": "datetime_mdy"},
    {"name": "taken", "form": "baseline", "kind": "text", "validation": "datetime_seconds_ymd",
     "label": "Taken"},
    {"name": "age", "form": "baseline", "kind": "text", "label": "Age <18 or >65?",
     "validation": "integer", "note": "in <b>years</b>"},
    {"name": "weight", "form": "baseline", "kind": "text",
     "label": "Weight", "validation": "number_1dp"},
    {"name": "height", "form": "baseline", "kind": "text", "label": "Height",
     "validation": "number_comma_decimal"},
    {"name": "bmi", "form": "baseline", "kind": "calc", "label": "BMI",
     "choices": "round([weight]/([height]^2), 1)"},
    {"name": "sex", "form": "baseline", "kind": "radio", "label": "Sex",
     "choices": "1, Female | 2, Male | 9, Other, or none | -98, Rather not say"},
    {"name": "children", "form": "baseline", "kind": "dropdown", "label": "Children",
     "choices": "1, 0 | 2, 1 | 3, 2 or more", "branching": "[sex] = '1'"},
    {"name": "blood", "form": "baseline", "kind": "dropdown", "label": "Blood",
     "choices": "ap, A+ | an, A- | zz, A+ | both, A+ | n"},
    {"name": "race", "form": "baseline", "kind": "checkbox", "label": "Race", "choices": RACE},
    {"name": "smokes", "form": "baseline", "kind": "yesno", "label": "Smokes?"},
    {"name": "true_story", "form": "baseline", "kind": "truefalse", "label": "True?"},
    {"name": "title", "form": "baseline", "kind": "radio",
     "label": "Title", "choices": "Mr. | Mrs. | Dr."},
    {"name": "scan", "form": "baseline", "kind": "file", "label": "Scan"},
    {"name": "read_me", "form": "baseline", "kind": "descriptive", "label": "Please read"},
    {"name": "visit_day", "form": "visit", "kind": "text", "validation": "date_mdy",
     "label": "Day"},
    {"name": "pain", "form": "visit", "kind": "slider",
     "label": "Pain", "choices": "none | some | much"},
    {"name": "remarks", "form": "visit", "kind": "notes",
     "label": "Remarks", "annotation": "@HIDDEN"},
    {"name": "woke", "form": "visit", "kind": "text", "validation": "time", "label": "Woke"},
]  # fmt: skip
RAW = {
    "record_id": ["1", "1", "007"],
    "redcap_event_name": ["enrol_arm_1", "enrol_arm_1", "enrol_arm_1"],
    "redcap_repeat_instrument": ["", "visit", ""],
    "redcap_repeat_instance": ["", "1", ""],
    "redcap_data_access_group": ["york", "york", ""],
    "given_name": ['Ann "A", Lee', "", "Bo\nB"],
    "born": ["1990-12-31", "", "UNK"],
    "seen": ["2020-01-02 03:04", "", ""],
    "taken": ["2020-01-02 03:04:05", "", ""],
    "age": ["34", "", "-99"],
    "weight": ["61.5", "", "70"],
    "height": ["1,75", "", "2"],
    "bmi": ["20.1", "", ""],
    "sex": ["2", "", "-98"],
    "children": ["1", "", "2"],
    "blood": ["ap", "", "zz"],
    "race___1": ["1", "", "0"],
    "race___2": ["0", "", "1"],
    "race____99": ["0", "", "0"],
    "race___a_b": ["1", "", "0"],
    "smokes": ["1", "", "0"],
    "true_story": ["0", "", "UNK"],
    "title": ["Mr.", "", "Dr."],
    "scan": ["[document]", "", ""],
    "baseline_complete": ["2", "", "0"],
    "visit_timestamp": ["", "2020-05-06 07:08:09", "[not completed]"],
    "visit_day": ["", "2020-05-06", ""],
    "pain": ["", "50", ""],
    "remarks": ["", "a, b", "UNK"],
    "woke": ["", "06:30", ""],
    "visit_complete": ["", "1", ""],
}
CODES = {"-99": "not known", "UNK": "unknown"}
WANTED = {
    "record_id": ["1", "1", "007"],
    "redcap_repeat_instance": [None, 1, None],
    "given_name": ['Ann "A", Lee', "", "Bo\nB"],
    "born": [dt.datetime(1990, 12, 31, tzinfo=dt.UTC), None, None],
    "seen": [dt.datetime(2020, 1, 2, 3, 4, tzinfo=dt.UTC), None, None],
    "taken": [dt.datetime(2020, 1, 2, 3, 4, 5, tzinfo=dt.UTC), None, None],
    "age": [34, None, None],
    "weight": [61.5, None, 70.0],
    "height": [1.75, None, 2.0],
    "bmi": [20.1, None, None],
    "sex": ["Male", None, "Rather not say"],
    "race___1": ["Checked", None, "Unchecked"],
    "race___2": ["Unchecked", None, "Checked"],
    "race____99": ["Unchecked", None, "Unchecked"],
    "race___a_b": ["Checked", None, "Unchecked"],
    "smokes": ["Yes", None, "No"],
    "true_story": ["False", None, None],
    "title": ["Mr.", None, "Dr."],
    "baseline_complete": ["Complete", None, "Incomplete"],
    "visit_timestamp": [None, dt.datetime(2020, 5, 6, 7, 8, 9, tzinfo=dt.UTC), None],
    "visit_day": [None, dt.datetime(2020, 5, 6, tzinfo=dt.UTC), None],
    "pain": [None, 50, None],
    "remarks": ["", "a, b", None],
    "woke": ["", "06:30", ""],
    "visit_complete": [None, "Unverified", None],
}


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def ds():
    with Session() as s:
        yield s.open_dataset("memory://redcap.zarr", "w", "d")


def dictionary(
    project: Sequence[dict[str, str]] = PROJECT, path: str = "dictionary.csv", **how: Any
):
    with Path(path).open("w", newline="", encoding=how.get("encoding", "utf-8-sig")) as file:
        writer = csv.writer(file, delimiter=how.get("delimiter", ","))
        writer.writerow(how.get("header", HEADER))
        for one in project:
            writer.writerow([one.get(_short(place), "") for place in range(len(HEADER))])
            if how.get("blank"):
                file.write("\n" + "," * (len(HEADER) - 1) + "\n")
    return path


def _short(place: int) -> str:
    return next((key for key, at in SHORT.items() if at == place), "")


def export(columns: dict[str, list[str]], path: str = "export.csv") -> str:
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def imported(ds, columns=RAW, codes=CODES, **how):
    place = export(columns)
    proposal = propose_schema({"records": place}, redcap=dictionary(**how), missing_codes=codes)
    return proposal, import_csv(ds, "records", place, proposal, mode="replace")


def by_column(table, names):
    rows = values_of(table, list(names))
    return {name: [row[name] for row in rows] for name in names}


def test_an_export_of_raw_data(ds):
    proposal, table = imported(ds)
    assert by_column(table, WANTED) == WANTED
    notes = "\n".join(map(str, proposal.notes))
    assert "records.born: 1 cell ('UNK', first in row 3) will be missing, and which" in notes
    assert "lacks" not in notes  # all of its fields are there
    assert table["age"].fieldtype == "numeric,int8"
    assert table["weight"].fieldtype == table["bmi"].fieldtype == "numeric,float64"
    assert table["sex"].keys == {
        0: b"",
        1: b"Female",
        2: b"Male",
        9: b"Other, or none",
        -99: b"not known",
        -98: b"Rather not say",
        10: b"unknown",
    }


def test_what_the_codebook_has(ds):
    table = imported(ds)[1]
    assert table["given_name"].label == 'Given name, "as in the passport"'
    assert table["age"].label == "Age <18 or >65?"
    assert table["age"].description == "in years"
    assert table["age"].missing_codes == {-99: "not known"}
    assert table["age"].data[:].tolist()[2] == -99  # so that nobody loses why
    assert table["remarks"].missing_codes == CODES
    said = table["given_name"].annotations
    assert (said["identifier"], said["section"], said["form"]) == (True, "About you", "baseline")
    assert table["born"].annotations["required"] is True
    assert table["born"].annotations["least"] == "1900-01-01"
    assert table["bmi"].annotations["calculation"] == "round([weight]/([height]^2), 1)"
    assert table["pain"].annotations["slider"] == "none | some | much"
    assert table["remarks"].annotations["annotation"] == "@HIDDEN"
    assert table["race___2"].label == "Race: Black, African or Caribbean"
    assert table["race___a_b"].annotations["choice"] == "a.b"
    assert table["race___a_b"].label == "Race: Other group"
    assert table["children"].annotations["branching"] == "[sex] = '1'"
    assert table["blood"].annotations["codes"]["A-"] == "an"
    codes = table["true_story"].missing_codes
    assert sorted(codes.values()) == ["no value", "not known", "unknown"]
    assert codes[table["true_story"].data[:][2]] == "unknown"


def test_labels_that_are_codes_of_others_and_labels_that_are_shared(ds):
    """In raw data codes count; no category has the name of another one's code."""
    table = imported(ds)[1]
    assert by_column(table, ["children", "blood"]) == {
        "children": ["0 (1)", None, "1 (2)"],
        "blood": ["A+ (ap)", None, "A+ (zz)"],
    }
    assert table["children"].data[:].tolist()[0::2] == [1, 2]


def test_an_export_of_labels(ds):
    """The same table, but for which codes there were of missing data."""
    labels = {
        "sex": ["Male", "", "Rather not say"],
        "children": ["0", "", "1"],
        "blood": ["A-", "", "A-"],
        **{name: ["Checked", "", "Unchecked"] for name in RAW if name.startswith("race___")},
        "smokes": ["Yes", "", "No"],
        "true_story": ["False", "", "unknown"],
        "baseline_complete": ["Complete", "", "Incomplete"],
        "visit_complete": ["", "Unverified", ""],
    }
    table = imported(ds, RAW | labels)[1]
    found = by_column(table, [*labels, "true_story"])
    assert found["sex"] == WANTED["sex"]
    assert found["children"] == ["0", None, "1"]
    assert table["children"].data[:].tolist()[0::2] == [1, 2]
    assert found["race___2"] == ["Checked", None, "Unchecked"]
    assert found["smokes"] == WANTED["smokes"]
    assert found["true_story"] == ["False", None, None]
    assert found["visit_complete"] == WANTED["visit_complete"]


def test_shared_labels_in_an_export_of_labels_are_an_error():
    project = [
        *PROJECT[:1],
        {"name": "x", "form": "f", "kind": "radio", "choices": "1, A|2, A|3, B"},
    ]
    place = export({"record_id": ["1", "2"], "x": ["A", "B"]})
    with pytest.raises(SchemaError, match="'x' has several choices that are called 'A'"):
        propose_schema(place, redcap=dictionary(project))


def test_columns_that_only_one_side_has(ds):
    """One of somebody else is proposed from its cells, with a note; fields may be lacking."""
    columns = {name: RAW[name] for name in ("record_id", "sex")} | {"lab_code": ["1", "2", "3"]}
    proposal, table = imported(ds, columns)
    notes = "\n".join(map(str, proposal.notes))
    assert "records.lab_code: dictionary.csv has no such field" in notes
    assert "records: it lacks 'given_name', 'born'" in notes
    assert table["lab_code"].data[:].tolist() == [1, 2, 3]
    with pytest.raises(SchemaError, match="not their labels"):
        propose_schema(export({"Record ID": ["1"], "Sex": ["2"]}), redcap=dictionary())


def test_cells_that_the_dictionary_does_not_foresee(ds):
    """A choice that was deleted, and texts where numbers and days should be, are kept."""
    columns = {
        "record_id": ["1", "2", "3"],
        "sex": ["1", "7", "x y"],
        "children": ["3", "0", "1"],  # of raw data, so that 0 is none of the labels
        "age": ["34", "about 40", "5"],
        "born": ["1990-12-31", "in May", ""],
        "weight": ["1e3", "NA", "2.5"],
    }
    proposal, table = imported(ds, columns, None)
    notes = "\n".join(map(str, proposal.notes))
    assert "cells have '7', 'x y', which the dictionary does not offer" in notes
    assert "the dictionary says that it has numbers, and cells differ" in notes
    assert "the dictionary says that it has dates, and cells differ" in notes
    assert by_column(table, columns) == {
        "record_id": ["1", "2", "3"],
        "sex": ["Female", "7", "x y"],
        "children": ["2 or more", "0", "0 (1)"],
        "age": ["34", "about 40", "5"],
        "born": ["1990-12-31", "in May", ""],
        "weight": [1000.0, None, 2.5],
    }


def test_a_form_without_answers_has_the_types_of_the_dictionary(ds):
    table = imported(ds, {name: ["", ""] if name != "record_id" else ["1", "2"] for name in RAW})[1]
    kinds = {name: table[name].fieldtype.partition(",")[0] for name in WANTED}
    assert kinds["age"] == kinds["weight"] == kinds["height"] == kinds["pain"] == "numeric"
    assert kinds["born"] == kinds["seen"] == kinds["visit_day"] == "timestamp"
    assert kinds["sex"] == kinds["race___1"] == kinds["visit_complete"] == "categorical"


MARCH, APRIL = (dt.datetime(2020, month, 7 - month, tzinfo=dt.UTC) for month in (3, 4))


@pytest.mark.parametrize("codes", [None, CODES])
def test_the_dictionary_says_whether_the_day_or_the_month_comes_first(ds, codes):
    """Also where other cells are missing, with a missing data code and without."""
    lacking = ["", "NA", *(["UNK"] if codes else [])]
    columns = {"record_id": [f"{at}a" for at in range(1 + len(lacking))]}
    project, wanted = [PROJECT[0]], {}
    for at, (validation, cell, day) in enumerate(
        [
            ("date_mdy", "03/04/2020", MARCH),
            ("date_dmy", "03/04/2020", APRIL),
            ("date_mdy", "03.04.2020", MARCH),
            ("date_dmy", "03-04-2020", APRIL),
            ("date_ymd", "2020/03/04", MARCH),
            ("date_mdy", "2020-04-03", APRIL),  # as REDCap itself writes all dates
            ("datetime_mdy", "03/04/2020 10:30", MARCH),
            ("datetime_dmy", "03/04/2020 10:30", APRIL),
            ("datetime_ymd", "2020/03/04 10:30", MARCH),
            ("datetime_dmy", "03/04/2020 10:30 AM", APRIL),
            ("datetime_seconds_mdy", "03/04/2020 10:30:00", MARCH),
            ("datetime_seconds_dmy", "03/04/2020 10:30:00 AM", APRIL),
            ("datetime_seconds_ymd", "2020/03/04 10:30:00", MARCH),
        ]
    ):
        name = f"d{at}"
        project.append({"name": name, "form": "f", "kind": "text", "validation": validation})
        columns[name] = [cell, *lacking]
        moment = day.replace(hour=10, minute=30) if ":" in cell else day
        wanted[name] = [moment, *[None] * len(lacking)]
    proposal, table = imported(ds, columns, codes, project=project)
    assert by_column(table, wanted) == wanted
    assert "no cell tells" not in "\n".join(map(str, proposal.notes))


def test_dates_in_another_order_than_the_dictionary_has_are_read_with_a_note(ds):
    columns = {"record_id": ["a", "b"], "d": ["31/12/2020", "04/03/2020"]}
    project = [PROJECT[0], {"name": "d", "form": "f", "kind": "text", "validation": "date_mdy"}]
    proposal, table = imported(ds, columns, None, project=project)
    assert by_column(table, ["d"])["d"] == [dt.datetime(2020, 12, 31, tzinfo=dt.UTC), MARCH]
    notes = "\n".join(map(str, proposal.notes))
    assert "the dictionary says month/day/year, and cells differ" in notes


@pytest.mark.parametrize("validation", ["integer", "number"])
def test_numbers_that_would_lose_zeros_stay_text(ds, validation):
    columns = {
        "record_id": ["a", "b", "c", "d"],
        "age": ["001", "002", "-99", ""],
        "weight": ["0", "-0.5", "10", "-099"],
    }
    project = [
        PROJECT[0],
        {"name": "age", "form": "f", "kind": "text", "validation": validation},
        {"name": "weight", "form": "f", "kind": "text", "validation": "number"},
    ]
    codes = {"-99": "not asked", "-099": "lost"}
    proposal, table = imported(ds, columns, codes, project=project)
    found = by_column(table, ["age", "weight"])
    assert found["age"] == ["001", "002", None, ""]
    assert found["weight"] == [0.0, -0.5, 10.0, None]  # a code is no reason to keep text
    assert "'001' would lose zeros" in "\n".join(map(str, proposal.notes))


def test_choices_and_codes_without_a_label_are_called_as_their_codes(ds):
    columns = {"record_id": ["a", "b", "c", "d"], "x": ["1", "2", "-9", ""]}
    project = [PROJECT[0], {"name": "x", "form": "f", "kind": "radio", "choices": "1, | 2, B"}]
    for _ in range(2):  # the second one replaces a table
        table = imported(ds, columns, {"-9": ""}, project=project)[1]
        assert by_column(table, ["x"])["x"] == ["1", "B", None, None]
        assert table["x"].keys == {-9: b"-9", 0: b"", 1: b"1", 2: b"B"}


@pytest.mark.parametrize(
    "how",
    [
        {"encoding": "utf-8"},
        {"encoding": "cp1252"},
        {"delimiter": ";"},
        {"blank": True},
        {"header": [
            *("field_name", "form_name", "section_header", "field_type", "field_label"),
            *("select_choices_or_calculations", "field_note"),
            *("text_validation_type_or_show_slider_number", "text_validation_min"),
            *("text_validation_max", "identifier", "branching_logic", "required_field"),
            *("custom_alignment", "question_number", "matrix_group_name", "matrix_ranking"),
            "field_annotation",
        ]},
    ],
)  # fmt: skip
def test_dictionaries_as_programs_write_them(ds, how):
    project = [*PROJECT[:2], {**PROJECT[9], "label": "Sexe, à la déclaration"}]
    columns = {name: RAW[name] for name in ("record_id", "given_name", "sex")}
    table = imported(ds, columns, project=project, **how)[1]
    assert table["sex"].label == "Sexe, à la déclaration"
    assert by_column(table, ["sex"])["sex"] == WANTED["sex"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"header": ["a", *HEADER[1:]]},
            "is no data dictionary of REDCap: it has no column 'variable",
        ),
        ({"project": []}, "dictionary.csv has no field"),
        (
            {"project": [{"name": "x", "kind": "text", "label": "à"}], "encoding": "cp1252"},
            "dictionary.csv is not UTF-8",
        ),
        ({"project": [PROJECT[0], PROJECT[0]]}, "row 2: 'record_id' occurs again"),
        ({"project": [{"name": "a b", "kind": "text"}]}, "row 1: 'a b' is no name of a field"),
        ({"project": [{"name": "x", "kind": "radio"}]}, "row 1, 'x' has no choices"),
        (
            {"project": [{"name": "x", "kind": "radio", "choices": "1, a|1, b"}]},
            "'x' has several choices with the code '1'",
        ),
        (
            {"project": [PROJECT[0], {"name": "x", "kind": "checkbox", "choices": "-1, a|.1, b"}]},
            "the choices '-1' and '.1' of 'x' are both the column 'x____1'",
        ),
    ],
)
def test_what_is_no_dictionary(change, message):
    with pytest.raises(SchemaError) as error:
        propose_schema(export({"record_id": ["1"]}), redcap=dictionary(**change))
    assert message in str(error.value)
    with pytest.raises(FileNotFoundError):
        propose_schema("export.csv", redcap="none.csv")
    with pytest.raises(ArgumentError, match="give redcap="):
        propose_schema("export.csv", missing_codes={"-9": "x"})


LABEL = st.text("ab01 ,-(){}<>&;é", min_size=1, max_size=8).map(str.strip).filter(bool)
CODE = st.one_of(st.integers(-20, 20).map(str), st.text("ab01", min_size=1, max_size=3))


def _proposal_if_raw(place, of_project):
    """None where cells could as well be labels, which several choices share."""
    with suppress(SchemaError):
        return propose_schema({"t": place}, redcap=of_project)
    with pytest.raises(SchemaError, match="export the raw data"):
        propose_schema({"t": place}, redcap=of_project)
    return None


def _plain_choices(pairs: dict[str, str]) -> Iterator[str]:
    return (f"{code}, {label}" for code, label in pairs.items())


@given(st.dictionaries(CODE, LABEL, min_size=1, max_size=6), st.data())
def test_any_choices_keep_codes_apart(pairs, data):
    """Whatever labels are: each code is one category, and its number, where all are numbers."""
    cells = data.draw(st.lists(st.sampled_from([*pairs, ""]), min_size=1, max_size=8))
    numbers = itertools.count(1)
    columns = {"record_id": [str(next(numbers)) for _ in cells], "x": cells}
    choices = "|".join(_plain_choices(pairs))
    project = [PROJECT[0], {"name": "x", "form": "f", "kind": "radio", "choices": choices}]
    place = export(columns)
    with Session() as s:
        ds = s.open_dataset("memory://any.zarr", "w", "d")
        proposal = _proposal_if_raw(place, dictionary(project))
        if proposal is None:
            return
        table = import_csv(ds, "t", place, proposal)
        names = by_column(table, ["x"])["x"]
        stored = table["x"].data[:].tolist()
    assert [name is None for name in names] == [not cell for cell in cells]
    told = dict(zip(cells, names, strict=True))
    assert len({told[cell] for cell in told if cell}) == len({cell for cell in told if cell})
    if all(code.lstrip("-").isdigit() and str(int(code)) == code for code in pairs):
        assert all(int(cell) == value for cell, value in zip(cells, stored, strict=True) if cell)
