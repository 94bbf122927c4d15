"""The tool that mutates: which edits it makes, and that its lists belong to the checkout as it is."""

from __future__ import annotations

import ast
from collections import Counter

import pytest

from tests.mutations import plan
from tests.mutations.__main__ import SAMPLE, SEED, main
from tests.mutations.mutants import mutants
from tests.mutations.plan import ROOT, TESTS, all_mutants, equivalent, module_of, sample, seen_by


def edits(source: str, file: str = "x.py") -> list[str]:
    found = mutants(file, source.encode())
    for mutant in found:
        changed = mutant.apply(source.encode()).decode()
        assert changed != source
        assert len(changed) - len(source) == len(mutant.new) - len(mutant.old)
    return [f"{mutant.old} -> {mutant.new}" for mutant in found]


@pytest.mark.parametrize(
    ("source", "made"),
    [
        ("a < b", ["< -> <=", "< -> >="]),
        ("a >= b != c", [">= -> <", ">= -> >", "!= -> =="]),
        ("a not in b", ["not in -> in"]),
        ("(a) is (  # <\n b)", ["is -> is not"]),
        ("a + b * c", ["+ -> -", "* -> /"]),
        ("a @ b", []),
        ("x += y", ["+ -> -"]),
        ("a and b or not c", ["and -> or", "or -> and", "not  -> "]),
        ("a & ~b | -c", ["& -> |", "~ -> ", "| -> &", "- -> "]),
        ("f(3, 0, True)", ["3 -> 2", "3 -> 4", "0 -> 1", "True -> False"]),
        ("(2.0, 0.0, 1e-9)", ["2.0 -> 1.8", "2.0 -> 2.2", "0.0 -> 1.0", "1e-9 -> 1e-08", "1e-9 -> 1e-10"]),
        ("min(a) + np.fmax.reduce(b)", ["min -> max", "+ -> -", "fmax -> fmin"]),
        # What is no computation stays: texts, annotations, names of types, the inside of f-strings.
        ('"""1 < 2"""\nx: int | None = None\nA: TypeAlias = "B | C"\nD: TypeAlias = E | F', []),
        ('def f(x: A | B = 1) -> C | D:\n    return f"{x + 1}"', ["1 -> 0", "1 -> 2"]),
    ],
)
def test_the_edits_of_python(source: str, made: list[str]) -> None:
    assert edits(source) == made


@pytest.mark.parametrize(
    ("source", "made"),
    [
        ("SELECT * FROM t WHERE a <= 5", ["<= -> <", "<= -> >", "5 -> 4", "5 -> 6"]),
        ("SELECT max(a) - min(b) FROM t", ["max -> min", "- -> +", "min -> max"]),
        ("SELECT count(*), -1 FROM t", ["- -> ", "1 -> 0", "1 -> 2"]),
        ("a IS NOT NULL OR b IS NULL", ["IS NOT NULL -> IS NULL", "OR -> AND", "IS NULL -> IS NOT NULL"]),
        ("a BETWEEN b AND c AND d", ["AND -> OR"]),
        ("ORDER BY a DESC, b", ["DESC -> ASC"]),
        ("-- 1 < 2\nSELECT '3', \"4\", $p5, {x6}, ? FROM t7", []),
        ("周期 = 1.5", ["= -> <>", "1.5 -> 1.35", "1.5 -> 1.65"]),
    ],
)
def test_the_edits_of_sql(source: str, made: list[str]) -> None:
    assert edits(source, "x.sql") == made


def test_a_mutant_is_known_by_its_line_and_not_by_its_number() -> None:
    source = b"a < b\na < b\n"
    first, second = ([m.key for m in mutants("x.py", text)] for text in (source, b"\n# more\n" + source))
    assert first == second
    assert len(set(first)) == 4


def test_the_sample_is_fixed_and_spread_evenly_over_the_modules() -> None:
    found = all_mutants()
    chosen = sample(found, SAMPLE, SEED)
    assert chosen == sample(reversed(found), SAMPLE, SEED)
    assert chosen != sample(found, SAMPLE, SEED + 1)
    assert len(chosen) == SAMPLE >= 150
    there, taken = (Counter(module_of(mutant.file) for mutant in some) for some in (found, chosen))
    assert there.keys() == taken.keys()
    assert all(taken[module] >= min(there[module], max(taken.values()) - 1) for module in there)
    for mutant in chosen:
        if mutant.file.endswith(".py"):
            ast.parse(mutant.apply((ROOT / mutant.file).read_bytes()))


def test_what_is_asked_for_of_some_files_is_their_part_of_the_sample(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def listed(*patterns: str) -> list[str]:
        monkeypatch.setattr("sys.argv", ["mutations", "--list", *patterns])
        assert main() == 0
        return capsys.readouterr().out.splitlines()

    whole = listed()
    assert len(whole) == SAMPLE
    assert listed("sql/*", "pipeline/source/*.py") == [m for m in whole if m.startswith(("sql/", "pipeline/source/"))]


def test_without_node_files_that_only_timescaledb_shows_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "MODULES_OF_NODE", "nowhere")
    assert seen_by("pipeline/source/aggregates.py") == ("test_ranges.py",)
    assert seen_by("sql/source/held.sql") == ()
    monkeypatch.setattr(plan, "MODULES_OF_NODE", "tests")
    assert "timescale/test_ingest.py" in seen_by("sql/source/held.sql")


def test_the_plan_names_files_and_tests_that_there_are() -> None:
    for pattern, tests in TESTS.items():
        assert list(ROOT.glob(pattern)), pattern
        for test in tests:
            file, _, name = test.partition("::")
            assert not name or f"def {name}(" in (ROOT / "tests" / file).read_text(), test
    with pytest.raises(LookupError, match="which tests see"):
        seen_by("pipeline/engine.py")


def test_the_equivalent_mutants_are_mutants_and_have_a_reason() -> None:
    known = {mutant.key for mutant in all_mutants()}
    for key, reason in equivalent().items():
        assert key in known
        assert len(reason) > 20
