"""From Arrow tables to finished rows: what cannot be is left out, the rest becomes a panel, indicators compute on it.

Knows no file and no server. Others use ``possible_bars`` (checks), ``pivot_bars`` (pivot), ``SqlIndicators`` (sql) and
``computed`` (rows).

May import: base, record.
"""
