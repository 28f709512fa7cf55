"""Names of any length and script, as questionnaires have them, and the segments of their paths."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exetera_zarr import DataError, Session
from exetera_zarr.storage import names

QUESTION = (
    "Испытывали ли вы в последние семь дней одышку, кашель или иные симптомы, и если да, какие?"
)
NAMES = [
    QUESTION,
    f"{QUESTION} (повторно)",
    "您在过去七天内是否出现过呼吸急促、咳嗽或其他症状？如果有，请说明是哪些症状，以及它们持续了多长时间，是否看过医生，用过什么药"
    * 2,
    "Do you smoke?\nIf so, how many a day?",
    "tab\there\r\nand a return",
    "x" * 5000,
]


def test_any_name_that_exetera_takes(place):
    """Tables and fields of it are written, renamed, reopened and copied."""
    with Session() as s:
        ds = s.open_dataset(place.url("x.zarr"), "w", "d", storage_options=place.storage_options)
        for name in NAMES:
            table = ds.create_dataframe(name)
            for number, other in enumerate(NAMES):
                table.create_numeric(other, "int8").data.write([number])
            table.rename(QUESTION, f"{QUESTION} переименовано")
        ds.commit()
    with Session() as s:
        ds = s.open_dataset(place.url("x.zarr"), "r", "d", storage_options=place.storage_options)
        assert list(ds.keys()) == NAMES
        for name in NAMES:
            assert ds[name].keys() == [f"{QUESTION} переименовано", *NAMES[1:]]
            assert [field.data[0] for field in ds[name].values()] == list(range(len(NAMES)))


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300))
def test_segments(name):
    """Each fits a path, is a key of ours, and is another one for another name."""
    try:
        name = names.check(name)
    except DataError:
        assert "\0" in name or name in (".", "..")
        return
    segment = names.encode(name)
    assert len(segment) <= 255
    assert set(segment) <= set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 ._-%"
    )
    assert names.encode(f"{name}!") != segment


@pytest.mark.parametrize("name", ["", ".", "..", "a\0b", "\ud800"])
def test_what_is_no_name(name):
    with Session() as s:
        ds = s.open_dataset("memory://names", "w", "d")
        with pytest.raises(DataError):
            ds.create_dataframe(name)
