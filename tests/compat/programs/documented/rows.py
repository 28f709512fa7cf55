"""Arithmetic, filters, numbers of rows, spans and sorts, by the calls of ExeTera's next pages."""

import numpy as np
from exetera.core.session import Session

CODES = np.array([3, 1, 2, 1, 3, 1], "int32")
TEXTS = ["c", "a1", "", "a2", "cc", "é"]


def texts_of(found):
    """The strings of what `apply_index` and `apply_filter` give of a column of strings."""
    offsets, data = found
    return [bytes(data[a:b]).decode() for a, b in zip(offsets[:-1], offsets[1:], strict=True)]


def fill(s):
    ds = s.open_dataset("rows.hdf5", "w", "rows")
    table = ds.create_dataframe("table")
    table.create_numeric("code", "int32").data.write(CODES)
    table.create_numeric("dose", "float64").data.write(np.array([1.5, 2.0, 0.5, 4.0, 3.0, 2.5]))
    sick = np.array([True, False, True, True, False, False])
    table.create_numeric("sick", "bool").data.write(sick)
    table.create_indexed_string("text").data.write(TEXTS)
    table.create_fixed_string("word", 2).data.write([b"x", b"yy", b"", b"z", b"yy", b"x"])
    return ds, table


def reckon(table):
    """Operators on fields give fields, which can be assigned."""
    table["sum"] = table["code"] + table["dose"]
    half = table["dose"] / table["code"]
    table["share"] = half * 2
    assert table["sum"].data[:].tolist() == [4.5, 3.0, 2.5, 5.0, 6.0, 3.5]
    assert table["share"].data[:].tolist() == [1.0, 4.0, 0.5, 8.0, 2.0, 5.0]
    assert (table["code"] // 2).data[:].tolist() == [1, 0, 1, 0, 1, 0]
    assert (table["code"] % 2).data[:].tolist() == [1, 1, 0, 1, 1, 1]
    whole, rest = divmod(table["code"], 2)
    assert whole.data[:].tolist() == [1, 0, 1, 0, 1, 0]
    assert rest.data[:].tolist() == [1, 1, 0, 1, 1, 1]
    wanted = (table["code"] == 1) & (table["sick"] == False)  # noqa: E712 - of fields
    table["wanted"] = wanted
    assert table["wanted"].data[:].tolist() == [False, True, False, False, False, True]
    either = (table["code"] == 2) | (table["code"] == 3)
    assert either.data[:].tolist() == np.isin(CODES, [2, 3]).tolist()
    more = (table["code"] > table["dose"]).data[:]
    assert more.tolist() == [True, False, True, False, False, False]
    del table["sum"], table["share"], table["wanted"]


def refer(s, table):
    """A field, the field by `get`, its data and an array are equal for `apply_index`."""
    rows = np.array([5, 0, 0, 2])
    of_codes = [table["code"], s.get(table["code"]), s.get(table["code"]).data[:], CODES]
    assert [s.apply_index(rows, form).tolist() for form in of_codes] == [[1, 3, 3, 2]] * 4
    assert texts_of(s.apply_index(rows, table["text"])) == ["é", "c", "c", ""]
    keep = CODES < 3
    of_codes = [table["code"], s.get(table["code"]), table["code"].data[:], CODES]
    assert [s.apply_filter(keep, form).tolist() for form in of_codes] == [[1, 2, 1, 1]] * 4
    assert texts_of(s.apply_filter(keep, table["text"])) == ["a1", "", "a2", "é"]


def choose(ds, table):
    """Rows of one field and of whole tables, to memory, to a field, in place."""
    heavy = table["dose"] > 2
    assert table["text"].apply_filter(heavy).data[:] == ["a2", "cc", "é"]
    out = ds.create_dataframe("out")
    made = table["code"].create_like(out, "code")
    assert table["code"].apply_filter(heavy, target=made).data[:].tolist() == [1, 3, 1]
    out["word"] = table["word"].apply_index(np.array([3, 1, 0]))
    assert out["word"].data[:].tolist() == [b"z", b"yy", b"x"]
    out["word"].apply_filter(np.array([True, False, True]), in_place=True)
    assert out["word"].data[:].tolist() == [b"z", b"x"]
    few = ds.create_dataframe("few")
    table.apply_filter(table["code"] < 3, ddf=few)
    assert few["text"].data[:] == ["a1", "", "a2", "é"]
    few.apply_index(np.array([3, 1]))
    assert (few["text"].data[:], few["code"].data[:].tolist()) == (["é", ""], [1, 2])
    few.apply_filter(few["sick"])
    assert few["text"].data[:] == [""]
    assert len(table["text"]) == len(TEXTS)


def sort(s, ds, table):
    """Three ways to the same order, which keeps equal rows as they were."""
    order = [1, 3, 5, 2, 0, 4]
    index = s.dataset_sort_index((table["code"],))
    assert index.tolist() == order
    by_index = ds.create_dataframe("by index")
    table.apply_index(index, by_index)
    by_name = ds.create_dataframe("by name")
    table.sort_values(by="code", ddf=by_name)
    by_key = ds.create_dataframe("by key")
    s.sort_on(table, by_key, ("code",), verbose=False)
    for found in (by_index, by_name, by_key):
        assert found["text"].data[:] == [TEXTS[row] for row in order]
    s.sort_on(table, table, ("code", "dose"), verbose=False)
    assert table["text"].data[:] == ["a1", "é", "a2", "", "c", "cc"]


def summarise(s, ds, table):
    """What each run of equal keys has, which are sorted by now."""
    spans = s.get_spans(table["code"])
    assert spans.tolist() == [0, 3, 4, 6] == table["code"].get_spans().tolist()
    dose = table["dose"]
    assert s.apply_spans_count(spans).tolist() == [3, 1, 2]
    assert s.apply_spans_max(spans, dose).tolist() == [4.0, 0.5, 3.0]
    assert s.apply_spans_min(spans, dose).tolist() == [2.0, 0.5, 1.5]
    assert s.apply_spans_first(spans, dose).tolist() == [2.0, 0.5, 1.5]
    assert s.apply_spans_last(spans, dose).tolist() == [4.0, 0.5, 3.0]
    assert s.apply_spans_index_of_max(spans, dose).tolist() == [2, 3, 5]
    assert s.apply_spans_index_of_first(spans).tolist() == [0, 3, 4]
    assert s.apply_spans_index_of_last(spans).tolist() == [2, 3, 5]
    assert dose.apply_spans_max(spans).data[:].tolist() == [4.0, 0.5, 3.0]
    runs = ds.create_dataframe("runs")
    s.apply_spans_max(spans, dose, dest=s.create_numeric(runs, "most", "float64"))
    runs["least"] = dose.apply_spans_min(spans)
    dose.apply_spans_first(spans, target=dose.create_like(runs, "first"))
    s.apply_spans_concat(spans, table["text"], dest=s.create_indexed_string(runs, "texts"))
    assert runs["most"].data[:].tolist() == [4.0, 0.5, 3.0]
    assert runs["least"].data[:].tolist() == runs["first"].data[:].tolist() == [2.0, 0.5, 1.5]
    assert runs["texts"].data[:] == ["a1,é,a2", "", "c,cc"]
    assert s.aggregate_count(table["code"]).tolist() == [3, 1, 2]
    assert s.aggregate_max(table["code"], dose).tolist() == [4.0, 0.5, 3.0]
    assert s.aggregate_first(table["code"], dose).tolist() == [2.0, 0.5, 1.5]
    most = np.zeros(len(dose))
    for n, (start, stop) in enumerate(zip(spans[:-1], spans[1:], strict=True)):
        most[start:stop] = runs["most"].data[n]
    table.create_numeric("most", "float64").data.write(most)
    assert table["most"].data[:].tolist() == [4.0, 4.0, 4.0, 0.5, 3.0, 3.0]


with Session() as s:
    ds, table = fill(s)
    reckon(table)
    refer(s, table)
    choose(ds, table)
    sort(s, ds, table)
    summarise(s, ds, table)
