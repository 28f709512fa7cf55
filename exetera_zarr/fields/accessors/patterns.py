"""Patterns and functions of text, as Arrow and as Python have them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from exetera_zarr.engine.columns import strings
from exetera_zarr.errors import ArgumentError, ArgumentTypeError

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

__all__ = ["SPECIAL", "affix", "alike", "arrow_function", "compiled", "is_ascii", "trimming"]

_BLANKS = " \t\n\v\f\r\x1c\x1d\x1e\x1f"
"""The blanks of ASCII, as Python sees them."""
_ALIKE = re.compile(
    r"(?:[A-Za-z0-9 _,;:@#%&=<>~'\"!/-]|\\[dwDW.*+?()\[\]|^/-]|[.|^)]|\((?:\?:)?"
    r"|\[\^?(?:[A-Za-z0-9 _,;:@/.+*-]|\\[dw.-])+\]|[*+?](?![*+?]))*"
)
"""The patterns that mean the same to Arrow as to Python, over ASCII."""
SPECIAL = frozenset(".^$*+?{}[]\\|()")
"""The characters that mean something else than themselves in a pattern."""


def is_ascii(text: pa.Array) -> bool:
    """Whether all characters are ASCII."""
    data = strings.from_arrow(text)[1]
    return len(data) == 0 or int(data.max()) < 128


def arrow_function(name: str, **options: Any) -> Callable[[Any], Any]:
    """A function of Arrow, which is imported when it is called."""

    def function(text: pa.Array) -> Any:
        import pyarrow.compute as pc

        return getattr(pc, name)(text, **options)

    return function


def trimming(name: str, characters: str | None) -> Callable[[Any], Any] | None:
    """A function of Arrow that trims text; None where Python's own does what it cannot."""
    if characters == "":
        return None
    return arrow_function(name, characters=_BLANKS if characters is None else characters)


def affix(given: Any) -> Any:
    """Text with which other text may begin or end, or a tuple of such."""
    whole = given if isinstance(given, tuple) else (given,)
    if not all(isinstance(one, str) for one in whole):
        raise ArgumentTypeError(f"text begins and ends with text, or one of a tuple, not {given!r}")
    return given


def alike(pat: str) -> bool:
    """Whether a pattern means the same to Arrow as to Python, over ASCII."""
    return _ALIKE.fullmatch(pat) is not None and not re.search(r"\(\?(?!:)", pat)


def compiled(pat: Any, case: bool, flags: int) -> re.Pattern[str]:
    """A regular expression; ArgumentError, ArgumentTypeError for what is none."""
    if isinstance(pat, re.Pattern):
        raise ArgumentTypeError("give the text of a regular expression, and its flags by flags=")
    if not isinstance(pat, str):
        raise ArgumentTypeError(f"a pattern is text, not {pat!r}")
    try:
        return re.compile(pat, flags if case else flags | re.IGNORECASE)
    except re.error as error:
        raise ArgumentError(f"{pat!r} is no regular expression: {error}") from error
