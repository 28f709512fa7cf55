"""Distinct values, and which values a column may hold."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest

from exetera_zarr.engine.columns import selection, strings
from exetera_zarr.engine.columns.membership import distinct, members


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("spread", [1, 5, 10**6])
def test_distinct_values_of_blocks(text, spread):
    rng = np.random.default_rng(5)
    blocks = [rng.integers(0, spread, 7) for _ in range(40)]
    expected = sorted({int(v) for block in blocks for v in block})
    if text:
        found = distinct(
            (strings.encode([f"{v:07}" for v in b]) for b in blocks), strings.encode([])
        )
        assert [int(v) for v in strings.decode(found)] == expected
    else:
        assert distinct(blocks, np.zeros(0, np.int64)).tolist() == expected
        assert distinct([], np.zeros(0, np.int64)).tolist() == []


def test_distinct_numbers_are_found_by_sorting():
    """numpy hashes whole numbers, which takes twenty times as long."""
    with mock.patch.object(np, "unique", side_effect=AssertionError):
        assert distinct([np.array([3, 1, 3])], np.zeros(0, np.int64)).tolist() == [1, 3]
        found = distinct([np.array([np.nan, 0.0]), np.array([np.nan, -0.0])], np.zeros(0))
    assert len(found) == 2
    assert found[0] == 0
    assert np.isnan(found[1])


def test_many_distinct_values_are_not_sorted_again_with_each_block():
    blocks = [np.arange(n, n + 10) for n in range(0, 10_000, 10)]
    with mock.patch.object(selection, "concat", wraps=selection.concat) as joined:
        found = distinct(blocks, np.zeros(0, np.int64))
    assert len(found) == 10_000
    handled = sum(len(part) for call in joined.call_args_list for part in call.args[0])
    assert handled < 10_000 * 10


@pytest.mark.parametrize(
    ("wanted", "dtype", "expected"),
    [
        ([2**64 - 1, 2**53], "uint64", [2**64 - 1, 2**53]),
        ([2**53 + 1, 1.5, 2.0], "int64", [2**53 + 1, 2]),
        (np.array([2**53 + 1, 2**63], np.uint64), "int64", [2**53 + 1]),
        ([-1, 300, 5, float("nan"), float("inf"), 10**30, "5", None], "uint8", [5]),
        ([0.1, 0.5, 1e300, 2**24 + 1, 10**400], "float32", [float(np.float32(0.1)), 0.5]),
        (np.array([0.1, 0.5, 1e300, np.inf]), "float32", [0.5, np.inf]),
        (np.array([2**53 + 1, 2**53, -1, 2**63 - 1]), "float64", [2**53, -1]),
        (np.array([0.5, -1.0, 300.0, 5.0, np.nan, -np.inf, 2.0**63]), "int64", [-1, 300, 5]),
        (np.array([0.5, -1.0, 2.0**64, 2.0**63]), "uint64", [2**63]),
        (np.array([-1, 0, 1, 2]), "bool", [False, True]),
        (np.array([True, False]), "int8", [1, 0]),
        (np.array([127, -128], np.int8), "float64", [127, -128]),
        (np.array([255, 0], np.uint8), "float32", [255, 0]),
        (np.array([-(2**63), 2**63 - 1]), "float64", [-(2**63)]),
        (np.array([2**63, 2**64 - 1], np.uint64), "float64", [2**63]),
        (np.array([127.0, -128.0, 128.0, -129.0]), "int8", [127, -128]),
        (np.array([-(2.0**63), 2.0**63]), "int64", [-(2**63)]),
        ([2**53 + 1, 2**53], "float64", [2**53]),
        ([True, 0, 2], "bool", [True, False]),
        (["\u00e9", b"ab\0", "abc", 5], "S2", [b"\xc3\xa9", b"ab"]),
        (np.array(["ab", "x"]), "S1", [b"x"]),
        ([], "S1", []),
    ],
)
def test_values_that_a_column_may_hold(wanted, dtype, expected):
    """
    Exactly: nothing is rounded until it is equal, and nothing wraps around.

    But for Python's floats, which take the type of the column, as they do beside an operator.
    """
    found = members(wanted, np.dtype(dtype))
    assert found.dtype == dtype
    assert found.tolist() == expected
