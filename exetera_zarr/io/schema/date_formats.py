"""How dates are written that are not as ISO 8601 has them: formats of ``strptime``, as patterns."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from exetera_zarr.errors import SchemaError, listing

__all__ = ["MONTHS", "DateFormat", "date_format", "day_order"]

MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
SHORT = [name[:3] for name in MONTHS]
PARTS = {
    **dict.fromkeys("mdHIMS", "[0-9]{1,2}"),
    "Y": "[0-9]{4}",
    "y": "[0-9]{2}",
    "j": "[0-9]{1,3}",
    "f": "[0-9]{1,6}",
    "b": "(?i:" + "|".join(SHORT) + ")",
    "B": "(?i:" + "|".join(MONTHS) + ")",
    "p": "(?i:am|pm)",
    "z": "Z|UTC|[+-][0-9]{2}:?[0-9]{2}",
}
TOGETHER = {"%F": "%Y-%m-%d", "%T": "%H:%M:%S", "%R": "%H:%M", "%D": "%m/%d/%y"}
DIGITS = frozenset("mdHIMSYyjf")
OF_TIME = frozenset("HIMSfpz")
DIRECTIVE = re.compile("%(.)|([^%]+)", re.DOTALL)


@dataclass(frozen=True)
class DateFormat:
    """
    A form of dates.

    Parameters
    ----------
    pattern
        With a group for each part, named after its directive; ``s`` and ``t`` of what separates
        parts are the same.
    shown
        What messages call it, to follow "is not a ".
    strict
        Whether ISO 8601 is none of it.
    """

    pattern: str
    shown: str
    strict: bool


@lru_cache(maxsize=256)
def date_format(text: str, *, whole_days: bool) -> DateFormat:
    """
    A form as ``strptime`` has it; names of months are English.

    Raises
    ------
    SchemaError
        It is no such form, or says no day, or says a time where there is none.
    """
    if not isinstance(text, str):
        raise SchemaError(f"date_format must be a text such as '%d.%m.%Y', not {text!r}")
    whole = text
    for short, long in TOGETHER.items():
        whole = whole.replace(short, long)
    parts = [(match[1], match[2]) for match in DIRECTIVE.finditer(whole)]
    names = [name for name, _ in parts if name and name != "%"]
    _check(text, names, whole_days=whole_days)
    pattern = ""
    for number, (name, literal) in enumerate(parts):
        if name == "%" or literal:
            plain = re.escape(literal or "%")
            pattern += re.sub(r"(\\\s)+|\s+", r"[ \\t]+", plain)
            continue
        around = (
            parts[number - 1][0] if number else "",
            *(p[0] for p in parts[number + 1 : number + 2]),
        )
        # Without anything between them, only their number tells which digits are whose.
        fixed = name in DIGITS and any(other and other in DIGITS for other in around)
        part = PARTS[name].replace("{1,2}", "{2}").replace("{1,3}", "{3}") if fixed else PARTS[name]
        pattern += f"(?P<{name}>{part})"
    kind = "date" if whole_days else "date and time"
    return DateFormat(f"^{pattern}$", f"{kind} of the format {text!r}", strict=True)


def _check(text: str, names: list[str], *, whole_days: bool) -> None:
    if unknown := [f"%{name}" for name in names if name not in PARTS]:
        known = [f"%{name}" for name in PARTS]
        raise SchemaError(
            f"date_format {text!r} has {listing(unknown)}; known are {listing(known)}"
        )
    if not names:
        raise SchemaError(f"date_format {text!r} has no directives, as '%d.%m.%Y' has")
    there = set(names)
    if len(there) < len(names) or {"Y", "y"} <= there or len(there & {"m", "b", "B", "j"}) > 1:
        raise SchemaError(f"date_format {text!r} says the same twice")
    if not there & {"Y", "y"}:
        raise SchemaError(f"date_format {text!r} says no year: %Y, or %y where it has two digits")
    if ("I" in there) != ("p" in there) or {"H", "I"} <= there:
        raise SchemaError(f"date_format {text!r}: hours are %H, or %I with %p")
    if "d" in there and not there & {"m", "b", "B"}:
        raise SchemaError(f"date_format {text!r} says no month: %m, %b or %B")
    if whole_days and there & OF_TIME:
        raise SchemaError(
            f"date_format {text!r} has a time of day, which a date has not: make it a datetime"
        )


@lru_cache(maxsize=4)
def day_order(*, dayfirst: bool, whole_days: bool) -> DateFormat:
    """Dates of numbers, with the day or the month first, and what separates them twice the same."""
    one, other = (f"(?P<{name}>[0-9]{{1,2}})" for name in ("dm" if dayfirst else "md"))
    day = rf"{one}(?P<s>[/.-]){other}(?P<t>[/.-])(?P<Y>[0-9]{{4}})"
    time = r"[ T]+(?P<H>[0-9]{1,2}):(?P<M>[0-9]{2})(?::(?P<S>[0-9]{2})(?:\.(?P<f>[0-9]{1,6}))?)?"
    shown = "DD/MM/YYYY" if dayfirst else "MM/DD/YYYY"
    if whole_days:
        return DateFormat(f"^{day}$", f"date {shown}", strict=False)
    return DateFormat(f"^{day}{time}$", f"date and time {shown} HH:MM[:SS]", strict=False)
