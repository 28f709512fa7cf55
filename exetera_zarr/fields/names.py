"""Names of fields and tables as a list that is also what the keys of a dict are."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

__all__ = ["Names"]


class Names(list[str]):
    """
    Names in order, with the operators that the keys of a dict have: ``a.keys() & b.keys()``.

    Like those keys it equals a set of the same names, and as a list it equals a list of them.
    """

    __hash__ = None  # as of a list

    def __eq__(self, other: object) -> bool:
        return set(self) == other if isinstance(other, AbstractSet) else list.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __and__(self, other: Iterable[str]) -> set[str]:
        return set(self).intersection(other)

    def __or__(self, other: Iterable[str]) -> set[str]:
        return set(self).union(other)

    def __sub__(self, other: Iterable[str]) -> set[str]:
        return set(self).difference(other)

    def __xor__(self, other: Iterable[str]) -> set[str]:
        return set(self).symmetric_difference(other)

    def __rsub__(self, other: Iterable[str]) -> set[str]:
        return set(other).difference(self)

    __rand__ = __and__
    __ror__ = __or__
    __rxor__ = __xor__

    def isdisjoint(self, other: Iterable[str]) -> bool:
        """Whether no name is in both."""
        return set(self).isdisjoint(other)
