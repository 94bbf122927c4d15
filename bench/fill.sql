-- Earlier rows of one result table, made of a run's own (SQLite; the parameter is a JSON object: interval to the rows
-- kept and the seconds of a bar).
-- grain:   one row per (symbol, interval, bar before the run's), as many as are kept of each pair
-- They are laid down in the order of time, as run after run would have.
INSERT INTO {table}
WITH RECURSIVE kept (interval, rows, seconds) AS (
    SELECT key, json_extract(value, '$[0]'), json_extract(value, '$[1]')
    FROM json_each(?)
),

earlier (interval, n) AS (
    SELECT interval, 1 FROM kept
    UNION ALL
    SELECT earlier.interval, earlier.n + 1
    FROM earlier JOIN kept USING (interval)
    WHERE earlier.n < kept.rows
)

SELECT
    t."交易对",
    t."周期",
    strftime('%Y-%m-%dT%H:%M:%S+00:00', t."数据时间", (-n * kept.seconds) || ' seconds') AS "数据时间",
    {values}
FROM fresh.{table} AS t
JOIN kept ON kept.interval = t."周期"
JOIN earlier ON earlier.interval = t."周期"
ORDER BY 3, 1
