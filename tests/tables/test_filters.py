"""A condition keeps the same rows in whatever form, and wherever, it is given."""

from __future__ import annotations

import io
import uuid
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest

from exetera_zarr import DataError, Session
from exetera_zarr.errors import ArgumentError, ExeteraError


@contextmanager
def table_of(rows):
    with Session(row_block=3) as session:
        table = session.open_dataset(f"memory://{uuid.uuid4()}", "w", "d").create_dataframe("t")
        table.create_numeric("row", "int32").data.write(range(rows))
        yield table


def field_of(table, dtype, values):
    field = table.create_numeric("condition", dtype)
    field.data.write(values)
    return field


def compared(table, values):
    numbers = [None if one is None else 5 + one for one in values]
    return field_of(table, "int8", numbers) > 5


# As what a condition is given: True, False and None for each row.
FORMS = {
    "field": lambda table, values: field_of(table, "bool", values),
    "comparison": compared,
    "numbers": lambda table, values: field_of(table, "int16", values),
    "floats": lambda table, values: field_of(table, "float32", values),
    "array of floats": lambda _, values: np.array(values, np.float64),
    "masked": lambda _, values: np.ma.masked_array(
        np.array([one is not False for one in values], np.bool_), [one is None for one in values]
    ),
    "list": lambda _, values: values,
    "objects": lambda _, values: np.array(values, object),
    "pandas": lambda _, values: pd.Series(values, dtype="boolean", index=range(len(values), 0, -1)),
    "pandas of objects": lambda _, values: pd.Series(values, dtype=object),
}
OF_NUMBERS = ("numbers", "floats", "array of floats")


def to_new(table, condition):
    target = table.dataset.create_dataframe("target")
    return table.apply_filter(condition, target)["row"].data[:]


def to_csv(table, condition):
    file = io.StringIO()
    table.to_csv(file, row_filter=condition, column_filter="row")
    return [int(line) for line in file.getvalue().split()[1:]]


# Where it is given: the rows that it keeps.
VERBS = {
    "table": to_new,
    "field": lambda table, condition: table["row"].apply_filter(condition).data[:],
    "session": lambda table, condition: table.dataset.session.apply_filter(condition, table["row"]),
    "csv": to_csv,
    "pandas": lambda table, condition: table.to_pandas(condition, "row")["row"],
    "index": lambda table, condition: table["row"].data[condition],
}


SOME = [True, None, False, False, True, None, True]  # in three blocks


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("values", [SOME, [True], [False, False, True]], ids=len)
def test_what_is_true_is_kept(form, verb, values):
    if form in OF_NUMBERS and verb in ("pandas", "index"):
        return  # there, numbers are those of rows
    with table_of(len(values)) as table:
        kept = VERBS[verb](table, FORMS[form](table, values))
        assert list(kept) == [row for row, one in enumerate(values) if one]


@pytest.mark.parametrize("form", [form for form in FORMS if form not in OF_NUMBERS])
def test_what_is_true_is_purged(tmp_path, form):
    """And nothing else: what is missing says of no row that it goes."""
    with Session() as session:
        table = session.open_dataset(tmp_path / "x.zarr", "w", "d").create_dataframe("t")
        table.create_numeric("row", "int8").data.write([0, 1, 2, 3])
        condition = FORMS[form](table, [True, None, False, True])
        table.dataset.commit()
        table.dataset.purge("t", rows=condition)
        assert table["row"].data[:].tolist() == [1, 2]


@pytest.mark.parametrize("rows", [[2, 0], [-1, 1], np.array([1, 1], np.uint8), slice(0, 4, 2), []])
def test_rows_by_number_for_pandas(rows):
    index = rows if isinstance(rows, slice) else np.array(rows, int)
    with table_of(4) as table:
        assert table.to_pandas(rows)["row"].tolist() == np.arange(4)[index].tolist()


NO_FILTERS = [
    [1, 0, 1, 1],
    [1, 0],
    [0.5, 1, 1, 1],
    [True, False],
    ["a"] * 4,
    {1: 2},
    "abcd",
    1,
    None,
    slice(2),
    np.ones((4, 1), bool),
    np.array(["a"] * 4),
    np.ones(3),
    pd.Series([1, 0, 1, 1]),
]


