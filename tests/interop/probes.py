"""Generated probes of ExeTera's API, run by ExeTera itself or by exetera_zarr under its names.

`python probes.py ours|real BACKEND` writes a JSON line for each probe: its name and its outcome.
Each probe is short code over a table `t` that has fields of every type, in a session `s`.
"""

from __future__ import annotations

import io
import itertools
import json
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

warnings.simplefilter("ignore")
if sys.argv[1:2] == ["ours"]:
    import exetera_zarr.compat  # noqa: F401

import numpy as np  # noqa: E402

ROWS = 7
FOLDER = Path(tempfile.mkdtemp())
CSV = FOLDER / "probe.csv"
NUMBERS = ("int8", "uint8", "int32", "int64", "float32", "float64", "bool")
SCALARS = ("1", "-2", "2.5", "300", "True", "np.int64(3)")


def fill(t):
    """A field of every type, seven rows each."""
    for at, dtype in enumerate(NUMBERS):
        values = np.array([3, 1, 2, 3, 0, 1, 5]) if dtype != "bool" else np.arange(ROWS) % 2 == 0
        t.create_numeric(dtype, dtype).data.write(np.roll(values, at).astype(dtype))
    t.create_numeric("sorted", "int32").data.write(np.array([1, 1, 2, 2, 2, 5, 9], "int32"))
    t.create_numeric("pk", "int32").data.write(np.arange(ROWS, dtype="int32"))
    cat = t.create_categorical("cat", "int8", {"no": 0, "yes": 1, "maybe": 2})
    cat.data.write(np.array([0, 1, 2, 1, 1, 0, 2], "int8"))
    t.create_timestamp("time").data.write(np.arange(ROWS) * 86400.0 + 0.5)
    t.create_fixed_string("fixed", 3).data.write([b"a", b"bb", b"", b"ccc", b"a", b"bb", b"z"])
    t.create_indexed_string("text").data.write(["a", "bb", "", "a,b", "é", "bb", 'q"'])


# -- the probes


def operators():
    """Every operator over every pair of fields, and with scalars and arrays on both sides."""
    arithmetic = ("+", "-", "*", "/", "//", "%")
    compare = ("<", "<=", "==", "!=", ">", ">=")
    bits = ("&", "|", "^")
    names = (*NUMBERS, "time", "cat")
    for op, left in itertools.product((*arithmetic, *compare), names):
        if left == "cat" and op in arithmetic:
            continue  # of master alone, not of the released 0.6
        for other in (*SCALARS, "np.arange(7)"):
            yield f"t['{left}'] {op} {other}"
        for other in ("1", "2.5"):
            yield f"{other} {op} t['{left}']"
        for other in ("int32", "float64"):
            yield f"t['{left}'] {op} t['{other}']"
    whole = [name for name in NUMBERS if "float" not in name]
    for op, left, right in itertools.product(bits, whole, ("t['int32']", "t['bool']", "1", "True")):
        yield f"t['{left}'] {op} {right}"
    for name in NUMBERS:
        yield f"divmod(t['{name}'], 2)"
        yield f"t['{name}'].logical_not()"
        yield f"~t['{name}']"
    for name in ("text", "fixed"):
        yield f"t['{name}'] + 1"


def questions():
    """What single fields answer."""
    names = (*NUMBERS, "sorted", "cat", "time", "fixed", "text")
    for name in names:
        f = f"t['{name}']"
        for ask in ("data[:]", "data[2]", "data[1:4]", "data.dtype", "is_sorted()", "indexed"):
            if (name, ask) != ("text", "data[:]"):
                yield f"{f}.{ask}"
        yield f"len({f}), len({f}.data), bool({f}), {f}.name, {f}.valid"
        yield f"{f}.data[99]"
        yield f"{f}.unique()"
        if name != "text":
            yield f"{f}.unique(return_counts=True)"
            yield f"{f}.unique(return_index=True, return_inverse=True)"
            yield f"{f}.data[np.array([True, False] * 3 + [True])]"
            yield f"{f}.data[[1, 3]]"
            yield f"s.get({f}).data[:]"
        for elements in ("[1, 3]", "[]", "{1}", "np.array([0, 1])", "['a']", "{'bb', 'a'}", "None"):
            texts = "'" in elements
            if texts == (name == "text") or elements in ("[]", "None"):
                yield f"{f}.isin({elements})"
        if name != "bool":
            yield f"list(map(int, {f}.get_spans()))"
        yield f"{f}.create_like()"
        yield f"{f}.create_like(None, 'x')"
    yield "t['cat'].keys"
    yield "t['cat'].nformat"
    yield "t['cat'].remap([(0, 1), (1, 2), (2, 0)], {'x': 1, 'y': 2, 'z': 0})"
    yield "t['cat'].remap([(0, 1)], {'x': 1})"
    yield "t['text'].indices[:], t['text'].values[:]"


