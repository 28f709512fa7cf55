"""Versions: conflicts, what is kept, what is swept, and old versions read."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import zarr

from exetera_zarr import ConflictError, CorruptDataError, Session
from exetera_zarr.errors import StorageError, VersionNotFoundError
from exetera_zarr.storage import sharing
from exetera_zarr.storage.stores.local import LocalStore
from exetera_zarr.storage.zarr import draft as draft_module
from exetera_zarr.tables.dataset import move
from exetera_zarr.testing import Faults, counting, failing

pytestmark = pytest.mark.zarr


@pytest.fixture
def clock(monkeypatch):
    """A clock that tests set, in seconds."""

    class Clock:
        now = 1_000_000.0

    monkeypatch.setattr(draft_module, "clock", lambda: Clock.now)
    return Clock


class Writer:
    """A session that shares no draft with the others, as if in a process of its own."""

    def __init__(self, place, mode="r+", **options):
        self.drafts = {}
        self.session = Session(row_block=4)
        with self:
            self.ds = self.session.open_dataset(
                place.url("x.zarr"), mode, "d", storage_options=place.storage_options, **options
            )

    def __enter__(self):
        self.others = dict(sharing.drafts)
        sharing.drafts.clear()
        sharing.drafts.update(self.drafts)
        return self.ds if hasattr(self, "ds") else None

    def __exit__(self, *exc):
        self.drafts = dict(sharing.drafts)
        sharing.drafts.clear()
        sharing.drafts.update(self.others)

    def close(self):
        with self:
            self.session.close()


def here(tmp_path):
    """A local folder as the `place` of a test."""
    return SimpleNamespace(url=lambda name: str(tmp_path / name), storage_options={})


def make(place, *tables):
    with Session(row_block=4) as s:
        ds = s.open_dataset(place.url("x.zarr"), "w", "d", storage_options=place.storage_options)
        for table in tables:
            ds.create_dataframe(table).create_numeric("n", "int32").data.write(np.arange(10))


def read(place, table, field="n", **options):
    writer = Writer(place, "r", **options)
    try:
        return writer.ds[table][field].data[:].tolist()
    finally:
        writer.close()


# -- conflicts


def test_different_tables_both_land(place):
    """Two drafts over one version, each of its own table: the slower goes over the faster."""
    make(place, "a", "b")
    one, two = Writer(place), Writer(place)
    one.ds["a"]["n"].data.write([100])
    two.ds["b"]["n"].data.write([200])
    two.ds.create_dataframe("c").create_numeric("m", "int8").data.write([1, 2])
    assert (one.ds.commit(), two.ds.commit()) == (2, 3)
    assert two.ds["a"]["n"].data[:].tolist() == [*range(10), 100]
    one.close()
    two.close()
    assert read(place, "a") == [*range(10), 100]
    assert read(place, "b") == [*range(10), 200]
    assert read(place, "c", "m") == [1, 2]


def test_the_same_table_is_a_conflict_that_can_be_forced(place):
    """The slower one is told which table and versions, keeps its draft, and may win."""
    make(place, "a", "b")
    one, two = Writer(place), Writer(place)
    one.ds["a"]["n"].data.write([100])
    one.ds["a"].create_numeric("more", "int8").data.write([5])
    one.ds["b"]["n"].data.write([300])
    two.ds["a"]["n"].data[0] = -1
    one.ds.commit()
    with pytest.raises(ConflictError, match=r"'a' changed .* version 1, .* version 2"):
        two.ds.commit()
    assert two.ds["a"]["n"].data[:].tolist() == [-1, *range(1, 10)]
    assert two.ds.commit(force=True) == 3
    one.close()
    two.close()
    assert read(place, "a") == [-1, *range(1, 10)]
    assert read(place, "b") == [*range(10), 300]


def test_a_conflict_can_be_redone(place):
    """Rolled back and refreshed, the change is made over what the other one wrote."""
    make(place, "a")
    one, two = Writer(place), Writer(place)
    one.ds["a"]["n"].data[0] = 100
    two.ds["a"]["n"].data[1] = 200
    one.ds.commit()
    with pytest.raises(ConflictError):
        two.ds.commit()
    two.ds.rollback()
    assert two.ds.refresh() == 2
    two.ds["a"]["n"].data[1] = 200
    assert two.ds.commit() == 3
    one.close()
    two.close()
    assert read(place, "a") == [100, 200, *range(2, 10)]


def test_starting_empty_changes_every_table(place):
    """Mode 'w' conflicts with whatever another writer changed meanwhile."""
    make(place, "a", "b")
    one, two = Writer(place), Writer(place, "w")
    two.ds.create_dataframe("c")
    one.ds["a"]["n"].data.write([100])
    one.ds.commit()
    with pytest.raises(ConflictError, match="'a'"):
        two.ds.commit()
    two.ds.commit(force=True)
    assert two.ds.keys() == ["c"]
    one.close()
    two.close()
    reader = Writer(place, "r")
    assert reader.ds.keys() == ["c"]
    reader.close()


def test_tables_that_differ_by_case_both_land(place):
    """Two writers that make `age` and `Age` at the same time do not make one folder of them."""
    make(place)
    one, two = Writer(place), Writer(place)
    one.ds.create_dataframe("age")
    two.ds.create_dataframe("Age")
    assert (one.ds.commit(), two.ds.commit()) == (1, 2)
    assert two.ds.keys() == ["age", "Age"]
    segments = {node.segment.casefold() for node in two.ds.storage.draft.root.groups.values()}
    assert len(segments) == 2
    one.close()
    two.close()


def test_deleting_and_renaming_beside_another_writer(place):
    """Structure changes of different tables go together, too."""
    make(place, "a", "b", "c")
    one, two = Writer(place), Writer(place)
    del one.ds["a"]
    move(two.ds["b"], two.ds, "B2")
    one.ds.commit()
    two.ds.commit()
    one.close()
    two.close()
    reader = Writer(place, "r")
    assert sorted(reader.ds.keys()) == ["B2", "c"]
    assert reader.ds["B2"]["n"].data[:].tolist() == list(range(10))
    reader.close()


def test_refresh(place):
    """A reader moves when it is told to; a writer's changes stay over the newest version."""
    make(place, "a", "b")
    reader, one, two = Writer(place, "r"), Writer(place), Writer(place)
    field = reader.ds["a"]["n"]
    two.ds["b"]["n"].data.write([7])
    one.ds["a"]["n"].data.write([100])
    one.ds.commit()
    assert len(field) == 10
    assert (reader.ds.refresh(), two.ds.refresh()) == (2, 2)
    assert field.data[:].tolist() == [*range(10), 100]
    assert two.ds["a"]["n"].data[:].tolist() == [*range(10), 100]
    assert two.ds["b"]["n"].data[:].tolist() == [*range(10), 7]
    assert two.ds.commit() == 3
    for writer in (reader, one, two):
        writer.close()
    assert read(place, "b") == [*range(10), 7]


