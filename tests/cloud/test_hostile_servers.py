"""Servers that are broken or hostile: what is read of them is right, or a typed error, and soon."""

from __future__ import annotations

import gc
import time
import traceback
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from exetera_zarr import Session
from exetera_zarr.errors import CorruptDataError, DataError, ExeteraError, StorageError
from exetera_zarr.storage import keys
from exetera_zarr.storage.remote import requests
from exetera_zarr.storage.remote.files import list_files, open_at_random, open_file
from exetera_zarr.storage.remote.limits import limits
from exetera_zarr.storage.stores.opening import open_store
from support.hostile import BUCKET, Answering, Asked, Hostile, bomb, hostile_server, page_of
from support.study import STEPS, content, create, read

CANARY = "canary-6d2f81c0"
FILE = bytes(range(256)) * (12 << 10)  # three blocks of those that are read in order
SECONDS = 5.0
MEMORY = 300 << 20
STATUS = Path("/proc/self/status")


# -- what is read, and how


@dataclass(frozen=True)
class Way:
    """How something is read of a server, and what it is when all is well."""

    name: str
    scheme: str
    read: Callable[[str, dict[str, Any]], Any]
    path: str
    right: Any

    def url(self, server: Hostile) -> str:
        start = f"{server.endpoint}/" if self.scheme == "http" else f"{self.scheme}://"
        return f"{start}{BUCKET}/{self.path}"

    def options(self, server: Hostile) -> dict[str, Any]:
        hurry = {"retry_deadline": 0.4, "stall_timeout": 0.4, "largest_object": 4 << 20}
        if self.scheme == "http":
            return {"headers": {"X-Api-Key": CANARY, "Authorization": f"Bearer {CANARY}"}, **hurry}
        if self.scheme == "s3":
            return {
                "endpoint_url": server.endpoint,
                "key": CANARY,
                "secret": CANARY,
                "token": CANARY,
                **hurry,
            }
        return {"endpoint_url": server.endpoint, "token": CANARY, "project": "test", **hurry}


def in_order(url: str, options: dict[str, Any]) -> bytes:
    with open_file(url, options) as file:
        return file.read()


