"""Result databases as somebody may have made them: the rows of a run are there, or the file stays as it was.

CANDLEMILL_FUZZ_SECONDS says for how long to look (`make fuzz`: ten minutes). Files have schemas, types, collations,
constraints, triggers and rows of any kind; writes go through the sink of a run.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import sqlite3
import time
from collections import Counter, defaultdict
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.database import DirectoryBasedExampleDatabase

from candlemill.indicators.registry import INDICATORS
from candlemill.pipeline.base.errors import SinkError
from candlemill.pipeline.base.intervals import INTERVALS
from candlemill.pipeline.results.sink import Sink
from tests.goldens import KEY
from tests.writing import put

if TYPE_CHECKING:
    from collections.abc import Mapping

    from candlemill.indicators.contract import Column, Indicator

SECONDS = float(os.environ.get("CANDLEMILL_FUZZ_SECONDS", "15"))
DECLARED = tuple(INDICATORS[name] for name in ("williams_r", "data_monitor", "volume_ratio"))
NOW = datetime(2026, 3, 1, tzinfo=UTC)
KEPT = {"1m": 3, "1h": 2, "1M": 4}
SYMBOLS = ("BTCUSDT", "btcusdt", "1000", "Ä'\"USDT")
#: Bytes of the header that the switch to write-ahead logging changes: versions, change counter, version-valid-for.
SWITCHED = {18, 19, *range(24, 28), *range(92, 100)}

#: Symbol and interval.
Pair: TypeAlias = tuple[str, str]

TYPES = (
    *(
        "TEXT",
        "REAL",
        "DOUBLE",
        "BIGINT",
        "VARCHAR",
        "INTEGER",
        "NUMERIC",
        "BLOB",
        "",
        "TIMESTAMP",
        "VARCHAR(9)",
        "FLOAT",
    ),
    *("DATETIME", "BOOLEAN", "DECIMAL(10,2)", "TINYINT(1)", "ANY", "DATE", "FLOATING POINT", "INT"),
)
CONSTRAINTS = (
    "PRIMARY KEY ({k})",
    "PRIMARY KEY ({k}) ON CONFLICT IGNORE",
    "UNIQUE ({k}) ON CONFLICT REPLACE",
    'UNIQUE ("交易对") ON CONFLICT REPLACE',
    'UNIQUE ("数据时间") ON CONFLICT IGNORE',
    'UNIQUE ("周期") ON /* or */ CONFLICT REPLACE',
    'UNIQUE ("交易对", "周期")',
    'CHECK ("{v}" > 0)',
    'FOREIGN KEY ("交易对") REFERENCES notes (note) ON DELETE CASCADE',
)
EXTRAS = (
    "id INTEGER PRIMARY KEY",
    "id INTEGER PRIMARY KEY AUTOINCREMENT",
    "g TEXT GENERATED ALWAYS AS (\"交易对\" || 'x') STORED",
    "h GENERATED ALWAYS AS (1)",
    "must TEXT NOT NULL",
    "filled TEXT NOT NULL DEFAULT 'x'",
    "指标 TEXT",
    "rowid TEXT",
)
COLUMN_ENDS = (
    *(
        "",
        "",
        "",
        "",
        "NOT NULL ON CONFLICT IGNORE",
        "NOT NULL DEFAULT 7 ON CONFLICT REPLACE",
        "UNIQUE",
        "COLLATE NOCASE",
    ),
    *("GENERATED ALWAYS AS (5)", "DEFAULT 9", "UNIQUE ON CONFLICT IGNORE"),
)
TRIGGERS = (
    "BEFORE INSERT ON {t} WHEN NEW.\"交易对\" = 'BTCUSDT' BEGIN SELECT RAISE(IGNORE); END",
    "AFTER INSERT ON {t} BEGIN DELETE FROM {t} WHERE \"交易对\" = 'btcusdt'; END",
    'AFTER INSERT ON {t} BEGIN UPDATE {t} SET "{v}" = 0 WHERE rowid = NEW.rowid; END',
    "AFTER DELETE ON {t} BEGIN DELETE FROM {o}; END",
    'AFTER INSERT ON {t} BEGIN INSERT INTO notes VALUES (NEW."交易对"); END',
    "AFTER INSERT ON {t} BEGIN INSERT INTO {t} (\"交易对\", \"周期\", \"数据时间\") VALUES ('X', '1m', 'x'); END",
    "BEFORE INSERT ON {t} BEGIN SELECT RAISE(ABORT, 'database disk image is malformed'); END",
    "AFTER UPDATE ON {t} BEGIN DELETE FROM {t} WHERE rowid = NEW.rowid; END",
    "AFTER INSERT ON {t} WHEN 1 IS DISTINCT FROM 1 BEGIN DELETE FROM {t}; END",
)
INDEXES = (
    'INDEX {i} ON {t} ("周期", "数据时间", "交易对")',
    'INDEX {i} ON {t} ("周期" COLLATE NOCASE, "数据时间" DESC, "交易对")',
    'INDEX {i} ON {t} ("周期", "数据时间", "交易对") WHERE "交易对" = \'BTCUSDT\'',
    'UNIQUE INDEX {i} ON {t} ("交易对")',
    'INDEX {i} ON {t} ("交易对") WHERE 1 IS NOT DISTINCT FROM 1',
)
OTHERS = (
    "CREATE VIEW newer AS SELECT a.note FROM notes AS a FULL JOIN notes AS b ON a.note = b.note",
    "CREATE VIEW lost AS SELECT * FROM not_there",
    "CREATE TRIGGER newer_trigger AFTER INSERT ON notes WHEN 1 IS DISTINCT FROM 2 BEGIN SELECT 1; END",
    "CREATE VIRTUAL TABLE words USING fts5(word)",
)


@dataclass(frozen=True)
class Table:
    """One table of the file; ``old`` are rows: symbol, interval, time, as SQL."""

    columns: tuple[tuple[str, str, str], ...]
    constraints: tuple[str, ...]
    options: str
    index: str
    triggers: tuple[str, ...]
    old: tuple[tuple[str, str, str], ...]
    last: int | None
    view: bool


def texts(values: tuple[str, ...]) -> st.SearchStrategy[str]:
    return st.sampled_from(["'" + value.replace("'", "''") + "'" for value in values])


@st.composite
def times(draw: st.DrawFn) -> str:
    interval = INTERVALS[draw(st.sampled_from(list(KEPT)))]
    moment = interval.back(NOW, draw(st.integers(-3, 8)))
    form = draw(st.sampled_from(["utc", "utc", "offset", "naive", "space", "zulu", "compact", "fraction"]))
    local = moment.astimezone(timezone(timedelta(minutes=draw(st.sampled_from([480, -300, 330, 840, -720])))))
    return {
        "utc": f"'{moment.isoformat()}'",
        "offset": f"'{local.isoformat()}'",
        "naive": f"'{moment.replace(tzinfo=None).isoformat()}'",
        "space": f"'{moment.isoformat(sep=' ')}'",
        "zulu": f"'{moment.replace(tzinfo=None).isoformat()}Z'",
        "compact": f"'{moment.strftime('%Y%m%dT%H%M%S+0000')}'",
        "fraction": f"'{moment.isoformat(timespec='microseconds')}'",
    }[form]


ODD = st.sampled_from(
    ["NULL", "x'00ff'", "x'425443555344 54'".replace(" ", ""), "5", "1.5", "''", "'zzz'", "'2026-99-99'"]
)
VERY_ODD = st.sampled_from(["CAST(x'ff41' AS TEXT)", "'a' || char(0) || 'b'", "9e999"])


def mostly(usual: st.SearchStrategy[str], odd: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.integers(0, 19).flatmap(lambda chance: odd if chance == 19 else usual)


OLD = st.tuples(
    mostly(texts(SYMBOLS), st.one_of(ODD, VERY_ODD)),
    mostly(texts((*KEPT, "1H")), ODD),
    mostly(times(), st.one_of(ODD, VERY_ODD)),
)


def rarely(values: tuple[str, ...], most: int = 1) -> st.SearchStrategy[tuple[str, ...]]:
    some = st.lists(st.sampled_from(values), min_size=1, max_size=most, unique=True).map(tuple)
    return st.integers(0, 7).flatmap(lambda chance: some if chance == 7 else st.just(()))


@st.composite
def tables(draw: st.DrawFn, declared: Indicator) -> Table:
    def column(label: str, usual: str) -> tuple[str, str, str]:
        chance = draw(st.integers(0, 15))
        end = draw(st.sampled_from(COLUMN_ENDS)) if chance == 15 else ""
        return label, draw(st.sampled_from(TYPES)) if chance >= 14 else usual, end

    labels = [(declared.label(c), c.kind.declared) for c in declared.columns if draw(st.integers(0, 9)) != 9]
    columns = [column(*each) for each in [*((key, "TEXT") for key in KEY), *labels]]
    columns += [(extra, "", "") for extra in draw(rarely(EXTRAS, 2))]
    return Table(
        tuple(draw(st.permutations(columns))),
        draw(rarely(CONSTRAINTS, 2)),
        draw(st.sampled_from([*[""] * 14, "STRICT", "WITHOUT ROWID"])),
        draw(st.sampled_from(["", "", *INDEXES])),
        draw(rarely(TRIGGERS, 2)),
        tuple(draw(st.lists(OLD, max_size=8))),
        draw(st.sampled_from([*[None] * 14, 2**63 - 1, 2**63 - 3, -5])),
        draw(st.integers(0, 40)) == 0,
    )


FILES = st.fixed_dictionaries(
    {
        "tables": st.tuples(*(st.one_of(st.none(), tables(declared)) for declared in DECLARED)),
        "pragmas": st.sampled_from(
            ["", "journal_mode = WAL", "encoding = 'UTF-16'", "auto_vacuum = 2", "page_size = 512"]
        ),
        "others": rarely(OTHERS, 2),
    }
)
VALUES = st.integers(1, 4)
WRITES = st.lists(
    st.tuples(
        st.dictionaries(
            st.tuples(st.sampled_from(SYMBOLS), st.sampled_from(list(KEPT))),
            st.tuples(st.integers(-2, 4), VALUES),
            min_size=1,
            max_size=6,
        ),
        st.booleans(),
    ),
    min_size=1,
    max_size=3,
)


def make(file: Path, asked: Mapping[str, Any]) -> None:
    """The file as far as SQLite makes it; what it refuses is left out."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:

        def attempt(statement: str) -> None:
            with contextlib.suppress(sqlite3.Error):
                connection.execute(statement)

        if asked["pragmas"]:
            attempt(f"PRAGMA {asked['pragmas']}")
        connection.execute("CREATE TABLE notes (note TEXT)")
        connection.execute("INSERT INTO notes VALUES ('keep me')")
        for declared, other, table in zip(DECLARED, (*DECLARED[1:], DECLARED[0]), asked["tables"], strict=True):
            if table is None:
                continue
            value = declared.label(declared.columns[0])
            parts = {
                "t": f'"{declared.table}"', "o": f'"{other.table}"', "v": value, "i": f"i_{declared.id}",
                "k": '"交易对", "周期", "数据时间"',
            }  # fmt: skip
            if table.view:
                attempt(f'CREATE VIEW {parts["t"]} AS SELECT note AS "交易对" FROM notes')
                continue
            columns = [
                f'"{name}" {type_} {end}' if type_ or end or " " not in name else name
                for name, type_, end in table.columns
            ]
            rules = [rule.format(**parts) for rule in table.constraints]
            attempt(f"CREATE TABLE {parts['t']} ({', '.join([*columns, *rules])}) {table.options}")
            for place, row in enumerate(table.old):
                named = '"交易对", "周期", "数据时间"'
                attempt(f"INSERT INTO {parts['t']} ({named}) VALUES ({', '.join(row)})")
                if table.last is not None and place == len(table.old) - 1:
                    attempt(f"UPDATE {parts['t']} SET rowid = {table.last} WHERE rowid = last_insert_rowid()")
            if table.index:
                attempt(f"CREATE {table.index.format(**parts)}")
        for declared, other, table in zip(DECLARED, (*DECLARED[1:], DECLARED[0]), asked["tables"], strict=True):
            for number, trigger in enumerate(table.triggers if table else ()):
                parts = {"t": f'"{declared.table}"', "o": f'"{other.table}"', "v": declared.label(declared.columns[0])}
                attempt(f"CREATE TRIGGER g_{declared.id}_{number} {trigger.format(**parts)}")
        for statement in asked["others"]:
            attempt(statement)


