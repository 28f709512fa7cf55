"""The notebooks of `examples/` in JupyterLab, in a browser, as people see them; `tox -e browser`.

A cell that gives the right HTML may still be unreadable on the page: in dark theme, beside the
styles of JupyterLab, or where a sanitiser removes what it does not know.
"""

from __future__ import annotations

import json
import shutil
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.notebooks import NOTEBOOKS, bucket_environment
from support.processes import HOST, free_ports, running
from support.servers import S3Server

pytestmark = pytest.mark.browser

THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
# What a newcomer has not chosen stays as it is, but for what would ask the internet, and for cells
# that are only on the page while somebody looks at them.
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none"},
}
PATIENCE = 60_000
"""Milliseconds until a page that does not get on is given up."""
PIECE = 1_400
"""Pixels that a screenshot is high, so that it can be read."""

CONTRAST = """
cell => {
  const parts = text => text.match(/[0-9.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  let opacity = 1, ground = null;
  for (let at = cell; at; at = at.parentElement) {
    const style = getComputedStyle(at), colour = parts(style.backgroundColor);
    if (ground === null) opacity *= Number(style.opacity);
    if (ground === null && (colour.length < 4 || colour[3] > 0.5)) ground = colour;
  }
  ground = ground || [255, 255, 255];
  const ink = parts(getComputedStyle(cell).color).slice(0, 3)
    .map((v, i) => v * opacity + ground[i] * (1 - opacity));
  const [low, high] = [light(ink), light(ground)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}
"""


class Lab:
    """
    A JupyterLab that serves the notebooks.

    Parameters
    ----------
    port
        Where it listens.
    home
        The folder with its settings.
    folder
        The one with the notebooks.
    """

    def __init__(self, port: int, home: Path, folder: Path) -> None:
        self.port, self.home, self.folder = port, home, folder

    def choose_theme(self, theme: str) -> None:
        """As from the menu of settings."""
        chosen = {**SETTINGS, "apputils-extension/themes": {"theme": THEMES[theme]}}
        for name, values in chosen.items():
            path = self.home / "settings/@jupyterlab" / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(values), encoding="utf-8")

    def url(self, notebook: str, name: str) -> str:
        """Of a copy with that name, since JupyterLab keeps the outputs with the cells."""
        shutil.copy(NOTEBOOKS / f"{notebook}.ipynb", self.folder / f"{name}.ipynb")
        return f"http://{HOST}:{self.port}/lab/tree/{name}.ipynb?reset"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, s3_server: S3Server) -> Iterator[Lab]:
    """With an empty home and an empty folder."""
    home, folder = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("notebooks")
    bucket = s3_server.make_bucket(f"test-{uuid.uuid4().hex}")
    environment = {
        **bucket_environment(s3_server, bucket),
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
    }

    def plan(_: str) -> tuple[list[str], int]:
        (port,) = free_ports(1)
        options = {
            "ServerApp.ip": HOST,
            "ServerApp.port": port,
            "ServerApp.port_retries": 0,
            "ServerApp.root_dir": folder,
            "ServerApp.open_browser": False,
            "ServerApp.allow_root": True,
            "IdentityProvider.token": "",
        }
        given = [f"--{name}={value}" for name, value in options.items()]
        return [sys.executable, "-m", "jupyterlab", *given], port

    with running(plan, "/api/status", environment) as port:
        yield Lab(port, home, folder)


