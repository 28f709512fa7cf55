"""What `to_csv` writes, an import reads as the same table, whatever is in it."""

from __future__ import annotations

import datetime as dt
import json
import math
import uuid
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from exetera_zarr import Session, import_csv

CODES = {"f, or so": 3, " m": 4, 'said "x"': 5, "3": 6}
FIRST, LAST = (dt.datetime(*day) for day in ((1, 1, 2), (9999, 12, 30)))  # noqa: DTZ001 - hypothesis asks for it
TEXTS = st.text(st.sampled_from("aé ,\"'\r\n\t;0"), max_size=6)
ROWS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(-128, 127)),
        st.one_of(st.none(), st.floats(allow_nan=False)),
        st.one_of(st.none(), st.floats(width=32, allow_nan=False)),
        st.one_of(st.none(), st.booleans()),
        TEXTS,
        st.sampled_from(list(CODES)),
        st.one_of(
            st.none(),
            st.datetimes(FIRST, LAST, timezones=st.just(dt.UTC)),
        ),
    ),
    min_size=1,
    max_size=8,
)
FIELDS = {
    "age": {"field_type": "numeric", "value_type": "int8"},
    "weight": {"field_type": "numeric", "value_type": "float64"},
    "dose": {"field_type": "numeric", "value_type": "float32"},
    "flag": {"field_type": "numeric", "value_type": "bool"},
    "note": {"field_type": "string"},
    "sex": {
        "field_type": "categorical",
        "categorical": {"value_type": "int8", "strings_to_values": CODES},
    },
    "seen": {"field_type": "datetime"},
}
SCHEMA = {
    "exetera": {"version": "1.1.0"},
    "schema": {"t": {"primary_keys": [], "fields": FIELDS}},
}


def write(table, rows):
    age, weight, dose, flag, note, sex, seen = zip(*rows, strict=True)
    table.create_numeric("age", "int8").data.write(list(age))
    table.create_numeric("weight", "float64").data.write(
        [math.nan if v is None else v for v in weight]
    )
    table.create_numeric("dose", "float32").data.write([math.nan if v is None else v for v in dose])
    table.create_numeric("flag", "bool").data.write(list(flag))
    table.create_indexed_string("note").data.write(list(note))
    table.create_categorical("sex", "int8", CODES).data.write(list(sex))
    table.create_timestamp("seen").data.write(list(seen))
    return table


def values_of(table):
    """The stored values where there is one, None where there is none."""
    found = {}
    for name in FIELDS:
        there = table[name].notna().data[:]
        found[name] = [
            v if has else None for v, has in zip(table[name].data[:], there, strict=True)
        ]
    return found


@given(ROWS)
@settings(max_examples=60)
def test_the_same_table_comes_back(tmp_path_factory, rows):
    folder: Path = tmp_path_factory.mktemp("csv")
    (folder / "schema.json").write_text(json.dumps(SCHEMA))
    with Session(row_block=3) as s:
        ds = s.open_dataset(f"memory://{uuid.uuid4().hex}", "w", "d")
        table = write(ds.create_dataframe("t"), rows)
        table.to_csv(folder / "t.csv")
        other = s.open_dataset(f"memory://{uuid.uuid4().hex}", "w", "other")
        again = import_csv(other, "t", folder / "t.csv", folder / "schema.json")
        assert values_of(again) == values_of(table)
