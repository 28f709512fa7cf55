"""A dataset on a web server, or in a zip archive: read as any other, and refused to writers."""

from __future__ import annotations

import shutil
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exetera_zarr import DatasetNotFoundError, Session
from exetera_zarr.errors import AccessDeniedError, CorruptDataError, StorageError, UnsupportedError
from exetera_zarr.storage import keys
from support.study import STEPS, append, create, read, select

NAMES = ["plain", "height/weight", "weight in kg", "100%", "größe", "a#b?c&d", "Case", "case"]


@contextmanager
def served(folder: Path, status: int = 404) -> Iterator[tuple[str, list[str]]]:
    """A web server of what is in a folder, its URL, and what it was asked; it lists nothing."""
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given, directory=str(folder))

        def send_head(self) -> Any:
            asked.append(self.path)
            if not Path(self.translate_path(self.path)).is_file():
                self.send_error(status)
                return None
            return super().send_head()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def write(folder: Path, name: str = "study.zarr") -> Path:
    """A dataset of three versions, and a table of odd names."""
    for step, _ in STEPS:
        step(str(folder / name), {})
    with Session() as s:
        table = s.open_dataset(folder / name, "r+", "d").create_dataframe("odd names/1")
        for number, field in enumerate(NAMES):
            table.create_numeric(field, "int32").data.write(np.arange(5) + number)
            table.create_fixed_string(f"{field}, text", 3).data.write([b"abc"] * 5)
    return folder / name


def check(url: str, **more: Any) -> None:
    """All that can be done with a dataset that can only be read."""
    assert read(url, {}, **more) == STEPS[-1][1]
    for number, (_, after) in enumerate(STEPS, 1):
        assert read(url, {}, version=number) == after
    with Session() as s:
        ds = s.open_dataset(url, "r", "d", **more)
        table = ds["odd names/1"]
        for number, field in enumerate(NAMES):
            assert table[field].data[:].tolist() == [number + row for row in range(5)]
            assert set(table[f"{field}, text"].data[:].tolist()) == {b"abc"}
        assert [c.version for c in ds.history()] == [4, 3, 2, 1, 0]
        assert (ds.version, ds.refresh()) == (4, 4)
        ds.verify()
        with pytest.raises(PermissionError, match=r"read"):
            table["plain"].data[0] = 7


@pytest.mark.parametrize("status", [404, 403])
def test_a_web_server(archives, status):
    """Also one that answers 403 for what is not there, as buckets do that are web sites."""
    with served(archives / "made", status) as (url, asked):
        check(f"{url}/study.zarr")
        assert not any(path.endswith("/") for path in asked)


def test_a_name_that_needs_escapes(tmp_path):
    """The URL may be as it is typed, or as it is copied from a browser."""
    write(tmp_path / "of all", "my study 50%.zarr")
    with served(tmp_path) as (url, _):
        check(f"{url}/of%20all/my%20study%2050%25.zarr")
        assert read(f"{url}/of all/my study 50%25.zarr/", {}) == STEPS[-1][1]


def test_a_query(archives):
    """What follows the question mark, such as a signature, is sent with every request."""
    with served(archives / "made") as (url, asked):
        check(f"{url}/study.zarr?sig=abc-def")
        assert all(path.endswith("?sig=abc-def") for path in asked)


@pytest.mark.parametrize("behind", [0, 1, 2])
def test_versions_that_are_not_revealed(tmp_path, behind):
    """Where nothing can be listed, the newest version is found from the root document on."""
    url = tmp_path / "study.zarr"
    create(str(url), {})
    root = (url / "zarr.json").read_bytes()
    for step in (append, select)[:behind]:
        step(str(url), {})
    (url / "zarr.json").write_bytes(root)
    with served(tmp_path) as (web, _):
        assert read(f"{web}/study.zarr", {}) == STEPS[behind][1]
        with Session() as s:
            assert s.open_dataset(f"{web}/study.zarr", "r", "d").version == 1 + behind
    assert (url / "zarr.json").read_bytes() == root


