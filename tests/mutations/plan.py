"""Which files are mutated, which tests can see each, and which mutants are equivalent."""

from __future__ import annotations

import hashlib
import re
import tomllib
from fnmatch import fnmatch
from itertools import chain, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from tests.mutations.mutants import mutants

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.mutations.mutants import Mutant

ROOT = Path(__file__).parents[2]
EQUIVALENT = Path(__file__).parent / "equivalent.toml"

#: Variable with the ids of the indicators that a mutant can concern; tests of others are left out. Empty: of all.
CONCERNED = "CANDLEMILL_MUTATED"
#: What the tests against TimescaleDB need; without it they are left out.
MODULES_OF_NODE = "tests/timescale/node_modules"

#: What says from outside the code what values have to be; no golden value is among it.
_ORACLES = ("test_oracles.py", "test_formulas.py", "test_definitions.py")
_MACHINERY = ("test_contract.py", "test_compute.py", "test_pivot.py", "test_registry.py")
_WINDOWS = ("test_lanes.py", "test_history.py")
_EXTENSION = "test_safety.py::test_an_extension_that_does_not_do_names_the_command_that_mends_it"
_RESULT_PATHS = tuple(
    f"test_errors.py::test_a_result_{which}"
    for which in ("path_that_is_a_folder", "path_where_nothing_can_be_made", "file_that_is_no_database")
)
_RESULT_PATHS += tuple(
    f"faults/test_disk.py::test_a_{which}"
    for which in ("read_only_result_database_is_refused", "folder_where_nothing_can_be_written_is_refused")
)
_RESULTS = ("test_retention.py", "test_sink.py", "long/test_old_files.py")
_BARS = ("long/test_chunks.py", "test_source.py", "long/test_live.py")
_TIMESCALE = ("timescale/test_init_db.py", "timescale/test_doctor.py", "timescale/test_ingest.py")
#: Statements about aggregates, which nothing else runs.
_OF_AGGREGATES = (
    "aggregates", "buckets", "doubtful", "has_aggregates", "held", "incomplete", "lagging", "oldest", "policy",
    "refresh", "remove_policy",
)  # fmt: skip
#: Tests below ``tests/`` that can see a file, by pattern; cheap ones and those that see most first. The first pattern
#: that fits counts.
TESTS = {
    **dict.fromkeys(
        (f"indicators/kernels/{name}.py" for name in ("compiled", "dispatch", "lanes", "loops/*")), _WINDOWS
    ),
    "indicators/windows.py": _WINDOWS,
    "indicators/kernels/candles.py": ("test_patterns.py", "test_oracles.py"),
    "indicators/kernels/*.py": (*_ORACLES, "test_kernels.py"),
    "indicators/patterns.py": ("test_oracles.py", "test_patterns.py", "test_categories.py"),
    "indicators/service.py": ("test_registry.py", "test_values.py"),
    "indicators/rounding.py": ("test_rounding.py",),
    **dict.fromkeys((f"indicators/{name}.py" for name in ("contract", "evaluate", "kinds", "registry")), _MACHINERY),
    "indicators/*.py": _ORACLES,
    "sql/indicators/*.sql": _ORACLES,
    "pipeline/results/rows.py": (*_RESULTS, "test_values.py", "long/test_damage.py"),
    "pipeline/results/extension.py": (_EXTENSION, "test_retention.py"),
    "pipeline/results/sink.py": (*_RESULTS, *_RESULT_PATHS),
    "pipeline/results/ownership.py": (
        "long/test_ownership.py::test_a_result_database_takes_results_of_its_own_kind_alone",
        "test_sink.py",
    ),
    "pipeline/results/*.py": _RESULTS,
    "sql/results/*.sql": _RESULTS,
    "pipeline/source/aggregates.py": ("test_ranges.py", *_TIMESCALE),
    "pipeline/source/buckets.py": ("long/test_chunks.py", "test_source.py"),
    "pipeline/source/bulk.py": ("test_session.py", "long/test_tls.py"),
    "pipeline/source/clauses.py": _BARS,
    "pipeline/source/packed.py": ("test_packed.py", "long/test_chunks.py"),
    "pipeline/source/reader.py": (*_BARS, "long/test_symbols.py", "test_errors.py"),
    "pipeline/source/schema.py": ("test_schema.py", "timescale/test_init_db.py"),
    "pipeline/source/session.py": ("test_session.py", "long/test_tls.py"),
    "pipeline/source/symbols.py": ("long/test_symbols.py",),
    "pipeline/source/urls.py": ("test_urls.py", "long/test_tls.py", "test_session.py"),
    **dict.fromkeys((f"sql/source/{name}.sql" for name in _OF_AGGREGATES), _TIMESCALE),
    "sql/source/auto_*.sql": ("long/test_symbols.py", "long/test_chunks.py", "test_source.py"),
    "sql/source/metrics_symbols_*.sql": ("long/test_symbols.py", "long/test_chunks.py", "test_source.py"),
    "sql/source/session*.sql": ("test_session.py",),
    "sql/source/packed.sql": ("test_packed.py", *_BARS),
    "sql/source/*.sql": (*_BARS, "long/test_symbols.py"),
}


