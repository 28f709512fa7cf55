"""How a CSV file is written, from its first lines: encoding, comments, what separates cells."""

from __future__ import annotations

import codecs
import csv
import io
import re
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from exetera_zarr.io.csv.files import InputFile
from exetera_zarr.io.csv.text import FOREIGN_MARKS, RECORD_LIMIT, SEP_LINE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exetera_zarr.io.options import PathLike
    from exetera_zarr.io.schema.formats import CsvFormat

__all__ = ["sniffed"]

START = 1 << 20
LINES = 200
SEPARATORS = (";", "\t", "|")
# Of so many records all but a few have the width of the header.
ALIKE = 0.9
# What non-ASCII characters of cp1252 are where they do not stand in words.
SIGNS = frozenset("€£§°²³µ½¼±–—’‘“”„…·×«»")  # noqa: RUF001 - they are meant


def sniffed(
    path: PathLike,
    storage_options: Mapping[str, Any] | None,
    known: CsvFormat,
    *,
    whole: bool = False,
) -> tuple[CsvFormat, list[str]]:
    """
    Find out how a file is written.

    Parameters
    ----------
    path, storage_options
        The file.
    known
        What is known of that.
    whole
        Whether to look at all of it for characters of another encoding.

    Returns
    -------
    form
        What is known, and what was found where that is not as usual.
    notes
        What was found, a sentence each.
    """
    notes: list[str] = []
    file = InputFile(path, storage_options)
    with closing(file):
        if not file.seekable:
            return known, notes
        raw = file.read(START)
        more = raw
        while len(more) and len(raw) < START:
            more = file.read(START)
            raw += more
        odd = (_first_odd(file, raw) if whole else b"") if _is_utf8(raw) else raw
    if any(raw.startswith(mark) for mark, kind in FOREIGN_MARKS.items() if kind != "UTF-16"):
        return known, notes
    form = known
    if known.encoding is None and (encoding := _encoding(raw, odd)):
        form = replace(form, encoding=encoding)
        notes.append(_said_of_encoding(file.name, encoding, odd or raw))
    text = raw.decode(form.encoding or "utf-8-sig", "replace").removeprefix("\ufeff")
    complete = len(raw) < START
    lines = text.splitlines(keepends=True)
    lines = lines[:LINES] if complete or len(lines) > LINES else lines[:-1]
    form, lines = _without_preamble(form, lines, notes, file.name)
    if form.sep is None and lines and not SEP_LINE.match(lines[0].encode()):
        form = _with_separator(form, lines, notes, file.name)
    elif form.sep is None and lines:
        found = SEP_LINE.match(lines[0].encode())
        mark = found[1].decode() if found else ","
        if mark != ",":
            form = replace(form, sep=mark)
            notes.append(f"its first line says that cells are separated by {mark!r}")
    return form, notes


# Encodings


def _is_utf8(raw: bytes) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(raw)  # the last character may go on
    except UnicodeDecodeError:
        return False
    return True


