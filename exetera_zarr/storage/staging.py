"""A place beside another one, where what is to be there is made first."""

from __future__ import annotations

import contextlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import fsspec

from exetera_zarr.errors import DatasetExistsError
from exetera_zarr.storage.registry import HDF5_SUFFIXES, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Staging"]

_AT_A_TIME = 32
_ABOUT = "exetera_zarr conversion"


class Staging:
    """
    A place for a new dataset, and the one beside it where that is made.

    Parameters
    ----------
    url
        Path or URL.
    options
        Passed to the fsspec file system.
    """

    def __init__(self, url: str, options: Mapping[str, Any] | None) -> None:
        self.url = shown(url)
        stem, suffix = os.path.splitext(url.rstrip("/"))
        if "/" in suffix or suffix.lower() not in (".zarr", *HDF5_SUFFIXES):
            stem, suffix = url.rstrip("/"), ""
        self.partial = f"{stem}.partial{suffix}"
        """Where the dataset is made."""
        self.shown = shown(self.partial)
        self._fs, self._path = fsspec.url_to_fs(url.rstrip("/"), **(options or {}))
        self._made = fsspec.url_to_fs(self.partial, **(options or {}))[1]
        self._note = f"{self._made.removesuffix(suffix)}.json"
        self._local = "file" in self._fs.protocol

    def check_free(self) -> None:
        """Raise DatasetExistsError if there is something."""
        self._fs.invalidate_cache()
        if self._fs.exists(self._path):
            raise DatasetExistsError(f"there is something at {self.url} already; it is left alone")

    def check_source(self, url: str) -> None:
        """Raise DatasetExistsError if what is converted is where its copy would be made."""
        if url == self.partial or (self._local and os.path.realpath(url) == self._real()):
            raise DatasetExistsError(
                f"{self.shown} is what is converted, and where its copy would be made: give that "
                "another name"
            )

    def _real(self) -> str:
        return str(os.path.realpath(self._made))

    def has_remains(self) -> bool:
        """Whether something was begun beside it; DatasetExistsError if that is none of ours."""
        self._fs.invalidate_cache()
        noted = self.noted()
        for path in (self._made, self._note):
            if noted is None and self._fs.exists(path):
                raise DatasetExistsError(
                    f"{shown(path)} is in the way, and was not made by a conversion to "
                    f"{self.url}; it is left alone"
                )
        return bool(self._fs.exists(self._made))

    def note(self, facts: Mapping[str, Any]) -> None:
        """Keep what somebody should know who goes on with what was begun."""
        if self._local:
            os.makedirs(os.path.dirname(self._note), exist_ok=True)
        self._fs.pipe_file(self._note, json.dumps({_ABOUT: facts}).encode())

    def noted(self) -> dict[str, Any] | None:
        """What was kept; None if nothing was."""
        try:
            facts = json.loads(self._fs.cat_file(self._note))[_ABOUT]
        except (FileNotFoundError, IsADirectoryError, ValueError, TypeError, KeyError):
            return None
        return facts if isinstance(facts, dict) else None

    def clear(self) -> None:
        """Remove what was begun."""
        self._fs.invalidate_cache()
        for path in (self._made, self._note):  # the note last: without it nobody may remove these
            if self._fs.exists(path):
                self._fs.rm(path, recursive=True)

    def finish(self) -> None:
        """Have the dataset in its place."""
        self.check_free()
        if self._local:
            os.rename(self._made, self._path)
        else:
            self._copy()
        self.clear()

    def _copy(self) -> None:
        """Copy every object, those last by which a dataset is found."""
        objects = self._fs.find(self._made)
        last = {path for path in objects if "/__exetera__/" in path[len(self._made) :]}
        root = f"{self._made}/zarr.json"
        rest = [path for path in objects if path not in last and path != root]
        try:
            with ThreadPoolExecutor(_AT_A_TIME) as pool:
                list(pool.map(self._copy_one, rest))
            for path in [*sorted(last), *([root] if root in objects else [])]:
                self._copy_one(path)
        except BaseException:
            self._remove_copied(objects)
            raise

    def _remove_copied(self, objects: Iterable[str]) -> None:
        """Leave nothing of what was copied; what cannot be removed is not worth another error."""
        self._fs.invalidate_cache()
        for path in objects:
            with contextlib.suppress(Exception):
                self._fs.rm_file(self._target(path))

    def _target(self, path: str) -> str:
        return str(self._path) + path[len(self._made) :]

    def _copy_one(self, path: str) -> None:
        self._fs.cp_file(path, self._target(path))
