"""From a URL to the client of its bucket, with the credentials that are meant for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from exetera_zarr.errors import DataError, UnsupportedError
from exetera_zarr.storage.remote.credentials import provider_for
from exetera_zarr.storage.remote.requests import OURS
from exetera_zarr.storage.remote.urls import GOOGLE, S3, scheme_of, without_secrets

if TYPE_CHECKING:
    from exetera_zarr.storage.remote.client import BucketClient
    from exetera_zarr.storage.remote.credentials import Provider

__all__ = ["bucket_client", "is_bucket"]

_EXTRAS = {**dict.fromkeys(S3, "s3"), **dict.fromkeys(GOOGLE, "gcs")}
"""What is to be installed for a scheme."""


def is_bucket(url: str) -> bool:
    """Whether a URL is of a bucket that has a client of ours."""
    return scheme_of(url) in _EXTRAS and "::" not in url


def bucket_client(url: str, options: Mapping[str, Any]) -> tuple[str, BucketClient]:
    """
    The URL of a place in a bucket as it may be shown, and what makes requests to it.

    Parameters
    ----------
    url
        For which `is_bucket`.
    options
        Of the file system, and of ours; `remote.options` documents them.

    Raises
    ------
    DataError
        The credentials are neither a function nor a mapping.
    UnsupportedError
        The package that knows such buckets is not installed.
    """
    place = without_secrets(url).rstrip("/")
    given = {name: value for name, value in options.items() if name not in OURS}
    provider = _provider(place, given.pop("credentials", None) or provider_for(place))
    extra = _EXTRAS[scheme_of(url)]
    try:
        if extra == "s3":
            from exetera_zarr.storage.remote.s3 import S3Client

            return place, S3Client(place.partition("://")[2], given, provider)
        from exetera_zarr.storage.remote.gcs import GoogleClient

        return place, GoogleClient(place.partition("://")[2], given, provider)
    except ImportError as error:
        raise UnsupportedError(
            f"{place}: reading {scheme_of(url)}:// needs a package that is not installed "
            f"({error.name}): pip install 'exetera-zarr[{extra}]'"
        ) from error


def _provider(place: str, given: object) -> Provider | None:
    if isinstance(given, Mapping):
        return dict(given).copy
    if given is not None and not callable(given):
        raise DataError(
            f"{place}: credentials are a function or a mapping, not a {type(given).__name__}"
        )
    return given
