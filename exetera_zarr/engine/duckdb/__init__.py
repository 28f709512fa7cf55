"""The only way into DuckDB, and back."""