def _first_odd(file: InputFile, start: bytes) -> bytes:
    """
    The first part of a file after its start that is not UTF-8; nothing if all of it is.

    Where a line is longer than any record may be, who reads the file goes no further either.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    part, length = start, 0
    while part and length <= RECORD_LIMIT:
        cut = max(part.rfind(b"\n"), part.rfind(b"\r"))
        length = length + len(part) if cut < 0 else len(part) - cut
        try:
            decoder.decode(part)
        except UnicodeDecodeError:
            return part
        part = file.read(START)
    return b""


def _encoding(raw: bytes, odd: bytes) -> str | None:
    """The name of an encoding that is not UTF-8; None where it is that, or none that is known."""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" in raw[:1000]:
        even, uneven = raw[:1000:2].count(0), raw[1:1000:2].count(0)
        half = len(raw[:1000]) // 2
        if uneven > half // 2 and not even:
            return "utf-16-le"
        return "utf-16-be" if even > half // 2 and not uneven else None
    if not odd:
        return None
    try:
        text = odd.decode("cp1252")
    except UnicodeDecodeError:
        return None
    if re.search(rb"[\xc3-\xf4][\x80-\xbf]", odd):
        return None  # UTF-8 with cells that are damaged
    return "cp1252" if _example(text) else None


def _example(text: str) -> str:
    """A word with a letter, or a sign, that is not ASCII."""
    for match in re.finditer(r"[^\x00-\x7f]", text):
        place = match.start()
        around = text[max(0, place - 1) : place] + text[place + 1 : place + 2]
        if match[0] in SIGNS or any(one.isascii() and one.isalpha() for one in around):
            start = place
            while start and text[start - 1].isalnum():
                start -= 1
            found = re.match(r"\w+", text[start:])
            return found[0] if found and place < start + len(found[0]) else match[0]
    return ""


def _said_of_encoding(name: str, encoding: str, odd: bytes) -> str:
    if encoding != "cp1252":
        return f"{name} is in {encoding.upper()}, not UTF-8"
    return (
        f"{name} is not UTF-8, and taken for cp1252 of Windows (Latin-1 has the same letters), in "
        f"which it has {_example(odd.decode('cp1252', 'replace'))!r}"
    )


# Lines before the header


def _without_preamble(
    form: CsvFormat, lines: Sequence[str], notes: list[str], name: str
) -> tuple[CsvFormat, list[str]]:
    left = list(lines[form.skiprows or 0 :])
    if form.comment:
        return form, [line for line in left if not line.startswith(form.comment)]
    if form.comment is None and form.skiprows is None:
        count = next((n for n, line in enumerate(left) if not line.startswith("#")), len(left))
        if 0 < count < len(left) and left[count].strip() and not _heads(left[count - 1 :]):
            notes.append(
                f"{name} has {count} line{'s' if count > 1 else ''} of comments, which begin with "
                "'#', before its header"
            )
            form = replace(form, comment="#")
            return form, [line for line in left if not line.startswith("#")]
        if (count := _preamble(left)) > 0:
            shown = left[0].strip()[:40]
            notes.append(
                f"{name} has {count} line{'s' if count > 1 else ''} before its header, which are "
                f"left out ({shown!r}...)"
            )
            return replace(form, skiprows=count), left[count:]
    return form, left


def _heads(lines: Sequence[str]) -> bool:
    """Whether a line that begins like a comment may be the header of those that follow."""
    first, second = lines[0], lines[1]
    return any(mark in first and first.count(mark) == second.count(mark) for mark in ",;\t|")


def _preamble(lines: Sequence[str]) -> int:
    """How many lines come before a blank one and a table of several columns; 0 if none do."""
    blank = next((n for n, line in enumerate(lines[:30]) if not line.strip(" \r\n")), None)
    if blank is None:
        return 0
    start = next((n for n in range(blank, len(lines)) if lines[n].strip(" \r\n")), None)
    if start is None or len(lines) < start + 2:
        return 0
    for mark in (",", *SEPARATORS):
        width, alike = _width(lines[start:], mark, '"')
        if width > 1 and alike == 1 and not any(mark in line for line in lines[:blank]):
            return start
    return 0


# Separators


def _width(lines: Sequence[str], mark: str, quote: str) -> tuple[int, float]:
    """How many columns there are by a separator, and the part of the records that have as many."""
    options: dict[str, Any] = {"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE}
    reader = csv.reader(io.StringIO("".join(lines), newline=""), delimiter=mark, **options)
    widths: list[int] = []
    try:
        widths += (len(record) for record in reader if record)
    except csv.Error:
        return 0, 0.0
    if not widths:
        return 0, 0.0
    rest = widths[1:]
    return widths[0], sum(width == widths[0] for width in rest) / len(rest) if rest else 1.0


def _with_separator(
    form: CsvFormat, lines: Sequence[str], notes: list[str], name: str
) -> CsvFormat:
    quote = '"' if form.quotechar is None else form.quotechar
    width, alike = _width(lines, ",", quote)
    if width > 1 and alike >= ALIKE:
        best, mark = width, ","
    else:
        best, mark = 1, ","
    for other in SEPARATORS:
        columns, fraction = _width(lines, other, quote)
        if columns > best and fraction >= ALIKE:
            best, mark = columns, other
    if mark == ",":
        return form
    has = f"has {mark!r}" + ("" if "," in lines[0] else " and no comma")
    notes.append(f"the header of {name} {has}: its cells are separated by that (sep={mark!r})")
    return replace(form, sep=mark)
