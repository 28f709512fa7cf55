"""What a URL says: what may be shown of it, who logs in, and whether one can write there."""

from __future__ import annotations

import os
from base64 import b64encode
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from exetera_zarr.errors import DataError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "GOOGLE",
    "S3",
    "WEB",
    "archive_of",
    "check_login",
    "check_writable",
    "is_local",
    "local_path",
    "scheme_of",
    "with_login",
    "without_secrets",
]

WEB = frozenset(["http", "https"])
"""Schemes of web servers, which are read only."""
S3 = frozenset(["s3", "s3a"])
GOOGLE = frozenset(["gs", "gcs"])
_BUCKETS = S3 | GOOGLE | {"az", "abfs"}
_LOCAL = frozenset(["", "file", "local"])


def scheme_of(url: str) -> str:
    """What stands before ``://``; nothing of a path."""
    scheme, mark, _ = url.partition("://")
    return scheme if mark else ""


def is_local(url: str) -> bool:
    """Whether a path or URL is one on this machine."""
    return scheme_of(url) in _LOCAL


def local_path(url: str) -> str:
    """The path that a URL of this machine, or a path, stands for; ``~`` is the home folder."""
    scheme = scheme_of(url)
    return os.path.expanduser(url.removeprefix(f"{scheme}://") if scheme else url)


def without_secrets(url: str) -> str:
    """A URL without what stands for a user before the host, and without its query if it has one."""
    scheme, mark, rest = url.partition("://")
    if not mark:
        return url
    if scheme not in S3 | GOOGLE:  # where these are letters of a name as any other
        rest = rest.partition("?")[0].partition("#")[0]
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def check_login(url: str) -> None:
    """DataError for a bucket with credentials before it, which client libraries would log."""
    if scheme_of(url) in _BUCKETS and "@" in url.partition("://")[2].partition("/")[0]:
        raise DataError(
            f"{without_secrets(url)}: credentials do not belong in a URL; give them as "
            "storage_options, or by the environment"
        )


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


def check_writable(url: str, *, archives: bool = True) -> None:
    """
    UnsupportedError for a place that can only be read.

    Parameters
    ----------
    url
        Of a dataset, or of a file.
    archives
        Whether what is named like a zip archive is one that a dataset is in.
    """
    kind = None
    if archives and archive_of(url) is not None:
        kind = "a zip archive"
    elif scheme_of(url) in WEB:
        kind = "a web server"
    if kind is not None:
        place = without_secrets(url.removeprefix("zip::"))
        advice = "open it with mode 'r'" if archives else "nothing can be written there"
        raise UnsupportedError(f"{place}: {kind} is read-only; {advice}")
