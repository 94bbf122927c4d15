"""The one way to open DuckDB here: nothing is fetched from the network, and times are in UTC."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from .statements import Sql

if TYPE_CHECKING:
    from pathlib import Path

# What DuckDB keeps of rows that are on their way to a file; beyond it they are written out early, a block to a file of
# its own. The 400 columns that are begun take most of it, however many rows they have: with 24 MB, 200 symbols x 7
# intervals come to 1,900 such files, and a sixth of the processor time goes into making and removing them.
_DRAFT_MEMORY = "40MB"
# By default five, which take the same once more before any is written.
_ROW_GROUPS_WAITING = 1
# Building their symbol tables for the few texts of each column takes 70 ms of a run, and the file becomes no smaller.
_DRAFT_WITHOUT = "fsst,dict_fsst"
# A quarter of the default. A work file has 400 columns of a few rows each, which take two blocks apiece: at 4 symbols
# it settles on disk in half of the time, and has a third of the size; at 200 symbols both are a little less as well.
_DRAFT_BLOCK = "65536"
# What DuckDB 1.0 reads, too, has the counts of distinct values in a form that takes two thirds of the time in which a
# work file settles on disk.
_DRAFT_STORAGE = "v1.1.0"
_CONFIG = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}


#: For the last commit of a draft: what is left are mostly columns of a few rows. To look for the best way to pack each
#: takes half of the time in which they are written, and saves a twentieth of the file; to write them into the log first
#: takes as long as the file.
LAST_COMMIT = "SET force_compression = 'uncompressed'; SET checkpoint_threshold = '1B'"
#: For connections whose statements only copy rows, or make tables: of each, that saves a fifth of the time or more.
AS_WRITTEN = Sql("PRAGMA disable_optimizer")


def open_duckdb(
    path: Path | None = None, threads: int = 1, spill: Path | None = None, unsigned: bool = False
) -> duckdb.DuckDBPyConnection:
    """A connection to a new file, or to memory.

    Args:
        path: of the file; None: to memory.
        threads: that its statements may use.
        spill: the folder for what a file's rows need beyond memory.
        unsigned: whether it loads extensions without looking at their signatures, for one that has been looked at.
    """
    config: dict[str, str | bool | int | float | list[str]] = {**_CONFIG, "threads": threads}
    if unsigned:
        config["allow_unsigned_extensions"] = True
    if spill:
        config |= {
            "temp_directory": str(spill),
            "memory_limit": _DRAFT_MEMORY,
            "write_buffer_row_group_count": _ROW_GROUPS_WAITING,
            "disabled_compression_methods": _DRAFT_WITHOUT,
            "default_block_size": _DRAFT_BLOCK,
            "storage_compatibility_version": _DRAFT_STORAGE,
        }
    connection = duckdb.connect(str(path) if path else ":memory:", config=config)
    connection.execute("SET TimeZone = 'UTC'")
    # Its bar would go to standard output, which is for results.
    connection.execute("SET enable_progress_bar = false")
    return connection