# -- what is kept


def test_every_kept_version_opens(place, clock):
    """Each version that history() has reads what it had; younger ones than a day are all kept."""
    make(place, "a")
    expected = {1: list(range(10))}
    writer = Writer(place)
    for number in range(2, 8):
        clock.now += 3600
        writer.ds["a"]["n"].data.write([number])
        writer.ds["a"]["n"].data[0] = -number
        assert writer.ds.commit() == number
        expected[number] = [-number, *expected[number - 1][1:], number]
    assert [(c.version, c.kept) for c in writer.ds.history()] == [
        (n, True) for n in range(7, -1, -1)
    ]
    for number, rows in expected.items():
        assert read(place, "a", version=number) == rows
    writer.close()


def test_old_versions_expire_and_are_swept(place, clock):
    """After a day, the last three stay; what only the others reached is gone from the store."""
    make(place, "a", "b")
    writer = Writer(place)
    writer.ds.retain(versions=3, older_than=86_400)
    for number in range(2, 7):
        clock.now += 100_000
        writer.ds["a"]["n"].data[0] = number
        writer.ds.commit()
    kept = [c.version for c in writer.ds.history() if c.kept]
    assert kept == [6, 5, 4]
    for number in (0, 1, 3, 9):
        with pytest.raises(VersionNotFoundError, match="there are: 4, 5, 6"):
            read(place, "a", version=number)
    assert read(place, "a", version=4) == [4, *range(1, 10)]
    writer.ds.verify()  # not before they are swept
    arrays = {
        entry.key.split("/")[2]
        for entry in writer.ds.storage.draft.store.everything("a")
        if "/values" in entry.key
    }
    assert len(arrays) == 3
    assert read(place, "b") == list(range(10))
    writer.close()


