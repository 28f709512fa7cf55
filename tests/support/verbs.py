"""Tables for the tests of verbs on a cluster, and whether two of them are the same."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import settings

from exetera_zarr import DataFrame, Dataset

__all__ = ["EXAMPLES", "assert_same_table", "make_study"]

EXAMPLES = max(settings().max_examples // 30, 1)
"""Of a property that takes a cluster seconds to show: 2 by default, 33 in the profile nightly."""


def make_study(dataset: Dataset, name: str, rows: int, block: int, seed: int) -> DataFrame:
    """A table of every type of field, with what is missing, codes, and labels; keys repeat."""
    random = np.random.default_rng(seed)
    table = dataset.create_dataframe(name, row_block=block)
    table.label = f"the table {name}"
    gone = random.random(rows) < 0.2
    wide = random.random(rows) < 0.3
    table.create_numeric("id", "int64").data.write(random.integers(0, max(rows // 3, 1), rows))
    age = table.create_numeric("age", "int16")
    age.data.write(np.ma.masked_array(random.integers(0, 90, rows), gone))
    age.label, age.unit = "Age at the visit", "year"
    # Quarters add up without rounding, whatever the order.
    dose = random.integers(-40, 40, rows) / 4
    dose[gone] = np.nan
    dose[wide] = -0.0
    table.create_numeric("dose", "float64").data.write(dose)
    table.create_numeric("big", "uint64").data.write(
        random.integers(0, 9, rows).astype(np.uint64) + np.uint64(2**63)
    )
    table.create_numeric("well", "bool").data.write(random.random(rows) < 0.5)
    sex = table.create_categorical("sex", "int8", {"f": 3, "m": 7, "": 1})
    sex.data.write([[None, "f", "m", ""][n] for n in random.integers(0, 4, rows)])
    seen = 1.6e9 + random.integers(0, 40, rows) * 86400.5
    table.create_timestamp("seen").data.write(np.where(gone, np.nan, seen))
    table.create_fixed_string("code", 5).data.write(
        [f"c{n}".encode() for n in random.integers(0, 7, rows)]
    )
    towns = ["", "Bath", "York", "Ø" * 40, "a\0b", None]
    table.create_indexed_string("town").data.write(
        [towns[n] for n in random.integers(0, len(towns), rows)]
    )
    return table


def _plain(field: Any, role: str) -> Any:
    array = field.arrays()[role]
    return np.asarray(array.read(0, len(array)))


def assert_same_table(found: DataFrame, expected: DataFrame, rounded: tuple[str, ...] = ()) -> None:
    """
    Whether names, order, attributes and every array are the same, bit for bit but for NaN.

    Fields whose names end with those in `rounded` may differ in the last digits.
    """
    assert list(found) == list(expected)
    assert found.label == expected.label
    for name in expected:
        one, other = found[name], expected[name]
        about = [dict(field.group.attributes) for field in (one, other)]
        for attributes in about:
            attributes.pop("timestamp", None)
        assert about[0] == about[1], name
        assert list(one.arrays()) == list(other.arrays()), name
        for role in other.arrays():
            got, wanted = _plain(one, role), _plain(other, role)
            assert got.dtype == wanted.dtype, (name, role)
            if rounded and name.endswith(rounded) and role == "values":
                np.testing.assert_allclose(got, wanted, rtol=1e-12, err_msg=name)
                continue
            np.testing.assert_array_equal(got, wanted, err_msg=f"{name}, {role}")
            if got.dtype.kind == "f" and not name.endswith(
                ("_min", "_max", "_median")  # of either zero
            ):
                np.testing.assert_array_equal(np.signbit(got), np.signbit(wanted), err_msg=name)
