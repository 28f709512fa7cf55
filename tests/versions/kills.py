"""Kill -9 a writer at every phase of every operation, and look at what it leaves behind.

`python tests/versions/kills.py --kills 200` prints a table of phases and outcomes, and exits with 1
if a dataset was not at exactly the version before or after.

This process opens no dataset itself, and so has no threads: it forks one child that is killed, and
one that looks.
"""

# ruff: noqa: T201, PTH123, BLE001, SIM118

from __future__ import annotations

import argparse
import json
import mmap
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb  # noqa: F401 - imported once, not in every child
import numpy as np
import pyarrow.csv  # noqa: F401
import zarr
from zarr.errors import ZarrUserWarning

from exetera_zarr import DatasetNotFoundError, Session, StorageError, import_csv
from exetera_zarr.io import Numeric, String
from exetera_zarr.storage.stores.base import Entry, ObjectStore
from exetera_zarr.storage.stores.local import LocalStore
from exetera_zarr.storage.stores.opening import wrapped_stores
from exetera_zarr.testing import WrapperStore

sys.path.insert(0, str(Path(__file__).parents[1]))  # it is a script as well
from support.plain_reader import values_of

State = dict[str, dict[str, list[Any]]]
States = dict[int, State]

ROWS = 150
REVEALING = ("upload", "array documents", "sync", "manifest", "group documents", "root")
"""From the first upload to the revealed root."""
PHASES = ("open", "read", *REVEALING, "sync again", "sweep documents", "sweep chunks", "orphans")


# -- the operations


def fill(table: Any, rows: int, first: int = 0) -> None:
    """Append rows, whose values tell their number, to the three fields of a table."""
    numbers = range(first, first + rows)
    table["n"].data.write(np.array([(7 * n) % 1000 for n in numbers]))
    table["f"].data.write(np.array([f"{n:04}" for n in numbers], "S4"))
    table["t"].data.write([f"ü{n}" * (n % 4) for n in numbers])


def new_table(dataset: Any, name: str, rows: int = ROWS) -> None:
    """A table with a numeric, a fixed and an indexed field."""
    table = dataset.create_dataframe(name, row_block=32)
    table.create_numeric("n", "int64")
    table.create_fixed_string("f", 4)
    table.create_indexed_string("t")
    fill(table, rows)


def build(url: str) -> None:
    """The dataset that most operations begin with: two tables, four versions, two kept."""
    with Session() as s:
        ds = s.open_dataset(url, "x", "d")
        ds.retain(2, 0.0)
        new_table(ds, "a")
        new_table(ds, "b")
        ds.commit()
        for table in ("a", "b", "a"):
            fill(ds[table], 10, 1000)
            ds.commit()
        for number in range(3):  # each is a pack
            fill(ds["b"], 2, 2000 + 2 * number)
            ds.commit()


class Unrevealing(WrapperStore):
    """A store on which nothing can be revealed."""

    def advance(self, key: str, *_: Any, **__: Any) -> bool:
        raise StorageError(key)


def build_unrevealed(url: str) -> None:
    """The same, with a newest version that other Zarr readers do not see."""
    build(url)
    with warnings.catch_warnings(), wrapped_stores(Unrevealing), Session() as s:
        warnings.simplefilter("ignore")
        fill(s.open_dataset(url, "r+", "d")["a"], 10, 2000)


def op_create(url: str) -> None:
    with Session() as s:
        new_table(s.open_dataset(url, "x", "d"), "a")


def op_reveal(url: str) -> None:
    with Session() as s:
        s.open_dataset(url, "r+", "d")


def op_write(ds: Any) -> None:
    ds["a"].create_numeric("more", "float32").data.write(np.arange(ROWS + 20))


def op_append(ds: Any) -> None:
    fill(ds["a"], 100, 5000)


def op_assign(ds: Any) -> None:
    ds["a"]["n"].data[20:90] = np.arange(70)
    ds["b"]["f"].data[3] = b"zz"


