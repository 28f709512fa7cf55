"""The verbs of tables on two workers, beside our own engine in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from distributed import default_client

from benchmarks.cluster_tasks import BLOCK, Contest, Place, part
from benchmarks.timing import Action
from exetera_zarr import DataFrame, Session, merge

ALONE = "this process"
TARGET = 1 / 1.4
Verb = Callable[[Any, DataFrame], object]


def filtered(study: Any, dest: DataFrame) -> None:
    study["t"].apply_filter(study["t"]["flag"], ddf=dest)


def ordered(study: Any, dest: DataFrame) -> None:
    study["t"].sort_values(by="a", ddf=dest)


def grouped(study: Any, dest: DataFrame) -> None:
    study["t"].groupby(by="age").mean(target=["a", "b", "c"], ddf=dest)


def merged(other: str, key: str, how: str, hinted: bool, study: Any, dest: DataFrame) -> None:
    merge(
        study["t"],
        study[other],
        dest,
        key,
        key,
        how=how,
        hint_left_keys_ordered=hinted,
        hint_right_keys_ordered=hinted,
    )


VERBS: tuple[tuple[str, Verb], ...] = (
    ("filter that keeps a third", filtered),
    ("sort by a float", ordered),
    ("three means by a key of 90", grouped),
    ("merge, left, with a table of five rows", partial(merged, "small", "k", "left", False)),
    (
        "merge, inner, half as many rows in any order",
        partial(merged, "mixed", "id", "inner", False),
    ),
    ("merge, inner, both in order", partial(merged, "later", "id", "inner", True)),
)


class Verbs:
    """The table with three others to merge with, and verbs of which each makes a new dataset."""

    def __init__(self, place: Place, rows: int) -> None:
        self.place = place
        first = part(0, 1)
        schema = pa.RecordBatch.from_pandas(first, preserve_index=False).schema

        def blocks() -> Iterator[pa.RecordBatch]:
            for start in range(0, rows, BLOCK):
                some = part(start, min(start + BLOCK, rows))
                yield pa.RecordBatch.from_pandas(some, schema, preserve_index=False)

        chance = np.random.default_rng(0)
        half = rows // 2
        with Session() as session:
            study = self._open(session, "study.zarr", "w")
            study.from_arrow("t", pa.RecordBatchReader.from_batches(schema, blocks()))
            others = {
                "small": ("k", np.arange(5)),
                "mixed": ("id", chance.permutation(rows)[:half]),
                "later": ("id", np.sort(chance.integers(0, rows, half))),
            }
            for name, (key, keys) in others.items():
                table = study.create_dataframe(name)
                table.create_numeric(key, "int64").data.write(keys)
                table.create_numeric("y", "float64").data.write(chance.random(len(keys)))
            study.commit()

    def _open(self, session: Session, name: str, mode: Literal["r", "w"]) -> Any:
        return session.open_dataset(
            self.place.at(name), mode, name, storage_options=self.place.options
        )

    def contests(self) -> list[Contest]:
        return [self._contest(title, verb) for title, verb in VERBS]

    def _done(self, verb: Verb, side: str, cluster: Any) -> None:
        with Session(cluster=cluster) as session:
            made = self._open(session, f"{side}.zarr", "w")
            verb(self._open(session, "study.zarr", "r"), made.create_dataframe("made"))
            made.commit()

    def _contest(self, title: str, verb: Verb) -> Contest:
        def there() -> None:
            self._done(verb, "there", default_client())

        def here() -> None:
            self._done(verb, "here", None)

        def leave() -> None:
            self.place.remove("there.zarr")
            self.place.remove("here.zarr")

        def same() -> None:
            there()
            here()
            with Session() as session:
                found, expected = (
                    self._open(session, f"{side}.zarr", "r")["made"] for side in ("there", "here")
                )
                assert [*found] == [*expected]
                for name in found:
                    a, b = found[name].data[:], expected[name].data[:]
                    if a.dtype.kind == "f":  # sums of floats may differ in their last digits
                        np.testing.assert_allclose(a, b, rtol=1e-12)
                    else:
                        np.testing.assert_array_equal(a, b)
            leave()

        actions = Action(there, after=leave), Action(here, after=leave)
        return Contest(title, ALONE, *actions, same, round(TARGET, 2))
