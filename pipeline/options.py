"""The model of settings: each with its option, its variables, its default, and what it means.

A field of ``Options`` is a setting. From it derive the options of the commands and their ``--help``
(``commands.options``), the variables that ``doctor`` names, ``docs/settings.md`` and ``.env.example``. A new setting is
one more field, and a line of ``settings_of`` where a pass goes by it. Rules about symbols and intervals have variables
only.

pydantic-settings is not used: its import takes 0.12 s beyond that of pydantic, which typer loads, so it would cost an
eighth of the second that a run of a few symbols may take; and typer derives no options from its models.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_type_hints

from .base.marker import DEMO as DEMO_MARKER
from .base.marker import DESK, is_of_demo
from .base.threads import MOST_THREADS, useful_threads
from .settings import (
    DEFAULT_EXCHANGE,
    DEFAULT_LOCK_TIMEOUT,
    DEFAULT_LOOKBACK,
    DEFAULT_WAL_LIMIT,
    MOST_TOP,
    OTHER_RETENTION,
    RETENTION,
    PartsOfNames,
    Settings,
    SymbolRules,
    asked_symbols,
    parse_as_of,
    parse_indicators,
    parse_intervals,
    parse_profile,
    parse_retention,
    parse_symbol_rules,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

#: Sections of the page.
PASS, LIVE, DEMO, LOG = "A pass", "Live operation", "The demo", "The log"
OLD = "Command lines of the service that candlemill replaces"

_RUNS = ("run", "demo", "watch")
_FROM_SOURCE = ("history", "stability", "explain")
#: Where the demo has its files and its server.
_DEMO = Path("data/demo")
DEMO_WORK_FILE = _DEMO / "candlemill.duckdb"
DEMO_RESULTS = _DEMO / "market_data.db"
_WITH_DRIVER = re.compile(r"postgres(ql)?\+[a-z0-9_]+://")
#: What numbers go up to where nothing else bounds them: seconds of a year, and bars or passes.
_YEAR, _MANY = 31_536_000, 1_000_000
_KEPT = f"{','.join(f'{name}={rows}' for name, rows in RETENTION.items())}, and {OTHER_RETENTION} elsewhere"


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        meaning: what is given, in a sentence.
        commands: the commands that take its option; none where it has variables only.
        variables: of the environment; the first that is set counts. ``NAME_<part>`` stands for all names of that form.
        section: of the page.
        spelling: the option, where it is not the name with dashes.
        aliases: other spellings of the option.
        of_variable: what a text is that comes from a variable, where that is read otherwise than one of the option.
        otherwise: what holds where nothing is given, where the default does not say it.
        differing: defaults of commands that have another one.
        least: the smallest number that is accepted.
        most: the greatest; a setting that is a number has both.
        example: a value for its variables; ``part=value`` where these are a form.
        name: the field of ``Options``.
        kind: the type of the field.
        default: the default of the field.
    """

    meaning: str
    commands: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    section: str = PASS
    spelling: str = ""
    aliases: tuple[str, ...] = ()
    of_variable: Callable[[str], str] | None = None
    otherwise: str = ""
    differing: Mapping[str, Any] = field(default_factory=dict)
    least: int | None = None
    most: int | None = None
    example: str = ""
    name: str = ""
    kind: Any = None
    default: Any = None

    @property
    def option(self) -> str:
        """The option as it is written; nothing where there is none."""
        return (self.spelling or f"--{self.name.replace('_', '-')}") if self.commands else ""

    @property
    def bounds(self) -> str:
        """The numbers that are accepted, in a sentence; nothing where it is none."""
        return f"From {self.least} to {self.most}." if self.most is not None else ""

    @property
    def help(self) -> str:
        """Its meaning, with what holds where nothing is given."""
        return f"{self.meaning} Default: {self.otherwise}." if self.otherwise else self.meaning

    def set_in(self, environment: Mapping[str, str]) -> list[str]:
        """Its variables that have a value in an environment."""
        names: list[str] = []
        for variable in self.variables:
            stem, form, _ = variable.partition("<")
            names += sorted(name for name in environment if name.startswith(stem)) if form else [variable]
        return [name for name in names if environment.get(name)]


