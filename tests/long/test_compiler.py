"""Compiled lanes: kept once per machine, whatever happens to what is kept, and taken where they pay."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from candlemill.pipeline.compute import compiler
from tests import goldens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: Compiles one kernel, and says what it gives and whether it came from the folder.
SUMS = """
import sys
from pathlib import Path
import numpy as np
from candlemill.indicators.kernels import compiled
from candlemill.indicators.kernels.loops import summing
compiled.keep_in(Path(sys.argv[1]))
found = np.empty(3)
summing.sums(np.arange(5.0), 3, 3, found)
print(found.tolist(), sum(summing.sums._machine.stats.cache_hits.values()))
"""


def started(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", SUMS, str(folder)], stdout=subprocess.PIPE, text=True)


def said(process: subprocess.Popen[str]) -> str:
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return out.strip()


def files(folder: Path) -> list[str]:
    return sorted(file.suffix for file in folder.rglob("*") if file.is_file())


def test_processes_that_compile_at_once_leave_one_whole_result(tmp_path: Path) -> None:
    found = [said(process) for process in [started(tmp_path) for _ in range(3)]]
    assert {answer.rsplit(" ", 1)[0] for answer in found} == {"[3.0, 6.0, 9.0]"}
    assert files(tmp_path) == [".nbc", ".nbi"]
    assert said(started(tmp_path)) == "[3.0, 6.0, 9.0] 1"


@pytest.mark.parametrize("suffix", [".nbc", ".nbi"])
@pytest.mark.parametrize("damage", [b"", b"\x80\x05nonsense"], ids=["empty", "nonsense"])
def test_what_is_kept_and_damaged_is_compiled_anew(tmp_path: Path, suffix: str, damage: bytes) -> None:
    said(started(tmp_path))
    for file in tmp_path.rglob(f"*{suffix}"):
        file.write_bytes(damage)
    assert said(started(tmp_path)).startswith("[3.0, 6.0, 9.0]")


def test_a_folder_that_is_gone_or_no_folder_costs_no_more_than_compiling(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert said(started(tmp_path / "file")).startswith("[3.0, 6.0, 9.0]")


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders of this test's own for all that the compiler keeps."""
    for name in ("_folder", "_there"):
        getattr(compiler, name).cache_clear()
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    monkeypatch.setattr("candlemill.indicators.kernels.compiled._folder", [])
    (tmp_path / "tmp").mkdir()
    return tmp_path


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """What this process knows of folders is forgotten after each test."""
    yield
    for name in ("_folder", "_there"):
        getattr(compiler, name).cache_clear()


def test_few_windows_are_not_worth_compiling_and_many_are(places: Path) -> None:
    assert not compiler.lanes_pay(windows=100, indicators=38)
    assert compiler.lanes_pay(windows=500_000, indicators=38)
    folder = compiler._folder()
    assert folder is not None
    assert folder.parent == places / "cache" / "candlemill"
    assert not compiler.lanes_pay(windows=10_000, indicators=38)
    (folder / "kept.nbi").write_text("")
    assert compiler.lanes_pay(windows=10_000, indicators=38)
    assert not compiler.lanes_pay(windows=100, indicators=38)


def test_a_folder_that_others_may_write_is_not_used(places: Path) -> None:
    (places / "cache" / "candlemill").mkdir(parents=True)
    (places / "cache" / "candlemill").chmod(0o777)
    folder = compiler._folder()
    assert folder is not None
    assert folder.is_relative_to(places / "tmp")
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_somebody_names_is_used_as_it_is(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (places / "given").mkdir(mode=0o777)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(places / "given"))
    folder = compiler._folder()
    assert folder is not None
    assert folder.parent == places / "given"


def test_without_a_folder_every_process_compiles_and_it_is_said(places: Path, caplog: pytest.LogCaptureFixture) -> None:
    (places / "cache").write_text("")
    (places / "tmp").rmdir()
    (places / "tmp").write_text("")
    assert compiler._folder() is None
    assert "set NUMBA_CACHE_DIR" in caplog.text
    assert compiler.lanes_pay(windows=500_000, indicators=38)


@pytest.mark.usefixtures("places")
def test_without_the_compiler_it_is_the_definition_and_it_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(compiler, "find_spec", lambda _: None)
    assert not compiler.lanes_pay(windows=500_000, indicators=38)
    assert not compiler.lanes_pay(windows=500_000, indicators=38)
    assert caplog.text.count("pip install 'candlemill[history]'") == 1


def test_a_live_run_does_without_the_compiler() -> None:
    code = (
        "import sys; import candlemill.pipeline.engine, candlemill.indicators.registry; "
        "print([name for name in ('numba', 'candlemill.indicators.kernels.lanes') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


#: The command, in which lanes pay for however little, with the compiler or as where it is not installed.
ALWAYS = """
import sys
if sys.argv.pop(1) == "without":
    sys.modules["numba"] = None
from candlemill.pipeline.__main__ import main
from candlemill.pipeline.compute import compiler
compiler._LOADING = compiler._COMPILING = 0
main()
"""


@pytest.mark.usefixtures("lanes")
def test_history_without_the_compiler_has_the_same_rows_and_says_once_that_it_is_slow(
    golden_url: Callable[[Path], str], tmp_path: Path
) -> None:
    case = goldens.HERE / "synth_core"
    words = ["history", "BTCUSDT,ETHUSDT", "--interval", "5m", "--indicators", "kdj,ema_gc,donchian", "--json"]
    words += ["--bars", "300", "--lookback", "120", "--as-of", goldens.description(case)["as_of"]]
    said = {}
    for which in ("with", "without"):
        said[which] = subprocess.run(
            [sys.executable, "-c", ALWAYS, which, *words], cwd=tmp_path, capture_output=True, text=True, check=True,
            env={**os.environ, "DATABASE_URL": golden_url(case)},
        )  # fmt: skip
    assert said["without"].stdout == said["with"].stdout
    assert said["with"].stdout.count('"BTCUSDT"') > 256
    assert said["without"].stderr.count("pip install 'candlemill[history]'") == 1
    assert "pip install" not in said["with"].stderr
