"""The report: its rows and words, what changed, the values of its charts, and what it does with files."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import zlib
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pytest
from typer.testing import CliRunner

from candlemill.indicators.kinds import TEXT
from candlemill.indicators.registry import INDICATORS
from candlemill.pipeline.base import outputs
from candlemill.pipeline.base.intervals import INTERVALS
from candlemill.pipeline.commands import report as command
from candlemill.pipeline.commands.app import app
from candlemill.pipeline.plotting.history import read_series, tracks
from candlemill.pipeline.reporting.charts import read_charts
from candlemill.pipeline.reporting.page import SHOWN
from candlemill.pipeline.reporting.report import usual_bars
from candlemill.pipeline.reporting.signals import add_changes, read_signals
from candlemill.pipeline.results.changes import Change, categories
from candlemill.pipeline.workfile.reader import published
from tests import goldens
from tests.conftest import CANDLEMILL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOW, EARLIER = "2026-01-22T09:07:00+00:00", "2026-01-22T09:01:00+00:00"
#: Some of each kind: in NumPy, in SQL, of words, of metrics.
CHARTED = ("macd", "supertrend", "donchian", "base_data", "futures_sentiment")


@pytest.fixture(scope="module")
def folder(golden_url: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of two runs, the second some minutes after the first."""
    folder = tmp_path_factory.mktemp("reported")
    words = [
        "--symbols",
        "AAAUSDT,GAPUSDT,N21USDT",
        "--intervals",
        "1m,5m,1w",
        "--sqlite",
        "r.db",
        "--duckdb",
        "w.duckdb",
    ]
    for as_of in (EARLIER, NOW):
        source = golden_url(goldens.HERE / "synth_core")
        command = [str(CANDLEMILL), "run", "--source", source, "--as-of", as_of, *words]
        subprocess.run(command, cwd=folder, capture_output=True, check=True)
    return folder


@pytest.fixture
def called(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs the command in a folder of the test's own, over copies of the files."""
    for name in ("r.db", "w.duckdb"):
        shutil.copyfile(folder / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)

    def report(*words: object) -> Any:
        given = ["report", "--sqlite", "r.db", "--duckdb", "w.duckdb", "--bars", "5", *map(str, words)]
        return CliRunner().invoke(app, given, standalone_mode=False)

    return report


def data_of(file: Path) -> dict[str, Any]:
    page = file.read_text(encoding="utf-8")
    [text] = re.findall(r'<script type="application/json" id="report">(.*?)</script>', page)
    found: dict[str, Any] = json.loads(text)
    return found


def chart_of(file: Path, row: int) -> dict[str, Any]:
    page = file.read_text(encoding="utf-8")
    [packed] = re.findall(rf'<script type="text/plain" id="chart-{row}">(.*?)</script>', page)
    found: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(packed)))
    return found


def test_the_table_has_every_word_of_the_work_file_and_every_change(called: Callable[..., Any], tmp_path: Path) -> None:
    said = called("-o", "en.html"), called("-o", "zh.html", "--words", "zh")
    assert [ran.stderr for ran in said] == ["9 rows in en.html\n", "9 rows in zh.html\n"]
    told = json.loads(CliRunner().invoke(app, ["changes", "--sqlite", "r.db", "--json"], standalone_mode=False).stdout)
    assert len(told) > 5
    for name in ("en.html", "zh.html"):
        data = data_of(tmp_path / name)
        columns = {column["key"]: (place, column["words"]) for place, column in enumerate(data["columns"])}
        rows = {(row[0], data["intervals"][row[1]]["name"]): row for row in data["rows"]}
        compared = 0
        with duckdb.connect("w.duckdb", read_only=True) as connection:
            for declared in INDICATORS.values():
                for column in categories(declared):
                    query = f'SELECT symbol, "interval", "{column.name}" FROM "{declared.id}"'
                    for symbol, interval, text in connection.execute(query).fetchall():
                        place, words = columns.get(f"{declared.id}.{column.name}", (0, []))
                        code = rows[symbol, interval][5][place] if words else None
                        found = None if code is None else [words[one]["text"] for one in np.atleast_1d(code)]
                        wanted = None if text is None else text.split(",") if column.listed else [text]
                        if wanted and name == "en.html":
                            wanted = [column.words[word] for word in wanted]
                        assert found == wanted, (declared.id, column.name)
                        compared += wanted is not None
        assert compared > 200
        changed = {(*series, data["columns"][place]["key"]) for series, row in rows.items() for place, _ in row[6]}
        assert changed == {(c["symbol"], c["interval"], f"{c['indicator']}.{c['column']}") for c in told}


def test_the_charts_draw_what_plot_draws(folder: Path) -> None:
    chosen = [INDICATORS[name] for name in CHARTED]
    with published(folder / "w.duckdb") as connection:
        [as_of] = connection.execute("SELECT max(as_of) AS a FROM runs").to_arrow_table()["a"].to_pylist()
        found = list(read_charts(connection, chosen, 12, as_of, "parity"))
        assert len(found) == 9
        for series, drawn in found[::2]:
            plotted = read_series(connection, series.symbol, series.interval, 12)
            assert series.times.tolist() == plotted.times.tolist()
            wanted = {track.name: track.values for track in tracks(plotted, chosen)}
            if INTERVALS["1m"] == series.interval:
                # There are no metrics at 1m.
                wanted = {name: values for name, values in wanted.items() if not name.startswith("futures")}
            assert [track.name for track in drawn] == list(wanted)
            for track in drawn:
                if track.column.kind is TEXT:
                    assert track.values.tolist() == wanted[track.name].tolist()
                elif track.column.unit not in ("seconds", "flag"):
                    np.testing.assert_allclose(track.values, wanted[track.name], rtol=1e-9, err_msg=track.name)


