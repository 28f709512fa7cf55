"""The house keeps its shape: who may import whom, and what importing the package costs."""

from __future__ import annotations

import ast
import builtins
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import exetera_zarr

PACKAGE = "exetera_zarr"
HOME = Path(exetera_zarr.__file__).parent

# A part may import the parts below it while it is itself being imported. Each module belongs to the
# part with the longest name that it begins with; a module of no part is an error, not a default.
FLOORS: dict[str, int] = {
    "texts": -1,
    "_version": 0,
    "errors": 0,
    "faces": 0,
    "fieldtypes": 1,
    "moments": 1,
    "settings": 1,
    "engine.columns": 2,
    "engine.streams": 3,
    "engine.duckdb": 4,
    "engine.sort": 5,
    "engine.join": 6,
    "engine.group": 6,
    "engine.changes": 7,
    "engine": 8,
    "storage.codebooks": 2,
    "storage.names": 2,
    "storage.keys": 2,
    "storage.options": 2,
    "storage.provenance": 1,
    "storage.base": 2,
    "storage.system": 2,
    "storage.undo": 2,
    "storage.concurrency": 3,
    "storage.memory": 3,
    "storage.sharing": 3,
    "storage.ending": 4,
    "storage.remote": 4,
    "storage.stores": 5,
    "storage.tree": 5,
    "storage.zarr": 6,
    "storage.hdf5": 6,
    "storage.registry": 7,
    "storage.staging": 8,
    "storage": 9,
    "fields": 10,
    "tables.redirects": 10,
    "tables": 11,
    "journal": 12,
    "plots": 12,
    "io.schema": 12,
    "io.csv": 13,
    "io": 14,
    "conversion": 13,
    "dask": 15,
    "cluster": 16,
    "testing": 14,
    "compat": 15,
    "cli": 16,
    PACKAGE: 17,
}
# Usable without the rest, so they know nothing of it: not in annotations, not inside a function.
CLOSED = {
    "texts": set[str](),
    "errors": {"texts"},
    "engine": {"errors", "texts"},
    "storage": {"errors", "fieldtypes", "moments", "texts", "_version"},
}
# A method of a public face hands over to the verb's own module when it is called, and not before.
HANDS_OVER_TO = {
    "tables": {"journal", "plots", "io.csv", "io", "dask", "cluster"},
    "tables.redirects": set[str](),
    "fields": {"tables", "plots", "dask"},
    "journal": {"io"},
}

ONLY_STORAGE = {"fsspec", "gcsfs", "h5py", "numcodecs", "s3fs", "zarr"}
ONLY_IN = {
    "typer": {"cli"},
    "matplotlib": {"plots"},
    "polars": {"io"},
    "pyreadstat": {"io"},
    "xarray": {"io"},
    "dask": {"dask", "cluster"},
    "distributed": {"dask", "cluster"},
}
SLOW_TO_IMPORT = {
    "dask",
    "distributed",
    "duckdb",
    "h5py",
    "matplotlib",
    "numcodecs",
    "pandas",
    "polars",
    "pyreadstat",
    "s3fs",
    "typer",
    "xarray",
    "zarr",
}


@dataclass(frozen=True)
class Import:
    """One import statement: who, what, where, and when it runs."""

    importer: str
    imported: str
    line: int
    deferred: bool
    typing_only: bool

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.imported}"


