"""The notebooks of `examples/`, run as people run them: in a kernel without ipywidgets."""

from __future__ import annotations

import base64
import copy
import re
import uuid
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest

nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytest.importorskip("matplotlib")

import nbformat  # noqa: E402
from nbclient import NotebookClient  # noqa: E402

from support.notebooks import NOTEBOOKS, bucket_environment  # noqa: E402
from support.servers import S3Server  # noqa: E402

ALL = sorted(NOTEBOOKS.glob("*.ipynb"))


class Ran:
    """
    A notebook after all its cells were run.

    Parameters
    ----------
    cells
        With their outputs.
    """

    def __init__(self, cells: list[Any]) -> None:
        self.cells = cells

    def cell(self, code: str) -> Any:
        """The one cell that has this line, or beginning of a line, in it."""
        lines = re.compile(rf"^{re.escape(code)}", re.MULTILINE)
        (found,) = [cell for cell in self.cells if lines.search(cell.source)]
        return found

    def data(self, code: str, kind: str) -> str:
        """What a cell shows, as text or HTML, or as a picture in base64."""
        shown = [output.data for output in self.cell(code).outputs if "data" in output]
        assert len(shown) == 1, code
        return str(shown[0][kind])

    def text(self, code: str) -> str:
        return self.data(code, "text/plain")

    def html(self, code: str) -> str:
        """The words on the page, without the tags."""
        return words(self.data(code, "text/html"))

    def printed(self, code: str) -> str:
        return "".join(out.text for out in self.cell(code).outputs if out.get("name") == "stdout")


