"""The command `doctor`: what is installed, and whether a place can be read and written."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import secrets
import shutil
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from exetera_zarr._version import __version__
from exetera_zarr.cli.info import size
from exetera_zarr.cli.options import AsJson, StorageOptions, parse_storage_options, print_json
from exetera_zarr.cli.reporting import tell
from exetera_zarr.errors import ExeteraError
from exetera_zarr.settings import physical_memory
from exetera_zarr.storage import shown
from exetera_zarr.storage.stores.local import LocalStore
from exetera_zarr.tables.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from exetera_zarr.storage.stores.base import ObjectStore

__all__ = ["doctor"]

NEEDED = ("zarr", "numcodecs", "numpy", "pyarrow", "duckdb", "fsspec")
EXTRAS = {
    "s3": "s3fs",
    "gcs": "gcsfs",
    "hdf5": "h5py",
    "pandas": "pandas",
    "xarray": "xarray",
    "dask": "distributed",
    "statistics": "pyreadstat",
    "plots": "matplotlib",
}
"""By extra, the library that it brings."""
IN_ENVIRONMENT = (
    *("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    *("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
    *("AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "GOOGLE_APPLICATION_CREDENTIALS"),
)
FILES = (
    "~/.aws/credentials",
    "~/.aws/config",
    "~/.config/gcloud/application_default_credentials.json",
)
ROWS = 1 << 20
ROUNDS = 5
_FORESEEN = (ExeteraError, OSError, ImportError, ValueError)


def doctor(
    place: Annotated[
        str | None,
        typer.Argument(
            metavar="FOLDER",
            show_default=False,
            help="Path or URL below which a dataset is made for a test, and removed again.",
        ),
    ] = None,
    as_json: AsJson = False,
    storage_option: StorageOptions = None,
) -> None:
    """
    Say what is installed, and whether a place can be read, written and committed to.

    Of credentials it says where there are any, never what they are.
    """
    found = _found()
    if place is not None:
        found["place"] = _tried(place, dict(parse_storage_options(storage_option)))
    if as_json:
        print_json(found)
    else:
        tell(_lines(found))
    if "error" in found.get("place", {}):
        raise typer.Exit(1)


def _found() -> dict[str, Any]:
    return {
        "version": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "memory": physical_memory(),
        "libraries": {name: _version_of(name) for name in NEEDED},
        "extras": {extra: _version_of(name) for extra, name in EXTRAS.items()},
        "credentials": [
            *(name for name in IN_ENVIRONMENT if os.environ.get(name)),
            *(name for name in FILES if Path(name).expanduser().is_file()),
        ],
    }


def _version_of(library: str) -> str | None:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None


def _tried(place: str, options: dict[str, Any]) -> dict[str, Any]:
    """What a dataset of one column costs there, or what went wrong and at which step."""
    from exetera_zarr.storage.stores.opening import open_store

    url = f"{place.rstrip('/')}/exetera-zarr-doctor-{secrets.token_hex(8)}.zarr"
    found: dict[str, Any] = {"url": shown(url)}
    try:
        store = open_store(url, options, durable=True, single_writer=False)
    except _FORESEEN as error:
        return found | {"error": f"could not open it: {error}"}
    if isinstance(store, LocalStore) and not Path(store.url).parent.is_dir():
        return found | {"error": f"there is no folder {shown(place)}"}
    try:
        for step, attempt in _steps(url, options, store):
            try:
                found |= attempt()
            except _FORESEEN as error:
                return found | {"error": f"could not {step}: {error}"}
    finally:
        found |= _removed(store)
    return found


def _steps(
    url: str, options: dict[str, Any], store: ObjectStore
) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """What is tried, in order, and what it is called."""
    values = np.random.default_rng(0).random(ROWS)

    def write() -> dict[str, Any]:
        with Session(progress=False) as session:
            dataset = session.open_dataset(url, "x", storage_options=options)
            table = dataset.create_dataframe("table", row_block=ROWS)
            seconds = _timed(lambda: _written(dataset, table, values))
        return {"bytes": int(values.nbytes), "write_and_commit_seconds": seconds}

    def read() -> dict[str, Any]:
        with Session(progress=False) as session:
            field = session.open_dataset(url, "r", storage_options=options)["table"]["values"]
            got: list[Any] = []
            seconds = _timed(lambda: got.append(field.data[:]))
        return {"read_seconds": seconds, "equal": bool(np.array_equal(got[0], values))}

    def wait() -> dict[str, Any]:
        rounds = [_timed(lambda: store.get("zarr.json")) for _ in range(ROUNDS)]
        return {"latency_seconds": statistics.median(rounds)}

    yield "write and commit", write
    yield "read", read
    yield "ask for an object", wait
    # What is there would be replaced where the condition is not heeded; it is removed in any case.
    yield "write on a condition", lambda: {"heeds_conditions": not store.create("zarr.json", b"")}


def _removed(store: ObjectStore) -> dict[str, Any]:
    """Remove all of it; what could not be removed is said."""
    try:
        for entry in list(store.everything("")):
            store.delete(entry.key)
        if isinstance(store, LocalStore):
            shutil.rmtree(store.url, ignore_errors=True)  # folders without files
    except _FORESEEN as error:
        return {"remains": str(error)}
    return {}


def _written(dataset: Any, table: Any, values: Any) -> None:
    table.create_numeric("values", "float64").data.write(values)
    dataset.commit()


def _timed(task: Callable[[], object]) -> float:
    started = time.perf_counter()
    task()
    return time.perf_counter() - started


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"exetera-zarr {found['version']}, Python {found['python']}, {found['system']}"
    yield f"memory that this process may use: {size(found['memory'])}"
    yield "libraries: " + ", ".join(f"{name} {it}" for name, it in found["libraries"].items())
    for extra, version in found["extras"].items():
        there = (
            f"{EXTRAS[extra]} {version}" if version else f"no: pip install 'exetera-zarr[{extra}]'"
        )
        yield f"  {extra:<11}{there}"
    yield "credentials: " + (", ".join(found["credentials"]) or "none are set here")
    place = found.get("place")
    if place is None:
        yield "no place was tried: exetera-zarr doctor s3://bucket/folder"
        return
    yield f"a dataset at {place['url']}"
    for what in ("write_and_commit", "read"):
        if f"{what}_seconds" in place:
            seconds = place[f"{what}_seconds"]
            rate = size(int(place["bytes"] / max(seconds, 1e-9)))
            yield f"  {what.replace('_', ' '):<20}{seconds:.3f} s, {rate}/s"
    if "latency_seconds" in place:
        yield f"  {'an object':<20}{place['latency_seconds'] * 1000:.1f} ms"
    if "heeds_conditions" in place:
        heeded = "yes" if place["heeds_conditions"] else "no: one at a time"
        yield f"  {'several writers':<20}{heeded}"
    if "equal" in place:
        yield f"  {'read as written':<20}{'yes' if place['equal'] else 'NO'}"
    if "error" in place:
        yield f"  {place['error']}"
    if "remains" in place and "bytes" in place:
        yield f"  could not remove all of it: {place['remains']}"
