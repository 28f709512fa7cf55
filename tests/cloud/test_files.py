"""Single files elsewhere - CSV, schemas, rejects, exports, HDF5 - are opened as datasets are."""

from __future__ import annotations

import csv
import io
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import aiohttp
import numpy as np
import pytest
from cloud.test_secrets import CANARY, Records, assert_silent, chain, given, lax, records

from exetera_zarr import (
    AccessDeniedError,
    DatasetNotFoundError,
    Session,
    StorageError,
    UnsupportedError,
    import_csv,
    set_credentials,
)
from exetera_zarr.conversion.datasets import convert
from exetera_zarr.errors import DataError
from exetera_zarr.io import Numeric, String, import_with_schema
from exetera_zarr.io.propose.discovery import propose_schema
from exetera_zarr.storage import create_file, file_exists, list_files, open_file
from exetera_zarr.storage.remote import credentials, requests, resolving
from exetera_zarr.storage.remote.client import Upload
from exetera_zarr.storage.remote.files import open_at_random
from support.rules import DROP, LOSE, PASS, answer, cut, only

__all__ = ["lax", "records"]  # fixtures

INT = {"field_type": "numeric", "value_type": "int32", "validation_mode": "strict"}
SCHEMA = {"exetera": {"version": "1.1.0"}, "schema": {"t": {"fields": {"n": INT}}}}


@pytest.fixture(autouse=True)
def no_credentials_stay():
    yield
    credentials._providers.clear()


def put(url, data, options):
    with create_file(url, options) as file:
        file.write(data)
    return url


def content(url, options):
    with open_file(url, options) as file:
        return file.read()


