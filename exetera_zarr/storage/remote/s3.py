"""Requests to S3, through s3fs."""

from __future__ import annotations

import asyncio
import hashlib
import os
import weakref
from contextlib import suppress
from functools import cache, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp
import botocore.exceptions as boto
from aiobotocore.credentials import AioCredentials, AioDeferredRefreshableCredentials
from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.session import AioSession
from botocore.loaders import Loader, create_loader
from botocore.parsers import ResponseParserError
from fsspec.asyn import FSTimeoutError, sync
from s3fs import S3FileSystem

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
from exetera_zarr.storage.remote.credentials import AwsCredentials, Provider
from exetera_zarr.storage.remote.limits import Refused, at_most, limits
from exetera_zarr.storage.remote.replies import UnfollowedReply, sent_on
from exetera_zarr.storage.remote.requests import Failure, Kind, by_status, secrets_of
from exetera_zarr.storage.remote.resolving import RESOLVER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exetera_zarr.storage.remote.requests import Requests

__all__ = ["S3Client"]

_DEFAULTS = {"max_pool_connections": 64, "read_timeout": 60}
"""Of the configuration; how long silence is waited for is the business of `replies`, sooner."""
_EXPIRED = frozenset(["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"])
_BUSY = frozenset(["SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable"])
_CREDENTIALS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.TokenRetrievalError,
    boto.UnauthorizedSSOTokenError,
    boto.ProfileNotFound,
)
_NETWORK = (
    boto.HTTPClientError,
    boto.FlexibleChecksumError,
    boto.IncompleteReadError,
    ResponseParserError,
    FSTimeoutError,
    aiohttp.ClientError,
    asyncio.TimeoutError,
    ConnectionError,
    TimeoutError,
)


class _Session(AIOHTTPSession):  # type: ignore[misc]
    """
    aiobotocore's session of aiohttp, careful with what is answered.

    Where S3 sends us on to another region is botocore's to read, as it does where nothing follows
    redirects by itself: it stays with the endpoint that it was given, or in Amazon's domain.
    """

    async def _get_session(self, proxy_url: str | None) -> Any:
        session = await super()._get_session(proxy_url)
        session._response_class = UnfollowedReply  # noqa: SLF001 - nothing public reaches it
        return _Unfollowing(session)


class _Unfollowing:
    """
    A session that follows no redirects.

    Parameters
    ----------
    session
        Of aiohttp.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def request(self, method: str, **given: Any) -> aiohttp.ClientResponse:
        """An answer, as of ``aiohttp.ClientSession.request``."""
        return await self._session.request(method, allow_redirects=False, **given)


class _FileSystem(OfThisProcess, S3FileSystem):  # type: ignore[misc]
    """A class of our own has instances of our own: not those of others, which try again."""

    retries = 1
    session: AioSession | None

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        if self.session is None:
            self.session = _session(**self.kwargs)

    @staticmethod
    def close_session(loop: asyncio.AbstractEventLoop | None, s3: Any) -> None:
        """
        Close connections when nobody has the file system any more, to the end.

        s3fs waits for a tenth of a second, then gives up, and leaves them open.
        """
        if loop is None or not loop.is_running():
            S3FileSystem.close_session(loop, s3)
            return
        closing = asyncio.run_coroutine_threadsafe(s3.__aexit__(None, None, None), loop)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            with suppress(Exception):  # where it takes longer, it goes on
                closing.result(0.1)


@cache
def _loader(folders: str | None) -> Loader:
    """What reads Amazon's descriptions of its services: a tenth of a second, once a process."""
    return create_loader(folders)


def _session(**options: Any) -> AioSession:
    session = AioSession(**options)
    with suppress(boto.ProfileNotFound):  # which the first request tells of
        folders = session.get_config_variable("data_path")
        session.register_component("data_loader", _loader(folders))
    return session


class _Credentials:
    """
    Credentials in the form of botocore, which asks a component of its sessions for them.

    Parameters
    ----------
    client
        Whose provider is asked. It is not kept: s3fs keeps a session for as long as there is the
        file system, which is the client's.
    """

    def __init__(self, client: S3Client) -> None:
        self._client = weakref.ref(client)

    async def load_credentials(self) -> Any:
        """What a session signs its first request with."""
        given = await self._ask()
        if given.expires_at is None:
            return AioCredentials(given.access_key_id, given.secret_access_key, given.token)
        return AioDeferredRefreshableCredentials(self._refresh, "exetera_zarr")

    async def _refresh(self) -> dict[str, Any]:
        fresh = await self._ask()
        return {
            "access_key": fresh.access_key_id,
            "secret_key": fresh.secret_access_key,
            "token": fresh.token,
            "expiry_time": fresh.expires_at.isoformat() if fresh.expires_at else None,
        }

    async def _ask(self) -> AwsCredentials:
        client = self._client()
        if client is None:
            raise boto.NoCredentialsError
        return await asyncio.to_thread(client._ask, AwsCredentials)  # noqa: SLF001 - of this module


