"""What a URL says: what may be shown of it, who logs in, and whether one can write there."""

from __future__ import annotations

import os
from base64 import b64encode
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from exetera_zarr.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "WEB",
    "archive_of",
    "check_writable",
    "is_local",
    "scheme_of",
    "with_login",
    "without_secrets",
]

WEB = frozenset(["http", "https"])
"""Schemes of web servers, which are read only."""
_LOCAL = frozenset(["", "file", "local"])


def scheme_of(url: str) -> str:
    """What stands before ``://``; nothing of a path."""
    scheme, mark, _ = url.partition("://")
    return scheme if mark else ""


def is_local(url: str) -> bool:
    """Whether a path or URL is one on this machine."""
    return scheme_of(url) in _LOCAL


def without_secrets(url: str) -> str:
    """A URL without what stands for a user before the host, and without its query."""
    scheme, mark, rest = url.partition("://")
    if not mark:
        return url
    rest = rest.partition("?")[0].partition("#")[0]
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def with_login(url: str, options: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """
    A web server's URL without user and password, and options that have them in its place.

    The client libraries show URLs in log records and errors.

    Parameters
    ----------
    url
        Of any scheme; those of others stay as they are.
    options
        Of the file system.
    """
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    login, at, host = host.rpartition("@")
    if scheme not in WEB or not at:
        return url, dict(options)
    user, _, password = login.partition(":")
    token = b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()
    headers = {"Authorization": f"Basic {token}", **options.get("headers", {})}
    return f"{scheme}://{host}{slash}{path}", {**options, "headers": headers}


def archive_of(url: str) -> str | None:
    """The URL of the archive that a URL stands for; None for one of something else."""
    place = url.removeprefix("zip::")
    if "::" in place:
        return None
    scheme = scheme_of(place)
    if is_local(place) and os.path.isdir(place.removeprefix(f"{scheme}://")):
        return None
    name = place.partition("?")[0] if scheme in WEB else place
    return place if place != url or name.lower().endswith(".zip") else None


def check_writable(url: str) -> None:
    """UnsupportedError for a place that can only be read."""
    kind = None
    if archive_of(url) is not None:
        kind = "a zip archive"
    elif scheme_of(url) in WEB:
        kind = "a web server"
    if kind is not None:
        place = without_secrets(url.removeprefix("zip::"))
        raise UnsupportedError(f"{place}: {kind} is read-only; open it with mode 'r'")
