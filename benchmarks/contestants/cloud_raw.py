"""Clients alone: the bytes of the same objects, 32 at a time, without decoding."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contestants.bucket import IN_FLIGHT, Bucket


async def together(call: Callable[[str], Awaitable[Any]], names: Sequence[str]) -> list[Any]:
    """Call for every name, so many at a time."""
    room = asyncio.Semaphore(IN_FLIGHT)

    async def one(name: str) -> Any:
        async with room:
            return await call(name)

    return await asyncio.gather(*map(one, names))


def get(inputs: Path, output: Path, *, bucket: dict[str, str], client: str, **options: Any) -> None:
    place, names = Bucket(**bucket), options["objects"][str(inputs)]
    if client == "obstore":
        import obstore

        store = place.obstore()

        async def fetch(name: str) -> int:
            reply = await obstore.get_async(store, name)
            return len(await reply.bytes_async())

        sizes = asyncio.run(together(fetch, list(names)))
    else:
        # One request an object: by itself s3fs asks for the size first.
        paths = [f"{place.name}/{name}" for name in names]
        fetched = place.filesystem().cat(paths, batch_size=IN_FLIGHT, max_concurrency=1)
        sizes = [len(fetched[path]) for path in paths] if len(paths) > 1 else list(names.values())
    if sizes != list(names.values()):
        raise ValueError("objects of other sizes")


def put(inputs: Path, output: Path, *, bucket: dict[str, str], client: str, **options: Any) -> None:
    place, names = Bucket(**bucket), options["objects"][str(inputs)]
    body = np.random.default_rng(0).bytes(max(names.values()))
    bodies = {f"{output}/{n}": body[:size] for n, size in enumerate(names.values())}
    if client == "obstore":
        import obstore

        store = place.obstore()
        asyncio.run(
            together(
                lambda name: obstore.put_async(store, name, bodies[name], use_multipart=False),
                list(bodies),
            )
        )
    else:
        paths = {f"{place.name}/{name}": data for name, data in bodies.items()}
        place.filesystem().pipe(paths, batch_size=IN_FLIGHT)


SCANS = ("scan", "scan_blocks", "scan_slices")
TASKS = {"read_1": get, **dict.fromkeys(SCANS, get), "write": put}
CANNOT: dict[str, str] = {}
