"""The contract of storage, on the places that the Zarr back end lives in."""

from __future__ import annotations

import pytest

from exetera_zarr.storage import open_storage
from exetera_zarr.testing.conformance import StorageConformance


class TestZarr(StorageConformance):
    @pytest.fixture
    def open_place(self, place):
        def open_it(mode, **settings):
            return open_storage(place.url("x.zarr"), mode, place.storage_options, **settings)

        return open_it
