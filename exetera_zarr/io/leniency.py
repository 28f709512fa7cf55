"""What imports let pass in ExeTera's face, and how that is told."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from exetera_zarr.settings import let_pass

if TYPE_CHECKING:
    from collections.abc import Callable

    from exetera_zarr.settings import Settings

__all__ = ["Teller", "teller"]

Teller: TypeAlias = "Callable[..., None]"
"""Tells of something that was let pass: what, where, and (if it is not one) in how many rows."""


def teller(settings: Settings | None) -> Teller | None:
    """
    How an import tells what it lets pass.

    Parameters
    ----------
    settings
        Of the session.

    Returns
    -------
    callable or None
        None where nothing is let pass, since what does not fit is an error.
    """
    if settings is None or not settings.face.lenient_imports:
        return None
    return partial(let_pass, settings)
