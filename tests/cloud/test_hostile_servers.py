"""Servers that are broken or hostile: what is read of them is right, or a typed error, and soon."""

from __future__ import annotations

import gc
import gzip
import json
import os
import time
import traceback
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from exetera_zarr.errors import CorruptDataError, DataError, ExeteraError, StorageError
from exetera_zarr.storage import keys
from exetera_zarr.storage.remote import requests
from exetera_zarr.storage.remote.files import create_file, list_files, open_at_random, open_file
from exetera_zarr.storage.remote.limits import limits
from exetera_zarr.storage.stores.opening import open_store
from exetera_zarr.storage.zarr import layout
from support.hostile import BUCKET, Answering, Asked, Hostile, bomb, hostile_server, page_of
from support.study import STEPS, read

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
    monkeypatch.setattr(limits, "listed", 5_000)


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


def seconds() -> float:
    """What a case may take: more where others want the processors as well."""
    crowd = os.getloadavg()[0] / (os.cpu_count() or 1) if hasattr(os, "getloadavg") else 1.0
    return SECONDS * max(crowd, 1.0)


def outcome(way: Way, server: Hostile) -> Any:
    """What is read or the error, which comes in time, and takes no more memory than it may."""
    before = restart()
    began = time.monotonic()
    try:
        found = way.read(way.url(server), way.options(server))
    except (ExeteraError, FileNotFoundError) as error:
        found = error
    assert time.monotonic() - began < seconds()
    if before is not None:
        assert peak() - before < MEMORY
    return found


def check(way: Way, server: Hostile, other: Hostile, given: bytes | None = None) -> None:
    """
    All that holds of whatever a server does.

    `given` is what it truthfully says that a file of its own has, if that is not what was there.
    """
    found = outcome(way, server)
    if isinstance(found, Exception):
        assert CANARY not in "".join(traceback.format_exception(found))
        assert way.path in str(found) or server.host in str(found) or BUCKET in str(found)
    elif given is None or way.path != "big.csv":
        assert found == way.right
    else:
        assert found in (given, way.right)
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


def unnamed_part(it: Answering, asked: Asked, _: Hostile) -> bool:
    """Some bytes, which are not said to be these or those."""
    if "range" not in asked.headers:
        return False
    return it.reply(206, FILE[:1000], {"ETag": '"a"', "X-Goog-Generation": 1})


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
    b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a0 "ha">'
    + b"".join(b'<!ENTITY a%d "%s">' % (n + 1, b"&a%d;" % n * 10) for n in range(12))
    + b"]><l>&a12;</l>"
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
    "a part that is no number": part_of(
        "bytes \u00b2-\u00b3/\u00b9".encode("latin-1").decode("latin-1")
    ),
    "a part without its size": part_of("bytes 0-999/*"),
    "a part of what": unnamed_part,
    "more than a part": more_than_asked,
    "the whole for a part": whole_file,
    "no tags": nameless,
    "trailers without end": trailers,
    "cookies for others": cookies,
}


def pairs(tricks: Iterable[str], ways: Sequence[Way]) -> list[Any]:
    """Each trick in each way; all but one of its ways are slow, since there are hundreds."""
    return [
        pytest.param(
            trick,
            way,
            id=f"{trick}-{way.name}",
            marks=() if (first + second) % len(ways) == 0 else pytest.mark.slow,
        )
        for first, trick in enumerate(tricks)
        for second, way in enumerate(ways)
    ]


LIES = {"a page for every name": PAGE, "nothing for every name": b"", "cookies for others": b"a"}
"""What is said so well that nobody could know better: a file has what its server says it has."""


@pytest.mark.parametrize(("trick", "way"), pairs(TRICKS, OBJECTS))
def test_a_hostile_object(trick: str, way: Way, pair: tuple[Hostile, Hostile]) -> None:
    server, other = pair
    server.trick = lambda it, asked: asked.kind == "object" and TRICKS[trick](it, asked, other)
    check(way, server, other, LIES.get(trick))
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
        b'{"items":[' + b"{}," * 2_700_000 + b"{}]}", XML % (b"<a/>" * 520_000)
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


