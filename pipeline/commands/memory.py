"""The memory of a run: a capture by memray, and what it says as a page, as a text and as a picture."""

from __future__ import annotations

import logging
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from memray import FileDestination, FileReader, Tracker

from ..base import ending, folders
from ..base.errors import UsageError
from ..base.outputs import output
from ..base.shown import STARS, looks_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

log = logging.getLogger(__name__)

#: Allocators that the text lists.
_LARGEST = "20"


@contextmanager
def without_passwords(words: list[str]) -> Iterator[None]:
    """The command line without passwords: memray keeps it in the capture, and shows it on its page."""
    before = words[:]
    words[:] = [STARS if looks_secret(word) else word for word in words]
    try:
        yield
    finally:
        words[:] = before


class Capture:
    """A context manager that captures every allocation of its block into a file; ``report`` says what was found."""

    def __init__(self, file: Path) -> None:
        """Prepare the capture. Raises UsageError where it or a report cannot be written, or something else is there."""
        self._marks: list[tuple[str, datetime]] = []
        self._given = file
        try:
            self.file = output(file, "capture of memray", "--memray")
            self._page, self._text, self._picture = (
                output(self.file.with_name(f"{self.file.name}{end}"), kind, "--memray")
                for end, kind in ((".html", ".html"), (".txt", "list of memray"), (".png", ".png"))
            )
            folders.make(self.file.parent)
            with without_passwords(sys.argv):
                self._tracker = Tracker(destination=FileDestination(self.file, overwrite=True))
        except OSError as error:
            raise UsageError(f"--memray {file} cannot be written: {error.strerror}") from error

    def __enter__(self) -> Capture:
        self._tracker.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._tracker.__exit__(*error)

    def marking(self, progress: Callable[[str], None]) -> Callable[[str], None]:
        """The function that is told which stage begins, with the moment noted for the picture."""

        def begin(stage: str) -> None:
            self._marks.append((stage, datetime.now(UTC)))
            progress(stage)

        return begin

    def report(self) -> Iterator[tuple[str, Path]]:
        """Write the reports beside the capture: each, what it is and its file. One that fails is told in the log."""
        if self._memray("flamegraph", "--no-web", "--force", "--output", str(self._page)) is not None:
            yield "what holds memory at the peak", self._named(".html")
        listing = self._memray("stats", "--num-largest", _LARGEST)
        if listing is not None:
            self._text.write_text(listing, encoding="utf-8")
            yield "who allocates most", self._named(".txt")
        if self._draw(self._picture):
            yield "memory over the run", self._named(".png")

    def _named(self, end: str) -> Path:
        """A report by the name that the user knows."""
        return self._given.with_name(f"{self._given.name}{end}")

    def _memray(self, *words: str) -> str | None:
        """What one of memray's own reporters prints; None where it fails. In a process of its own, with its memory."""
        command = [sys.executable, "-m", "memray", *words, str(self.file)]
        how: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "encoding": "utf-8"}
        with ending.owned(lambda: subprocess.Popen(command, **how), subprocess.Popen.kill) as child:  # noqa: S603
            out, err = child.communicate()
        if child.returncode:
            log.warning("memray %s says nothing about %s: %s", words[0], self.file, (err or out).strip())
            return None
        return out

    def _draw(self, picture: Path) -> bool:
        try:
            from ..plotting.canvas import draw
            from ..plotting.memory import memory
        except UsageError as error:
            log.warning("no picture of the memory: %s", error)
            return False
        with FileReader(self.file) as reader:
            samples = list(reader.get_memory_snapshots())
        draw(picture, None, "Memory of a run", lambda palette: memory(samples, self._marks, palette))
        return True
