"""Archives of Binance's public data, made as they are published, loaded through the command, read in the database."""

from __future__ import annotations

import io
import itertools
import json
import subprocess
import time
import tracemalloc
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from candlemill.pipeline.base.intervals import DEFAULT_INTERVALS, INTERVALS
from candlemill.pipeline.base.ranges import Range, common, union
from candlemill.pipeline.ingest.archives import Archives, Content, UnreadableError, UnsuitableError, find
from candlemill.pipeline.ingest.layouts import Reject, rows
from candlemill.pipeline.ingest.load import ingest as load
from candlemill.pipeline.ingest.stretches import Stretches, overlapping
from candlemill.pipeline.source.schema import init_db
from tests.conftest import CANDLEMILL, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from candlemill.pipeline.ingest.report import Report
    from tests.conftest import Ran, Server

START = datetime(2026, 1, 18, tzinfo=UTC)
HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)
METRICS_HEADER = (
    "create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,"
    "sum_toptrader_long_short_ratio,count_long_short_ratio,sum_taker_long_short_vol_ratio"
)
GOOD = "100.10,101.5,99.25,100.75,12.5"


def kline(moment: datetime, prices: str = GOOD, micro: bool = False, rest: str = "1254.125,77,6.25,627.5") -> str:
    factor = 1_000_000 if micro else 1000
    start = int(moment.timestamp()) * factor
    return f"{start},{prices},{start + 60 * factor - 1},{rest},0"


def bars(count: int, interval: str = "1m", start: datetime = START, **how: Any) -> list[str]:
    return [kline(start + index * INTERVALS[interval].length, **how) for index in range(count)]


def metric(moment: datetime, values: str = "10.5,1050,1.1,1.2,1.3,1.4", symbol: str = "BTCUSDT") -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S},{symbol},{values}"


