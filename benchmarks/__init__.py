"""Measurements of exetera_zarr beside what people use today; run `python -m benchmarks --help`."""

import sys
from pathlib import Path

# The servers and the proxy that the tests use too; the benchmarks run from a checkout alone.
sys.path.append(str(Path(__file__).parents[1] / "tests"))
