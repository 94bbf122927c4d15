"""The only way to SQLite, the result database: one transaction, through DuckDB's sqlite extension.

Others use ``Sink`` (sink), ``result_database`` and ``changes`` (reader), ``Words`` (changes), the names of the key
columns (rows), ``native`` (retention) and ``load_sqlite`` (extension).

May import: base, record, settings.
"""
