"""Each kind of damaged data has its verdict, is counted where it is left out, and touches no other series."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from candlemill.indicators.registry import INDICATORS
from candlemill.pipeline.compute.checks import ASTRAY, IMPOSSIBLE, NEGATIVE
from tests import goldens
from tests.conftest import CANDLEMILL, dump_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Server

CASE = goldens.HERE / "synth_core"
AS_OF = "2026-01-22T09:07:00+00:00"
NEWEST, BEFORE = "2026-01-22T09:05:00+00:00", "2026-01-22T09:00:00+00:00"
SYMBOLS: list[str] = goldens.description(CASE)["symbols"]
TWIN = "AAAUSDT"
UNUSABLE, REPEATED = "bar without a finite price or volume", "repeated bar"

PRICES = ("open", "high", "low", "close")
VOLUMES = ("quote_volume", "taker_buy_volume", "taker_buy_quote_volume")
NUMBERS = ("NULL", "'NaN'", "'Infinity'", "'-Infinity'")


@dataclass(frozen=True)
class Damage:
    """What is done to a copy of a good series, under the damage's own symbol."""

    what: str
    sql: str
    #: Why bars are left out, and how many; nothing: all are used.
    skipped: str = ""
    bars: int = 0
    newest: str = NEWEST


def setting(assignment: str, skipped: str = "") -> Damage:
    """A damage to the newest bar alone."""
    sql = f"UPDATE market_data.candles_5m SET {assignment} WHERE symbol = %(symbol)s AND bucket_ts = '{NEWEST}'"
    return Damage(assignment, sql, skipped, bool(skipped), BEFORE if skipped else NEWEST)


def scaling(factor: str) -> Damage:
    prices = ", ".join(f"{name} = {name} / (SELECT avg(close) FROM s) * {factor}" for name in PRICES)
    sql = f"""
        WITH s AS (SELECT close FROM market_data.candles_5m WHERE symbol = %(symbol)s)
        UPDATE market_data.candles_5m SET {prices} WHERE symbol = %(symbol)s"""
    return Damage(f"prices around {factor}", sql)


DAMAGES = (
    *(setting(f"{column} = {value}", UNUSABLE) for column in (*PRICES, "volume") for value in NUMBERS),
    *(setting(f"{column} = {value}") for column in VOLUMES for value in NUMBERS),
    setting("trade_count = NULL"),
    *(setting(f"{column} = {value}", IMPOSSIBLE) for column in PRICES for value in ("0", "-1")),
    setting("high = low, low = high * 1.01", IMPOSSIBLE),
    setting("volume = -1", IMPOSSIBLE),
    setting("volume = 0, quote_volume = 0, taker_buy_volume = 0, taker_buy_quote_volume = 0, trade_count = 0"),
    setting("volume = 1e18"),
    setting("open = high * 2"),
    setting("bucket_ts = bucket_ts + interval '73 seconds'", ASTRAY),
    scaling("1e-12"),
    scaling("1e12"),
    Damage(
        "a repeated bar",
        "INSERT INTO market_data.candles_5m SELECT * FROM market_data.candles_5m"
        f" WHERE symbol = %(symbol)s AND bucket_ts = '{NEWEST}'",
        REPEATED,
        1,
    ),
    Damage(
        "bars in no order",
        "WITH gone AS (DELETE FROM market_data.candles_5m WHERE symbol = %(symbol)s RETURNING *)"
        " INSERT INTO market_data.candles_5m SELECT * FROM gone ORDER BY md5(bucket_ts::text)",
    ),
    Damage(
        "a bar of the future",
        "INSERT INTO market_data.candles_5m (exchange, symbol, bucket_ts, open, high, low, close, volume)"
        " VALUES ('binance_futures_um', %(symbol)s, '2026-01-22T09:10:00+00:00', 1, 1, 1, 1, 1)",
    ),
    Damage(
        "a bar without a time",
        "INSERT INTO market_data.candles_5m (exchange, symbol, open) VALUES ('binance_futures_um', %(symbol)s, 1)",
    ),
    Damage("one bar", f"DELETE FROM market_data.candles_5m WHERE symbol = %(symbol)s AND bucket_ts < '{NEWEST}'"),
)
#: Damages that leave the series the same.
HARMLESS = ("a repeated bar", "bars in no order", "a bar of the future", "a bar without a time")
NAMES = (
    "X",
    "L" * 200,
    "it's",
    '"quoted"',
    " blanks ",
    "100%s",
    "back\\slash",
    "new\nline",
    "🕯️",
    "'; DROP TABLE x; --",
)


@dataclass
class Outcome:
    """The rows of a run by table, and its record."""

    rows: dict[str, list[tuple[Any, ...]]]
    record: dict[str, Any]

    def of(self, symbol: str) -> dict[str, list[tuple[Any, ...]]]:
        """The rows of a symbol by table, without rowid and symbol."""
        return {table: [r[2:] for r in rows if r[1] == symbol] for table, rows in self.rows.items()}


