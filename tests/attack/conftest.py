"""The commands within this process, and a market whose names are hostile."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from candlemill.pipeline.base import shown
from candlemill.pipeline.commands import entry
from candlemill.pipeline.source.schema import init_db
from tests.conftest import Ran
from tests.moving import Coin, Market

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import Server

#: What must not be in any output or file: a part of every password here.
MARK = "Qx7wZ"
#: Moves the cursor, sets the title, rings, turns the direction of writing; looks like markup, an emoji, and a formula.
NASTY = "A\x1b[2J\x1b]0;x\x07[red]$x$:bomb:\x9b31m\u202eB&<b>"


@pytest.fixture(scope="module")
def nasty_market(server: Server) -> str:
    """URL of a market of one symbol."""
    url = server.database("nasty")
    init_db(url)
    Market(url, [Coin(NASTY)], names=("1m", "5m")).play(datetime.now(UTC))
    return url


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A test knows no passwords of others, and leaves the log as it was."""
    monkeypatch.setattr(shown, "_known", {})
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


@pytest.fixture
def called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs a command line in this process, in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATABASE_URL", raising=False)

    def command(*words: object) -> Ran:
        given = [str(word) for word in words]
        monkeypatch.setattr(sys, "argv", ["candlemill", *given])
        with pytest.raises(SystemExit) as end:
            entry.main(given)
        out, err = capsys.readouterr()
        assert isinstance(end.value.code, int)
        return Ran(end.value.code, out, err)

    return command
