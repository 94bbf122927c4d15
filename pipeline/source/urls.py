"""URLs of databases: what may be shown of them, and what ConnectorX wants of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from ..base.errors import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psycopg


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


def connectorx_url(info: psycopg.ConnectionInfo, given: Mapping[str, Any], options: str) -> str:
    """URL for ConnectorX of the very place that libpq reached, with whatever it took from files and the environment."""
    user, password = quote(info.user, safe=""), quote(info.password, safe="")
    parameters = {"options": options, "application_name": "candlemill"}
    if info.host.startswith("/"):
        parameters["sslmode"] = "disable"
    else:
        # ConnectorX knows no verify-*; with a root certificate given it verifies whatever the mode is called.
        mode = str(given.get("sslmode") or "prefer")
        parameters["sslmode"] = "require" if mode.startswith("verify") else mode if mode != "allow" else "prefer"
        for name in ("sslrootcert", "sslcert", "sslkey"):
            if given.get(name):
                parameters[name] = str(given[name])
    host = quote(info.host, safe="") if info.host.startswith("/") or ":" not in info.host else f"[{info.host}]"
    query = urlencode(parameters, quote_via=quote)
    login = f"{user}:{password}" if password else user
    return f"postgresql://{login}@{host}:{info.port}/{quote(info.dbname, safe='')}?{query}"