def write(path: Path, lines: list[str], newline: str = "\n") -> Path:
    """A .csv file of these lines, or a .zip of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = "".join(line + newline for line in lines).encode()
    if path.suffix == ".csv":
        path.write_bytes(data)
    else:
        with ZipFile(path, "w", ZIP_DEFLATED) as archive:
            archive.writestr(path.with_suffix(".csv").name, data)
    return path


def told(url: str, *paths: Path) -> dict[str, Any]:
    """The report of a load in this process."""
    return load(url, find(paths), "binance_futures_um").as_json()


def table(url: str, name: str, columns: str = "*", order: str = "1") -> list[tuple[Any, ...]]:
    with psycopg.connect(url, options="-c timezone=UTC") as connection:
        return connection.execute(f"SELECT {columns} FROM market_data.{name} ORDER BY {order}".encode()).fetchall()


def execute(url: str, *queries: str) -> None:
    with psycopg.connect(url, autocommit=True, options="-c timezone=UTC") as connection:
        for query in queries:
            connection.execute(query.encode())


@pytest.fixture(scope="module")
def database(server: Server) -> str:
    return server.database("ingest")


@pytest.fixture
def url(database: str) -> str:
    """URL of a database without the schema; all tests share it, because making one takes longer than most of them."""
    execute(database, "DROP SCHEMA IF EXISTS market_data CASCADE")
    return database


@pytest.fixture
def ingest(candlemill: Callable[..., Ran], tmp_path: Path, url: str) -> Callable[..., dict[str, Any]]:
    """Loads the folder ``in`` (or what is given) and returns the report."""

    def command(*words: object, code: int = 0) -> dict[str, Any]:
        ran = candlemill("ingest", "binance-vision", *(words or [tmp_path / "in"]), "--source", url, "--json")
        assert ran.code == code, ran.err
        report: dict[str, Any] = json.loads(ran.out)
        return report

    return command


Ingest = "Callable[..., dict[str, Any]]"


# -- from archives to indicators


def test_two_commands_lead_from_archives_to_indicators(
    candlemill: Callable[..., Ran], tmp_path: Path, url: str
) -> None:
    day = tmp_path / "in" / "data" / "futures" / "um" / "daily"
    for symbol in ("BTCUSDT", "ETHUSDT"):
        lines = [
            kline(START + timedelta(minutes=i), f"{100 + i % 7},{110 + i % 5},90,{101 + i % 7},5") for i in range(1440)
        ]
        write(day / "klines" / symbol / "1m" / f"{symbol}-1m-2026-01-18.zip", [HEADER, *lines])
        times = [START + timedelta(minutes=5 * i) for i in range(1, 289)]
        lines = [metric(time, symbol=symbol) for time in times]
        write(day / "metrics" / symbol / f"{symbol}-metrics-2026-01-18.zip", [METRICS_HEADER, *lines])
    env = {"DATABASE_URL": url}
    loaded = candlemill("ingest", "binance-vision", "in", env=env)
    assert loaded.code == 0, loaded.err
    shown = [line.split() for line in loaded.out.splitlines()]
    assert shown[1] == [
        "BTCUSDT",
        "1m",
        "1",
        "2026-01-18",
        "00:00",
        "2026-01-18",
        "23:59",
        "1440",
        "1440",
        "0",
        "0",
        "0",
        "0",
    ]
    assert shown[2] == [
        "BTCUSDT",
        "metrics",
        "1",
        "2026-01-18",
        "00:05",
        "2026-01-19",
        "00:00",
        "288",
        "288",
        "0",
        "0",
        "0",
        "0",
    ]
    assert len(shown) == 5
    assert "creating the schema" in loaded.err

    ran = candlemill("run", "--as-of", "2026-01-18T23:59", "--symbols", "all", "--json", env=env)
    assert ran.code == 0, ran.err
    assert (ran.record["symbols"], ran.record["series"], ran.record["errors"]) == (2, 14, [])
    database = tmp_path / "data" / "market_data.db"
    found = rows_of(database, 'SELECT 周期 AS i, count(*) AS n FROM "基础数据同步器.py" GROUP BY 1')
    assert {row["i"]: row["n"] for row in found} == dict.fromkeys(DEFAULT_INTERVALS, 2)
    assert len(rows_of(database, 'SELECT * FROM "期货情绪元数据.py"')) > 0


def test_loading_twice_changes_nothing(ingest: Any, tmp_path: Path, url: str) -> None:
    folder = tmp_path / "in"
    write(folder / "BTCUSDT-1m-2026-01-18.zip", bars(90))
    write(folder / "BTCUSDT-1h-2026-01.csv", bars(5, "1h"))
    write(folder / "BTCUSDT-metrics-2026-01-18.csv", [METRICS_HEADER, metric(START), metric(START, "1,2,3,4,5,6")])
    tables = ("candles_1m", "candles_5m", "candles_1h", "candles_1w", "binance_futures_metrics_5m")
    first = ingest()
    # xmin and xmax are the transactions that wrote and that locked a row.
    before = {name: table(url, name, "xmin::text, xmax::text, *", "3, 4, 5") for name in tables}
    second = ingest()
    assert {name: table(url, name, "xmin::text, xmax::text, *", "3, 4, 5") for name in tables} == before
    names = ("what", "rows", "inserted", "updated", "unchanged")
    assert [[one[name] for name in names] for one in first["series"]] == [
        ["1h", 5, 5, 0, 0],
        ["1m", 90, 90, 0, 0],
        ["metrics", 2, 1, 0, 1],
    ]
    assert [[one[name] for name in names] for one in second["series"]] == [
        ["1h", 5, 0, 0, 5],
        ["1m", 90, 0, 0, 90],
        ["metrics", 2, 0, 0, 2],
    ]
    assert (len(first["created"]), second["created"], second["derived"]) == (13, [], {})
    # Of two lines with the same time the later one counts.
    assert table(url, "binance_futures_metrics_5m", "sum_open_interest") == [(Decimal(1),)]


def test_a_corrected_archive_updates_the_rows_that_it_corrects(ingest: Any, tmp_path: Path, url: str) -> None:
    file = tmp_path / "in" / "BTCUSDT-1d-2026-01.csv"
    write(file, bars(3, "1d"))
    ingest()
    execute(url, "UPDATE market_data.candles_1d SET source = 'collector'")
    lines = bars(3, "1d")
    lines[1] = kline(START + timedelta(days=1), "1,2,0.5,1.5,3")
    write(file, lines)
    [series] = ingest()["series"]
    assert (series["inserted"], series["updated"], series["unchanged"]) == (0, 1, 2)
    found = table(url, "candles_1d", "open, source, updated_at > ingested_at", "bucket_ts")
    assert found == [
        (Decimal("100.10"), "collector", False),
        (Decimal(1), "binance_vision", True),
        (Decimal("100.10"), "collector", False),
    ]


# -- layouts


def test_every_layout_gives_the_same_rows(ingest: Any, tmp_path: Path, url: str) -> None:
    heads: list[list[str]] = [[], [HEADER], ["\ufeff" + HEADER], ["Open time" + HEADER[9:]]]
    symbols = set()
    for number, head in enumerate(heads):
        for micro in (False, True):
            for ending in ("csv", "zip"):
                symbol = f"{number}00{ending.upper()}{'MICRO' * micro}USDT"
                lines = [*head, *bars(2, "1h", micro=micro), "", ""]
                write(tmp_path / "in" / f"{symbol}-1h-2026-01-18.{ending}", lines, "\r\n" if micro else "\n")
                symbols.add(symbol)
    files = ingest()["files"]
    assert {(file["symbol"], file["what"], file["rows"], file["rejected"]) for file in files} == {
        (symbol, "1h", 2, 0) for symbol in symbols
    }
    columns = (
        "symbol, bucket_ts, exchange, open, high, low, close, volume, quote_volume, trade_count, taker_buy_volume,"
        " taker_buy_quote_volume, is_closed, source"
    )
    numbers = [Decimal(text) for text in (*GOOD.split(","), "1254.125", "77", "6.25", "627.5")]
    times = [START, START + timedelta(hours=1)]
    assert table(url, "candles_1h", columns) == [
        (symbol, time, "binance_futures_um", *numbers, True, "binance_vision")
        for symbol in sorted(symbols)
        for time in times
    ]


def test_decimals_are_kept_to_the_last_digit(ingest: Any, tmp_path: Path, url: str) -> None:
    texts = ["0.000000000001", "98765432109876543210987654.123456789012", "0", "1.2E-8", "0.1000000000000004"]
    write(tmp_path / "in" / "PEPEUSDT-1d-2026-01-18.csv", [kline(START, ",".join(texts), rest=",,,")])
    ingest()
    [row] = table(url, "candles_1d", "open, high, low, close, volume, quote_volume, trade_count, taker_buy_volume")
    assert row == (*map(Decimal, texts[:4]), Decimal("0.1"), None, None, None)


GRID = {
    "1mo": ("1M", "2026-02-01", "2026-02-02"),
    "1w": ("1w", "2026-01-19", "2026-01-20"),
    "3d": ("3d", "2026-01-20", "2026-01-20T12:00"),
    "1d": ("1d", "2026-01-20", "2026-01-20T08:00"),
    "8h": ("8h", "2026-01-20T16:00", "2026-01-20T12:00"),
    "15m": ("15m", "2026-01-20T16:45", "2026-01-20T16:50"),
}


def test_a_bar_begins_where_bars_of_its_interval_begin(ingest: Any, tmp_path: Path, url: str) -> None:
    moments = {}
    for name, (interval, *texts) in GRID.items():
        good, bad = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in texts)
        write(tmp_path / "in" / f"BTCUSDT-{name}-2026-01.zip", [kline(good), kline(bad)])
        moments[interval] = good
    files = {file["what"]: file for file in ingest()["files"]}
    assert set(files) == set(moments)
    for interval, file in files.items():
        assert (file["rows"], [line["line"] for line in file["rejects"]]) == (1, [2])
        assert f"does not begin a {interval} bar" in file["rejects"][0]["reason"]
        assert table(url, f'"candles_{interval}"', "bucket_ts") == [(moments[interval],)]


def test_metrics_keep_their_blanks_and_their_times_are_utc_whatever_the_server_says(
    ingest: Any, tmp_path: Path, url: str
) -> None:
    init_db(url)
    name = url.rpartition("/")[2]
    execute(url, f"ALTER DATABASE {name} SET timezone = 'Asia/Tokyo'")
    lines = [METRICS_HEADER, metric(START, "10.123456789012345678,,1.1,,1.3,")]
    lines += [f'"{START + timedelta(minutes=5):%Y-%m-%d %H:%M:%S}","BTCUSDT","1","2","3","4","5","6"']
    lines += [metric(START + timedelta(minutes=10), symbol="ETHUSDT"), metric(START + timedelta(minutes=11))]
    lines += ["yesterday,BTCUSDT,1,2,3,4,5,6", metric(START, "-1,2,3,4,5,6")]
    write(tmp_path / "in" / "BTCUSDT-metrics-2026-01-18.zip", lines)
    [file] = ingest()["files"]
    assert [(line["line"], line["reason"]) for line in file["rejects"]] == [
        (4, "symbol 'ETHUSDT' is not BTCUSDT, which the file is named after"),
        (5, "2026-01-18 00:11:00.000000 does not begin a 5m bar"),
        (6, "create_time 'yesterday' is not a time such as 2026-01-18 00:05:00"),
        (7, "sum_open_interest -1 is negative"),
    ]
    numbers = [Decimal("10.123456789012345678"), None, Decimal("1.1"), None, Decimal("1.3"), None]
    columns = f"create_time, symbol, {METRICS_HEADER.partition('symbol,')[2]}, exchange, source, is_closed"
    rest = ("binance_futures_um", "binance_vision", True)
    bare = START.replace(tzinfo=None)
    assert table(url, "binance_futures_metrics_5m", columns) == [
        (bare, "BTCUSDT", *numbers, *rest),
        (bare + timedelta(minutes=5), "BTCUSDT", *map(Decimal, range(1, 7)), *rest),
    ]


def test_a_bar_that_has_not_ended_is_not_closed(ingest: Any, tmp_path: Path, url: str) -> None:
    now = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    write(tmp_path / "in" / "BTCUSDT-1d-2026-01.csv", [kline(now - timedelta(days=1)), kline(now)])
    ingest()
    assert table(url, "candles_1d", "is_closed", "bucket_ts") == [(True,), (False,)]


# -- bad lines and bad files

BAD_LINES = {
    f"{START:%s},{GOOD}": "it has 6 columns, not 12",
    "hello": "it has 1 columns, not 12",
    HEADER: "open_time 'open_time' is not a time in milliseconds or microseconds",
    kline(START)[3:]: "open_time '",
    kline(START, "1,2,0.5,x,3"): "close 'x' is not a number",
    kline(START, "1,2,0.5,nan,3"): "close 'nan' is not a number",
    kline(START, "1,2,,1,3"): "low '' is not a number",
    kline(START, "1,2,0.5,1_0,3"): "close '1_0' is not a number",
    kline(START, "1,2,0.5,１,3"): "close '１' is not a number",
    kline(START, "1,2,0.5,1,-3"): "volume -3 is negative",
    kline(START, "1,2,0.5,1,1e26"): "volume 1e26 is too large for the table",
    kline(START, "1,2,2.5,1,3"): "high 2 is below low 2.5",
    kline(START, rest="1,1.5,1,1"): "count '1.5' is not a whole number",
    kline(START, rest="1,1,1,-1"): "taker_buy_quote_volume -1 is negative",
    kline(START + timedelta(seconds=1)): "2026-01-18 00:00:01.000000 does not begin a 1m bar",
    "\0" * 20: "it has 1 columns, not 12",
    "\udcff".encode(errors="surrogateescape").decode(errors="replace") + kline(START): "open_time '",
}


@pytest.mark.parametrize(("line", "reason"), BAD_LINES.items(), ids=range(len(BAD_LINES)))
def test_a_bad_line_is_rejected_with_its_reason(line: str, reason: str) -> None:
    found = list(rows(io.StringIO(f"{kline(START)}\n{line}\n{kline(START)}\n"), Content("BTCUSDT", INTERVALS["1m"])))
    assert [isinstance(one, Reject) for one in found] == [False, True, False]
    assert isinstance(found[1], Reject)
    assert found[1].line == 2
    assert found[1].reason.startswith(reason)


def test_bad_lines_are_told_and_counted_and_stop_nothing(
    candlemill: Callable[..., Ran], tmp_path: Path, url: str
) -> None:
    file = write(tmp_path / "BTCUSDT-1m-2026-01-18.csv", [HEADER, *bars(2), *BAD_LINES, *bars(4)])
    ran = candlemill("ingest", "binance-vision", file.name, "--source", url)
    assert ran.code == 0, ran.err
    assert len(table(url, "candles_1m")) == 4
    lines = ran.out.splitlines()
    assert lines[1].split()[-6:] == ["6", "4", "0", "2", str(len(BAD_LINES)), "0"]
    assert [line.partition(": ")[0] for line in lines[2:7]] == [f"rejected {file.name}:{n}" for n in range(4, 9)]
    assert lines[7] == f"rejected {file.name}: {len(BAD_LINES) - 5} more lines"


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    text = io.TextIOWrapper(io.BytesIO(b"7" * 20_000_000))
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    rejected = sum(isinstance(row, Reject) for row in rows(text, Content("BTCUSDT", INTERVALS["1m"])))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert rejected == 20_000_000 // 4096 + 1
    assert peak - before < 1_000_000


def test_a_bad_file_stops_no_other_and_leaves_nothing_behind(ingest: Any, tmp_path: Path, url: str) -> None:
    folder = tmp_path / "in"
    write(folder / "AUSDT-1h-2026-01.csv", bars(3, "1h"))
    whole = write(folder / "BUSDT-1h-2026-01.zip", bars(500, "1h")).read_bytes()
    # The lines come out of a damaged zip before its checksum proves wrong.
    (folder / "BUSDT-1h-2026-01.zip").write_bytes(whole.replace(whole[14:18], b"\1\2\3\4"))
    (folder / "CUSDT-1h-2026-01.zip").write_bytes(whole[: len(whole) // 2])
    (folder / "DUSDT-1h-2026-01.zip").write_bytes(b"")
    (folder / "EUSDT-1h-2026-01.csv").write_bytes(b"")
    write(folder / "FUSDT-1h-2026-01.csv", ["hello", "world"])
    with ZipFile(folder / "GUSDT-1h-2026-01.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    write(folder / "ZUSDT-1h-2026-01.csv", bars(3, "1h"))
    report = ingest(code=2)
    states = {file["file"].rpartition("/")[2][:1]: (file["state"], file["reason"]) for file in report["files"]}
    assert {symbol: state for symbol, (state, _) in states.items()} == {
        "A": "loaded",
        **dict.fromkeys("BCDEFG", "failed"),
        "Z": "loaded",
    }
    assert "Bad CRC-32" in states["B"][1]
    assert states["E"][1] == states["F"][1] == "it has no good line"
    assert states["G"][1] == "it holds no .csv file"
    assert {row[1] for row in table(url, "candles_1h")} == {"AUSDT", "ZUSDT"}


def test_a_zip_of_many_members_is_read_and_never_extracted(ingest: Any, tmp_path: Path, url: str) -> None:
    folder = tmp_path / "in" / "deep"
    folder.mkdir(parents=True)
    with ZipFile(folder / "BTCUSDT-1h-2026-01.zip", "w") as archive:
        for name, symbol in (
            ("../../ETHUSDT-1h-2026-01.csv", "ETH"),
            ("/tmp/prices.csv", "BTC"),
            ("x\\LTCUSDT-1d-2026-01.CSV", "LTC"),
        ):
            archive.writestr(name, "\n".join(bars(2, "1d" if symbol == "LTC" else "1h")))
        archive.writestr("__MACOSX/._ETHUSDT-1h-2026-01.csv", b"\0\5\26\7")
        archive.writestr("inner.zip", b"PK")
    report = ingest()
    assert {(one["symbol"], one["what"], one["rows"]) for one in report["series"]} == {
        ("ETHUSDT", "1h", 2),
        ("BTCUSDT", "1h", 2),
        ("LTCUSDT", "1d", 2),
    }
    assert [path.name for path in tmp_path.rglob("*")] == ["in", "deep", "BTCUSDT-1h-2026-01.zip"]
    assert len(table(url, "candles_1h")) == 4


def test_files_that_are_something_else_are_skipped_and_say_why(ingest: Any, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    names = {
        "BTCUSDT-aggTrades-2026-01-18.csv": "its name is neither SYMBOL-INTERVAL-DATE nor SYMBOL-metrics-DATE",
        "notes.csv": "its name is neither",
        "BTCUSDT-1s-2026-01-18.csv": "candlemill has no interval 1s",
        "um/markPriceKlines/BTCUSDT/1h/BTCUSDT-1h-2026-01.csv": "it lies under markPriceKlines",
        "data/spot/monthly/klines/BTCUSDT/1h/BTCUSDT-1h-2026-01.csv": "load it with --exchange binance_spot",
        "data/futures/um/monthly/klines/BTCUSDT/1h/BTCUSDT-1h-2026-01.csv": "",
    }
    for name in names:
        write(folder / name, bars(2, "1h"))
    for unseen in ("BTCUSDT-1h-2026-01.zip.CHECKSUM", "._BTCUSDT-1h-2026-01.csv", "readme.md"):
        write(folder / unseen, ["hello"]).rename(folder / unseen) if unseen.endswith("csv") else (
            folder / unseen
        ).write_text("hello")
    report = ingest()
    found = {file["file"].removeprefix(f"{folder}/"): file for file in report["files"]}
    assert set(found) == set(names)
    for name, reason in names.items():
        assert (found[name]["state"], reason in (found[name]["reason"] or "")) == (
            "skipped" if reason else "loaded",
            True,
        )
    [spot] = ingest(folder / "data" / "spot", "--exchange", "binance_spot")["series"]
    assert (spot["inserted"], spot["unchanged"]) == (2, 0)


# -- archives that somebody made to do harm, or damaged


def zipped(path: Path, *members: tuple[str, str], compression: int = ZIP_DEFLATED) -> Path:
    """A zip of members, each with its name and its text; names may be anything."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with ZipFile(path, "w", compression) as archive:
        for name, text in members:
            member = ZipInfo("x")
            member.filename, member.compress_type = name, compression
            archive.writestr(member, text)
    return path


