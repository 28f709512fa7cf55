"""What differs between two versions of a dataset: tables, columns, and rows by their key."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from exetera_zarr.engine import changes, is_strings
from exetera_zarr.errors import (
    ArgumentTypeError,
    DataError,
    FieldNotFoundError,
    TableNotFoundError,
    listing,
)
from exetera_zarr.fields.describing import said_of
from exetera_zarr.fields.missing.keys import absence, blanked
from exetera_zarr.fields.missing.masked import masked_of
from exetera_zarr.fields.sources import workspace
from exetera_zarr.fields.writing.receiving import names_by_code
from exetera_zarr.tables.overview import frames_of
from exetera_zarr.tables.rows.values import of_field
from exetera_zarr.texts import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from exetera_zarr.engine import Column
    from exetera_zarr.engine.streams.source import Source
    from exetera_zarr.engine.streams.workspace import Spill, Workspace
    from exetera_zarr.fields.base import Field
    from exetera_zarr.fields.describing import Described
    from exetera_zarr.storage.base import AnyArray
    from exetera_zarr.tables.dataframe import DataFrame
    from exetera_zarr.tables.dataset import Dataset

__all__ = ["ColumnDifference", "Difference", "TableDifference", "difference"]

Keys: TypeAlias = "str | Sequence[str] | Mapping[str, str | Sequence[str]] | None"
Kind: TypeAlias = Literal["added", "removed", "changed"]
Differing: TypeAlias = "Callable[[Source, Source, int], Spill | None]"

_STEP = 1 << 20
#: Of the memory, for what is said of each pair of rows.
_TOLD = 1 / 32


@dataclass(frozen=True)
class ColumnDifference:
    """
    How a column differs between two versions.

    Parameters
    ----------
    name
        Its name; in the later version, if it is there.
    kind
        ``"added"``, ``"removed"``, or ``"changed"``: renamed, of another type, or of other values.
    renamed_from
        Its earlier name, if that was another one.
    type_before, type_after
        Its types; None where it is not there.
    rows
        Rows that both versions have, of which the value is another one; None where that cannot be
        said, since there are numbers on one side and text on the other.
    categories
        Whether its categories are others, or have other codes.
    codebook
        Which parts of its codebook are others: ``label``, ``missing_codes`` and the like.
    """

    name: str
    kind: Kind
    renamed_from: str | None = None
    type_before: str | None = None
    type_after: str | None = None
    rows: int | None = 0
    categories: bool = False
    codebook: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableDifference:
    """
    How a table differs between two versions.

    Parameters
    ----------
    name
        Its name; in the later version, if it is there.
    kind
        ``"added"``, ``"removed"`` or ``"changed"``.
    renamed_from
        Its earlier name, if that was another one.
    rows_before, rows_after
        Its rows.
    key
        Names of the fields by which rows were recognised; none if that was their number.
    added, removed, changed
        Rows with a key that is new, or gone, and rows of which some value is another one.
    columns
        Those that differ.
    examples
        Of rows that were added, removed and changed, the keys of the first few.
    codebook
        As of a column.
    """

    name: str
    kind: Kind
    renamed_from: str | None = None
    rows_before: int = 0
    rows_after: int = 0
    key: tuple[str, ...] = ()
    added: int = 0
    removed: int = 0
    changed: int = 0
    columns: tuple[ColumnDifference, ...] = ()
    examples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    codebook: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether there is anything to tell."""
        counts = (self.added, self.removed, self.changed)
        said = self.renamed_from or self.columns or self.codebook
        return self.kind != "changed" or bool(said or any(counts))


@dataclass(frozen=True)
class Difference:
    """
    What differs between two versions of a dataset, as `Dataset.diff` tells it.

    It is shown as text, and as a table in a notebook.

    Parameters
    ----------
    url
        Where the dataset lives, without secrets.
    before, after
        Numbers of the versions.
    tables
        Those that differ.
    """

    url: str
    before: int
    after: int
    tables: tuple[TableDifference, ...]

    def __bool__(self) -> bool:
        return bool(self.tables)

    def __getitem__(self, table: str) -> TableDifference:
        for one in self.tables:
            if table in (one.name, one.renamed_from):
                return one
        names = [one.name for one in self.tables]
        raise TableNotFoundError(
            f"the table {table!r} does not differ between these versions; those that do are: "
            f"{listing(names)}"
        )

    def to_dict(self) -> dict[str, Any]:
        """All of it, as JSON takes it."""
        return asdict(self)

    def lines(self) -> Iterator[str]:
        """All of it, to be read."""
        yield f"{self.url}: version {self.before} to {self.after}"
        if not self.tables:
            yield "no differences"
        for table in self.tables:
            yield from _lines_of(table)

    def __str__(self) -> str:
        return "\n".join(visible(line) for line in self.lines())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from exetera_zarr.tables.html import difference_html

        return difference_html(self)


