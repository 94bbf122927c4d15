"""Nothing from outside becomes SQL, no password gets out, nothing is fetched, and no temporary file can be guessed."""

from __future__ import annotations

import ast
import os
import re
import shutil
import signal
import subprocess
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from candlemill.pipeline.base.errors import SinkError
from candlemill.pipeline.results import extension
from candlemill.pipeline.results.extension import extension_path
from candlemill.pipeline.results.signature import signed
from tests import goldens
from tests.conftest import CANDLEMILL, Ran
from tests.faults.proxy import proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parent.parent
CASE = goldens.HERE / "synth_core"
ASKED = ("--symbols", "AAAUSDT,BTCUSDT", "--intervals", "5m", "--as-of", "2026-01-22T09:07:00+00:00")
FILES = ("--sqlite", "result.db", "--duckdb", "work.duckdb")
PASSWORD = "open-sesame"


@pytest.fixture(scope="session")
def url(golden_url: Callable[[Path], str]) -> str:
    return golden_url(CASE)


def with_password(url: str) -> str:
    return url.replace("@", f":{PASSWORD}@", 1)


# -- statements


class Statements(ast.NodeVisitor):
    """What a module puts into SQL: every text given to ``execute`` or made an ``Sql`` must consist of known parts.

    Known is what is written in the program, and what has the type Sql: results of functions that return it, parameters
    and variables declared or made as such.
    """

    def __init__(self, makers: set[str], constants: set[str]) -> None:
        self.makers, self.constants = makers, constants
        self.known: list[set[str]] = [set()]
        self.checked = 0
        self.wrong: list[str] = []

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        arguments = [*node.args.args, *node.args.kwonlyargs, *([node.args.vararg] if node.args.vararg else [])]
        self.known.append({a.arg for a in arguments if a.annotation and "Sql" in ast.unparse(a.annotation)})
        self.generic_visit(node)
        self.known.pop()

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            pairs = (
                zip(target.elts, node.value.elts, strict=True)
                if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
                else [(target, node.value)]
            )
            for name, value in pairs:
                if isinstance(name, ast.Name) and self.safe(value):
                    self.known[-1].add(name.id)
        self.generic_visit(node)

    def visit_For(self, node: ast.For) -> None:
        if isinstance(node.iter, ast.Call) and getattr(node.iter.func, "id", "") in self.makers:
            self.known[-1] |= {name.id for name in ast.walk(node.target) if isinstance(name, ast.Name)}
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in ("execute", "executemany", "sql", "Sql") and node.args:
            self.checked += 1
            if not self.safe(node.args[0]):
                self.wrong.append(f"line {node.lineno}: {ast.unparse(node)[:120]}")
        self.generic_visit(node)

    def safe(self, node: ast.expr) -> bool:
        match node:
            case ast.Constant(value=str()):
                return True
            case ast.JoinedStr(values=values):
                return all(isinstance(v, ast.Constant) or self.safe(getattr(v, "value", v)) for v in values)
            case ast.Name(id=name):
                return name in self.constants or any(name in scope for scope in self.known)
            case ast.Call(func=ast.Name(id=name)):
                return name in self.makers
            case ast.Call(func=ast.Attribute(attr="encode", value=text)):
                return self.safe(text)
            case ast.IfExp(body=one, orelse=other):
                return self.safe(one) and self.safe(other)
            case ast.BinOp(left=one, right=other):
                return self.safe(one) and self.safe(other)
            case ast.Subscript(value=ast.Name(id=name)):
                return name in self.constants
        return False


#: What the check cannot see, with the reason why it is no value from outside.
KNOWN = {
    "Sql(f'${name}')": "the fields of the run record",
    "pipeline/workfile/query.py connection.execute(setting)": "settings that stand in the program",
    "pipeline/workfile/query.py connection.execute(sql)": "the user's own, over a file that is read-only",
    "pipeline/workfile/query.py connection.execute(each)": "the same, of several statements each",
    "Sql(f'{cell} AS c{position}')": "a rendered statement, and a number",
    "Sql(f'params = row(${side})')": "one of two names that stand in the program",
    """Sql(f"{{'position': {p}, 'a': l.c{p}, 'b': r.c{p}}}")""": "numbers",
    "Sql(f'l.c{p} IS DISTINCT FROM r.c{p}')": "numbers",
    """AS {side} ({join([Sql('TYPE sqlite'), *options])})")""": "two names",
    "self._connection.execute(query.encode())": "rendered statements",
    "super().execute(*words, **options)": "what the callers of execute give, and is checked there",
    "Sql(f'{before}\\n)\\n\\nSELECT * FROM {identifier(name)}')": "the beginning of a statement, and a name",
    "Sql(kind.sink)": "a type that stands in the program",
    "Sql(column.kind.work_file)": "a type that stands in the program",
    "self.execute(self.carried.encode())": "a statement of settings, made of literals",
    "Sql(f'({literal(symbol)}, {written(since)})')": "a function that makes Sql of a moment",
}


