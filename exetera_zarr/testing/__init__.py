"""What a back end, or somebody who tests against one, can use: conformance, counting stores."""

from exetera_zarr.testing.stores import CountingStore, WrapperStore, counting

__all__ = ["CountingStore", "WrapperStore", "counting"]
