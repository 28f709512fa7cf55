"""The command `exetera-zarr`: what needs no script.

Errors are one line on stderr and exit code 1; wrong usage is exit code 2; an interrupt is 130.
"""

from __future__ import annotations

import sys

__all__ = ["main"]

PROGRAM = "exetera-zarr"
NO_TYPER = f"{PROGRAM}: the command needs the extra 'cli': pip install '{PROGRAM}[cli]'"


def main() -> None:
    """Run the command; the entry point of the package."""
    try:
        from exetera_zarr.cli.application import application
    except ModuleNotFoundError as error:
        if error.name != "typer":
            raise
        sys.stderr.write(f"{NO_TYPER}\n")
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        sys.stderr.write(f"{PROGRAM}: interrupted\n")
        raise SystemExit(130) from None
    application()(prog_name=PROGRAM)
