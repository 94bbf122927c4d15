"""Pages of ``docs/`` that derive from the code: ``make docs`` writes them, and a test holds them up to date.

And pictures of the sample market: ``make pictures``.

May import: base, options, plotting, demo.
"""