HOURS = "\n".join(bars(3, "1h"))


def test_members_of_any_name_are_passed_over_or_read(tmp_path: Path, url: str) -> None:
    names = [
        "",
        "/",
        "..",
        "a/",
        "x.csv/",
        "\\",
        ".csv",
        "\x1b[2J.csv",
        "ä.csv",
        f"{'S' * 9000}-1h-2026-01.csv",
        "COM1",
    ]
    first = zipped(tmp_path / "in" / "AUSDT-1h-2026-01.zip", *((name, "hello") for name in names))
    zipped(tmp_path / "in" / "nameless.zip", ("", HOURS))
    zipped(
        tmp_path / "in" / "BUSDT-1h-2026-01.zip", *((name, "hello") for name in names), ("BUSDT-1h-2026-01.csv", HOURS)
    )
    report = told(url, tmp_path / "in")
    loaded = [file for file in report["files"] if file["state"] == "loaded"]
    assert [(file["symbol"], file["inserted"]) for file in loaded] == [("BUSDT", 3)]
    reasons = {file["file"].rpartition("/")[2]: file["reason"] for file in report["files"]}
    assert reasons["nameless.zip"] == "it holds no .csv file"
    assert reasons["\\x1b[2J.csv"] == "it has no good line"
    assert all(name.isprintable() for name in reasons)
    assert first.exists()


