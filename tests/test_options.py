"""The model of settings: the commands, the checks and the documents say what it says."""

from __future__ import annotations

import io
import json
import logging
import re
import shlex
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from dotenv import dotenv_values
from typer.main import get_command
from typer.testing import CliRunner

from candlemill.pipeline.base import logs
from candlemill.pipeline.base.errors import UsageError
from candlemill.pipeline.base.shown import looks_secret, shown
from candlemill.pipeline.base.threads import useful_threads
from candlemill.pipeline.commands.app import app
from candlemill.pipeline.documents import environment
from candlemill.pipeline.options import (
    INTERVAL_RULES,
    LIBPQ,
    OPTIONS,
    SYMBOL_RULES,
    Options,
    Setting,
    settings_of,
    variables_set,
)
from candlemill.pipeline.settings import RETENTION, Settings, parse_symbol_rules
from tests import goldens
from tests.conftest import dump_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Ran

#: The variables with their examples, as they are once the file is copied and every # is taken away.
EXAMPLES = {
    name: value or ""
    for name, value in dotenv_values(
        stream=io.StringIO(re.sub(r"^#(?=\w+=)", "", environment.render(), flags=re.MULTILINE))
    ).items()
}


def options_of(command: str) -> dict[str, Any]:
    """The options of a command as typer has them, by their names."""
    found: Any = get_command(app)
    found = found.commands[command]
    if command == "ingest":
        found = found.commands["binance-vision"]
    return {parameter.name: parameter for parameter in found.params if parameter.param_type_name == "option"}


COMMANDS = {command: options_of(command) for command in get_command(app).commands}  # type: ignore[attr-defined]


@pytest.mark.parametrize("setting", OPTIONS, ids=lambda setting: setting.name)
def test_commands_take_the_option_as_the_model_has_it(setting: Setting) -> None:
    assert setting.commands
    for command in setting.commands:
        option = COMMANDS[command][setting.name]
        assert option.opts == [setting.option, *setting.aliases]
        assert (option.envvar or []) == list(setting.variables)
        assert option.default == setting.differing.get(command, setting.default)
        assert option.help.startswith(setting.meaning)
        assert setting.otherwise in option.help


def test_no_command_takes_a_variable_or_an_option_of_the_model_beside_it() -> None:
    declared = {(command, setting.option) for setting in OPTIONS for command in setting.commands}
    #: Options of a command's own that have the name of a setting, and mean something else.
    own = {("ingest", "--exchange"), ("plot", "--indicators"), ("backfill", "--sqlite"), ("report", "--indicators")}
    own |= {("parity", "--intervals"), ("parity", "--symbols"), ("changes", "--symbols")}
    names = {setting.option for setting in OPTIONS}
    for command, options in COMMANDS.items():
        for option in options.values():
            if (command, option.opts[0]) not in declared:
                assert not option.envvar
                assert option.opts[0] not in names or (command, option.opts[0]) in own


def test_what_is_not_given_is_the_default_of_a_run() -> None:
    found = settings_of(Options(source="postgresql://nowhere/x"), {})
    usual = Settings(found.source, found.sqlite, found.duckdb, "auto", found.intervals, found.indicators, found.as_of)
    same = {each.name for each in fields(Settings) if getattr(found, each.name) == getattr(usual, each.name)}
    assert same >= {each.name for each in fields(Settings)} - {"workers", "symbol_rules"}


def test_a_pass_goes_by_every_setting_of_it() -> None:
    asked = Options(
        source="postgresql://somewhere/x",
        sqlite=Path("a.db"),
        duckdb=Path("a.duckdb"),
        symbols="AUSDT,BUSDT",
        intervals="5m,1h",
        indicators="macd,kdj,adx",
        without="kdj",
        mode="incremental",
        lookback=7,
        as_of="2026-01-18",
        workers=1,
        exchange="elsewhere",
        closed_only=True,
        retention="1m=5",
        profile="corrected",
        lock_timeout=1.5,
        adopt=True,
        wal_limit=512,
    )
    found, usual = settings_of(asked, {"SYMBOLS_EXTRA": "CUSDT"}), settings_of(Options(), {})
    same = [each.name for each in fields(Settings) if getattr(found, each.name) == getattr(usual, each.name)]
    # Where there is one processor, there is one thread anyway.
    assert set(same) == {*["workers"] * (useful_threads() == 1)}
    assert [indicator.id for indicator in found.indicators] == ["macd"]


# -- the environment


def test_the_example_of_an_environment_sets_nothing_until_its_comments_are_taken_away() -> None:
    assert dotenv_values(stream=io.StringIO(environment.render())) == {}
    variables = [
        variable.partition("<")[0]
        for setting in (*OPTIONS, *INTERVAL_RULES, *SYMBOL_RULES)
        for variable in setting.variables
    ]
    assert len(EXAMPLES) == len(variables) > 10
    assert all(name.startswith(variable) for name, variable in zip(EXAMPLES, variables, strict=True))


