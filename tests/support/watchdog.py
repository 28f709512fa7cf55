"""Run a command until standard input ends, which is when whoever holds its other end does.

    python watchdog.py FOLDER COMMAND...

A parent that is killed cannot stop its servers, but the system closes its pipes. FOLDER is where
the command runs, and is removed with all that it wrote.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading


def run(folder: str, command: list[str]) -> int:
    """Run the command to its end, or that of standard input; what it returned."""
    try:
        server = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL)

        def watch() -> None:
            os.read(0, 1)
            server.kill()

        threading.Thread(target=watch, daemon=True).start()
        return server.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1], sys.argv[2:]))