@pytest.mark.parametrize(("trick", "way"), pairs(PAGES, LISTINGS))
def test_a_hostile_listing(trick: str, way: Way, pair: tuple[Hostile, Hostile]) -> None:
    server, other = pair
    server.trick = lambda it, asked: asked.kind == "list" and PAGES[trick](it, asked, other)
    check(way, server, other)
    assert any(each.kind == "list" for each in server.asked)


# -- what is allowed, and where it ends


def anonymous(way: Way, server: Hostile) -> dict[str, Any]:
    """Who asks without saying who it is."""
    return {"retry_deadline": 0.4, "stall_timeout": 2.0}


WEB = [way for way in OBJECTS if way.scheme == "http"]


@pytest.mark.parametrize("way", WEB, ids=lambda way: way.name)
@pytest.mark.parametrize("number", [301, 302, 303, 307, 308])
def test_nobody_in_particular_is_sent_on(
    number: int, way: Way, pair: tuple[Hostile, Hostile]
) -> None:
    """A page that has moved is read where it is now, by requests that say nothing of who asks."""
    server, other = pair
    server.trick = lambda it, asked: to_other(number)(it, asked, other)
    assert way.read(way.url(server), anonymous(way, server)) == way.right
    known = {"host", "accept", "accept-encoding", "user-agent", "range", "connection"}
    assert other.asked
    assert {name for each in other.asked for name in each.headers} <= known


@pytest.mark.parametrize("way", WEB, ids=lambda way: way.name)
def test_within_a_host_headers_go_along(way: Way, pair: tuple[Hostile, Hostile]) -> None:
    server, _ = pair

    def moved(it: Answering, asked: Asked) -> bool:
        if asked.path.endswith("?moved"):
            return False
        return it.reply(302, b"", {"Location": f"{asked.path}?moved"})

    server.trick = moved
    assert way.read(way.url(server), way.options(server)) == way.right
    assert all(each.headers["x-api-key"] == CANARY for each in server.asked)


@pytest.mark.parametrize("way", WEB, ids=lambda way: way.name)
def test_a_login_stays_with_its_host(way: Way, pair: tuple[Hostile, Hostile]) -> None:
    """Also one in the address, and a secret in its query."""
    server, other = pair
    server.trick = lambda it, asked: it.reply(302, b"", {"Location": f"{other.endpoint}/a"})
    url = way.url(server).replace("://", f"://user:{CANARY}@")
    with pytest.raises(StorageError, match=f"127.0.0.2:{other.port}.*not followed.*authoriz") as r:
        way.read(f"{url}?key={CANARY}", anonymous(way, server))
    assert CANARY not in "".join(traceback.format_exception(r.value))
    assert not other.asked


@pytest.mark.parametrize("headers", [{}, {"x-amz-bucket-region": "eu-west-2"}], ids=["", "region"])
@pytest.mark.parametrize("number", [301, 302, 307, 308])
@pytest.mark.parametrize("verb", ["GET", "LIST", "PUT"])
def test_a_bucket_that_has_moved(
    verb: str, number: int, headers: dict[str, str], pair: tuple[Hostile, Hostile]
) -> None:
    """S3's own redirects are botocore's to read; neither it nor aiohttp leaves the endpoint."""
    server, other = pair
    server.trick = lambda it, asked: it.reply(
        number, b"", {"Location": f"{other.endpoint}{asked.path}", **headers}
    )
    way = OBJECTS[1]
    store = open_store(way.url(server), way.options(server), durable=True, single_writer=True)
    calls: dict[str, Callable[[], Any]] = {
        "GET": lambda: store.get("zarr.json"),
        "LIST": lambda: store.first("c"),
        "PUT": lambda: store.put("a", b"a"),
    }
    told = (
        "region 'eu-west-2'" if headers and number in (301, 307) else rf"127\.0\.0\.2:{other.port}"
    )
    with pytest.raises(StorageError, match=told):
        calls[verb]()
    assert not other.asked


