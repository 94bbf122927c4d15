"""What each indicator costs: computed alone, in this process, on the panels of a real run."""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING
from unittest.mock import patch

from bench.market import NOW
from candlemill.pipeline.compute.rows import computed
from candlemill.pipeline.engine import run
from candlemill.pipeline.settings import Settings, parse_indicators, parse_intervals

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

    from bench.market import Scale
    from candlemill.indicators.contract import Indicator, Panel
    from candlemill.pipeline.record import Observer
    from candlemill.pipeline.workfile.writer import WorkFile


def indicator_seconds(database: str, scale: Scale, folder: Path, repeats: int) -> dict[str, float]:
    """Seconds by indicator id, summed over the intervals; of each the median of some repeats.

    An indicator is computed with nothing kept from another one, so the sum is more than a run's ``t_compute``, in which
    indicators share what several of them need.
    """
    seconds: dict[str, float] = defaultdict(float)

    def measured(
        indicators: Sequence[Indicator],
        bars: Panel,
        metrics: Panel | None,
        work: WorkFile,
        run_id: str,
        observer: Observer,
        profile: str,
    ) -> Iterator[tuple[Indicator, pa.Table]]:
        for declared in indicators:
            taken = []
            for _ in range(repeats):
                own_bars = replace(bars, _shared={})
                own_metrics = replace(metrics, _shared={}) if metrics else None
                begun = perf_counter()
                dict(computed([declared], own_bars, own_metrics, work, profile=profile))
                taken.append(perf_counter() - begun)
            seconds[declared.id] += statistics.median(taken)
        return computed(indicators, bars, metrics, work, run_id, observer, profile)

    settings = Settings(
        source=database,
        sqlite=folder / "indicators.db",
        duckdb=folder / "indicators.duckdb",
        symbols="all",
        intervals=parse_intervals(",".join(scale.intervals)),
        indicators=parse_indicators(None),
        as_of=NOW,
    )
    with patch("candlemill.pipeline.engine.computed", measured):
        run(settings)
    return dict(seconds)
