"""The benchmarks compare equal work: a contestant with a wrong value is found out."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections import Counter
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("polars", reason="the benchmarks need the extra 'bench'")
pytest.importorskip("psutil", reason="the benchmarks need the extra 'bench'")
pytest.importorskip("obstore", reason="the benchmarks need the extra 'bench'")
# Where `benchmarks` is; last, so that the installed package comes first.
sys.path.append(str(Path(__file__).parents[1]))

from benchmarks import cloud, contest, covid_csv, inputs, journal, results, sql, standings, tables
from benchmarks.appends import command as appends
from benchmarks.appends import crowds, upserts
from benchmarks.contestants import growing
from benchmarks.contestants.bucket import Bucket, Shape
from benchmarks.contestants.growing_ours import Ours
from benchmarks.results import Check, Column
from benchmarks.traffic import Traffic
from exetera_zarr import Session
from support.rules import Exchange

HERE = (contest.OURS, contest.PANDAS, contest.POLARS, contest.DUCKDB)
COLUMNS = (
    Column("id", "int"),
    Column("x", "float"),
    Column("ok", "bool"),
    Column("when", "time"),
    Column("name", "text"),
)
ROWS = {
    "id": [1, 2, 3, 4],
    "x": [0.5, None, -0.0, 2.0],
    "ok": [True, False, None, True],
    "when": pa.array([0, 1, 2, None], pa.timestamp("us")),
    "name": ["a", "", None, "é"],
}


def parquet(path, **changes):
    pq.write_table(pa.table(ROWS | changes), path)
    return path


@pytest.mark.parametrize(
    ("changes", "zeros", "found"),
    [
        ({}, False, ""),
        ({"x": [0.5, None, 0.0, 2.0], "name": ["a", None, "", "é"]}, False, ""),
        ({"x": [0.5, 0.0, 0.0, 2.0]}, True, ""),
        ({"x": [0.5, 0.0, 0.0, 2.0]}, False, "other values in x"),
        ({"id": [1, 2, 3, 5], "ok": [True] * 4}, True, "other values in id, ok"),
        ({"id": [2, 1, 3, 4]}, True, "other combinations of values"),
        ({name: pa.array(v)[::-1] for name, v in ROWS.items()}, True, "another order of rows"),
        ({name: pa.array(v)[:3] for name, v in ROWS.items()}, True, "3 rows instead of 4"),
    ],
)
def test_what_differs_is_named(tmp_path, changes, zeros, found):
    """One wrong value, row, pairing or place is enough; no text and an empty one are the same."""
    one, other = parquet(tmp_path / "1.parquet"), parquet(tmp_path / "2.parquet", **changes)
    check = Check(COLUMNS, zeros=zeros)
    assert results.difference(check, one, other, in_order=True) == found


def test_order_counts_only_for_those_who_keep_it(tmp_path):
    """Rows in another order are the same set of rows."""
    reverse = {name: pa.array(v)[::-1] for name, v in ROWS.items()}
    one, other = parquet(tmp_path / "1.parquet"), parquet(tmp_path / "2.parquet", **reverse)
    assert results.difference(Check(COLUMNS), one, other, in_order=False) == ""


@pytest.mark.parametrize(("factor", "found"), [(1 + 1e-13, ""), (1.001, "other values in x")])
def test_sums_of_floats_may_differ_by_rounding(tmp_path, factor, found):
    """The order of adding is nobody's fault; more than that is."""
    other = parquet(tmp_path / "2.parquet", x=[0.5 * factor, None, -0.0, 2.0])
    check = Check(COLUMNS[:2], keys=("id",))
    one = parquet(tmp_path / "1.parquet")
    assert results.difference(check, one, other, in_order=False) == found


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Every table of the benchmarks, of a few rows."""
    made = inputs.Inputs(tmp_path_factory.mktemp("inputs"), 500)
    for name in inputs.MAKERS:
        made.make(name, for_exetera=False)
    return made.folder


def outcome_of(contestant, work):
    task = import_module(contestant.module).TASKS[work.task]
    found = task(work.inputs, work.output(contestant))
    digest = {k: np.asarray(v).tolist() for k, v in found.items()} if found else None
    return contest.Outcome(seconds=1.0, peak=1, digest=digest)


@pytest.mark.parametrize("question", tables.QUESTIONS, ids=lambda question: question.task)
def test_contestants_do_the_same_work(small, tmp_path, question):
    """All that run in this environment give the same values, in the order that each owes."""
    work = contest.Work(question.task, small, small, tmp_path, {})
    outcomes = {contestant.name: outcome_of(contestant, work) for contestant in HERE}
    wrong = results.compare(question.check, work, HERE, outcomes)
    assert not any(wrong.values()), wrong


@pytest.mark.parametrize("task", journal.TASKS)
def test_a_journal_gets_what_changed(small, tmp_path, task):
    """Of 250 keys in 500 rows three have changed, in whatever order the tables are."""
    work = contest.Work(task, small, small, tmp_path, {})
    outcome_of(contest.OURS, work)
    with Session() as session:
        table = session.open_dataset(str(work.output(contest.OURS)), "r")["table"]
        since = table["j_valid_from"].data[:]
        assert sorted(table["id"].data[:][since == 1.2e9]) == [0, 300, 600]
        assert table.length() == 503
        assert len(np.flatnonzero(table.valid_at(1.3e9).data[:])) == 250


def test_contestants_import_the_same_values(tmp_path):
    """Categories, numbers, truth values, moments and texts of one CSV, and where there are none."""
    columns = covid_csv.make_columns(60)
    covid_csv.make(tmp_path, 300, columns)
    assert {column.kind for column in columns} >= {"categorical", "numeric", "datetime", "string"}
    work = contest.Work("import", tmp_path, tmp_path, tmp_path, {})
    outcomes = {contestant.name: outcome_of(contestant, work) for contestant in HERE}
    check = Check(covid_csv.compared(columns), zeros=False)
    assert not any(results.compare(check, work, HERE, outcomes).values())


def test_a_contestant_that_fails_is_out(tmp_path):
    """Its error is what the report shows; the others compete."""
    work = contest.Work("sort", tmp_path / "nothing", tmp_path / "nothing", tmp_path, {})
    outcome = work.run(contest.PANDAS)
    assert outcome.error.startswith("FileNotFoundError")
    failed = contest.Standing(contest.PANDAS, error=outcome.error)
    ours = contest.Standing(contest.OURS, [2.0], [10**6])
    shown = standings.contest_table([ours, failed], tables.FASTER)
    assert "| pandas | FileNotFoundError" in shown


def test_a_target_is_met_or_missed():
    """The better of Polars and DuckDB counts, by the median of the ratios within the rounds."""
    times = {contest.OURS: [1.0, 2.0], contest.POLARS: [0.8, 1.6], contest.DUCKDB: [3.0, 6.0]}
    found = [contest.Standing(who, seconds, [10**6]) for who, seconds in times.items()]
    lines = standings.contest_table(found, tables.FASTER.and_best(0.95)).splitlines()
    assert "| 0.8 (0.8-0.8) | 1 MB | >= 0.95: **missed** |" in lines[3]
    assert lines[4].endswith("| 3 (3-3) | 1 MB | - |")


@pytest.mark.s3
@pytest.mark.parametrize(
    "contestant",
    [cloud.OURS, cloud.ZARR_OBSTORE, cloud.POLARS, cloud.PYARROW],
    ids=lambda contestant: contestant.name,
)
def test_contestants_write_the_same_to_a_bucket(s3_place, s3_server, contestant):
    """What each has written is read back as the values that all are to write."""
    folder = Path("3x500")
    place = Bucket(s3_place.prefix.removeprefix("s3://"), s3_server.endpoint, "any", "any")
    told = {"bucket": asdict(place)} | contestant.options
    tasks = import_module(contestant.module).TASKS
    tasks["write"](folder, folder / "out", **told)
    found = tasks["read_back"](folder, folder / "out", **told)
    assert {name: np.asarray(values).tolist() for name, values in found.items()} == {
        name: values.tolist() for name, values in Shape(3, 500).table().items()
    }


def test_requests_are_counted_and_put_in_sequence():
    """Three at once, then the commit, then two after it of which one waits for the other."""
    times = {(0, 3): "GET", (1, 4): "GET", (2, 5): "GET", (6, 8): "PUT", (8, 9): "PUT"}
    log = [Exchange(0, verb, "/b/x", "", {}, *when) for when, verb in times.items()]
    log.append(Exchange(0, "PUT", "/b/d.zarr/__exetera__/commits/1.json", "", {}, 5.5, 6))
    traffic = Traffic.of(log)
    assert traffic == Traffic(Counter(GET=3, PUT=3), 4, 3.0)
    assert str(traffic) == "3 GET, 3 PUT"


@pytest.mark.slow
@pytest.mark.s3
@pytest.mark.skipif(sys.platform != "linux", reason="SeaweedFS is there for Linux")
def test_a_benchmark_in_a_bucket(tmp_path):
    """A tiny one: everybody's values are right, and the requests are those of the budget."""
    parser = ArgumentParser()
    cloud.add_command(parser.add_subparsers())
    size = {"columns": 5, "rows": 50, "chunks": 3, "chunk-rows": 10, "repeats": 1, "latency": 0.001}
    options = [f"--{name}={value}" for name, value in size.items()]
    arguments: Namespace = parser.parse_args(
        ["cloud", *options, "--task=read_1", f"--out={tmp_path}/r.md"]
    )
    arguments.run(arguments)
    report = (tmp_path / "r.md").read_text()
    assert "other values" not in report
    assert "Error" not in report
    (ours,) = [line for line in report.splitlines() if line.startswith("| exetera_zarr")]
    assert "| 2 GET, 1 LIST |" in ours


