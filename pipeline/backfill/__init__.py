"""Indicator history of a range of time: what runs as of the end of each bar, less a microsecond, would have written.

A range is cut into tasks, whose bars are exported once (``plan``, ``export``). Each is computed by itself, by whatever
engine (``task``, ``local``), into files that appear whole, and checked by the definition where that is asked for
(``verify``). ``folder`` keeps the state that the same command goes on from, ``ranges`` is one backfill from the request
to the manifest. ``fill`` brings as many bars as the retention keeps into the result database.

May import: base, record, settings, source, compute, results.
"""
