-- Rows with one text per symbol that holds all its rows, in the manner of CSV (PostgreSQL, sent by ConnectorX).
-- grain:   one row per symbol
-- columns: symbol, found (number of its rows), lines (text: microseconds since 1970, then the fields, one row a line)
-- NULL:    NaN; a symbol that is NULL is a row of its own
-- A row on its own costs the client more than all the numbers in it, and a NUMERIC keeps all its digits as text.
SELECT
    symbol,
    count(*) AS found,
    {lines} AS lines
FROM (
    {rows}
) AS given
GROUP BY symbol
