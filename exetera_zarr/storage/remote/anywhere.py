"""What fsspec reaches and is no bucket: memory, web servers, other services."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
from fsspec.asyn import FSTimeoutError

from exetera_zarr.errors import UnsupportedError
from exetera_zarr.storage.remote.requests import OURS, Failure, Kind, by_status
from exetera_zarr.storage.remote.urls import WEB, is_local, local_path, scheme_of, without_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AnyClient", "file_system"]

_OURS = OURS | {"credentials"}
"""Options that no file system of fsspec knows."""

_REDIRECTS = frozenset(["TooManyRedirects", "InvalidURL"])
"""Errors of aiohttp, of redirects that it does not follow."""


def file_system(url: str, options: Mapping[str, Any]) -> tuple[Any, str]:
    """
    The fsspec file system behind a URL of no bucket, and the path in it.

    Parameters
    ----------
    url
        Of a web server without user and password: see `urls.with_login`.
    options
        Of the file system, and of ours.

    Raises
    ------
    UnsupportedError
        fsspec knows none for such URLs, or one is of what is in a device or pipe, which has no end.
    """
    _, chained, inner = url.rpartition("::")
    if chained and is_local(inner):
        path = Path(local_path(inner))
        with suppress(OSError, ValueError):  # which the file system will tell
            if not (path.is_file() or path.is_dir() or not path.exists()):
                raise UnsupportedError(f"{without_secrets(url)}: {path} is no file")
    given = {name: value for name, value in options.items() if name not in _OURS}
    if scheme_of(url) in WEB and "::" not in url:
        from exetera_zarr.storage.remote.resolving import web_client

        given = {"get_client": web_client, **given}
    try:
        filesystem, path = fsspec.url_to_fs(url, **given)
    except ValueError as error:
        if not str(error).startswith("Protocol not known"):
            raise
        raise UnsupportedError(
            f"{without_secrets(url)}: there is no file system for {scheme_of(url)!r}"
        ) from error
    return filesystem, path


class AnyClient:
    """
    What errors of file systems mean that nothing more is known of.

    Parameters
    ----------
    secret
        Values that no message may show.
    """

    in_use = None

    def __init__(self, secret: frozenset[str]) -> None:
        self.secret = secret

    def explain(self, error: Exception) -> Failure:
        """What an error means."""
        reason = str(error) or type(error).__name__
        if any(kind.__name__ in _REDIRECTS for kind in type(error).__mro__):
            return Failure(Kind.OTHER, "it sends us on for ever, or to what is no web server")
        status = getattr(error, "status", None)  # of aiohttp's errors
        if isinstance(error, (FileNotFoundError, KeyError)):  # the latter is zipfile's
            if isinstance(error.__cause__, Exception):  # of any kind, where a file is opened
                return self.explain(error.__cause__)
            return Failure(Kind.MISSING, reason)
        if isinstance(error, PermissionError):
            return Failure(Kind.DENIED, reason)
        if isinstance(status, int) and status >= 400:
            said = " ".join(str(getattr(error, "message", "")).split())
            return Failure(by_status(status), f"HTTP status {status} ({said})" if said else reason)
        if any(kind.__name__ == "ClientConnectorError" for kind in type(error).__mro__):
            return Failure(Kind.UNREACHABLE, reason)
        passing = (ConnectionError, TimeoutError, FSTimeoutError)
        if isinstance(error, passing) or type(error).__module__.startswith("aiohttp"):
            return Failure(Kind.BUSY, f"{type(error).__name__}: {reason}")
        # The dictionary of fsspec's file system in memory, where something else changed it: another
        # thread, or a finalizer that the listing itself had the garbage collector run.
        if isinstance(error, RuntimeError) and "during iteration" in reason:
            return Failure(Kind.BUSY, reason)
        return Failure(Kind.OTHER, f"{type(error).__name__}: {reason}")

    def renew(self, used: object) -> bool:  # noqa: ARG002
        """Nothing expires."""
        return False