def test_a_table_grows_as_it_should(tmp_path):
    """What ours is timed at, on the disk: rows of several days, a compaction, and one day of it."""
    table = Ours(growing.Place(str(tmp_path / "t.zarr")), row_block=100)
    shape = Shape(3, 300)
    table.create(growing.by_day(shape))
    more = growing.by_day(Shape(3, 50))
    table.append(more)
    expected = np.concatenate([shape.table()["c001"], more["c001"]])
    days = np.concatenate([growing.by_day(shape)["day"], more["day"]])
    for step in (lambda: None, table.compact, table.vacuum):
        step()
        assert table.read(["c001"])["c001"].tolist() == expected.tolist()
        found = table.read(["c001"], day=int(days[7]))["c001"]
        assert found.tolist() == expected[days == days[7]].tolist()
    assert table.history() >= 3


@pytest.mark.parametrize("changed", [tuple(upserts.KINDS), upserts.SOME], ids=["all", "some"])
def test_an_upsert_gives_what_is_expected(tmp_path, changed):
    """All types, in two orders; the file of what is expected is made without ours."""
    upserts.write(tmp_path / "rows.parquet", np.random.default_rng(0).permutation(1000), seed=1)
    upserts.expect(tmp_path, 1000, changed)
    table = Ours(growing.Place(str(tmp_path / "t.zarr")), memory_limit="1GB")
    table.load(tmp_path / "rows.parquet")
    table.upsert(tmp_path / "changes.parquet")
    table.export(tmp_path / "found.parquet")
    found, expected = tmp_path / "found.parquet", tmp_path / "expected.parquet"
    assert results.difference(Check(upserts.COLUMNS), expected, found, in_order=False) == ""
    first = pq.read_table(tmp_path / "rows.parquet")["id"].to_pylist()
    assert pq.read_table(found)["id"].to_pylist()[:1000] == first


