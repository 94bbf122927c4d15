"""Pages of ``docs/`` that derive from the code: ``make docs`` writes them, and a test holds them up to date.

May import: options.
"""
