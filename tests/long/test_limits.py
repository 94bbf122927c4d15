"""The edges of what commands are given: numbers, paths and standard streams of all commands, memory and threads."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from candlemill.pipeline.base import folders
from candlemill.pipeline.base.errors import Exit, UsageError
from candlemill.pipeline.base.shortage import shortage
from candlemill.pipeline.base.threads import MOST_THREADS, useful_threads
from candlemill.pipeline.commands import tabular
from candlemill.pipeline.commands.app import app
from candlemill.pipeline.documents import settings as page
from candlemill.pipeline.live.schedule import parse_every
from candlemill.pipeline.options import OPTIONS, SYMBOL_RULES, Options, settings_of
from candlemill.pipeline.settings import parse_retention, parse_symbol_rules
from candlemill.pipeline.source import schema
from tests import goldens
from tests.forked import Case, Forked, Forks, forks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Ran

CASE = goldens.HERE / "synth_core"
AS_OF = "2026-01-22T09:07:00+00:00"


def commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command, with the words that name it."""
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        for within, inner in getattr(command, "commands", {"": command}).items():
            yield (name, *([within] if within else [])), inner


#: Every option and argument: the words of its command, and what typer knows of it.
PARAMETERS = [(words, parameter) for words, command in commands() for parameter in command.params]


def kind(parameter: Any) -> Any:
    """The type of an option's value."""
    return parameter.type_descriptor.annotation


def refusal(*words: str) -> str:
    """What a command line is refused with, in this process: nothing is done before."""
    result = CliRunner().invoke(app, words)
    if isinstance(result.exception, UsageError):
        return str(result.exception)
    assert (type(result.exception), result.exit_code) == (SystemExit, Exit.USAGE), (words, result.output)
    return result.output


def needed(words: tuple[str, ...]) -> list[str]:
    """The arguments that a command cannot do without."""
    command = next(command for known, command in commands() if known == words)
    return ["x" for parameter in command.params if parameter.param_type_name == "argument" and parameter.required]


# -- numbers

NUMBERS = [(words, option) for words, option in PARAMETERS if kind(option) in (int, float)]
#: What is no number that an option can go by.
NONE = ("nan", "inf", "-1", "1e400", "99999999999999999999", "9" * 5000)


def test_every_number_of_every_command_has_bounds_and_tells_them() -> None:
    assert len({words for words, _ in NUMBERS}) == 13
    runner = CliRunner()
    for words, option in NUMBERS:
        assert option.min is not None, (words, option.opts)
        assert option.max is not None, (words, option.opts)
        told = runner.invoke(app, [*words, "--help"]).output
        assert f"{option.min}<=x<={option.max}" in "".join(told.split()), (words, option.opts)
        for value in NONE:
            assert option.opts[0] in refusal(*words, *needed(words), option.opts[0], value), (words, value)


def test_the_page_of_settings_tells_the_bounds() -> None:
    text = page.render()
    for setting in (*OPTIONS, *SYMBOL_RULES):
        if setting.most is not None:
            assert f"{setting.meaning} From {setting.least} to {setting.most}." in text


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "0", "1e9", "99999999999999999999", "x", "9" * 5000])
def test_numbers_within_texts_have_bounds_too(value: str) -> None:
    for parse in (
        lambda: parse_retention(f"1m={value}"),
        lambda: parse_every(f"1m={value}"),
        lambda: schema.parse_retention(f"{value}d"),
        lambda: parse_symbol_rules({"HIGH_PRIORITY_TOP_N": value}),
    ):
        with pytest.raises(UsageError, match=r"at most [0-9]{6}|to 99999d"):
            parse()
    assert "sample" in refusal("parity", "a", "b", "--sample", f"{value}%")


def test_a_variable_has_the_bounds_of_its_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_WORKERS", "100000")
    assert "--workers" in refusal("run")


def test_there_are_never_more_threads_than_help() -> None:
    there = os.cpu_count() or 1
    assert settings_of(Options(workers=MOST_THREADS), {}).workers <= min(there, MOST_THREADS)
    assert settings_of(Options(workers=1), {}).workers == 1
    assert 1 <= useful_threads() <= there