def test_a_change_of_another_bar_is_not_shown(folder: Path) -> None:
    with published(folder / "w.duckdb") as connection:
        signals = {signal.key: signal for signal in read_signals(connection)}
    signal = signals["supertrend.direction"]
    series, (start, word) = next(iter(signal.now.items()))
    changes = [
        Change(*series, start.replace(year=2020), "supertrend", "direction", "x", word),
        Change(*series, start, "supertrend", "direction", "x", "another"),
        Change("NONE", "5m", start, "supertrend", "direction", "x", word),
        Change(*series, start, "none", "direction", "x", word),
    ]
    add_changes(signals.values(), changes)
    assert signal.before == {}
    add_changes(signals.values(), [Change(*series, start, "supertrend", "direction", "x", word)])
    assert signal.before == {series: "x"}


def test_the_first_columns_are_columns_of_words() -> None:
    known = {f"{declared.id}.{column.name}" for declared in INDICATORS.values() for column in categories(declared)}
    assert set(SHOWN) < known


def test_without_a_result_database_it_says_that_changes_are_not_known(
    called: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "r.db").unlink()
    first, last = called("-o", "x.html").stderr.splitlines()
    assert first.startswith("what changed at the newest bars is not known, as there is no result database r.db: ")
    assert last == "9 rows in x.html"
    data = data_of(tmp_path / "x.html")
    assert (data["changes"], {len(row[6]) for row in data["rows"]}) == (False, {0})


def test_a_page_that_is_too_large_to_open_at_once_is_made_and_said_to_be(
    called: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "more than" not in called("-o", "x.html").stderr
    size = (tmp_path / "x.html").stat().st_size
    monkeypatch.setattr(command, "MOST_BYTES", size)
    assert "more than" not in called("-o", "x.html").stderr
    monkeypatch.setattr(command, "MOST_BYTES", size - 1)
    ran = called("-o", "x.html")
    assert (ran.exit_code, (tmp_path / "x.html").stat().st_size) == (0, size)
    assert ran.stderr.splitlines()[-1] == (
        f"x.html has {size / 1e6:.0f} MB, more than the {(size - 1) / 1e6:.0f} MB that open at once: "
        "give fewer --indicators or --bars"
    )


def test_charts_have_the_bars_asked_for_in_single_precision(called: Callable[..., Any], tmp_path: Path) -> None:
    called("-o", "x.html", "--indicators", "bollinger")
    with duckdb.connect("w.duckdb", read_only=True) as connection:
        query = "SELECT close FROM candles WHERE symbol = 'AAAUSDT' AND interval = '1m' ORDER BY bucket_ts DESC LIMIT 5"
        closes = [close for (close,) in connection.execute(query).fetchall()][::-1]
    [candles] = [trace for trace in chart_of(tmp_path / "x.html", 0)["data"] if trace["type"] == "candlestick"]
    drawn = np.frombuffer(base64.b64decode(candles["close"]["f4"]), "<f4")
    assert drawn.tolist() == np.array(closes, np.float32).tolist()


@pytest.mark.parametrize(("series", "bars"), [(0, 120), (9, 120), (1400, 120), (2800, 60), (10**6, 1)])
def test_of_more_series_charts_have_fewer_bars(series: int, bars: int) -> None:
    assert usual_bars(series) == bars


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("-o", "x.png"), "x.png does not end in .html: the report is a page"),
        (("-o", "theirs.html"), "theirs.html is there already and is no .html: give another name, or remove it"),
        (("-o", "folder.html"), "folder.html is no regular file: give the name of a new one"),
        (("--words", "de"), "'de' is none of en, zh"),
        (("--theme", "blue"), "'blue' is none of light, dark"),
        (("--indicators", "bolinger"), "unknown indicator 'bolinger': did you mean 'bollinger'?"),
        (("--duckdb", "none.duckdb"), "there is no work file none.duckdb: "),
    ],
)
def test_what_cannot_be_made_is_said_in_a_line_and_leaves_what_is_there(
    words: tuple[str, ...], complaint: str, called: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "theirs.html").write_text("a letter")
    (tmp_path / "folder.html").mkdir()
    before = sorted(file.name for file in tmp_path.rglob("*"))
    ran = called(*words)
    assert str(ran.exception).startswith(complaint)
    assert getattr(ran.exception, "exit_code", None) == 2
    assert sorted(file.name for file in tmp_path.rglob("*")) == before
    assert (tmp_path / "theirs.html").read_text() == "a letter"


def test_a_report_takes_the_place_of_an_older_one_whole(called: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "x.html"
    called("-o", "x.html", "--indicators", "bollinger")
    first = file.read_bytes()
    with file.open("rb") as reader:
        called("-o", "x.html", "--indicators", "kdj")
        # Whoever has opened the older one reads it to its end.
        assert reader.read() == first
    assert file.read_bytes() != first


def test_a_file_that_fails_half_way_is_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "x.html"
    file.write_text("before")

    def fail() -> None:
        with outputs.replacing(file) as stream:
            stream.write(b"half")
            stream.flush()
            assert len(list(tmp_path.iterdir())) == 2
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert file.read_text() == "before"
    assert [found.name for found in tmp_path.iterdir()] == ["x.html"]
