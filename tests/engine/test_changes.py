"""Rows of a journal and of a snapshot side by side, where little of them is in memory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from exetera_zarr.engine import changes
from exetera_zarr.engine.changes import Tolerance, changed, match
from exetera_zarr.engine.columns import strings
from exetera_zarr.engine.streams.row_gather import RowNumbers
from exetera_zarr.engine.streams.source import Source
from exetera_zarr.engine.streams.workspace import Workspace

ROWS, ROOM = 2000, 1 << 13


def bytes_of(column):
    if isinstance(column, np.ndarray):
        return column.nbytes
    return int(strings.lengths(column).sum()) + 8 * len(column)


def text(number):
    """Of a hundred bytes or so; every fortieth of some thousand."""
    return f"{number:05}" + "x" * (60 + number % 80 + 4000 * (number % 40 == 0))


@pytest.fixture
def watched():
    """Makes a source of strings, and notes the most bytes that are read of it at once."""

    def make(values):
        plain = Source.of([strings.encode(values)], 512, ROOM)

        def read(start, stop):
            columns = plain.read(start, stop)
            make.most = max(make.most, bytes_of(columns[0]))
            return columns

        return replace(plain, read=read)

    make.most = 0
    return make


def read(spill):
    return spill.read(0, len(spill)).tolist()


def test_long_keys_in_no_order(watched):
    """Rows that have ended are left out; nothing of either side is read as a whole."""
    rng = np.random.default_rng(3)
    # Two versions of each key, one of which is open; the snapshot has other keys, too.
    old = rng.permutation(np.repeat(np.arange(ROWS // 2), 2))
    new = rng.permutation(np.arange(ROWS // 4, ROWS))
    is_open = np.zeros(ROWS, bool)
    is_open[np.unique(old, return_index=True)[1]] = True
    with Workspace(1 << 16) as work:
        version = Source.of([np.arange(ROWS, dtype=np.float64)])
        rows = RowNumbers(work, np.flatnonzero(is_open), ascending=True)
        keys = [watched([text(n) for n in side]) for side in (old, new)]
        found = match([keys[0]], [keys[1]], version, rows, work)
        pairs = list(zip(read(found.old), read(found.new), strict=True))
        assert [old[a] for a, _ in pairs] == [new[b] for _, b in pairs]
        assert [old[a] for a, _ in pairs] == list(range(ROWS // 4, ROWS // 2))
        assert is_open[[a for a, _ in pairs]].all()
        assert sorted(new[read(found.added)]) == list(range(ROWS // 2, ROWS))
        assert sorted(old[read(found.vanished)]) == list(range(ROWS // 4))
        assert read(found.overtaken) == []
    assert 0 < watched.most <= ROOM


def test_long_strings_are_compared_piece_by_piece(watched, monkeypatch):
    """In orders of their own on either side, and where one side is in order."""
    sizes = []

    def differing(old, new, tolerance):
        sizes.append(bytes_of(old) + bytes_of(new))
        return journal_differing(old, new, tolerance)

    journal_differing = changes.differing
    monkeypatch.setattr(changes, "differing", differing)
    rng = np.random.default_rng(4)
    for old in (rng.permutation(ROWS), np.arange(ROWS)):
        new = rng.permutation(ROWS)
        sides = [
            watched([text(n) for n in old]),
            watched([text(n) + "!" * int(n % 7 == 0) for n in new]),
        ]
        with Workspace(1 << 16) as work:
            spills = [work.spill(np.int64) for _ in range(6)]
            for spill, order in zip(spills, (old, new), strict=False):
                spill.append(np.argsort(order))
            found = changed([(*sides, Tolerance())], changes.Matches(*spills), work)
            assert read(found) == [n % 7 == 0 for n in range(ROWS)]
    assert max(sizes) <= 1 << 15
    assert watched.most <= ROOM
