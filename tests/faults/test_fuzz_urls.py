"""URLs and passwords at random: what is understood of one is what was meant, and no message has a password.

CANDLEMILL_FUZZ_SECONDS says for how long to look (`make fuzz`: ten minutes).
"""

from __future__ import annotations

import itertools
import logging
import os
import time
from urllib.parse import quote

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from candlemill.pipeline.base import shown
from candlemill.pipeline.base.errors import CandlemillError, SourceError, UsageError
from candlemill.pipeline.base.logs import set_up
from candlemill.pipeline.commands.memory import without_passwords
from candlemill.pipeline.source.reader import Source
from candlemill.pipeline.source.urls import HIDDEN, redacted, understood

SECONDS = float(os.environ.get("CANDLEMILL_FUZZ_SECONDS", "5"))
MARK = "Qx7wZ"

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6) | st.text(
    "#?/[]@:%&=;+ \\'\"：／＠？＃.,-_*1aZ\t\n\x1b\u202e\x9b", max_size=8
)
passwords = st.builds(lambda before, after: before + MARK + after, texts, texts)
names = st.sampled_from(["reader", "desk-1", "üser", ""])
places = st.sampled_from(["127.0.0.1:1", "[::1]:1", "", "%2Fnowhere", "127.0.0.1:1,127.0.0.1:1"])
FORMS = (
    "postgresql://{user}:{password}@{place}/market",
    "postgres://{user}:{quoted}@{place}/market?connect_timeout=1",
    "postgresql://{place}/market?user={user}&password={password}",
    "postgresql://{place}/market?password={quoted}",
    "postgresql://{user}：{password}@{place}/market",
    "postgresql://{user}:{password}＠{place}/market",
    "postgresql:/{user}:{password}@{place}/market",
    "host=127.0.0.1 port=1 user=reader password={password}",
    "host=127.0.0.1 port=1 password='{password}' user=reader",
    "{password}",
)


def check(form: str, user: str, password: str, place: str) -> None:
    quoted = quote(password, safe="")
    url = form.format(user=user, password=password, quoted=quoted, place=place)
    shown._known.clear()
    told = [redacted(url)]
    try:
        known = understood(url)
    except UsageError as error:
        told.append(str(error))
        assert told[0] == HIDDEN
    else:
        if "{quoted}" in form:
            assert known["password"] == password
        said = known.get("password", "")
        told += [str(SourceError(f"FATAL: no {said!r}")), str(SourceError(f"no {url}"))]
        try:
            Source.connect(url)
        except CandlemillError as error:
            told.append(str(error))
    record = logging.LogRecord("candlemill", logging.INFO, "", 0, "asked for %s", (url,), None)
    for word in (url, f"--source={url}"):
        words = [word]
        with without_passwords(words):
            told += words
        if shown.looks_secret(word):
            shown.keep_secret(word)
    for handler in logging.getLogger().handlers:
        handler.filter(record)
    told.append(record.getMessage())
    # What is in neither form of a connection is a word like any other.
    assert form == "{password}" or not any(MARK in text for text in told), (url, told)


def test_no_url_shows_its_password() -> None:
    set_up("info", as_json=False, quiet=False)
    end = time.monotonic() + SECONDS
    for seed in itertools.count():

        @settings(
            max_examples=500, deadline=None, database=None, derandomize=False, suppress_health_check=list(HealthCheck)
        )
        @given(form=st.sampled_from(FORMS), user=names, password=passwords, place=places)
        def look(form: str, user: str, password: str, place: str) -> None:
            if time.monotonic() < end:
                check(form, user, password, place)

        look()
        if time.monotonic() > end:
            print(f"{seed + 1} times 500 URLs")
            return