#: Files whose values the oracles alone are to hold: all that computes, save the lanes, whose oracle are the kernels.
COMPUTING = tuple(
    pattern
    for pattern, tests in TESTS.items()
    if pattern.startswith(("indicators/", "sql/indicators/"))
    and pattern not in ("indicators/service.py", "indicators/windows.py")
    and tests != _WINDOWS
)


def computes(file: str) -> bool:
    """Whether a file is one that the oracles are to hold."""
    return next(pattern for pattern in TESTS if fnmatch(file, pattern)) in COMPUTING


def declared_in(file: str, root: Path = ROOT) -> tuple[str, ...]:
    """Ids of the indicators whose values a file alone has; none where it is of all."""
    if file.startswith("sql/indicators/"):
        return (Path(file).name.partition(".")[0],)
    if not fnmatch(file, "indicators/*.py") or "/kernels/" in file:
        return ()
    return tuple(re.findall(r'^ {4}id="(\w+)"', (root / file).read_text(encoding="utf-8"), re.MULTILINE))


def seen_by(file: str) -> tuple[str, ...]:
    """The tests that can see a file, in the order in which they are run; none where Node is missing for all of them.

    Raises LookupError where nobody knows.
    """
    for pattern, tests in TESTS.items():
        if fnmatch(file, pattern):
            there = (ROOT / MODULES_OF_NODE).exists()
            return tuple(test for test in tests if there or not test.startswith("timescale/"))
    raise LookupError(f"which tests see {file}? Add it to tests/mutations/plan.py")


def module_of(file: str) -> str:
    """The module that a file counts as: itself, or of a statement its folder."""
    return str(Path(file).parent) if file.endswith(".sql") else file


def all_mutants(root: Path = ROOT) -> list[Mutant]:
    """The mutants of all files that a pattern of ``TESTS`` covers."""
    files = sorted({file.relative_to(root).as_posix() for pattern in TESTS for file in root.glob(pattern)})
    return [mutant for file in files for mutant in mutants(file, (root / file).read_bytes())]


def sample(found: Iterable[Mutant], count: int, seed: int) -> list[Mutant]:
    """So many of the mutants, spread evenly over the modules, in an order that depends on the seed and on nothing else.

    Each has a lot of its own, so an edit of one line leaves the choice among the others nearly as it was.
    """
    modules: dict[str, list[Mutant]] = {}
    for mutant in sorted(found, key=lambda mutant: hashlib.sha256(repr((seed, mutant.key)).encode()).digest()):
        modules.setdefault(module_of(mutant.file), []).append(mutant)
    turns = chain.from_iterable(zip_longest(*(modules[name] for name in sorted(modules))))
    chosen = [mutant for mutant in turns if mutant is not None][:count]
    return sorted(chosen, key=lambda mutant: (mutant.file, mutant.start, mutant.new))


def equivalent(file: Path = EQUIVALENT) -> Mapping[tuple[str, str, str, int], str]:
    """The reasons why some mutants are equivalent, by key of the mutant."""
    reasons: dict[tuple[str, str, str, int], str] = {}
    for path, entries in tomllib.loads(file.read_text()).items():
        for entry in entries:
            for mutation in entry["mutations"]:
                for nth in entry.get("nth", [1]):
                    reasons[path, entry["line"], mutation, nth] = entry["why"]
    return reasons
