"""Datasets that are changed at random: any is right, or an error of ours, and touches nothing else.

`STRANGERS=n pytest -o timeout=0 --timeout=0 tests/storage/test_fuzzing.py` tries n of them. What
was found so is kept in `found_by_fuzzing.jsonl`, and tried each time.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from pathlib import Path

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from support.fuzzing import KINDS, apply, drawn, make_grown, use_it
from support.strangers import nothing_else_changes

FOUND = [
    json.loads(line)
    for line in Path(__file__).with_name("found_by_fuzzing.jsonl").read_text().splitlines()
]


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    return make_grown(tmp_path_factory.mktemp("honest"))


def is_safe(honest, folder, kind, changes):
    there = folder / "inside" / "theirs.zarr"
    shutil.copytree(honest, there)
    shutil.copytree(honest, folder / "inside" / "ours.zarr")
    try:
        with nothing_else_changes(folder, there):
            apply(there, kind, changes)
            use_it(there)
    finally:
        shutil.rmtree(folder)


def test_what_is_changed_is_right_to_begin_with(honest, tmp_path):
    """It has packs, segments and changes; all that is done to it works, so that errors count."""
    there = tmp_path / "x.zarr"
    shutil.copytree(honest, there)
    newest = min((there / "__exetera__/commits").iterdir())
    facts = json.loads(newest.read_bytes())["attributes"]["exetera"]
    assert facts["requires"] == ["packs", "segments", "changes"]
    assert not any(use_it(there).values())


@pytest.mark.parametrize("one", FOUND, ids=lambda one: one["was"])
def test_what_was_found(honest, tmp_path, one):
    is_safe(honest, tmp_path / "fuzz", one["kind"], one["changes"])


@settings(max_examples=int(os.environ.get("STRANGERS", "10")))
@given(st.sampled_from(KINDS), st.integers(0, 2**64 - 1))
def test_any_change(honest, tmp_path_factory, kind, seed):
    changes = drawn(honest, kind, random.Random(seed))
    note(json.dumps({"kind": kind, "changes": changes}))
    is_safe(honest, tmp_path_factory.mktemp("fuzz"), kind, changes)
