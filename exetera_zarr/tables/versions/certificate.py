"""What was erased, and where there may still be copies of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from dataclasses import field as field_of
from typing import TYPE_CHECKING, Any

from exetera_zarr.errors import listing
from exetera_zarr.texts import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exetera_zarr.tables.dataset import Dataset

__all__ = ["Certificate", "remains"]


@dataclass(frozen=True)
class Certificate:
    """
    What was erased, as `Dataset.purge` tells it. It has none of what was erased.

    Parameters
    ----------
    url
        Where the dataset lives, without secrets.
    when
        ISO 8601, UTC.
    author
        Who did it.
    key
        Name of the field by which rows were chosen; None if they were by their numbers.
    values
        How many values of it there were.
    field
        Name of the field that was erased; None if rows were.
    rows
        Rows that were erased of each table, in the version that was the newest.
    version
        The version without it; of a dry run, that which it would be done from.
    rewritten
        Older versions that are without it as well, and the rows that were erased of each.
    dropped
        Older versions that can no longer be opened.
    objects
        Keys of the objects that were removed.
    remains
        Where there may be copies that this library does not know of, and how to remove these.
    dry_run
        Whether nothing was done.
    """

    url: str
    when: str
    author: str
    key: str | None
    values: int
    field: str | None
    rows: dict[str, int]
    version: int
    rewritten: dict[int, int] = field_of(default_factory=dict)
    dropped: tuple[int, ...] = ()
    objects: tuple[str, ...] = ()
    remains: tuple[str, ...] = ()
    dry_run: bool = False

    def to_dict(self) -> dict[str, Any]:
        """All of it, as JSON takes it."""
        return asdict(self)

    def lines(self) -> Iterator[str]:
        """All of it, to be read."""
        done = "would be erased" if self.dry_run else "erased"
        by = f" by {self.author}" if self.author else ""
        yield f"{done} from {self.url}, {self.when}{by}"
        if self.field is not None:
            yield f"field {self.field!r} of {listing(self.rows)}"
        else:
            word = "value" if self.values == 1 else "values"
            chosen = f", chosen by {self.values:,} {word} of {self.key!r}" if self.key else ""
            for table, count in self.rows.items():
                yield f"{table}: {_counted(count)}{chosen}"
        if not self.dry_run:
            yield f"version {self.version} is without it"
        having = [f"{number} ({_counted(n)})" for number, n in self.rewritten.items() if n]
        if having:
            yield f"from older versions as well, by what each had: {', '.join(having)}"
        if self.dropped:
            which = "would be" if self.dry_run else "are"
            yield f"versions that {which} gone: {listing(self.dropped)}"
        if not self.dry_run:
            yield f"{len(self.objects):,} objects were removed"
        for said in self.remains:
            yield f"not known here: {said}"

    def __str__(self) -> str:
        return "\n".join(visible(line) for line in self.lines())

    __repr__ = __str__


def _counted(rows: int) -> str:
    return f"{rows:,} row{'' if rows == 1 else 's'}"


def remains(dataset: Dataset) -> Iterator[str]:
    """Where there may be copies of what was erased."""
    yield (
        "copies, exports, backups and snapshots that were made of the dataset or its disk: remove "
        "what they have of it where they are"
    )
    scheme = dataset.url.partition("://")[0] if "://" in dataset.url else ""
    if scheme in ("s3", "s3a", "gs", "gcs", "abfs", "az"):
        yield (
            "older versions of objects, if the bucket keeps them: delete the noncurrent versions "
            "below this address, by a rule of its lifecycle or by hand"
        )
    yield (
        "caches on other machines (the folders given as cache=), and processes that have an older "
        "version open: remove the folders, and end or refresh the processes"
    )
