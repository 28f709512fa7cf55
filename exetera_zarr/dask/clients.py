"""The cluster that collections would run on, and whether all of it can read a dataset."""

from __future__ import annotations

import pkgutil
import sys
import weakref
from typing import TYPE_CHECKING, Any

from dask.base import get_scheduler

from exetera_zarr._version import __version__
from exetera_zarr.dask.opened import dataset_at
from exetera_zarr.errors import AccessDeniedError, ExeteraError, StorageError
from exetera_zarr.texts import visible

if TYPE_CHECKING:
    from exetera_zarr.storage.base import Address

__all__ = ["check_workers", "current_client"]

_checked: weakref.WeakKeyDictionary[Any, set[tuple[Address, str]]] = weakref.WeakKeyDictionary()
"""By client, what was checked on which workers."""
_SHOWN = 5
_VERSION = "exetera_zarr._version:__version__"


def current_client() -> Any:
    """The client of Dask's that collections run on now; None where they run in this process."""
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return None
    owner = getattr(get_scheduler(), "__self__", None)
    return owner if isinstance(owner, distributed.Client) else None


def check_workers(client: Any, address: Address) -> None:
    """
    Raise unless all workers that there are now can read a version.

    Parameters
    ----------
    client
        Of Dask's.
    address
        Of the version.

    Raises
    ------
    AccessDeniedError
        Some have no credentials, or not those that are needed.
    StorageError
        Some cannot read it for another reason, or have not the package.
    """
    known = _checked.setdefault(client, set())
    workers = list(client.scheduler_info(n_workers=-1)["workers"])
    new = [name for name in workers if (address, name) not in known]
    if not new:
        return
    try:
        client.run_on_scheduler(pkgutil.resolve_name, _VERSION)
    except ImportError as error:
        raise StorageError(
            "exetera_zarr cannot be imported where the scheduler of the cluster runs, which has "
            f"to know it as well: install it there, in version {__version__}"
        ) from error
    found = _asked(client, new, pkgutil.resolve_name, _VERSION)
    new = list(found)
    problems = {name: _import(said) for name, said in found.items() if _import(said)}
    able = [name for name in new if name not in problems]
    denied = set()
    answers = _asked(client, able, _cannot_read, address)
    for name, said in answers.items():
        if said is not None:
            reason, without_access = said if isinstance(said, tuple) else (repr(said), False)
            problems[name] = reason
            denied |= {name} if without_access else set()
    if problems:
        kind = AccessDeniedError if denied == set(problems) else StorageError
        raise kind(_told(address, problems, len(workers), denied=bool(denied)))
    known.update((address, name) for name in answers)


def _asked(client: Any, workers: list[str], function: Any, *given: Any) -> dict[str, Any]:
    """What workers answer, also by an error; those that do not answer are Dask's business."""
    if not workers:
        return {}
    answers = client.run(function, *given, workers=workers, on_error="return")
    return {
        name: said
        for name, said in answers.items()
        if not isinstance(said, OSError) or isinstance(said, ExeteraError)
    }


def _import(said: Any) -> str:
    """Why the package of a worker will not do; nothing if it will."""
    if isinstance(said, BaseException):
        return f"exetera_zarr cannot be imported there: {said}"
    if said != __version__:
        return f"it has version {said} of exetera_zarr, and this process has {__version__}"
    return ""


def _cannot_read(address: Address) -> tuple[str, bool] | None:
    """Why this process cannot read a version, and whether it is refused; None where it can."""
    try:
        dataset_at(address)
    except AccessDeniedError as error:
        return f"{type(error).__name__}: {error}", True
    except (ExeteraError, OSError, ImportError) as error:
        return f"{type(error).__name__}: {error}", False
    return None


def _told(address: Address, problems: dict[str, str], workers: int, *, denied: bool) -> str:
    shown = "; ".join(f"{name}: {why}" for name, why in list(problems.items())[:_SHOWN])
    more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    advice = []
    if denied or address.withheld:
        held = f" ({', '.join(address.withheld)} stayed here)" if address.withheld else ""
        advice.append(
            f"Credentials are not sent to workers{held}: give the workers a role, or the variables "
            "of the environment, or register exetera_zarr.dask.WorkerCredentials with the client"
        )
    if "://" not in address.url:
        advice.append(
            "A local path has to be on a disk that all machines of the cluster have at this path"
        )
    elif address.url.startswith("memory://"):
        advice.append("memory:// is in this process alone: copy the dataset to a disk or a bucket")
    text = f"{len(problems)} of {workers} workers cannot read {address}: {shown}{more}"
    return visible(". ".join([text, *advice]))
