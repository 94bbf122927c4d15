"""Processes of this machine, as Linux lists them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def processes_of(folder: Path, name: str | None = None) -> list[int]:
    """Processes that have a folder in their command line, and a name of their own if one is given."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        # A process that ends meanwhile is none.
        with suppress(OSError):
            named = name is None or (process / "comm").read_text().strip() == name
            if named and str(folder).encode() in (process / "cmdline").read_bytes():
                found.append(int(process.name))
    return found
