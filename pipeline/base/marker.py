"""Whose results a file holds: the demo's invented ones or a desk's, and of which profile. One file never mixes them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from ...indicators.profiles import PARITY
from .errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The file that says that a folder is the demo's.
MARK = "candlemill-demo"
#: The folder of a server's socket: as a parameter, or in the place of a host.
_SOCKET = re.compile(r"(?:^|[?&\s])host\s*=\s*'?([^&\s']+)|(?://|@)(%2F[^/:?]*)", re.IGNORECASE)


@dataclass(frozen=True)
class Marker:
    """What a file of results carries. One without a marker is a desk's, of the profile ``parity``.

    Attributes:
        demo: whether the prices are the demo's, which are invented.
        profile: of the indicators' values.
    """

    demo: bool = False
    profile: str = PARITY

    def check(self, found: Marker, path: Path, option: str) -> None:
        """Raise UsageError where results of this kind may not go into a file that carries the other marker."""
        if found.demo and not self.demo:
            raise UsageError(f"{path} has the demo's invented prices: give another file with {option}, or remove it")
        if self.demo and not found.demo:
            raise UsageError(f"{path} is a desk's, and the demo's prices are invented: give the demo another {option}")
        if self.profile != found.profile:
            raise UsageError(
                f"{path} has values of the profile {found.profile}, not of {self.profile}: "
                f"give another file with {option}, or --profile {found.profile}"
            )

    def check_asked(self, profile: str | None, path: Path) -> None:
        """Raise UsageError where values of another profile are asked for than the file has that carries this marker."""
        if profile and profile != self.profile:
            raise UsageError(
                f"{path} has values of the profile {self.profile}, not of {profile}: "
                f"leave --profile out, or give the file of a run of that profile"
            )


DESK, DEMO = Marker(), Marker(demo=True)


def is_of_demo(source: str, environment: Mapping[str, str]) -> bool:
    """Whether a URL leads to the demo's server, which can be reached by a socket in its own folder alone.

    libpq takes the folder from ``PGHOST`` where the URL has none.
    """
    found = _SOCKET.search(source)
    host = unquote(found[1] or found[2]) if found else environment.get("PGHOST", "")
    if not source or not host.startswith("/"):
        return False
    # A folder that may not be looked into is somebody else's, and no error.
    return any(os.path.isfile(folder / MARK) for folder in (Path(host), Path(host).parent))  # noqa: PTH113
