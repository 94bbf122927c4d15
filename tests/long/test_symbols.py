"""Which symbols are chosen, and by what: rules, groups, lists and files, through the command, against a real server."""

from __future__ import annotations

import json
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from candlemill.pipeline.source.schema import init_db

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Ran, Server

NAN = float("nan")
AS_OF = "2026-01-22T12:00:00+00:00"
#: symbol: turnover, swing of the newest bar, price a day ago (100 now).
CANDLES = {
    "DULL": (100, 1, 100),
    "TURNOVER": (900, 1, 100),
    "RANGE": (100, 50, 100),
    "MOVE": (100, 1, 50),
    "NULLS": (None, 1, 100),
    # For PostgreSQL it is greater than every number.
    "NANS": (NAN, NAN, 100),
}
#: symbol: open interest in money, taker ratio, account ratio.
METRICS = {
    "INTEREST": (9e6, 1, 1),
    "TAKER": (1e6, 5.1, 1),
    "ACCOUNT": (1e6, 1, 0.4),
    "BOTH": (None, 0.1, 4.1),
    "TURNOVER": (1e6, 1, 1),
    "NANS": (NAN, NAN, NAN),
}
RULES = {
    "TURNOVER": ["turnover"],
    "RANGE": ["range"],
    "MOVE": ["move"],
    "INTEREST": ["open_interest"],
    "TAKER": ["taker_ratio"],
    "ACCOUNT": ["account_ratio"],
    "BOTH": ["taker_ratio", "account_ratio"],
}
TOP_1 = {"HIGH_PRIORITY_TOP_N": "1"}


@pytest.fixture(scope="module")
def url(server: Server) -> str:
    url = server.database("symbols")
    init_db(url)
    with psycopg.connect(url) as connection:
        for symbol, (turnover, swing, before) in CANDLES.items():
            for ago, close in (("0", 100), ("24 hours", before)):
                connection.execute(
                    "INSERT INTO market_data.candles_5m (exchange, symbol, bucket_ts, open, high, low, close, volume,"
                    " quote_volume) VALUES ('binance_futures_um', %(symbol)s, %(at)s::timestamptz - %(ago)s::interval,"
                    " %(close)s, %(high)s, %(close)s, %(close)s, 1, %(turnover)s)",
                    {"symbol": symbol, "at": AS_OF, "ago": ago, "close": close, "high": close + swing}
                    | {"turnover": turnover},
                )
        for symbol, values in METRICS.items():
            connection.execute(
                "INSERT INTO market_data.binance_futures_metrics_5m (symbol, create_time, sum_open_interest_value,"
                " sum_taker_long_short_vol_ratio, count_long_short_ratio)"
                " VALUES (%s, %s::timestamptz AT TIME ZONE 'UTC', %s, %s, %s)",
                (symbol, AS_OF, *values),
            )
        # An hourly bar of a symbol that nothing else has.
        connection.execute(
            "INSERT INTO market_data.candles_1h (exchange, symbol, bucket_ts, open, high, low, close, volume)"
            " VALUES ('binance_futures_um', 'HOURLY', %s, 1, 1, 1, 1, 1)",
            [AS_OF],
        )
    return url


@pytest.fixture
def symbols(candlemill: Callable[..., Ran], url: str) -> Callable[..., tuple[dict[str, list[str]], str]]:
    """What ``candlemill symbols`` chooses, with rules, and what it remarks on standard error."""

    def command(*words: object, **env: str) -> tuple[dict[str, list[str]], str]:
        ran = candlemill("symbols", *words, "--as-of", AS_OF, "--json", env={"DATABASE_URL": url} | env)
        assert ran.code == 0, ran.err
        return {entry["symbol"]: entry["rules"] for entry in json.loads(ran.out)}, ran.err

    return command


def test_auto_is_the_top_of_each_rule_and_all_beyond_the_thresholds(symbols: Any) -> None:
    assert symbols(**TOP_1) == (RULES, "")
    assert symbols("--symbols", "auto", **TOP_1)[0] == RULES
    # Without a limit worth the name everything is in the top, in the order of the alphabet.
    every, _ = symbols()
    assert list(every) == sorted(CANDLES | METRICS)
    assert every["TURNOVER"] == ["turnover", "range", "move", "open_interest"]


def test_unknown_values_rank_last(symbols: Any) -> None:
    four, _ = symbols(HIGH_PRIORITY_TOP_N="4")
    assert {symbol for symbol, rules in four.items() if "turnover" in rules} == {"DULL", "TURNOVER", "RANGE", "MOVE"}
    assert {symbol for symbol, rules in four.items() if "open_interest" in rules} == set(METRICS) - {"BOTH", "NANS"}


