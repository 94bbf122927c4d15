"""Options as values: what is accepted, what it becomes, and what the refusal says."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candlemill.indicators.registry import INDICATORS
from candlemill.pipeline.base.errors import Exit, UsageError
from candlemill.pipeline.base.intervals import DEFAULT_INTERVALS, INTERVALS
from candlemill.pipeline.settings import (
    OTHER_RETENTION,
    RETENTION,
    Settings,
    items,
    parse_as_of,
    parse_indicators,
    parse_interval,
    parse_intervals,
    parse_retention,
    symbols_of,
)

MODEST = settings(max_examples=60, deadline=None, derandomize=True, database=None)
BY_MODE = {mode: [i.id for i in INDICATORS.values() if i.mode == mode] for mode in ("incremental", "batch")}


def ids(enabled: str | None = None, disabled: str | None = None, mode: str = "all") -> list[str]:
    return [indicator.id for indicator in parse_indicators(enabled, disabled, mode)]


def names(text: str | None) -> list[str]:
    return [interval.name for interval in parse_intervals(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, []),
        ("", []),
        (" , ,", []),
        ("a", ["a"]),
        ("a,b", ["a", "b"]),
        (" a , b,\tc\n", ["a", "b", "c"]),
        ("b,a,b,,a", ["b", "a"]),
        ("a b", ["a b"]),
        ("G，C点扫描器.py", ["G，C点扫描器.py"]),
    ],
)
def test_a_comma_list(text: str | None, expected: list[str]) -> None:
    assert items(text) == expected


@MODEST
@given(entries=st.lists(st.text("ab ，.", max_size=4), max_size=6))
def test_the_entries_of_a_comma_list_come_in_their_order_and_once(entries: list[str]) -> None:
    found = items(",".join(entries))
    bare = [entry.strip() for entry in entries if entry.strip()]
    assert len(set(found)) == len(found)
    assert set(found) == set(bare)
    assert sorted(found, key=bare.index) == found


@pytest.mark.parametrize("text", [None, "", " , "])
def test_no_intervals_are_the_usual_ones(text: str | None) -> None:
    assert names(text) == ["1m", "5m", "15m", "1h", "4h", "1d", "1w"]


def test_intervals_come_in_the_order_they_were_given_once_each() -> None:
    assert names("4h, 1m,4h,1M") == ["4h", "1m", "1M"]
    assert names(",".join(INTERVALS)) == list(INTERVALS)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("5min", "unknown interval '5min': did you mean '5m'?"),
        ("1h,15mm", "unknown interval '15mm': did you mean '15m'?"),
        ("7y", "unknown interval '7y': known are 1m, 3m, 5m"),
        ("1m;5m", "unknown interval '1m;5m': "),
    ],
)
def test_an_unknown_interval_is_refused_with_a_suggestion(text: str, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_intervals(text)
    assert str(refused.value).startswith(hint)
    assert refused.value.exit_code == Exit.USAGE


@pytest.mark.parametrize(
    ("name", "length", "bucket", "table"),
    [
        ("1m", timedelta(minutes=1), "1 minutes", "candles_1m"),
        ("30m", timedelta(minutes=30), "30 minutes", "candles_30m"),
        ("12h", timedelta(hours=12), "12 hours", "candles_12h"),
        ("3d", timedelta(days=3), "3 days", "candles_3d"),
        ("1w", timedelta(weeks=1), "1 weeks", "candles_1w"),
        ("1M", timedelta(days=31), "1 month", "candles_1M"),
    ],
)
def test_an_interval_knows_its_length_its_bucket_and_its_table(
    name: str, length: timedelta, bucket: str, table: str
) -> None:
    interval = INTERVALS[name]
    assert (interval.name, interval.length, interval.bucket, interval.candles) == (name, length, bucket, table)


def test_intervals_grow_and_the_usual_ones_are_among_them() -> None:
    lengths = [interval.length for interval in INTERVALS.values()]
    assert lengths == sorted(set(lengths))
    assert set(DEFAULT_INTERVALS) <= set(INTERVALS)


@pytest.mark.parametrize("enabled", [None, "", " ,"])
def test_no_choice_is_every_indicator_in_catalogue_order(enabled: str | None) -> None:
    assert ids(enabled) == list(INDICATORS)


@pytest.mark.parametrize("name", INDICATORS)
def test_an_indicator_goes_by_its_id_its_table_and_its_table_without_ending(name: str) -> None:
    table = INDICATORS[name].table
    for alias in (name, table, table.removesuffix(".py"), f" {table} "):
        assert ids(alias) == [name]
        assert ids(None, alias) == [other for other in INDICATORS if other != name]


def test_chosen_indicators_come_in_catalogue_order_once_each() -> None:
    assert ids("kdj,SuperTrend,macd,SuperTrend.py") == [i for i in INDICATORS if i in ("kdj", "macd", "supertrend")]


def test_what_is_disabled_goes_whether_it_was_asked_for_or_not() -> None:
    assert ids("macd,kdj", "kdj") == ["macd"]
    assert ids("macd,kdj", "donchian") == [i for i in INDICATORS if i in ("macd", "kdj")]


@pytest.mark.parametrize("mode", ["incremental", "batch"])
def test_a_mode_leaves_its_own_indicators(mode: str) -> None:
    assert ids(mode=mode) == BY_MODE[mode]
    assert BY_MODE[mode]


def test_the_modes_together_are_all() -> None:
    assert sorted(BY_MODE["incremental"] + BY_MODE["batch"]) == sorted(INDICATORS)
    assert ids("macd,bollinger", mode="batch") == ["bollinger"]


@pytest.mark.parametrize(
    ("enabled", "disabled", "mode"),
    [("macd", "macd", "all"), ("macd", None, "batch"), (None, ",".join(INDICATORS), "all")],
)
def test_nothing_left_is_refused(enabled: str | None, disabled: str | None, mode: str) -> None:
    with pytest.raises(UsageError, match="no indicator is left: widen --indicators and --mode"):
        parse_indicators(enabled, disabled, mode)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("macdd", "unknown indicator 'macdd': did you mean 'macd'?"),
        ("macd,super_trend", "unknown indicator 'super_trend': did you mean 'supertrend'?"),
        ("MACD", "unknown indicator 'MACD': "),
        ("xyzzy", f"unknown indicator 'xyzzy': known are {', '.join(INDICATORS)}"),
    ],
)
def test_an_unknown_indicator_is_refused_with_a_suggestion(text: str, hint: str) -> None:
    for enabled, disabled in ((text, None), (None, text)):
        with pytest.raises(UsageError) as refused:
            parse_indicators(enabled, disabled)
        assert str(refused.value).startswith(hint)


@pytest.mark.parametrize(
    ("mode", "hint"), [("bach", "did you mean 'batch'?"), ("x", "known are all, batch, incremental"), ("", "known are")]
)
def test_an_unknown_mode_is_refused(mode: str, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_indicators(None, mode=mode)
    assert str(refused.value).startswith(f"unknown mode {mode!r}: {hint}")


def test_retention_goes_over_the_defaults() -> None:
    assert parse_retention(None) == parse_retention("") == RETENTION
    assert parse_retention("1m=5, 3m=7") == RETENTION | {"1m": 5, "3m": 7}
    assert RETENTION == {"1m": 120, "5m": 120, "15m": 96, "1h": 144, "4h": 120, "1d": 180, "1w": 104}


def test_parsing_leaves_the_defaults_alone() -> None:
    before = dict(RETENTION)
    parse_retention("1m=1")["5m"] = 1
    assert before == RETENTION


@pytest.mark.parametrize(
    "text", ["1m", "1m=", "1m=0", "1m=-5", "1m=1.5", "=5", "7y=5", "1m=5;5m=6", "1m==5", "1m=5 6", "1m:5", "5m=10,1m=x"]
)
def test_a_broken_retention_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not INTERVAL=ROWS with a known interval and at least 1 row"):
        parse_retention(text)


def test_an_interval_that_is_not_listed_keeps_sixty_rows() -> None:
    asked = Settings(
        "", Path("a.db"), Path("b.duckdb"), "all", (), (), datetime.now(UTC), retention=parse_retention("3m=7")
    )
    assert [asked.keep(interval) for interval in ("1m", "3m", "2h", "1M")] == [120, 7, OTHER_RETENTION, 60]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-18T14:00:00+00:00", datetime(2026, 1, 18, 14, tzinfo=UTC)),
        ("2026-01-18T14:00:00Z", datetime(2026, 1, 18, 14, tzinfo=UTC)),
        ("2026-01-18T14:00:00", datetime(2026, 1, 18, 14, tzinfo=UTC)),
        ("2026-01-18 14:00", datetime(2026, 1, 18, 14, tzinfo=UTC)),
        ("2026-01-18", datetime(2026, 1, 18, tzinfo=UTC)),
        ("2026-01-18T14:00:00.250000", datetime(2026, 1, 18, 14, 0, 0, 250000, tzinfo=UTC)),
        ("2026-01-18T22:00:00+08:00", datetime(2026, 1, 18, 14, tzinfo=UTC)),
        ("2026-01-17T23:30:00-14:30", datetime(2026, 1, 18, 14, tzinfo=UTC)),
    ],
)
def test_a_moment_is_utc_unless_it_says_otherwise(text: str, expected: datetime) -> None:
    found = parse_as_of(text)
    assert found == expected
    assert found.tzinfo is UTC


def test_a_moment_without_offset_is_utc_wherever_the_machine_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    try:
        assert parse_as_of("2026-01-18T14:00:00") == datetime(2026, 1, 18, 14, tzinfo=UTC)
        assert parse_as_of(None) - datetime.now(UTC) < timedelta(seconds=5)
    finally:
        monkeypatch.undo()
        time.tzset()


@MODEST
@given(
    moment=st.datetimes(
        datetime.fromisoformat("1970-01-01"),
        datetime.fromisoformat("2100-01-01"),
        timezones=st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
    )
)
def test_every_moment_is_read_back(moment: datetime) -> None:
    assert parse_as_of(moment.isoformat()) == moment


@pytest.mark.parametrize("text", [None, ""])
def test_no_moment_is_now(text: str | None) -> None:
    before = datetime.now(UTC)
    found = parse_as_of(text)
    assert before <= found <= datetime.now(UTC)
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    ["yesterday", "2026-13-01", "2026-01-18T25:00:00", "18.01.2026", "1768744800", " ", "2026-01-18T14:00:00+99:00"],
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not an ISO 8601 time such as"):
        parse_as_of(text)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_moment_that_has_no_utc_is_refused_and_no_crash(text: str) -> None:
    with pytest.raises(UsageError):
        parse_as_of(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("BTCUSDT", ["BTCUSDT"]),
        (" BTCUSDT ,ETHUSDT,,BTCUSDT", ["BTCUSDT", "ETHUSDT"]),
        ("it's,1000\"", ["it's", '1000"']),
        ("AUTO", ["AUTO"]),
        ("auto,majors,SOLUSDT", ["auto", "majors", "SOLUSDT"]),
    ],
)
def test_symbols_of_a_list(text: str, expected: list[str]) -> None:
    assert symbols_of(text) == expected


@pytest.mark.parametrize("text", ["", " ", ",", "BTC\0USDT", "BTCUSDT,\0"])
def test_a_list_without_symbols_or_with_a_nul_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="names no symbol: give SYMBOL,SYMBOL, auto, all, a group"):
        symbols_of(text)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("60m", "1h"),
        ("240m", "4h"),
        ("24h", "1d"),
        ("7d", "1w"),
        ("1H", "1h"),
        ("4H", "4h"),
        ("1D", "1d"),
        ("1W", "1w"),
    ],
)
def test_an_interval_goes_by_its_length_too(written: str, name: str) -> None:
    assert parse_interval(written).name == name


def test_a_month_is_no_length() -> None:
    assert parse_interval("1M").monthly
    for written in ("31d", "744h", "7m", "0m", "-1h", "1.5h", "\u0661h"):
        with pytest.raises(UsageError, match="unknown interval"):
            parse_interval(written)


def test_a_word_of_columns_names_the_indicators_that_have_it() -> None:
    with pytest.raises(UsageError) as refused:
        parse_indicators("rsi")
    assert "part of harmonic_rsi (" in str(refused.value)
    assert "smart_rsi (rsi_mean, rsi7, rsi14, rsi21)" in str(refused.value)
    with pytest.raises(UsageError, match=r"columns of that name in .*kdj \(j\)"):
        parse_indicators("j")