def outcome(url: str, folder: Path, *words: str) -> Outcome:
    command = [str(CANDLEMILL), "run", "--source", url, "--symbols", "all", "--intervals", "5m", "--as-of", AS_OF]
    files = ["--sqlite", "result.db", "--duckdb", "work.duckdb", "--json"]
    done = subprocess.run([*command, *files, *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = dump_of(folder / "result.db")
    del rows["schema"]
    return Outcome(rows, json.loads(done.stdout))


@pytest.fixture(scope="module")
def clean(golden_url: Any, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return outcome(golden_url(CASE), tmp_path_factory.mktemp("clean"))


@pytest.fixture(scope="module")
def damaged(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    url = server.database("damaged")
    goldens.load(CASE, url)
    types = ", ".join(f"ALTER {name} TYPE numeric, ALTER {name} DROP NOT NULL" for name in (*PRICES, "volume"))
    types += "".join(f", ALTER {name} TYPE numeric" for name in VOLUMES)
    copy = """
        INSERT INTO market_data.candles_5m
            (exchange, symbol, bucket_ts, open, high, low, close, volume, quote_volume, trade_count,
             taker_buy_volume, taker_buy_quote_volume)
        SELECT exchange, %(symbol)s, bucket_ts, open, high, low, close, volume, quote_volume, trade_count,
            taker_buy_volume, taker_buy_quote_volume
        FROM market_data.candles_5m WHERE symbol = %(twin)s"""
    metrics = (
        "INSERT INTO market_data.binance_futures_metrics_5m (symbol, create_time, sum_open_interest_value)"
        " VALUES (%s, '2026-01-22 09:05', %s)"
    )
    with psycopg.connect(url, options="-c timezone=UTC") as connection:
        connection.execute("ALTER TABLE market_data.candles_5m DROP CONSTRAINT candles_5m_pkey")
        connection.execute(
            "ALTER TABLE market_data.candles_5m ALTER symbol DROP NOT NULL, ALTER bucket_ts DROP NOT NULL,"
            f" {types}".encode()
        )
        for number, damage in enumerate(DAMAGES):
            connection.execute(copy, {"symbol": symbol_of(number), "twin": TWIN})
            connection.execute(damage.sql.encode(), {"symbol": symbol_of(number)})
        for name in NAMES:
            connection.execute(copy, {"symbol": name, "twin": TWIN})
        nameless = (
            f"UPDATE market_data.candles_5m SET symbol = NULL WHERE symbol = 'NAMELESS' AND bucket_ts > '{BEFORE}'"
        )
        connection.execute(copy, {"symbol": "NAMELESS", "twin": TWIN})
        connection.execute(nameless.encode())
        for symbol, value in (("NOVALUE", None), ("NOTANUMBER", "NaN"), ("ENDLESS", "Infinity"), ("NEGATIVE", -1e15)):
            connection.execute(metrics, (symbol, value))
    return outcome(url, tmp_path_factory.mktemp("damaged"))


def symbol_of(number: int) -> str:
    return f"DAMAGED{number:02}"


@pytest.mark.parametrize("number", range(len(DAMAGES)), ids=[damage.what for damage in DAMAGES])
def test_a_damaged_bar_is_left_out_or_used_as_its_verdict_says(number: int, damaged: Outcome, clean: Outcome) -> None:
    damage, rows = DAMAGES[number], damaged.of(symbol_of(number))
    times = {row[1] for found in rows.values() for row in found}
    assert times == {damage.newest}
    if damage.what in HARMLESS:
        expected = clean.of(TWIN)
        for declared in INDICATORS.values():
            if declared.source == "candles":
                assert rows[declared.table] == expected[declared.table], declared.table


def test_what_is_left_out_is_counted_by_reason(damaged: Outcome, clean: Outcome) -> None:
    expected: Counter[str] = Counter()
    for damage in DAMAGES:
        if damage.skipped:
            expected[damage.skipped] += damage.bars
    # The bar of the series that lost its name.
    expected[UNUSABLE] += 1
    expected[NEGATIVE] += 1
    found = Counter(damaged.record["skipped"]) - Counter(clean.record["skipped"])
    assert found == expected
    assert damaged.record["errors"] == clean.record["errors"] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_symbol_of_any_form_has_the_rows_of_its_series(name: str, damaged: Outcome, clean: Outcome) -> None:
    found, expected = damaged.of(name), clean.of(TWIN)
    for declared in INDICATORS.values():
        if declared.source == "candles":
            assert found[declared.table] == expected[declared.table], declared.table


def test_all_other_series_are_as_in_a_run_without_the_damaged_ones(damaged: Outcome, clean: Outcome) -> None:
    assert set(damaged.rows) == set(clean.rows) == {declared.table for declared in INDICATORS.values()}
    for symbol in SYMBOLS:
        assert damaged.of(symbol) == clean.of(symbol), symbol
    assert clean.rows[INDICATORS["futures_sentiment"].table]


def test_every_value_has_the_type_of_its_column(damaged: Outcome) -> None:
    kinds = {"real": float, "integer": int, "text": str, "time": str}
    for declared in INDICATORS.values():
        for row in damaged.rows[declared.table]:
            for column, value in zip(declared.columns, row[4:], strict=True):
                assert value is None or type(value) is kinds[column.kind.name], (declared.table, column.name, value)
                assert value not in (float("inf"), float("-inf"))