def test_batches_that_were_torn_are_found_out(tmp_path):
    """One has a row of another within it, one is there twice, and one has lost its end."""
    one, two, three, four = (growing.batch_of(writer, 5, 3) for writer in (1, 2, 3, 4))
    rows = {
        name: np.concatenate([one[name], two[name][:1], three[name][:1], two[name][1:]])
        for name in one
    }
    rows = {name: np.concatenate([rows[name], *[four[name]] * 2, three[name][:2]]) for name in rows}
    np.savez(tmp_path / "found.npz", **rows)
    assert crowds.batches_in(tmp_path / "found.npz", 3) == {(1, 5)}


@pytest.mark.slow
@pytest.mark.s3
@pytest.mark.skipif(sys.platform != "linux", reason="SeaweedFS is there for Linux")
def test_the_benchmark_of_appends(tmp_path):
    """A tiny one of all that there is; peers that are absent are named."""
    parser = ArgumentParser()
    appends.add_command(parser.add_subparsers())
    size = (
        "columns=3 rows=50 chunks=2 appended=10 repeats=1 latency=0.001 "
        "day-columns=3 day-rows=100 day-appended=5 days=3 upsert-rows=2000 "
        "commits=3 peer-commits=3 crowd=2 batches=2 day-table-columns=3 day-table-rows=3000"
    )
    options = [f"--{one}" for one in size.split()]
    arguments: Namespace = parser.parse_args(["appends", *options, f"--out={tmp_path}/r.md"])
    arguments.run(arguments)
    report = (tmp_path / "r.md").read_text()
    assert "ArcticDB absent" in report
    assert "other values" not in report
    assert "Error" not in report
    lines = [line for line in report.splitlines() if line.startswith("| exetera_zarr")]
    assert len(lines) == 14


def test_a_wrong_answer_in_sql_is_found(tmp_path, monkeypatch):
    page = tmp_path / "sql.md"
    arguments = Namespace(rows=5_000, repeats=1, threads=1, work_dir=tmp_path, out=page)
    sql.run(arguments)
    assert page.read_text().count("| >= 0.7") == len(sql.QUESTIONS)
    monkeypatch.setattr(sql, "alike", lambda a, b, alike=sql.alike: alike(a, b[1:]))
    with pytest.raises(AssertionError, match="three columns summed"):
        sql.run(arguments)
