"""What has been seen of a CSV column: what its cells could mean, and what speaks against it.

A type is tried by the converters that import it, so that what is proposed is what can be imported.
They see each distinct text of a block once. What is kept of a column does not grow with the file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from exetera_zarr.errors import SchemaError
from exetera_zarr.io.csv.cells import CellError, Cells, Mask
from exetera_zarr.io.csv.convert import convert, without
from exetera_zarr.io.csv.convert_marks import has_marks, plain_numbers
from exetera_zarr.io.propose.foreign import MARKS, definition, plausible
from exetera_zarr.io.schema.definitions import Date, DateTime, Numeric, String, na_texts
from exetera_zarr.io.schema.formats import CsvFormat

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ColumnProfile", "Kind", "Misfit"]

Kind: TypeAlias = str
"""``"int"``, ``"float"``, ``"date"``, ``"datetime"``, or one of `foreign`."""

# Distinct texts of a column that are remembered, and how long one may be to be worth it.
DISTINCT = 1000
LONGEST = 100
# A column whose first texts are of another type is not looked at to its end for each type.
FIRST = 32
# So many distinct texts may fail before a column is surely of another type.
TOLERATED = 8
# Bytes of a column that are kept to see whether its values are unique.
KEY_BYTES = 8 << 20
# Integers up to here are exact in float64.
EXACT = float(1 << 53)
USUAL: Mapping[Kind, Numeric | DateTime] = {
    "int": Numeric("int64", validation_mode="relaxed"),
    "float": Numeric("float64", validation_mode="relaxed"),
    "date": Date(),
    "datetime": DateTime(),
}
PADDED_FLOAT = r"^\s*[-+]?0[0-9]|_"
CANONICAL = r"^\s*-?(0|[1-9][0-9]*)\s*$"
ZONED = r"(Z|UTC|[+-]\d\d(:?\d\d)?)\s*$"


@dataclass
class Misfit:
    """A text that speaks against a type: how many cells hold it, and the row of the first."""

    count: int
    row: int | None


@dataclass
class ColumnProfile:
    """
    What was seen of one column so far.

    Attributes
    ----------
    form, name
        What is known of how its file is written, and its name there.
    rows, empty
        Cells, and how many of them are empty.
    texts
        How often each text occurs, the empty one apart: the first `DISTINCT` texts, unless they
        are long.
    more
        Whether there are texts beside those.
    shortest, longest
        Bytes of the cells that are not empty.
    misfits
        For each type that is still possible, the texts that speak against it.
    tried
        The types of `foreign` that were, or are, worth a try.
    extremes
        For each of those that are numbers the least and the greatest, and whether all are whole.
    low, high
        The least and the greatest of the cells that are integers.
    padded
        An integer whose text would not come back from the number: ``007``, ``+5``; or another
        number that is written like a code: ``007.5``, ``1_0.5``.
    inexact
        A number that float64 cannot hold as it is written.
    single
        Whether float32 holds all numbers seen.
    digits
        Whether a number has digits: not all are ``nan`` or ``inf``.
    zones, local
        Whether moments with and without a time zone were seen.
    broken
        Row of the first cell that is not UTF-8, from 1; 0 where it is not known.
    blank, words
        Whether a cell holds white space only, and whether one holds anything else.
    ends_in_nul
        Whether a cell ends in a NUL byte.
    keys
        The cells, while no two are equal; None when they are not, or are too many.
    unique
        Whether no two cells are equal, as far as `keys` goes. False from the start where nobody
        wants to know.
    """

    form: CsvFormat = field(default_factory=CsvFormat)
    name: str = ""
    rows: int = 0
    empty: int = 0
    texts: dict[bytes, int] = field(default_factory=dict)
    more: bool = False
    shortest: int = 0
    longest: int = 0
    misfits: dict[Kind, dict[bytes, Misfit]] = field(
        default_factory=lambda: {kind: {} for kind in USUAL}
    )
    tried: set[Kind] = field(default_factory=set)
    extremes: dict[Kind, tuple[float, float, bool]] = field(default_factory=dict)
    low: int | None = None
    high: int | None = None
    padded: bytes | None = None
    inexact: bytes | None = None
    single: bool = True
    digits: bool = False
    zones: bool = False
    local: bool = False
    broken: int | None = None
    blank: bool = False
    words: bool = False
    ends_in_nul: bool = False
    keys: list[pa.Array] = field(default_factory=list)
    unique: bool = True
    key_bytes: int = 0

    def __post_init__(self) -> None:
        self._definitions: dict[Kind, Numeric | DateTime] = {}
        for kind, usual in USUAL.items():
            try:
                applied = self.form.applied(self.name, usual)
            except SchemaError:  # a date, where all have a time of day
                del self.misfits[kind]
            else:
                self._definitions[kind] = cast(
                    "Numeric | DateTime", replace(applied, na_values=None)
                )
        by_name = isinstance(self.form.na_values, Mapping)
        said = self.form.na_values.get(self.name) if by_name else self.form.na_values
        self._na = na_texts(said) or ()
        self._marked = has_marks(cast("Numeric", self._definitions["float"]))
        date_ = self._definitions.get("datetime")
        self._ordered = isinstance(date_, DateTime) and date_.reader is not None

    @property
    def filled(self) -> int:
        """Number of cells that are not empty."""
        return self.rows - self.empty

    def observe(self, array: pa.Array, rows: npt.NDArray[np.int64] | None = None) -> None:
        """
        Look at cells.

        Parameters
        ----------
        array
            Binary array without nulls.
        rows
            For each of them the number of its row in the file; None if that is not known.
        """
        if not len(array):
            return
        if self._na:
            array = without(Cells(array), self._na).array
        counted = pc.value_counts(array)
        texts, counts = counted.field(0), counted.field(1).to_numpy()
        filled = pc.not_equal(texts, pa.scalar(b"", texts.type))
        self.rows += len(array)
        self._note_keys(array, all_differ=len(texts) == len(array))
        if len(texts) and not pc.all(filled).as_py():
            mask = filled.to_numpy(zero_copy_only=False)
            self.empty += int(counts[~mask].sum())
            self.unique = False
            texts, counts = texts.filter(filled), counts[mask]
        if len(texts):
            where = self._unseen(_Places(array, texts, counts, rows))
            if len(where.texts):
                self._note_bytes(where)
                self._consider(where)
                for kind in list(self.misfits):
                    self._try(kind, where)

    # -- what texts there are

    def _unseen(self, where: _Places) -> _Places:
        """Count the texts that were seen before; return the others, which are to be looked at."""
        if self.more:
            return where
        new = np.ones(len(where.texts), bool)
        for position, (text, count) in enumerate(where.pairs(DISTINCT)):
            if text in self.texts:
                self.texts[text] += count
                new[position] = False
                for known in self.misfits.values():
                    if text in known:
                        known[text].count += count
            elif len(self.texts) < DISTINCT and len(text) <= LONGEST:
                self.texts[text] = count
            else:
                self.more = True
        self.more |= len(where.texts) > DISTINCT
        return where if new.all() else where.chosen(new)

    def _note_bytes(self, where: _Places) -> None:
        cells = where.cells
        shortest = int(cells.lengths.min())
        self.shortest = min(self.shortest, shortest) if self.longest else shortest
        self.longest = max(self.longest, int(cells.lengths.max()))
        blank = cells.trimmed().lengths == 0
        self.blank |= bool(blank.any())
        self.words |= not blank.all()
        self.ends_in_nul |= bool((cells.byte_at(-1) == 0).any())
        if self.broken is None:
            try:
                convert(where.texts, String())
            except CellError as error:
                self.broken = where.row(min(error.reasons)) or 0

    def _note_keys(self, array: pa.Array, *, all_differ: bool) -> None:
        if not self.unique:
            return
        if not all_differ:
            self.unique, self.keys = False, []
        elif self.key_bytes < KEY_BYTES:
            self.keys.append(array)
            self.key_bytes += array.nbytes

    def compared_keys(self) -> int:
        """Find out whether cells of different blocks are equal; return how many were compared."""
        compared = sum(map(len, self.keys))
        if self.unique and len(self.keys) > 1:
            self.keys = [pa.concat_arrays(self.keys)]
            self.unique = len(self.keys[0].unique()) == compared
        if not self.unique:
            self.keys = []
        return compared

    # -- what they could mean

    def _consider(self, where: _Places) -> None:
        """Think of further types that the first texts look like, if those before have them, too."""
        looked_at = where.texts[:FIRST].to_pylist()
        new = [
            kind
            for kind in plausible(looked_at)
            if kind not in self.tried and not (self._marked if kind in MARKS else self._ordered)
        ]
        if not new:
            return
        self.tried.update(new)
        now = set(where.texts.to_pylist()) if len(where.texts) < DISTINCT else None
        before = [text for text in self.texts if now is None or text not in now]
        if len(where.texts) < len(self.texts) + 1 and self.more:
            return  # nobody remembers all that was before
        for kind in new:
            self.misfits[kind] = {}
            if before and now is not None:
                texts = pa.array(before, pa.binary())
                counts = np.array([self.texts[text] for text in before])
                self._try(kind, _Places(texts, texts, counts, None))

    def _read(self, kind: Kind, texts: pa.Array) -> tuple[list[int], npt.NDArray[Any]]:
        """Return the positions of texts that are not of a type, and the values of the others."""
        meant = self._definitions.get(kind) or definition(kind)
        if isinstance(meant, Numeric):
            values, valid = convert(texts, meant)
            return np.flatnonzero(~valid).tolist(), values
        try:
            convert(texts, meant)
        except CellError as error:
            return sorted(error.reasons), np.empty(len(texts))
        return [], np.empty(len(texts))

    def _try(self, kind: Kind, where: _Places) -> None:
        known = self.misfits[kind]
        first = where.texts[:FIRST]
        if len(first) < len(where.texts) and len(self._read(kind, first)[0]) > TOLERATED:
            del self.misfits[kind]
            return
        failing, values = self._read(kind, where.texts)
        for position in failing[: TOLERATED + 1]:
            text, count = where.texts[position].as_py(), int(where.counts[position])
            known.setdefault(text, Misfit(0, where.row(position))).count += count
        if len(known) > TOLERATED:
            del self.misfits[kind]
        elif len(failing) < len(where.texts):
            fits = np.ones(len(where.texts), bool)
            fits[failing] = False
            texts = where.texts.filter(pa.array(fits)) if failing else where.texts
            self._note_values(kind, texts, values[fits])

    def _note_values(self, kind: Kind, texts: pa.Array, values: npt.NDArray[Any]) -> None:
        if self._marked and kind in ("int", "float"):
            texts = plain_numbers(Cells(texts), cast("Numeric", self._definitions[kind]))[0].array
        match kind:
            case "int":
                self._note_integers(texts, values)
            case "float":
                self._note_floats(texts, values)
            case _ if kind in MARKS:
                self._note_marked(kind, texts, values)
            case "datetime":
                zoned = pc.match_substring_regex(texts, ZONED)
                self.zones |= bool(pc.any(zoned).as_py())
                self.local |= not pc.all(zoned).as_py()

    def _note_integers(self, texts: pa.Array, values: npt.NDArray[np.int64]) -> None:
        low, high = int(values.min()), int(values.max())
        self.low = low if self.low is None else min(self.low, low)
        self.high = high if self.high is None else max(self.high, high)
        if self.padded is None:
            self._note_padded(texts, pc.invert(pc.match_substring_regex(texts, CANONICAL)))

    def _note_padded(self, texts: pa.Array, padded: pa.Array) -> None:
        if pc.any(padded).as_py():
            self.padded = texts[pc.index(padded, True).as_py()].as_py()

    def _note_floats(self, texts: pa.Array, values: npt.NDArray[np.float64]) -> None:
        with np.errstate(over="ignore"):
            single = values.astype(np.float32).astype(np.float64)
        self.single &= bool(((single == values) | np.isnan(values)).all())
        self.digits |= bool(np.isfinite(values).any())
        if self.padded is None:
            self._note_padded(texts, pc.match_substring_regex(texts, PADDED_FLOAT))
        if self.inexact is None:
            large = np.flatnonzero(np.isfinite(values) & (np.abs(values) >= EXACT))
            for position in large.tolist():
                text = texts[position].as_py()
                written_out = b"e" not in text.lower()
                if written_out and Decimal(text.decode()) != Decimal(values[position]):
                    self.inexact = text
                    return

    def _note_marked(self, kind: Kind, texts: pa.Array, values: npt.NDArray[np.float64]) -> None:
        known = values[np.isfinite(values)]
        if len(known):
            low, high, whole = self.extremes.get(kind, (math.inf, -math.inf, True))
            written = Cells(texts.filter(pa.array(np.isfinite(values))))
            decimals = pc.match_substring(written.array, MARKS[kind][0])
            whole = whole and not pc.any(decimals).as_py()
            self.extremes[kind] = (min(low, known.min()), max(high, known.max()), whole)
        if self.padded is None:
            self._note_padded(texts, pc.match_substring_regex(texts, PADDED_FLOAT))


@dataclass(frozen=True)
class _Places:
    """Distinct texts of a block, and where they are."""

    array: pa.Array
    texts: pa.Array
    counts: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64] | None

    @property
    def cells(self) -> Cells:
        return Cells(self.texts)

    def chosen(self, rows: Mask) -> _Places:
        return _Places(self.array, self.texts.filter(pa.array(rows)), self.counts[rows], self.rows)

    def pairs(self, most: int) -> Iterator[tuple[bytes, int]]:
        return zip(self.texts[:most].to_pylist(), self.counts[:most].tolist(), strict=True)

    def row(self, position: int) -> int | None:
        """Return the row of the file in which a text occurs first."""
        if self.rows is None:
            return None
        return int(self.rows[pc.index(self.array, self.texts[position]).as_py()])
