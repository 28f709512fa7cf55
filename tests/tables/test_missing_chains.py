"""Chains of operations on tables with missing values, beside a model in pandas' nullable types.

`test_missing.py` is about single steps. Here each step gets what those before it have left: fields
whose companion is known by a link, by its name, or is that of a merge.
"""

from __future__ import annotations

import operator
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from exetera_zarr import Session, import_csv, merge
from exetera_zarr.fields.missing.companions import COMPANION, COMPANION_OF
from exetera_zarr.io.schema.definitions import Categorical, DateTime, Numeric, String
from exetera_zarr.tables import dataframe as dataframes
from exetera_zarr.tables import dataset as datasets
from support.missing import (
    CODES,
    DAYS,
    KINDS,
    PEOPLE,
    WAYS,
    columns_of,
    examples,
    merged_rows,
    model_of,
    rows_of,
    rows_of_model,
    sorted_model,
    url,
    values_of,
    visible,
    write,
    write_column,
)

MOST = 40
"""Rows that a table goes on with, since those of merges multiply."""
FIELDS = 9
"""Fields that it goes on with."""
NEW_NAMES = ["a", "B", "é", "odd/name", "age", "age_valid", "town_valid", "when_set"]
VALUES = {"category": "f", "fixed": "a", "text": "York", "bool": True, "moment": DAYS[1]}
ORDER = [operator.lt, operator.ge, operator.eq, operator.ne]
NOT_ORDERED = [operator.eq, operator.ne]
NUMBERS = ("int8", "int64", "float64", "float32")
OF_NUMBERS = ["count", "min", "max", "first", "last", "nunique", "sum"]
OF_OTHERS = OF_NUMBERS[:-1]
DEFINITIONS = {
    "text": String(),
    "fixed": String(3),
    "category": Categorical(CODES),
    "moment": DateTime(),
}


