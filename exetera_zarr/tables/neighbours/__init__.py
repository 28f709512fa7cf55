"""The public faces of tables and datasets towards Arrow, pandas, Polars, Parquet and SQL."""