def _lines_of(table: TableDifference) -> Iterator[str]:
    name = table.name
    if table.renamed_from:
        name += f" (was {table.renamed_from})"
    if table.kind != "changed":
        rows = table.rows_after if table.kind == "added" else table.rows_before
        yield f"{name}: {table.kind}, {rows:,} {_rows_word(rows)}"
        return
    by = f" by {', '.join(table.key)}" if table.key else " by row number"
    yield (
        f"{name}: {table.rows_before:,} to {table.rows_after:,} rows;{by} {table.added:,} added, "
        f"{table.removed:,} removed, {table.changed:,} changed"
    )
    if table.codebook:
        yield f"  other {', '.join(table.codebook)}"
    for column in table.columns:
        yield f"  {told(column)}"
    for kind, keys in table.examples.items():
        shown = "; ".join(", ".join(f"{k}={v}" for k, v in one.items()) for one in keys)
        more = getattr(table, kind) - len(keys)
        yield f"  {kind}: {shown}" + (f" and {more:,} more" if more else "")


def _rows_word(count: int) -> str:
    return "row" if count == 1 else "rows"


def told(column: ColumnDifference) -> str:
    """How a column differs, in a line."""
    if column.kind == "added":
        return f"{column.name}: added, {column.type_after}"
    if column.kind == "removed":
        return f"{column.name}: removed, it was {column.type_before}"
    said = []
    if column.renamed_from:
        said.append(f"it was called {column.renamed_from}")
    if column.type_before != column.type_after:
        said.append(f"{column.type_before} to {column.type_after}")
    if column.categories:
        said.append("other categories")
    if column.codebook:
        said.append(f"other {', '.join(column.codebook)}")
    if column.rows is None:
        said.append("its values cannot be compared")
    elif column.rows:
        said.append(f"{column.rows:,} {_rows_word(column.rows)} changed")
    return f"{column.name}: {', '.join(said)}"


def difference(before: Dataset, after: Dataset, key: Keys, examples: int) -> Difference:
    """
    Compare two versions of a dataset; see `Dataset.diff`.

    Parameters
    ----------
    before, after
        Both open.
    key
        As of `Dataset.diff`.
    examples
        How many keys of each kind are told.
    """
    old, new = _tables(before), _tables(after)
    if isinstance(key, dict) and (unknown := [name for name in key if name not in new.values()]):
        raise FieldNotFoundError(
            f"there is no table {listing(unknown)} in {after.url} to have a key; there are: "
            f"{listing(new.values())}"
        )
    _refuse_unknown(key, before, after)
    pairs = _paired(old, new)
    found = []
    for was, now in pairs:
        if was is None:
            frame = after.get_dataframe(str(now))
            rows = _rows(frame)
            found.append(TableDifference(str(now), "added", rows_after=rows))
        elif now is None:
            frame = before.get_dataframe(was)
            found.append(TableDifference(was, "removed", rows_before=_rows(frame)))
        else:
            frames = before.get_dataframe(was), after.get_dataframe(now)
            with workspace(after.settings) as work:
                keys = _keys(key, frames[0], frames[1])
                found.append(_Tables(*frames, keys, work, examples).compare())
    tables = tuple(table for table in found if table.differs)
    return Difference(after.url, before.version, after.version, tables)


def _tables(dataset: Dataset) -> dict[Any, str]:
    """Names of the tables by what tells them from others, whatever they are called."""
    return {frame.group.key: frame.name for frame in frames_of(dataset)}


def _paired(old: Mapping[Any, str], new: Mapping[Any, str]) -> list[tuple[str | None, str | None]]:
    """Names before and after of what is one and the same; by its name, if it was made anew."""
    pairs: list[tuple[str | None, str | None]] = []
    rest = {name: known for known, name in old.items() if known not in new}
    for known, name in new.items():
        was = old.get(known)
        if was is None and name in rest:
            del rest[name]
            was = name
        pairs.append((was, name))
    return [*pairs, *((name, None) for name in rest)]