class Chains(RuleBasedStateMachine):
    """A table, the pandas frame that it has to be equal to, and the kinds of its fields."""

    def __init__(self) -> None:
        super().__init__()
        self.url = url()
        self.number = 0
        self.open("w", 3)

    def open(self, mode: str, row_block: int) -> None:
        self.session = Session(row_block=row_block)
        self.ds = self.session.open_dataset(self.url, mode, "d")

    def teardown(self) -> None:
        self.ds.rollback()
        self.session.close()

    def new_name(self) -> str:
        self.number += 1
        return f"table {self.number}"

    def new_table(self) -> Any:
        return self.ds.create_dataframe(self.new_name())

    def any_table(self, data: Any, kinds: dict[str, str], most: int = 8) -> Any:
        """Another table, and its model."""
        rows = data.draw(rows_of(kinds, most), label="rows")
        way = data.draw(st.sampled_from(WAYS), label="way")
        return write(self.new_table(), rows, kinds, way), model_of(rows, kinds)

    def any_of_names(self, data: Any, label: str, most: int) -> list[str]:
        names = st.lists(st.sampled_from(list(self.kinds)), min_size=1, max_size=most, unique=True)
        return data.draw(names, label=label)  # type: ignore[no-any-return]

    def go_on_with(self, table: Any, model: pd.DataFrame, kinds: dict[str, str]) -> None:
        self.table, self.model, self.kinds = table, model.reset_index(drop=True), kinds

    @initialize(data=st.data(), kinds=st.lists(st.sampled_from(list(PEOPLE)), min_size=2))
    def start(self, data: Any, kinds: list[str]) -> None:
        kinds = {name: PEOPLE[name] for name in dict.fromkeys(kinds)}
        self.go_on_with(*self.any_table(data, kinds), kinds)

    # -- rows

    def condition(self, data: Any, name: str) -> tuple[Any, Any]:
        """Of our field, and of that of the model."""
        ours, theirs, kind = self.table[name], self.model[name], self.kinds[name]
        if data.draw(st.booleans(), label="isna"):
            return ours.isna(), theirs.isna()
        function = data.draw(st.sampled_from(NOT_ORDERED if kind == "category" else ORDER))
        value = VALUES.get(kind, 1)
        found = function(theirs, value)
        return function(ours, value), found.astype("boolean").mask(theirs.isna())

    @rule(data=st.data(), in_place=st.booleans(), inverted=st.booleans())
    def filter(self, data: Any, in_place: bool, inverted: bool) -> None:
        names = self.any_of_names(data, "names", 2)
        either = data.draw(st.sampled_from([operator.and_, operator.or_, operator.xor]))
        pairs = [self.condition(data, name) for name in names]
        ours, theirs = (reduce(either, sides) for sides in zip(*pairs, strict=True))
        if inverted:
            ours, theirs = ~ours, ~theirs
        target = None if in_place else self.new_table()
        kept = theirs.astype("boolean").fillna(False).astype(bool)
        self.go_on_with(self.table.apply_filter(ours, target), self.model[kept], self.kinds)

    @rule(data=st.data(), in_place=st.booleans())
    def sort(self, data: Any, in_place: bool) -> None:
        keys = self.any_of_names(data, "keys", 2)
        ascending = [data.draw(st.booleans()) for _ in keys]
        target = None if in_place else self.new_table()
        found = self.table.sort_values(keys, target, ascending=ascending)
        self.go_on_with(found, sorted_model(self.model, keys, ascending), self.kinds)

    @rule(data=st.data())
    def append(self, data: Any) -> None:
        rows = data.draw(rows_of(self.kinds, 4), label="rows")
        way = data.draw(st.sampled_from(["none", "masked"]), label="way")
        companions = self.table.companions()
        with self.ds.transaction():
            for name, column in columns_of(self.kinds, rows).items():
                kind = KINDS[self.kinds[name]]
                write_column(self.table[name], column, kind, way)
                self.write_by_name(self.table[name], companions.get(name))
            for name in set(visible(self.table)) - set(self.kinds):
                self.table[name].data.write(np.ones(len(rows), bool))  # whose field was dropped
        self.go_on_with(self.table, pd.concat([self.model, model_of(rows, self.kinds)]), self.kinds)

    def write_by_name(self, field: Any, companion: str | None) -> None:
        """A companion that is known by its name is written by the user, unless None was."""
        if companion is not None and COMPANION not in field.group.attributes:
            short = len(field) - len(self.table[companion])
            self.table[companion].data.write(np.ones(short, bool))

    @rule(data=st.data(), missing=st.booleans())
    @precondition(lambda self: len(self.model))
    def overwrite(self, data: Any, missing: bool) -> None:
        """One cell, whose field may share its companion with others."""
        name = data.draw(st.sampled_from(list(self.kinds)), label="name")
        row = data.draw(st.integers(0, len(self.model) - 1), label="row")
        kind = KINDS[self.kinds[name]]
        if self.kinds[name] == "text":
            return  # these are only written one after the other
        value = None if missing else data.draw(kind.values, label="value")
        self.table[name].data[row] = value
        model = self.model.copy()
        model.loc[row, name] = pd.NA if missing else value
        self.go_on_with(self.table, model, self.kinds)

    # -- fields and tables

    def free_names(self) -> list[str]:
        """Names that a field can get; those of companions that nobody has named are among them."""
        given = {n for n in self.table if COMPANION_OF not in self.table[n].group.attributes}
        return [n for n in NEW_NAMES if n not in given]

    @rule(data=st.data(), swap=st.booleans())
    def rename(self, data: Any, swap: bool) -> None:
        names = self.any_of_names(data, "names", 2)
        free = self.free_names()
        if any(self.kinds[name] == "bool" for name in names):
            free = [name for name in free if name not in self.table]  # nor is one of bool taken
        if swap and len(names) == 2:
            new = dict(zip(names, reversed(names), strict=True))
        elif free:
            new = {names[0]: data.draw(st.sampled_from(free), label="new name")}
        else:
            return
        self.table.rename(new)
        kinds = {new.get(name, name): kind for name, kind in self.kinds.items()}
        self.go_on_with(self.table, self.model.rename(columns=new), kinds)

    @rule(data=st.data())
    def drop(self, data: Any) -> None:
        kept = self.any_of_names(data, "kept", FIELDS)
        self.keep(kept)

    def keep(self, names: list[str]) -> None:
        for name in [name for name in self.kinds if name not in names]:
            del self.table[name]
        kinds = {name: kind for name, kind in self.kinds.items() if name in names}
        self.go_on_with(self.table, self.model[list(kinds)], kinds)

    @rule(way=st.sampled_from(["table", "fields", "rows", "move fields", "move table"]))
    def copy(self, way: str) -> None:
        name = self.new_name()
        if way == "table":
            self.ds[name] = self.table
        elif way == "move table":
            datasets.move(self.table, self.ds, name)
        elif way == "rows":
            self.table.copy_rows(self.ds.create_dataframe(name))
        else:
            function = dataframes.move if way == "move fields" else dataframes.copy
            other = self.ds.create_dataframe(name)
            for field in self.kinds:
                function(self.table[field], other, field)
        self.go_on_with(self.ds[name], self.model, self.kinds)

    @rule(data=st.data())
    def group(self, data: Any) -> None:
        keys = self.any_of_names(data, "keys", 2)
        others = [name for name in self.kinds if name not in keys]
        missing = data.draw(st.sampled_from(["equal", "drop"]), label="missing_keys")
        wanted = {}
        for name in others[:2]:
            of = OF_NUMBERS if self.kinds[name] in NUMBERS else OF_OTHERS
            wanted[name] = data.draw(st.lists(st.sampled_from(of), min_size=1, unique=True))
        groups, out = self.table.groupby(keys, missing_keys=missing), self.new_table()
        groups.agg(wanted, out) if wanted else groups.distinct(out)
        found = self.model.groupby(keys, dropna=missing == "drop", sort=False)
        parts = [(_as_tuple(key), rows) for key, rows in found]
        model = pd.DataFrame(
            {
                name: pd.Series([key[n] for key, _ in parts], dtype=self.model[name].dtype)
                for n, name in enumerate(keys)
            }
        )
        kinds = {name: self.kinds[name] for name in keys}
        for name, aggregates in wanted.items():
            for aggregate in aggregates:
                kind = _kind_of(aggregate, self.kinds[name])
                values = [_aggregated(aggregate, rows[name]) for _, rows in parts]
                made = f"{name}_{aggregate}"
                model[made] = pd.Series(values, dtype=KINDS[kind].dtype)
                kinds[made] = kind
        self.go_on_with(out, sorted_model(model, keys, [True] * len(keys)), kinds)

    @rule(
        data=st.data(),
        how=st.sampled_from(["left", "right", "inner", "outer"]),
        missing=st.sampled_from(["equal", "never", "drop"]),
        ordered=st.booleans(),
        swapped=st.booleans(),
    )
    def merge(self, data: Any, how: str, missing: str, ordered: bool, swapped: bool) -> None:
        """With another table, or with itself."""
        keys = self.any_of_names(data, "keys", 2)
        more = data.draw(st.sampled_from([[], ["age"], ["town", "x"], ["when", "flag"]]))
        kinds = {name: self.kinds[name] for name in keys}
        kinds |= {name: self.kinds.get(name, PEOPLE.get(name, "fixed")) for name in more}
        other = self.any_table(data, kinds, 5)
        if data.draw(st.integers(0, 4), label="with itself") == 0:
            other, kinds = (self.table, self.model), self.kinds
        sides = [(self.table, self.model, self.kinds), (*other, kinds)]
        if ordered:
            sides = [self.sorted_by(keys, *side) for side in sides]
        left, right = reversed(sides) if swapped else sides
        out, suffixes = self.new_table(), (f"_l{self.number}", f"_r{self.number}")
        on = tuple(keys) if len(keys) > 1 else keys[0]
        merge(
            left[0], right[0], out, on, on, how=how, missing_keys=missing,
            left_suffix=suffixes[0], right_suffix=suffixes[1],
            hint_left_keys_ordered=ordered, hint_right_keys_ordered=ordered,
        )  # fmt: skip
        pairs = merged_rows(*(_keys_of(side[1], keys) for side in (left, right)), how, missing)
        short = ordered and len(keys) == 1 and how != "outer"
        self.go_on_with(out, *_merged(left, right, pairs, suffixes, short))
        self.flags_are(pairs, suffixes)
        self.keep(list(self.kinds)[-FIELDS:] if swapped else list(self.kinds)[:FIELDS])
        if len(self.model) > MOST:
            kept = data.draw(st.permutations(range(len(self.model))), label="kept rows")[:MOST]
            found = self.table.apply_index(np.array(kept))
            self.go_on_with(found, self.model.iloc[kept], self.kinds)

    def flags_are(self, pairs: list[tuple[int, int]], suffixes: tuple[str, str]) -> None:
        """What a merge says of rows that have no partner."""
        for side, suffix in enumerate(suffixes):
            there = [pair[side] >= 0 for pair in pairs]
            name = f"valid{suffix}"
            assert (name in self.table) == (not all(there))
            assert name not in self.table or self.table[name].data[:].tolist() == there

    def sorted_by(self, keys: list[str], table: Any, model: pd.DataFrame, kinds: Any) -> Any:
        found = table.sort_values(keys, self.new_table())
        return found, sorted_model(model, keys, [True] * len(keys)), kinds

    @rule(data=st.data(), close=st.booleans())
    def journal(self, data: Any, close: bool) -> None:
        """The table as a first snapshot, another one, and what is valid then."""
        keys = self.any_of_names(data, "keys", 2)
        first = self.first_of_each(keys, self.table, self.model)
        kinds = dict.fromkeys([*keys, *self.any_of_names(data, "fields", FIELDS)])
        kinds = {name: self.kinds[name] for name in kinds}
        second = self.first_of_each(keys, *self.any_table(data, kinds))
        journal, then = self.new_table(), self.new_table()
        journal.journal(first[0], keys, 10.0)
        found = journal.journal(second[0], keys, 20.0, close_vanished=close)
        expected = second[1].reindex(columns=list(self.kinds)).astype(self.model.dtypes)
        old, new = _keys_of(first[1], keys), _keys_of(expected, keys)
        vanished = [n for n, key in enumerate(old) if key not in new]
        assert found.new == len([key for key in new if key not in old])
        assert found.vanished == len(vanished)
        if not close:
            expected = pd.concat([expected, first[1].iloc[vanished]])
        journal.as_of(15.0, then)
        before = _in_the_order_of(then, first[1], keys)
        assert values_of(then, list(self.kinds)) == rows_of_model(before)
        now = journal.as_of(25.0, self.new_table())
        for name in ("j_valid_from", "j_valid_to"):
            del now[name]
        self.go_on_with(now, _in_the_order_of(now, expected, keys), self.kinds)

    def first_of_each(self, keys: list[str], table: Any, model: pd.DataFrame) -> Any:
        """Only the first row of each key, as a snapshot has it."""
        kept = (~model.duplicated(keys)).to_numpy()
        return table.apply_filter(kept, self.new_table()), model[kept].reset_index(drop=True)

    # -- out and in again

    @rule(flag=st.sampled_from(["_valid", "_told"]))
    @precondition(lambda self: len(self.model))
    def csv(self, flag: str) -> None:
        """Of strings that are missing nothing is left but that they are empty; no category is."""
        model = self.model.copy()
        for name, kind in self.kinds.items():
            if kind == "category":
                filled = self.table[name].fillna("f")
                del self.table[name]
                self.table[name] = filled
            if kind in ("category", "text", "fixed"):
                model[name] = model[name].fillna("f" if kind == "category" else "")
        if any(f"{name}_valid" in self.kinds for name in self.kinds):
            flag = "_told"  # the other name is that of a column
        schema = {
            name: DEFINITIONS.get(kind) or Numeric(kind, flag_field_name=flag)
            for name, kind in self.kinds.items()
        }
        file = f"{url()}.csv"
        self.table.to_csv(file, column_filter=list(self.kinds))
        table = import_csv(self.ds, self.new_name(), file, schema)
        for name in ("j_valid_from", "j_valid_to"):
            del table[name]
        self.go_on_with(table, model, self.kinds)

    @rule(row_block=st.sampled_from([2, 5, 64]))
    def reopen(self, row_block: int) -> None:
        name = self.table.name
        self.ds.commit()
        self.session.close()
        self.open("r+", row_block)
        self.table = self.ds[name]

    @invariant()
    def as_the_model(self) -> None:
        if not hasattr(self, "table"):
            return
        others = set(visible(self.table)) - set(self.kinds)
        assert not [name for name in others if not str(self.table[name].fieldtype).endswith("bool")]
        found = values_of(self.table, list(self.kinds))
        assert found == rows_of_model(self.model)


