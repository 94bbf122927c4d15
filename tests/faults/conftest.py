"""A market for the runs that meet faults, and the files of a first run over it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from candlemill.indicators.registry import INDICATORS
from tests.faults.passes import CASE, Place, newest_of, shown

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="session")
def url(golden_url: Callable[[Path], str]) -> str:
    return golden_url(CASE)


@pytest.fixture(scope="session")
def first(url: str, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The files of two runs of all indicators, at steps -1 and 0. Copy them: tests share them."""
    place = Place(tmp_path_factory.mktemp("first"), url)
    for step in (-1, 0):
        ran = place.run(step)
        assert ran.code == 0, ran.err
    assert shown(place.database) == {declared.table: newest_of(0) for declared in INDICATORS.values()}
    return place


@pytest.fixture
def place(first: Place, tmp_path: Path) -> Place:
    """A copy of these files for one test."""
    return first.copy(tmp_path / "place")
