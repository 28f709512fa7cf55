"""A real Jupyter kernel without ipywidgets, as `pip install jupyterlab` gives."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

from nbclient import NotebookClient  # noqa: E402
from nbclient.exceptions import CellExecutionError  # noqa: E402
from nbformat.v4 import new_code_cell, new_notebook  # noqa: E402

from exetera_zarr import Session  # noqa: E402

SET_UP = """
import numpy as np
from exetera_zarr import Session, merge
s = Session(row_block=1 << 16)
ds = s.open_dataset("study.zarr", "w", "study")
rng = np.random.default_rng(1)
n = 400_000
visits = ds.create_dataframe("visits")
visits.create_numeric("id", "int32").data.write(rng.integers(0, 5000, n).astype("int32"))
visits.create_indexed_string("town").data.write([f"town {i % 997}" for i in range(n)])
visits.create_numeric("weight", "float64").data.write(rng.normal(size=n))
people = ds.create_dataframe("people")
people.create_numeric("id", "int32").data.write(np.arange(5000, dtype="int32"))
ages = [None if i % 7 == 0 else i % 90 for i in range(5000)]
people.create_numeric("age", "int8").data.write(ages)
ds.commit()
"""
VERBS = [
    'visits.groupby("town").mean("weight", ddf=ds.create_dataframe("by_town"))',
    'visits.groupby("id").agg({"weight": ["median", "nunique"]}, ddf=ds.create_dataframe("i"))',
    'visits.sort_values(["town", "weight"], ddf=ds.create_dataframe("sorted"))',
    'visits.drop_duplicates("town", ddf=ds.create_dataframe("towns"))',
    'merge(visits, people, ds.create_dataframe("merged"), "id", "id", how="outer")',
    'merge(visits, ds["towns"], ds.create_dataframe("again"), "town", "town", how="inner")',
    'few = (visits["town"] == "town 3") & (visits["weight"] > 0)',
    'visits.apply_filter(few, ddf=ds.create_dataframe("few"))',
    'people["age"].mean(), people["age"].quantile(0.5), people["age"].value_counts()',
    "people.describe()",
    'visits["town"].unique(), visits["town"].isin(["town 1"])',
    'people.to_csv("people.csv")',
    "people.to_pandas()",
    "ds, s, visits, visits['town']",
    "ds.commit()",
]


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[NotebookClient]:
    """A kernel whose folder is an empty one."""
    client = NotebookClient(
        new_notebook(),
        timeout=120,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    with client.setup_kernel():
        yield client


def run(client: NotebookClient, code: str) -> str:
    """Run a cell; what it has put out as text."""
    cell = new_code_cell(code)
    client.nb.cells.append(cell)
    client.execute_cell(cell, len(client.nb.cells) - 1)
    texts = []
    for output in cell.outputs:
        texts.append(output.get("text") or output.get("data", {}).get("text/plain", ""))
        assert output.get("name") != "stderr", output["text"]
    return "".join(texts)


def test_there_is_no_ipywidgets() -> None:
    """With it, DuckDB and tqdm go another way, and this module would prove nothing."""
    assert importlib.util.find_spec("ipywidgets") is None


def test_every_verb(kernel: NotebookClient) -> None:
    run(kernel, SET_UP)
    for verb in VERBS:
        run(kernel, verb)
    assert run(kernel, "people['age'].count()") == "4285"
    assert "missing" in run(kernel, "people.describe()")


def test_a_bare_table_is_its_rows(kernel: NotebookClient) -> None:
    """As text and as HTML; and after it was closed in one line, without a traceback."""
    run(kernel, SET_UP)
    text = run(kernel, "people")
    assert text.splitlines()[2].split() == ["0", "-"]
    assert text.splitlines()[-1].startswith("people: 5,000 rows x 2 fields")
    html = kernel.nb.cells[-1].outputs[0]["data"]["text/html"]
    assert "Shown are the first 10 of 5,000 rows." in html
    assert run(kernel, "ds.close(); people") == "<DataFrame 'people' of a dataset that is closed>"
    assert "closed" in kernel.nb.cells[-1].outputs[0]["data"]["text/html"]


def test_an_interrupted_cell_leaves_the_dataset_as_it_was(
    kernel: NotebookClient, tmp_path: Path
) -> None:
    """The kernel goes on, and so do the objects of the cells before."""
    run(kernel, SET_UP)
    endless = (
        "import _thread, threading\n"
        "out = ds.create_dataframe('out')\n"
        "def interrupt():\n"
        "    while not stopped.wait(0.5):\n"
        "        _thread.interrupt_main()\n"
        "stopped = threading.Event()\n"
        "threading.Thread(target=interrupt).start()\n"
        "try:\n"
        "    while True:\n"
        "        visits.sort_values(['town', 'weight'], ddf=ds.require_dataframe('x'))\n"
        "        ds.drop('x')\n"
        "except KeyboardInterrupt:\n"
        "    stopped.set()\n"
        "    raise"
    )
    with pytest.raises(CellExecutionError, match="KeyboardInterrupt"):
        run(kernel, endless)
    assert run(kernel, "sorted(set(map(len, ds['visits'].values())))") == "[400000]"
    run(kernel, "ds.commit()")


@pytest.mark.parametrize("end", ["restart", "kill"])
def test_the_end_of_a_kernel(kernel: NotebookClient, tmp_path: Path, end: str) -> None:
    """A restart commits what was written; a kill leaves the last commit."""
    run(kernel, SET_UP)
    run(kernel, "ds.create_dataframe('later').create_numeric('x', 'int8').data.write([1, 2])")
    manager = kernel.km
    if end == "kill":
        run_coroutine(manager.shutdown_kernel(now=True))
    else:
        run_coroutine(manager.shutdown_kernel(now=False))
    deadline = time.monotonic() + 30
    while run_coroutine(manager.is_alive()) and time.monotonic() < deadline:
        time.sleep(0.1)  # nothing tells when a process that is no child has ended
    with Session() as s:
        ds = s.open_dataset(tmp_path / "study.zarr", "r", "study")
        expected = ["visits", "people"] if end == "kill" else ["visits", "people", "later"]
        assert list(ds.keys()) == expected
        ds.verify()


def run_coroutine(found: object) -> object:
    """The result of what may be a coroutine."""
    import asyncio
    import inspect

    if inspect.isawaitable(found):
        return asyncio.get_event_loop().run_until_complete(found)
    return found