@dataclass(frozen=True)
class Options:
    """What a command was asked for, as it was written; what the command does not take has its default."""

    source: Annotated[
        str | None,
        Setting(
            "PostgreSQL or TimescaleDB URL.",
            commands=("run", "watch", *_FROM_SOURCE, "backfill", "plot", "symbols", "ingest", "init-db", "doctor"),
            variables=("DATABASE_URL",),
            example="postgresql://reader:secret@db.example/market",
        ),
    ] = None
    sqlite: Annotated[
        Path,
        Setting(
            "Result database.",
            commands=(*_RUNS, "changes", "report", "query", "doctor"),
            variables=("INDICATOR_SQLITE_PATH",),
            differing={"demo": DEMO_RESULTS},
        ),
    ] = Path("data/market_data.db")
    duckdb: Annotated[
        Path,
        Setting(
            "Work file for analysts.",
            commands=(*_RUNS, "report", "query", "plot", "runs", "doctor"),
            variables=("CANDLEMILL_DUCKDB",),
            differing={"demo": DEMO_WORK_FILE},
        ),
    ] = Path("data/candlemill.duckdb")
    symbols: Annotated[
        str | None,
        Setting(
            "Symbols, groups, auto, all, or @FILE.",
            commands=(*_RUNS, "backfill", "stability", "symbols"),
            variables=("TEST_SYMBOLS",),
            otherwise="SYMBOLS_GROUPS, else auto",
            example="BTCUSDT,ETHUSDT",
        ),
    ] = None
    intervals: Annotated[
        str | None,
        Setting(
            "Intervals, such as 5m,1h.",
            commands=(*_RUNS, "backfill", "symbols"),
            variables=("INTERVALS",),
            otherwise="1m to 1w, seven of them",
            example="5m,1h",
        ),
    ] = None
    indicators: Annotated[
        str | None,
        Setting(
            "Indicators, by ids or table names; in the variable also by parts of these, in any case.",
            commands=(*_RUNS, "history", "stability", "changes", "backfill"),
            variables=("INDICATORS_ENABLED",),
            of_variable=PartsOfNames,
            otherwise="all",
            example="macd,布林带",
        ),
    ] = None
    without: Annotated[
        str | None,
        Setting(
            "Indicators to leave out, named likewise.",
            commands=(*_RUNS, "history", "stability", "changes", "backfill"),
            variables=("INDICATORS_DISABLED",),
            of_variable=PartsOfNames,
            example="adx,kdj",
        ),
    ] = None
    mode: Annotated[str, Setting("Which indicators: all, batch or incremental.", commands=_RUNS)] = "all"
    lookback: Annotated[
        int,
        Setting(
            "Bars per series that the indicators see.",
            commands=(*_RUNS, *_FROM_SOURCE, "backfill"),
            least=1,
            most=_MANY,
        ),
    ] = DEFAULT_LOOKBACK
    as_of: Annotated[
        str | None,
        Setting(
            "Look from this moment, ISO 8601.", commands=("run", "demo", *_FROM_SOURCE, "symbols"), otherwise="now"
        ),
    ] = None
    workers: Annotated[
        int | None,
        Setting(
            "Threads of the computation, or processes of a backfill, of which no more are used than there are CPUs.",
            commands=(*_RUNS, "backfill"),
            variables=("MAX_WORKERS",),
            otherwise="the CPUs",
            least=1,
            most=MOST_THREADS,
            example="4",
        ),
    ] = None
    exchange: Annotated[
        str, Setting("Exchange of the candles.", commands=(*_RUNS, *_FROM_SOURCE, "backfill", "plot", "symbols"))
    ] = DEFAULT_EXCHANGE
    closed_only: Annotated[bool, Setting("Leave forming bars out.", commands=(*_RUNS, "history", "explain"))] = False
    retention: Annotated[
        str | None,
        Setting(
            "Rows kept per symbol, such as 1m=120,5m=120.",
            commands=(*_RUNS, "backfill"),
            variables=("INDICATOR_RETENTION",),
            otherwise=_KEPT,
            example="1m=240,1h=720",
        ),
    ] = None
    profile: Annotated[
        str | None,
        Setting(
            "Whose values: parity, those of the replaced service, or corrected, the field's standard definitions.",
            commands=(*_RUNS, *_FROM_SOURCE, "changes", "backfill", "plot"),
            variables=("CANDLEMILL_PROFILE",),
            otherwise="parity; what only reads a file takes that of the file",
            example="corrected",
        ),
    ] = None
    adopt: Annotated[
        bool,
        Setting(
            "Write into an SQLite file that is not recognised as a result database, too.",
            commands=(*_RUNS, "backfill"),
        ),
    ] = False
    strict: Annotated[
        bool,
        Setting(
            "End with 5 where a symbol that was asked for has no candles, with 1 where an indicator fails for all its "
            "series; what there is is written.",
            commands=("run", "demo"),
        ),
    ] = False
    lock_timeout: Annotated[
        float,
        Setting(
            "Seconds to retry while another process holds the result database.",
            commands=(*_RUNS, "backfill"),
            least=0,
            most=_YEAR,
        ),
    ] = DEFAULT_LOCK_TIMEOUT
    wal_limit: Annotated[
        int,
        Setting(
            "MB of the result database's write-ahead log from which on it warns that readers keep it from shrinking.",
            commands=(*_RUNS, "doctor"),
            variables=("CANDLEMILL_WAL_LIMIT",),
            least=1,
            most=_MANY,
            example="512",
        ),
    ] = DEFAULT_WAL_LIMIT
    every: Annotated[
        str | None,
        Setting(
            "Seconds between two looks, such as 1m=10,1h=60.",
            commands=("watch",),
            section=LIVE,
            otherwise="10 up to 5m, else 60",
        ),
    ] = None
    delay: Annotated[
        float,
        Setting(
            "Seconds from the start of a bar to the first look at it.",
            commands=("watch",),
            section=LIVE,
            least=0,
            most=_YEAR,
        ),
    ] = 2.0
    overlap: Annotated[
        int,
        Setting(
            "Closed bars that are read again, for their corrections.",
            commands=("watch",),
            section=LIVE,
            least=0,
            most=_MANY,
        ),
    ] = 3
    reload: Annotated[
        float, Setting("Seconds between two readings of all.", commands=("watch",), section=LIVE, least=1, most=_YEAR)
    ] = 3600
    publish: Annotated[
        float, Setting("Seconds between two work files.", commands=("watch",), section=LIVE, least=1, most=_YEAR)
    ] = 300
    listen: Annotated[
        bool, Setting("Let notices on candle_1m_update wake the watch, too.", commands=("watch",), section=LIVE)
    ] = False
    runs: Annotated[
        int | None, Setting("End after so many passes.", commands=("watch",), section=LIVE, least=1, most=_MANY)
    ] = None
    seconds: Annotated[
        float | None,
        Setting("End after so many seconds.", commands=("watch",), section=LIVE, spelling="--for", least=0, most=_YEAR),
    ] = None
    on_change: Annotated[
        str | None,
        Setting(
            "Start this command of the shell when words have changed, with the rows of `changes` as JSON lines on its "
            "standard input.",
            commands=("watch",),
            section=LIVE,
        ),
    ] = None
    pid_file: Annotated[
        Path | None,
        Setting(
            "Keep the number of the process in this file while it runs, which one process can.",
            commands=("watch",),
            section=LIVE,
        ),
    ] = None
    metrics_file: Annotated[
        Path | None,
        Setting(
            "Write metrics for Prometheus into this file after each pass.",
            commands=_RUNS,
            section=LIVE,
        ),
    ] = None
    data: Annotated[Path, Setting("Folder of the embedded server.", commands=("demo",), section=DEMO)] = (
        _DEMO / "server"
    )
    log_level: Annotated[
        str,
        Setting(
            "What is logged: debug, info, warning or error, in any case.",
            commands=(*_RUNS, *_FROM_SOURCE, "backfill", "symbols", "ingest", "init-db"),
            section=LOG,
            differing=dict.fromkeys((*_FROM_SOURCE, "symbols"), "warning"),
        ),
    ] = "info"
    log_json: Annotated[
        bool,
        Setting(
            "Log as JSON objects.",
            commands=(*_RUNS, "backfill", "ingest", "init-db"),
            section=LOG,
            aliases=("--json-log",),
        ),
    ] = False
    log_file: Annotated[
        Path | None,
        Setting(
            "Log into this file, too, after what it has; one that is moved away is begun anew.",
            commands=(*_RUNS, "backfill", "ingest", "init-db"),
            section=LOG,
        ),
    ] = None
    quiet: Annotated[
        bool,
        Setting(
            "Log errors only, and show no progress.", commands=(*_RUNS, "backfill", "ingest", "init-db"), section=LOG
        ),
    ] = False
    full_async: Annotated[
        bool,
        Setting(
            "Ends with 2 and names the `watch` that does the same, as it stayed up.", commands=("run",), section=OLD
        ),
    ] = False
    event: Annotated[
        bool,
        Setting("The same; it waited for notices.", commands=("run",), section=OLD),
    ] = False

    def __post_init__(self) -> None:
        # As SQLAlchemy writes it, with a driver that is not ours.
        if self.source and (found := _WITH_DRIVER.match(self.source)):
            object.__setattr__(self, "source", f"postgresql://{self.source[found.end() :]}")

    @property
    def shows_no_bar(self) -> bool:
        """Whether no progress is shown on a terminal: none was wanted, or each line is to be JSON."""
        return self.quiet or self.log_json


