"""What `storage_options` may have, and the environment variables that say the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from exetera_zarr.storage.remote.credentials import Provider  # noqa: TC001 - of a public annotation

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["GCSOptions", "S3Options"]


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
