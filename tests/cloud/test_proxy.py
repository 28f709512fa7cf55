"""The fault proxy: each action does what it says, and what passes is what came."""

from __future__ import annotations

import http.client
import os
import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from support.messages import Head
from support.proxy import fault_proxy
from support.rules import (
    DROP,
    LOSE,
    PASS,
    Exchange,
    answer,
    burst,
    combined,
    cut,
    delay,
    failing,
    latency,
    nth,
    only,
    stall,
    truncate,
)

CONTENT = bytes(range(256)) * 4000
"""A megabyte, so that a body is more than one piece."""


class Objects(BaseHTTPRequestHandler):
    """A small object store, which notes what it got."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def setup(self):
        super().setup()
        self.server.connections += 1

    def body(self) -> bytes:
        if self.headers["Transfer-Encoding"] != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"] or 0))
        found = b""
        while size := int(self.rfile.readline(), 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def do_PUT(self):
        self.server.objects[self.path] = self.body()
        self.server.written.set()
        self.server.hosts.add(self.headers["Host"])
        self.reply(b"written")

    def do_GET(self):
        if self.path == "/nothing":
            self.send_response(204)
            self.end_headers()
        else:
            self.reply(self.server.objects[self.path.partition("?")[0]])

    do_HEAD = do_GET  # noqa: N815 - http.server calls it so

    def reply(self, data: bytes) -> None:
        self.send_response(200)
        self.send_header("ETag", '"all of it"')
        match self.headers["X-Framing"]:
            case "chunks":
                self.send_header("Transfer-Encoding", "chunked")
                parts = [data[i : i + 300_000] for i in range(0, len(data), 300_000)]
                data = b"".join(b"%x;a=b\r\n%b\r\n" % (len(part), part) for part in parts)
                data += b"0\r\nX-Trailer: yes\r\n\r\n"
            case "end":
                self.send_header("Connection", "close")
            case _:
                self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


@pytest.fixture
def objects():
    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128
        connections = 0

        def handle_error(self, *_):
            """That a client is gone is what is tested."""

    server = Server(("127.0.0.1", 0), Objects)
    server.objects, server.hosts = {"/x": CONTENT, "/small": b"small"}, set()
    server.written = threading.Event()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    server.endpoint = f"http://127.0.0.1:{server.server_port}"
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@contextmanager
def connected(proxy):
    connection = http.client.HTTPConnection(urlsplit(proxy.endpoint).netloc, timeout=60)
    try:
        yield connection
    finally:
        connection.close()


def ask(proxy, verb, path, body=None, **headers):
    """The status and the body of an answer, on a connection of its own."""
    with connected(proxy) as connection:
        connection.request(verb, path, body, headers)
        reply = connection.getresponse()
        return reply.status, reply.read()


@pytest.mark.parametrize("framing", ["length", "chunks", "end"])
@pytest.mark.parametrize("path", ["/x", "/small"])
def test_what_passes_is_what_came(objects, framing, path):
    with fault_proxy(objects.endpoint) as proxy:
        status, data = ask(proxy, "GET", path, **{"X-Framing": framing})
        assert (status, data) == (200, objects.objects[path])
        assert ask(proxy, "HEAD", path) == (200, b"")
        assert ask(proxy, "GET", "/nothing") == (204, b"")
        assert ask(proxy, "PUT", "/y", data) == (200, b"written")
        assert objects.objects["/y"] == data
        pieces = (data[i : i + 100_000] for i in range(0, len(data), 100_000))
        assert ask(proxy, "PUT", "/z", pieces) == (200, b"written")
        assert objects.objects["/z"] == data
        # What a client signs is the host that it talks to.
        assert objects.hosts == {urlsplit(proxy.endpoint).netloc}
        assert [(one.verb, one.path, one.status) for one in proxy.log] == [
            ("GET", path, 200),
            ("HEAD", path, 200),
            ("GET", "/nothing", 204),
            ("PUT", "/y", 200),
            ("PUT", "/z", 200),
        ]
        assert [one.received for one in proxy.log] == [len(data), 0, 0, 7, 7]
        assert [one.sent for one in proxy.log] == [0, 0, 0, len(data), len(data)]


def test_connections_are_kept(objects):
    with fault_proxy(objects.endpoint) as proxy, connected(proxy) as connection:
        for _ in range(20):
            for verb, path in (("GET", "/x"), ("HEAD", "/x"), ("PUT", "/y"), ("GET", "/nothing")):
                connection.request(verb, path, b"abc" if verb == "PUT" else None)
                connection.getresponse().read()
        assert len(proxy.log) == 80
        assert objects.connections == 1


def told(connection: socket.socket) -> str:
    """What comes up to an empty line."""
    found = b""
    while not found.endswith(b"\r\n\r\n"):
        found += connection.recv(1)
    return found.decode()


@pytest.mark.parametrize(("rule", "status"), [(lambda _: PASS, 200), (nth(1, answer(503)), 503)])
def test_a_client_that_waits_is_told_to_go_on(objects, rule, status):
    with fault_proxy(objects.endpoint, rule) as proxy:
        where = urlsplit(proxy.endpoint)
        with socket.create_connection((where.hostname, where.port), timeout=60) as connection:
            connection.sendall(
                b"PUT /y HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
            )
            assert told(connection).startswith("HTTP/1.1 100 ")
            connection.sendall(b"abc")
            head = told(connection)
            assert head.startswith(f"HTTP/1.1 {status} ")
            assert objects.objects.get("/y") == (b"abc" if status == 200 else None)
            connection.recv(int(re.search(r"Content-Length: (\d+)", head)[1]))
            connection.sendall(b"HEAD /small HTTP/1.1\r\nHost: h\r\n\r\n")
            assert told(connection).startswith("HTTP/1.1 200 ")


@pytest.mark.parametrize("status", [503, 500, 429])
def test_an_error_is_worded_as_the_store_words_it(objects, status):
    with (
        fault_proxy(objects.endpoint, burst(3, status)) as proxy,
        connected(proxy) as connection,
    ):

        def reply(verb, path, body=None):
            connection.request(verb, path, body)
            found = connection.getresponse()
            return found.status, found.read()

        code = {503: "SlowDown", 500: "InternalError", 429: "TooManyRequests"}[status]
        found = reply("PUT", "/y", CONTENT)
        assert found[0] == status
        assert f"<Code>{code}</Code>".encode() in found[1]
        found = reply("GET", "/storage/v1/b/bucket/o/x")
        assert found[0] == status
        assert f'"code": {status}'.encode() in found[1]
        assert reply("HEAD", "/x") == (status, b"")
        assert reply("GET", "/x") == (200, CONTENT)
        assert "/y" not in objects.objects
        assert proxy.log[0].sent == 0
        assert [one.status for one in proxy.log] == [status, status, status, 200]


@pytest.mark.parametrize(("action", "done"), [(DROP, False), (LOSE, True)])
@pytest.mark.parametrize("size", [3, len(CONTENT)])
def test_a_connection_that_ends_instead_of_an_answer(objects, action, done, size):
    with fault_proxy(objects.endpoint, nth(1, action)) as proxy:
        with pytest.raises((http.client.RemoteDisconnected, OSError)):
            ask(proxy, "PUT", "/y", CONTENT[:size])
        assert ("/y" in objects.objects) == done
        assert ask(proxy, "PUT", "/y", b"again") == (200, b"written")
        assert [(one.status, one.action) for one in proxy.log] == [(0, action), (200, PASS)]
        assert proxy.log[0].received == 0


@pytest.mark.parametrize("size", [0, 1, 300_001])
def test_an_answer_that_is_cut(objects, size):
    with fault_proxy(objects.endpoint, nth(1, cut(size))) as proxy:
        with pytest.raises(http.client.IncompleteRead) as caught:
            ask(proxy, "GET", "/x")
        assert caught.value.partial == CONTENT[:size]
        assert proxy.log[0].received == size
        assert ask(proxy, "GET", "/x") == (200, CONTENT)


@pytest.mark.parametrize("framing", ["length", "chunks", "end"])
@pytest.mark.parametrize("size", [0, 1, 300_001, 2 * len(CONTENT)])
def test_a_body_that_is_truncated_looks_whole(objects, framing, size):
    with fault_proxy(objects.endpoint, nth(1, truncate(size))) as proxy:
        with connected(proxy) as connection:
            connection.request("GET", "/x", headers={"X-Framing": framing})
            reply = connection.getresponse()
            assert reply.read() == CONTENT[:size]
            assert reply.headers["ETag"] == '"all of it"'
            assert reply.headers["Content-Length"] == str(min(size, len(CONTENT)))
        assert ask(proxy, "HEAD", "/x")[0] == 200


@pytest.mark.parametrize("action", [delay(0.2), stall(0.2)])
def test_what_comes_late_comes(objects, action):
    with fault_proxy(objects.endpoint, nth(1, action)) as proxy:
        assert ask(proxy, "GET", "/x") == (200, CONTENT)
        assert ask(proxy, "GET", "/small") == (200, b"small")
        assert proxy.log[1].started - proxy.log[0].started >= 0.2


def test_a_stall_is_after_the_work(objects):
    """A client that gives up cannot know whether it was done."""
    with (
        fault_proxy(objects.endpoint, nth(1, stall(3600))) as proxy,
        connected(proxy) as connection,
    ):
        connection.request("PUT", "/y", b"abc")
        assert objects.written.wait(60)
        assert proxy.log[0].ended is None
        assert proxy.log[0].status == 0


def test_latency_is_of_each_request(objects):
    """Sixty-four wait at the same time."""
    with fault_proxy(objects.endpoint, latency(0.5)) as proxy:
        where = urlsplit(proxy.endpoint)
        opened = [socket.create_connection((where.hostname, where.port)) for _ in range(64)]
        for connection in opened:
            connection.sendall(b"GET /small HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        for connection in opened:
            with connection:
                assert told(connection).startswith("HTTP/1.1 200 ")
        assert len(proxy.log) == 64
        assert proxy.most_in_flight() > 16


def test_bandwidth_is_shared(objects):
    with fault_proxy(objects.endpoint, bandwidth=20e6) as proxy, ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: ask(proxy, "GET", "/x"), range(4)))
        assert found == [(200, CONTENT)] * 4
        ended = max(one.ended or float("inf") for one in proxy.log)
        assert ended - min(one.started for one in proxy.log) >= 4 * len(CONTENT) / 20e6 * 0.9


def test_a_server_that_is_gone_ends_connections():
    nowhere = "http://127.0.0.1:9"
    with fault_proxy(nowhere) as proxy, pytest.raises((http.client.RemoteDisconnected, OSError)):
        ask(proxy, "GET", "/x")


def test_a_rule_can_be_exchanged_and_the_log_forgotten(objects):
    with fault_proxy(objects.endpoint, lambda _: DROP) as proxy:
        with pytest.raises((http.client.RemoteDisconnected, OSError)):
            ask(proxy, "GET", "/x")
        proxy.rule = latency(0)
        proxy.clear()
        ask(proxy, "GET", "/x?versionId=1")
        assert [(one.number, one.path, one.query) for one in proxy.log] == [
            (1, "/x", "versionId=1")
        ]


def request(verb="GET", path="/x", query="", **headers):
    return Exchange(1, verb, path, query, headers, 0.0)


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        ("GET", request()),
        ("LIST", request(path="/bucket", query="list-type=2&prefix=a")),
        ("LIST", request(path="/storage/v1/b/bucket/o", query="prefix=a")),
        ("LIST", request(path="/storage/v1/b/bucket/o/")),
        ("GET", request(path="/storage/v1/b/bucket/o/a/b")),
        ("PUT", request("PUT")),
        ("COPY", request("PUT", **{"x-amz-copy-source": "bucket/a"})),
        ("COPY", request("POST", "/storage/v1/b/bucket/o/a/rewriteTo/b/bucket/o/c")),
        ("COPY", request("POST", "/storage/v1/b/bucket/o/a/b/copyTo/b/bucket/o/c")),
        ("POST", request("POST", "/upload/storage/v1/b/bucket/o")),
    ],
)
def test_kinds_of_requests(kind, asked):
    assert asked.kind == kind


def asked_of(rule, count, **about):
    return [rule(request(**about)) for _ in range(count)]


def test_rules():
    assert asked_of(nth(2, LOSE), 3) == [PASS, LOSE, PASS]
    assert asked_of(burst(2, 429, after=1), 4) == [PASS, answer(429), answer(429), PASS]
    rule = only(nth(1, DROP), "PUT", r"/commits/")
    assert asked_of(rule, 1, verb="PUT", path="/a/c/0") == [PASS]
    assert asked_of(rule, 1, verb="GET", path="/a/commits/1") == [PASS]
    assert asked_of(rule, 2, verb="PUT", path="/a/commits/1") == [DROP, PASS]
    both = combined(latency(1), nth(2, cut(5)), latency(2), nth(2, DROP))
    (first, second) = asked_of(both, 2)
    assert first == delay(3)
    assert (second.fault, second.size, second.delay) == (cut(5).fault, 5, 3)


def test_failing_is_the_same_for_a_seed():
    assert asked_of(failing(0.3, 1), 1000) == asked_of(failing(0.3, 1), 1000)
    assert asked_of(failing(0.3, 1), 1000) != asked_of(failing(0.3, 2), 1000)
    found = asked_of(failing(0.3, 1, kinds=[DROP, LOSE]), 1000)
    assert 200 < found.count(DROP) + found.count(LOSE) < 400
    assert min(found.count(DROP), found.count(LOSE)) > 50
    assert asked_of(failing(0, 1), 10) == [PASS] * 10


def test_failing_can_let_a_repeated_request_through():
    rule = failing(1, kinds=[DROP], in_a_row=2)
    assert asked_of(rule, 2, path="/a") == [DROP, DROP]
    assert asked_of(rule, 1, path="/b") == [DROP]
    assert asked_of(rule, 2, path="/a") == [PASS, DROP]


def test_a_head_of_an_answer_keeps_the_rest():
    head = Head(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\nX: a:b\r\n\r\n")
    assert head.resized(3).raw == b"HTTP/1.1 200 OK\r\nX: a:b\r\nContent-Length: 3\r\n\r\n"
    assert head.headers["x"] == "a:b"


def s3_through(proxy, server):
    s3fs = pytest.importorskip("s3fs")
    return s3fs.S3FileSystem(**server.at(proxy.endpoint).storage_options, use_listings_cache=False)


@pytest.mark.s3
@pytest.mark.parametrize("name", ["s3", "seaweedfs"])
def test_signatures_stay_valid(name, request):
    """One of the servers checks them: of small objects and large ones, listings and copies."""
    server = request.getfixturevalue(f"{name}_server")
    place = request.getfixturevalue(f"{name}_place")
    large = os.urandom(11 << 20)
    with fault_proxy(server.endpoint) as proxy:
        fs = s3_through(proxy, server)
        many = {place.url(f"many/{n} ü+%"): b"%d" % n for n in range(100)}
        fs.pipe(many)
        assert sorted(fs.cat(list(many)).values()) == sorted(many.values())
        assert len(fs.ls(place.url("many"))) == 100
        fs.pipe_file(place.url("large"), large, chunksize=5 << 20)
        assert fs.cat_file(place.url("large")) == large
        assert (
            fs.cat_file(place.url("large"), start=6_000_000, end=6_000_003) == large[6_000_000:][:3]
        )
        fs.cp_file(place.url("large"), place.url("twin"))
        assert fs.info(place.url("twin"))["size"] == len(large)
        fs.rm_file(place.url("large"))
        assert not fs.exists(place.url("large"))
        kinds = proxy.verbs()
        assert kinds["PUT"] >= 100
        assert kinds["LIST"] >= 1
        assert kinds["COPY"] == 1
        assert max(one.status for one in proxy.log) < 500


@pytest.mark.s3
@pytest.mark.parametrize("name", ["s3", "seaweedfs"])
def test_a_lost_reply_of_a_conditional_write_is_a_conflict_to_the_client(name, request):
    """Which repeats the request by itself, and is told that the object is there: by whom?"""
    server = request.getfixturevalue(f"{name}_server")
    place = request.getfixturevalue(f"{name}_place")
    with fault_proxy(server.endpoint, only(nth(1, LOSE), "PUT")) as proxy:
        fs = s3_through(proxy, server)
        with pytest.raises(OSError):  # noqa: PT011 - each server words it in its own way
            fs.pipe_file(place.url("a"), b"mine", mode="create")
        assert fs.cat_file(place.url("a")) == b"mine"
        assert [one.status for one in proxy.log if one.verb == "PUT"][:2] == [0, 412]


@pytest.mark.gcs
def test_uploads_in_parts_stay_on_the_proxy(gcs_server, gcs_place):
    gcsfs = pytest.importorskip("gcsfs")
    large = os.urandom(11 << 20)
    with fault_proxy(gcs_server.endpoint) as proxy:
        fs = gcsfs.GCSFileSystem(
            **gcs_server.at(proxy.endpoint).storage_options, use_listings_cache=False
        )
        for name, data in {"small ü+%": b"small", "large": large}.items():
            fs.pipe_file(gcs_place.url(name), data)
            assert fs.cat_file(gcs_place.url(name)) == data
        fs.cp_file(gcs_place.url("large"), gcs_place.url("twin"))
        assert len(fs.ls(gcs_place.prefix)) == 3
        assert proxy.verbs()["LIST"] >= 1
        assert proxy.verbs()["COPY"] == 1
        assert sum(one.sent for one in proxy.log) >= len(large)
        assert sum(one.received for one in proxy.log) >= len(large)
