"""Each method that the reference has shows what it does; the examples are run as doctests."""

from __future__ import annotations

import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType

from exetera_zarr.tables.seeing import hidden

REFERENCE = Path(__file__).parents[1] / "docs/reference"
#: As in docs/hooks.py: what completion does not offer is not in the reference.
HIDDEN = {
    "Session": hidden.IN_SESSIONS,
    "Dataset": hidden.IN_DATASETS,
    "DataFrame": hidden.IN_TABLES,
    "View": hidden.IN_TABLES,
}
#: Methods that have no example yet. The list only gets shorter: who writes one takes its name off.
WITHOUT = {
    "DataFrameGroupBy.of_all",
    "DataFrameGroupBy.write",
    "Dataset.from_parquet",
    "Dataset.from_spss",
    "Dataset.from_stata",
    "Field.hist",
    "Field.writeable",
    "NumericField.logical_not",
    "Session.aggregate_custom",
    "Session.temp_filename",
    "Texts.parts",
}


def classes() -> Iterator[type]:
    """What the reference shows, but for errors, options and functions."""
    for page in ("session", "dataset", "dataframe", "fields"):
        text = (REFERENCE / f"{page}.md").read_text(encoding="utf-8")
        for name in re.findall(r"^::: (\S+)$", text, re.MULTILINE):
            found = pkgutil.resolve_name(name)
            if isinstance(found, type) and not name.endswith("Options"):
                yield found


def methods(kind: type) -> Iterator[tuple[str, FunctionType]]:
    """The public methods that a class does not have from another one of the reference."""
    known = [other for other in classes() if other is not kind and issubclass(kind, other)]
    for name in dir(kind):
        found = inspect.getattr_static(kind, name)
        found = getattr(found, "__func__", found)
        elsewhere = any(inspect.getattr_static(other, name, None) is found for other in known)
        concealed = HIDDEN.get(kind.__name__, hidden.IN_FIELDS)
        if isinstance(found, FunctionType) and not (
            name.startswith("_") or elsewhere or name in concealed
        ):
            yield f"{kind.__name__}.{name}", found


def test_each_method_has_an_example() -> None:
    without = {
        name
        for kind in classes()
        for name, method in methods(kind)
        if ">>> " not in (inspect.getdoc(getattr(kind, method.__name__, method)) or "")
    }
    assert without - WITHOUT == set(), "write an example, as the other methods have it"
    assert WITHOUT - without == set(), "has an example now: take it off the list"
