"""What holds for every commit that a test of versions makes."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from exetera_zarr.storage.zarr import layout
from exetera_zarr.storage.zarr.versions.manifests import Version


@pytest.fixture(autouse=True)
def _versions_are_what_their_bytes_say() -> Iterator[None]:
    """A version that is joined from pieces is the one that a reader decodes from its bytes."""
    made = Version.made.__func__

    def checked(cls, below, facts, attributes, known, where):
        version = made(cls, below, facts, attributes, known, where)
        document = layout.decode(version.data, where)
        decoded = Version.of(version.data, document)
        assert decoded == version
        assert repr(decoded.attributes) == repr(version.attributes)
        assert repr(dict(decoded.below)) == repr(dict(version.below))
        assert layout.plain(json.loads(data := version.data)) == data
        return version

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Version, "made", classmethod(checked))
        yield
