"""CSV import: where files come from, where rejects go, and what is left when something fails."""

from __future__ import annotations

import bz2
import contextlib
import csv
import gzip
import http.server
import json
import lzma
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pytest

from exetera_zarr import Session, import_csv
from exetera_zarr.compat import field_importers
from exetera_zarr.compat.parsers import read_csv, read_csv_with_schema_dict
from exetera_zarr.errors import DataError, SchemaError, StorageError
from exetera_zarr.io import (
    CsvError,
    Numeric,
    Progress,
    String,
    import_tables,
    import_with_schema,
    tables,
)
from exetera_zarr.io.csv import pipeline
from exetera_zarr.io.schema.load import schema_file_to_dict
from exetera_zarr.storage.remote import requests
from exetera_zarr.tables.dataset import Dataset

INT = Numeric("int32", validation_mode="strict")
NS = {"n": INT, "s": String()}
NUMBER = {"field_type": "numeric", "value_type": "int32", "validation_mode": "strict"}


def zst(data: bytes) -> bytes:
    found: bytes = pa.Codec("zstd").compress(data).to_pybytes()
    return found


@pytest.fixture
def dataset() -> Iterator[Dataset]:
    with Session() as session:
        yield session.open_dataset(f"memory://{uuid.uuid4().hex}", "w", "ds")


def contents(table: Any) -> dict[str, list[Any]]:
    return {name: list(field.data[:]) for name, field in table.items() if not name.startswith("j_")}


