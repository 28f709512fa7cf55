"""What fields of strings have in common, however they are stored."""

from __future__ import annotations

from typing import Any, NoReturn

from exetera_zarr.errors import ArgumentTypeError
from exetera_zarr.fields.expressions.operands import text_operand
from exetera_zarr.fields.expressions.operators import Comparison

__all__ = ["Text"]


class Text(Comparison):
    """``< <= == != > >=`` with text, by the bytes of UTF-8."""

    of_numbers = False

    def operand(self, other: Any, function: Any) -> Any:
        return text_operand(self, other, function)  # type: ignore[arg-type]

    def _no_sum(self: Any, _other: Any) -> NoReturn:
        raise ArgumentTypeError(
            f"{self.phrase()} holds strings, which are joined one by one: write the list "
            "[text + 'x' for text in field.data[:]] to a new field (a fixed string is bytes there)"
        )

    __add__ = __radd__ = __mul__ = __rmul__ = __mod__ = _no_sum
