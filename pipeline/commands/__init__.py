"""The command line: ``entry``, where each begins and ends, a module for each command, and what these share.

A command imports what it needs inside its function, so that each starts as fast as it can.

May import: base, record, settings, options, source, history, results, workfile, reading, engine, live, ingest,
backfill, analysis, plotting, reporting, parity, demo, doctor.
"""
