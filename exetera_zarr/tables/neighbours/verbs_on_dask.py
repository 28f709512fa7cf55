"""Where a verb asks whether it runs on a cluster: here, once, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exetera_zarr.cluster.running import Run
    from exetera_zarr.tables.dataframe import DataFrame

__all__ = ["cluster_run"]


def cluster_run(
    verb: str, frames: Sequence[DataFrame], dest: Any, *, rows: bool = True
) -> Run | None:
    """
    What runs a verb on the cluster of the session; None where it runs in this process.

    Parameters
    ----------
    verb
        Its name.
    frames
        The tables that it reads.
    dest
        The table that it writes to.
    rows
        Whether it writes blocks of rows, which workers do; else it appends what they find.
    """
    if frames[0].dataset.settings.cluster is None:
        return None
    from exetera_zarr.cluster.deciding import run_for

    return run_for(verb, frames, dest, rows=rows)
