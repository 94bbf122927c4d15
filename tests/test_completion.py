"""What the tab key completes: what the commands declare, in the form of each shell, and nothing slow is imported."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer._completion_classes import FishComplete, PowerShellComplete, ZshComplete
from typer._completion_shared import get_completion_script
from typer.main import get_command

from candlemill.indicators.registry import INDICATORS
from candlemill.pipeline.commands import completion
from candlemill.pipeline.commands.app import app
from candlemill.pipeline.workfile.reader import published
from candlemill.pipeline.workfile.symbols import symbols_of
from tests.conftest import CANDLEMILL, Ran

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TYPER: Any = get_command(app)


def by_typer(words: list[str], incomplete: str) -> set[tuple[str, str]]:
    """The answers of typer, which completes from the commands themselves."""
    shell = FishComplete(TYPER, {}, "candlemill", "_CANDLEMILL_COMPLETE")
    return {(item.value, item.help or "") for item in shell.get_completions(list(words), incomplete)}


def lines(command: Any, words: list[str]) -> Iterator[tuple[list[str], str]]:
    """Command lines with a word that is being written: names, options, arguments and the value of every option."""
    for begun in ("", "-", "--", "--s", "1", "no such word"):
        yield words, begun
    for parameter in command.params:
        for name in parameter.opts:
            given = [*words, name] if getattr(parameter, "is_flag", False) else [*words, name, "1h"]
            yield given, ""
            yield given, "--"
            yield given[:-1], ""
            yield words, f"{name}=1"
    for name, below in getattr(command, "commands", {}).items():
        yield from lines(below, [*words, name])


def test_every_command_line_is_completed_as_its_declarations_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = list(lines(TYPER, []))
    assert len(asked) > 1_000
    for words, incomplete in asked:
        found = completion.answers(words, incomplete)
        assert set(found) == by_typer(words, incomplete), (words, incomplete)
        assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    ("words", "incomplete", "found"),
    [
        ([], "wa", ["watch"]),
        ([], "ru", ["run", "runs"]),
        (["watch"], "--sta", ["--status"]),
        (["watch", "--status"], "--sta", []),
        (["plot", "--interval"], "1h,5", ["1h,5m"]),
        (["run", "--indicators"], "ma", ["macd"]),
        (["run", "--indicators"], "", list(INDICATORS)),
        (["backfill", "--engine"], "", ["local", "ray"]),
        # An option that may stand without its value.
        (["backfill", "--sqlite"], "--fr", ["--from", "--from-export"]),
        # A command line that begins with an option means run.
        (["--once", "--mode", "all"], "--sy", ["--symbols"]),
        (["ingest"], "b", ["binance-vision"]),
        (["nothing"], "", []),
        (["nothing"], "--", []),
    ],
)
def test_commands_options_and_values_are_completed(words: list[str], incomplete: str, found: list[str]) -> None:
    assert [each.value for each in completion.answers(words, incomplete)] == found


def test_symbols_are_completed_from_the_work_file(
    work_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    symbols = symbols_of(work_file)
    assert len(symbols) > 2
    with published(work_file) as connection:
        found = connection.execute("SELECT DISTINCT symbol FROM candles ORDER BY symbol").fetchall()
    assert [(symbol,) for symbol in symbols] == found

    def completed(*words: str) -> list[str]:
        return [each.value for each in completion.answers(list(words), symbols[0][:2].lower())]

    expected = [symbol for symbol in symbols if symbol.startswith(symbols[0][:2])]
    assert completed("plot") == []
    assert completed("plot", "--duckdb", str(work_file)) == expected
    assert completed("plot", f"--duckdb={work_file}") == expected
    assert by_typer(["plot", "--duckdb", str(work_file)], symbols[0][:2]) == {(symbol, "") for symbol in expected}
    # The variable of the file, in `.env`, too; one that no command could use completes nothing.
    monkeypatch.setenv("CANDLEMILL_DUCKDB", str(work_file))
    assert completed("plot") == completed("run", "--symbols") == expected
    # Kept as they are, so that what `.env` sets goes with the test.
    monkeypatch.setenv("CANDLEMILL_DUCKDB", "")
    monkeypatch.delenv("CANDLEMILL_DUCKDB")
    Path(".env").write_text(f"CANDLEMILL_DUCKDB={work_file}\n")
    assert completed("explain") == expected
    Path(".env").write_bytes(b"\xff")
    monkeypatch.delenv("CANDLEMILL_DUCKDB")
    assert completed("explain") == []
    # Where there is no file of a run, the demo's.
    Path(".env").unlink()
    Path("data/demo").mkdir(parents=True)
    Path("data/demo/candlemill.duckdb").symlink_to(work_file)
    assert completed("history") == expected
    monkeypatch.setenv("HOME", str(work_file.parent))
    assert completed("history", "--demo") == expected
    assert completed("plot", "--duckdb", f"~/{work_file.name}") == expected
    (tmp_path / "other").write_text("something else")
    assert symbols_of(tmp_path / "other") == symbols_of(tmp_path / "none") == []


@pytest.mark.parametrize("line", ["candlemill ", "candlemill wa", "candlemill plot --the", "candlemill plot 'a b", "x"])
def test_each_shell_is_answered_in_its_form(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # typer's own, as it would be without rich, which breaks lines for a terminal that is not there.
    monkeypatch.setattr("typer._completion_classes._sanitize_help_text", lambda text: text)
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", line)
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    monkeypatch.setenv("_TYPER_COMPLETE_WORD_TO_COMPLETE", line.rpartition(" ")[2])
    for name, form in (("zsh", ZshComplete), ("fish", FishComplete), ("pwsh", PowerShellComplete)):
        expected = form(TYPER, {}, "candlemill", "_CANDLEMILL_COMPLETE").complete()
        assert completion.answer(name, os.environ) == (expected, 0)


def test_fish_is_told_whether_there_are_answers() -> None:
    asked = {"_TYPER_COMPLETE_FISH_ACTION": "is-args", "_TYPER_COMPLETE_ARGS": "candlemill run --sq"}
    assert completion.answer("fish", asked) == ("", 0)
    assert completion.answer("fish", asked | {"_TYPER_COMPLETE_ARGS": "candlemill run --sqlite "}) == ("", 1)


BASH = """
eval "$SCRIPT"
ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _candlemill_completion candlemill; echo "${COMPREPLY[*]}"; }
ask candlemill ru
ask candlemill plot --interval = 1h,5
ask candlemill plot --interval 1h,5
ask candlemill run --source '"a b"' --adop
"""


def test_bash_completes_with_the_script_that_is_installed_and_nothing_slow_is_imported() -> None:
    """bash makes a word of each = of a command line."""
    script = get_completion_script(prog_name="candlemill", complete_var="_CANDLEMILL_COMPLETE", shell="bash")
    path = f"{CANDLEMILL.parent}:{os.environ['PATH']}"
    env = os.environ | {"SCRIPT": script, "PATH": path, "PYTHONPROFILEIMPORTTIME": "1"}
    ran = subprocess.run(["bash", "-c", BASH], env=env, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == ["run runs", "1h,5m", "1h,5m", "--adopt"]
    imported = {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines()}
    assert "candlemill.pipeline.commands.completion" in imported
    assert not imported & {"typer", "rich", "numpy", "pyarrow", "duckdb", "candlemill.pipeline.options"}


def test_what_shells_do_not_ask_for_is_left_to_typer(candlemill: Callable[..., Ran]) -> None:
    completion.main({"_CANDLEMILL_COMPLETE": "complete_nothing"})
    completion.main({"_CANDLEMILL_COMPLETE": "bash"})
    assert "_candlemill_completion()" in candlemill(env={"_CANDLEMILL_COMPLETE": "source_bash"}).out