def test_a_damaged_member_costs_itself_alone(tmp_path: Path, url: str) -> None:
    names = ["AUSDT-1h-2026-01.csv", "BUSDT-1h-2026-01.csv", "CUSDT-1h-2026-01.csv", "DUSDT-1h-2026-01.csv"]
    path = zipped(tmp_path / "all.zip", *((name, HOURS) for name in names), compression=ZIP_STORED)
    data = path.read_bytes()
    place = data.index(b"100.10", data.index(b"BUSDT-1h"))
    data = data[:place] + b"9" + data[place + 1 :]
    place = data.index(b"PK\1\2", data.index(b"CUSDT", data.index(b"PK\1\2")))
    # The fourth member is said to be compressed by a method that archives never have.
    path.write_bytes(data[: place + 10] + b"\x0c" + data[place + 11 :])
    report = told(url, path)
    assert [(file["file"].rpartition("/")[2][:1], file["state"]) for file in report["files"]] == [
        ("A", "loaded"),
        ("B", "failed"),
        ("C", "loaded"),
        ("D", "failed"),
    ]
    assert "Bad CRC-32" in report["files"][1]["reason"]
    assert report["files"][3]["reason"].startswith("it is compressed in a way that no archive is")
    assert {row[1] for row in table(url, "candles_1h")} == {"AUSDT", "CUSDT"}


