"""`exetera.core.session`: a session that does as ExeTera does."""

from __future__ import annotations

from typing import Any

from exetera_zarr.tables import session

__all__ = ["Session"]


class Session(session.Session):
    """
    `exetera_zarr.Session` with ExeTera's face: see its parameter ``exetera``.

    Parameters
    ----------
    chunksize, timestamp, options
        As of `exetera_zarr.Session`.
    """

    def __init__(
        self, chunksize: int = session.DEFAULT_CHUNKSIZE, timestamp: Any = None, **options: Any
    ) -> None:
        super().__init__(chunksize, timestamp, exetera=True, **options)
