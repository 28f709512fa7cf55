"""Helpers that scripts call: arguments, days and periods, kernels, and small ones."""

from __future__ import annotations

import codecs
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exetera_zarr import Session, UnsupportedError
from exetera_zarr.compat import date_time_helpers as dates
from exetera_zarr.compat import operations, utils, validation


@pytest.fixture
def table(place):
    with Session(row_block=2) as s:
        ds = s.open_dataset(place.url("x.zarr"), "w", "d", storage_options=place.storage_options)
        frame = ds.create_dataframe("t")
        frame.create_numeric("n", "int32").data.write([3, 0, 2])
        frame.create_numeric("b", "bool").data.write([True, False, True])
        frame.create_indexed_string("s").data.write(["a", "", "é"])
        yield frame


# -- arguments


def test_what_stands_for_a_field(table):
    """Fields, storage groups and arrays, as each helper takes them; never lists."""
    session, array = table.dataset.session, np.arange(3)
    number, text = table["n"], table["s"]
    group, text_group = table.h5group.group("n"), table.h5group.group("s")
    raw, parts = validation.raw_array_from_parameter, validation.array_from_parameter
    for source in (number, group):
        assert raw(session, "x", source).tolist() == [3, 0, 2]
        assert parts(session, "x", source).tolist() == [3, 0, 2]
        assert validation.field_from_parameter(session, "x", source).data[:].tolist() == [3, 0, 2]
    for source in (text, text_group):
        assert raw(session, "x", source) == ["a", "", "é"]
        offsets, data = parts(session, "x", source)
        assert (offsets.tolist(), data.tobytes().decode()) == ([0, 1, 1, 3], "aé")
    assert raw(session, "x", array) is parts(session, "x", array) is array
    assert validation.array_from_field_or_lower("x", array) is array
    assert validation.array_from_field_or_lower("x", text) == ["a", "", "é"]
    found = [validation.is_field_parameter(x) for x in (number, group, array, [1])]
    assert found == [True, True, False, False]
    assert validation.ensure_valid_field("x", number) is None
    assert validation.ensure_valid_field_like("x", array) is None
    for same in ((number, text), (group, text_group), (array, array)):
        assert validation.all_same_basic_type("x", same) is None
    for wrong in (
        lambda: raw(session, "the name", [1]),
        lambda: parts(session, "the name", "n"),
        lambda: validation.array_from_field_or_lower("the name", group),
        lambda: validation.field_from_parameter(session, "the name", array),
        lambda: validation.ensure_valid_field("the name", group),
        lambda: validation.ensure_valid_field_like("the name", [1]),
        lambda: validation.all_same_basic_type("the name", (number, array)),
        lambda: validation.validate_boolean_row_filter("the name", [True]),
    ):
        with pytest.raises(ValueError, match="the name"):
            wrong()


def test_filters_and_sizes(table):
    assert validation.validate_filter(table["n"]).tolist() == [True, False, True]
    assert validation.validate_filter(np.array([0, 2])).tolist() == [False, True]
    for wrong in (table["s"], np.array(["a"]), [True]):
        with pytest.raises(Exception, match=r"filter|dimension"):
            validation.validate_filter(wrong)
    rows, was_field = validation.validate_boolean_row_filter("x", table["b"])
    assert (rows.tolist(), was_field) == ([True, False, True], True)
    assert validation.validate_boolean_row_filter("x", np.array([1, 0]))[1] is False
    for wrong in (table["n"], table["s"]):
        with pytest.raises(ValueError, match="field of bool"):
            validation.validate_boolean_row_filter("x", wrong)
    assert validation.validate_chunk_size("x", 1) is None
    with pytest.raises(ValueError, match="at least 1"):
        validation.validate_chunk_size("x", 0)


