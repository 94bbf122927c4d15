"""The profile holds from the command to the files: whose values they have, and that one file never mixes two."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

import candlemill
from candlemill.indicators.profiles import CORRECTED, PARITY, PROFILES
from candlemill.indicators.registry import INDICATORS
from candlemill.pipeline import engine
from candlemill.pipeline.backfill.fill import fill
from candlemill.pipeline.backfill.folder import read_manifest
from candlemill.pipeline.backfill.local import perform_all
from candlemill.pipeline.backfill.ranges import backfill
from candlemill.pipeline.backfill.store import opened
from candlemill.pipeline.base.errors import UsageError
from candlemill.pipeline.base.marker import Marker
from candlemill.pipeline.commands.app import app
from candlemill.pipeline.commands.plain import run_asked_for
from candlemill.pipeline.history import read_history
from candlemill.pipeline.live.passes import Passes
from candlemill.pipeline.options import Options, settings_of
from candlemill.pipeline.results.sink import Sink
from candlemill.pipeline.workfile.reader import marker_in, published, run_records
from tests import goldens
from tests.conftest import rows_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from candlemill.pipeline.settings import Settings

CASE = goldens.HERE / "synth_lengths"
AS_OF = datetime.fromisoformat(goldens.description(CASE)["as_of"])
#: Of SQL and of NumPy, with the same minimum in both profiles or another one, and one without a variant.
FEW = "bollinger,kdj,volume_ratio,donchian,futures_aggregate"


def asked(url: str, folder: Path, profile: str | None = None, **others: Any) -> Settings:
    options = Options(
        source=url, sqlite=folder / "result.db", duckdb=folder / "work.duckdb", symbols="AAAUSDT,N60USDT",
        intervals="5m", indicators=FEW, as_of=AS_OF.isoformat(), profile=profile, workers=1, **others,
    )  # fmt: skip
    return settings_of(options, {})


@pytest.fixture(scope="session")
def url(golden_url: Callable[[Path], str]) -> str:
    return golden_url(CASE)


@pytest.fixture(scope="module")
def ran(url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folders of a run of each profile."""
    folders = {profile: tmp_path_factory.mktemp(profile) for profile in PROFILES}
    for profile, folder in folders.items():
        record = engine.run(asked(url, folder, profile))
        assert (record.profile, record.as_json()["profile"]) == (profile, profile)
        assert not record.errors
    return folders


def command(*words: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, [str(word) for word in words], standalone_mode=False)
    if isinstance(done.exception, UsageError):
        return 2, str(done.exception), done.stdout
    return done.exit_code, done.stderr, done.stdout


def test_both_files_and_the_record_say_the_profile(ran: dict[str, Path]) -> None:
    for profile, folder in ran.items():
        with published(folder / "work.duckdb") as connection:
            assert marker_in(connection) == Marker(profile=profile)
            [record] = run_records(connection)
        assert record["profile"] == profile


def test_a_run_has_the_values_of_its_profile_and_no_others(ran: dict[str, Path]) -> None:
    values = {}
    for profile, folder in ran.items():
        with published(folder / "work.duckdb") as connection:
            candles = connection.execute(
                'SELECT * EXCLUDE (exchange, "interval") FROM candles WHERE "interval" = \'5m\' ORDER BY bucket_ts'
            ).to_arrow_table()
            for id_ in ("bollinger", "kdj", "volume_ratio", "donchian"):
                found = connection.execute(f"SELECT * EXCLUDE (run_id) FROM {id_} ORDER BY symbol").to_arrow_table()
                library = candlemill.compute(id_, candles, interval="5m", as_of=AS_OF, profile=profile)
                assert library.to_pylist() == found.to_pylist()
                values[profile, id_] = found.to_pylist()
    for id_ in ("bollinger", "kdj", "volume_ratio"):
        assert values[PARITY, id_] != values[CORRECTED, id_]
    assert values[PARITY, "donchian"] == values[CORRECTED, "donchian"]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("kind", ["result.db", "work.duckdb"])
def test_one_file_never_mixes_two_profiles(
    profile: str, kind: str, ran: dict[str, Path], url: str, tmp_path: Path
) -> None:
    other = CORRECTED if profile == PARITY else PARITY
    shutil.copy(ran[other] / kind, tmp_path / kind)
    before = (tmp_path / kind).read_bytes()
    with pytest.raises(
        UsageError, match=rf"has values of the profile {other}, not of {profile}: give another file with"
    ):
        engine.run(asked(url, tmp_path, profile))
    assert (tmp_path / kind).read_bytes() == before
    if kind == "result.db":
        with pytest.raises(UsageError, match=f"or --profile {other}$"):
            fill(asked(url, tmp_path, profile))


def test_parity_of_two_profiles_is_refused_and_of_one_is_not(ran: dict[str, Path]) -> None:
    files = [folder / "result.db" for folder in ran.values()]
    code, said, out = command("parity", *files)
    assert (code, out) == (2, "")
    assert f"{files[1]} of corrected" in said
    assert command("parity", files[1], files[1])[0] == 0


