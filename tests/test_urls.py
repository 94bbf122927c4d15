"""URLs of the source: what is understood of them, what is shown of them, and that no password is in any message."""

from __future__ import annotations

import random
from urllib.parse import quote

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candlemill.pipeline.base import shown
from candlemill.pipeline.base.errors import CandlemillError, SourceError, UsageError, one_line
from candlemill.pipeline.base.shown import FORM, keep_secret, scrubbed, visible
from candlemill.pipeline.source.reader import Source
from candlemill.pipeline.source.urls import HIDDEN, redacted, understood

#: What somebody may have who can be neither letter nor digit of a message: a sign of a password that gets out.
MARK = "Qx7w"


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test knows its own passwords only."""
    monkeypatch.setattr(shown, "_known", {})


@pytest.mark.parametrize(
    ("url", "shows"),
    [
        ("postgresql://reader:s%40cret@db.example:5433/market?sslmode=require", "postgresql://reader@db.example:5433/market"),
        ("postgres://reader:a?b#c[d@db.example/market", "postgres://reader@db.example/market"),
        ("postgresql://reader:a:b：c＠d@db.example/market", "postgresql://reader@db.example/market"),
        ("postgresql://db.example/market?user=me@corp&password=p@ss", "postgresql://db.example/market"),
        ("postgresql://reader@%2Ftmp%2Fa:54/market", "postgresql://reader@%2Ftmp%2Fa:54/market"),
        ("postgresql://[::1]:54/market", "postgresql://[::1]:54/market"),
        ("postgresql://one:1,two:2/market", "postgresql://one:1,two:2/market"),
        ("postgresql://?service=desk", "postgresql://"),
        ("host=db.example port=5433 user=reader password='s@cret' dbname=market", "postgresql://reader@db.example:5433/market"),
        ("service=desk", "postgresql:///"),
    ],
)  # fmt: skip
def test_of_a_url_that_libpq_understands_all_but_the_password_is_shown(url: str, shows: str) -> None:
    assert redacted(url) == shows
    assert scrubbed(f"a line of {shows}: with more") == f"a line of {shows}: with more"


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://reader:{MARK}@{MARK}@db.example/market",
        f"postgresql://reader:{MARK}/{MARK}@db.example/market",
        f"postgresql://reader:12/{MARK}@db.example/market",
        f"postgresql://reader:/{MARK}@db.example/market",
        f"postgresql://reader:{MARK}/x?y={MARK}@db.example/market",
        f"postgresql://reader:1/x?sslmode={MARK}@db.example/market",
        f"postgresql://reader:[{MARK}@{MARK}]/market",
        f"postgresql://reader:{MARK}%zz@db.example/market",
        f"postgresql://reader:{MARK}%00@db.example/market",
        f"postgresql://reader:{MARK}%80@db.example/market",
        f"postgresql://reader:{MARK} {MARK}@db.example/market",
        f"postgresql://reader：{MARK}@db.example/market",
        f"postgresql://reader:{MARK}＠db.example/market",
        f"postgresql：//reader:{MARK}@db.example/market",
        f"POSTGRESQL://reader:{MARK}@db.example/market",
        f" postgresql://reader:{MARK}@db.example/market",
        f"postgresql://db.example/market?password={MARK}&{MARK}",
        f"mysql://reader:{MARK}@db.example/market",
        f"host=db.example password={MARK} {MARK}",
        f"host=reader:{MARK}@db.example",
        f"password='{MARK}",
        MARK,
    ],
)
def test_of_a_url_that_cannot_be_understood_nothing_is_shown_but_how_to_write_it(url: str) -> None:
    assert redacted(url) == HIDDEN
    with pytest.raises(UsageError, match="percent-encode") as refused:
        Source.connect(url)
    assert MARK not in str(refused.value)
    assert FORM in str(refused.value)
    # A traceback would show those, too.
    assert refused.value.__cause__ is refused.value.__context__ is None


def random_password(dice: random.Random) -> str:
    alphabet = dice.choice(["abcXYZ019", "#?/[]@:%&=;+ \\'\"`$", "：／＠？＃密码ñ🕯", "\t\n\x1b\u202e\x9b.-*_~|"])
    length = dice.randrange(1, 9)
    return MARK + "".join(dice.choice(alphabet + "#?/[@:aZ9") for _ in range(length))


def forms(password: str) -> list[str]:
    """Ways in which somebody gives a password, some of them wrong."""
    quoted, escaped = quote(password, safe=""), password.replace("\\", "\\\\").replace("'", "\\'")
    return [
        f"postgresql://reader:{password}@127.0.0.1:1/market",
        f"postgresql://reader:{quoted}@127.0.0.1:1/market",
        f"postgresql://127.0.0.1:1/market?user=reader&password={password}",
        f"postgresql://127.0.0.1:1/market?user=reader&password={quoted}",
        f"host=127.0.0.1 port=1 user=reader password={password} dbname=market",
        f"host=127.0.0.1 port=1 user=reader password='{escaped}' dbname=market",
    ]


def test_of_a_thousand_passwords_none_is_in_a_message() -> None:
    dice = random.Random(15)
    read = 0
    for _ in range(1000):
        password = random_password(dice)
        form = dice.choice(forms(password))
        shown._known.clear()
        told = [redacted(form)]
        try:
            known = understood(form)
        except UsageError as error:
            told.append(str(error))
        else:
            read += 1
            # What a server or a library might say of what it was given.
            said = [known.get("password", ""), quote(known.get("password", ""), safe=""), form]
            told += [one_line(SourceError(f"it refuses '{one}'")) for one in said]
            told += [one_line(psycopg.OperationalError(f'FATAL: not "{one}", {one}')) for one in said]
        assert not any(MARK in text for text in told), (password, form, told)
    assert 400 < read < 1000


def test_a_connection_that_is_refused_names_no_password() -> None:
    dice = random.Random(16)
    for _ in range(60):
        for form in forms(random_password(dice)):
            with pytest.raises(CandlemillError) as refused:
                Source.connect(form)
            assert MARK not in str(refused.value)


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=8))
def test_an_encoded_password_is_the_one_that_libpq_has(password: str) -> None:
    url = f"postgresql://reader:{quote(password, safe='')}@db.example:54/market"
    if "\0" in password:
        assert redacted(url) == HIDDEN
        return
    assert understood(url).get("password", "") == password
    assert redacted(url) == "postgresql://reader@db.example:54/market"


@pytest.mark.parametrize("secret", ["e", "a", ".", "password", "connection", "Source", "5432", "DB", " ", "''", "…"])
def test_a_password_that_is_a_word_changes_no_message(secret: str) -> None:
    line = (
        'cannot connect to the source postgresql://db@db.example:5432/market: connection to server at "db.example" '
        '(10.0.0.1), port 5432 failed: FATAL: password authentication failed for user "db" …'
    )
    keep_secret(secret)
    assert scrubbed(line) == line
    assert scrubbed(f'the server had "{secret}"') == 'the server had "***"'


def test_a_secret_is_replaced_whole_in_each_of_its_forms() -> None:
    keep_secret("p@ss'42")
    keep_secret("other42")
    assert scrubbed("p@ss'42 p%40ss%2742 \"p@ss'42\" other42! another42") == '*** *** "***" ***! another42'


@pytest.mark.parametrize(
    ("text", "shows"),
    [
        ("see postgresql://reader:secret@db.example/market now", "see postgresql://*** now"),
        ("data in postgresql:/reader:secret@db.example/market", "data in postgresql://***"),
        ("give postgresql://USER:PASSWORD@HOST:PORT/DATABASE", "give postgresql://USER:PASSWORD@HOST:PORT/DATABASE"),
        ("(postgresql://reader@db.example/market)", "(postgresql://reader@db.example/market)"),
    ],
)
def test_a_url_in_a_text_shows_no_password(text: str, shows: str) -> None:
    assert scrubbed(text) == shows


def test_nothing_that_a_terminal_obeys_is_visible_as_itself() -> None:
    assert visible("a\x1b[31mred\x07\x9b0m\u202etxt.exe\r\n\ud800 ü 交易 🕯️") == (
        "a\\x1b[31mred\\x07\\x9b0m\\u202etxt.exe\\r\\n\\ud800 ü 交易 🕯️"
    )
    assert shown.as_json({"a": "\x9b\u202e\x1b交"}) == '{"a": "\\u009b\\u202e\\u001b交"}'