def test_names_and_keys(table):
    names = table.keys()
    assert validation.validate_selected_keys("n", names) == ["n"]
    assert validation.validate_selected_keys(["n", "s"], names) == ["n", "s"]
    assert validation.validate_groupby_target("s", ["n"], names) == ["s"]
    assert validation.validate_require_key("x", "n", {"n": 1}) is None
    normal = validation.validate_and_normalize_categorical_key
    assert normal("x", {"a": np.int8(1)}) == {"a": 1}
    assert normal("x", {1: b"a"}) == {b"a": 1}
    keys = validation.validate_and_get_key_fields("left", table, ("n", table["s"]))
    assert keys == (table["n"], table["s"]) or keys[1] is table["s"]
    assert validation.validate_key_lengths("left", table, "n") == {3}
    assert validation.validate_field_lengths("left", {3}, table, ["n", "s"]) == {3}
    assert validation.validate_all_field_length_in_df(table) is None
    consistent = validation.validate_key_field_consistency
    assert consistent("l", "r", ("a", "b"), ("c", "d")) is None
    table.create_numeric("short", "int8").data.write([1])
    for wrong in (
        lambda: validation.validate_selected_keys([], names),
        lambda: validation.validate_selected_keys(("n",), names),
        lambda: validation.validate_selected_keys("nope", names),
        lambda: validation.validate_groupby_target(["s", "n"], ["n"], names),
        lambda: validation.validate_require_key("x", "nope", {"n": 1}),
        lambda: normal("x", {}),
        lambda: normal("x", {"a": "b"}),
        lambda: validation.validate_and_get_key_fields("left", table, ["n"]),
        lambda: validation.validate_and_get_key_fields("left", table, "nope"),
        lambda: validation.validate_key_lengths("left", table, ("n", "short")),
        lambda: validation.validate_field_lengths("left", {3}, table, ["short"]),
        lambda: validation.validate_all_field_length_in_df(table),
        lambda: consistent("l", "r", ("a",), "b"),
        lambda: consistent("l", "r", ("a",), ("b", "c")),
    ):
        with pytest.raises(ValueError):  # noqa: PT011
            wrong()


# -- kernels


def test_kernels(table):
    number, array = table["n"], np.array([3, 1, 3, 2, 1])
    assert operations.INVALID_INDEX == operations.INVALID_INDEX_64 == 2**62
    assert (operations.INVALID_INDEX_32, operations.DEFAULT_CHUNKSIZE) == (2**31 - 1, 2**20)
    assert datetime(3000, 1, 1) == operations.MAX_DATETIME  # noqa: DTZ001
    ordered = [operations.is_ordered(np.array(rows)) for rows in ([], [1], [1, 1, 2], [2, 1])]
    assert ordered == [True, True, True, False]
    assert operations.get_spans_for_field(np.array([1, 1, 2])).tolist() == [0, 2, 3]
    several = np.array([[1, 1, 1, 2], [5, 5, 6, 0]])
    for runs in (
        operations._get_spans_for_2_fields(*several),
        operations._get_spans_for_multi_fields(several),
        operations._get_spans_for_multi_fields(several.astype("S1")),
    ):
        assert (runs.tolist(), runs.dtype) == ([0, 2, 3, 4], np.int32)
    assert operations.check_if_sorted_for_multi_fields(several)
    assert not operations.check_if_sorted_for_multi_fields(several[::-1])
    assert operations.filter_duplicate_fields(array).tolist() == [True, True, False, True, False]
    assert operations.filter_duplicate_fields(table["s"]).tolist() == [True] * 3
    is_in = operations.foreign_key_is_in_primary_key
    assert is_in(number, array).tolist() == [True, False, True, True, False]
    assert is_in(np.array([b"a", b"b"]), np.array([b"abc", b"b"])).tolist() == [False, True]
    assert list(operations.chunks(5, 2)) == [(0, 2), (2, 4), (4, 5)]
    assert list(operations.data_iterator(number, 2)) == [3, 0, 2]
    assert list(operations.data_iterator(table["s"], 2)) == ["a", "", "é"]
    assert operations.count_back(np.array([1, 2, 2])) == 1
    last = operations.ordered_get_last_as_filter(np.array([1, 1, 2]))
    assert last.tolist() == [False, True, True]
    for name in ("int8", "int64", "uint64", "bool", "float32"):
        assert operations.str_to_dtype(name) == np.dtype(name)
    for wrong in ("text", 8):
        with pytest.raises(ValueError, match="type"):
            operations.str_to_dtype(wrong)


