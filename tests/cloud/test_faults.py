"""A bucket that is slow, busy, or loses its replies: right data or an error, and nothing lost."""

from __future__ import annotations

import os
import time
import warnings
from collections import Counter

import aiohttp
import pytest

from exetera_zarr import CommitStateUnknownError, CorruptDataError, Session, StorageError
from exetera_zarr.storage.keys import MANIFESTS
from exetera_zarr.storage.remote import requests
from support.rules import (
    DROP,
    LOSE,
    PASS,
    Fault,
    answer,
    burst,
    cut,
    failing,
    nth,
    only,
    stall,
    truncate,
)
from support.study import ROWS, STEPS, create, extend, read

NOTICED = (answer(503), answer(500), answer(502), answer(429), DROP, LOSE, cut(0), cut(20))


def faults(bucket) -> int:
    """How many requests have gone wrong."""
    return sum(exchange.action.fault != Fault.NONE for exchange in bucket.proxy.log)


def rounds(bucket, seed, rate, wanted):
    """Write, change and read until that many requests were made; how many of them went wrong."""
    made = wrong = number = 0
    while made < wanted:
        number += 1
        url = bucket.url(f"{seed}-{number}.zarr")
        bucket.proxy.rule = failing(rate, seed=seed * 1000 + number, kinds=NOTICED)
        for step, after in STEPS:
            step(url, bucket.options)
            assert read(url, bucket.options) == after
        made, wrong = made + len(bucket.proxy.log), wrong + faults(bucket)
        bucket.proxy.clear()
        assert read(url, bucket.direct) == STEPS[-1][1]
    return wrong


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.1])
def test_requests_that_fail_now_and_then(bucket, rate):
    """All of it is done, and rightly, whatever part of the requests fails."""
    wrong = rounds(bucket, seed=round(rate * 1000), rate=rate, wanted=400)
    assert wrong > 0 or rate < 0.1


@pytest.mark.slow
def test_twenty_thousand_faulty_requests(bucket):
    """Not one wrong value, and every operation ends well."""
    wanted = int(os.environ.get("FAULTY_REQUESTS", "10000"))  # on each of two servers
    wrong = seed = 0
    while wrong < wanted:
        seed += 1
        wrong += rounds(bucket, seed=seed, rate=0.3, wanted=2000)


def test_twenty_times_busy(bucket):
    """A store that is busy for a while is waited for."""
    bucket.proxy.rule = burst(20, after=5)
    for step, after in STEPS:
        step(bucket.url(), bucket.options)
        assert read(bucket.url(), bucket.direct) == after
    assert faults(bucket) == 20


def test_an_answer_that_does_not_come(bucket):
    """It is given up, and asked for again, on another connection."""
    create(bucket.url(), bucket.direct)
    options = dict(bucket.options)
    if bucket.prefix.startswith("s3"):
        options["config_kwargs"] = {"read_timeout": 0.5}
    else:
        options["requests_timeout"] = aiohttp.ClientTimeout(sock_read=0.5)
    for number in (1, 3):
        bucket.proxy.rule = nth(number, stall(30))
        began = time.monotonic()
        assert read(bucket.url(), options) == STEPS[0][1]
        assert time.monotonic() - began < 20


def test_only_what_may_pass_is_tried_again(bucket):
    """What is refused is refused once."""
    create(bucket.url(), bucket.direct)
    bucket.proxy.rule = lambda _: answer(403)
    with pytest.raises(PermissionError, match=r"could not .* \(?.*study\.zarr"):
        read(bucket.url(), bucket.options)
    assert max(Counter((e.verb, e.path, e.query) for e in bucket.proxy.log).values()) == 1


def test_shortened_answers(bucket, monkeypatch):
    """Bytes that are missing where nothing says so are noticed, and asked for again."""
    create(bucket.url(), bucket.direct)
    for number in range(1, 8):
        bucket.proxy.rule = only(nth(number, truncate(40)), kind="GET")
        assert read(bucket.url(), bucket.options) == STEPS[0][1]
    monkeypatch.setattr(requests.patience, "deadline", 0.3)
    bucket.proxy.rule = only(lambda _: truncate(40), path="/c/")
    with pytest.raises((CorruptDataError, StorageError), match=r"people/"):
        read(bucket.url(), bucket.options)


