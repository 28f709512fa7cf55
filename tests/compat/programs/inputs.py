"""Small CSV files in the manner of the Covid Symptom Study: the same ones at every call."""

from __future__ import annotations

import csv
import random
from datetime import datetime, timedelta
from pathlib import Path

START = datetime(2020, 4, 1)
PATIENTS, ASSESSMENTS, TESTS = 30, 240, 50
NOTES = ["", "asthma", 'says "none"', "cough, dry", "naïve étude", "日本", "  spaced"]
TREATMENTS = ["", "", "oxygen", "fluids", "oxygen,fluids", 'a "b" c']


def write_inputs(folder: Path) -> None:
    """Write patients.csv, assessments.csv and tests.csv."""
    rng = random.Random(20200401)
    ids = [f"p{n:03d}" for n in range(PATIENTS)]
    rng.shuffle(ids)
    write(folder / "patients.csv", [patient(rng, one) for one in [*ids, *ids[:7]]])
    # Some come from patients that are not there, and some patients have none.
    known = [*ids[: PATIENTS - 5], "x001", "x002"]
    write(folder / "assessments.csv", [assessment(rng, n, known) for n in range(ASSESSMENTS)])
    write(folder / "tests.csv", [swab(rng, n, known) for n in range(TESTS)])


def write(path: Path, rows: list[dict[str, object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def moment(rng: random.Random, days: int) -> str:
    # Within a day each second occurs once at most, so that no order is left to chance.
    return str(START + timedelta(days=rng.randrange(days), seconds=rng.randrange(86400)))


def patient(rng: random.Random, one: str) -> dict[str, object]:
    return {
        "id": one,
        "created_at": moment(rng, 10),
        "year_of_birth": rng.choice(["", "0", "1850", *range(1930, 2010, 3)]),
        "height_cm": rng.choice(["", "1.7", *(f"{rng.uniform(140, 200):.1f}" for _ in range(9))]),
        "weight_kg": rng.choice(["", "heavy", *(f"{rng.uniform(45, 130):.2f}" for _ in range(9))]),
        "gender": rng.choice(["", "female", "female", "male", "male", "other"]),
        "country": rng.choice(["", "GB", "GB", "GB", "US", "SE", "Sverige"]),
        "notes": rng.choice(NOTES),
    }


def assessment(rng: random.Random, n: int, patients: list[str]) -> dict[str, object]:
    return {
        "id": f"a{n:05d}",
        "patient_id": rng.choice(patients),
        "created_at": moment(rng, 14),
        "temperature": rng.choice(["", *(f"{rng.uniform(35.5, 40.5):.1f}" for _ in range(4))]),
        "fatigue": rng.choice(["", "no", "no", "mild", "severe"]),
        "fever": rng.choice(["", "False", "False", "True"]),
        "treatment": rng.choice(TREATMENTS),
    }


def swab(rng: random.Random, n: int, patients: list[str]) -> dict[str, object]:
    return {
        "id": f"t{n:05d}",
        "patient_id": rng.choice(patients),
        "date_taken": rng.choice(["", *(moment(rng, 20)[:10] for _ in range(9))]),
        "result": rng.choice(["", "waiting", "failed", "negative", "negative", "positive"]),
        "invited": rng.choice(["", "yes", "no", "True", "0", "perhaps"]),
    }
