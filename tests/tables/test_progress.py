"""Work that takes long tells a person how far it is, and a log nothing."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import textwrap
import time

import numpy as np
import pytest

import exetera_zarr
from exetera_zarr import Session
from exetera_zarr.fields import progress

ROWS = 5_000


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(progress, "DELAY", 0.0)
    monkeypatch.setattr(progress, "INTERVAL", 0.0)
    monkeypatch.delenv(progress.SWITCH, raising=False)


def table_of(session):
    ds = session.open_dataset("memory://progress.zarr", "w", "d")
    table = ds.create_dataframe("visits")
    table.create_numeric("n", "int64").data.write(np.random.default_rng(1).permutation(ROWS))
    table.create_numeric("k", "int8").data.write(np.arange(ROWS) % 10)
    return table


@pytest.mark.parametrize(
    ("work", "told"),
    [
        (lambda t: t.sort("n"), rf"sort visits.*{2 * ROWS / 1000:.1f}k/{2 * ROWS / 1000:.1f}k"),
        (lambda t: t.groupby("k").size(), r"group visits: 10\.0 ?rows"),
        (lambda t: t.merge(t[["n"]], on="n"), "merge visits and visits"),
        (lambda t: t.to_csv(os.devnull), "write visits.*5.00k/5.00k"),
        (lambda t: t.apply_filter(t["n"] > 10), "filter visits"),
    ],
)
def test_it_is_told(at_once, capsys, work, told):
    with Session(row_block=1000, progress=True) as s:
        work(table_of(s))
    assert re.search(told, capsys.readouterr().err)


def test_an_import_is_told_in_bytes(at_once, capsys, tmp_path):
    (tmp_path / "t.csv").write_text("n\n" + "1\n" * ROWS)
    with Session(progress=True) as s:
        ds = s.open_dataset("memory://progress.zarr", "w", "d")
        exetera_zarr.import_csv(ds, "visits", tmp_path / "t.csv")
    assert re.search(r"import visits: 100%.*10.0k/10.0k", capsys.readouterr().err)


def test_a_script_and_a_log_are_told_nothing(at_once, capsys, monkeypatch):
    for session, said in ((Session(), None), (Session(progress=False), "1"), (Session(), "off")):
        if said is None:
            monkeypatch.delenv(progress.SWITCH, raising=False)
        else:
            monkeypatch.setenv(progress.SWITCH, said)
        with session as s:
            table_of(s).sort("n")
        assert capsys.readouterr().err == ""
    monkeypatch.setenv(progress.SWITCH, "1")
    with Session() as s:
        table_of(s).sort("n")
    assert "sort visits" in capsys.readouterr().err


def test_what_is_short_is_not_told(capsys):
    with Session(progress=True) as s:
        table_of(s).sort("n")
    assert capsys.readouterr().err == ""


def test_a_phase_that_counts_nothing_is_told(monkeypatch, capsys):
    monkeypatch.setattr(progress, "DELAY", 0.05)
    with progress.watched(None, "sort", 100):
        assert capsys.readouterr().err == ""
    with Session(progress=True) as s, progress.watched(s.settings, "sort \x1b[31m it", 100):
        time.sleep(0.4)
        err = capsys.readouterr().err
    assert r"sort \x1b[31m it" in err
    assert "\x1b[31m" not in err


def test_at_a_terminal():
    program = """
        import numpy as np
        from exetera_zarr import Session
        from exetera_zarr.fields import progress
        progress.DELAY = 0.0
        with Session() as s:
            t = s.open_dataset("memory://p.zarr", "w", "d").create_dataframe("visits")
            t.create_numeric("n", "int64").data.write(np.arange(10)[::-1].copy())
            t.sort("n")
    """
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    command = [sys.executable, "-c", textwrap.dedent(program)]
    subprocess.run(command, stderr=slave, stdout=subprocess.DEVNULL, check=True, timeout=60)
    said = os.read(master, 100_000).decode()
    os.close(slave)
    os.close(master)
    assert "sort visits" in said
