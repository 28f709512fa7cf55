"""Texts as they are shown: what is in a dataset does not command the terminal that it is shown on.

Names, types, categories, writers, messages and values may come from strangers. Escape sequences
colour, overwrite and hide what stands on a terminal, and characters that turn the direction of
writing have a line read as something else. Whatever is printed, logged or raised goes through here.
"""

from __future__ import annotations

import json
import math
import unicodedata
from typing import Any, Final

__all__ = ["json_text", "visible"]

_UNSAFE: Final = frozenset(["Cc", "Cf", "Cs", "Zl", "Zp"])
"""Categories of Unicode: controls, invisible format, halves of pairs, ends of lines."""
_JOINERS: Final = "\u200c\u200d"
"""Invisible as well, but a part of how Persian, Hindi and emoji are written."""
_SHORT: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def visible(text: object, *, lines: bool = False) -> str:
    r"""
    A text in which every character can be seen, and none does anything else.

    Control characters (of C0 and C1, and DEL), those that set or turn the direction of writing,
    other invisible ones and halves of surrogate pairs are shown as Python writes them, such as
    ``\x1b`` and ``\u202e``. Everything else stays as it is.

    Parameters
    ----------
    text
        A text, or what has one.
    lines
        Whether new lines and tabs stay, where a text of several lines is shown as such.

    Examples
    --------
    >>> print(visible("red \x1b[31m, and a\nnew line"))
    red \x1b[31m, and a\nnew line
    """
    text = str(text)
    if text.isprintable():
        return text
    return "".join(
        _escaped(c) if _is_unsafe(c) and not (lines and c in "\n\t") else c for c in text
    )


def json_text(value: Any, *, indent: int | None = 2) -> str:
    """
    A value as JSON that can be shown: what `visible` would escape, JSON's own escapes stand for.

    Parameters
    ----------
    value
        As of ``json.dumps``.
    indent
        Likewise.
    """
    try:
        text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    except ValueError:
        text = json.dumps(_of_json(value), indent=indent, ensure_ascii=False, allow_nan=False)
    if text.isprintable():
        return text
    return "".join(_json_escaped(c) if _is_unsafe(c) and c != "\n" else c for c in text)


def _of_json(value: Any) -> Any:
    """A value in which infinity and NaN, which JSON has not, are the texts ``inf`` and ``nan``."""
    if isinstance(value, dict):
        return {key: _of_json(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_of_json(one) for one in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _is_unsafe(character: str) -> bool:
    return unicodedata.category(character) in _UNSAFE and character not in _JOINERS


def _escaped(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return _SHORT.get(character, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_escaped(character: str) -> str:
    return json.dumps(character)[1:-1] if character != "\x7f" else "\\u007f"