@pytest.fixture
def strict(s3_bucket, monkeypatch):
    """A server that checks credentials, which come from nowhere but `set_credentials`."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    key, secret = (s3_bucket.direct[name] for name in ("key", "secret"))
    set_credentials(s3_bucket.prefix, {"access_key_id": key, "secret_access_key": secret})
    return s3_bucket, {"endpoint_url": s3_bucket.proxy.endpoint, "retry_deadline": 5}


def study(bucket, options):
    """A schema and two CSV files in a bucket, with a row that does not fit."""
    put(bucket.url("s.json"), json.dumps(SCHEMA).encode(), options)
    put(bucket.url("in/a.csv"), b"n\n1\n2\nx\n", options)
    put(bucket.url("in/b.csv"), b"n\n3\n", options)


# -- credentials and options


def test_an_import_needs_nothing_but_set_credentials(strict):
    """CSV files by a pattern, the schema, the dataset and the rejects, all in the bucket."""
    bucket, options = strict
    study(bucket, options)
    with Session() as s:
        summary = import_with_schema(
            s,
            bucket.url("study.zarr"),
            "d",
            bucket.url("s.json"),
            {"t": bucket.url("in/*.csv")},
            False,
            on_error="skip",
            rejects=bucket.url("bad.csv"),
            storage_options=options,
        )
        assert s.get_dataset("d")["t"]["n"].data[:].tolist() == [1, 2, 3]
    assert summary["t"].rejected == 1
    (row,) = csv.DictReader(io.StringIO(content(bucket.url("bad.csv"), options).decode()))
    assert row["n"] == "x"
    set_credentials(bucket.prefix, None)
    for attempt in (
        lambda: content(bucket.url("in/a.csv"), options),
        lambda: list_files(bucket.url("in/*.csv"), options),
        lambda: file_exists(bucket.url("in/a.csv"), options),
        lambda: put(bucket.url("in/c.csv"), b"", options),
    ):
        with pytest.raises(AccessDeniedError, match=r"could not .*in/.*set_credentials"):
            attempt()


def test_an_export_and_a_proposal(strict):
    bucket, options = strict
    study(bucket, options)
    with Session() as s:
        table = s.open_dataset("memory://export", "w", "d").create_dataframe("t")
        table.create_numeric("n", "int32").data.write([4, 5])
        table.to_csv(bucket.url("out.csv"), storage_options=options)
    assert content(bucket.url("out.csv"), options) == b"n\n4\n5\n"
    proposal = propose_schema({"t": [bucket.url("in/b.csv")]}, storage_options=options)
    assert list(proposal.document["schema"]["t"]["fields"]) == ["n"]


def test_hdf5_and_conversion_both_ways(strict, tmp_path):
    pytest.importorskip("h5py")
    bucket, options = strict
    with Session() as s:
        table = s.open_dataset(tmp_path / "a.hdf5", "w", "d").create_dataframe("t")
        table.create_numeric("n", "int64").data.write(np.arange(300_000))
    put(bucket.url("a.hdf5"), (tmp_path / "a.hdf5").read_bytes(), options)
    with Session() as s:
        ds = s.open_dataset(bucket.url("a.hdf5"), "r", "d", storage_options=options)
        assert ds["t"]["n"].data[-2:].tolist() == [299_998, 299_999]
    done = convert(
        bucket.url("a.hdf5"),
        bucket.url("b.zarr"),
        source_options=options,
        destination_options=options,
    )
    assert done.verified
    convert(bucket.url("b.zarr"), tmp_path / "c.hdf5", source_options=options)
    with Session() as s:
        assert len(s.open_dataset(tmp_path / "c.hdf5", "r", "d")["t"]["n"]) == 300_000
    assert not list_files(bucket.url("b.partial*"), options)


def test_options_are_for_one_side(strict, tmp_path, monkeypatch):
    """Those of the source files never open the dataset, nor the other way round."""
    bucket, options = strict
    study(bucket, options)
    seen = []
    real = Session.open_dataset

    def open_dataset(self, *given, storage_options=None, **more):
        seen.append(storage_options)
        return real(self, *given, storage_options=storage_options, **more)

    monkeypatch.setattr(Session, "open_dataset", open_dataset)
    with Session() as s:
        import_with_schema(
            s,
            tmp_path / "d.zarr",
            "d",
            bucket.url("s.json"),
            {"t": bucket.url("in/b.csv")},
            False,
            source_options=options,
        )
        import_csv(
            s.get_dataset("d"),
            "u",
            bucket.url("in/b.csv"),
            bucket.url("s.json"),
            storage_options={"endpoint_url": "http://127.0.0.1:9"},
            source_options=options,
        )
    assert seen == [None]


@pytest.mark.parametrize("wrong", ["soon", -1, [1]])
def test_a_deadline_that_is_none(wrong, s3_environment):
    for attempt in (open_file, file_exists, list_files):
        with pytest.raises(DataError, match="retry_deadline is a number of seconds"):
            attempt("s3://bucket/*.csv", {"retry_deadline": wrong})


def test_a_deadline_from_the_command_line(s3_environment):
    """A text, as the command passes options on."""
    began = time.monotonic()
    options = {"endpoint_url": "http://127.0.0.1:9", "retry_deadline": "0.2"}
    with pytest.raises(StorageError, match=r"could not read s3://bucket/x\.csv"):
        open_file("s3://bucket/x.csv", options)
    assert time.monotonic() - began < 2


def test_credentials_are_renewed_while_a_file_is_read(s3_bucket, strict):
    bucket, options = strict
    data = bytes(range(256)) * (80 << 10)  # more than two blocks
    put(bucket.url("x.bin"), data, options)
    right = credentials.provider_for(bucket.prefix)()
    asked = []

    def provider():
        asked.append(1)
        return {**right, "expires_at": None, "token": None} | {"again": len(asked)}

    set_credentials(bucket.prefix, provider)
    expired = iter([PASS, answer(400, "ExpiredToken")])
    bucket.proxy.rule = lambda _: next(expired, PASS)
    with pytest.raises(AccessDeniedError, match="expired"):
        content(bucket.url("x.bin"), options)  # the same ones as before would not do
    assert len(asked) == 2


# -- what fails on the way


TROUBLE = {
    "busy": answer(503, "SlowDown"),
    "dropped": DROP,
    "reply lost": LOSE,
    "cut": cut(1000),
}


@pytest.mark.parametrize("trouble", TROUBLE)
def test_reading_is_tried_again(bucket, trouble):
    """An import has the right rows, whatever happens on the way to its file."""
    rows = 170_000
    data = b"n,more\n" + b"".join(b"%07d,%s\n" % (k, b"x" * 110) for k in range(rows))
    assert len(data) > 20_000_000  # more than two blocks
    put(bucket.url("a.csv"), data, bucket.options)
    turns = iter([TROUBLE[trouble], TROUBLE[trouble], PASS] * 5)
    bucket.proxy.rule = only(lambda _: next(turns, PASS), kind="GET")
    with Session() as s:
        ds = s.open_dataset("memory://tried", "w", "d")
        table = import_csv(
            ds,
            "t",
            bucket.url("a.csv"),
            {"n": Numeric("int32"), "more": String()},
            storage_options=bucket.options,
        )
        assert np.array_equal(table["n"].data[:], np.arange(rows))
    assert len([e for e in bucket.proxy.log if e.action is TROUBLE[trouble]]) >= 2


@pytest.mark.parametrize("trouble", ["busy", "dropped", "reply lost"])
@pytest.mark.parametrize("size", [0, 10, (3 << 20) + 5])
def test_writing_is_tried_again(bucket, trouble, size, monkeypatch):
    """One request for a small file, pieces of a larger one; and the bytes are right."""
    if bucket.prefix.startswith("gs") and trouble == "reply lost" and size > 1 << 20:
        pytest.skip("the emulator appends a piece that comes twice; the service ignores it")
    monkeypatch.setattr(Upload, "piece", 1 << 20)
    if bucket.prefix.startswith("s3"):
        monkeypatch.setattr(Upload, "piece", 5 << 20)
        size *= 5
    data = np.random.default_rng(size).bytes(size)
    faults = iter([TROUBLE[trouble], PASS] * 20)
    bucket.proxy.rule = only(lambda _: next(faults, PASS), kind=None)
    put(bucket.url("x.bin"), data, bucket.options)
    bucket.fine()
    assert content(bucket.url("x.bin"), bucket.options) == data
    with open_at_random(bucket.url("x.bin"), bucket.options) as file:
        assert file.seek(-min(size, 3), io.SEEK_END) == size - min(size, 3)
        assert file.read() == data[-3:]
    assert file_exists(bucket.url("x.bin"), bucket.options)
    assert not file_exists(bucket.url("y.bin"), bucket.options)


@pytest.mark.parametrize("pieces", [0, 3])
def test_what_fails_leaves_what_was_there(bucket, pieces, monkeypatch):
    """Neither half a file nor the pieces of one."""
    monkeypatch.setattr(Upload, "piece", 5 << 20)
    put(bucket.url("x.bin"), b"older", bucket.options)

    def write():
        with create_file(bucket.url("x.bin"), bucket.options) as file:
            file.write(bytes((5 << 20) * pieces + 1))
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        write()
    assert content(bucket.url("x.bin"), bucket.options) == b"older"
    bucket.proxy.rule = only(lambda _: answer(403), kind=None)
    with pytest.raises(AccessDeniedError, match=r"could not write .*x\.bin"):
        put(bucket.url("x.bin"), bytes(10), bucket.options)
    bucket.fine()
    assert content(bucket.url("x.bin"), bucket.options) == b"older"


def test_a_file_that_changes_while_it_is_read(bucket):
    put(bucket.url("x.bin"), bytes(20 << 20), bucket.options)
    with open_file(bucket.url("x.bin"), bucket.options) as file:
        file.read(10)
        put(bucket.url("x.bin"), bytes([1]) * (20 << 20), bucket.options)
        with pytest.raises(StorageError, match=r"x\.bin was changed while it was read"):
            file.read()


def test_patterns(bucket):
    """Stars do not cross folders, two of them do; letters of URLs' own are letters of names."""
    for name in ("p/a1.csv", "p/a2.csv", "p/q/a3.csv", "p/b.csv", "p/a#1?.csv"):
        put(bucket.url(name), name.encode(), bucket.options)

    def found(pattern):
        urls = list_files(bucket.url(pattern), bucket.options)
        return [url.removeprefix(bucket.url("")) for url in urls]

    assert found("p/a?.csv") == ["p/a1.csv", "p/a2.csv"]
    assert found("p/**/a[13].csv") == ["p/a1.csv", "p/q/a3.csv"]
    assert found("*/b.csv") == ["p/b.csv"]
    assert found("none/*.csv") == []
    assert content(bucket.url("p/a#1?.csv"), bucket.options) == b"p/a#1?.csv"


