"""Labels, units, missing codes: set, marked, kept by every operation, shown and exported."""

from __future__ import annotations

import csv
import json
import re

import numpy as np
import pytest

from exetera_zarr import (
    CorruptDataError,
    DataError,
    ExeteraError,
    ReadOnlyError,
    Session,
    UnsupportedError,
    import_csv,
    merge,
)
from exetera_zarr.conversion.datasets import convert
from exetera_zarr.tables import dataframe as dataframes
from exetera_zarr.tables import dataset as datasets

CODES = {"y": 1, "n": 0, "dk": 2}
ROWS = {
    "id": [1, 2, 3, 4],
    "age": [34, -9, -8, None],
    "weight": [60.5, -9.0, None, 71.0],
    "well": ["y", "dk", "n", None],
    "seen": ["2020-01-01", "1900-01-01", None, "2020-01-03"],
    "town": ["York", "NA", "", "Leeds"],
    "note": ["a", "NA", None, "é"],
}
MISSING = {"age": [1, 2, 3], "weight": [1, 2], "well": [1, 3], "seen": [1, 2], "town": [1]}
MISSING |= {"note": [1, 2]}
SAID = {
    "age": ("Age", "years", {-9: "refused", -8: "not asked"}),
    "weight": ("Weight", "kg", {-9.0: "refused"}),
    "well": ("Well?", None, {2: "does not know"}),
    "seen": ("Seen", None, {-2208988800.0: "never"}),
    "town": ("Town", None, {"NA": "not known"}),
    "note": ("Note", None, {"NA": "not known"}),
}


@pytest.fixture
def study(place):
    with Session() as session:
        url = place.url("study.zarr")
        yield session.open_dataset(url, "w", "study", storage_options=place.storage_options)


def people_of(study, name="people", *, codes_first=True):
    """A table with a field of each type that has codes, which are set before or after its rows."""
    people = study.create_dataframe(name)
    people.label, people.description = "People", "Everybody who came."
    people.annotations = {"wave": 1}
    people.create_numeric("id", "int32")
    people.create_numeric("age", "int16")
    people.create_numeric("weight", "float64")
    people.create_categorical("well", "int8", CODES)
    people.create_timestamp("seen")
    people.create_fixed_string("town", 5)
    people.create_indexed_string("note")
    for before in (True, False):
        if before == codes_first:
            for field, (label, unit, codes) in SAID.items():
                people[field].label, people[field].unit = label, unit
                people[field].description = f"What {label} is."
                people[field].annotations = {"question": [1, None, {"a": "é"}]}
                people[field].missing_codes = codes
        else:
            for field, values in ROWS.items():
                people[field].data.write(values)
    return people


def rows_missing(field):
    return np.flatnonzero(field.isna().data[:]).tolist()


def check(people, said=SAID, missing=MISSING):
    """A table has the fields with what is said of them, and the same rows are missing."""
    for name, (label, unit, codes) in said.items():
        field = people[name]
        assert (field.label, field.unit, field.missing_codes) == (label, unit, codes), name
        assert field.description == f"What {label} is.", name
        assert field.annotations == {"question": [1, None, {"a": "é"}]}, name
        if missing is not None:
            assert rows_missing(field) == missing[name], name


@pytest.mark.parametrize("codes_first", [True, False])
def test_codes_are_missing_whether_they_or_the_rows_come_first(study, codes_first):
    people = people_of(study, codes_first=codes_first)
    check(people)
    assert people["age"].mean() == 34
    assert people["weight"].mean() == (60.5 + 71.0) / 2
    assert people["age"].data[:3].tolist() == [34, -9, -8]
    assert people["weight"].data[:2].tolist() == [60.5, -9.0]
    assert people["well"].data[:3].tolist() == [1, 2, 0]
    assert people["note"].data[:2] == ["a", "NA"]
    assert people["town"].data[:2].tolist() == [b"York", b"NA"]


def test_it_is_kept_by_a_commit_and_removed_by_none(study, place):
    """Opened again, and then without it; the last thing that goes leaves no attribute."""
    people = people_of(study)
    version = study.commit()
    for thing in (people, *people.values()):
        thing.label = thing.description = thing.annotations = None
    for field in people.values():
        field.unit = field.missing_codes = None
    study.commit()
    assert not any("codebook" in thing.group.attributes for thing in (people, *people.values()))
    assert people["age"].annotations == people["age"].missing_codes == {}
    assert rows_missing(people["age"]) == MISSING["age"]  # what was marked stays so
    if place.backend != "hdf5":
        check(study.at(version)["people"])


