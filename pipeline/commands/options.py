"""Options of the commands: those of the settings, from their model, and others that several commands share."""

from __future__ import annotations

import inspect
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..base import folders
from ..options import LOG, OPTIONS, Options, Setting
from . import completion

if TYPE_CHECKING:
    from collections.abc import Callable

#: Rows, bars or runs that somebody can look at.
MOST_SHOWN = 1_000_000
#: Rows of a table for people, where nobody says how many.
TABLE_ROWS = 50

ArchivePaths = Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files, .zip or .csv, or folders of them.")]
Once = Annotated[bool, typer.Option("--once", help="One pass; accepted so that old command lines keep working.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print the result as JSON on standard output, nothing else there.")
]
IntervalOption = Annotated[str, typer.Option("--interval", help="Such as 1h.", autocompletion=completion.interval)]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV.")]
Parquet = Annotated[Path | None, typer.Option("--parquet", help="Write the rows into this Parquet file.")]
Rows = Annotated[
    int,
    typer.Option("--rows", min=1, max=MOST_SHOWN, help="Rows of the printed table at most; the other forms have all."),
]
Memray = Annotated[Path | None, typer.Option("--memray", help="Capture allocations and memory into this file.")]
PlotFile = Annotated[
    Path | None, typer.Option("--plot", help="Draw times and memory over the runs: a .png, .svg or .html file.")
]
PictureFile = Annotated[Path | None, typer.Option("--output", "-o", help="Draw it, too: a .png, .svg or .html file.")]
OutputStore = Annotated[
    str | None,
    typer.Option("--output", "-o", help="For the files: a folder or s3://BUCKET/PREFIX, new or that of a backfill."),
]
FilledDatabase = Annotated[
    Path | None,
    typer.Option("--sqlite", help="Fill this result database up to its retention; alone: the one that a run writes."),
]
WordsOption = Annotated[str, typer.Option("--words", help="en: words in English; zh: as the result database has them.")]
ThemeOption = Annotated[
    str | None, typer.Option("--theme", help="light or dark. Default: light; in .html what the reader prefers.")
]
#: What values of settings are completed with.
_COMPLETED: dict[str, Callable[..., list[str]]] = {
    "symbols": completion.symbol,
    "intervals": completion.interval,
    "indicators": completion.indicator,
    "without": completion.indicator,
}


def takes(command: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorate the function of a command with the options of its settings.

    The function gets them as its first argument, ``Options``. Its other parameters are options of its own, shown before
    those of the log.
    """
    taken = [setting for setting in OPTIONS if command in setting.commands]

    def parameter(setting: Setting) -> inspect.Parameter:
        return inspect.Parameter(
            setting.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=setting.differing.get(command, setting.default),
            annotation=Annotated[setting.kind, _option(setting)],
        )

    def decorated(function: Callable[..., None]) -> Callable[..., None]:
        @wraps(function)
        def called(context: typer.Context, **values: Any) -> None:
            values = {name: _usable(value) for name, value in values.items()}
            asked = {setting.name: _given(setting, values.pop(setting.name), context) for setting in taken}
            function(Options(**asked), **values)

        _, *own = inspect.signature(function, eval_str=True).parameters.values()
        # typer makes the options of a command from its signature.
        called.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [
                inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context),
                *(parameter(setting) for setting in taken if setting.section != LOG),
                *(each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own),
                *(parameter(setting) for setting in taken if setting.section == LOG),
            ]
        )
        return called

    return decorated


def _usable(value: Any) -> Any:
    """The value of a parameter; of paths those that lead somewhere."""
    match value:
        case Path():
            return folders.given(value)
        case list():
            return [_usable(one) for one in value]
    return value


def _option(setting: Setting) -> Any:
    variables = [variable for variable in setting.variables if "<" not in variable]
    return typer.Option(
        *(setting.option, *setting.aliases),
        envvar=variables or None,
        min=setting.least,
        max=setting.most,
        help=setting.help,
        autocompletion=_COMPLETED.get(setting.name),
    )


def _given(setting: Setting, value: Any, context: typer.Context) -> Any:
    """The value of an option, or what one of a variable stands for."""
    source = context.get_parameter_source(setting.name)
    from_variable = source is not None and source.name == "ENVIRONMENT"
    return setting.of_variable(value) if setting.of_variable and from_variable else value
