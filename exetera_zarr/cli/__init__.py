"""The command `exetera-zarr`: what needs no script.

Errors are one line on stderr and exit code 1; wrong usage is exit code 2.
"""

from __future__ import annotations

import functools
import json
import os
import re
import sys
import time
import warnings
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeAlias

from exetera_zarr._version import __version__
from exetera_zarr.cli import versions
from exetera_zarr.errors import ExeteraError

try:
    import typer
except ImportError:  # `main` says how to get it
    typer = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from exetera_zarr.dataset import Dataset
    from exetera_zarr.io.importer import Progress, ProgressCallback

__all__ = ["main"]

P = ParamSpec("P")
Description: TypeAlias = dict[str, Any]

PROGRAM = "exetera-zarr"
NO_TYPER = f"{PROGRAM}: the command needs the extra 'cli': pip install '{PROGRAM}[cli]'"
ALIAS = "dataset"
# A comma that begins another table, not one inside a path: patients:a,b.csv, tests:s3://x/c.csv
NEXT_INPUT = re.compile(r",\s*(?=[^,:/\\]+:(?!//))")
CHOICE = re.compile(r"\s*([^:(),]+?)\s*:\s*\(([^()]*)\)\s*(?:,|$)")
STORAGE_OPTION = "EXETERA_ZARR_STORAGE_OPTION"
TRACEBACK = "EXETERA_ZARR_TRACEBACK"


class UsageError(ExeteraError):
    """An argument that cannot be understood."""


def main() -> None:
    """Run the command; the entry point of the package."""
    if typer is None:
        sys.stderr.write(f"{NO_TYPER}\n")
        raise SystemExit(1)
    application()(prog_name=PROGRAM)


