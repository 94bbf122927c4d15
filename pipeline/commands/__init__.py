"""The command line: a module for each command, options that they share, and how rows and progress are shown.

A command imports what it needs inside its function, so that each starts as fast as it can.

May import: base, record, settings, options, source, workfile, engine, live, ingest, plotting, parity, demo, doctor.
"""
