"""Comparing two result databases, row by row and value by value.

Others use ``compare`` (compare) and ``Allowance`` (exceptions).

May import: base, results.
"""
