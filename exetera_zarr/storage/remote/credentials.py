"""Where credentials come from when neither the environment nor the options have them."""

from __future__ import annotations

import datetime as dt
import os
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar, cast

from exetera_zarr.errors import AccessDeniedError, DataError

__all__ = ["AwsCredentials", "GoogleToken", "Provider", "ask", "provider_for", "set_credentials"]

Provider = Callable[[], Mapping[str, Any]]
"""Gives credentials as of now; called again when they have expired, from any thread."""
_providers: dict[str, Provider] = {}
_C = TypeVar("_C", bound="AwsCredentials | GoogleToken")


def set_credentials(url_prefix: str, provider: Provider | Mapping[str, Any] | None) -> None:
    """
    Have all datasets below a URL opened with credentials that are kept in this process alone.

    They are in no dataset, log, message or task: a worker calls this for itself.

    Parameters
    ----------
    url_prefix
        Such as ``s3://bucket`` or ``gs://bucket/studies``. The longest one that fits counts.
    provider
        A function without arguments that gives a mapping, called now and whenever what it gave
        has expired; or the mapping itself; or None, which removes what was set. For ``s3://`` it
        has ``access_key_id``, ``secret_access_key``, and optionally ``token`` and ``expires_at``
        (an aware datetime); for ``gs://`` ``token`` and optionally ``expires_at``.

    Examples
    --------
    >>> from exetera_zarr import set_credentials
    >>> set_credentials(
    ...     "s3://study", {"access_key_id": "id", "secret_access_key": "not shown anywhere"}
    ... )
    >>> set_credentials("s3://study", None)
    """
    prefix = url_prefix.rstrip("/")
    if "://" not in prefix:
        raise DataError(f"{url_prefix!r} is no URL such as 's3://bucket'")
    if provider is None:
        _providers.pop(prefix, None)
    elif callable(provider):
        _providers[prefix] = provider
    elif isinstance(provider, Mapping):
        fixed = dict(provider)
        _providers[prefix] = lambda: fixed
    else:
        raise DataError(f"credentials are a function or a mapping, not a {type(provider).__name__}")


def provider_for(url: str) -> Provider | None:
    """The provider that was set for a URL; None where none was."""
    fitting = [p for p in _providers if url == p or url.startswith(f"{p}/")]
    return _providers[max(fitting, key=len)] if fitting else None


def _expiry(given: Mapping[str, Any]) -> dt.datetime | None:
    moment = given.get("expires_at")
    if moment is not None and not (isinstance(moment, dt.datetime) and moment.tzinfo):
        raise DataError("'expires_at' of credentials is a datetime with a time zone, or None")
    return moment


def _text(given: Mapping[str, Any], name: str) -> str:
    if not isinstance(given, Mapping) or not (isinstance(given.get(name), str) and given[name]):
        raise DataError(f"credentials need {name!r}, a text")
    return str(given[name])


def _token(given: Mapping[str, Any]) -> str | None:
    return _text(given, "token") if given.get("token") is not None else None


@dataclass(frozen=True)
class AwsCredentials:
    """
    Of S3.

    Parameters
    ----------
    access_key_id, secret_access_key, token
        As Amazon calls them; the token is only for temporary ones.
    expires_at
        When new ones are to be asked for; never if None.
    """

    access_key_id: str
    secret_access_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    expires_at: dt.datetime | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """Read what a provider gave; DataError where it is something else."""
        key, secret = _text(given, "access_key_id"), _text(given, "secret_access_key")
        return cls(key, secret, _token(given), _expiry(given))

    @property
    def secret(self) -> frozenset[str]:
        """What no message may show."""
        return frozenset(filter(None, (self.secret_access_key, self.token)))


@dataclass(frozen=True)
class GoogleToken:
    """
    Of Google Cloud Storage.

    Parameters
    ----------
    token
        Of OAuth 2.
    expires_at
        When a new one is to be asked for; never if None.
    """

    token: str = field(repr=False)
    expires_at: dt.datetime | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """Read what a provider gave; DataError where it is something else."""
        return cls(_text(given, "token"), _expiry(given))

    @property
    def secret(self) -> frozenset[str]:
        """What no message may show."""
        return frozenset([self.token])


def ask(provider: Provider, kind: type[_C]) -> _C:
    """What a provider gives now; AccessDeniedError where it fails, without what it says."""
    failed: str | None = None
    try:
        given = provider()
    except Exception as error:  # noqa: BLE001 - it is anybody's
        frames = traceback.extract_tb(error.__traceback__)
        name = os.path.basename(frames[-1].filename)
        failed = f"{type(error).__name__} in {name}, line {frames[-1].lineno}"
    if failed is not None:  # here, so that the error does not carry theirs, which may have secrets
        raise AccessDeniedError(f"the provider of credentials failed with {failed}")
    return cast("_C", kind.of(given))