def lines_of(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def url_of(place: Any, name: str) -> str:
    url = str(place.url(name))
    return url if "://" in url else f"file://{url}"


def put(place: Any, name: str, data: bytes) -> str:
    """A file at a place; its URL."""
    with fsspec.open(url_of(place, name), "wb", **place.storage_options) as file:
        file.write(data)
    return url_of(place, name)


# -- files


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress), (".zst", zst)],
)
def test_compressed_files(
    place: Any, dataset: Dataset, suffix: str, compress: Callable[[bytes], bytes]
) -> None:
    """By the suffix, in several members one after the other, from any store."""
    rows = [f'{k},"text {k}"\n'.encode() for k in range(3000)]
    data = compress(b"n,s\n" + b"".join(rows[:1000])) + compress(b"".join(rows[1000:]))
    url = put(place, f"p.csv{suffix}", data)
    seen: list[Progress] = []
    table = import_csv(
        dataset,
        "t",
        url,
        NS,
        source_options=place.storage_options,
        progress=seen.append,
        block_bytes=5000,
    )
    assert contents(table) == {"n": list(range(3000)), "s": [f"text {k}" for k in range(3000)]}
    assert (seen[-1].bytes_read, seen[-1].bytes_total) == (len(data), len(data))


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress), (".zst", zst)],
)
def test_a_compressed_file_that_is_cut_off(
    dataset: Dataset, tmp_path: Path, suffix: str, compress: Callable[[bytes], bytes]
) -> None:
    """It is an error, also where rows are skipped, and not a shorter table."""
    noise = np.random.default_rng(0).integers(0, 1000, 20_000)
    data = compress(b"n\n" + b"".join(b"%d\n" % k for k in noise))
    path = tmp_path / f"a.csv{suffix}"
    for damaged in (data[:-1], data[: len(data) // 2], b"n\n1\n"):
        path.write_bytes(damaged)
        for on_error in ("raise", "skip"):
            with pytest.raises(DataError, match=rf"a\.csv\{suffix} cannot be decompressed as "):
                import_csv(dataset, "t", path, {"n": INT}, on_error=on_error, block_bytes=1000)
    assert "t" not in dataset


def test_several_files_for_a_table(dataset: Dataset, tmp_path: Path) -> None:
    """Rows follow each other; each file has a header of its own, in any order."""
    (tmp_path / "b.csv").write_bytes(gzip.compress(b""))
    first, second, third = (tmp_path / name for name in ("a.csv", "b.csv.gz", "c.csv"))
    first.write_text("n,s\n1,a\n2,b\n")
    second.write_bytes(gzip.compress(b"\xef\xbb\xbfs,n\r\nc,3\r\n"))
    third.write_text("n,s\n")
    table = import_csv(dataset, "t", [first, second, third], NS)
    assert contents(table) == {"n": [1, 2, 3], "s": ["a", "b", "c"]}
    summary = import_tables(dataset, {"u": NS}, {"u": [third, str(second)]})
    assert contents(dataset["u"]) == {"n": [3], "s": ["c"]}
    assert summary["u"].bytes == second.stat().st_size + third.stat().st_size


def test_an_error_in_the_second_file(dataset: Dataset, tmp_path: Path) -> None:
    """It is named, with rows and lines of its own."""
    (tmp_path / "a.csv").write_text("n,s\n1,a\n2,b\n")
    (tmp_path / "b.csv").write_text("s,n\na,1\nb,x\n")
    files = [tmp_path / "a.csv", tmp_path / "b.csv"]
    with pytest.raises(CsvError, match=r"b\.csv, row 2 \(line 3\), column 'n': 'x'"):
        import_csv(dataset, "t", files, NS)
    summary = import_tables(
        dataset, {"t": NS}, {"t": files}, on_error="skip", rejects=tmp_path / "rejects.csv"
    )
    assert (summary["t"].rows, summary["t"].rejected) == (3, 1)
    header, row = lines_of(tmp_path / "rejects.csv")
    assert dict(zip(header, row, strict=True)) == {
        "rejected_file": str(tmp_path / "b.csv"),
        "rejected_row": "2",
        "rejected_line": "3",
        "rejected_column": "n",
        "rejected_reason": "'x' cannot be converted to int in 'strict' mode",
        "rejected_text": "",
        "n": "x",
        "s": "b",
    }


def test_files_of_one_table_with_other_columns(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("n,s,x\n1,a,\n")
    (tmp_path / "b.csv").write_text("n,s\n1,a\n")
    files = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for order in (files, files[::-1]):
        with pytest.raises(
            SchemaError, match=r"b\.csv lacks 'x', which .*a\.csv has; files of one"
        ):
            import_csv(dataset, "t", order, NS)
    assert contents(import_csv(dataset, "t", files, NS, include=["n", "s"]))["n"] == [1, 1]


def test_a_pattern_stands_for_files(place: Any, dataset: Dataset) -> None:
    """In the order of their names, on any store; a file that is called so comes first."""
    for name, number in (("p-10.csv", 10), ("p-02.csv", 2), ("q.csv", 5)):
        put(place, name, b"n\n%d\n" % number)
    options: Any = {"source_options": place.storage_options}
    table = import_csv(dataset, "t", url_of(place, "p-*.csv"), {"n": INT}, **options)
    assert contents(table) == {"n": [2, 10]}
    with pytest.raises(FileNotFoundError, match=r"no file fits the pattern .*nothing-\*"):
        import_csv(dataset, "u", url_of(place, "nothing-*.csv"), {"n": INT}, **options)


def test_a_local_pattern(dataset: Dataset, tmp_path: Path) -> None:
    for name, number in (("a1.csv", 1), ("a2.csv", 2), ("a[12].csv", 3)):
        (tmp_path / name).write_text(f"n\n{number}\n")
    table = import_csv(dataset, "t", tmp_path / "a?.csv", {"n": INT})
    assert contents(table) == {"n": [1, 2]}
    table = import_csv(dataset, "u", tmp_path / "a[12].csv", {"n": INT})
    assert contents(table) == {"n": [3]}
    with pytest.raises(ValueError, match=r"a1\.csv is given more than once"):
        import_csv(dataset, "v", [tmp_path / "a1.csv", tmp_path / "a*.csv"], {"n": INT})
    with pytest.raises(ValueError, match="at least one file"):
        import_csv(dataset, "v", [], {"n": INT})


def test_a_pipe_is_read_once(dataset: Dataset, tmp_path: Path) -> None:
    """Its header cannot be read a second time."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=("n,s\n1,a\n2,b\n",), daemon=True)
    writer.start()
    assert contents(import_csv(dataset, "t", path, NS)) == {"n": [1, 2], "s": ["a", "b"]}
    writer.join(60)


def test_many_files_are_not_open_at_once(dataset: Dataset, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    for number in range(200):
        (tmp_path / f"{number:03}.csv").write_text(f"n\n{number}\n")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (len(list(Path("/proc/self/fd").iterdir())) + 50, hard)
    )
    try:
        table = import_csv(dataset, "t", tmp_path / "*.csv", {"n": INT})
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert contents(table) == {"n": list(range(200))}


# -- rejects


def test_rejects_are_corrected_and_imported(dataset: Dataset, tmp_path: Path) -> None:
    """The file takes the place of the rows that it has, by the same schema."""
    path, rejects = tmp_path / "a.csv", tmp_path / "rejects.csv"
    path.write_bytes(b'n,s\n1,a\nx,"  b"\n3\n4,d\n')
    with pytest.warns(UserWarning, match=rf"^2 of 4 rows were not .* 't'; they are in {rejects}$"):
        import_csv(dataset, "t", path, NS, on_error="skip", rejects=rejects)
    header, bad_cell, short = lines_of(rejects)
    bad_cell[header.index("n")] = "2"
    short[header.index("rejected_text") :] = ["", "3", "c"]
    with rejects.open("w", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([header, bad_cell, short])
    assert contents(import_csv(dataset, "u", rejects, NS)) == {"n": [2, 3], "s": ["  b", "c"]}
    with pytest.warns(UserWarning, match="^2 of 6 rows"):
        both = import_csv(dataset, "v", [path, rejects], NS, on_error="skip")
    assert sorted(contents(both)["n"]) == [1, 2, 3, 4]


def test_every_bad_cell_of_a_row_is_told(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("n,m\nx,y\n")
    import_tables(
        dataset,
        {"t": {"n": INT, "m": Numeric("int8")}},
        {"t": tmp_path / "a.csv"},
        on_error="skip",
        rejects=tmp_path / "r.csv",
    )
    header, row = lines_of(tmp_path / "r.csv")
    assert row[header.index("rejected_reason")] == (
        "'x' cannot be converted to int in 'strict' mode; column 'm': "
        "'y' cannot be converted to int in 'allow_empty' mode"
    )


def test_rejects_of_several_tables(place: Any, dataset: Dataset) -> None:
    """Each table has its own, at any URL; a file of an earlier import is replaced."""
    files = {name: put(place, f"{name}.csv", b"n\n1\nx\n") for name in ("p", "q")}
    put(place, "bad.p.csv", b"older " * 1000)
    summary = import_tables(
        dataset,
        {"p": {"n": INT}, "q": {"n": INT}},
        files,
        on_error="skip",
        rejects=url_of(place, "bad.csv"),
        source_options=place.storage_options,
    )
    assert (summary.rows, summary.rejected) == (2, 2)
    for name in ("p", "q"):
        where = summary[name].rejects
        assert where == url_of(place, f"bad.{name}.csv")
        with fsspec.open(where, "rt", newline="", **place.storage_options) as file:
            (row,) = csv.DictReader(file)
        assert (row["n"], row["rejected_file"]) == ("x", files[name])


def test_rejects_that_cannot_be(dataset: Dataset, tmp_path: Path) -> None:
    """Said before anything is imported."""
    path = tmp_path / "a.csv"
    path.write_text("n\n1\n")

    def run(**options: Any) -> None:
        import_tables(dataset, {"t": {"n": INT}}, {"t": path}, **options)

    with pytest.raises(ValueError, match="it needs on_error='skip'"):
        run(rejects=tmp_path / "r.csv")
    with pytest.raises(ValueError, match="on_error='ignore' is neither 'raise' nor 'skip'"):
        run(on_error="ignore")
    with pytest.raises(DataError, match="there is no such folder"):
        run(on_error="skip", rejects=tmp_path / "none" / "r.csv")
    with pytest.raises(
        DataError, match=r"rejects would overwrite .*a\.csv, which is to be imported"
    ):
        run(on_error="skip", rejects=f"{tmp_path}/../{tmp_path.name}/a.csv")
    path.write_text("n,rejected_row\n1,2\n")
    with pytest.raises(SchemaError, match="column 'rejected_row' has the name of a column of rej"):
        run(on_error="skip", rejects=tmp_path / "r.csv")
    assert "t" not in dataset


@pytest.mark.parametrize("rejects", ["r.csv", "file://{}/r.a.csv", "{}/./schema.json", "link.csv"])
def test_rejects_overwrite_nothing_that_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rejects: str
) -> None:
    """No file of any table, nor the schema, by whatever name."""
    monkeypatch.chdir(tmp_path)
    table = "ab" if rejects == "r.csv" else "a"
    Path("a.csv").write_text("n\nx\n")
    Path("r.a.csv").write_text("n\n1\n")
    Path("link.csv").symlink_to("r.a.csv")
    files = {"a": ["a.csv", "r.a.csv"]} if table == "a" else {"a": "a.csv", "b": "r.a.csv"}
    schema = write_schema(Path("schema.json"), table)
    before = Path(schema).read_text()
    with Session() as session, pytest.raises(DataError, match="rejects would overwrite"):
        import_with_schema(
            session,
            tmp_path / "d",
            "d",
            schema,
            files,
            False,
            on_error="skip",
            rejects=rejects.format(tmp_path),
        )
    assert (Path("r.a.csv").read_text(), Path(schema).read_text()) == ("n\n1\n", before)
    assert not Path("d").exists()


@pytest.mark.parametrize("other", ["./a.csv", "link.csv", "file://{}/a.csv", "[a].csv"])
def test_a_file_by_two_names_is_one_file(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    """Its rows would be there twice."""
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("n\n1\n")
    Path("link.csv").symlink_to("a.csv")
    with pytest.raises(ValueError, match=r"a\.csv|link\.csv is given more than once"):
        import_tables(dataset, {"t": {"n": INT}}, {"t": ["a.csv", other.format(tmp_path)]})
    assert "t" not in dataset


@pytest.mark.parametrize("each", [False, True])
def test_rejects_are_those_of_the_tables_that_stand(tmp_path: Path, each: bool) -> None:
    """A failure in a later table replaces the rejects of an earlier one only if that is kept."""
    (tmp_path / "a.csv").write_text("n\nx\n")
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"n\n" + b"1\n" * 5000)[:-3])
    (tmp_path / "r.a.csv").write_text("older")
    schema = write_schema(tmp_path / "schema.json", "ab")
    with Session() as session, pytest.raises(DataError, match="cannot be decompressed"):
        import_with_schema(
            session,
            tmp_path / "d",
            "d",
            schema,
            {"a": tmp_path / "a.csv", "b": tmp_path / "b.csv.gz"},
            False,
            on_error="skip",
            rejects=tmp_path / "r.csv",
            commit_each_table=each,
            block_bytes=100,
        )
    assert ((tmp_path / "r.a.csv").read_text() == "older") is not each


def test_a_failed_import_leaves_older_rejects(dataset: Dataset, tmp_path: Path) -> None:
    """And no half of its own."""
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"n\nx\n" + b"1\n" * 5000)[:-3])
    (tmp_path / "r.csv").write_text("older")
    with pytest.raises(DataError, match="cannot be decompressed"):
        import_tables(
            dataset,
            {"t": {"n": INT}},
            {"t": tmp_path / "a.csv.gz"},
            on_error="skip",
            rejects=tmp_path / "r.csv",
            block_bytes=100,
        )
    assert (tmp_path / "r.csv").read_text() == "older"


# -- servers


@pytest.fixture
def plain_server() -> Iterator[str]:
    """A server without ranges: of a good file, one that is cut off, and of errors."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            data = b"n\n" + b"0000001\n" * 900_000
            if "error" in self.path:
                self.send_error(503)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command == "GET":
                with contextlib.suppress(OSError):
                    self.wfile.write(data[:-10] if "cut" in self.path else data)

        do_GET = do_HEAD  # noqa: N815 - the name that its base looks for

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_server_without_ranges(dataset: Dataset, plain_server: str) -> None:
    """More than fsspec reads ahead: the file is one stream then."""
    summary = import_tables(dataset, {"t": {"n": INT}}, {"t": f"{plain_server}/good.csv"})
    assert summary.rows == 900_000


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("error.csv?signature=secret", r"could not read .*error\.csv: HTTP status 503 \(Service"),
        ("cut.csv", r"could not read .*cut\.csv: ClientPayloadError"),
    ],
)
def test_a_server_that_fails(
    dataset: Dataset,
    plain_server: str,
    path: str,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Said with the URL, but nothing of its signature; and nothing is imported."""
    monkeypatch.setattr(requests.patience, "deadline", 0.5)
    with pytest.raises(StorageError, match=message) as raised:
        import_tables(dataset, {"t": {"n": INT}}, {"t": f"{plain_server}/{path}"})
    assert "secret" not in str(raised.value)
    assert "t" not in dataset


def test_a_server_that_is_not_there(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests.patience, "first_contact", 0.5)
    with pytest.raises(StorageError, match=r"could not read .*/a\.csv: Cannot connect to host"):
        import_tables(dataset, {"t": {"n": INT}}, {"t": "http://127.0.0.1:1/a.csv"})


# -- commits


def write_schema(path: Path, names: str) -> str:
    schema = {name: {"fields": {"n": NUMBER}} for name in names}
    path.write_text(json.dumps({"exetera": {"version": "1.1.0"}, "schema": schema}))
    return str(path)


@pytest.fixture
def study(place: Any, tmp_path: Path) -> Callable[..., Any]:
    """Imports the tables p and q into one dataset, q with an error on demand."""
    schema = write_schema(tmp_path / "s.json", "pq")

    def run(
        q: str = "n\n3\n", names: str = "pq", *, overwrite: bool = False, **options: Any
    ) -> Any:
        (tmp_path / "p.csv").write_text("n\n1\n2\n")
        (tmp_path / "q.csv").write_text(q)
        files = {name: tmp_path / f"{name}.csv" for name in names}
        with Session() as session:
            return import_with_schema(
                session,
                place.url("study.zarr"),
                "ds",
                schema,
                files,
                overwrite,
                storage_options=place.storage_options,
                **options,
            )

    return run


def seen(place: Any) -> tuple[int, dict[str, Any]]:
    """Version and content as another process sees them."""
    with Session() as session:
        ds = session.open_dataset(
            place.url("study.zarr"), "r", storage_options=place.storage_options
        )
        return ds.version, {name: contents(ds[name]) for name in list(ds)}


BOTH = {"p": {"n": [1, 2]}, "q": {"n": [3]}}


def test_all_tables_are_one_version(place: Any, study: Callable[..., Any]) -> None:
    summary = study()
    assert {name: found.rows for name, found in summary.items()} == {"p": 2, "q": 1}
    assert seen(place) == (1, BOTH)


def test_a_version_for_each_table(place: Any, study: Callable[..., Any]) -> None:
    study(commit_each_table=True)
    assert seen(place) == (2, BOTH)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_failure_keeps_the_tables_before_it_if_asked(
    place: Any, study: Callable[..., Any], overwrite: bool
) -> None:
    with pytest.raises(CsvError, match=r"q\.csv, row 1"):
        study("n\nx\n", overwrite=overwrite, commit_each_table=True)
    assert seen(place) == (1, {"p": {"n": [1, 2]}})


def test_a_failed_first_import_leaves_an_empty_dataset(
    place: Any, study: Callable[..., Any]
) -> None:
    """Its place is claimed, of which there is no way back; it has no version yet and no table."""
    with pytest.raises(CsvError):
        study("n\nx\n")
    assert seen(place) == (0, {})
    study()
    assert seen(place) == (1, BOTH)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    ("module", "name"),
    [
        (pipeline, "_convert_block"),  # in a thread
        (tables, "append"),
        (tables, "create_field"),
        (Dataset, "commit"),
    ],
)
def test_an_interrupt_changes_nothing(
    place: Any,
    study: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    name: str,
    overwrite: bool,
) -> None:
    """Wherever it comes, it reaches the caller; the last version stays, and a retry works."""
    study(names="p")
    before = seen(place)

    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, name, interrupt)
        with pytest.raises(KeyboardInterrupt):
            study(names="q", overwrite=overwrite)
    assert seen(place) == before
    assert not [one for one in threading.enumerate() if one.name.startswith("exetera-import")]
    study(names="q")
    assert seen(place) == (2, BOTH)


INTERRUPTED = """
import signal
import sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # who started the tests may ignore it
from exetera_zarr import Session
from exetera_zarr.io import import_with_schema

def told(progress):
    if progress.rows > 1000:
        print("half", flush=True)
        sys.stdin.readline()

try:
    with Session() as session:
        import_with_schema(
            session, sys.argv[1], "ds", sys.argv[2], {"q": sys.argv[3]}, False,
            progress=told, block_bytes=1000, on_error="skip", rejects=sys.argv[4],
        )
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
def test_a_process_that_is_interrupted(tmp_path: Path) -> None:
    """Ctrl-C half-way: the last version, no rejects, nothing temporary beside the dataset."""
    schema = write_schema(tmp_path / "s.json", "pq")
    (tmp_path / "p.csv").write_text("n\n1\n")
    (tmp_path / "q.csv").write_text("n\n" + "1\nx\n" * 20_000)
    place = str(tmp_path / "study.zarr")
    with Session() as session:
        import_with_schema(session, place, "ds", schema, {"p": tmp_path / "p.csv"}, False)
    (tmp_path / "tmp").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, place, schema, tmp_path / "q.csv", tmp_path / "r.csv"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
    )
    assert process.stdout is not None
    assert process.stdin is not None
    with process:
        assert process.stdout.readline() == "half\n"
        process.send_signal(signal.SIGINT)
        process.stdin.close()
        assert process.stdout.read().endswith("interrupted\n")
    assert process.returncode == 0
    with Session() as session:
        ds = session.open_dataset(place, "r", "ds")
        assert (ds.version, list(ds.keys())) == (1, ["p"])
        ds.verify()
    assert not (tmp_path / "r.csv").exists()
    assert list((tmp_path / "tmp").iterdir()) == []


# -- under ExeTera's names


def test_read_csv_into_a_table(dataset: Dataset, tmp_path: Path) -> None:
    """By position, from a dictionary, a file, or one of several tables of a file."""
    (tmp_path / "a.csv").write_text("n,s\n1,a\n2,b\n")
    path = str(tmp_path / "a.csv")
    one = write_schema(tmp_path / "one.json", "p")
    two = write_schema(tmp_path / "two.json", "pq")
    summary = read_csv(path, dataset.create_dataframe("t"), NS, timestamp=5.0)
    assert summary.rows == 2
    assert contents(dataset["t"]) == {"n": [1, 2], "s": ["a", "b"]}
    assert list(dataset["t"]["j_valid_from"].data[:]) == [5.0, 5.0]
    read_csv(path, dataset.create_dataframe("u"), None, one, None, ["n"])
    assert contents(dataset["u"]) == {"n": [1, 2]}
    with Path(two).open() as file:
        read_csv(
            path, dataset.create_dataframe("v"), schema_file=file, schema_key="q", exclude=["s"]
        )
    assert contents(dataset["v"]) == {"n": [1, 2]}
    empty = dataset.create_dataframe("w")
    both = "'schema_dict' and 'schema_file', one and only one of them should be provided."
    for options, kind, message in (
        ({}, ValueError, both),
        ({"schema_dictionary": NS, "schema_file": one}, ValueError, both),
        ({"schema_file": two}, ValueError, "'schema_key' must be provided when there's"),
        ({"schema_file": two, "schema_key": "x"}, ValueError, "'x' is no table of the schema"),
        ({"schema_file": 5}, TypeError, "must be a path or an open file, not a int"),
        ({"schema_dictionary": [1]}, TypeError, "'schema_dict' must be a dict, not a list"),
    ):
        with pytest.raises(kind) as caught:
            read_csv(path, empty, **options)  # type: ignore[arg-type]
        assert message in str(caught.value)
    with pytest.raises(TypeError, match="must be an instance of DataFrame"):
        read_csv(path, "w", NS)  # type: ignore[arg-type]
    with pytest.raises(CsvError, match="row 1"):
        read_csv(path, empty, {"n": INT, "s": INT})
    assert list(empty.keys()) == []


def test_rejects_of_one_table_leave_its_schema_alone(dataset: Dataset, tmp_path: Path) -> None:
    schema = write_schema(tmp_path / "schema.json", "t")
    before = (tmp_path / "schema.json").read_text()
    (tmp_path / "a.csv").write_text("n\nx\n")
    options: Any = {"on_error": "skip", "rejects": schema}
    with pytest.raises(DataError, match=r"rejects would overwrite .*, which is the schema"):
        read_csv(tmp_path / "a.csv", dataset.create_dataframe("t"), schema_file=schema, **options)
    assert (tmp_path / "schema.json").read_text() == before


@pytest.mark.parametrize("block_bytes", [1, 1 << 20])
def test_reading_stops_after_so_many_records(
    dataset: Dataset, tmp_path: Path, block_bytes: int
) -> None:
    """What follows them may be wrong."""
    (tmp_path / "a.csv").write_text("n\n1\n2\n\n3\nx\n")
    options: Any = {"block_bytes": block_bytes, "on_error": "skip"}
    for most, rows in ((0, []), (1, [1]), (3, [1, 2]), (4, [1, 2, 3]), (9, [1, 2, 3])):
        table = dataset.create_dataframe(f"t{most}")
        read_csv_with_schema_dict(
            tmp_path / "a.csv", table, {"n": INT}, stop_after_rows=most, **options
        )
        assert contents(table) == {"n": rows}
    table = dataset.create_dataframe("u")
    read_csv_with_schema_dict(tmp_path / "a.csv", table, {"n": INT}, stop_after_rows=2)
    assert contents(table) == {"n": [1, 2]}


def columns_of(cells: list[list[bytes]]) -> tuple[Any, Any, Any]:
    """Cells by column, in the three arrays that ExeTera's importers are given."""
    ends = [np.cumsum([0, *map(len, column)]) for column in cells]
    offsets = np.cumsum([0, *(column[-1] for column in ends)])
    data = np.frombuffer(b"".join(b"".join(column) for column in cells), np.uint8)
    return np.array(ends, np.int64), data, offsets


@pytest.fixture
def exeteras() -> Iterator[Dataset]:
    """A dataset with ExeTera's face."""
    with Session(exetera=True) as session:
        yield session.open_dataset(f"memory://{uuid.uuid4().hex}", "w", "ds")


def test_importers_of_single_fields(exeteras: Dataset, dataset: Dataset) -> None:
    """Made and called as ExeTera's."""
    table = exeteras.create_dataframe("t")
    made = [
        field_importers.CategoricalImporter(None, table, "c", {"": 0, "é": 1}, "int8"),
        field_importers.LeakyCategoricalImporter(None, table, "l", {"a": 1}),
        field_importers.NumericImporter(None, table, "n", "int32", -1, "relaxed"),
        field_importers.IndexedStringImporter(None, table, "s"),
        field_importers.FixedStringImporter(None, table, "f", 3),
        field_importers.DateTimeImporter(None, table, "t", True, True),
        field_importers.DateImporter(None, table, "d"),
    ]
    moment, day = b"2020-05-12 07:00:00 UTC", b"2020-05-12"
    parts = columns_of(
        [
            ["é".encode(), b""],
            [b"b", b"a"],
            [b"x", b"7"],
            [b"", b"long"],
            [b"abc", b""],
            [moment, b""],
            [b"", day],
        ]
    )
    for number, importer in enumerate(made):
        importer.import_part(*parts, number, 2)
        importer.import_part(*parts, number, 1)
        importer.complete()
    times = field_importers.TimestampImporter(None, table, "w", 1.0)
    times.write([1.0, 2.0, 3.0])
    assert contents(table) == {
        "c": [1, 0, 1],
        "l": [-1, 1, -1],
        "l_freetext": ["b", "", "b"],
        "n": [-1, 7, -1],
        "n_valid": [False, True, False],
        "s": ["", "long", ""],
        "f": [b"abc", b"", b"abc"],
        "t": [1589266800.0, 0.0, 1589266800.0],
        "t_day": [day, b"", day],
        "t_set": [True, False, True],
        "d": [0.0, 1589241600.0, 0.0],
        "w": [1.0, 2.0, 3.0],
    }
    native = field_importers.CategoricalImporter(
        None, dataset.create_dataframe("n"), "c", {"": 0, "é": 1}, "int8"
    )
    with pytest.raises(DataError, match="row 1 of a part for column 'c': 'b' is none of the cat"):
        native.import_part(*parts, 1, 2)


def test_importers_by_the_mapping(dataset: Dataset) -> None:
    table = dataset.create_dataframe("t")
    make = field_importers.FIELD_MAPPING_TO_IMPORTER["string"](2)
    importer = make(None, table, "s", None)
    importer.write_part([b"ab", b""])
    assert table["s"].fieldtype == "fixedstring,2"
    assert len(table["s"]) == 2


def test_parse_timestamp_bytes() -> None:
    found = field_importers.parse_timestamp_bytes("f", b"2020-05-12 07:00:00.250000+01:00")
    assert found.isoformat() == "2020-05-12T06:00:00.250000+00:00"
    with pytest.raises(ValueError, match="Date field 'f' has unexpected format"):
        field_importers.parse_timestamp_bytes("f", b"soon")


def test_one_table_of_a_schema() -> None:
    assert schema_file_to_dict({"fields": {"n": NUMBER}}) == {"n": INT}
    with pytest.raises(SchemaError, match="column 'n': field_type 'x' is not one of"):
        schema_file_to_dict({"fields": {"n": {"field_type": "x"}}})


def test_the_options_of_all_functions_are_the_same() -> None:
    """What type checkers know is what there is."""
    from dataclasses import fields

    from exetera_zarr.io.options import ImportKeywords, ImportOptions

    known = {field.name for field in fields(ImportOptions)} - {"include", "exclude"}
    assert known == set(ImportKeywords.__annotations__)
    assert "hidden" not in repr(ImportOptions(storage_options={"secret": "hidden"}))
    with pytest.raises(ValueError, match="block_bytes must be 1 or more, not 0"):
        ImportOptions(block_bytes=0)
