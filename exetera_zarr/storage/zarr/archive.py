"""A dataset in a zip archive, on a disk or elsewhere: only to be read."""

from __future__ import annotations

import tempfile
import zipfile
from typing import IO, TYPE_CHECKING, Any, cast

import fsspec
from fsspec.implementations.zip import ZipFileSystem

from exetera_zarr.errors import DatasetNotFoundError
from exetera_zarr.storage.zarr import keys
from exetera_zarr.storage.zarr.addresses import is_local, without_secrets
from exetera_zarr.storage.zarr.remote import FsspecStore

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ArchiveStore"]


class ArchiveStore(FsspecStore):
    """
    The content of an archive.

    Parameters
    ----------
    url
        Of the archive.
    options
        Passed to the file system that the archive is in; never shown.
    deadline
        Seconds after which a request is not made again; see `retrying.Patience`.
    """

    def __init__(
        self, url: str, options: Mapping[str, Any], *, deadline: float | None = None
    ) -> None:
        super().__init__(url, options, deadline=deadline)
        self.url = self.identity = without_secrets(url)
        self.distant = not is_local(url)

    def _open(self) -> tuple[Any, str]:
        try:
            filesystem = self._make("open", "", self._archive)
        except FileNotFoundError as error:
            raise DatasetNotFoundError(f"there is no dataset at {self.url}") from error
        return filesystem, _top(filesystem)

    def _archive(self) -> ZipFileSystem:
        try:
            return ZipFileSystem(fo=self._file())
        except ValueError:  # from a server that sends no parts of files
            return ZipFileSystem(fo=self._whole_file())
        except zipfile.BadZipFile as error:
            raise DatasetNotFoundError(
                f"there is no dataset at {self.url}: it is not a zip archive"
            ) from error

    def _file(self) -> IO[bytes]:
        opened = fsspec.open(f"{self._given}{self._query}", "rb", **self._options)
        return cast("IO[bytes]", opened.open())

    def _whole_file(self) -> IO[bytes]:
        filesystem, path = fsspec.url_to_fs(f"{self._given}{self._query}", **self._options)
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the archive's, for as long as it is open
        filesystem.get_file(path, file)
        file.seek(0)
        return file


def _top(filesystem: Any) -> str:
    """The folder in an archive that holds the dataset, where it is not at its top."""
    if filesystem.exists(keys.DOCUMENT):
        return ""
    folders = [found["name"].strip("/") for found in filesystem.ls("", detail=True)]
    holding = [folder for folder in folders if filesystem.exists(f"{folder}/{keys.DOCUMENT}")]
    return holding[0] if len(holding) == 1 else ""
