"""Plain command lines of ``run``, read by the model of settings alone.

To import typer takes as long as a run over a few symbols computes. So a ``run`` whose words are all options of the
model, with values that no reader could take for something else, is read here. Every other command line is typer's:
help, mistakes, and whatever is written in an unusual way.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from ..base import folders
from ..options import OPTIONS, Options, Setting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_TAKEN = [setting for setting in OPTIONS if "run" in setting.commands]
_BY_OPTION = {option: setting for setting in _TAKEN for option in (setting.option, *setting.aliases)}
#: The flags of ``run`` beside the model.
_ONCE, _AS_JSON = "--once", "--json"
#: Numbers that are written as everybody writes them.
_NUMBERS = {int: re.compile(r"0|[1-9][0-9]{0,8}"), float: re.compile(r"(0|[1-9][0-9]{0,8})(\.[0-9]{1,9})?")}


@dataclass(frozen=True)
class Asked:
    """What a command line of ``run`` asks for."""

    options: Options
    as_json: bool


def run_asked_for(words: Sequence[str], environment: Mapping[str, str]) -> Asked | None:
    """What a plain command line of ``run`` asks for; None where typer has to read it.

    Raises UsageError for a path that leads nowhere on this machine.
    """
    if words[0] != "run":
        return None
    given: dict[str, Any] = {}
    flags = set()
    rest = iter(words[1:])
    for word in rest:
        option, equals, text = word.partition("=")
        setting = _BY_OPTION.get(option)
        if word in (_ONCE, _AS_JSON):
            flags.add(word)
        elif setting is None:
            return None
        elif setting.kind is bool and not equals:
            given[setting.name] = True
        else:
            value = _value(setting, text if equals else next(rest, ""))
            if value is None:
                return None
            given[setting.name] = value
    for setting in _TAKEN:
        variable = next((name for name in setting.variables if environment.get(name)), None)
        if setting.name in given or variable is None:
            continue
        value = _value(setting, environment[variable])
        if value is None:
            return None
        given[setting.name] = setting.of_variable(value) if setting.of_variable else value
    values = {setting.name: given.get(setting.name, setting.default) for setting in _TAKEN}
    paths = {name: folders.given(value) for name, value in values.items() if isinstance(value, Path)}
    return Asked(Options(**values | paths), _AS_JSON in flags)


def _value(setting: Setting, text: str) -> Any:
    """The value that a text gives a setting; None where it is not plainly one."""
    [kind] = {setting.kind, *get_args(setting.kind)} & {str, Path, int, float} or [bool]
    if not text or text[0] == "-" or kind is bool:
        return None
    if kind not in _NUMBERS:
        return kind(text)
    if setting.least is None or setting.most is None or not _NUMBERS[kind].fullmatch(text):
        return None
    number = kind(text)
    return number if setting.least <= number <= setting.most else None
