"""
Write small files of every type by a library that is installed: ``python make.py LIBRARY FOLDER``.

The library is ``pyarrow``, ``polars`` or ``duckdb``, of any release: what it cannot write is left
out, and told. Files are called after the library, its release, and what is in them.
"""

from __future__ import annotations

import datetime as dt
import sys
from decimal import Decimal
from pathlib import Path

NAN, INF = float("nan"), float("inf")
DAY = dt.date(2020, 2, 29)
TIME = dt.datetime(1999, 12, 31, 23, 59, 59, 999_999)
OLD = dt.datetime(1677, 9, 22, 1, 2, 3)


def pyarrow_cases():
    import pyarrow as pa

    def of(kind, *values):
        return pa.array(values, kind)

    whole = {}
    for bits in (8, 16, 32, 64):
        high = 2 ** (bits - 1)
        whole[f"int{bits}"] = of(getattr(pa, f"int{bits}")(), -high, high - 1, None)
        whole[f"uint{bits}"] = of(getattr(pa, f"uint{bits}")(), 0, 2 * high - 1, None)
    texts = ["", "zweiä", None]
    nested = pa.array([[1, 2], [], None])
    yield "integers", whole
    yield "bools", {"a": of(pa.bool_(), True, False, None), "b": of(pa.bool_(), True, True, False)}
    yield (
        "floats",
        {
            "single": of(pa.float32(), 0.5, NAN, -INF),
            "double": of(pa.float64(), -0.0, 1e308, None),
        },
    )
    yield "halves", lambda: {"a": pa.array(__import__("numpy").float16([0.5, 2.0, NAN]))}
    yield (
        "decimals",
        lambda: {
            "whole": of(pa.decimal128(38, 0), Decimal(10**18), None, Decimal(-1)),
            "parts": of(pa.decimal128(10, 2), Decimal("0.25"), Decimal("-7.50"), None),
            "large": of(pa.decimal256(70, 0), Decimal(12), None, Decimal(-3)),
        },
    )
    yield "decimals-inexact", {"a": of(pa.decimal128(3, 1), Decimal("0.1"), None, None)}
    yield "decimals-too-large", {"a": of(pa.decimal128(38, 0), Decimal(10**30), None, None)}
    yield (
        "dates",
        {
            "days": of(pa.date32(), DAY, None, dt.date(1, 1, 1)),
            "millis": of(pa.date64(), DAY, None, dt.date(1969, 12, 31)),
        },
    )
    yield (
        "times",
        {
            "s": of(pa.time32("s"), dt.time(1, 2, 3), None, dt.time(0)),
            "ms": of(pa.time32("ms"), dt.time(1, 2, 3, 4000), None, dt.time(0)),
            "us": of(pa.time64("us"), dt.time(23, 59, 59, 999_999), None, dt.time(0)),
        },
    )
    yield (
        "timestamps",
        {unit: of(pa.timestamp(unit), TIME.replace(microsecond=0), None, OLD) for unit in "s ms us ns".split()},
    )  # fmt: skip
    yield "nanoseconds", {"a": pa.array([1, -1, 1_600_000_000_123_456_789], pa.timestamp("ns"))}
    yield (
        "zones",
        {
            name: of(pa.timestamp("us", zone), TIME, None, OLD)
            for name, zone in (("utc", "UTC"), ("berlin", "Europe/Berlin"), ("fixed", "+05:30"))
        },
    )
    yield (
        "durations",
        {u: of(pa.duration(u), dt.timedelta(days=-1, seconds=1), None, dt.timedelta(0)) for u in "s ms us ns".split()},
    )  # fmt: skip
    yield "texts", {"small": of(pa.string(), *texts), "large": of(pa.large_string(), *texts)}
    yield (
        "bytes",
        {
            "small": of(pa.binary(), b"\xff\0", b"", None),
            "large": of(pa.large_binary(), b"\xff\0", b"", None),
            "fixed": of(pa.binary(2), b"\xff\0", b"ab", None),
        },
    )
    yield "nothing", {"a": pa.nulls(3), "b": of(pa.int8(), None, None, None)}
    yield (
        "dictionaries",
        {
            "texts": pa.array(["b", "a", None]).dictionary_encode(),
            "numbers": pa.array([7, 7, None]).dictionary_encode(),
            "ordered": pa.DictionaryArray.from_arrays(
                pa.array([1, 0, 1], pa.int8()), pa.array(["x", "y"]), ordered=True
            ),
        },
    )
    yield "lists", {"id": of(pa.int8(), 1, 2, 3), "list": nested}
    yield "lists-large", {"a": nested.cast(pa.large_list(pa.int64()))}
    yield "lists-fixed", {"a": pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int64(), 2))}
    yield "structs", {"s": pa.array([{"x": 1, "y": {"z": "a"}}, {"x": 2, "y": None}, None])}
    yield "maps", {"a": pa.array([[("k", 1)], [], None], pa.map_(pa.string(), pa.int64()))}
    yield "names", {name: of(pa.int8(), 1, 2, 3) for name in ("a.b", "a/b", "ä b", "A", "a")}
    yield "name-dot", {".": of(pa.int8(), 1, 2, 3)}
    yield "name-empty", {"": of(pa.int8(), 1, 2, 3)}
    yield "uuids", lambda: {"a": pa.array([b"0" * 16, None, b"1" * 16], pa.uuid())}
    yield "json", lambda: {"a": pa.array(['{"x": 1}', None, "[]"], pa.json_())}
    yield (
        "views",
        lambda: {"t": of(pa.string_view(), *texts), "b": of(pa.binary_view(), b"\xff", None, b"")},
    )
    yield (
        "decimals-small",
        lambda: {
            "a": of(pa.decimal32(5, 2), Decimal("1.25"), None, Decimal("-2.50")),
            "b": of(pa.decimal64(15, 0), Decimal(12), None, Decimal(-3)),
        },
    )


