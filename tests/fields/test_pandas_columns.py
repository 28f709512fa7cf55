"""What pandas does with a column, done with a field: the same answers, missing stays missing."""

from __future__ import annotations

import datetime as dt
import re
import uuid

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exetera_zarr import DataError, Session, cut, qcut
from exetera_zarr.errors import ArgumentError, ArgumentTypeError, RowError
from exetera_zarr.fields.statistics.counting import Counts

FEW = settings(max_examples=20)


def scratch(session, block=2):
    url = f"memory://{uuid.uuid4().hex}"
    return session.open_dataset(url, "w", "d").create_dataframe("t", row_block=block)


def plain(values):
    found = values.tolist() if hasattr(values, "tolist") else list(values)
    return [None if one is None or one is pd.NA or one != one else one for one in found]  # noqa: PLR0124


@pytest.fixture
def table():
    with Session() as session:
        yield scratch(session)


# -- points in time

MOMENTS = st.lists(
    st.one_of(
        st.none(),
        st.datetimes(
            dt.datetime.fromisoformat("1900-01-01"), dt.datetime.fromisoformat("2100-01-01")
        ),
        st.datetimes(
            dt.datetime.fromisoformat("2020-01-01"), dt.datetime.fromisoformat("2020-01-09")
        ).map(lambda one: one.replace(minute=30, second=0, microsecond=0)),
    ),
    max_size=9,
)
PARTS = [
    "year",
    "quarter",
    "month",
    "day",
    "hour",
    "minute",
    "second",
    "microsecond",
    "dayofweek",
    "weekday",
    "day_of_week",
    "dayofyear",
    "is_leap_year",
]


NEWER = {"dayofweek": "day_of_week", "weekday": "day_of_week", "dayofyear": "day_of_year"}


def moments(table, given_moments):
    field = table.create_timestamp("t")
    field.data.write(given_moments)
    return field, pd.Series(given_moments, dtype="datetime64[us]").dt.tz_localize("UTC")


@FEW
@given(MOMENTS)
def test_parts_of_points_in_time(given_moments):
    with Session() as session:
        field, series = moments(scratch(session), given_moments)
        for zone in (None, "Europe/London"):
            ours, theirs = field.dt, series.dt
            if zone is not None:
                if any(one is not None and one.year > 2037 for one in given_moments):
                    with pytest.raises(DataError, match="after 2037 in row"):
                        _ = ours.tz_convert(zone).hour
                    continue
                ours, theirs = ours.tz_convert(zone).dt, theirs.tz_convert(zone).dt
            for part in PARTS:
                wanted = getattr(theirs, NEWER.get(part, part))
                if part == "is_leap_year":
                    wanted = wanted.astype(object).where(series.notna(), None)
                assert plain(getattr(ours, part)) == plain(wanted), part
            for name in ("year", "week", "day"):
                wanted = getattr(theirs.isocalendar(), name)
                assert plain(getattr(ours.isocalendar(), name)) == plain(wanted)
            for text in ("%d/%m/%Y %H:%M:%S", "%f|%%f|%j", "%A %B", "week %V"):
                assert plain(ours.strftime(text)) == plain(theirs.strftime(text))
        assert plain(field.dt.day_name()) == plain(series.dt.day_name())
        assert plain(field.dt.month_name()) == plain(series.dt.month_name())
        assert plain(field.dt.date) == plain(series.dt.normalize())


@FEW
@given(MOMENTS, st.sampled_from(["D", "h", "min", "s", "15min", "6h", "ms"]))
def test_rounding(given_moments, freq):
    with Session() as session:
        field, series = moments(scratch(session), given_moments)
        for how in ("floor", "ceil", "round"):
            assert plain(getattr(field.dt, how)(freq)) == plain(getattr(series.dt, how)(freq)), how
        naive = series.dt.tz_localize(None)
        for ours, theirs in (("W", "W"), ("MS", "M"), ("M", "M"), ("Q", "Q"), ("Y", "Y")):
            wanted = naive.dt.to_period(theirs).dt.start_time.dt.tz_localize("UTC")
            assert plain(field.dt.floor(ours)) == plain(wanted)