@pytest.mark.parametrize(
    ("fault", "step"),
    [
        pytest.param(LOSE, 1, marks=pytest.mark.slow, id="lose each"),
        pytest.param(LOSE, 5, id="lose"),
        pytest.param(DROP, 2, marks=pytest.mark.slow, id="drop"),
        pytest.param(answer(500), 2, marks=pytest.mark.slow, id="answer"),
    ],
)
def test_the_kth_request(bucket, fault, step):
    """Whichever of the replies is lost, the commit's included, each step is one version."""
    bucket.fine()
    for work, _ in STEPS:
        work(bucket.url("count.zarr"), bucket.options)
    requests = len(bucket.proxy.log)
    assert requests > 40
    # The client may repeat a request by itself: also when that is lost, once more.
    first = 1 if step == 1 or bucket.prefix.startswith("s3") else 3
    for number in range(first, requests + 1, step):
        url = bucket.url(f"{number}.zarr")
        bucket.proxy.rule = nth(number, fault)
        versions = [work(url, bucket.options) for work, _ in STEPS]
        assert versions == [1, 2, 3]
        bucket.fine()
        assert read(url, bucket.options) == STEPS[-1][1]


@pytest.mark.parametrize(
    "fault", [LOSE, pytest.param(DROP, marks=pytest.mark.slow), answer(503)], ids=str
)
def test_a_store_that_goes_away(bucket, fault, monkeypatch):
    """An error that says where, a whole version for all others, and in the end one commit."""
    monkeypatch.setattr(requests.patience, "deadline", 0.2)
    outcomes = set()
    for number in range(1, 24, 3):
        url = bucket.url(f"{number}.zarr")
        create(url, bucket.options)
        with Session() as s:
            ds = s.open_dataset(url, "r+", "study", storage_options=bucket.options)
            bucket.proxy.rule = after(number, fault)
            failure = failure_of(ds)
            bucket.fine()
            there = read(url, bucket.direct)
            outcomes.add((failure is None, len(there["age"])))
            if failure is None:
                assert there == STEPS[1][1]
            else:
                assert f"{number}.zarr" in str(failure)
                assert there in [STEPS[0][1], STEPS[1][1]]
            if len(ds["people"]["age"]) == ROWS:
                extend(ds)
            assert ds.commit() == 2
        assert read(url, bucket.direct) == STEPS[1][1]
    assert outcomes >= {(False, ROWS), (True, ROWS + 10)}


def failure_of(ds):
    """What is raised when rows are added and committed."""
    with warnings.catch_warnings():
        # That a commit stands, and other Zarr readers cannot see it yet.
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            extend(ds)
            ds.commit()
        except StorageError as error:
            return error
    return None


def after(number, action):
    """From a request on, all go wrong."""
    asked = 0

    def rule(_):
        nonlocal asked
        asked += 1
        return action if asked > number else PASS

    return rule


def test_a_commit_of_which_nobody_knows(s3_bucket, monkeypatch):
    """The error says so; nothing is removed; the next commit finds it out."""
    bucket = s3_bucket
    monkeypatch.setattr(requests.patience, "deadline", 0.3)
    create(bucket.url(), bucket.direct)
    with Session() as s:
        ds = s.open_dataset(bucket.url(), "r+", "study", storage_options=bucket.options)
        ds["people"]["age"].data[0] = 7
        ds.create_dataframe("more")
        uploaded = False

        def rule(request):
            """The reply to the manifest is lost, and nothing more is heard."""
            nonlocal uploaded
            if request.verb == "PUT" and MANIFESTS in request.path:
                uploaded = True
                return LOSE
            return DROP if uploaded else PASS

        bucket.proxy.rule = rule
        bucket.proxy.clear()
        with pytest.raises(CommitStateUnknownError, match=r"version 2 was committed is not known"):
            ds.commit()
        assert not any(exchange.verb == "DELETE" for exchange in bucket.proxy.log)
        bucket.fine()
        assert ds.commit() == 2
        assert ds["people"]["age"].data[0] == 7
    with Session() as s:
        there = s.open_dataset(bucket.url(), "r", "study", storage_options=bucket.direct)
        assert (there.version, there.keys()) == (2, ["people", "more"])
        there.verify()