def _as_tuple(key: Any) -> tuple[Any, ...]:
    return key if isinstance(key, tuple) else (key,)


def _kind_of(aggregate: str, kind: str) -> str:
    """That of the field that an aggregate gives."""
    if aggregate in ("count", "nunique"):
        return "int64"
    if aggregate == "sum":
        return "float64" if kind.startswith("float") else "int64"
    return kind


def _aggregated(aggregate: str, values: Any) -> Any:
    """Of the values that there are."""
    there = values.dropna()
    if aggregate in ("count", "nunique"):
        return len(there) if aggregate == "count" else there.nunique()
    if len(there) == 0:
        return pd.NA
    if aggregate in ("first", "last"):
        return there.iloc[0 if aggregate == "first" else -1]
    return getattr(there, aggregate)()


def _keys_of(model: pd.DataFrame, keys: list[str]) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in rows_of_model(model[keys])]


def _in_the_order_of(table: Any, model: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """The model's rows as those of a table with the same keys, each of which is there once."""
    places = {key: n for n, key in enumerate(_keys_of(model, keys))}
    order = [tuple(row[key] for key in keys) for row in values_of(table, keys)]
    assert sorted(map(repr, order)) == sorted(map(repr, places))
    return model.iloc[[places[key] for key in order]]


def _merged(
    left: Any, right: Any, pairs: list[tuple[int, int]], suffixes: tuple[str, str], short: bool
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Both sides beside each other; `short` is the rule of names that sorted merges have."""
    model, kinds = pd.DataFrame(index=range(len(pairs))), {}
    shared = set(left[0]) & set(right[0])  # companions are among them
    for side, (_, frame, kinds_here) in enumerate((left, right)):
        there = frame.reindex([pair[side] for pair in pairs]).reset_index(drop=True)
        for name, kind in kinds_here.items():
            clash = name in shared and (side == 1 or not short)
            made = name + suffixes[side] if clash else name
            model[made] = there[name]
            kinds[made] = kind
    return model, kinds


def check_chains(chosen: settings) -> None:
    run_state_machine_as_test(Chains, settings=settings(chosen, stateful_step_count=6))


def test_any_chain_of_operations() -> None:
    """Whatever was done before, what is missing is missing, and what is there is there."""
    check_chains(examples(20))


@pytest.mark.slow
def test_many_chains_of_operations() -> None:
    check_chains(settings(max_examples=2000))
