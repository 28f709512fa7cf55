"""Runs a script as Python would, with ExeTera's import paths leading to our modules."""

from __future__ import annotations

import io
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from exetera_zarr.compat.finder import install
from exetera_zarr.storage import ending

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

__all__ = ["run_script"]


def run_script(script: str, arguments: Sequence[str] = ()) -> None:
    """
    Run a Python script in place of the program that is running.

    ``sys.argv``, ``sys.path``, ``__main__`` and ``__file__`` are as in ``python script.py``. They
    stay so, since what the script leaves behind may need them until the process ends.

    Parameters
    ----------
    script
        Its path.
    arguments
        What it finds in ``sys.argv`` after its name.

    Raises
    ------
    SystemExit
        The script exits, or an exception left it, whose traceback was printed.
    """
    install()
    main = ModuleType("__main__")
    main.__file__ = script
    main.__loader__ = SourceFileLoader("__main__", script)
    sys.argv = [script, *arguments]
    sys.path.insert(0, str(Path(script).resolve().parent))
    sys.modules["__main__"] = main
    try:
        with io.open_code(script) as file:
            code = compile(file.read(), script, "exec")
        exec(code, main.__dict__)  # noqa: S102 - running the script is what was asked for
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 - told as Python itself would
        error.__traceback__ = _within(script, error.__traceback__)
        sys.excepthook(type(error), error, error.__traceback__)
        ending.note_error(error)
        raise SystemExit(130 if isinstance(error, KeyboardInterrupt) else 1) from None


def _within(script: str, trace: TracebackType | None) -> TracebackType | None:
    """The traceback from the script's first line of it on; of a syntax error nothing."""
    while trace is not None and trace.tb_frame.f_code.co_filename != script:
        trace = trace.tb_next
    return trace
