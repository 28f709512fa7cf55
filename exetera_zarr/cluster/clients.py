"""The cluster of a session: a client that is given, or one of our own for an address."""

from __future__ import annotations

from typing import Any

from exetera_zarr.errors import ArgumentTypeError, StorageError

__all__ = ["client_of"]

_PATIENCE = "30s"
"""How long a scheduler has to answer when a session begins."""


def client_of(cluster: Any) -> tuple[Any, bool]:
    """
    The client that a session's verbs run on.

    Parameters
    ----------
    cluster : distributed.Client or str
        As of `Session`.

    Returns
    -------
    client : distributed.Client
    own : bool
        Whether it was made here, so that the session closes it.

    Raises
    ------
    ArgumentTypeError
        It is something else, or a client that does not wait for what it asks.
    StorageError
        No scheduler answers at the address, or the package `distributed` is missing.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise StorageError(
            "Session(cluster=...) needs Dask: pip install 'exetera-zarr[dask]'"
        ) from error
    if isinstance(cluster, Client):
        if cluster.asynchronous:
            raise ArgumentTypeError("cluster is a client of Dask that is not asynchronous")
        return cluster, False
    if not isinstance(cluster, str):
        raise ArgumentTypeError(
            "cluster is a distributed.Client, or the address of a scheduler such as "
            f"'tcp://host:8786', not a {type(cluster).__name__}"
        )
    try:
        return Client(cluster, set_as_default=False, timeout=_PATIENCE), True
    except (OSError, ValueError) as error:
        raise StorageError(f"no scheduler of Dask's answers at {cluster}: {error}") from None
