"""What `storage_options` may have, and the environment variables that say the same."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

from exetera_zarr.storage.remote.credentials import Provider  # noqa: TC001 - of a public annotation
from exetera_zarr.storage.remote.urls import without_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["GCSOptions", "S3Options", "Way", "way_to"]

_PUBLIC: dict[str, Any] = {
    "anon": True,
    "client_kwargs": {"endpoint_url", "region_name", "use_ssl", "verify"},
    "config_kwargs": {
        "connect_timeout",
        "max_pool_connections",
        "read_timeout",
        "region_name",
        "s3",
        "signature_version",
    },
    "default_block_size": True,
    "endpoint_url": True,
    "largest_object": True,
    "profile": True,
    "project": True,
    "region": True,
    "requester_pays": True,
    "retry_deadline": True,
    "stall_timeout": True,
    "use_ssl": True,
}
"""The storage options that are no secrets, and of mappings what in them is none."""


class _Common(TypedDict, total=False):
    anon: bool
    """No credentials: for public buckets."""
    endpoint_url: str
    """Where the service is, if not Amazon's or Google's own."""
    credentials: Provider | Mapping[str, Any]
    """A function that gives credentials, called again when they have expired, or a mapping; see
    `exetera_zarr.set_credentials`."""
    retry_deadline: float
    """Seconds after which a request that fails is not made again; by default 90."""
    stall_timeout: float
    """Seconds without progress after which an answer is given up; by default 30."""
    largest_object: int
    """Bytes of an object that is read as a whole, at most; by default 96 MiB."""


class S3Options(_Common, total=False):
    """
    Storage options for ``s3://``.

    ==================  ===============================================  ==========================
    option              meaning                                          environment variable
    ==================  ===============================================  ==========================
    ``anon``            no credentials: for public buckets
    ``endpoint_url``    where the service is, if not Amazon's own        ``AWS_ENDPOINT_URL_S3``,
                                                                         ``AWS_ENDPOINT_URL``
    ``key``             the access key's id                              ``AWS_ACCESS_KEY_ID``
    ``secret``          its secret                                       ``AWS_SECRET_ACCESS_KEY``
    ``token``           the session's token, of temporary credentials    ``AWS_SESSION_TOKEN``
    ``profile``         a profile of ``~/.aws``                          ``AWS_PROFILE``
    ``credentials``     a function or mapping: see `set_credentials`
    ``client_kwargs``   for botocore's client, as                        ``AWS_DEFAULT_REGION``
                        ``{"region_name": "eu-west-2"}``
    ``config_kwargs``   for botocore's ``Config``, as timeouts
    ``requester_pays``  the reader pays for the requests
    ``retry_deadline``  seconds after which a request that fails is not
                        made again; by default 90
    ``stall_timeout``   seconds without progress after which an answer
                        is given up; by default 30
    ``largest_object``  bytes of an object that is read as a whole, at
                        most; by default 96 MiB
    ==================  ===============================================  ==========================

    Others are passed on to ``s3fs.S3FileSystem``. Where nothing is said, credentials are looked for
    as Amazon's own tools do: environment, profile, the machine's or container's role.
    """

    key: str
    secret: str
    token: str
    profile: str
    client_kwargs: dict[str, Any]
    config_kwargs: dict[str, Any]
    requester_pays: bool


class GCSOptions(_Common, total=False):
    """
    Storage options for ``gs://``.

    ==================  ========================================  ==================================
    option              meaning                                   environment variable
    ==================  ========================================  ==================================
    ``anon``            no credentials: for public buckets
    ``endpoint_url``    where the service is, if not Google's own ``STORAGE_EMULATOR_HOST``
    ``token``           path of a file of credentials, or what    ``GOOGLE_APPLICATION_CREDENTIALS``
                        ``gcsfs.GCSFileSystem`` takes in its place
    ``project``         the project that pays                     ``GOOGLE_CLOUD_PROJECT``
    ``credentials``     a function or mapping: see `set_credentials`
    ``requester_pays``  the reader pays for the requests
    ``retry_deadline``  seconds after which a request that fails
                        is not made again; by default 90
    ``stall_timeout``   seconds without progress after
                        which an answer is given up; by
                        default 30
    ``largest_object``  bytes of an object that is read
                        as a whole, at most; by default
                        96 MiB
    ==================  ========================================  ==================================

    Others are passed on to ``gcsfs.GCSFileSystem``. Where nothing is said, credentials are looked
    for as Google's own tools do: the environment, ``gcloud``, the machine's role.
    """

    token: Any
    project: str
    requester_pays: bool | str


@dataclass(frozen=True)
class Way:
    """
    How another process comes to a place, without anything that is secret.

    Parameters
    ----------
    url
        Path or URL, without a login.
    options
        Storage options that are no secrets, as JSON.
    withheld
        Names of the others.
    """

    url: str
    options: str = "{}"
    withheld: tuple[str, ...] = ()


def way_to(url: str, options: Mapping[str, Any]) -> Way:
    """
    How another process comes to a place.

    Parameters
    ----------
    url
        Path or URL, as it was given.
    options
        Storage options, likewise. Those that are not known to be harmless are left out.
    """
    shown = without_secrets(url)
    said: dict[str, Any] = {}
    withheld = [] if shown == url else ["what the URL has beside the place"]
    for name, value in options.items():
        known = _PUBLIC.get(name)
        given = value
        if isinstance(known, set):
            inner = dict(value) if value else {}
            given = {key: one for key, one in inner.items() if key in known and _is_plain(one)}
            withheld += [f"{name}[{key!r}]" for key in inner if key not in given]
        elif known is None or not _is_plain(value):
            withheld.append(name)
            continue
        said[name] = _without_login(given)
        if said[name] != given:
            withheld.append(f"the login in {name}")
    return Way(shown, json.dumps(said, sort_keys=True), tuple(sorted(withheld)))


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(one) for key, one in value.items())
    return value is None or isinstance(value, (bool, int, float, str))


def _without_login(value: Any) -> Any:
    """An option without a user and a password before the host of a URL."""
    if isinstance(value, dict):
        return {key: _without_login(one) for key, one in value.items()}
    return without_secrets(value) if isinstance(value, str) else value
