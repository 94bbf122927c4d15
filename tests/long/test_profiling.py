"""The profiling targets, on the sample market."""

from __future__ import annotations

import os
import pstats
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

from candlemill.pipeline.demo.market import current_minute, load_market
from candlemill.pipeline.source.schema import init_db
from tests.pictures import size_of_png

if TYPE_CHECKING:
    from typing import Protocol

    from tests.conftest import Server

    class Profile(Protocol):
        def __call__(self, tool: str, **environment: str) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture(scope="module")
def url(server: Server) -> str:
    url = server.database("profiled")
    init_db(url)
    load_market(url, current_minute())
    return url


@pytest.fixture
def profile(url: str, tmp_path: Path) -> Profile:
    """Profiles a run over one symbol and interval by a tool, in the test's folder."""

    def by(tool: str, **environment: str) -> subprocess.CompletedProcess[str]:
        root = Path(__file__).parents[2]
        asked = {"DATABASE_URL": url, "TEST_SYMBOLS": "BTCUSDT", "INTERVALS": "1h", "PYTHONPATH": str(root)}
        words = [sys.executable, "-m", "bench.profiling", tool]
        env = {"PATH": os.environ["PATH"]} | asked | environment
        return subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)

    return by


def test_cprofile_lists_the_functions_of_each_stage(profile: Profile, tmp_path: Path) -> None:
    done = profile("cprofile")
    assert done.returncode == 0, done.stderr
    found = {stage: names_in(tmp_path / "data/profile" / f"{stage}.prof") for stage in ("read", "compute", "write")}
    for stage, own, others in [
        ("read", "candles", "ema"), ("compute", "ema", "replace_rows"), ("write", "replace_rows", "ema"),
    ]:  # fmt: skip
        assert own in found[stage]
        assert others not in found[stage]
    listing = (tmp_path / "data/profile/functions.txt").read_text()
    for stage in ("read", "compute", "write", "publish"):
        assert f"== {stage}\n" in listing
        assert f"== {stage}\n" in done.stdout
    assert "data/profile/functions.txt" in done.stderr


def names_in(file: Path) -> set[str]:
    stats: dict[tuple[str, int, str], object] = vars(pstats.Stats(str(file)))["stats"]
    return {name.strip("{}") for _, _, name in stats}


def test_the_flame_graph_shows_the_run_or_the_reason_is_one_line(profile: Profile, tmp_path: Path) -> None:
    done = profile("flamegraph")
    picture = tmp_path / "data/profile/flamegraph.svg"
    if done.returncode:
        assert "py-spy made no flame graph" in done.stderr
        assert len(done.stderr.splitlines()) == 1
    else:
        assert str(picture.relative_to(tmp_path)) in done.stderr
        assert any("pipeline/engine.py" in text for text in titles_of(picture))


def titles_of(picture: Path) -> list[str]:
    root = ElementTree.parse(picture).getroot()
    return [title.text or "" for title in root.iter("{http://www.w3.org/2000/svg}title")]


def test_memray_says_where_its_reports_lie(profile: Profile, tmp_path: Path) -> None:
    done = profile("memray")
    assert done.returncode == 0, done.stderr
    for form in ("png", "txt", "html"):
        assert f"data/profile/memray.bin.{form}: " in done.stderr
        assert (tmp_path / f"data/profile/memray.bin.{form}").stat().st_size > 1000
    assert size_of_png(tmp_path / "data/profile/memray.bin.png") == (1440, 720)


@pytest.mark.parametrize("tool", ["cprofile", "flamegraph"])
def test_a_run_that_fails_is_told_in_its_own_words(profile: Profile, tool: str) -> None:
    done = profile(tool, TEST_SYMBOLS="NOUSDT")
    assert done.returncode
    assert done.stdout == ""
    assert done.stderr.startswith("candlemill: no candles for NOUSDT at 1h ") or "ptrace" in done.stderr
    assert len(done.stderr.splitlines()) == 1