class S3Client(BucketClient):
    """
    Requests to one bucket.

    Parameters
    ----------
    path
        Bucket and key, as s3fs writes them.
    options
        Of s3fs's file system.
    provider
        Of credentials, in place of what the options and the environment say.
    """

    def __init__(
        self, path: str, options: Mapping[str, Any], provider: Provider | None = None
    ) -> None:
        super().__init__(provider)
        config = {**_DEFAULTS, **options.get("config_kwargs", {})}
        config["retries"] = {"total_max_attempts": 1}
        config["http_session_cls"] = _Session
        config["connector_args"] = {"resolver": RESOLVER, **config.get("connector_args", {})}
        self._options = {"use_listings_cache": False, **options, "config_kwargs": config}
        self.secret = secrets_of({**options, "config_kwargs": {}})
        self.endpoint = str(
            options.get("endpoint_url")
            or options.get("client_kwargs", {}).get("endpoint_url")
            or os.environ.get("AWS_ENDPOINT_URL_S3")
            or os.environ.get("AWS_ENDPOINT_URL")
            or ""
        )
        self.bucket, self.root, _ = self.fs.split_path(path)

    def _open(self, *, new: bool) -> Any:
        options = dict(self._options)
        if self._provider is not None:
            session = _session(profile=options.pop("profile", None))
            session.register_component("credential_provider", _Credentials(self))
            options["session"] = session
        return _FileSystem(**options, skip_instance_cache=new)

    @property
    def trusted(self) -> bool:
        """Whether it is Amazon's own."""
        host = urlsplit(str(self.fs.s3.meta.endpoint_url)).hostname or ""
        return host.endswith((".amazonaws.com", ".amazonaws.com.cn"))

    def _call(self, method: str, **parameters: Any) -> Any:
        return self.fs.call_s3(method, Bucket=self.bucket, **parameters)

    # -- requests

    def get(self, name: str) -> tuple[bytes, str]:
        fs = self.fs

        async def get() -> tuple[bytes, str]:
            # Not the file system's own, which waits in this thread: the body is read in its loop.
            call = fs._call_s3  # noqa: SLF001
            reply = await call("get_object", Bucket=self.bucket, Key=name)
            try:
                return await reply["Body"].read(), reply["ETag"]
            finally:
                reply["Body"].close()

        found: tuple[bytes, str] = sync(fs.loop, get)
        return found

    def part(self, name: str, start: int, stop: int) -> Part:
        fs = self.fs

        async def get() -> Part:
            call, asked = fs._call_s3, f"bytes={start}-{stop - 1}"  # noqa: SLF001
            reply = await call("get_object", Bucket=self.bucket, Key=name, Range=asked)
            try:
                data = await reply["Body"].read()
            finally:
                reply["Body"].close()
            status = reply["ResponseMetadata"]["HTTPStatusCode"]
            size = size_of(status, reply.get("ContentRange"), start, len(data))
            return Part(data, size, reply["ETag"])

        with at_most(stop - start):
            found: Part = sync(fs.loop, get)
        return found

    def upload(self, name: str, requests: Requests) -> Upload:
        return _Upload(self, name, requests)

    def put(self, name: str, data: bytes, tag: str | None = None) -> None:
        condition: dict[str, str] = {}
        if tag is not None:
            condition = {"IfNoneMatch": "*"} if tag == ABSENT else {"IfMatch": tag}
        self._call("put_object", Key=name, Body=data, **condition)

    def copy(self, source: str, target: str) -> None:
        # Not the file system's own, which asks for the size (HEAD): our objects are below 5 GB.
        self._call("copy_object", Key=target, CopySource={"Bucket": self.bucket, "Key": source})

    def delete(self, name: str) -> None:
        self._call("delete_object", Key=name)

    def list(
        self,
        prefix: str,
        *,
        deep: bool = False,
        limit: int | None = None,
        following: str | None = None,
    ) -> Page:
        asked: dict[str, Any] = {"Prefix": prefix}
        if not deep:
            asked["Delimiter"] = "/"
        if limit is not None:
            asked["MaxKeys"] = limit
        if following is not None:
            asked["ContinuationToken"] = following
        with at_most(limits.page):
            reply = self._call("list_objects_v2", **asked)
        following = reply.get("NextContinuationToken")
        if "IsTruncated" not in reply or (reply["IsTruncated"] and not following):
            raise Refused("its answer is no listing, or one that does not say where it goes on")
        entries = [
            Entry(found["Key"], found["Size"], found["LastModified"].timestamp())
            for found in reply.get("Contents", ())
        ]
        return page_of(prefix, entries, following)

    def tag_of(self, data: bytes) -> str | None:
        # The ETag of a small object is its MD5, unless the bucket encrypts by a key of its own.
        return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'

    # -- errors

    def explain(self, error: Exception) -> Failure:
        cause = error if isinstance(error, boto.ClientError) else error.__cause__
        if isinstance(cause, boto.ClientError):
            return self._refusal(cause)
        if isinstance(error, _CREDENTIALS):
            return Failure(
                Kind.DENIED,
                f"{error}. Credentials come from the environment (AWS_ACCESS_KEY_ID, "
                "AWS_SECRET_ACCESS_KEY, AWS_PROFILE), from storage_options or from "
                "set_credentials(); anon=True reads public buckets without any",
            )
        if isinstance(error, (boto.ConnectionError, boto.HTTPClientError, aiohttp.ClientOSError)):
            unsent = (boto.ConnectionError, boto.ConnectTimeoutError, aiohttp.ClientConnectorError)
            kind = Kind.UNREACHABLE if isinstance(error, unsent) else Kind.BUSY
            return Failure(kind, str(error))
        if isinstance(error, _NETWORK):
            return Failure(Kind.BUSY, f"{type(error).__name__}: {error}")
        return Failure(Kind.OTHER, f"{type(error).__name__}: {error}")

    def _refusal(self, error: boto.ClientError) -> Failure:
        said = error.response.get("Error", {})
        about = error.response.get("ResponseMetadata", {})
        code, status = str(said.get("Code", "")), int(about.get("HTTPStatusCode", 0))
        reason = f"{said.get('Message') or 'no reason given'} ({code or status})"
        region = about.get("HTTPHeaders", {}).get("x-amz-bucket-region") or said.get("Region")
        if code == "NoSuchBucket":
            return Failure(Kind.NO_BUCKET, f"there is no bucket {self.bucket!r} ({code})")
        if code in _EXPIRED:
            return Failure(Kind.EXPIRED, f"the credentials have expired: {reason}")
        if region and (status in (301, 307) or "Malformed" in code or "Location" in code):
            return Failure(
                Kind.OTHER,
                f"the bucket is in region {region!r}: set AWS_DEFAULT_REGION, or storage_options="
                f"{{'client_kwargs': {{'region_name': {region!r}}}}} ({code or status})",
            )
        if code in _BUSY:
            return Failure(Kind.BUSY, reason)
        if 300 <= status < 400:
            return Failure(Kind.OTHER, sent_on(about.get("HTTPHeaders", {})) or reason)
        return Failure(by_status(status) if status >= 400 else Kind.OTHER, reason)


