from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from exetera_zarr.engine.columns.fixed_strings import from_words, words


@given(st.integers(1, 20), st.lists(st.binary(max_size=20), max_size=30), st.integers(0, 9))
def test_words_order_as_the_strings_and_come_back(width, values, more):
    """Eight bytes of each string, of any width, also behind the end of the data; NULs behind."""
    col = np.array(values, f"S{width}")[::-1]
    found = words(col, width + more)
    assert len(found) == -(-(width + more) // 8)
    padded = [v.ljust(8 * len(found), b"\0") for v in col.tolist()]
    for i, word in enumerate(found):
        assert word.tolist() == [int.from_bytes(p[8 * i : 8 * i + 8], "big") for p in padded]
    assert from_words(words(col), col.dtype).tolist() == col.tolist()
