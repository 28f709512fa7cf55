"""A questionnaire of four people, as several programs write it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import feather, parquet

__all__ = ["FRAME", "LABELS", "ROWS", "write_questionnaire"]

FRAME = pd.DataFrame({"sex": [1.0, 2.0, -9.0, 2.0], "age": [34.0, -9.0, 51.0, np.nan]})
ROWS = [
    {"sex": "f", "age": 34.0},
    {"sex": "m", "age": None},
    {"sex": None, "age": 51.0},
    {"sex": "m", "age": None},
]
LABELS: dict[str, dict[object, str]] = {
    "sex": {1: "f", 2: "m", -9: "refused"},
    "age": {-9: "refused"},
}


def write_questionnaire() -> None:
    """Write ``q.sav``, ``q.zsav``, ``q.dta``, ``q.xpt``, ``q.parquet`` and ``q.feather``."""
    import pyreadstat

    labels: Any = {"column_labels": {"age": "Age at entry"}, "variable_value_labels": LABELS}
    for name in ("q.sav", "q.zsav"):
        missing: Any = {"sex": [-9], "age": [-9]}
        pyreadstat.write_sav(FRAME, name, compress="z" in name, missing_ranges=missing, **labels)
    letters = FRAME.astype(object).replace(-9.0, "a")
    labels["variable_value_labels"] = {
        "sex": {1: "f", 2: "m", "a": "refused"},
        "age": {"a": "refused"},
    }
    lettered = {"sex": ["a"], "age": ["a"]}
    pyreadstat.write_dta(letters, "q.dta", missing_user_values=lettered, **labels)
    pyreadstat.write_xport(FRAME.replace(-9.0, np.nan), "q.xpt")
    plain = pa.table({"sex": ["f", "m", None, "m"], "age": [34.0, None, 51.0, None]})
    parquet.write_table(plain, "q.parquet")
    feather.write_feather(plain, "q.feather")
