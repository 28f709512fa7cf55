"""What is told of the package in several places is the same in all of them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import exetera_zarr

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
RECIPE: dict[str, Any] = yaml.safe_load((ROOT / "recipe/recipe.yaml").read_text(encoding="utf-8"))
#: Packages that conda-forge calls otherwise.
OF_CONDA = {"duckdb": "python-duckdb", "matplotlib": "matplotlib-base"}


def of_pip(requirements: list[str]) -> dict[str, SpecifierSet]:
    found = [Requirement(text) for text in requirements]
    return {OF_CONDA.get(one.name, one.name): one.specifier for one in found}


def of_conda(requirements: list[str]) -> dict[str, SpecifierSet]:
    pairs = (text.split(maxsplit=1) for text in requirements if not text.startswith("python "))
    return {name: SpecifierSet(bound) for name, bound in pairs}


def extras_of(name: str) -> list[str]:
    """The extras that an extra of extras is."""
    (text,) = EXTRAS[name]
    return sorted(Requirement(text).extras)


def test_the_recipe_needs_what_the_package_needs() -> None:
    wanted = of_pip(PROJECT["dependencies"]) | of_pip(EXTRAS["cli"])
    assert of_conda(RECIPE["requirements"]["run"]) == wanted


def test_the_recipe_knows_the_other_extras() -> None:
    others = [text for name in extras_of("all") if name != "cli" for text in EXTRAS[name]]
    assert of_conda(RECIPE["requirements"]["run_constraints"]) == of_pip(others)


def test_the_recipe_is_of_this_version() -> None:
    assert RECIPE["context"]["version"] == exetera_zarr.__version__
    assert PROJECT["requires-python"] == f">={RECIPE['context']['python_min']}"


def test_the_recipe_builds_as_pip_does() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]
    host = [text for text in RECIPE["requirements"]["host"] if text != "pip"]
    assert of_conda(host) == of_pip(build["requires"])
    (script,) = PROJECT["scripts"].items()
    assert RECIPE["build"]["python"]["entry_points"] == [" = ".join(script)]


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == exetera_zarr.__version__


def test_every_supported_python_is_tested() -> None:
    versions = [
        name.rpartition(" ")[2] for name in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", name)
    ]
    tox = (ROOT / "tox.ini").read_text(encoding="utf-8")
    (listed,) = re.findall(r"^env_list = (.*)$", tox, flags=re.MULTILINE)
    workflow = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8"))
    assert [f"py{v.replace('.', '')}" for v in versions] == re.findall(r"py\d+", listed)
    assert workflow["jobs"]["linux"]["strategy"]["matrix"]["python"] == versions


@pytest.mark.parametrize(
    "package",
    [text for name in extras_of("all") for text in EXTRAS[name]] + PROJECT["dependencies"],
)
def test_each_dependency_has_an_oldest_release(package: str) -> None:
    """Which `tox -e lowest` installs."""
    assert [one.operator for one in Requirement(package).specifier] == [">="]
