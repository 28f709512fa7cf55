"""What a notebook shows: from metadata and the first rows, and safe whatever names there are."""

from __future__ import annotations

from urllib.parse import unquote

import numpy as np

from exetera_zarr import Session
from exetera_zarr.testing import counting


def test_showing_reads_the_first_rows_once(tmp_path):
    """Text and HTML together ask the store for one chunk of each array, and for nothing else."""
    url = str(tmp_path / "x.zarr")
    with Session() as s:
        ds = s.open_dataset(url, "w", "study")
        table = ds.create_dataframe("<b>patients</b>")
        table.create_numeric("age", "int32").data.write(np.arange(1234))
        table.create_categorical("sex & more", "int8", {"f": 0, "<m>": 1}).data.write([0] * 1234)
        table.create_indexed_string("note").data.write(["x"] * 1234)
    with counting() as stores, Session() as s:
        ds = s.open_dataset(url, "r", "study")
        table = ds["<b>patients</b>"]
        stores[0].calls.clear()
        html = [thing._repr_html_() for thing in (s, ds, table, *table.values())]
        text = [repr(thing) for thing in (s, ds, table, *table.values())]
        assert [verb for verb, _ in stores[0].calls] == ["get"] * 4
        arrays = ["age/values", "note/index", "note/values", "sex & more/values"]
        assert sorted(unquote(key) for _, key in stores[0].calls) == [
            f"<b>patients</b>/{array}/c/0" for array in arrays
        ]
    joined = "".join(html)
    assert "<b>patients" not in joined
    assert "&lt;b&gt;patients" in joined
    assert "<m>" not in joined
    assert "&lt;m&gt;" in joined
    assert joined.count("1,234") > 5
    assert "1234 rows" in "".join(text)
    assert "closed" in ds._repr_html_()


def test_a_wide_table_is_cut(tmp_path):
    """Hundreds of fields do not flood the page."""
    with Session() as s:
        table = s.open_dataset(str(tmp_path / "x.zarr"), "w", "d").create_dataframe("t")
        for number in range(100):
            table.create_numeric(f"f{number}", "int8")
        assert "and 40 more" in table._repr_html_()


def test_unequal_lengths_are_said(tmp_path):
    """A table whose fields have different lengths has no number of rows."""
    with Session() as s:
        table = s.open_dataset(str(tmp_path / "x.zarr"), "w", "d").create_dataframe("t")
        table.create_numeric("a", "int8").data.write([1])
        table.create_numeric("b", "int8")
        assert "unequal" in table._repr_html_()
