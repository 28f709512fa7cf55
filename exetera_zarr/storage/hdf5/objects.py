"""Looking at the objects of a file that somebody else may have made: nothing is taken on trust."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.errors import CorruptDataError
from exetera_zarr.storage.hdf5.library import library
from exetera_zarr.storage.hdf5.packing import COMPRESSIONS, PLAIN_FILTERS, Packing
from exetera_zarr.storage.hdf5.stored import Stored

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exetera_zarr.storage.hdf5.handle import FileHandle

__all__ = ["DAMAGE", "OddError", "attribute", "column", "is_group", "keys", "links", "open_link"]

_TEXT = 1 << 16
_CHUNK = 1 << 28
_KEYS = 1 << 20
_KEY_BYTES = 1 << 26
_KEY_CHUNKS = 1 << 13
_WIDEST = 1 << 20


class OddError(Exception):
    """It is not what ExeTera writes; the text says in what way."""


DAMAGE = (OddError, CorruptDataError, OSError, RuntimeError, ValueError, KeyError, TypeError)
"""What h5py and we raise where something is not what it should be."""


def links(group: Any) -> Iterator[bytes]:
    """Names of the links of a low-level group, sorted."""
    yield from sorted(group)


def open_link(group: Any, link: bytes, *, external: bool) -> Any:
    """
    The low-level object that a link leads to.

    Parameters
    ----------
    group
        Low-level group.
    link
        One of its links.
    external
        Whether links that are no hard ones are followed.
    """
    h5py = library()
    kind = group.links.get_info(link).type
    if kind != h5py.h5l.TYPE_HARD and not external:
        names = {h5py.h5l.TYPE_SOFT: "a soft link", h5py.h5l.TYPE_EXTERNAL: "an external link"}
        raise OddError(f"{names.get(kind, 'a link of an unknown kind')}, which is not followed")
    try:
        return h5py.h5o.open(group, link)
    except (KeyError, OSError, RuntimeError) as error:
        raise OddError(f"it cannot be opened ({error})") from error


def is_group(thing: Any) -> bool:
    """Whether a low-level object is a group."""
    return isinstance(thing, library().h5g.GroupID)


def attribute(thing: Any, name: str) -> str | int | None:
    """
    An attribute that is one text or one whole number; None where there is none.

    Parameters
    ----------
    thing
        Low-level object.
    name
        Of the attribute.
    """
    h5py = library()
    raw = name.encode()
    if not h5py.h5a.exists(thing, raw):
        return None
    found = h5py.h5a.open(thing, raw)
    kind = found.get_type()
    if found.shape not in ((), (1,)) or found.get_space().get_simple_extent_type() == h5py.h5s.NULL:
        raise OddError(f"the attribute {name!r} is not a single value")
    text = kind.get_class() == h5py.h5t.STRING
    if not text and kind.get_class() not in (h5py.h5t.INTEGER, h5py.h5t.ENUM):
        raise OddError(f"the attribute {name!r} is neither text nor a whole number")
    if text and not kind.is_variable_str() and kind.get_size() > _TEXT:
        raise OddError(f"the attribute {name!r} has {kind.get_size()} bytes")
    out = np.empty(found.shape, found.dtype)
    found.read(out)
    value = out.reshape(-1)[0]
    if not text:
        return int(value)
    raw_value = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else bytes(value)
    return raw_value.decode("utf-8", "surrogateescape")


def _dataset(group: Any, role: str, *, external: bool) -> Any:
    """The low-level dataset of that role; None where there is none, OddError if it is no column."""
    h5py = library()
    if not group.links.exists(role.encode()):
        return None
    thing = open_link(group, role.encode(), external=external)
    if not isinstance(thing, h5py.h5d.DatasetID):
        raise OddError(f"its {role!r} is no dataset")
    if thing.get_space().get_simple_extent_type() != h5py.h5s.SIMPLE or thing.rank != 1:
        raise OddError(f"its {role!r} has not one dimension")
    plan = thing.get_create_plist()
    if not external:
        if plan.get_layout() == h5py.h5d.VIRTUAL:
            raise OddError(f"its {role!r} is a virtual dataset, which is not followed")
        if plan.get_external_count():
            raise OddError(f"the bytes of its {role!r} are in another file, which is not read")
    _refuse_filters(plan, role, external=external)
    if plan.get_nfilters():
        chunk = plan.get_chunk()[0] * thing.get_type().get_size()
        if chunk > _CHUNK:
            raise OddError(f"its {role!r} has compressed chunks of {chunk} bytes")
    return thing


def _refuse_filters(plan: Any, role: str, *, external: bool) -> None:
    """Raise OddError for filters that are not there, or of which nobody can tell what comes out."""
    h5py = library()
    codes = [plan.get_filter(number)[0] for number in range(plan.get_nfilters())]
    for code in codes:
        if not h5py.h5z.filter_avail(code):
            raise OddError(f"its {role!r} needs the filter {code}, which is not installed")
    unknown = [code for code in codes if code not in PLAIN_FILTERS | COMPRESSIONS]
    if unknown and not external:
        raise OddError(
            f"its {role!r} is packed by the filter {unknown[0]}, which takes the word of the file "
            "for what comes out of it; external=True says that the file can be trusted"
        )
    if len(COMPRESSIONS.intersection(codes)) > 1 or len(set(codes)) < len(codes):
        raise OddError(f"its {role!r} is packed more than once")


def _prove(dataset: Any, role: str) -> None:
    """Have the chunks of a dataset looked at before they are read."""
    packing = Packing.of(dataset)
    if dataset.get_create_plist().get_layout() != library().h5d.CHUNKED:
        return
    chunk = int(dataset.get_create_plist().get_chunk()[0])
    if dataset.shape[0] > chunk * _KEY_CHUNKS:
        raise OddError(f"its {role!r} is in more than {_KEY_CHUNKS:,} chunks")
    if packing is not None:
        for start in range(0, dataset.shape[0], chunk):
            packing.prove(dataset, start, f"its {role!r}")


def _names(labels: Any) -> Iterator[Any]:
    """
    The names of categories, some at a time.

    Many may be one and the same string of the file, so that no size says what they take together.
    """
    h5py = library()
    size, total, count = labels.get_type().get_size(), 0, labels.shape[0]
    if labels.get_type().is_variable_str():
        size = h5py.h5i.get_file_id(labels).get_filesize()  # which no string is longer than
    step = max(1, min(4096, _KEY_BYTES // max(size, 1), count))
    # Not by h5py's own way, which takes ten times as long for a few names at a time.
    there, kind = labels.get_space(), h5py.h5t.py_create(labels.dtype)
    for start in range(0, count, step):
        some = np.empty(min(step, count - start), labels.dtype)
        there.select_hyperslab((start,), some.shape)
        labels.read(h5py.h5s.create_simple(some.shape), there, some, kind)
        names = some.tolist()
        total += sum(map(len, names))
        if total > _KEY_BYTES:
            raise OddError(f"its names of codes have more than {_KEY_BYTES:,} bytes")
        yield from names


def _dtype(dataset: Any, role: str) -> np.dtype[Any]:
    """The numpy type of a dataset's elements, in the machine's byte order."""
    h5py = library()
    kind = dataset.get_type()
    plain = (h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.STRING, h5py.h5t.ENUM)
    if kind.get_class() not in plain or (
        kind.get_class() == h5py.h5t.STRING and kind.is_variable_str()
    ):
        raise OddError(f"its {role!r} has elements that are no numbers and no fixed strings")
    try:
        dtype: np.dtype[Any] = np.dtype(dataset.dtype.newbyteorder("="))
    except TypeError as error:
        raise OddError(f"its {role!r} has elements of an unknown type ({error})") from error
    if dtype.itemsize > _WIDEST:
        raise OddError(f"its {role!r} has elements of {dtype.itemsize} bytes")
    return np.dtype(dtype.str) if dtype.kind in "iufS" else dtype  # without h5py's notes on enums


def column(
    file: FileHandle, group: Any, role: str, where: str, *, external: bool
) -> tuple[np.dtype[Any], Stored] | None:
    """
    The dataset of a role; None where a field has none yet.

    Parameters
    ----------
    file
        The file.
    group
        Low-level group of the field.
    role
        ``values`` or ``index``.
    where
        The field, for messages.
    external
        Whether what is in other files is read.
    """
    dataset = _dataset(group, role, external=external)
    if dataset is None:
        return None
    return _dtype(dataset, role), Stored(file, f"{where}/{role}", dataset, linked=True)


def keys(group: Any, *, external: bool) -> list[list[Any]]:
    """
    The ``[name, code]`` pairs of a categorical field; none if it was never given a key.

    Parameters
    ----------
    group
        Low-level group of the field.
    external
        Whether what is in other files is read.
    """
    h5py = library()
    codes = _dataset(group, "key_values", external=external)
    labels = _dataset(group, "key_names", external=external)
    if codes is None or labels is None:
        return []
    if not codes.shape[0] == labels.shape[0] <= _KEYS:
        raise OddError(f"it has {codes.shape[0]} codes and {labels.shape[0]} names of them")
    if _dtype(codes, "key_values").kind not in "iu":
        raise OddError("its 'key_values' are no whole numbers")
    if labels.get_type().get_class() != h5py.h5t.STRING:
        raise OddError("its 'key_names' are no text")
    if not codes.shape[0]:
        return []
    size = labels.get_type().get_size()
    if size * labels.shape[0] > _KEY_BYTES:
        raise OddError(f"it has {labels.shape[0]} names of codes, of {size} bytes each")
    if not external:
        _prove(codes, "key_values")
        _prove(labels, "key_names")
    named = [
        name.encode("utf-8", "surrogateescape") if isinstance(name, str) else bytes(name)
        for name in _names(labels)
    ]
    return [
        [name.decode("utf-8", "surrogateescape"), int(code)]
        for name, code in zip(named, h5py.Dataset(codes)[:].tolist(), strict=True)
    ]
