"""Where every command line begins and ends: errors become one line and an exit code."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import NoReturn

from ..base import ending, logs, streams
from ..base.errors import CandlemillError, Exit, UsageError, one_line
from ..base.shortage import shortage
from ..base.shown import keep_secret, looks_secret
from ..options import OPTIONS, variables_set
from . import console, environment, plain


def main(arguments: list[str] | None = None) -> None:
    """What ``pipeline.__main__`` runs. A command line that begins with an option means run.

    ``run-or-demo``, which the help leaves out, is for ``make run``.
    """
    words = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    own = ("-h", "--help", "--version", "--install-completion", "--show-completion")
    if words and words[0].startswith("-") and words[0] not in own:
        words = ["run", *words]
    for word in words:
        # An error may repeat a word that was given where something else is expected.
        if looks_secret(word):
            keep_secret(word)
    if {"--log-json", "--json-log"} & set(words):
        logs.expect_json()
    try:
        environment.load(Path(".env"))
        if words[0] == "run-or-demo":
            words = [_main_job(), *words[1:]]
        _refuse_bytes(words)
        code = _perform(words)
    except CandlemillError as error:
        _end(str(error), error.exit_code, error)
    except Exception as error:
        if found := shortage(error):
            _end(str(found), found.exit_code, error)
        describe = getattr(error, "format_message", None)
        if describe is None:
            raise
        _end(f"{describe().rstrip('.')}; see `candlemill --help`", Exit.USAGE)
    sys.stdout.flush()
    code = code if isinstance(code, int) else Exit.DONE
    lost = streams.lost()
    # A reader that goes has had enough, as `head` has.
    if lost and not isinstance(lost, BrokenPipeError):
        told = f"standard output cannot be written ({lost.strerror}): give it another file, or free some space"
        # Code 4 says that nothing was written.
        _end(told, Exit(code) if code or ending.wrote() else Exit.SINK)
    sys.exit(code)


def _perform(words: list[str]) -> object:
    """Do what a command line asks for; the exit code, where that is a number."""
    if asked := plain.run_asked_for(words, os.environ):
        from . import job

        job.run(asked.options, asked.as_json)
        return Exit.DONE
    from .app import app

    # Not standalone: usage errors, too, are one line here.
    return app(words, prog_name="candlemill", standalone_mode=False)


def _refuse_bytes(words: list[str]) -> None:
    """Raise UsageError for what is no text: no library behind a command takes it."""
    given = [(f"word {number} of the command line", word) for number, word in enumerate(words, 1)]
    given += [(f"the variable {name}", os.environ[name]) for name in variables_set(os.environ)]
    for what, value in given:
        try:
            value.encode()
        except UnicodeEncodeError as error:
            # Not shown: it may be a secret.
            raise UsageError(f"{what} is no text in UTF-8: give it as UTF-8, or rename the file that it is") from error


def _main_job() -> str:
    """The command that ``make run`` means: ``run`` where the environment or ``.env`` has a source, else ``demo``."""
    [source] = [setting for setting in OPTIONS if setting.name == "source"]
    if found := source.set_in(os.environ):
        console.say(f"running against {found[0]}", err=True)
        return "run"
    console.say(f"{source.variables[0]} is not set: running on the embedded demo market", err=True)
    return "demo"


def _end(message: str, code: Exit, error: Exception | None = None) -> NoReturn:
    ending.finish()
    debugging = logging.getLogger().isEnabledFor(logging.DEBUG)
    logs.say_last(one_line(message), code, error if debugging else None)
    sys.exit(code)
