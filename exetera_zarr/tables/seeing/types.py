"""The types of the fields of a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape

from exetera_zarr.tables.seeing.grids import lines_of
from exetera_zarr.tables.seeing.preview import cell, spoken

__all__ = ["Types"]

_MOST = 60


class Types(Mapping[str, str]):
    """
    What `DataFrame.dtypes` gives: ``df.dtypes["age"]``.

    Parameters
    ----------
    fieldtypes
        The type of each field as it is stored, by its name.
    """

    def __init__(self, fieldtypes: Mapping[str, str]) -> None:
        self._types = {name: spoken(kind) for name, kind in fieldtypes.items()}

    def __getitem__(self, name: str) -> str:
        return self._types[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._types)

    def __len__(self) -> int:
        return len(self._types)

    def _lines(self) -> list[tuple[str, str]]:
        return [(cell(name), cell(kind)) for name, kind in list(self._types.items())[:_MOST]]

    def _more(self) -> str:
        return f"and {len(self) - _MOST:,} more" if len(self) > _MOST else ""

    def __repr__(self) -> str:
        if not self._types:
            return "no fields"
        lines = lines_of(list(zip(*self._lines(), strict=True)), [False, False])
        return "\n".join([*lines, *filter(None, [self._more()])])

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><th style="text-align: left">{escape(name)}</th>'
            f'<td style="text-align: left">{escape(kind)}</td></tr>'
            for name, kind in self._lines()
        )
        return f"<div><table><tbody>{rows}</tbody></table>{self._more()}</div>"
