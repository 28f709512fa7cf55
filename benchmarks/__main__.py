"""The command line: `python -m benchmarks columns`, `convert`, `import`, `journal` or `tables`."""

from __future__ import annotations

import argparse

from benchmarks import columns, convert, imports, journal, peers, tables


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for command in (columns, convert, imports, journal, tables, peers):
        command.add_command(commands)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