def rows():
    """Filters, indices and spans: to memory, to a target, in place; of wrong forms."""
    masks = ("np.arange(7) > 3", "np.array([2, 0, 1, 0, 0, 0, 1])", "t['bool']", "np.ones(7, bool)")
    indices = ("np.array([6, 0, 0, 3])", "np.array([], dtype='int64')", "np.array([1])", "t['pk']")
    spans = ("np.array([0, 2, 3, 7])", "np.array([0, 7])", "np.array([0, 1, 2, 3, 4, 5, 6, 7])")
    for name in (*NUMBERS, "cat", "time", "fixed", "text"):
        f = f"t['{name}']"
        for call in [f"apply_filter({m}" for m in masks] + [f"apply_index({i}" for i in indices]:
            yield f"{f}.{call})"
            yield f"{f}.{call}, in_place=True)"
            yield f"{f}.{call}, target={f}.create_like(t, 'new'))"
        yield f"{f}.apply_filter(np.ones(7, bool), target={f}.create_like(), in_place=True)"
        yield f"{f}.apply_filter([True] * 7)"
        yield f"{f}.apply_index([0])"
        for what, where in itertools.product(("first", "last", "min", "max"), spans):
            if (name, what) != ("text", "min"):
                yield f"{f}.apply_spans_{what}({where})"
    for call in ("apply_filter(np.arange(7) > 3", "apply_index(np.array([6, 0, 0]))"[:-1]):
        yield f"t.{call})"
        yield f"t.{call}, ddf=ds.create_dataframe('u'))"
        yield f"t.{call}, ddf=3)"
    yield "t.apply_filter([True] * 7)"


def writing():
    """Values of lists and arrays into fields, and assignment."""
    values = ("[1, 2]", "[300, -129]", "[1.7, -1.7]", "[True, False]", "np.array([1, 2])", "[]")
    for name, given in itertools.product((*NUMBERS, "cat", "time"), values):
        if name == "uint8" and given == "[1.7, -1.7]":
            continue  # undefined in C
        yield f"(t['{name}'].data.write({given}), t['{name}'].data[:])[1]"
    for name, given in itertools.product((*NUMBERS, "time"), ("1", "2.5", "True")):
        yield f"(t['{name}'].data.__setitem__(2, {given}), t['{name}'].data[:])[1]"
        yield f"(t['{name}'].data.__setitem__(slice(0, 3), {given}), t['{name}'].data[:])[1]"
    for given in ("['x']", "[b'x']", "[b'abcd']", "['yyyy', 'z']", "np.array([b'toolong'])", "[]"):
        yield f"(t['fixed'].data.write({given}), t['fixed'].data[:])[1]"
    for given in ("['x']", "[]", "['é', '']", "[1]", "['a', None]"):
        yield f"(t['text'].data.write({given}), t['text'].data[:])[1]"
    for name in (*NUMBERS, "cat", "time", "fixed", "text"):
        yield f"(t['{name}'].data.clear(), len(t['{name}']))[1]"
        f = f"t['{name}']"
        yield f"({f}.data.clear(), {f}.data.write({f}), len({f}))[2]"
    yield "t['text'].data.__setitem__(0, 'x')"


