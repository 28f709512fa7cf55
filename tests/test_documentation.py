"""What the pages name exists: targets of links, files and modules; and no room goes unsaid."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path
    for folder in ("", "docs", "docs/reference", "changelog.d")
    for path in (ROOT / folder).glob("*.md")
)
#: Pages whose names of modules, in code quotes, lead a newcomer.
GUIDES = ("CONTRIBUTING.md", "docs/architecture.md", "docs/glossary.md")
#: Names of modules are short for a file in one of these.
HOMES = (ROOT, ROOT / "exetera_zarr", ROOT / "tests")


def anchors(text: str) -> set[str]:
    """What the headings of a page are called in links, as GitHub makes it."""
    headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = link.partition("#")
        if "://" in link or link.startswith("mailto:"):
            continue
        target = page.parent / path if path else page
        found = target.exists()
        if found and anchor:
            found = anchor in anchors(target.read_text(encoding="utf-8"))
        if not found:
            broken.append(link)
    assert broken == []


def test_every_page_is_in_the_site() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    assert {page for page in pages if f" {page}\n" not in text} == set()


@pytest.mark.parametrize("page", GUIDES)
def test_files_that_a_guide_names_exist(page: str) -> None:
    """A module that moves takes its mentions along."""
    quoted = re.findall(r"`([\w./-]+)`", (ROOT / page).read_text(encoding="utf-8"))
    named = {name for name in quoted if re.search(r"\.(py|md|toml|ini|cff)$|/$", name)}
    named -= {"changelog.d/123.fixed.md"}  # an example
    below = {path.name for path in (ROOT / "exetera_zarr").rglob("*.py")}
    missing = {
        name
        for name in named
        if not any((home / name).exists() for home in HOMES)
        and not ("/" not in name and name in below)
    }
    assert missing == set()


def test_the_architecture_page_has_every_room() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    rooms = {path.name for path in (ROOT / "exetera_zarr").iterdir() if path.is_dir()}
    rooms |= {path.stem for path in (ROOT / "exetera_zarr").glob("*.py")}
    assert {room for room in rooms - {"__pycache__", "__init__"} if room not in text} == set()


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if ">>> " in page.read_text(encoding="utf-8")],
    ids=lambda page: page.stem,
)
def test_examples_give_what_they_show(page: Path) -> None:
    """Each page is one session, from its first line to its last."""
    # There folders have other names each time.
    flags = doctest.ELLIPSIS if page.stem == "troubleshooting" else 0
    failed, tried = doctest.testfile(str(page), module_relative=False, optionflags=flags)
    assert (failed, tried > 0) == (0, True)
