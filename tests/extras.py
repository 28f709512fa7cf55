"""Each extra alone in an environment: what it brings works, and the rest says what is missing.

`tox -e extras` runs it. It builds the wheel, makes the environments, and runs itself in each.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exetera_zarr import Session

ROOT = Path(__file__).parents[1]
#: Extras for those who work on the package, and those that are several others.
OF_DEVELOPERS = {"all", "bench", "browser", "demo", "dev", "docs", "test"}
#: Tells the script that it runs in one of its environments.
INSIDE = "--inside"
#: What to install for a use, and the module that it needs.
NEEDS = {
    "the command": ("exetera-zarr[cli]", "typer"),
    "a table as a collection of Dask": ("exetera-zarr[dask]", "dask.dataframe"),
    "a column as an array of Dask": ("exetera-zarr[dask]", "distributed"),
    "credentials of workers": ("exetera-zarr[dask]", "distributed"),
    "S3": ("exetera-zarr[s3]", "s3fs"),
    "GCS": ("exetera-zarr[gcs]", "gcsfs"),
    "a file of ExeTera": ("exetera-zarr[hdf5]", "h5py"),
    "a frame of pandas": ("exetera-zarr[pandas]", "pandas"),
    "counts as pandas has them": ("exetera-zarr[pandas]", "pandas"),
    "the result of a query as pandas": ("exetera-zarr[pandas]", "pandas"),
    "a frame of Polars": ("polars", "polars"),
    "a picture": ("exetera-zarr[plots]", "matplotlib"),
    "a file of SPSS": ("exetera-zarr[statistics]", "pyreadstat"),
    "a dataset of xarray": ("exetera-zarr[xarray]", "xarray"),
}


def extras() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return sorted(project["optional-dependencies"].keys() - OF_DEVELOPERS)


def there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


# -- in one of the environments


def command() -> None:
    program = str(Path(sys.executable).with_name("exetera-zarr"))
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImportError(done.stderr.strip())


def bucket(url: str, module: str, client: str) -> None:
    """Up to the client: there is no bucket here."""
    from exetera_zarr import Session

    if there(module):
        import_module(client)
        return
    with Session() as session:
        session.open_dataset(url, "r")


def credentials() -> None:
    from exetera_zarr.dask import WorkerCredentials

    assert callable(WorkerCredentials)


def uses(session: Session, folder: Path) -> dict[str, Callable[[], object]]:
    study = session.open_dataset(folder / "study.zarr", "w", "study")
    people = study.from_dict("people", {"age": [34, 51, 47]})
    study.commit()
    return {
        "the command": command,
        "a table as a collection of Dask": lambda: people.to_dask().compute(),
        "a column as an array of Dask": lambda: people["age"].to_dask_array().sum().compute(),
        "credentials of workers": credentials,
        "S3": lambda: bucket("s3://bucket/a.zarr", "s3fs", "exetera_zarr.storage.remote.s3"),
        "GCS": lambda: bucket("gs://bucket/a.zarr", "gcsfs", "exetera_zarr.storage.remote.gcs"),
        "a file of ExeTera": lambda: session.open_dataset(folder / "old.hdf5", "w", "old"),
        "a frame of pandas": people.to_pandas,
        "counts as pandas has them": people["age"].value_counts().to_pandas,
        "the result of a query as pandas": study.sql("SELECT age FROM people").to_pandas,
        "a frame of Polars": people.to_polars,
        "a picture": people["age"].plot,
        "a file of SPSS": lambda: people.to_spss(folder / "people.sav"),
        "a dataset of xarray": people.to_xarray,
    }


def check(name: str, use: Callable[[], object]) -> str:
    """Use it; return what was said instead, which names what to install, in one line."""
    wanted, module = NEEDS[name]
    try:
        use()
    except (ImportError, NotImplementedError) as error:
        said = str(error)
        assert not there(module), f"{name} fails though {module} is here: {said}"
        named = f"pip install '{wanted}'", f"the extra '{wanted[len('exetera-zarr[') : -1]}'"
        assert "\n" not in said, f"{name}: more than one line: {said}"
        assert any(text in said for text in named), f"{name}: {said}"
        return said
    assert there(module), f"{name} works without {module}"
    return "works"


def check_all() -> None:
    from exetera_zarr import Session

    with tempfile.TemporaryDirectory() as folder, Session() as session:
        found = uses(session, Path(folder))
        assert found.keys() == NEEDS.keys()
        for name, use in found.items():
            sys.stdout.write(f"  {name}: {check(name, use)}\n")


# -- outside of them


def main(chosen: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        build = [sys.executable, "-m", "build", "--wheel", "--outdir", folder, str(ROOT)]
        subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
        (wheel,) = Path(folder).glob("*.whl")
        for extra in chosen or ["", *extras()]:
            sys.stdout.write(f"{extra or 'no extra'}\n")
            sys.stdout.flush()
            home = Path(folder) / (extra or "none")
            venv.create(home, with_pip=True)
            python = str(home / ("Scripts" if sys.platform == "win32" else "bin") / "python")
            wanted = f"{wheel}[{extra}]" if extra else str(wheel)
            subprocess.run([python, "-m", "pip", "install", "--quiet", wanted], check=True)
            subprocess.run([python, "-I", __file__, INSIDE], check=True)


if __name__ == "__main__":
    if sys.argv[1:] == [INSIDE]:
        check_all()
    else:
        main(sys.argv[1:])