def test_all_is_every_symbol_with_a_candle_in_a_window(symbols: Any) -> None:
    assert symbols("--symbols", "all") == ({symbol: ["all"] for symbol in sorted([*CANDLES, "HOURLY"])}, "")
    assert set(symbols("--symbols", "all", "--intervals", "5m", SYMBOLS_EXCLUDE="DULL")[0]) == set(CANDLES) - {"DULL"}


def test_groups_come_from_the_environment_and_are_united(symbols: Any) -> None:
    groups = {"SYMBOLS_GROUP_one": "A, B", "SYMBOLS_GROUP_TWO": "B,C", "SYMBOLS_GROUP_none": ""}
    united = {"A": ["group one"], "B": ["group one", "group TWO"], "C": ["group TWO"]}
    assert symbols(SYMBOLS_GROUPS="one,two", **groups) == (united, "")
    assert symbols("--symbols", "TWO", SYMBOLS_GROUPS="one", **groups)[0] == {"B": ["group TWO"], "C": ["group TWO"]}
    mixed, _ = symbols("--symbols", "auto,one,TURNOVER", **groups, **TOP_1)
    assert mixed == RULES | {"A": ["group one"], "B": ["group one"], "TURNOVER": ["turnover", "list"]}


def test_extra_joins_groups_but_not_a_plain_list(symbols: Any) -> None:
    extra = {"SYMBOLS_EXTRA": "X,TURNOVER", "SYMBOLS_GROUP_g": "A"}
    auto, _ = symbols(**extra, **TOP_1)
    assert auto == RULES | {"TURNOVER": ["turnover", "extra"], "X": ["extra"]}
    assert symbols("--symbols", "g", **extra)[0] == {"A": ["group g"], "TURNOVER": ["extra"], "X": ["extra"]}
    assert symbols("--symbols", "B,A", **extra) == ({"A": ["list"], "B": ["list"]}, "")


def test_exclude_wins_over_everything_and_says_so_where_a_name_was_named(symbols: Any) -> None:
    auto, said = symbols(SYMBOLS_EXCLUDE="RANGE,MOVE,ELSEWHERE", **TOP_1)
    assert (set(auto), said) == (set(RULES) - {"RANGE", "MOVE"}, "")
    env = {"SYMBOLS_GROUP_g": "A,B,C", "SYMBOLS_EXTRA": "X", "SYMBOLS_EXCLUDE": "B,X,Z"}
    found, said = symbols("--symbols", "g,Z", **env)
    assert set(found) == {"A", "C"}
    assert said.endswith("WARNING SYMBOLS_EXCLUDE leaves out B, X, Z\n")


