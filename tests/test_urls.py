"""URLs of the source: what is shown of them, and what ConnectorX is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qs, urlsplit

import pytest

from candlemill.pipeline.source.urls import connectorx_url, redacted, redacted_line, without_secrets

if TYPE_CHECKING:
    import psycopg


@dataclass
class Reached:
    """Where libpq has connected to, as psycopg tells it."""

    host: str = "db.example"
    port: int = 5433
    user: str = "reader"
    password: str = ""
    dbname: str = "market"


def parameters(given: dict[str, str], reached: Reached | None = None) -> dict[str, str]:
    """The parameters of ConnectorX's URL."""
    url = connectorx_url(cast("psycopg.ConnectionInfo", reached or Reached()), given, "-c timezone=UTC")
    return {name: value for name, [value] in parse_qs(urlsplit(url).query, strict_parsing=True).items()}


@pytest.mark.parametrize(
    ("given", "used"),
    [
        (None, "prefer"),
        ("disable", "disable"),
        ("allow", "prefer"),
        ("prefer", "prefer"),
        ("require", "require"),
        # With a root certificate ConnectorX verifies whatever the mode is called.
        ("verify-ca", "require"),
        ("verify-full", "require"),
    ],
)
def test_the_mode_of_tls_is_the_nearest_that_connectorx_knows(given: str | None, used: str) -> None:
    asked = {} if given is None else {"sslmode": given}
    assert parameters(asked) == {"options": "-c timezone=UTC", "application_name": "candlemill", "sslmode": used}


def test_certificates_of_tls_go_along() -> None:
    files = {"sslrootcert": "/etc/ssl/our root.pem", "sslcert": "client.crt", "sslkey": "client.key"}
    found = parameters({"sslmode": "verify-full", **files, "sslcrl": "other"})
    assert {name: found[name] for name in found if name.startswith("ssl")} == {"sslmode": "require", **files}
    assert "sslcert" not in parameters({"sslcert": ""})


def test_a_socket_has_no_tls() -> None:
    socket = Reached(host="/run/postgresql")
    found = parameters({"sslmode": "require", "sslrootcert": "root.pem"}, socket)
    assert {name: found[name] for name in found if name.startswith("ssl")} == {"sslmode": "disable"}


@pytest.mark.parametrize(
    ("reached", "place"),
    [
        (Reached(), "postgresql://reader@db.example:5433/market"),
        (
            Reached(user="a/b", password="p@ss:w%", dbname="x y"),
            "postgresql://a%2Fb:p%40ss%3Aw%25@db.example:5433/x%20y",
        ),
        (Reached(host="::1"), "postgresql://reader@[::1]:5433/market"),
        (Reached(host="/run/pg:1"), "postgresql://reader@%2Frun%2Fpg%3A1:5433/market"),
    ],
)
def test_the_place_is_the_one_that_libpq_reached(reached: Reached, place: str) -> None:
    url = connectorx_url(cast("psycopg.ConnectionInfo", reached), {}, "")
    assert url.partition("?")[0] == place


def test_what_is_shown_of_a_url() -> None:
    assert redacted("postgresql://reader:s:e@cret@db.example:5433/market?password=x") == (
        "postgresql://reader@db.example:5433/market"
    )
    assert redacted("postgresql://db.example/market") == "postgresql://db.example/market"
    assert without_secrets("p@ss and p%40ss", ("p@ss",)) == "*** and ***"
    assert redacted_line("first\nsecret", ("secret",)) == "first ***"