def made(case):
    return case() if callable(case) else case


def by_pyarrow(folder):
    import pyarrow as pa
    from pyarrow import feather, ipc, parquet

    release = f"pyarrow-{pa.__version__}"

    def place(name):
        return str(folder / f"{release}-{name}")

    for name, case in pyarrow_cases():
        yield (
            place(f"{name}.parquet"),
            lambda to, c=case: parquet.write_table(pa.table(made(c)), to),
        )
    for name, case in pyarrow_cases():
        if name in ("views", "decimals", "dictionaries", "structs", "halves", "durations", "bytes"):
            yield place(f"{name}.arrow"), lambda to, c=case: _file(pa, to, pa.table(made(c)))
    some = {"i": pa.array([1, None, 3] * 5), "t": pa.array(["a", None, "c"] * 5)}
    table = pa.table(some)
    for codec in ("none", "snappy", "gzip", "brotli", "lz4", "zstd"):
        yield (
            place(f"codec-{codec}.parquet"),
            lambda to, c=codec: parquet.write_table(table, to, compression=c),
        )
    options = {
        "pages-1": {"data_page_version": "1.0"},
        "pages-2": {"data_page_version": "2.0"},
        "version-1": {"version": "1.0"},
        "row-groups": {"row_group_size": 2},
        "no-statistics": {"write_statistics": False},
        "no-dictionary": {"use_dictionary": False},
        "delta": {
            "use_dictionary": False,
            "column_encoding": {"i": "DELTA_BINARY_PACKED", "t": "DELTA_BYTE_ARRAY"},
        },
        "checksums": {"write_page_checksum": True},
        "no-schema": {"store_schema": False},
    }
    for name, how in options.items():
        yield place(f"{name}.parquet"), lambda to, h=how: parquet.write_table(table, to, **h)
    split = pa.table({"f": pa.array([0.5, None, -1.0], pa.float32()), "d": [1.5, 2.5, None]})
    yield (
        place("byte-stream-split.parquet"),
        lambda to: parquet.write_table(split, to, use_dictionary=False, use_byte_stream_split=True),
    )
    moments = pa.table({"a": pa.array([TIME, None, OLD], pa.timestamp("ns"))})
    yield (
        place("int96.parquet"),
        lambda to: parquet.write_table(moments, to, use_deprecated_int96_timestamps=True),
    )
    yield place("no-rows.parquet"), lambda to: parquet.write_table(table[:0], to)
    yield (
        place("no-rows-of-categories.parquet"),
        lambda to: parquet.write_table(
            pa.table({"c": pa.array(["x"]).dictionary_encode()})[:0], to
        ),
    )

    def empty_groups(to):
        with parquet.ParquetWriter(to, table.schema) as writer:
            for part in (table[:0], table[:4], table[:0], table[4:]):
                writer.write_table(part)

    yield place("empty-row-groups.parquet"), empty_groups
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    yield place("names-twice.parquet"), lambda to: parquet.write_table(twice, to)
    required = pa.table(
        [pa.array([1, 2])], schema=pa.schema([pa.field("a", pa.int64(), nullable=False)])
    )
    yield place("required.parquet"), lambda to: parquet.write_table(required, to)

    def pandas_index(to):
        import pandas as pd

        frame = pd.DataFrame({"x": [1, 2]}, index=pd.Index(["p", "q"], name="who"))
        frame.to_parquet(to)

    def pandas_unnamed(to):
        import pandas as pd

        frame = pd.DataFrame({"x": [1, 2], "c": pd.Categorical(["b", None])}, index=[5, 7])
        frame.to_parquet(to)

    yield place("pandas-index.parquet"), pandas_index
    yield place("pandas-unnamed-index.parquet"), pandas_unnamed

    def stream(to, batches, schema):
        with pa.OSFile(to, "wb") as file, ipc.new_stream(file, schema) as writer:
            for batch in batches:
                writer.write_batch(batch)

    first, second = (
        pa.record_batch([pa.array(names).dictionary_encode()], names=["c"])
        for names in (["x", "y"], ["z", "x"])
    )
    yield (
        place("replaced-dictionaries.arrows"),
        lambda to: stream(to, [first, second], first.schema),
    )
    yield place("stream.arrows"), lambda to: stream(to, table.to_batches(), table.schema)
    yield place("no-batch.arrows"), lambda to: stream(to, [], table.schema)
    for codec in ("lz4", "zstd"):
        yield (
            place(f"{codec}.feather"),
            lambda to, c=codec: feather.write_feather(table, to, compression=c),
        )
    yield place("version-1.feather"), lambda to: feather.write_feather(table, to, version=1)
    yield (
        place("run-ends.arrow"),
        lambda to: _file(
            pa, to, pa.table({"a": pa.RunEndEncodedArray.from_arrays([2, 3], ["x", "y"])})
        ),
    )
    yield (
        place("intervals.arrow"),
        lambda to: _file(
            pa, to, pa.table({"a": pa.array([(1, 2, 3), None], pa.month_day_nano_interval())})
        ),
    )
    yield (
        place("unions.arrow"),
        lambda to: _file(
            pa,
            to,
            pa.table(
                {
                    "a": pa.UnionArray.from_sparse(
                        pa.array([0, 1], pa.int8()), [pa.array([1, 2]), pa.array(["a", "b"])]
                    )
                }
            ),
        ),
    )
    yield (
        place("list-views.arrow"),
        lambda to: _file(pa, to, pa.table({"a": pa.array([[1], None], pa.list_view(pa.int64()))})),
    )


