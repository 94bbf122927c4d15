"""Wrong edits of a source text, by rule: one operator, number, sign, minimum or word of logic at a time.

Python is parsed, so that only expressions of the program are edited. SQL is read token by token, outside comments,
strings and parameters.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

_ORDER = {"<": ("<=", ">="), "<=": ("<", ">"), ">": (">=", "<="), ">=": (">", "<")}
COMPARISONS = _ORDER | {
    "==": ("!=",),
    "!=": ("==",),
    "is": ("is not",),
    "is not": ("is",),
    "in": ("not in",),
    "not in": ("in",),
}
ARITHMETIC = {"+": "-", "-": "+", "*": "/", "/": "*", "//": "*", "%": "*", "**": "*"}
OTHERS = COMPARISONS | {text: (new,) for text, new in ARITHMETIC.items()}
OTHERS |= {"and": ("or",), "or": ("and",), "&": ("|",), "|": ("&",)}
#: Operators by the name of their node.
OPERATORS = {
    "Lt": "<", "LtE": "<=", "Gt": ">", "GtE": ">=", "Eq": "==", "NotEq": "!=", "Is": "is", "IsNot": "is not",
    "In": "in", "NotIn": "not in", "And": "and", "Or": "or", "Add": "+", "Sub": "-", "Mult": "*", "Div": "/",
    "FloorDiv": "//", "Mod": "%", "Pow": "**", "BitAnd": "&", "BitOr": "|",
}  # fmt: skip
#: Functions that are each other's opposite.
OPPOSITES = {"min": "max", "minimum": "maximum", "fmin": "fmax", "argmin": "argmax", "any": "all", "floor": "ceil"}
OPPOSITES |= {other: one for one, other in OPPOSITES.items()}

SQL_COMPARISONS = _ORDER | {"=": ("<>",), "<>": ("=",)}
SQL_WORDS = {"and": "OR", "or": "AND", "asc": "DESC", "desc": "ASC", "is null": "IS NOT NULL", "is not null": "IS NULL"}
SQL_OPPOSITES = {"min": "max", "max": "min", "greatest": "least", "least": "greatest", "lag": "lead", "floor": "ceil"}
_SQL = re.compile(
    r"(?P<skipped>--[^\n]*|'[^']*'|\"[^\"]*\"|\{\w*\}|\$\w+|\?)"
    r"|(?P<number>\d+\.?\d*(?:e[+-]?\d+)?)"
    r"|(?P<word>is\s+not\s+null\b|is\s+null\b|[^\W\d]\w*)"
    r"|(?P<operator><=|>=|<>|//|[-+*/<>=])",
    re.IGNORECASE,
)
#: What a sign stands behind where it joins two operands.
_OPERAND_ENDS = re.compile(r"[\w)\]\"'}]\s*$")
_NO_OPERAND = re.compile(r"\b(?:select|distinct|then|else|when|by|and|or|on|where|not|in|as)\s*$", re.IGNORECASE)


#: What to replace: first byte, the byte after the last one, the new text.
Edits: TypeAlias = "Iterator[tuple[int, int, str]]"


@dataclass(frozen=True)
class Mutant:
    """One wrong edit.

    Attributes:
        file: path from the root of the checkout.
        start, stop: bytes of the file that are replaced.
        old, new: what they are, and what they become.
        number: line number, for people.
        line: text of that line.
        nth: which of the mutants of this file with the same line, old and new, from 1 on.
    """

    file: str
    start: int
    stop: int
    old: str
    new: str
    number: int
    line: str
    nth: int

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What identifies it while other lines of its file change."""
        return (self.file, self.line, f"{self.old} -> {self.new}", self.nth)

    def apply(self, source: bytes) -> bytes:
        """The source with this edit."""
        return source[: self.start] + self.new.encode() + source[self.stop :]

    def __str__(self) -> str:
        return f"{self.file}:{self.number} [{self.old} -> {self.new}{f', {self.nth}' * (self.nth > 1)}] {self.line}"


def mutants(file: str, source: bytes) -> list[Mutant]:
    """All mutants of a file, in its order."""
    edits = _of_sql(source) if file.endswith(".sql") else _of_python(source)
    made, seen = [], Counter[tuple[str, str, str]]()
    lines = source.decode().splitlines()
    for start, stop, new in sorted(set(edits)):
        old, number = source[start:stop].decode(), source.count(b"\n", 0, start) + 1
        line = lines[number - 1].strip()
        seen[line, old, new] += 1
        made.append(Mutant(file, start, stop, old, new, number, line, seen[line, old, new]))
    return made


