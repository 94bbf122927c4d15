"""``completions.json``, from which shells are answered: what the commands declare, as typer has it."""

from __future__ import annotations

import json
import sys
from enum import Enum
from typing import TYPE_CHECKING, Any

import typer.main

from ...indicators.registry import INDICATORS
from ..base.intervals import INTERVALS
from ..options import DEMO_WORK_FILE, OPTIONS
from .app import app

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def render() -> str:
    """The table: intervals, indicators, the work file, and the commands with their parameters, each in a line."""
    [work_file] = [setting for setting in OPTIONS if setting.name == "duckdb"]
    files = {"usual": str(work_file.default), "variables": work_file.variables, "demo": str(DEMO_WORK_FILE)}
    values = {"intervals": list(INTERVALS), "indicators": list(INDICATORS), "work_file": files}
    head = "".join(f"{json.dumps(name)}: {json.dumps(value)},\n" for name, value in values.items())
    return f'{{\n{head}"commands": {{\n{_lines(_commands("", typer.main.get_command(app), None))}\n}}\n}}\n'


def _commands(path: str, command: Any, parent: Any) -> Iterator[str]:
    """A command and those below it, by their words."""
    context = command.make_context(path, [], parent=parent, resilient_parsing=True)
    parameters = _lines(json.dumps(_parameter(each)) for each in command.get_params(context) if not each.hidden)
    means = json.dumps(command.get_short_help_str())
    yield f'{json.dumps(path)}: {{"help": {means}, "parameters": [\n{parameters}\n]}}'
    for name, below in getattr(command, "commands", {}).items():
        yield from _commands(f"{path} {name}".lstrip(), below, context)


def _parameter(parameter: Any) -> dict[str, Any]:
    option = parameter.param_type_name == "option"
    return {
        "name": parameter.name,
        # An argument has none.
        "names": sorted(parameter.opts) if option else [],
        "takes": "" if option and (parameter.is_flag or parameter.count) else _values(parameter.type_descriptor),
        "again": parameter.multiple if option else parameter.nargs == -1,
        "help": parameter.help or "",
    }


def _values(described: Any) -> str | list[str]:
    """The values themselves, or the function of ``commands.completion`` that has them; "any", where nobody has."""
    if isinstance(described.annotation, type) and issubclass(described.annotation, Enum):
        return [str(choice.value) for choice in described.annotation]
    function = described.parameter_info.autocompletion
    return function.__name__ if function else "any"


def _lines(items: Iterable[str]) -> str:
    return ",\n".join(items)


if __name__ == "__main__":
    sys.stdout.write(render())