@FEW
@given(MOMENTS, st.sampled_from([dt.timedelta(days=1, hours=3), dt.timedelta(seconds=-90)]))
def test_durations(given_moments, step):
    with Session() as session:
        field, series = moments(scratch(session), given_moments)
        start = dt.datetime(2020, 1, 5, 12, tzinfo=dt.UTC)
        gap, theirs = field - start, series - pd.Timestamp(start)
        assert (gap.unit, gap.fieldtype) == ("s", "numeric,float64")
        assert plain(gap.dt.days) == plain(theirs.dt.days)
        assert plain(gap.dt.seconds) == plain(theirs.dt.seconds)
        assert plain(gap.dt.total_seconds()) == pytest.approx(plain(theirs.dt.total_seconds()))
        assert plain((start - field).dt.days) == plain((pd.Timestamp(start) - series).dt.days)
        days = [None if one is None else one / 86400 for one in plain(theirs.dt.total_seconds())]
        assert plain(field.dt.days_since(start)) == pytest.approx(days)
        for ours, wanted in ((field + step, series + step), (field - step, series - step)):
            assert ours.type_name == "timestamp"
            assert plain(ours) == plain(wanted)
        field.dataframe["gap"] = gap  # the unit goes along
        assert plain(field.dataframe["gap"].dt.days) == plain(theirs.dt.days)
        assert (field - field.dataframe["gap"]).type_name == "timestamp"


def test_what_has_no_dates(table):
    table["n"], table["s"] = [1, 2], ["a", "b"]
    field = table.create_timestamp("t")
    field.data.write(["2020-01-01", None])
    assert not hasattr(table["n"], "dt")
    for name, hint in (("n", "field.unit = 's'"), ("s", "write its values to a timestamp field")):
        with pytest.raises(AttributeError, match=hint):
            _ = table[name].dt
    for wrong, hint in (
        ("H", "write h"),
        ("15T", "write 15min"),
        ("ME", "write M"),
        ("x", "no grid"),
    ):
        with pytest.raises(ArgumentError, match=hint):
            field.dt.floor(wrong)
    with pytest.raises(ArgumentError, match="Nowhere"):
        field.dt.tz_convert("Nowhere/City")
    with pytest.raises(ArgumentError, match="tz_convert"):
        field.dt.tz_localize("Europe/Paris")
    with pytest.raises(ArgumentError, match="%Q"):
        field.dt.strftime("%Q")
    table["n"].unit = "h"
    assert table["n"].dt.total_seconds().tolist() == [3600.0, 7200.0]


# -- text

