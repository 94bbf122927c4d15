"""The statements of init-db that a plain server does not run: what is sent to TimescaleDB."""

from __future__ import annotations

import re

from candlemill.pipeline.source.schema import _statements


def test_on_timescaledb_every_coarser_table_is_an_aggregate_with_a_policy() -> None:
    sent = list(_statements(hypertables=True))
    made = {name: query for name, query in sent if name}
    candles = {f"candles_{interval}" for interval in ("5m", "15m", "1h", "4h", "1d", "1w")}
    metrics = {f"binance_futures_metrics_{interval}_last" for interval in ("15m", "1h", "4h", "1d", "1w")}
    assert set(made) == {"candles_1m", "binance_futures_metrics_5m"} | candles | metrics
    policies = [query for _, query in sent if "add_continuous_aggregate_policy" in query]
    for name in candles | metrics:
        # Without WITH NO DATA the server refuses the view inside a transaction.
        assert "timescaledb.continuous" in made[name]
        assert made[name].endswith("WITH NO DATA")
        assert sum(f"'market_data.{name}'" in policy for policy in policies) == 1
    assert len([query for _, query in sent if "create_hypertable" in query]) == 2


def test_no_statement_has_an_open_place() -> None:
    for hypertables in (False, True):
        for _, query in _statements(hypertables):
            assert not re.search(r"\{\w+\}", query)
