"""Expressions in text, as `DataFrame.query` takes them: parsed by Python, never run by it."""

from __future__ import annotations

import ast
import io
import operator
import re
import tokenize
from functools import reduce
from typing import TYPE_CHECKING, Any

from exetera_zarr.errors import ArgumentError, FieldNotFoundError
from exetera_zarr.fields.accessors.dates import Dates
from exetera_zarr.fields.accessors.durations import Durations
from exetera_zarr.fields.accessors.text import Pieces, Texts
from exetera_zarr.fields.base import Field

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exetera_zarr.tables.dataframe import DataFrame

__all__ = ["evaluate"]

_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
# Of fields what changes nothing; `astype`, for one, changes a field of a table.
_METHODS = frozenset(
    (
        *("abs", "all", "any", "between", "clip", "count", "cummax", "cummin", "cumsum", "diff"),
        *("dt", "ffill", "fillna", "isin", "isna", "is_first", "is_last", "map", "mask", "max"),
        *("mean", "median", "min", "notna", "nunique", "quantile", "rank", "round", "shift"),
        *("std", "str", "sum", "var", "where"),
    )
)
_ACCESSORS = (Dates, Durations, Pieces, Texts)
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|`([^`]+)`|@([A-Za-z_]\w*)")


def evaluate(expression: str, frame: DataFrame, values: Mapping[str, Any]) -> Any:
    """
    What an expression over the fields of a table gives.

    Parameters
    ----------
    expression
        See `DataFrame.query`.
    frame
        The table.
    values
        What ``@name`` stands for.

    Raises
    ------
    ArgumentError
        It is no such expression.
    FieldNotFoundError
        It names a field that does not exist.
    """
    return _Evaluation(expression, frame, values).result()


def _as_words(program: str) -> str:
    """A program in which ``&`` and ``|`` are ``and`` and ``or``, as in pandas: they join last."""
    words = {"&": " and ", "|": " or "}
    parts = tokenize.generate_tokens(io.StringIO(program).readline)
    return tokenize.untokenize((part.type, words.get(part.string, part.string)) for part in parts)


class _Evaluation:
    def __init__(self, expression: str, frame: DataFrame, values: Mapping[str, Any]) -> None:
        if not isinstance(expression, str) or not expression.strip():
            raise ArgumentError(
                f"a query is a condition in text, such as 'age > 30', not {expression!r}"
            )
        self._text, self._frame, self._values = expression, frame, values
        self._names: dict[str, str] = {}
        self._given: dict[str, str] = {}
        self._used: set[str] = set()

    def result(self) -> Any:
        try:
            program = _as_words(_QUOTED.sub(self._placeholder, self._text).strip())
            tree = ast.parse(program, mode="eval")
        except (SyntaxError, ValueError, MemoryError, RecursionError, tokenize.TokenError) as error:
            hint = "; == compares, and = does not" if re.search(r"[^=<>!]=[^=]", self._text) else ""
            raise ArgumentError(
                f"the query {self._text!r} is no expression: {error}{hint}"
            ) from error
        found = self._of(tree.body)
        if unused := [name for name in self._values if name not in self._used]:
            raise self._error(
                f"it has no @{unused[0]}, for which a value is given: query takes an expression "
                "and the values of @names, and changes nothing"
            )
        return found

    def _placeholder(self, found: re.Match[str]) -> str:
        """What stands in the program for a name in backticks, or for a value that is given."""
        if found[1] is not None:
            return self._stand_in("_field", self._names, found[1])
        if found[2] is not None:
            return self._stand_in("_value", self._given, found[2])
        return found[0]

    @staticmethod
    def _stand_in(prefix: str, known: dict[str, str], name: str) -> str:
        stand_in = f"{prefix}_{len(known)}_"
        known[stand_in] = name
        return stand_in

    def _of(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return self._named(name)
            case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
                return [self._of(part) for part in parts]
            case ast.Compare():
                return self._comparison(node)
            case ast.Attribute(value=of, attr=name):
                return self._attribute(self._of(of), name)
            case ast.Call(func=ast.Attribute() as function):
                return self._call(node, function)
            case ast.Subscript(value=ast.Attribute() as of, slice=part):
                return self._part(self._of(of), part)
        return self._operation(node)

    def _part(self, of: Any, part: ast.expr) -> Any:
        """Letters of texts, or pieces: ``.str[0]``, ``.str[:2]``."""
        texts: Any = of if isinstance(of, (Pieces, Texts)) else None
        if texts is None:
            raise self._error(f"a {type(of).__name__} has no parts in a query")
        if not isinstance(part, ast.Slice):
            return texts[self._of(part)]
        ends = [None if end is None else self._of(end) for end in (part.lower, part.upper)]
        return texts[slice(*ends)]

    def _operation(self, node: ast.expr) -> Any:
        match node:
            case ast.BoolOp(op=how, values=parts):
                join = operator.and_ if isinstance(how, ast.And) else operator.or_
                return reduce(join, map(self._condition, parts))
            case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=part):
                return ~self._condition(part)
            case ast.UnaryOp(op=ast.USub(), operand=part):
                return -self._of(part)
            case ast.UnaryOp(op=ast.UAdd(), operand=part):
                return self._of(part)
            case ast.BinOp(left=left, op=how, right=right) if type(how) in _BINARY:
                return _BINARY[type(how)](self._of(left), self._of(right))
        raise self._error(f"{ast.unparse(node)!r} is nothing that a query knows")

    def _call(self, node: ast.Call, function: ast.Attribute) -> Any:
        method = self._attribute(self._of(function.value), function.attr)
        if not callable(method):
            raise self._error(f"{function.attr!r} is no method")
        named = {word.arg: self._of(word.value) for word in node.keywords if word.arg}
        return method(*[self._of(part) for part in node.args], **named)

    def _condition(self, node: ast.expr) -> Any:
        found = self._of(node)
        if isinstance(found, Field) and found.fieldtype != "numeric,bool":
            raise self._error(f"{ast.unparse(node)!r} is no condition, as 'age > 30' is one")
        return found

    def _comparison(self, node: ast.Compare) -> Any:
        found, left = None, self._of(node.left)
        for how, right_node in zip(node.ops, node.comparators, strict=True):
            right = self._of(right_node)
            one = self._compared(left, how, right, node)
            found = one if found is None else found & one
            left = right
        return found

    def _compared(self, left: Any, how: ast.cmpop, right: Any, node: ast.Compare) -> Any:
        compare = _COMPARISONS.get(type(how))
        if isinstance(how, (ast.Eq, ast.NotEq)) and isinstance(right, (list, tuple, set)):
            how = ast.In() if isinstance(how, ast.Eq) else ast.NotIn()  # as in pandas
        elif compare is not None:
            return compare(left, right)
        if isinstance(how, (ast.In, ast.NotIn)):
            if not isinstance(left, Field):
                raise self._error(f"{ast.unparse(node)!r}: `in` asks for the rows of a field")
            among = left.isin(right)
            return among if isinstance(how, ast.In) else ~among
        raise self._error("`is` compares nothing here: write isna() or notna()")

    def _named(self, name: str) -> Any:
        if name in self._given:
            wanted = self._given[name]
            if wanted not in self._values:
                raise self._error(f"@{wanted} has no value: give it as query(..., {wanted}=...)")
            self._used.add(wanted)
            return self._values[wanted]
        wanted = self._names.get(name, name)
        try:
            return self._frame.get_field(wanted)
        except FieldNotFoundError as error:
            if wanted in self._values:
                error.add_note(f"the value {wanted!r} that was given is written @{wanted}")
            raise

    def _attribute(self, of: Any, name: str) -> Any:
        known = name in _METHODS if isinstance(of, Field) else isinstance(of, _ACCESSORS)
        if name.startswith("_") or not known:
            what = "a field" if isinstance(of, Field) else f"a {type(of).__name__}"
            raise self._error(f"{name!r} of {what} is nothing that a query may use")
        try:
            return getattr(of, name)
        except AttributeError as error:
            raise self._error(str(error)) from error

    def _error(self, why: str) -> ArgumentError:
        return ArgumentError(f"the query {self._text!r}: {why}")
