"""This machine: what is installed, and what the environment sets."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version

import duckdb

from .. import __version__
from ..base.duck import open_duckdb
from ..options import variables_set
from ..results.extension import PACKAGE, load_sqlite
from .check import Check, attempt

_PARTS = ("duckdb", "connectorx", "psycopg", "pyarrow", "numpy", "ta-lib")


def versions() -> Check:
    """What runs here."""
    parts = ", ".join(f"{name} {version(name)}" for name in _PARTS)
    return Check("version", True, f"candlemill {__version__}, Python {platform.python_version()}, {parts}")


def extension() -> Check:
    """Whether DuckDB's sqlite extension is there, fits, and loads from the disk."""

    def look() -> str:
        with open_duckdb() as connection:
            load_sqlite(connection)
        return f"{PACKAGE} {version(PACKAGE)} loads into DuckDB {duckdb.__version__}, without the network"

    return attempt("sqlite extension", look)


def environment() -> Check:
    """The variables that are set and would be used. Names only: a value may be a secret."""
    names = variables_set(os.environ)
    return Check("environment", True, f"set, here or in .env: {', '.join(names)}" if names else "nothing is set")