@pytest.mark.parametrize("given", NO_FILTERS, ids=repr)
@pytest.mark.parametrize("verb", ["table", "field", "session", "csv"])
def test_what_is_no_filter(verb, given):
    if given is None and verb == "csv":
        return  # there it says that all rows are written
    with table_of(4) as table:
        with pytest.raises(ExeteraError, match=r"filter"):
            VERBS[verb](table, given)
        assert table["row"].data[:].tolist() == [0, 1, 2, 3]


def test_a_list_of_numbers_says_what_to_use():
    with table_of(2) as table, pytest.raises(DataError, match="by number use apply_index"):
        table.apply_filter([1, 0])


@pytest.mark.parametrize(
    "given", [[1, None], [9], [0.5], np.ones((2, 1), bool), [True], "a", {1: 2}, 1], ids=repr
)
def test_what_chooses_no_rows_for_pandas(given):
    with table_of(4) as table, pytest.raises(ExeteraError, match="table 't'"):
        table.to_pandas(given)


DOWN = [3, 0, 4, 2, 1]
DIRECTIONS = [
    *[(up, [4, 2, 0, 3, 1]) for up in ([True, False], (1, 0), np.array([True, False]))],
    *[(up, [2, 4, 0, 3, 1]) for up in (True, 1, np.True_, [True, True])],
    *[(up, DOWN) for up in (False, 0, np.False_, [False, False])],
]


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize(("ascending", "order"), DIRECTIONS, ids=repr)
def test_directions_of_a_sort(ascending, order, missing):
    if not missing and order is DOWN:
        order = [1, *order[:-1]]
    with table_of(5) as table:
        field_of(table, "int32", [3, None if missing else 9, 1, 4, 1])
        found = table.sort_values(["condition", "row"], ascending=ascending)
        assert found["row"].data[:].tolist() == order


WRONG = [[True], [True, True, True], [], None, "desc", ["desc", "asc"], [None, True], 2, {True: 1}]


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("ascending", WRONG, ids=repr)
def test_what_is_no_direction(ascending, missing):
    """Also where companions are sorted by, of which nobody gave a direction."""
    with table_of(3) as table:
        field_of(table, "int32", [3, None if missing else 9, 1])
        with pytest.raises(ArgumentError, match=r"ascending is|directions for 2 sort keys"):
            table.sort_values(["condition", "row"], ascending=ascending)
        assert table["row"].data[:].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "choose",
    [
        lambda table, by: table.apply_filter(by),
        lambda table, by: table.apply_index(by),
        lambda table, by: table["row"].apply_filter(by),
        lambda table, by: table["row"].apply_index(by),
        lambda table, by: table["row"].data[by],
        lambda table, by: table.dataset.session.apply_filter(by, table["row"]),
        lambda table, by: table.dataset.session.apply_index(by, table["row"]),
        lambda table, by: table.delete(by),
        lambda table, by: table.to_csv(io.StringIO(), row_filter=by),
    ],
)
def test_categories_choose_no_rows(choose):
    """What is not 0 is not yet true: "no" may have any code."""
    with table_of(3) as table:
        field = table.create_categorical("condition", "int8", {"yes": 0, "no": 1})
        field.data.write(["yes", "no", "no"])
        with pytest.raises(TypeError, match="field t/condition, which holds categories"):
            choose(table, field)
        assert table["row"].data[:].tolist() == [0, 1, 2]
        chosen = table["row"].apply_filter(field == "yes")
        assert chosen.data[:].tolist() == [0]


def test_categories_choose_rows_in_exeteras_face():
    with Session(row_block=3, exetera=True) as session:
        table = session.open_dataset(f"memory://{uuid.uuid4()}", "w", "d").create_dataframe("t")
        field = table.create_categorical("condition", "int8", {"yes": 0, "no": 1})
        field.data.write(np.array([0, 1, 1]))
        assert field.apply_filter(field).data[:].tolist() == [1, 1]
        assert field.apply_index(field).data[:].tolist() == [0, 1, 1]
