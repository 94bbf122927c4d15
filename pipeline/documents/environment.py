"""All variables of the environment with an example each: ``make docs`` prints .env.example."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ..options import INTERVAL_RULES, OPTIONS, SYMBOL_RULES, Setting

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD = """# Settings of candlemill with an example each, made by `make docs`; docs/settings.md says more.
# Copy this file to .env in the working directory, and take the # from what you want to set.
"""


def render() -> str:
    """The whole file; every line in it is a comment."""
    return "\n".join(
        [_HEAD, *(line for setting in (*OPTIONS, *INTERVAL_RULES, *SYMBOL_RULES) for line in _lines(setting)), ""]
    )


def _lines(setting: Setting) -> Iterator[str]:
    value = setting.example or str(setting.default)
    for variable in setting.variables:
        stem, form, _ = variable.partition("<")
        yield f"# {setting.help}"
        yield f"#{stem}{'' if form else '='}{value}"


if __name__ == "__main__":
    sys.stdout.write(render())