def test_what_is_not_there(bucket):
    with pytest.raises(FileNotFoundError, match=r"there is no .*none\.csv"):
        open_file(bucket.url("none.csv"), bucket.options)
    scheme = bucket.prefix.partition("://")[0]
    with pytest.raises((DatasetNotFoundError, FileNotFoundError), match="no-such-bucket-here"):
        open_file(f"{scheme}://no-such-bucket-here/x.csv", bucket.options)
    with (
        pytest.raises(UnsupportedError, match="a web server is read-only"),
        create_file("http://127.0.0.1:9/x.csv"),
    ):
        pass


def test_a_local_file_is_replaced_at_once(tmp_path):
    """Through a link, with the permissions that it had; an error leaves it as it was."""
    path, link = tmp_path / "x.csv", tmp_path / "link.csv"
    path.write_text("older")
    path.chmod(0o640)
    link.symlink_to(path)
    with pytest.raises(RuntimeError), create_file(str(link)) as file:
        file.write(b"half")
        raise RuntimeError
    assert path.read_text() == "older"
    with create_file(f"file://{link}") as file:
        file.write(b"new")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o640)
    assert link.is_symlink()
    assert len(list(tmp_path.iterdir())) == 2


# -- hosts without an address


HOSTS = {
    "s3": ("s3://bucket/x", {"endpoint_url": "http://no-such-host.invalid", "anon": True}),
    "gs": ("gs://bucket/x", {"endpoint_url": "http://no-such-host.invalid", "token": "anon"}),
    "http": ("http://no-such-host.invalid/x", {}),
}


