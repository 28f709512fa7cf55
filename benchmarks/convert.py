"""Conversion of a file of ExeTera's to Zarr and back, beside copying its bytes and reading it."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.contest import EXETERA, OURS, Contestant, Outcome, Standing, progress, run_worker
from benchmarks.contestants.whole_files import LIMIT
from benchmarks.files import remove, stored_bytes
from benchmarks.machine import describe
from benchmarks.peers import cache_folder
from benchmarks.report import table
from benchmarks.timing import Spread

PACKAGES = ("exetera-zarr", "zarr", "numpy", "h5py")
SMALL_ROWS = 1000
ABOUT = f"""\
The file is written by ExeTera 0.6 itself: of ten columns each four are categories (int8), two are
int32, one float64, one a timestamp, one bool, and one text. Ours has a limit of {LIMIT}; *peak* is
the most memory that was resident in any run (VmHWM), interpreter and libraries included. Plain
h5py to zarr takes a block of 2^20 elements at a time and the library's default codecs. Each run is
a fresh process that first does the same with a small file; what is written is synced to the disk
within the time; the file that is read is in the system's cache. MB/s are of the file's values."""


@dataclass(frozen=True)
class Entry:
    """Something that is done with the file, and by whom."""

    about: str
    task: str
    module: str
    suffix: str = ".zarr"
    contestant: Contestant = OURS
    reads: str = "hdf5"


WHOLE = "benchmarks.contestants.whole_files"
ENTRIES = (
    Entry("exetera-zarr convert --no-verify", "to_zarr", WHOLE),
    Entry("exetera-zarr convert", "to_zarr_verified", WHOLE),
    Entry("the other way, --no-verify", "to_hdf5", WHOLE, ".hdf5", reads="zarr"),
    Entry("exetera-zarr reads every column", "read", WHOLE, ".none"),
    Entry("cp", "copy_bytes", WHOLE, ".hdf5"),
    Entry("plain h5py to zarr", "plainly", WHOLE),
    Entry("ExeTera 0.6 reads every column", "read_file", EXETERA.module, ".none", EXETERA),
)


def run_entry(entry: Entry, inputs: Sequence[Path], scratch: Path) -> Outcome:
    """Do it once in a fresh process."""
    output = scratch / f"out{entry.suffix}"
    for path in scratch.glob("*"):
        remove(path)
    with tempfile.TemporaryDirectory(dir=scratch, prefix="small-") as small:
        work, warm_up = (str(path.with_suffix(f".{entry.reads}")) for path in inputs)
        report = Path(small) / "report.json"
        request = {
            "contestant": entry.module,
            "task": entry.task,
            "options": {},
            "report": str(report),
            "small": {"inputs": warm_up, "output": f"{small}/small{entry.suffix}"},
            "work": {"inputs": work, "output": str(output)},
        }
        outcome = run_worker(entry.contestant, request, report, None)
    remove(output)
    return outcome


def make(path: Path, rows: int, columns: int) -> None:
    """Have ExeTera write the file, and convert it for the way back."""
    from exetera_zarr.conversion.datasets import convert

    if not path.with_suffix(".hdf5").exists():
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            made = Path(folder) / "made.hdf5"
            request = {
                "contestant": EXETERA.module,
                "task": "make_file",
                "options": {"rows": rows, "columns": columns},
                "report": f"{folder}/report.json",
                "small": None,
                "work": {"inputs": folder, "output": str(made)},
            }
            outcome = run_worker(EXETERA, request, Path(folder) / "report.json", None)
            if outcome.error:
                raise SystemExit(f"ExeTera cannot make the file: {outcome.error}")
            made.rename(path.with_suffix(".hdf5"))
    if not path.with_suffix(".zarr").exists():
        convert(path.with_suffix(".hdf5"), path.with_suffix(".zarr"))


def values_of(path: Path) -> int:
    """Bytes of all values of a file."""
    from exetera_zarr import Session

    with Session() as session:
        fields = session.open_dataset(path, "r", "sized")["table"].values()
        arrays = [array for field in fields for array in field.arrays().values()]
        return sum(len(array) * array.dtype.itemsize for array in arrays)


def run(arguments: argparse.Namespace) -> None:
    """Take turns with the same file, and write the report."""
    arguments.cache.mkdir(parents=True, exist_ok=True)
    name = "file-{}-{}".format
    inputs = [
        arguments.cache / name(rows, arguments.columns) for rows in (arguments.rows, SMALL_ROWS)
    ]
    for path, rows in zip(inputs, (arguments.rows, SMALL_ROWS), strict=True):
        make(path, rows, arguments.columns)
    file = inputs[0].with_suffix(".hdf5")
    size = values_of(file)
    standings = {entry: Standing(entry.contestant) for entry in ENTRIES}
    with tempfile.TemporaryDirectory(dir=arguments.work_dir, prefix="benchmark-") as scratch:
        for number in range(arguments.repeats):
            start = number % len(ENTRIES)
            for entry in ENTRIES[start:] + ENTRIES[:start]:
                outcome = run_entry(entry, inputs, Path(scratch))
                standings[entry].add(outcome)
                shown = outcome.error or f"{outcome.seconds:.2f} s, {outcome.peak / 1e6:.0f} MB"
                progress("convert", entry.about, shown)
    sizes = f"{stored_bytes(file) / 1e6:,.0f} MB as HDF5, "
    sizes += f"{stored_bytes(file.with_suffix('.zarr')) / 1e6:,.0f} MB as Zarr"
    head = "what|seconds|MB/s|peak, MB"
    rows = [row_of(entry.about, standing, size) for entry, standing in standings.items()]
    parts = [
        f"# Conversion: {arguments.rows:,} rows, {arguments.columns} columns, {sizes}",
        describe(PACKAGES, arguments.work_dir or Path(tempfile.gettempdir())),
        ABOUT,
        table(head, rows),
    ]
    text = "\n\n".join(parts) + "\n"
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")
    else:
        print(text)


def row_of(about: str, standing: Standing, size: int) -> tuple[str, ...]:
    if not standing.counts:
        return about, standing.error or "-", "-", "-"
    times = Spread.of(standing.seconds)
    peak = max(standing.peaks) / 1e6
    return about, times.show(), f"{size / 1e6 / times.median:,.0f}", f"{peak:,.0f}"


def add_command(commands: Any) -> None:
    """Add `convert` to the command line."""
    parser = commands.add_parser("convert", help=__doc__, description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, metavar="N")
    parser.add_argument("--columns", type=int, default=50, metavar="N")
    parser.add_argument("--repeats", type=int, default=5, metavar="N")
    parser.add_argument("--cache", type=_absolute, default=cache_folder() / "benchmarks")
    parser.add_argument("--work-dir", type=_absolute, help="where to write")
    parser.add_argument("--out", type=Path, help="write the report here instead of printing it")
    parser.set_defaults(run=run)


def _absolute(text: str) -> Path:
    return Path(text).resolve()