def test_a_zip_that_holds_far_more_than_it_is_large_is_refused_unread(tmp_path: Path) -> None:
    bomb = zipped(tmp_path / "AUSDT-1h-2026-01.zip", *((f"{n}.csv", "0" * 10_000_000) for n in range(10)))
    assert bomb.stat().st_size < 200_000
    with (
        Archives() as archives,
        pytest.raises(UnsuitableError, match="hold 100000000 bytes of text, more than 200 times"),
    ):
        archives.parts(bomb)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_whatever_is_wrong_with_a_zip_is_told_in_one_way(data: st.DataObject, tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("zips")
    path = zipped(folder / "x.zip", ("AUSDT-1h-2026-01.csv", HOURS), ("ä.csv", HOURS))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))])
    with Archives() as archives, suppress(UnreadableError, UnsuitableError):
        for part in archives.parts(path):
            with archives.text(part) as text:
                list(rows(text, Content("AUSDT", INTERVALS["1h"])))


# -- times far apart


def test_rows_of_different_centuries_touch_nothing_between_them(tmp_path: Path, url: str) -> None:
    """Minutes of 2001 and 2200 in one file, metrics of 1970 and 2100 in another."""
    far = [datetime(2001, 9, 10, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)]
    told(url, write(tmp_path / "BTCUSDT-1m-2026-01-18.csv", bars(60)))
    execute(url, "UPDATE market_data.candles_1m SET open = 99", "DELETE FROM market_data.candles_5m")
    files = [
        write(tmp_path / "BTCUSDT-1m-2026-02.csv", [kline(moment) for moment in far]),
        write(tmp_path / "BTCUSDT-metrics-2026-01-18.csv", ["1970-01-01 00:05:00,BTCUSDT,,,,,,", metric(far[1])]),
    ]
    report = told(url, *files)
    assert report["derived"]["candles_5m"] == 2
    assert table(url, "candles_5m", "bucket_ts", "1") == [(moment,) for moment in far]
    missing = {series["what"]: [gap["missing"] for gap in series["gaps"]] for series in report["series"]}
    minutes = [
        int((later - sooner) / timedelta(minutes=1)) - 1 for sooner, later in zip(far, [START, far[1]], strict=True)
    ]
    minutes[1] = int((far[1] - START) / timedelta(minutes=1)) - 60
    assert missing["1m"] == minutes
    assert missing["metrics"] == [int((far[1] - datetime(1970, 1, 1, 0, 5, tzinfo=UTC)) / timedelta(minutes=5)) - 1]


@pytest.mark.parametrize(
    "moment", ["9999-12-31 23:55:00", "0001-01-01 00:00:00", "1969-12-31 23:55:00", "2262-01-01 00:00:00"]
)
def test_a_time_that_nothing_can_tell_is_a_bad_line(moment: str) -> None:
    [bad] = rows(io.StringIO(f"{moment},BTCUSDT,1,2,3,4,5,6\n"), Content("BTCUSDT", INTERVALS["5m"], metrics=True))
    assert isinstance(bad, Reject)
    assert bad.reason.endswith("is not between 1970 and 2262")


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=400))
def test_stretches_hold_all_rows_and_are_few(hours: list[int]) -> None:
    moments = [START + timedelta(hours=hour) for hour in hours]
    stretches = Stretches(timedelta(hours=1))
    for moment in moments:
        stretches.add(moment)
    found = stretches.ranges
    assert len(found) <= 100
    assert all(any(start <= moment < until for start, until in found) for moment in moments)
    edges = {start for start, _ in found} | {until - timedelta(hours=1) for _, until in found}
    assert edges <= set(moments)
    assert union(found) == found


@given(st.lists(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 5)), max_size=3), max_size=8))
def test_files_are_together_where_their_rows_overlap(spans: list[list[tuple[int, int]]]) -> None:
    hour = timedelta(hours=1)
    ranges = [union(Range(START + a * hour, START + (a + n) * hour) for a, n in span) for span in spans]
    groups = overlapping(ranges)
    assert sorted(number for group in groups for number in group) == list(range(len(spans)))
    together = [set(group) for group in groups]
    for one, two in itertools.combinations(range(len(spans)), 2):
        if common(ranges[one], ranges[two]):
            assert any({one, two} <= group for group in together)
    for group in together:
        reached = {min(group)}
        for _ in group:
            reached |= {b for a in reached for b in group if common(ranges[a], ranges[b])}
        assert reached == group


# -- columns by their names

NAMES = HEADER.split(",")
_OPENS = int(START.timestamp()) * 1000
VALUES = f"{_OPENS},100.1,101.5,99.25,100.75,12.5,{_OPENS + 59999},1254.125,77,6.25,627.5,0"
METRICS_VALUES = "2026-01-18 00:05:00,BTCUSDT,1,2,3,4,5,6"


def lines_of(header: list[str], values: list[str], metrics: bool = False) -> list[Any]:
    text = f"{','.join(header)}\n{','.join(values)}\n"
    return list(rows(io.StringIO(text), Content("BTCUSDT", INTERVALS["5m" if metrics else "1m"], metrics)))


