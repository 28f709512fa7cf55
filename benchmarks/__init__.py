"""Measurements of exetera_zarr beside what people use today; run `python -m benchmarks --help`."""