def test_an_upload_stays_with_its_host(pair: tuple[Hostile, Hostile]) -> None:
    """Google says where the pieces of a file are to be sent: not to anybody."""
    server, other = pair
    there = {"Location": f"{other.endpoint}/upload/1"}
    server.trick = lambda it, asked: asked.verb == "POST" and it.reply(200, b"", there)
    options = OBJECTS[2].options(server)
    with (
        pytest.raises(StorageError, match="upload sent to another host"),
        create_file(f"gs://{BUCKET}/new.csv", options) as file,
    ):
        file.write(bytes(20 << 20))
    assert not other.asked


def test_a_page_for_every_name_that_is_not_there(pair: tuple[Hostile, Hostile]) -> None:
    """Versions are counted up where nothing can be listed: a page is no version."""
    server, _ = pair

    def soft(it: Answering, asked: Asked) -> bool:
        return asked.key not in server.objects and it.reply(200, PAGE)

    server.trick = soft
    way = OBJECTS[0]
    found = outcome(way, server)
    assert isinstance(found, CorruptDataError)
    assert "status 404" in str(found)
    assert len(server.asked) < 20


def test_versions_without_end(pair: tuple[Hostile, Hostile]) -> None:
    """A server that makes up a manifest for every number is asked for no more than a few."""
    server, _ = pair
    newest = json.loads(server.objects["study.zarr/zarr.json"])
    below = newest["consolidated_metadata"]["metadata"]
    facts = newest["attributes"]["exetera"]
    highest = 10**10 - 1

    def made_up(it: Answering, asked: Asked) -> bool:
        name = asked.key.rpartition("/")[2].removesuffix(".json")
        if keys.MANIFESTS not in asked.key or not name.isdecimal():
            return False
        del facts["checksum"]
        facts["version"] = highest - int(name)
        facts["kept"] = [[facts["version"], 0.0]]  # as a manifest has to end with its own
        manifest = layout.encode(below, facts, {})
        facts["checksum"] = ""
        return it.reply(200, manifest)

    server.trick = made_up
    found = outcome(OBJECTS[0], server)
    assert isinstance(found, StorageError)
    assert "later ones" in str(found)
    assert len(server.asked) < 250


