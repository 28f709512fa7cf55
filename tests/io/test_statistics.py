"""Files of SPSS, Stata and SAS: labels, categories, missing codes and dates, in and out."""

from __future__ import annotations

import datetime as dt
import tempfile
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given

from exetera_zarr import DataError, Session, UnsupportedError
from exetera_zarr.errors import MemoryLimitError
from exetera_zarr.io.statistics import reading
from support.missing import ROWS, close_scratch, examples, scratch, values_of, write

pyreadstat = pytest.importorskip("pyreadstat")

NAN = float("nan")
DAY = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


@pytest.fixture(scope="module", autouse=True)
def _closed_in_the_end():
    yield
    close_scratch()


@pytest.fixture
def ds(place):
    with Session(row_block=4) as s:
        yield s.open_dataset(place.url("x.zarr"), "w", "d", storage_options=place.storage_options)


@pytest.fixture
def survey(tmp_path):
    """A file of SPSS as a questionnaire gives it."""
    frame = pd.DataFrame(
        {
            "sex": [1.0, 2.0, -9.0, NAN, 2.0],
            "age": [34.0, -9.0, 51.0, 99.0, -8.0],
            "agree": [1.0, 3.0, 5.0, 2.0, NAN],
            "income": [10.5, -97.0, -95.0, 0.0, NAN],
            "town": ["York", "NA", "", "Bath", "é"],
            "born": [dt.date(1950, 2, 3), None, dt.date(2001, 12, 31), None, None],
            "seen": [pd.Timestamp("2020-01-02 03:04:05"), None, None, None, None],
            "woke": [dt.time(6, 30), None, None, None, None],
            "grade": ["a", "b", "a", "b", "a"],
        }
    )
    path = tmp_path / "survey.sav"
    pyreadstat.write_sav(
        frame,
        path,
        file_label="Wave 1",
        note=["first", "second"],
        column_labels={"age": "Age at entry", "sex": "Sex"},
        variable_value_labels={
            "sex": {1: "f", 2: "m", -9: "refused"},
            "age": {-9: "refused", 99: "99 or more"},
            "agree": {1: "never", 5: "always"},
            "grade": {"a": "first class"},
            "income": {-97: "no idea"},
        },
        missing_ranges={
            "sex": [-9],
            "age": [-9, -8],
            "town": ["NA"],
            "income": [{"lo": float("-inf"), "hi": -90.0}],
        },
        variable_measure={"sex": "nominal"},
    )
    return path