def sources() -> dict[Path, ast.Module]:
    return {
        file: ast.parse(file.read_text())
        for folder in ("pipeline", "indicators")
        for file in (ROOT / folder).rglob("*.py")
    }


def written(node: ast.expr) -> bool:
    """Whether a value is a text, or a table of texts, that stands in the program itself."""
    match node:
        case ast.Constant(value=str()):
            return True
        case ast.Dict(values=values):
            return all(written(value) for value in values)
        case ast.Call(func=ast.Name(id="Sql"), args=[argument]):
            return written(argument)
    return False


def test_no_statement_has_a_value_from_outside_in_its_text() -> None:
    modules = sources()
    makers, constants = {"identifier", "literal", "render", "join", "statement", "Sql"}, set()
    for tree in modules.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.returns and "Sql" in ast.unparse(node.returns):
                makers.add(node.name)
            if isinstance(node, ast.Assign) and written(node.value):
                constants |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    checked, wrong = 0, []
    for file, tree in modules.items():
        found = Statements(makers, constants)
        found.visit(tree)
        checked += found.checked
        if file.name != "statements.py":
            wrong += [f"{file.relative_to(ROOT)} {where}" for where in found.wrong]
    assert checked > 40
    unknown = [where for where in wrong if not any(re.sub(r" line \d+:", "", where).endswith(known) for known in KNOWN)]
    assert unknown == []


@pytest.mark.parametrize(
    "text",
    [
        'connection.execute(f"DROP TABLE {name}")',
        'Sql("SELECT " + asked)',
        "connection.execute(query)",
        "connection.sql(f'{x}')",
    ],
)
def test_the_check_of_statements_finds_a_pasted_value(text: str) -> None:
    found = Statements({"identifier"}, set())
    found.visit(ast.parse(text))
    assert found.wrong


# -- passwords