def content(file: Path) -> dict[str, Any]:
    """What the file holds: the schema, and all rows of each table with their types."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        found: dict[str, Any] = {
            "schema": connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY 1, 2").fetchall()
        }
        assert connection.execute("PRAGMA integrity_check(1)").fetchall() == [("ok",)]
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            found[name] = connection.execute(f'SELECT * FROM "{name}"').fetchall()
    return found


def keys(file: Path, declared: Indicator) -> list[tuple[int, Any, Any, Any]]:
    """Rowid and key of every row, in rowid order."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", [declared.table]).fetchone():
            return []
        return connection.execute(
            f'SELECT rowid, "交易对", "周期", "数据时间" FROM "{declared.table}" ORDER BY rowid'
        ).fetchall()


def moment_of(text: object) -> datetime | None:
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def by_pair(rows: list[tuple[int, Any, Any, Any]]) -> dict[Pair, dict[datetime, list[int]]]:
    """Rowids by moment, of each pair of texts."""
    found: dict[Pair, dict[datetime, list[int]]] = defaultdict(lambda: defaultdict(list))
    for place, symbol, interval, time_ in rows:
        moment = moment_of(time_)
        if isinstance(symbol, str) and isinstance(interval, str) and moment is not None:
            found[symbol, interval][moment].append(place)
    return found