def tables():
    """Datasets and tables as collections; renames, copies."""
    for key in ("'nope'", "1", "None", "'int32'"):
        for call in ("t[{}]", "{} in t", "t.drop({})", "t.get_field({})", "ds[{}]", "{} in ds"):
            yield call.format(key)
        yield f"del_({key})"
    for call in (
        "list(t.keys())[:3]", "len(t)", "list(ds.keys())", "len(ds)", "list(iter(ds))",
        "[f.name for f in t.values()][:2]", "t.name", "ds.name", "bool(ds.create_dataframe('e'))",
        "s.list_datasets()", "s.get_dataset('d') is ds", "s.get_dataset('nope')",
        "s.close_dataset('nope')", "ds.create_dataframe('t')", "ds.create_dataframe('x', 3)",
        "ds.require_dataframe('t') is t", "list(ds.create_dataframe('x', t).keys())[:2]",
        "ds.contains_dataframe(t)", "ds.contains_dataframe(3)", "(ds.drop('t'), list(ds.keys()))",
        "ds.drop('nope')", "ds.delete_dataframe(t)", "t.contains_field(3)",
        "(ds.__setitem__('u', t), list(ds.keys()))[1]", "ds.__setitem__('u', 3)",
        "ds.__setitem__(3, t)", "(t.__setitem__('n', t['int8']), t['n'].data[:])[1]",
        "t.__setitem__('int8', t['pk'])", "t.__setitem__('n', 3)", "t.__setitem__(3, t['int8'])",
        "(t.rename('int8', 'x'), list(t.keys())[-1] == 'x' or 'x' in t)[1]",
        "t.rename('nope', 'x')", "t.rename('int8', 'pk')", "t.rename('int8')", "t.rename(3, 4)",
        "(t.rename({'int8': 'pk', 'pk': 'int8'}), t['pk'].data[:])[1]", "t.rename({}, 'x')",
        "t.create_numeric('int8', 'int8')", "t.create_numeric('x', 'nonsense')",
        "t.create_categorical('x', 'int8', {})", "t.create_categorical('x', 'int8', {'a': 'b'})",
        "t.create_categorical('x', 'int8', {'a': 0.0, 'b': 1.0}).keys",
        "s.set_timestamp(3)", "type(s.timestamp)", "list(s.chunks(10, 4))", "s.get('x')",
        "s.get(t)",
        "s.create_numeric(ds, 'x', 'int8')", "s.create_numeric(t, 'x', 'int8')",
        "s.create_like(3, t, 'x')", "s.create_like(t['text'], t, 'x')",
        "s.get_or_create_group(ds, 'new')", "s.open_dataset('memory://zz', 'r', 'd')",
    ):  # fmt: skip
        yield call


def columns():
    """Sorts, groups, descriptions and exports of tables."""
    for by in (
        "'int32'",
        "['int32', 'pk']",
        "['cat', 'int8']",
        "'fixed'",
        "'time'",
        "[]",
        "'nope'",
    ):
        yield f"t.sort_values(by={by})"
        yield f"t.sort_values(by={by}, ddf=ds.create_dataframe('u'))"
    for extra in ("axis=1", "ascending=False", "kind='quicksort'", "ddf=3"):
        yield f"t.sort_values(by='pk', {extra})"
    for by in ("'int32'", "'sorted'", "['sorted', 'int32']", "['cat']", "'fixed'", "'nope'", "[]"):
        yield f"t.groupby(by={by}).count(ddf=ds.create_dataframe('u'))"
        yield f"t.groupby(by={by}).distinct(ddf=ds.create_dataframe('u'))"
        for what, target in itertools.product(
            ("max", "min", "first", "last"), ("'pk'", "['pk', 'float64']", "'time'", "'nope'")
        ):
            yield f"t.groupby(by={by}).{what}(target={target}, ddf=ds.create_dataframe('u'))"
        yield f"t.groupby(by={by}).max(target='pk', ddf=ds.create_dataframe('u'), write_keys=False)"
        yield f"t.drop_duplicates(by={by}, ddf=ds.create_dataframe('u'))"
    for given in (
        "", "include='pk'", "include=['pk', 'int32']", "include=['nope']", "include='nope'",
        "include=np.int32", "include=[np.int32, np.int64]", "include=[np.int64, np.int32]",
        "include=np.float32", "include=['cat', 'text', 'fixed', 'pk']", "exclude='bool'",
        "exclude=['bool', 'pk']", "exclude=np.bool_", "include='pk', exclude='pk'",
        "include=['pk'], exclude=['pk']", "include=np.int32, exclude=np.int8", "include=3",
        "include=['pk', 'time'], exclude=np.float64",
    ):  # fmt: skip
        if "bool" in given or given.startswith("include"):
            yield f"t.describe({given}, output='none')"
    for given in (
        "", "row_filter=np.arange(7) > 4", "column_filter=['int8', 'text']", "column_filter='cat'",
        "row_filter=t['bool'], column_filter=['int8', 'float64']", "column_filter='nope'",
        "row_filter=[True] * 7", "row_filter=t['pk']", "chunk_row_size=0", "chunk_row_size=2",
    ):  # fmt: skip
        if "column_filter" in given:
            yield f"csv_({given})"
    for given in (
        "",
        "col_filter=['int8', 'text']",
        "row_filter=np.arange(7) > 4",
        "col_filter='cat'",
    ):
        if "col_filter" in given:
            yield f"t.to_pandas({given}).to_dict('list')"


