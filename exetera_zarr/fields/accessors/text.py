"""``field.str``: what text contains, and other text made of it.

Answers are those of Python's own strings and patterns. Text that is ASCII, which most is, goes to
Arrow, which does the same there at many times the speed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Self, TypeAlias, cast

import numpy as np
import pyarrow as pa

from exetera_zarr.engine import is_strings
from exetera_zarr.engine.columns import strings
from exetera_zarr.errors import AccessorError, ArgumentError, ArgumentTypeError, DataError
from exetera_zarr.fields.accessors.patterns import (
    SPECIAL,
    affix,
    alike,
    arrow_function,
    compiled,
    is_ascii,
    trimming,
)
from exetera_zarr.fields.data import blank_missing
from exetera_zarr.fieldtypes import indexed_string_attributes, label_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exetera_zarr.fields.base import Field
    from exetera_zarr.fields.categorical import CategoricalField
    from exetera_zarr.fields.numeric import NumericField
    from exetera_zarr.storage.base import AnyArray

__all__ = ["Pieces", "Texts", "texts_of"]

_Slice: TypeAlias = slice
Part: TypeAlias = tuple["AnyArray | pa.Array", "AnyArray | None"]


class _Itself:
    """What is its own ``.str``, as in ``field.str.lower().str.strip()``."""

    # Not in the classes themselves, in which `str` is the type.
    @property
    def str(self) -> Self:
        """Itself."""
        return self


class Texts(_Itself):
    """
    ``field.str`` of text, and of categories by their names.

    Each result is a field in memory, as long as the field, and missing where it is: numeric
    fields, and indexed strings for other text.

    Parameters
    ----------
    field
        Of strings or of categories.
    """

    def __init__(self, field: Field) -> None:
        self._field = field

    def __repr__(self) -> str:
        return f"<text of {self._field.phrase()}>"

    # -- conditions

    def contains(
        self,
        pat: str,
        case: bool = True,
        flags: int = 0,
        na: bool | None = None,
        regex: bool = True,
    ) -> NumericField:
        """
        Whether a pattern occurs in the text.

        Parameters
        ----------
        pat
            A regular expression, or text where `regex` is False.
        case
            Whether upper and lower case differ.
        flags
            Of the module `re`.
        na
            The answer for what is missing; by default it is missing, and chooses no row.
        regex
            Whether `pat` is a regular expression.

        Returns
        -------
        NumericField
            Of bool.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     t = s.open_dataset("memory://text.zarr", "w", "d").create_dataframe("t")
        ...     t["town"] = ["York", None, "New York", "Leeds"]
        ...     t["town"].str.contains("york", case=False).tolist()
        [True, None, True, False]
        """
        plain = not regex or (isinstance(pat, str) and not SPECIAL & set(pat) and not flags)
        pattern = compiled(re.escape(pat) if plain else pat, case, flags)
        arrow = None
        if plain:
            arrow = arrow_function("match_substring", pattern=pat, ignore_case=not case)
        elif alike(pat) and not flags:
            arrow = arrow_function("match_substring_regex", pattern=pat, ignore_case=not case)
        return self._answers(lambda text: pattern.search(text) is not None, arrow, na)

    def match(
        self, pat: str, case: bool = True, flags: int = 0, na: bool | None = None
    ) -> NumericField:
        """
        Whether a regular expression matches the beginning of the text; else as `contains`.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://match.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"town": [" york", "Bath", None]})
        ...     people["town"].str.match("B").tolist()
        [False, True, None]
        """
        pattern, arrow = compiled(pat, case, flags), None
        if alike(pat) and not flags:
            arrow = arrow_function(
                "match_substring_regex", pattern=f"^(?:{pat})", ignore_case=not case
            )
        return self._answers(lambda text: pattern.match(text) is not None, arrow, na)

    def fullmatch(
        self, pat: str, case: bool = True, flags: int = 0, na: bool | None = None
    ) -> NumericField:
        """
        Whether a regular expression matches the whole text; else as `contains`.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://fullmatch.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"town": [" york", "Bath", None]})
        ...     people["town"].str.fullmatch("B.*h").tolist()
        [False, True, None]
        """
        pattern, arrow = compiled(pat, case, flags), None
        if alike(pat) and not flags:
            arrow = arrow_function(
                "match_substring_regex", pattern=f"^(?:{pat})$", ignore_case=not case
            )
        return self._answers(lambda text: pattern.fullmatch(text) is not None, arrow, na)

    def startswith(self, pat: str | tuple[str, ...], na: bool | None = None) -> NumericField:
        """
        Whether the text begins with `pat`, or with one of several; else as `contains`.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://startswith.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"town": [" york", "Bath", None]})
        ...     people["town"].str.startswith("Ba").tolist()
        [False, True, None]
        """
        arrow = arrow_function("starts_with", pattern=pat) if isinstance(pat, str) else None
        given = affix(pat)
        return self._answers(lambda text: text.startswith(given), arrow, na)

    def endswith(self, pat: str | tuple[str, ...], na: bool | None = None) -> NumericField:
        """
        Whether the text ends with `pat`, or with one of several; else as `contains`.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://endswith.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"town": [" york", "Bath", None]})
        ...     people["town"].str.endswith("th").tolist()
        [False, True, None]
        """
        arrow = arrow_function("ends_with", pattern=pat) if isinstance(pat, str) else None
        given = affix(pat)
        return self._answers(lambda text: text.endswith(given), arrow, na)

    # -- numbers

    def len(self) -> NumericField:
        """
        How many characters the text has: int64.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://len.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"town": [" york", "Bath", None]})
        ...     people["town"].str.len().tolist()
        [5, 4, None]
        """
        return self._numbers(len, arrow_function("utf8_length"), "int64", of_any=True)

    def count(self, pat: str, flags: int = 0) -> NumericField:
        """
        How often a regular expression occurs in the text: int64.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://count.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"town": [" york", "Bath", None]})
        ...     people["town"].str.count("o").tolist()
        [1, 0, None]
        """
        pattern = compiled(pat, True, flags)
        return self._numbers(lambda text: sum(1 for _ in pattern.finditer(text)), None, "int64")

    # -- other text

    def lower(self) -> Any:
        """
        The text in lower case.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://lower.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"town": [" york", "Bath", None]})
        ...     people["town"].str.lower().tolist()
        [' york', 'bath', None]
        """
        return self._texts(str.lower, arrow_function("ascii_lower"))

    def upper(self) -> Any:
        """
        The text in upper case.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://upper.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"town": [" york", "Bath", None]})
        ...     people["town"].str.upper().tolist()
        [' YORK', 'BATH', None]
        """
        return self._texts(str.upper, arrow_function("ascii_upper"))

    def title(self) -> Any:
        """
        The text with each word in upper case at its beginning.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://title.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"town": [" york", "Bath", None]})
        ...     people["town"].str.title().tolist()
        [' York', 'Bath', None]
        """
        return self._texts(str.title, None)

    def capitalize(self) -> Any:
        """
        The text with its first character in upper case, the others in lower case.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://capitalize.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"town": [" york", "Bath", None]})
        ...     people["town"].str.capitalize().tolist()
        [' york', 'Bath', None]
        """
        return self._texts(str.capitalize, None)

    def strip(self, to_strip: str | None = None) -> Any:
        """
        The text without blanks at its ends, or without the characters given.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://strip.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"town": [" york", "Bath", None]})
        ...     people["town"].str.strip().tolist()
        ['york', 'Bath', None]
        """
        return self._texts(lambda text: text.strip(to_strip), trimming("utf8_trim", to_strip))

    def lstrip(self, to_strip: str | None = None) -> Any:
        """
        The text without blanks, or the characters given, at its beginning.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://lstrip.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"town": [" york", "Bath", None]})
        ...     people["town"].str.lstrip().tolist()
        ['york', 'Bath', None]
        """
        return self._texts(lambda text: text.lstrip(to_strip), trimming("utf8_ltrim", to_strip))

    def rstrip(self, to_strip: str | None = None) -> Any:
        """
        The text without blanks, or the characters given, at its end.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://rstrip.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"town": [" york", "Bath", None]})
        ...     people["town"].str.rstrip().tolist()
        [' york', 'Bath', None]
        """
        return self._texts(lambda text: text.rstrip(to_strip), trimming("utf8_rtrim", to_strip))

    def removeprefix(self, prefix: str) -> Any:
        """
        The text without `prefix`, where it begins with it.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://removeprefix.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"town": [" york", "Bath", None]})
        ...     people["town"].str.removeprefix("Ba").tolist()
        [' york', 'th', None]
        """
        return self._texts(lambda text: text.removeprefix(prefix), None)

    def removesuffix(self, suffix: str) -> Any:
        """
        The text without `suffix`, where it ends with it.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://removesuffix.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"town": [" york", "Bath", None]})
        ...     people["town"].str.removesuffix("th").tolist()
        [' york', 'Ba', None]
        """
        return self._texts(lambda text: text.removesuffix(suffix), None)

    def zfill(self, width: int) -> Any:
        """
        The text with zeros in front, until it has `width` characters.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://zfill.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"id": ["7", "42"]})
        ...     people["id"].str.zfill(4).tolist()
        ['0007', '0042']
        """
        return self._texts(lambda text: text.zfill(width), None)

    def replace(
        self,
        pat: str,
        repl: str | Callable[[re.Match[str]], str],
        n: int = -1,
        case: bool = True,
        flags: int = 0,
        regex: bool = False,
    ) -> Any:
        """
        The text with something else in the place of `pat`.

        Parameters
        ----------
        pat
            Text; a regular expression where `regex` is True.
        repl
            What takes its place: as of `re.sub` where `regex` is True.
        n
            How often at most; -1 for always.
        case, flags
            As of `contains`.
        regex
            Whether `pat` is a regular expression.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://replace.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"town": [" york", "Bath", None]})
        ...     people["town"].str.replace("o", "0").tolist()
        [' y0rk', 'Bath', None]
        """
        if not regex and isinstance(repl, str) and case and not flags:
            if not isinstance(pat, str):
                raise ArgumentTypeError(f"text is replaced by text, and {pat!r} is none")
            arrow = (
                arrow_function("replace_substring", pattern=pat, replacement=repl) if pat else None
            )
            if n >= 0:
                arrow = None
            return self._texts(lambda text: text.replace(pat, repl, n), arrow)
        if not regex and callable(repl):
            raise ArgumentError("a function takes the place of a regular expression: regex=True")
        pattern = compiled(pat if regex else re.escape(pat), case, flags)
        new = repl if regex else (lambda _match: cast("str", repl))

        def replaced(text: str) -> str:
            try:
                return pattern.sub(new, text, max(n, 0))
            except re.error as error:
                raise ArgumentError(f"{repl!r} replaces nothing of {pat!r}: {error}") from error

        return self._texts(replaced, None)

    def slice(
        self, start: int | None = None, stop: int | None = None, step: int | None = None
    ) -> Any:
        """
        Some characters of the text, as of ``text[start:stop:step]``.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://slice.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"town": [" york", "Bath", None]})
        ...     people["town"].str.slice(0, 2).tolist()
        [' y', 'Ba', None]
        """
        part = slice(start, stop, step)
        arrow = None
        if (start or 0) >= 0 and stop is not None and stop >= 0 and step in (None, 1):
            arrow = arrow_function(
                "utf8_slice_codeunits", start=start or 0, stop=max(stop, start or 0)
            )
        return self._texts(lambda text: text[part], arrow)

    def get(self, i: int) -> Any:
        """
        The character at a position, negative from the end; missing where there is none.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://get.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"town": [" york", "Bath", None]})
        ...     people["town"].str.get(0).tolist()
        [' ', 'B', None]
        """
        return self._texts(lambda text: text[i] if -len(text) <= i < len(text) else None, None)

    def __getitem__(self, item: int | _Slice) -> Any:
        if isinstance(item, slice):
            return self.slice(item.start, item.stop, item.step)
        return self.get(item)

    def split(
        self,
        pat: str | None = None,
        n: int = -1,
        *,
        expand: bool = False,
        regex: bool | None = None,
    ) -> Pieces:
        """
        The text cut at `pat`, or at blanks: ``field.str.split(",").str[0]`` is the first piece.

        Parameters
        ----------
        pat
            Text.
        n
            How many cuts at most; -1 or 0 for all.
        expand
            Not supported: each piece is a field by itself.
        regex
            Whether `pat` is a regular expression; by default, as in pandas, one of more than one
            character is.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://split.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"name": ["Ada Lovelace", "Alan Turing"]})
        ...     people["name"].str.split(" ").str[0].tolist()
        ['Ada', 'Alan']
        """
        if expand:
            raise ArgumentError(
                "pieces of text are fields one by one: write df['a'] = field.str.split(...).str[0]"
            )
        if pat is not None and (not isinstance(pat, str) or not pat):
            raise ArgumentError(f"text is cut at text that is not empty, not at {pat!r}")
        limit = n if n > 0 else -1
        if pat is not None and (len(pat) > 1 if regex is None else regex):
            pattern = compiled(pat, True, 0)
            return Pieces(self, lambda text: pattern.split(text, max(limit, 0)))
        return Pieces(self, lambda text: text.split(pat, limit))

    def extract(self, pat: str, flags: int = 0) -> Any:
        """
        The group of a regular expression where it first occurs; missing where it does not.

        Examples
        --------
        >>> from exetera_zarr import Session
        >>> with Session() as s:
        ...     ds = s.open_dataset("memory://extract.zarr", "w", "study")
        ...     people = ds.from_dict("people", {"town": [" york", "Bath", None]})
        ...     people["town"].str.extract("(.)th").tolist()
        [None, 'a', None]
        """
        pattern = compiled(pat, True, flags)
        if pattern.groups != 1:
            raise ArgumentError(
                f"{pat!r} has {pattern.groups} groups: extract takes an expression with one, and "
                "is written once for each field"
            )

        def group(text: str) -> str | None:
            found = pattern.search(text)
            return None if found is None else found.group(1)

        return self._texts(group, None)

    # -- how

    def _answers(
        self, python: Callable[[str], bool], arrow: Callable[[Any], Any] | None, na: bool | None
    ) -> NumericField:
        found = self._numbers(python, arrow, "bool")
        if na is None:
            return found
        if not isinstance(na, (bool, np.bool_)):
            raise ArgumentTypeError(f"na is True or False, or left out, not {na!r}")
        filled: NumericField = found.fillna(bool(na))
        return filled

    def _numbers(
        self,
        python: Callable[[str], Any],
        arrow: Callable[[Any], Any] | None,
        dtype: str,
        *,
        of_any: bool = False,
    ) -> NumericField:
        def part(text: pa.Array) -> Part:
            if arrow is not None and (of_any or is_ascii(text)):
                found = arrow(text).to_numpy(zero_copy_only=False)
                return np.asarray(found, dtype), None
            return np.asarray([python(one) for one in text.to_pylist()], dtype), None

        made: NumericField = self._field.numeric_like(dtype)
        for values, mask in self.parts(part):
            made.append_masked(np.asarray(values), mask)
        return made

    def _texts(
        self, python: Callable[[str], str | None], arrow: Callable[[Any], Any] | None
    ) -> Any:
        def part(text: pa.Array) -> Part:
            if arrow is not None and is_ascii(text):
                return strings.as_strings(arrow(text)), None
            found = [python(one) for one in text.to_pylist()]
            gone = [one is None for one in found]
            if not any(gone):
                return strings.encode(found), None
            return strings.encode([one or "" for one in found]), ~np.asarray(gone)

        made = self._field.in_memory(indexed_string_attributes())
        for column, mask in self.parts(part):
            text = cast("pa.LargeBinaryArray", column)
            made.append_masked(text if mask is None else blank_missing(text, mask), mask)
        return made

    def parts(self, part: Callable[[pa.Array], Part]) -> Iterator[Part]:
        """What a function of text gives, a block at a time."""
        if self._field.type_name == "categorical":
            yield from self._by_name(part)
            return
        first = 0
        for column, mask in self._field.masked_blocks():
            texts = column if is_strings(column) else strings.from_fixed(column)
            if mask is not None:
                texts = blank_missing(texts, mask)
            values, there = part(_as_text(texts, self._field, first))
            yield values, _both(mask, there)
            first += len(column)

    def _by_name(self, part: Callable[[pa.Array], Part]) -> Iterator[Part]:
        """Of categories: once for each name."""
        keys = dict(sorted(cast("CategoricalField", self._field).keys.items()))
        known = np.asarray([*keys], np.int64)
        names = strings.encode([label_bytes(name) for name in keys.values()])
        values, there = part(_as_text(names, self._field, 0))
        for column, mask in self._field.masked_blocks():
            at = np.minimum(np.searchsorted(known, column), len(known) - 1)
            odd = known[at] != column
            if mask is not None:
                odd &= mask
            if odd.any():
                code = column[int(np.argmax(odd))]
                raise DataError(f"{self._field.phrase()} has the code {code}, which has no name")
            found = values[at] if isinstance(values, np.ndarray) else strings.take(values, at)
            yield found, _both(mask, None if there is None else there[at])


class Pieces(_Itself):
    """
    Text that is cut in pieces, of which one is taken: ``.str[0]``, ``.str.get(0)``, ``[0]``.

    Parameters
    ----------
    texts
        Of the field.
    cut
        Gives the pieces of a text.
    """

    def __init__(self, texts: Texts, cut: Callable[[str], list[str]]) -> None:
        self._texts, self._cut = texts, cut

    def __repr__(self) -> str:
        return f"<pieces of {self._texts!r}: .str[0] is the first one>"

    def get(self, i: int) -> Any:
        """The piece at a position, negative from the end; missing where there is none."""

        def piece(text: str) -> str | None:
            pieces = self._cut(text)
            return pieces[i] if -len(pieces) <= i < len(pieces) else None

        return self._texts._texts(piece, None)  # noqa: SLF001 - of one module

    def __getitem__(self, item: int) -> Any:
        if isinstance(item, slice):
            raise ArgumentTypeError("a field holds one piece of each text: write .str[0]")
        return self.get(item)

    def len(self) -> Any:
        """How many pieces there are: int64."""
        return self._texts._numbers(lambda text: len(self._cut(text)), None, "int64")  # noqa: SLF001

    __iter__ = None  # by Python's own rule it would be without end


def _both(first: AnyArray | None, second: AnyArray | None) -> AnyArray | None:
    if first is None or second is None:
        return second if first is None else first
    found: AnyArray = first & second
    return found


def _as_text(column: pa.LargeBinaryArray, field: Field, first: int) -> pa.Array:
    try:
        return column.cast(pa.large_string())
    except pa.ArrowInvalid:
        row = next(at for at, one in enumerate(column.to_pylist()) if not _is_utf8(one))
        raise DataError(
            f"{field.phrase()} has bytes that are no text (UTF-8) in row {first + row}: "
            "field.data[...] reads them, with what they are in their place"
        ) from None


def _is_utf8(value: bytes) -> bool:
    try:
        _ = value.decode()
    except UnicodeError:
        return False
    return True


def texts_of(field: Field) -> Texts:
    """
    What ``field.str`` is.

    Raises
    ------
    AccessorError
        The field holds neither text nor categories; it is an AttributeError.
    """
    if field.type_name in ("indexedstring", "fixedstring", "categorical"):
        return Texts(field)
    hint = "dt.strftime(format) makes text of it" if field.type_name == "timestamp" else "numbers"
    if hint == "numbers":
        hint = "it holds numbers, which are compared with == and <"
    raise AccessorError(f"{field.phrase()} ({field.fieldtype}) has no .str: {hint}")