def test_the_examples_are_accepted_and_doctor_names_them(candlemill: Callable[..., Ran], tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in EXAMPLES.items()))
    ran = candlemill("run", "--source", "postgresql://127.0.0.1:1/x")
    assert (ran.code, "cannot connect" in ran.last) == (3, True), ran.err
    checked = candlemill("doctor", "--source", "postgresql://127.0.0.1:1/x", "--json", env={"PGUSER": "reader"})
    [seen] = [check["seen"] for check in json.loads(checked.out) if check["name"] == "environment"]
    assert seen.partition(": ")[2].split(", ") == [*EXAMPLES, "PGUSER"]


@pytest.mark.parametrize("rule", SYMBOL_RULES, ids=lambda rule: rule.variables[0])
def test_the_rules_about_symbols_are_read_from_their_variables(rule: Setting) -> None:
    [name] = rule.set_in(EXAMPLES)
    assert parse_symbol_rules({name: EXAMPLES[name]}) != parse_symbol_rules({})


def test_variables_that_are_empty_or_of_others_count_as_not_set() -> None:
    given = {"DATABASE_URL": "", "SYMBOLS_GROUP_b": "B", "SYMBOLS_GROUP_a": "A", "SYMBOLS_GROUP_c": "", "PATH": "/bin"}
    assert variables_set(given | {"PGHOST": "h", "PGPORT": "", "INTERVALS": "1h"}) == [
        "INTERVALS", "SYMBOLS_GROUP_a", "SYMBOLS_GROUP_b", "PGHOST"
    ]  # fmt: skip
    assert variables_set(dict.fromkeys(LIBPQ, "x")) == list(LIBPQ)


# -- old command lines and settings


