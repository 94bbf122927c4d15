"""A plain command line means what typer takes it for, to the last value, and typer reads whatever is not plain."""

from __future__ import annotations

import subprocess
import sys
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from candlemill.pipeline.base.errors import UsageError
from candlemill.pipeline.commands import job, plain
from candlemill.pipeline.commands.app import app
from candlemill.pipeline.options import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from candlemill.pipeline.options import Options
    from tests.conftest import Ran

TAKEN = [setting for setting in OPTIONS if "run" in setting.commands]
SPELLED = [option for setting in TAKEN for option in (setting.option, *setting.aliases)]
VARIABLES = [variable for setting in TAKEN for variable in setting.variables]
NUMBERS = [
    *("0", "1", "7", "64", "65", "400", "-3", "+4", "007", "1_000", " 5 ", "\u0663", "1.5", "0.25", ".5", "2.", "1e3"),
    *("inf", "nan", "0x10", "1000000", "1000001", "31536000", "31536000.5", "99999999999999999999"),
]
TEXTS = [
    "",
    "a.db",
    "~/b.duckdb",
    "~nobody-here/x",
    "all",
    "AUSDT,BUSDT",
    "--json",
    "-x",
    "--",
    "true",
    "@symbols",
    "名",
]
#: Words one by one, as carelessness or malice would put them.
WORDS = st.one_of(
    st.sampled_from(SPELLED),
    st.sampled_from(SPELLED).flatmap(lambda option: st.sampled_from(NUMBERS + TEXTS).map(lambda x: f"{option}={x}")),
    st.sampled_from(["--once", "--json", "--help", "--memray", "--json=1", "--jso", "run", "-h", "--no-such"]),
    st.sampled_from(NUMBERS + TEXTS),
)
#: Mostly an option and its value, as somebody would write it.
PAIRS = st.tuples(st.sampled_from(SPELLED), st.sampled_from(NUMBERS + TEXTS)).map(list)
LINES = st.lists(st.one_of(PAIRS, WORDS.map(lambda word: [word])), max_size=5).map(
    lambda parts: [*chain.from_iterable(parts)]
)
ENVIRONMENTS = st.dictionaries(st.sampled_from(VARIABLES), st.sampled_from(NUMBERS + TEXTS), max_size=3)


def read_by_typer(words: list[str], environment: dict[str, str]) -> tuple[Options, bool] | None:
    """What a run is asked to do by a command line; None where it is refused, or asks for something else."""
    seen: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        for variable in VARIABLES:
            patch.delenv(variable, raising=False)
        patch.setattr(job, "run", lambda *asked: seen.append(asked))
        CliRunner().invoke(app, ["run", *words], env=environment)
    if not seen:
        return None
    [(options, as_json, memray)] = seen
    return None if memray else (options, as_json)


@settings(deadline=None)
@given(LINES, ENVIRONMENTS)
def test_typer_takes_a_plain_line_for_the_same(words: list[str], environment: dict[str, str]) -> None:
    try:
        asked = plain.run_asked_for(["run", *words], environment)
    except UsageError:
        assert read_by_typer(words, environment) is None
        return
    if asked:
        assert (asked.options, asked.as_json) == read_by_typer(words, environment)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--once", "--json", "--quiet"],
        ["--source", "postgresql://reader@db/market", "--symbols=AUSDT", "--lookback", "300", "--lock-timeout", "1.5"],
        ["--intervals", "5m,1h", "--intervals", "1d", "--closed-only", "--json-log", "--sqlite", "~/a.db"],
    ],
)
def test_an_everyday_line_is_plain(words: list[str]) -> None:
    assert plain.run_asked_for(["run", *words], {"MAX_WORKERS": "4", "INTERVALS": "1w"})


def test_a_plain_run_does_not_import_typer(golden_url: Callable[[Path], str], tmp_path: Path) -> None:
    """Nor what else it has no use for: each would be a part of the second that a small run takes."""
    from tests import goldens

    case = goldens.HERE / "synth_core"
    words = ["run", "--source", golden_url(case), "--as-of", goldens.description(case)["as_of"], "--symbols", "all"]
    program = """
import os, sys
from candlemill.pipeline import __main__
end = os._exit
os._exit = lambda code: (print(sorted(sys.modules)), sys.stdout.flush(), end(code))
sys.argv[0] = "candlemill"
__main__.main()
"""
    done = subprocess.run(
        [sys.executable, "-c", program, *words], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    found = set(done.stdout[done.stdout.rindex("[") :].strip("[]\n").replace("'", "").split(", "))
    assert "connectorx" in found
    assert not found & {"typer", "pydantic", "rich", "dotenv", "pandas", "polars", "matplotlib"}
    assert not found & {"pyarrow.compute", "pyarrow.dataset"}


def test_a_mistake_is_told_as_typer_tells_it(candlemill: Callable[..., Ran]) -> None:
    done = candlemill("run", "--lookback", "many")
    assert done.code == 2
    assert "--lookback" in done.err
