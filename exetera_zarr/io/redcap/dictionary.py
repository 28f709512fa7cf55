"""The data dictionary of a REDCap project: its fields, their forms, types, labels and choices."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from exetera_zarr.errors import SchemaError, listing
from exetera_zarr.io.csv.files import shown
from exetera_zarr.io.propose.sampling import CsvSample
from exetera_zarr.io.propose.sniffing import sniffed
from exetera_zarr.io.schema.formats import CsvFormat

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exetera_zarr.io.options import PathLike

__all__ = ["Choice", "Dictionary", "Variable", "plain", "read_dictionary", "suffixes"]

# By the start of a column's name: as the project page writes it, and as the API does.
_COLUMNS = {
    "name": ("variable field name", "field name"),
    "form": ("form name",),
    "section": ("section header",),
    "kind": ("field type",),
    "label": ("field label",),
    "choices": ("choices", "select choices or calculations"),
    "description": ("field note",),
    "validation": ("text validation type",),
    "least": ("text validation min",),
    "greatest": ("text validation max",),
    "identifier": ("identifier",),
    "branching": ("branching logic",),
    "required": ("required field",),
    "matrix": ("matrix group name",),
    "annotation": ("field annotation",),
}
_NEEDED = ("name", "form", "kind", "label", "choices", "validation")
_TAG = re.compile(
    r"<\s*(?:br|hr|/?\s*(?:a|b|big|blockquote|caption|center|code|div|em|embed|fieldset|font|form"
    r"|h[1-6]|i|iframe|img|input|label|li|ol|p|pre|s|small|span|strike|strong|style|sub|sup"
    r"|table|tbody|td|tfoot|th|thead|tr|u|ul|video))\b[^<>]*>|<!--.*?-->",
    re.IGNORECASE | re.DOTALL,
)
_NAME = re.compile(r"[a-z][a-z0-9_]*")
YES_NO = {"yesno": ("No", "Yes"), "truefalse": ("False", "True")}


@dataclass(frozen=True)
class Choice:
    """
    One of the answers that a field offers.

    Parameters
    ----------
    code
        What is stored.
    label
        What people see, without markup.
    written
        The same as the dictionary has it.
    """

    code: str
    label: str
    written: str


@dataclass(frozen=True)
class Variable:
    """
    A field of a project.

    Parameters
    ----------
    name, form, kind
        Its name, its form, and its type, such as ``radio``.
    label, description
        What people see, without markup.
    choices
        Of a field that has some.
    validation
        What a text has to be, such as ``date_dmy``.
    annotations
        What else is said of it.
    """

    name: str
    form: str
    kind: str
    label: str
    description: str
    choices: tuple[Choice, ...]
    validation: str
    annotations: Mapping[str, Any]


@dataclass(frozen=True)
class Dictionary:
    """
    A data dictionary.

    Parameters
    ----------
    place
        Where it was read.
    variables
        The fields of the project by name, in order.
    missing_codes
        The meaning of each missing data code of the project.
    """

    place: str
    variables: Mapping[str, Variable]
    missing_codes: Mapping[str, str] = field(default_factory=dict)

    @property
    def forms(self) -> dict[str, None]:
        """The names of the forms, in order."""
        return dict.fromkeys(one.form for one in self.variables.values())

    def missing_choices(self, choices: Iterable[Choice]) -> list[Choice]:
        """The missing data codes that are none of some choices, as further ones."""
        offered = {one.code for one in choices}
        return [
            Choice(code, text or code, text or code)
            for code, text in self.missing_codes.items()
            if code not in offered
        ]


def plain(text: str) -> str:
    """A text without the markup of HTML, on one line."""
    return " ".join(html.unescape(_TAG.sub(" ", text)).split())


def suffixes(code: str) -> tuple[str, ...]:
    """
    What may follow ``name___`` in the name of the column of a choice.

    The code in small letters, in which all but letters and digits is an underscore; releases of
    REDCap before 5.9.1 left such characters out.
    """
    lower = code.lower()
    return re.sub("[^a-z0-9]", "_", lower), re.sub("[^a-z0-9]", "", lower)


def read_dictionary(
    path: PathLike,
    missing_codes: Mapping[str, str] | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> Dictionary:
    """
    Read a data dictionary, as a project page or the API of REDCap gives it as CSV.

    Parameters
    ----------
    path
        Path or URL.
    missing_codes
        The missing data codes of the project, which no dictionary has.
    storage_options
        For a URL.

    Raises
    ------
    SchemaError
        It is none, or says something that cannot be.
    """
    place = shown(os.fspath(path))
    form, _ = sniffed(path, storage_options, CsvFormat(), whole=True)
    sample = CsvSample(path, None, storage_options, form.dialect)
    try:
        found = _columns_of(place, sample.header)
    except SchemaError:
        sample.close()
        raise
    variables: dict[str, Variable] = {}
    for part in sample:
        wrong = [(at, why) for at, why in part.problems if why != "is a blank line"]
        if wrong:
            at, why = wrong[0]
            raise SchemaError(f"{place}, row {at:,} {why}")
        try:
            columns = {
                key: [text.decode().strip() for text in part.cells[at].to_pylist()]
                for key, at in found.items()
            }
        except UnicodeDecodeError as error:
            raise SchemaError(f"{place} is not UTF-8 ({error}): save it so") from error
        rows = [] if part.numbers is None else part.numbers.tolist()
        for row, *values in zip(rows, *columns.values(), strict=True):
            if any(values):
                one = _variable(dict(zip(columns, values, strict=True)), f"{place}, row {row:,}")
                if one.name in variables:
                    raise SchemaError(f"{place}, row {row:,}: {one.name!r} occurs again")
                variables[one.name] = one
    if not variables:
        raise SchemaError(f"{place} has no field")
    return Dictionary(place, variables, dict(missing_codes or {}))


def _columns_of(place: str, header: list[str]) -> dict[str, int]:
    names = [" ".join(re.findall("[a-z0-9]+", name.lower())) for name in header]
    found: dict[str, int] = {}
    for key, starts in _COLUMNS.items():
        for at, name in enumerate(names):
            if name.startswith(starts):
                found.setdefault(key, at)
    if lacking := [_COLUMNS[key][0] for key in _NEEDED if key not in found]:
        raise SchemaError(
            f"{place} is no data dictionary of REDCap: it has no column {listing(lacking)}; its "
            f"header has {listing(header)}"
        )
    return found


def _variable(said: Mapping[str, str], where: str) -> Variable:
    name, kind = said["name"].lower(), said["kind"].lower()
    if not _NAME.fullmatch(name):
        raise SchemaError(f"{where}: {said['name']!r} is no name of a field")
    where = f"{where}, {name!r}"
    choices: tuple[Choice, ...] = ()
    notes = {
        "form": said["form"],
        "type": kind,
        "validation": said["validation"],
        "section": plain(said.get("section", "")),
        "least": said.get("least", ""),
        "greatest": said.get("greatest", ""),
        "branching": said.get("branching", ""),
        "matrix": said.get("matrix", ""),
        "annotation": said.get("annotation", ""),
    }
    if kind in ("radio", "dropdown", "checkbox"):
        choices = _choices(said["choices"], where)
    elif kind in YES_NO:
        choices = tuple(Choice(str(at), text, text) for at, text in enumerate(YES_NO[kind]))
    elif said["choices"]:
        key = {"calc": "calculation", "slider": "slider"}.get(kind, "choices")
        notes[key] = said["choices"]
    annotations: dict[str, Any] = {key: text for key, text in notes.items() if text}
    for key in ("identifier", "required"):
        if said.get(key, "").lower() in ("y", "yes", "1", "true"):
            annotations[key] = True
    return Variable(
        name,
        said["form"],
        kind,
        plain(said["label"]),
        plain(said.get("description", "")),
        choices,
        said["validation"].lower(),
        annotations,
    )


def _choices(text: str, where: str) -> tuple[Choice, ...]:
    """
    The choices of ``1, Yes | 2, No, never``.

    A part without a comma is of the label before it, in which a bar stands; where no part has one,
    each is code and label, as older projects have it.
    """
    parts = [part.strip() for part in text.split("|") if part.strip()]
    coded = any("," in part for part in parts)
    pairs: list[tuple[str, str]] = []
    for part in parts:
        code, comma, label = (piece.strip() for piece in part.partition(","))
        if comma and code and not re.search(r"\s", code):
            pairs.append((code, label))
        elif not coded:
            pairs.append((part, part))
        elif pairs:
            pairs[-1] = pairs[-1][0], f"{pairs[-1][1]} | {part}"
        else:
            raise SchemaError(f"{where}: its choices begin with {part!r}, which has no code")
    if not pairs:
        raise SchemaError(f"{where} has no choices")
    codes = [code for code, _ in pairs]
    if twice := {code for code in codes if codes.count(code) > 1}:
        raise SchemaError(f"{where} has several choices with the code {listing(sorted(twice))}")
    return tuple(Choice(code, plain(label) or code, label or code) for code, label in pairs)