class Page:
    """
    A notebook on the page of a browser, after all cells were run from the menu.

    Parameters
    ----------
    tab
        Of the browser.
    """

    def __init__(self, tab: Any) -> None:
        self.tab = tab

    def run_all(self) -> None:
        tab = self.tab
        tab.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=PATIENCE)
        tab.get_by_text("| Idle").wait_for(timeout=PATIENCE)
        cells = tab.locator(".jp-Notebook .jp-CodeCell").count()
        tab.locator(".lm-MenuBar-itemLabel", has_text="Run").click()
        tab.locator(".lm-Menu-itemLabel", has_text="Run All Cells").first.click()
        tab.wait_for_function(
            "cells => [...document.querySelectorAll('.jp-CodeCell .jp-InputArea-prompt')]"
            ".filter(one => /\\[\\d+\\]/.test(one.innerText)).length === cells"
            " || document.querySelector('[data-mime-type$=\"jupyter.error\"]')",
            arg=cells,
            timeout=PATIENCE,
        )
        tab.wait_for_function(
            "[...document.querySelectorAll('.jp-OutputArea img')].every(one => one.complete)"
        )

    def outputs(self) -> str:
        """All that stands below the cells, a blank between what stands apart."""
        found = self.tab.locator(".jp-Cell-outputArea").all_inner_texts()
        return " ".join(" ".join(found).split())

    def count(self, selector: str) -> int:
        return int(self.tab.locator(selector).count())

    def photograph(self, folder: Path, name: str) -> None:
        """The whole notebook, in pieces from top to bottom."""
        tab = self.tab
        panel = ".jp-WindowedPanel-outer"
        height = int(tab.evaluate(f"document.querySelector('{panel}').scrollHeight")) + 120
        tab.set_viewport_size({"width": 1300, "height": height})
        tab.evaluate(f"document.querySelector('{panel}').scrollTo(0, 0)")
        folder.mkdir(parents=True, exist_ok=True)
        for number, top in enumerate(range(0, height, PIECE), 1):
            clip = {"x": 0, "y": top, "width": 1300, "height": min(PIECE, height - top)}
            tab.screenshot(path=folder / f"{name}-{number}.png", clip=clip)


@pytest.fixture
def screenshots(request: pytest.FixtureRequest) -> Path | None:
    """Where to; None for nowhere."""
    folder = request.config.getoption("--screenshots")
    return None if folder is None else Path(folder).resolve()


# Of each notebook: what stands on the page, and how many pictures.
SEEN = {
    "first_look": (
        [
            "1002 1961-02-16 female Leeds 1.61 63.7",
            "1007 1993-05-01 male York 1.71 -",
            "Shown are the first 10 of 300 rows.",
            "Body mass index",
            "(42, 6)",
        ],
        2,
    ),
    "longitudinal": (
        [
            "participants 60 rows x 3 fields",
            "2 2 2020-02-22 77.6 78.3 -0.7 46",
            "3 male",
            "1 row changed",
            "in the paper: 77.9 today: 80.5",
            "A weight was typed wrongly",
        ],
        1,
    ),
    "in_a_bucket": (
        ["patients 5,000 rows x 3 fields", "0 - ", "5001 - Bath", "Two patients more"],
        0,
    ),
    "on_a_cluster": (
        ["visits: 400,000 rows x 3 fields", "npartitions=7", "York 37.0", "True"],
        0,
    ),
    "coming_from_pandas": (
        ["1 2020-01-11 York NaN", "1 2020-01-11 York -", "(65, 100]", "df.upsert(rows, key)"],
        1,
    ),
}


def test_each_notebook_is_looked_at() -> None:
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == {*SEEN}


@pytest.mark.parametrize("theme", [*THEMES])
@pytest.mark.parametrize("notebook", [*SEEN])
def test_what_is_on_the_page(
    lab: Lab, chromium: Any, screenshots: Path | None, notebook: str, theme: str
) -> None:
    lab.choose_theme(theme)
    name = f"{notebook}-{theme}"
    tab = chromium.new_page(viewport={"width": 1300, "height": 1000})
    try:
        tab.goto(lab.url(notebook, name))
        page = Page(tab)
        try:
            page.run_all()
        finally:
            if screenshots is not None:
                page.photograph(screenshots, name)
        assert tab.get_attribute("body", "data-jp-theme-light") == str(theme == "light").lower()
        shown = page.outputs()
        assert page.count('[data-mime-type$="jupyter.error"]') == 0
        assert "Traceback" not in shown
        words, pictures = SEEN[notebook]
        assert [each for each in words if each not in shown] == []
        widths = tab.eval_on_selector_all(
            ".jp-OutputArea img[src^='data:image/png']", "all => all.map(one => one.naturalWidth)"
        )
        assert [width > 200 for width in widths] == [True] * pictures
        cells = tab.locator(".jp-OutputArea td, .jp-OutputArea th").element_handles()
        contrasts = [cell.evaluate(CONTRAST) for cell in cells if cell.inner_text().strip()]
        assert len(contrasts) > 20
        assert min(contrasts) > 3, "text that is too pale to be read"
    finally:
        tab.close()