class _Upload(Upload):
    """
    The pieces of one object, which the bucket puts together in the end.

    Parameters
    ----------
    client
        Of the bucket.
    name
        Of the object, from the bucket on.
    requests
        Made again while that may help.
    """

    def __init__(self, client: S3Client, name: str, requests: Requests) -> None:
        self._client, self._name, self._requests = client, name, requests
        self._size = 0
        self._parts: list[dict[str, Any]] = []
        self._id = str(self._make("create_multipart_upload")["UploadId"])

    def _make(self, method: str, **parameters: Any) -> Any:
        call = self._client._call  # noqa: SLF001 - of this module
        return self._requests.make("write", "", partial(call, method, Key=self._name, **parameters))

    @property
    def piece(self) -> int:  # type: ignore[override]
        """Larger ones later on: there can be 10,000 of them, and 5 TB in all."""
        return Upload.piece << min(len(self._parts) // 1000, 6)

    def send(self, data: bytes) -> None:
        number = len(self._parts) + 1
        reply = self._make("upload_part", UploadId=self._id, PartNumber=number, Body=data)
        known = {key: reply[key] for key in reply if key == "ETag" or key.startswith("Checksum")}
        known.pop("ChecksumType", None)
        self._parts.append({"PartNumber": number, **known})
        self._size += len(data)

    def finish(self, data: bytes) -> None:
        if data:
            self.send(data)
        try:
            parts = {"Parts": self._parts}
            self._make("complete_multipart_upload", UploadId=self._id, MultipartUpload=parts)
        except FileNotFoundError:
            # What a first try has completed, of which the reply was lost, is no upload any more.
            if self._make("head_object").get("ContentLength") != self._size:
                raise

    def abort(self) -> None:
        with suppress(Exception):
            self._make("abort_multipart_upload", UploadId=self._id)
