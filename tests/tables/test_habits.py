"""Habits of pandas and Polars: the same answer, or an error that says what to write."""

from __future__ import annotations

import datetime as dt
import math
import uuid
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import exetera_zarr
from exetera_zarr import Session
from exetera_zarr.fields.base import Field

DAYS = [dt.datetime(2020, 1, day, 12, tzinfo=dt.UTC) for day in (1, 3, 2, 9, 5, 4)]
DATA = {
    "id": [1, 1, 2, 2, 3, 3],
    "age": [34, None, 51, 47, None, 80],
    "weight": [70.5, 71.0, None, 64.25, 80.0, 81.5],
    "town": ["York", "Leeds", "York", None, "Hull", "Leeds"],
    "day": DAYS,
    "smoker": [True, False, True, False, False, True],
}
OTHER = {"town": ["York", "Hull", "Bath"], "people": [200_000, 260_000, 90_000]}


@pytest.fixture(scope="module")
def both():
    with Session(row_block=4) as s:
        ds = s.open_dataset(f"memory://{uuid.uuid4()}.zarr", "w", "d")
        df = ds.from_dict("df", DATA)
        pdf = pd.DataFrame(DATA).astype({"age": "Int64", "town": "str"})
        pdf["day"] = pd.to_datetime(pdf["day"], utc=True)
        other = ds.from_dict("other", OTHER)
        yield (
            {"df": df, "other": other, "pd": Ours, "np": np, "dt": dt},
            {"df": pdf, "other": pd.DataFrame(OTHER), "pd": pd, "np": np, "dt": dt},
        )


class Ours:
    """The functions of pandas that there are here."""

    cut, qcut = staticmethod(exetera_zarr.cut), staticmethod(exetera_zarr.qcut)
    Timedelta, Timestamp = pd.Timedelta, pd.Timestamp


def plain(value: Any) -> Any:  # noqa: C901 - a line for each kind of answer
    """An answer of either side as Python's own values: columns by name, lists, single values."""
    if isinstance(value, exetera_zarr.DataFrame):
        return {n: plain(value[n]) for n in value.own_columns()}
    if isinstance(value, Field):
        return [plain(one) for one in value.tolist()]
    if isinstance(value, pd.DataFrame):
        index = value.reset_index() if value.index.names != [None] else value
        return {str(name): plain(index[name]) for name in index}
    if isinstance(value, pd.Series):
        if value.index.names != [None]:
            return plain(value.reset_index())
        return [plain(one) for one in value.tolist()]
    if isinstance(value, (list, tuple, np.ndarray, pd.Index)):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {plain(k): plain(v) for k, v in value.items()}
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (pd.Timestamp, dt.datetime)):
        return value.timestamp()
    if isinstance(value, dt.date):
        return dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC).timestamp()
    if isinstance(value, (int, float, np.number)):
        return None if math.isnan(value) else round(float(value), 9)
    return str(value)


