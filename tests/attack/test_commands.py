"""Every command with hostile names, and with passwords in every form: what it prints, and what it leaves."""

from __future__ import annotations

import re
import subprocess
import sys
from io import StringIO
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pyarrow as pa
import pytest

from candlemill.pipeline.commands import app, tabular
from candlemill.pipeline.plotting import interactive
from candlemill.pipeline.workfile.query import Answer
from tests.attack.conftest import MARK, NASTY
from tests.long.test_ingest import bars, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Ran, Server

#: In front of each file.
FOLDER = "f\x1b[2J\x07[red]\x9b31m\u202e"
ASKED = ("--intervals", "1m", "--lookback", "40", "--indicators", "macd,base_data")
FILES = ("--sqlite", f"{FOLDER}/r.db", "--duckdb", f"{FOLDER}/w.duckdb")
WORK = ("--duckdb", f"{FOLDER}/w.duckdb")
OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]")

#: Command lines by command, in this order; a source is put in where the command takes one.
LINES: dict[str, list[tuple[str, ...]]] = {
    "run": [(*ASKED, *FILES, "--symbols", "all", "--log-level", "debug", "--json"), ("--symbols", f"X{NASTY}", *FILES)],
    "watch": [(*ASKED, *FILES, "--symbols", "all", "--runs", "1"), (*WORK, "--status"), (*WORK, "--status", "--json")],
    "demo": [("--intervals", NASTY)],
    "history": [
        (NASTY, "--interval", "1m", "--indicators", "macd", "--bars", "3", "--lookback", "40"),
        (NASTY, "--interval", "1m", "--indicators", "macd", "--bars", "3", "--lookback", "40", "--json"),
        (f"X{NASTY}", "--interval", "1m"),
        (NASTY, "--interval", NASTY),
    ],
    "stability": [
        ("--symbols", "all", "--interval", "1m", "--indicators", "macd", "--bars", "2", "--lookbacks", "30,35"),
        ("--symbols", f"X{NASTY}", "--interval", "1m", "--lookbacks", "30,35"),
        ("--symbols", "all", "--interval", NASTY, "--lookbacks", NASTY),
    ],
    "explain": [
        (NASTY, "--interval", "1m", "--indicator", "macd", "--lookback", "40"),
        (NASTY, "--interval", "1m", "--indicator", "macd", "--lookback", "40", "--json"),
        (f"X{NASTY}", "--interval", "1m", "--indicator", "macd"),
        (NASTY, "--interval", "1m", "--indicator", NASTY),
    ],
    "changes": [FILES[:2], (*FILES[:2], "--json"), (*FILES[:2], "--symbols", f"X{NASTY}")],
    "backfill": [
        ("--sqlite", f"{FOLDER}/r.db", *ASKED, "--symbols", "all", "--log-level", "debug"),
        ("--from", NASTY, "--to", NASTY, "--output", f"{FOLDER}/b"),
        ("--sqlite", f"{FOLDER}/r.db", *ASKED, "--symbols", f"X{NASTY}"),
    ],
    "query": [
        ("SELECT symbol FROM candles LIMIT 2", *WORK),
        ("SELECT symbol AS s, repeat(symbol, 9) AS t FROM candles LIMIT 2", "--json", *WORK),
        ("SELECT symbol FROM candles", "--parquet", f"{FOLDER}/c.parquet", *WORK),
        (f"SELECT {NASTY}", *WORK),
        ("SELECT symbol FROM history.macd", *FILES),
        ("FROM history.kdj", "--history", FOLDER, *FILES),
    ],
    "plot": [
        (NASTY, "--interval", "1m", "--indicators", "macd", "--bars", "5", "--output", f"{FOLDER}/c.svg", *WORK),
        (NASTY, "--interval", "1m", "--indicators", "macd", "--bars", "5", "--output", f"{FOLDER}/c.html", *WORK),
        (f"X{NASTY}", *WORK),
    ],
    "report": [
        ("--indicators", "macd", "--output", f"{FOLDER}/r.html", *FILES),
        ("--indicators", NASTY, *FILES),
    ],
    "runs": [WORK, (*WORK, "--json"), ("--duckdb", f"{FOLDER}/none.duckdb")],
    "indicators": [(), ("--json",), (NASTY,)],
    "symbols": [("--symbols", "all"), ("--symbols", "all", "--json"), ("--symbols", f"@{FOLDER}/none")],
    "ingest": [
        ("binance-vision", FOLDER),
        ("binance-vision", f"{FOLDER}/BTCUSDT-1m-2026-01.csv", "--json"),
        ("binance-vision", f"{FOLDER}/none.csv"),
    ],
    "init-db": [()],
    "parity": [(f"{FOLDER}/r.db", f"{FOLDER}/r.db"), (f"{FOLDER}/r.db", f"{FOLDER}/r.db", "--tables", NASTY)],
    "doctor": [FILES, (*FILES, "--json")],
}
SOURCED = ("run", "watch", "history", "stability", "explain", "backfill", "symbols", "ingest", "init-db", "doctor")


