"""One page over the newest results: a table of signals that opens charts, all of it in one file.

May import: base, compute, plotting, results, workfile.
"""