def test_retain_and_vacuum(place, clock):
    """A scratch dataset can keep just its newest version; a vacuum can once keep fewer."""
    make(place, "a")
    writer = Writer(place)
    for number in range(3):
        writer.ds["a"]["n"].data.write([number])
        writer.ds.commit()
    assert writer.ds.vacuum(keep=2, older_than=0) == 0
    assert [c.version for c in writer.ds.history() if c.kept] == [5, 4]
    writer.ds.retain(versions=1, older_than=0)
    for number in range(3):
        writer.ds["a"]["n"].data[0] = number
        writer.ds.commit()
        assert [c.kept for c in writer.ds.history()][:2] == [True, False]
    writer.ds.verify()
    entries = [e.key for e in writer.ds.storage.draft.store.everything("a/n") if "/c/" in e.key]
    assert len(entries) == 5  # three of ten rows, and segments of two rows and of one
    before = writer.ds.version
    writer.ds.vacuum()
    assert writer.ds.version == before
    for wrong in ((0, 0.0), (1, -1.0)):
        with pytest.raises(ValueError, match="at least one version"):
            writer.ds.retain(*wrong)
    writer.close()


def test_orphans_are_swept_when_they_are_old(tmp_path):
    """What no version has goes when it is a week old; younger may belong to a living draft."""
    url = tmp_path / "x.zarr"
    with Session(row_block=4) as s:
        ds = s.open_dataset(str(url), "w", "d")
        ds.create_dataframe("a").create_numeric("n", "int32").data.write(np.arange(10))
        ds.commit()
        stray = [url / "a/n/values-123456789abc/c/0", url / "a/n/values-123456789abc/zarr.json"]
        young = url / "a/n/values-cba987654321/c/0"
        temporary = url / ".tmp-zarr.json-0123456789abcdef"
        for path in (*stray, young, temporary):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
        store = ds.storage.draft.store
        real = store.everything

        def aged(prefix):
            for entry in real(prefix):
                old = entry.key.startswith(("a/n/values-1234", ".tmp-"))
                yield type(entry)(entry.key, entry.size, entry.modified - 8 * 86_400 * old)

        store.everything = aged
        assert ds.vacuum() == 3
        assert not any(path.exists() for path in (*stray, temporary))
        assert young.exists()
        assert ds["a"]["n"].data[:].tolist() == list(range(10))
        ds.verify()


def long_draft(url):
    """A draft of a session that has uploaded two blocks and holds a third."""
    with Session(row_block=4) as s:
        s.open_dataset(url, "w", "d").create_dataframe("a").create_numeric("n", "int32")
    session = Session()
    ds = session.open_dataset(url, "r+", "d")
    ds["a"]["n"].data.write(np.arange(10))
    array = ds.storage.draft.root.groups["a"].groups["n"].arrays["values"]
    for number in (0, 1):
        array.parts[0]._blocks[number].wait()
    return session, ds


def test_a_draft_that_is_old_is_copied_before_it_is_committed(tmp_path, clock):
    """A vacuum takes old objects of no version for remains: what is committed has to be young."""
    with counting() as stores:
        session, ds = long_draft(str(tmp_path / "x.zarr"))
        clock.now += 5 * 86_400
        ds.commit()
        assert stores[-1].chunks("copy") == []
        ds["a"]["n"].data.write(np.arange(8))
        clock.now += 6.5 * 86_400
        before = len(stores[-1].calls)
        ds.commit()
    written = {key for verb, key in stores[-1].calls[before:] if verb in ("copy", "put")}
    first, second = ds.storage.draft.root.groups["a"].groups["n"].arrays["values"].stored
    assert {second.key(block) for block in range(2)} <= written
    assert not {first.key(block) for block in range(3)} & written
    session.close()
    assert read(here(tmp_path), "a") == [*range(10), *range(8)]


def test_a_draft_whose_blocks_were_swept_says_so(tmp_path, clock):
    """Nothing is committed, and after a rollback the work can be done again."""
    url = tmp_path / "x.zarr"
    session, ds = long_draft(str(url))
    for path in url.glob("a/n/values-*/c/0"):
        path.unlink()
    clock.now += 8 * 86_400
    with pytest.raises(ConflictError, match=r"removed since it was written here, .* rollback"):
        ds.commit()
    assert ds.version == 1
    ds.rollback()
    ds["a"]["n"].data.write(np.arange(10))
    ds.commit()
    session.close()
    assert read(here(tmp_path), "a") == list(range(10))


def test_a_reader_of_a_version_that_is_gone_is_told(place):
    """An error that names the version, never zeros; refresh moves on."""
    make(place, "a")
    reader, writer = Writer(place), Writer(place)
    writer.ds["a"]["n"].data[0] = 7
    writer.ds.vacuum(keep=1, older_than=0)
    with pytest.raises(VersionNotFoundError, match=r"version 1 was removed after version 2"):
        reader.ds["a"]["n"].data[:]
    reader.ds.refresh()
    assert reader.ds["a"]["n"].data[:].tolist() == [7, *range(1, 10)]
    reader.close()
    writer.close()


