"""Several users of one draft in a process: nothing is lost, whoever goes first."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest

from exetera_zarr import ConflictError, Session
from exetera_zarr.storage import sharing
from exetera_zarr.storage.zarr.versions import manifests
from exetera_zarr.testing import as_another_process

PATIENCE = 60


def put(ds, table, values):
    ds.create_dataframe(table).create_numeric("x", "int64").data.write(np.asarray(values))


@pytest.fixture
def url(tmp_path):
    with Session() as s:
        put(s.open_dataset(tmp_path / "x.zarr", "w", "d"), "t", [1, 2, 3])
    return tmp_path / "x.zarr"


def tables(url):
    with as_another_process(), Session() as s:
        return s.open_dataset(url, "r", "d").keys()


def test_the_last_user_commits(url, shared_reads):
    """A writer is dropped while a reader shares its draft: the reader's close keeps the changes."""
    writers, readers = Session(), Session()
    put(writers.open_dataset(url, "r+", "d"), "new", [7])
    reader = readers.open_dataset(url, "r", "d")
    assert reader.keys() == ["t", "new"]
    del writers
    gc.collect()
    reader.close()
    assert tables(url) == ["t", "new"]


def test_a_reader_that_is_left_with_a_conflict_is_told(url, shared_reads):
    """The draft that its writer could not commit is not dropped without a word."""
    with Session() as readers:
        writers = Session()
        writer = writers.open_dataset(url, "r+", "d")
        reader = readers.open_dataset(url, "r", "d")
        writer["t"]["x"].data[0] = 5
        with as_another_process(), Session() as others:
            others.open_dataset(url, "r+", "d")["t"]["x"].data[0] = 7
        with pytest.raises(ConflictError):
            writer.close()
        del writer, writers
        gc.collect()
        with pytest.raises(ConflictError):
            reader.close()
        reader.storage.draft.rollback()


def held(monkeypatch, name):
    """Have a function of `commit` wait for a word."""
    real, inside, go = getattr(manifests, name), threading.Event(), threading.Event()

    def waiting(*given, **options):
        inside.set()
        assert go.wait(PATIENCE)
        return real(*given, **options)

    monkeypatch.setattr(manifests, name, waiting)
    return inside, go


def test_a_draft_that_was_opened_again_is_not_forgotten(url, monkeypatch):
    """A thread commits what the collector has found; who opens the place meanwhile shares it."""
    with Session() as again:
        session = Session()
        ds = session.open_dataset(url, "r+", "d")
        put(ds, "first", [1])
        shared = ds.storage.draft
        session.cycle, ds.cycle = ds, session
        inside, go = held(monkeypatch, "create")
        del session, ds
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()
            assert inside.wait(PATIENCE)
            committing = shared.committing
            opened = again.open_dataset(url, "r+", "d")
            go.set()
            committing.join(PATIENCE)
        assert opened.storage.draft is shared
        assert sharing.drafts[shared.store.identity] is shared


def test_who_waits_to_start_empty_is_a_user_already(url, monkeypatch):
    """The close of another handle does not forget the draft in the meantime."""
    with Session() as closing, Session() as opening:
        ds = closing.open_dataset(url, "r+", "d")
        put(ds, "first", [1])
        shared = ds.storage.draft
        inside, go = held(monkeypatch, "create")
        closer = threading.Thread(target=ds.close)
        closer.start()
        assert inside.wait(PATIENCE)
        found = []
        opener = threading.Thread(target=lambda: found.append(opening.open_dataset(url, "w", "d")))
        opener.start()
        while len(shared.users) < 2:
            assert opener.is_alive()
            time.sleep(0.001)
        go.set()
        closer.join(PATIENCE)
        opener.join(PATIENCE)
        assert found[0].storage.draft is shared
        assert sharing.drafts[shared.store.identity] is shared
        put(found[0], "second", [2])
    assert tables(url) == ["second"]


def test_a_sweep_goes_on_to_its_end_when_the_process_ends(tmp_path):
    """A script that keeps only the newest version leaves no other one behind, closed or not."""
    url = tmp_path / "x.zarr"
    script = (
        "import sys, numpy as np\n"
        "from exetera_zarr import Session\n"
        "s = Session(row_block=5)\n"
        "ds = s.open_dataset(sys.argv[1], 'a', 'd', durability='none')\n"
        "ds.retain(1, 0)\n"
        "if 't' not in ds:\n"
        "    ds.create_dataframe('t').create_numeric('x', 'int64').data.write(np.arange(50))\n"
        "ds['t']['x'].data[0] += 1\n"
    )
    for _ in range(2):
        subprocess.run([sys.executable, "-c", script, str(url)], check=True)
    arrays = [path for path in (url / "t" / "x").iterdir() if path.is_dir()]
    assert len(arrays) == 1
    assert len(list((arrays[0] / "c").iterdir())) == 10


def test_a_commit_that_is_under_way_at_the_end_is_waited_for(url, monkeypatch):
    """However long it takes; only a change that is not a commit is given up."""
    with Session() as s:
        ds = s.open_dataset(url, "r+", "d")
        shared = ds.storage.draft
        put(ds, "new", [1])
        inside, go = held(monkeypatch, "create")
        committing = threading.Thread(target=ds.commit)
        committing.start()
        assert inside.wait(PATIENCE)
        threading.Timer(0.1, go.set).start()
        assert sharing.acquire(shared, 0.01)
        shared.context.lock.release()
        committing.join(PATIENCE)
        with ds.transaction():
            answers = []
            other = threading.Thread(target=lambda: answers.append(sharing.acquire(shared, 0.01)))
            other.start()
            other.join(PATIENCE)
        assert answers == [False]
    assert tables(url) == ["t", "new"]
