"""Downloaded archives into the source database. Others use ``find`` (archives) and ``ingest`` (load).

May import: base, source.
"""
