"""What a watch tells of itself, and what it outlives, in this process: health, metrics, notices, its process's file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg
import pytest

from candlemill.pipeline.base.errors import UsageError
from candlemill.pipeline.commands.environment import load
from candlemill.pipeline.live.clock import Clock, Reading
from candlemill.pipeline.live.health import Health, Watched, health_file
from candlemill.pipeline.live.listen import CHANNEL, Listener
from candlemill.pipeline.live.metrics import check_metrics_file, write_metrics
from candlemill.pipeline.live.passes import Passes
from candlemill.pipeline.live.pidfile import pid_file
from candlemill.pipeline.live.watch import Plan, _Watch, watch
from candlemill.pipeline.record import Basis, Record
from candlemill.pipeline.results.sink import Sink
from candlemill.pipeline.settings import Settings, SymbolRules, asked_symbols, parse_indicators, parse_intervals
from candlemill.pipeline.source.schema import init_db
from candlemill.pipeline.workfile.reader import published, run_records
from tests.moving import START, Coin, Market

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from candlemill.pipeline.base.intervals import Interval
    from tests.conftest import Ran, Server

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DEEP = "[" * 100_000
#: None of which is a list of objects, an object, a time or a number of seconds in a health file.
PARTS: tuple[Any, ...] = (None, "x", {}, [1], [[]], [{}], [{"x": 1}], {"run_id": 1}, {"run_id": "x"})


def record_of(newest: datetime | None, left_out: dict[str, int] | None = None) -> Record:
    record = Record(as_of=NOW, source="", intervals=["1m"], indicators=1)
    record.computed_from("1m", Basis(newest, left_out or {}))
    record.rows, record.total, record.finished_at = 7, 0.25, NOW
    return record


def healthy(newest: datetime = NOW - MINUTE, now: datetime = NOW, left_out: dict[str, int] | None = None) -> Health:
    health = Health(1, "0.1.0", "postgresql://db", NOW, [Watched("1m", 600)])
    health.passed(record_of(newest, left_out), now)
    health.fresh_until, health.written_at = now + 2 * MINUTE, now
    return health


# -- the health


def test_a_clock_that_was_set_back_hides_no_staleness() -> None:
    assert healthy().stale(NOW) == []
    # The watch has ended, and the clock was set back before its last pass.
    assert healthy().stale(NOW - timedelta(seconds=5)) == []
    [written, newest] = healthy().stale(NOW - timedelta(hours=1))
    assert written == "this was written 1:00:00 in the future: the clock was set back"
    assert newest == "the newest bar of 1m begins 0:59:00 in the future"
    # It goes on, and what it writes is older than what is there, which readers see until the clock has caught up.
    health = healthy()
    earlier = NOW - timedelta(hours=1)
    health.passed(record_of(earlier), earlier)
    health.fresh_until, health.written_at = earlier + MINUTE, earlier
    assert health.stale(earlier) == ["the newest bar of 1m begins 0:59:00 in the future"]
    # Set forward: the bars lag.
    assert healthy(now=NOW + timedelta(hours=1)).stale(NOW + timedelta(hours=1)) == [
        "the newest bar of 1m began 1:01:00 ago"
    ]


def test_bars_that_are_left_out_are_none_that_results_were_computed_from() -> None:
    health = healthy(NOW - timedelta(hours=1), left_out={"astray": 6})
    assert health.stale(NOW) == ["the newest bar of 1m began 1:00:00 ago"]
    assert health.as_json()["intervals"][0]["left_out"] == {"astray": 6}
    # An interval that was not computed keeps what it had.
    health.passed(Record(as_of=NOW, source="", intervals=["5m"], indicators=1), NOW)
    assert health.intervals[0].left_out == {"astray": 6}
    health.passed(record_of(None), NOW)
    assert health.intervals[0].left_out == {}


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"\xff\xfe{}", b"\0", b"{", b"[]", b"null", b"{}", DEEP.encode(), b"9" * 5000, b" " * 2_000_000),
        *(dict.fromkeys([name], part) for name in ("intervals", "errors") for part in PARTS),
        *(dict.fromkeys(["last_run"], part) for part in PARTS[1:]),
        *(dict.fromkeys(["fresh_until"], part) for part in (*PARTS[1:], "", "2026-01-01T00:00:00")),
        *({"intervals": [{"interval": "1m", "stale_after": part}]} for part in (*PARTS, float("nan"), 10**400)),
        *({"intervals": [{"interval": [], "stale_after": 1}]}, {"unknown": 1}, {"errors": [{"at": 1, "message": ""}]}),
    ],
    ids=lambda content: str(content)[:50],
)
def test_a_health_file_may_hold_anything(content: bytes | dict[str, Any], tmp_path: Path) -> None:
    if isinstance(content, dict):
        content = json.dumps(healthy().as_json() | content).encode()
    file = tmp_path / "file"
    file.write_bytes(content)
    with pytest.raises(UsageError, match="is not a health file of candlemill") as raised:
        Health.read(file)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 1000


# -- metrics


def test_metrics_are_those_of_the_health(tmp_path: Path) -> None:
    health = healthy(left_out={'a "reason"\n\\': 3})
    health.fail("trouble", NOW)
    write_metrics(tmp_path / "candlemill.prom", health, NOW)
    lines = (tmp_path / "candlemill.prom").read_text().splitlines()
    samples = [line for line in lines if not line.startswith("#")]
    assert samples == [
        f"candlemill_last_run_timestamp_seconds {NOW.timestamp()}",
        "candlemill_last_run_duration_seconds 0.25",
        "candlemill_last_run_rows 7",
        "candlemill_passes_total 1",
        "candlemill_rows_total 7",
        "candlemill_errors_total 1",
        f'candlemill_newest_bar_timestamp_seconds{{interval="1m"}} {(NOW - MINUTE).timestamp()}',
        'candlemill_lag_seconds{interval="1m"} 60.0',
        'candlemill_stale_after_seconds{interval="1m"} 600',
        "candlemill_wal_megabytes 0",
        'candlemill_left_out_rows{interval="1m",reason="a \\"reason\\"\\n\\\\"} 3',
    ]
    for sample in samples:
        name = sample.replace("{", " ").split()[0]
        assert sum(line.startswith(f"# TYPE {name} ") for line in lines) == 1
        assert sum(line.startswith(f"# HELP {name} ") for line in lines) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["candlemill.prom"]
    check_metrics_file(tmp_path / "candlemill.prom")
    check_metrics_file(tmp_path / "none.prom")


def test_nothing_of_somebody_else_becomes_a_metrics_file(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("something")
    (tmp_path / "link").symlink_to("text")
    (tmp_path / "nowhere").symlink_to("none")
    os.mkfifo(tmp_path / "fifo")
    for name in ("text", "link", "nowhere", "fifo", ".", "x" * 300):
        with pytest.raises(UsageError, match="--metrics-file"):
            check_metrics_file(tmp_path / name)
    assert (tmp_path / "text").read_text() == "something"


# -- the file with the number of the process

_HOLD = """
import os, sys
from pathlib import Path
from candlemill.pipeline.live.pidfile import pid_file
with pid_file(Path(sys.argv[1])):
    print(os.getpid(), flush=True)
    sys.stdin.read()