# Each is asked of both sides. Where a name is given, the answer of pandas is a column of that name.
SAME = [
    # -- looking
    "df.head(3)",
    "df.tail(2)",
    "df.head(-1)",
    "df.shape",
    "'age' in df",
    "df['age'].head(2)",
    "len(df['age'])",
    "df['age'].count()",
    "df['weight'].mean()",
    "df['weight'].std()",
    "df['age'].median()",
    "df['age'].min(), df['age'].max()",
    "df['age'].sum()",
    "df['weight'].var()",
    "df['weight'].quantile(0.25)",
    "df['age'].nunique()",
    (
        "sorted(df['town'].dropna().unique()) if hasattr(df['town'], 'dropna') else "
        "sorted(df['town'].unique())"
    ),
    "dict(df['town'].value_counts())",
    "df['day'].min(), df['day'].max()",
    "df.iloc[3]['town']",
    "df.iloc[-1]['age']",
    # -- choosing
    "df['age']",
    "df[['id', 'age']]",
    "df[df['age'] > 40]",
    "df[(df['age'] > 40) & (df['town'] == 'York')]",
    "df[(df['age'] > 40) | df['smoker']][['id']]",
    "df[~df['smoker']]",
    "df[df['town'].isin(['York', 'Hull'])]",
    "df[df['age'].isna()]",
    "df[df['age'].notna()]",
    "df[df['age'].between(34, 51)]",
    (
        "df[df['town'] != 'York'][['id']] if hasattr(df, 'dataset') else "
        "df[(df['town'] != 'York') & df['town'].notna()][['id']]"
    ),
    "df[df['day'] > '2020-01-03']",
    "df[df['town'].str.startswith('L', na=False)]",
    "df.query('age > 40')",
    "df.query(\"age > 40 and town == 'York'\")",
    "df.query('smoker or weight >= 80')[['id']]",
    "df.query('40 < age < 60')",
    "df[1:3]",
    "df[::2]",
    "df.iloc[1:3]",
    "df.iloc[[0, 5, 0]]",
    "df.iloc[:, 0]",
    "df.iloc[0:2, 1:3]",
    "df.loc[df['smoker'], 'age']",
    "df.loc[df['smoker'], ['id', 'age']]",
    "df.loc[1:3]",
    "df.loc[:, ['id', 'town']]",
    "df.drop(columns=['age', 'town'])",
    "df.rename(columns={'age': 'years'})",
    "df['age'][2]",
    # -- new columns
    "df['weight'] * 2",
    "df['weight'] / df['age']",
    "df['age'] + 1",
    "(df['weight'] - df['weight'].mean()).round(3)",
    "df['age'].fillna(0)",
    "df['town'].fillna('nowhere')",
    "df['weight'].ffill()",
    "df['weight'].clip(70, 80)",
    "df['weight'].round(1)",
    "df['age'].isna()",
    "df['age'].where(df['age'] > 40)",
    "df['town'].map({'York': 1, 'Hull': 2})",
    "df.assign(double=df['weight'] * 2)",
    "df.assign(old=lambda d: d['age'] > 50)[['id']]",
    "df['smoker'].sum()",
    "df['smoker'].any(), df['smoker'].all()",
    "pd.cut(df['id'], [0, 1, 3])",
    "pd.cut(df['age'], [0, 40, 100], labels=['young', 'old'])",
    "pd.qcut(df['weight'], 2, labels=['light', 'heavy'])",
    # -- dates and text
    "df['day'].dt.year",
    "df['day'].dt.month",
    "df['day'].dt.day",
    "df['day'].dt.day_of_week",
    "df['day'].dt.hour",
    "df['day'].dt.floor('D')",
    "df['day'].dt.strftime('%d.%m.%Y')",
    "df['day'].dt.date",
    "(df['day'] - df['day'].min()).dt.days",
    "df['day'] + pd.Timedelta('1D')",
    "df['town'].str.lower()",
    "df['town'].str.len()",
    "df['town'].str.contains('or', na=False)",
    "df['town'].str[:2]",
    "df['town'].str.replace('Y', 'N')",
    "df['town'].str.endswith('s', na=False)",
    "df.dropna()",
    "df.dropna(subset=['age'])",
    # -- sorting, groups, merging
    "df.sort_values('weight') if not hasattr(df, 'dataset') else df.sort('weight')",
    "df[['id', 'age']].sort_values('age', ascending=False)",
    "df[['id', 'age']].sort_values(by=['id', 'age'])",
    "df.drop_duplicates('id')",
    "df[['smoker']].drop_duplicates()",
    "df.groupby('id')['weight'].mean()",
    "df.groupby('id')['weight'].agg(['min', 'max'])",
    "df.groupby('id').agg(oldest=('age', 'max'), n=('town', 'count'))",
    "df.groupby(['id', 'smoker'])['weight'].max()",
    (
        "df.groupby('town')['age'].max()"
        " if not hasattr(df, 'dataset') else "
        "df.groupby('town', dropna=True)['age'].max()"
    ),
    "df.groupby('id')[['weight', 'age']].mean()",
    "df.groupby('id')['town'].first()",
    "df.groupby('id')['town'].nunique()",
    "df.groupby('id')['weight'].shift()",
    "df.groupby('id')['weight'].diff()",
    "df.groupby('id')['weight'].cumsum()",
    "df.groupby('id').cumcount()",
    "df.groupby('id')['weight'].rank()",
    "df['weight'].shift(1)",
    "df['weight'].cumsum()",
    "df['weight'].rank()",
    "df['weight'].rolling(2).mean()",
    "df.merge(other, on='town', how='left')",
    "df.merge(other, on='town')",
    (
        "df.merge(other, how='inner', left_on='town', right_on='town')"
        " if not hasattr(df, 'dataset') else df.merge(other, how='inner')"
    ),
]

