"""SQL over tables: the answers of the verbs, and no more read than the question needs."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exetera_zarr import DataError, Session
from exetera_zarr.engine.duckdb import connection
from exetera_zarr.errors import ArgumentError, ArgumentTypeError
from exetera_zarr.io.arrow.stream import ArrowStream
from exetera_zarr.io.sql.scanner import ScannedTable
from exetera_zarr.testing import counting
from support.missing import ROWS, close_scratch, examples, scratch, values_of, write

DAY = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)

ASKS_FOR_CONDITIONS = int(duckdb.__version__.partition(".")[0]) < 2
"""Whether this DuckDB asks for the columns of a condition, too, which the reader has applied."""


@pytest.fixture(scope="module", autouse=True)
def _closed_in_the_end():
    yield
    close_scratch()


@pytest.fixture
def ds(place):
    with Session(row_block=4) as s:
        yield s.open_dataset(place.url("x.zarr"), "w", "d", storage_options=place.storage_options)


def rows(query):
    return query.to_arrow().to_pylist()


CONDITIONS = {
    "age > 0": lambda row: row["age"] is not None and row["age"] > 0,
    "age IS NULL": lambda row: row["age"] is None,
    "age IS NOT NULL AND flag": lambda row: row["age"] is not None and row["flag"] is True,
    "age IN (-3, 2)": lambda row: row["age"] in (-3, 2),
    "NOT (age > 0)": lambda row: row["age"] is not None and not row["age"] > 0,
    "age > 1 OR age IS NULL": lambda row: row["age"] is None or row["age"] > 1,
    "age >= 3 OR weight < 0": lambda row: (
        (row["age"] is not None and row["age"] >= 3)
        or (row["weight"] is not None and row["weight"] < 0)
    ),
    "sex = 'f' AND weight >= 0": lambda row: (
        row["sex"] == "f" and row["weight"] is not None and row["weight"] >= 0
    ),
    "age IS DISTINCT FROM 1": lambda row: row["age"] != 1,
    "\"when\" > TIMESTAMPTZ '2020-01-01 12:00:00+00'": lambda row: (
        row["when"] is not None and row["when"] > DAY + dt.timedelta(hours=12)
    ),
    "town LIKE '%e%'": lambda row: row["town"] is not None and "e" in row["town"],
}


@given(given_rows=ROWS, condition=st.sampled_from(list(CONDITIONS)))
def test_conditions_keep_the_rows_that_fulfil_them(given_rows, condition):
    """Whether DuckDB hands them to the reader or not, and whatever is missing."""
    with scratch() as ds:
        table = write(ds.create_dataframe("people"), given_rows)
        found = rows(ds.sql(f"SELECT * FROM people WHERE {condition}"))
        assert found == [row for row in values_of(table) if CONDITIONS[condition](row)]


def test_zones_say_which_blocks_are_read(tmp_path, monkeypatch):
    read = []
    with Session(row_block=4) as s:
        ds = s.open_dataset(f"{tmp_path}/x.zarr", "w", "d")
        table = ds.create_dataframe("t")
        table.create_numeric("a", "int32").data.write([*range(39), None])
        table.create_timestamp("when").data.write([float(n) for n in range(40)])
        table.create_numeric("b", "int32").data.write(np.arange(40))
        table.create_numeric("unused", "int32").data.write(np.arange(40))
        ds.commit()
        made = ArrowStream.batch

        def counted(self, columns, *rows):
            read.append((tuple(self._names), len(next(iter(columns.values())))))
            return made(self, columns, *rows)

        monkeypatch.setattr(ArrowStream, "batch", counted)
        assert rows(ds.sql("SELECT b FROM t WHERE a BETWEEN 20 AND 22")) == [
            {"b": 20},
            {"b": 21},
            {"b": 22},
        ]
        # The last block has a row without a value, which is stored as 0.
        asked = ("a", "b") if ASKS_FOR_CONDITIONS else ("b",)
        assert read == [(("a",), 4), (asked, 3), (("a",), 4)]
        read.clear()
        late = "SELECT b FROM t WHERE \"when\" >= TIMESTAMPTZ '1970-01-01 00:00:38+00'"
        assert rows(ds.sql(late)) == [{"b": 38}, {"b": 39}]
        asked = ("when", "b") if ASKS_FOR_CONDITIONS else ("b",)
        assert read == [(("when",), 4), (asked, 2)]
        assert rows(ds.sql("SELECT b FROM t WHERE a IS NULL")) == [{"b": 39}]
        assert rows(ds.sql("SELECT count(*) n FROM t")) == [{"n": 40}]
        assert not any("unused" in names for names, _ in read)


def test_names_with_spaces_and_dots(ds):
    ds.from_dict("my table.x", {"a b.c": [1, 2], 'q"': [3, 4]})
    found = ds.sql('SELECT "a b.c" + "q""" AS s FROM "my table.x" ORDER BY s')
    assert rows(found) == [{"s": 4}, {"s": 6}]


