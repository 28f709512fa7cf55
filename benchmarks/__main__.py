"""The command line: `python -m benchmarks columns`, `import`, `tables` or `journal`."""

from __future__ import annotations

import argparse

from benchmarks import columns, imports, journal, peers, tables


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for command in (columns, imports, tables, journal, peers):
        command.add_command(commands)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