# -- paths

PATHS = [(words, parameter) for words, parameter in PARAMETERS if kind(parameter) in (Path, list[Path])]


@pytest.fixture
def impossible(tmp_path: Path) -> list[str]:
    """Paths that lead nowhere on any machine."""
    (tmp_path / "loop").symlink_to("loop")
    return [str(tmp_path / "loop"), str(tmp_path / "loop" / "x"), "x" * 300, "x/" * 3000, "~nobody.of.this.name/x"]


def test_no_path_of_any_command_can_crash_it(impossible: list[str]) -> None:
    without = {"explain", "indicators", "symbols"}
    assert {words[0] for words, _ in PATHS} == {name for name, *_ in dict(commands())} - without
    for words, parameter in PATHS:
        for path in impossible:
            given = [*needed(words), parameter.opts[0], path]
            if parameter.param_type_name == "argument":
                given = [path for _ in needed(words)]
            assert "cannot be used: " in refusal(*words, *given), (words, parameter.name, path)
    for path in impossible:
        assert "cannot be used: " in refusal("query", f"@{path}")
        with pytest.raises(UsageError, match="cannot be used: "):
            settings_of(Options(symbols=f"@{path}"), {})


def test_a_home_is_found_wherever_a_path_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert folders.given(Path("~/x/y.db")) == tmp_path / "x" / "y.db"
    assert folders.given(Path("x~/~")) == Path("x~/~")
    (tmp_path / "list").write_text("AUSDT\n")
    assert settings_of(Options(symbols="@~/list"), {}).symbols == "AUSDT"
    assert str(tmp_path / "w.duckdb") in refusal("runs", "--duckdb", "~/w.duckdb")


def test_what_is_no_text_is_refused_and_not_shown(candlemill: Callable[..., Ran]) -> None:
    for words, env in (
        (("run", "--source", "postgresql://me:geheim\udcff@127.0.0.1:1/x"), {}),
        (("query", "FROM '\udcff'"), {}),
        (("run",), {"DATABASE_URL": "postgresql://me:geheim\udcff@127.0.0.1:1/x"}),
    ):
        ran = candlemill(*words, env=env)
        assert (ran.code, len(ran.err.splitlines())) == (2, 1), ran.err
        assert "no text in UTF-8" in ran.err
        assert "geheim" not in ran.err


def test_a_folder_that_is_no_text_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "\udcff"
    folder.mkdir()
    monkeypatch.chdir(folder)
    with pytest.raises(UsageError, match="no text in UTF-8"):
        folders.given(Path("x.db"))


def test_a_folder_elsewhere_is_made_with_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    for folder in (Path("a/b"), here / "c", Path(), here):
        folders.make(folder)
        assert folder.is_dir()
    assert caplog.messages == []
    for folder in (Path("../there/d"), tmp_path / "e"):
        folders.make(folder)
        folders.make(folder)
    there = [tmp_path / "there" / "d", tmp_path / "e"]
    assert caplog.messages == [f"made the folder {folder}, which was not there" for folder in there]


def test_every_folder_that_a_path_needs_is_made_there() -> None:
    rooms = Path(folders.__file__).parent.parent
    makers = {str(file.relative_to(rooms)) for file in rooms.rglob("*.py") if ".mkdir(" in file.read_text()}
    # The cache of compiled lanes and the folder of the demo's socket are nobody's paths, and a backfill's folder has
    # been made before those in it.
    assert makers == {"base/folders.py", "compute/compiler.py", "backfill/store.py", "demo/server.py"}


# -- standard streams


@pytest.fixture(scope="module")
def forked() -> Iterator[Forks]:
    with forks() as found:
        yield found


@pytest.fixture
def run(forked: Forks, work_file: Path, golden_url: Callable[[Path], str], tmp_path: Path) -> Any:
    """Runs a command line of ``LINES`` with its streams."""
    names = {"work": work_file, "url": golden_url(CASE), "result": work_file.with_name("result.db")}

    def command(line: str, **how: Any) -> Forked:
        words = [
            word.format(**names).replace("_", " ") if word[0] == "%" else word.format(**names) for word in line.split()
        ]
        return forked.run(Case([word.lstrip("%") for word in words], str(tmp_path), **how))

    return command