def value_of(column: Column, number: int) -> Any:
    kind = column.kind.name
    if kind == "time":
        return NOW + timedelta(hours=number)
    return {"real": number + 0.25, "integer": number, "text": f"词{number}"}[kind]


def results(bars: Mapping[Pair, tuple[int, int]]) -> dict[Indicator, pa.Table]:
    types = {"real": pa.float64(), "integer": pa.int64(), "text": pa.string(), "time": pa.timestamp("us", "UTC")}
    made = {}
    for declared in DECLARED:
        rows = [
            {
                "symbol": symbol, "interval": interval, "bucket_ts": INTERVALS[interval].back(NOW, bar), "run_id": "x",
                **{column.name: value_of(column, number) for column in declared.columns},
            }
            for (symbol, interval), (bar, number) in bars.items()
        ]  # fmt: skip
        names = [*((name, pa.string()) for name in ("symbol", "interval")), ("bucket_ts", types["time"])]
        schema = pa.schema([*names, ("run_id", pa.string()), *((c.name, types[c.kind.name]) for c in declared.columns)])
        made[declared] = pa.Table.from_pylist(rows, schema=schema)
    return made


def same(stored: Any, sent: Any) -> bool:
    if isinstance(sent, datetime):
        return bool(stored == sent.isoformat())
    if isinstance(sent, str):
        return bool(stored == sent)
    return not isinstance(stored, bytes) and stored is not None and math.isclose(float(stored), sent, rel_tol=1e-8)


