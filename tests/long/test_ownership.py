"""Whose a file is: invented prices reach no desk's file, and nothing of others is deleted, replaced or written into."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from typer.testing import CliRunner

from candlemill.indicators.profiles import CORRECTED, PROFILES
from candlemill.indicators.registry import INDICATORS
from candlemill.pipeline.base.errors import CandlemillError, SinkError, UsageError
from candlemill.pipeline.base.marker import DEMO, DESK, Marker
from candlemill.pipeline.base.outputs import output
from candlemill.pipeline.commands import tabular
from candlemill.pipeline.commands.app import app
from candlemill.pipeline.commands.memory import Capture
from candlemill.pipeline.demo.server import demo_server
from candlemill.pipeline.live.health import Health, check_place, health_file, watch_of
from candlemill.pipeline.options import Options, settings_of
from candlemill.pipeline.plotting.canvas import draw
from candlemill.pipeline.record import Record
from candlemill.pipeline.results.ownership import application_id, marker_of
from candlemill.pipeline.results.sink import Sink
from candlemill.pipeline.workfile.provenance import Provenance
from candlemill.pipeline.workfile.query import Answer
from candlemill.pipeline.workfile.writer import WorkFile
from tests import goldens
from tests.writing import put

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Ran

WILLIAMS = INDICATORS["williams_r"]
KEYS = "交易对 TEXT, 周期 TEXT, 数据时间 TEXT"
NOW = datetime(2026, 1, 22, 9, 7, tzinfo=UTC)
ROOT = Path(__file__).parents[2]


def contents(folder: Path) -> dict[str, bytes | str]:
    """What is in a folder: the bytes of files, the targets of links, the kinds of all else; no index of a log."""
    found: dict[str, bytes | str] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"link to {path.readlink()}"
        elif path.is_file():
            found[name] = path.read_bytes()
        else:
            found[name] = f"kind {path.lstat().st_mode:o}"
    return {name: body for name, body in found.items() if body and not name.endswith("-shm")}


# -- the result database


@given(st.integers(-(2**31), 2**31 - 1))
def test_a_number_of_another_application_is_no_marker(number: int) -> None:
    with suppress(ValueError):
        found = marker_of(number)
        assert found is None or application_id(found) == number


def test_every_marker_has_a_number_of_its_own() -> None:
    markers = [Marker(demo, profile) for demo in (False, True) for profile in PROFILES]
    assert [marker_of(application_id(marker)) for marker in markers] == markers
    # What an older version has written means the same for ever.
    assert [application_id(DESK), application_id(DEMO)] == [0x636D6C00, 0x636D6C01]


def execute(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        for each in statements:
            connection.execute(each)


TABLE = f'CREATE TABLE "{INDICATORS["macd"].table}" ({KEYS}, "MACD" REAL)'
STATES: dict[str, tuple[str, ...]] = {
    "absent": (),
    "empty": ("VACUUM",),
    "left by a killed run": ("PRAGMA journal_mode = wal",),
    "a desk's, without marker": (TABLE,),
    "a desk's": (TABLE, f"PRAGMA application_id = {application_id(DESK)}"),
    "the demo's": (TABLE, f"PRAGMA application_id = {application_id(DEMO)}"),
    "corrected": (TABLE, f"PRAGMA application_id = {application_id(Marker(profile=CORRECTED))}"),
    "of another application": ("CREATE TABLE notes (note TEXT)", "INSERT INTO notes VALUES ('mine')"),
    "of another application, with a view": ("CREATE VIEW notes AS SELECT 1 AS note",),
    "of another application, without tables": ("PRAGMA application_id = 77", "CREATE TABLE t (a)", "DROP TABLE t"),
    "a desk's, with another number": ("PRAGMA application_id = 77", TABLE),
    "newer": (TABLE, f"PRAGMA application_id = {0x636D6CFE}"),
}
#: Who may write into which.
FREE = {"absent", "empty", "left by a killed run"}
DESKS = {"a desk's, without marker", "a desk's", "a desk's, with another number"}
OTHERS = {name for name in STATES if name.startswith("of another application")}
FUTURE = Marker(profile=CORRECTED)


@pytest.mark.parametrize(
    ("state", "marker", "adopt", "allowed"),
    [
        *((state, DESK, False, state in FREE | DESKS) for state in STATES),
        *((state, DEMO, False, state in FREE | {"the demo's"}) for state in STATES),
        *((state, FUTURE, False, state in FREE | {"corrected"}) for state in ("absent", "a desk's", "corrected")),
        *((state, DESK, True, state in OTHERS) for state in sorted(OTHERS | {"the demo's"})),
        ("of another application", DEMO, True, False),
    ],
)
def test_a_result_database_takes_results_of_its_own_kind_alone(
    state: str, marker: Marker, adopt: bool, allowed: bool, tmp_path: Path
) -> None:
    file = tmp_path / "result.db"
    if STATES[state]:
        execute(file, *STATES[state])
    before = contents(tmp_path)
    row = {"symbol": "AAA", "interval": "5m", "bucket_ts": NOW, "run_id": "x", "williams_r": -50.0}
    results = {WILLIAMS: pa.Table.from_pylist([row])}
    with Sink(file, 1, marker, adopt) as sink:
        if not allowed:
            # The one that looks first says it, and the one that writes would, too, whatever was looked at before.
            steps: list[Callable[[], None]] = [
                lambda: sink.check([WILLIAMS]),
                lambda: put(sink, results, lambda _: 10),
            ]
            for step in steps:
                with pytest.raises(SinkError if state in OTHERS else UsageError, match="--sqlite") as refused:
                    step()
                assert refused.value.exit_code == (4 if state in OTHERS else 2)
                assert contents(tmp_path) == before
            return
        sink.check([WILLIAMS])
        for _ in range(2):
            put(sink, results, lambda _: 10)
    with closing(sqlite3.connect(file)) as connection:
        [(number,)] = connection.execute("PRAGMA application_id")
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    # What is new is marked, what was there keeps its number; readers see no other table than those of results.
    old = {"a desk's, without marker", "of another application", "of another application, with a view"}
    assert number == (0 if state in old else 77 if "number" in state or "tables" in state else application_id(marker))
    assert WILLIAMS.table in names
    assert names <= {WILLIAMS.table, INDICATORS["macd"].table, "notes"}


def test_a_result_database_that_is_no_regular_file_is_left_alone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", Path("/dev/null")):
        with Sink(path, 1) as sink, pytest.raises(SinkError, match="is no regular file"):
            sink.check([WILLIAMS])


@pytest.mark.parametrize("end", ["-wal", "-journal"])
def test_a_log_without_its_database_is_left_alone(end: str, tmp_path: Path) -> None:
    (tmp_path / f"result.db{end}").write_text("the newest rows")
    before = contents(tmp_path)
    with Sink(tmp_path / "result.db", 1) as sink, pytest.raises(SinkError, match="--sqlite"):
        sink.check([WILLIAMS])
    assert contents(tmp_path) == before


def test_a_copy_keeps_the_marker(tmp_path: Path) -> None:
    execute(tmp_path / "demo.db", *STATES["the demo's"], f"VACUUM INTO '{tmp_path / 'copy.db'}'", "VACUUM")
    for name in ("copy.db", "demo.db"):
        with Sink(tmp_path / name, 1) as sink, pytest.raises(UsageError, match="the demo's invented prices"):
            sink.check([WILLIAMS])


# -- the work file


def provenance(marker: Marker = DESK, **changed: Any) -> Provenance:
    plain = Provenance("", "binance", NOW, 400, False, True, 0, demo=marker.demo, profile=marker.profile)
    return replace(plain, **changed)


def publish(file: Path, marker: Marker = DESK, before: Callable[[], object] = lambda: None) -> bool:
    """Leave a work file of no bars; ``before`` is called when it is about to be put in its place."""
    with WorkFile(file, 1, "binance", marker) as work:
        work.settle().result()
        before()
        record = Record(NOW, source="", intervals=["5m"], indicators=1)
        record.close()
        return work.publish([record], provenance(marker))


def made_by_hand(*statements: str) -> Callable[[Path], None]:
    def make(file: Path) -> None:
        with closing(duckdb.connect(str(file))) as connection:
            for each in statements:
                connection.execute(each)

    return make


def changed_by_hand(*statements: str) -> Callable[[Path], None]:
    def make(file: Path) -> None:
        publish(file)
        made_by_hand(*statements)(file)

    return make


def link_to_a_device(file: Path) -> None:
    file.symlink_to("/dev/null")


def link_to_a_pipe(file: Path) -> None:
    os.mkfifo(file.with_name("pipe"))
    file.symlink_to("pipe")


WORK: dict[str, tuple[Callable[[Path], object], set[str]]] = {
    "absent": (lambda _: None, {"desk", "demo"}),
    "empty": (lambda file: file.touch(), {"desk", "demo"}),
    "a desk's": (lambda file: publish(file), {"desk"}),
    "a desk's, of an older version": (changed_by_hand("COMMENT ON TABLE candles IS NULL"), {"desk"}),
    "a desk's, of a version with another indicator": (
        changed_by_hand(
            "CREATE TABLE gone (symbol VARCHAR)", "UPDATE catalog SET indicator = 'gone' WHERE position = 1"
        ),
        {"desk"},
    ),
    "the demo's": (lambda file: publish(file, DEMO), {"demo"}),
    "corrected": (lambda file: publish(file, Marker(profile=CORRECTED)), set()),
    "with tables of somebody": (changed_by_hand("CREATE TABLE notes (note VARCHAR)"), set()),
    "with tables of somebody in a schema": (
        changed_by_hand("CREATE SCHEMA own", "CREATE TABLE own.runs (a INT)"),
        set(),
    ),
    "of another application": (made_by_hand("CREATE TABLE t (a INT)"), set()),
    "of another application, with a catalogue": (made_by_hand("CREATE TABLE catalog (a INT)"), set()),
    "of another application, without tables": (made_by_hand("CREATE SEQUENCE s"), set()),
    "a text": (lambda file: file.write_text("mine"), set()),
    "a folder": (lambda file: file.mkdir(), set()),
    "a pipe": (lambda file: os.mkfifo(file), set()),
    "a link to a device": (link_to_a_device, set()),
    "a link to a pipe": (link_to_a_pipe, set()),
}


@pytest.mark.parametrize("state", WORK)
def test_a_work_file_takes_the_place_of_its_own_kind_alone(state: str, tmp_path: Path) -> None:
    make, allowed = WORK[state]
    for writer, marker in (("desk", DESK), ("demo", DEMO)):
        folder = tmp_path / writer
        folder.mkdir()
        file = folder / "work.duckdb"
        make(file)
        before = contents(folder)
        if writer in allowed:
            assert publish(file, marker)
            continue
        if writer == "desk" and state.startswith("with tables of somebody"):
            # The results are there all the same, and the record says what is not.
            assert not publish(file, marker)
            assert contents(folder) == before
            continue
        mixed = state.startswith(("a desk's", "the demo's", "corrected")) or (writer == "demo" and "tables" in state)
        with pytest.raises(UsageError if mixed and "application" not in state else SinkError, match="--duckdb"):
            publish(file, marker)
        assert contents(folder) == before
        if writer == "demo":
            continue
        # Nor where it comes while the run goes on.
        file.rename(folder / "aside")
        assert not publish(file, marker, before=lambda folder=folder, file=file: (folder / "aside").rename(file))  # type: ignore[misc]
        assert contents(folder) == before


def test_a_device_in_the_place_of_the_work_file_stays(tmp_path: Path) -> None:
    node = tmp_path / "null"
    try:
        os.mknod(node, 0o666 | 0o020000, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root makes devices")
    with pytest.raises(SinkError, match="is no regular file"):
        publish(node)
    assert node.is_char_device()


def test_a_link_to_a_work_file_stays_a_link(tmp_path: Path) -> None:
    link, target = tmp_path / "link.duckdb", tmp_path / "target.duckdb"
    link.symlink_to("target.duckdb")
    for _ in range(2):
        assert publish(link)
        assert link.is_symlink()
        assert not target.is_symlink()


def test_what_somebody_changed_in_the_work_file_comes_into_no_other(tmp_path: Path) -> None:
    file = tmp_path / "work.duckdb"
    publish(file)
    program = "SET checkpoint_threshold = '1TB'; INSERT INTO catalog SELECT * FROM catalog LIMIT 1"
    words = f"import duckdb, os; c = duckdb.connect({str(file)!r}); c.execute({program!r}); os._exit(0)"
    subprocess.run([sys.executable, "-c", words], check=True)
    before = contents(tmp_path)
    assert sorted(before) == ["work.duckdb", "work.duckdb.wal"]
    assert not publish(file)
    assert contents(tmp_path) == before


def test_the_work_file_is_no_part_of_the_result_database() -> None:
    for name in ("x.db", "x.db-wal", "x.db-shm", "./x.db-journal"):
        with pytest.raises(UsageError, match="--duckdb"):
            settings_of(Options(sqlite=Path("x.db"), duckdb=Path(name)), {})


def test_folders_and_files_of_others_stay_whatever_they_are_called(tmp_path: Path) -> None:
    names = [".candlemill-", ".candlemill-backup", ".candlemill-abcdefgh", f".candlemill-{'a' * 32}-shared12"]
    for name in names:
        (tmp_path / name).mkdir(mode=0o755 if "shared" in name else 0o700)
        (tmp_path / name / "precious").write_text("mine")
    left, link = tmp_path / f".candlemill-{'0' * 32}-abcdefgh", tmp_path / f".candlemill-{'1' * 32}-abcdefgh"
    link.symlink_to(".candlemill-backup")
    (tmp_path / f".candlemill-{'2' * 32}-abcdefgh").write_text("a file")
    before = contents(tmp_path)
    # That of a killed run goes, with all in it.
    left.mkdir(mode=0o700)
    (left / "work.duckdb").write_text("half")
    assert publish(tmp_path / "work.duckdb")
    after = contents(tmp_path)
    del after["work.duckdb"]
    assert after == before


# -- what a narrower run takes from the work file

WIDE: dict[str, Any] = {
    "choice": "all",
    "symbols": ["A", "B", "C"],
    "intervals": ["1h", "5m"],
    "indicators": ["kdj", "macd"],
}


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({}, []),
        ({"symbols": ["A", "B", "C", "D"], "intervals": ["1h", "1m", "5m"], "as_of": NOW + timedelta(days=1)}, []),
        ({"symbols": ["A"], "choice": "A"}, ["the symbols B, C"]),
        # What the same choice chooses changes by itself.
        ({"symbols": ["A"]}, []),
        ({"intervals": ["1h"]}, ["the intervals 5m"]),
        ({"indicators": ["kdj"]}, ["the indicators macd"]),
        ({"lookback": 100}, ["bars beyond the newest 100 of each series"]),
        ({"exchange": "other"}, ["the exchange binance"]),
        ({"as_of": NOW - timedelta(hours=1)}, ["what came after 2026-01-22T08:07:00+00:00"]),
        ({"intervals": [], "indicators": []}, ["the intervals 1h, 5m", "the indicators kdj, macd"]),
    ],
)
def test_what_a_work_file_loses(changed: dict[str, Any], says: list[str]) -> None:
    before = replace(provenance(), **WIDE)
    assert replace(before, **changed).lacks(before) == says
    # It is read from the file's own text.
    assert replace(before, **changed).lacks(Provenance.from_text(before.as_text())) == says


def test_many_names_are_not_all_listed() -> None:
    many = provenance(symbols=[f"S{number}" for number in range(600)], choice="many")
    assert provenance().lacks(many) == ["the symbols S0, S1, S2, S3, S4 and 595 more"]


def test_a_narrower_run_says_what_the_work_file_loses_and_which_watch_keeps_it(
    candlemill: Callable[..., Ran], golden_url: Callable[[Path], str], tmp_path: Path
) -> None:
    url = golden_url(goldens.HERE / "synth_lengths")

    def run(symbols: str, intervals: str, indicators: str, as_of: str) -> str:
        asked = ("--symbols", symbols, "--intervals", intervals, "--indicators", indicators, "--as-of", as_of)
        ran = candlemill("run", "--source", url, *asked, "--sqlite", "result.db", "--duckdb", "work.duckdb")
        assert ran.code == 0, ran.err
        return "".join(line for line in ran.err.splitlines() if "WARNING" in line and "work file" in line)

    assert run("AAAUSDT,N60USDT", "5m,1w", "base_data,macd", "2026-01-22T09:07") == ""
    assert run("AAAUSDT,N60USDT,N5USDT", "5m,1w", "base_data,macd", "2026-01-22T09:07") == ""
    now = datetime.now(UTC)
    health = Health(os.getpid(), "", "", now, [], fresh_until=now + timedelta(hours=1), work_file="work.duckdb")
    health.write(health_file(tmp_path / "work.duckdb"), now)
    said = run("AAAUSDT", "5m", "macd", "2026-01-22T09:02")
    assert f"a watch, process {os.getpid()}, keeps the work file work.duckdb" in said
    lost = "the symbols N5USDT, N60USDT, the intervals 1w, the indicators base_data, what came after 2026-01-22T09:02"
    assert f"it has lost {lost}" in said
    assert "--duckdb" in said


# -- the health file of a watch


def test_every_work_file_has_a_health_file_of_its_own() -> None:
    names = ["work", "work.duckdb", "work.db", "work.duckdb.duckdb", "work.health", "work.health.json", ".duckdb"]
    assert len({health_file(Path(name)) for name in names}) == len(names)
    assert health_file(Path("data/candlemill.duckdb")) == Path("data/candlemill.health.json")


def test_the_health_file_takes_no_place_of_something_else(tmp_path: Path) -> None:
    work, result = tmp_path / "work.duckdb", tmp_path / "result.db"
    file = health_file(work)
    check_place(work, result)
    Health(1, "", "", NOW, [], work_file="work.duckdb").write(file, NOW)
    check_place(work, result)
    # Of an older version, which did not say it.
    file.write_text(file.read_text().replace("work.duckdb", ""))
    check_place(work, result)
    for database in (file, tmp_path / "work.health.json-wal" / ".." / "work.health.json"):
        with pytest.raises(UsageError, match=r"a file of its results.*--duckdb"):
            check_place(work, database)
    Health(1, "", "", NOW, [], work_file="other.duckdb").write(file, NOW)
    with pytest.raises(UsageError, match=r"a watch with the work file other\.duckdb.*--duckdb"):
        check_place(work, result)
    for body in ('{"status": "mine"}', "[]", "mine"):
        file.write_text(body)
        with pytest.raises(UsageError, match=r"is not a health file of candlemill.*--duckdb"):
            check_place(work, result)
    file.unlink()
    file.symlink_to("elsewhere")
    with pytest.raises(UsageError, match=r"is no regular file.*--duckdb"):
        check_place(work, result)


def test_a_watch_whose_health_file_would_be_something_else_does_not_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    execute(tmp_path / "x.health.json", TABLE)
    before = contents(tmp_path)
    words = ["watch", "--source", "postgresql://nowhere@127.0.0.1:1/x", "--for", "0", "--duckdb", "x.duckdb"]
    for sqlite in ("x.health.json", "other.db"):
        found = CliRunner().invoke(app, [*words, "--sqlite", sqlite])
        assert isinstance(found.exception, UsageError)
    assert contents(tmp_path) == before


def test_a_draft_of_the_health_file_follows_no_link(tmp_path: Path) -> None:
    file = health_file(tmp_path / "work.duckdb")
    (tmp_path / "precious").write_text("mine")
    (tmp_path / f".{file.name}.{os.getpid()}").symlink_to("precious")
    Health(1, "", "", NOW, []).write(file, NOW)
    assert (tmp_path / "precious").read_text() == "mine"
    assert json.loads(file.read_text())["pid"] == 1


def test_only_a_living_watch_keeps_a_work_file(tmp_path: Path) -> None:
    work = tmp_path / "work.duckdb"
    assert watch_of(work, NOW) is None
    with subprocess.Popen(["true"]) as child:
        child.wait()
    for pid, until, keeper in (
        (os.getpid(), NOW + timedelta(seconds=1), os.getpid()),
        (os.getpid(), NOW - timedelta(seconds=1), None),
        (os.getpid(), None, None),
        (child.pid, NOW + timedelta(seconds=1), None),
    ):
        Health(pid, "", "", NOW, [], fresh_until=until).write(health_file(work), NOW)
        assert watch_of(work, NOW) == keeper


# -- what is drawn, captured and exported


def parquet(file: Path) -> None:
    batch = pa.record_batch({"n": [1]})
    tabular.write_parquet(Answer(batch.schema, iter([batch])), file)


def picture(file: Path) -> None:
    draw(file, None, "", lambda _: Figure(figsize=(1, 1)))


def link_to_a_text(file: Path) -> None:
    file.with_name("precious").write_text("mine")
    file.symlink_to("precious")


OUTPUTS: dict[str, Callable[[Path], object]] = {
    ".parquet": parquet,
    ".png": picture,
    ".svg": picture,
    ".html": picture,
    ".bin": Capture,
}


@pytest.mark.parametrize("suffix", OUTPUTS)
def test_an_output_takes_the_place_of_its_own_kind_alone(suffix: str, tmp_path: Path) -> None:
    write, file = OUTPUTS[suffix], tmp_path / f"out{suffix}"
    others: list[Callable[[Path], object]] = [
        lambda file: file.write_text("mine"),
        lambda file: execute(file, TABLE),
        link_to_a_text,
        link_to_a_device,
        link_to_a_pipe,
        os.mkfifo,
        lambda file: file.mkdir(),
    ]
    for make in others:
        make(file)
        before = contents(tmp_path)
        with pytest.raises(CandlemillError, match=file.name):
            write(file)
        assert contents(tmp_path) == before
        file.rmdir() if file.is_dir() else file.unlink()
    if suffix != ".bin":
        # A link to one of its kind, or to nothing, stays a link.
        file.symlink_to("target")
        for _ in range(2):
            write(file)
            assert file.is_symlink()
            assert file.with_name("target").stat().st_size


def test_a_capture_of_memory_and_its_reports_take_the_place_of_their_own_kind_alone(tmp_path: Path) -> None:
    for name in ("out", "out.html", "out.txt", "out.png"):
        (tmp_path / name).write_text("mine")
        with pytest.raises(UsageError, match=f"{name} is there already"):
            Capture(tmp_path / "out")
        assert contents(tmp_path) == {name: b"mine"}
        (tmp_path / name).unlink()
    heads = {"out": b"memray\0", "out.html": b"\n<!DOCTYPE html>", "out.txt": "📏 Total allocations:".encode()}
    for name, head in heads.items():
        (tmp_path / name).write_bytes(head)
    with Capture(tmp_path / "out"):
        pass
    del heads["out"]
    assert {name: (tmp_path / name).read_bytes() for name in heads} == heads
    # One that has ended is known, too.
    assert output(tmp_path / "out", "capture of memray") == tmp_path / "out"


# -- the demo's files, and which are read


def test_the_demo_takes_no_folder_of_somebody_for_its_server(tmp_path: Path) -> None:
    (tmp_path / "PG_VERSION").write_text("16")
    (tmp_path / "file").touch()
    before = contents(tmp_path)
    for folder in (tmp_path, tmp_path / "file"):
        with pytest.raises(UsageError, match="--data"), demo_server(folder):
            pass
    assert contents(tmp_path) == before


def test_demo_and_run_refuse_the_files_of_each_other(
    candlemill: Callable[..., Ran], golden_url: Callable[[Path], str], tmp_path: Path
) -> None:
    for name, marker in (("desk", DESK), ("demo", DEMO)):
        execute(tmp_path / f"{name}.db", TABLE, f"PRAGMA application_id = {application_id(marker)}")
        publish(tmp_path / f"{name}.duckdb", marker)
    execute(tmp_path / "old.db", TABLE)
    before = contents(tmp_path)
    url, mine = golden_url(goldens.HERE / "synth_lengths"), ("--sqlite", "new.db", "--duckdb", "new.duckdb")
    words = ("run", "--source", url, "--symbols", "AAAUSDT", "--intervals", "5m", "--as-of", NOW.isoformat())
    for command, changed in (
        (words, ("--sqlite", "demo.db")),
        (words, ("--duckdb", "demo.duckdb")),
        (("demo",), ("--sqlite", "desk.db")),
        (("demo",), ("--sqlite", "old.db")),
    ):
        ran = candlemill(*command, *mine, *changed)
        assert ran.code == 2, ran.err
        assert f"{changed[1]} " in ran.last
        assert changed[0] in ran.last
        assert contents(tmp_path) == before


def test_the_program_decides_whether_there_is_a_source(candlemill: Callable[..., Ran], tmp_path: Path) -> None:
    url = "postgresql://nowhere@127.0.0.1:1/x"
    for line in (f'DATABASE_URL = "{url}"', f"export DATABASE_URL='{url}'", f"  DATABASE_URL={url} # the desk's"):
        (tmp_path / ".env").write_text(f"{line}\n")
        ran = candlemill("run-or-demo")
        assert ran.code == 3, ran.err
        assert ran.err.startswith("running against DATABASE_URL\n")
    # The demo, without its server: the folder is somebody's.
    (tmp_path / ".env").write_text("# DATABASE_URL=x\nDATABASE_URL=\n")
    ran = candlemill("run-or-demo", "--data", tmp_path)
    assert ran.code == 2
    assert "DATABASE_URL is not set: running on the embedded demo market" in ran.err
    assert "is not the demo's" in ran.last


def test_make_asks_the_program_and_keeps_the_files_of_real_runs() -> None:
    def recipe(target: str) -> str:
        words = ["make", "--no-print-directory", "--dry-run", "--always-make", target]
        return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert recipe("run").splitlines()[-1] == "exec .venv/bin/candlemill run-or-demo"
    assert "data" not in recipe("clean").split()


@pytest.mark.parametrize("command", [("query", "SELECT 1 AS one"), ("runs",), ("plot", "--run", "--output", "run.svg")])
def test_the_demos_work_file_is_read_where_it_is_asked_for_or_the_only_one(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CANDLEMILL_DUCKDB", raising=False)

    def ask(*words: str, code: int = 0, **environment: str) -> str:
        found = CliRunner().invoke(app, [*command, *words], env=environment)
        assert found.exit_code == code, found.output
        return found.stderr

    demo, real = Path("data/demo/candlemill.duckdb"), Path("data/candlemill.duckdb")
    ask("--demo", code=1)
    publish(demo, DEMO)
    told = f"there is no {real} of a run: {demo} is read, the demo's invented prices\n"
    assert ask().startswith(told)
    assert "invented" not in ask("--demo")
    # A file that is asked for is not replaced by another one.
    ask("--duckdb", "missing.duckdb", code=1)
    ask(code=1, CANDLEMILL_DUCKDB="missing.duckdb")
    publish(Path("elsewhere.duckdb"), DEMO)
    assert ask("--duckdb", "elsewhere.duckdb").startswith("elsewhere.duckdb holds the demo's invented prices\n")
    assert "invented" not in ask("--demo", CANDLEMILL_DUCKDB="elsewhere.duckdb")
    publish(real)
    assert "invented" not in ask()
    demo.unlink()
    # Nor is that of a real run read for the demo's.
    ask("--demo", code=1)
