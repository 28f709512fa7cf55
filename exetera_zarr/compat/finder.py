"""Finds ExeTera's modules among ours."""

from __future__ import annotations

import importlib
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING, Any

from exetera_zarr.storage import share_reads

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

__all__ = ["MODULES", "PACKAGES", "REPLACED", "install", "uninstall"]

ROOT = "exetera"
VERSION = "0.6.0"
"""Of the ExeTera that these modules do the work of."""

PACKAGES = ("exetera", "exetera.core", "exetera.io", "exetera.processing", "exetera.bin")

MODULES = {
    "exetera.bin.exetera": "exetera_zarr.cli",
    "exetera.core.abstract_types": "exetera_zarr.compat.abstract_types",
    "exetera.core.dataframe": "exetera_zarr.compat.dataframe",
    "exetera.core.dataset": "exetera_zarr.compat.dataset",
    "exetera.core.fields": "exetera_zarr.compat.fields",
    "exetera.core.journal": "exetera_zarr.compat.journal",
    "exetera.core.operations": "exetera_zarr.compat.operations",
    "exetera.core.session": "exetera_zarr.tables.session",
    "exetera.core.utils": "exetera_zarr.compat.utils",
    "exetera.core.validation": "exetera_zarr.compat.validation",
    "exetera.io.field_importers": "exetera_zarr.compat.field_importers",
    "exetera.io.importer": "exetera_zarr.io.importer",
    "exetera.io.load_schema": "exetera_zarr.io.schema.load",
    "exetera.io.parsers": "exetera_zarr.compat.parsers",
    "exetera.processing.date_time_helpers": "exetera_zarr.compat.date_time_helpers",
    "exetera.processing.numpy_buffer": "exetera_zarr.compat.numpy_buffer",
}

_REMOVED = "ExeTera removed it in 0.6"
REPLACED = {
    # removed by ExeTera itself
    "exetera.core.persistence": f"{_REMOVED}: use exetera.core.session.Session for a DataStore, "
    "fields for readers and writers, and exetera.core.operations for filter_duplicate_fields and "
    "foreign_key_is_in_primary_key",
    "exetera.core.readerwriter": f"{_REMOVED}: use session.get(...).data for a reader, and "
    "session.create_numeric(...).data.write for a writer",
    "exetera.core.exporter": f"{_REMOVED}: use DataFrame.to_csv",
    "exetera.core.csvdataset": f"{_REMOVED}: use exetera.io.parsers.read_csv",
    "exetera.core.filtered_field": f"{_REMOVED}: use field.apply_filter",
    "exetera.core.regression": f"{_REMOVED}: compare tables with DataFrame.to_pandas",
    "exetera.core.split": f"{_REMOVED}: use DataFrame.apply_filter or apply_index with ddf=",
    "exetera.core.data_schema": f"{_REMOVED}: use exetera.io.load_schema",
    "exetera.core.importer": f"{_REMOVED}: use exetera.io.importer",
    "exetera.core.load_schema": f"{_REMOVED}: use exetera.io.load_schema",
    # inner workings
    "exetera.core.csv_reader_speedup": "its reader of CSV is an inner part: use "
    "exetera.io.parsers.read_csv",
    "exetera.core.data_writer": "it is an inner part: use field.data.write",
    "exetera.core.indexed_array": "it never held any data: use an IndexedStringMemField",
}


class _Finder(MetaPathFinder):
    """Finds the names of the tables above, and nothing else."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002 - that of our package is empty
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        if fullname in PACKAGES:
            return ModuleSpec(fullname, _Package(), is_package=True)
        if fullname in MODULES or fullname in REPLACED:
            return ModuleSpec(fullname, _Module())
        return None


class _Package(Loader):
    """Makes a package whose modules are imported when they are asked for."""

    def exec_module(self, module: ModuleType) -> None:
        module.__doc__ = f"{module.__name__}, as exetera_zarr provides it."

        def find(name: str) -> Any:
            full = f"{module.__name__}.{name}"
            if full in PACKAGES or full in MODULES:
                return importlib.import_module(full)
            if full in REPLACED:
                raise _replaced(full)
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

        module.__dict__["__getattr__"] = find
        if module.__name__ == ROOT:
            module.__dict__["__version__"] = VERSION


class _Module(Loader):
    """Puts the module of ours in place of the one that is being imported."""

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        if name in REPLACED:
            raise _replaced(name)
        sys.modules[name] = importlib.import_module(MODULES[name])


def _replaced(name: str) -> ImportError:
    return ImportError(f"there is no {name} here; {REPLACED[name]}", name=name)


_FINDER = _Finder()


def install() -> None:
    """
    Make ExeTera's import paths lead to our modules, from now on.

    Raises
    ------
    ImportError
        ExeTera itself is imported already.
    """
    if _FINDER in sys.meta_path:
        return
    if ROOT in sys.modules:
        raise ImportError(
            f"{ROOT} is imported already, from {_place(sys.modules[ROOT])}: import "
            "exetera_zarr.compat before anything of ExeTera, or not at all",
            name=ROOT,
        )
    sys.meta_path.insert(0, _FINDER)
    share_reads(True)


def uninstall() -> None:
    """Undo `install`: forget the modules under ExeTera's names."""
    if _FINDER in sys.meta_path:
        share_reads(False)
        sys.meta_path.remove(_FINDER)
        for name in [name for name in sys.modules if name.split(".")[0] == ROOT]:
            del sys.modules[name]


def _place(module: ModuleType) -> str:
    return getattr(module, "__file__", None) or "somewhere"
