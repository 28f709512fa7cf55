"""Names of hosts to addresses, within a time: the system's resolver has a patience of its own."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from exetera_zarr.storage.remote.replies import Reply
from exetera_zarr.storage.remote.requests import patience

__all__ = ["RESOLVER", "web_client"]

_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=30)
_SHARE = 0.8
"""Of the patience of a first contact, what a name may take."""


class Resolver(AbstractResolver):
    """The system's resolver, of which the answer is not waited for beyond our own patience."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """
        The addresses of a host.

        Parameters
        ----------
        host, port, family
            As aiohttp asks.

        Raises
        ------
        OSError
            There are none, or none were found in time.
        """
        seconds = patience.first_contact * _SHARE
        found = aiohttp.ThreadedResolver().resolve(host, port, family)
        try:
            return await asyncio.wait_for(found, seconds)
        except TimeoutError:
            raise OSError(socket.EAI_AGAIN, f"no answer within {seconds:g} seconds") from None

    async def close(self) -> None:
        """Nothing is open."""


RESOLVER = Resolver()


async def web_client(**options: Any) -> aiohttp.ClientSession:
    """
    A session of aiohttp with our resolver in its connector, and careful with what is answered.

    Parameters
    ----------
    options
        As of ``aiohttp.ClientSession``.
    """
    if "connector" not in options:
        options["connector"] = aiohttp.TCPConnector(resolver=RESOLVER)
    # No time for all of an answer, which aiohttp would have: what counts is progress.
    options = {"timeout": _TIMEOUT, **options, "response_class": Reply}
    return aiohttp.ClientSession(**options)
