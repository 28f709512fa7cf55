"""
The functions of numpy that are right with fields, by what makes them so.

What is in none of these is refused: numpy reckons in the type of the rows, in which whole numbers
wrap around without a word, and makes no difference between a condition and a number.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from exetera_zarr.errors import ArgumentTypeError

__all__ = ["DATA_OF_SUMS", "MOVING", "PRODUCTS", "REDUCING", "TOGETHER", "WIDE", "WRITING", "named"]


def _of(names: str) -> dict[str, Any]:
    """Functions by their names, those that this numpy has."""
    found = {}
    for name in names.split():
        function: Any = np
        for part in name.split("."):
            function = getattr(function, part, None)
        if function is not None:
            found[name] = function
    return found


MOVING = frozenset(
    _of(
        # Rows in another order or shape, some of them, or several times.
        "array_split atleast_1d atleast_2d atleast_3d broadcast_arrays broadcast_to compress copy "
        "delete diag diagflat diagonal dsplit expand_dims extract flip fliplr flipud hsplit ix_ "
        "lib.stride_tricks.sliding_window_view matrix_transpose meshgrid moveaxis nan_to_num "
        "permute_dims ravel real repeat reshape resize roll rollaxis rot90 split squeeze swapaxes "
        "take take_along_axis tile transpose trim_zeros unstack vsplit fft.fftshift fft.ifftshift "
        # Orders, places and answers: rows of one type are compared with each other or with zero.
        "all any argmax argmin argpartition argsort argwhere count_nonzero flatnonzero iscomplex "
        "iscomplexobj isneginf isposinf isreal isrealobj lexsort nanargmax nanargmin nonzero "
        "partition sort unique unique_all unique_counts unique_inverse unique_values "
        # Shapes and types.
        "can_cast common_type empty_like may_share_memory min_scalar_type ndim ones_like "
        "result_type shape shares_memory size zeros_like "
        # Text and files.
        "array2string array_repr array_str save savetxt savez savez_compressed"
    ).values()
)
"""Those that only move rows, or compare those of one type: right with the plain array."""

_PAIRS = {
    "allclose": ("a", "b"),
    "append": ("arr", "values"),
    "array_equal": ("a1", "a2"),
    "array_equiv": ("a1", "a2"),
    "choose": ("choices",),
    "clip": ("a", "a_min", "a_max", "min", "max"),
    "column_stack": ("tup",),
    "concatenate": ("arrays",),
    "digitize": ("x", "bins"),
    "dstack": ("tup",),
    "hstack": ("tup",),
    "insert": ("arr", "values"),
    "intersect1d": ("ar1", "ar2"),
    "isclose": ("a", "b"),
    "isin": ("element", "test_elements"),
    "searchsorted": ("a", "v"),
    "select": ("choicelist", "default"),
    "setdiff1d": ("ar1", "ar2"),
    "setxor1d": ("ar1", "ar2"),
    "stack": ("arrays",),
    "union1d": ("ar1", "ar2"),
    "vstack": ("tup",),
    "where": ("x", "y"),
}
TOGETHER: dict[Any, tuple[str, ...]] = {
    function: _PAIRS[name] for name, function in _of(" ".join(_PAIRS)).items()
}
"""Those that make one array of several, or compare several: these need one type for all."""

_SUMS = {
    "convolve": ("a", "v"),
    "correlate": ("a", "v"),
    "cumsum": ("a",),
    "cumulative_sum": ("x",),
    "diff": ("a", "prepend", "append"),
    "dot": ("a", "b"),
    "ediff1d": ("ary", "to_end", "to_begin"),
    "einsum": ("operands",),
    "inner": ("a", "b"),
    "kron": ("a", "b"),
    "nancumsum": ("a",),
    "nansum": ("a",),
    "outer": ("a", "b"),
    "ptp": ("a",),
    "sum": ("a",),
    "tensordot": ("a", "b"),
    "trapezoid": ("y", "x", "dx"),
    "vdot": ("a", "b"),
}
DATA_OF_SUMS: dict[Any, Any] = {
    function: _SUMS[name] for name, function in _of(" ".join(_SUMS)).items()
}
"""Sums, differences and sums of products: in 64 bits, or with Python's numbers if need be."""
PRODUCTS: dict[Any, Any] = {
    np.prod: "a",
    np.nanprod: "a",
    np.cumprod: "a",
    np.nancumprod: "a",
    **dict.fromkeys(_of("cumulative_prod").values(), "x"),
}
"""Products of many numbers, which soon have more than 64 bits."""

WIDE = frozenset(
    _of(
        "amax amin angle average bincount corrcoef cov fft.fft fft.ifft fft.irfft fft.rfft fix "
        "gradient histogram histogram2d histogram_bin_edges histogramdd i0 interp linalg.lstsq "
        "linalg.norm linalg.solve max mean median min nanmax nanmean nanmedian nanmin "
        "nanpercentile nanquantile nanstd nanvar percentile polyfit quantile sinc std unwrap var"
    ).values()
)
"""Those whose results are floats, counts or some of the rows, if these are numbers of 64 bits."""

REDUCING = frozenset(
    _of(
        "amax amin max mean min nanmax nanmean nanmin nanprod nanstd nansum nanvar prod std sum var"
    ).values()
)
"""Those that take ``where=``."""

WRITING = frozenset(_of("copyto fill_diagonal place put put_along_axis putmask").values())
"""Those that change what they are given: of a field that would be an array nobody sees again."""

_PLACES: dict[Any, str] = {
    np.bincount: "x weights minlength",
    np.concatenate: "arrays axis out",
    np.dot: "a b out",
    np.inner: "a b",
    np.vdot: "a b",
    np.where: "condition x y",
}
"""The arguments of those functions of C that older releases of numpy have no signature of."""


def named(function: Any, args: Any, kwargs: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """
    The arguments of a function by their names, and a function that takes them so.

    Raises
    ------
    TypeError
        The function takes no such arguments.
    """
    if function in _PLACES:
        places = _PLACES[function].split()
        by_place = dict(zip(places, args, strict=False))
        return {**by_place, **kwargs}, lambda given: function(
            *(given[name] for name in by_place),
            **{name: given[name] for name in given if name not in by_place},
        )
    try:
        bound = inspect.signature(function).bind(*args, **kwargs)
    except TypeError as error:
        raise ArgumentTypeError(f"numpy.{function.__name__}: {error}") from error

    def call(given: dict[str, Any]) -> Any:
        bound.arguments = given
        return function(*bound.args, **bound.kwargs)

    return dict(bound.arguments), call
