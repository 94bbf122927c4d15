"""Comparing two result databases, row by row and value by value.

Others use ``compare`` (compare) and ``Allowance`` (exceptions). Imports ``base`` and ``results``.
"""
