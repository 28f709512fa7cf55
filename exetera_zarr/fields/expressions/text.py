"""What fields of strings have in common, however they are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exetera_zarr.fields.expressions.operands import text_operand
from exetera_zarr.fields.expressions.operators import Comparison, compute

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Text"]


class Text(Comparison):
    """``< <= == != > >=`` with text, by the bytes of UTF-8."""

    of_numbers = False

    def operand(self, other: Any, function: Any) -> Any:
        return text_operand(self, other, function)  # type: ignore[arg-type]

    def apply_to(self, function: Callable[..., Any], other: Any) -> Any:
        return compute(function, self, other)
