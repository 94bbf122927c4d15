"""The model of settings: the commands, the checks and the documents say what it says."""

from __future__ import annotations

import io
import json
import re
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from dotenv import dotenv_values
from typer.main import get_command

from candlemill.pipeline.base.errors import UsageError
from candlemill.pipeline.commands.app import app
from candlemill.pipeline.documents import environment
from candlemill.pipeline.options import LIBPQ, OPTIONS, SYMBOL_RULES, Options, Setting, settings_of, variables_set
from candlemill.pipeline.settings import Settings, parse_symbol_rules

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
        assert option.opts == [setting.option]
        assert (option.envvar or []) == list(setting.variables)
        assert option.default == setting.differing.get(command, setting.default)
        assert option.help.startswith(setting.meaning)
        assert setting.otherwise in option.help


def test_no_command_takes_a_variable_or_an_option_of_the_model_beside_it() -> None:
    declared = {(command, setting.option) for setting in OPTIONS for command in setting.commands}
    #: Options of a command's own that have the name of a setting, and mean something else.
    own = {("ingest", "--exchange"), ("plot", "--indicators")}
    own |= {("parity", "--intervals"), ("parity", "--symbols")}
    names = {setting.option for setting in OPTIONS}
    for command, options in COMMANDS.items():
        for option in options.values():
            if (command, option.opts[0]) not in declared:
                assert not option.envvar
                assert option.opts[0] not in names or (command, option.opts[0]) in own


def test_a_number_below_the_least_is_refused(candlemill: Callable[..., Ran]) -> None:
    numbers = [setting for setting in OPTIONS if setting.least is not None]
    assert len(numbers) > 5
    for setting in numbers:
        ran = candlemill(setting.commands[0], setting.option, (setting.least or 0) - 1)
        assert (ran.code, setting.option in ran.last) == (2, True), ran.err


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
        workers=1000,
        exchange="elsewhere",
        closed_only=True,
        retention="1m=5",
        lock_timeout=1.5,
        wal_limit=512,
    )
    found, usual = settings_of(asked, {"SYMBOLS_EXTRA": "CUSDT"}), settings_of(Options(), {})
    assert [each.name for each in fields(Settings) if getattr(found, each.name) == getattr(usual, each.name)] == []
    assert [indicator.id for indicator in found.indicators] == ["macd"]


# -- the environment


def test_the_example_of_an_environment_sets_nothing_until_its_comments_are_taken_away() -> None:
    assert dotenv_values(stream=io.StringIO(environment.render())) == {}
    variables = [variable.partition("<")[0] for setting in (*OPTIONS, *SYMBOL_RULES) for variable in setting.variables]
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


def test_what_does_not_go_together_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--sqlite and --duckdb are the same file"):
        settings_of(Options(sqlite=tmp_path / "a", duckdb=tmp_path / "a"), {})
