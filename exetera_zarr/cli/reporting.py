"""What the command says when something goes wrong: one line each, on stderr."""

from __future__ import annotations

import functools
import sys
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ParamSpec

import typer

from exetera_zarr.cli import PROGRAM
from exetera_zarr.errors import ExeteraError
from exetera_zarr.texts import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["InterruptedAtError", "UsageError", "reported", "say", "show_tracebacks", "tell"]

P = ParamSpec("P")

# What to install where a library is missing.
EXTRAS = {"s3fs": "s3", "gcsfs": "gcs", "h5py": "hdf5"}

_tracebacks = False


class UsageError(ExeteraError):
    """An argument that cannot be understood."""


class InterruptedAtError(ExeteraError):
    """An interrupt of which there is more to say than that it was one."""


def show_tracebacks(*, wanted: bool) -> None:
    """Say whether errors leave the command as they are, with their tracebacks."""
    global _tracebacks  # noqa: PLW0603 - the one setting that a decorator cannot be given
    _tracebacks = wanted


def reported(command: Callable[P, None]) -> Callable[P, None]:
    """Make a command say what went wrong in one line, and exit with the code for it."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            with _warnings_in_one_line():
                command(*args, **kwargs)
            sys.stdout.flush()  # while an error of it can still be met
        except (typer.Exit, BrokenPipeError):
            # Whoever read our output has seen enough: typer ends without a word.
            raise
        except BaseException as error:
            if _tracebacks or isinstance(error, SystemExit):
                raise
            raise typer.Exit(_report(error)) from None

    return run


def _report(error: BaseException) -> int:
    """Say what went wrong; return the exit code."""
    match error:
        case InterruptedAtError():
            say(f"interrupted: {_one_line(error)}")
            return 130
        case KeyboardInterrupt():
            say("interrupted")
            return 130
        case UsageError():
            say(f"error: {_one_line(error)}")
            return 2
        case ExeteraError() | OSError() | ImportError() | ValueError():
            say(f"error: {_one_line(error)}")
        case _:
            # Not foreseen, so perhaps a mistake of ours: whoever looks for it wants to see where.
            kind = type(error).__name__
            say(f"error: {kind}: {_one_line(error)} ({PROGRAM} --debug ... shows where)")
    return 1


def say(text: str) -> None:
    """Write a line on stderr."""
    sys.stderr.write(f"{PROGRAM}: {visible(text)}\n")


def tell(lines: Iterable[str]) -> None:
    """Write lines on stdout: what a command was asked for."""
    sys.stdout.writelines(f"{visible(line)}\n" for line in lines)


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, FileNotFoundError) and " " not in text:
        # Of a URL that is not there fsspec says the URL, and no more.
        return f"{text}: there is no such file"
    if isinstance(error, ImportError):
        for library, extra in EXTRAS.items():
            if library in text:
                return f"{text}: pip install '{PROGRAM}[{extra}]'"
    return text


@contextmanager
def _warnings_in_one_line() -> Iterator[None]:
    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        say(f"warning: {' '.join(str(message).split())}")

    with warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = show
        yield