def _of_python(source: bytes) -> Edits:
    begins = [0]
    for line in source.splitlines(keepends=True):
        begins.append(begins[-1] + len(line))

    def at(line: int | None, column: int | None) -> int:
        assert line is not None
        assert column is not None
        return begins[line - 1] + column

    def span(node: ast.expr) -> tuple[int, int]:
        return at(node.lineno, node.col_offset), at(node.end_lineno, node.end_col_offset)

    def instead(left: ast.expr, operator: ast.AST, right: ast.expr) -> Edits:
        """Other operators between two operands."""
        begin, end = span(left)[1], span(right)[0]
        between = re.sub(rb"#[^\n]*", lambda comment: b" " * len(comment[0]), source[begin:end])
        text = OPERATORS.get(type(operator).__name__, "")
        found = re.search(rb"\s+".join(map(re.escape, text.encode().split())), between)
        assert found is not None
        for new in OTHERS.get(text, ()):
            yield begin + found.start(), begin + found.end(), new

    for node in _computed(ast.parse(source)):
        if isinstance(node, ast.Compare):
            for left, compared, right in zip([node.left, *node.comparators], node.ops, node.comparators, strict=False):
                yield from instead(left, compared, right)
        elif isinstance(node, ast.BinOp):
            yield from instead(node.left, node.op, node.right)
        elif isinstance(node, ast.BoolOp):
            for left, right in pairwise(node.values):
                yield from instead(left, node.op, right)
        elif isinstance(node, ast.UnaryOp):
            start, stop = span(node)[0], span(node.operand)[0]
            # A sign before a parenthesis ends before it.
            sign = re.match(rb"not\s+|[-~]", source[start:stop])
            if sign:
                yield start, start + sign.end(), ""
        elif isinstance(node, ast.Constant):
            start, stop = span(node)
            yield from ((start, stop, new) for new in _other(source[start:stop].decode(), node.value))
        elif isinstance(node, ast.Name) and node.id in OPPOSITES:
            yield *span(node), OPPOSITES[node.id]
        elif isinstance(node, ast.Attribute) and node.attr in OPPOSITES:
            stop = span(node)[1]
            yield stop - len(node.attr), stop, OPPOSITES[node.attr]
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.expr):
            yield from instead(node.target, node.op, node.value)


def _computed(tree: ast.AST) -> Iterator[ast.AST]:
    """What a program computes: no annotations, no notes for who explains a value, nothing inside an f-string."""
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns") or isinstance(tree, ast.JoinedStr):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _is_alias(child) and not _is_note(child):
                yield child
                yield from _computed(child)


def _is_alias(node: ast.AST) -> bool:
    """Whether a statement names a type."""
    return (
        isinstance(node, ast.AnnAssign) and isinstance(node.annotation, ast.Name) and node.annotation.id == "TypeAlias"
    )


def _is_note(node: ast.AST) -> bool:
    """Whether a call hands over what explains a value: no value comes of it."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "note"


def _other(text: str, value: object) -> list[str]:
    """Numbers beside a number, the other truth value."""
    if isinstance(value, bool):
        return [str(not value)]
    if isinstance(value, int):
        return [str(value + 1), *([str(value - 1)] if value else [])]
    if isinstance(value, float):
        if "e" in text.lower():
            return [repr(value * 10), repr(value / 10)]
        return [f"{value * 1.1:.12g}", f"{value * 0.9:.12g}"] if value else ["1.0"]
    return []


def _of_sql(source: bytes) -> Edits:
    text = source.decode()

    def place(index: int) -> int:
        return len(text[:index].encode())

    for found in _SQL.finditer(text):
        start, stop, old = place(found.start()), place(found.end()), found[0]
        if found["number"]:
            value = float(old) if re.search(r"[.e]", old, re.IGNORECASE) else int(old)
            yield from ((start, stop, new) for new in _other(old, value))
        elif found["word"]:
            word = " ".join(old.lower().split())
            opposite = SQL_OPPOSITES.get(word) if text[found.end() :].startswith("(") else SQL_WORDS.get(word)
            if opposite and not _is_between(text, found):
                yield start, stop, opposite
        elif found["operator"] in SQL_COMPARISONS:
            yield from ((start, stop, new) for new in SQL_COMPARISONS[old])
        elif found["operator"]:
            before = text[: found.start()]
            joins = _OPERAND_ENDS.search(before) and not _NO_OPERAND.search(before)
            if joins and not text[found.end() :].lstrip().startswith((")", ",", "FROM")):
                yield start, stop, ARITHMETIC[old]
            elif old == "-" and not joins:
                yield start, stop, ""


def _is_between(text: str, found: re.Match[str]) -> bool:
    """Whether an AND belongs to a BETWEEN."""
    return found[0].lower() == "and" and bool(re.search(r"\bbetween\s+\S+\s*$", text[: found.start()], re.IGNORECASE))
