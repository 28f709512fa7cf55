"""What fields of strings have in common, however they are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from exetera_zarr.errors import ArgumentTypeError
from exetera_zarr.fields.accessors.categories import as_type
from exetera_zarr.fields.expressions.operands import text_operand
from exetera_zarr.fields.expressions.operators import Comparison

if TYPE_CHECKING:
    from exetera_zarr.fields.categorical import CategoricalField

__all__ = ["Text"]


class Text(Comparison):
    """``< <= == != > >=`` with text, by the bytes of UTF-8."""

    of_numbers = False

    def operand(self, other: Any, function: Any) -> Any:
        return text_operand(self, other, function)  # type: ignore[arg-type]

    def astype(self, dtype: str) -> CategoricalField:
        """
        The same as categories, which take less room and are compared faster.

        Parameters
        ----------
        dtype
            ``"category"``, as in pandas.

        Returns
        -------
        CategoricalField
            In memory: ``df["sex"] = df["sex"].astype("category")`` changes the column. The names
            are those that occur, in ascending order. What is missing stays so.

        Raises
        ------
        TypeError
            It is another type.
        DataError
            There is no text in it, or more different ones than 32,767.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     t = s.open_dataset("memory://category.zarr", "w", "d").create_dataframe("t")
        ...     t["sex"] = ["m", "f", None]
        ...     t["sex"] = t["sex"].astype("category")
        ...     t["sex"].keys, t["sex"].tolist()
        ({0: b'f', 1: b'm'}, ['m', 'f', None])
        """
        return as_type(self, dtype)  # type: ignore[arg-type]

    def _no_sum(self: Any, _other: Any) -> NoReturn:
        raise ArgumentTypeError(
            f"{self.phrase()} holds strings, which are joined one by one: write the list "
            "[text + 'x' for text in field.data[:]] to a new field (a fixed string is bytes there)"
        )

    __add__ = _no_sum
    __radd__ = _no_sum
    __mul__ = _no_sum
    __rmul__ = _no_sum
    __mod__ = _no_sum
