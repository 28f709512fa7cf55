"""What a back end, or who tests against one, can use: conformance; counting and failing stores."""

from exetera_zarr.testing.faults import (
    FailingStore,
    Faults,
    PowerLossStore,
    as_another_process,
    failing,
)
from exetera_zarr.testing.stores import CountingStore, WrapperStore, counting

__all__ = [
    "CountingStore",
    "FailingStore",
    "Faults",
    "PowerLossStore",
    "WrapperStore",
    "as_another_process",
    "counting",
    "failing",
]
