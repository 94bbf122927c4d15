"""Live operation: bars kept in memory, brought up to date again and again, and computed when they have changed.

Others use ``watch`` and ``Plan`` (watch), ``Health`` (health), ``write_metrics`` (metrics) and ``pid_file`` (pidfile).

May import: base, record, settings, options, source, compute, results, workfile, reading, engine.
"""
