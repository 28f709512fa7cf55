"""The documentation as a site: a reader finds the start, searches, and opens the reference."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the site, which is built strictly: a link that leads nowhere is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )
    assert built.returncode == 0, built.stderr
    handler = functools.partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(params=["light", "dark"])
def page(
    chromium: Any, site: str, request: pytest.FixtureRequest, pytestconfig: pytest.Config
) -> Iterator[Any]:
    """A page that asks nothing of anybody else, and gets all that it asks for."""
    context = chromium.new_context(viewport=WIDE, color_scheme=request.param)
    page = context.new_page()
    asked: list[str] = []
    failed: list[str] = []
    page.on("request", lambda one: asked.append(one.url))
    page.on("response", lambda one: failed.append(one.url) if one.status >= 400 else None)
    yield page
    folder = pytestconfig.getoption("--screenshots")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"site-{request.node.name}.png")
    context.close()
    assert failed == []
    assert [url for url in asked if not url.startswith((site, "data:"))] == []


def test_the_start_is_one_click_away(page: Any, site: str) -> None:
    page.goto(site)
    page.get_by_role("link", name="Start", exact=True).first.click()
    page.get_by_role("heading", name="Somebody else").wait_for()
    assert "visits: 4 rows x 4 fields" in page.inner_text("article")


def test_search_finds_a_page_by_a_word_of_it(page: Any, site: str) -> None:
    page.goto(site)
    box = page.get_by_role("textbox", name="Search")
    box.click()
    # What is typed before the index is there finds nothing until the next letter.
    page.get_by_text("Type to start searching").wait_for()
    box.press_sequentially("ffill visits")
    page.locator(".md-search-result__link", has_text="Longitudinal").first.click()
    page.get_by_role("heading", name="The row before").wait_for()


def test_the_reference_has_methods_and_nothing_of_the_inside(page: Any, site: str) -> None:
    page.goto(f"{site}reference/dataframe/")
    text = page.inner_text("article")
    for name in ("groupby", "merge", "to_arrow", "upsert"):
        assert page.locator(f"[id='exetera_zarr.DataFrame.{name}']").count() == 1, name
    for name in ("gives_way", "stood_for", "_frame"):
        assert name not in text


def test_nothing_is_wider_than_a_phone(page: Any, site: str) -> None:
    page.set_viewport_size(PHONE)
    for path in ("", "start/", "coming-from-pandas/", "reference/fields/", "troubleshooting/"):
        page.goto(f"{site}{path}")
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE["width"], path
