"""The errors of exetera_zarr: a small tree by what the caller would do about them.

Each is also the built-in exception that ExeTera raised in that place, so that existing ``except``
clauses keep working.
"""

from __future__ import annotations

import errno
import shutil
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from exetera_zarr.texts import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

__all__ = [
    "AccessDeniedError",
    "AccessorError",
    "ArgumentError",
    "ArgumentTypeError",
    "CommitStateUnknownError",
    "ConflictError",
    "CorruptDataError",
    "DataError",
    "DatasetExistsError",
    "DatasetNotFoundError",
    "ExeteraCompatibilityWarning",
    "ExeteraError",
    "FieldNotFoundError",
    "MemoryLimitError",
    "MissingPackageError",
    "NameTakenError",
    "RaggedTableWarning",
    "ReadOnlyError",
    "ResultRangeError",
    "RowError",
    "SchemaError",
    "StorageError",
    "TableNotFoundError",
    "UnsupportedError",
    "VersionNotFoundError",
    "about",
    "needing",
]


class ExeteraError(Exception):
    """
    Base of every error that exetera_zarr raises on purpose.

    Its message may have names and values of strangers in it, and is shown so that they do nothing
    to a terminal; `args` has them as they are.
    """

    def __str__(self) -> str:
        numbered = isinstance(self, OSError) and self.errno is not None
        text = OSError.__str__(self) if numbered else Exception.__str__(self)
        return visible(text, lines=True)


class DatasetNotFoundError(ExeteraError, FileNotFoundError):
    """There is no dataset at the given place."""


class VersionNotFoundError(DatasetNotFoundError):
    """The dataset has no such version, or has it no more."""


class DatasetExistsError(ExeteraError, FileExistsError):
    """The place that should hold a new dataset is taken."""


class NotFoundError(ExeteraError, ValueError, KeyError):
    """A name that does not exist was asked for; the message lists the names that do."""


class TableNotFoundError(NotFoundError):
    """The dataset has no table of that name."""


class FieldNotFoundError(NotFoundError):
    """The table has no field of that name."""


class NameTakenError(ExeteraError, ValueError):
    """A table or field of that name exists already."""


class ReadOnlyError(ExeteraError, PermissionError, ValueError):
    """A change was asked of something opened for reading."""


class ConflictError(ExeteraError, RuntimeError):
    """Another writer committed a version that this draft does not know."""


class CorruptDataError(ExeteraError, ValueError):
    """Stored bytes are not what was written: a checksum, a size or a document is wrong."""


class SchemaError(ExeteraError, ValueError):
    """An import schema, or its fit to a CSV file, is wrong."""


class DataError(ExeteraError, ValueError):
    """A value given by the user does not fit the field it is meant for."""


class ArgumentError(ExeteraError, ValueError):
    """An argument has a value that the function does not take."""


class ArgumentTypeError(ExeteraError, TypeError):
    """An argument is of a type that the function does not take, or does not go with the others."""


class AccessorError(ArgumentTypeError, AttributeError):
    """``field.dt`` or ``field.str`` was asked of a field whose values have no such parts."""


class RowError(DataError, IndexError):
    """A row was asked for that does not exist."""


class ResultRangeError(ExeteraError, OverflowError):
    """A result is beyond the numbers that can be stored."""


class MemoryLimitError(ExeteraError, MemoryError):
    """The work does not fit the memory limit, not even with spilling."""


class UnsupportedError(ExeteraError, NotImplementedError):
    """The format, the back end or this version cannot do what was asked."""


class MissingPackageError(UnsupportedError, ImportError):
    """A package that only some of the methods need is not installed; the message says how to."""


class StorageError(ExeteraError, OSError):
    """The store failed: network, disk, permission."""


class AccessDeniedError(StorageError, PermissionError):
    """The store does not let these credentials do that, or there are none."""


class CommitStateUnknownError(StorageError):
    """
    Whether a commit was applied could not be found out.

    Nothing is lost: the dataset stays open with its changes, what was written stays where it is,
    and another ``commit()`` finds out, and commits if it was not.
    """


