-- Tell who listens on the channel candle_1m_update of each 1m bar of the last hour that is written (PostgreSQL).
-- payload: {"symbol", "bucket_ts", "is_closed", "exchange"}; {} where it would be too long for a notice, so that no
--          name of a symbol can make the writing fail
-- Older bars, such as those of archives that are loaded, are no news.
CREATE FUNCTION market_data.notify_candle_1m_update() RETURNS TRIGGER LANGUAGE plpgsql AS $body$
DECLARE
    payload TEXT := pg_catalog.json_build_object(
        'symbol', NEW.symbol, 'bucket_ts', NEW.bucket_ts, 'is_closed', NEW.is_closed, 'exchange', NEW.exchange
    )::TEXT;
BEGIN
    PERFORM pg_catalog.pg_notify(
        'candle_1m_update', CASE WHEN pg_catalog.octet_length(payload) < 8000 THEN payload ELSE '{}' END
    );
    RETURN NULL;
END
$body$;

CREATE TRIGGER candlemill_notify
AFTER INSERT OR UPDATE ON market_data.candles_1m
FOR EACH ROW
WHEN (new.bucket_ts > pg_catalog.now() - INTERVAL '1 hour')
EXECUTE FUNCTION market_data.notify_candle_1m_update()
