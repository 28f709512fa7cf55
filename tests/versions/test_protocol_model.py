"""The commit protocol as a model, explored exhaustively: every interleaving, with crashes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import pytest

TABLES = ("a", "b")


class Manifest(NamedTuple):
    """A version: the object that each table is, and the oldest version that is kept with it."""

    tables: tuple[str, ...]
    oldest: int


class Writer(NamedTuple):
    """A process that changes one table, or, with none, expires all versions and sweeps."""

    name: str
    table: str | None
    step: str = "start"
    base: int = -1
    version: int = -1
    doomed: frozenset[str] = frozenset()


class Reader(NamedTuple):
    """One of ours: opens the newest version, then reads its tables one after the other."""

    version: int = -1
    read: int = 0


class State(NamedTuple):
    manifests: tuple[Manifest, ...]
    objects: frozenset[str]
    root: int
    writers: tuple[Writer, ...]
    reader: Reader = Reader()


@dataclass(frozen=True)
class Rules:
    """The protocol, or a variation that is wrong in one point."""

    create_if_absent: bool = True
    root_only_forward: bool = True
    reveal_before_sweep: bool = True


def reach(state: State, version: int) -> frozenset[str]:
    return frozenset(state.manifests[version].tables)


def start(*tables: str | None) -> State:
    first = tuple(f"{table}0" for table in TABLES)
    writers = tuple(Writer(f"w{number}", table) for number, table in enumerate(tables))
    return State((Manifest(first, 0),), frozenset(first), 0, writers)


# -- what can happen next


def successors(state: State, rules: Rules) -> Iterator[State]:
    for number, writer in enumerate(state.writers):
        if writer.step in ("done", "crashed", "conflict"):
            continue
        for after, changed in advance(state, writer, rules):
            yield after._replace(
                writers=(*state.writers[:number], changed, *state.writers[number + 1 :])
            )
        yield state._replace(
            writers=(
                *state.writers[:number],
                writer._replace(step="crashed"),
                *state.writers[number + 1 :],
            ),
        )
    reader = state.reader
    newest = len(state.manifests) - 1
    if reader.version < 0:
        yield state._replace(reader=Reader(newest))
    elif reader.read < len(TABLES):
        yield state._replace(reader=reader._replace(read=reader.read + 1))


def advance(state: State, writer: Writer, rules: Rules) -> Iterator[tuple[State, Writer]]:
    """The next step of a writer; each is one request."""
    newest = len(state.manifests) - 1
    match writer.step:
        case "start":
            yield state, writer._replace(step="upload", base=newest)
        case "upload":
            made = {path_of(writer)} if writer.table else set()
            yield state._replace(objects=state.objects | made), writer._replace(step="commit")
        case "commit":
            yield commit(state, writer, rules)
        case "reveal":
            forward = writer.version > state.root or not rules.root_only_forward
            after = state._replace(root=writer.version) if forward else state
            yield after, writer._replace(step="sweep")
        case "sweep":
            yield sweep(state, writer, rules)
        case "delete":
            victim = min(writer.doomed)
            left = writer.doomed - {victim}
            step = "delete" if left else "done"
            if not rules.reveal_before_sweep and not left:
                step = "reveal"
            yield (
                state._replace(objects=state.objects - {victim}),
                writer._replace(doomed=left, step=step),
            )


def path_of(writer: Writer) -> str:
    """A path that nobody else writes."""
    return f"{writer.table}-{writer.name}"


def commit(state: State, writer: Writer, rules: Rules) -> tuple[State, Writer]:
    """Write the manifest after the base, or find out that somebody was faster."""
    newest = len(state.manifests) - 1
    if writer.base < newest and rules.create_if_absent:
        before, now = state.manifests[writer.base].tables, state.manifests[newest].tables
        mine = TABLES.index(writer.table) if writer.table else None
        if mine is not None and before[mine] != now[mine]:
            return state, writer._replace(step="conflict")
        return state, writer._replace(base=newest)
    tables = list(state.manifests[writer.base].tables)
    oldest = state.manifests[writer.base].oldest
    number = len(state.manifests)
    if writer.table:
        tables[TABLES.index(writer.table)] = path_of(writer)
    else:
        oldest = number
    after = state._replace(manifests=(*state.manifests, Manifest(tuple(tables), oldest)))
    step = "reveal" if rules.reveal_before_sweep or writer.table else "sweep"
    return after, writer._replace(step=step, version=number)


def sweep(state: State, writer: Writer, rules: Rules) -> tuple[State, Writer]:
    """Choose what only expired versions reach; nothing while the root is one of these."""
    oldest = state.manifests[writer.version].oldest
    safe = state.root >= oldest or not rules.reveal_before_sweep
    if writer.table or not safe:
        return state, writer._replace(step="done")
    live: frozenset[str] = frozenset()
    for version in range(oldest, writer.version + 1):
        live |= reach(state, version)
    dead: frozenset[str] = frozenset()
    for version in range(oldest):
        dead |= reach(state, version)
    doomed = (dead - live) & state.objects
    following = "done" if rules.reveal_before_sweep else "reveal"
    return state, writer._replace(doomed=doomed, step="delete" if doomed else following)


# -- what must hold in every state


def broken(state: State) -> str | None:
    newest = len(state.manifests) - 1
    if not reach(state, newest) <= state.objects:
        return "the newest version reaches an object that is gone"
    if not reach(state, state.root) <= state.objects:
        return "another Zarr reader would take zeros for values"
    for writer in state.writers:
        if writer.table and writer.version >= 0 and writer.step != "conflict":
            column = TABLES.index(writer.table)
            mine = state.manifests[writer.version].tables[column]
            later = [m.tables[column] for m in state.manifests[writer.version :]]
            # What follows is ours, or was made by somebody who had seen ours.
            for before, after in zip(later, later[1:], strict=False):
                if before == mine and after != mine and not seen(state, after, writer.version):
                    return f"{writer.name}'s acknowledged change was lost"
    reader = state.reader
    if reader.version >= 0 and reader.version >= state.manifests[newest].oldest:
        wanted = state.manifests[reader.version].tables[: reader.read]
        if not frozenset(wanted) <= state.objects:
            return "a reader of a kept version misses an object"
    return None


def seen(state: State, made: str, version: int) -> bool:
    """Whether the writer of an object had started from that version or a later one."""
    return any(made.endswith(f"-{w.name}") and w.base >= version for w in state.writers)


def explore(first: State, rules: Rules) -> tuple[int, str | None]:
    """Every state that can be reached; how many, and the first thing that is broken."""
    found = {first}
    waiting = deque([first])
    while waiting:
        state = waiting.popleft()
        said = broken(state)
        if said is not None:
            return len(found), said
        for after in successors(state, rules):
            if after not in found:
                found.add(after)
                waiting.append(after)
    return len(found), None


SCENARIOS = {
    "two tables": ("a", "b"),
    "one table": ("a", "a"),
    "two tables and a sweeper": ("a", "b", None),
    "one table and a sweeper": ("a", "a", None),
    "two sweepers": ("a", None, None),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_interleaving_is_sound(name):
    """Acknowledged stays, the newest and the revealed version are whole, readers miss nothing."""
    states, said = explore(start(*SCENARIOS[name]), Rules())
    assert said is None
    assert states > 100


@pytest.mark.parametrize(
    ("rules", "name"),
    [
        (Rules(create_if_absent=False), "one table"),
        (Rules(root_only_forward=False), "two tables and a sweeper"),
        (Rules(reveal_before_sweep=False), "two tables and a sweeper"),
    ],
)
def test_the_model_notices_a_wrong_protocol(rules, name):
    """Without any one of its rules the same search finds a loss: the model can fail."""
    assert explore(start(*SCENARIOS[name]), rules)[1] is not None
