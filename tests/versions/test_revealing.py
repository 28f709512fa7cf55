"""What other Zarr readers see while publications are late, out of order, or end half-way."""

from __future__ import annotations

import contextlib
import itertools
import random
import shutil
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from zarr.errors import ZarrUserWarning

from exetera_zarr import Session
from exetera_zarr.storage import concurrency
from exetera_zarr.storage.stores.base import ObjectStore
from exetera_zarr.storage.stores.local import LocalStore
from exetera_zarr.storage.zarr import draft
from exetera_zarr.storage.zarr.versions import manifests, sweep
from exetera_zarr.storage.zarr.versions.retention import kept_versions
from exetera_zarr.testing import WrapperStore
from support import plain_reader

Values = dict[tuple[str, str], list[int]]


@dataclass
class Late:
    """
    A dataset of which three versions were committed and not revealed.

    Parameters
    ----------
    folder
        Where it is; copied for every scenario.
    revealed
        What each of the three would have done next: reveal a version, over which one.
    versions
        Values of each version, by table and field.
    """

    folder: Path
    revealed: list[tuple[manifests.Version, manifests.Version | None]]
    versions: dict[int, Values]


class HeldBackError(Exception):
    """A publication that waits."""


def values_of(dataset: Any) -> Values:
    return {
        (name, field): dataset[name][field].data[:].tolist()
        for name in dataset
        for field in dataset[name].keys()  # noqa: SIM118
    }


def change(dataset: Any, number: int) -> None:
    """Both tables change each time, one field in full, and one table comes and goes."""
    for name in ("a", "b") if number != 3 else ("a",):
        dataset[name]["x"].data.write(np.arange(number, number + 5))
        dataset[name]["y"].data[:] = np.full(len(dataset[name]["y"]), number)
        dataset[name]["y"].data.write(np.full(5, number))
    if number == 2:
        dataset.create_dataframe("c").create_numeric("x", "int32").data.write([number])
    if number == 4:
        del dataset["c"]


@pytest.fixture(scope="module", params=[3, 1], ids=["kept", "swept"])
def late(request, tmp_path_factory) -> Late:
    """Versions 2, 3 and 4, committed; other Zarr readers see version 1."""
    folder = tmp_path_factory.mktemp("late") / "x.zarr"
    held: list[tuple[manifests.Version, manifests.Version | None]] = []
    versions = {}

    def hold(_: ObjectStore, version: manifests.Version, shown: manifests.Version | None) -> None:
        held.append((version, shown))
        raise HeldBackError

    with Session(row_block=4) as s, warnings.catch_warnings(), pytest.MonkeyPatch.context() as m:
        warnings.simplefilter("ignore", RuntimeWarning)
        ds = s.open_dataset(str(folder), "x", "d", durability="none")
        ds.retain(request.param, 0.0)
        for name in ("a", "b"):
            table = ds.create_dataframe(name)
            table.create_numeric("x", "int32").data.write(np.arange(6))
            table.create_numeric("y", "int32").data.write(np.ones(6))
        ds.commit()
        versions[1] = values_of(ds)
        m.setattr(draft.manifests, "reveal", hold)
        for number in (2, 3, 4):
            change(ds, number)
            assert ds.commit() == number
            versions[number] = values_of(ds)
    return Late(folder, held[:3], versions)


def reveal(late: Late, index: int, store: ObjectStore) -> None:
    """What the writer of a version does after its commit, sweep included."""
    version, shown = late.revealed[index]
    manifests.reveal(store, version, shown)
    kept = kept_versions(version.facts)
    before = manifests.read(store, version.number - 1)
    expired = kept_versions(before.facts).without(kept)
    if expired:
        sweep.sweep_versions(store, expired, kept, version)