def _declared() -> Iterator[Setting]:
    kinds = get_type_hints(Options, include_extras=True)
    for each in fields(Options):
        kind, setting = get_args(kinds[each.name])
        yield replace(setting, name=each.name, kind=kind, default=each.default)


OPTIONS = tuple(_declared())
#: What ``settings.parse_retention`` reads.
INTERVAL_RULES = (
    Setting(
        "Rows kept per symbol at one interval, where --retention or INDICATOR_RETENTION does not say it; in any case: "
        "1M is a minute, 1MO a month.",
        variables=("INDICATOR_RETENTION_<interval>",),
        example="4H=240",
    ),
)
#: What ``settings.parse_symbol_rules`` reads.
SYMBOL_RULES = (
    Setting(
        "The symbols of a group, which goes by that name in --symbols and SYMBOLS_GROUPS.",
        variables=("SYMBOLS_GROUP_<name>",),
        example="majors=BTCUSDT,ETHUSDT",
    ),
    Setting(
        "Groups, auto and all among them, to take where --symbols is not given.",
        variables=("SYMBOLS_GROUPS",),
        default=SymbolRules.usual,
        example="auto,majors",
    ),
    Setting(
        "Symbols that join groups, auto and all, but no list of symbols.",
        variables=("SYMBOLS_EXTRA",),
        example="SOLUSDT",
    ),
    Setting("Symbols that are never taken, whoever names them.", variables=("SYMBOLS_EXCLUDE",), example="PEPEUSDT"),
    Setting(
        "Top N of each rule of auto.",
        variables=("HIGH_PRIORITY_TOP_N",),
        default=SymbolRules.top,
        least=1,
        most=MOST_TOP,
        example="20",
    ),
)
#: Variables of libpq, the library that connects to the source: they fill in what its URL leaves out.
LIBPQ = (
    *("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD"),
    *("PGPASSFILE", "PGSERVICE", "PGSERVICEFILE", "PGOPTIONS", "PGSSLMODE", "PGSSLROOTCERT"),
)


