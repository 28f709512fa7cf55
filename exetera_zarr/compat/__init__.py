"""ExeTera's import paths: after ``import exetera_zarr.compat`` they lead here.

>>> import exetera_zarr.compat
>>> from exetera.core.session import Session
>>> Session.__module__
'exetera_zarr.compat.session'

`exetera`, `exetera.core`, `exetera.io` and `exetera.processing` import in every form; a module that
ExeTera removed, or whose insides have no counterpart, says what takes its place.
"""

from __future__ import annotations

from exetera_zarr.compat.finder import install, uninstall

__all__ = ["install", "uninstall"]

install()
