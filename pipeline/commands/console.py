"""How commands print: no password, no markup, and nothing that a terminal obeys, whatever names and errors hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from ..base.shown import as_json, shown, visible

if TYPE_CHECKING:
    from rich.text import Text


def say(line: str, err: bool = False) -> None:
    """Print a line, on standard output or on standard error."""
    typer.echo(shown(line), err=err)


def say_json(value: Any, indent: int | None = None) -> None:
    """Print a value as JSON on standard output."""
    typer.echo(as_json(value, indent))


def cells(*texts: str) -> list[Text]:
    """Cells of a row of a table."""
    from rich.text import Text

    return [Text(visible(text)) for text in texts]