def sessions():
    """Functions of the session on fields and on arrays."""
    fields = ("t['int32']", "t['sorted']", "t['float64']", "t['cat']", "t['time']", "t['fixed']")
    arrays = tuple(f"{f}.data[:]" for f in fields)
    for one in (*fields, *arrays):
        yield f"s.dataset_sort_index(({one},))"
        yield f"s.dataset_sort_index([{one}], np.arange(7, dtype='uint32'))"
        yield f"s.get_spans({one})"
        yield f"s.apply_filter(np.arange(7) > 3, {one})"
        yield f"s.apply_index(np.array([6, 0, 0]), {one})"
        yield f"s.get_index({one}, {one})"
        if "fixed" not in one:
            yield f"s.get_shared_index(({one}, {one}))"
        yield f"s.aggregate_count({one})"
        for what in ("first", "last", "min", "max"):
            if "fixed" not in one:
                yield f"s.aggregate_{what}(t['sorted'], {one})"
                yield f"s.apply_spans_{what}(np.array([0, 2, 3, 7]), {one})"
        if "fixed" not in one:
            for what in ("index_of_min", "index_of_max"):
                yield f"s.apply_spans_{what}(np.array([0, 2, 3, 7]), {one})"
    for one in arrays:
        yield f"s.distinct({one})"
    for call in (
        "apply_spans_index_of_first(np.array([0, 2, 7]))", "apply_spans_count(np.array([0, 2, 7]))",
        "apply_spans_index_of_last(np.array([0, 2, 7]))", "get_spans()", "distinct()",
        "distinct(fields=(t['int32'].data[:], t['cat'].data[:]))", "dataset_sort_index(3)",
        "get_shared_index([np.arange(3)])", "apply_filter([True], np.arange(3))",
        "apply_spans_max(np.array([0, 3]), np.arange(7))", "aggregate_max(np.arange(3))",
        "get_spans(fields=(t['sorted'], t['cat']))", "aggregate_first(t['sorted'], [1])",
        "get_spans(fields=(t['sorted'].data[:], t['cat'].data[:]))",
        "get_spans(np.arange(3), dest=3)",
        "join(t['pk'], np.array([1, 1, 4]), np.array([7, 8]))", "apply_index([1], np.arange(3))",
        "sort_on(t, t, ('int32',), verbose=False)", "sort_on(t, t, ('cat', 'int8'), verbose=False)",
        "sort_on(t, ds.create_dataframe('u'), ('int32',), verbose=False)",
        "apply_spans_concat(np.array([0, 2, 7]), t['text'], t.create_indexed_string('x'))",
        "apply_spans_concat(np.array([0, 2, 7]), t['pk'], t['pk'])",
    ):  # fmt: skip
        yield f"s.{call}"
    keys = ("np.array([1, 2, 2, 5])", "np.array([2, 2, 3, 1])")
    columns = (
        "(np.arange(4),)", "(np.array(['a', 'b', 'c', 'd']),)", "(np.array([.5, 1, 2, 3]),)",
        "(np.array([b'a', b'b', b'c', b'd']),)", "(np.array([True, False, True, True]),)",
    )  # fmt: skip
    for fields_given in columns:
        yield f"s.merge_left({keys[0]}, {keys[1]}, right_fields={fields_given})"
        yield f"s.merge_right({keys[0]}, {keys[1]}, left_fields={fields_given})"
        yield (
            f"s.merge_inner({keys[0]}, {keys[1]}, left_fields={fields_given}, "
            f"right_fields={fields_given})"
        )
        left, right = "np.array([1, 2, 2, 5])", "np.array([1, 2, 3, 4])"
        sources = f"right_field_sources={fields_given}"
        yield f"s.ordered_merge_left({left}, {right}, {sources}, right_unique=True)"
        yield f"s.ordered_merge_left({left}, {right}, {sources})"
        yield (
            f"s.ordered_merge_left({left}, {right}, {sources}, right_unique=True, "
            "left_to_right_map=np.zeros(4, 'int64'))"
        )
        yield (
            f"s.ordered_merge_right({right}, {left}, left_field_sources={fields_given}, "
            "left_unique=True)"
        )
    yield "s.merge_left(t['pk'], t['sorted'], right_fields=(t['text'], t['float64']))"


