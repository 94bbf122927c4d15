-- Let the server end a statement soon after its client is gone (PostgreSQL 14 and newer).
-- grain:   one row; none where the server cannot do it, or is set to do it already
-- A server whose system cannot tell refuses it. {local}: only to the end of the transaction.
SELECT set_config('client_connection_check_interval', '2s', {local})
WHERE current_setting('client_connection_check_interval', TRUE) = '0'
