"""Servers that are processes of their own: started, waited for, and never left behind."""

from __future__ import annotations

import http.client
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["HOST", "ServerError", "free_ports", "running"]

HOST = "127.0.0.1"
_PATIENCE = 60.0
"""Seconds until a server that does not answer is given up."""
_ATTEMPTS = 3
"""How often one that ends at once is started: another process may have taken a port."""
_PORTS = range(12_000, 21_000)
"""Below those that systems give to clients, and so are the ones that are 10,000 higher."""


class ServerError(RuntimeError):
    """A server did not start."""


def free_ports(count: int, *, offset: int = 0) -> list[int]:
    """
    Ports of this machine on which nobody listens.

    Parameters
    ----------
    count
        How many.
    offset
        The ports that are so much higher are free as well.
    """
    found: list[int] = []
    with ExitStack() as held:
        for port in random.sample(_PORTS, len(_PORTS)):
            try:
                for wanted in {port, port + offset}:
                    held.enter_context(socket.create_server((HOST, wanted)))
            except OSError:
                continue
            found.append(port)
            if len(found) == count:
                return found
    raise ServerError(f"there are no {count} free ports from {_PORTS[0]} to {_PORTS[-1]}")


@contextmanager
def running(
    plan: Callable[[str], tuple[list[str], int]],
    ready: str,
    environment: Mapping[str, str] | None = None,
) -> Iterator[int]:
    """
    Run a server, which is killed in the end, also if this process is.

    Parameters
    ----------
    plan
        Given a temporary folder, the command, and the port to ask; another one each time.
    ready
        The path that is found there once the server is ready.
    environment
        Variables that it gets besides those of this process.

    Yields
    ------
    int
        The port.

    Raises
    ------
    ServerError
        It ended, or did not answer in a minute; with the last of what it said.
    """
    with tempfile.TemporaryFile() as output:
        watchdog, port = _started(plan, ready, environment or {}, output)
        try:
            yield port
        finally:
            _stop(watchdog)


def _started(
    plan: Callable[[str], tuple[list[str], int]],
    ready: str,
    environment: Mapping[str, str],
    output: IO[bytes],
) -> tuple[subprocess.Popen[bytes], int]:
    for _ in range(_ATTEMPTS):
        folder = tempfile.mkdtemp(prefix="exetera-server-")
        command, port = plan(folder)
        watchdog = subprocess.Popen(
            [sys.executable, "-I", str(Path(__file__).with_name("watchdog.py")), folder, *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            start_new_session=True,  # Ctrl-C is for this process, which then stops it
        )
        try:
            if _answers(watchdog, port, ready):
                return watchdog, port
        except BaseException:
            _stop(watchdog)
            raise
        ended = watchdog.poll() is not None
        _stop(watchdog)
        if not ended:
            break
    output.seek(max(0, output.tell() - 2000))
    said = output.read().decode(errors="replace")
    why = "ended at once" if ended else f"did not answer in {_PATIENCE:.0f} seconds"
    raise ServerError(f"{Path(command[0]).name} {why}; the last that it said:\n{said}")


def _answers(watchdog: subprocess.Popen[bytes], port: int, ready: str) -> bool:
    """Whether the server finds the path, before it ends and while there is patience."""
    deadline = time.monotonic() + _PATIENCE
    while watchdog.poll() is None:
        late = time.monotonic() > deadline  # before asking: this process may have been paused
        if _found(port, ready):
            return True
        if late:
            break
        time.sleep(0.02)
    return False


def _found(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _stop(watchdog: subprocess.Popen[bytes]) -> None:
    assert watchdog.stdin is not None
    watchdog.stdin.close()
    watchdog.wait()