def merges():
    """Merges of tables, unordered, in every way."""
    for how, left, right in itertools.product(
        ("left", "right", "inner", "outer", "nonsense"),
        ("'pk'", "'sorted'", "('pk', 'cat')"),
        ("'pk'", "'sorted'", "('pk', 'cat')"),
    ):
        for fields in ("['float64', 'text']", "['cat', 'fixed', 'time']", "None"):
            if fields != "None":
                yield (
                    f"merge_({left}, {right}, {how!r}, left_fields={fields}, right_fields={fields})"
                )
    yield "merge_('nope', 'pk', 'left')"
    yield "merge_('text', 'text', 'left')"


def imports():
    """Cells of a CSV file by every definition."""
    cells = {
        "n": ("1", "", "300", "-1", "x", "2.5", "+5", "007"),
        "c": ("yes", "no", "maybe", ""),
        "s": ("York", "", "é", "ab"),
        "d": ("2020-02-29", "", "2020-02-30"),
        "m": (
            "2020-01-02 03:04:05", "2022/02/03 12:00:01", "", "2020-01-02 03:04:05.123456+00:00",
            "2020-01-01 00:00:00+00.00", "2020-01-02", "2020-01-02 03:04:05.123 UTC",
        ),
        "b": ("yes", "0", "", "TRUE", "off", "?"),
    }  # fmt: skip
    definitions = {
        "n": [
            f"Numeric('{dtype}', {more})"
            for dtype in ("int8", "int32", "uint8", "float32", "float64")
            for more in (
                "", "validation_mode='relaxed'", "validation_mode='strict'", "invalid_value='min'",
                "create_flag_field=False",
            )
        ],
        "c": [
            "Categorical({'yes': 1, 'no': 2})", "Categorical({'yes': 1}, 'int16')",
            "Categorical({'yes': 1, 'no': 2}, allow_freetext=True)",
            "Categorical({'': 5, 'yes': 3})",
        ],
        "s": ["String()", "String(3)", "String(fixed_length=10)"],
        "d": ["Date()", "Date(True, True)"],
        "m": ["DateTime()", "DateTime(True, True)"],
        "b": ["Numeric('bool')", "Numeric('bool', validation_mode='relaxed')"],
    }  # fmt: skip
    for name, made in definitions.items():
        for definition, cell in itertools.product(made, cells[name]):
            yield f"import_({cell!r}, {definition})"
            good = cells[name][0]
            yield f"import_({good + chr(10) + cell!r}, {definition})"
    yield "import_('1', Numeric('int32'), more={'zzz': String()})"
    yield "import_('1', Numeric('int32'), include=['nope'])"


def documented():
    """What docs/exetera.md says is not as in ExeTera."""
    for op in ("==", "!="):
        yield f"t['text'] {op} 'a'"
        yield f"t['fixed'] {op} b'a'"
        yield f"t['cat'] {op} 'yes'"
    yield "t['cat'] + 1"
    yield "csv_(column_filter=['int8', 'fixed'])"
    yield "csv_(row_filter=np.ones(5, bool), column_filter=['int8', 'cat'])"
    yield "t.describe(output='none')"
    yield "t['bool'].get_spans()"
    yield "s.get_spans(t['bool'])"
    yield "s.get_spans(fields=(t['sorted'], t['cat'], t['pk']))"
    yield "s.apply_index(np.array([0, 1]), t['text'])"
    yield "t['text'].apply_spans_min(np.array([0, 2, 4, 7]))"
    yield "t['text'].unique(return_inverse=True)"
    yield "t.create_group('x')"
    yield "s.distinct(t['int32'])"
    yield "import_('2020-01-01 00:00:00+01:00', DateTime())"
    yield "import_('5', Numeric('int64'))"
    yield "import_('yes', Categorical({'yes': -1}, 'int16'))"


