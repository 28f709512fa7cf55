"""The command line: `python -m benchmarks cloud`, `columns`, `convert`, `import` and so on."""

from __future__ import annotations

import argparse

from benchmarks import cloud, cluster, columns, convert, imports, journal, peers, scale, sql, tables
from benchmarks.appends import command as appends


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for command in (
        appends,
        cloud,
        cluster,
        columns,
        convert,
        imports,
        journal,
        scale,
        sql,
        tables,
        peers,
    ):
        command.add_command(commands)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