def _file(pa, to, table):
    with pa.OSFile(to, "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def by_polars(folder):
    import polars as pl

    release = f"polars-{pl.__version__}"
    one = dt.timedelta(days=1, microseconds=5)
    columns = {
        "integers": lambda: {
            n: pl.Series([0, 100, None], dtype=getattr(pl, n))
            for n in "Int8 Int16 Int32 Int64 UInt8 UInt16 UInt32 UInt64".split()
        },
        "unsigned": lambda: {"a": pl.Series([2**64 - 1, None, 0], dtype=pl.UInt64)},
        "int128": lambda: {"a": pl.Series([2**100, None], dtype=pl.Int128)},
        "floats": lambda: {
            "a": pl.Series([0.5, NAN, None]),
            "b": pl.Series([0.5, INF, None], dtype=pl.Float32),
        },
        "texts": lambda: {"a": ["", "zweiä", None], "b": ["a long text, not inline", None, "b"]},
        "bytes": lambda: {"a": [b"\xff\0", None, b""]},
        "categories": lambda: {"a": pl.Series(["b", None, "a"]).cast(pl.Categorical)},
        "enums": lambda: {"a": pl.Series(["b", None, "a"], dtype=pl.Enum(["a", "b", "c"]))},
        "dates": lambda: {"a": [DAY, None, dt.date(1, 1, 1)]},
        "times": lambda: {"a": [dt.time(1, 2, 3, 4), None, dt.time(0)]},
        "durations": lambda: {
            u: pl.Series([one, None, -one]).cast(pl.Duration(u)) for u in ("ms", "us", "ns")
        },
        "timestamps": lambda: {
            u: pl.Series([TIME, None, dt.datetime(1700, 1, 1)]).cast(pl.Datetime(u))
            for u in ("ms", "us", "ns")
        },
        "zones": lambda: {
            "a": pl.Series([TIME, None]).dt.replace_time_zone("Europe/Berlin"),
            "b": pl.Series([TIME, None]).dt.replace_time_zone("UTC"),
        },
        "decimals": lambda: {
            "a": pl.Series([Decimal("1.25"), None], dtype=pl.Decimal(10, 2)),
            "b": pl.Series([Decimal(7), None], dtype=pl.Decimal(38, 0)),
        },
        "bools": lambda: {"a": [True, None, False]},
        "nothing": lambda: {"a": pl.Series([None, None])},
        "lists": lambda: {"a": [[1, 2], None, []]},
        "arrays": lambda: {"a": pl.Series([[1, 2], None], dtype=pl.Array(pl.Int64, 2))},
        "structs": lambda: {"a": [{"x": 1, "y": "b"}, {"x": 2, "y": None}]},
        "no-rows": lambda: {"a": pl.Series([], dtype=pl.Int64), "b": pl.Series([], dtype=pl.Utf8)},
    }
    for name, case in columns.items():
        for suffix, write in (("parquet", "write_parquet"), ("arrow", "write_ipc")):
            to = str(folder / f"{release}-{name}.{suffix}")
            yield to, lambda to, c=case, w=write: getattr(pl.DataFrame(c()), w)(to)
    frame = pl.DataFrame({"a": list(range(40)), "t": [f"text {n % 3}" for n in range(40)]})
    more = {
        "row-groups.parquet": lambda to: frame.write_parquet(
            to, row_group_size=7, statistics=False
        ),
        "codec-lz4.parquet": lambda to: frame.write_parquet(to, compression="lz4"),
        "codec-none.parquet": lambda to: frame.write_parquet(to, compression="uncompressed"),
        "stream.arrows": lambda to: frame.write_ipc_stream(to),
        "zstd.arrow": lambda to: frame.write_ipc(to, compression="zstd"),
    }
    for name, write in more.items():
        yield str(folder / f"{release}-{name}"), write


DUCKDB = {
    "integers": "SELECT * FROM (VALUES ((-128)::TINYINT, (-32768)::SMALLINT, (-2147483648)::INTEGER, "
    "(-9223372036854775807)::BIGINT, 255::UTINYINT, 65535::USMALLINT, 4294967295::UINTEGER, "
    "18446744073709551615::UBIGINT), (1, 1, 1, 1, 1, 1, 1, NULL)) t(a, b, c, d, e, f, g, h)",
    "hugeint": "SELECT 17::HUGEINT AS a UNION ALL SELECT NULL",
    "hugeint-too-large": "SELECT 170141183460469231731687303715884105727::HUGEINT AS a",
    "uhugeint": "SELECT 17::UHUGEINT AS a",
    "floats": "SELECT 'nan'::DOUBLE AS a, '-inf'::FLOAT AS b UNION ALL SELECT 0.5, NULL",
    "decimals": "SELECT 1.25::DECIMAL(4, 2) AS a, 7::DECIMAL(9, 0) AS b, 0.5::DECIMAL(18, 3) AS c, "
    "12::DECIMAL(38, 0) AS d UNION ALL SELECT NULL, NULL, NULL, NULL",
    "decimals-inexact": "SELECT 0.1::DECIMAL(4, 2) AS a",
    "texts": "SELECT 'zweiä' AS a, '' AS b UNION ALL SELECT NULL, 'x'",
    "bytes": r"SELECT '\xFF\x00'::BLOB AS a UNION ALL SELECT NULL",
    "dates": "SELECT DATE '2020-02-29' AS a UNION ALL SELECT NULL UNION ALL SELECT DATE '0001-01-01'",
    "dates-infinite": "SELECT 'infinity'::DATE AS a",
    "times": "SELECT TIME '01:02:03.000004' AS a UNION ALL SELECT NULL",
    "timetz": "SELECT '01:02:03+02'::TIMETZ AS a",
    "timestamps": "SELECT TIMESTAMP '1999-12-31 23:59:59.999999' AS a, "
    "TIMESTAMP_S '1999-12-31 23:59:59' AS b, TIMESTAMP_MS '1999-12-31 23:59:59.999' AS c, "
    "TIMESTAMP_NS '1999-12-31 23:59:59.999999' AS d UNION ALL SELECT NULL, NULL, NULL, NULL",
    "timestamptz": "SELECT TIMESTAMPTZ '1999-12-31 23:59:59.5+02' AS a UNION ALL SELECT NULL",
    "timestamps-infinite": "SELECT 'infinity'::TIMESTAMP AS a",
    "intervals": "SELECT INTERVAL '1 month 2 days' AS a",
    "enums": "SELECT 'b'::ENUM('a', 'b', 'c') AS a UNION ALL SELECT NULL",
    "uuids": "SELECT '00112233-4455-6677-8899-aabbccddeeff'::UUID AS a UNION ALL SELECT NULL",
    "json": """SELECT '{"x": [1, 2]}'::JSON AS a UNION ALL SELECT NULL""",
    "bits": "SELECT '0110'::BIT AS a",
    "lists": "SELECT [1, 2] AS a UNION ALL SELECT NULL",
    "arrays": "SELECT [1, 2]::INTEGER[2] AS a",
    "structs": "SELECT {'x': 1, 'y': 'b'} AS a UNION ALL SELECT NULL",
    "maps": "SELECT MAP {'k': 1} AS a",
    "bools": "SELECT true AS a UNION ALL SELECT NULL",
    "nothing": "SELECT NULL AS a",
    "no-rows": "SELECT 1 AS a, 'x' AS b WHERE false",
    "names": 'SELECT 1 AS "a b", 3 AS "Ä"',
}


def by_duckdb(folder):
    import duckdb

    release = f"duckdb-{duckdb.__version__}"

    def write(query, to, more=""):
        duckdb.connect().execute(f"COPY ({query}) TO '{to}' (FORMAT PARQUET{more})")

    for name, query in DUCKDB.items():
        yield str(folder / f"{release}-{name}.parquet"), lambda to, q=query: write(q, to)
    rows = "SELECT i AS a, 'text ' || (i % 3) AS t FROM range(3000) r(i)"
    for name, more in {
        "row-groups": ", ROW_GROUP_SIZE 2048",
        "codec-zstd": ", CODEC 'ZSTD'",
        "codec-gzip": ", CODEC 'GZIP'",
        "codec-brotli": ", CODEC 'BROTLI'",
        "codec-lz4": ", CODEC 'LZ4'",
        "version-2": ", PARQUET_VERSION V2",
    }.items():
        to = str(folder / f"{release}-{name}.parquet")
        yield to, lambda to, m=more: write(rows, to, m)


def main(library, folder):
    cases = {"pyarrow": by_pyarrow, "polars": by_polars, "duckdb": by_duckdb}[library](Path(folder))
    for to, write in cases:
        try:
            write(to)
        except BaseException as error:  # noqa: BLE001 - of any kind, a panic of Rust, too
            Path(to).unlink(missing_ok=True)
            sys.stderr.write(f"{Path(to).name}: {type(error).__name__}: {str(error)[:80]}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
