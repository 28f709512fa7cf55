"""Imports the tables, and cleans the patients: one row each, plausible values, derived columns."""

import sys

import numpy as np
from exetera.core import fields
from exetera.core.session import Session
from exetera.core.utils import Timer
from exetera.io import importer

THIS_YEAR = 2020


def clean(s, src, dest):
    with Timer("sorting"):
        s.sort_on(src, dest, ("id", "created_at"), verbose=False)

    # the newest row of each patient
    spans = s.get_spans(s.get(dest["id"]))
    newest = s.apply_spans_index_of_last(spans)
    registrations = s.apply_spans_count(spans)
    dest.apply_index(newest)
    dest.create_numeric("registrations", "int64").data.write(registrations)

    born = s.get(dest["year_of_birth"])
    has_birth = s.get(dest["year_of_birth_valid"])
    plausible = has_birth & (born >= 1900) & (born <= THIS_YEAR - 16)
    age = s.create_numeric(dest, "age", "uint8")
    age.data.write(np.where(plausible.data[:], THIS_YEAR - born.data[:], 0))
    dest["age_valid"] = plausible

    height, weight = dest["height_cm"].data[:], dest["weight_kg"].data[:]
    height = np.where(height < 3, height * 100, height)  # some gave metres
    usable = dest["height_cm_valid"].data[:] & dest["weight_kg_valid"].data[:]
    bmi = np.zeros(len(height), "float64")
    bmi[usable] = weight[usable] / (height[usable].astype("float64") / 100) ** 2
    dest.create_numeric("bmi", "float64").data.write(bmi)
    dest.create_numeric("bmi_valid", "bool").data.write(usable)

    # two genders and the rest
    gender = dest["gender"].remap([(0, 0), (1, 1), (2, 2), (3, 0)], {"": 0, "f": 1, "m": 2})
    dest["gender_short"] = gender
    del dest["gender"]
    dest.rename({"gender_short": "gender", "country_freetext": "country_other"})

    groups = np.digitize(dest["age"].data[:], [1, 30, 50, 70])
    key = {"unknown": 0, "to 29": 1, "30 to 49": 2, "50 to 69": 3, "from 70": 4}
    s.create_categorical(dest, "age_group", "int8", key).data.write(groups.astype("int8"))

    assert isinstance(dest["age"], fields.NumericField)
    assert isinstance(plausible, fields.NumericMemField)


def main(folder, path):
    with Session() as s:
        importer.import_with_schema(
            session=s,
            dataset_filename=path,
            dataset_alias="study",
            schema_file=f"{folder}/schema.json",
            files={name: f"{folder}/{name}.csv" for name in ("patients", "assessments", "tests")},
            overwrite=True,
            timestamp="2020-05-01 00:00:00+00:00",
        )
        ds = s.get_dataset("study")
        cleaned = ds.create_dataframe("cleaned")
        clean(s, ds["patients"], cleaned)

        adults = ds.create_dataframe("adults")
        cleaned.apply_filter(cleaned["age"].data[:] >= 18, ddf=adults)
        for name in ("j_valid_from", "j_valid_to"):
            adults.drop(name)
        wanted = adults["notes"].isin(["asthma", "日本"])
        adults.create_numeric("interesting", "bool").data.write(wanted)

        # how many there are of each kind, in one table
        totals = ds.require_dataframe("totals")
        cleaned.groupby(by=["country", "gender"]).count(ddf=totals)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
