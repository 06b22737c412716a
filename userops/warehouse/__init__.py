"""The warehouse: running dbt, reading DuckDB, publishing the read-only copies."""
