"""`exetera.processing.numpy_buffer`: values that are appended one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["ListBuffer", "NumpyBuffer", "NumpyBuffer2"]


class ListBuffer:
    """
    A list that grows.

    Parameters
    ----------
    block_pow
        Accepted for ExeTera's sake.
    """

    def __init__(self, block_pow: int = 8) -> None:  # noqa: ARG002
        self._values: list[Any] = []

    def append(self, value: Any) -> None:
        """Add a value."""
        self._values.append(value)

    def finalise(self) -> Any:
        """The values; None if there are none."""
        return self._values or None


class NumpyBuffer(ListBuffer):
    """
    An array that grows.

    Parameters
    ----------
    dtype
        Of the array.
    block_pow
        Accepted for ExeTera's sake.
    """

    def __init__(self, dtype: npt.DTypeLike, block_pow: int = 8) -> None:
        super().__init__(block_pow)
        self.dtype = np.dtype(dtype)

    def finalise(self) -> Any:
        """The values as an array; None if there are none."""
        return np.asarray(self._values, self.dtype) if self._values else None


class NumpyBuffer2(NumpyBuffer):
    """As `NumpyBuffer`, but an empty array if there are no values."""

    def finalise(self) -> Any:
        """The values as an array."""
        return np.asarray(self._values, self.dtype)