def test_a_purge_that_was_interrupted_can_be_finished(tmp_path):
    """Also where the rows had been written below another name of the table."""
    url = str(tmp_path / "x.zarr")
    faults = Faults()
    with failing(faults), Session(row_block=4) as s:
        ds = s.open_dataset(url, "w", "d")
        table = ds.create_dataframe("patients")
        table.create_fixed_string("id", 12).data.write([b"someone", b"WITHDRAWN", b"else"])
        ds.commit()
        move(ds["patients"], ds, "people")
        version = ds.commit()
        faults.arm()
        ds.storage.draft.store.delete = unable
        with pytest.warns(RuntimeWarning, match="are still there"), pytest.raises(StorageError):
            ds.purge("people", rows=ds["people"]["id"].data[:] == b"WITHDRAWN")
        del ds.storage.draft.store.delete
        assert b"WITHDRAWN" in decoded_chunks(Path(url))
        assert [c.version for c in ds.history() if c.kept] == [version + 1]
        assert ds.purge("people").version == version + 1
    assert b"WITHDRAWN" not in decoded_chunks(Path(url))


def unable(key):
    raise StorageError(f"cannot delete {key}")


@pytest.mark.parametrize("lasting", [False, True])
def test_a_commit_whose_folder_cannot_be_synced(tmp_path, monkeypatch, lasting):
    """Acknowledged is what survives a loss of power: linked is not enough."""
    make(here(tmp_path), "a")
    commits = tmp_path / "x.zarr" / "__exetera__" / "commits"
    real, left = LocalStore._sync, [10 if lasting else 1]

    def broken(self, path):
        if Path(path) == commits and left[0]:
            left[0] -= 1
            raise OSError(errno.EIO, "Input/output error", path)
        real(self, path)

    writer = Writer(here(tmp_path))
    writer.ds["a"]["n"].data[0] = 7
    monkeypatch.setattr(LocalStore, "_sync", broken)
    if lasting:
        with pytest.raises(OSError, match="Input/output error"):
            writer.ds.commit()
        left[0] = 0
        writer.ds["a"]["n"].data[1] = 8
    writer.ds.commit()
    writer.close()
    assert read(here(tmp_path), "a")[:2] == [7, 8 if lasting else 1]


@pytest.mark.parametrize("how", ["rows", "field"])
def test_purging_leaves_no_byte(tmp_path, how):
    """A participant who withdraws is gone from every file, old versions included."""
    url = str(tmp_path / "x.zarr")
    with Session(row_block=4) as s:
        ds = s.open_dataset(url, "w", "d")
        table = ds.create_dataframe("people")
        table.create_fixed_string("id", 12).data.write([b"someone", b"WITHDRAWN", b"else"])
        table.create_numeric("n", "int8").data.write([1, 2, 3])
        ds.commit()
        table["n"].data[0] = 9
        ds.commit()
        if how == "rows":
            version = ds.purge("people", rows=table["n"] == 2).version
            assert table["id"].data[:].tolist() == [b"someone", b"else"]
            assert table["n"].data[:].tolist() == [9, 3]
        else:
            version = ds.purge("people", field="id").version
            assert table.keys() == ["n"]
        assert [c.version for c in ds.history() if c.kept] == [version]
        with pytest.raises(ValueError, match="either rows or a field"):
            ds.purge("people", rows=table["n"] > 0, field="n")
        assert ds.purge("people").version == version
    assert b"WITHDRAWN" not in decoded_chunks(Path(url))


def decoded_chunks(root: Path) -> bytes:
    """Every chunk that is still in a folder, decompressed."""
    from numcodecs import blosc

    found = [p.read_bytes() for p in root.rglob("c/*") if p.is_file()]
    found += [p.read_bytes() for p in root.rglob("c/*/0")]
    assert found
    return b"".join(blosc.decompress(data[:-4]) for data in found)


# -- verify, and what is damaged


