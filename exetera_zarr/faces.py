"""The two faces over the one engine: right by default, and ExeTera to the letter.

A session has one face. The code asks it as seldom as it can, each time by a name that says what is
decided; docs/exetera.md has the same as a table, which a test reads.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["EXETERA", "NATIVE", "Face"]


@dataclass(frozen=True)
class Face:
    """
    What a session does where being right and being ExeTera differ.

    Parameters
    ----------
    name
        ``native`` or ``exetera``.
    sees_missing
        Missing values are missing in every statistic, comparison, merge, group and export; else
        what is stored in their place, usually 0, counts like other values.
    refuses_truth
        ``bool(field)`` raises; else it is True.
    widens_integers
        Arithmetic on whole numbers gives a type that holds the result, or raises; else it wraps.
    writes_exactly
        What a field cannot hold exactly is an error; else numbers of plain lists wrap, fractions
        are cut, and codes need no names.
    cuts_strings
        A fixed string that is too long is cut; else it is an error.
    rolls_back_on_error
        An exception that leaves ``with Session()`` undoes what was not committed; else what had
        completed is committed.
    describes_percentiles
        ``describe`` gives quartiles, as numbers; else it gives 0.25, 0.5 and 0.75 percent, as text.
    assignment_renames
        ``ds[new] = table`` of the same dataset renames the table; else it copies it.
    lenient_imports
        Schemas may name columns that a file lacks, unknown categories become 0, numbers out of
        range are clipped; else these are errors.
    refuses_ragged
        Committing a table whose fields have different lengths gives a warning, and grouping or
        merging it is an error; else only using fields of different lengths together is.
    chooses_by_item
        ``df[condition]`` and ``df[["a", "b"]]`` choose rows and columns; ``field[3]``,
        ``field[:5]``, ``unique`` and a loop over a field read its values as a person does. Else a
        table takes names alone, and only ``field.data`` has rows.
    shares_reads
        A dataset opened for reading shows the draft of a writer in the same process; else it shows
        what is committed.
    assigns_values
        ``df[name] = values`` takes values in any form, and replaces a field of that name; else it
        takes a field, and only under a new name.
    """

    name: str
    sees_missing: bool
    refuses_truth: bool
    widens_integers: bool
    writes_exactly: bool
    cuts_strings: bool
    rolls_back_on_error: bool
    describes_percentiles: bool
    assignment_renames: bool
    lenient_imports: bool
    refuses_ragged: bool
    chooses_by_item: bool
    shares_reads: bool
    assigns_values: bool


NATIVE = Face(
    name="native",
    sees_missing=True,
    refuses_truth=True,
    widens_integers=True,
    writes_exactly=True,
    cuts_strings=False,
    rolls_back_on_error=True,
    describes_percentiles=True,
    assignment_renames=False,
    lenient_imports=False,
    refuses_ragged=True,
    chooses_by_item=True,
    shares_reads=False,
    assigns_values=True,
)
EXETERA = Face(
    name="exetera",
    sees_missing=False,
    refuses_truth=False,
    widens_integers=False,
    writes_exactly=False,
    cuts_strings=True,
    rolls_back_on_error=False,
    describes_percentiles=False,
    assignment_renames=True,
    lenient_imports=True,
    refuses_ragged=False,
    chooses_by_item=False,
    shares_reads=True,
    assigns_values=False,
)
