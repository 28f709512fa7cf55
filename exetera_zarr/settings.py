"""How much memory may be used."""

from __future__ import annotations

import ctypes
import os
import re
import tempfile
import warnings
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from math import isfinite
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar

from exetera_zarr.errors import DataError, ExeteraCompatibilityWarning
from exetera_zarr.faces import NATIVE, Face
from exetera_zarr.texts import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "Settings",
    "cache_limit",
    "checked_folder",
    "face_of",
    "let_pass",
    "memory_limit",
    "physical_memory",
    "settings_of",
    "size_in_bytes",
]

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_LEAST = 256 * 10**6
_UNKNOWN = 4 << 30
# Nobody asked for more, and a column that grows is spilled once and read back once.
_CACHED_UNASKED = 256 << 20
_CGROUPS = "/sys/fs/cgroup"
_OWN_CGROUPS = "/proc/self/cgroup"


@dataclass
class Settings:
    """What a session says to the datasets that it opens."""

    timestamp: str
    memory_limit: int
    cache_limit: int
    row_block: int | None = None
    spill_dir: str | None = None
    face: Face = NATIVE
    leniencies: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often ExeTera's face let something pass, by what it was and where."""
    on_error: str | None = None
    author: str = ""
    """Who makes the versions."""
    message: str = ""
    """Why, where a commit does not say it."""
    progress: bool | None = None
    """Whether long work says how far it is; None where that depends on who looks."""
    cluster: Any = None
    """The client of Dask's that verbs run on; None where they run in this process."""

    def undoes(self, error: BaseException) -> bool:
        """Whether an exception that leaves a ``with`` block undoes what was not committed."""
        if isinstance(error, SystemExit) and error.code in (None, 0):
            return False
        if isinstance(error, GeneratorExit):  # nobody wants more of a generator: nothing failed
            return False
        if self.on_error is None:
            return self.face.rolls_back_on_error
        return self.on_error == "rollback"


def settings_of(owner: object) -> Settings | None:
    """The settings of a session; None of what is none, such as a script's own stand-in for one."""
    found = getattr(owner, "settings", None)
    return found if isinstance(found, Settings) else None


def face_of(owner: object) -> Face:
    """The face of a session; the native one of what is none."""
    settings = settings_of(owner)
    return NATIVE if settings is None else settings.face


def let_pass(settings: Settings | None, what: str, where: str, rows: int = 1) -> None:
    """
    Count something that ExeTera lets pass, and tell it once for each place.

    Parameters
    ----------
    settings
        Of the session.
    what
        What was done, as a clause: ``cut strings that are too long``.
    where
        The field, file or table that it was done to.
    rows
        How many rows it concerns.
    """
    counted = Counter[tuple[str, str]]() if settings is None else settings.leniencies
    first = (what, where) not in counted
    counted[what, where] += rows
    if first:
        warnings.warn(
            visible(f"{where}: {what}, as ExeTera does"), ExeteraCompatibilityWarning, stacklevel=3
        )


@cache
def physical_memory() -> int:
    """
    Bytes of the machine, or of the container if that has less.

    The system is asked once in a process: that takes a third of the time of opening a small dataset
    (measured).
    """
    memory = _memory_of_machine()
    for path in _limit_files():
        try:
            text = path.read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdigit():
            memory = min(memory, int(text))
    return memory


def _memory_of_machine() -> int:
    """Bytes of the machine, as its system says; a little where it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        pass
    try:
        status = _MemoryStatus(ctypes.sizeof(_MemoryStatus))
        windows = ctypes.WinDLL("kernel32")  # type: ignore[attr-defined,unused-ignore]
        if windows.GlobalMemoryStatusEx(ctypes.byref(status)):
            return int(status.total)
    except (AttributeError, OSError):
        pass
    return _UNKNOWN


class _MemoryStatus(ctypes.Structure):
    """MEMORYSTATUSEX of Windows."""

    _fields_: ClassVar = [
        ("size", ctypes.c_ulong),
        ("load", ctypes.c_ulong),
        ("total", ctypes.c_ulonglong),
        *((f"other_{n}", ctypes.c_ulonglong) for n in range(6)),
    ]


def _limit_files() -> Iterator[Path]:
    """Where the limits of the process's own control group, and of those around it, may be."""
    try:
        lines = Path(_OWN_CGROUPS).read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    places = {("", "."), ("memory", ".")}  # of a container, which sees its own group as the root
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers == "" or "memory" in controllers.split(","):
            path = PurePosixPath(group.lstrip("/"))
            places |= {(controllers and "memory", str(one)) for one in (path, *path.parents)}
    for controller, group in sorted(places):
        name = "memory.limit_in_bytes" if controller else "memory.max"
        yield Path(_CGROUPS, controller, group, name)


def memory_limit(wanted: float | str | None) -> int:
    """
    A memory limit in bytes.

    Parameters
    ----------
    wanted
        Bytes; text such as ``"2GB"`` (powers of ten) or ``"2GiB"`` (powers of two); a share of the
        memory there is, as a float up to 1; None for half of it.

    Returns
    -------
    int

    Raises
    ------
    DataError
        It cannot be read, or is below 256 MB.
    """
    if wanted is None:
        return max(physical_memory() // 2, _LEAST)
    if isinstance(wanted, float) and 0 < wanted <= 1:
        limit = int(physical_memory() * wanted)
    elif isinstance(wanted, (int, float)) and not isinstance(wanted, bool) and isfinite(wanted):
        limit = int(wanted)
    else:
        limit = _from_text(wanted)
    if limit < _LEAST:
        raise DataError(f"a memory limit of {wanted!r} is below the least that works, 256MB")
    return limit


def cache_limit(wanted: float | str | None) -> int:
    """Bytes of changed blocks that a dataset keeps in memory, of a limit as in `memory_limit`."""
    share = memory_limit(wanted) // 4
    return min(share, _CACHED_UNASKED) if wanted is None else share


def checked_folder(folder: str | os.PathLike[str]) -> str:
    """The path of a folder for temporary files; DataError unless one can be made there."""
    path = os.fspath(folder)
    try:
        tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        raise DataError(
            f"nothing can be written to the spill_dir {path!r}: {error.strerror}"
        ) from error
    return path


def size_in_bytes(wanted: float | str, what: str) -> int:
    """
    A size in bytes, of a number or of text such as ``"10GB"`` or ``"10GiB"``.

    Parameters
    ----------
    wanted
        At least a byte.
    what
        What it is the size of, for messages.

    Raises
    ------
    DataError
        It cannot be read, or is nothing.
    """
    number = isinstance(wanted, (int, float)) and not isinstance(wanted, bool)
    size = int(wanted) if number and isfinite(float(wanted)) else _from_text(wanted, what)
    if size < 1:
        raise DataError(f"a {what} of {wanted!r} has no room")
    return size


def _from_text(wanted: object, what: str = "memory limit") -> int:
    found = re.fullmatch(r"\s*([0-9.]+)\s*([KMGT]?)(I?)B?\s*", str(wanted).upper())
    try:
        assert found is not None
        number, unit, binary = found.groups()
        factor = 1024 ** "KMGT".index(unit) * 1024 if binary and unit else _UNITS[unit]
        return int(float(number) * factor)
    except (AssertionError, ValueError) as error:
        raise DataError(f"{wanted!r} is not a {what}; write for example '2GB'") from error