def _rows(frame: DataFrame) -> int:
    return max((len(column) for _, column in frame.items()), default=0)


def _keys(key: Keys, before: DataFrame, after: DataFrame) -> list[tuple[str, str]]:
    """
    The key of a table, as it is called before and after.

    That of all tables counts where both versions have it.
    """
    said: Any = key.get(after.name) if isinstance(key, dict) else key
    if said is None:
        return []
    earlier = {one.group.key: name for name, one in before.items()}
    found = []
    for name in [said] if isinstance(said, str) else list(said):
        if not isinstance(key, dict) and name not in after:
            return []
        after.selected([name])
        was = earlier.get(after[name].group.key, name)
        if not isinstance(key, dict) and was not in before:
            return []
        before.selected([was])
        found.append((was, name))
    return found


def _refuse_unknown(key: Keys, before: Dataset, after: Dataset) -> None:
    """Raise FieldNotFoundError where no table has a key that is for all."""
    if key is None or isinstance(key, dict):
        return
    if not isinstance(key, str) and not all(isinstance(name, str) for name in key):
        raise ArgumentTypeError(f"a key is the name of a field, or names, not {key!r}")
    names = [key] if isinstance(key, str) else list(key)
    for dataset in (after, before):
        if any(all(name in table for name in names) for table in frames_of(dataset)):
            return
    raise FieldNotFoundError(f"no table of {after.url} has the key {listing(names)}")


