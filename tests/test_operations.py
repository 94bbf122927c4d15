"""The files of docs/operations: what they call and name is there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.main import get_command

from candlemill.pipeline.commands.app import app
from candlemill.pipeline.live.health import Health, LastRun, Watched
from candlemill.pipeline.live.metrics import write_metrics

FOLDER = Path(__file__).parent.parent / "docs" / "operations"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def metrics(tmp_path: Path) -> set[str]:
    """Names of all metrics that there can be."""
    watched = Watched("1m", 300.0, NOW, NOW, NOW, {"gap": 1})
    health = Health(1, "0", "postgresql://h/x", NOW, [watched], last_run=LastRun("a", NOW, 1.0, 1))
    write_metrics(tmp_path / "file.prom", health, NOW)
    return set(re.findall(r"^(candlemill_\w+)", (tmp_path / "file.prom").read_text(), re.MULTILINE))


@pytest.mark.parametrize("name", ["alerts.yml", "grafana.json"])
def test_the_metrics_that_are_named_exist(name: str, metrics: set[str]) -> None:
    named = set(re.findall(r"candlemill_\w+", (FOLDER / name).read_text()))
    assert len(named) >= 5
    assert named <= metrics


def test_the_page_of_live_operation_lists_every_metric(metrics: set[str]) -> None:
    page = (FOLDER.parent / "live.md").read_text()
    assert set(re.findall(r"`(candlemill_\w+)", page)) == metrics


def test_the_dashboard_has_a_place_for_each_panel() -> None:
    panels = json.loads((FOLDER / "grafana.json").read_text())["panels"]
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}) == len(panels)
    assert all(target["expr"] for panel in panels for target in panel["targets"])


@pytest.mark.parametrize("name", ["candlemill.service", "candlemill-run.service", "Containerfile"])
def test_what_is_started_takes_its_options(name: str) -> None:
    text = (FOLDER / name).read_text().replace('"', "").replace(",", "")
    [command, options] = re.findall(r"(?:bin/candlemill|CMD \[)\s?(run|watch) (--metrics-file.*|--strict.*)", text)[-1]
    commands = get_command(app).commands  # type: ignore[attr-defined]
    known = {spelling for parameter in commands[command].params for spelling in parameter.opts}
    assert set(re.findall(r"--[a-z-]+", options)) <= known


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize("name", ["candlemill.service", "candlemill-run.service"])
def test_systemd_takes_the_units(name: str, tmp_path: Path) -> None:
    # The program that they start is looked for.
    unit = tmp_path / name
    unit.write_text(re.sub(r"(?<=ExecStart=)\S+", "/bin/true", (FOLDER / name).read_text()))
    timer = shutil.copy(FOLDER / "candlemill-run.timer", tmp_path)
    units = [unit, *([timer] if "run" in name else [])]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert name not in done.stderr
