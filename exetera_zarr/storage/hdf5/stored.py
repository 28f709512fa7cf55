"""HDF5 datasets of one dimension: the bytes of an array."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.errors import CorruptDataError
from exetera_zarr.storage.hdf5.library import library, using
from exetera_zarr.storage.hdf5.packing import Packing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exetera_zarr.storage.base import AnyArray
    from exetera_zarr.storage.hdf5.handle import FileHandle

__all__ = ["CHUNK", "Stored", "chunk_for"]

CHUNK = 1 << 16
"""Elements of a chunk of a long column. With 2^16 a column is written and read five times as
fast as with ExeTera's 1,024; larger ones gain little, and cost short columns (RESULTS.md)."""
_SHORT = 1 << 10
_CHUNKS = 64
"""Chunks of a selection. What HDF5 does for each of them grows with how many there are: 8,192 at
once, of ExeTera's, take twice as long as 64 at a time."""
_CHUNK_BYTES = 1 << 20
_OBJECT = 1 << 13
"""Bytes that HDF5 may need to say where a dataset, or its chunks, are."""


def chunk_for(length: int, itemsize: int) -> int:
    """
    Elements of a chunk of a new dataset: few for a short column, which has to be a chunk long.

    Parameters
    ----------
    length
        Elements that there are to begin with.
    itemsize
        Bytes of one.
    """
    wanted = min(max(1 << max(length - 1, 0).bit_length(), _SHORT), CHUNK)
    return max(1, min(wanted, _CHUNK_BYTES // itemsize))


class Stored:
    """
    An HDF5 dataset, found again whatever it is called, also when the file was closed meanwhile.

    Parameters
    ----------
    file
        The file it is in.
    where
        Its names, for messages.
    dataset
        The low-level h5py dataset; only what is in no group yet is kept open.
    linked
        Whether it is in a group.

    Where the bytes are in another file, as who trusts it may allow, the dataset is kept open.
    """

    def __init__(self, file: FileHandle, where: str, dataset: Any, *, linked: bool) -> None:
        self.file = file
        self.where = where
        self.extent = int(dataset.shape[0])
        self.linked = linked
        plan = dataset.get_create_plist()
        reference = file.reference(dataset)
        home = file.reference(file.root).address[0]
        elsewhere = (
            reference.address[0] != home
            or plan.get_layout() == library().h5d.VIRTUAL
            or plan.get_external_count() > 0
        )
        chunked = plan.get_layout() == library().h5d.CHUNKED
        self.chunk = int(plan.get_chunk()[0]) if chunked else 0
        self._dataset = None if linked and not elsewhere else dataset
        self._reference = reference
        self._checked = not linked or elsewhere
        self._packing = None if self._checked else Packing.of(dataset)
        most = dataset.get_space().get_simple_extent_dims(maxdims=True)[0]
        self.growing = chunked and most == library().h5s.UNLIMITED

    @classmethod
    def create(cls, file: FileHandle, where: str, dtype: np.dtype[Any], length: int) -> Stored:
        """
        A new dataset that is in no group, and is gone with its file unless it is put in one.

        Parameters
        ----------
        file, where
            As above.
        dtype
            Of the elements.
        length
            Elements that are going to be written soon.
        """
        h5py = library()
        file.reserve(_OBJECT)
        with using(where):
            plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            plan.set_chunk((chunk_for(length, dtype.itemsize),))
            plan.set_fill_time(h5py.h5d.FILL_TIME_NEVER if length else h5py.h5d.FILL_TIME_IFSET)
            space = h5py.h5s.create_simple((0,), (h5py.h5s.UNLIMITED,))
            kind = h5py.h5t.py_create(dtype, logical=True)
            dataset = h5py.h5d.create(file.root, None, kind, space, plan)
            return cls(file, where, dataset, linked=False)

    def dataset(self) -> Any:
        """The open low-level dataset; call inside of `using`."""
        if self._dataset is not None:
            return self._dataset
        return self.file.at(self._reference)

    def settle(self) -> None:
        """Note that it is in a group now, so that it need not be kept open."""
        if not self.linked:
            self._dataset, self.linked = None, True

    def hold(self) -> None:
        """Keep it open, as it is going to be in no group, for who may want to have it back."""
        if self.linked:
            self._dataset, self.linked = self.dataset(), False

    def resize(self, length: int) -> None:
        """Give it another length; call inside of `using`."""
        if length != self.extent:
            self.dataset().set_extent((length,))
            self.extent = length

    def shorten(self, length: int) -> None:
        """Forget what is beyond that length."""
        if length < self.extent:
            with using(self.where):
                self.resize(length)

    def require(self) -> None:
        """Raise CorruptDataError, once, where the file has not what the dataset claims to have."""
        if not self._checked:
            with using(self.where):
                self.check()

    def read(self, start: int, out: AnyArray) -> None:
        """Fill `out` with the elements from `start` on."""
        self.require()
        with using(self.where):
            dataset = self.dataset()
            for low, high in self._pieces(start, start + len(out)):
                part, packing = out[low - start : high - start], self._packing
                if packing is not None and packing.read(dataset, low, part, self.where):
                    continue
                memory, there = self._selection(dataset, low, high - low)
                dataset.read(memory, there, part)

    def write(self, start: int, values: AnyArray) -> None:
        """Put elements from `start` on, which may be past its end."""
        end = start + len(values)
        if end > self.extent and self.chunk:
            chunks = -(-end // self.chunk) - (-(-self.extent // self.chunk))
            self.file.reserve(chunks * (self.chunk * values.dtype.itemsize + 64) + _OBJECT)
        with using(self.where):
            self.resize(max(self.extent, end))
            dataset = self.dataset()
            values = np.ascontiguousarray(values)
            for low, high in self._pieces(start, start + len(values)):
                memory, there = self._selection(dataset, low, high - low)
                dataset.write(memory, there, values[low - start : high - start])

    def _pieces(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Start and end of what is best read or written at a time."""
        step = self.chunk * _CHUNKS or max(1, stop - start)
        while start < stop:
            end = min(stop, (start // step + 1) * step)
            yield start, end
            start = end

    @staticmethod
    def _selection(dataset: Any, start: int, count: int) -> tuple[Any, Any]:
        there = dataset.get_space()
        there.select_hyperslab((start,), (count,))
        return library().h5s.create_simple((count,)), there

    def check(self) -> None:
        """
        Raise CorruptDataError where the file has not as much as the dataset claims to have.

        Call it inside of `using`.
        """
        dataset = self.dataset()
        if self.chunk:
            claimed, there = -(-self.extent // self.chunk), dataset.get_num_chunks()
            if there < claimed:
                raise CorruptDataError(
                    f"{self.where} claims {self.extent} elements in {claimed} chunks, of which "
                    f"the file has {there}"
                )
        else:
            wanted = self.extent * dataset.get_type().get_size()
            if dataset.get_storage_size() < wanted:
                raise CorruptDataError(
                    f"{self.where} claims {self.extent} elements, {wanted} bytes, of which the "
                    f"file has {dataset.get_storage_size()}"
                )
        self._checked = True

    def size(self) -> int:
        """Bytes that it takes in the file."""
        with using(self.where):
            return int(self.dataset().get_storage_size())