class _Tables:
    """Two versions of a table."""

    def __init__(
        self,
        before: DataFrame,
        after: DataFrame,
        key: Sequence[tuple[str, str]],
        work: Workspace,
        examples: int,
    ) -> None:
        self._before, self._after = before, after
        self._key, self._work, self._examples = key, work, examples

    def compare(self) -> TableDifference:
        """What differs."""
        before, after = self._before, self._after
        rows = before.length(), after.length()
        hidden = {*before.companions().values(), *after.companions().values()}
        old = {f.group.key: n for n, f in before.items() if n not in hidden}
        new = {f.group.key: n for n, f in after.items() if n not in hidden}
        pairs = _paired(old, new)
        columns = [(before[was], after[now]) for was, now in pairs if was and now]
        found = self._rows(columns, *rows)
        told = {str(now.name): count for (_, now), count in zip(columns, found.counts, strict=True)}
        differing = tuple(
            one for one in (self._column(was, now, told) for was, now in pairs) if one is not None
        )
        renamed = before.name if before.name != after.name else None
        return TableDifference(
            after.name,
            "changed",
            renamed,
            *rows,
            tuple(name for _, name in self._key),
            found.added,
            found.removed,
            found.changed,
            differing,
            found.examples,
            _differing_parts(before, after),
        )

    def _column(
        self, was: str | None, now: str | None, told: Mapping[str, int | None]
    ) -> ColumnDifference | None:
        type_before = None if was is None else self._before[was].fieldtype
        type_after = None if now is None else self._after[now].fieldtype
        if was is None or now is None:
            kind: Kind = "added" if was is None else "removed"
            return ColumnDifference(str(now or was), kind, None, type_before, type_after)
        renamed = was if was != now else None
        categories = names_by_code(self._before[was]) != names_by_code(self._after[now])
        parts = _differing_parts(self._before[was], self._after[now])
        same = type_before == type_after and not (categories or parts)
        if renamed is None and same and told[now] == 0:
            return None
        return ColumnDifference(
            now, "changed", renamed, type_before, type_after, told[now], categories, parts
        )

    # -- rows

    def _rows(self, columns: Sequence[tuple[Field, Field]], before: int, after: int) -> _Rows:
        """Which rows are new, gone or other ones, and in how many each column differs."""
        keys = [(self._before[was], self._after[now]) for was, now in self._key]
        same = min((_shared_rows(*pair) for pair in keys), default=min(before, after))
        if same == before or (not keys and same == after):
            # The rows of both are those with the same numbers, up to there.
            return self._beside(columns, same, before, after)
        matches = self._match(keys)
        counts, changed = self._compared(
            columns, partial(self._of_matches, matches), len(matches.old)
        )
        rows = _Rows(len(matches.added), len(matches.vanished), _total(changed), counts)
        if self._examples:
            self._tell(rows, self._after, "added", matches.added)
            self._tell(rows, self._before, "removed", matches.vanished)
            if changed is not None:
                new = self._work.spill(np.int64, _TOLD)
                for start, stop in _cuts(len(changed)):
                    new.append(matches.new.read(start, stop)[changed.read(start, stop)])
                self._tell(rows, self._after, "changed", new)
        return rows

    def _beside(
        self, columns: Sequence[tuple[Field, Field]], same: int, before: int, after: int
    ) -> _Rows:
        counts, changed = self._compared(columns, partial(self._of_rows, same), same)
        rows = _Rows(after - same, before - same, _total(changed), counts)
        if self._examples:
            last = same + self._examples
            self._tell(rows, self._after, "added", _numbers(same, min(last, after)))
            self._tell(rows, self._before, "removed", _numbers(same, min(last, before)))
            if changed is not None:
                self._tell(rows, self._after, "changed", self._first(changed))
        return rows

    def _compared(
        self, columns: Sequence[tuple[Field, Field]], differing: Differing, pairs: int
    ) -> tuple[list[int | None], Spill | None]:
        """In how many pairs of rows each column differs, and which differ in any."""
        counts: list[int | None] = []
        changed: Spill | None = None
        for old, new in columns:
            if not _comparable(old, new):
                counts.append(None)
                continue
            own: Spill | None = None
            for sides in _sides(old, new):
                found = differing(*sides, _shared_rows(old, new))
                own = found if own is None else self._either(own, found, pairs)
            count = _total(own)
            counts.append(count)
            if count and own is not None:
                changed = own if changed is None else self._either(changed, own, pairs)
        return counts, changed

    def _either(self, first: Spill, second: Spill | None, pairs: int) -> Spill:
        """Where one of two answers is true."""
        if second is None:
            return first
        found = self._work.spill(np.bool_, _TOLD)
        for start, stop in _cuts(pairs):
            found.append(first.read(start, stop) | second.read(start, stop))
        return found

    def _of_matches(
        self, matches: changes.Matches, old: Source, new: Source, shared: int
    ) -> Spill | None:
        del shared
        return changes.changed([(old, new, changes.Tolerance())], matches, self._work)

    def _of_rows(self, pairs: int, old: Source, new: Source, shared: int) -> Spill | None:
        """The same of rows with the same numbers, of which the first ones are shared."""
        if shared >= pairs:
            return None
        found = self._work.spill(np.bool_, _TOLD)
        for start, stop in _cuts(shared):
            found.append(np.zeros(stop - start, np.bool_))
        start = shared
        while start < pairs:
            stop = min(old.until(start, pairs), new.until(start, pairs))
            (a,), (b,) = old.read(start, stop), new.read(start, stop)
            found.append(changes.differing(a, b, changes.Tolerance()))
            start = stop
        return found

    def _match(self, keys: Sequence[tuple[Field, Field]]) -> changes.Matches:
        old: list[Source] = []
        new: list[Source] = []
        for pair in keys:
            for a, b in _sides(*pair):
                old.append(a)
                new.append(b)
        try:
            matches = changes.match(old, new, None, None, self._work)
        except changes.RepeatedKeyError as error:
            raise self._repeated(self._after, error.row) from error
        if len(matches.overtaken):
            raise self._repeated(self._before, int(matches.overtaken.read(0, 1)[0]))
        return matches

    def _repeated(self, frame: DataFrame, row: int) -> DataError:
        which = "earlier" if frame is self._before else "later"
        told = ", ".join(f"{name} = {value}" for name, value in self._key_of(frame, row).items())
        return DataError(
            f"the key {told} occurs more than once in the {which} version of the table "
            f"{frame.name!r}, again in row {row}, so that its rows cannot be compared by it: give "
            "more fields as the key, or no key to compare rows by their numbers"
        )

    # -- examples

    def _tell(self, rows: _Rows, frame: DataFrame, kind: str, numbers: Spill | AnyArray) -> None:
        count = min(len(numbers), self._examples)
        if not count:
            return
        first = numbers[:count] if isinstance(numbers, np.ndarray) else numbers.read(0, count)
        rows.examples[kind] = [self._key_of(frame, int(row)) for row in first]

    def _key_of(self, frame: DataFrame, row: int) -> dict[str, Any]:
        if not self._key:
            return {"row": row}
        found: dict[str, Any] = {}
        for was, name in self._key:
            field = frame[was if frame is self._before else name]
            values = of_field(field, *masked_of(field).read(row, row + 1))
            found[name] = None if values.all_missing else values.one(0)
        return found

    def _first(self, changed: Spill) -> AnyArray:
        """Numbers of the first rows that differ."""
        found: list[AnyArray] = []
        for start, stop in _cuts(len(changed)):
            found.append(np.flatnonzero(changed.read(start, stop)) + start)
            if sum(map(len, found)) >= self._examples:
                break
        return np.concatenate(found) if found else np.zeros(0, np.int64)


