"""What every room stands on: errors, intervals, SQL as checked text, DuckDB, threads, logs, and how a process ends.

May import: nothing of the pipeline.
"""
