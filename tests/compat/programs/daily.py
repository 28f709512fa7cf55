"""One row per patient and day: the worst of each symptom, beside what is known of the patient."""

import sys
from datetime import datetime

import exetera.core.dataframe as edf
import exetera.core.operations as ops
import numpy as np
from exetera.core.session import Session
from exetera.io.importer import import_with_schema
from exetera.processing.date_time_helpers import (
    generate_period_offset_map,
    get_days,
    get_period_offsets,
    get_periods,
)

START = datetime(2020, 4, 1)


def day_by_day(s, assessments, daily):
    """Collapse the assessments of a day, which are sorted by patient and time."""
    ids = assessments["patient_id"].data[:]
    days = assessments["created_at_day"].data[:]
    spans = s.get_spans(fields=(ids, days))
    s.apply_spans_first(spans, ids, s.create_fixed_string(daily, "patient_id", 6))
    s.apply_spans_first(spans, days, s.create_fixed_string(daily, "day", 10))
    for name in ("fatigue", "fever"):
        field = s.get(assessments[name])
        s.apply_spans_max(spans, field, field.create_like(daily, name))
    temperature = assessments["temperature"]
    s.apply_spans_max(spans, temperature, s.create_numeric(daily, "temperature_max", "float32"))
    s.apply_spans_min(spans, temperature, s.create_numeric(daily, "temperature_min", "float32"))
    s.apply_spans_count(spans, s.create_numeric(daily, "assessments", "int64"))
    last = s.apply_spans_index_of_last(spans)
    s.create_timestamp(daily, "last_at").data.write(
        s.apply_index(last, assessments["created_at"].data[:])
    )
    worst = s.apply_spans_index_of_max(spans, assessments["fatigue"].data[:])
    assessments["id"].apply_index(worst, target=s.create_fixed_string(daily, "worst_id", 8))
    treatment = s.create_indexed_string(daily, "treatments")
    s.apply_spans_concat(spans, assessments["treatment"], treatment)


def main(folder, path):
    s = Session()
    files = {name: f"{folder}/{name}.csv" for name in ("patients", "assessments")}
    import_with_schema(
        s, path, "study", f"{folder}/schema.json", files, True, timestamp=str(START) + "+00:00"
    )
    ds = s.get_dataset("study")
    patients, assessments = ds["patients"], ds["assessments"]

    # one row per patient: the first registration
    first = ds.create_dataframe("first")
    patients.sort_values(by=["id", "created_at"], ddf=first)
    ids = first["id"].data[:]
    first.apply_index(s.get_spans(ids)[:-1])
    assert ops.is_ordered(first["id"].data[:])

    by_time = ds.create_dataframe("by_time")
    order = s.dataset_sort_index((assessments["patient_id"], assessments["created_at"]))
    assessments.apply_index(order, ddf=by_time)

    daily = ds.create_dataframe("daily")
    day_by_day(s, by_time, daily)

    joined = ds.create_dataframe("joined")
    edf.merge(
        daily,
        first,
        joined,
        left_on="patient_id",
        right_on="id",
        right_fields=["id", "year_of_birth", "gender", "notes"],
        how="left",
    )
    # which week it was
    seconds = joined["last_at"].data[:]
    days, in_range = get_days(seconds, start_date=np.float64(1585699200), end_date=1586908800.0)
    weeks = get_periods(START, datetime(2020, 4, 15), "week")
    of_week = get_period_offsets(generate_period_offset_map(weeks), days, in_range)
    joined.create_numeric("week", "int32").data.write(of_week)

    # per patient, over what is sorted already
    totals = ds.create_dataframe("totals")
    daily.groupby(by="patient_id", hint_keys_is_sorted=True).count(ddf=totals)
    daily.groupby(by="patient_id", hint_keys_is_sorted=True).max(
        ["fatigue", "temperature_max", "treatments"], ddf=totals, write_keys=False
    )
    both = s.aggregate_count(daily["patient_id"].data[:])
    assert np.array_equal(both, totals["count"].data[:])
    s.close()


if __name__ == "__main__":
    main(*sys.argv[1:3])