def test_tables_that_sql_does_not_tell_apart(ds):
    """They are an error of the queries that name them, and of no other."""
    for name in ("T", "t", "tt"):
        ds.from_dict(name, {"a": [1]})
    assert rows(ds.sql("SELECT a FROM tt")) == [{"a": 1}]
    assert rows(ds.sql("WITH t AS (SELECT 2 AS a) SELECT a FROM t")) == [{"a": 2}]
    for query in ("SELECT a FROM t", 'SELECT a FROM "T"', "SELECT 1 FROM tt JOIN T USING (a)"):
        with pytest.raises(ArgumentError, match=r"'[Tt]' and '[Tt]' differ only in .*: rename one"):
            ds.sql(query)


def test_columns_that_sql_does_not_tell_apart(ds):
    ds.from_dict("cc", {"ID": [7, 8], "id": [1, 2]})
    ds.from_dict("dd", {"ÄB": [7], "äb": [1], "cc": [5]})  # which are two to DuckDB
    for query in ('SELECT "id" FROM cc', 'SELECT count(*) FROM cc WHERE "id" = 1'):
        with pytest.raises(ArgumentError) as told:
            ds.sql(query)
        assert "the columns 'ID' and 'id' of the table 'cc' differ only in" in str(told.value)
        assert "rename one by rename(), or read ds['cc']['ID'] without SQL" in str(told.value)
    assert rows(ds.sql('SELECT "äb", "ÄB", cc FROM dd')) == [{"äb": 1, "ÄB": 7, "cc": 5}]


@pytest.mark.parametrize("name", ["temp", "System", "memory"])
def test_datasets_of_the_names_of_databases_of_duckdb(name):
    with Session() as s:
        for called in ("one", name):
            ds = s.open_dataset(f"memory://{uuid.uuid4().hex}.zarr", "w", called)
            ds.from_dict("t", {"a": [1]})
        assert rows(s.sql("SELECT a FROM one.t")) == rows(ds.sql("SELECT a FROM t")) == [{"a": 1}]
        with pytest.raises(ArgumentError, match=f"'{name}' is the name of .* under another name"):
            s.sql(f"SELECT a FROM {name}.t")


@pytest.mark.parametrize("end", ["", ";", " -- it's; that", ";; -- ä;\n", "; /* ; */\n -- x"])
def test_queries_may_end_in_semicolons_and_comments(ds, end):
    ds.from_dict("t", {"a": [1]})
    assert rows(ds.sql(f"SELECT a, 'ä;' AS b FROM t{end}")) == [{"a": 1, "b": "ä;"}]


def test_columns_of_one_name_get_several(ds):
    ds.from_dict("a", {"id": [1, 2], "x": [3, 4]})
    ds.from_dict("b", {"id": [2, 1], "x": [5, 6]})
    found = ds.sql("SELECT * FROM a JOIN b ON a.id = b.id ORDER BY a.id")
    wanted = {"id": [1, 2], "x": [3, 4], "id_1": [1, 2], "x_1": [6, 5]}
    assert found.schema.names == list(wanted)
    assert found.to_arrow().to_pydict() == pa.table(found).to_pydict() == wanted
    assert found.to_pandas().to_dict("list") == found.to_polars().to_dict(as_series=False) == wanted
    assert found.first(5)[1] == wanted
    assert found.write(ds, "made").to_arrow().to_pydict() == wanted


