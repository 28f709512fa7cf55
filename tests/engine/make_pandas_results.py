"""Writes pandas_results.json: what pandas 1.5.3 gives for small random tables.

ExeTera 0.6 merges by that pandas, and its order of rows is the one that older scripts know. Run it
from the root of the repository in ExeTera's environment, which `python -m benchmarks environment`
makes and prints:

    $(python -m benchmarks environment) tests/engine/make_pandas_results.py

NaN is stored as null; JSON has none.
"""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import numpy as np
import pandas as pd

NEEDED = "1.5.3"
FILE = Path(__file__).with_name("pandas_results.json")
NAN = math.nan
POOLS = {
    "int": [-3, 0, 1, 2, 2**53 + 1, 2**53],
    "float": [NAN, 0.0, -0.0, 1.0, 2.0, -1.5, 1e300],
    "str": ["", "a", "aa", "b", "é"],
}
DTYPES = {"int": "int64", "float": "float64", "str": "object"}
HOWS = ("left", "right", "inner", "outer")
AGGREGATES = ("count", "min", "max", "first", "last", "sum", "mean", "std", "median", "nunique")
OF_STRINGS = ("count", "min", "max", "first", "last", "nunique")


def random_rows(rng: random.Random, kinds: list[str], most: int) -> list[list]:
    """Columns of one length, of few values each, so that keys repeat."""
    count = rng.choice([0, 1, rng.randint(2, most), rng.randint(2, most)])
    pools = [rng.sample(POOLS[kind], rng.randint(1, 4)) for kind in kinds]
    return [[rng.choice(pool) for _ in range(count)] for pool in pools]


def frame(kinds: list[str], columns: list[list]) -> pd.DataFrame:
    series = [pd.Series(c, dtype=DTYPES[k]) for k, c in zip(kinds, columns, strict=True)]
    return pd.DataFrame({f"k{i}": values for i, values in enumerate(series)})


def merge_case(rng: random.Random) -> dict:
    kinds = rng.choices(list(POOLS), k=rng.choice([1, 1, 2, 3]))
    left, right = random_rows(rng, kinds, 8), random_rows(rng, kinds, 8)
    keys = [f"k{i}" for i in range(len(kinds))]
    sides = []
    for name, columns in (("left", left), ("right", right)):
        side = frame(kinds, columns)
        side[name] = np.arange(len(side), dtype="float64")
        sides.append(side)
    pairs = {how: sides[0].merge(sides[1], on=keys, how=how) for how in HOWS}
    pairs["cross"] = sides[0][["left"]].merge(sides[1][["right"]], how="cross")
    found = {
        how: [
            [None if math.isnan(row) else int(row) for row in pair]
            for pair in merged[["left", "right"]].to_numpy(dtype=float).tolist()
        ]
        for how, merged in pairs.items()
    }
    return {"kinds": kinds, "left": left, "right": right, "pairs": found}


def sort_case(rng: random.Random) -> dict:
    kinds = rng.choices(list(POOLS), k=rng.choice([1, 1, 2, 3]))
    columns = random_rows(rng, kinds, 12)
    ascending = [rng.random() < 0.5 for _ in kinds]
    table = frame(kinds, columns)
    ordered = table.sort_values(list(table), ascending=ascending, kind="stable")
    return {
        "kinds": kinds,
        "rows": columns,
        "ascending": ascending,
        "order": ordered.index.tolist(),
    }


def group_case(rng: random.Random) -> dict:
    kinds = rng.choices(list(POOLS), k=rng.choice([1, 1, 2]))
    kind = rng.choice(["int", "float", "float", "str"])
    *keys, values = random_rows(rng, [*kinds, kind], 12)
    if kind == "int":  # a mean of larger ones is not exact in pandas
        values = [value % 1000 for value in values]
    if kind == "float":
        values = [value if abs(value) < 1e9 or math.isnan(value) else 0.25 for value in values]
    table = frame(kinds, keys)
    table["value"] = pd.Series(values, dtype=DTYPES[kind])
    table["row"] = np.arange(len(table))
    groups = table.groupby([f"k{i}" for i in range(len(kinds))], dropna=False, sort=True)
    names = OF_STRINGS if kind == "str" else AGGREGATES
    return {
        "kinds": kinds,
        "rows": keys,
        "value_kind": kind,
        "values": values,
        "groups": [rows.tolist() for _, rows in groups["row"]] if len(table) else [],
        "aggregates": {name: getattr(groups["value"], name)().tolist() for name in names},
    }


def without_nan(value):
    if isinstance(value, dict):
        return {name: without_nan(member) for name, member in value.items()}
    if isinstance(value, list):
        return [without_nan(member) for member in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def main() -> None:
    if pd.__version__ != NEEDED:
        raise SystemExit(f"this is pandas {pd.__version__}; the stored results are of {NEEDED}")
    rng = random.Random(20_130_101)
    results = {
        "pandas": pd.__version__,
        "merge": [merge_case(rng) for _ in range(250)],
        "sort": [sort_case(rng) for _ in range(120)],
        "group": [group_case(rng) for _ in range(150)],
    }
    lines = [f'"pandas": "{results.pop("pandas")}"']
    for name, cases in results.items():
        compact = [
            json.dumps(without_nan(c), separators=(",", ":"), allow_nan=False) for c in cases
        ]
        lines.append(f'"{name}": [\n' + ",\n".join(compact) + "\n]")
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