def cmdlines(root: int) -> Iterator[bytes]:
    """Command lines of a process and of all that it started."""
    with suppress(OSError):
        yield Path(f"/proc/{root}/cmdline").read_bytes()
        for task in Path(f"/proc/{root}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from cmdlines(int(child))


def test_a_password_of_the_environment_is_in_no_command_line_no_output_and_no_file(url: str, tmp_path: Path) -> None:
    words = [str(CANDLEMILL), "run", *ASKED, *FILES, "--log-level", "debug", "--json"]
    env = {"PATH": "/usr/bin:/bin", "DATABASE_URL": with_password(url)}
    with subprocess.Popen(
        words, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as child:
        seen: set[bytes] = set()
        while child.poll() is None:
            seen |= set(cmdlines(child.pid))
            time.sleep(0.02)
        assert child.stdout is not None
        output = child.stdout.read()
    assert child.returncode == 0, output
    assert any(b"candlemill" in line for line in seen)
    assert not any(PASSWORD.encode() in line for line in seen)
    assert PASSWORD not in output
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or PASSWORD.encode() not in file.read_bytes(), file


@pytest.mark.parametrize("level", ["debug", "error"])
def test_a_password_is_in_no_traceback_of_a_reading_that_breaks(
    level: str, url: str, candlemill: Callable[..., Ran]
) -> None:
    with proxy(with_password(url), cut=True) as connection:
        assert PASSWORD in connection
        ran = candlemill("run", *ASKED, *FILES, "--log-level", level, env={"DATABASE_URL": connection})
        checked = candlemill("doctor", "--json", env={"DATABASE_URL": connection})
    assert ran.code == 3
    assert ("Traceback" in ran.err) == (level == "debug")
    for text in (ran.out, ran.err, checked.out, checked.err):
        assert PASSWORD not in text


# -- temporary files


def test_temporary_files_have_random_names_and_are_for_their_owner_only(url: str, tmp_path: Path) -> None:
    shared, home = tmp_path / "shared", tmp_path / "home"
    shared.mkdir()
    home.mkdir()
    words = [str(CANDLEMILL), "run", "--source", url, *ASKED, *FILES]
    names = set()
    for _ in range(2):
        env = {"PATH": "/usr/bin:/bin", "TMPDIR": str(shared)}
        with subprocess.Popen(words, cwd=home, env=env, stderr=subprocess.DEVNULL) as child:
            while not (found := list(home.glob(".candlemill-*"))):
                assert child.poll() is None
                time.sleep(0.001)
            child.send_signal(signal.SIGSTOP)
            assert found[0].stat().st_mode & 0o777 == 0o700
            names.add(found[0].name)
            child.send_signal(signal.SIGCONT)
            assert child.wait(60) == 0
        assert list(shared.iterdir()) == []
    assert len(names) == 2
    assert all(re.fullmatch(r"\.candlemill-[0-9a-f]{32}-\w{8}", name) for name in names)


# -- the sqlite extension, and the network


@pytest.fixture
def with_extension(candlemill: Callable[..., Ran], url: str, tmp_path: Path) -> Callable[[bytes | None], Ran]:
    """A run that finds another extension file (nothing: none) where its own is."""

    def run(body: bytes | None) -> Ran:
        package = tmp_path / "other" / "duckdb_extension_sqlite_scanner"
        place = package / "extensions" / f"v{duckdb.__version__}"
        place.mkdir(parents=True)
        (package / "__init__.py").touch()
        if body is not None:
            (place / "sqlite_scanner.duckdb_extension").write_bytes(body)
        return candlemill("run", "--source", url, *ASKED, *FILES, env={"PYTHONPATH": str(package.parent)})

    return run


def otherwise(body: bytes) -> bytes:
    """The extension as it would be for the DuckDB before this one: its last bytes say which it is for."""
    version = f"v{duckdb.__version__}".encode()
    place = body.rindex(version)
    return body[:place] + version[:-1] + b"0" + body[place + len(version) :]


def test_an_extension_is_signed_as_it_came_and_with_no_bit_changed(tmp_path: Path) -> None:
    body, changed = extension_path().read_bytes(), tmp_path / "changed.duckdb_extension"
    assert signed(extension_path())
    for place in (0, (1 << 20) - 1, 1 << 20, len(body) // 2, len(body) - 257, len(body) - 256, len(body) - 1):
        changed.write_bytes(body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :])
        assert not signed(changed), place
    for size in (0, 1, 256, 257, len(body) - 1):
        changed.write_bytes(body[:size])
        assert not signed(changed), size
    changed.write_bytes(body + b"\0")
    assert not signed(changed)


def test_what_is_signed_is_loaded_without_a_second_look_and_all_else_as_duckdb_wants_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with closing(extension.opened()) as connection:
        [unsigned] = connection.execute("SELECT current_setting('allow_unsigned_extensions')").fetchall()
    assert unsigned == (True,)
    unknown = tmp_path / "sqlite_scanner.duckdb_extension"
    unknown.write_bytes(extension_path().read_bytes()[:-256] + bytes(256))
    monkeypatch.setattr(extension, "extension_path", lambda: unknown)
    with pytest.raises(SinkError, match="cannot be loaded"):
        extension.opened()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda _: None, "does not fit DuckDB"),
        (lambda body: body[: len(body) // 2], "cannot be loaded"),
        (lambda body: b"\xff" * len(body), "cannot be loaded"),
        (otherwise, "cannot be loaded"),
        (lambda body: body[:-256] + bytes(256), "cannot be loaded"),
        (lambda body: bytes([body[0], body[1] ^ 1]) + body[2:], "cannot be loaded"),
    ],
    ids=["missing", "truncated", "garbage", "for another DuckDB", "without a signature", "with another's"],
)
def test_an_extension_that_does_not_do_names_the_command_that_mends_it(
    change: Callable[[bytes], bytes | None],
    says: str,
    with_extension: Callable[[bytes | None], Ran],
    tmp_path: Path,
) -> None:
    ran = with_extension(change(extension_path().read_bytes()))
    assert ran.code == 4
    assert says in ran.last
    assert re.search(
        rf"pip install (--force-reinstall )?duckdb-extension-sqlite-scanner=={duckdb.__version__}", ran.last
    )
    assert "Traceback" not in ran.err
    assert not (tmp_path / "result.db").exists()
    assert list(tmp_path.glob(".candlemill-*")) == []


NETLESS = ["unshare", *([] if os.geteuid() == 0 else ["--map-root-user"]), "--net"]


def netless_allowed() -> bool:
    return shutil.which("unshare") is not None and not subprocess.run([*NETLESS, "true"], check=False).returncode


@pytest.mark.skipif(not netless_allowed(), reason="this machine lets nobody leave the network")
def test_without_any_network_a_demo_does_all_its_work(tmp_path: Path) -> None:
    words = [*NETLESS, str(CANDLEMILL), "demo", "--intervals", "1h", *FILES]
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # DuckDB would keep here what it fetched.
    assert not (tmp_path / ".duckdb").exists()