def test_what_comes_out(ds):
    table = write(
        ds.create_dataframe("t"), [(n, n / 2, n > 1, "x", "f", DAY, "a") for n in range(12)]
    )
    found = ds.sql("SELECT age, sex, count(*) OVER () n FROM t ORDER BY age")
    assert "age: int8" in repr(found)
    assert found.to_arrow().num_rows == pa.table(found).num_rows == 12
    assert found.to_pandas()["n"].tolist() == [12] * 12
    assert found.to_polars()["age"].to_list() == list(range(12))
    assert pa.schema(found) == found.schema
    html = found._repr_html_()
    assert html.count("<tr>") == 11
    assert "more rows" in html
    made = found.write(ds, "made")
    assert len(made["n"]) == 12
    sums = ds.sql('SELECT sex, sum(age) AS s, max("when") AS w FROM t GROUP BY sex').write(ds, "s")
    assert values_of(sums) == [{"sex": "f", "s": 66, "w": DAY}]
    assert sums["s"].fieldtype == "numeric,int64"
    table.apply_filter([True] + [False] * 11)
    assert found.to_arrow().num_rows == 1  # it is reckoned anew


def test_decimals_say_how_they_become_floats(ds):
    """As those of Arrow, they are stored exactly or not at all."""
    with pytest.raises(DataError, match="in SQL by ::double"):
        ds.sql("SELECT 0.1 AS rate").write(ds, "r")
    made = ds.sql("SELECT 0.1::double AS rate, 0.5 AS half").write(ds, "r")
    assert values_of(made) == [{"rate": 0.1, "half": 0.5}]


def test_datasets_of_a_session():
    with Session() as s:
        for name in ("one", "two words"):
            ds = s.open_dataset(f"memory://{uuid.uuid4().hex}.zarr", "w", name)
            ds.from_dict("t", {"id": [1, 2], "of": [name, None]})
        found = s.sql('SELECT a.id, a.of o, b.of p FROM one.t a JOIN "two words".t b USING (id)')
        assert sorted(map(tuple, (row.values() for row in rows(found))), key=str) == [
            (1, "one", "two words"),
            (2, None, None),
        ]


def test_one_question_knows_nothing_of_another(monkeypatch):
    """Though one database answers them one after the other."""
    monkeypatch.setattr(connection, "_idle", [])
    with Session() as s:
        one = s.open_dataset(f"memory://{uuid.uuid4().hex}.zarr", "w", "one")
        two = s.open_dataset(f"memory://{uuid.uuid4().hex}.zarr", "w", "two")
        one.from_dict("t", {"a": np.arange(300_000)})
        two.from_dict("u", {"a": [7]})
        assert rows(s.sql("SELECT count(*) n FROM one.t, two.u")) == [{"n": 300_000}]
        (kept,) = connection._idle
        for query in ("SELECT * FROM one.t", "SELECT * FROM t", "SELECT * FROM exetera_0"):
            with pytest.raises(ArgumentError, match="cannot be answered"):
                two.sql(query)
        assert kept not in connection._idle  # a database that failed answers nothing any more
        readers = [one.sql("SELECT a FROM t").reader() for _ in range(4)]
        first = [reader.read_next_batch() for reader in readers]
        assert rows(two.sql("SELECT a FROM u")) == [{"a": 7}]
        for batch, reader in zip(first, readers, strict=True):
            rest = [batch, *reader]
            assert sum(map(len, rest)) == 300_000
            assert rest[-1]["a"][-1].as_py() == 299_999
        assert 0 < len(connection._idle) <= connection._MOST_IDLE
        folders = [Path(database.folder) for database in connection._idle]
        assert all(folder.exists() for folder in folders)
        connection._close_idle()  # as at the end of the process
        assert not any(folder.exists() for folder in folders)