def test_rows_by_number_where_there_are_some():
    data, none = np.array([10, 20, 30], "int16"), operations.INVALID_INDEX
    found = operations.map_valid(data, np.array([2, none, 0]), invalid=none)
    assert (found.tolist(), found.dtype) == ([30, 0, 10], np.int16)
    result = np.array([7, 7, 7])
    assert operations.map_valid(data, np.array([2, -1, 0]), result) is result
    assert result.tolist() == [30, 7, 10]
    for wrong in (-1, 3):
        with pytest.raises(IndexError, match=str(wrong)):
            operations.map_valid(data, np.array([0, wrong]), invalid=none)


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("ordered_inner_map_left_unique", "merge"),
        ("generate_ordered_map_to_left_streamed", "merge"),
        ("apply_spans_index_of_max_filter", "Session"),
        ("_get_spans_for_2_fields_by_spans", "get_spans"),
        ("transform_float", "import_csv"),
        ("get_valid_value_extents", "numpy"),
        ("merge_indexed_journalled_entries_count", "journal"),
        ("ordered_generate_journalling_indices", "journal"),
        ("compare_rows_for_journalling", "journal"),
        ("safe_map_indexed_values", "merge"),
        ("next_map_subchunk", "merge"),
        ("next_chunk", "slices"),
        ("get_byte_map", "import_csv"),
        ("unique_for_indexed_string", "unique"),
        ("isin_for_indexed_string_field", "isin"),
        ("apply_indices_to_index_values", "apply_index"),
        ("streaming_sort_merge", "sort_values"),
    ],
)
def test_kernels_that_are_not_here(name, instead):
    """By attribute and by import: what takes their place."""
    with pytest.raises(UnsupportedError, match=instead):
        getattr(operations, name)
    with pytest.raises(UnsupportedError, match=instead):
        exec(f"from exetera_zarr.compat.operations import {name}")
    assert not hasattr(operations, "nonsense")


# -- days and periods


def test_periods():
    start = datetime(2020, 1, 1, tzinfo=UTC)
    weeks = dates.get_periods(start, start + timedelta(days=20), "week")
    assert weeks == [start + timedelta(days=d) for d in (0, 7, 14)]
    back = dates.get_periods(start, start - timedelta(days=9), "days", -4)
    assert back == [start - timedelta(days=d) for d in (0, 4, 8)]
    assert dates.get_periods(start, start, "day", -2) == [start]
    of_day = dates.generate_period_offset_map(weeks)
    assert of_day.tolist() == [0] * 7 + [1] * 7
    assert of_day.dtype == np.int32
    in_range = np.array([True, True, True, False])
    found = dates.get_period_offsets(of_day, np.array([0, 7, 13, 99]), in_range)
    assert found.tolist() == [0, 1, 1, -1]
    for day in (14, -1):
        with pytest.raises(IndexError, match=str(day)):
            dates.get_period_offsets(of_day, np.array([3, day]))
    later = start + timedelta(days=3)
    for wrong in (
        (start, later, "month"),
        (start, later, "day", 0),
        (start, later, "day", 1.0),
        (start, later, "day", -1),
        (later, start, "day", 1),
        (0, later, "day"),
    ):
        with pytest.raises(ValueError):  # noqa: PT011
            dates.get_periods(*wrong)
    with pytest.raises(ValueError, match="ascending"):
        dates.generate_period_offset_map(back)