def run_in_process(monkeypatch: pytest.MonkeyPatch, *words: str, **variables: str) -> str:
    """The last line of a command that ends with 2."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    said = CliRunner().invoke(app, words, standalone_mode=False)
    assert isinstance(said.exception, UsageError)
    return str(said.exception)


@pytest.mark.parametrize(
    ("variable", "option"), [("INDICATORS_ENABLED", "indicators"), ("INDICATORS_DISABLED", "without")]
)
@pytest.mark.parametrize("command", ["run", "watch"])
def test_a_variable_is_read_as_parts_of_names_and_its_option_is_not(
    monkeypatch: pytest.MonkeyPatch, command: str, variable: str, option: str
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    source = ("--source", "postgresql://127.0.0.1:1/x", "--symbols", "AUSDT")
    refused = run_in_process(monkeypatch, command, *source, f"--{option}", "布林")
    assert refused == (
        "unknown indicator '布林': it is a part of bollinger (布林带扫描器.py); give an id or a table name whole"
    )
    refused = run_in_process(monkeypatch, command, *source, **{variable: "nothing like it"})
    assert refused.startswith("unknown indicator 'nothing like it'")
    # The option wins, and the variable is not looked at.
    assert "'布林'" in run_in_process(monkeypatch, command, *source, f"--{option}", "布林", **{variable: "x"})


def test_a_run_computes_what_the_variables_name_by_parts(
    candlemill: Callable[..., Ran], golden_url: Callable[[Path], str], tmp_path: Path
) -> None:
    case = goldens.HERE / "synth_core"
    words = ("--source", golden_url(case), "--as-of", goldens.description(case)["as_of"], "--intervals", "1h", "--json")
    env = {"INDICATORS_ENABLED": "Macd,布林带,RSI", "INDICATORS_DISABLED": "谐波"}
    ran = candlemill("run", "--symbols", "all", "--log-level", "INFO", *words, env=env)
    assert (ran.code, ran.record["indicators"]) == (0, 3), ran.err
    tables = [name for name in dump_of(tmp_path / "data" / "market_data.db") if name.endswith(".py")]
    assert sorted(tables) == sorted(["MACD柱状扫描器.py", "布林带扫描器.py", "智能RSI扫描器.py"])


def test_the_rows_of_an_interval_are_read_from_its_variable() -> None:
    given = {"INDICATOR_RETENTION_1M": "7", "INDICATOR_RETENTION_1MO": "8", "INDICATOR_RETENTION_4h": "9"}
    kept = settings_of(Options(retention="5m=3,4h=4"), given | {"INDICATOR_RETENTION_1D": ""}).retention
    assert kept == RETENTION | {"1m": 7, "1M": 8, "5m": 3, "4h": 4}
    for wrong in ({"INDICATOR_RETENTION_7Y": "1"}, {"INDICATOR_RETENTION_1H": "0"}, {"INDICATOR_RETENTION_1H": "x"}):
        [(name, value)] = wrong.items()
        with pytest.raises(UsageError, match=f"{name}={value} is not a known interval with a number of rows"):
            settings_of(Options(), wrong)


@pytest.mark.parametrize("option", ["--full-async", "--event"])
def test_what_stayed_up_names_the_watch_that_does_the_same(monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    words = (
        "--once",
        "--mode",
        "all",
        "--symbols",
        "BTCUSDT,ETHUSDT",
        "--workers",
        "4",
        "--sqlite",
        "a b.db",
        "--closed-only",
    )
    said = run_in_process(monkeypatch, "run", option, *words, "--source", "postgresql://me:geheim@h/x")
    listen = " --listen" if option == "--event" else ""
    line = "candlemill watch --sqlite 'a b.db' --symbols BTCUSDT,ETHUSDT --workers 4 --closed-only --source URL"
    assert said == f"{option} stayed up, which a run does not: run `{line}{listen}`"
    taken = shlex.split(said.partition("`")[2].rstrip("`"))[2:]
    known = {spelling for parameter in COMMANDS["watch"].values() for spelling in parameter.opts}
    assert {word for word in taken if word.startswith("--")} <= known


@pytest.mark.parametrize("json_log", ["--log-json", "--json-log"])
def test_the_log_is_in_the_file_too_and_ends_as_the_program_does(
    candlemill: Callable[..., Ran], tmp_path: Path, json_log: str
) -> None:
    (tmp_path / "a.log").write_text("before\n")
    ran = candlemill("run", "--source", "postgresql://127.0.0.1:1/x", "--log-file", "a.log", json_log)
    assert ran.code == 3
    before, *lines = (tmp_path / "a.log").read_text().splitlines()
    assert before == "before"
    assert lines == ran.err.splitlines()
    assert json.loads(lines[-1])["exit_code"] == 3
    refused = candlemill("run", "--source", "postgresql://127.0.0.1:1/x", "--log-file", "none/a.log")
    assert refused.code == 2
    assert refused.last.startswith("candlemill: --log-file none/a.log cannot be written: No such file or directory")


def test_a_log_file_that_is_full_or_moved_away_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        logs.set_up("info", as_json=False, quiet=True, file=Path("/dev/full"))
        for _ in range(3):
            logging.getLogger("candlemill").error("x")
        assert capsys.readouterr().err.count("--log-file /dev/full cannot be written: ") == 1
        logs.set_up("info", as_json=False, quiet=False, file=tmp_path / "a.log")
        log = logging.getLogger("candlemill")
        log.info("one")
        (tmp_path / "a.log").rename(tmp_path / "a.log.1")
        log.info("two")
        logs.say_last("the end", 4)
        log.info("after it")
    finally:
        for handler in root.handlers:
            handler.close()
        root.handlers, root.level = before, level
    assert (tmp_path / "a.log.1").read_text().endswith("INFO    one\n")
    texts = [line.partition(" ")[2] for line in (tmp_path / "a.log").read_text().splitlines()]
    assert texts == ["INFO    two", "ERROR   the end"]


def test_what_does_not_go_together_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--sqlite and --duckdb are the same file"):
        settings_of(Options(sqlite=tmp_path / "a", duckdb=tmp_path / "a"), {})


@pytest.mark.parametrize("scheme", ["postgresql+asyncpg", "postgres+psycopg2", "postgresql+psycopg"])
def test_the_driver_in_a_url_of_sqlalchemy_is_passed_over_and_its_password_is_shown_nowhere(scheme: str) -> None:
    url = f"{scheme}://me:geheim@h:5433/market"
    assert Options(source=url).source == "postgresql://me:geheim@h:5433/market"
    assert "geheim" not in shown(f"could not reach {url}")
    assert looks_secret(url)


@pytest.mark.parametrize("words", [["-h"], ["run", "-h"], ["ingest", "-h"], ["plot", "BTCUSDT", "-h"]])
def test_h_is_help(words: list[str]) -> None:
    said = CliRunner().invoke(app, words)
    assert (said.exit_code, said.output.startswith("Usage: ")) == (0, True)


def test_every_path_of_a_command_may_begin_with_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for words in (["query", "SELECT 1", "--duckdb"], ["runs", "--duckdb"], ["plot", "BTCUSDT", "--duckdb"]):
        said = run_in_process(monkeypatch, *words, "~/none.duckdb")
        assert str(tmp_path / "none.duckdb") in said
    assert str(tmp_path / "query.sql") in run_in_process(monkeypatch, "query", "@~/query.sql").replace(
        "~", str(tmp_path)
    )


def test_a_backfill_that_is_asked_for_nothing_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    assert run_in_process(monkeypatch, "backfill") == "no source: give --source URL or set DATABASE_URL"