@settings(max_examples=60, deadline=None)
@given(order=st.permutations(range(12)), foreign=st.lists(st.integers(0, 12), max_size=3), capital=st.booleans())
def test_columns_go_by_their_names_in_any_order(order: list[int], foreign: list[int], capital: bool) -> None:
    published = VALUES.split(",")
    header = [NAMES[index].replace("_", " ").title() if capital else NAMES[index] for index in order]
    values = [published[index] for index in order]
    for place in foreign:
        header.insert(place, f"x{place}")
        values.insert(place, "7")
    [[expected]] = [lines_of(NAMES, published)]
    [found] = lines_of(header, values)
    assert (found.moment, found.values) == (expected.moment, expected.values)


@given(order=st.permutations(range(8)))
def test_columns_of_metrics_go_by_their_names_in_any_order(order: list[int]) -> None:
    header, published = METRICS_HEADER.split(","), METRICS_VALUES.split(",")
    [found] = lines_of([header[index] for index in order], [published[index] for index in order], metrics=True)
    assert found.values == ("1", "2", "3", "4", "5", "6")


def test_the_names_of_the_exchanges_documents_are_known() -> None:
    names = "Open time,Open,High,Low,Close,Volume,Close time,Quote asset volume,Number of trades,"
    names += "Taker buy base asset volume,Taker buy quote asset volume,Ignore"
    assert lines_of(names.split(","), VALUES.split(",")) == lines_of(NAMES, VALUES.split(","))


@pytest.mark.parametrize(
    ("header", "missing"),
    [
        (HEADER.replace("quote_volume,", "", 1), "quote_volume"),
        (HEADER.replace("close_time", "close"), "close"),
        (HEADER.replace("open_time", "24h"), "open_time"),
        ("time,o,h,l,c,v", "open_time, open, high, low, close, volume"),
    ],
)
def test_a_header_that_lacks_a_column_is_refused(tmp_path: Path, url: str, header: str, missing: str) -> None:
    good = write(tmp_path / "BTCUSDT-1m-2026-01-19.csv", bars(1))
    file = write(tmp_path / "BTCUSDT-1m-2026-01-18.csv", [header, *bars(2)])
    bad, other = told(url, file, good)["files"]
    assert (bad["state"], other["state"], other["inserted"]) == ("failed", "loaded", 1)
    assert bad["reason"].startswith(f"its header {header!r} does not have each of {missing}")
    assert bad["reason"].endswith(" once")


# -- files that say different things about a bar


def test_files_that_disagree_are_settled_by_their_values_and_told(
    candlemill: Callable[..., Ran], tmp_path: Path, url: str
) -> None:
    """A daily and a monthly archive of 2020-12-21 say different things about the same minutes."""
    whole = [kline(START + timedelta(minutes=i), rest="1254,77,6.25,627.5") for i in range(5)]
    cut = [*whole[:2], *(kline(START + timedelta(minutes=i), "1,2,0.5,1,3", rest="300,5,1,150") for i in range(2, 5))]
    daily, monthly = tmp_path / "in" / "daily" / "A.csv", tmp_path / "in" / "monthly" / "A.csv"
    for one, other in ((whole, cut), (cut, whole)):
        execute(url, "DROP SCHEMA IF EXISTS market_data CASCADE")
        files = [
            write(daily.with_name("BTCUSDT-1m-2026-01-18.csv"), one),
            write(monthly.with_name("BTCUSDT-1m-2026-01.csv"), other),
        ]
        for number, order in enumerate((files, files[::-1], files)):
            report = told(url, *order)
            assert table(url, "candles_1m", "trade_count", "bucket_ts") == [(77,)] * 5
            assert [file["updated"] for file in report["files"]] == [0, 0]
            assert sum(file["inserted"] for file in report["files"]) == (0 if number else 5)
            [conflict] = report["conflicts"]
            assert conflict == {
                "symbol": "BTCUSDT",
                "what": "1m",
                "file": str(files[0 if one is cut else 1]),
                "taken": str(files[0 if one is whole else 1]),
                "first": "2026-01-18T00:02:00+00:00",
                "last": "2026-01-18T00:04:00+00:00",
                "rows": 3,
            }
            assert {file["file"]: file["overruled"] for file in report["files"]} == {
                conflict["file"]: 3,
                conflict["taken"]: 0,
            }
    shown = candlemill("ingest", "binance-vision", "in", "--source", url).out
    assert (
        "conflict BTCUSDT 1m: 3 from 2026-01-18 00:02 to 2026-01-18 00:04 in in/daily/BTCUSDT-1m-2026-01-18.csv are "
        "not taken: in/monthly/BTCUSDT-1m-2026-01.csv says otherwise, and has more trades, or as many and more volume"
    ) in shown.splitlines()


