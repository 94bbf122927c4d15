"""URLs of databases: what libpq understands of one, what may be shown of it, and what ConnectorX wants of it.

libpq takes a URL apart in its own way: the password ends at the first ``@``, unless a ``/`` comes before it. So one
with such characters in it, not encoded, makes another URL, whose host or database holds a part of the password, and
which errors would name. Such a URL is refused before anything is done with it, and nothing of it is shown.
"""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict

from ..base.errors import UsageError
from ..base.shown import FORM, keep_secret

if TYPE_CHECKING:
    from .session import Session

#: What is shown of a URL that cannot be understood.
HIDDEN = "postgresql://***"

_SCHEME = re.compile(r"postgres(?:ql)?://")
#: Parameters whose values may have an ``@``.
_LOGIN = ("user=", "password=")
_SECRET = ("password", "sslpassword")
_HOST = re.compile(r"[\w.:%*-]*|[/@].*", re.DOTALL)
_PORT = re.compile(r"\d*", re.ASCII)
_ENCODED = "# as %23, % as %25, / as %2F, : as %3A, ? as %3F, @ as %40, [ as %5B, ] as %5D, a blank as %20"


def understood(url: str) -> dict[str, str]:
    """Parameters of a connection, as libpq takes them from a URL, or from a text of keywords and values.

    Raises UsageError where it cannot take any, or where a part of the password would be in another parameter. The
    message shows nothing of the URL.
    """
    try:
        given = {name: str(value) for name, value in conninfo_to_dict(url).items() if value is not None}
    except (psycopg.Error, UnicodeDecodeError):
        # Percent-encoded bytes need not be text.
        given = None
    if given is None or "\0" in url or not _unambiguous(url, given):
        raise UsageError(
            f"the URL of the database cannot be read, and is not shown: give {FORM}, percent-encode what is special in "
            f"user and password ({_ENCODED}), or put the password into ~/.pgpass"
        ) from None
    for secret in filter(None, map(given.get, _SECRET)):
        keep_secret(secret)
        keep_secret(url)
    keep_secret(os.environ.get("PGPASSWORD"))
    return given


def _unambiguous(url: str, given: dict[str, str]) -> bool:
    """Whether no part of a password can be in what libpq takes for something else."""
    if _SCHEME.match(url):
        place, _, query = _behind_login(url)[1].partition("?")
        if "@" in place or any("@" in part and not part.startswith(_LOGIN) for part in query.split("&")):
            return False
    elif not given:
        return False
    hosts = [host for name in ("host", "hostaddr") for host in given.get(name, "").split(",")]
    return (
        all(_HOST.fullmatch(host) for host in hosts)
        and all(_PORT.fullmatch(port) for port in given.get("port", "").split(","))
        and not any(_delimits(c) for name in ("user", "host", "dbname") for c in given.get(name, ""))
    )


def _behind_login(url: str) -> tuple[str, str]:
    """The user, with a password perhaps, and what comes after it, as libpq tells the one from the other."""
    rest = _SCHEME.sub("", url, count=1)
    end = re.search("[@/]", rest)
    return (rest[: end.start()], rest[end.end() :]) if end and end[0] == "@" else ("", rest)


def _delimits(character: str) -> bool:
    """Whether it looks like one of the characters between the parts of a URL, and is another, as in full width."""
    return not character.isascii() and bool(set(unicodedata.normalize("NFKC", character)) & set(":/?#@[]"))


def redacted(url: str) -> str:
    """What may be shown of a URL: the user, the place and the database, of one that is understood."""
    try:
        given = understood(url)
    except UsageError:
        return HIDDEN
    if not _SCHEME.match(url):
        host, port = given.get("host", given.get("hostaddr", "")), given.get("port")
        user = f"{quote(given['user'], safe='')}@" if "user" in given else ""
        place = quote(host, safe=".,") + (f":{port}" if port else "")
        return f"postgresql://{user}{place}/{quote(given.get('dbname', ''), safe='')}"
    login, rest = _behind_login(url)
    scheme, user = url[: url.index("//")], login.partition(":")[0]
    return f"{scheme}//{user + '@' if user else ''}{rest.partition('?')[0]}"


#: Parameters of libpq that ConnectorX is given, too, or that are of no more concern once the server has let us in. With
#: another one that is not at its default, a connection of ConnectorX would not be the same.
_LIKEWISE = {
    "service", "servicefile", "user", "password", "passfile", "dbname", "host", "hostaddr", "port", "connect_timeout",
    "client_encoding", "options", "application_name", "fallback_application_name", "keepalives", "keepalives_idle",
    "keepalives_interval", "keepalives_count", "tcp_user_timeout", "target_session_attrs", "load_balance_hosts",
    "sslmode", "sslrootcert", "sslsni",
}  # fmt: skip
#: What libpq fills in by itself, though it calls it no default.
_FILLED_IN = {("sslcertmode", "allow")}


def connectorx_url(connection: Session) -> str | None:
    """URL for ConnectorX of the very place that libpq reached, with whatever it took from files and the environment.

    None where ConnectorX cannot be as strict as libpq was: it verifies a certificate by a root, but never the name in
    it, and has nothing to show of a client but a password.
    """
    info = connection.info
    made_with = {option.keyword.decode(): option for option in connection.pgconn.info if option.val}
    values = {name: option.val.decode() for name, option in made_with.items() if option.val}
    beyond = connection.pgconn.used_gssapi or any(
        name not in _LIKEWISE and option.val != option.compiled and (name, values[name]) not in _FILLED_IN
        for name, option in made_with.items()
    )
    # libpq looks for its own files where nothing else is said.
    files = Path("~/.postgresql").expanduser()
    root = values.get("sslrootcert") or (str(files / "root.crt") if (files / "root.crt").exists() else "")
    encrypted = connection.pgconn.ssl_in_use
    if encrypted:
        beyond |= values["sslmode"] == "verify-full" or root == "system"
        # A certificate of the client, and a list of those that were revoked.
        beyond |= (files / "postgresql.crt").exists() or (bool(root) and (files / "root.crl").exists())
    if beyond:
        return None
    asked = {
        "application_name": info.parameter_status("application_name") or "",
        "sslmode": "require" if encrypted else "disable",
    }
    if connection.options:
        asked["options"] = connection.options
    if encrypted and root:
        asked["sslrootcert"] = root
    if info.hostaddr and "%" not in info.hostaddr:
        asked["hostaddr"] = info.hostaddr
    user, password = quote(info.user, safe=""), quote(info.password, safe="")
    host = quote(info.host, safe="") if info.host.startswith("/") or ":" not in info.host else f"[{info.host}]"
    login = f"{user}:{password}" if password else user
    return f"postgresql://{login}@{host}:{info.port}/{quote(info.dbname, safe='')}?{urlencode(asked, quote_via=quote)}"