def words(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def errors(cells: list[Any]) -> list[str]:
    """What went wrong, or was said of it, but for the one line that an import says."""
    found = []
    for cell in cells:
        for output in cell.outputs:
            if output.output_type == "error":
                found.append(f"{output.ename}: {output.evalue}")
            elif output.get("name") == "stderr" and "no schema was given" not in output.text:
                found.append(output.text)
            elif "Traceback" in str(output):
                found.append(str(output))
    return found


@pytest.fixture
def run(tmp_path: Path) -> Callable[[str], Ran]:
    """Runs all cells of a notebook twice, in one kernel and a folder that was empty."""

    def run_all(name: str) -> Ran:
        notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", 4)
        cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        again = [copy.deepcopy(cell) | {"id": f"{cell.id}-again"} for cell in cells]
        notebook.cells = [*cells, *map(nbformat.from_dict, again)]
        where = {"metadata": {"path": str(tmp_path)}}
        NotebookClient(
            notebook, timeout=120, kernel_name="python3", resources=where, allow_errors=True
        ).execute()
        assert errors(notebook.cells) == []
        return Ran(notebook.cells[: len(cells)])

    return run_all


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_it_is_kept_without_outputs(path: Path) -> None:
    """Outputs change with each run and version, so that nobody could review a change."""
    notebook = nbformat.read(path, 4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.outputs for cell in code if cell.outputs] == []
    assert {cell.execution_count for cell in code} == {None}
    assert path.read_text(encoding="utf-8") == nbformat.writes(notebook, indent=1) + "\n"


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_its_links_lead_somewhere(path: Path) -> None:
    cells = nbformat.read(path, 4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    links = re.findall(r"\]\(([^)\s#]+)\)", text)
    assert [link for link in links if "://" not in link and not (path.parent / link).exists()] == []


def is_picture(data: str) -> bool:
    return base64.b64decode(data).startswith(b"\x89PNG")


def test_first_look(run: Callable[[str], Ran], tmp_path: Path) -> None:
    ran = run("first_look")
    rows = ran.text("from exetera_zarr import Session").splitlines()
    assert rows[0].split() == ["id", "born", "sex", "town", "height", "weight"]
    assert rows[2].split() == ["1001", "1943-05-04", "male", "Leeds", "1.82", "92.5"]
    assert rows[8].split() == ["1007", "1993-05-01", "male", "York", "1.71", "-"]
    assert rows[-1].startswith("patients: 300 rows x 6 fields")
    page = ran.html("from exetera_zarr import Session")
    assert "1007 1993-05-01 male York 1.71 - 1008" in page
    assert "Shown are the first 10 of 300 rows." in page
    assert "Height" in ran.html('patients["height"].label')
    assert ran.text('patients[patients["weight"].isna()]') == "(42, 6)"
    towns = ran.text('patients.groupby("town")["bmi"]').splitlines()
    assert [line.split()[0] for line in towns[2:5]] == ["Bath", "Leeds", "York"]
    for plot in ('patients["bmi"].plot()', "patients.plot("):
        assert is_picture(ran.data(plot, "image/png"))
    assert "patients 300 rows x 7 fields" in ran.html("study.commit(")
    assert ran.printed("with Session() as again:").endswith("missing)\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first_look_files"]


def test_longitudinal(run: Callable[[str], Ran]) -> None:
    ran = run("longitudinal")
    assert "participants 60 rows x 3 fields" in ran.html("import shutil")
    people = ran.text('participants["sex"] = ')
    assert "categorical" in people
    assert "female" in people
    before = [line.split() for line in ran.text('who = visits["id"]').splitlines()]
    assert before[0] == ["id", "visit", "day", "weight", "previous", "change", "days_since"]
    assert before[3][1:2] + before[3][4:] == ["1", "-", "-", "-"]
    assert before[4] == ["2", "2", "2020-02-22", "77.6", "78.3", "-0.7", "46"]
    assert "60 rows" in ran.text("first = visits[who.is_first()]")
    groups = [line.split()[0] for line in ran.text('both.groupby("sex").agg').splitlines()]
    assert groups[2:5] == ["female", "male", "-"]
    assert "229 rows" in ran.text('dosed = study.sql("""')
    assert is_picture(ran.data("by_visit = visits", "image/png"))
    assert "paper" in ran.html('study.commit(message="As analysed')
    assert "weight: 1 row changed" in ran.text('visits["weight"].data[0] = ')
    assert ran.printed("paper = study.at") == "in the paper: 77.9  today: 80.5\n"
    assert "A weight was typed wrongly" in ran.html("study.history()")


def test_in_a_bucket(
    run: Callable[[str], Ran],
    s3_server: S3Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("s3fs")
    bucket = s3_server.make_bucket(f"test-{uuid.uuid4().hex}")
    for name, value in bucket_environment(s3_server, bucket).items():
        monkeypatch.setenv(name, value)
    ran = run("in_a_bucket")
    assert f"{bucket}/tutorial/study.zarr" in ran.text('study = s.open_dataset(url, "r",')
    rows = ran.text('patients = study["patients"]').splitlines()
    assert rows[2].split()[:2] == ["0", "-"]
    assert rows[-1].startswith("patients: 5,000 rows x 3 fields")
    assert "5001 - Bath" in ran.html("s.close()\n\ns = ")
    assert "Two patients more" in ran.html("study.history()")
    assert ran.text("study.at(1)") == "((5000, 3), (5002, 3))"
    assert list(tmp_path.iterdir()) == []


def test_on_a_cluster(run: Callable[[str], Ran]) -> None:
    pytest.importorskip("distributed")
    ran = run("on_a_cluster")
    assert ran.text("site = ").splitlines()[-1].startswith("visits: 400,000 rows x 3 fields")
    means = ran.text('collection.groupby("site"').splitlines()
    assert means[1:4] == ["Bath     36.8", "Leeds    36.9", "York     37.0"]
    assert ran.text("with Session() as here:") == "True"


def test_coming_from_pandas(run: Callable[[str], Ran]) -> None:
    ran = run("coming_from_pandas")
    tables = ran.html("pdf = pd.DataFrame")
    assert "1 2020-01-11 York NaN" in tables
    assert "1 2020-01-11 York -" in tables
    assert ran.text("pdf.shape == df.shape") == "True"
    assert ran.html('pdf["month"]').endswith("3 2020-03-02 - 81.0 3 (65, 100]")
    assert "Leeds 2 64.5 York 3 70.5" in ran.html("beside(\n    pdf.groupby")
    assert is_picture(ran.data('df["weight"].plot', "image/png"))
    assert "df.upsert(rows, key)" in ran.printed("try:")
