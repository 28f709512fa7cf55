"""Anything that can be done to tables, in any order, beside a plain model of lists."""

from __future__ import annotations

import math
import uuid
from collections import Counter
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from exetera_zarr import Session, merge
from exetera_zarr.storage import Capability
from exetera_zarr.tables.dataset import move
from exetera_zarr.testing import as_another_process

BLOCK = 4
KINDS = ("int32", "float64", "S3", "text")
VALUES = {
    "int32": st.integers(-3, 3),
    "float64": st.sampled_from([float("nan"), 0.0, 1.5, -2.0]),
    "S3": st.sampled_from([b"", b"a", b"ab", b"zzz"]),
    "text": st.sampled_from(["", "a", "é", "long text", "b"]),
}
NAMES = st.sampled_from(["a", "b", "c", "Age", "age"])
TABLES = st.sampled_from(["t", "u", "T", "odd/name"])

Column = tuple[str, list[Any]]
Model = dict[str, dict[str, Column]]


def create(frame: Any, name: str, kind: str) -> Any:
    if kind == "text":
        return frame.create_indexed_string(name)
    return frame.create_fixed_string(name, 3) if kind == "S3" else frame.create_numeric(name, kind)


def as_written(kind: str, values: list[Any]) -> Any:
    return values if kind == "text" else np.array(values, kind)


def is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def same(a: Any, b: Any) -> bool:
    return a == b or (is_nan(a) and is_nan(b))


def ranks(values: list[Any]) -> list[int]:
    """For each value its place among the distinct ones, strings by their bytes; -1 for NaN."""
    distinct = {v for v in values if not is_nan(v)}
    key = str.encode if any(isinstance(v, str) for v in distinct) else None
    place = {value: n for n, value in enumerate(sorted(distinct, key=key))}
    return [-1 if is_nan(value) else place[value] for value in values]


def named(value: Any) -> Any:
    """A value that equals itself, also NaN."""
    value = value.item() if isinstance(value, np.generic) else value
    return "nan" if is_nan(value) else value


