"""Requests to Google Cloud Storage, through gcsfs."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import aiohttp
import google.auth.exceptions as google
import requests.exceptions
from fsspec.asyn import FSTimeoutError, sync
from gcsfs.core import GCSFileSystem
from gcsfs.retry import HttpError
from google.oauth2.credentials import Credentials
from yarl import URL

from exetera_zarr.errors import DataError
from exetera_zarr.storage.base import OfThisProcess
from exetera_zarr.storage.remote.client import (
    ABSENT,
    BucketClient,
    Entry,
    Page,
    Part,
    Upload,
    page_of,
    size_of,
)
from exetera_zarr.storage.remote.credentials import GoogleToken, Provider
from exetera_zarr.storage.remote.limits import Refused, at_most, limits
from exetera_zarr.storage.remote.replies import Reply, host_of, same_place
from exetera_zarr.storage.remote.requests import Failure, Kind, by_status, secrets_of
from exetera_zarr.storage.remote.resolving import RESOLVER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exetera_zarr.storage.remote.requests import Requests

__all__ = ["GoogleClient"]

_BORDER = "=exetera-zarr="
_NETWORK = (
    aiohttp.ClientError,
    requests.exceptions.RequestException,
    FSTimeoutError,
    asyncio.TimeoutError,
    ConnectionError,
    TimeoutError,
)
_WORDS = frozenset(["anon", "browser", "cache", "cloud", "google_default"])
"""What gcsfs takes for a token and is none."""
_INCOMPLETE = 308
"""The status of a reply to a piece that is not the last."""
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=60)


class _FileSystem(OfThisProcess, GCSFileSystem):  # type: ignore[misc]
    """
    A class of our own has instances of our own, which make a request once.

    gcsfs's own for `gs` URLs asks the bucket for its kind by gRPC first, and so never comes back
    from servers that have none.
    """

    async def _request(self, *given: Any, **options: Any) -> Any:
        # What tries again is a decorator, below which there is the request itself.
        request = GCSFileSystem._request.__wrapped__  # noqa: SLF001
        return await request(self, *given, **options)

    session_kwargs: dict[str, Any]

    async def _set_session(self) -> Any:
        kwargs = dict(self.session_kwargs)
        if not (kwargs or getattr(self, "_use_client_cert", False)):
            kwargs["connector"] = aiohttp.TCPConnector(resolver=RESOLVER)
        self.session_kwargs = {**kwargs, "response_class": Reply}
        return await super()._set_session()


class GoogleClient(BucketClient):
    """
    Requests to one bucket.

    Parameters
    ----------
    path
        Bucket and name, as gcsfs writes them.
    options
        Of gcsfs's file system.
    provider
        Of credentials, in place of what the options and the environment say.
    """

    def __init__(
        self, path: str, options: Mapping[str, Any], provider: Provider | None = None
    ) -> None:
        super().__init__(provider)
        given = dict(options)
        if given.pop("anon", False):
            given["token"] = "anon"  # noqa: S105 - the word for none
        given["token"] = _token(given.get("token"))
        self._options = {"use_listings_cache": False, "requests_timeout": _TIMEOUT, **given}
        self.secret = secrets_of(options) - _WORDS
        self.endpoint = str(
            options.get("endpoint_url") or os.environ.get("STORAGE_EMULATOR_HOST") or ""
        )
        self.bucket, _, self.root = path.partition("/")

    def _open(self, *, new: bool) -> Any:
        options = dict(self._options)
        if self._provider is not None:
            options["token"] = self._credentials()
        new = new or isinstance(options["token"], Credentials)
        return _FileSystem(**options, skip_instance_cache=new)

    @property
    def trusted(self) -> bool:
        """Whether it is Google's own."""
        return not self.endpoint

    # -- requests

    def _call(self, method: str, path: str, *names: str, **options: Any) -> Any:
        return self.fs.call(method, path, *names, **options)

    def get(self, name: str) -> tuple[bytes, str]:
        headers, data = self._call("GET", "b/{}/o/{}", self.bucket, name, alt="media")
        return data, headers["X-Goog-Generation"]

    def part(self, name: str, start: int, stop: int) -> Part:
        asked = {"Range": f"bytes={start}-{stop - 1}"}
        fs, path = self.fs, ("b/{}/o/{}", self.bucket, name)
        request = partial(fs._request, "GET", *path, headers=asked, alt="media")  # noqa: SLF001
        with at_most(stop - start):
            status, headers, _, data = sync(fs.loop, request)
        size = size_of(status, headers.get("Content-Range"), start, len(data))
        return Part(data, size, headers["X-Goog-Generation"])

    def upload(self, name: str, requests: Requests) -> Upload:
        return _Upload(self, name, requests)

    def _begin(self, name: str) -> str:
        """Begin an upload in pieces; the URL where it goes on."""
        headers, _ = self._call(
            "POST",
            f"{self._uploads}?uploadType=resumable",
            headers={"Content-Type": "application/json; charset=UTF-8"},
            data=json.dumps({"name": name}).encode(),
        )
        there, here = URL(headers["Location"]), URL(self.fs.base)
        if not (same_place(here, there) or (self.trusted and _is_google(there))):
            raise Refused(
                f"it would have the upload sent to another host, {host_of(there)!r}, with the "
                "credentials that are meant for this one"
            )
        return str(headers["Location"])

    @property
    def _uploads(self) -> str:
        base = self.fs.base.removesuffix("storage/v1/")
        return f"{base}upload/storage/v1/b/{quote(self.bucket, safe='')}/o"

    def put(self, name: str, data: bytes, tag: str | None = None) -> None:
        # Name and bytes in one request, and a condition with them: gcsfs itself knows only that
        # of absence. https://cloud.google.com/storage/docs/uploading-objects#uploading-an-object
        head = (
            f"--{_BORDER}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n"
            f"{json.dumps({'name': name})}\r\n"
            f"--{_BORDER}\r\nContent-Type: application/octet-stream\r\n\r\n"
        )
        condition = {} if tag is None else {"ifGenerationMatch": "0" if tag == ABSENT else tag}
        self._call(
            "POST",
            self._uploads,
            uploadType="multipart",
            headers={"Content-Type": f'multipart/related; boundary="{_BORDER}"'},
            data=b"".join([head.encode(), data, f"\r\n--{_BORDER}--".encode()]),
            **condition,
        )

    def copy(self, source: str, target: str) -> None:
        token = None
        while True:
            reply = self._call(
                "POST",
                "b/{}/o/{}/rewriteTo/b/{}/o/{}",
                self.bucket,
                source,
                self.bucket,
                target,
                headers={"Content-Type": "application/json"},
                rewriteToken=token,
                json_out=True,
            )
            if reply["done"]:
                return
            token = reply["rewriteToken"]

    def delete(self, name: str) -> None:
        self._call("DELETE", "b/{}/o/{}", self.bucket, name)

    def list(
        self,
        prefix: str,
        *,
        deep: bool = False,
        limit: int | None = None,
        following: str | None = None,
    ) -> Page:
        with at_most(4 * limits.page):
            reply = self._call(
                "GET",
                "b/{}/o",
                self.bucket,
                prefix=prefix or None,
                delimiter=None if deep else "/",
                maxResults=limit,
                pageToken=following,
                json_out=True,
            )
        entries = [
            Entry(found["name"], int(found["size"]), _seconds(found["updated"]))
            for found in reply.get("items", ())
        ]
        return page_of(prefix, entries, reply.get("nextPageToken"))

    def tag_of(self, data: bytes) -> str | None:  # noqa: ARG002
        return None  # generations are numbers of the server's

    # -- credentials

    def _credentials(self) -> Credentials:
        first = self._ask(GoogleToken)

        def refresh(*_: Any, **__: Any) -> tuple[str, dt.datetime | None]:
            fresh = self._ask(GoogleToken)
            return fresh.token, _naive(fresh.expires_at)

        return Credentials(  # type: ignore[no-untyped-call]
            first.token, expiry=_naive(first.expires_at), refresh_handler=refresh
        )

    # -- errors

    def explain(self, error: Exception) -> Failure:
        reason = str(error) or type(error).__name__
        if isinstance(error, FileNotFoundError):
            return Failure(Kind.MISSING, reason)
        if isinstance(error, FileExistsError):
            return Failure(Kind.CONFLICT, reason)
        if isinstance(error, HttpError):
            return self._refusal(error, reason)
        if isinstance(error, google.RefreshError | google.DefaultCredentialsError):
            return Failure(
                Kind.DENIED,
                f"{reason}. Credentials come from the environment "
                "(GOOGLE_APPLICATION_CREDENTIALS), from storage_options or from "
                "set_credentials(); anon=True reads public buckets without any",
            )
        if isinstance(error, aiohttp.ClientConnectorError | google.TransportError):
            return Failure(Kind.UNREACHABLE, reason)
        if isinstance(error, _NETWORK):  # of which gcsfs makes one of requests for a 502
            return Failure(Kind.BUSY, reason)
        if isinstance(error, OSError) and reason.startswith("Forbidden"):
            return Failure(Kind.DENIED, reason)
        return Failure(Kind.OTHER, f"{type(error).__name__}: {reason}")

    def _refusal(self, error: HttpError, reason: str) -> Failure:
        status = int(error.code or 0)
        if status == 401:
            return Failure(Kind.EXPIRED, f"the credentials are not valid (any more): {reason}")
        return Failure(by_status(status) if status >= 400 else Kind.OTHER, reason)