def test_the_suite_has_every_command() -> None:
    named = {command.name or getattr(command.callback, "__name__", "") for command in app.app.registered_commands}
    assert set(LINES) == named | {group.name for group in app.app.registered_groups}


def harmless(text: str) -> bool:
    return OBEYED.search(text) is None


def test_names_and_files_reach_no_terminal_as_anything_that_it_obeys(
    nasty_market: str, called: Callable[..., Ran], tmp_path: Path
) -> None:
    for name in ("BTCUSDT-1m-2026-01.csv", f"{NASTY.replace('/', '')}-1m-2026-01.csv"):
        write(tmp_path / FOLDER / name, bars(3))
    (tmp_path / FOLDER / f"{FOLDER}-1m-2026-01.csv").write_text(f"{NASTY},{NASTY}\n")
    seen: dict[tuple[str, ...], Ran] = {}
    for command, lines in LINES.items():
        for line in lines:
            source = ("--source", nasty_market) if command in SOURCED and "--status" not in line else ()
            ran = seen[command, *line] = called(command, *line, *source)
            assert ran.code in range(6), (command, line, ran.err)
            assert harmless(ran.out), (command, line, ran.out)
            assert harmless(ran.err), (command, line, ran.err)
            assert "Traceback" not in ran.err, (command, line, ran.err)
    assert [ran.code for ran in (seen[command, *LINES[command][0]] for command in LINES if command != "demo")] == [
        2 if command == "doctor" else seen[command, *LINES[command][0]].code if command == "ingest" else 0
        for command in LINES
        if command != "demo"
    ]
    # Shown as it is, but for what is obeyed.
    told = "A\\x1b[2J\\x1b]0;x\\x07[red]$x$:bomb:\\x9b31m\\u202eB&<b>"
    for command in ("query", "symbols", "history"):
        assert told in seen[command, *LINES[command][0]].out
    picture = (tmp_path / FOLDER / "c.svg").read_text(encoding="utf-8")
    assert harmless(picture)
    assert "[red]$x$:bomb:" in picture
    assert "&amp;&lt;b&gt;" in picture
    for name in ("c.html", "r.html"):
        page = (tmp_path / FOLDER / name).read_text(encoding="utf-8")
        # What plotly.js has is not of the data.
        assert page.count(interactive.script()) == 1
        page = page.replace(interactive.script(), "")
        assert harmless(page)
        assert "[red]$x$:bomb:" in page
        assert "<b>" not in page
    assert harmless((tmp_path / FOLDER / "w.health.json").read_text(encoding="utf-8"))


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_csv_is_what_it_is_in_a_file_and_harmless_on_a_terminal() -> None:
    rows = pa.table({NASTY: [NASTY]})
    for stream, kept in ((StringIO(), True), (Terminal(), False)):
        tabular.write_csv(Answer(rows.schema, iter(rows.to_batches())), stream)
        assert (NASTY in stream.getvalue()) == kept
        assert harmless(stream.getvalue()) != kept


# -- passwords

PASSWORDS = [
    f"{MARK}{more}"
    for more in ("", "#a", "a?b", "a/b", "a[b", "a@b", ":a", "a%b", "a b", "a'b", '"a\\', "a&b=c", "：／＠？",
                 "\x1b[2J")
]  # fmt: skip


def forms(password: str, place: str) -> list[str]:
    host, port = place.split(":")
    return [
        f"postgresql://reader:{password}@{place}/market",
        f"postgresql://reader:{quote(password, safe='')}@{place}/market",
        f"postgresql://{place}/market?user=reader&password={password}",
        f"postgresql://reader：{password}@{place}/market",
        f"host={host} port={port} user=reader password={password} dbname=market",
    ]


def without_password(ran: Ran, folder: Path) -> bool:
    files = [file for file in folder.rglob("*") if file.is_file()]
    return not any(MARK in text for text in (ran.out, ran.err, *map(str, folder.rglob("*")))) and not any(
        MARK.encode() in file.read_bytes() for file in files
    )


@pytest.mark.parametrize("command", SOURCED)
def test_no_command_shows_a_password_of_a_source_that_it_cannot_reach(
    command: str, called: Callable[..., Ran], tmp_path: Path
) -> None:
    write(tmp_path / "in" / "BTCUSDT-1m-2026-01.csv", bars(3))
    words = {
        "run": ("run", "--log-level", "debug", "--memray", "memory.bin"),
        "watch": ("watch", "--for", "0", "--log-level", "debug"),
        "history": ("history", "AAA", "--log-level", "debug"),
        "stability": ("stability", "--symbols", "AAA", "--log-level", "debug"),
        "explain": ("explain", "AAA", "--indicator", "macd", "--log-level", "debug"),
        "backfill": ("backfill", "--from", "2026-01-01", "--to", "2026-01-02", "--output", "b", "--log-level", "debug"),
        "symbols": ("symbols", "--log-level", "debug"),
        "ingest": ("ingest", "binance-vision", "in", "--log-level", "debug"),
        "init-db": ("init-db", "--log-level", "debug"),
        "doctor": ("doctor", "--json"),
    }[command]
    # Each command gets some of the passwords in all the forms; tests/test_urls.py has all of both.
    first = SOURCED.index(command)
    for number, password in enumerate(PASSWORDS[first::3]):
        form = forms(password, "127.0.0.1:1")[(number + first) % 5]
        ran = called(*words, "--source", form)
        assert ran.code in ((0, 2, 3) if command == "watch" else (2, 3)), ran.err
        assert without_password(ran, tmp_path), (form, ran.out, ran.err)