def test_a_reader_that_has_a_version_open(tmp_path):
    """It keeps that until it is refreshed."""
    url = str(tmp_path / "study.zarr")
    create(url, {})
    with served(tmp_path) as (web, _), Session() as s:
        ds = s.open_dataset(f"{web}/study.zarr", "r", "d")
        append(url, {})
        assert ds["people"]["age"].data[:].tolist() == STEPS[0][1]["age"]
        assert ds.refresh() == 2
        assert ds["people"]["age"].data[:].tolist() == STEPS[1][1]["age"]


@pytest.mark.parametrize("name", ["no.zarr", "no.zip", "no.hdf5", "folder", ""])
def test_a_web_server_without_a_dataset(tmp_path, name):
    (tmp_path / "folder").mkdir()
    with served(tmp_path) as (url, _), Session() as s:
        with pytest.raises(DatasetNotFoundError, match=f"no dataset at {url}/{name}") as caught:
            s.open_dataset(f"{url}/{name}", "r", "d")
        assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [(401, AccessDeniedError, "401"), (403, AccessDeniedError, "403"), (500, StorageError, "500")],
)
def test_a_web_server_that_refuses(tmp_path, status, error, said, monkeypatch):
    """The message has the place and what the server has said."""
    from exetera_zarr.storage.remote import requests

    monkeypatch.setattr(requests.patience, "deadline", 0.2)
    with served(tmp_path, status) as (url, _), Session() as s:
        for name in ("study.zarr", "study.zip"):
            with pytest.raises(error, match=rf"could not \w+ {url}/{name}.*{said}"):
                s.open_dataset(f"{url}/{name}", "r", "d")


@pytest.mark.parametrize("mode", ["w", "a", "x", "r+"])
@pytest.mark.parametrize("sole", [False, True])
def test_writing_is_refused(archives, tmp_path, mode, sole):
    """At once, without a request, with a sentence that says why; nothing is made or changed."""
    packed = tmp_path / "study.zip"
    shutil.copy(archives / "top.zip", packed)
    before = packed.read_bytes()
    with served(tmp_path) as (url, asked):
        for place, kind in [
            (f"{url}/study.zarr", "a web server"),
            (f"{url}/new.zarr", "a web server"),
            (f"{url}/study.zip", "a zip archive"),
            (str(packed), "a zip archive"),
            (f"file://{packed}", "a zip archive"),
            (f"zip::{packed}", "a zip archive"),
            (str(tmp_path / "new.zip"), "a zip archive"),
            ("s3://bucket/study.zip", "a zip archive"),
        ]:
            with pytest.raises(UnsupportedError) as caught, Session() as s:
                s.open_dataset(place, mode, "d", single_writer=sole)
            shown = place.removeprefix("zip::")
            assert str(caught.value) == f"{shown}: {kind} is read-only; open it with mode 'r'"
        assert asked == []
    assert packed.read_bytes() == before
    assert not (tmp_path / "new.zip").exists()


def pack(folder: Path, archive: Path, top: Path, kind: int = zipfile.ZIP_STORED) -> None:
    """An archive of a folder, with names from `top` on."""
    with zipfile.ZipFile(archive, "w", kind) as file:
        for path in sorted(folder.rglob("*")):
            file.write(path, path.relative_to(top))


@pytest.fixture(scope="module")
def archives(tmp_path_factory) -> Path:
    """Archives with the dataset at their top, or in a folder, alone and beside others."""
    place = tmp_path_factory.mktemp("archives")
    folder = write(place / "made")
    pack(folder, place / "top.zip", folder)
    pack(folder, place / "squeezed.ZIP", folder, zipfile.ZIP_DEFLATED)
    pack(folder, place / "folder.zip", folder.parent)
    (place / "made" / "__MACOSX").mkdir()
    (place / "made" / "__MACOSX" / "._study.zarr").write_bytes(b"x")
    pack(folder.parent, place / "mac.zip", folder.parent)
    shutil.make_archive(str(place / "of shutil"), "zip", folder)
    return place


ARCHIVES = ["top.zip", "squeezed.ZIP", "folder.zip", "mac.zip", "of shutil.zip"]


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive(archives, name):
    check(str(archives / name))


@pytest.mark.parametrize("spelling", ["file://{}", "zip::{}"])
def test_an_archive_as_a_url(archives, spelling):
    assert read(spelling.format(archives / "top.zip"), {}) == STEPS[-1][1]


