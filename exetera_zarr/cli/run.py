"""The command that runs scripts written for ExeTera."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from exetera_zarr.cli.reporting import say
from exetera_zarr.errors import DataError
from exetera_zarr.tables.redirects import Redirect, redirected
from exetera_zarr.texts import visible

__all__ = ["SETTINGS", "run"]

# What follows the script is the script's own, whatever it looks like.
SETTINGS = {"allow_interspersed_args": False}


def run(
    script: Annotated[
        str,
        typer.Argument(metavar="SCRIPT", help="The script.", show_default=False),
    ],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ARGUMENT]...", help="Its arguments.", show_default=False),
    ] = None,
    places: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="OLD=NEW",
            help="Open NEW where the script opens OLD; may be repeated. One * in both stands for "
            "the same text: 'data/*.hdf5=s3://bucket/*.zarr'.",
        ),
    ] = None,
    storage_option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            envvar="EXETERA_ZARR_STORAGE_OPTION",
            help="For the NEW that are URLs; may be repeated.",
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Run the verbs of the script's tables on the cluster of Dask whose scheduler is "
            "there, such as tcp://host:8786.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Run a script written for ExeTera: its imports and its datasets lead here."""
    from exetera_zarr.cli.options import parse_storage_options
    from exetera_zarr.compat.running import run_script

    if not Path(script).is_file():
        raise typer.BadParameter(visible(f"there is no file {script}"), param_hint="SCRIPT")
    options = parse_storage_options(storage_option or ())
    try:
        redirects = [Redirect.parse(text, options) for text in places or ()]
    except DataError as error:
        raise typer.BadParameter(visible(error), param_hint="--map") from error
    with redirected(redirects, cluster):
        run_script(script, arguments or ())
    for redirect in redirects:
        if not redirect.used:
            say(f"no dataset was opened at {redirect.source} (--map)")