#: A command line for each command that prints, and its code; on full streams another, where printing is its work.
LINES = {
    "--help": (0, 4),
    "--version": (0, 4),
    "run --nonsense": (2, 2),
    "run --source {url} --symbols AAAUSDT --intervals 5m --json --indicators macd --as-of " + AS_OF: (0, 0),
    "demo --log-level loud": (2, 2),
    "watch --status --duckdb {work}": (1, 1),
    "history AAAUSDT --interval 5m --indicators macd --bars 3 --csv --source {url} --as-of " + AS_OF: (0, 4),
    "stability --symbols AAAUSDT --interval 5m --indicators macd --lookbacks 40,80 --csv --source {url} --as-of "
    + AS_OF: (0, 4),
    "explain AAAUSDT --interval 5m --indicator macd --source {url} --as-of " + AS_OF: (0, 4),
    "changes --sqlite {result}": (0, 4),
    "backfill --from yesterday --to today --output x": (2, 2),
    "query %FROM_candles --csv --duckdb {work}": (0, 4),
    "query %FROM_catalog --json --duckdb {work}": (0, 4),
    "query %FROM_catalog --duckdb {work}": (0, 4),
    "plot BTCUSDT --output x.svg --duckdb {work}": (0, 0),
    "report --output x.html --duckdb {work} --sqlite {result} --bars 5": (0, 0),
    "runs --duckdb {work}": (0, 4),
    "runs --json --duckdb {work}": (0, 4),
    "indicators": (0, 4),
    "indicators --json": (0, 4),
    "symbols --source {url} --symbols all --as-of " + AS_OF: (0, 4),
    "init-db --source {url}": (0, 0),
    "parity {result} {result} --tables macd --intervals 5m": (0, 4),
    "doctor --sqlite {result} --duckdb {work} --json": (0, 4),
    "ingest binance-vision nowhere --source {url}": (2, 2),
}


