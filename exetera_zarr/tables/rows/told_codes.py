"""Missing codes that rows bring along: a field that does not know them must not take them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from exetera_zarr.engine import is_strings
from exetera_zarr.errors import DataError
from exetera_zarr.fields.describing import codes_of
from exetera_zarr.fieldtypes import label_bytes
from exetera_zarr.storage import codebooks
from exetera_zarr.texts import visible

if TYPE_CHECKING:
    from exetera_zarr.fields.base import Field
    from exetera_zarr.storage.base import AnyArray
    from exetera_zarr.tables.rows.arrow_metadata import ToldField
    from exetera_zarr.tables.rows.values import Values

__all__ = ["check_codes"]


def check_codes(field: Field, name: str, values: Values, told: ToldField | None) -> None:
    """
    Refuse values that are missing where they come from, and would not be in a field.

    Parameters
    ----------
    field
        Where they go.
    name
        The column that they were given in.
    values
        The values.
    told
        What is said of the column beside it.

    Raises
    ------
    DataError
        A value is a missing code of the column, and none of the field.
    """
    if told is None:
        return
    for code, meaning in told.attributes.get(codebooks.ATTRIBUTE, {}).get("missing_codes", ()):
        if _knows(field, values, code):
            continue
        coded = _is_code(values, code)
        if values.mask is not None:
            coded &= values.mask
        if coded.any():
            raise DataError(
                visible(
                    f"{name!r} has {code!r}, which means {meaning!r} where it comes from, so that "
                    f"there is no value; of {field.phrase()} it is a value: say so first, as "
                    f"field.missing_codes = {{**field.missing_codes, {code!r}: {meaning!r}}} does"
                )
            )


def _knows(field: Field, values: Values, code: Any) -> bool:
    """Whether a code of the column is a missing code of the field, too."""
    known = codes_of(field)
    if values.kind != "labels" or field.type_name != "categorical":
        return code in known
    assert values.codes is not None
    assert values.labels is not None
    names = dict(zip(values.codes.tolist(), values.labels.to_pylist(), strict=True))
    ours = {label_bytes(label): own for own, label in field.keys.items()}  # type: ignore[attr-defined]
    return code in names and ours.get(names[code]) in known


def _is_code(values: Values, code: Any) -> AnyArray:
    """Which rows have it."""
    data = values.data
    if is_strings(data):
        found = pc.equal(data, pa.scalar(str(code).encode(), data.type))
        return np.asarray(found.fill_null(False).to_numpy(zero_copy_only=False))
    if not isinstance(data, np.ndarray):
        data = np.asarray(data, object)
    if data.dtype.kind == "S":
        code = str(code).encode()
    elif data.dtype.kind == "M":
        data = data.astype("datetime64[us]").astype(np.int64) / 1e6
    return np.asarray(data == code)
