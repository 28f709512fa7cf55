"""The power goes at any moment of a commit: what was not synced is gone, and nothing is half."""

from __future__ import annotations

import random
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

from exetera_zarr import Session
from exetera_zarr.storage.stores.local import LocalStore
from exetera_zarr.storage.stores.opening import wrapped_stores
from exetera_zarr.testing import Faults, PowerLossStore, as_another_process
from support.fault_model import (
    NAME,
    NAMES,
    OPERATIONS,
    Attempt,
    make_template,
    prepare,
    quiet,
    seen,
    seen_by_zarr,
    session,
)

Folder = dict[str, bytes]


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    return make_template(tmp_path_factory.mktemp("template"))


class Recorder:
    """What would survive, at every moment at which that could be something else."""

    def __init__(self, chances: int = 0) -> None:
        self.rngs = [random.Random(seed) for seed in range(chances)]
        self.stores: list[PowerLossStore] = []
        self.certain: list[Folder] = []
        self.possible: list[Folder] = []

    def __call__(self) -> None:
        (store,) = self.stores
        found = store.surviving()
        if not self.certain or found != self.certain[-1]:
            self.certain.append(found)
        self.possible += [store.surviving(rng) for rng in self.rngs]

    @contextmanager
    def recording(self):
        def wrap(store):
            assert isinstance(store, LocalStore)
            self.stores.append(PowerLossStore(store.path, self))
            return self.stores[-1]

        with wrapped_stores(wrap):
            yield


def check_next_writer(place: Path) -> None:
    found = seen(place)
    with as_another_process(), quiet(), session() as s:
        s.open_dataset(place, "a", "d").create_dataframe("mark")
    assert seen(place) == {**(found or {}), "mark": {}}


def check_operation(name: str, tmp_path: Path, template: Path, chances: int) -> int:
    """Do an operation, and look at everything that could have been left of it on the way."""
    operation = OPERATIONS[name]
    place = prepare(operation, tmp_path / "whole", template)
    states, plain = [seen(place)], [seen_by_zarr(place)]
    if operation.fresh:
        states.append({})
        plain.append({})
    recorder, faults = Recorder(chances), Faults()
    with recorder.recording():
        attempt = Attempt(operation, place, faults, durability="fsync")
        faults.arm()
        assert attempt.go()
    recorder()
    acknowledged = recorder.certain[-1]
    calls = faults.disarm()
    attempt.finish()
    states.append(seen(place))
    plain.append(seen_by_zarr(place))
    reached = 0
    for number, left in enumerate([*recorder.certain, *recorder.possible]):
        folder = tmp_path / str(number)
        PowerLossStore.restore(left, str(folder / NAME))
        found = seen(folder / NAME)
        assert found in states, (number, sorted(left))
        assert seen_by_zarr(folder / NAME) in plain
        if number < len(recorder.certain):
            assert states.index(found) >= reached, "what was durable is gone"
            reached = states.index(found)
        check_next_writer(folder / NAME)
        shutil.rmtree(folder)
    PowerLossStore.restore(acknowledged, str(tmp_path / "acknowledged" / NAME))
    assert seen(tmp_path / "acknowledged" / NAME) == states[-1]
    looked = f"{len(recorder.certain)} + {len(recorder.possible)}"
    print(f"{name}: {calls} calls, {looked} moments")  # noqa: T201
    return calls


@pytest.mark.parametrize("name", NAMES)
def test_all_that_was_not_synced_is_lost(name, tmp_path, template):
    """For every call: the dataset opens at the version before or after; after, once told so."""
    assert check_operation(name, tmp_path, template, chances=0) >= 4


@pytest.mark.slow
@pytest.mark.parametrize("name", OPERATIONS)
def test_any_part_of_what_was_not_synced_is_lost(name, tmp_path, template):
    """The same where chance decides what of it is on the disk."""
    assert check_operation(name, tmp_path, template, chances=1) >= 4


def test_the_folder_of_a_new_dataset_survives(tmp_path):
    """So do the folders above it that were made for it."""
    recorder = Recorder()
    place = tmp_path / "new" / "deep" / NAME
    with recorder.recording(), Session() as s:
        s.open_dataset(place, "w", "d").create_dataframe("t").create_numeric("a", "int8")
    assert recorder.stores[0].surviving().keys() >= {"zarr.json", "t/a/values/zarr.json"}


def test_the_model_drops_what_was_not_synced(tmp_path):
    """A store that does not sync has nothing left; so the other tests do test something."""
    store = PowerLossStore(str(tmp_path / NAME))
    store.put("t/c/0", b"data")
    assert store.surviving() == {}
    store.sync()
    assert store.surviving() == {}  # the folder's own name is made durable by the claim
    assert store.create("__exetera__/commits/1.json", b"{}")
    assert store.surviving() == {"t/c/0": b"data", "__exetera__/commits/1.json": b"{}"}
    store.delete("t/c/0")
    assert store.surviving()["t/c/0"] == b"data"


def test_a_commit_after_a_vacuum(tmp_path):
    """What was written and removed again, such as the vacuum's look at the clock, is not synced."""
    with Session(row_block=2) as s:
        ds = s.open_dataset(tmp_path / NAME, "w", "d")
        field = ds.create_dataframe("t").create_numeric("a", "int8")
        for number in range(3):
            field.data.write([number] * 3)
            ds.commit()
            ds.vacuum(keep=1, older_than=0)
    assert seen(tmp_path / NAME) == {"t": {"a": [0, 0, 0, 1, 1, 1, 2, 2, 2]}}