# Of both, and what is not the same is not silently so.
TOLD = [
    ("if_(df['age'] > 40)", "& for and"),
    ("df[df['age'] > 40 and df['smoker']]", "& for and"),
    ("df[0]", r"df\.iloc\[0\]"),
    ("df['nope']", "there are: 'id'"),
    ("df.nope", "nope"),
    ("df.age", r"df\['age'\]"),
    ("df[['nope']]", "nope"),
    ("df[df['age']]", r"df\.iloc"),
    ("df.loc['York']", "no index"),
    ("df.sort_values('nope')", "nope"),
    ("df.groupby('nope')", "nope"),
    ("df.groupby('id').mean()", "numeric_only=True"),
    ("df.merge(pdf, on='town')", "from_pandas"),
    ("df.iloc[99]", "row 99"),
    ("df.apply(len)", "expression of fields"),
    ("df.pivot_table(index='id')", r"groupby\(keys\)"),
    ("df.append_row({})", "append_row"),
    ("df['age'].apply(abs)", r"\[f\(value\) for value in df"),
    ("df['age'] > 'York'", "York"),
    ("df['town'] + 1", "number|text|string|together"),
    ("df['town'].mean()", "strings"),
    ("df['weight'].str.lower()", "str"),
    ("df['town'].dt.year", "dt"),
    ("df['age'].iloc[0]", "iloc"),
    ("df['age'].values", r"data\[:\]|asarray"),
    ("df['age'].dropna()", "notna"),
    ("df['age'].rolling('7D')", "on"),
    ("df.isna()", r"df\['name'\]\.isna"),
    ("df.fillna(0)", "fillna"),
    ("df.T", "to_pandas"),
    ("df.set_index('id')", "index"),
    ("np.asarray(df)", "to_pandas"),
    ("df.to_dict('records')", "to_arrow"),
    ("df.iterrows()", "to_pylist"),
    ("df.sort_index()", r"df\.sort\(key\)"),
    ("df + 1", "DataFrame"),
    ("df.loc[0, 'age'] = 5", "data"),
]


def asked(expression, names):
    return eval(expression, {"__builtins__": __builtins__, **names})


@pytest.mark.parametrize("expression", SAME)
def test_the_same_answer_as_pandas(both, expression):
    ours, theirs = both
    got, wanted = plain(asked(expression, ours)), plain(asked(expression, theirs))
    if isinstance(got, list) and isinstance(wanted, dict):  # a Series whose index were the keys
        wanted = list(wanted.values())[-1]
    assert got == wanted


@pytest.mark.parametrize(("expression", "why"), TOLD)
def test_what_is_not_there_says_what_to_write(both, expression, why):
    ours, theirs = both
    names = {**ours, "pdf": theirs["df"], "if_": lambda condition: 1 if condition else 0}
    with pytest.raises(Exception, match=why) as raised:
        exec(expression, names)
    assert not isinstance(raised.value, (SystemError, AssertionError, RecursionError))


POLARS = [
    ("df.filter(df['age'] > 40)", "df.filter(pl.col('age') > 40)"),
    ("df.select('id', 'age')", "df.select('id', 'age')"),
    ("df.select(['id', 'age'])", "df.select(['id', 'age'])"),
    ("df.sort('weight')", "df.sort('weight', nulls_last=True)"),
    ("df.sort('id', descending=True)", "df.sort('id', descending=True, maintain_order=True)"),
    ("df.head(2)", "df.head(2)"),
    ("df.height if hasattr(df, 'height') else df.shape[0]", "df.height"),
    (
        "df.groupby('id').size().rename(columns={'size': 'len'})",
        "df.group_by('id').len().sort('id')",
    ),
    ("df.drop(columns='age')", "df.drop('age')"),
    ("df.rename(columns={'age': 'years'})", "df.rename({'age': 'years'})"),
    ("df['town'].str.len()", "df['town'].str.len_chars().to_list()"),
    ("df['age'].isna().sum()", "df['age'].null_count()"),
]


@pytest.mark.parametrize(("expression", "polars"), POLARS)
def test_the_same_answer_as_polars(both, expression, polars):
    theirs = pl.DataFrame(DATA)
    wanted = eval(polars, {"df": theirs, "pl": pl})
    if isinstance(wanted, pl.DataFrame):
        wanted = wanted.to_dict(as_series=False)
    assert plain(asked(expression, both[0])) == plain(wanted)


def test_a_cell_that_runs_twice(both):
    """Assignments, results and tables that are made again replace what was there."""
    df = both[0]["df"]
    ds = df.dataset
    for _ in range(2):
        ds["work"] = df
        work = ds["work"]
        work["bmi"] = work["weight"] / 1.7**2
        work["bmi"] = work["bmi"].round(1)
        work["site"] = "north"
        work["rank"] = work.groupby("id")["weight"].rank()
        ds["adults"] = work[work["age"] > 40]
        ds["towns"] = work.groupby("town").size()
        assert work["bmi"].tolist()[0] == 24.4
        assert ds["adults"].shape == (3, 9)
        assert len(ds["towns"]["size"]) == 4