def test_questions_of_several_threads():
    with Session() as s:
        ds = s.open_dataset(f"memory://{uuid.uuid4().hex}.zarr", "w", "d")
        ds.from_dict("t", {"a": np.arange(1000)})
        with ThreadPoolExecutor(8) as pool:
            asked = [f"SELECT sum(a) n FROM t WHERE a < {n}" for n in range(1, 41)]
            found = list(pool.map(lambda query: rows(ds.sql(query)), asked))
        assert found == [[{"n": n * (n - 1) // 2}] for n in range(1, 41)]


@pytest.mark.parametrize(
    "query",
    [
        "DROP VIEW t",
        "SELECT 1; SELECT 2",
        "COPY t TO 'x.csv'",
        "SELECT * FROM read_csv('/etc/hostname')",
        "SELECT * FROM nobody",
        "SELECT nothing FROM t",
        "SELEC",
        "",
        "SET memory_limit = '1GB'",
        "ATTACH 'x.db'",
    ],
)
def test_only_tables_are_read(ds, query, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    nobody = pa.table({"a": [1]})  # which DuckDB would find here
    ds.from_dict("t", {"a": [nobody.num_rows]})
    with pytest.raises(ArgumentError):
        ds.sql(query).to_arrow()
    assert list(tmp_path.glob("x*")) in ([], [tmp_path / "x.zarr"], [tmp_path / "x.hdf5"])


def test_errors_of_reading_are_ours(ds):
    table = ds.create_dataframe("t")
    table.create_indexed_string("x").data.write(["a", b"\xff"])
    table.create_numeric("n", "int8").data.write([1, 2])
    with pytest.raises(DataError, match="row 1 of field t/x"):
        ds.sql("SELECT x FROM t").to_arrow()
    assert rows(ds.sql("SELECT n FROM t WHERE n > 1")) == [{"n": 2}]
    with pytest.raises(ArgumentTypeError):
        ds.sql(5)


def test_a_limit_reads_the_first_rows_in_order(ds):
    ds.from_dict("t", {"a": np.arange(50)})
    assert rows(ds.sql("SELECT a FROM t LIMIT 3 OFFSET 9")) == [{"a": 9}, {"a": 10}, {"a": 11}]


def test_a_table_may_have_columns_of_any_name(ds):
    """Also that of the column of nothing, which is first for DuckDB."""
    ds.from_dict("t", {"no column": [1, 2, 3], "No Column_": [4, 5, 6]})
    assert rows(ds.sql('SELECT * FROM t WHERE "no column" > 1 LIMIT 1')) == [
        {"no column": 2, "No Column_": 5}
    ]
    assert rows(ds.sql('SELECT count(*) n FROM t WHERE "no column" > 1')) == [{"n": 2}]
    assert ScannedTable(ds["t"], []).schema.names[1:] == ["no column", "No Column_"]


@given(given_rows=ROWS)
@examples(30)
def test_any_table_comes_back_from_sql(given_rows):
    with scratch() as ds:
        table = write(ds.create_dataframe("people"), given_rows)
        assert values_of(ds.sql("SELECT * FROM people").write(ds, "again")) == values_of(table)


# -- requests


def of_200_columns(url, options):
    with Session(row_block=1000) as s:
        table = s.open_dataset(url, "w", "d", **options).create_dataframe("t")
        for number in range(200):
            values = np.arange(4000, dtype=np.int32) + number
            table.create_numeric(f"c{number:03}", "int32").data.write(values)


def columns_of(keys):
    """How often which array of which column is fetched."""
    return Counter(key.partition("/t/")[2].partition("/c/")[0] for key in keys)


def test_what_queries_fetch_of_200_columns(tmp_path):
    url = str(tmp_path / "x.zarr")
    of_200_columns(url, {})

    def asked(query):
        with counting() as stores, Session() as s:
            ds = s.open_dataset(url, "r", "d")
            calls = [len(store.calls) for store in stores]
            found = ds.sql(query).to_arrow().to_pylist()
            parts = zip(stores, calls, strict=True)
            return found, columns_of(f"/{key}" for store, n in parts for _, key in store.calls[n:])

    check_what_is_fetched(asked)


@pytest.mark.s3
def test_what_queries_fetch_from_a_server(s3_place, s3_server):
    options = {"storage_options": s3_place.storage_options}
    of_200_columns(s3_place.url("x.zarr"), options)

    def asked(query):
        with Session() as s:
            ds = s.open_dataset(s3_place.url("x.zarr"), "r", "d", **options)
            s3_server.requests.clear()
            found = ds.sql(query).to_arrow().to_pylist()
            return found, columns_of(request.path for request in s3_server.requests)

    check_what_is_fetched(asked)


def check_what_is_fetched(asked):
    """The columns that a query names; of a range what zones say; to count rows, nothing."""
    found, fetched = asked("SELECT sum(c007) a, max(c190) b FROM t")
    assert found == [{"a": sum(range(7, 4007)), "b": 4189}]
    assert fetched == {"c007/values": 4, "c190/values": 4}

    found, fetched = asked("SELECT sum(c190) a FROM t WHERE c007 BETWEEN 3100 AND 3150")
    assert found == [{"a": sum(range(3283, 3334))}]
    assert fetched == {"c007/values/zones": 1, "c007/values": 1, "c190/values": 1}

    assert asked("SELECT count(*) n FROM t") == ([{"n": 4000}], {})
    assert asked("SELECT count(*) n FROM t, (SELECT 1 UNION ALL SELECT 2)") == ([{"n": 8000}], {})
    found, fetched = asked("SELECT count(*) n FROM t WHERE c007 BETWEEN 3100 AND 3150")
    assert found == [{"n": 51}]
    assert fetched == {"c007/values/zones": 1, "c007/values": 1}


# -- of strangers

NAMES = [
    *("x\"; ATTACH 'a.db'; --", '"', '""', "'", "a\nb", "\x1b[31m", "\u202e", "main", "temp"),
    *("select", "duckdb_settings", "read_csv", "rowid", "no column"),
    *("scan 0", "scan 1 of exetera_zarr", "scan", "scan_", "SCAN_ 0"),
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_name_of_a_stranger_is_a_name_and_nothing_else(name):
    """Of a table and of a column, beside a table that comes before it."""
    with Session() as s:
        ds = s.open_dataset(f"memory://{uuid.uuid4()}", "w", "d")
        ds.from_dict("first", {"n": [9]})
        ds.from_dict(name, {name: [1, 2]})
        quoted = name.replace('"', '""')
        asked = f'SELECT "{quoted}" AS n FROM "{quoted}" WHERE 0 < (SELECT count(*) FROM first)'
        assert rows(ds.sql(asked)) == [{"n": 1}, {"n": 2}]
        assert "\x1b" not in repr(ds.sql(f'FROM "{quoted}"'))


REFUSED = [
    *("SELECT * FROM read_csv('{}')", "SELECT * FROM '{}'", "SELECT * FROM read_blob('{}')"),
    *("SELECT * FROM glob('{}')", "COPY t TO '{}'", "ATTACH '{}' AS x", "INSTALL httpfs"),
    *("LOAD httpfs", "SET enable_external_access = true", "SELECT 1; DROP VIEW t", "EXPORT '{}'"),
    "SELECT * FROM query($$COPY t TO '{}'$$)",
    *("SELECT getenv('HOME')", "SELECT * FROM read_csv('http://127.0.0.1:1/x')", "PRAGMA x", ""),
    *("SELECT '\ud800'", "SELECT * FROM t\udcff", "\ud800"),
]


@pytest.mark.parametrize("text", REFUSED, ids=ascii)
def test_a_query_reads_tables_and_nothing_else(tmp_path, text):
    path = tmp_path / "x.csv"
    path.write_text("a\nnobody's\n")
    with Session() as s:
        ds = s.open_dataset(f"memory://{uuid.uuid4()}", "w", "d")
        ds.from_dict("t", {"n": [1]})
        with pytest.raises(ArgumentError):
            ds.sql(text.format(path)).to_arrow()
    assert list(tmp_path.iterdir()) == [path]


def test_secrets_that_duckdb_keeps_are_none_of_a_query(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with duckdb.connect() as connection:
        connection.execute("CREATE PERSISTENT SECRET theirs (TYPE http, BEARER_TOKEN 'token')")
        assert "theirs" in str(connection.sql("FROM duckdb_secrets()").fetchall())
    with Session() as s:
        ds = s.open_dataset(f"memory://{uuid.uuid4()}", "w", "d")
        ds.from_dict("t", {"n": [1]})
        assert "theirs" not in str(rows(ds.sql("SELECT * FROM duckdb_secrets(), t")))
