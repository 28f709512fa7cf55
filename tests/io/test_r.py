"""What docs/statistics.md has of R runs in R, where there is one, and finds what was written."""

from __future__ import annotations

import datetime as dt
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from exetera_zarr import Session
from support.missing import write

RSCRIPT = shutil.which("Rscript")
PAGE = Path(__file__).parents[2] / "docs" / "statistics.md"
DAY = dt.datetime(2020, 1, 1, 12, 30, tzinfo=dt.UTC)
ROWS = [
    (34, 1.5, True, "York", "m", DAY, "a"),
    (None, None, None, None, None, None, None),
    (51, -2.25, False, "é, Bath", "f", DAY, "zz"),
]
CHECKS = """
stopifnot(
  identical(as.numeric(people$age), c(34, NA, 51)),
  identical(as.numeric(people$weight), c(1.5, NA, -2.25)),
  identical(as.numeric(people$flag), c(1, NA, 0)),
  identical(as.character(people$sex), c("m", NA, "f")),
  identical(levels(people$sex), c("f", "m")),
  identical(as.character(people$town)[c(1, 3)], c("York", "\\u00e9, Bath")),
  identical(format(people$joined, "%Y-%m-%d %H:%M:%S", tz = "UTC"), c("2020-01-01 12:30:00", NA, "2020-01-01 12:30:00"))
)
"""  # noqa: E501
PACKAGES = {"read.csv": None, "read_dta": "haven", "read_sav": "haven"}

pytestmark = pytest.mark.skipif(RSCRIPT is None, reason="there is no R")


def blocks():
    return re.findall(r"```r\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def run(code, folder):
    return subprocess.run(
        [RSCRIPT, "--vanilla", "-e", code],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
    )


@pytest.mark.parametrize("call", PACKAGES)
def test_r_reads_what_is_written(call, tmp_path):
    code = next(block for block in blocks() if call in block)
    package = PACKAGES[call]
    if package and run(f"library({package})", tmp_path).returncode:
        pytest.skip(f"R has no package {package}")
    if "read_" in call:
        pytest.importorskip("pyreadstat")
    with Session() as s:
        table = write(s.open_dataset("memory://r.zarr", "w", "d").create_dataframe("people"), ROWS)
        table.rename("when", "joined")
        table["age"].label = "Age at entry"
        match call:
            case "read.csv":
                table.to_csv(tmp_path / "people.csv")
            case "read_dta":
                table.to_stata(tmp_path / "people.dta")
            case _:
                table.to_spss(tmp_path / "people.sav")
    done = run(code + CHECKS, tmp_path)
    assert done.returncode == 0, done.stderr
