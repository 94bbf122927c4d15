"""What a run says of symbols without candles and of indicators that fail, and how it ends with --strict."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from candlemill.indicators.registry import INDICATORS
from candlemill.pipeline.base.errors import Exit, FailingError, NoCandlesError
from candlemill.pipeline.commands.job import be_strict
from candlemill.pipeline.engine import run
from candlemill.pipeline.options import Options, settings_of
from candlemill.pipeline.record import Basis, Record
from tests import goldens

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from candlemill.pipeline.settings import Settings

AS_OF = "2026-01-22T09:07:00+00:00"
NOW = datetime(2026, 1, 22, tzinfo=UTC)


@pytest.fixture
def settings(golden_url: Callable[[Path], str], tmp_path: Path) -> Callable[[str], Settings]:
    url = golden_url(goldens.HERE / "synth_lengths")

    def asking_for(symbols: str) -> Settings:
        files = Options(url, tmp_path / "result.db", tmp_path / "work.duckdb")
        return settings_of(replace(files, symbols=symbols, intervals="5m", indicators="macd", as_of=AS_OF), {})

    return asking_for


def test_a_symbol_without_candles_is_told_with_the_one_that_was_meant(
    settings: Callable[[str], Settings], caplog: pytest.LogCaptureFixture
) -> None:
    asked = settings("AAAUSDT,n60usd,NOTHING")
    record = run(asked)
    assert "no candles for NOTHING, n60usd: did you mean N60USDT?" in caplog.text
    assert record.skipped["symbol without candles"] == 2
    with pytest.raises(NoCandlesError, match="the results are written, but there are no candles for NOTHING, n60usd"):
        be_strict(asked, record)
    assert asked.sqlite.exists()
    with pytest.raises(NoCandlesError, match=r"did you mean AAAUSDT\?"):
        run(settings("aaa"))
    with pytest.raises(NoCandlesError, match="check --symbols"):
        run(settings("NOSUCHUSDT"))
    with pytest.raises(NoCandlesError, match=r"no candles for AAAUSD at 5m before .*: did you mean AAAUSDT\?"):
        run(settings("AAAUSD"))


def test_the_record_says_where_the_results_are(settings: Callable[[str], Settings]) -> None:
    asked = settings("AAAUSDT")
    record = run(asked)
    be_strict(asked, record)
    plain = record.as_json()
    assert (plain["sqlite"], plain["duckdb"]) == (str(asked.sqlite.resolve()), str(asked.duckdb.resolve()))


@pytest.mark.parametrize(
    ("intervals", "ends"), [("1m,5m", True), ("1m", False), ("5m,1m,1h", True)], ids=["all", "some", "more"]
)
def test_an_indicator_that_fails_everywhere(intervals: str, ends: bool, settings: Callable[[str], Settings]) -> None:
    asked = settings("AAAUSDT")
    record = Record(NOW, "", ["1m", "5m", "1h"], 1)
    record.bases = {"1m": Basis(NOW, {}), "5m": Basis(NOW, {}), "1h": Basis(None, {})}
    for interval in intervals.split(","):
        record.fail(INDICATORS["macd"].table, "", interval, "why")
    record.fail(INDICATORS["macd"].table, "AAAUSDT", "5m", "why")
    if ends:
        with pytest.raises(FailingError, match="fail on all symbols: macd") as raised:
            be_strict(asked, record)
        assert raised.value.exit_code == Exit.DIFFERENT
    else:
        be_strict(asked, record)
