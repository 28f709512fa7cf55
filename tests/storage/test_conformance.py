"""The contract of storage, on the places that each back end lives in."""

from __future__ import annotations

import pytest

from exetera_zarr.storage import OpenOptions, open_storage
from exetera_zarr.testing.conformance import StorageConformance


@pytest.mark.zarr
class TestZarr(StorageConformance):
    @pytest.fixture
    def open_place(self, place):
        def open_it(mode, **settings):
            return open_storage(
                place.url("x.zarr"),
                mode,
                OpenOptions(storage_options=place.storage_options, **settings),
            )

        return open_it


class TestHDF5(StorageConformance):
    @pytest.fixture
    def open_place(self, tmp_path):
        pytest.importorskip("h5py")

        def open_it(mode, **settings):
            return open_storage(tmp_path / "x.hdf5", mode, OpenOptions(**settings))

        return open_it