@pytest.fixture
def as_patient_as_ever(monkeypatch):
    for name, value in vars(requests.Patience()).items():
        monkeypatch.setattr(requests.patience, name, value)


def open_somehow(kind: str, what: str) -> None:
    url, options = HOSTS[kind]
    if what == "file":
        open_file(f"{url}.csv", options)
    else:
        name = f"{url}.hdf5" if what == "hdf5" else f"{url}.zarr"
        Session().open_dataset(name, "r", "d", storage_options=options)


@pytest.mark.parametrize("how", ["refused", "temporary", "never"])
def test_a_host_that_does_not_resolve(how, as_patient_as_ever, s3_environment, monkeypatch):
    """Told within five seconds, by the host's name, however the system's resolver takes it."""
    reason = {"refused": socket.EAI_NONAME, "temporary": socket.EAI_AGAIN}.get(how)

    async def resolve(self, host, port=0, family=0):
        if reason is None:
            await resolving.asyncio.sleep(600)
        raise socket.gaierror(reason, "as the system says")

    def told(one: tuple[str, str]) -> float:
        began = time.monotonic()
        with pytest.raises(StorageError, match=r"the host 'no-such-host\.invalid' could not be"):
            open_somehow(*one)
        return time.monotonic() - began

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", resolve)
    # All of them wait at the same time; a file of HDF5 is asked for as a dataset is.
    ways = [(kind, what) for kind in HOSTS for what in ("dataset", "file", "hdf5")]
    with ThreadPoolExecutor(len(ways)) as threads:
        assert max(threads.map(told, ways)) < 6


# -- credentials that many requests find expired at once


def test_many_renew_once(strict, monkeypatch):
    """Those that come later find what the first was given, and do not ask again."""
    bucket, options = strict
    # Credentials that have expired are no sign of a server: until others do, a first contact goes
    # on, which on a busy machine takes longer than the others here are given.
    monkeypatch.setattr(requests.patience, "first_contact", 20.0)
    right = credentials.provider_for(bucket.prefix)()
    put(bucket.url("x.bin"), b"data", options)
    asked, lock = [], threading.Lock()
    together = threading.Barrier(8)

    def provider():
        with lock:
            asked.append(1)
            number = len(asked)
        time.sleep(0.05)
        return right if number > 1 else {**right, "access_key_id": "of-before"}

    from exetera_zarr.storage.remote.buckets import bucket_client

    _, client = bucket_client(bucket.url("x.bin"), {**options, "credentials": provider})
    made = requests.Requests(bucket.url("x.bin"), client)

    def rule(exchange):
        old = "of-before" in exchange.headers["authorization"]
        return answer(400, "ExpiredToken") if old else PASS

    bucket.proxy.rule = only(rule, kind="GET")

    def read():
        together.wait(10)
        return made.make("read", "", lambda: client.get(client.root)[0])

    with ThreadPoolExecutor(8) as pool:
        found = [each.result() for each in [pool.submit(read) for _ in range(8)]]
    assert found == [b"data"] * 8
    assert len(asked) == 2


# -- secrets


@pytest.mark.parametrize("lax", ["s3", "gcs"], indirect=True)
@pytest.mark.parametrize("way", ["options", "set_credentials"])
@pytest.mark.parametrize("trouble", ["403", "503", "dropped", "expired", "missing"])
def test_no_secret_in_what_is_raised(lax, way, trouble, monkeypatch, records: Records):
    monkeypatch.setattr(requests.patience, "deadline", 0.2)
    monkeypatch.setattr(requests.patience, "first_contact", 0.2)
    options = given(way, lax, monkeypatch)
    put(lax.url("a.csv"), b"n\n1\n", options)
    with open_file(lax.url("a.csv"), options) as file:
        assert CANARY not in f"{file!r}{file.raw!r}{file.name}{vars(file.raw)}"
    reply = {"dropped": DROP, "expired": answer(400, "ExpiredToken"), "missing": PASS}
    lax.proxy.rule = lambda _: reply[trouble] if trouble in reply else answer(int(trouble))
    name = "none.csv" if trouble == "missing" else "a.csv"
    for attempt in (content, lambda *given: put(given[0], b"", given[1]), list_files):
        if trouble == "missing" and attempt is not content:
            continue
        with pytest.raises((OSError, StorageError)) as caught:
            attempt(lax.url("*.csv" if attempt is list_files else name), options)
        assert_silent(caught.value)
        assert list(chain(caught.value))
    assert "exetera_zarr" not in records.leaking()
