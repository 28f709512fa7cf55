"""Object stores to test against, on this machine."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Request", "S3Server", "s3_server"]


@dataclass(frozen=True)
class Request:
    """One request that a server got."""

    verb: str
    path: str
    query: str


@dataclass
class S3Server:
    """
    A running S3 server, and the requests that it got.

    Parameters
    ----------
    endpoint
        Its URL.
    requests
        In the order in which they came.
    """

    endpoint: str
    requests: list[Request] = field(default_factory=list)

    @property
    def storage_options(self) -> dict[str, Any]:
        """What a dataset is opened with to reach it."""
        return {"endpoint_url": self.endpoint}

    def verbs(self) -> Counter[str]:
        """How many requests of each verb; a listing counts as LIST."""
        return Counter("LIST" if "list-type" in r.query else r.verb for r in self.requests)


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
    server = make_server("127.0.0.1", 0, application, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield S3Server(f"http://127.0.0.1:{server.port}", requests)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