def test_setting_it_is_a_change_of_metadata_alone(study):
    """No array is another one, and to say the same again is no change."""
    people = people_of(study)
    study.commit()
    arrays = {name: field.array().content for name, field in people.items()}
    people["age"].label = "How old"
    people.description = "Others."
    study.commit()
    assert {name: field.array().content for name, field in people.items()} == arrays
    people["age"].label = "How old"
    people["age"].missing_codes = {-9: "refused", -8: "not asked"}
    assert not study.storage.changed


def test_a_transaction_that_fails_takes_it_back(study):
    people = people_of(study)
    with pytest.raises(KeyError, match="why"), study.transaction():
        people["id"].missing_codes = {1: "nobody"}
        people["age"].label = people.label = "other"
        raise KeyError("why")
    check(people)
    assert (people.label, people["id"].missing_codes) == ("People", {})
    assert rows_missing(people["id"]) == []


WRONG = [
    ("label", 3, "the label of field people/age is a str, not a int"),
    ("label", "\ud800", "not Unicode text"),
    ("unit", "x" * 10_001, "at most 10,000 characters"),
    ("description", b"x", "is a str, not a bytes"),
    ("annotations", ["x"], "a mapping of text to values"),
    ("annotations", {1: "x"}, "a mapping of text to values"),
    ("annotations", {"x": float("nan")}, "not values of JSON"),
    ("annotations", {"x": {1, 2}}, "not values of JSON"),
    ("annotations", {"x": "\udcff"}, "not values of JSON"),
    ("annotations", {"x": "y" * 100_001}, "at most 100,000 characters"),
    ("missing_codes", [-9], "such as {-9: 'refused'}"),
    ("missing_codes", {-9: None}, "the meaning of -9"),
    ("missing_codes", {40_000: "x"}, "does not fit"),
    ("missing_codes", {"-9": "x"}, "no number"),
    ("missing_codes", {1.5: "x"}, "does not fit"),
    ("missing_codes", dict.fromkeys(range(1001), "x"), "at most 1,000"),
]


@pytest.mark.parametrize(("key", "value", "said"), WRONG)
def test_what_it_cannot_be_is_told_and_changes_nothing(study, key, value, said):
    people = people_of(study)
    with pytest.raises(ExeteraError, match=re.escape(said)):
        setattr(people["age"], key, value)
    check(people)


@pytest.mark.parametrize(
    ("field", "codes"),
    [
        ("weight", {float("nan"): "x"}),
        ("weight", {float("inf"): "x"}),
        ("well", {"unknown": "x"}),
        ("well", {"dk": "x", 2: "y"}),
        ("well", {7: "x"}),
        ("town", {"too long": "x"}),
        ("note", {3: "x"}),
        ("seen", {"soon": "x"}),
        ("flag", {True: "x"}),
    ],
)
def test_codes_are_values_of_the_field(study, field, codes):
    people = people_of(study)
    people.create_numeric("flag", "bool").data.write([True] * 4)
    with pytest.raises((DataError, TypeError)):
        people[field].missing_codes = codes
    check(people)


def test_codes_are_compared_as_they_are_stored(study):
    """A float32 holds no 9.1, and is told by the number that it holds in its place."""
    table = study.create_dataframe("t")
    dose = table.create_numeric("dose", "float32")
    dose.missing_codes = {-9.1: "lost"}
    dose.data.write([1.5, -9.1])
    wide = table.create_numeric("wide", "uint64")
    wide.missing_codes = {2**64 - 1: "none"}
    wide.data.write([2**64 - 2, 2**64 - 1])
    assert dose.missing_codes == {-9.1: "lost"}
    assert (rows_missing(dose), rows_missing(wide)) == ([1], [1])


