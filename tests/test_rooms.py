"""The packages of the pipeline import what their first lines allow, and never upward."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PIPELINE = ROOT / "pipeline"
#: From bottom to top.
ORDER = (
    "base", "record", "settings", "options", "source", "compute", "history", "results", "workfile", "reading", "engine",
    "live", "ingest", "backfill", "analysis", "plotting", "reporting", "parity", "demo", "doctor", "documents",
    "commands",
    "__main__",
)  # fmt: skip
PACKAGES = sorted(place.parent.name for place in PIPELINE.glob("*/__init__.py"))


def room_of(file: Path) -> str:
    return file.relative_to(PIPELINE).parts[0].removesuffix(".py")


def imported(file: Path) -> set[str]:
    """Rooms that a module imports, for its types alone, too."""
    found = set()
    package = ("candlemill", *file.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom):
            continue
        base = package[: len(package) - node.level + 1] if node.level else ()
        module = (*base, *(node.module.split(".") if node.module else ()))
        for name in node.names:
            path = (*module, name.name)
            if path[:2] == ("candlemill", "pipeline") and len(path) > 2:
                found.add(path[2])
    return found - {"__version__"}


def arrows() -> dict[str, set[str]]:
    """The rooms that each room imports."""
    found: dict[str, set[str]] = defaultdict(set)
    for file in PIPELINE.rglob("*.py"):
        found[room_of(file)] |= imported(file) - {room_of(file)}
    found.pop("__init__")
    return found


def allowed(package: str) -> set[str]:
    """What the first lines of a package say that it may import."""
    text = ast.get_docstring(ast.parse((PIPELINE / package / "__init__.py").read_text(encoding="utf-8"))) or ""
    [rooms] = re.findall(r"^May import: ([^.]+)\.$", text, re.MULTILINE)
    return set() if rooms == "nothing of the pipeline" else set(re.split(r",\s+", rooms))


def test_every_room_has_its_place_in_the_order() -> None:
    assert set(arrows()) == set(ORDER)


def test_no_import_runs_upward() -> None:
    wrong = [
        (room, other)
        for room, others in arrows().items()
        for other in others
        if ORDER.index(other) >= ORDER.index(room)
    ]
    assert wrong == []


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_what_its_first_lines_allow_and_nothing_else(package: str) -> None:
    assert arrows()[package] == allowed(package)


def test_rooms_and_arrows_stay_few() -> None:
    assert len(arrows()) <= 23
    assert sum(map(len, arrows().values())) < 105


def test_indicators_import_nothing_of_the_pipeline_and_do_no_input_or_output() -> None:
    forbidden = {"os", "sys", "time", "datetime", "pathlib", "io", "socket", "subprocess", "duckdb", "psycopg"}
    for file in (ROOT / "indicators").rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        typed = [
            node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        ]
        for_types = {inner for node in typed for inner in ast.walk(node)}
        nodes = [node for node in ast.walk(tree) if node not in for_types]
        modules = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        modules |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
        assert not {module.partition(".")[0] for module in modules} & forbidden, file
        assert "pipeline" not in {module.partition(".")[0] for module in modules}, file
