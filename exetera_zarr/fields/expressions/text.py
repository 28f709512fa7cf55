"""What fields of strings have in common, however they are stored."""

from __future__ import annotations

from typing import Any

from exetera_zarr.fields.expressions.operands import text_operand
from exetera_zarr.fields.expressions.operators import Comparison

__all__ = ["Text"]


class Text(Comparison):
    """``< <= == != > >=`` with text, by the bytes of UTF-8."""

    of_numbers = False

    def operand(self, other: Any, function: Any) -> Any:
        return text_operand(self, other, function)  # type: ignore[arg-type]