@pytest.mark.parametrize("name", ["top.zip", "folder.zip"])
def test_an_archive_on_a_web_server(archives, name):
    """Also on one that sends no parts of files, and with a query."""
    with served(archives) as (url, _):
        check(f"{url}/{name}")
        assert read(f"{url}/{name}?download=1", {}) == STEPS[-1][1]


def test_an_archive_in_a_bucket(s3_bucket, archives):
    """Of which only what is needed is fetched, with the bucket's own options."""
    import s3fs

    fs = s3fs.S3FileSystem(**s3_bucket.direct, skip_instance_cache=True)
    place = f"{s3_bucket.prefix}/top.zip"
    fs.pipe_file(place, (archives / "top.zip").read_bytes())
    assert read(place, s3_bucket.options) == STEPS[-1][1]
    with pytest.raises(DatasetNotFoundError, match=r"no dataset at s3://.*/no\.zip"):
        read(f"{s3_bucket.prefix}/no.zip", {**s3_bucket.options, "retry_deadline": 1})


def test_archives_without_a_dataset(tmp_path):
    """Something else, two datasets, nothing, and no archive at all."""
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as file:
        file.writestr("a/b.txt", "hello")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    (tmp_path / "none.zip").write_bytes(b"PK no archive")
    for name in ("one.zarr", "two.zarr"):
        create(str(tmp_path / "both" / name), {})
    pack(tmp_path / "both", tmp_path / "both.zip", tmp_path / "both")
    with served(tmp_path) as (url, _):
        for place in (str(tmp_path), url):
            for name in ("other.zip", "empty.zip", "none.zip", "both.zip", "absent.zip"):
                with pytest.raises(DatasetNotFoundError, match=rf"{place}/{name}"), Session() as s:
                    s.open_dataset(f"{place}/{name}", "r", "d")


@pytest.mark.parametrize("kept", [4, 1000, -1])
def test_a_truncated_archive_is_called_that(archives, tmp_path, kept):
    """Not taken for a place without a dataset, which is what somebody would look elsewhere for."""
    (tmp_path / "cut.zip").write_bytes((archives / "top.zip").read_bytes()[:kept])
    with served(tmp_path) as (url, _):
        for place in (str(tmp_path), url):
            with pytest.raises(
                CorruptDataError, match=rf"{place}/cut\.zip is truncated or damaged"
            ):
                read(f"{place}/cut.zip", {})


def test_a_damaged_archive(archives, tmp_path):
    """An error that says where, and no wrong value."""
    data = bytearray((archives / "top.zip").read_bytes())
    with zipfile.ZipFile(archives / "top.zip") as file:
        chunk = next(
            each
            for each in file.infolist()
            if each.filename.startswith("odd") and keys.is_chunk(each.filename)
        )
    data[chunk.header_offset + 30 + len(chunk.filename) + 20] ^= 0xFF
    (tmp_path / "bad.zip").write_bytes(data)
    with Session() as s:
        ds = s.open_dataset(tmp_path / "bad.zip", "r", "d")
        with pytest.raises((StorageError, ValueError), match=r"bad\.zip"):
            ds.verify()


def test_a_folder_that_is_named_like_an_archive(tmp_path):
    """A folder is one, whatever it is called."""
    create(str(tmp_path / "a.zarr"), {})
    (tmp_path / "a.zarr").rename(tmp_path / "a.zip")
    assert read(str(tmp_path / "a.zip"), {}) == STEPS[0][1]
    append(str(tmp_path / "a.zip"), {})
    assert read(str(tmp_path / "a.zip"), {}) == STEPS[1][1]


def test_the_cache_before_a_web_server(archives, tmp_path):
    """Chunks are asked for once; the newest version is looked for each time."""
    with served(archives / "made") as (url, asked):
        kept = {"cache": tmp_path / "cache"}
        assert read(f"{url}/study.zarr", {}, **kept) == STEPS[-1][1]
        asked.clear()
        assert read(f"{url}/study.zarr", {}, **kept) == STEPS[-1][1]
        assert not any("/c/" in path for path in asked)