def module_name(path: Path) -> str:
    parts = (PACKAGE, *path.relative_to(HOME).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def part_of(module: str) -> str:
    """The part of the house that a module of ours belongs to."""
    names = module.split(".")[1:]
    for count in range(len(names), 0, -1):
        if (part := ".".join(names[:count])) in FLOORS:
            return part
    assert not names, f"{module} is on no floor: add it to FLOORS"
    return PACKAGE


def room_of(module: str) -> str:
    """The folder or file at the root that a module of ours is in."""
    return (module.split(".")[1:] or [PACKAGE])[0]


def is_typing_only(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return name == "TYPE_CHECKING"


class ImportFinder(ast.NodeVisitor):
    """Collects the imports of one module, relative ones made absolute."""

    def __init__(self, module: str, *, is_package: bool) -> None:
        self.module = module
        self.base = module.split(".") if is_package else module.split(".")[:-1]
        self.found: list[Import] = []
        self.function_depth = 0
        self.typing_depth = 0

    def add(self, imported: str, line: int) -> None:
        self.found.append(
            Import(self.module, imported, line, self.function_depth > 0, self.typing_depth > 0)
        )

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.add(alias.name, node.lineno)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = self.base[: len(self.base) - node.level + 1] if node.level else []
        source = ".".join([*base, *([node.module] if node.module else [])])
        for alias in node.names:
            # `from package import module` imports the module; else the name's own module counts.
            full = f"{source}.{alias.name}"
            self.add(full if full in MODULES else source, node.lineno)

    def visit_If(self, node: ast.If) -> None:
        typing_only = is_typing_only(node.test)
        self.typing_depth += typing_only
        for child in node.body:
            self.visit(child)
        self.typing_depth -= typing_only
        for child in node.orelse:
            self.visit(child)

    def visit_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.function_depth += 1
        self.generic_visit(node)
        self.function_depth -= 1

    visit_FunctionDef = visit_function  # noqa: N815 - ast.NodeVisitor calls it so
    visit_AsyncFunctionDef = visit_function  # noqa: N815 - likewise


MODULES = {module_name(path): path for path in sorted(HOME.rglob("*.py"))}


def imports_of(module: str) -> list[Import]:
    path = MODULES[module]
    finder = ImportFinder(module, is_package=path.name == "__init__.py")
    finder.visit(ast.parse(path.read_text(encoding="utf-8"), filename=str(path)))
    return finder.found


def all_imports() -> Iterator[Import]:
    for module in MODULES:
        yield from imports_of(module)


def our_imports() -> Iterator[tuple[Import, str, str]]:
    """Every import of one part by another, with the names of both."""
    for found in all_imports():
        if found.imported.split(".")[0] == PACKAGE:
            source, target = part_of(found.importer), part_of(found.imported)
            if source != target:
                yield found, source, target


def test_storage_and_engine_know_nothing_of_the_rest() -> None:
    """Either could be lifted out of the package as it is."""
    broken = [
        str(found)
        for found, _, _ in our_imports()
        if (room := room_of(found.importer)) in CLOSED
        and room_of(found.imported) not in CLOSED[room] | {room}
    ]
    assert broken == []


def test_arrows_point_one_way() -> None:
    """No part imports one above or beside it, but for annotations or when a method hands over."""
    broken = [
        str(found)
        for found, source, target in our_imports()
        if FLOORS[target] >= FLOORS[source]
        and not found.typing_only
        and not (found.deferred and target in HANDS_OVER_TO.get(source, set()))
    ]
    assert broken == []


@pytest.mark.parametrize("library", sorted(ONLY_STORAGE))
def test_storage_alone_imports_a_storage_library(library: str) -> None:
    """A new version of zarr, fsspec or h5py concerns one package of ours."""
    broken = [
        str(found)
        for found in all_imports()
        if found.imported.split(".")[0] == library and room_of(found.importer) != "storage"
    ]
    assert broken == []


@pytest.mark.parametrize("library", sorted(ONLY_IN))
def test_a_front_end_library_stays_at_its_front_end(library: str) -> None:
    broken = [
        str(found)
        for found in all_imports()
        if found.imported.split(".")[0] == library
        and not found.typing_only
        and room_of(found.importer) not in ONLY_IN[library]
    ]
    assert broken == []


def test_importing_the_package_loads_nothing_slow() -> None:
    """In a fresh interpreter, so that what other tests loaded does not count."""
    code = "import json, sys, exetera_zarr; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = {name.split(".")[0] for name in json.loads(done.stdout)}
    assert loaded & SLOW_TO_IMPORT == set()


def deferred_imports() -> set[tuple[str, str]]:
    """Every import of ours that waits for a call: who, and what."""
    return {
        (found.importer.removeprefix(f"{PACKAGE}."), found.imported.removeprefix(f"{PACKAGE}."))
        for found in all_imports()
        if found.deferred and not found.typing_only and found.imported.split(".")[0] == PACKAGE
    }


# What is imported when it is called for, and why.
DEFERRED = {
    "cli": "a command answers --help at once",
    "compat.finder": "ExeTera's modules are imported under their names as scripts ask for them",
    "dask.reading": "what no public part of Dask has, and so may not be there",
    "fields.base": "a face: how a field looks is the business of tables",
    "fields.statistics": "likewise, and pictures",
    "io.csv.files": "a local file needs no client of a bucket",
    "io.csv.rejects": "nor do rejects that are written to one",
    "storage.registry": "zarr and h5py are slow, and one of them is enough",
    "storage.remote.anywhere": "aiohttp is slow",
    "storage.remote.buckets": "s3fs and gcsfs are slow, and extras",
    "storage.remote.readers": "what writes to buckets is not needed to read",
    "storage.stores.opening": "what only some stores need",
    "tables": "faces: a verb that is not called costs nothing to import",
}


def test_a_deferred_import_has_a_reason() -> None:
    """No import hides in a function because two modules need each other."""
    found = deferred_imports()
    reasons = {
        (who, what): next((at for at in DEFERRED if who == at or who.startswith(f"{at}.")), None)
        for who, what in found
    }
    assert [pair for pair, at in reasons.items() if at is None] == []
    assert set(DEFERRED) - {"compat.finder"} - set(reasons.values()) == set()


def test_no_folder_is_crowded() -> None:
    """A newcomer sees a folder at a glance."""
    counts: dict[Path, int] = {}
    for path in MODULES.values():
        counts[path.parent] = counts.get(path.parent, 0) + 1
    assert counts.pop(HOME) <= 8
    assert {str(path): n for path, n in counts.items() if n > 18} == {}


BUILT_IN = {
    name
    for name, kind in vars(builtins).items()
    if isinstance(kind, type) and issubclass(kind, Exception)
} - {"NotImplementedError", "AttributeError", "AssertionError"}
# Modules that raise a built-in error as it is: what catches it is ours, or Python's protocols.
RAISES_BUILT_IN = {
    "compat.date_time_helpers": "as ExeTera does",
    "compat.finder": "an import fails as imports do",
    "compat.operations": "as ExeTera does",
    "compat.utils": "as ExeTera does",
    "engine.streams.workspace": "a file of ours was cut short: a fault of the machine",
    "fieldtypes": "caught where it is raised",
    "io.csv.convert": "a cell that cannot be read, told by the converter",
    "io.csv.files": "open() raises it for a file that does not exist",
    "io.csv.xz": "told by the reader of the file",
    "moments": "a cell that cannot be read, told by the converter",
    "storage.hdf5.foreign": "the contract of a group: a name that does not exist",
    "storage.zarr.packs": "as of storage.zarr.layout",
    "storage.hdf5.storage": "the contract of a group: a name that does not exist",
    "storage.memory": "a file of ours was cut short: a fault of the machine",
    "storage.remote.gcs": "a cut answer, for the retries",
    "storage.remote.places": "a cut answer, for the retries",
    "storage.remote.readers": "a cut answer, for the retries",
    "storage.remote.resolving": "aiohttp asks for it",
    "storage.stores.local": "the contract of a store: a key that does not exist",
    "storage.system": "what the system would raise",
    "storage.zarr.block_cache": "a file of ours was cut short: a fault of the machine",
    "storage.zarr.layout": "told as CorruptDataError by who reads the document",
    "storage.zarr.storage": "the contract of a group: a name that does not exist",
    "testing.conformance": "a test breaks off a transaction",
}


def test_what_is_raised_on_purpose_is_ours() -> None:
    """A script that catches ExeteraError catches all of it."""
    found = set()
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            raised = node.exc if isinstance(node, ast.Raise) else None
            raised = raised.func if isinstance(raised, ast.Call) else raised
            if isinstance(raised, ast.Name) and raised.id in BUILT_IN:
                found.add(module.removeprefix(f"{PACKAGE}."))
    assert found == set(RAISES_BUILT_IN)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_every_module_has_a_docstring(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)


def test_the_package_says_that_it_is_typed() -> None:
    """Under tox the package is the installed wheel, so this is about what users get."""
    assert (HOME / "py.typed").is_file()


def test_every_public_name_exists() -> None:
    missing = [name for name in exetera_zarr.__all__ if not hasattr(exetera_zarr, name)]
    assert missing == []
    assert set(exetera_zarr.__all__) <= set(dir(exetera_zarr))
