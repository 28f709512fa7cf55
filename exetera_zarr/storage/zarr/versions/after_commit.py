"""What follows a commit: other Zarr readers get to see it, and expired versions are removed."""

from __future__ import annotations

import os
import warnings
from concurrent.futures import TimeoutError as FutureTimeoutError
from functools import partial
from typing import TYPE_CHECKING

from exetera_zarr.storage import concurrency
from exetera_zarr.storage.zarr.versions import manifests, sweep
from exetera_zarr.storage.zarr.versions.retention import kept_versions
from exetera_zarr.texts import visible

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    from exetera_zarr.storage.stores.base import ObjectStore
    from exetera_zarr.storage.zarr.versions.rewritten import Rewritten

__all__ = ["Publication"]


class Publication:
    """
    What this process knows of what other Zarr readers see, and what it is removing.

    Parameters
    ----------
    version
        The version that is opened.
    """

    def __init__(self, version: manifests.Version) -> None:
        self.shown = version if version.revealed else None
        self._sweeping: Future[None] | None = None
        self._pid = os.getpid()
        concurrency.pool(1, "sweep")  # as with uploads: it may be needed when none can be started

    def show(self, store: ObjectStore, version: manifests.Version, *, quiet: bool = False) -> bool:
        """
        Let other Zarr readers see a version; whether that worked.

        A failure is a warning, unless that is unwanted: the version is committed, and the next
        writer reveals it.
        """
        try:
            manifests.reveal(store, version, self.shown)
        except Exception as error:  # noqa: BLE001 - whatever it is, the commit stands
            if quiet:
                return False
            warnings.warn(
                visible(
                    f"version {version.number} of {store.url} is committed, but other Zarr "
                    f"readers cannot see it before the next commit: {error}"
                ),
                RuntimeWarning,
                stacklevel=4,
            )
            return False
        self.shown = version
        return True

    def sweep(
        self,
        store: ObjectStore,
        expired: Sequence[range],
        newest: manifests.Version,
        rewritten: Rewritten,
    ) -> None:
        """Remove what only versions reach that are no longer kept, beside what comes next."""
        self.finish(store)
        kept = kept_versions(newest.facts)
        task = partial(sweep.sweep_versions, store, expired, kept, newest, rewritten)
        self._sweeping = concurrency.in_background(task, store.concurrency)
        if self._sweeping.done():
            self.finish(store)

    def remove(self, store: ObjectStore, found: Sequence[str]) -> None:
        """
        Remove objects of this process that no version has; now, where the store is near.

        What cannot be removed is left to vacuum(), since who rolls back cannot do more either.
        """

        def task() -> None:
            concurrency.each(store.delete, found, store.concurrency)
            store.sync()

        if store.distant:
            self.finish(store)
            self._sweeping = concurrency.in_background(task, store.concurrency)
            return
        try:
            task()
        except OSError as error:
            warnings.warn(
                visible(
                    f"{store.url}: some objects that were not committed are still there: {error}"
                ),
                RuntimeWarning,
                stacklevel=4,
            )

    def finish(self, store: ObjectStore, patience: float | None = None) -> None:
        """
        Return when nothing is being swept; what failed is left there, with a warning.

        Parameters
        ----------
        store
            The store.
        patience
            Seconds after which it is left as if it had failed.
        """
        sweeping, self._sweeping = self._sweeping, None
        if sweeping is None or self._pid != os.getpid():
            return
        try:
            error = sweeping.exception(patience)
        except FutureTimeoutError:
            error = TimeoutError(f"not done after {patience} seconds")
        if error is not None:  # vacuum() finds what is left
            warnings.warn(
                visible(f"{store.url}: some objects of expired versions are still there: {error}"),
                RuntimeWarning,
                stacklevel=4,
            )