def test_the_lines_are_of_all_commands() -> None:
    assert {line.split()[0] for line in LINES} - {"--help", "--version"} == set(get_command(app).commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("line", LINES, ids=lambda line: " ".join(line.split()[:2]))
def test_streams_of_any_kind_change_no_exit_code_but_where_printing_is_the_work(line: str, run: Any) -> None:
    usual, full = LINES[line]
    plain = run(line)
    assert plain.code == usual, plain.err
    for streams in ({"out": "closed", "err": "closed"}, {"out": "broken"}, {"err": "full"}):
        found = run(line, **streams)
        assert found.code == usual, (streams, found.err)
        if "out" not in streams and line.split()[0] not in ("run", "doctor"):
            assert found.out == plain.out
    found = run(line, out="full")
    assert found.code == (full if plain.out else usual)
    if plain.out:
        assert found.err.splitlines()[-1].startswith("candlemill: standard output cannot be written (No space left")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-16"])
@pytest.mark.parametrize("line", ["query %FROM_catalog --duckdb {work}", "indicators", "indicators --json"])
def test_streams_of_any_encoding_get_what_they_can_hold(line: str, encoding: str, run: Any) -> None:
    plain, found = run(line), run(line, encoding=encoding)
    assert found.code == plain.code == 0, found.err
    # typer takes ASCII for a mistake, and writes UTF-8.
    text = found.out.decode("utf-8" if encoding == "ascii" else encoding)
    # Where the encoding lacks a character there is its code, as JSON writes it.
    assert json.loads(text) == json.loads(plain.out) if "--json" in line else "macd" in text


def test_a_reader_that_has_enough_ends_a_query(run: Any) -> None:
    assert run("query %FROM_range(100000000000) --csv --duckdb {work}", out="broken") == Forked(0, b"", "")


def test_a_process_says_the_same_in_another_encoding(candlemill: Callable[..., Ran]) -> None:
    texts = [candlemill("indicators", "--json", env=env).out for env in ({}, {"PYTHONIOENCODING": "ascii"})]
    assert json.loads(texts[0]) == json.loads(texts[1])


BLOCKED = """
import logging
from candlemill.pipeline.base import ending, logs, streams
streams.set_up()
ending.listen()
logs.set_up("info", as_json=False, quiet=False)
with ending.postponed():
    logging.getLogger("talk").warning("x" * 5000)
logging.getLogger("talk").warning("x" * 5000)
"""


def test_a_log_that_nobody_reads_does_not_keep_a_signal_from_ending_it() -> None:
    unread, log = os.pipe()
    # So much of the line is taken, and the rest waits.
    fcntl.fcntl(log, fcntl.F_SETPIPE_SZ, 4096)
    with subprocess.Popen([sys.executable, "-c", BLOCKED], stderr=log) as child:
        os.close(log)
        select.select([unread], [], [])
        child.send_signal(signal.SIGTERM)
        assert child.wait(60) == 143
    os.close(unread)


def test_a_batch_of_large_values_is_printed_in_parts() -> None:
    batch = pa.record_batch({"n": pa.array(range(5000)), "x": pa.array([list(range(200))] * 5000)})
    parts = list(tabular._parts(batch))
    assert pa.Table.from_batches(parts).equals(pa.Table.from_batches([batch]))
    assert max(part.nbytes for part in parts) < 2 * tabular._PART_BYTES < batch.nbytes
    small = pa.record_batch({"n": pa.array(range(5000))})
    assert [part.num_rows for part in tabular._parts(small)] == [5000]
    assert list(tabular._parts(small.slice(0, 0))) == []


# -- memory and threads


def too_large() -> Exception:
    """What NumPy says of an array that no machine has room for."""
    try:
        np.empty(2**57)
    except MemoryError as error:
        return error
    raise AssertionError


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (MemoryError(), "not enough memory: raise"),
        (too_large(), "not enough memory (Unable to allocate"),
        (pa.ArrowMemoryError("malloc of size 64 failed"), "not enough memory (malloc of size 64 failed)"),
        (duckdb.OutOfMemoryException("failed to\nallocate"), "not enough memory (failed to allocate)"),
        (RuntimeError("can't start new thread"), "no thread can be started: raise"),
        (ImportError("libx.so: failed to map segment from shared object"), "not enough memory (libx.so"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "not enough memory"),
        (SystemError("<function f> returned NULL without setting an exception"), "not enough memory (<function f>"),
        (SystemError("error return without exception set"), "not enough memory (error return"),
    ],
)
def test_what_lacks_is_said_in_one_line(error: Exception, says: str) -> None:
    found = shortage(error)
    assert found is not None
    assert (found.exit_code, says in str(found), "\n" in str(found)) == (Exit.SINK, True, False), found
    assert shortage(found) is found


@pytest.mark.parametrize(
    "error",
    [ValueError("x"), RuntimeError("x"), OSError(errno.ENOENT, "x"), duckdb.Error("x"), SystemError("bad argument")],
)
def test_other_errors_are_no_shortage(error: Exception) -> None:
    assert shortage(error) is None


NO_THREAD = """
import sys, threading
from candlemill.pipeline import __main__

left, start = int(sys.argv.pop(1)), threading._start_new_thread

def start_some(*given, **named):
    global left
    left -= 1
    if left < 0:
        raise RuntimeError("can't start new thread")
    return start(*given, **named)

threading._start_new_thread = start_some
__main__.main()
"""


@pytest.mark.parametrize("threads", [0, 3])
def test_a_thread_that_cannot_be_started_is_one_line_and_leaves_nothing(
    threads: int, golden_url: Callable[[Path], str], tmp_path: Path
) -> None:
    words = ["run", "--source", golden_url(CASE), "--symbols", "AAAUSDT", "--intervals", "5m,1w", "--as-of", AS_OF]
    command = [sys.executable, "-c", NO_THREAD, str(threads), *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 4, done.stderr
    assert done.stderr.splitlines()[-1].startswith("candlemill: no thread can be started: raise the limit")
    assert "Traceback" not in done.stderr
    assert [file for file in tmp_path.rglob("*") if file.is_file() or file.name.startswith(".")] == []