class Tables(RuleBasedStateMachine):
    """A dataset and its model; `place` is set by the test."""

    place: Any

    def __init__(self) -> None:
        super().__init__()
        self.url = self.place.url(f"{uuid.uuid4().hex}.zarr")
        self.options = {"storage_options": self.place.storage_options}
        self.model: Model = {}
        self.versions: dict[int, Model] = {}
        self.open("x")
        self.commit()

    def open(self, mode: str) -> None:
        self.session = Session(row_block=BLOCK, timestamp="2020-01-01")
        kept = {"durability": "none"}
        self.ds = self.session.open_dataset(self.url, mode, "d", **self.options, **kept)

    def teardown(self) -> None:
        self.session.close()

    # -- what there is

    def some(self, data: Any) -> tuple[str, dict[str, Column]]:
        """A table that has rows of one length."""
        name = data.draw(st.sampled_from(sorted(n for n in self.model if self.model[n])))
        return name, self.model[name]

    def has_fields(self) -> bool:
        return any(self.model.values())

    @staticmethod
    def rows(table: dict[str, Column]) -> int:
        return len(next(iter(table.values()))[1]) if table else 0

    # -- rules

    @rule(name=TABLES)
    def create_table(self, name: str) -> None:
        if name in self.model:
            with pytest.raises(ValueError, match="exists"):
                self.ds.create_dataframe(name)
        else:
            self.ds.create_dataframe(name)
            self.model[name] = {}

    @precondition(lambda self: self.model)
    @rule(data=st.data(), name=NAMES, kind=st.sampled_from(KINDS))
    def create_field(self, data: Any, name: str, kind: str) -> None:
        table = data.draw(st.sampled_from(sorted(self.model)))
        if name in self.model[table]:
            with pytest.raises(ValueError, match="exists"):
                create(self.ds[table], name, kind)
            return
        rows = self.rows(self.model[table]) if self.model[table] else data.draw(st.integers(0, 10))
        values = data.draw(st.lists(VALUES[kind], min_size=rows, max_size=rows))
        create(self.ds[table], name, kind).data.write(as_written(kind, values))
        self.model[table][name] = kind, values

    @precondition(has_fields)
    @rule(data=st.data(), count=st.integers(0, 9))
    def append(self, data: Any, count: int) -> None:
        name, table = self.some(data)
        with self.ds.transaction():
            for field, (kind, values) in table.items():
                more = data.draw(st.lists(VALUES[kind], min_size=count, max_size=count))
                self.ds[name][field].data.write(as_written(kind, more))
                table[field] = kind, values + more

    @precondition(has_fields)
    @rule(data=st.data())
    def assign(self, data: Any) -> None:
        name, table = self.some(data)
        field = data.draw(st.sampled_from(sorted(table)))
        kind, values = table[field]
        if kind == "text":
            with pytest.raises(PermissionError):
                self.ds[name][field].data[0:1] = ["x"]
            return
        start = data.draw(st.integers(0, len(values)))
        stop = data.draw(st.integers(start, len(values)))
        size = stop - start
        others = data.draw(st.lists(VALUES[kind], min_size=size, max_size=size))
        self.ds[name][field].data[start:stop] = as_written(kind, others)
        table[field] = kind, [*values[:start], *others, *values[stop:]]

    @precondition(has_fields)
    @rule(data=st.data())
    def delete_field(self, data: Any) -> None:
        name, table = self.some(data)
        field = data.draw(st.sampled_from(sorted(table)))
        del self.ds[name][field]
        del table[field]

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def delete_table(self, data: Any) -> None:
        name = data.draw(st.sampled_from(sorted(self.model)))
        del self.ds[name]
        del self.model[name]

    @precondition(has_fields)
    @rule(data=st.data(), new=NAMES)
    def rename_field(self, data: Any, new: str) -> None:
        name, table = self.some(data)
        old = data.draw(st.sampled_from(sorted(table)))
        if new in table and new != old:
            with pytest.raises(ValueError, match=r"exists|same"):
                self.ds[name].rename(old, new)
            return
        self.ds[name].rename(old, new)
        self.model[name] = {new if n == old else n: column for n, column in table.items()}

    @precondition(lambda self: self.model)
    @rule(data=st.data(), new=TABLES)
    def rename_or_copy_table(self, data: Any, new: str) -> None:
        name = data.draw(st.sampled_from(sorted(self.model)))
        if new in self.model:
            return
        if data.draw(st.booleans()):
            move(self.ds[name], self.ds, new)
            self.model[new] = self.model.pop(name)
        else:
            self.ds.create_dataframe(new, self.ds[name])
            self.model[new] = deepcopy(self.model[name])

    def chosen(self, data: Any, name: str, numbers: list[int], act: Any) -> None:
        """Rows by number of a table, here or in another one."""
        table = self.model[name]
        other = data.draw(st.sampled_from(["", "t", "u", "T"]))
        after = {f: (kind, [values[n] for n in numbers]) for f, (kind, values) in table.items()}
        if not other or other in self.model:
            act(self.ds[name], None)
            self.model[name] = after
        else:
            act(self.ds[name], self.ds.create_dataframe(other))
            self.model[other] = after

    @precondition(has_fields)
    @rule(data=st.data())
    def filter(self, data: Any) -> None:
        name, table = self.some(data)
        rows = self.rows(table)
        mask = data.draw(st.lists(st.booleans(), min_size=rows, max_size=rows))
        numbers = [n for n, keep in enumerate(mask) if keep]
        self.chosen(data, name, numbers, lambda t, o: t.apply_filter(np.array(mask, bool), o))

    @precondition(has_fields)
    @rule(data=st.data())
    def index(self, data: Any) -> None:
        name, table = self.some(data)
        rows = self.rows(table)
        numbers = data.draw(st.lists(st.integers(0, rows - 1), max_size=12)) if rows else []
        self.chosen(data, name, numbers, lambda t, o: t.apply_index(np.array(numbers, int), o))

    @precondition(has_fields)
    @rule(data=st.data(), ascending=st.booleans())
    def sort(self, data: Any, ascending: bool) -> None:
        name, table = self.some(data)
        by = data.draw(st.sampled_from(sorted(table)))
        rank = ranks(table[by][1])
        up = 1 if ascending else -1
        numbers = sorted(range(len(rank)), key=lambda n: (rank[n] < 0, up * rank[n]))
        self.chosen(data, name, numbers, lambda t, o: t.sort_values(by, o, ascending=ascending))

    @precondition(has_fields)
    @rule(data=st.data())
    def group(self, data: Any) -> None:
        name, table = self.some(data)
        by = data.draw(st.sampled_from(sorted(table)))
        if "groups" in self.ds:
            del self.ds["groups"]
        result = self.ds.create_dataframe("groups")
        self.ds[name].groupby(by).count(result)
        keys, counts = list(result[by].data[:]), result["count"].data[:].tolist()
        del self.ds["groups"]
        found = Counter({named(k): c for k, c in zip(keys, counts, strict=True)})
        assert found == Counter(map(named, table[by][1]))
        rank = ranks(keys)
        assert rank == [*range(len(rank) - rank.count(-1)), *([-1] * rank.count(-1))]

    @precondition(has_fields)
    @rule(data=st.data(), how=st.sampled_from(["left", "inner", "outer"]))
    def merge(self, data: Any, how: str) -> None:
        name, table = self.some(data)
        other, right = self.some(data)
        key = sorted(f for f in table if f in right and table[f][0] == right[f][0])
        if not key:
            return
        result = self.ds.create_dataframe("merged")
        merge(self.ds[name], self.ds[other], result, key[0], key[0], how=how)
        found = Counter(map(named, list(result[f"{key[0]}_l"].data[:])))
        del self.ds["merged"]
        left_keys = [named(v) for v in table[key[0]][1]]
        right_count = Counter(named(v) for v in right[key[0]][1])
        nothing = {"int32": 0, "float64": "nan", "S3": b"", "text": ""}[table[key[0]][0]]
        expected: Counter[Any] = Counter()
        for k in left_keys:
            expected[k] += right_count[k] or int(how != "inner")
        if how == "outer":
            expected[nothing] += sum(c for k, c in right_count.items() if k not in set(left_keys))
        assert +found == +expected

    @rule()
    def commit(self) -> None:
        version = self.ds.commit()
        self.versions[version] = deepcopy(self.model)

    @rule()
    def rollback(self) -> None:
        self.ds.rollback()
        self.model = deepcopy(self.versions[self.ds.version])

    @rule()
    def reopen(self) -> None:
        self.session.close()
        self.open("r+")
        self.versions[self.ds.version] = deepcopy(self.model)

    @rule()
    def fail_in_a_transaction(self) -> None:
        """What it had done is undone."""
        with pytest.raises(KeyError), self.ds.transaction():
            for name in list(self.ds):
                del self.ds[name]
            raise KeyError

    @rule(data=st.data())
    def look_at_an_old_version(self, data: Any) -> None:
        if Capability.VERSIONS not in self.ds.capabilities:
            return
        kept = [c.version for c in self.ds.history() if c.kept and c.version in self.versions]
        version = data.draw(st.sampled_from(kept))
        with as_another_process(), Session() as s:
            ds = s.open_dataset(self.url, "r", "d", version=version, **self.options)
            self.check(ds, self.versions[version])

    # -- what has to hold

    @invariant()
    def as_the_model(self) -> None:
        self.check(self.ds, self.model)

    @staticmethod
    def check(ds: Any, model: Model) -> None:
        assert sorted(ds.keys()) == sorted(model)
        for name, table in model.items():
            assert ds[name].keys() == list(table)
            for field, (_, values) in table.items():
                found = ds[name][field].data[:]
                assert len(found) == len(values)
                assert all(map(same, found, values)), (name, field, found, values)


def check_runs(place: Any, runs: int, steps: int) -> None:
    machine = type("PlacedTables", (Tables,), {"place": place})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=runs, stateful_step_count=steps)
    )


def test_any_order_of_changes(place):
    """Whatever is done to tables, they are as the model, now, after a commit and in versions."""
    check_runs(place, {"local": 40, "s3": 5}.get(place.backend, 20), 50)


@pytest.mark.slow
def test_any_order_of_more_changes(place):
    check_runs(place, 200, 50)
