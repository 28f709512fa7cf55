"""Other places for the datasets that a script opens, where the script itself stays as it is."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from exetera_zarr.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["Redirect", "default_cluster", "redirected", "resolve"]


@dataclass
class Redirect:
    """
    From one path, or the paths of a pattern, to a place.

    Parameters
    ----------
    source
        A path. One ``*`` in it stands for any text.
    target
        Path or URL; a ``*`` in it is what that of `source` stands for.
    storage_options
        For the file system behind the target.
    used
        Whether a dataset was opened by it.
    """

    source: str
    target: str
    storage_options: Mapping[str, Any] | None = field(default=None, repr=False)
    used: bool = field(default=False, compare=False)

    @classmethod
    def parse(cls, text: str, storage_options: Mapping[str, Any] | None = None) -> Redirect:
        """
        Read ``source=target``.

        Raises
        ------
        DataError
            It is something else, or the stars do not go together.
        """
        source, equals, target = text.partition("=")
        if not (source and equals and target):
            raise DataError(f"{text!r} is not OLD=NEW, such as old.hdf5=s3://bucket/new.zarr")
        if source.count("*") > 1 or target.count("*") > source.count("*"):
            raise DataError(f"{text!r} has more than one * in OLD, or more in NEW than in OLD")
        return cls(source, target, storage_options)

    def target_for(self, path: str) -> str | None:
        """Where a path goes; None if it is another one."""
        for form, source in ((path, self.source), (_whole(path), _whole(self.source))):
            start, star, end = source.partition("*")
            if not star:
                if form == source:
                    return self.target
            elif (
                len(form) >= len(start) + len(end) and form.startswith(start) and form.endswith(end)
            ):
                return self.target.replace("*", form[len(start) : len(form) - len(end)])
        return None


def _whole(path: str) -> str:
    return path if "://" in path else os.path.abspath(path)


_active: list[Redirect] = []
_clusters: list[str] = []
"""Addresses for sessions that name none; the last one counts."""


@contextmanager
def redirected(redirects: Sequence[Redirect], cluster: str | None = None) -> Iterator[None]:
    """
    A ``with`` block in which a script's datasets, and its verbs, go elsewhere.

    Parameters
    ----------
    redirects
        Where datasets are opened; the first that fits counts.
    cluster
        Address of the cluster of sessions that name none.
    """
    before, clusters = list(_active), list(_clusters)
    _active[:0] = redirects
    _clusters.extend([] if cluster is None else [cluster])
    try:
        yield
    finally:
        _active[:], _clusters[:] = before, clusters


def default_cluster() -> str | None:
    """The address of the cluster of a session that names none."""
    return _clusters[-1] if _clusters else None


def resolve(
    place: Any, storage_options: Mapping[str, Any] | None
) -> tuple[Any, Mapping[str, Any] | None]:
    """
    Where a dataset is, and the options to open it with.

    Parameters
    ----------
    place
        As a script has it: a path, a URL, or something else, which stays as it is.
    storage_options
        As a script has them; they count where it has any.
    """
    if _active and isinstance(place, (str, os.PathLike)):
        for redirect in _active:
            target = redirect.target_for(os.fspath(place))
            if target is not None:
                redirect.used = True
                return target, storage_options or redirect.storage_options
    return place, storage_options
