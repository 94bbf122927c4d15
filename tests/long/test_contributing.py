"""A 39th and a 40th indicator need one file each, as CONTRIBUTING says, and no change of any test."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "tests" / "examples"
#: What an indicator consists of: a file of its own, and its statement where it is written in SQL.
FILES = {
    "aroon.py": "indicators/aroon.py",
    "choppiness.py": "indicators/choppiness.py",
    "choppiness.sql": "sql/indicators/choppiness.sql",
}


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout with the two indicators in it."""
    copy = tmp_path_factory.mktemp("contribution") / "candlemill"
    unwanted = shutil.ignore_patterns(".[!e]*", ".env", "__pycache__", "node_modules", "data", "*.duckdb", "*.db")
    shutil.copytree(ROOT, copy, symlinks=True, ignore=unwanted)
    for name, place in FILES.items():
        shutil.copy(EXAMPLES / name, copy / place)
    return copy


def python(copy: Path, *words: str) -> str:
    """What Python prints in the copy, with the package of the copy."""
    done = subprocess.run(
        [sys.executable, *words],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def test_two_more_indicators_pass_the_laws_and_disturb_no_other(extended: Path) -> None:
    page = python(extended, "-m", "candlemill.pipeline.documents.indicators")
    (extended / "docs" / "indicators.md").write_text(page, encoding="utf-8")
    completed = python(extended, "-m", "candlemill.pipeline.commands.declared")
    (extended / "pipeline" / "commands" / "completions.json").write_text(completed, encoding="utf-8")
    assert "### aroon" in page
    assert "### choppiness" in page
    suite = ["-m", "pytest", "-p", "no:cacheprovider"]
    python(extended, *suite, "tests/test_docs.py", "tests/test_golden.py")
    python(extended, *suite, "tests/test_registry.py", "tests/test_categories.py", "-k", "aroon or choppiness")


def test_their_values_are_those_of_the_textbook(extended: Path) -> None:
    program = """
import numpy as np, talib, candlemill
walk = np.random.default_rng(1).normal(0, 1, 300).cumsum() + 100
high, low = walk + 1, walk - 1
bars = {"time": np.arange(300).astype("M8[h]"), "open": walk, "high": high, "low": low, "close": walk, "volume": walk}
found = candlemill.compute("aroon", bars, interval="1h", period=14).to_pylist()[0]
down, up = talib.AROON(high, low, 14)
assert np.allclose([found["up"], found["down"]], [up[-1], down[-1]]), (found, up[-1], down[-1])
found = candlemill.compute("choppiness", bars, interval="1h").to_pylist()[0]["choppiness"]
wanted = 100 * np.log10(talib.TRANGE(high, low, walk)[-14:].sum() / (high[-14:].max() - low[-14:].min())) / np.log10(14)
assert abs(found - wanted) < 1e-9, (found, wanted)
print(candlemill.INDICATORS["aroon"].table, dict(candlemill.INDICATORS["choppiness"].stored.labels))
"""
    assert python(extended, "-c", program).strip() == "aroon {'choppiness': 'choppiness'}"
