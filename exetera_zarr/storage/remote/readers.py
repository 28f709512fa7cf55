"""Remote files as files of Python that are open for reading or writing."""

from __future__ import annotations

import io
from collections import OrderedDict
from typing import TYPE_CHECKING

from exetera_zarr.errors import ArgumentError, StorageError
from exetera_zarr.storage.base import OfThisProcess
from exetera_zarr.storage.remote.limits import bytes_shown, limits
from exetera_zarr.storage.remote.requests import BeyondEndError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

    from exetera_zarr.storage.remote.client import Part, Upload
    from exetera_zarr.storage.remote.places import RemoteFile, Stream

__all__ = ["FileWriter", "PartsReader", "StreamReader"]


def _changed(file: RemoteFile) -> StorageError:
    return StorageError(f"{file.url} was changed while it was read: read it again from its start")


class _Reader(OfThisProcess, io.RawIOBase):
    """What both kinds of readers have in common: a place in the file, and its size if known."""

    size: int | None

    def __init__(self, file: RemoteFile) -> None:
        super().__init__()
        self._file = file
        self.name = file.url
        self._position = 0

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


class PartsReader(_Reader):
    """
    A file of which any part can be had: blocks of it are kept as they are asked for.

    Parameters
    ----------
    file
        The file, of which the first block is read now.
    block
        Bytes of a block.
    kept
        How many blocks are kept, those that were used last.

    Raises
    ------
    NoPartsError
        There are no parts to be had: `StreamReader` reads such a file.
    FileNotFoundError, AccessDeniedError, StorageError
        See `Requests.make`.
    """

    def __init__(self, file: RemoteFile, block: int, kept: int) -> None:
        super().__init__(file)
        self._block, self._kept = block, kept
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._tag: str | None = None
        try:
            first = file.part(0, block)
        except BeyondEndError:
            self.size = 0
            return
        self.size = len(first.data) if first.size is None else first.size
        self._tag = first.tag
        self._keep(0, first)

    size: int

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        if start + offset < 0:
            raise ArgumentError(f"a place in a file is not negative, as {start + offset} is")
        self._position = start + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        """As much as there is, up to the size of the buffer: less only at the end of the file."""
        view = memoryview(buffer).cast("B")
        end = min(self._position + len(view), self.size)
        done = 0
        while self._position < end:
            number, within = divmod(self._position, self._block)
            data = self._at(number, end)[within : within + len(view) - done]
            view[done : done + len(data)] = data
            done += len(data)
            self._position += len(data)
        return done

    def _at(self, number: int, end: int) -> bytes:
        """A block, got together with those that follow and are wanted as well."""
        if number not in self._blocks:
            stop = number + 1
            while (
                stop * self._block < end
                and stop not in self._blocks
                and stop - number < max(self._kept // 2, 1)
            ):
                stop += 1
            begin = number * self._block
            self._keep(number, self._file.part(begin, min(stop * self._block, self.size)))
        self._blocks.move_to_end(number)
        return self._blocks[number]

    def _keep(self, number: int, part: Part) -> None:
        if part.tag != self._tag or part.size not in (None, self.size):
            raise _changed(self._file)
        for start in range(0, len(part.data), self._block):
            data = part.data[start : start + self._block]
            self._blocks[number + start // self._block] = data
        self._blocks.move_to_end(number)
        while len(self._blocks) > self._kept:
            self._blocks.popitem(last=False)


class StreamReader(_Reader):
    """
    A file that comes only as a whole: from its start again when the connection was lost.

    Parameters
    ----------
    file
        The file, which is asked for now.

    Raises
    ------
    FileNotFoundError, AccessDeniedError, StorageError
        See `Requests.make`.
    """

    _SKIP = 1 << 20

    def __init__(self, file: RemoteFile) -> None:
        super().__init__(file)
        self._stream: Stream | None = None
        first = file.make("read", self._opened)
        self.size, self._tag = first.size, first.tag

    def _opened(self) -> Stream:
        """The stream, at our place in the file."""
        if self._stream is not None:
            return self._stream
        stream = self._file.stream()
        try:
            if self._position and (stream.size, stream.tag) != (self.size, self._tag):
                raise _changed(self._file)
            left = self._position
            while left and (data := stream.read(min(left, self._SKIP))):
                left -= len(data)
        except BaseException:
            stream.close()
            raise
        self._stream = stream
        return stream

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        data = self._file.make("read", lambda: self._read(len(view)))
        view[: len(data)] = data
        self._position += len(data)
        if self.size is None and self._position > limits.copied:
            raise StorageError(
                f"could not read all of {self._file.url}: its server does not say how large it is, "
                f"and more than {bytes_shown(limits.copied)} have come; download it by other means"
            )
        return len(data)

    def _read(self, size: int) -> bytes:
        stream = self._opened()
        try:
            data = stream.read(size)
        except BaseException:
            self._leave()
            raise
        if size and not data and self.size is not None and self._position < self.size:
            self._leave()
            raise ConnectionError(f"only {self._position} of {self.size} bytes came")
        return data

    def _leave(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def close(self) -> None:
        if not self.closed:
            self._leave()
        super().close()


class FileWriter(OfThisProcess, io.BufferedIOBase):
    """
    A file that is written, and is in its place once `finish` says so.

    Parameters
    ----------
    file
        Where to.
    """

    def __init__(self, file: RemoteFile) -> None:
        super().__init__()
        self._file = file
        self.name = file.url
        self._waiting = bytearray()
        self._over = False
        self._upload: Upload | None = None

    def writable(self) -> bool:
        return True

    def write(self, data: ReadableBuffer) -> int:
        view = memoryview(data).cast("B")
        if self._over:
            raise ArgumentError(f"nothing more can be written to {self._file.url}")
        self._waiting += view
        piece = self._piece
        while len(self._waiting) > piece:  # not where they are as many: the last may be that
            self._send(bytes(self._waiting[:piece]))
            del self._waiting[:piece]
            piece = self._piece
        return len(view)

    def _send(self, data: bytes) -> None:
        self._over = True  # unless this succeeds
        if self._upload is None:
            self._upload = self._file.upload()
        self._upload.send(data)
        self._over = False

    @property
    def _piece(self) -> int:
        from exetera_zarr.storage.remote.client import Upload

        return (self._upload or Upload).piece

    def finish(self) -> None:
        """Have the file in its place."""
        self._over = True
        if self._upload is None:
            self._file.put(bytes(self._waiting))
        else:
            self._upload.finish(bytes(self._waiting))
        self._upload = None
        self._waiting.clear()

    def discard(self) -> None:
        """Leave nothing of it; what was there before stays."""
        upload, self._upload, self._over = self._upload, None, True
        self._waiting.clear()
        if upload is not None:
            upload.abort()
