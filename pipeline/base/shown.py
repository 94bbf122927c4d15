"""What may be shown of a text: no password, and nothing that a terminal obeys.

Passwords become known where a connection is made (``keep_secret``). From then on no message of this program has them:
errors, the log and the last line all go through ``shown`` or ``scrubbed``. A text that looks like the URL of a database
shows nothing but user, host, port and database, also where no connection was made with it.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any
from urllib.parse import quote

#: How a URL is to be given, for messages.
FORM = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE"

#: What stands for a secret.
STARS = "***"
#: Control characters, marks that turn the direction of writing, separators of lines, and halves of characters.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
#: Anything that begins as the URL of a database. A path has one slash of the two.
_URL = re.compile(r"postgres(?:ql)?(?:\+\w+)?:/+\S*", re.IGNORECASE)
#: A URL without anything that could be a password, perhaps at the end of a sentence.
_HOST = r"([\w.%*-]*|\[[\w:.%]+\])(:\d*)?"
_BARE = re.compile(rf"[\w+]+:/+([^\s:/?#@\[\]]*@)?{_HOST}(,{_HOST})*(/[^\s:/?#@\[\]]*)?[:;]?", re.ASCII)
#: A password that is a word, or a number, is like many others that messages consist of: shorter ones, too.
_PROSE = re.compile(r"[A-Za-z]?[a-z]*|[A-Z]+|\d+|\W+|.{1,3}", re.DOTALL)
_QUOTES = "[\"'`]"


#: What finds each secret of the process.
_known: dict[str, re.Pattern[str]] = {}


def keep_secret(secret: str | None) -> None:
    """Let ``scrubbed`` replace a text from here on, in the forms in which it can be met."""
    if secret and secret not in _known:
        forms = sorted({secret, quote(secret, safe="", errors="replace"), repr(secret)[1:-1]}, key=len, reverse=True)
        _known[secret] = re.compile("|".join(map(_found, forms)))


def _found(form: str) -> str:
    """Pattern of a secret: whole, and where it could be a word of the message, only in quotes."""
    exact = re.escape(form)
    if _PROSE.fullmatch(form):
        return f"(?<={_QUOTES}){exact}(?={_QUOTES})"
    begin, end = (r"(?<!\w)" if form[0].isalnum() else ""), (r"(?!\w)" if form[-1].isalnum() else "")
    return f"{begin}{exact}{end}"


def scrubbed(text: str) -> str:
    """The text without the passwords that are known, and without URLs of databases that may have one."""
    # Threads may learn of others meanwhile. The longest first, of which a shorter one may be a part.
    for secret in sorted(_known, key=len, reverse=True):
        text = _known[secret].sub(STARS, text)
    return _URL.sub(lambda found: found[0] if _harmless(found[0]) else f"postgresql://{STARS}", text)


def looks_secret(word: str) -> bool:
    """Whether a word of a command line may have a password in it."""
    found = _URL.search(word)
    return bool(found and not _harmless(word[found.start() :])) or re.search("password *=", word) is not None


def _harmless(url: str) -> bool:
    # What is a colon in full width is one.
    return url.startswith(FORM) or _BARE.fullmatch(unicodedata.normalize("NFKC", url)) is not None


def visible(text: str) -> str:
    """The text with codes in the place of characters that a terminal obeys, or that cannot be written."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def shown(text: str) -> str:
    """The text as it may reach a terminal, in one line."""
    return visible(scrubbed(text))


def as_json(value: Any, indent: int | None = None) -> str:
    """JSON that a terminal can be given: equal to what ``json.dumps`` makes, with more of it as codes."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return _CONTROL.sub(lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", text)
