"""Follows patients from their assessments to their tests, and puts both beside each other."""

import sys

import numpy as np
from exetera.core import dataframe as edf
from exetera.core import dataset as eds
from exetera.core.session import Session
from exetera.io.importer import import_with_schema

DAY = 86400


def latest_tests(ds, tests):
    """The last usable test of each patient, and how many there were."""
    done = (tests["result"] >= 3) & tests["date_taken_set"]
    usable = ds.create_dataframe("usable")
    tests.apply_filter(done, ddf=usable)
    usable.sort_values(by=["patient_id", "date_taken", "id"])
    latest = ds.create_dataframe("latest")
    groups = usable.groupby(by="patient_id")
    groups.last(["id", "date_taken", "result"], ddf=latest)
    groups.first("date_taken", ddf=latest, write_keys=False)
    groups.count(ddf=latest, write_keys=False)
    latest.rename("id_last", "test_id")
    return latest


def main(folder, path):
    with Session() as s:
        files = {name: f"{folder}/{name}.csv" for name in ("patients", "assessments", "tests")}
        import_with_schema(
            s, path, "study", f"{folder}/schema.json", files, True,
            include={"assessments": ["id", "patient_id", "created_at", "fever"]},
            timestamp="2020-05-01 12:00:00+00:00",
        )  # fmt: skip
        ds = s.get_dataset("study")
        latest = latest_tests(ds, ds["tests"])

        # every assessment with the last test of its patient, if there was one
        assessments = ds["assessments"]
        beside = ds.create_dataframe("beside")
        edf.merge(
            assessments, latest, beside, left_on="patient_id", right_on="patient_id", how="left"
        )
        gap = (beside["date_taken_last"] - beside["created_at"]) / DAY
        near = (gap > -3) & (gap < 3)
        if "valid_r" in beside:
            near = near & beside["valid_r"]
        beside["days_to_test"] = gap
        beside["near"] = near

        # only pairs, both sides sorted by their key
        in_order = ds.create_dataframe("in_order")
        assessments.sort_values(by="patient_id", ddf=in_order)
        pairs = ds.create_dataframe("pairs")
        edf.merge(
            in_order, ds["usable"], pairs, left_on="patient_id", right_on="patient_id",
            left_fields=["id", "patient_id", "created_at"], right_fields=["id", "result"],
            how="inner", hint_left_keys_ordered=True, hint_right_keys_ordered=True,
        )  # fmt: skip

        # patients and tests, whoever has either
        everyone = ds.create_dataframe("everyone")
        people = ds.create_dataframe("people")
        ds["patients"].drop_duplicates(by="id", ddf=people)
        edf.merge(people, latest, everyone, left_on="id", right_on="patient_id", how="outer")
        right = ds.create_dataframe("right")
        edf.merge(people, latest, right, left_on="id", right_on="patient_id", how="right")

        # columns that change place
        edf.move(beside["fever"], right.dataset.create_dataframe("fevers"), "fever_now")
        edf.copy(beside["near"], ds["fevers"], "near")
        eds.copy(ds["fevers"], ds, "fevers_again")
        ds["symptoms"] = ds["fevers"]
        counts = np.unique(ds["symptoms"]["fever_now"].data[:], return_counts=True)
        summary = ds.create_dataframe("summary")
        summary.create_numeric("fever", "int8").data.write(counts[0].astype("int8"))
        summary.create_numeric("rows", "int64").data.write(counts[1])
        ds.drop("usable")
        del ds["in_order"]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
