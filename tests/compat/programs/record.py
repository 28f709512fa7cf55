"""Runs the programs on ExeTera 0.6 with HDF5 files, and keeps what came out as JSON.

The results are in `results`: ``python -m tests.compat.programs.record`` writes them anew.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PROGRAMS = ("cleaning", "daily", "longitudinal")


def run_real(python: Path, program: str, folder: Path) -> dict[str, Any]:
    """Run a program on ExeTera, with the inputs in `folder`; return what its dataset holds."""
    shutil.copy(HERE / "schema.json", folder)
    dataset, out = folder / f"{program}.hdf5", folder / f"{program}.json"
    environment = {**os.environ, "TZ": "UTC"}
    environment.pop("PYTHONPATH", None)
    for script, *arguments in ((program, folder, dataset), ("dump", dataset, out)):
        command = [python, HERE / f"{script}.py", *arguments]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=600
        )
        if done.returncode:
            raise RuntimeError(f"{script}: {done.stderr}")
    found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return found


def main() -> None:
    from benchmarks.peers import exetera_python
    from tests.compat.programs.inputs import write_inputs

    for program in PROGRAMS:
        with tempfile.TemporaryDirectory() as folder:
            write_inputs(Path(folder))
            found = run_real(exetera_python(), program, Path(folder))
        text = json.dumps(found, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        (HERE / "results" / f"{program}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