TEXTS = st.lists(
    st.one_of(
        st.none(),
        st.sampled_from(["", "York", " new york ", "Zoë", "ß\n", "a.b,c", "\x1cx\x0b", "É", "12"]),
        st.text(alphabet="abYo .,1é\n\u017fK", max_size=6),
    ),
    max_size=8,
)
ASKED = {
    "contains": lambda s: s.contains("yo"),
    "contains dot": lambda s: s.contains("a.b"),
    "contains text": lambda s: s.contains("a.b", regex=False),
    "contains any case": lambda s: s.contains("YO", case=False),
    "contains k in any case": lambda s: s.contains("[k]", case=False),
    "contains a word": lambda s: s.contains(r"^\w+$"),
    "contains digits": lambda s: s.contains(r"\d"),
    "contains ends": lambda s: s.contains("o$|é"),
    "contains na": lambda s: s.contains("o", na=False),
    "contains flags": lambda s: s.contains("YO", flags=re.IGNORECASE),
    "contains counted": lambda s: s.contains("a{,2}b"),
    "match": lambda s: s.match("a|Y"),
    "fullmatch": lambda s: s.fullmatch(r"\w*"),
    "fullmatch any": lambda s: s.fullmatch("a|York|.*b"),
    "startswith": lambda s: s.startswith("a."),
    "startswith one of": lambda s: s.startswith(("a", "Y")),
    "endswith": lambda s: s.endswith("b", na=True),
    "len": lambda s: s.len(),
    "count": lambda s: s.count("[ao]"),
    "lower": lambda s: s.lower(),
    "upper": lambda s: s.upper(),
    "title": lambda s: s.title(),
    "capitalize": lambda s: s.capitalize(),
    "strip": lambda s: s.strip(),
    "lstrip": lambda s: s.lstrip(" a"),
    "rstrip": lambda s: s.rstrip(),
    "removeprefix": lambda s: s.removeprefix("a"),
    "removesuffix": lambda s: s.removesuffix("b"),
    "zfill": lambda s: s.zfill(4),
    "replace": lambda s: s.replace("o", "00"),
    "replace once": lambda s: s.replace("o", "", n=1),
    "replace pattern": lambda s: s.replace(r"([ab])\.", r"<\1>", regex=True),
    "replace nothing": lambda s: s.replace("x*", "-", regex=True),
    "replace by a function": lambda s: s.replace("[ab]", lambda m: m[0].upper(), regex=True),
    "replace any case": lambda s: s.replace("O", "0", case=False, regex=False),
    "slice": lambda s: s[1:3],
    "slice from the end": lambda s: s[-2:],
    "slice by two": lambda s: s.slice(0, 5, 2),
    "slice of nothing": lambda s: s[3:1],
    "get": lambda s: s[0],
    "get from the end": lambda s: s.get(-2),
    "split": lambda s: s.split(",").str[1],
    "split at blanks": lambda s: s.split().str.get(-1),
    "split once": lambda s: s.split("o", n=1).str[-1],
    "extract": lambda s: s.extract(r"([a-z])\W", expand=False),
}


@FEW
@given(TEXTS)
def test_text(values):
    """Of strings of any length, of fixed ones, and of categories by their names."""
    with Session() as session:
        table = scratch(session)
        table.create_indexed_string("any").data.write(values)
        series = pd.Series(values, dtype="object")
        clean = [None if one is None else one.rstrip("\0") for one in values]
        table.create_fixed_string("fixed", 40).data.write(clean)
        names = {name: code for code, name in enumerate(sorted({v for v in values if v}), 1)}
        table.create_categorical("cat", "int8", names or {"x": 1}).data.write(
            [one or None for one in values]
        )
        for name, ask in ASKED.items():
            for kind, model in (
                ("any", series),
                ("fixed", series),
                ("cat", series.where(series != "", None)),
            ):
                if not model.notna().any():
                    continue  # of which pandas does not know that it is text
                wanted = plain(_asked(ask, model))
                assert plain(_asked(ask, table[kind])) == wanted, (name, kind)


def _asked(ask, column):
    if isinstance(column, pd.Series):
        return ask(column.str)
    found = column.str
    if ask is ASKED["extract"]:
        return found.extract(r"([a-z])\W")
    return ask(found)


def test_what_is_no_text(table):
    table["n"] = [1, 2]
    table["s"] = ["a", "b"]
    assert not hasattr(table["n"], "str")
    with pytest.raises(AttributeError, match="holds numbers"):
        _ = table["n"].str
    for call, hint in (
        (lambda s: s.contains("("), "no regular expression"),
        (lambda s: s.contains(1), "pattern is text"),
        (lambda s: s.contains("a", na="no"), "True or False"),
        (lambda s: s.startswith(1), "begins and ends with text"),
        (lambda s: s.split(",", expand=True), r"\.str\[0\]"),
        (lambda s: s.extract("a"), "0 groups"),
    ):
        with pytest.raises((ArgumentError, ArgumentTypeError), match=hint):
            call(table["s"].str)
    odd = table.create_indexed_string("odd")
    odd.data.write(["good", b"\xff\xfe".decode("utf-8", "surrogateescape")])
    with pytest.raises(DataError, match="row 1"):
        odd.str.lower()


# -- counts, conditions, numbers


NUMBERS = st.lists(st.one_of(st.none(), st.integers(-3, 3)), max_size=9)


