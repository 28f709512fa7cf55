"""ExeTera 0.6 in an environment of its own: it needs packages older than ours.

The environment is made in the user's cache folder when it is first needed, and kept.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

PINS = (
    "exetera==0.6.0",
    "numpy==1.24.4",
    "numba==0.57.1",
    "pandas==1.5.3",
    "h5py==3.9.0",
    "pytz",
    "parameterized",
)
PYTHONS = ("python3.11", "python3.10", "python3.9")  # the newest that numba 0.57 runs on leads


class NoEnvironmentError(RuntimeError):
    """ExeTera's environment is not there and cannot be made."""


def cache_folder() -> Path:
    """Where things that are costly to make are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "exetera_zarr"


def exetera_python() -> Path:
    """
    Interpreter of ExeTera's environment, which is made if there is none.

    Raises
    ------
    NoEnvironmentError
        There is no Python that it runs on, or the packages cannot be installed.
    """
    folder = cache_folder() / "exetera-0.6"
    python = folder / "bin" / "python"
    complete = folder / "complete"  # written last, so that half an environment is not taken
    if complete.exists() and complete.read_text(encoding="utf-8") == "\n".join(PINS):
        return python
    base = sys.executable if sys.version_info[:2] == (3, 11) else _first_found(PYTHONS)
    if base is None:
        raise NoEnvironmentError(f"ExeTera 0.6 needs one of {', '.join(PYTHONS)} on the PATH")
    shutil.rmtree(folder, ignore_errors=True)
    print(f"making ExeTera's environment in {folder}", file=sys.stderr, flush=True)
    _run([base, "-m", "venv", str(folder)])
    _run([str(python), "-m", "pip", "install", "--quiet", "--only-binary", ":all:", *PINS])
    _run([str(python), "-c", "import exetera.core.session, exetera.io.importer"])
    complete.write_text("\n".join(PINS), encoding="utf-8")
    return python


def _first_found(names: tuple[str, ...]) -> str | None:
    """Return the first that runs; a launcher may be there without the version that it launches."""
    for name in names:
        path = shutil.which(name)
        if (
            path
            and subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0
        ):
            return path
    return None


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no message"]
        what = " ".join(command[1:4])
        raise NoEnvironmentError(f"ExeTera's environment cannot be made: {what}: {lines[-1]}")


def run(arguments: argparse.Namespace) -> None:
    """Print the interpreter of ExeTera's environment."""
    try:
        print(exetera_python())
    except NoEnvironmentError as error:
        raise SystemExit(str(error)) from None


def add_command(commands: Any) -> None:
    """Add `environment` to the command line."""
    about = "make ExeTera's environment, and print its interpreter"
    parser = commands.add_parser("environment", help=about, description=about)
    parser.set_defaults(run=run)
