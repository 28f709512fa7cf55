"""Two CSV files with a schema, then groups, merges and an export, as in ExeTera's notebooks."""

import json
from pathlib import Path

import numpy as np
from exetera.core import session
from exetera.core.dataframe import merge
from exetera.io import importer

CLIENTS = """id,name,weight,smokes,born
1,"Ines",61,False,1980
2,"Jo, or Joe",83,True,2008
3,"Kim",,,1951
4,"Lu",75,False,1999
"""
CALLS = """id,client,when,tone,fever
10,2,2021-03-04 10:00:00.250000+00:00,calm,99.5
11,1,2021-03-05 11:30:00+00:00,cross,101.25
12,2,2021-03-04 09:00:00+00:00,calm,
13,4,2021-03-09 23:59:59+00:00,,97.0
14,9,2021-03-10 00:00:00+00:00,cross,98.5
"""


def number(kind):
    return {"field_type": "numeric", "value_type": kind}


def categories(**codes):
    about = {"value_type": "int8", "strings_to_values": {"": 0, **codes}}
    return {"field_type": "categorical", "categorical": about}


KEY = {"field_type": "fixed_string", "length": 8}
SCHEMA = {
    "exetera": {"version": "1.0.0"},
    "schema": {
        "clients": {
            "primary_keys": ["id"],
            "fields": {
                "id": KEY,
                "name": {"field_type": "string"},
                "weight": number("int32"),
                "smokes": categories(False_=1, True_=2),
                "born": number("int32"),
            },
        },
        "calls": {
            "primary_keys": ["id"],
            "foreign_keys": {"client_key": {"space": "clients", "key": "id"}},
            "fields": {
                "id": KEY,
                "client": KEY,
                "when": {"field_type": "datetime"},
                "tone": categories(calm=1, cross=2),
                "fever": number("float32"),
            },
        },
    },
}


def write_files():
    Path("clients.csv").write_text(CLIENTS, encoding="utf-8")
    Path("calls.csv").write_text(CALLS, encoding="utf-8")
    text = json.dumps(SCHEMA).replace("False_", "False").replace("True_", "True")
    Path("clinic.json").write_text(text, encoding="utf-8")


def read_in():
    with session.Session() as s:
        importer.import_with_schema(
            session=s,
            timestamp="2021-04-01 00:00:00+00:00",
            dataset_alias="clinic",
            dataset_filename="imported.hdf5",
            schema_file="clinic.json",
            files={"clients": "clients.csv", "calls": "calls.csv"},
            overwrite=True,
        )


def look(clients, calls):
    """What was empty is 0, and the field beside it says so."""
    assert clients["name"].data[:] == ["Ines", "Jo, or Joe", "Kim", "Lu"]
    assert clients["id"].data[:].tolist() == [b"1", b"2", b"3", b"4"]
    assert clients["weight"].data[:].tolist() == [61, 83, 0, 75]
    assert clients["weight_valid"].data[:].tolist() == [True, True, False, True]
    assert clients["smokes"].data[:].tolist() == [1, 2, 0, 1]
    assert calls["tone"].data[:].tolist() == [1, 2, 1, 0, 2]
    assert calls["fever"].data[:].tolist() == [99.5, 101.25, 0.0, 97.0, 98.5]
    assert calls["when"].data[0] == 1614852000.25
    found = clients.describe(include=["weight", "born"], output="none")
    assert found["fields"] == ["weight", "born"]
    assert found["count"] == [4, 4]
    assert found["mean"] == ["54.75", "1984.50"]


def choose(ds, clients):
    adults = ds.create_dataframe("adults")
    grown = (2021 - clients["born"].data[:]) > 18
    clients.apply_filter(grown, ddf=adults)
    assert adults["id"].data[:].tolist() == [b"1", b"3", b"4"]
    assert len(clients["id"]) == 4
    both = grown & (clients["smokes"].data[:] == 1)
    assert clients["id"].data[both].tolist() == [b"1", b"4"]


def group(ds, calls):
    """One row for each client, in order."""

    def table(name):
        return ds.create_dataframe(name)

    calls.drop_duplicates(by="client", ddf=table("who"))
    calls.groupby(by="client").count(ddf=table("number"))
    for what in ("max", "min", "first", "last"):
        getattr(calls.groupby(by="client"), what)(target="fever", ddf=table(what))
        assert ds[what]["client"].data[:].tolist() == [b"1", b"2", b"4", b"9"]
    assert ds["who"]["client"].data[:].tolist() == [b"1", b"2", b"4", b"9"]
    assert ds["number"]["count"].data[:].tolist() == [1, 2, 1, 1]
    assert ds["max"]["fever_max"].data[:].tolist() == [101.25, 99.5, 97.0, 98.5]
    assert ds["min"]["fever_min"].data[:].tolist() == [101.25, 0.0, 97.0, 98.5]
    assert ds["first"]["fever_first"].data[:].tolist() == [101.25, 99.5, 97.0, 98.5]
    assert ds["last"]["fever_last"].data[:].tolist() == [101.25, 0.0, 97.0, 98.5]


def join(ds, clients, calls):
    """Each way; a row that has no partner has zeros and a flag."""
    names = {}
    for how in ("left", "right", "inner", "outer"):
        out = ds.create_dataframe(f"merged {how}")
        merge(calls, clients, out, left_on="client", right_on="id", how=how)
        names[how] = sorted(zip(out["id_l"].data[:].tolist(), out["name"].data[:], strict=True))
    partners = [(b"10", "Jo, or Joe"), (b"11", "Ines"), (b"12", "Jo, or Joe"), (b"13", "Lu")]
    assert names["inner"] == partners
    assert names["left"] == [*partners, (b"14", "")]
    assert names["right"] == [(b"", "Kim"), *partners]
    assert names["outer"] == [(b"", "Kim"), *partners, (b"14", "")]
    left = ds["merged left"]
    assert left["valid_r"].data[:].tolist() == [True, True, True, True, False]
    assert left["weight"].data[:].tolist() == [83, 61, 83, 75, 0]
    some = ds.create_dataframe("some")
    merge(
        calls, clients, some, left_on="client", right_on="id", how="left",
        left_fields=["client"], right_fields=["born"],
    )  # fmt: skip
    assert some["born"].data[:].tolist() == [2008, 1980, 2008, 1999, 0]


def write_out(clients):
    clients.to_csv("out.csv", column_filter=["name", "weight"])
    lines = Path("out.csv").read_text(encoding="utf-8").splitlines()
    assert lines == ["name,weight", "Ines,61", '"Jo, or Joe",83', "Kim,0", "Lu,75"]
    keep = np.array([True, False, False, True])
    clients.to_csv("few.csv", row_filter=keep, column_filter=["name", "born"])
    lines = Path("few.csv").read_text(encoding="utf-8").splitlines()
    assert lines == ["name,born", "Ines,1980", "Lu,1999"]


write_files()
read_in()
with session.Session() as s:
    ds = s.open_dataset("imported.hdf5", "r+", "clinic")
    clients, calls = ds["clients"], ds["calls"]
    look(clients, calls)
    choose(ds, clients)
    group(ds, calls)
    join(ds, clients, calls)
    write_out(clients)
