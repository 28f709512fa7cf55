"""The command and its sub-commands, put together."""

from __future__ import annotations

from typing import Annotated

import typer

from exetera_zarr._version import __version__
from exetera_zarr.cli import PROGRAM, reporting, run
from exetera_zarr.cli.appending import append
from exetera_zarr.cli.codebook import codebook
from exetera_zarr.cli.convert import convert
from exetera_zarr.cli.doctor import doctor
from exetera_zarr.cli.exporting import export, sql
from exetera_zarr.cli.head import head
from exetera_zarr.cli.importing import import_files
from exetera_zarr.cli.info import info
from exetera_zarr.cli.journal import journal
from exetera_zarr.cli.schema import schema
from exetera_zarr.cli.versions.keeping import compact, history, vacuum, verify
from exetera_zarr.cli.versions.purge import purge
from exetera_zarr.cli.versions.releases import diff, restore, retain, tag, tags, untag

__all__ = ["application"]

# \b keeps the lines as they are.
EXAMPLE = """\b
From CSV files to a dataset:
  exetera-zarr schema patients.csv tests.csv.gz -o schema.json
  exetera-zarr import -s schema.json -o study.zarr \\
      -i patients:patients.csv,tests:tests.csv.gz
  exetera-zarr head study.zarr/patients"""


def application() -> typer.Typer:
    """Return the command with its sub-commands."""
    app = typer.Typer(
        no_args_is_help=True,
        epilog=EXAMPLE,
        # Plain text: it is read in logs as often as on a terminal.
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_program)
    app.command("import")(reporting.reported(import_files))
    for command in (
        *(schema, append, journal, info, head, codebook, sql, export, convert),
        *(history, diff, tag, untag, tags, restore, retain, purge, verify, vacuum, compact),
        doctor,
    ):
        app.command(command.__name__)(reporting.reported(command))
    app.command("run", context_settings=run.SETTINGS)(run.run)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        print(PROGRAM, __version__)
        raise typer.Exit


def _show_tracebacks(wanted: bool) -> None:
    reporting.show_tracebacks(wanted=wanted)


def _program(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Say which it is."),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option(
            "--debug",
            envvar="EXETERA_ZARR_DEBUG",
            callback=_show_tracebacks,
            help="Show where in the program an error comes from.",
        ),
    ] = False,
) -> None:
    """Tables of longitudinal data, on a local folder or in a bucket."""
