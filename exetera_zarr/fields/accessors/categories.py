"""Text as categories: ``field.astype("category")``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa

from exetera_zarr.errors import ArgumentTypeError, DataError
from exetera_zarr.fields.accessors.text import texts_of
from exetera_zarr.fieldtypes import categorical_attributes

if TYPE_CHECKING:
    from exetera_zarr.fields.base import Field
    from exetera_zarr.fields.categorical import CategoricalField

__all__ = ["as_type"]

_MOST = 32_767


def as_type(field: Field, dtype: Any) -> CategoricalField:
    """
    A field of text in another type, of which there is one; see `Text.astype`.

    Parameters
    ----------
    field
        Of strings.
    dtype
        ``"category"``.
    """
    if str(dtype) != "category":
        raise ArgumentTypeError(
            f"{field.phrase()} holds text, which astype makes 'category', not {dtype!r}: write "
            "df['new'] = [int(text) for text in df['old']] for numbers in it"
        )
    import pyarrow.compute as pc  # which takes as long to import as all of pyarrow

    names = [one.decode() if isinstance(one, bytes) else str(one) for one in field.unique()]
    if not 0 < len(names) <= _MOST:
        raise DataError(
            f"{field.phrase()} has {len(names):,} different texts: categories are 1 to {_MOST:,}"
        )
    kind = "int8" if len(names) < 128 else "int16"
    made = field.in_memory(categorical_attributes(kind, {n: code for code, n in enumerate(names)}))
    known = pa.array(names, pa.large_string())

    def codes(text: pa.Array) -> tuple[Any, Any]:
        found = pc.index_in(text, value_set=known)
        there = found.is_valid().to_numpy(zero_copy_only=False)
        return found.fill_null(0).to_numpy().astype(kind), None if there.all() else there

    for column, mask in texts_of(field).parts(codes):
        made.append_masked(np.asarray(column), mask)
    return cast("CategoricalField", made)
