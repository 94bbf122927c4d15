"""The only way to PostgreSQL: its URL and session, its schema, and bars and metrics read in bulk as Arrow.

Others use ``Source`` (reader), ``init_db`` (schema), ``symbols_to_read`` (symbols) and ``redacted`` (urls).

May import: base, record, settings.
"""