def test_rows_written_by_any_way_are_marked(study):
    """Items, lists, fields, append, upsert, delete, a target of other fields."""
    people = people_of(study)
    age, weight = people["age"], people["weight"]
    age.data[0] = -9
    age.data[[1, 3]] = [20, -8]
    weight.data[0:2] = [-9.0, 1.0]
    assert (rows_missing(age), rows_missing(weight)) == ([0, 2, 3], [0, 2])
    assert age.data[:].tolist() == [-9, 20, -8, -8]
    new = {"id": [5], "age": [-9], "weight": [-9.0], "well": ["dk"], "seen": ["1900-01-01"]}
    people.append({**new, "town": ["NA"], "note": ["NA"]})
    assert all(4 in rows_missing(people[name]) for name in SAID)
    assert (age.data[4], weight.data[4]) == (-9, -9.0)
    found = people.upsert(
        {"id": [2, 5, 6], "age": [-9, 50, -9], "weight": [-9.0, 2.0, -9.0]}, "id", missing="fill"
    )
    assert (found.new, found.changed) == (1, 2)
    assert (rows_missing(age), rows_missing(weight)) == ([0, 1, 2, 3, 5], [0, 1, 2, 5])
    assert age.data[:].tolist() == [-9, -9, -8, -8, 50, -9]
    again = people.upsert({"id": [2, 6], "age": [-8, -9]}, "id", missing="fill")
    assert (again.changed, again.unchanged, age.data[1]) == (1, 1, -8)  # another reason
    target = people.create_numeric("target", "int16")
    target.missing_codes = {50: "x"}
    age.apply_filter(age > 0, target=target)
    assert (target.data[:].tolist(), rows_missing(target)) == ([50], [0])
    plain = people.create_numeric("plain", "int16")
    plain.missing_codes = {-9: "x"}
    plain.data.write(np.array([1, -9], "int16"))
    assert rows_missing(plain) == [1]


def test_a_code_may_come_to_rows_of_many_blocks(place):
    """The mark goes to the blocks that have one, whichever that are."""
    with Session(row_block=16) as session:
        url = place.url("many.zarr")
        ds = session.open_dataset(url, "w", "many", storage_options=place.storage_options)
        table = ds.create_dataframe("t")
        values = np.arange(100, dtype="int32")
        table.create_numeric("n", "int32").data.write(values)
        table.create_indexed_string("s").data.write([str(n) for n in values])
        ds.commit()
        table["n"].missing_codes = {3: "x", 90: "y"}
        table["s"].missing_codes = {"40": "x"}
        assert (rows_missing(table["n"]), rows_missing(table["s"])) == ([3, 90], [40])


def test_fields_outside_of_tables(study):
    """At the top level nothing can say what is missing; in memory something can."""
    loose = study.create_numeric("loose", "int8")
    loose.label = "Loose"
    with pytest.raises(DataError, match="no column of a table"):
        loose.missing_codes = {1: "x"}
    assert (loose.label, loose.missing_codes) == ("Loose", {})
    people = people_of(study)
    alone = people["age"].apply_filter(people["id"] > 1)
    assert (alone.label, alone.missing_codes) == ("Age", SAID["age"][2])
    assert rows_missing(alone) == [0, 1, 2]
    alone.missing_codes = {-7: "x"}
    alone.data.write([-7, 3])
    assert rows_missing(alone) == [0, 1, 2, 3]
    filled = people["age"].fillna(-9)
    assert (filled.data[:].tolist(), rows_missing(filled)) == ([34, -9, -9, -9], [])
    assert filled.label == "Age"


def test_who_reads_does_not_write_it(study, place):
    people_of(study)
    study.commit()
    with Session() as session:
        url = place.url("study.zarr")
        opened = session.open_dataset(url, "r", "o", storage_options=place.storage_options)
        for key in ("label", "description"):
            for thing in (opened["people"], opened["people"]["age"]):
                with pytest.raises(ReadOnlyError):
                    setattr(thing, key, "x")
        with pytest.raises(ReadOnlyError):
            opened["people"]["id"].missing_codes = {1: "x"}


def test_exeteras_face_sees_what_is_stored(study, place):
    """There a code is a number like others, and setting one marks nothing."""
    people_of(study)
    study.close()
    with Session(exetera=True) as session:
        url = place.url("study.zarr")
        opened = session.open_dataset(url, "r+", "o", storage_options=place.storage_options)
        people = opened["people"]
        assert people["age"].data[:3].tolist() == [34, -9, -8]
        assert (people["age"].label, people["age"].missing_codes) == ("Age", SAID["age"][2])
        people["id"].missing_codes = {1: "x"}
        people["id"].data.write([1])
        assert people["id"].data[:].tolist() == [1, 2, 3, 4, 1]
        assert "id_valid" not in people
        del people["id"]


# -- every operation


def _filtered(study, people):
    return people.apply_filter(people["id"] > 0, ddf=study.create_dataframe("d"))


def _filtered_in_place(_study, people):
    return people.apply_filter(people["id"] > 0)


def _chosen(study, people):
    return people.apply_index([0, 1, 2, 3], ddf=study.create_dataframe("d"))