def check(asked: Mapping[str, Any], writes: list[tuple[Mapping[Pair, tuple[int, int]], bool]]) -> Counter[str]:
    """What must hold after each of some writes; how many were written, and how many refused."""
    seen: Counter[str] = Counter()
    with TemporaryDirectory() as folder:
        file = Path(folder) / "result.db"
        make(file, asked)
        for bars, ahead in writes:
            before, image, held = content(file), file.read_bytes(), {d: keys_or_none(file, d) for d in DECLARED}
            refused = written(file, bars, ahead)
            if refused is not None:
                seen["refused"] += 1
                assert len(refused.splitlines()) == 1
                assert "Error" not in refused, refused
                assert content(file) == before
                after = file.read_bytes()
                assert len(after) == len(image)
                changed = {place for place, (a, b) in enumerate(zip(after, image, strict=True)) if a != b}
                assert changed <= (SWITCHED if image[18] == 1 else set()), (sorted(changed)[:9], refused)
                continue
            seen["written"] += 1
            for declared in DECLARED:
                compare(file, declared, bars, by_pair(held[declared] or []), held[declared] or [])
            assert ("keep me",) in content(file)["notes"]
    return seen


def written(file: Path, bars: Mapping[Pair, tuple[int, int]], ahead: bool) -> str | None:
    """Write rows as a run does; ``ahead``: what falls out is read before. Why it was refused; None: it was not."""
    newest: dict[str, datetime] = {}
    for (_, name), (bar, _) in bars.items():
        start = INTERVALS[name].back(NOW, bar)
        newest[name] = max(newest.get(name, start), start)
    try:
        with Sink(file, 0) as sink:
            sink.check(DECLARED)
            if ahead:
                sink.prepare(DECLARED, newest, KEPT.__getitem__)
            put(sink, results(bars), KEPT.__getitem__)
    except SinkError as error:
        return str(error)
    return None


