"""Groups of an HDF5 file that a script opened by itself, with h5py, and passes to a session.

There is no draft of such a file: what is written is in it at once, and h5py's own errors surface.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.errors import NameTakenError
from exetera_zarr.fieldtypes import array_dtypes
from exetera_zarr.storage.base import ROW_BLOCK, Array, Group
from exetera_zarr.storage.hdf5 import objects
from exetera_zarr.storage.hdf5.notes import NATIVE
from exetera_zarr.storage.hdf5.writing import ALWAYS, set_key
from exetera_zarr.storage.memory import MemoryArray
from exetera_zarr.texts import visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from exetera_zarr.storage.base import AnyArray

__all__ = ["ForeignGroup", "adopted"]

_ROLES = frozenset(("index", "values"))
_KNOWN = frozenset(NATIVE)
_CHUNK = 1024
_ROOM = 64 << 20


def adopted(thing: Any) -> Any:
    """An h5py group, or file, as a group of ours; anything else as it is."""
    h5py = sys.modules.get("h5py")  # who has none of its groups need not have it imported
    if h5py is not None and isinstance(thing, h5py.Group):
        return ForeignGroup(thing)
    return thing


class ForeignArray(Array):
    """
    A dataset of such a group, which is made when there is something to put into it.

    Parameters
    ----------
    group
        The h5py group.
    role
        Its name.
    dtype
        Of the elements, where there is no dataset yet.
    """

    def __init__(self, group: Any, role: str, dtype: npt.DTypeLike) -> None:
        self._group = group
        self._role = role
        self._dtype = np.dtype(dtype)

    @property
    def _dataset(self) -> Any:
        return self._group.get(self._role)

    @property
    def dtype(self) -> np.dtype[Any]:
        found = self._dtype if self._dataset is None else self._dataset.dtype
        return found if found.kind == "b" else np.dtype(found.newbyteorder("=").str)

    @property
    def block(self) -> int:
        return ROW_BLOCK

    def __len__(self) -> int:
        return 0 if self._dataset is None else len(self._dataset)

    def read(self, start: int, stop: int, out: AnyArray | None = None) -> AnyArray:
        values = np.empty(stop - start, self.dtype) if out is None else out
        if stop > start:
            values[...] = self._dataset[start:stop]
        return values

    def append(self, values: AnyArray, *, given: bool = False) -> None:  # noqa: ARG002 - copied
        dataset, start = self._dataset, len(self)
        if dataset is None or dataset.maxshape != (None,):
            put_dataset(self._group, self._role, np.concatenate([self.read(0, start), values]))
            return
        dataset.resize((start + len(values),))
        dataset[start:] = values

    def write(self, start: int, values: AnyArray) -> None:
        if len(values):
            self._dataset[start : start + len(values)] = values

    def clear(self) -> None:
        put_dataset(self._group, self._role, np.empty(0, self.dtype))


def put_dataset(group: Any, role: str, values: AnyArray) -> None:
    """Put a dataset, as ExeTera makes them, in the place of one of that name."""
    if role in group:
        del group[role]
    group.create_dataset(role, data=values, maxshape=(None,), chunks=(_CHUNK,))


class ForeignGroup(Group):
    """
    A group of a file that somebody else has open.

    Parameters
    ----------
    group
        The h5py group.
    """

    def __init__(self, group: Any) -> None:
        self._group = group

    def __repr__(self) -> str:
        return visible(repr(self._group))

    @property
    def name(self) -> str:
        return str(self._group.name).rpartition("/")[2]

    @property
    def key(self) -> tuple[str, str]:
        return str(self._group.file.filename), str(self._group.name)

    def exclusive(self) -> contextlib.AbstractContextManager[object]:
        return contextlib.nullcontext()

    @property
    def storage(self) -> None:
        return None

    @property
    def stored(self) -> bool:
        return True

    @property
    def row_block(self) -> int:
        return ROW_BLOCK

    @property
    def attributes(self) -> Mapping[str, Any]:
        found: dict[str, Any] = {
            name: _plain(self._group.attrs[name]) for name in _KNOWN & self._group.attrs.keys()
        }
        if "fieldtype" not in found:
            return found
        kind, _, detail = str(found["fieldtype"]).partition(",")
        values = self._group.get("values")
        if kind in ("numeric", "categorical", "boolean"):
            found.setdefault("nformat", detail or ("int8" if values is None else values.dtype.name))
        if kind == "fixedstring":
            found["strlen"] = int(found.get("strlen", detail))
        if kind == "categorical":
            found["key"] = objects.keys(self._group.id, external=True)
        return found

    def update_attributes(self, attributes: Mapping[str, Any]) -> None:
        for name in _KNOWN & attributes.keys():
            if attributes[name] is not None:
                self._group.attrs[name] = attributes[name]
        if "key" in attributes:
            set_key(self._group.id, attributes["key"])

    def keys(self) -> Sequence[str]:
        return [name for name in self._group if self._is_group(name)]

    def _is_group(self, name: object) -> bool:
        found = self._group.get(name)
        return found is not None and hasattr(found, "create_group")

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name != "" and self._is_group(name)

    def group(self, name: str) -> ForeignGroup:
        if name not in self:
            raise KeyError(name)
        return ForeignGroup(self._group[name])

    def create_group(
        self,
        name: str,
        attributes: Mapping[str, Any] | None = None,
        row_block: int | None = None,  # noqa: ARG002 - h5py's chunks are what they are
    ) -> ForeignGroup:
        if name in self._group:
            raise NameTakenError(f"{name!r} exists already in {self._group.name!r}")
        made = ForeignGroup(self._group.create_group(name))
        made.update_attributes({**ALWAYS, **(attributes or {})})
        return made

    def delete_group(self, name: str) -> None:
        del self._group[name]

    def rename_groups(self, renames: Mapping[str, str]) -> None:
        for old, new in renames.items():
            self._group.move(old, new)

    def reorder(self, order: Sequence[str]) -> None:
        """HDF5 has them by name."""

    def arrays(self) -> Mapping[str, Array]:
        types = array_dtypes(self.attributes)
        return {
            role: ForeignArray(self._group, role, types[role]) for role in _ROLES & types.keys()
        }

    def new_array(self, role: str, dtype: npt.DTypeLike) -> MemoryArray:  # noqa: ARG002
        return MemoryArray(dtype, room=_ROOM)

    def set_arrays(self, arrays: Mapping[str, Array]) -> None:
        for role, array in arrays.items():
            put_dataset(self._group, role, array.read(0, len(array)))


def _plain(value: Any) -> str | int:
    """An attribute as text or a whole number."""
    if isinstance(value, bytes):
        return value.decode()
    return value if isinstance(value, str) else int(value)