def _sorted(study, people):
    return people.sort_values("id", ddf=study.create_dataframe("d"))


def _copied(study, people):
    study.copy(people, "d")
    return study["d"]


def _made_from_it(study, people):
    return study.create_dataframe("d", people)


def _moved(study, people):
    datasets.copy(people, study, "passing")
    datasets.move(study["passing"], study, "d")
    return study["d"]


def _field_by_field(study, people):
    made = study.create_dataframe("d")
    for name, field in people.items():
        if name not in people.companions().values():
            made[name] = field
    return made


def _field_by_field_moved(study, people):
    made, passing = study.create_dataframe("d"), study.create_dataframe("passing", people)
    for name in SAID:
        dataframes.move(passing[name], made, name)
    return made


def _renamed(_study, people):
    people.rename({name: f"{name}_2" for name in SAID})
    people.rename({f"{name}_2": name for name in SAID})
    return people


def _appended_as_new(study, people):
    made = study.create_dataframe("d")
    made.append(people, new="add")
    return made


def _upserted_as_new(study, people):
    made = study.create_dataframe("d")
    made.create_numeric("id", "int32")
    made.upsert(people, "id", new="add")
    return made


def _journalled(study, people):
    people.create_timestamp("j_valid_from").data.write([1.0] * 4)
    made = study.create_dataframe("d")
    made.journal(people, "id")
    return made


def _journalled_again(study, people):
    made = _journalled(study, people)
    people["weight"].data[3] = 80.0
    made.journal(people, "id", 5.0)
    assert made["age"].data[1] == -9
    return made.as_of(6.0, study.create_dataframe("now")).sort_values("id")


def _journalled_without_codes(study, people):
    """The codes of the journal count for a snapshot of which nobody has said them."""
    made = _journalled(study, people)
    plain = study.create_dataframe("plain")
    for name, values in ROWS.items():
        plain[name] = people[name].create_like()
        plain[name].missing_codes = None
        plain[name].data.write(values)
    assert rows_missing(plain["age"]) == [3]
    plain["id"].data[:] = [11, 12, 13, 14]
    made.journal(plain, "id", 5.0)
    return made.apply_filter(made["id"] > 10, ddf=study.create_dataframe("later"))


def _merged(study, people):
    other = study.create_dataframe("other")
    other.create_numeric("id", "int32").data.write([1, 2, 3, 4])
    made = study.create_dataframe("d")
    merge(other, people, made, "id", "id", how="left")
    return made


def _merged_by_hints(study, people):
    other = study.create_dataframe("other")
    other.create_numeric("key", "int32").data.write([1, 2, 3, 4])
    made = study.create_dataframe("d")
    merge(
        *(people, other, made, "id", "key"),
        hint_left_keys_ordered=True,
        hint_right_keys_ordered=True,
    )
    return made


def _restored(study, people):
    people["age"].label = "other"
    people["age"].label = "Age"
    study.commit()
    return people


OPERATIONS = [
    *(_filtered, _filtered_in_place, _chosen, _sorted, _copied, _made_from_it, _moved),
    *(_field_by_field, _field_by_field_moved, _renamed, _appended_as_new, _upserted_as_new),
    *(_journalled, _journalled_again, _journalled_without_codes),
    *(_merged, _merged_by_hints, _restored),
]
OF_THE_TABLE = (_filtered, _chosen, _sorted, _copied, _made_from_it, _moved, _journalled)


def test_every_operation_keeps_it(place):
    """One test of all, so that each back end has each of them."""
    for number, operation in enumerate(OPERATIONS):
        url = place.url(f"{number}.zarr")
        with Session() as session:
            study = session.open_dataset(url, "w", "s", storage_options=place.storage_options)
            made = operation(study, people_of(study))
            missing = {**MISSING, "weight": [1, 2]}
            check(made, missing=missing)
            name = made.name
            if operation in OF_THE_TABLE:
                assert (made.label, made.annotations) == ("People", {"wave": 1}), operation
        with Session() as session:
            study = session.open_dataset(url, "r", "s", storage_options=place.storage_options)
            check(study[name], missing=missing)


