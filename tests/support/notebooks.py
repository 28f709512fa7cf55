"""The notebooks of `examples/`, and what their cells need."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from support.servers import S3Server

__all__ = ["NOTEBOOKS", "bucket_environment"]

NOTEBOOKS = Path(__file__).parents[2] / "examples/notebooks"


def bucket_environment(server: S3Server, bucket: str) -> dict[str, str]:
    """
    Where the notebook about buckets finds one, and the keys to it.

    Parameters
    ----------
    server
        An S3 server.
    bucket
        URL of a bucket there.
    """
    known = server.credentials or {"key": "testing", "secret": "testing"}
    return {
        "STUDY_URL": f"{bucket}/tutorial/study.zarr",
        "STUDY_ENDPOINT": server.endpoint,
        "AWS_ACCESS_KEY_ID": known["key"],
        "AWS_SECRET_ACCESS_KEY": known["secret"],
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
