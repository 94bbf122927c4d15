"""The values that programs downstream rely on, case by case."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from candlemill.indicators.service import SERVICE
from tests import goldens

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Ran


@pytest.mark.parametrize("case", goldens.cases(), ids=lambda case: case.name)
def test_case(case: Path, golden_url: Callable[[Path], str], candlemill: Callable[..., Ran], tmp_path: Path) -> None:
    asked = goldens.description(case)
    ran = candlemill(
        "run", "--source", golden_url(case), "--symbols", "all", "--as-of", asked["as_of"],
        "--lookback", asked["lookback"], "--intervals", ",".join(asked["intervals"]),
        "--sqlite", "result.db", "--duckdb", "work.duckdb", "--json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert ran.record["errors"] == []
    tables = {line.table for line in SERVICE.values()}
    verdict = goldens.compare(case, goldens.stored(tmp_path / "result.db", tables), tables)
    assert verdict.wrong == []
    assert verdict.flips <= verdict.values / 1000
    assert verdict.values > 500