def test_keys_and_aggregates_of_groups(study):
    """A key keeps all that is said of it; an aggregate is labelled by what it is of."""
    people = people_of(study)
    groups, distinct = study.create_dataframe("g"), study.create_dataframe("distinct")
    wanted = ["mean", "min", "max", "sum", "std", "median", "first", "last"]
    people.groupby("well").agg({"weight": [*wanted, "count", "nunique", "var"]}, ddf=groups)
    check(groups, {"well": SAID["well"]}, None)
    for name in wanted:
        made = groups[f"weight_{name}"]
        assert (made.label, made.unit) == (f"{name} of Weight", "kg")
        assert (made.description, made.missing_codes, made.annotations) == (None, {}, {})
    for name in ("count", "nunique", "var"):
        made = groups[f"weight_{name}"]
        assert (made.label, made.unit) == (f"{name} of Weight", None)
    people.groupby("well").count(groups, write_keys=False)
    people.groupby("well").max("id", groups, write_keys=False)
    assert (groups["count"].label, groups["id_max"].label) == (None, None)
    people.drop_duplicates(["age", "town"], ddf=distinct)
    check(distinct, {name: SAID[name] for name in ("age", "town")}, None)


def test_another_type_keeps_what_it_can_hold(study):
    people = people_of(study)
    people["age"].missing_codes = {-9: "refused", -8: "not asked", 999: "lost"}
    people["age"].astype("float64")
    age = people["age"]
    assert age.missing_codes == {-9.0: "refused", -8.0: "not asked", 999.0: "lost"}
    assert rows_missing(age) == MISSING["age"]
    age.astype("int8")
    check(people)


def test_spans_keep_it(study):
    people = people_of(study)
    spans = people["well"].get_spans()
    for name in ("first", "last", "min", "max"):
        made = getattr(people["age"], f"apply_spans_{name}")(spans)
        assert (made.label, made.unit, made.missing_codes) == SAID["age"]


def test_a_merge_says_whose_label_won(study, place):
    """Where both tables have one; where one has, that is the label, and a label that is there."""
    left, right = people_of(study, "left"), people_of(study, "right")
    right.label, left["age"].label = "Visits", "Age at first"
    made = study.create_dataframe("made")
    with pytest.warns(UserWarning, match="'made' has that of 'left', 'People', and not 'Visits'"):
        merge(left, right, made, "id", "id")
    assert made.label == "People"
    assert (made["age_l"].label, made["age_r"].label) == ("Age at first", "Age")
    study.commit()
    if place.backend != "hdf5":  # which has no history
        details = study.history()[0].operations[-1].details
        assert (details["label"], details["instead_of"]) == ("People", "Visits")
    named = study.create_dataframe("named")
    named.label = "Mine"
    merge(left, right, named, "id", "id")
    left.label = None
    other = study.create_dataframe("other")
    merge(left, right, other, "id", "id")
    assert (named.label, other.label) == ("Mine", "Visits")


def test_conversions_keep_it(study, place, tmp_path):
    """From any back end to HDF5, to Zarr, and back."""
    people_of(study)
    study.close()
    source, options = place.url("study.zarr"), place.storage_options
    for name in ("a.hdf5", "b.zarr", "c.hdf5"):
        convert(source, tmp_path / name, source_options=options)
        source, options = str(tmp_path / name), {}
        with Session() as session:
            people = session.open_dataset(source, "r", "d")["people"]
            check(people)
            assert (people.label, people.description) == ("People", "Everybody who came.")


def test_csv_with_its_codebook_comes_back(study, tmp_path):
    """Whoever gets the two files has the labels; what is missing is an empty cell."""
    people = people_of(study)
    people.to_csv(tmp_path / "people.csv", codebook=tmp_path / "people.json")
    with (tmp_path / "people.csv").open(encoding="utf-8", newline="") as file:
        cells = list(csv.DictReader(file))
    assert [row["age"] for row in cells] == ["34", "", "", ""]
    made = import_csv(study, "again", tmp_path / "people.csv", tmp_path / "people.json")
    # An empty cell needs a category of its own.
    assert made["well"].missing_codes == {2: "does not know", 3: "no value"}
    made["well"].missing_codes = SAID["well"][2]
    text = ("town", "note")  # of which an empty cell is one without a character
    check(made, missing={**MISSING, **{name: [] for name in text}})
    assert (made.label, made.annotations) == ("People", {"wave": 1})
    people.to_csv(tmp_path / "two.csv", None, ["id", "age"], codebook=tmp_path / "two.json")
    said = json.loads((tmp_path / "two.json").read_text())["schema"]["people"]
    assert list(said["fields"]) == ["id", "age"]


# -- shown and exported


