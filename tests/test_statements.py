"""What is put into SQL text comes out of real databases as it went in, and nothing else gets in."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import psycopg
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from candlemill.pipeline.base.duck import open_duckdb
from candlemill.pipeline.base.statements import Sql, identifier, join, literal, render, statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Server

Ask: TypeAlias = "Callable[[str], tuple[str, Any]]"

MODEST = settings(max_examples=60, deadline=None, derandomize=True, database=None)
FOLDER = Path(__file__).parent.parent / "sql"
FILES = sorted(str(file.relative_to(FOLDER).with_suffix("")) for file in FOLDER.rglob("*.sql"))

NASTY = (
    "'",
    "''",
    '"',
    "\\",
    "\\'",
    "'; DROP TABLE candles; --",
    '"; DROP TABLE candles; --',
    "%s %(name)s %%",
    "{relation}",
    "$1 $interval :name ?",
    "-- no comment",
    "/* neither */",
    "E'\\x41'",
    "$$ dollar $$",
    "line\nbreak\r\ttab",
    "G，C点扫描器.py",
    "🕯️",
    " ",
    "\x01\x7f\u200b\ufeff",
)
TEXT = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40),
    st.lists(st.sampled_from(NASTY), max_size=3).map("".join),
)
#: PostgreSQL cuts names at 63 bytes.
NAMES = TEXT.filter(lambda name: 0 < len(name.encode()) <= 63)


def nasty(test: Any) -> Any:
    """The test with every nasty text as an example."""
    for text in NASTY:
        test = example(text=text)(test)
    return test


@pytest.fixture(scope="module", params=["duckdb", "sqlite", "postgres"])
def ask(request: pytest.FixtureRequest) -> Iterator[Ask]:
    """Name and value of the one column of the first row of a query, from a real database."""
    if request.param == "duckdb":
        with open_duckdb() as duck:

            def answer(query: str) -> tuple[str, Any]:
                found = duck.execute(query)
                return found.description[0][0], (found.fetchone() or ())[0]

            yield answer
    elif request.param == "sqlite":
        with closing(sqlite3.connect(":memory:")) as lite:

            def answer(query: str) -> tuple[str, Any]:
                cursor = lite.execute(query)
                return cursor.description[0][0], cursor.fetchone()[0]

            yield answer
    else:
        server: Server = request.getfixturevalue("server")
        with psycopg.connect(server.database("statements"), autocommit=True) as connection:

            def answer(query: str) -> tuple[str, Any]:
                cursor = connection.execute(query.encode())
                assert cursor.description is not None
                return cursor.description[0].name, (cursor.fetchone() or ())[0]

            yield answer


@nasty
@MODEST
@given(text=TEXT)
def test_text_comes_back_as_it_went_in(ask: Ask, text: str) -> None:
    assert ask(f"SELECT {literal(text)}")[1] == text


@nasty
@MODEST
@given(text=NAMES)
def test_a_name_names_what_it_says(ask: Ask, text: str) -> None:
    assert ask(f"SELECT 1 AS {identifier(text)}") == (text, 1)
    assert ask(f"SELECT {identifier(text)} FROM (SELECT 2 AS {identifier(text)}) AS t") == (text, 2)


@nasty
@MODEST
@given(text=TEXT)
def test_a_rendered_statement_keeps_what_is_in_its_parts(ask: Ask, text: str) -> None:
    template = Sql("SELECT {value} AS {name}")
    query = render(template, value=literal(text), name=identifier("{value}"))
    assert ask(query) == ("{value}", text)


@MODEST
@given(number=st.integers(-(2**63) + 1, 2**63 - 1))
@example(number=0)
def test_an_integer_comes_back_as_it_went_in(ask: Ask, number: int) -> None:
    assert ask(f"SELECT {literal(number)}")[1] == number


@pytest.mark.parametrize("ask", ["duckdb", "postgres"], indirect=True)
@MODEST
@given(
    moment=st.datetimes(
        datetime.fromisoformat("1900-01-02"),
        datetime.fromisoformat("2200-01-01"),
        timezones=st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
    )
)
@example(moment=datetime(2026, 1, 18, 23, 30, tzinfo=timezone(timedelta(hours=8))))
def test_a_moment_is_the_same_moment_whatever_its_offset(ask: Ask, moment: datetime) -> None:
    microseconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    query = f"SELECT (extract(epoch FROM timestamptz {literal(moment)}) * 1000000)::bigint"
    assert abs(ask(query)[1] - microseconds) <= 1
    assert literal(moment).endswith("+00:00'")


@pytest.mark.parametrize("text", ["\0", "a\0b", "'\0'", "\0\0"])
def test_a_nul_character_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="NUL"):
        literal(text)
    with pytest.raises(ValueError, match="cannot be a name"):
        identifier(text)


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(ValueError, match="'' cannot be a name in SQL"):
        identifier("")


def test_a_template_wants_each_of_its_parts_and_no_other() -> None:
    template = Sql("SELECT {a}, {b}, {a}")
    assert render(template, a=Sql("1"), b=Sql("2")) == "SELECT 1, 2, 1"
    for parts in ({"a": Sql("1")}, {}, {"a": Sql("1"), "b": Sql("2"), "c": Sql("3")}, {"a": Sql("1"), "c": Sql("3")}):
        with pytest.raises(KeyError, match=r"places \['a', 'b'\]"):
            render(template, **parts)
    assert render(Sql("SELECT 1")) == "SELECT 1"
    with pytest.raises(KeyError):
        render(Sql("SELECT 1"), a=Sql("1"))


def test_braces_inside_a_part_are_no_places() -> None:
    assert render(Sql("{a} {b}"), a=Sql("{b}"), b=Sql("{a} {c} \\1 \\g<0>")) == "{b} {a} {c} \\1 \\g<0>"


def test_pieces_are_joined() -> None:
    assert join([Sql("a"), Sql("b"), Sql("c")]) == "a, b, c"
    assert join([Sql("a"), Sql("b")], " AND ") == "a AND b"
    assert join([]) == ""


def test_there_are_sql_files() -> None:
    assert len(FILES) > 30
    assert "source/candles" in FILES


@pytest.mark.parametrize("name", FILES)
def test_a_file_begins_with_what_it_is_about(name: str) -> None:
    lines = (FOLDER / f"{name}.sql").read_text(encoding="utf-8").splitlines()
    assert re.fullmatch(r"-- \S.*", lines[0])
    assert any(line and not line.lstrip().startswith("--") for line in lines)


@pytest.mark.parametrize("name", FILES)
def test_a_statement_is_its_file_without_comments(name: str) -> None:
    text = statement(name)
    code = [line for line in (FOLDER / f"{name}.sql").read_text(encoding="utf-8").splitlines() if "--" not in line]
    assert "--" not in text
    assert not text.endswith(";")
    assert text == text.strip() != ""
    # Nothing but the comments and the last semicolon is gone.
    assert text == "\n".join(code).strip().removesuffix(";")


def test_a_statement_without_a_file_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        statement("source/no_such_statement")