class _Upload(Upload):
    """
    The pieces of one object, one after the other.

    A piece is sent again after a failure: of bytes that the service has already it takes no notice.
    What it has not kept of a piece is sent with the next one.
    https://cloud.google.com/storage/docs/performing-resumable-uploads

    Parameters
    ----------
    client
        Of the bucket.
    name
        Of the object, from the bucket on.
    requests
        Made again while that may help.
    """

    def __init__(self, client: GoogleClient, name: str, requests: Requests) -> None:
        self._client, self._name, self._requests = client, name, requests
        self._url = self._make(partial(client._begin, name))  # noqa: SLF001 - of this module
        self._kept, self._waiting = 0, b""

    def _make(self, request: Callable[[], Any]) -> Any:
        return self._requests.make("write", "", request)

    def _put(self, asked: str, data: bytes = b"") -> tuple[bool, Any]:
        """Whether the object is complete with this, and the headers of the reply."""
        headers = {"Content-Range": f"bytes {asked}", "Content-Length": str(len(data))}
        fs = self._client.fs
        request = partial(fs._request, "PUT", self._url, headers=headers, data=data)  # noqa: SLF001
        status, said, _, _ = sync(fs.loop, request)
        return status != _INCOMPLETE, said

    def _pass_on(self, total: int | None) -> None:
        """Send what is waiting, once; all of it is there with this where the total is known."""
        size = "*" if total is None else str(total)
        last = self._kept + len(self._waiting) - 1
        asked = f"{self._kept}-{last}/{size}" if self._waiting else f"*/{size}"
        complete, reply = self._put(asked, self._waiting)
        if complete:
            return
        kept = int(reply["Range"].rpartition("-")[2]) + 1 if "Range" in reply else 0
        self._waiting = self._waiting[max(kept - self._kept, 0) :]
        self._kept = max(kept, self._kept)
        if total is not None:
            raise ConnectionError(f"the service has {self._kept} of {total} bytes")

    def send(self, data: bytes) -> None:
        self._waiting += data
        self._make(partial(self._pass_on, None))

    def finish(self, data: bytes) -> None:
        self._waiting += data
        total = self._kept + len(self._waiting)
        try:
            self._make(partial(self._pass_on, total))
        except FileNotFoundError:
            # What a first try has completed, of which the reply was lost, may be forgotten by now.
            if self._make(partial(self._client.part, self._name, 0, 1)).size != total:
                raise

    def abort(self) -> None:
        with suppress(Exception):
            call = self._client._call  # noqa: SLF001 - of this module
            self._requests.make("delete", "", partial(call, "DELETE", self._url), once=True)


def _token(given: Any) -> Any:
    """
    As gcsfs takes it.

    Given a token's text it asks Google about it, by a URL that has it, which would be in every log.
    """
    if not isinstance(given, str) or given in _WORDS or os.path.exists(given):
        return given
    if given.endswith(".json"):
        raise DataError(f"storage_options: there is no file of credentials {given!r}")
    return Credentials(given)  # type: ignore[no-untyped-call]


def _is_google(url: URL) -> bool:
    return url.scheme == "https" and str(url.host).endswith(".googleapis.com")


def _naive(moment: dt.datetime | None) -> dt.datetime | None:
    """As google-auth has it: UTC, without saying so."""
    return None if moment is None else moment.astimezone(dt.UTC).replace(tzinfo=None)


def _seconds(text: str) -> float:
    return dt.datetime.fromisoformat(text).timestamp()
