"""Conditions of Arrow keep the rows that Arrow itself keeps, whichever way is taken to know it."""

from __future__ import annotations

import operator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exetera_zarr import Session
from exetera_zarr.io.arrow.conditions import Condition
from exetera_zarr.io.arrow.stream import ArrowStream

ROWS = 60
COMPARISONS = [operator.eq, operator.ne, operator.lt, operator.ge]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    chance = np.random.default_rng(3)

    def some(values):
        return [None if chance.random() < 0.2 else value for value in values]

    with Session(row_block=16) as s:
        ds = s.open_dataset(tmp_path_factory.mktemp("conditions") / "x.zarr", "w", "d")
        made = ds.create_dataframe("t")
        made.create_categorical("sex", "int8", {"female": 1, "male": 2, "nobody": 7}).data.write(
            some(chance.integers(1, 3, ROWS).tolist())
        )
        made.create_categorical("town", "int8", {"Bath": 0, "York": 1}).data.write(
            some(chance.integers(0, 2, ROWS).tolist())
        )
        made.create_numeric("age", "int8").data.write(some(chance.integers(0, 9, ROWS).tolist()))
        made.create_numeric("dose", "float64").data.write(
            some([*chance.choice([0.5, 1.5, float("nan")], ROWS)])
        )
        ds.commit()
        yield made


def compared(name, values):
    return st.builds(
        lambda compare, value: compare(pc.field(name), value),
        st.sampled_from(COMPARISONS),
        st.sampled_from(values),
    )


LEAVES = st.one_of(
    compared("sex", ["male", "female", "nobody", "unknown"]),
    compared("town", ["Bath", "York"]),
    compared("age", [0, 4, 20]),
    compared("dose", [0.5, 1.0]),
    st.sampled_from(["sex", "age"]).map(lambda name: pc.field(name).is_null()),
    st.just(pc.field("age").isin([1, 2])),
    st.just(pc.field("sex").isin(pa.array(["male"]))),
)
CONDITIONS = st.recursive(
    LEAVES,
    lambda some: st.one_of(
        st.builds(operator.and_, some, some),
        st.builds(operator.or_, some, some),
        st.builds(operator.invert, some),
    ),
    max_leaves=5,
)


@given(CONDITIONS)
def test_the_rows_are_those_that_arrow_keeps(table, condition):
    stream = ArrowStream(table)
    whole = stream.reader().read_all().append_column("row", pa.array(range(ROWS)))
    expected = whole.filter(condition)["row"].to_pylist()
    found = Condition(table, stream.schema, condition)
    kept = np.concatenate([found.keeps(start, stop) for start, stop in found.cuts()])
    assert np.flatnonzero(kept).tolist() == expected
