"""Code that others put into the source: views, policies, triggers and types that call their functions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg
import pytest

from candlemill.pipeline.base.errors import SourceError
from candlemill.pipeline.base.intervals import INTERVALS
from candlemill.pipeline.source.reader import Source
from candlemill.pipeline.source.schema import init_db
from candlemill.pipeline.source.session import session
from tests.long.test_ingest import bars, write
from tests.moving import Coin, Market
from tests.test_session import execute

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import Ran, Server

ATTACK = "BEGIN RAISE LOG 'STRUCK'; RETURN $1; END"
RENAMED = "ALTER TABLE market_data.candles_5m RENAME TO kept"


def view(name: str, opening: str) -> str:
    """A view of the bars, whose opening price is made in some way."""
    columns = f"exchange, symbol, bucket_ts, {opening} AS open, high, low, close, volume"
    return f"CREATE VIEW {name} AS SELECT {columns} FROM market_data.kept"


#: How the owner of the tables has a function of his own called by whoever reads candles_5m.
READ = {
    "a view": (RENAMED, view("market_data.candles_5m", "traps.f(open)")),
    "a view over a view": (
        RENAMED,
        view("traps.v", "traps.f(open)"),
        "CREATE VIEW market_data.candles_5m AS SELECT * FROM traps.v",
    ),
    "an operator": (
        "CREATE OPERATOR traps.@@@ (RIGHTARG = numeric, FUNCTION = traps.f)",
        RENAMED,
        view("market_data.candles_5m", "OPERATOR(traps.@@@) open"),
    ),
    "a policy": (
        "ALTER TABLE market_data.candles_5m ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY p ON market_data.candles_5m USING (traps.f(open) IS NOT NULL)",
    ),
    "a domain": (
        "CREATE DOMAIN traps.d AS numeric CHECK (traps.f(value) IS NOT NULL)",
        RENAMED,
        view("market_data.candles_5m", "open::traps.d"),
    ),
    "a cast of a type": (
        "CREATE TYPE traps.price AS (value numeric)",
        "CREATE FUNCTION traps.cast(traps.price) RETURNS double precision LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE LOG 'STRUCK'; RETURN $1.value; END $$",
        "CREATE CAST (traps.price AS double precision) WITH FUNCTION traps.cast(traps.price)",
        "ALTER TABLE market_data.candles_5m ALTER open TYPE traps.price USING row(open)::traps.price",
    ),
}
#: And by whoever writes into candles_1m.
WRITTEN = {
    "a trigger": "CREATE TRIGGER t BEFORE INSERT ON market_data.candles_1m FOR EACH ROW EXECUTE FUNCTION traps.t()",
    "a rule": "CREATE RULE r AS ON INSERT TO market_data.candles_1m DO ALSO SELECT traps.f(1)",
    "a constraint": "ALTER TABLE market_data.candles_1m ADD CHECK (traps.f(open) IS NOT NULL)",
    "a default": "ALTER TABLE market_data.candles_1m ALTER ingested_at SET DEFAULT to_timestamp(traps.f(0))",
    "an index": "CREATE INDEX ON market_data.candles_1m (traps.f(open))",
}


@pytest.fixture(scope="module")
def traps(server: Server) -> Iterator[str]:
    """URL, for a superuser, of a market whose tables belong to ``trapper``, who may make functions."""
    url = server.database("traps")
    execute(
        url,
        "CREATE ROLE trapper LOGIN",
        "CREATE ROLE guest LOGIN",
        "CREATE SCHEMA traps AUTHORIZATION trapper",
        "GRANT USAGE ON SCHEMA traps TO public",
        f"GRANT CREATE ON DATABASE {url.rpartition('/')[2]} TO trapper",
    )
    owner = server.url_of(url.rpartition("/")[2], "trapper")
    init_db(owner)
    Market(owner, [Coin("AAA")], names=("1m", "5m")).play(datetime.now(UTC))
    execute(
        owner,
        "GRANT USAGE ON SCHEMA market_data TO guest",
        "GRANT SELECT ON ALL TABLES IN SCHEMA market_data TO guest",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA market_data GRANT SELECT ON TABLES TO guest",
        f"CREATE FUNCTION traps.f(numeric) RETURNS numeric IMMUTABLE LANGUAGE plpgsql AS $f${ATTACK}$f$",
        "CREATE FUNCTION traps.t() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE LOG 'STRUCK'; RETURN NEW; END $$",
    )
    yield url
    execute(url, *(f"DROP OWNED BY {role} CASCADE" for role in ("trapper", "guest")), "DROP ROLE trapper, guest")


@pytest.fixture
def trap(traps: str, server: Server) -> Iterator[Callable[..., str]]:
    """Lays a trap, as the owner of the tables; URL for the guest. It is taken away after the test."""
    name = traps.rpartition("/")[2]
    template = f"{name}_kept"
    execute(server.url, f'ALTER DATABASE "{name}" RENAME TO "{template}"')
    execute(server.url, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')

    def lay(*statements: str) -> str:
        execute(server.url_of(name, "trapper"), *statements)
        return server.url_of(name, "guest")

    yield lay
    execute(server.url, f'DROP DATABASE "{name}" WITH (FORCE)', f'ALTER DATABASE "{template}" RENAME TO "{name}"')


@pytest.fixture
def struck(server: Server) -> Callable[[], int]:
    """How often a trap has closed."""
    return lambda: server.log().count("STRUCK")


@pytest.mark.parametrize("how", READ)
def test_no_function_of_others_is_called_by_reading(
    how: str, trap: Callable[..., str], struck: Callable[[], int], called: Callable[..., Ran]
) -> None:
    url = trap(*READ[how])
    begun = struck()
    source = Source.connect(url)
    with pytest.raises(SourceError, match=r"market_data\.candles_5m calls traps\..* which belongs to another role"):
        source.candles(INTERVALS["5m"], "binance_futures_um", None, datetime.now(UTC), 40)
    ran = called("run", "--source", url, "--symbols", "auto", "--intervals", "5m", "--indicators", "macd")
    assert ran.code == 3, ran.err
    assert "calls traps." in ran.err
    doctor = called("doctor", "--source", url)
    assert doctor.code == 2
    assert "calls traps." in doctor.out
    assert struck() == begun


@pytest.mark.parametrize("how", WRITTEN)
def test_no_function_of_others_is_called_by_loading(
    how: str,
    trap: Callable[..., str],
    struck: Callable[[], int],
    called: Callable[..., Ran],
    traps: str,
    tmp_path: Path,
) -> None:
    trap(WRITTEN[how])
    begun = struck()
    write(tmp_path / "BTCUSDT-1m-2026-01.csv", bars(3))
    ran = called("ingest", "binance-vision", "BTCUSDT-1m-2026-01.csv", "--source", traps)
    assert ran.code == 3, ran.err
    assert "market_data.candles_1m calls traps." in ran.err
    assert struck() == begun


def test_a_function_of_the_role_itself_or_of_a_superuser_may_be_called(trap: Callable[..., str], traps: str) -> None:
    url = trap(*READ["a view"])
    asked = (INTERVALS["5m"], "binance_futures_um", None, datetime.now(UTC), 40)
    assert Source.connect(url.replace("guest", "trapper")).candles(*asked).num_rows
    execute(traps, "ALTER FUNCTION traps.f(numeric) OWNER TO CURRENT_USER")
    assert Source.connect(url).candles(*asked).num_rows


def test_what_is_temporary_stands_in_for_nothing(traps: str) -> None:
    """Behind a pooler, somebody else's temporary relations and types may lie in the session."""
    with psycopg.connect(traps, autocommit=True) as other:
        other.execute("CREATE TEMP TABLE pg_settings (name text, setting text, source text)")
        other.execute("SET search_path = pg_catalog")
        assert other.execute("SELECT count(*) FROM pg_settings").fetchone() == (0,)
    with session(traps, writes=True) as connection:
        connection.execute("CREATE TEMP TABLE pg_settings (name text, setting text, source text)")
        [(count,)] = connection.execute("SELECT count(*) FROM pg_settings").fetchall()
        assert count
