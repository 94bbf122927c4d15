"""Tests that take long: of many processes, many passes, long waits."""