def test_a_questionnaire_of_spss(ds, survey):
    table = ds.from_spss("survey", survey)
    assert (table.label, table.description) == ("Wave 1", "first\nsecond")
    assert values_of(table)[:2] == [
        {
            "sex": "f",
            "age": 34.0,
            "agree": 1.0,
            "income": 10.5,
            "town": "York",
            "born": dt.datetime(1950, 2, 3, tzinfo=dt.UTC),
            "seen": dt.datetime(2020, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
            "woke": 6.5 * 3600,
            "grade": "a",
        },
        {
            "sex": "m",
            "age": None,
            "agree": 3.0,
            "income": None,
            "town": None,
            "born": None,
            "seen": None,
            "woke": None,
            "grade": "b",
        },
    ]
    sex, age, income = table["sex"], table["age"], table["income"]
    assert sex.keys == {-9: b"refused", 1: b"f", 2: b"m"}
    assert sex.missing_codes == {-9: "refused"}
    assert sex.isna().data[:].tolist() == [False, False, True, True, False]
    assert sex.data[:].tolist()[2] == -9  # so that nobody loses why
    assert sex.annotations["measure"] == "nominal"
    assert (age.label, age.missing_codes) == (
        "Age at entry",
        {-9.0: "refused", -8.0: "user-missing"},
    )
    assert age.mean() == (34 + 51 + 99) / 3
    assert age.annotations["value_labels"] == {"99": "99 or more"}
    assert table["agree"].annotations["value_labels"] == {"1": "never", "5": "always"}
    assert table["agree"].mean() == 2.75  # since not all values have a name
    assert income.missing_codes == {-97.0: "no idea", -95.0: "user-missing"}
    assert income.annotations["missing_ranges"] == [[None, -90.0]]
    assert income.mean() == 5.25
    assert table["town"].missing_codes == {"NA": "user-missing"}
    assert table["woke"].unit == "seconds"
    assert table["grade"].annotations["value_labels"] == {"a": "first class"}
    ds.commit()


def test_columns_modes_and_small_parts(ds, survey, monkeypatch):
    whole = ds.from_spss("whole", survey)
    monkeypatch.setattr(reading, "_rows_at_a_time", lambda *_: 2)
    parts = ds.from_spss("parts", survey)
    assert values_of(parts) == values_of(whole)
    assert parts.to_arrow().schema.equals(whole.to_arrow().schema, check_metadata=True)
    some = ds.from_spss("some", survey, columns=["sex", "age"])
    assert list(some.to_arrow().column_names) == ["sex", "age"]
    ds.from_spss("some", survey, "append", columns=["sex", "age"])
    assert values_of(some) == [{k: r[k] for k in ("sex", "age")} for r in values_of(whole)] * 2
    with pytest.raises(DataError, match="has no variable 'nobody'"):
        ds.from_spss("bad", survey, columns=["nobody"])
    assert "bad" not in ds


def test_types_dates_and_kinds_of_missing_values_of_stata(ds, tmp_path):
    frame = pd.DataFrame(
        {
            "small": pd.array([1, 2, 3, 4], "int8"),
            "age": pd.Series([34, "a", 51, "b"], dtype=object),
            "sex": pd.Series([1, 2, "a", 2], dtype=object),
            "x": pd.Series([0.5, NAN, "z", 2.0], dtype=object),
            "town": ["York", "", "Bath", "é"],
            "day": [dt.date(1950, 2, 3), None, None, dt.date(2100, 1, 1)],
            "at": pd.to_datetime(["2020-01-02 03:04:05.678", None, None, None]),
            "month": [0.0, 13.0, NAN, -1.0],
            "week": [52.0, 0.0, NAN, 53.0],
        }
    )
    path = tmp_path / "x.dta"
    pyreadstat.write_dta(
        frame,
        path,
        column_labels={"age": "Age"},
        variable_value_labels={"sex": {1: "f", 2: "m"}},
        missing_user_values={"age": ["a", "b"], "sex": ["a"], "x": ["z"]},
        variable_format={"month": "%tm", "week": "%tw"},
    )
    table = ds.from_stata("t", path)
    assert table["small"].fieldtype == "numeric,int32"
    age = table["age"]
    assert list(age.missing_codes.values()) == [".a", ".b"]
    assert age.isna().data[:].tolist() == [False, True, False, True]
    assert age.mean() == 42.5
    assert table["x"].mean() == 1.25
    assert list(table["x"].missing_codes.values()) == [".z"]
    sex = table["sex"]
    assert values_of(table, ["sex"]) == [{"sex": one} for one in ("f", "m", None, "m")]
    assert list(sex.missing_codes.values()) == [".a"]
    assert list(sex.keys.values())[:2] == [b"f", b"m"]
    assert values_of(table, ["town"])[1] == {"town": None}
    assert [row["day"] for row in values_of(table)] == [
        dt.datetime(1950, 2, 3, tzinfo=dt.UTC),
        None,
        None,
        dt.datetime(2100, 1, 1, tzinfo=dt.UTC),
    ]
    assert values_of(table)[0]["at"] == dt.datetime(2020, 1, 2, 3, 4, 5, 678_000, tzinfo=dt.UTC)
    assert [row["month"] for row in values_of(table)] == [
        dt.datetime(1960, 1, 1, tzinfo=dt.UTC),
        dt.datetime(1961, 2, 1, tzinfo=dt.UTC),
        None,
        dt.datetime(1959, 12, 1, tzinfo=dt.UTC),
    ]
    assert [row["week"] for row in values_of(table)] == [
        dt.datetime(1961, 1, 1, tzinfo=dt.UTC),
        dt.datetime(1960, 1, 1, tzinfo=dt.UTC),
        None,
        dt.datetime(1961, 1, 8, tzinfo=dt.UTC),
    ]


def test_a_transport_file_of_sas(ds, tmp_path):
    frame = pd.DataFrame(
        {
            "AGE": [34.0, NAN, 51.0],
            "TOWN": ["York", "", "Bath"],
            "BORN": [dt.date(1950, 2, 3), None, dt.date(1960, 1, 1)],
            "SEEN": pd.to_datetime(["2020-01-02 03:04:05", None, None]),
        }
    )
    pyreadstat.write_xport(frame, tmp_path / "x.xpt", column_labels={"AGE": "Age"})
    table = ds.from_sas("t", tmp_path / "x.xpt")
    assert table["AGE"].label == "Age"
    assert [tuple(row.values()) for row in values_of(table)] == [
        (
            34.0,
            "York",
            dt.datetime(1950, 2, 3, tzinfo=dt.UTC),
            dt.datetime(2020, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
        ),
        (None, None, None, None),
        (51.0, "Bath", dt.datetime(1960, 1, 1, tzinfo=dt.UTC), None),
    ]


def test_labels_of_sas_are_in_a_catalog(ds, tmp_path, monkeypatch):
    """Which nothing but SAS writes, so that its reader is played here."""
    pyreadstat.write_xport(pd.DataFrame({"SEX": [1.0, 2.0, NAN]}), tmp_path / "x.xpt")

    def read_sas7bdat(file, **how):
        how.pop("user_missing")
        rows, about = pyreadstat.read_xport(tmp_path / "x.xpt", **how)
        about.variable_to_label = {"SEX": "SEXF"}
        return rows, about

    def read_sas7bcat(file, **_how):
        return None, SimpleNamespace(value_labels={"SEXF": {1.0: "f", 2.0: "m"}, "OTHER": {}})

    monkeypatch.setattr(pyreadstat, "read_sas7bdat", read_sas7bdat)
    monkeypatch.setattr(pyreadstat, "read_sas7bcat", read_sas7bcat)
    for name in ("x.sas7bdat", "formats.sas7bcat"):
        (tmp_path / name).touch()
    catalog = tmp_path / "formats.sas7bcat"
    table = ds.from_sas("t", tmp_path / "x.sas7bdat", catalog=catalog)
    assert [row["SEX"] for row in values_of(table)] == ["f", "m", None]
    assert ds.from_sas("u", tmp_path / "x.sas7bdat")["SEX"].fieldtype == "numeric,float64"


def test_files_that_are_none(ds, tmp_path):
    bad = tmp_path / "x.sav"
    bad.write_bytes(b"$FL2 no")
    with pytest.raises(DataError, match=r"x\.sav cannot be read"):
        ds.from_spss("t", bad)
    with pytest.raises(DataError, match=r"no file of Stata by its name: these end in \.dta"):
        ds.from_stata("t", bad)
    with pytest.raises(FileNotFoundError):
        ds.from_spss("t", tmp_path / "nobody.sav")
    assert "t" not in ds


def test_without_the_library_it_says_what_to_install(ds, survey, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyreadstat", None)
    with pytest.raises(UnsupportedError, match=r"exetera-zarr\[statistics\]"):
        ds.from_spss("t", survey)


def as_written(rows, target):
    """What a table is after it was a file of a package: there, no text is text without letters."""
    blank = "" if target == "SPSS" else None
    return [
        {
            name: (blank if name in ("town", "code") and not value else value)
            for name, value in row.items()
        }
        | {"flag": None if row["flag"] is None else int(row["flag"])}
        for row in rows
    ]


@given(rows=ROWS)
@examples(30)
def test_any_table_comes_back(rows):
    with scratch() as ds, tempfile.TemporaryDirectory() as folder:
        table = write(ds.create_dataframe("people"), rows)
        table["age"].label = "Age"
        for target, suffix in (("SPSS", "sav"), ("Stata", "dta")):
            path = Path(folder) / f"x.{suffix}"
            getattr(table, f"to_{target.lower()}")(path)
            again = getattr(ds, f"from_{target.lower()}")(target, path)
            assert values_of(again) == as_written(values_of(table), target), target
            assert again["sex"].keys == {3: b"f", 4: b"m"}
            assert again["age"].label == "Age"


@pytest.mark.parametrize("target", ["spss", "stata"])
def test_missing_codes_come_back(ds, survey, tmp_path, target):
    """By their numbers from SPSS, by their meanings from Stata, which has letters for them."""
    table = ds.from_spss("survey", survey)
    table["income"].missing_codes = {-97: "no idea", -95: "refused", -94: "x", -93: "y"}
    path = tmp_path / f"x.{'sav' if target == 'spss' else 'dta'}"
    getattr(table, f"to_{target}")(path)
    again = getattr(ds, f"from_{target}")("again", path)
    assert again.label == "Wave 1"
    names = ["sex", "age", "agree", "income", "born", "seen", "woke"]
    assert values_of(again, names) == values_of(table, names)
    for name in ("sex", "age", "income"):
        before, after = table[name], again[name]
        coded = (
            after.isna().data[:] & ~np.isnan(before.data[:].astype(float)) & (before.data[:] != 0)
        )
        was = [before.missing_codes[code] for code in before.data[:][coded].tolist()]
        assert [after.missing_codes[code] for code in after.data[:][coded].tolist()] == was, name
    if target == "spss":
        assert again["town"].missing_codes == {"NA": "user-missing"}


@pytest.mark.parametrize(
    ("form", "stored", "wanted"),
    [
        ("%tc", 1_893_456_000_000.0, DAY),
        ("%tcHH:MM", 5_400_000.0, 5400.0),
        ("%td", 21_915.0, DAY),
        ("%tw", 3120.0, DAY),
        ("%tm", 720.0, DAY),
        ("%tq", 240.0, DAY),
    ],
)
def test_letters_of_stata_among_points_in_time_are_missing(ds, tmp_path, form, stored, wanted):
    pyreadstat.write_dta(
        pd.DataFrame({"d": pd.Series([stored, "a", None, "z"], dtype=object)}),
        tmp_path / "x.dta",
        missing_user_values={"d": ["a", "z"]},
        variable_format={"d": form},
        variable_value_labels={"d": {"a": "refused"}},
    )
    field = ds.from_stata("t", tmp_path / "x.dta")["d"]
    assert [row["d"] for row in values_of(ds["t"])] == [wanted, None, None, None]
    codes = field.missing_codes
    assert list(codes.values()) == ["refused", ".z"]
    stored_rows = field.data[:].tolist()
    assert [codes[stored_rows[row]] for row in (1, 3)] == ["refused", ".z"]  # so that the why stays


def test_letters_of_sas_among_points_in_time_are_missing(ds, tmp_path, monkeypatch):
    """Which pyreadstat does not write, so that its reader is played here."""
    frame = pd.DataFrame({"BORN": [dt.date(2020, 1, 1), None, None]})
    pyreadstat.write_xport(frame, tmp_path / "x.xpt")
    (tmp_path / "x.sas7bdat").touch()

    def read_sas7bdat(file, **how):
        how.pop("user_missing")
        rows, about = pyreadstat.read_xport(tmp_path / "x.xpt", **how)
        if "BORN" in rows and len(rows["BORN"]):
            rows["BORN"] = [rows["BORN"][0], "A", "_"]
        return rows, about

    monkeypatch.setattr(pyreadstat, "read_sas7bdat", read_sas7bdat)
    table = ds.from_sas("t", tmp_path / "x.sas7bdat")
    assert [row["BORN"] for row in values_of(table)] == [DAY, None, None]
    assert sorted(table["BORN"].missing_codes.values()) == ["._", ".a"]


@pytest.mark.parametrize("kind", ["one", "range"])
def test_user_missing_dates_of_spss(ds, tmp_path, kind):
    never = (dt.date(1900, 1, 1) - dt.date(1582, 10, 14)).total_seconds()
    ends = {"one": never, "range": {"lo": 0.0, "hi": never}}
    pyreadstat.write_sav(
        pd.DataFrame({"d": [13_797_216_000.0, never], "t": [6.5 * 3600, 9.0]}),
        tmp_path / "x.sav",
        missing_ranges={"d": [ends[kind]], "t": [9.0]},
        variable_value_labels={"d": {never: "not asked"}},
        variable_format={"d": "DATE11", "t": "TIME8"},
    )
    table = ds.from_spss("t", tmp_path / "x.sav")
    assert values_of(table) == [{"d": DAY, "t": 6.5 * 3600}, {"d": None, "t": None}]
    code = dt.datetime(1900, 1, 1, tzinfo=dt.UTC).timestamp()
    assert table["d"].missing_codes == {code: "not asked"}
    assert table["d"].data[:].tolist()[1] == code
    assert table["t"].missing_codes == {9.0: "user-missing"}


@pytest.mark.parametrize("codes", [1, 4])  # SPSS has a range for four
@pytest.mark.parametrize("target", ["spss", "stata"])
def test_missing_codes_of_points_in_time_come_back(ds, tmp_path, target, codes):
    meanings = {-2.0e9 + at: f"why {at}" for at in range(codes)}
    table = ds.create_dataframe("t")
    field = table.create_timestamp("d")
    field.data.write([DAY.timestamp(), *meanings])
    field.missing_codes = meanings
    path = tmp_path / f"x.{'sav' if target == 'spss' else 'dta'}"
    getattr(table, f"to_{target}")(path)
    again = getattr(ds, f"from_{target}")("again", path)["d"]
    assert [row["d"] for row in values_of(ds["again"])] == [DAY, *[None] * codes]
    stored = again.data[:].tolist()
    if target == "spss":
        assert stored[1:] == list(meanings)
        assert list(again.missing_codes) == list(meanings)
    else:
        assert [again.missing_codes[one] for one in stored[1:]] == list(meanings.values())


def test_what_a_file_cannot_hold_is_an_error(ds, tmp_path):
    table = ds.from_dict("t", {"id": [2**53 + 1, 1], "n": [1, 2]})
    for write_it, name in ((table.to_spss, "x.sav"), (table.to_stata, "x.dta")):
        with pytest.raises(DataError, match="row 0 of field t/id is 9007199254740993"):
            write_it(tmp_path / name)
        assert not (tmp_path / name).exists()
        write_it(tmp_path / name, "n", table["n"] > 1)
    assert ds.from_stata("u", tmp_path / "x.dta")["n"].data[:].tolist() == [2]
    table["n"].missing_codes = {-1: "a", -2: "b", -3: "c", 10: "d"}
    with pytest.raises(DataError, match="4 missing codes, and SPSS knows 3"):
        table.to_spss(tmp_path / "x.sav", "n")
    inf = ds.from_dict("inf", {"x": [np.inf]})
    with pytest.raises(DataError, match="takes for missing"):
        inf.to_stata(tmp_path / "x.dta")
    odd = ds.from_dict("odd", {"a b": [1]})
    with pytest.raises(DataError, match=r"cannot be written for Stata: .*rename"):
        odd.to_stata(tmp_path / "x.dta")
    assert pyreadstat.read_dta(tmp_path / "x.dta")[0].shape == (1, 1)


@pytest.mark.parametrize("kind", ["indexed", "fixed"])
def test_texts_with_a_missing_code_are_missing_in_stata(ds, tmp_path, kind):
    table = ds.create_dataframe("t")
    field = (
        table.create_indexed_string("s") if kind == "indexed" else table.create_fixed_string("s", 4)
    )
    field.data.write(["York", "NA", ""] if kind == "indexed" else [b"York", b"NA", b""])
    field.missing_codes = {"NA": "not asked"}
    table.to_stata(tmp_path / "x.dta")
    assert pyreadstat.read_dta(tmp_path / "x.dta")[0]["s"].tolist() == ["York", "", ""]
    table.to_spss(tmp_path / "x.sav")  # which knows such codes
    again = ds.from_spss("again", tmp_path / "x.sav")
    assert [row["s"] for row in values_of(again)] == ["York", None, ""]
    assert again["s"].missing_codes == {"NA": "user-missing"}


def test_texts_and_numbers_that_would_be_cut_or_missing_are_an_error(ds, tmp_path):
    largest = float(np.finfo(np.float64).max)
    table = ds.from_dict("t", {"s": ["a", "a\0b"], "t": ["trail  ", "  lead"]})
    for write_it in (table.to_spss, table.to_stata):
        with pytest.raises(DataError, match=r"row 1 of field t/s is 'a\\x00b', and to S"):
            write_it(tmp_path / "x.dta")
    for sign in (1, -1):
        numbers = ds.from_dict("n", {"x": [0.5, np.inf, sign * largest]}, mode="replace")
        with pytest.raises(DataError, match=r"row 2 of field n/x is -?1\.797\d*e\+308, which is"):
            numbers.to_spss(tmp_path / "x.sav")
    assert not [*tmp_path.glob("x.[sd]*")]
    numbers.to_spss(tmp_path / "x.sav", where=numbers["x"] > 0)
    assert values_of(ds.from_spss("m", tmp_path / "x.sav")) == [{"x": 0.5}, {"x": np.inf}]
    table.to_spss(tmp_path / "x.sav", "t")
    table.to_stata(tmp_path / "x.dta", "t")
    assert [row["t"] for row in values_of(ds.from_spss("u", tmp_path / "x.sav"))] == [
        "trail",
        "  lead",
    ]
    assert [row["t"] for row in values_of(ds.from_stata("v", tmp_path / "x.dta"))] == [
        "trail  ",
        "  lead",
    ]


def test_codes_that_would_be_cut_are_an_error(ds, tmp_path):
    table = ds.from_dict("t", {"s": ["refused!!", "no"]})
    table["s"].missing_codes = {"refused!!": "x"}
    with pytest.raises(DataError, match="code 'refused!!', and SPSS knows none of more than 8"):
        table.to_spss(tmp_path / "x.sav")


def test_labels_that_would_be_cut_are_an_error(tmp_path):
    # Not in an HDF5 file, which cannot hold them either.
    with Session() as s:
        named = s.open_dataset(tmp_path / "x.zarr", "w", "d").create_dataframe("named")
        named.create_categorical("c", "int8", {"a\0b": 1, "a\0c": 2}).data.write([1, 2])
        for write_it, name in ((named.to_spss, "x.sav"), (named.to_stata, "x.dta")):
            with pytest.raises(DataError, match=r"a label of field named/c is 'a\\x00b', and to S"):
                write_it(tmp_path / name)
            assert not (tmp_path / name).exists()


def test_numbers_of_float32_come_back_from_stata_without_a_warning(ds, tmp_path):
    table = ds.create_dataframe("t")
    table.create_numeric("small", "float32").data.write([0.1, -2.5])
    table.create_numeric("large", "float32").data.write([3e38, 1.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table.to_stata(tmp_path / "x.dta")
    again = ds.from_stata("again", tmp_path / "x.dta")
    for name in ("small", "large"):
        assert again[name].data[:].tolist() == table[name].data[:].tolist()
    table["small"].data[0] = np.inf
    with pytest.raises(DataError, match="takes for missing"):
        table.to_stata(tmp_path / "x.dta")


def test_numbers_that_are_missing_to_stata_get_a_larger_type(ds, tmp_path):
    table = ds.create_dataframe("t")
    table.create_numeric("a", "int8").data.write([101, 127, -128])
    table.create_numeric("b", "int32").data.write([2**31 - 1, 1, 2])
    table.to_stata(tmp_path / "x.dta")
    again = ds.from_stata("again", tmp_path / "x.dta")
    assert again["a"].data[:].tolist() == [101, 127, -128]
    assert again["b"].data[:].tolist() == [2**31 - 1, 1, 2]


def test_a_table_beyond_the_memory_limit_is_refused(tmp_path, monkeypatch):
    with Session(memory_limit="256MB") as s:
        table = s.open_dataset("memory://big.zarr", "w", "d").create_dataframe("t")
        table.create_numeric("n", "int8").data.write(np.zeros(9_000_000, np.int8))
        with pytest.raises(MemoryLimitError, match="write Parquet"):
            table.to_spss(tmp_path / "x.sav")


def test_files_at_urls():
    with Session() as s:
        ds = s.open_dataset("memory://stats.zarr", "w", "d")
        table = ds.from_dict("t", {"n": [1, None, 3]})
        table.to_spss("memory://stats/x.sav")
        assert ds.from_spss("u", "memory://stats/x.sav")["n"].mean() == 2