@FEW
@given(NUMBERS)
def test_counts(values):
    with Session() as session:
        table = scratch(session)
        field = table.create_numeric("n", "int8")
        field.data.write(values)
        series = pd.Series(values, dtype="Int64", name="n")
        for normalize in (False, True):
            for dropna in (False, True):
                found = field.value_counts(normalize, dropna=dropna)
                wanted = series.value_counts(normalize=normalize, dropna=dropna)
                theirs = {None if k is pd.NA else k: v for k, v in wanted.items()}
                assert found.to_dict() == pytest.approx(theirs)
                assert list(found.values()) == sorted(found.values(), reverse=True)
                assert list(found.to_pandas()) == list(found.values())
                assert found.to_pandas().name == wanted.name
        counts = list(field.value_counts(ascending=True).values())
        assert counts == sorted(counts)
        for dropna in (False, True):
            assert field.nunique(dropna) == series.nunique(dropna)


def test_counts_are_shown(table):
    table["town"] = ["York", None, "<b>", "York"]
    found = table["town"].value_counts(dropna=False)
    assert isinstance(found, Counts)
    assert repr(found).splitlines()[:2] == ["town     count", "York         2"]
    assert "&lt;b&gt;" in found._repr_html_()
    assert "missing" in repr(found)
    assert found.index[0] == "York"
    assert found.head(1) == {"York": 2}
    table["n"] = list(range(4))
    many = Counts([(n, n) for n in range(30)])
    assert "10 more" in repr(many)


@FEW
@given(NUMBERS, st.integers(-3, 3), st.integers(0, 3))
def test_numbers(values, low, more):
    with Session() as session:
        table = scratch(session)
        field = table.create_numeric("n", "int64")
        field.data.write(values)
        series, high = pd.Series(values, dtype="Int64"), low + more
        for inclusive in ("both", "neither", "left", "right"):
            assert plain(field.between(low, high, inclusive)) == plain(
                series.between(low, high, inclusive)
            )
        assert plain(field.clip(low, high)) == plain(series.clip(low, high))
        assert plain(field.clip(upper=high)) == plain(series.clip(upper=high))
        assert plain(field.abs()) == plain(series.abs())
        assert plain((field * 0.35).round(1)) == plain((series * 0.35).round(1))
        known = series.notna()
        condition = (series > low).fillna(False)
        there = field > low
        assert plain(field.where(there)) == plain(series.where(condition))
        assert plain(field.where(there, 9)) == plain(series.where(condition, 9).where(known))
        assert plain(field.mask(there)) == plain(series.mask(condition))
        assert plain(field.mask(there, 9)) == plain(series.mask(condition, 9))
        names = {1: "one", 2: "two", 3: None}
        assert plain(field.map(names)) == plain(series.map(names).astype(object))
        assert plain(field.map({1: 0.5})) == plain(series.map({1: 0.5}).astype(object))
        assert field.nlargest(3) == series.dropna().nlargest(3).tolist()
        assert field.nsmallest(3) == series.dropna().nsmallest(3).tolist()
        assert field.any() == series.any()
        assert field.all() == series.all()
        assert (field > 1).any() == (series > 1).any()


def test_other_types(table):
    table["sex"] = pd.Categorical(["f", None, "m", "f"])
    table["s"] = ["a", "b", None, "a"]
    table["at"] = pd.to_datetime(["2020-01-01", "2020-01-03", None, "2020-01-05"])
    condition = table["sex"] == "f"
    assert table["sex"].where(condition, "m").tolist() == ["f", None, "m", "f"]
    assert table["s"].where(condition, "z").tolist() == ["a", None, "z", "a"]
    assert table["s"].mask([True, False, True, False]).tolist() == [None, "b", None, "a"]
    assert table["sex"].map({"f": 1, "m": 0}).tolist() == [1, None, 0, 1]
    assert table["at"].between("2020-01-02", "2020-01-05").tolist() == [False, True, None, True]
    assert [one and one.day for one in table["at"].clip("2020-01-02").tolist()] == [2, 3, None, 5]
    assert table["s"].between("a", "a").tolist() == [True, False, None, True]
    for call, hint in (
        (lambda: table["sex"].map(len), "by a dict, not by a function"),
        (lambda: table["sex"].map({"f": 1, "m": "x"}), "numbers alone, or to text alone"),
        (lambda: table["sex"].clip(1), "it is of numbers"),
        (lambda: table["at"].clip("2021-01-01", "2020-01-01"), "above"),
        (lambda: table["s"].any(), "it is of numbers"),
        (lambda: table["s"].between("a", "b", "neither!"), "inclusive is"),
        (lambda: table["s"].apply, "df\\['new'\\]"),
        (lambda: table["s"].iloc, r"field\[3\]"),
    ):
        with pytest.raises(
            (ArgumentError, ArgumentTypeError, DataError, AttributeError), match=hint
        ):
            call()