"""


def test_one_living_process_has_the_pid_file_and_it_goes_with_it(tmp_path: Path) -> None:
    file = tmp_path / "watch.pid"
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin
        assert child.stdout
        number = child.stdout.readline().strip()
        assert file.read_text() == f"{number}\n"
        with pytest.raises(UsageError, match=f"a watch has it, process {number}"), pid_file(file):
            pass
        assert file.read_text() == f"{number}\n"
        child.kill()
        child.wait()
    # What a killed one leaves is taken over, though its number may be somebody else's by now.
    assert file.exists()
    with pid_file(file):
        assert file.read_text() == f"{os.getpid()}\n"
    assert not file.exists()


def test_nothing_of_somebody_else_becomes_a_pid_file(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("something")
    (tmp_path / "link").symlink_to("text")
    os.mkfifo(tmp_path / "fifo")
    for name in ("text", "link", "fifo", ".", "none/below", "x" * 300, "\0"):
        with pytest.raises(UsageError, match="--pid-file"), pid_file(tmp_path / name):
            pass
    assert (tmp_path / "text").read_text() == "something"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["fifo", "link", "text"]


# -- notices


def test_notices_may_hold_anything(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    name = "notices"
    with psycopg.connect(server.url, autocommit=True) as connection:
        # Such a database gives its texts as they are, in whatever encoding.
        connection.execute(
            f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        )
    woken = threading.Semaphore(0)
    url = server.url_of(name)
    with psycopg.connect(url, autocommit=True) as other, Listener(url, "ours", woken.release):

        def send(payload: str) -> None:
            other.execute(f"NOTIFY {CHANNEL}, E'{payload}'".encode())

        def heard() -> None:
            while not woken.acquire(timeout=0.1):
                send('{"exchange": "ours"}')

        heard()
        for payload in ("{", "[" * 7000, "9" * 7000, '{"exchange": [[]', ""):
            while woken.acquire(blocking=False):
                pass
            send(payload)
            assert woken.acquire(timeout=60), payload
        # The server does not send what is no text to a session in UTF-8: it ends the session, which is begun anew.
        send(r"\xff\xfe")
        send('{"exchange": "another"}')
        heard()
    told = [record.getMessage() for record in caplog.records if record.name.startswith("candlemill.pipeline.live")]
    assert told[0].startswith(f"a notice on {CHANNEL} is not JSON")
    assert all("\n" not in line for line in told)


# -- configuration


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"A=\xff\xfe", "it is no text in UTF-8"),
        ("A=1\n".encode("utf-16"), "it has a NUL"),
        (b"A=1\0", "it has a NUL"),
        (b"A=1\nB='x\nC=2\n", "line 2 is not NAME=VALUE"),
        (b"'a=b'=1\n", "illegal environment variable name"),
        (b"A=" + b"x" * 200_000, "it has more than 100000 bytes"),
    ],
    ids=lambda part: str(part)[:30],
)
def test_a_dotenv_that_cannot_be_used_is_told_in_a_line(content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(content)
    with pytest.raises(UsageError, match=says) as raised:
        load(tmp_path / ".env")
    assert "\n" not in str(raised.value)


def test_a_dotenv_that_is_none_or_a_folder_is_no_fault(
    candlemill: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(tmp_path / ".env")
    load(tmp_path)
    monkeypatch.setenv("CANDLEMILL_TEST_ONE", "kept")
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfCANDLEMILL_TEST_ONE=lost\nexport CANDLEMILL_TEST_TWO = 'taken'\n")
    monkeypatch.setenv("CANDLEMILL_TEST_TWO", "")
    monkeypatch.delenv("CANDLEMILL_TEST_TWO")
    load(tmp_path / ".env")
    assert (os.environ["CANDLEMILL_TEST_ONE"], os.environ["CANDLEMILL_TEST_TWO"]) == ("kept", "taken")
    (tmp_path / ".env").write_bytes(b"A=\xff")
    ran = candlemill("indicators")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "candlemill: .env cannot be used: it is no text in UTF-8; give one NAME=VALUE a line, in UTF-8\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff\xfeB\0T\0C\0", "it has a NUL"),
        (b"BTC\0USDT", "it has a NUL"),
        (b"\xc3\x28", "it is no text in UTF-8"),
        (b"BTC\n" * 3_000_000, "it has more than 10000000 bytes"),
        (b"", "names no symbol"),
    ],
    ids=lambda part: str(part)[:30],
)
def test_a_file_of_symbols_that_cannot_be_used_is_told_in_a_line(content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(content)
    with pytest.raises(UsageError, match=says) as raised:
        asked_symbols(f"@{tmp_path / 'list'}", SymbolRules())
    assert "\n" not in str(raised.value)


def test_a_device_without_end_is_no_file_of_symbols() -> None:
    with pytest.raises(UsageError, match="it has more than"):
        asked_symbols("@/dev/zero", SymbolRules())


@pytest.mark.parametrize(
    "history",
    [
        "SELECT 1 AS x",
        "SELECT * REPLACE (repeat('x', 100000) AS stages) FROM work.runs",
        "SELECT * EXCLUDE (skipped) FROM work.runs",
        "SELECT * REPLACE ('infinity'::TIMESTAMPTZ AS finished_at) FROM work.runs",
        "SELECT * REPLACE (NULL::TIMESTAMPTZ AS started_at) FROM work.runs",
    ],
)
def test_a_work_file_may_hold_anything(history: str, work_file: Path, tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "other.duckdb")) as other:
        other.execute(f"ATTACH '{work_file}' AS work (READ_ONLY)")
        for table in ("candles", "catalog"):
            other.execute(f"CREATE TABLE {table} AS SELECT 1 AS x")
        other.execute(f"CREATE TABLE runs AS {history}")
    with pytest.raises(UsageError) as raised, published(tmp_path / "other.duckdb") as connection:
        run_records(connection)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 1000
    with (
        pytest.raises(UsageError, match="is no work file of this version"),
        published(tmp_path / "other.duckdb") as read,
    ):
        read.execute("SELECT symbol FROM candles")


# -- a watch


class SetClock(Clock):
    """A clock on which time passes only while somebody waits, and whose time of day is set before a pass."""

    def __init__(self, steps: list[float], before_each: Callable[[Reading], None] = lambda _: None) -> None:
        self._steps, self._before_each = steps, before_each
        self._elapsed = self._ahead = 0.0

    def read(self) -> Reading:
        return Reading(START + timedelta(seconds=self._elapsed + self._ahead), self._elapsed)

    def wait(self, wake: threading.Event, seconds: float) -> None:
        assert not wake.is_set()
        assert seconds > 0
        self._elapsed += seconds
        self._ahead += self._steps.pop(0) if self._steps else 0
        self._before_each(self.read())


@pytest.fixture
def market(server: Server) -> Market:
    url = server.database("telling")
    init_db(url)
    playing = Market(url, [Coin("AAA"), Coin("BBB")], names=("1m",))
    playing.play(START)
    return playing


def settings_of(market: Market, folder: Path) -> Settings:
    return Settings(
        source=market.url,
        sqlite=folder / "result.db",
        duckdb=folder / "work.duckdb",
        symbols="all",
        intervals=parse_intervals("1m"),
        indicators=parse_indicators("macd"),
        as_of=START,
        lookback=40,
    )


def test_a_clock_that_is_set_back_by_an_hour_delays_no_pass(market: Market, tmp_path: Path) -> None:
    settings = settings_of(market, tmp_path)
    seen: list[tuple[float, int, bool]] = []

    def note(at: Reading) -> None:
        health = Health.read(health_file(settings.duckdb))
        seen.append((at.elapsed, health.passes, bool(health.stale(at.now))))

    watch(settings, Plan(every={"1m": 20}, delay=0, runs=8), SetClock([0, 0, 0, -3600], note))
    # A pass each 20 s at the latest, before and after it was set.
    passes = {number: elapsed for elapsed, number, _ in seen}
    assert list(passes) == list(range(1, 8))
    assert all(passes[number + 1] - passes[number] <= 20 for number in range(1, 7))
    # Until the clock has caught up, the newest rows are an hour ahead of it.
    assert [stale for *_, stale in seen[:3]] == [False] * 3
    assert all(stale for *_, stale in seen[4:])


def test_bars_that_are_left_out_are_told_and_are_not_fresh(
    market: Market, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # As when an exchange was restarted: from then on its bars begin within a minute.
    market.execute(
        "UPDATE market_data.candles_1m SET bucket_ts = bucket_ts - INTERVAL '0.789 s' WHERE bucket_ts > %s",
        START - timedelta(minutes=30),
    )
    settings = settings_of(market, tmp_path)
    metrics = tmp_path / "candlemill.prom"
    watch(settings, Plan(delay=0, runs=2, metrics_file=metrics), SetClock([]))
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert told == ["bar off its interval's grid: left out, 60 at 1m"]
    health = Health.read(health_file(settings.duckdb))
    assert health.intervals[0].left_out == {"bar off its interval's grid": 60}
    [reason] = health.stale(START + timedelta(seconds=10))
    assert reason.startswith("the newest bar of 1m began 0:3")
    assert 'candlemill_left_out_rows{interval="1m",reason="bar off its interval\'s grid"} 60' in metrics.read_text()


class Stumbling(Passes):
    """Passes of which some end in an error that nobody has foreseen."""

    def update(self, now: datetime, intervals: Sequence[Interval]) -> Record:
        if now < START + timedelta(seconds=25):
            raise RecursionError("deep\ndown")
        return super().update(now, intervals)


def test_a_watch_outlives_an_error_that_nobody_has_foreseen(
    market: Market, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings_of(market, tmp_path)
    with Sink(settings.sqlite, 1) as sink, closing(Stumbling(settings, sink, 3)) as passes:
        _Watch(settings, Plan(delay=0, runs=3), passes, SetClock([])).run()
    health = Health.read(health_file(settings.duckdb))
    assert (health.passes, health.failures) == (3, 2)
    why = "a pass failed with RecursionError: deep down; --log-level debug tells where"
    assert [error.message for error in health.errors] == [why] * 2
    told = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert told == [f"{why} (it is tried again at the next pass)"]


def test_a_run_leaves_its_metrics_and_a_failed_one_those_before(
    candlemill: Callable[..., Ran], market: Market, tmp_path: Path
) -> None:
    words: tuple[str, ...] = (
        "run",
        "--source",
        market.url,
        "--symbols",
        "all",
        "--intervals",
        "1m",
        "--as-of",
        START.isoformat(),
    )
    words += ("--indicators", "macd", "--metrics-file", "candlemill.prom")
    ran = candlemill(*words)
    assert ran.code == 0, ran.err
    text = (tmp_path / "candlemill.prom").read_text()
    assert "candlemill_last_run_rows 2\n" in text
    assert f'candlemill_newest_bar_timestamp_seconds{{interval="1m"}} {int(START.timestamp()) // 60 * 60}.0' in text
    assert candlemill(*words, "--exchange", "nowhere").code == 5
    assert (tmp_path / "candlemill.prom").read_text() == text
