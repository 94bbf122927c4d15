"""All settings as a document: ``make docs`` prints docs/settings.md."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ..options import INTERVAL_RULES, LIBPQ, OPTIONS, PASS, SYMBOL_RULES, Setting

if TYPE_CHECKING:
    from collections.abc import Sequence

_HEAD = """# Settings

<!-- Made from the model of settings by `make docs`; a test holds it up to date. Do not edit it by hand. -->

A setting is given as an option, or in a variable of the environment where it has one. Options win over the environment,
the environment over a file `.env` in the working directory, that over the defaults. A variable counts for the commands
that take the option; an empty one counts as not set. [.env.example](../.env.example) has all variables, to be copied
and filled in. What else a command takes, `candlemill COMMAND --help` lists.
"""

_RULES = """## Which symbols

What `--symbols` asks for goes through rules of the environment, in `run`, `demo`, `watch` and `symbols`.
`candlemill symbols` shows what comes of them.

{}
"""

_INTERVALS = """## How many rows of an interval

Variables as the service that candlemill replaces has them.

{}
"""

_LIBPQ = """## The connection

What the URL of the source leaves out, libpq takes from
[variables of its own](https://www.postgresql.org/docs/current/libpq-envars.html):
{}.
`sslmode` and certificates belong into the URL.
"""


def render() -> str:
    """The whole document."""
    parts = [_HEAD]
    for section in dict.fromkeys(setting.section for setting in OPTIONS):
        rows = [_option_row(setting) for setting in OPTIONS if setting.section == section]
        head = ["| option | variable | default | meaning | commands |", "| --- | --- | --- | --- | --- |"]
        parts.append("\n".join([f"## {section}", "", *head, *rows, ""]))
        if section == PASS:
            parts += [_INTERVALS.format(_variables(INTERVAL_RULES)), _RULES.format(_variables(SYMBOL_RULES))]
    parts.append(_LIBPQ.format(_code(*LIBPQ)))
    return "\n".join(parts)


def _variables(rules: Sequence[Setting]) -> str:
    rows = [_cells(_code(*rule.variables), _default(rule), _meaning(rule)) for rule in rules]
    return "\n".join(["| variable | default | meaning |", "| --- | --- | --- |", *rows])


def _option_row(setting: Setting) -> str:
    commands = ", ".join(setting.commands)
    return _cells(
        _code(setting.option, *setting.aliases),
        _code(*setting.variables),
        _default(setting),
        _meaning(setting),
        commands,
    )


def _meaning(setting: Setting) -> str:
    return f"{setting.meaning} {setting.bounds}".rstrip()


def _default(setting: Setting) -> str:
    if setting.otherwise or setting.default is None:
        return setting.otherwise
    general = "off" if setting.default is False else _code(str(setting.default))
    return ", ".join([general, *(f"{command} {_code(str(other))}" for command, other in setting.differing.items())])


def _code(*words: str) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _cells(*texts: str) -> str:
    return f"| {' | '.join(texts)} |"


if __name__ == "__main__":
    sys.stdout.write(render())
