"""Measuring: the whole program as a child process, against the floor of the same rows on the same machine."""