@given(
    st.lists(st.floats(-1e7, 1e9), min_size=1, max_size=20),
    st.none() | st.floats(-1e7, 1e9),
    st.none() | st.floats(-1e7, 1e9),
)
def test_days(seconds, start, end):
    """Whole days from a start, and which rows lie between start and end."""
    field = np.array(seconds)
    days, in_range = dates.get_days(field, start_date=start, end_date=end)
    base = min(seconds) if start is None else start
    assert days.tolist() == [int((s - base) // 86400) for s in seconds]
    if start is None and end is None:
        assert in_range is None
        return
    low, high = (-np.inf if start is None else start), (np.inf if end is None else end)
    assert in_range.tolist() == [low <= s < high for s in seconds]


def test_days_of_some_rows():
    field = np.array([3 * 86400 + 5.0, 5 * 86400.0, 4 * 86400.0])
    for mask in (np.array([False, True, True]), np.array([0, 1, 1], "int8")):
        days, in_range = dates.get_days(field, mask)
        assert (days.tolist(), in_range.tolist()) == ([-1, 1, 0], [False, True, True])
    assert dates.get_days(np.empty(0))[0].tolist() == []
    for wrong in (
        ([1.0],),
        (field.astype("int64"),),
        (field, [True] * 3),
        (field, np.ones(3, "int32")),
        (field, np.ones(2, bool)),
        (field, np.zeros(3, bool)),
        (field, None, datetime(2020, 1, 1, tzinfo=UTC)),
    ):
        with pytest.raises(ValueError):  # noqa: PT011
            dates.get_days(*wrong)


# -- small ones


def test_files(tmp_path):
    path = tmp_path / "x.csv"
    for start, name in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF32_BE, "utf-32"),
        (b"", "utf-8"),
    ):
        path.write_bytes(start + b"a,b\n")
        assert utils.guess_encoding(path) == name
    assert utils.validate_file_exists(path) is None
    with pytest.raises(FileExistsError):
        utils.validate_file_exists(tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        utils.validate_file_exists(tmp_path)


def test_text_and_time():
    assert utils.find_longest_sequence_of("aabaaab", "a") == 3
    assert utils.find_longest_sequence_of("", "a") == 0
    assert utils.timestamp_to_day("2020-05-06 07:08:09") == "2020-05-06"
    assert utils.datetime_to_seconds("2020-05-06 07:08:09.5+00:00") == "2020-05-06 07:08:09"
    at = datetime(2020, 5, 6, 7, 8, 9, tzinfo=UTC)
    assert utils.string_to_datetime("2020-05-06 07:08:09.500+00:00") == at.replace(
        microsecond=500000
    )
    assert utils.string_to_datetime("2020-05-06 08:08:09+01:00") == at
    assert utils.string_to_datetime("2020-05-06 07:08:09") == at.replace(tzinfo=None)
    assert utils.string_to_datetime("2020-05-06").day == 6
    with pytest.raises(ValueError, match="not a date"):
        utils.string_to_datetime("6 May")


def test_flags_and_counts():
    flags = np.array([0, 1, 2, 3, 6])
    assert utils.count_flag_empty(flags) == 1
    assert (utils.count_flag_set(flags, 6), utils.count_flag_not_set(flags, 6)) == (3, 2)
    assert utils.build_histogram([1, 1, 2, 0]) == [(1, 2), (2, 1), (0, 1)]
    assert utils.build_histogram([1, 1, 2, 0], [0, 1, 0, 0], str) == [("1", 1), ("2", 1), ("0", 1)]
    marks = [4, 4, 4, 4]
    utils.filter_field(["1", "", "x", "7"], marks, 1, 2, str.isdigit, int, lambda v: v < 5)
    assert marks == [4, 5, 5, 6]
    assert utils.map_between_categories({"a": 0, "b": 1}, {"b": 5, "a": 7}) == {0: 7, 1: 5}
    with pytest.raises(KeyError):
        utils.map_between_categories({"a": 0}, {})
    assert utils.check_input_lengths(("a", "b"), ([1], [2])) is None
    with pytest.raises(ValueError, match="'b': 2"):
        utils.check_input_lengths(("a", "b"), ([1], [2, 3]))


def test_constants():
    """As scripts compare with them and loop over them."""
    assert (utils.SECONDS_PER_DAY, utils.INT64_INDEX_LENGTH) == (86_400, 2**31 - 1)
    assert (utils.USE_NUMBA, utils.numba_bool) == (False, np.bool_)
    integers = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32)]
    assert sorted(utils.PERMITTED_NUMERIC_TYPES) == sorted(
        [*integers, "int64", "float32", "float64", "bool"]
    )
    assert all(operations.str_to_dtype(name).name == name for name in utils.PERMITTED_NUMERIC_TYPES)


def test_limits_of_types():
    """Those of floats are the integers' of that width, as importing relies on."""
    assert utils.get_min_max("float32") == (-(2**31), 2**31 - 1)
    assert utils.get_min_max("float64") == utils.get_min_max("int64") == (-(2**63), 2**63 - 1)
    assert utils.get_min_max("uint8") == (0, 255)
    for wrong in ("bool", "S3"):
        with pytest.raises(KeyError):
            utils.get_min_max(wrong)


def test_the_rest(capsys):
    """A timer that prints, a decorator that leaves functions alone, cells for an importer."""
    with utils.Timer("sorting"):
        print("inside")
    with utils.Timer("sorting", new_line=True, end_msg="done in"):
        pass
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "sorting: inside"
    assert said[1].startswith("completed in ")
    assert said[1].endswith(" seconds")
    assert said[2] == "sorting"
    assert said[3].startswith("done in ")

    @utils.exetera_njit
    def double(x):
        return 2 * x

    @utils.exetera_njit(parallel=True)
    def half(x):
        return x / 2

    assert (double(2), half(2)) == (4, 1)
    ends, values, offsets, rows = utils.one_dim_data_to_indexed_for_test(["a", "bcd", ""], 5)
    assert (ends.tolist(), offsets.tolist(), rows) == ([[0, 1, 4, 4]], [0, 15], 3)
    assert values.tobytes() == b"abcd" + bytes(11)