def variables_set(environment: Mapping[str, str]) -> list[str]:
    """Names of the variables that have a value in an environment and would be used."""
    own = [name for setting in (*OPTIONS, *INTERVAL_RULES, *SYMBOL_RULES) for name in setting.set_in(environment)]
    return [*own, *(name for name in LIBPQ if environment.get(name))]


def settings_of(asked: Options, environment: Mapping[str, str]) -> Settings:
    """What a pass is asked to do, checked. The environment has the rules about symbols and intervals.

    Raises UsageError for what cannot be read or does not go together.
    """
    rules = parse_symbol_rules(environment)
    if of_demo := is_of_demo(asked.source or "", environment):
        # Where no files were asked for, those of a desk are not meant.
        asked = replace(
            asked,
            sqlite=DEMO_RESULTS if asked.sqlite == Options.sqlite else asked.sqlite,
            duckdb=DEMO_WORK_FILE if asked.duckdb == Options.duckdb else asked.duckdb,
        )
    return Settings(
        source=asked.source or "",
        sqlite=asked.sqlite,
        duckdb=asked.duckdb,
        symbols=asked_symbols(asked.symbols, rules),
        intervals=parse_intervals(asked.intervals),
        indicators=parse_indicators(asked.indicators, asked.without, asked.mode),
        as_of=parse_as_of(asked.as_of),
        lookback=asked.lookback,
        workers=useful_threads(asked.workers),
        exchange=asked.exchange,
        closed_only=asked.closed_only,
        lock_timeout=asked.lock_timeout,
        wal_limit=asked.wal_limit,
        retention=parse_retention(asked.retention, environment),
        symbol_rules=rules,
        adopt=asked.adopt,
        marker=replace(DEMO_MARKER if of_demo else DESK, profile=parse_profile(asked.profile)),
    )
