"""The only way to the DuckDB work file: a run writes it, analysts query it, a later run goes on from it.

Others use ``WorkFile`` (writer), ``published`` and ``is_of_demo`` (reader), ``answer`` (query), ``beside`` (beside)
and ``Provenance`` (provenance).

May import: base, record, settings, source, compute, results.
"""