def op_filter(ds: Any) -> None:
    ds["a"].apply_filter(np.arange(ROWS + 20) % 3 == 1)


def op_sort(ds: Any) -> None:
    ds["a"].sort_values(by="n")


def op_rename(ds: Any) -> None:
    ds["a"].rename({"n": "t", "t": "n"})
    ds["c"] = ds["b"]


def op_delete(ds: Any) -> None:
    del ds["a"]["t"]
    del ds["b"]


def rows(numbers: Any) -> dict[str, Any]:
    """Rows that tell their number."""
    return {
        "n": [n % 1000 + 100_000 for n in numbers],
        "f": [f"{n:04}" for n in numbers],
        "t": [f"ü{n}" for n in numbers],
    }


def op_pack(ds: Any) -> None:
    """With which the packs before become one."""
    ds["b"].append(rows(range(3000, 3002)))


def op_upsert(ds: Any) -> None:
    """Of which some rows are in packs, and some are new."""
    keys = [f"{n:04}" for n in (1, 140, 2000, 2005, 4000, 4001)]
    ds["b"].delete(list(range(150, 160)))  # whose keys others have as well
    ds["b"].upsert({**rows(range(6)), "f": keys}, "f")


def op_delete_rows(ds: Any) -> None:
    ds["b"].delete([0, 70, 160, 165])


def op_columns(ds: Any) -> None:
    """One is added, one renamed and one dropped, and all are appended to."""
    ds["b"].create_numeric("more", "float32").data.write(np.arange(ROWS + 16))
    ds["b"].rename("n", "number")
    del ds["b"]["t"]
    ds["b"].append({"number": [7, 8], "f": ["x", "y"], "more": [0.5, 1.5]})


def op_compact(ds: Any) -> None:
    ds.compact()


def op_import(ds: Any) -> None:
    text = "x,y\n" + "".join(f"{n},é{n}\n" for n in range(500))
    path = Path(tempfile.gettempdir()) / f"kills-{os.getpid()}.csv"
    path.write_text(text, encoding="utf-8")
    schema = {"x": Numeric("int32"), "y": String()}
    import_csv(ds, "new", path, schema, timestamp="2020-02-02")
    path.unlink()


def op_commit(ds: Any) -> None:
    op_append(ds)
    op_assign(ds)
    new_table(ds, "c")
    ds.commit()


def op_vacuum(ds: Any) -> None:
    ds.storage.vacuum(1, 0.0, orphans_older_than=-1.0)


def op_purge(ds: Any) -> None:
    ds.purge("a", rows=np.arange(ROWS + 20) % 5 == 0)


def op_tag(ds: Any) -> None:
    op_append(ds)
    ds.tag("freeze")


def op_restore(ds: Any) -> None:
    ds.restore(ds.version - 1)


def op_erase(ds: Any) -> None:
    """From all versions, which are kept."""
    ds.purge(key="f", values=["0003", "0040", "2000"], versions="rewrite")


def over(change: Callable[[Any], None]) -> Callable[[str], None]:
    """An operation on an open dataset, from opening to closing it."""

    def operation(url: str) -> None:
        with Session() as s:
            change(s.open_dataset(url, "r+", "d"))

    return operation


OPERATIONS: dict[str, Callable[[str], None]] = {
    "create": op_create,
    "reveal": op_reveal,
    **{
        change.__name__.removeprefix("op_"): over(change)
        for change in (
            *(op_write, op_append, op_assign, op_filter, op_sort, op_rename, op_delete),
            *(op_pack, op_upsert, op_delete_rows, op_columns, op_compact),
            *(op_import, op_commit, op_vacuum, op_purge),
            *(op_tag, op_restore, op_erase),
        )
    },
}


# -- where a writer is, and where it dies


