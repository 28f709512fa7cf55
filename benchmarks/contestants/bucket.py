"""A bucket as each client library is told of it, and the tables that are kept in it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

IN_FLIGHT = 64
BITS = 20
COUNTS = (1, 4, 16, 64)  # of columns that are read


@dataclass(frozen=True)
class Bucket:
    """
    A bucket, and how it is reached.

    Parameters
    ----------
    name
        Of the bucket.
    endpoint_url
        Where the service is.
    key, secret
        Credentials.
    """

    name: str
    endpoint_url: str
    key: str
    secret: str

    def url(self, path: Path | str) -> str:
        return f"s3://{self.name}/{path}"

    @property
    def options(self) -> dict[str, Any]:
        """Options of s3fs, which are ours as well."""
        return {"endpoint_url": self.endpoint_url, "key": self.key, "secret": self.secret}

    @property
    def rust_options(self) -> dict[str, str]:
        """Options of the Rust crate that Polars and obstore have in common."""
        return {
            "aws_endpoint_url": self.endpoint_url,
            "aws_access_key_id": self.key,
            "aws_secret_access_key": self.secret,
            "aws_region": "us-east-1",
            "aws_allow_http": "true",
        }

    def filesystem(self, **options: Any) -> Any:
        """A file system of s3fs with as many connections as may be used."""
        from s3fs import S3FileSystem

        config = {"max_pool_connections": 2 * IN_FLIGHT}
        return S3FileSystem(
            **self.options, config_kwargs=config, use_listings_cache=False, **options
        )

    @cache  # noqa: B019 - as s3fs does
    def obstore(self, prefix: str | None = None) -> Any:
        """A store of obstore: the bucket, or a folder in it."""
        from obstore.store import S3Store

        options: dict[str, Any] = self.rust_options
        return S3Store(self.name, prefix=prefix, **options)


@dataclass(frozen=True)
class Shape:
    """How large a table is; the folder that it is in is called so."""

    columns: int
    rows: int

    @classmethod
    def of(cls, folder: Path) -> Shape:
        columns, rows = folder.name.split("x")
        return cls(int(columns), int(rows))

    def __str__(self) -> str:
        return f"{self.columns}x{self.rows}"

    @property
    def names(self) -> list[str]:
        return [f"c{number:03}" for number in range(self.columns)]

    def some(self, count: int) -> list[str]:
        """Names of so many columns, spread over the table."""
        return self.names[:: max(self.columns // count, 1)][:count]

    def table(self, seed: int = 0) -> dict[str, npt.NDArray[np.int32]]:
        """Its columns; cheap to make, since that is timed where a table is written."""
        base = np.random.default_rng(seed).integers(0, 1 << BITS, self.rows, dtype="int32")
        return {name: base + np.int32(number) for number, name in enumerate(self.names)}
