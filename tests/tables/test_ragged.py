"""Tables whose fields have different lengths: told at a commit, and refused by their verbs."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest

from exetera_zarr import DataError, RaggedTableWarning, Session, merge


@pytest.fixture
def open_ds(place):
    """Opens the same place, in either face."""

    def make(session, mode="a"):
        return session.open_dataset(
            place.url("x.zarr"), mode, "d", storage_options=place.storage_options
        )

    return make


def ragged(ds):
    table = ds.create_dataframe("t")
    table.create_numeric("a", "int8").data.write([1, 2, 3])
    table.create_numeric("b", "int8").data.write([1, 2])
    table.create_indexed_string("c").data.write(["x", "y", "z"])
    return table


TOLD = "'t' of .* different lengths: 3 rows: 'a', 'c'; 2 rows: 'b'"


def commits(ds):
    """The warnings of a commit."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        ds.commit()
    assert all(one.category is RaggedTableWarning for one in told)
    return [str(one.message) for one in told]


def test_a_commit_tells_of_each_such_table_once(open_ds):
    """And the next one again, if the table was used in between; nothing else is told."""
    with Session() as session:
        ds = open_ds(session, "w")
        table = ragged(ds)
        ds.create_dataframe("even").create_numeric("n", "int8").data.write([1])
        with pytest.warns(RaggedTableWarning, match=TOLD) as told:
            ds.commit()
        assert len(told) == 1
        assert commits(ds) == []  # nothing has changed
        table["a"].data.write([4])
        (told_again,) = commits(ds)
        assert "4 rows: 'a'" in told_again
        del table
        ds["even"]["n"].data.write([2])
        ds["even"].create_numeric("m", "int8")
        assert ["'even'" in one for one in commits(ds) if "'t'" not in one] == [True]
        ds["t"].drop("a")
        ds["t"]["b"].data.write([3])
        ds["even"].drop("m")
        assert commits(ds) == []


def test_closing_tells_of_it_too(open_ds):
    with Session() as session:
        ragged(open_ds(session, "w"))
        with pytest.warns(RaggedTableWarning, match=TOLD):
            session.close()


def test_who_only_reads_is_told_nothing(open_ds):
    with Session() as session:
        ds = open_ds(session, "w")
        ragged(ds)
        assert len(commits(ds)) == 1
    with Session() as session:
        ds = open_ds(session, "r")
        assert len(ds["t"]["a"]) == 3


def test_a_companion_of_another_length_is_told_as_well(open_ds):
    with Session() as session:
        ds = open_ds(session, "w")
        table = ds.create_dataframe("t")
        table.create_numeric("age", "int8").data.write([1, None, 3])
        table["age_valid"].data.write([True])
        with pytest.warns(RaggedTableWarning, match="3 rows: 'age'; 4 rows: 'age_valid'"):
            ds.commit()
        for verb in (
            lambda: table.to_csv(io.StringIO()),
            lambda: table.groupby("age").count(ddf=ds.create_dataframe("g")),
            lambda: table.sort_values("age", ddf=ds.create_dataframe("s")),
            lambda: table.to_pandas(),
            lambda: table["age"].mean(),
        ):
            with pytest.raises(DataError, match="age_valid"):
                verb()
        ds.rollback()


VERBS = {
    "filter": lambda t, out, _: t.apply_filter(np.ones(3, bool), ddf=out),
    "filter in place": lambda t, _, __: t.apply_filter(np.ones(3, bool)),
    "index": lambda t, out, _: t.apply_index(np.array([0]), ddf=out),
    "sort": lambda t, out, _: t.sort_values("a", ddf=out),
    "group": lambda t, out, _: t.groupby("a").max("c", ddf=out),
    "count": lambda t, out, _: t.groupby("a").count(ddf=out),
    "distinct": lambda t, out, _: t.drop_duplicates("a", ddf=out),
    "merge": lambda t, out, other: merge(t, other, out, "a", "k"),
    "merge right": lambda t, out, other: merge(other, t, out, "k", "a", how="outer"),
    "merge some": lambda t, out, other: merge(t, other, out, "a", "k", left_fields=["c"]),
    "cross": lambda t, out, other: merge(t, other, out, "a", "k", how="cross"),
    "csv": lambda t, _, __: t.to_csv(io.StringIO()),
    "pandas": lambda t, _, __: t.to_pandas(),
    "journal": lambda t, out, _: out.journal(t, "a", 1.0),
}


@pytest.mark.parametrize("verb", VERBS)
def test_verbs_of_whole_tables_say_which_fields_differ(open_ds, verb):
    with Session() as session:
        ds = open_ds(session, "w")
        table, out, other = ragged(ds), ds.create_dataframe("out"), ds.create_dataframe("other")
        other.create_numeric("k", "int8").data.write([1, 2, 3])
        with pytest.raises(DataError, match="different lengths: 3 rows: 'a', 'c'; 2 rows: 'b'"):
            VERBS[verb](table, out, other)
        assert list(out) == []
        assert [len(field) for field in table.values()] == [3, 2, 3]
        ds.rollback()


def test_fields_that_are_chosen_need_only_agree_among_themselves(open_ds):
    with Session() as session:
        ds = open_ds(session, "w")
        table = ragged(ds)
        file = io.StringIO()
        table.to_csv(file, column_filter=["a", "c"])
        assert file.getvalue() == "a,c\n1,x\n2,y\n3,z\n"
        assert table.to_pandas(col_filter="b")["b"].tolist() == [1, 2]
        assert table.describe()["b"]["count"] == 2
        ds.rollback()


def test_exeteras_face_lets_it_pass(open_ds):
    with Session(exetera=True) as session:
        ds = open_ds(session, "w")
        table, out, other = ragged(ds), ds.create_dataframe("out"), ds.create_dataframe("other")
        other.create_numeric("k", "int8").data.write([1, 2, 3])
        merge(table, other, out, "a", "k", left_fields=["c"])
        assert out["c"].data[:] == ["x", "y", "z"]
        assert commits(ds) == []