VALUE = st.sampled_from(["0", "1", "2.5"])
BAR = st.tuples(st.integers(0, 5), VALUE, st.sampled_from(["", "1", "2"]))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.lists(st.lists(BAR, min_size=1, max_size=6), min_size=2, max_size=4), data=st.data())
def test_what_is_settled_does_not_depend_on_the_order_of_the_files(
    files: list[list[tuple[int, str, str]]], data: st.DataObject, url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    def loaded(order: list[int]) -> tuple[list[tuple[Any, ...]], Report]:
        folder = tmp_path_factory.mktemp("files")
        paths = []
        for place, number in enumerate(order):
            lines = [
                kline(START + timedelta(minutes=m), f"{v},9,0,{v},{v}", rest=f"{v},{n},{v},{v}")
                for m, v, n in files[number]
            ]
            paths.append(write(folder / str(place) / "BTCUSDT-1m-2026-01-18.csv", lines))
        execute(url, "DELETE FROM market_data.candles_1m")
        load(url, paths, "binance_futures_um")
        first = table(url, "candles_1m", "bucket_ts, open, volume, trade_count", "bucket_ts")
        return first, load(url, paths, "binance_futures_um")

    init_db(url)
    numbers = list(range(len(files)))
    expected, _ = loaded(numbers)
    found, again = loaded(data.draw(st.permutations(numbers)))
    assert found == expected
    assert sum(file.inserted + file.updated for file in again.files) == 0
    whole = {minute for file in files for minute, *_ in file}
    assert len(found) == len(whole)


def test_a_later_call_corrects_an_earlier_one_even_with_less(tmp_path: Path, url: str) -> None:
    file = tmp_path / "BTCUSDT-1m-2026-01-18.csv"
    told(url, write(file, bars(2)))
    report = told(url, write(file, bars(2, prices="1,2,0.5,1,3", rest="1,1,1,1")))
    assert (report["files"][0]["updated"], report["conflicts"]) == (2, [])
    assert table(url, "candles_1m", "trade_count") == [(1,), (1,)]


# -- metrics that come late


def test_metrics_a_second_late_are_those_of_their_five_minutes(tmp_path: Path, url: str) -> None:
    five = timedelta(minutes=5)
    lines = [
        metric(START + timedelta(seconds=1), "1,1,1,1,1,1"),
        metric(START + five, "2,2,2,2,2,2"),
        metric(START + five + timedelta(seconds=3), "3,3,3,3,3,3"),
        metric(START + 2 * five + timedelta(seconds=59), "4,4,4,4,4,4"),
        metric(START + 3 * five + timedelta(seconds=60), "5,5,5,5,5,5"),
        metric(START + 4 * five - timedelta(seconds=1), "6,6,6,6,6,6"),
    ]
    first = write(tmp_path / "BTCUSDT-metrics-2026-01-18.csv", [METRICS_HEADER, *lines])
    second = write(tmp_path / "BTCUSDT-metrics-2026-01-19.csv", [metric(START, "7,7,,7,7,7")])
    report = told(url, first, second)
    assert [line["line"] for line in report["files"][0]["rejects"]] == [6, 7]
    assert table(url, "binance_futures_metrics_5m", "create_time, sum_open_interest", "create_time") == [
        (START.replace(tzinfo=None), Decimal(7)),
        ((START + five).replace(tzinfo=None), Decimal(2)),
        ((START + 2 * five).replace(tzinfo=None), Decimal(4)),
    ]
    [conflict] = report["conflicts"]
    assert (conflict["file"], conflict["taken"], conflict["rows"]) == (str(first), str(second), 1)
    assert sum(file["inserted"] + file["updated"] for file in told(url, first, second)["files"]) == 0


# -- gaps


def test_gaps_within_and_between_files_are_what_the_database_lacks(ingest: Any, tmp_path: Path) -> None:
    folder, lines = tmp_path / "in", bars(24 * 5, "1h")
    write(folder / "BTCUSDT-1h-2026-01-18.csv", [*lines[:3], *lines[5:24]])
    write(folder / "BTCUSDT-1h-2026-01-20.csv", lines[48:72])
    months = [datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2, 6)]
    write(folder / "BTCUSDT-1mo-2026.csv".replace("2026", "2026-01"), [kline(month) for month in months])
    write(folder / "BTCUSDT-metrics-2026-01-18.csv", [metric(START), metric(START + timedelta(minutes=20))])
    found = {one["what"]: one for one in ingest()["series"]}
    assert (found["1h"]["missing"], found["1h"]["gap_count"]) == (26, 2)
    assert found["1h"]["gaps"] == [
        {"first": "2026-01-18T03:00:00+00:00", "last": "2026-01-18T04:00:00+00:00", "missing": 2},
        {"first": "2026-01-19T00:00:00+00:00", "last": "2026-01-19T23:00:00+00:00", "missing": 24},
    ]
    assert found["1M"]["gaps"] == [
        {"first": "2026-03-01T00:00:00+00:00", "last": "2026-05-01T00:00:00+00:00", "missing": 3}
    ]
    assert found["metrics"]["missing"] == 3
    [filled] = ingest(write(folder / "BTCUSDT-1h-2026-01.csv", lines))["series"]
    assert (filled["inserted"], filled["missing"]) == (24 * 5 - 46, 0)


# -- tables, views, and what is made from 1m bars


def test_1m_archives_fill_the_coarser_tables_and_never_replace_what_is_there(
    ingest: Any, tmp_path: Path, url: str
) -> None:
    prices = [f"{100 + i},{200 + i},{50 - i / 10},{101 + i},{i}" for i in range(180)]
    lines = [kline(START + timedelta(minutes=i), price) for i, price in enumerate(prices)]
    hour = write(tmp_path / "BTCUSDT-1h-2026-01.csv", [kline(START + timedelta(hours=1))])
    ingest(hour)
    report = ingest(write(tmp_path / "BTCUSDT-1m-2026-01-18.csv", lines[:150]))
    assert report["derived"] == {
        "candles_5m": 30, "candles_15m": 10, "candles_1h": 2, "candles_4h": 1, "candles_1d": 1, "candles_1w": 1,
    }  # fmt: skip
    columns = "bucket_ts, open, high, low, close, volume, trade_count, source"
    own = (*map(Decimal, GOOD.split(",")), 77, "binance_vision")

    def built(first: int, last: int) -> tuple[Any, ...]:
        low = Decimal(str(50 - last / 10))
        volume = Decimal(sum(range(first, last + 1)))
        return (
            Decimal(100 + first),
            Decimal(200 + last),
            low,
            Decimal(101 + last),
            volume,
            77 * (last - first + 1),
            "built_from_1m",
        )

    times = [START + timedelta(hours=i) for i in range(3)]
    assert table(url, "candles_1h", columns) == [
        (times[0], *built(0, 59)),
        (times[1], *own),
        (times[2], *built(120, 149)),
    ]
    # More minutes: the bars that they belong to are built anew, from all of their minutes.
    again = ingest(write(tmp_path / "BTCUSDT-1m-2026-01-19.csv", lines[150:]))
    assert (again["derived"]["candles_1h"], again["derived"]["candles_1d"]) == (1, 1)
    assert table(url, "candles_1h", columns)[2] == (times[2], *built(120, 179))
    assert table(url, "candles_1w", columns) == [(datetime(2026, 1, 12, tzinfo=UTC), *built(0, 179))]
    # The interval's own archive wins over what was built.
    ingest(write(hour, [kline(times[0])]))
    assert table(url, "candles_1h", columns)[0] == (times[0], *own)