class Notes:
    """What a process was doing last, in memory that outlives it."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 4096)

    def write(self, **facts: Any) -> None:
        text = json.dumps(facts).encode()
        self._memory[: len(text) + 1] = text + b"\n"

    def read(self) -> dict[str, Any]:
        text = bytes(self._memory[:]).partition(b"\n")[0]
        try:
            found: dict[str, Any] = json.loads(text)
        except ValueError:  # it is being written
            return {"call": 0}
        return found

    def clear(self) -> None:
        self._memory[:] = bytes(4096)


class Plan:
    """
    A process's calls, counted, and the one at which it ends.

    Parameters
    ----------
    notes
        Where they are noted.
    last
        Number of the call at which it ends, from 1; 0 for none.
    how
        ``before``, ``half`` of the bytes written, ``after``, or ``outside``: by somebody else.
    """

    def __init__(self, notes: Notes, last: int = 0, how: str = "") -> None:
        self._notes, self._last, self._how = notes, last, how
        self._lock = threading.Lock()
        self._committed = False
        self.calls: list[tuple[str, str]] = []
        if how == "half":
            LocalStore._write = lambda *given: self._half(*given)
        self._writing = threading.local()

    def phase(self, verb: str, key: str) -> str:
        """What a call belongs to, in the words of the table."""
        chunk = "/c/" in key
        done = self._committed
        match verb:
            case "put" | "copy":
                if key.startswith("__exetera__/clock"):
                    return "orphans"
                return "upload" if chunk else "array documents"
            case "delete":
                return "sweep chunks" if chunk else "sweep documents"
            case "sync":
                return "sync again" if done else "sync"
            case "create":
                return "manifest"
            case "advance":
                return "root" if key == "zarr.json" else "group documents"
            case "everything":
                return "orphans"
            case _:
                return "read" if done or chunk else "open"

    def call(self, verb: str, key: str, action: Callable[[], Any]) -> Any:
        """Make a call, if this is not the end."""
        with self._lock:
            phase = self.phase(verb, key)
            self.calls.append((phase, verb))
            number = len(self.calls)
            self._notes.write(call=number, phase=phase, verb=verb, key=key)
            self._writing.last = number == self._last
            if number == self._last and self._how == "before":
                die()
        result = action()
        self._committed |= verb == "create" and not key.endswith("/9999999999.json")
        if number == self._last and self._how in ("after", "half"):
            die()
        return result

    def _half(self, store: LocalStore, path: str, data: bytes) -> None:
        """Write a file, or only half of it, and end."""
        store._folder_of(path)
        last = getattr(self._writing, "last", False)
        Path(path).unlink(missing_ok=True)  # which the draft has written, and writes again
        with open(path, "xb") as file:
            file.write(data[: len(data) // 2] if last else data)
        if last:
            die()


def die() -> None:
    """End at once."""
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)  # the signal comes meanwhile


class Noting(WrapperStore):
    """A store whose calls are part of a plan."""

    def __init__(self, store: ObjectStore, plan: Plan) -> None:
        super().__init__(store)
        self._plan = plan

    def get(self, key: str) -> bytes:
        found: bytes = self._plan.call("get", key, lambda: self.store.get(key))
        return found

    def put(self, key: str, data: bytes) -> None:
        self._plan.call("put", key, lambda: self.store.put(key, data))

    def create(self, key: str, data: bytes) -> bool:
        return bool(self._plan.call("create", key, lambda: self.store.create(key, data)))

    def copy(self, source: str, target: str) -> None:
        self._plan.call("copy", target, lambda: self.store.copy(source, target))

    def first(self, prefix: str) -> str | None:
        found: str | None = self._plan.call("list", prefix, lambda: self.store.first(prefix))
        return found

    def list(self, prefix: str) -> Iterator[str]:
        return iter(self._plan.call("list", prefix, lambda: list(self.store.list(prefix))))

    def advance(
        self,
        key: str,
        data: bytes,
        wanted: Callable[[bytes | None], bool],
        expected: bytes | None = None,
    ) -> bool:
        action = lambda: self.store.advance(key, data, wanted, expected)
        return bool(self._plan.call("advance", key, action))

    def everything(self, prefix: str) -> Iterator[Entry]:
        action = lambda: list(self.store.everything(prefix))
        return iter(self._plan.call("everything", prefix, action))

    def delete(self, key: str) -> None:
        self._plan.call("delete", key, lambda: self.store.delete(key))

    def sync(self) -> None:
        self._plan.call("sync", "", self.store.sync)


def start(task: Callable[[], Any]) -> tuple[int, int]:
    """Run a task in a child; its process id, and a pipe on which the outcome comes."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    try:
        os.close(reading)
        try:
            reply = {"result": task()}
        except BaseException:
            reply = {"error": traceback.format_exc()}
        with os.fdopen(writing, "w") as pipe:
            json.dump(reply, pipe)
    finally:
        os._exit(0)