GROUPS = {
    f.__name__: f
    for f in (
        operators,
        questions,
        rows,
        writing,
        tables,
        columns,
        sessions,
        merges,
        imports,
        documented,
    )
}


# -- running them


def plain(value):
    """What is compared of a value: its kind, type of elements, and elements."""
    kind = type(value).__name__
    if hasattr(value, "data") and hasattr(value, "create_like"):
        kind = "indexed" if value.indexed else str(np.dtype(value.data.dtype))
        rows = value.data[:] if len(value) else []
        return ["field", kind, plain(list(rows))]
    if hasattr(value, "groupby") and hasattr(value, "create_numeric"):
        return ["table", {name: plain(value[name]) for name in sorted(value.keys())}]
    if isinstance(value, np.ndarray):
        dtype = "text" if value.dtype.kind in "UO" else str(value.dtype)
        return ["array", dtype, plain(value.tolist())]
    if isinstance(value, (list, tuple)):
        return [kind, [plain(one) for one in value]]
    if isinstance(value, dict):
        return ["dict", [[plain(k), plain(v)] for k, v in value.items()]]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return repr(value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, np.dtype):
        return str(value)
    if isinstance(value, type) and issubclass(value, np.generic):
        return str(np.dtype(value))
    return repr(value) if isinstance(value, (bytes, type)) else kind


def outcome(code, path):
    """The value of a probe and what it left in the table, or the class of its error."""
    from exetera.core import dataframe
    from exetera.core.session import Session
    from exetera.io.field_importers import Categorical, Date, DateTime, Numeric, String
    from exetera.io.parsers import read_csv

    s = Session()
    ds = s.open_dataset(path, "w", "d")
    t = ds.create_dataframe("t")
    fill(t)

    def csv_(**options):
        t.to_csv(str(CSV), **options)
        return CSV.read_text(encoding="utf-8")

    def del_(name):
        del t[name]

    def merge_(left_on, right_on, how, **fields):
        u = ds.create_dataframe("u", t)
        dest = ds.create_dataframe("dest")
        dataframe.merge(t, u, dest, left_on, right_on, how=how, **fields)
        return dest

    def import_(text, definition, more=(), **options):
        rows = "".join(f"{cell},1\n" for cell in text.split("\n"))
        CSV.write_text(f"x,y\n{rows}", encoding="utf-8")
        dest = ds.create_dataframe("dest")
        schema = {"x": definition, **dict(more)}
        read_csv(str(CSV), dest, schema, **{"include": ["x"], **options})
        return {n: dest[n] for n in sorted(dest.keys()) if not n.startswith("j_")}

    names = {
        **locals(), "np": np, "Categorical": Categorical, "Date": Date, "DateTime": DateTime,
        "Numeric": Numeric, "String": String,
    }  # fmt: skip
    try:
        with np.errstate(all="ignore"):
            found = plain(eval(code, names))
        inside = "in_place" in code or "sort_on" in code
        return [found, plain(t)] if inside else found
    except Exception as error:  # noqa: BLE001 - its class is the outcome
        kinds = [c.__name__ for c in type(error).__mro__ if c.__module__ == "builtins"]
        return ["error", kinds, f"{type(error).__name__}: {error}"[:200]]
    finally:
        s.close()


def probes():
    """The names of all probes, in order."""
    return [f"{group}: {code}" for group, make in GROUPS.items() for code in dict.fromkeys(make())]


def main():
    side, backend, wanted = sys.argv[1], sys.argv[2], sys.argv[3:]
    output, sys.stdout = sys.stdout, io.StringIO()
    for number, name in enumerate(probes()):
        group, _, code = name.partition(": ")
        if wanted and group not in wanted:
            continue
        if backend == "zarr":
            path = f"memory://probe-{number}"
        else:
            path = io.BytesIO() if side == "real" else str(FOLDER / "probe.hdf5")
        try:
            found = outcome(code, path)
        except BaseException:  # noqa: BLE001 - a probe that cannot be set up is a finding
            found = ["broken", traceback.format_exc()[-300:]]
        output.write(json.dumps([name, found], default=repr) + "\n")
        output.flush()


if __name__ == "__main__":
    main()
