from __future__ import annotations

from unittest import mock

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exetera_zarr.engine.columns import strings
from support.engine_model import BYTES

BYTE_LISTS = st.lists(BYTES, max_size=15)


def stored(values: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Offsets and bytes, made without Arrow."""
    offsets = np.cumsum([0] + [len(v) for v in values]).astype(np.int64)
    return offsets, np.frombuffer(b"".join(values), np.uint8)


@given(BYTE_LISTS, st.integers(0, 15), st.integers(0, 15))
def test_the_stored_form_survives_arrow_through_any_window(values, a, b):
    """A window of a column's index and bytes is the same strings as that slice of the list."""
    offsets, data = stored(values)
    a, b = sorted((min(a, len(values)), min(b, len(values))))
    window = offsets[a : b + 1]
    arr = strings.to_arrow(window, data[window[0] : window[-1]])
    assert arr.to_pylist() == values[a:b]
    back = strings.from_arrow(strings.to_arrow(offsets, data)[a:b])
    assert [x.tolist() for x in back] == [x.tolist() for x in stored(values[a:b])]


def test_no_offsets_are_no_rows():
    """The empty index of a column never written is an empty column."""
    assert len(strings.to_arrow(np.zeros(0, np.int64), np.zeros(0, np.uint8))) == 0


def test_to_arrow_copies_no_bytes():
    """The Arrow array sees the very memory it was given."""
    offsets, data = stored([b"ab", b"", b"cde"])
    arr = strings.to_arrow(offsets, data)
    assert arr.buffers()[1].address == offsets.ctypes.data
    assert arr.buffers()[2].address == data.ctypes.data


@pytest.mark.parametrize(
    ("offsets", "message"),
    [
        ([0, 3, 2, 4], "row 1"),
        ([0, 2, 9], "row 1"),
        ([-1, 2], "negative"),
        ([[0, 1]], "one dimension"),
    ],
)
def test_damaged_offsets_are_refused_and_the_row_named(offsets, message):
    """Offsets that descend or leave the data are an error, never a read outside the memory."""
    with pytest.raises(ValueError, match=message):
        strings.to_arrow(np.array(offsets, np.int64), np.zeros(4, np.uint8))


@pytest.mark.parametrize(
    "arrow_type",
    [pa.string(), pa.large_string(), pa.binary(), pa.large_binary(), pa.string_view()],
    ids=str,
)
@pytest.mark.parametrize("chunked", [False, True])
def test_every_arrow_string_type_comes_in_with_nulls_as_empty(arrow_type, chunked):
    """Types, chunks, slices and nulls of Arrow all end in the same stored form."""
    arr = pa.array(["x", "é", None, "", "yz"], pa.string()).cast(arrow_type)
    if chunked:
        arr = pa.chunked_array([arr[:2], arr[2:2], arr[2:]])
    offsets, data = strings.from_arrow(arr[1:])
    assert offsets.tolist() == [0, 2, 2, 2, 4]
    assert data.tobytes() == "éyz".encode()


def test_dictionary_and_empty_arrow_arrays_come_in():
    """Dictionary-encoded text and arrays without rows or chunks are strings too."""
    assert strings.as_strings(pa.array(["a", "b", "a"]).dictionary_encode()).to_pylist() == [
        b"a",
        b"b",
        b"a",
    ]
    assert strings.from_arrow(pa.chunked_array([], pa.string()))[0].tolist() == [0]
    assert strings.from_arrow(pa.array([], pa.large_binary()))[0].tolist() == [0]
    assert strings.as_strings(pa.nulls(2)).to_pylist() == [b"", b""]


@pytest.mark.parametrize("wrong", [pa.array([1, 2]), ["a"], np.array([b"a"])], ids=type)
def test_what_is_no_arrow_string_array_is_refused(wrong):
    """Numbers are not turned into text behind the caller's back."""
    with pytest.raises(TypeError, match="strings"):
        strings.as_strings(wrong)


@pytest.mark.parametrize("few", [0, 1 << 16])
@given(values=BYTE_LISTS)
def test_any_bytes_survive_decode_and_encode(few, values):
    """Text that is not UTF-8 comes back byte for byte, from short lists and long."""
    with mock.patch.object(strings, "_FEW", few):
        check_round_trip(values)


def check_round_trip(values):
    arr = strings.encode(values)
    assert arr.to_pylist() == values
    decoded = strings.decode(arr)
    assert decoded == [v.decode("utf-8", "surrogateescape") for v in values]
    assert strings.encode(decoded).to_pylist() == values


@pytest.mark.parametrize(
    "values",
    [
        ["a", "é", ""],
        ("a", "é", ""),
        np.array(["a", "é", ""]),
        np.array(["a", "é", ""], object),
        np.array([b"a", "é".encode(), b""]),
        pa.array(["a", "é", None]),
        pa.chunked_array([["a"], ["é", ""]]),
        iter(["a", "é".encode(), ""]),
    ],
    ids=lambda v: type(v).__name__ + str(getattr(v, "dtype", "")),
)
def test_strings_are_taken_from_whatever_holds_them(values):
    """Lists, iterators, numpy and Arrow give the same column."""
    assert strings.encode(values).to_pylist() == [b"a", "é".encode(), b""]


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        (["a", 1], TypeError, "element 1 is int"),
        (["a", "b", None], TypeError, "element 2 is NoneType"),
        ([b"\xff", 0.5], TypeError, "element 1 is float"),
        ("abc", TypeError, "single str"),
        (b"abc", TypeError, "single bytes"),
        (["a", "\ud800"], ValueError, "element 1 cannot"),
        (np.array([["a"]]), ValueError, "dimension"),
    ],
)
@pytest.mark.parametrize("few", [0, 1 << 16])
def test_what_is_no_string_is_refused_and_its_place_named(few, values, error, message):
    """The message says which element of a million is wrong."""
    with mock.patch.object(strings, "_FEW", few), pytest.raises(error, match=message):
        strings.encode(values)


