"""SQL over tables, by DuckDB: `scanner` gives it what it asks for, `query` is what comes out."""
