"""The commit protocol as a model, explored exhaustively: every interleaving, with crashes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import pytest

TABLES = ("a", "b")


class Object(NamedTuple):
    """What is in the store: a path, and the batches of rows that are there, in order."""

    path: str
    batches: tuple[str, ...]
    pack: bool = False


class Manifest(NamedTuple):
    """
    A version: the objects that each table is, and the oldest version that is kept with it.

    Of each table it has the version since which rows were appended, and nothing else was changed.
    """

    tables: tuple[tuple[Object, ...], ...]
    oldest: int
    since: tuple[int, ...]

    def batches(self, column: int) -> tuple[str, ...]:
        """What is in a table."""
        return tuple(batch for one in self.tables[column] for batch in one.batches)


class Writer(NamedTuple):
    """
    A process that does something to one table, or, with none, expires all versions and sweeps.

    ``change`` writes all of the table anew, with a batch of its own at the end; ``append`` has that
    batch alone in a pack, or in one with the pack before; ``compact`` has what is there in one
    object. A writer that was not the fastest makes another pack, without the one before.
    """

    name: str
    table: str | None
    verb: str = "change"
    step: str = "start"
    base: int = -1
    version: int = -1
    met: bool = False
    made: Object | None = None
    doomed: frozenset[str] = frozenset()

    @property
    def column(self) -> int:
        """Number of its table."""
        return TABLES.index(self.table or "")


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
    join_when_alone: bool = True
    only_appends_go_beside: bool = True


def reach(state: State, version: int) -> frozenset[str]:
    return frozenset(one.path for table in state.manifests[version].tables for one in table)


def start(*writers: tuple[str, str] | None) -> State:
    """A version of two tables, each of which has a segment and a pack."""
    tables = tuple(
        (Object(f"{name}0", (f"{name}0",)), Object(f"{name}1", (f"{name}1",), pack=True))
        for name in TABLES
    )
    first = Manifest(tables, 0, (0,) * len(TABLES))
    paths = frozenset(one.path for table in tables for one in table)
    made = tuple(
        Writer(f"w{number}", *(one or (None, "sweep"))) for number, one in enumerate(writers)
    )
    return State((first,), paths, 0, made)


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
            made = content(state, writer, rules) if writer.table else None
            paths = {made.path} if made else set()
            after = state._replace(objects=state.objects | paths)
            yield after, writer._replace(step="commit", made=made)
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


def joins(state: State, writer: Writer, rules: Rules) -> bool:
    """Whether what is appended goes into one pack with the last one of the base."""
    last = state.manifests[writer.base].tables[writer.column][-1]
    return last.pack and not (writer.met and rules.join_when_alone)


def content(state: State, writer: Writer, rules: Rules) -> Object:
    """What it uploads, to a path that nobody else writes."""
    base = state.manifests[writer.base]
    path = f"{writer.table}-{writer.name}{'-again' if writer.met else ''}"
    match writer.verb:
        case "append":
            before = base.tables[writer.column][-1].batches if joins(state, writer, rules) else ()
            return Object(path, (*before, writer.name), pack=True)
        case "compact":
            return Object(path, base.batches(writer.column))
        case _:
            return Object(path, (*base.batches(writer.column), writer.name))


def commit(state: State, writer: Writer, rules: Rules) -> tuple[State, Writer]:
    """Write the manifest after the base, or find out that somebody was faster."""
    newest = len(state.manifests) - 1
    before = state.manifests[writer.base]
    if writer.base < newest and rules.create_if_absent:
        return meet(state, writer, rules)
    tables, since, oldest = list(before.tables), list(before.since), before.oldest
    number = len(state.manifests)
    if writer.made is None:
        oldest = number
    else:
        there = tables[writer.column]
        if writer.verb == "append":
            kept = there[:-1] if joins(state, writer, rules) else there
            tables[writer.column] = (*kept, writer.made)
        else:
            tables[writer.column] = (writer.made,)
            since[writer.column] = number
    made = Manifest(tuple(tables), oldest, tuple(since))
    after = state._replace(manifests=(*state.manifests, made))
    step = "reveal" if rules.reveal_before_sweep or writer.table else "sweep"
    return after, writer._replace(step=step, version=number)


def meet(state: State, writer: Writer, rules: Rules) -> tuple[State, Writer]:
    """Go over the newest version, unless that may lose something."""
    newest = len(state.manifests) - 1
    before, now = state.manifests[writer.base], state.manifests[newest]
    if writer.table and before.tables[writer.column] != now.tables[writer.column]:
        appends = writer.verb == "append" or not rules.only_appends_go_beside
        if not appends or now.since[writer.column] > writer.base:
            return state, writer._replace(step="conflict")
    # What was made of the table as it was is made again, if it is no more than what was appended.
    again = writer.verb == "append" and rules.join_when_alone
    return state, writer._replace(base=newest, met=True, step="upload" if again else "commit")


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
    for column in range(len(TABLES)):
        rows = [manifest.batches(column) for manifest in state.manifests]
        for earlier, later in zip(rows, rows[1:], strict=False):
            if later[: len(earlier)] != earlier or len(set(later)) < len(later):
                return f"rows were lost, or are there twice: {earlier}, then {later}"
    for writer in state.writers:
        if writer.made is not None and writer.version >= 0:
            there = state.manifests[writer.version].batches(writer.column)
            if not set(writer.made.batches) <= set(there):
                return f"{writer.name}'s acknowledged batch is not there"
    reader = state.reader
    if reader.version >= 0 and reader.version >= state.manifests[newest].oldest:
        tables = state.manifests[reader.version].tables[: reader.read]
        if not {one.path for table in tables for one in table} <= state.objects:
            return "a reader of a kept version misses an object"
    return None


def reached(first: State, rules: Rules) -> Iterator[State]:
    """Every state that can be reached."""
    found = {first}
    waiting = deque([first])
    while waiting:
        state = waiting.popleft()
        yield state
        for after in successors(state, rules):
            if after not in found:
                found.add(after)
                waiting.append(after)


def explore(first: State, rules: Rules) -> tuple[int, str | None]:
    """How many states can be reached, and the first thing that is broken in one."""
    count = 0
    for state in reached(first, rules):
        count += 1
        said = broken(state)
        if said is not None:
            return count, said
    return count, None


A, B = ("a", "change"), ("b", "change")
APPEND, COMPACT = ("a", "append"), ("a", "compact")
SCENARIOS = {
    "two tables": (A, B),
    "one table": (A, A),
    "two tables and a sweeper": (A, B, None),
    "one table and a sweeper": (A, A, None),
    "two sweepers": (A, None, None),
    "two appends": (APPEND, APPEND),
    "two appends and a change": (APPEND, APPEND, A),
    "three appends": (APPEND, APPEND, APPEND),
    "two appends and a sweeper": (APPEND, APPEND, None),
    "an append, a compaction and a sweeper": (APPEND, COMPACT, None),
    "an append, a compaction and a change": (APPEND, COMPACT, A),
    "two appends and another table": (APPEND, APPEND, B),
}
LONG = ("three appends", "an append, a compaction and a change", "two appends and another table")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in LONG else ()) for name in SCENARIOS],
)
def test_every_interleaving_is_sound(name):
    """Acknowledged stays, the newest and the revealed version are whole, readers miss nothing."""
    states, said = explore(start(*SCENARIOS[name]), Rules())
    assert said is None
    assert states > 100


@pytest.mark.parametrize(
    ("rules", "name"),
    [
        (Rules(create_if_absent=False), "one table"),
        (Rules(create_if_absent=False), "two appends"),
        (Rules(root_only_forward=False), "two tables and a sweeper"),
        (Rules(reveal_before_sweep=False), "two tables and a sweeper"),
        (Rules(reveal_before_sweep=False), "an append, a compaction and a sweeper"),
        (Rules(join_when_alone=False), "two appends"),
        (Rules(only_appends_go_beside=False), "two appends and a change"),
        (Rules(only_appends_go_beside=False), "an append, a compaction and a sweeper"),
    ],
)
def test_the_model_notices_a_wrong_protocol(rules, name):
    """Without any one of its rules the same search finds a loss: the model can fail."""
    assert explore(start(*SCENARIOS[name]), rules)[1] is not None


@pytest.mark.parametrize(
    "name", ["two appends", pytest.param("three appends", marks=pytest.mark.slow)]
)
def test_appends_are_no_conflicts(name):
    """However they fall: where nobody crashes, all batches are there in the end, after the rest."""
    for state in reached(start(*SCENARIOS[name]), Rules()):
        assert not any(writer.step == "conflict" for writer in state.writers)
        if all(writer.step == "done" for writer in state.writers):
            batches = state.manifests[-1].batches(0)
            assert batches[:2] == ("a0", "a1")
            assert sorted(batches[2:]) == [writer.name for writer in state.writers]
