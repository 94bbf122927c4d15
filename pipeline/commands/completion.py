"""What a shell completes: commands, options, and values, such as the symbols of the work file.

Whoever presses the tab key waits for the answer, and to import the commands takes longer than that should. So shells
are answered from ``completions.json``, which ``commands.declared`` makes from the commands (`make docs`); nothing but
DuckDB is imported, and that for symbols alone. typer, which installs the scripts of the shells, knows the functions for
values, too.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

#: Where the script that typer installs says that something is to be completed: ``complete_`` and the shell.
_ASKED = "_CANDLEMILL_COMPLETE"
_TABLE = Path(__file__).with_name("completions.json")


class Answer(NamedTuple):
    """One way to go on, with what it means; values mean themselves."""

    value: str
    help: str = ""


def main(environment: Mapping[str, str]) -> None:
    """Answer a shell on standard output, and end. Returns where something else is asked for, or by another shell.

    Raises SystemExit with the exit code.
    """
    form, _, shell = environment[_ASKED].partition("_")
    if form != "complete" or shell not in _FORMS:
        return
    # Whoever presses Ctrl-C wants no answer, and no traceback among what is being written.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    said, code = answer(shell, environment)
    if said:
        print(said)
    sys.exit(code)


def answer(shell: str, environment: Mapping[str, str]) -> tuple[str, int]:
    """What a shell is answered, and the exit code."""
    found = answers(*_words(shell, environment))
    if shell == "fish" and environment.get("_TYPER_COMPLETE_FISH_ACTION") == "is-args":
        # Whether there are any; else it offers files.
        return "", 0 if found else 1
    return _FORMS[shell](found), 0


def interval(incomplete: str) -> list[str]:
    """Intervals that begin so."""
    return _last(incomplete, _table()["intervals"])


def indicator(incomplete: str) -> list[str]:
    """Ids of indicators that begin so."""
    return _last(incomplete, _table()["indicators"])


def symbol(ctx: Any, incomplete: str) -> list[str]:
    """Symbols of the work file that begin so; of the demo's, where there is no other.

    Args:
        ctx: whose ``params`` are the values that the command line has; typer knows it by this name.
        incomplete: the comma list so far.
    """
    from ..workfile.symbols import symbols_of

    file = _table()["work_file"]
    asked = Path(ctx.params.get("duckdb") or _set(file["variables"]) or file["usual"]).expanduser()
    demo = ctx.params.get("demo") or not asked.exists()
    return _last(incomplete, symbols_of(Path(file["demo"]) if demo else asked))


def answers(words: list[str], incomplete: str) -> list[Answer]:
    """How a command line can go on.

    Args:
        words: those that are complete, after the program's name.
        incomplete: the word that is being written; empty where it has not begun.
    """
    line = _Line(_table()["commands"])
    for word in words:
        line.read(word)
    parameter = line.option or line.argument
    if incomplete[:1] == "-" and not line.options_ended:
        option, equals, incomplete = incomplete.partition("=")
        if not equals:
            return line.options(option)
        parameter = line.named(option)
    elif line.option is None and line.below is not None:
        return [Answer(name, means) for name, means in line.below.items() if name.startswith(incomplete)]
    return [Answer(value) for value in _values(parameter["takes"], line, incomplete)] if parameter else []


class _Line:
    """A command line as far as it is written.

    Attributes:
        params: values that are given, by the name of the parameter; as typer's context has them.
        option: one that still needs its value.
        options_ended: whether all that follows are arguments, after ``--``.
    """

    def __init__(self, commands: dict[str, Any]) -> None:
        self.params: dict[str, Any] = {}
        self.option: dict[str, Any] | None = None
        self.options_ended = False
        self._commands, self._command, self._arguments = commands, "", 0

    @property
    def _parameters(self) -> list[dict[str, Any]]:
        parameters: list[dict[str, Any]] = self._commands[self._command]["parameters"]
        return parameters

    @property
    def below(self) -> dict[str, str] | None:
        """The commands of a group, with what they do; None where it is a command, or no such command."""
        within = f"{self._command} ".lstrip()
        names = [name for name in self._commands if name and name.startswith(within)]
        found = {name[len(within) :]: self._commands[name]["help"] for name in names}
        return {name: means for name, means in found.items() if " " not in name} or None

    @property
    def argument(self) -> dict[str, Any] | None:
        """The next argument; None where there is none."""
        arguments = [each for each in self._parameters if not each["names"]]
        repeated = [each for each in arguments[-1:] if each["again"]]
        return next(iter(arguments[self._arguments :] or repeated), None)

    def read(self, word: str) -> None:
        """Take the next word."""
        if word == "--":
            self.option, self.options_ended = None, True
        elif word[:1] == "-" and not self.options_ended:
            name, equals, value = word.partition("=")
            if not self._command and self.named(name) is None:
                # A command line that begins with an option means run.
                self._command = "run"
            self.option = None
            if option := self.named(name):
                self.params[option["name"]] = value or True
                self.option = option if option["takes"] and not equals else None
        elif self.option:
            self.params[self.option["name"]], self.option = word, None
        elif self.below is not None:
            self._command = f"{self._command} {word}".lstrip()
            self._commands.setdefault(self._command, {"help": "", "parameters": []})
        else:
            self._arguments += 1

    def named(self, option: str) -> dict[str, Any] | None:
        """An option of the command."""
        return next((each for each in self._parameters if option in each["names"]), None)

    def options(self, begun: str) -> list[Answer]:
        """Options that begin so and can be given, once more or for the first time."""
        can_be = [each for each in self._parameters if each["again"] or each["name"] not in self.params]
        return [Answer(name, each["help"]) for each in can_be for name in each["names"] if name.startswith(begun)]


def _values(takes: str | list[str], line: _Line, incomplete: str) -> list[str]:
    """Values that begin so, of a parameter that takes some."""
    if isinstance(takes, list):
        return [choice for choice in takes if choice.startswith(incomplete)]
    match takes:
        case "interval":
            return interval(incomplete)
        case "indicator":
            return indicator(incomplete)
        case "symbol":
            return symbol(line, incomplete)
    return []


def _words(shell: str, environment: Mapping[str, str]) -> tuple[list[str], str]:
    """The complete words after the program's name, and the one that is being written."""
    if shell == "bash":
        # Which makes a word of "=".
        number = int(environment["COMP_CWORD"])
        words = _split(environment["COMP_WORDS"])
        incomplete = "".join(words[number : number + 1])
        return [word for word in words[1:number] if word != "="], "" if incomplete == "=" else incomplete
    line = environment.get("_TYPER_COMPLETE_ARGS", "")
    words = _split(line)[1:]
    if shell in ("powershell", "pwsh"):
        begun = environment.get("_TYPER_COMPLETE_WORD_TO_COMPLETE", "")
        return words[:-1] if begun else words, begun
    return (words[:-1], words[-1]) if words and not line.endswith(" ") else (words, "")


