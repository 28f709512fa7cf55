"""The model that the engine is held against is itself held against pandas.

`pandas_results.json` is what pandas 1.5.3 gave, by which ExeTera 0.6 merges;
`make_pandas_results.py` made it.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd
import pytest

from support import model

STORED = json.loads(Path(__file__).with_name("pandas_results.json").read_text(encoding="utf-8"))
HOWS = ["left", "right", "inner", "outer", "cross"]


def rows_of(columns, kinds):
    """Rows of keys; null stands for NaN."""
    return list(zip(*(decoded(c, k) for c, k in zip(columns, kinds, strict=True)), strict=True))


def decoded(values, kind):
    return [math.nan if v is None else v for v in values] if kind == "float" else values


def in_order_of_pandas(pairs, left, right, how):
    """
    The model's pairs as pandas 1.5.3 orders them.

    It differs in an outer merge alone, where the engine has one simple rule: right rows without a
    partner stand together by key, and where one side is empty the other keeps its order.
    """
    if how != "outer":
        return pairs
    if not left or not right:
        return sorted(pairs, key=lambda pair: pair[0 if left else 1])
    first = {}
    for j, key in enumerate(right):
        first.setdefault(model.same_key(key), j)

    def place(pair):
        return first[model.same_key(right[pair[1]])] if pair[0] is None else -1

    return sorted(pairs, key=place)


@pytest.mark.parametrize("how", HOWS)
def test_merge_gives_the_rows_and_the_order_of_pandas(how):
    """Row for row, but for what an outer merge of pandas does with rows without a partner."""
    for case in STORED["merge"]:
        left, right = (rows_of(case[side], case["kinds"]) for side in ("left", "right"))
        found = in_order_of_pandas(model.merge(left, right, how), left, right, how)
        assert found == [tuple(pair) for pair in case["pairs"][how]], case


@pytest.mark.parametrize("how", HOWS)
def test_merge_gives_the_rows_of_todays_pandas(how):
    """Which row meets which has not changed since, whatever the order."""
    for case in STORED["merge"]:
        kinds = case["kinds"]
        names = [f"k{i}" for i in range(len(kinds))]
        left, right = (rows_of(case[side], kinds) for side in ("left", "right"))
        frames = [
            pd.DataFrame(
                {
                    name: pd.Series([row[i] for row in rows], dtype=pandas_type(kind))
                    for i, (name, kind) in enumerate(zip(names, kinds, strict=True))
                }
            ).assign(**{f"row_{side}": range(len(rows))})
            for side, rows in (("left", left), ("right", right))
        ]
        merged = pd.merge(*frames, how=how, on=None if how == "cross" else names)
        found = [
            tuple(None if math.isnan(row) else int(row) for row in pair)
            for pair in zip(*(merged[f"row_{s}"].tolist() for s in ("left", "right")), strict=True)
        ]
        assert sorted(found, key=repr) == sorted(model.merge(left, right, how), key=repr), case


def pandas_type(kind):
    return {"int": "int64", "float": "float64", "str": object}[kind]


def test_sort_gives_the_order_of_pandas():
    """Stable in both directions, NaN last in both."""
    for case in STORED["sort"]:
        rows = rows_of(case["rows"], case["kinds"])
        assert model.sort(rows, case["ascending"]) == case["order"], case


def test_group_gives_the_groups_of_pandas():
    """NaN is a key like any other, and the last."""
    for case in STORED["group"]:
        rows = rows_of(case["rows"], case["kinds"])
        assert model.group(rows) == case["groups"], case


def test_aggregates_are_those_of_pandas():
    """Where NaNs are skipped; an aggregate of nothing but NaNs is NaN, 0 for counts and sums."""
    for case in STORED["group"]:
        values = decoded(case["values"], case["value_kind"])
        for how, expected in case["aggregates"].items():
            found = [
                model.aggregate(how, [values[i] for i in rows], skip_nan=True)
                for rows in case["groups"]
            ]
            assert len(found) == len(expected)
            for ours, theirs in zip(found, expected, strict=True):
                if isinstance(theirs, str):
                    assert ours == theirs
                else:
                    theirs = math.nan if theirs is None else theirs
                    assert ours == pytest.approx(theirs, rel=1e-9, nan_ok=True), (how, case)


@pytest.mark.parametrize(
    ("how", "expected"),
    [("count", 3), ("nunique", 2), ("first", 1.0), ("sum", math.nan), ("min", math.nan)],
)
def test_a_nan_that_is_not_skipped_is_a_value(how, expected):
    """Then it counts, and what is computed from it is NaN."""
    found = model.aggregate(how, [1.0, math.nan, math.nan], skip_nan=False)
    assert found == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("how", "pairs"),
    [
        ("left", [(0, 1), (0, 3), (1, None), (2, 1), (2, 3), (3, 2)]),
        ("right", [(None, 0), (0, 1), (2, 1), (3, 2), (0, 3), (2, 3), (None, 4), (None, 5)]),
        ("inner", [(0, 1), (0, 3), (2, 1), (2, 3), (3, 2)]),
        (
            "outer",
            [(0, 1), (0, 3), (2, 1), (2, 3), (1, None), (3, 2), (None, 0), (None, 4), (None, 5)],
        ),
    ],
)
def test_the_order_of_a_merge_by_hand(how, pairs):
    """Left rows lead, keys in the order of their first left row; right rows alone come last."""
    left = [(0.0,), (1.0,), (-0.0,), (math.nan,)]
    right = [(7,), (0,), (math.nan,), (0.0,), (8,), (7,)]
    assert model.merge(left, right, how) == pairs


def test_groups_and_spans_by_hand():
    """Groups ascend with NaN last; spans part neighbours, NaNs only where they are told apart."""
    rows = [(math.nan,), (2,), (0.0,), (-0.0,), (math.nan,), (math.nan,)]
    assert model.group(rows) == [[2, 3], [1], [0, 4, 5]]
    assert model.spans(rows, nan_equal=True) == [0, 1, 2, 4, 6]
    assert model.spans(rows, nan_equal=False) == [0, 1, 2, 4, 5, 6]
