"""Clusters whose workers find what tests define, and for which nobody waits for ever."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["local_cluster"]

_ENDS = {"distributed.scheduler.no-workers-timeout": "60s"}


@contextmanager
def local_cluster(settings: Mapping[str, Any] | None = None, **options: Any) -> Iterator[Any]:
    """
    Two workers of one thread each, in processes of their own.

    Parameters
    ----------
    settings
        Of Dask's configuration, while it starts and runs.
    options
        Of ``LocalCluster``.
    """
    import dask
    from distributed import LocalCluster

    os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")
    # Workers, which inherit the path, import functions of test modules by their names. The checkout
    # is its end, so that the package is the one that was installed. A task whose function cannot be
    # imported takes the worker with it, and its client waits for ever.
    root = str(Path(__file__).parents[2])
    if root not in sys.path:
        sys.path.append(root)
    with (
        dask.config.set({**_ENDS, **(settings or {})}),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", **options) as made,
    ):
        yield made
