"""Writing some rows into a result database at once, where a run brings them in as they are computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from candlemill.pipeline.record import SILENT, Observer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa

    from candlemill.indicators.contract import Indicator
    from candlemill.pipeline.results.sink import Sink


def put(
    sink: Sink, results: Mapping[Indicator, pa.Table], keep: Callable[[str], int], observer: Observer = SILENT
) -> None:
    """Write the rows of some indicators in one transaction."""
    sink.insert(results, keep)
    sink.commit(observer)