def outcome(child: int, reading: int) -> dict[str, Any]:
    """What a child said; nothing if it was killed."""
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    found: dict[str, Any] = json.loads(text) if text else {}
    return found


def ask(task: Callable[[], Any]) -> Any:
    """The result of a task that has to succeed, made in a child."""
    reply = outcome(*start(task))
    if "result" not in reply:
        raise RuntimeError(reply.get("error", "it died"))
    return reply["result"]


def operate(name: str, url: str, plan: Plan) -> list[tuple[str, str]]:
    """Do an operation by a plan; the phases and verbs of its calls."""
    with wrapped_stores(lambda store: Noting(store, plan)):
        OPERATIONS[name](url)
    return plan.calls


# -- looking


def state(dataset: Any) -> State:
    """Every value of a dataset, as JSON has it."""
    return {
        name: {field: plain(table[field].data[:]) for field in table.keys()}
        for name, table in dataset.items()
    }


def plain(values: Any) -> list[Any]:
    """Values as JSON has them."""
    items = values.tolist() if isinstance(values, np.ndarray) else list(values)
    return [item.decode() if isinstance(item, bytes) else item for item in items]


def versions(url: str) -> States:
    """Every version that can be opened."""
    found = {}
    with Session() as s:
        numbers = [c.version for c in s.open_dataset(url, "r", "d").history() if c.kept]
        for number in numbers:
            found[number] = state(s.open_dataset(url, "r", f"v{number}", version=number))
    return found


def look_with_zarr(url: str, states: States) -> int:
    """The version that unmodified zarr reads, each value checked; -1 where there is none yet."""
    if not Path(url, "zarr.json").exists():
        return -1
    root = zarr.open_group(url, mode="r", zarr_format=3)
    assert root.metadata.consolidated_metadata is not None
    version = int(root.attrs["exetera"]["version"])
    found = {
        table.attrs["name"]: {f.attrs["name"]: values_of(table, f) for _, f in table.groups()}
        for _, table in root.groups()
    }
    assert found == states[version], f"zarr, version {version}: {found}"
    return version


def look_at_folders(url: str, states: States) -> int:
    """Without consolidated metadata, every field is that of some version; how many there are."""
    if not Path(url, "zarr.json").exists():
        return 0
    fields = 0
    root = zarr.open_group(url, mode="r", zarr_format=3, use_consolidated=False)
    for _, table in root.groups():
        if "name" not in table.attrs:
            continue
        for _, group in table.groups():
            table_name, name = table.attrs["name"], group.attrs["name"]
            # What packs there are is in the document of the table, and where a field begins to go
            # on in them in its own: of two versions they give rows of both, one after the other.
            packed = any(Path(url, table.path).glob("__pack-*"))
            try:
                values = values_of(table, group)
            except KeyError:  # an array of a field that is being removed
                continue
            except ValueError:  # the field goes on behind a pack that the table does not have yet
                assert packed
                continue
            known = [s[table_name][name] for s in states.values() if name in s.get(table_name, {})]
            # A table that was renamed shares no path with what it was.
            if not packed:
                assert values in known, f"{table_name}.{name}: {values}"
            else:
                starts = [one[: len(values)] for one in known]
                assert values in starts, f"{table_name}.{name}: {values}"
            fields += 1
    return fields