def test_it_is_shown(study):
    people = people_of(study)
    people.label, people["age"].label = "<b>People</b>", "Age\x1b[31m"
    people["age"].missing_codes = {-9: "<i>refused</i>"}
    html = people._repr_html_() + people["age"]._repr_html_()
    assert "&lt;b&gt;People&lt;/b&gt;" in html
    assert "&lt;i&gt;refused" in html
    assert "Age\\x1b[31m [years]" in html
    assert "\x1b" not in html
    assert "<i>" not in html
    summary = people.describe()
    assert (summary["weight"]["label"], summary["weight"]["unit"]) == ("Weight", "kg")
    assert "label" not in summary["id"]
    assert "Weight" in repr(summary)
    assert "\x1b" not in repr(summary)


def test_the_codebook_of_a_dataset(study, tmp_path):
    people_of(study)
    study.create_numeric("loose", "int8").label = "Loose"
    study.create_dataframe("empty")
    study.commit()
    found = study.codebook(missing=True)
    loose, people, empty = found.to_dict()["tables"]
    assert (loose["name"], loose["fields"][0]["label"], empty["fields"]) == ("", "Loose", [])
    assert [entry["name"] for entry in people["fields"]] == list(ROWS)
    age, well = people["fields"][1], people["fields"][3]
    assert age == {
        "name": "age",
        "type": "numeric,int16",
        "rows": 4,
        "label": "Age",
        "unit": "years",
        "description": "What Age is.",
        "companion": "age_valid",
        "missing": 3,
        "missing_codes": [[-9, "refused"], [-8, "not asked"]],
        "annotations": {"question": [1, None, {"a": "é"}]},
    }
    assert well["categories"] == CODES
    assert json.loads(json.dumps(found.to_dict())) == found.to_dict()
    only = study.codebook("people")
    assert [entry.name for entry in only.tables] == ["people"]
    assert only["people"].fields[1].missing is None
    only.to_csv(tmp_path / "codebook.csv")
    with (tmp_path / "codebook.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["field"]: row for row in csv.DictReader(file)}
    assert rows["well"]["missing codes"] == "dk = does not know"
    assert rows["seen"]["missing codes"] == "1900-01-01 00:00:00 = never"
    assert rows["age"]["missing"] == ""
    assert "missing codes: -9 = refused; -8 = not asked" in str(only)


def test_a_codebook_is_safe_to_look_at(study, tmp_path):
    """Whatever people wrote: escaped in HTML, and nothing that commands a terminal."""
    nasty = "<script>alert(1)</script>\x1b[2J\u202e\n"
    table = study.create_dataframe("t")
    table.label = table.description = nasty
    field = table.create_categorical("f", "int8", {nasty: 1})
    field.label = field.unit = field.description = nasty
    field.missing_codes = {1: nasty}
    field.annotations = {nasty: nasty}
    study.commit()
    found = study.codebook()
    found.to_csv(tmp_path / "c.csv")
    html = found.to_html() + found._repr_html_() + table._repr_html_() + field._repr_html_()
    for text in (html, str(found), repr(found), (tmp_path / "c.csv").read_text("utf-8")):
        assert not {"\x1b", "\u202e"} & set(text)
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_what_is_said_differs_between_versions(study, place):
    """A release that says something else of the same rows is no equal of the one before."""
    if place.backend == "hdf5":
        pytest.skip("it has no versions")
    people = people_of(study)
    first = study.commit()
    people["age"].label, people.description = "How old", None
    people["age"].missing_codes = {-9: "refused"}
    second = study.commit()
    found = study.diff(first, second)
    (column,) = found["people"].columns
    assert (column.name, column.codebook, column.rows) == ("age", ("label", "missing_codes"), 0)
    assert found["people"].codebook == ("description",)
    assert "age: other label, missing_codes" in str(found)
    assert "other description" in found._repr_html_()
    assert not study.diff(second)


# -- what others write


def test_a_code_that_a_stranger_gave_a_field(study):
    """A document may say what no setter takes: reading it is an error that names the field."""
    people = people_of(study)
    people["age"].group.update_attributes({"codebook": {"missing_codes": [["x", "y"]]}})
    with pytest.raises(CorruptDataError, match="people/age has a missing code"):
        people["age"].data.write([1])


def test_a_file_that_a_script_has_opened_itself(tmp_path):
    """It has no place for a codebook, and says so rather than forgetting it."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "x.hdf5", "w") as file, Session() as session:
        field = session.create_numeric(file.create_group("t"), "age", "int8")
        with pytest.raises(UnsupportedError, match="no place for a codebook"):
            field.label = "Age"
