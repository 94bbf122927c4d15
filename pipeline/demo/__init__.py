"""A market to try things on: an embedded PostgreSQL and sample prices.

Imports ``base``, ``settings`` and ``source``.
"""