def test_what_reads_a_file_takes_its_profile_and_refuses_another_one(ran: dict[str, Path], tmp_path: Path) -> None:
    for profile, folder in ran.items():
        other = CORRECTED if profile == PARITY else PARITY
        changes = ("changes", "--sqlite", folder / "result.db", "--json")
        plot = ("plot", "AAAUSDT", "--interval", "5m", "--duckdb", folder / "work.duckdb", "--bars", 5)
        for words in (changes, (*plot, "--output", tmp_path / "drawn.svg")):
            assert command(*words)[0] == 0
            assert command(*words, "--profile", profile)[0] == 0
            code, said, _ = command(*words, "--profile", other)
            assert (code, said.partition(": ")[2][:19]) == (2, "leave --profile out")


def test_pictures_of_a_work_file_have_the_values_of_its_profile(ran: dict[str, Path]) -> None:
    from candlemill.pipeline.base.intervals import INTERVALS
    from candlemill.pipeline.plotting.history import read_series, tracks

    for profile, folder in ran.items():
        with published(folder / "work.duckdb") as connection:
            series = read_series(connection, "AAAUSDT", INTERVALS["5m"], 3)
            query = "SELECT volume_ratio FROM volume_ratio WHERE symbol = 'AAAUSDT' AND \"interval\" = '5m'"
            [(newest,)] = connection.execute(query).fetchall()
        [track] = [t for t in tracks(series, [INDICATORS["volume_ratio"]], profile) if t.column.name == "volume_ratio"]
        assert track.values[-1] == newest


@pytest.mark.parametrize("profile", PROFILES)
def test_a_history_and_a_watch_have_the_values_of_a_run(
    profile: str, ran: dict[str, Path], url: str, tmp_path: Path
) -> None:
    settings = asked(url, tmp_path, profile)
    with published(ran[profile] / "work.duckdb") as connection:
        query = "SELECT * EXCLUDE (symbol, \"interval\", bucket_ts, run_id) FROM kdj WHERE symbol = 'AAAUSDT'"
        [run] = connection.execute(query).to_arrow_table().to_pylist()
    rows = read_history(settings, 1).to_pylist()
    [newest] = [row for row in rows if row["symbol"] == "AAAUSDT"]
    assert {name: newest[f"kdj_{name}"] for name in run} == run
    with Sink.of(settings) as sink:
        passes = Passes(settings, sink, 3)
        assert passes.update(AS_OF, settings.intervals).profile == profile
        passes.close()
    query = f'SELECT * FROM "{INDICATORS["kdj"].table}" ORDER BY 1, 2, 3'
    assert rows_of(tmp_path / "result.db", query) == rows_of(ran[profile] / "result.db", query)


def test_a_filled_database_has_the_values_of_its_profile(ran: dict[str, Path], url: str, tmp_path: Path) -> None:
    settings = replace(asked(url, tmp_path, CORRECTED, retention="5m=2"), as_of=AS_OF)
    assert fill(settings).profile == CORRECTED
    # The run saw the bar that forms, too; the database goes on from there.
    engine.run(replace(settings, duckdb=tmp_path / "again.duckdb"))
    query = f'SELECT * FROM "{INDICATORS["kdj"].table}" ORDER BY 1, 2, 3'
    newest = [
        row for row in rows_of(tmp_path / "result.db", query) if row in rows_of(ran[CORRECTED] / "result.db", query)
    ]
    assert len(newest) == 2


def test_a_backfill_goes_on_in_its_own_profile_alone(url: str, tmp_path: Path) -> None:
    begin, store = AS_OF - timedelta(hours=1), opened(str(tmp_path / "store"))
    for _ in range(2):
        backfill(asked(url, tmp_path, CORRECTED), begin, AS_OF, store, engine=perform_all, export_only=True)
    known = read_manifest(store)
    assert known is not None
    assert known.request.profile == CORRECTED
    with pytest.raises(UsageError, match=r"holds a backfill of another profile \(corrected\): ask for the same"):
        backfill(asked(url, tmp_path), begin, AS_OF, store, engine=perform_all, export_only=True)


def test_the_profile_comes_from_the_option_or_the_variable() -> None:
    environment = {"CANDLEMILL_PROFILE": "corrected"}
    found = run_asked_for(["run", "--source", "postgresql://x/y"], environment)
    assert found is not None
    assert settings_of(found.options, environment).profile == CORRECTED
    assert settings_of(Options(), {}).profile == PARITY
    with pytest.raises(UsageError, match="unknown profile 'corect'"):
        settings_of(Options(profile="corect"), {})
    code, said, _ = command("changes", "--profile", "other")
    assert (code, said.startswith("unknown profile 'other'")) == (2, True), json.dumps(said)