def look(name: str, url: str, states: States, before: int, after: int) -> dict[str, Any]:
    """Check what a killed operation left, then go on with it."""
    try:
        with Session() as s:
            ds = s.open_dataset(url, "r", "d")
            version = ds.version
            assert before <= version <= after, f"version {version}, not {before} or {after}"
            assert state(ds) == states[version], f"values of version {version}: {state(ds)}"
    except DatasetNotFoundError:
        assert name == "create"
        version = -1
    shown = look_with_zarr(url, states)
    assert version == -1 or shown <= version
    look_at_folders(url, states)
    go_on(url, states, version)
    return {"version": version, "zarr": shown}


def go_on(url: str, states: States, version: int) -> None:
    """Open for writing, verify, commit once more, verify, vacuum, verify."""
    with Session() as s:
        ds = s.open_dataset(url, "a", "d")
        assert ds.version == max(version, 0)
        assert state(ds) == states[ds.version]
        if version >= 0:
            ds.verify()
            assert look_with_zarr(url, states) == version
        new_table(ds, "later")
        number = ds.commit()
        expected = dict(states) | {number: {**states[max(version, 0)], "later": ds_later(ds)}}
        ds.verify()
        assert look_with_zarr(url, expected) == number == max(version, 0) + 1
        ds.storage.vacuum(1, 0.0, orphans_older_than=-1.0)
        ds.verify()
        expected[ds.version] = expected[number]
        assert state(ds) == expected[number]
        assert look_with_zarr(url, expected) == ds.version
        assert look_at_folders(url, {0: expected[number]}) == sum(map(len, ds.values()))
    left = [path for path in Path(url).rglob(".tmp-*") if path.is_file()]
    assert not left, left


def ds_later(dataset: Any) -> dict[str, list[Any]]:
    """What the table of the following commit has."""
    return state(dataset)["later"]


# -- all of it


class Case:
    """
    An operation, measured.

    Parameters
    ----------
    name
        Of the operation.
    folder
        For its datasets.
    notes
        Shared with the children.
    """

    def __init__(self, name: str, folder: Path, notes: Notes) -> None:
        self.name, self._folder, self._notes = name, folder, notes
        self._origin = folder / f"{name}.zarr"
        origin = str(self._origin)
        self.states: States = {0: {}}
        if name != "create":
            ask(lambda: (build_unrevealed if name == "reveal" else build)(origin))
            self._remember(origin)
        self.before = max(self.states)
        url = self.place()
        begun = time.monotonic()
        self.calls: list[tuple[str, str]] = ask(lambda: operate(name, url, Plan(notes)))
        self.pause = (time.monotonic() - begun) / len(self.calls)
        self._remember(url)
        self.after = max(self.states)
        # A purge commits, and then once more to let the versions before go: the same values.
        for number in range(self.before + 1, self.after):
            self.states[number] = self.states[self.after]
        shutil.rmtree(url)

    def _remember(self, url: str) -> None:
        # What is erased is gone from the versions before as well; whoever is killed may have them.
        self.states = {int(n): s for n, s in ask(lambda: versions(url)).items()} | self.states

    def place(self) -> str:
        """A dataset to begin with."""
        place = self._folder / f"{self.name}-{time.monotonic_ns()}.zarr"
        if self._origin.exists():
            shutil.copytree(self._origin, place)
        return str(place)

    def cells(self) -> dict[str, list[int]]:
        """Numbers of the calls of each phase."""
        found: dict[str, list[int]] = {}
        for number, (phase, _) in enumerate(self.calls, 1):
            found.setdefault(phase, []).append(number)
        return found

    def kill(self, last: int, how: str, chance: random.Random) -> dict[str, Any] | None:
        """Kill it at a call, and look; None if it had ended before."""
        url = self.place()
        self._notes.clear()
        child, reading = start(lambda: operate(self.name, url, Plan(self._notes, last, how)))
        if how == "outside":
            self._strike(child, last, chance)
        said = outcome(child, reading)
        if said:
            if "error" in said:
                raise RuntimeError(said["error"])
            shutil.rmtree(url)
            return None
        notes = self._notes.read()
        looked = outcome(*start(lambda: look(self.name, url, self.states, self.before, self.after)))
        if "result" in looked:
            shutil.rmtree(url, ignore_errors=True)
        return {**notes, "how": how, "place": url, **looked}

    def _strike(self, child: int, last: int, chance: random.Random) -> None:
        """Kill a child some time after it has come to a call."""
        patience = time.monotonic() + 20
        while self._notes.read().get("call", 0) < last and time.monotonic() < patience:
            if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                return
            time.sleep(0)
        time.sleep(chance.random() * self.pause)  # anywhere within the call
        os.kill(child, signal.SIGKILL)


