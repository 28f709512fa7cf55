"""What goes on within the spans of a key: the row before, running sums, windows of time, ranks.

The functions take a field, and ``by``: the key, or several, by which the rows are sorted; or
spans, as ``key.get_spans()`` gives them; or None for all rows as one span. A row without a key
belongs to no span: what is asked of it is missing. Memory is that of a block, however long a span
is.
"""

from __future__ import annotations

from exetera_zarr.fields.within.moving import diff, ffill, is_first, is_last, shift
from exetera_zarr.fields.within.ranking import rank
from exetera_zarr.fields.within.rolling import Rolling, rolling
from exetera_zarr.fields.within.running import cumcount, cummax, cummin, cumsum

__all__ = [
    "Rolling",
    "cumcount",
    "cummax",
    "cummin",
    "cumsum",
    "diff",
    "ffill",
    "is_first",
    "is_last",
    "rank",
    "rolling",
    "shift",
]
