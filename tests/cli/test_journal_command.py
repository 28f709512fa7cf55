"""`journal`: snapshots from the shell into one version, and what is said of them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from exetera_zarr import Session


@pytest.fixture
def snapshots(run, study: Path) -> list[str]:
    """Three states of two tables, imported as of three days."""
    names = []
    for day, (patients, tests) in enumerate(
        [("1,x\n2,y\n", "7,grün\n"), ("2,Y\n3,z\n", "7,grün\n"), ("2,Y\n", "8,\n")], 1
    ):
        (study / "p.csv").write_text(f"id,note\n{patients}")
        (study / "t.csv").write_text(f"id,colour\n{tests}", encoding="utf-8")
        names.append(f"{day}.zarr")
        inputs = ("-i", "patients:p.csv,tests:t.csv", "-ts", f"2020-04-0{day}")
        assert run("import", "-s", "s.json", "-o", names[-1], *inputs).exit_code == 0
    return names


def test_all_snapshots_are_one_version(run, snapshots) -> None:
    done = run("journal", "study.zarr", *snapshots[:2])
    assert (done.exit_code, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[:4] == [
        "patients, 2020-04-01 00:00:00 UTC: 2 new, 0 changed, 0 unchanged",
        "tests, 2020-04-01 00:00:00 UTC: 1 new, 0 changed, 0 unchanged",
        "patients, 2020-04-02 00:00:00 UTC: 1 new, 1 changed, 0 unchanged, 1 vanished",
        "tests, 2020-04-02 00:00:00 UTC: 0 new, 0 changed, 1 unchanged",
    ]
    assert lines[4].startswith("version 1 of ")
    found = run("journal", "study.zarr", snapshots[2], "--json", "--close-vanished").json
    assert found["version"] == 2
    counts = [(one["table"], one["new"], one["closed"]) for one in found["snapshots"]]
    assert counts == [("patients", 0, 2), ("tests", 1, 1)]
    with Session() as session:
        table = session.open_dataset("study.zarr", "r")["patients"]
        valid = table.valid_at("2020-04-02").data[:]
        rows = zip(table["id"].data[:], table["note"].data[:], valid, strict=True)
        assert [(int(key), note) for key, note, here in rows if here] == [
            (1, "x"),
            (2, "Y"),
            (3, "z"),
        ]


def test_keys_and_tables(run, snapshots) -> None:
    """One table of a snapshot, by its place or by name; keys for all tables or for one."""
    for arguments, tables in (
        ([f"{snapshots[0]}/tests"], ["tests"]),
        ([snapshots[0], "-t", "tests", "-k", "id"], ["tests"]),
        ([snapshots[0], "-k", "note", "-k", "tests:id"], ["patients", "tests"]),
        ([snapshots[0], "-k", "tests:(id, colour), patients:(note)"], ["patients", "tests"]),
    ):
        found = run(
            "journal", f"to {len(arguments)}.zarr", *arguments, "-ts", "2021-01-01", "--json"
        )
        assert found.exit_code == 0
        assert [one["table"] for one in found.json["snapshots"]] == tables
    assert run("journal", "x.zarr", snapshots[0], "-q").stdout == ""


def test_a_table_without_rows_is_of_the_moment_of_the_others(run, study, snapshots) -> None:
    (study / "p.csv").write_text("id,note\n")
    inputs = ("-i", "patients:p.csv,tests:t.csv", "-ts", "2020-04-09")
    assert run("import", "-s", "s.json", "-o", "9.zarr", *inputs).exit_code == 0
    done = run("journal", "study.zarr", snapshots[0], "9.zarr", "--close-vanished", "--json")
    assert done.exit_code == 0, done.stderr
    found = [(one["table"], one["valid_from"], one["closed"]) for one in done.json["snapshots"]]
    ninth = datetime(2020, 4, 9, tzinfo=UTC).timestamp()
    assert found[2:] == [("patients", ninth, 2), ("tests", ninth, 1)]


@pytest.mark.parametrize(
    "arguments", [["2.zarr", "none.zarr"], ["1.zarr/nope"], ["1.zarr", "-k", "x:id"]]
)
def test_nothing_is_made_for_snapshots_that_are_not_there(run, study, snapshots, arguments) -> None:
    assert run("journal", "study.zarr", *arguments).exit_code != 0
    assert not (study / "study.zarr").exists()


def test_an_error_says_in_which_snapshot(run, study, snapshots) -> None:
    (study / "p.csv").write_text("id,note\n5,a\n5,b\n")
    assert run("import", "-s", "s.json", "-i", "patients:p.csv", "-o", "twice.zarr").exit_code == 0
    done = run("journal", "study.zarr", snapshots[0], "twice.zarr/patients")
    assert done.exit_code == 1
    assert "twice.zarr/patients: the key id = 5 occurs more than once" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["1.zarr", "2.zarr", "-ts", "2020-01-01"], 2, "moment of one snapshot"),
        (["1.zarr", "-k", "id", "-k", "note"], 2, "all tables occurs more than once"),
        (["1.zarr", "-k", "tests:"], 2, "names no field"),
        (["1.zarr", "-k", "tests:(id"], 2, "is not TABLE:"),
        (["1.zarr", "-k", "test:id"], 2, "no table 'test' is journalled"),
        (["1.zarr", "-t", "nonsense"], 1, "nonsense"),
        (["1.zarr", "-k", "nonsense"], 1, "no field 'nonsense'"),
        (["2.zarr", "1.zarr"], 1, "before the last one"),
        (["none.zarr"], 1, "none.zarr"),
    ],
)
def test_an_error_leaves_the_journal_as_it_was(run, snapshots, arguments, code, said) -> None:
    assert run("journal", "study.zarr", snapshots[0]).exit_code == 0
    done = run("journal", "study.zarr", *arguments)
    assert done.exit_code == code
    assert said in done.stderr
    assert run("history", "study.zarr", "--json").json[0]["version"] == 1