def test_a_file_lists_symbols(symbols: Any, tmp_path: Path) -> None:
    text = "\ufeff# watched\nBTCUSDT, ETHUSDT # two\n\n  SOLUSDT\r\nBTCUSDT\n#LTCUSDT\n"
    (tmp_path / "watch.txt").write_bytes(text.encode())
    listed = {symbol: ["list"] for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT")}
    assert symbols("--symbols", "@watch.txt") == (listed, "")
    assert symbols("--symbols", f"ADAUSDT,@{tmp_path}/watch.txt")[0] == {"ADAUSDT": ["list"]} | listed
    assert symbols(TEST_SYMBOLS="@watch.txt", SYMBOLS_EXCLUDE="ETHUSDT")[0].keys() == {"BTCUSDT", "SOLUSDT"}


def test_dotenv_gives_groups_too(symbols: Any, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SYMBOLS_GROUPS=mine\nSYMBOLS_GROUP_mine=A,B\nSYMBOLS_EXCLUDE=A\n")
    assert symbols()[0] == {"B": ["group mine"]}


def test_a_run_reads_what_symbols_shows(candlemill: Callable[..., Ran], url: str, tmp_path: Path) -> None:
    (tmp_path / "watch").write_text("DULL\nRANGE\n")
    env = {"DATABASE_URL": url, "SYMBOLS_GROUP_g": "DULL,MOVE", "SYMBOLS_EXTRA": "TURNOVER", **TOP_1}
    words = ("--as-of", AS_OF, "--intervals", "5m", "--indicators", "base_data", "--json")
    for asked, excluded, count in (
        ("@watch", "", 2),
        ("g", "MOVE", 2),
        # A bar without a high is none.
        ("all", "", 5),
        ("all", "NULLS,TURNOVER", 3),
        # Those that metrics alone chose have no candles.
        ("auto", "", 3),
    ):
        ran = candlemill("run", *words, "--symbols", asked, env=env | {"SYMBOLS_EXCLUDE": excluded})
        assert ran.code == 0, ran.err
        assert ran.record["symbols"] == count, asked
        assert ran.record["pg_queries"] == 2 + (asked == "auto" or asked + excluded == "allNULLS,TURNOVER")


def test_demo_takes_groups(candlemill: Callable[..., Ran]) -> None:
    env = {"SYMBOLS_GROUPS": "g", "SYMBOLS_GROUP_g": "BTCUSDT,ETHUSDT"}
    # As in the server of the session: a folder of pytest's could be closed to the server's own user.
    with TemporaryDirectory(prefix="candlemill-tests-") as place:
        words = ("--intervals", "1h", "--indicators", "base_data", "--data", f"{place}/postgres", "--json")
        ran = candlemill("demo", *words, env=env)
    assert ran.code == 0, ran.err
    assert ran.record["symbols"] == 2


def test_the_table_has_a_line_for_each(candlemill: Callable[..., Ran], url: str) -> None:
    ran = candlemill("symbols", "--source", url, "--as-of", AS_OF, env=TOP_1)
    assert ran.code == 0, ran.err
    lines = [" ".join(line.split()) for line in ran.out.splitlines()]
    assert lines == ["symbol rules", *(f"{symbol} {', '.join(RULES[symbol])}" for symbol in sorted(RULES))]


def test_a_group_that_is_nearly_named_is_taken_for_a_symbol_and_said(symbols: Any) -> None:
    found, said = symbols("--symbols", "majros", SYMBOLS_GROUP_majors="A")
    assert found == {"majros": ["list"]}
    assert "majros is taken for a symbol: if the group majors is meant, write that" in said


@pytest.mark.parametrize(
    ("words", "env", "code", "said"),
    [
        ((), {"SYMBOLS_GROUPS": "majros", "SYMBOLS_GROUP_majors": "A"}, 2, "did you mean 'majors'?"),
        ((), {"SYMBOLS_GROUPS": "x"}, 2, "unknown group in SYMBOLS_GROUPS 'x': known are auto, all"),
        ((), {"SYMBOLS_GROUPS": "x", "SYMBOLS_GROUP_x": " ,"}, 2, "has no symbols: set SYMBOLS_GROUP_x=SYMBOL,SYMBOL"),
        ((), {"SYMBOLS_GROUP_Auto": "A"}, 2, "a group cannot be called auto"),
        ((), {"HIGH_PRIORITY_TOP_N": "0"}, 2, "HIGH_PRIORITY_TOP_N '0' is not a number of symbols"),
        ((), {"HIGH_PRIORITY_TOP_N": "many"}, 2, "HIGH_PRIORITY_TOP_N 'many' is not"),
        (("--symbols", "A,B"), {"SYMBOLS_EXCLUDE": "B,A"}, 2, "SYMBOLS_EXCLUDE leaves nothing of --symbols A,B"),
        (("--symbols", "@missing"), {}, 2, "--symbols @missing cannot be read: No such file or directory"),
        (("--symbols", "@empty"), {}, 2, "--symbols @empty names no symbol"),
        (("--symbols", "@binary"), {}, 2, "--symbols @binary cannot be read: it is no text in UTF-8"),
        (("--symbols", ","), {}, 2, "names no symbol: give SYMBOL,SYMBOL, auto, all, a group, or @FILE"),
        (("--exchange", "nowhere"), {"SYMBOLS_GROUPS": "all"}, 5, "no symbol of nowhere has candles before"),
        (("--source", "postgresql://me:geheim@127.0.0.1:1/x"), {}, 3, "cannot connect to the source"),
    ],
)
def test_what_cannot_be_chosen_is_refused(
    words: tuple[str, ...],
    env: dict[str, str],
    code: int,
    said: str,
    candlemill: Callable[..., Ran],
    url: str,
    tmp_path: Path,
) -> None:
    (tmp_path / "empty").write_text("# nothing\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    ran = candlemill("symbols", "--source", url, "--as-of", AS_OF, *words, env=env)
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (code, "", 1)
    assert said in ran.err
    assert "geheim" not in ran.err


def test_a_group_that_is_wrong_does_not_matter_to_who_names_symbols(symbols: Any) -> None:
    assert symbols("--symbols", "A", SYMBOLS_GROUPS="gone")[0] == {"A": ["list"]}
