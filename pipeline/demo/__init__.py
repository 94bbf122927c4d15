"""A market to try things on: an embedded PostgreSQL and sample prices.

May import: base, settings.
"""