@pytest.mark.parametrize("way", OBJECTS[:3], ids=lambda way: way.name)
@pytest.mark.parametrize(
    "trick", ["chunks without end", "a bomb of gzip", "a length of four terabytes"]
)
def test_the_limits_without_options(
    trick: str, way: Way, pair: tuple[Hostile, Hostile], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is taken of an object by default fits in memory as well."""
    server, other = pair
    server.trick = lambda it, asked: TRICKS[trick](it, asked, other)
    given = way.options(server)
    del given["largest_object"], given["stall_timeout"]
    monkeypatch.setattr(Way, "options", lambda *_: given)
    found = outcome(way, server)
    assert isinstance(found, ExeteraError)


TAGS = {
    "ETag": '"1"',
    "X-Goog-Generation": "1",
    "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT",
}
CHUNKS: dict[str, tuple[bytes, dict[str, str]]] = {
    "zeros": (bytes(3 << 20), TAGS),
    "gzip": (gzip.compress(bytes(3 << 20)), {"Content-Encoding": "gzip", **TAGS}),
}


@pytest.mark.parametrize("way", OBJECTS[:3], ids=lambda way: way.name)
@pytest.mark.parametrize("body", CHUNKS.values(), ids=CHUNKS)
def test_a_chunk_is_as_large_as_its_array_can_need(
    body: tuple[bytes, dict[str, str]], way: Way, pair: tuple[Hostile, Hostile]
) -> None:
    """Its document says how large; a body that an object in general may have is too much."""
    server, _ = pair
    server.trick = lambda it, asked: (
        keys.is_chunk(asked.key.removeprefix("study.zarr/")) and it.reply(200, *body)
    )
    found = outcome(way, server)
    assert isinstance(found, ExeteraError)
    unpacked = way.scheme != "s3" or "Content-Encoding" not in body[1]  # whose client does not
    assert ("more than is taken" if unpacked else "checksum") in str(found)


@pytest.mark.parametrize("way", OBJECTS[:3], ids=lambda way: way.name)
def test_a_large_object(way: Way, pair: tuple[Hostile, Hostile]) -> None:
    """The error says which option raises the limit, and that does."""
    server, _ = pair
    options = way.options(server)
    url = way.url(server).removesuffix("/study.zarr")
    server.objects["large"] = bytes((4 << 20) + 1)
    try:
        small = open_store(url, options, durable=True, single_writer=False)
        with pytest.raises(StorageError, match="4 MiB; the storage option 'largest_object' raises"):
            small.get("large")
        more = {**options, "largest_object": str(5 << 20)}
        large = open_store(url, more, durable=True, single_writer=False)
        assert large.get("large") == server.objects["large"]
    finally:
        del server.objects["large"]


@pytest.mark.parametrize("way", OBJECTS[3:5], ids=lambda way: way.name)
def test_slow_is_not_stalled(
    way: Way, pair: tuple[Hostile, Hostile], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four times as long as silence is waited for, but there is progress all the time."""
    server, _ = pair
    monkeypatch.setattr(limits, "silence", 0.5)

    def slowly(it: Answering, asked: Asked) -> bool:
        send, steps = it.wfile.write, 20

        def in_steps(data: bytes) -> int:
            size = len(data) // steps + 1
            for start in range(0, len(data), size):
                send(data[start : start + size])
                if len(data) > LENGTH:
                    time.sleep(0.1)
            return len(data)

        it.wfile.write = in_steps  # type: ignore[method-assign]
        it.answer(asked)
        return True

    server.trick = slowly
    options = {**way.options(server), "stall_timeout": 0.5}
    began = time.monotonic()
    assert way.read(way.url(server), options) == way.right
    assert time.monotonic() - began > 1.5


@pytest.mark.parametrize("name", ["largest_object", "stall_timeout"])
@pytest.mark.parametrize("wrong", ["many", -1, 0, float("nan"), "inf", [1]])
def test_an_option_that_is_no_number(name: str, wrong: Any, pair: tuple[Hostile, Hostile]) -> None:
    server, _ = pair
    for way in OBJECTS:
        with pytest.raises(DataError, match=f"{name} is a number of"):
            way.read(way.url(server), {**way.options(server), name: wrong})


def test_who_takes_his_time_is_not_stalled(pair: tuple[Hostile, Hostile]) -> None:
    """A file that comes only as a whole may be read as slowly as one likes."""
    server, _ = pair
    server.trick = lambda it, asked: whole_file(it, asked, server)
    way = OBJECTS[3]
    with open_file(way.url(server), way.options(server)) as file:
        found = file.read(1 << 20)
        time.sleep(1.0)  # more than twice of what silence is waited for
        assert found + file.read() == FILE


@pytest.mark.parametrize("way", OBJECTS, ids=lambda way: way.name)
def test_a_place_that_has_never_answered(way: Way, pair: tuple[Hostile, Hostile]) -> None:
    """It is asked once, however long the deadline is: it may be no server of that kind at all."""
    server, _ = pair
    server.trick = lambda it, asked: silence(it, asked, server)
    options = {**way.options(server), "stall_timeout": requests.patience.first_contact + 0.5}
    del options["retry_deadline"]
    began = time.monotonic()
    with pytest.raises(StorageError, match="no answer within"):
        way.read(way.url(server), options)
    assert time.monotonic() - began < seconds()
    assert len(server.asked) <= 2
