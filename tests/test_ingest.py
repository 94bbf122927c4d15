"""Archives of Binance's public data, made as they are published, loaded through the command, read in the database."""

from __future__ import annotations

import io
import json
import tracemalloc
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zipfile import ZIP_DEFLATED, ZipFile

import psycopg
import pytest

from candlemill.pipeline.base.intervals import DEFAULT_INTERVALS, INTERVALS
from candlemill.pipeline.ingest.archives import Content
from candlemill.pipeline.ingest.layouts import Reject, rows
from candlemill.pipeline.source.schema import init_db
from tests.conftest import rows_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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
