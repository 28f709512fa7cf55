"""How often values occur, as a dict that is shown as a table."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from exetera_zarr.errors import needing
from exetera_zarr.texts import visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

__all__ = ["Counts"]

_SHOWN = 20


class Counts(dict[Any, Any]):
    """
    What `Field.value_counts` found: how often each value occurs, by the value.

    Parameters
    ----------
    pairs
        Values and their numbers, or shares, in order; the value is None for what is missing.
    name
        Of the field.
    what
        What is counted: ``count`` or ``proportion``.
    """

    def __init__(
        self, pairs: Iterable[tuple[Any, Any]], name: str | None = None, what: str = "count"
    ) -> None:
        super().__init__(pairs)
        self.name = name
        self.what = what

    @property
    def index(self) -> list[Any]:
        """The values in order."""
        return list(self)

    def head(self, n: int = 5) -> Counts:
        """The first ones."""
        return Counts(list(self.items())[:n], self.name, self.what)

    def to_dict(self) -> dict[Any, Any]:
        """The same as a plain dict."""
        return dict(self)

    def to_pandas(self) -> pd.Series[Any]:
        """The same as a Series of pandas, as its own ``value_counts`` gives it."""
        with needing("to_pandas", "exetera-zarr[pandas]"):
            import pandas as pd

        index = pd.Index(list(self), name=self.name)
        return pd.Series(list(self.values()), index, name=self.what)

    def _lines(self) -> list[tuple[str, str]]:
        lines = [
            (_cell(value), f"{number:.6g}" if isinstance(number, float) else f"{number:,}")
            for value, number in list(self.items())[:_SHOWN]
        ]
        if len(self) > _SHOWN:
            lines.append((f"… {len(self) - _SHOWN:,} more", ""))
        return [("" if self.name is None else visible(self.name), self.what), *lines]

    def __repr__(self) -> str:
        lines = self._lines()
        left = max(len(value) for value, _ in lines)
        right = max(len(number) for _, number in lines)
        return "\n".join(f"{v.ljust(left)}  {n.rjust(right)}".rstrip() for v, n in lines)

    def _repr_html_(self) -> str:
        head, *lines = self._lines()
        body = "".join(
            f'<tr><th style="text-align:left">{escape(value)}</th>'
            f'<td style="text-align:right">{escape(number)}</td></tr>'
            for value, number in lines
        )
        return (
            f"<table><thead><tr><th>{escape(head[0])}</th><th>{head[1]}</th></tr></thead>"
            f"<tbody>{body}</tbody></table>"
        )


def _cell(value: Any) -> str:
    if value is None:
        return "missing"
    text = f"{value:%Y-%m-%d %H:%M:%S}" if hasattr(value, "strftime") else visible(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