def at_random(url: str, options: dict[str, Any]) -> bytes:
    with open_at_random(url, options) as file:
        file.seek(0, 2)
        size = file.tell()
        file.seek(size // 2)
        second = file.read()
        file.seek(0)
        return file.read(size // 2) + second


def listed(url: str, options: dict[str, Any]) -> list[str]:
    return [found.rpartition("/")[2] for found in list_files(f"{url}/*", options)]


STUDY = STEPS[-1][1]
OBJECTS = [
    Way("dataset on the web", "http", read, "study.zarr", STUDY),
    Way("dataset in S3", "s3", read, "study.zarr", STUDY),
    Way("dataset in GCS", "gs", read, "study.zarr", STUDY),
    Way("CSV on the web", "http", in_order, "big.csv", FILE),
    Way("CSV in S3", "s3", in_order, "big.csv", FILE),
    Way("HDF5 on the web", "http", at_random, "big.csv", FILE),
    Way("HDF5 in S3", "s3", at_random, "big.csv", FILE),
    Way("HDF5 in GCS", "gs", at_random, "big.csv", FILE),
]
LISTINGS = [
    Way("dataset in S3", "s3", read, "study.zarr", STUDY),
    Way("dataset in GCS", "gs", read, "study.zarr", STUDY),
    Way("files in S3", "s3", listed, "files", ["a.csv", "b.csv"]),
    Way("files in GCS", "gs", listed, "files", ["a.csv", "b.csv"]),
]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("study") / "study.zarr"
    for step, _ in STEPS:
        step(str(folder), {})
    there = {
        f"study.zarr/{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    return {**there, "big.csv": FILE, "files/a.csv": b"a", "files/b.csv": b"b"}


@pytest.fixture(scope="module")
def servers(study: dict[str, bytes]) -> Iterator[tuple[Hostile, Hostile]]:
    """The server that is asked, and another host."""
    with hostile_server() as server, hostile_server("127.0.0.2") as other:
        server.objects.update(study)
        other.objects.update(study)
        yield server, other


@pytest.fixture
def pair(servers: tuple[Hostile, Hostile]) -> Iterator[tuple[Hostile, Hostile]]:
    for each in servers:
        each.honest()
    yield servers
    for each in servers:
        each.honest()


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is copied to the local disk, or has no end, is soon too much."""
    monkeypatch.setattr(limits, "copied", 64 << 20)
    monkeypatch.setattr(limits, "listed", 20_000)


# -- what is measured


def peak() -> int:
    """The most memory that this process has had since the last `restart`."""
    for line in STATUS.read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) << 10
    raise AssertionError("Linux says it")


def restart() -> int | None:
    """Measure the memory anew from here on; None where no system measures it."""
    if not STATUS.exists():
        return None
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


def outcome(way: Way, server: Hostile) -> Any:
    """What is read or the error, which comes in time, and takes no more memory than it may."""
    before = restart()
    began = time.monotonic()
    try:
        found = way.read(way.url(server), way.options(server))
    except (ExeteraError, FileNotFoundError) as error:
        found = error
    assert time.monotonic() - began < SECONDS
    if before is not None:
        assert peak() - before < MEMORY
    return found


def check(way: Way, server: Hostile, other: Hostile) -> None:
    """All that holds of whatever a server does."""
    found = outcome(way, server)
    if isinstance(found, Exception):
        assert CANARY not in "".join(traceback.format_exception(found))
        assert way.path in str(found) or server.host in str(found) or BUCKET in str(found)
    else:
        assert found == way.right
    assert not other.saw(CANARY)
    assert not any("authorization" in each.headers for each in other.asked)


@pytest.mark.parametrize("way", [*OBJECTS, *LISTINGS[2:]], ids=lambda way: way.name)
def test_an_honest_server(way: Way, pair: tuple[Hostile, Hostile]) -> None:
    """Else the table below would prove nothing: secrets are sent, and what comes is right."""
    server, _ = pair
    assert outcome(way, server) == way.right
    assert server.saw(CANARY)


# -- tricks with objects

LENGTH = 1 << 20


def to_other(status: int, where: str = "") -> Any:
    """Send the client on to the other host, which has what was asked for."""

    def play(it: Answering, asked: Asked, other: Hostile) -> bool:
        return it.reply(status, b"", {"Location": where or f"{other.endpoint}{asked.path}"})

    return play


def silence(it: Answering, _: Asked, __: Hostile) -> bool:
    return it.wait()


def slow_head(it: Answering, _: Asked, __: Hostile) -> bool:
    it.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    return it.endless(b"a", 0.1)


def slow_body(it: Answering, _: Asked, __: Hostile) -> bool:
    it.head(200, {"Content-Length": LENGTH, "ETag": '"a"', "X-Goog-Generation": 1})
    return it.endless(b"a", 0.1)


def half(it: Answering, _: Asked, __: Hostile) -> bool:
    it.head(200, {"Content-Length": LENGTH})
    it.wfile.write(bytes(LENGTH // 2))
    return it.wait()


def cut(it: Answering, _: Asked, __: Hostile) -> bool:
    it.head(200, {"Content-Length": LENGTH})
    return it.raw(bytes(LENGTH // 2))


def endless_chunks(it: Answering, _: Asked, __: Hostile, status: int = 200) -> bool:
    it.head(status, {"Transfer-Encoding": "chunked"})
    return it.chunked(bytes(1 << 16))


def tiny_chunks(it: Answering, _: Asked, __: Hostile) -> bool:
    it.head(200, {"Transfer-Encoding": "chunked"})
    return it.endless(b"1\r\na\r\n" * 10_000)


def until_closed(it: Answering, _: Asked, __: Hostile) -> bool:
    it.head(200, {"Connection": "close"})
    return it.endless(bytes(1 << 16))


def announced(it: Answering, _: Asked, __: Hostile, status: int = 200) -> bool:
    it.head(status, {"Content-Length": 1 << 42})
    return it.endless(bytes(1 << 16))


def packed(kind: str, wbits: int) -> Any:
    """A few bytes that are many."""

    def play(it: Answering, _: Asked, __: Hostile) -> bool:
        it.head(200, {"Content-Encoding": kind, "Transfer-Encoding": "chunked"})
        first, again = bomb(wbits)
        it.wfile.write(b"%x\r\n%s\r\n" % (len(first), first))
        return it.chunked(again)

    return play


def packed_part(it: Answering, asked: Asked, _: Hostile) -> bool:
    """The same in an answer to who asked for a part."""
    data = zlib.compress(bytes(256 << 20), wbits=31)
    about = {"Content-Encoding": "gzip", "Content-Range": "bytes 0-1048575/1048576"}
    return it.reply(206 if "range" in asked.headers else 200, data, about)


def mislabelled(it: Answering, _: Asked, __: Hostile) -> bool:
    return it.reply(200, b"no such bytes" * 100, {"Content-Encoding": "br"})


def to_itself(it: Answering, asked: Asked, _: Hostile) -> bool:
    return it.reply(302, b"", {"Location": asked.path})


def ever_on(it: Answering, asked: Asked, _: Hostile) -> bool:
    return it.reply(302, b"", {"Location": f"{asked.path.partition('?')[0]}/a"})


def no_place(it: Answering, _: Asked, __: Hostile) -> bool:
    return it.reply(302, b"")


def endless_head(it: Answering, _: Asked, __: Hostile) -> bool:
    it.wfile.write(b"HTTP/1.1 200 OK\r\n")
    return it.endless(b"X-More: and more\r\n" * 1000)


def long_header(it: Answering, _: Asked, __: Hostile) -> bool:
    it.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    return it.endless(b"a" * 65536)


def go_on(it: Answering, _: Asked, __: Hostile) -> bool:
    return it.endless(b"HTTP/1.1 100 Continue\r\n\r\n" * 100, 0.01)


def raw(data: bytes) -> Any:
    """Whatever this is."""

    def play(it: Answering, _: Asked, __: Hostile) -> bool:
        return it.raw(data)

    return play


def status(number: int, body: bytes = b"", **headers: str) -> Any:
    """An answer of some status, to whatever was asked."""

    def play(it: Answering, _: Asked, __: Hostile) -> bool:
        return it.reply(number, body, {name.replace("_", "-"): v for name, v in headers.items()})

    return play


def other_part(it: Answering, asked: Asked, _: Hostile) -> bool:
    """Bytes of elsewhere in the file."""
    if "range" not in asked.headers:
        return False
    part = FILE[1000:2000]
    return it.reply(206, part, {"Content-Range": f"bytes 1000-1999/{len(FILE)}", "ETag": '"a"'})


def part_of(about: str) -> Any:
    """A part of a file that is said to be something else."""

    def play(it: Answering, asked: Asked, _: Hostile) -> bool:
        if "range" not in asked.headers:
            return False
        told = {"Content-Range": about, "ETag": '"a"', "X-Goog-Generation": 1}
        return it.reply(206, FILE[:1000], told)

    return play


def more_than_asked(it: Answering, asked: Asked, _: Hostile) -> bool:
    if "range" not in asked.headers:
        return False
    it.head(206, {"Transfer-Encoding": "chunked", "Content-Range": f"bytes 0-999/{len(FILE)}"})
    return it.chunked(bytes(1 << 16))


def whole_file(it: Answering, asked: Asked, _: Hostile) -> bool:
    """All of it to who asked for a part, as many web servers do."""
    body = it.hostile.objects.get(asked.key)
    if body is None:
        return False
    return it.reply(200, body, {"ETag": '"a"', "X-Goog-Generation": 1})


def nameless(it: Answering, asked: Asked, _: Hostile) -> bool:
    """The object without a tag."""
    body = it.hostile.objects.get(asked.key)
    return body is not None and it.reply(200, body)


def trailers(it: Answering, _: Asked, __: Hostile) -> bool:
    it.head(200, {"Transfer-Encoding": "chunked"})
    it.wfile.write(b"1\r\na\r\n0\r\n")
    return it.endless(b"X-More: and more\r\n" * 1000)


def cookies(it: Answering, _: Asked, __: Hostile) -> bool:
    jar = "".join(f"Set-Cookie: name{n}=value; Domain=127.0.0.2\r\n" for n in range(100))
    return it.raw(f"HTTP/1.1 200 OK\r\n{jar}Content-Length: 1\r\n\r\na".encode())


PAGE = b"<!DOCTYPE html><html><body>Welcome!</body></html>"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha">'
    + b"".join(b'<!ENTITY a%d "%s">' % (n, b"&a%s;" % (b"%d" % (n - 1) if n else b"") * 10) for n in range(12))
    + b"]><l>&a11;</l>"
)
TRICKS: dict[str, Any] = {
    "silence": silence,
    "a slow head": slow_head,
    "a byte at a time": slow_body,
    "half and then silence": half,
    "half and then nobody": cut,
    "chunks without end": endless_chunks,
    "tiny chunks without end": tiny_chunks,
    "a body until the end of days": until_closed,
    "a length of four terabytes": announced,
    "a bomb of gzip": packed("gzip", 31),
    "a bomb of deflate": packed("deflate", 15),
    "a part that is a bomb": packed_part,
    "another encoding than it says": mislabelled,
    "301 to another host": to_other(301),
    "302 to another host": to_other(302),
    "303 to another host": to_other(303),
    "307 to another host": to_other(307),
    "308 to another host": to_other(308),
    "to another host with a login": to_other(302, "http://user:word@127.0.0.2:9/a"),
    "to a file": to_other(302, "file:///etc/passwd"),
    "to another service": to_other(302, "ftp://127.0.0.2/a"),
    "to no address": to_other(302, "http://[::bad"),
    "to a port beyond all": to_other(302, "http://127.0.0.2:99999/"),
    "to itself": to_itself,
    "ever on": ever_on,
    "on to nowhere": no_place,
    "headers without end": endless_head,
    "a header without end": long_header,
    "100 without end": go_on,
    "another protocol": raw(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "no answer at all": raw(b""),
    "a negative length": raw(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nabc"),
    "two lengths": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 3\r\n\r\nabc"),
    "a length that is none": raw(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nabc"),
    "a chunk too large": raw(CHUNKED + b"FFFFFFFFFFFFFFFFFFFF\r\nabc"),
    "a chunk that is none": raw(CHUNKED + b"what?\r\nabc\r\n"),
    "zeros": raw(bytes(1000)),
    "a page for every name": status(200, PAGE),
    "nothing for every name": status(200),
    "no content": status(204),
    "a status that is none": raw(b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n"),
    "who are you": status(401, PAGE, WWW_Authenticate="Negotiate"),
    "forbidden, at length": partial(announced, status=403),
    "not found, without end": partial(endless_chunks, status=404),
    "an error without end": partial(endless_chunks, status=500),
    "come again in a year": status(429, Retry_After="31536000"),
    "busy for ever": status(503),
    "an error full of laughs": status(400, LAUGHS),
    "another part": other_part,
    "a part of nothing": part_of("bytes */*"),
    "a part that makes no sense": part_of("bytes 0-9/" + "9" * 5000),
    "a part that is no number": part_of("bytes \u00b2-\u00b3/\u00b9".encode("latin-1").decode("latin-1")),
    "a part without its size": part_of("bytes 0-999/*"),
    "more than a part": more_than_asked,
    "the whole for a part": whole_file,
    "no tags": nameless,
    "trailers without end": trailers,
    "cookies for others": cookies,
}


@pytest.mark.parametrize("way", OBJECTS, ids=lambda way: way.name)
@pytest.mark.parametrize("trick", TRICKS)
def test_a_hostile_object(trick: str, way: Way, pair: tuple[Hostile, Hostile]) -> None:
    server, other = pair
    server.trick = lambda it, asked: asked.kind == "object" and TRICKS[trick](it, asked, other)
    check(way, server, other)
    assert server.asked


# -- tricks with listings


def again(it: Answering, asked: Asked, _: Hostile) -> bool:
    """Every page goes on at the same place."""
    return it.reply(200, page_of(asked, [(f"{asked.key}a", 1)], "again"))


def in_a_circle(it: Answering, asked: Asked, _: Hostile) -> bool:
    token = asked.query.get("continuation-token") or asked.query.get("pageToken") or ""
    return it.reply(200, page_of(asked, [], {"a": "b", "b": "c"}.get(token, "a")))


def nothing_for_ever(it: Answering, asked: Asked, _: Hostile) -> bool:
    return it.reply(200, page_of(asked, [], f"next{time.monotonic_ns()}"))


def names_for_ever(it: Answering, asked: Asked, _: Hostile) -> bool:
    moment = time.monotonic_ns()
    entries = [(f"{asked.key}{moment}-{number}", 1) for number in range(1000)]
    return it.reply(200, page_of(asked, entries, f"next{moment}"))


def large_page(it: Answering, asked: Asked, _: Hostile) -> bool:
    """Two hundred megabytes at once."""
    page = page_of(asked, [(f"{asked.key}{'a' * 900}", 1)] * 1000)
    begin, middle, end = page[: len(page) // 2], b" " * (200 << 20), page[len(page) // 2 :]
    it.head(200, {"Content-Length": len(page) + len(middle)})
    it.wfile.write(begin)
    for start in range(0, len(middle), 1 << 20):
        it.wfile.write(middle[start : start + (1 << 20)])
    it.wfile.write(end)
    return True


def elsewhere(it: Answering, asked: Asked, _: Hostile) -> bool:
    return it.reply(200, page_of(asked, [("another/place", 1)]))


def negative(it: Answering, asked: Asked, _: Hostile) -> bool:
    return it.reply(200, page_of(asked, [(f"{asked.key}a", -1)]))


def in_json_or_xml(as_json: bytes, as_xml: bytes) -> Any:
    """A page of another shape."""

    def play(it: Answering, asked: Asked, _: Hostile) -> bool:
        return it.reply(200, as_json if asked.google else as_xml)

    return play


XML = b"<ListBucketResult>%s</ListBucketResult>"
ENTRY = b"<Contents><Key>%s</Key><Size>%s</Size><LastModified>%s</LastModified></Contents>"
PAGES: dict[str, Any] = {
    "silence": silence,
    "a byte at a time": slow_body,
    "chunks without end": endless_chunks,
    "a bomb of gzip": packed("gzip", 31),
    "an error without end": partial(endless_chunks, status=500),
    "307 to another host": to_other(307),
    "302 to another host": to_other(302),
    "ever on": ever_on,
    "the same place again": again,
    "in a circle": in_a_circle,
    "pages of nothing": nothing_for_ever,
    "names without end": names_for_ever,
    "a page of 200 MB": large_page,
    "names of elsewhere": elsewhere,
    "negative sizes": negative,
    "a page for people": status(200, PAGE),
    "nothing": status(200),
    "laughs": in_json_or_xml(b"[" * 100_000, LAUGHS),
    "depths": in_json_or_xml(b'{"items":' * 100_000, b"<a>" * 100_000),
    "many small things": in_json_or_xml(
        b'{"items":[' + b"{}," * 1_300_000 + b"{}]}", XML % (b"<a/>" * 1_000_000)
    ),
    "a list": in_json_or_xml(b"[1, 2]", b"<a/>"),
    "null": in_json_or_xml(b"null", b""),
    "a token that is none": in_json_or_xml(
        b'{"nextPageToken": {"a": 1}}', XML % b"<NextContinuationToken><a/></NextContinuationToken>"
    ),
    "a size that is none": in_json_or_xml(
        b'{"items":[{"name":"a","size":"many","updated":"2026-01-01T00:00:00Z"}]}',
        XML % ENTRY % (b"a", b"many", b"2026-01-01T00:00:00Z"),
    ),
    "a size of many digits": in_json_or_xml(
        b'{"items":[{"name":"a","size":"%s","updated":"2026-01-01T00:00:00Z"}]}' % (b"9" * 9999),
        XML % ENTRY % (b"a", b"9" * 9999, b"2026-01-01T00:00:00Z"),
    ),
    "a moment that is none": in_json_or_xml(
        b'{"items":[{"name":"a","size":"1","updated":"soon"}]}',
        XML % ENTRY % (b"a", b"1", b"soon"),
    ),
    "no names": in_json_or_xml(b'{"items":[{}, 1, null]}', XML % b"<Contents></Contents>"),
    "not UTF-8": in_json_or_xml(b'{"items":[{"name":"\xff"}]}', XML % b"<Contents>\xff</Contents>"),
}


@pytest.mark.parametrize("way", LISTINGS, ids=lambda way: way.name)
@pytest.mark.parametrize("trick", PAGES)
def test_a_hostile_listing(trick: str, way: Way, pair: tuple[Hostile, Hostile]) -> None:
    server, other = pair
    server.trick = lambda it, asked: asked.kind == "list" and PAGES[trick](it, asked, other)
    check(way, server, other)
    assert any(each.kind == "list" for each in server.asked)