def application() -> typer.Typer:
    """Return the command with its sub-commands."""
    from exetera_zarr.cli import run

    app = typer.Typer(
        help="Tables of longitudinal data on any store.",
        no_args_is_help=True,
        add_completion=False,
        # Plain text: it is read in logs as often as on a terminal.
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(_program)
    app.command("import")(_reported(import_files))
    app.command("info")(_reported(info))
    app.command("history")(_reported(versions.history))
    app.command("verify")(_reported(versions.verify))
    app.command("vacuum")(_reported(versions.vacuum))
    app.command("run", context_settings=run.SETTINGS)(run.run)
    return app


def _reported(command: Callable[P, None]) -> Callable[P, None]:
    """Make a command say what went wrong in one line."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            with _warnings_in_one_line():
                command(*args, **kwargs)
        except (ExeteraError, OSError, ImportError, ValueError) as error:
            _say(f"error: {_one_line(error)}")
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            _say("interrupted")
            raise typer.Exit(130) from None
        except Exception as error:
            # Not foreseen, so perhaps a mistake of ours: whoever looks for it wants to see where.
            if isinstance(error, typer.Exit) or TRACEBACK in os.environ:
                raise
            kind = type(error).__name__
            _say(f"error: {kind}: {_one_line(error)} (set {TRACEBACK}=1 to see where)")
            raise typer.Exit(1) from None

    return run


def _say(text: str) -> None:
    sys.stderr.write(f"{PROGRAM}: {text}\n")


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def _warnings_in_one_line() -> Iterator[None]:
    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        _say(f"warning: {' '.join(str(message).split())}")

    with warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = show
        yield


def _print_version(wanted: bool) -> None:
    if wanted:
        print(PROGRAM, __version__)
        raise typer.Exit


def _program(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Say which it is."),
    ] = False,
) -> None:
    """Tables of longitudinal data on any store."""


# -- import


def import_files(
    schema: Annotated[str, typer.Option("-s", "--schema", help="JSON schema: path or URL.")],
    inputs: Annotated[
        list[str],
        typer.Option("-i", "--inputs", help="TABLE:FILE[, TABLE:FILE ...]; may be repeated."),
    ],
    dataset: Annotated[
        str, typer.Option("-o", "-ds", "--output", "--dataset", help="Dataset: path or URL.")
    ],
    overwrite: Annotated[
        bool, typer.Option("-w", "--overwrite", help="Replace the dataset; else add tables to it.")
    ] = False,
    include: Annotated[
        list[str] | None,
        typer.Option("-n", "--include", help="Import only these: 'TABLE:(a,b), TABLE:(c)'."),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option("-x", "--exclude", help="Import all but these: 'TABLE:(a,b)'."),
    ] = None,
    timestamp: Annotated[
        str | None, typer.Option("-ts", "--timestamp", help="For j_valid_from; now by default.")
    ] = None,
    skip_missing: Annotated[
        bool, typer.Option("--skip-missing", help="Leave out columns that a file lacks.")
    ] = False,
    territories: Annotated[
        str | None, typer.Option("-te", "--territories", help="Ignored, as by ExeTera.")
    ] = None,
    storage_option: Annotated[
        list[str] | None,
        typer.Option(envvar=STORAGE_OPTION, help="KEY=VALUE for URLs; may be repeated."),
    ] = None,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress bar.")] = False,
) -> None:
    """Import CSV files as new tables, by a schema: all of them or, on an error, none."""
    from exetera_zarr.io import import_with_schema
    from exetera_zarr.session import Session

    del territories
    files = parse_inputs(inputs)
    with Session() as session:
        with _progress(files, quiet=quiet) as progress:
            import_with_schema(
                session,
                dataset,
                ALIAS,
                schema,
                files,
                overwrite,
                include=parse_choice(include or (), "-n/--include"),
                exclude=parse_choice(exclude or (), "-x/--exclude"),
                timestamp=timestamp,
                missing="skip" if skip_missing else "error",
                storage_options=parse_storage_options(storage_option or ()),
                progress=progress,
            )
        written = session.get_dataset(ALIAS)
        for table in files:
            print(f"{table}: {len(written[table]['j_valid_to']):,} rows")


def parse_inputs(inputs: Sequence[str]) -> dict[str, str]:
    """
    Read ``TABLE:FILE, TABLE:FILE``.

    Parameters
    ----------
    inputs
        As the user wrote them. A file may be a URL, and may have commas and colons in its name.

    Returns
    -------
    dict
        ``{table: file}``.

    Raises
    ------
    UsageError
        A part is something else, or a table occurs twice.
    """
    files: dict[str, str] = {}
    for part in (part for text in inputs for part in NEXT_INPUT.split(text)):
        table, colon, file = (piece.strip() for piece in part.partition(":"))
        if not (table and colon and file) or file.startswith("//"):
            raise UsageError(f"-i/--inputs: {part.strip()!r} is not TABLE:FILE")
        if table in files:
            raise UsageError(f"-i/--inputs: table {table!r} occurs more than once")
        files[table] = file
    return files


def parse_choice(texts: Sequence[str], option: str) -> dict[str, list[str]]:
    """
    Read ``TABLE:(a,b), TABLE:(c)``.

    Parameters
    ----------
    texts
        As the user wrote them.
    option
        Name of the option, for the error.

    Returns
    -------
    dict
        ``{table: columns}``.

    Raises
    ------
    UsageError
        It is something else, or a table occurs twice.
    """
    chosen: dict[str, list[str]] = {}
    for text in texts:
        position = 0
        while position < len(text):
            match = CHOICE.match(text, position)
            if match is None:
                raise UsageError(f"{option}: {text[position:].strip()!r} is not TABLE:(COLUMN,...)")
            table, columns = match.groups()
            if table in chosen:
                raise UsageError(f"{option}: table {table!r} occurs more than once")
            chosen[table] = [name.strip() for name in columns.split(",")] if columns.strip() else []
            position = match.end()
    return chosen


def parse_storage_options(texts: Sequence[str]) -> dict[str, Any]:
    """
    Read ``KEY=VALUE`` pairs.

    Parameters
    ----------
    texts
        As the user wrote them. A value that is JSON for a flag, a list or an object is that;
        anything else is text, so that a key made of digits stays one.

    Returns
    -------
    dict
        Options for fsspec.

    Raises
    ------
    UsageError
        There is no ``=``. What follows it is not repeated: it may be a secret.
    """
    options: dict[str, Any] = {}
    for number, text in enumerate(texts, 1):
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise UsageError(f"--storage-option number {number} is not KEY=VALUE")
        options[key.strip()] = _json_or_text(value)
    return options


def _json_or_text(value: str) -> Any:
    try:
        found = json.loads(value)
    except ValueError:
        return value
    return found if isinstance(found, bool | list | dict) else value


def _progress(
    files: Mapping[str, str], *, quiet: bool
) -> AbstractContextManager[ProgressCallback | None]:
    if quiet or not sys.stderr.isatty():
        return nullcontext()
    return _progress_bars(files)


@contextmanager
def _progress_bars(files: Mapping[str, str]) -> Iterator[ProgressCallback]:
    """Show a bar for each table on stderr: bytes read, rows, rows a second, time."""
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = ("{task.description}", "{task.fields[rows]:>14,} rows", "{task.fields[rate]:>12,}/s")
    bars = Bars(
        TextColumn(columns[0]),
        BarColumn(),
        TaskProgressColumn(),
        *(TextColumn(column) for column in columns[1:]),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )
    with bars:
        tasks = {
            table: bars.add_task(table, start=False, total=None, rows=0, rate=0) for table in files
        }
        started: dict[str, float] = {}
        latest = time.monotonic()

        def show(progress: Progress) -> None:
            nonlocal latest
            task = tasks[progress.table]
            if progress.table not in started:
                # Tables follow each other: this one began when the last one was heard of.
                started[progress.table] = latest
                bars.start_task(task)
            latest = time.monotonic()
            since = latest - started[progress.table]
            bars.update(
                task,
                completed=progress.bytes_read,
                total=progress.bytes_total,
                rows=progress.rows,
                rate=int(progress.rows / since) if since else 0,
            )

        yield show


# -- info


def info(
    dataset: Annotated[str, typer.Argument(help="Dataset: path or URL.")],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    storage_option: Annotated[
        list[str] | None,
        typer.Option(envvar=STORAGE_OPTION, help="KEY=VALUE for URLs; may be repeated."),
    ] = None,
) -> None:
    """Show the tables of a dataset: fields, types, rows, stored size. Reads no data."""
    from exetera_zarr.session import Session

    options = parse_storage_options(storage_option or ())
    with Session() as session:
        found = describe(session.open_dataset(dataset, "r", ALIAS, storage_options=options))
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        print("\n".join(_lines(found)))


def describe(dataset: Dataset) -> Description:
    """
    Say what a dataset holds.

    Parameters
    ----------
    dataset
        Open for reading or writing.

    Returns
    -------
    dict
        ``url``, ``version``, ``tables`` and, if there are any, ``fields`` at the top level; each
        table has ``fields``, each field ``type``, ``rows``, ``stored_bytes`` and, if it is
        categorical, ``categories``.
    """
    sizes = dataset.stored_sizes()
    tables: Description = {}
    fields: Description = {}
    for name, item in dataset.items():
        if hasattr(item, "fieldtype"):
            fields[name] = _describe_field(item, sizes.get((name,)))
        else:
            tables[name] = {
                "fields": {
                    column: _describe_field(field, sizes.get((name, column)))
                    for column, field in item.items()
                }
            }
    found: Description = {"url": dataset.url, "version": dataset.version, "tables": tables}
    return found | {"fields": fields} if fields else found


def _describe_field(field: Any, stored: int | None) -> Description:
    found = {"type": field.fieldtype, "rows": len(field), "stored_bytes": stored}
    if field.fieldtype.startswith("categorical"):
        found["categories"] = {
            name.decode() if isinstance(name, bytes) else name: int(value)
            for value, name in field.keys.items()
        }
    return found


def _lines(found: Description) -> Iterator[str]:
    """Lay out a description as a tree."""
    yield f"{found['url']}  (version {found['version']})"
    groups = [(name, table["fields"]) for name, table in found["tables"].items()]
    if "fields" in found:
        groups.append(("(top level)", found["fields"]))
    for name, fields in groups:
        rows = {field["rows"] for field in fields.values()}
        counts = [f"{len(fields)} fields"]
        if len(rows) == 1:
            counts.insert(0, f"{next(iter(rows)):,} rows")
        sizes = [field["stored_bytes"] for field in fields.values()]
        if any(size is not None for size in sizes):
            counts.append(_size(sum(size or 0 for size in sizes)))
        yield f"{name}: {', '.join(counts)}"
        width = max((len(column) for column in fields), default=0)
        for column, field in fields.items():
            parts = [f"{column:{width}}", f"{field['type']:18}"]
            if len(rows) > 1:
                parts.append(f"{field['rows']:>14,} rows")
            if field["stored_bytes"] is not None:
                parts.append(f"{_size(field['stored_bytes']):>10}")
            yield f"  {'  '.join(parts)}".rstrip()


def _size(count: int) -> str:
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
