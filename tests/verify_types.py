"""How much of the interface has types, as pyright counts it; run by `tox -e public-types`."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

LEAST = 0.95
#: What the reference begins with: there every type has to be known.
COMPLETE = (
    "exetera_zarr.fields.",
    *(f"exetera_zarr.tables.{name}." for name in ("dataframe", "dataset", "groupby", "session")),
)


def verified() -> dict[str, Any]:
    command = ["pyright", "--verifytypes", "exetera_zarr", "--ignoreexternal", "--outputjson"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found: dict[str, Any] = json.loads(done.stdout)["typeCompleteness"]
    return found


def main() -> None:
    found = verified()
    score = found["completenessScore"]
    unknown = [
        f"{symbol['name']}: {problem['message'].splitlines()[0]}"
        for symbol in found["symbols"]
        if not symbol["isTypeKnown"]
        for problem in symbol["diagnostics"]
        if "docstring" not in problem["message"]
    ]
    sys.stdout.write("\n".join([*unknown, f"{score:.1%} of the symbols have a known type\n"]))
    assert score >= LEAST, f"less than {LEAST:.0%}"
    of_faces = [line for line in unknown if line.startswith(COMPLETE)]
    assert not of_faces, of_faces


if __name__ == "__main__":
    main()
