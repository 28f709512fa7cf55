"""A failure at every call that every operation makes: all or nothing, and what follows works."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exetera_zarr.testing import Faults, as_another_process
from support.fault_model import (
    NAMES,
    OPERATIONS,
    Attempt,
    Operation,
    State,
    clone,
    kept,
    make_template,
    prepare,
    quiet,
    seen,
    seen_by_zarr,
    session,
    values_of,
)


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    return make_template(tmp_path_factory.mktemp("template"))


@dataclass(frozen=True)
class Expected:
    """What may be seen around an operation, and how many calls it makes."""

    states: list[State]
    plain: list[dict[str, Any] | None]
    after: State
    plain_after: dict[str, Any] | None
    versions: dict[int, State]
    calls: list[tuple[str, str]]


@dataclass(frozen=True)
class Failure:
    """Of which call, whether it was applied, and whether all calls after it fail, too."""

    at: int
    applied: bool
    lasting: bool


def undisturbed(operation: Operation, folder: Path, template: Path) -> Expected:
    """Do the operation once without failures."""
    place = prepare(operation, folder, template)
    versions, states, plain = kept(place), [seen(place)], [seen_by_zarr(place)]
    if operation.fresh:  # the place may have been claimed, and the dataset be empty
        states.append({})
        plain.append({})
        versions[0] = {}
    faults = Faults()
    attempt = Attempt(operation, place, faults)
    faults.arm()
    assert attempt.go()
    calls = list(faults.calls)
    attempt.finish()
    after, plain_after = seen(place), seen_by_zarr(place)
    versions |= kept(place)
    return Expected([*states, after], [*plain, plain_after], after, plain_after, versions, calls)


def check_all_or_nothing(place: Path, expected: Expected) -> State:
    """What anybody sees is one of the versions, whole; so is every version that is kept."""
    found = seen(place)
    assert found in expected.states
    assert seen_by_zarr(place) in expected.plain
    check_kept(place, expected)
    return found


def check_kept(place: Path, expected: Expected) -> None:
    for number, values in kept(place).items():
        assert values == expected.versions.get(number, expected.after), number


def check_next_writer(place: Path, found: State) -> None:
    """Another process commits something, over what it found, and everybody sees it."""
    with as_another_process(), quiet(), session() as s:
        ds = s.open_dataset(place, "a", "d", durability="none")
        ds.create_dataframe("mark").create_numeric("m", "int8").data.write([1, 2])
    assert seen(place) == {**(found or {}), "mark": {"m": [1, 2]}}
    plain = seen_by_zarr(place)
    assert plain is not None
    assert plain["mark/m/values"] == [1, 2]


def check_fault(
    name: str, failure: Failure, folder: Path, template: Path, expected: Expected
) -> None:
    """Do an operation in which one call fails, and check what is seen then and afterwards."""
    operation = OPERATIONS[name]
    place = prepare(operation, folder / "first", template)
    faults = Faults()
    attempt = Attempt(operation, place, faults)
    faults.arm(failure.at, applied=failure.applied, lasting=failure.lasting)
    acknowledged = attempt.go()
    faults.disarm()
    found = check_all_or_nothing(place, expected)
    if acknowledged:
        assert found == expected.after
    (folder / "second").mkdir()
    clone(folder / "first", folder / "second")
    check_next_writer(folder / "second" / "x.zarr", found)
    attempt.finish()
    assert seen(place) == expected.after
    assert seen_by_zarr(place) == expected.plain_after
    check_kept(place, expected)


def check_operation(
    name: str, folder: Path, template: Path, *, lasting: bool = False, both: bool = True
) -> int:
    """Let each call fail, in both ways or by turns in one of them; how many failures that were."""
    expected = undisturbed(OPERATIONS[name], folder / "none", template)
    failures = [
        Failure(at, applied, lasting)
        for at in range(1, len(expected.calls) + 1)
        for applied in (False, True)
        if both or applied == bool((at + len(name)) % 2)
    ]
    for failure in failures:
        place = folder / f"{failure.at}-{failure.applied}"
        place.mkdir()
        try:
            check_fault(name, failure, place, template, expected)
        except BaseException as error:
            error.add_note(f"{name}: {failure} of {expected.calls[failure.at - 1]}")
            raise
        shutil.rmtree(place)
    print(f"{name}: {len(expected.calls)} calls, {len(failures)} failures")  # noqa: T201
    return len(failures)


@pytest.mark.parametrize("name", NAMES)
def test_a_failure_at_any_call(name, tmp_path, template):
    """What others see is all or nothing, and trying again leads to all, once; for every call."""
    assert check_operation(name, tmp_path, template, both=False) >= 4


@pytest.mark.slow
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_failure_at_any_call_in_both_ways(name, tmp_path, template):
    """The same, before the call is applied and after it."""
    assert check_operation(name, tmp_path, template) >= 8


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name == "append" else pytest.mark.slow) for name in OPERATIONS],
)
def test_an_outage_from_any_call_on(name, tmp_path, template):
    """The same where nothing works any more, not even asking whether the commit was made."""
    assert check_operation(name, tmp_path, template, lasting=True) >= 8


def check_going_on(failure: Failure, folder: Path, template: Path) -> None:
    """Append, and after a failed commit assign to what was appended, and commit all."""
    place = prepare(OPERATIONS["append"], folder, template)
    faults = Faults()
    attempt = Attempt(OPERATIONS["append"], place, faults)
    faults.arm(failure.at, applied=failure.applied, lasting=True)
    assert not attempt.go()
    faults.disarm()
    ds = attempt.ds
    assert ds is not None
    if attempt.changed:
        appended = values_of(ds)
        between = seen(place)
        ds["t"]["a"].data[3:9] = np.arange(6, dtype="int32") + 1000
        ds["t"]["s"].data.write(["and more"])
        values = values_of(ds)
        ds.commit()
        assert seen(place) == values
        versions = kept(place)
        if between == appended:
            assert versions[3] == appended
        assert next(iter(versions.values())) == values
    attempt.finish()


@pytest.mark.parametrize("applied", [False, True])
def test_going_on_after_an_outage(applied, tmp_path, template):
    """A version whose writer was told that it failed stays as it is, whatever he writes next."""
    expected = undisturbed(OPERATIONS["append"], tmp_path / "none", template)
    shown = [verb for verb, _ in expected.calls].index("create") + 1
    for at in range(1, shown + 1):
        check_going_on(Failure(at, applied, True), tmp_path / str(at), template)
