"""What a desk asks about a value before it trades on it: how it came about, and how firm it is.

May import: base, compute, reading, settings, source.
"""
