"""Looks for every public name of ExeTera 0.6, with its parameters in order, and prints what is not.

``python tests/compat/check_api.py`` prints nothing when all is there. Parameters that we
have beyond ExeTera's come after them.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterator
from typing import Any

import exetera_zarr.compat  # noqa: F401 - makes ExeTera's modules lead here

# By module: a name, or what is called with its parameters; `Class.member` is that of a class.
NAMES = {
    "exetera": "__version__ core io processing",
    "exetera.bin.exetera": "main()",
    "exetera.core.session": """
        Session(chunksize, timestamp) Session.__enter__() Session.__exit__ Session.timestamp
        Session.open_dataset(dataset_path, mode, name) Session.close_dataset(name)
        Session.list_datasets() Session.get_dataset(name) Session.close()
        Session.set_timestamp(timestamp) Session.temp_filename() Session.get(field)
        Session.create_like(field, dest_group, dest_name, timestamp, chunksize)
        Session.create_indexed_string(group, name, timestamp, chunksize)
        Session.create_fixed_string(group, name, length, timestamp, chunksize)
        Session.create_categorical(group, name, nformat, key, timestamp, chunksize)
        Session.create_numeric(group, name, nformat, timestamp, chunksize)
        Session.create_timestamp(group, name, timestamp, chunksize)
        Session.get_or_create_group(group, name) Session.chunks(length, chunksize)
        Session.dataset_sort_index(sort_indices, index)
        Session.sort_on(src_group, dest_group, keys, timestamp, write_mode, verbose)
        Session.apply_filter(filter_to_apply, src, dest)
        Session.apply_index(index_to_apply, src, dest)
        Session.get_shared_index(keys) Session.distinct(field, fields, filter)
        Session.get_spans(field, dest)
        Session.apply_spans_index_of_min(spans, target, dest)
        Session.apply_spans_index_of_max(spans, target, dest)
        Session.apply_spans_index_of_first(spans, dest)
        Session.apply_spans_index_of_last(spans, dest)
        Session.apply_spans_count(spans, dest) Session.apply_spans_min(spans, target, dest)
        Session.apply_spans_max(spans, target, dest) Session.apply_spans_first(spans, target, dest)
        Session.apply_spans_last(spans, target, dest)
        Session.apply_spans_concat(spans, target, dest, src_chunksize, dest_chunksize,
            chunksize_mult)
        Session.aggregate_count(index, dest) Session.aggregate_first(index, target, dest)
        Session.aggregate_last(index, target, dest) Session.aggregate_min(index, target, dest)
        Session.aggregate_max(index, target, dest)
        Session.aggregate_custom(predicate, index, target, dest)
        Session.join(destination_pkey, fkey_indices, values_to_join, writer, fkey_index_spans)
        Session.get_index(target, foreign_key, destination)
        Session.merge_left(left_on, right_on, right_fields, right_writers)
        Session.merge_right(left_on, right_on, left_fields, left_writers)
        Session.merge_inner(left_on, right_on, left_fields, left_writers, right_fields,
            right_writers)
        Session.ordered_merge_left(left_on, right_on, right_field_sources, left_field_sinks,
            left_to_right_map, left_unique, right_unique)
        Session.ordered_merge_right(left_on, right_on, left_field_sources, right_field_sinks,
            right_to_left_map, left_unique, right_unique)
        Session.ordered_merge_inner(left_on, right_on, left_field_sources, left_field_sinks,
            right_field_sources, right_field_sinks, left_unique, right_unique)""",
    "exetera.core.dataset": """
        HDF5Dataset Dataset Dataset.session Dataset.create_group(name)
        Dataset.create_dataframe(name, dataframe) Dataset.require_dataframe(name) Dataset.close()
        Dataset.copy(dataframe, name) Dataset.__contains__(name)
        Dataset.contains_dataframe(dataframe) Dataset.__getitem__(name)
        Dataset.get_dataframe(name) Dataset.__setitem__(name, dataframe) Dataset.__delitem__(name)
        Dataset.delete_dataframe(dataframe) Dataset.drop(name) Dataset.keys() Dataset.values()
        Dataset.items() Dataset.__iter__() Dataset.__len__() copy(dataframe, dataset, name)
        move(dataframe, dataset, name)""",
    "exetera.core.dataframe": """
        HDF5DataFrame DataFrame DataFrame.name DataFrame.columns DataFrame.dataset DataFrame.h5group
        DataFrame.add(field) DataFrame.drop(name) DataFrame.create_group(name)
        DataFrame.create_indexed_string(name, timestamp, chunksize)
        DataFrame.create_fixed_string(name, length, timestamp, chunksize)
        DataFrame.create_numeric(name, nformat, timestamp, chunksize)
        DataFrame.create_categorical(name, nformat, key, timestamp, chunksize)
        DataFrame.create_timestamp(name, timestamp, chunksize) DataFrame.__contains__(name)
        DataFrame.contains_field(field) DataFrame.__getitem__(name) DataFrame.get_field(name)
        DataFrame.__setitem__(name, field) DataFrame.__delitem__(name)
        DataFrame.delete_field(field) DataFrame.keys() DataFrame.values() DataFrame.items()
        DataFrame.__iter__() DataFrame.__len__() DataFrame.rename(field, field_to)
        DataFrame.apply_filter(filter_to_apply, ddf) DataFrame.apply_index(index_to_apply, ddf)
        DataFrame.sort_values(by, ddf, axis, ascending, kind)
        DataFrame.to_csv(filepath, row_filter, column_filter, chunk_row_size)
        DataFrame.to_pandas(row_filter, col_filter)
        DataFrame.drop_duplicates(by, ddf, hint_keys_is_sorted)
        DataFrame.groupby(by, hint_keys_is_sorted) DataFrame.describe(include, exclude, output)
        HDF5DataFrameGroupBy HDF5DataFrameGroupBy.count(ddf, write_keys)
        HDF5DataFrameGroupBy.distinct(ddf, write_keys)
        HDF5DataFrameGroupBy.max(target, ddf, write_keys)
        HDF5DataFrameGroupBy.min(target, ddf, write_keys)
        HDF5DataFrameGroupBy.first(target, ddf, write_keys)
        HDF5DataFrameGroupBy.last(target, ddf, write_keys)
        copy(field, ddf, name) move(field, ddf, name)
        merge(left, right, dest, left_on, right_on, left_fields, right_fields, left_suffix,
            right_suffix, how, hint_left_keys_ordered, hint_left_keys_unique,
            hint_right_keys_ordered, hint_right_keys_unique, chunk_size)""",
    "exetera.core.abstract_types": "Field Dataset DataFrame DataFrameGroupBy AbstractSession",
    "exetera.core.fields": """
        Field HDF5Field MemoryField IndexedStringField FixedStringField NumericField
        CategoricalField TimestampField IndexedStringMemField FixedStringMemField NumericMemField
        CategoricalMemField TimestampMemField ReadOnlyFieldArray WriteableFieldArray
        MemoryFieldArray ReadOnlyIndexedFieldArray WriteableIndexedFieldArray FieldDataOps
        Field.valid Field.name Field.dataframe Field.timestamp Field.chunksize Field.indexed
        Field.data Field.writeable() Field.create_like(group, name, timestamp) Field.is_sorted()
        Field.__len__() Field.get_spans() Field.apply_filter(filter_to_apply, target, in_place)
        Field.apply_index(index_to_apply, target, in_place)
        Field.apply_spans_first(spans_to_apply, target, in_place)
        Field.apply_spans_last(spans_to_apply, target, in_place)
        Field.apply_spans_min(spans_to_apply, target, in_place)
        Field.apply_spans_max(spans_to_apply, target, in_place) Field.isin(test_elements)
        Field.unique(return_index, return_inverse, return_counts)
        IndexedStringField.indices IndexedStringField.values IndexedStringMemField.indices
        IndexedStringMemField.values CategoricalField.keys CategoricalField.nformat
        CategoricalField.remap(key_map, new_key) CategoricalMemField.keys
        CategoricalMemField.remap(key_map, new_key) NumericField.astype(dtype, casting)
        NumericField.logical_not() NumericMemField.logical_not()
        NumericField.__add__ NumericField.__radd__ NumericField.__sub__ NumericField.__rsub__
        NumericField.__mul__ NumericField.__rmul__ NumericField.__truediv__
        NumericField.__rtruediv__ NumericField.__floordiv__ NumericField.__rfloordiv__
        NumericField.__mod__ NumericField.__rmod__ NumericField.__divmod__
        NumericField.__rdivmod__ NumericField.__and__ NumericField.__rand__ NumericField.__or__
        NumericField.__ror__ NumericField.__xor__ NumericField.__rxor__ NumericField.__invert__
        NumericField.__lt__ NumericField.__le__ NumericField.__eq__ NumericField.__ne__
        NumericField.__gt__ NumericField.__ge__ CategoricalField.__add__ CategoricalField.__rsub__
        CategoricalField.__lt__ TimestampField.__add__ TimestampField.__rsub__
        TimestampField.__mod__ TimestampField.__ge__
        WriteableFieldArray.write(part) WriteableFieldArray.write_part(part)
        WriteableFieldArray.complete() WriteableFieldArray.clear() WriteableFieldArray.dtype
        WriteableFieldArray.__getitem__ WriteableFieldArray.__setitem__
        WriteableFieldArray.__len__() MemoryFieldArray.write_part(part, move_mem)
        WriteableIndexedFieldArray.write(part) WriteableIndexedFieldArray.write_part(part)
        WriteableIndexedFieldArray.complete() WriteableIndexedFieldArray.clear()
        WriteableIndexedFieldArray.dtype WriteableIndexedFieldArray.__getitem__
        base_field_contructor(session, group, name, timestamp, chunksize)
        indexed_string_field_constructor(session, group, name, timestamp, chunksize)
        fixed_string_field_constructor(session, group, name, length, timestamp, chunksize)
        numeric_field_constructor(session, group, name, nformat, timestamp, chunksize)
        categorical_field_constructor(session, group, name, nformat, key, timestamp, chunksize)
        timestamp_field_constructor(session, group, name, timestamp, chunksize)
        isin(field, test_elements) as_field(data, key) argsort(field, dtype) dtype_to_str(dtype)""",
    "exetera.core.journal": """
        journal_table(session, schema, old_src, new_src, src_pk, result)
        journal_test_harness(session, schema, old_file, new_file, dest_file)""",
    "exetera.core.operations": """
        DEFAULT_CHUNKSIZE INVALID_INDEX INVALID_INDEX_64 INVALID_INDEX_32 MAX_DATETIME
        is_ordered(field) filter_duplicate_fields(field)
        foreign_key_is_in_primary_key(primary_key, foreign_key) get_spans_for_field(ndarray)
        map_valid(data_field, map_field, result, invalid) chunks(length, chunksize)
        data_iterator(data_field, chunksize) str_to_dtype(str_dtype)""",
    "exetera.core.validation": """
        raw_array_from_parameter(session, name, field) array_from_parameter(session, name, field)
        array_from_field_or_lower(name, field) field_from_parameter(session, name, field)
        is_field_parameter(field) ensure_valid_field(name, field)
        ensure_valid_field_like(name, field) all_same_basic_type(name, fields)
        validate_filter(filter_to_apply) validate_selected_keys(by, all)
        validate_groupby_target(target, by, all) validate_boolean_row_filter(name, field)
        validate_chunk_size(chunk_size_name, chunk_size)
        validate_and_normalize_categorical_key(param_name, key)
        validate_all_field_length_in_df(df) validate_and_get_key_fields(side, df, key)
        validate_field_lengths(side, lens, df, names)
        validate_key_field_consistency(lname, rname, lkey, rkey)
        validate_key_lengths(side, df, key) validate_require_key(context, key, dictionary)""",
    "exetera.core.utils": """
        SECONDS_PER_DAY PERMITTED_NUMERIC_TYPES INT64_INDEX_LENGTH USE_NUMBA exetera_njit numba_bool
        Timer(start_msg, new_line, end_msg) validate_file_exists(file_name)
        find_longest_sequence_of(string, char) count_flag_empty(flags)
        count_flag_not_set(flags, flag_to_test) count_flag_set(flags, flag_to_test)
        timestamp_to_day(field) datetime_to_seconds(dt) string_to_datetime(field)
        build_histogram(dataset, filtered_records, tx)
        filter_field(fields, filter_list, f_missing, f_bad, is_type_fn, type_fn, valid_fn)
        map_between_categories(first_map, second_map) check_input_lengths(names, fields)
        get_min_max(value_type) guess_encoding(filename)
        one_dim_data_to_indexed_for_test(data, field_size)""",
    "exetera.io.importer": """
        import_with_schema(session, dataset_filename, dataset_alias, schema_file, files, overwrite,
            include, exclude, timestamp, chunk_row_size)""",
    "exetera.io.load_schema": """
        load_schema(source, verbosity) load_schema_file(source, verbosity)
        schema_file_to_dict(schema)""",
    "exetera.io.parsers": """
        read_csv(csv_file, ddf, schema_dictionary, schema_file, schema_key, include, exclude,
            chunk_row_size, timestamp)
        read_csv_with_schema_dict(csv_file, ddf, schema_dictionary, timestamp, include, exclude,
            chunk_row_size, stop_after_rows)""",
    "exetera.io.field_importers": """
        Categorical(categories, value_type, allow_freetext)
        Numeric(dtype, invalid_value, validation_mode, create_flag_field, flag_field_name)
        String(fixed_length) DateTime(create_day_field, create_flag_field)
        Date(create_day_field, create_flag_field) CategoricalImporter LeakyCategoricalImporter
        NumericImporter IndexedStringImporter FixedStringImporter DateTimeImporter DateImporter
        TimestampImporter parse_timestamp_bytes(field_name, value) INDEXED_STRING_FIELD_SIZE
        FIELD_MAPPING_TO_IMPORTER ImporterDefinition""",
    "exetera.processing.date_time_helpers": """
        get_periods(start_date, end_date, period, delta)
        get_days(date_field, date_filter, start_date, end_date) generate_period_offset_map(periods)
        get_period_offsets(periods_by_day, days, in_range)""",
    "exetera.processing.numpy_buffer": """
        NumpyBuffer(dtype, block_pow) NumpyBuffer.append(value) NumpyBuffer.finalise()
        NumpyBuffer2(dtype, block_pow) NumpyBuffer2.append(value) NumpyBuffer2.finalise()
        ListBuffer(block_pow) ListBuffer.append(value) ListBuffer.finalise()""",
}


def entries(text: str) -> Iterator[tuple[str, list[str] | None]]:
    """Each name in a text of the table, with its parameters if it has them there."""
    while text := text.strip():
        end = next((n for n, c in enumerate(text) if c in " \n("), len(text))
        name, rest = text[:end], text[end:]
        if rest.startswith("("):
            inside, _, text = rest[1:].partition(")")
            yield name, [one.strip() for one in inside.split(",") if one.strip()]
        else:
            text = rest
            yield name, None


def missing() -> Iterator[str]:
    """What is not there, or takes its parameters in another order."""
    for module, text in NAMES.items():
        for name, parameters in entries(text):
            if fault := _fault(module, name, parameters):
                yield f"{module}.{name}: {fault}"


def _fault(module: str, name: str, parameters: list[str] | None) -> str | None:
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        return str(error)
    if parameters is None:
        return None
    takes = list(inspect.signature(found).parameters)
    takes = [p for p in takes if p != "self"][: len(parameters)]
    return None if takes == parameters else f"takes {takes}, not {parameters}"


if __name__ == "__main__":
    faults = list(missing())
    print("\n".join(faults), end="\n" if faults else "")
    sys.exit(bool(faults))
