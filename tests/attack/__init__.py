"""Hostile inputs on every command: code in the source, passwords in any form, names that a terminal would obey."""