def _split(line: str) -> list[str]:
    """The words of a command line that may end within quotes."""
    reader = shlex.shlex(line, posix=True)
    reader.whitespace_split = True
    reader.commenters = ""
    words: list[str] = []
    try:
        words.extend(reader)
    except ValueError:
        words.append(reader.token)
    return words


def _for_zsh(found: list[Answer]) -> str:
    def escaped(text: str) -> str:
        for sign, instead in (('"', '""'), ("'", "''"), ("$", "\\$"), ("`", "\\`"), (":", "\\\\:")):
            text = text.replace(sign, instead)
        return f'"{text}"'

    lines = [f"{escaped(each.value)}:{escaped(each.help)}" if each.help else escaped(each.value) for each in found]
    return "_arguments '*: :(({}))'".format("\n".join(lines)) if lines else "_files"


def _for_powershell(found: list[Answer]) -> str:
    return "\n".join(f"{each.value}:::{each.help or ' '}" for each in found)


#: By shell, how it takes the answers.
_FORMS: dict[str, Callable[[list[Answer]], str]] = {
    "bash": lambda found: "\n".join(each.value for each in found),
    "zsh": _for_zsh,
    "fish": lambda found: "\n".join(f"{each.value}\t{each.help}".rstrip() for each in found),
    "powershell": _for_powershell,
    "pwsh": _for_powershell,
}


def _set(variables: list[str]) -> str | None:
    """The value of the first that is set, in ``.env``, too; none where that cannot be used, as every command says."""
    file = Path(".env")
    if file.is_file():
        from ..base.errors import UsageError
        from . import environment

        try:
            environment.load(file)
        except UsageError:
            return None
    return next((os.environ[name] for name in variables if os.environ.get(name)), None)


def _table() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(_TABLE.read_text(encoding="utf-8"))
    return read


def _last(incomplete: str, words: Iterable[str]) -> list[str]:
    """The comma list with its last entry completed by each word that fits."""
    before, comma, begun = incomplete.rpartition(",")
    return [before + comma + word for word in words if word.lower().startswith(begun.lower())]
