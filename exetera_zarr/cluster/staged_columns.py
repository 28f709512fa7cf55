"""Columns that a task stages for the client, as little of them as arrays are."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from exetera_zarr.engine import is_strings
from exetera_zarr.engine.columns import strings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exetera_zarr.dask.staging import Job
    from exetera_zarr.engine import Column
    from exetera_zarr.storage.base import AnyArray, Workshop

__all__ = ["StagedColumns", "stage_columns"]

Piece = tuple[int, int, int]


@dataclass(frozen=True)
class StagedColumns:
    """
    Columns in an object of one attempt.

    Parameters
    ----------
    key
        Of the object.
    pieces
        For each column its types and where its arrays are: one of values, or offsets and bytes.
    """

    key: str
    pieces: tuple[tuple[tuple[str, Piece], ...], ...]

    def read(self, workshop: Workshop) -> list[Column]:
        """The columns."""
        data = workshop.staged(self.key)
        found: list[Column] = []
        for arrays in self.pieces:
            made = [workshop.piece(data, piece, np.dtype(kind)) for kind, piece in arrays]
            found.append(made[0] if len(made) == 1 else strings.to_arrow(made[0], made[1]))
        return found


def stage_columns(job: Job, columns: Sequence[Column]) -> StagedColumns:
    """Stage columns, under a name of this attempt alone."""
    arrays: dict[str, AnyArray] = {}
    kinds: list[list[tuple[str, str]]] = []
    for number, column in enumerate(columns):
        if is_strings(column):
            offsets, data = strings.from_arrow(column)
            some: list[AnyArray] = [
                np.asarray(offsets - offsets[:1], np.int64),
                np.asarray(data),
            ]
        else:
            some = [np.asarray(column)]
        labels = [f"{number}.{at}" for at in range(len(some))]
        arrays.update(zip(labels, some, strict=True))
        kinds.append([(label, one.dtype.str) for label, one in zip(labels, some, strict=True)])
    key, pieces = job.workshop().stage(secrets.token_hex(8), arrays)
    return StagedColumns(
        key, tuple(tuple((kind, pieces[label]) for label, kind in one) for one in kinds)
    )