def test_what_is_written_otherwise(table):
    """The message says how; nothing is changed."""
    table["n"] = [1, -9, None]
    for call, hint in (
        (lambda: table["n"].replace({-9: None}), "missing_codes"),
        (lambda: table["n"].replace(-9), "field.map"),
        (lambda: table["n"].dropna(), r"field\[field\.notna\(\)\]"),
        (lambda: table["n"].to_numpy(), "list"),
        (lambda: table["n"].dtype, "fieldtype"),
        (lambda: table["n"].groupby(table["n"]), "by=key"),
    ):
        with pytest.raises((ArgumentTypeError, AttributeError), match=hint):
            call()
    assert table["n"].tolist() == [1, -9, None]
    assert (table["n"] * 1.5).astype("int16").tolist() == [1, -13, None]
    with pytest.raises(DataError):
        (table["n"] * 100).astype("int8")


# -- intervals


@FEW
@given(
    st.lists(st.one_of(st.none(), st.integers(-5, 9)), min_size=1, max_size=9),
    st.sampled_from([1, 3, [0, 3, 6], [-5, 0.25, 9], [-100, 7]]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_cut(values, bins, right, lowest, halves):
    with Session() as session:
        table = scratch(session)
        field = table.create_numeric("n", "float64" if halves else "int32")
        given_values = [one if one is None or not halves else one / 2 for one in values]
        field.data.write([np.nan if one is None and halves else one for one in given_values])
        series = pd.Series(given_values, dtype="float64" if halves else "Int64")
        options = {"right": right, "include_lowest": lowest}
        if isinstance(bins, int) and not series.notna().any():
            with pytest.raises(DataError, match="no values"):
                cut(field, bins, **options)
            return
        wanted = pd.cut(series, bins, **options)
        found = cut(field, bins, **options)
        assert found.type_name == "categorical"
        assert list(found.keys.values()) == [str(one) for one in wanted.cat.categories]
        codes = [None if one < 0 else one for one in wanted.cat.codes]
        assert plain(cut(field, bins, labels=False, **options)) == codes
        assert found.isna().tolist() == wanted.isna().tolist()


@FEW
@given(st.lists(st.integers(-50, 50), min_size=4, max_size=20, unique=True), st.integers(1, 4))
def test_qcut(values, q):
    with Session() as session:
        table = scratch(session)
        table["x"] = [one / 4 for one in values]
        wanted = pd.qcut(pd.Series(values) / 4, q)
        assert qcut(table["x"], q).tolist() == [str(one) for one in wanted]
        table["band"] = qcut(table["x"], q, labels=[f"Q{n}" for n in range(q)])
        assert table["band"].type_name == "categorical"


def test_cuts_that_cannot_be_made(table):
    table["n"], table["s"], table["b"] = [1, 2, 2, 2], ["a"] * 4, [True] * 4
    table["t"] = pd.to_datetime(["2020-01-01", "2020-02-01", "2020-02-02", None])
    names = cut(table["t"], ["2020-01-01", "2020-02-01", "2020-03-01"])
    assert names.tolist() == [None, "(2020-01-01, 2020-02-01]", "(2020-02-01, 2020-03-01]", None]
    assert cut(table["n"], [0, 1, 2], labels=["low", "high"]).tolist() == ["low"] + ["high"] * 3
    big = 2**53
    table["big"] = np.array([big, big + 1, big + 2, 5])
    assert cut(table["big"], [0, big, big + 1], labels=["a", "b"]).tolist() == ["a", "b", None, "a"]
    for call, hint in (
        (lambda: cut(table["n"], [3, 1]), "ascend"),
        (lambda: cut(table["n"], [0, 1, 2], labels=["x"]), "2 intervals"),
        (lambda: cut(table["s"], 2), "numbers or points"),
        (lambda: cut([1, 2], 2), "takes a field"),
        (lambda: cut(table["b"], 2), "numbers or points"),
        (lambda: qcut(table["n"], 4), "fewer parts"),
    ):
        with pytest.raises((ArgumentError, ArgumentTypeError, DataError), match=hint):
            call()


# -- rows


def test_rows_as_a_person_reads_them(place):
    with Session() as session:
        ds = session.open_dataset(
            place.url("x.zarr"), "w", "d", storage_options=place.storage_options
        )
        table = ds.create_dataframe("t", row_block=2)
        table["sex"] = pd.Categorical(["f", None, "m", "f", "m"])
        table["sex"].label = "Sex"
        table["n"] = [1, 2, None, 4, 5]
        table["at"] = pd.to_datetime(["2020-01-01", None, "2020-01-03", "2020-01-04", "2020-01-05"])
        table.create_fixed_string("code", 3).data.write(["a", "b", None, "d", "e"])
        moment = dt.datetime(2020, 1, 5, tzinfo=dt.UTC)
        assert [table[name][-1] for name in ("sex", "n", "at", "code")] == ["m", 5, moment, "e"]
        assert (table["n"][np.int64(2)], table["sex"][1]) == (None, None)
        assert list(table["sex"]) == ["f", None, "m", "f", "m"]
        part = table["sex"][1:4]
        assert (part.tolist(), part.label, part.type_name) == (
            [None, "m", "f"],
            "Sex",
            "categorical",
        )
        assert table["sex"][::-2].tolist() == ["m", "m", "f"]
        assert table["sex"][...].tolist() == table["sex"].tolist()
        assert table["n"][table["sex"] == "m"].tolist() == [None, 5]
        assert table["n"][table["sex"] == "m"].mean() == 5
        assert table["n"][(table["sex"] == "m").data[:]].tolist() == [None, 5]
        assert table["n"][[4, 0, -1]].tolist() == [5, 1, 5]
        assert table["n"][pd.Series([True, None, False, False, True])].tolist() == [1, 5]
        assert table["n"][[]].tolist() == []
        assert table["n"].head(2).tolist() == [1, 2]
        assert table["n"].head(-4).tolist() == [1]
        assert table["n"].tail(2).tolist() == [4, 5]
        assert table["n"].tail(-3).tolist() == [4, 5]
        assert (3 in table["n"], 4 in table["n"]) == (False, True)
        assert np.asarray(table["sex"]).tolist() == ["f", None, "m", "f", "m"]
        points = np.asarray(table["at"])
        assert (points.dtype, points[-1]) == ("M8[us]", np.datetime64("2020-01-05"))
        assert np.isnat(points).tolist() == [False, True, False, False, False]
        assert np.asarray(table["sex"][2:], np.int8).tolist() == table["sex"].data[2:].tolist()
        for wrong in (5, -6, [9], [True], table["n"][:2] > 1):
            with pytest.raises(IndexError):
                table["n"][wrong]
        for wrong in ("n", None, True, (1, 2), 1.5, table["sex"]):
            with pytest.raises((TypeError, DataError, RowError)):
                table["n"][wrong]


def test_exetera_has_rows_in_data_alone():
    with Session(exetera=True) as session:
        table = scratch(session)
        table.create_numeric("n", "int8").data.write([1])
        for ask in (lambda f: f[0], lambda f: f[:1], list):
            with pytest.raises(TypeError, match=r"field t/n .*field\.data\[\.\.\.\]"):
                ask(table["n"])


@pytest.mark.parametrize("kind", ["indexedstring", "fixedstring"])
def test_text_becomes_categories(kind):
    with Session(row_block=2) as session:
        table = scratch(session)
        if kind == "indexedstring":
            field = table.create_indexed_string("sex")
        else:
            field = table.create_fixed_string("sex", 6)
        field.data.write(["male", "female", None, "male", "ö"])
        made = table["sex"].astype("category")
        assert made.tolist() == ["male", "female", None, "male", "ö"]
        assert [*made.keys.values()] == ["female", "male", "ö"]
        table["sex"] = made
        assert table["sex"].type_name == "categorical"
        assert table["sex"].isna().tolist() == [False, False, True, False, False]


def test_what_text_does_not_become():
    with Session() as session:
        table = scratch(session)
        table["a"] = ["1", "2"]
        with pytest.raises(TypeError, match="'category', not 'int32'"):
            table["a"].astype("int32")
        other = table.dataset.create_dataframe("many")
        other["b"] = [f"text {number}" for number in range(32_768)]
        with pytest.raises(DataError, match="32,768 different texts"):
            other["b"].astype("category")


def test_setting_a_row_says_how_it_is_done():
    with Session() as session:
        table = scratch(session)
        table["a"] = [1, 2]
        with pytest.raises(TypeError, match=r"field\.data\[rows\] = values"):
            table["a"][0] = 3
        assert table["a"].tolist() == [1, 2]


def test_points_in_time_are_mapped_by_whatever_tells_them():
    with Session() as s:
        table = s.open_dataset("memory://mapped.zarr", "w", "d").create_dataframe("t")
        table["day"] = [dt.date(2020, 1, 1), dt.date(2020, 1, 2), dt.date(2020, 1, 3), None]
        keys = {dt.date(2020, 1, 1): 1, "2020-01-02": 2, dt.datetime(2020, 1, 3, tzinfo=dt.UTC): 3}
        assert table["day"].map(keys).tolist() == [1, 2, 3, None]
        with pytest.raises(DataError):
            table["day"].map({"yesterday": 1})


def test_arrays_of_other_types_are_of_what_is_read():
    with Session() as s:
        table = s.open_dataset("memory://arrays.zarr", "w", "d").create_dataframe("t")
        table["day"] = [dt.date(2020, 1, 1), dt.date(2020, 1, 2)]
        table["sex"] = ["f", "m"]
        sex = table["sex"].astype("category")
        assert np.asarray(table["day"], dtype="M8[D]").astype(str).tolist() == [
            "2020-01-01",
            "2020-01-02",
        ]
        assert pd.to_datetime(table["day"])[1] == pd.Timestamp("2020-01-02")
        assert np.asarray(sex, dtype=object).tolist() == ["f", "m"]
        assert np.asarray(sex, dtype="U3").tolist() == ["f", "m"]
        assert np.asarray(table["day"], dtype="float64")[0] == 1577836800


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda t: t["n"].where(t["n"] > 1, t["m"]), r"numpy\.where"),
        (lambda t: t["n"].mask(t["n"] > 1, [1]), r"numpy\.where"),
        (lambda t: t["n"].clip(t["m"], 5), r"numpy\.maximum"),
        (lambda t: t["s"].str.replace("(a)", r"\2", regex=True), "replaces nothing"),
        (lambda t: t.__setitem__("x", {1, 2}), "no order"),
    ],
)
def test_what_a_column_does_not_take(change, why):
    with Session() as s:
        table = s.open_dataset(f"memory://{uuid.uuid4()}.zarr", "w", "d").create_dataframe("t")
        table["n"], table["m"], table["s"] = [1, 2], [3, 4], ["abc", "a1b"]
        with pytest.raises((DataError, ArgumentError, TypeError), match=why):
            change(table)
        assert table["s"].str.contains("(?=b)").tolist() == [True, True]
        assert table["s"].str.split(r"\d").str[-1].tolist() == ["abc", "b"]


def test_a_name_alone_makes_no_companion_of_a_new_table():
    with Session() as s:
        ds = s.open_dataset(f"memory://{uuid.uuid4()}.zarr", "w", "d")
        given = {"score": [10, 50], "score_valid": [True, False]}
        for table in (ds.from_dict("a", given), ds.from_pandas("b", pd.DataFrame(given))):
            assert table.own_columns() == ["score", "score_valid"]
            assert table["score"].tolist() == [10, 50]