class ExeteraCompatibilityWarning(UserWarning):
    """ExeTera's face let something pass that is an error by default; told once for each place."""


class RaggedTableWarning(UserWarning):
    """A table whose fields have different lengths was committed; told once for each commit."""


@contextmanager
def needing(what: str, wanted: str, instead: str = "") -> Iterator[None]:
    """
    Say what to install where an import fails.

    Parameters
    ----------
    what
        The subject of the sentence: ``"to_pandas"``.
    wanted
        What pip is asked for: ``"exetera-zarr[pandas]"``.
    instead
        The end of the sentence: what would do without it.

    Raises
    ------
    MissingPackageError
        A module does not exist.
    """
    try:
        yield
    except (ModuleNotFoundError, MissingPackageError) as error:
        missing = MissingPackageError(
            f"{what} needs {error.name}, which is not installed: pip install '{wanted}'{instead}"
        )
        missing.name = error.name
        raise missing from error


@contextmanager
def about(phrase: Callable[[], str]) -> Iterator[None]:
    """
    A ``with`` block in whose errors about values the message begins with what they are of.

    Parameters
    ----------
    phrase
        Says what that is; called when there is an error.
    """
    try:
        yield
    except (IndexError, TypeError, ValueError) as error:
        if type(error) not in _ABOUT_VALUES:
            raise
        raise type(error)(f"{phrase()}: {error}") from error


_ABOUT_VALUES = (
    IndexError,
    TypeError,
    ValueError,
    DataError,
    ArgumentError,
    ArgumentTypeError,
    RowError,
)


def full_folder(folder: str | None, problem: object) -> StorageError | None:
    """
    The error that says that a folder for temporary files is full; None if that is not the problem.

    Parameters
    ----------
    folder
        The one in which they are made; None for that of the system.
    problem
        What was raised.
    """
    if not says_full(problem):
        return None
    place = folder or tempfile.gettempdir()
    return StorageError(
        f"the folder for what does not fit the memory is full: {place} has "
        f"{shutil.disk_usage(place).free:,} bytes left; free some, or give Session(spill_dir=...) "
        "another folder"
    )


_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
_SIGNS_OF_FULL = ("No space left on device", "max_temp_directory_size", "Disk quota exceeded")


def is_of_content(error: BaseException) -> bool:
    """Whether Arrow says that what it read is wrong; for much of it, it raises OSErrors, too."""
    return not isinstance(error, ExeteraError) and getattr(error, "errno", None) is None


def is_full(error: object) -> bool:
    """Whether an error says that there is no room left, so that nothing was written."""
    return isinstance(error, OSError) and error.errno in _FULL


def says_full(problem: object) -> bool:
    """The same of what libraries raise, some of which give the text of the system alone."""
    return is_full(problem) or any(sign in str(problem) for sign in _SIGNS_OF_FULL)


def listing_lengths(lengths: Mapping[str, int]) -> str:
    """
    Names with their numbers of rows, for an error message.

    Returns
    -------
    str
        For example ``3 rows: 'age', 'height'; 2 rows: 'town'``; the most frequent number first.
    """
    names: dict[int, list[str]] = {}
    for name, rows in lengths.items():
        names.setdefault(rows, []).append(name)
    parts = sorted(names.items(), key=lambda part: -len(part[1]))
    return "; ".join(f"{rows} rows: {listing(those)}" for rows, those in parts)


def listing(names: Iterable[object], limit: int = 20) -> str:
    """
    Names for an error message.

    Parameters
    ----------
    names
        The names that exist, in order.
    limit
        How many are shown before the rest is counted.

    Returns
    -------
    str
        For example ``'age', 'height' and 12 more``.
    """
    shown = [repr(name) for name in names]
    if not shown:
        return "none"
    if len(shown) > limit:
        return f"{', '.join(shown[:limit])} and {len(shown) - limit} more"
    return ", ".join(shown)
