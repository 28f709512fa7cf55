"""What a session asks of the tables of all its datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from exetera_zarr.tables.neighbours.of_datasets import tables_of

if TYPE_CHECKING:
    from exetera_zarr.io.sql.query import Query
    from exetera_zarr.tables.dataframe import DataFrame
    from exetera_zarr.tables.session import Session

__all__ = ["SessionNeighbours"]


class SessionNeighbours:
    """The methods of a session by which tables of several datasets go together."""

    def sql(self, query: str) -> Query:
        """
        Ask a question of the tables of all open datasets in SQL; else as `Dataset.sql`.

        Parameters
        ----------
        query
            Tables are called ``dataset.table``, by the name of the dataset in the session.

        Returns
        -------
        Query
            As of `Dataset.sql`.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     study = s.open_dataset("memory://one.zarr", "w", "study")
        ...     trial = s.open_dataset("memory://two.zarr", "w", "trial")
        ...     _ = study.from_dict("people", {"id": [1, 2], "age": [34, 51]})
        ...     _ = trial.from_dict("arms", {"id": [2], "arm": ["A"]})
        ...     found = s.sql("SELECT age, arm FROM study.people JOIN trial.arms USING (id)")
        ...     found.to_arrow().to_pylist()
        [{'age': 51, 'arm': 'A'}]
        """
        from exetera_zarr.io.sql.query import Query

        session = cast("Session", self)
        tables: dict[tuple[str, ...], DataFrame] = {
            (name, table): frame
            for name, dataset in session.datasets.items()
            for table, frame in tables_of(dataset).items()
        }
        return Query(query, tables, session.settings)
