"""DuckDB's sqlite extension, from its wheel: loaded from disk, never fetched."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import duckdb

from ..base.duck import AS_WRITTEN, open_duckdb
from ..base.errors import SinkError
from ..base.shortage import pass_on
from ..base.statements import literal
from .signature import signed

PACKAGE = "duckdb-extension-sqlite-scanner"


def extension_path() -> Path:
    """Where the extension for the running DuckDB lies. Raises SinkError, with the command that mends it."""
    mend = f"run `pip install {PACKAGE}=={duckdb.__version__}`, or `make setup` in a checkout"
    spec = find_spec("duckdb_extension_sqlite_scanner")
    if spec is None or spec.origin is None:
        raise SinkError(f"DuckDB's sqlite extension is not installed: {mend}")
    path = Path(spec.origin).parent / "extensions" / f"v{duckdb.__version__}" / "sqlite_scanner.duckdb_extension"
    if not path.is_file():
        raise SinkError(f"the sqlite extension that is installed does not fit DuckDB {duckdb.__version__}: {mend}")
    return path


def load_sqlite(connection: duckdb.DuckDBPyConnection) -> None:
    """Load the sqlite extension. Raises SinkError where it is missing, damaged or made for another DuckDB."""
    path = extension_path()
    try:
        connection.execute(f"LOAD {literal(str(path))}")
    except duckdb.Error as error:
        pass_on(error)
        raise SinkError(
            f"the sqlite extension {path} cannot be loaded: run `pip install --force-reinstall "
            f"{PACKAGE}=={duckdb.__version__}`"
        ) from error


def opened() -> duckdb.DuckDBPyConnection:
    """A connection in memory with the extension, for statements of ours alone. Raises as ``load_sqlite`` does."""
    try:
        checked = signed(extension_path())
    except OSError:
        # Told by who loads it.
        checked = False
    connection = open_duckdb(unsigned=checked)
    connection.execute(AS_WRITTEN)
    load_sqlite(connection)
    return connection
