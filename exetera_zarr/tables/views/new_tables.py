"""Tables of the session's own, for results that have no place: they go when nobody has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exetera_zarr.storage import OpenOptions, open_scratch

if TYPE_CHECKING:
    from exetera_zarr.tables.dataframe import DataFrame
    from exetera_zarr.tables.dataset import Dataset

__all__ = ["destination", "new_table"]


def new_table(dataset: Dataset, name: str, row_block: int | None = None) -> DataFrame:
    """
    An empty table of the session's own.

    It is in memory as far as it is small, else in a temporary folder that goes with it. Nothing of
    it is ever committed: ``ds["name"] = table`` keeps it.

    Parameters
    ----------
    dataset
        Of the table that it is a result of, for the settings of its session.
    name
        Its name, for whoever looks at it.
    row_block
        Rows of a block; as of `Dataset.create_dataframe`.
    """
    settings = dataset.settings
    options = OpenOptions(
        row_block=settings.row_block,
        cache_limit=settings.cache_limit,
        spill_dir=settings.spill_dir,
    )
    return dataset.beside(open_scratch(options)).create_dataframe(name, row_block=row_block)


def destination(ddf: DataFrame | None, source: DataFrame) -> DataFrame:
    """The table that a result is written to: the one that is given, or one of the session's own."""
    return new_table(source.dataset, source.name) if ddf is None else ddf