def test_verify_names_what_is_damaged(tmp_path):
    """A flipped bit, a missing chunk, a wrong document: table, field and chunk are named."""
    url = tmp_path / "x.zarr"
    with Session(row_block=4) as s:
        ds = s.open_dataset(str(url), "w", "d")
        table = ds.create_dataframe("people")
        table.create_numeric("n", "int32").data.write(np.arange(10))
        table.create_indexed_string("s").data.write(["x"] * 10)
        ds.verify() if not ds.storage.changed else ds.commit()
        ds.verify()
        table["n"].data[0] = 5
        with pytest.raises(ValueError, match="not committed"):
            ds.verify()

    def damaged(path, data):
        original = path.read_bytes()
        if data is None:
            path.unlink()
        else:
            path.write_bytes(data(original))
        try:
            with Session() as s, pytest.raises(CorruptDataError) as caught:
                s.open_dataset(str(url), "r", "d").verify()
        finally:
            path.write_bytes(original)
        return str(caught.value)

    newest = json.loads((url / "zarr.json").read_text())
    below = newest["consolidated_metadata"]["metadata"]
    chunk = url / "people/n" / below["people/n"]["attributes"]["arrays"]["values"] / "c/1"
    flip = lambda data: bytes([*data[:20], data[20] ^ 4, *data[21:]])
    assert "table 'people', field 'n', values, chunk 1" in damaged(chunk, flip)
    assert "chunk 1: " in damaged(chunk, None)
    assert "people/zarr.json is not the document" in damaged(url / "people/zarr.json", flip)
    assert "people/s/zarr.json cannot be read" in damaged(url / "people/s/zarr.json", None)
    assert "zarr.json" in damaged(url / "zarr.json", lambda data: data[:-1])
    first = max((url / "__exetera__/commits").iterdir())
    assert "version 0" in damaged(first, flip)
    with Session() as s:
        s.open_dataset(str(url), "r", "d").verify()


def test_unmodified_zarr_always_reads_the_newest(place):
    """After every commit of any kind, its values are those of the newest version."""
    make(place, "a", "b")
    writer = Writer(place)
    ds = writer.ds
    changes = [
        lambda: ds["a"]["n"].data.write([5]),
        lambda: ds["a"].rename("n", "m"),
        lambda: ds["a"].apply_filter(ds["a"]["m"] > 2),
        lambda: ds["b"].create_numeric("x", "int8").data.write([1] * 10),
        lambda: ds.__delitem__("b"),
        lambda: ds.__setitem__("c", ds["a"]),
        lambda: ds["c"].sort_values("m", ascending=False),
    ]
    options = place.storage_options or None
    for change in changes:
        change()
        ds.commit()
        root = zarr.open_group(
            place.url("x.zarr"), mode="r", zarr_format=3, storage_options=options
        )
        assert sorted(name for name, _ in root.groups()) == sorted(ds.keys())
        for name, table in ds.items():
            for field_name, field in table.items():
                group = root[name][field_name]
                names = group.attrs["arrays"]["values"]
                parts = [
                    group[part][...] for part in ([names] if isinstance(names, str) else names)
                ]
                assert np.concatenate(parts).tolist() == field.data[:].tolist()
    writer.close()


@pytest.mark.slow  # 50 columns of 40 chunks; tests/cloud has fewer of them on real servers
def test_an_append_to_many_columns_copies_chunks(s3_place, s3_server):
    """10^4 rows to 50 columns of 40 chunks: copies, two uploads each, no HEAD, one GET each."""
    columns, block, rows = 50, 20_000, 39 * 20_000 + 15_000
    url, options = s3_place.url("x.zarr"), s3_place.storage_options
    values = np.random.default_rng(0).integers(0, 4, rows, dtype="int8")
    with Session(row_block=block) as s:
        table = s.open_dataset(url, "w", "d", storage_options=options).create_dataframe("t")
        for number in range(columns):
            table.create_numeric(f"c{number}", "int8").data.write(values)
    with counting() as stores, Session() as s:
        ds = s.open_dataset(url, "r+", "d", storage_options=options)
        s3_server.requests.clear()
        stores[0].calls.clear()
        for field in ds["t"].values():
            field.data.write(np.full(10_000, 7, "int8"))
        ds.commit()
        verbs = s3_server.verbs()
        assert (verbs["HEAD"], verbs["LIST"]) == (0, 0)
        assert len(stores[0].chunks("copy")) == columns * 39
        assert len(stores[0].chunks("put")) == columns * 2
        assert len(stores[0].chunks("get")) == columns
        assert verbs["GET"] == columns + 1  # one for the manifest that it is over
    with Session() as s:
        found = s.open_dataset(url, "r", "d", storage_options=options)["t"]["c7"].data[:]
    assert np.array_equal(found[:rows], values)
    assert found[rows:].tolist() == [7] * 10_000


def test_local_folders_are_left_tidy(tmp_path):
    """A commit leaves no temporary file behind."""
    url = tmp_path / "x.zarr"
    with Session() as s:
        ds = s.open_dataset(str(url), "w", "d")
        ds.create_dataframe("a").create_numeric("n", "int8").data.write([1])
    names = [name for _, _, files in os.walk(url) for name in files]
    assert not [name for name in names if name.startswith(".tmp")]