def test_a_view_is_not_loaded_into(ingest: Any, tmp_path: Path, url: str) -> None:
    init_db(url)
    execute(
        url,
        "DROP TABLE market_data.candles_1h",
        "CREATE VIEW market_data.candles_1h AS SELECT * FROM market_data.candles_1m",
    )
    write(tmp_path / "in" / "BTCUSDT-1h-2026-01.csv", bars(2, "1h"))
    write(tmp_path / "in" / "BTCUSDT-1m-2026-01.csv", bars(2))
    report = ingest()
    assert [(file["state"], file["reason"]) for file in report["files"]] == [
        ("skipped", "candles_1h is a view here, made from candles_1m: load the 1m archives"),
        ("loaded", None),
    ]
    assert "candles_1h" not in report["derived"]


def test_a_missing_table_is_made_unless_every_run_builds_it_from_1m(ingest: Any, tmp_path: Path, url: str) -> None:
    init_db(url)
    files = [write(tmp_path / f"BTCUSDT-{name}-2026-01.csv", bars(2, name)) for name in ("1m", "30m")]
    report = ingest(*files)
    assert report["created"] == ["candles_30m"]
    assert len(table(url, "candles_30m")) == 2
    [skipped] = ingest(write(tmp_path / "BTCUSDT-2h-2026-01.csv", bars(2, "2h")), code=5)["files"]
    assert skipped["state"] == "skipped"
    assert skipped["reason"].startswith("there is no candles_2h here, and every run builds 2h from candles_1m")


# -- what goes wrong


def test_wrong_usage_and_nothing_to_load(candlemill: Callable[..., Ran], tmp_path: Path, url: str) -> None:
    command = ("ingest", "binance-vision")
    (tmp_path / "empty").mkdir()
    for words, code, said in (
        ((*command, "empty"), 2, "give --source URL or set DATABASE_URL"),
        ((*command, "missing", "--source", url), 2, "missing does not exist: give downloaded"),
        ((*command, "empty", "--source", url), 5, "no .zip or .csv file in empty: download"),
        ((*command, "--source", url), 2, "Missing argument 'PATH...'"),
        (("ingest",), 2, "Missing command"),
    ):
        ran = candlemill(*words)
        assert (ran.code, ran.out, len(ran.err.splitlines())) == (code, "", 1)
        assert said in ran.err


def test_a_file_that_the_database_refuses_costs_itself_alone(tmp_path: Path, url: str) -> None:
    init_db(url)
    execute(url, "ALTER TABLE market_data.candles_1h ADD CHECK (open < 1000)")
    lines = bars(3, "1h")
    files = [
        write(tmp_path / "a" / "BTCUSDT-1h-2026-01.csv", lines),
        write(
            tmp_path / "b" / "BTCUSDT-1h-2026-01.csv",
            [*lines, kline(START + timedelta(hours=4), "2000,2000,2000,2000,1")],
        ),
        write(tmp_path / "c" / "BTCUSDT-1h-2026-01.csv", [*lines[:2], "nonsense"]),
        write(tmp_path / "d" / "BTCUSDT-1h-2026-01.zip", lines),
    ]
    files[3].write_bytes(files[3].read_bytes()[:-40])
    report = told(url, *files)
    assert [file["state"] for file in report["files"]] == ["loaded", "failed", "loaded", "failed"]
    assert report["files"][1]["reason"].startswith("candles_1h does not take it: ")
    assert [file["rows"] for file in report["files"]] == [3, 0, 2, 0]
    assert len(table(url, "candles_1h")) == 3


def test_the_server_ends_what_it_does_for_an_ingest_that_is_killed(tmp_path: Path, url: str) -> None:
    init_db(url)
    execute(
        url,
        "CREATE FUNCTION market_data.slowly() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_catalog.pg_sleep(1000); RETURN NEW; END $$",
        "CREATE TRIGGER slow BEFORE INSERT ON market_data.candles_1h"
        " FOR EACH ROW EXECUTE FUNCTION market_data.slowly()",
    )
    write(tmp_path / "BTCUSDT-1h-2026-01.csv", bars(2, "1h"))
    words = [str(CANDLEMILL), "ingest", "binance-vision", "BTCUSDT-1h-2026-01.csv", "--source", url]
    working = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
    with psycopg.connect(url, autocommit=True) as watching:

        def wait_for(count: int) -> None:
            begun = time.monotonic()
            while watching.execute(working.encode()).fetchone() != (count,):
                assert time.monotonic() - begun < 300
                time.sleep(0.05)

        with subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.DEVNULL) as child:
            wait_for(1)
            child.kill()
        wait_for(0)


def test_a_database_that_fails_is_named_without_its_password(
    candlemill: Callable[..., Ran], tmp_path: Path, server: Server, url: str
) -> None:
    init_db(url)
    reader = f"reader_{url.rpartition('_')[2]}"
    execute(
        url,
        f"CREATE ROLE {reader} LOGIN PASSWORD 'geheim'",
        f"GRANT USAGE ON SCHEMA market_data TO {reader}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA market_data TO {reader}",
    )
    write(tmp_path / "BTCUSDT-1h-2026-01.csv", bars(2, "1h"))
    for source, said, code in (
        (server.url_of(url.rpartition("/")[2], reader, "geheim"), "permission denied", 3),
        ("postgresql://me:geheim@127.0.0.1:1/market", "loading into postgresql://me@127.0.0.1:1/market failed", 3),
        ("postgresql://me:ge%heim@127.0.0.1/market", "cannot be read, and is not shown: give postgresql://", 2),
    ):
        ran = candlemill("ingest", "binance-vision", "BTCUSDT-1h-2026-01.csv", "--source", source)
        assert (ran.code, ran.out) == (code, "")
        assert said in ran.last
        assert "geheim" not in ran.err
        assert "ge%heim" not in ran.err
