"""Files that say the types of their columns, where CSV files go: `import`, `append`, and Python."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from exetera_zarr import DataError, Session, import_csv
from exetera_zarr.errors import SchemaError
from exetera_zarr.io import import_tables
from exetera_zarr.io.appending import append_files
from exetera_zarr.io.statistics import reading
from support.missing import values_of
from support.questionnaire import FRAME, LABELS, ROWS, write_questionnaire

pyreadstat = pytest.importorskip("pyreadstat")

VALIDITY = ["j_valid_from", "j_valid_to"]


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    """A questionnaire as several programs write it; it is in the working folder."""
    monkeypatch.chdir(tmp_path)
    write_questionnaire()


@pytest.fixture
def ds(place):
    with Session() as s:
        yield s.open_dataset(place.url("x.zarr"), "w", "d", storage_options=place.storage_options)


@pytest.mark.parametrize("name", ["q.sav", "q.zsav", "q.dta", "q.xpt", "q.parquet", "q.feather"])
def test_import_and_append_by_the_suffix(ds, name):
    """With what `from_spss` and the others make of labels and codes, and when rows are valid."""
    table = import_csv(ds, "q", name, timestamp="2020-01-01")
    rows = ROWS
    if name == "q.xpt":
        codes = {"f": 1.0, "m": 2.0, None: None}
        rows = [{**row, "sex": codes[row["sex"]]} for row in ROWS]
    assert values_of(table, ["sex", "age"]) == rows
    assert table["j_valid_from"].data[:].tolist() == [1577836800.0] * 4
    assert len(set(table["j_valid_to"].data[:])) == 1
    if name in ("q.sav", "q.zsav", "q.dta"):
        assert table["age"].label == "Age at entry"
        assert list(table["age"].missing_codes.values()) == ["refused"]
        assert list(table["sex"].missing_codes.values()) == ["refused"]
    append_files(table, name)
    import_csv(ds, "q", name, mode="append", timestamp="2021-01-01")
    assert values_of(table, ["sex", "age"]) == rows * 3
    assert not np.isnan(table["j_valid_from"].data[:]).any()
    assert set(table["j_valid_from"].data[-4:]) == {1609459200.0}
    ds.commit()


def test_rows_that_say_when_they_are_valid(ds):
    """As tables that were exported do; nothing of that is lost, nor said twice."""
    table = import_csv(ds, "q", "q.parquet", timestamp="2020-01-01")
    table.to_parquet("again.parquet")
    again = import_csv(ds, "again", "again.parquet")
    assert values_of(again, VALIDITY) == values_of(table, VALIDITY)
    with pytest.raises(SchemaError, match="give no timestamp, or exclude the column"):
        import_csv(ds, "third", "again.parquet", timestamp="2021-01-01")
    assert "third" not in ds


def test_codes_that_mean_something_else_there(ds):
    """Two files of one survey: another order of categories, and a code that only one knows."""
    import_tables(ds, None, {"q": "q.sav"})
    labels = {"sex": {1: "m", 2: "f"}}
    pyreadstat.write_sav(FRAME[:2], "other.sav", variable_value_labels=labels)
    table = ds["q"]
    append_files(table, "other.sav")
    assert [row["sex"] for row in values_of(table, ["sex"])][4:] == ["m", "f"]
    assert values_of(table, ["age"])[4:] == [{"age": 34.0}, {"age": None}]
    before = values_of(table)
    pyreadstat.write_sav(
        pd.DataFrame({"sex": [1.0], "age": [-8.0]}),
        "third.sav",
        variable_value_labels=LABELS,
        missing_ranges={"age": [-8]},
    )
    with pytest.raises(DataError, match=r"'age' has -8, which means 'user-missing' where it"):
        append_files(table, "third.sav")
    assert values_of(table) == before
    table["age"].missing_codes = {**table["age"].missing_codes, -8.0: "user-missing"}
    append_files(table, "third.sav")
    assert values_of(table, ["age"])[-1] == {"age": None}


def test_codes_of_texts(ds):
    """Of SPSS, that the table does not know."""
    there = ds.create_dataframe("there")
    there.create_indexed_string("town").data.write(["York"])
    pyreadstat.write_sav(pd.DataFrame({"town": ["NA"]}), "t.sav", missing_ranges={"town": ["NA"]})
    with pytest.raises(DataError, match="'town' has 'NA', which means 'user-missing' where"):
        append_files(there, "t.sav")
    assert there["town"].data[:] == ["York"]


def test_numbers_of_which_one_file_has_those_with_names_alone(ds):
    """So that they are categories there; they go to the numbers of the table as such."""
    labels = {"agree": {1: "never", 5: "always"}}
    for name, values in (("a.sav", [1.0, 3.0, 5.0]), ("b.sav", [5.0, 1.0])):
        pyreadstat.write_sav(pd.DataFrame({"agree": values}), name, variable_value_labels=labels)
    table = import_csv(ds, "t", ["a.sav", "b.sav"])
    assert table["agree"].data[:].tolist() == [1.0, 3.0, 5.0, 5.0, 1.0]


def test_memory_is_bounded(ds, monkeypatch):
    """A file of statistics is read some rows at a time."""
    rows = 50_000
    pyreadstat.write_sav(pd.DataFrame({"x": np.arange(rows, dtype=float)}), "long.sav")
    steps = []
    measured = reading._rows_at_a_time
    monkeypatch.setattr(
        reading, "_rows_at_a_time", lambda *of: steps.append(min(measured(*of), 1000)) or steps[-1]
    )
    table = import_csv(ds, "long", "long.sav")
    assert steps
    assert np.array_equal(table["x"].data[:], np.arange(rows))
