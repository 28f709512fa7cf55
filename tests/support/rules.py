"""What a fault proxy does with a request, and rules that say so for every one."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "DROP",
    "LOSE",
    "PASS",
    "Action",
    "Exchange",
    "Fault",
    "Rule",
    "answer",
    "burst",
    "combined",
    "cut",
    "delay",
    "failing",
    "latency",
    "nth",
    "only",
    "stall",
    "truncate",
]

_GCS_LISTING = re.compile(r"/storage/v1/b/[^/]+/o/?")
_GCS_COPY = re.compile(r"/storage/v1/b/[^/]+/o/.*/(rewriteTo|copyTo)/b/")


class Fault(StrEnum):
    """What goes wrong with a request."""

    NONE = "none"
    ANSWER = "answer"
    """An error is the answer, and the server never sees the request."""
    DROP = "drop"
    """The connection ends, and the server never sees the request."""
    LOSE = "lose"
    """The server does what is asked, and the connection ends in place of the answer."""
    CUT = "cut"
    """The connection ends within the body of the answer."""
    TRUNCATE = "truncate"
    """The body of the answer is shorter, and the answer says that it is so long."""
    STALL = "stall"
    """The answer comes late, also what has been done already."""


@dataclass(frozen=True)
class Action:
    """
    What is done with one request.

    Parameters
    ----------
    fault
        What goes wrong.
    delay
        Seconds until the server sees the request, or something goes wrong.
    status, code, headers
        Those of an error.
    size
        How many bytes of the body go through.
    seconds
        How long the answer is held back.
    """

    fault: Fault = Fault.NONE
    delay: float = 0.0
    status: int = 0
    code: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    size: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        return str(self.fault)


PASS = Action()
DROP = Action(Fault.DROP)
LOSE = Action(Fault.LOSE)


def delay(seconds: float) -> Action:
    """Let it pass, but later."""
    return Action(delay=seconds)


def answer(status: int, code: str = "", *headers: tuple[str, str]) -> Action:
    """Answer with an error, as S3 (with another code than the usual one) or Google words it."""
    return Action(Fault.ANSWER, status=status, code=code, headers=headers)


def cut(size: int) -> Action:
    """End the connection after so many bytes of the answer's body."""
    return Action(Fault.CUT, size=size)


def truncate(size: int) -> Action:
    """Shorten the answer's body to so many bytes, in a way that HTTP does not notice."""
    return Action(Fault.TRUNCATE, size=size)


def stall(seconds: float) -> Action:
    """Have the server do it, and hold the answer back."""
    return Action(Fault.STALL, seconds=seconds)


@dataclass(slots=True)
class Exchange:
    """
    A request, and what became of it.

    Parameters
    ----------
    number
        Its place in the log; the first one is 1.
    verb
        As in HTTP.
    path
        Without its escapes.
    query
        As it came.
    headers
        Their names in lower case.
    started
        When the request had come, by `time.perf_counter`.
    ended
        When the answer had gone; None until then.
    status
        What the client was told; 0 where it was told nothing.
    sent
        Bytes of the request's body that went to the server.
    received
        Bytes of the answer's body that went to the client.
    action
        What was done with it.
    """

    number: int
    verb: str
    path: str
    query: str
    headers: Mapping[str, str]
    started: float
    ended: float | None = None
    status: int = 0
    sent: int = 0
    received: int = 0
    action: Action = PASS

    @property
    def kind(self) -> str:
        """The verb, but LIST for a listing of a bucket and COPY for a copy by the server."""
        match self.verb:
            case "GET" if "list-type=" in self.query or _GCS_LISTING.fullmatch(self.path):
                return "LIST"
            case "PUT" if "x-amz-copy-source" in self.headers:
                return "COPY"
            case "POST" if _GCS_COPY.match(self.path):
                return "COPY"
        return self.verb


class Rule(Protocol):
    """Says of each request what is done with it; called for one after another."""

    def __call__(self, request: Exchange, /) -> Action:
        """What is done with a request, of which nothing is known yet but what it asks."""
        ...


def latency(seconds: float) -> Rule:
    """Delay every request, each for itself."""
    action = delay(seconds)
    return lambda _: action


_KINDS = (answer(503), answer(500), answer(429), DROP, LOSE, cut(0))


def failing(
    rate: float,
    seed: int = 0,
    kinds: Sequence[Action] = _KINDS,
    in_a_row: int | None = None,
) -> Rule:
    """
    Have a part of the requests go wrong, by chance.

    Parameters
    ----------
    rate
        How large a part, from 0 to 1.
    seed
        Of the chance.
    kinds
        What may go wrong, each as often as the others; by default all that a client notices.
    in_a_row
        How often the same request, by verb, path and query, fails before it passes; without a
        limit it may fail for as long as it is repeated.
    """
    chance = random.Random(seed)
    failed: Counter[tuple[str, str, str]] = Counter()

    def rule(request: Exchange) -> Action:
        asked = (request.verb, request.path, request.query)
        if chance.random() >= rate or failed[asked] == in_a_row:
            failed.pop(asked, None)
            return PASS
        failed[asked] += 1
        return chance.choice(kinds)

    return rule


def nth(number: int, action: Action) -> Rule:
    """Do something with one of the requests that this rule is asked about; the first one is 1."""
    asked = 0

    def rule(_: Exchange) -> Action:
        nonlocal asked
        asked += 1
        return action if asked == number else PASS

    return rule


def burst(count: int, status: int = 503, *, after: int = 0) -> Rule:
    """Answer so many requests with an error, once others have passed."""
    asked, action = 0, answer(status)

    def rule(_: Exchange) -> Action:
        nonlocal asked
        asked += 1
        return action if after < asked <= after + count else PASS

    return rule


def only(rule: Rule, kind: str | None = None, path: str = "") -> Rule:
    """
    Ask a rule about some requests, and let the others pass.

    Parameters
    ----------
    rule
        The one to ask.
    kind
        As `Exchange.kind` has it.
    path
        A regular expression that is found in the path.
    """
    pattern = re.compile(path)

    def chosen(request: Exchange) -> Action:
        if (kind is None or request.kind == kind) and pattern.search(request.path):
            return rule(request)
        return PASS

    return chosen


def combined(*rules: Rule) -> Rule:
    """All the delays together, and the fault of the first rule that has one."""

    def rule(request: Exchange) -> Action:
        actions = [each(request) for each in rules]
        faulty = next((action for action in actions if action.fault != Fault.NONE), PASS)
        return replace(faulty, delay=sum(action.delay for action in actions))

    return rule