def keys_or_none(file: Path, declared: Indicator) -> list[tuple[int, Any, Any, Any]] | None:
    with contextlib.suppress(sqlite3.Error):
        return keys(file, declared)
    return None


def compare(
    file: Path,
    declared: Indicator,
    bars: Mapping[Pair, tuple[int, int]],
    held: dict[Pair, dict[datetime, list[int]]],
    rows: list[tuple[int, Any, Any, Any]],
) -> None:
    """The rows of a write are in a table with their values, older ones beyond the retention are not, others stay."""
    after = keys(file, declared)
    found = by_pair(after)
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        for (symbol, interval), (bar, number) in bars.items():
            moment = INTERVALS[interval].back(NOW, bar)
            wanted = sorted({*held.get((symbol, interval), {}), moment})[-KEPT[interval] :]
            mine = found[symbol, interval]
            assert sorted(mine) == wanted, (declared.id, symbol, interval)
            if moment in wanted:
                assert len(mine[moment]) == 1
                [place] = mine[moment]
                [row] = connection.execute(f'SELECT * FROM "{declared.table}" WHERE rowid = ?', [place]).fetchall()
                assert row["数据时间"] == moment.isoformat()
                for column in declared.columns:
                    sent = value_of(column, number)
                    assert same(row[declared.label(column)], sent), (
                        declared.id,
                        column.name,
                        row[declared.label(column)],
                    )
            # Readers take the largest rowid of a pair for its newest bar.
            assert max(itertools.chain(*mine.values())) in mine[max(mine)]
    written = set(bars)
    others = Counter(row[1:] for row in rows if not (row[1:3] in written and moment_of(row[3])))
    kept = Counter(row[1:] for row in after if not (row[1:3] in written and moment_of(row[3])))
    assert kept == others


class Clock:
    end = math.inf


@settings(
    max_examples=max(20, int(SECONDS * 5)),
    deadline=None,
    database=DirectoryBasedExampleDatabase(Path(__file__).parent / "examples"),
    suppress_health_check=list(HealthCheck),
)
@given(asked=FILES, writes=WRITES)
def examined(asked: Mapping[str, Any], writes: list[tuple[Mapping[Pair, tuple[int, int]], bool]]) -> None:
    if time.monotonic() > Clock.end:
        return
    try:
        SEEN.update(check(asked, writes))
    except BaseException:
        # A failure is looked into for as long as it takes.
        Clock.end = math.inf
        raise


SEEN: Counter[str] = Counter()


def test_the_rows_of_a_run_are_there_or_it_is_refused_and_the_file_is_as_it_was() -> None:
    Clock.end = time.monotonic() + SECONDS
    examined()
    assert SEEN["written"]
    assert SEEN["refused"]
