"""URLs of databases: what may be shown of them, and what ConnectorX wants of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

from ..base.errors import one_line

if TYPE_CHECKING:
    from .session import Session


def redacted(url: str) -> str:
    """The URL without its password, and without parameters that may hold one."""
    parts = urlsplit(url)
    user, _, _ = parts.netloc.rpartition("@")[0].partition(":")
    place = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{user + '@' if user else ''}{place}{parts.path}"


def without_secrets(text: str, secrets: tuple[str, ...]) -> str:
    """The text with each secret, plain or percent-encoded, replaced by stars."""
    for secret in secrets:
        for form in (secret, quote(secret, safe="")):
            text = text.replace(form, "***")
    return text


def redacted_line(text: str, secrets: tuple[str, ...]) -> str:
    """The text without secrets and line breaks."""
    return without_secrets(one_line(text), secrets)


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
        beyond |= values["sslmode"] == "verify-full" or root == "system" or (files / "postgresql.crt").exists()
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
