"""Documents that derive from the code are up to date, and the rest names what there is."""

from __future__ import annotations

from pathlib import Path

from indicators.registry import INDICATORS
from pipeline import catalogue

ROOT = Path(__file__).parent.parent


def test_the_catalogue_of_indicators_is_up_to_date() -> None:
    assert (ROOT / "docs" / "indicators.md").read_text(encoding="utf-8") == catalogue.render(), "run `make docs`"


def test_the_catalogue_names_every_indicator_and_column() -> None:
    text = catalogue.render()
    for declared in INDICATORS.values():
        assert f"### {declared.id}\n" in text
        assert f"`{declared.table}`" in text
        assert all(f"| `{column.label}` | {column.name} |" in text for column in declared.columns)


def test_the_parity_page_names_every_departure() -> None:
    text = (ROOT / "docs" / "parity.md").read_text(encoding="utf-8")
    assert all(f"\n| {number}. " in text for number in range(1, 13))
