"""Datasets as a stranger could send them: documents that say anything, with a right checksum."""

from __future__ import annotations

import hashlib
import json
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from exetera_zarr import ExeteraError, Session
from exetera_zarr.errors import RaggedTableWarning

__all__ = [
    "below",
    "forge",
    "forge_bytes",
    "make",
    "nothing_else_changes",
    "signed",
    "soon",
    "use_it_all",
]

Use = Callable[[Session, str], None]
ROWS = 6
ZEROS = b"0" * 64


def make(folder: Path) -> Path:
    """A dataset of two tables with a field of each type, in two versions."""
    place = folder / "theirs.zarr"
    with Session() as session:
        dataset = session.open_dataset(str(place), "w", "theirs")
        for table in ("t", "u"):
            frame = dataset.create_dataframe(table)
            frame.create_numeric("number", "int32").data.write(list(range(ROWS)))
            frame.create_numeric("flag", "bool").data.write([True, False] * 3)
            frame.create_categorical("sex", "int8", {"f": 0, "m": 1}).data.write([0, 1] * 3)
            frame.create_timestamp("when").data.write([float(n) for n in range(ROWS)])
            frame.create_fixed_string("code", 3).data.write([b"abc"] * ROWS)
            frame.create_indexed_string("note").data.write(["a", "", "bc"] * 2)
        dataset.commit()
        dataset["t"]["number"].data[0] = 7
    return place


def forge(place: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change what the newest version says, and sign it as the library does."""
    document = json.loads((place / "zarr.json").read_bytes())
    changed = change(document)
    forge_bytes(place, signed(document if changed is None else changed))


def signed(document: Any) -> bytes:
    """The bytes of a document, with the checksum that the library would give it."""
    with suppress(TypeError, KeyError, IndexError):
        if "checksum" in document["attributes"]["exetera"]:
            facts = document["attributes"]["exetera"]
            said = facts.pop("checksum")
            # It comes first; and what is no digest stays as it is.
            digest = isinstance(said, str) and len(said) == 64
            document["attributes"]["exetera"] = {"checksum": "0" * 64 if digest else said, **facts}
    text = json.dumps(document, separators=(",", ":"))  # which escapes lone surrogates
    data = text.encode()
    mark = b'"exetera":{"checksum":"' + ZEROS
    if mark in data:
        at = data.index(mark) + len(mark) - 64
        data = data[:at] + hashlib.sha256(data).hexdigest().encode() + data[at + 64 :]
    return data


def forge_bytes(place: Path, data: bytes) -> None:
    """Other bytes for the newest version, in the root document and in the manifest."""
    newest = min((place / "__exetera__/commits").iterdir())
    for path in (place / "zarr.json", newest):
        path.unlink()
        path.write_bytes(data)


def below(document: dict[str, Any], path: str) -> dict[str, Any]:
    """The document of a node."""
    found: dict[str, Any] = document["consolidated_metadata"]["metadata"][path]
    return found


def _read(session: Session, url: str) -> None:
    dataset = session.open_dataset(url, "r", "d")
    repr(dataset)
    for table in list(dataset.keys()):
        frame = dataset[table]
        repr(frame)
        frame._repr_html_()
        for name in list(frame.keys()):
            field = frame[name]
            repr(field)
            field.data[:]
        frame.to_pandas()


def _change(session: Session, url: str) -> None:
    dataset = session.open_dataset(url, "r+", "d")
    for table in list(dataset.keys()):
        frame = dataset[table]
        for name in list(frame.keys()):
            field = frame[name]
            field.data.write(field.data[:1])
        frame.create_numeric("more", "int8").data.write([1])
    dataset.create_dataframe("further").create_numeric("n", "int8").data.write([1])
    dataset.commit()


def _verify(session: Session, url: str) -> None:
    session.open_dataset(url, "r", "d").verify()


def _vacuum(session: Session, url: str) -> None:
    dataset = session.open_dataset(url, "r+", "d")
    list(dataset.history())
    dataset.vacuum(older_than=0)


def use_it_all(place: Path | str, also: Sequence[Use] = ()) -> dict[str, BaseException | None]:
    """Do to a dataset what its users do; the error of each, which has to be one of ours."""
    errors: dict[str, BaseException | None] = {}
    for use in (_read, _verify, *also, _vacuum, _change):
        session = Session(memory_limit="256MB")
        with warnings.catch_warnings():
            # What other readers cannot be shown, or not be removed, is told, and is no reason not
            # to open; nor are numbers that overflow.
            warnings.simplefilter("ignore", RuntimeWarning)
            warnings.simplefilter("ignore", RaggedTableWarning)
            with soon(use.__name__):
                errors[use.__name__] = _error_of(use, session, str(place))
    return errors


@contextmanager
def soon(what: str = "it") -> Iterator[None]:
    """A block that takes 5 seconds of the processor at most; others may have it meanwhile."""
    began, worked = time.monotonic(), time.process_time()
    yield
    assert time.process_time() - worked < 5, what
    assert time.monotonic() - began < 60, what


def _error_of(use: Use, session: Session, url: str) -> Any:
    try:
        use(session, url)
    except ExeteraError as error:
        str(error)
        # What its frames hold is not to count as memory that is in use.
        error.__traceback__ = error.__cause__ = error.__context__ = None
        return error
    finally:
        for dataset in list(session.datasets.values()):
            with suppress(ExeteraError):
                dataset.rollback()
        with suppress(ExeteraError):
            session.close()
    return None


def _content(folder: Path, but: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        if path == but or but in path.parents:
            continue
        about = path.lstat()
        data = path.read_bytes() if path.is_file() and about.st_size < 1 << 20 else None
        found[str(path.relative_to(folder))] = (about.st_mode, about.st_size, data)
    return found


@contextmanager
def nothing_else_changes(folder: Path, place: Path) -> Iterator[None]:
    """What is in a folder beside a dataset is the same afterwards."""
    before = _content(folder, place)
    yield
    assert _content(folder, place) == before