@dataclass
class _Rows:
    """What differs of the rows of a table; of each column that both versions have, in how many."""

    added: int
    removed: int
    changed: int
    counts: list[int | None]
    examples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


def _differing_parts(before: Described, after: Described) -> tuple[str, ...]:
    """The parts of a codebook that differ."""
    old, new = said_of(before), said_of(after)
    return tuple(key for key in {**old, **new} if old.get(key) != new.get(key))


def _cuts(rows: int) -> Iterator[tuple[int, int]]:
    for start in range(0, rows, _STEP):
        yield start, min(start + _STEP, rows)


def _total(found: Spill | None) -> int:
    return 0 if found is None else sum(int(np.count_nonzero(b)) for b in found.blocks(_STEP))


def _shared_rows(old: Field, new: Field) -> int:
    """How many of the first rows of two fields are stored as one, and so are equal."""
    if names_by_code(old) != names_by_code(new) or old.fieldtype != new.fieldtype:
        return 0
    ours, theirs = old.validity, new.validity
    if (ours is None) != (theirs is None):
        return 0
    shared = _shared(old, new)
    return shared if ours is None or theirs is None else min(shared, _shared(ours, theirs))


def _shared(old: Field, new: Field) -> int:
    ours, theirs = old.arrays(), new.arrays()
    parts = min(_leading(ours[role].content, theirs[role].content) for role in ours)
    lead = ours.get("index", ours["values"])
    elements = sum(count for _, count in lead.content[:parts])
    return max(elements - ("index" in ours), 0)


def _leading(ours: Sequence[object], theirs: Sequence[object]) -> int:
    """How many of the first things in two sequences are the same."""
    pairs = zip(ours, theirs, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _comparable(old: Field, new: Field) -> bool:
    """Whether values of two fields can be equal: categories by their names, numbers, or text."""
    if (names_by_code(old) is None) != (names_by_code(new) is None):
        return False
    return is_strings(old.empty_column()) == is_strings(new.empty_column()) or not (
        old.of_numbers or new.of_numbers
    )


def _sides(old: Field, new: Field) -> Iterator[tuple[Source, Source]]:
    """What has to be equal for values to be: whether they are missing, and what they are."""
    ours, theirs = masked_of(old), masked_of(new)
    if ours.mask is not None or theirs.mask is not None:
        yield absence(ours), absence(theirs)
    mapped = _codes_of(old, new)
    if mapped is not None:
        theirs = replace(theirs, values=_mapped(theirs.values, mapped))
    yield blanked(ours), blanked(theirs)


def _codes_of(old: Field, new: Field) -> dict[int, int] | None:
    """For each code of the later field, that of the same name in the earlier; None if as there."""
    ours, theirs = names_by_code(old), names_by_code(new)
    if ours is None or theirs is None or ours == theirs:
        return None
    codes = {name: code for code, name in ours.items()}
    return {code: codes.get(name, _UNKNOWN + code) for code, name in theirs.items()}


_UNKNOWN = 1 << 40
"""Added to a code for a name that the other field does not have; codes have 32 bits at most."""


def _mapped(source: Source, codes: Mapping[int, int]) -> Source:
    """A column of codes with others in their place; those without a name stay apart."""
    known = np.asarray(sorted(codes), np.int64)
    others = np.asarray([codes[code] for code in known.tolist()], np.int64)

    def mapped(column: Column) -> AnyArray:
        values = np.asarray(column, np.int64)
        if not len(known):
            return values
        at = np.minimum(np.searchsorted(known, values), len(known) - 1)
        return np.where(known[at] == values, others[at], values)

    return replace(
        source,
        empty=[mapped(source.empty[0])],
        read=lambda start, stop: [mapped(source.read(start, stop)[0])],
    )


def _numbers(start: int, stop: int) -> AnyArray:
    return np.arange(start, max(start, stop))
