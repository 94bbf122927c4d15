"""A real TimescaleDB, compiled to WebAssembly and served by Node (`make test-timescale`)."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.timescale.market import execute

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent


@contextmanager
def serving(folder: Path | None = None, *settings: str) -> Iterator[str]:
    """URL of a server of its own, in a folder or in memory; the extension is available there, and not created."""
    words = ["node", str(HERE / "serve.mjs"), *([str(folder), *settings] if folder else [])]
    # It ends with what it reads from, even if this process is killed.
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"postgresql://postgres@127.0.0.1:{int(process.stdout.readline())}/market"
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def timescale() -> Iterator[str]:
    """URL of the server that most tests share."""
    with serving() as url:
        execute(url, "CREATE EXTENSION timescaledb", "CREATE ROLE nurse LOGIN", "CREATE ROLE collector LOGIN")
        # COPY FROM STDIN is done through a file.
        execute(url, "GRANT pg_read_server_files TO nurse, collector")
        yield url


@pytest.fixture
def url(timescale: str) -> str:
    """The shared server, without the schema."""
    execute(timescale, "DROP SCHEMA IF EXISTS market_data, research CASCADE")
    return timescale
