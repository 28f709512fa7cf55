"""ArcticDB: a table that grows, indexed by when its rows came."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
from arcticdb import Arctic

from benchmarks.contestants.growing import CannotError, Columns, Growing, Place, tasks_of

SYMBOL = "table"


class ArcticDB(Growing):
    """A symbol in a library, of LMDB on the disk."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.library = Arctic(self.url).get_library("l", create_if_missing=True)

    @property
    def url(self) -> str:
        bucket = self.place.bucket
        if bucket is None:
            return f"lmdb://{self.place.path}?map_size=20GB"
        server = urlsplit(bucket.endpoint_url)
        return (
            f"s3://{server.hostname}:{bucket.name}?access={bucket.key}&secret={bucket.secret}"
            f"&port={server.port}&path_prefix={self.place.path}"
        )

    def frame(self, rows: Columns) -> Any:
        """Rows with the moment that they are of: their day, or now."""
        if "day" in rows:
            index = pd.to_datetime(rows["day"], unit="D")
        else:
            count = len(next(iter(rows.values())))
            index = pd.to_datetime(np.full(count, time.time_ns()))
        return pd.DataFrame(rows, index=index, copy=False)

    def create(self, rows: Columns) -> None:
        self.library.write(SYMBOL, self.frame(rows))

    def append(self, rows: Columns) -> None:
        self.library.append(SYMBOL, self.frame(rows))

    def read(self, names: Sequence[str] | None = None, day: int | None = None) -> Columns:
        moment = pd.Timestamp(day or 0, unit="D")
        found = self.library.read(
            SYMBOL,
            columns=list(names) if names else None,
            date_range=None if day is None else (moment, moment),
        ).data
        return {name: found[name].to_numpy() for name in names or found.columns}

    def compact(self) -> None:
        if not self.library.is_symbol_fragmented(SYMBOL):
            raise CannotError("has nothing to compact")
        self.library.defragment_symbol_data(SYMBOL)

    def history(self) -> int:
        return len(self.library.list_versions(SYMBOL))

    def vacuum(self) -> None:
        self.library.prune_previous_versions(SYMBOL)


TASKS = tasks_of(ArcticDB)
CANNOT: dict[str, str] = {}
