"""The only way to SQLite, the result database: one transaction, through DuckDB's sqlite extension.

Others use ``Sink`` (sink), the names of the key columns (rows) and ``load_sqlite`` (extension).

May import: base, record, settings.
"""
