"""TLS is what was asked for, in the URL or in the environment, and for the rows as for the first connection."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from candlemill.pipeline.base.errors import SourceError
from candlemill.pipeline.base.intervals import INTERVALS
from candlemill.pipeline.record import Record
from candlemill.pipeline.source.bulk import Bulk, ByConnectorX, ByCopy, bulk
from candlemill.pipeline.source.reader import Source
from candlemill.pipeline.source.session import session
from tests import goldens
from tests.faults.proxy import CERTIFICATES, proxy, tls_proxy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Ran

CASE = goldens.HERE / "synth_core"
AS_OF = datetime(2026, 1, 22, 9, 7, tzinfo=UTC)
ROOT = f"&sslrootcert={CERTIFICATES / 'root.pem'}"


@pytest.fixture(scope="module")
def market(golden_url: Callable[[Path], str]) -> str:
    return golden_url(CASE)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without certificates of its own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def bars(url: str) -> int:
    source = Source.connect(url, Record(AS_OF, "", [], 0))
    return source.candles(INTERVALS["5m"], "binance_futures_um", None, AS_OF, 20).num_rows


def way(url: str) -> Bulk:
    with session(url) as connection:
        return bulk(connection, url)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("&sslmode=require", ByConnectorX),
        ("&sslmode=prefer", ByConnectorX),
        (f"&sslmode=require{ROOT}", ByConnectorX),
        (f"&sslmode=verify-ca{ROOT}", ByConnectorX),
        (f"&sslmode=verify-full{ROOT}", ByCopy),
        ("&sslmode=require&ssl_min_protocol_version=TLSv1.3", ByCopy),
        ("&sslmode=require&channel_binding=disable", ByCopy),
    ],
)
def test_rows_come_encrypted_and_by_connectorx_where_it_does_what_libpq_does(
    asked: str, expected: type[Bulk], market: str
) -> None:
    # The proxy speaks nothing but TLS.
    with tls_proxy(market, "right") as url:
        assert isinstance(way(url + asked), expected)
        assert bars(url + asked) == bars(market)


@pytest.mark.parametrize(
    ("mode", "shown"), [("verify-ca", "unknown"), ("verify-full", "unknown"), ("verify-full", "another-name")]
)
@pytest.mark.parametrize("place", ["in the URL", "in the environment"])
def test_a_wrong_certificate_is_refused_from_the_first_connection_on(
    mode: str, shown: str, place: str, market: str, candlemill: Callable[..., Ran]
) -> None:
    with tls_proxy(market, shown) as url:
        asked, env = f"{url}&sslmode={mode}{ROOT}", {}
        if place == "in the environment":
            asked, env = url, {"PGSSLMODE": mode, "PGSSLROOTCERT": str(CERTIFICATES / "root.pem")}
        ran = candlemill("run", "--source", asked, "--symbols", "BTCUSDT", "--intervals", "5m", env=env)
    assert ran.code == 3
    assert "certificate" in ran.last
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("mode", "shown", "place"),
    [
        ("verify-ca", "unknown", "in the environment"),
        ("verify-full", "unknown", "in the home"),
        ("verify-full", "another-name", "in the URL"),
        ("verify-full", "another-name", "in the environment"),
    ],
)
def test_a_wrong_certificate_is_refused_where_the_rows_would_come_from(
    mode: str, shown: str, place: str, market: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody stands in between from the second connection on. ConnectorX tries for half a minute."""
    with tls_proxy(market, "right", shown) as url:
        asked = f"{url}&sslmode={mode}{ROOT}"
        if place == "in the environment":
            asked = url
            monkeypatch.setenv("PGSSLMODE", mode)
            monkeypatch.setenv("PGSSLROOTCERT", str(CERTIFICATES / "root.pem"))
        if place == "in the home":
            asked = f"{url}&sslmode={mode}"
            (home / ".postgresql").mkdir()
            (home / ".postgresql" / "root.crt").write_bytes((CERTIFICATES / "root.pem").read_bytes())
        with pytest.raises(SourceError, match=r"certificate|does not match host name") as refused:
            bars(asked)
    assert "reading market_data.candles_5m failed" in str(refused.value)


def test_a_client_certificate_is_shown_where_the_rows_come_from(market: str, home: Path) -> None:
    (home / ".postgresql").mkdir()
    right = (CERTIFICATES / "right.pem").read_bytes()
    (home / ".postgresql" / "postgresql.crt").write_bytes(right)
    (home / ".postgresql" / "postgresql.key").write_bytes(right)
    (home / ".postgresql" / "postgresql.key").chmod(0o600)
    with tls_proxy(market, "right") as url:
        assert isinstance(way(f"{url}&sslmode=require"), ByCopy)
        assert bars(f"{url}&sslmode=require") == bars(market)


def test_where_certificates_may_be_revoked_rows_come_by_copy(market: str, home: Path) -> None:
    (home / ".postgresql").mkdir()
    with tls_proxy(market, "right") as url:
        asked = f"{url}&sslmode=verify-ca{ROOT}"
        assert isinstance(way(asked), ByConnectorX)
        # An empty list revokes nothing, and libpq reads it as none.
        (home / ".postgresql" / "root.crl").touch()
        assert isinstance(way(asked), ByCopy)
        assert bars(asked) == bars(market)


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("PGREQUIREAUTH", "none", ByCopy),
        ("PGCHANNELBINDING", "disable", ByCopy),
        ("PGSSLMINPROTOCOLVERSION", "TLSv1.3", ByCopy),
        ("PGSSLCERTMODE", "disable", ByCopy),
        ("PGSSLROOTCERT", str(CERTIFICATES / "root.pem"), ByConnectorX),
        ("PGCONNECT_TIMEOUT", "7", ByConnectorX),
        ("PGAPPNAME", "desk", ByConnectorX),
        ("PGTARGETSESSIONATTRS", "any", ByConnectorX),
        ("PGTZ", "Asia/Kathmandu", ByConnectorX),
    ],
)
def test_what_the_environment_asks_for_decides_the_way_of_the_rows(
    variable: str, value: str, expected: type[Bulk], market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with tls_proxy(market, "right") as url:
        assert isinstance(way(f"{url}&sslmode=require"), expected)
        assert bars(f"{url}&sslmode=require") == bars(market)


def test_a_server_without_tls_is_reached_without_where_that_is_allowed(market: str) -> None:
    with proxy(market) as url:
        assert isinstance(way(f"{url}?sslmode=prefer"), ByConnectorX)
        assert bars(f"{url}?sslmode=prefer") == bars(market)
        with pytest.raises(SourceError, match="does not support SSL"):
            bars(f"{url}?sslmode=require")