def look(late: Late, place: Path) -> tuple[int, Values]:
    """
    Read all with unmodified zarr, both ways, and check that every value is one that was committed.

    Returns
    -------
    int
        The version that consolidated metadata shows, which has to be whole.
    dict
        What the folders show.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZarrUserWarning)  # the folder of manifests is no group
        root = zarr.open_group(place, mode="r", zarr_format=3)
        version = int(root.attrs["exetera"]["version"])
        assert root.metadata.consolidated_metadata is not None
        found = {
            (table, field): plain_reader.values_of(root[table], root[table][field])
            for table in root.group_keys()
            for field in root[table].group_keys()
        }
        assert found == late.versions[version]
        walked = {}
        root = zarr.open_group(place, mode="r", zarr_format=3, use_consolidated=False)
        for table, field in {key for version in late.versions.values() for key in version}:
            try:
                walked[table, field] = plain_reader.values_of(root[table], root[table][field])
            except KeyError:  # an error, not values: its arrays are gone, or it is
                continue
            known = [v[table, field] for v in late.versions.values() if (table, field) in v]
            assert walked[table, field] in known
    return version, walked


def check_newest(late: Late, place: Path) -> None:
    """Both ways of reading give the newest version."""
    version, walked = look(late, place)
    newest = max(late.versions)
    assert version >= newest
    current = late.versions[newest]
    assert {key: walked.get(key) for key in current} == current


class Looking(WrapperStore):
    """A store that calls `step` before each change of what others may be reading."""

    def __init__(self, store: ObjectStore, step: Callable[[], None]) -> None:
        super().__init__(store)
        self.concurrency = 1
        self._step = step

    def advance(
        self,
        key: str,
        data: bytes,
        wanted: Callable[[bytes | None], bool],
        expected: bytes | None = None,
    ) -> bool:
        self._step()
        return self.store.advance(key, data, wanted, expected)

    def first(self, prefix: str) -> str | None:
        self._step()
        return self.store.first(prefix)

    def delete(self, key: str) -> None:
        self._step()
        self.store.delete(key)


class KilledError(BaseException):
    """The end of a process."""


def copied(late: Late, tmp_path: Path, name: object) -> Path:
    place = tmp_path / f"{name}.zarr"
    shutil.copytree(late.folder, place)
    return place


ORDERS = list(itertools.permutations(range(3)))


@pytest.mark.parametrize(
    "order",
    [pytest.param(o, marks=() if o in ORDERS[2::3] else pytest.mark.slow) for o in ORDERS],
    ids=str,
)
def test_released_in_any_order(late, tmp_path, order):
    """One after the other: at every call zarr reads what some version had, at last the newest."""
    place = copied(late, tmp_path, "x")
    store = Looking(LocalStore(str(place), durable=False), lambda: look(late, place))
    for index in order:
        reveal(late, index, store)
    check_newest(late, place)
    resume(late, place, "commit")


def killing(last: int) -> tuple[Callable[[], None], list[int]]:
    """A step that raises the `last` time it is called, and how often it was."""
    count = [0]

    def step() -> None:
        count[0] += 1
        if count[0] == last:
            raise KilledError

    return step, count


def resume(late: Late, place: Path, how: str) -> None:
    """The next commit, of anything, or vacuum; after it zarr reads the newest."""
    with Session() as s:
        ds = s.open_dataset(str(place), "r+", "d", durability="none")
        assert values_of(ds) == late.versions[max(late.versions)]
        if how == "commit":
            ds.create_dataframe("z").create_numeric("x", "int32").data.write([7])
        else:
            ds.vacuum(keep=1, older_than=0)
        number = ds.commit()
        ds.verify()
        found = values_of(ds)
    after = Late(late.folder, late.revealed, {**late.versions, number: found})
    version, walked = look(after, place)
    assert version == number
    assert {key: walked.get(key) for key in found} == found


def orders_and_victims(some: bool) -> list[tuple[tuple[int, ...], int]]:
    everything = list(itertools.product(itertools.permutations(range(3)), range(3)))
    return [((2, 0, 1), 1)] if some else everything


@pytest.mark.parametrize("how", ["commit", "vacuum"])
@pytest.mark.parametrize("some", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_killed_at_every_call(late, tmp_path, how, some):
    """A publication that ends at any call leaves values of versions, and the next one repairs."""
    for order, victim in orders_and_victims(some):
        last = 0
        while True:
            last += 1
            place = copied(late, tmp_path, f"{order}-{victim}-{last}")
            plain = LocalStore(str(place), durable=False)
            step, count = killing(last)
            for index in order:
                if index != victim:
                    reveal(late, index, plain)
                    continue
                try:
                    reveal(late, index, Looking(plain, step))
                except KilledError:
                    look(late, place)
            look(late, place)
            resume(late, place, how)
            shutil.rmtree(place)
            if count[0] < last:
                break


def test_the_late_end_of_a_writer_that_reveals_shows_nothing_old(late, tmp_path):
    """
    It ends at any call, long after others went on, with tables that they do not touch any more.

    Nobody repairs what it left, so it may leave nothing.
    """
    for last in itertools.count(1):
        place = copied(late, tmp_path, last)
        plain = LocalStore(str(place), durable=False)
        reveal(late, 2, plain)
        with Session() as s:
            ds = s.open_dataset(str(place), "r+", "d", durability="none")
            ds.create_dataframe("z").create_numeric("x", "int32").data.write([7])
        step, count = killing(last)
        with contextlib.suppress(KilledError):
            manifests.reveal(Looking(plain, step), *late.revealed[0])
        found = {**late.versions[4], ("z", "x"): [7]}
        version, walked = look(Late(late.folder, [], {**late.versions, 5: found}), place)
        assert version == 5
        assert {key: walked.get(key) for key in found} == found
        shutil.rmtree(place)
        if count[0] < last:
            break
    assert last > 3


class Turns:
    """Lets threads go on one step at a time, in an order that is chosen."""

    def __init__(self, choose: Callable[[Sequence[int]], int], between: Callable[[], None]) -> None:
        self._choose, self._between = choose, between
        self._changed = threading.Condition()
        self._waiting: set[int] = set()
        self._running: set[int] = set()
        self._chosen: int | None = None
        self.failed: BaseException | None = None

    def step(self, who: int) -> None:
        """Wait for the turn of that thread."""
        with self._changed:
            self._running.discard(who)
            self._waiting.add(who)
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._chosen == who, 60)
            self._chosen = None
            self._waiting.discard(who)
            self._running.add(who)

    def run(self, tasks: Sequence[Callable[[], None]]) -> None:
        """Run all, and look whenever all of them wait."""
        self._running = set(range(len(tasks)))
        threads = [threading.Thread(target=self._one, args=(n, t)) for n, t in enumerate(tasks)]
        for thread in threads:
            thread.start()
        while True:
            with self._changed:
                idle = lambda: self._chosen is None and not self._running
                assert self._changed.wait_for(idle, 60)
                if not self._waiting:
                    break
            self._between()
            with self._changed:
                self._chosen = self._choose(sorted(self._waiting))
                self._changed.notify_all()
        for thread in threads:
            thread.join()

    def _one(self, who: int, task: Callable[[], None]) -> None:
        try:
            task()
        except BaseException as error:  # noqa: BLE001
            self.failed = error
        with self._changed:
            self._running.discard(who)
            self._changed.notify_all()


def here(task: Callable[[Any], object], items: Any, threads: int) -> None:
    """`transfer.each` without a pool, whose only thread the first of three would hold."""
    for item in items:
        task(item)


def interleave(late: Late, place: Path, chance: random.Random) -> None:
    plain = LocalStore(str(place), durable=False)
    turns = Turns(chance.choice, lambda: look(late, place))
    stores = [Looking(plain, lambda n=n: turns.step(n)) for n in range(3)]
    turns.run([lambda n=n: reveal(late, n, stores[n]) for n in range(3)])
    assert turns.failed is None, turns.failed


@pytest.mark.parametrize("runs", [2, pytest.param(60, marks=pytest.mark.slow)])
def test_interleaved_at_every_call(late, tmp_path, monkeypatch, runs):
    """Three publications at a time, in random order of their calls: the same holds."""
    monkeypatch.setattr(concurrency, "each", here)
    for seed in range(runs):
        place = copied(late, tmp_path, seed)
        interleave(late, place, random.Random(seed))
        check_newest(late, place)
        resume(late, place, "commit" if seed % 2 else "vacuum")
        shutil.rmtree(place)
