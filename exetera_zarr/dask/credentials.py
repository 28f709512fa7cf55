"""Credentials of workers, which each of them finds for itself: none is ever sent."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from distributed import WorkerPlugin

from exetera_zarr.errors import ArgumentTypeError
from exetera_zarr.storage.remote.credentials import Provider, set_credentials

__all__ = ["WorkerCredentials"]


class WorkerCredentials(WorkerPlugin):  # type: ignore[misc]
    """
    Have every worker, also one that comes later, ask for its credentials itself.

    Parameters
    ----------
    url_prefix
        As of `exetera_zarr.set_credentials`, such as ``s3://bucket``.
    provider
        A function without arguments that gives a mapping, as of `exetera_zarr.set_credentials`; it
        is called on the workers, whenever what it gave has expired. Or its place as text:
        ``"module:function"``. The function is sent to the workers, and what it holds with it, so
        that it has to look where the worker is: in a file, in a vault, at a metadata service.

    Raises
    ------
    ArgumentTypeError
        The provider is the credentials themselves, which would be sent over the network.

    Examples
    --------
    >>> from exetera_zarr.dask import WorkerCredentials
    >>> plugin = WorkerCredentials("s3://study", "our_institute.vault:study_keys")
    >>> plugin
    WorkerCredentials('s3://study')

    ``client.register_plugin(plugin)`` has all workers use it.
    """

    def __init__(self, url_prefix: str, provider: Provider | str) -> None:
        if isinstance(provider, Mapping) or not (callable(provider) or _is_place(provider)):
            raise ArgumentTypeError(
                "credentials are not sent to workers: give WorkerCredentials a function that finds "
                f"them there, or its place as 'module:function', not a {type(provider).__name__}"
            )
        self.url_prefix = url_prefix
        self.name: str = f"exetera-zarr-credentials-{url_prefix.rstrip('/')}"
        self._provider = provider

    def __repr__(self) -> str:
        return f"WorkerCredentials({self.url_prefix!r})"

    def setup(self, worker: Any) -> None:  # noqa: ARG002
        """Have this process use them; called by Dask."""
        found = self._provider
        set_credentials(self.url_prefix, _function(found) if isinstance(found, str) else found)

    def teardown(self, worker: Any) -> None:  # noqa: ARG002
        """Have this process forget them; called by Dask."""
        set_credentials(self.url_prefix, None)


def _is_place(provider: object) -> bool:
    return isinstance(provider, str) and provider.count(":") == 1 and not provider.endswith(":")


def _function(place: str) -> Callable[[], Mapping[str, Any]]:
    module, _, name = place.partition(":")
    found: Callable[[], Mapping[str, Any]] = getattr(importlib.import_module(module), name)
    return found
