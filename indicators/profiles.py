"""Profiles: which values the indicators have.

``parity`` are the values of the replaced service, and those of a declaration's own function; ``corrected`` are the
field's standard definitions.
"""

PARITY, CORRECTED = PROFILES = ("parity", "corrected")