def test_no_command_repeats_a_url_that_stands_in_the_wrong_place(called: Callable[..., Ran], tmp_path: Path) -> None:
    for number, command in enumerate(LINES):
        form = forms(f"{MARK}{'a b' * (number % 2)}", "db.example:1")[number % 5]
        for words in ((command, form, form, form), (command, f"--sorce={form}"), (command, "--intervals", form)):
            ran = called(*words)
            assert ran.code == 2, (words, ran.err)
            assert without_password(ran, tmp_path), (words, ran.out, ran.err)


@pytest.mark.parametrize("place", ["in the URL", "in a file"])
def test_no_output_and_no_file_of_a_run_has_the_password_that_it_used(
    place: str, server: Server, nasty_market: str, called: Callable[..., Ran], tmp_path: Path, monkeypatch: Any
) -> None:
    from tests.test_session import execute

    password = f"{MARK}#?/[@: '\\%ü"
    database = nasty_market.rpartition("/")[2]
    execute(
        nasty_market,
        f"CREATE ROLE visitor LOGIN PASSWORD '{password.replace(chr(39), chr(39) * 2)}'",
        "GRANT USAGE ON SCHEMA market_data TO visitor",
        "GRANT SELECT ON ALL TABLES IN SCHEMA market_data TO visitor",
    )
    rules = server.folder / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text(f"local all visitor scram-sha-256\n{before}")
    server.reload()
    url = server.url_of(database, "visitor", password if place == "in the URL" else None)
    if place == "in a file":
        secrets = tmp_path.with_name(f"{tmp_path.name}-pass")
        secrets.write_text(f"*:*:*:visitor:{password.replace(chr(92), chr(92) * 2).replace(':', chr(92) + ':')}\n")
        secrets.chmod(0o600)
        monkeypatch.setenv("PGPASSFILE", str(secrets))
    files = ("--sqlite", "r.db", "--duckdb", "w.duckdb")
    try:
        asked = (*ASKED, *files, "--symbols", "all", "--source", url)
        ran = called("run", *asked, "--log-level", "debug", *(("--memray", "m") if place == "in the URL" else ()))
        assert ran.code == 0, ran.err
        assert without_password(ran, tmp_path)
        left = {file.name for file in tmp_path.iterdir()}
        assert {"r.db", "w.duckdb", *(("m", "m.html", "m.txt") if place == "in the URL" else ())} <= left
        if place == "in a file":
            return
        watched = called("watch", *asked, "--runs", "1")
        assert watched.code == 0, watched.err
        assert (tmp_path / "w.health.json").is_file()
        assert without_password(watched, tmp_path)
        for words in (("doctor", *files, "--json", "--source", url), ("runs", *files[2:], "--json")):
            assert without_password(called(*words), tmp_path)
    finally:
        rules.write_text(before)
        server.reload()
        execute(nasty_market, "DROP OWNED BY visitor", "DROP ROLE visitor")


# -- the mask of the user


def test_files_that_stay_have_the_rights_that_the_mask_leaves(work_file: Path, tmp_path: Path) -> None:
    """In a process of its own: the mask is that of a whole process, with all the threads of other tests."""
    mask, work = 0o002, ("--duckdb", str(work_file))
    lines = [
        ("query", "SELECT 1 AS one", *work, "--parquet", "q.parquet"),
        *(("runs", *work, "--plot", f"p.{form}") for form in ("png", "svg", "html")),
    ]
    program = f"""
import os
from datetime import UTC, datetime
from pathlib import Path

from candlemill.pipeline.commands import entry
from candlemill.pipeline.commands.memory import Capture
from candlemill.pipeline.live.health import Health
from candlemill.pipeline.results.sink import Sink

os.umask({mask})
for line in {lines!r}:
    try:
        entry.main(list(line))
    except SystemExit as end:
        assert not end.code, line
now = datetime.now(UTC)
Health(1, "", "", now, []).write(Path("w.health.json"), now)
with Capture(Path("m")):
    pass
with Sink(Path("r.db"), 1) as sink:
    sink.insert({{}}, lambda _: 1)
    sink.commit()
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    assert {"q.parquet", "p.png", "p.svg", "p.html", "w.health.json", "m", "r.db"} <= set(modes)
    assert {name: mode for name, mode in modes.items() if mode != 0o666 & ~mask} == {}
