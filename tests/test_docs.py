"""Documents that derive from the code are up to date, and the rest names what there is."""

from __future__ import annotations

import re
from pathlib import Path

from candlemill.indicators.registry import INDICATORS
from candlemill.pipeline.commands import declared as completed
from candlemill.pipeline.compute import checks
from candlemill.pipeline.documents import environment, settings
from candlemill.pipeline.documents import indicators as document
from tests import effects, goldens

ROOT = Path(__file__).parent.parent


def test_the_catalogue_of_indicators_is_up_to_date() -> None:
    assert (ROOT / "docs" / "indicators.md").read_text(encoding="utf-8") == document.render(), "run `make docs`"


def test_the_page_of_settings_and_the_example_of_an_environment_are_up_to_date() -> None:
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == settings.render(), "run `make docs`"
    assert (ROOT / ".env.example").read_text(encoding="utf-8") == environment.render(), "run `make docs`"


def test_the_table_of_what_shells_complete_is_up_to_date() -> None:
    table = ROOT / "pipeline" / "commands" / "completions.json"
    assert table.read_text(encoding="utf-8") == completed.render(), "run `make docs`"


def test_the_page_of_corrected_values_is_up_to_date() -> None:
    page = effects.kept()
    assert (ROOT / "docs" / "corrected.md").read_text(encoding="utf-8") == page, "run `make docs`"
    # Each variant changes something in a market that has every kind of trouble, and says what it is of.
    changing = {id_ for id_, _ in effects.measured([goldens.HERE / "synth_core"])}
    for declared in INDICATORS.values():
        if declared.variants:
            assert f"\n### {declared.id}\n" in page
            assert declared.id in changing
    assert page.count("\n- source: ") == page.count("\n### ")


def test_the_catalogue_names_every_indicator_and_column() -> None:
    text = document.render()
    for declared in INDICATORS.values():
        assert f"### {declared.id}\n" in text
        assert f"`{declared.table}`" in text
        assert all(f"| `{declared.label(column)}` | {column.name} |" in text for column in declared.columns)


def test_every_test_that_the_reliability_page_names_is_there() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", text)
    assert len(named) > 50
    for file, test in named:
        assert f"def {test}(" in (ROOT / "tests" / file).read_text(encoding="utf-8"), f"{file}::{test}"


def test_the_reliability_page_names_every_test_of_faults_and_every_reason_to_leave_a_row_out() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    for file in (ROOT / "tests" / "faults").glob("test_*.py"):
        for test in re.findall(r"^def (test_\w+)\(", file.read_text(encoding="utf-8"), re.MULTILINE):
            assert f"`faults/{file.name}::{test}`" in text
    for reason in (checks.IMPOSSIBLE, checks.ASTRAY, checks.NEGATIVE):
        assert f"| `{reason}` |" in text


def test_the_parity_page_names_every_departure() -> None:
    text = (ROOT / "docs" / "parity.md").read_text(encoding="utf-8")
    assert all(f"\n| {number}. " in text for number in range(1, 13))