def run(kills: int, seed: int, folder: Path) -> list[dict[str, Any]]:
    """All kills, spread evenly over the phases of the operations."""
    warnings.simplefilter("ignore", ZarrUserWarning)  # the folder of the manifests is no group
    chance = random.Random(seed)
    notes = Notes()
    cases = [Case(name, folder, notes) for name in OPERATIONS]
    cells = [(case, calls) for case in cases for calls in case.cells().values()]
    found: list[dict[str, Any]] = []
    ways = ("before", "half", "after", "outside")
    tries = 0
    while len(found) < kills and tries < 4 * kills + 100:
        if tries % len(cells) == 0:
            chance.shuffle(cells)
        case, calls = cells[tries % len(cells)]
        result = case.kill(chance.choice(calls), ways[tries % 4], chance)
        tries += 1
        if result is not None:
            version = result.get("result", {}).get("version")
            label = "after" if version is not None and version > case.before else "before"
            result["outcome"] = "WRONG" if version is None else label
            found.append({"operation": case.name, **result})
    return found


def report(found: list[dict[str, Any]]) -> None:
    """Print where the kills hit, and what came of them."""
    count = Counter((f["operation"], f["phase"]) for f in found)
    used = [p for p in PHASES if any(f["phase"] == p for f in found)]
    print(f"{'kills at':10}" + "".join(f"{p:>16}" for p in used) + f"{'all':>6}")
    for name in OPERATIONS:
        row = [count[name, phase] for phase in used]
        print(f"{name:10}" + "".join(f"{n or '':>16}" for n in row) + f"{sum(row):>6}")
    for label in ("before", "after", "WRONG"):
        row = [sum(f["phase"] == p and f["outcome"] == label for f in found) for p in used]
        print(f"{'= ' + label:10}" + "".join(f"{n or '':>16}" for n in row) + f"{sum(row):>6}")
    print("how:", dict(Counter(f["how"] for f in found)))
    between = sum(f["phase"] in REVEALING for f in found)
    print(f"{len(found)} kills, {between} between the first upload and the revealed root")
    for f in found:
        if f["outcome"] == "WRONG":
            print(f"\nWRONG: {f['operation']}, {f['how']} {f['verb']} {f['key']}, {f['place']}")
            print(f.get("error"))


def main() -> int:
    """Kill, and print; 1 if something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="what went wrong is left here")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="kills-", dir=arguments.folder))
    begun = time.monotonic()
    found = run(arguments.kills, arguments.seed, folder)
    report(found)
    print(f"{time.monotonic() - begun:.0f} s")
    wrong = len(found) < arguments.kills or any(f["outcome"] == "WRONG" for f in found)
    if not wrong:
        shutil.rmtree(folder)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