@given(BYTE_LISTS)
def test_fixed_strings_become_variable_ones_without_padding(values):
    """What numpy shows of an S array is what the strings are, trailing NULs gone."""
    fixed = np.array(values, dtype="S20")
    assert strings.from_fixed(fixed).to_pylist() == fixed.tolist()
    assert strings.from_fixed(fixed[::2]).to_pylist() == fixed[::2].tolist()


@given(BYTE_LISTS, BYTE_LISTS)
def test_isin_is_membership(values, wanted):
    """isin finds exactly the rows whose bytes are among those asked for."""
    assert strings.isin(strings.encode(values), wanted).tolist() == [v in wanted for v in values]


@given(BYTE_LISTS)
def test_unique_is_sorted_by_bytes_with_first_rows_inverse_and_counts(values):
    """All four answers of unique are those of a plain loop (ExeTera's inverse, Q13, is wrong)."""
    found = strings.unique(strings.encode([b"x", *values])[1:], True, True, True)
    expected = sorted(set(values))
    assert found.values.to_pylist() == expected
    assert found.index.tolist() == [values.index(v) for v in expected]
    assert found.inverse.tolist() == [expected.index(v) for v in values]
    assert found.counts.tolist() == [values.count(v) for v in expected]


def test_unique_gives_only_what_was_asked_for():
    """Answers not asked for are None and cost nothing."""
    found = strings.unique(strings.encode(["b", "a"]))
    assert (found.index, found.inverse, found.counts) == (None, None, None)


@given(st.lists(st.tuples(BYTES, BYTES), max_size=10))
def test_strings_compare_by_bytes(pairs):
    """differs and exceeds are Python's comparison of bytes."""
    a = strings.encode([x for x, _ in pairs])
    b = strings.encode([y for _, y in pairs])
    assert strings.differs(a, b).tolist() == [x != y for x, y in pairs]
    assert strings.exceeds(a, b).tolist() == [x > y for x, y in pairs]
    assert strings.lengths(a).tolist() == [len(x) for x, _ in pairs]
