"""A later snapshot of a table goes into its journal, by the function that ExeTera has for it."""

import numpy as np
from exetera.core.journal import journal_table
from exetera.core.session import Session

APRIL, MAY, OPEN = 1585699200.0, 1588291200.0, 32503680000.0


class Schema:
    """What the function asks of a schema: which fields to compare."""

    fields = {"score": None, "town": None}  # noqa: RUF012 - as ExeTera's schemas have it


def snapshot(ds, name, ids, scores, towns, since):
    table = ds.create_dataframe(name)
    table.create_numeric("id", "int32").data.write(np.array(ids, "int32"))
    table.create_numeric("score", "int32").data.write(np.array(scores, "int32"))
    table.create_fixed_string("town", 6).data.write(towns)
    table.create_timestamp("j_valid_from").data.write(np.full(len(ids), since))
    table.create_timestamp("j_valid_to").data.write(np.full(len(ids), OPEN))
    return table


with Session() as s:
    ds = s.open_dataset("journal.hdf5", "w", "journal")
    april = snapshot(ds, "april", [1, 2, 3], [5, 6, 7], [b"Leeds", b"York", b"Bath"], APRIL)
    may = snapshot(ds, "may", [1, 2, 4], [5, 8, 9], [b"Leeds", b"York", b"Ely"], MAY)
    journal = ds.create_dataframe("patients")
    journal_table(s, Schema, april, may, "id", journal)
    # 1 is as it was, 2 has another score, 3 is there no more, and 4 is new
    assert journal["score"].data[:].tolist() == [5, 6, 8, 7, 9]
    towns = journal["town"].data[:].tolist()
    assert towns == [b"Leeds", b"York", b"York", b"Bath", b"Ely"]
