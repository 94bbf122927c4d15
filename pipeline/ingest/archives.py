"""Archives of Binance's public data on disk: which files there are, what each holds, and its lines as a stream.

Nothing is ever extracted: a zip's .csv members are read through, whatever their names say about folders.
"""

from __future__ import annotations

import io
import lzma
import re
import zlib
from dataclasses import dataclass
from itertools import pairwise
from typing import IO, TYPE_CHECKING
from zipfile import BadZipFile, ZipFile

from ..base.errors import NoCandlesError, UsageError
from ..base.intervals import INTERVALS, Interval

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

#: What reading a damaged, encrypted or unreadable file can raise.
UNREADABLE = (OSError, EOFError, BadZipFile, zlib.error, lzma.LZMAError, RuntimeError, NotImplementedError)

_NAME = re.compile(r"(?P<symbol>[^-\s]+)-(?P<what>metrics|\d+(?:s|m|h|d|w|mo))-\d{4}-\d\d(?:-\d\d)?\.\w{3}")
#: Archives of prices that nobody traded at have the names of klines, and lie in folders of these names.
_OTHER_PRICES = {"markPriceKlines", "indexPriceKlines", "premiumIndexKlines"}
_MARKETS = {
    ("spot", "daily"): "binance_spot",
    ("spot", "monthly"): "binance_spot",
    ("futures", "um"): "binance_futures_um",
    ("futures", "cm"): "binance_futures_cm",
}


class UnsuitableError(Exception):
    """This file is not one to load here; the text says why."""


@dataclass(frozen=True)
class Content:
    """What a file holds by its name: klines of an interval, or metrics (at 5m)."""

    symbol: str
    interval: Interval
    metrics: bool = False

    @property
    def what(self) -> str:
        """The interval of klines, or ``metrics``."""
        return "metrics" if self.metrics else self.interval.name


@dataclass(frozen=True)
class Part:
    """One .csv file, alone or in a zip: what to call it, the names that say what it holds, and its text."""

    label: str
    names: tuple[str, ...]
    text: IO[str]


def find(paths: Sequence[Path]) -> list[Path]:
    """The .csv and .zip files among some paths and in the folders among them, sorted, each once.

    Raises:
        UsageError: a path does not exist.
        NoCandlesError: there is no such file.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        if not path.exists():
            raise UsageError(f"{path} does not exist: give downloaded .zip or .csv files, or folders of them")
        within = sorted(path.rglob("*")) if path.is_dir() else [path]
        found |= {file.resolve(): file for file in within if file.is_file() and _wanted(file.name)}
    if not found:
        raise NoCandlesError(f"no .zip or .csv file in {', '.join(map(str, paths))}: download archives there first")
    return list(found.values())


def parts(path: Path) -> Iterator[Part]:
    """The .csv files of a path, each open while it is looked at. Raises one of UNREADABLE, or UnsuitableError."""
    if path.suffix.lower() == ".csv":
        with path.open("rb") as raw:
            yield Part(shown(path), (path.name,), _text(raw))
        return
    with ZipFile(path) as archive:
        members = [m for m in archive.infolist() if not m.is_dir() and _wanted(_base(m.filename), ".csv")]
        if not members:
            raise UnsuitableError("it holds no .csv file")
        for member in members:
            base = _base(member.filename)
            label = shown(path) if len(members) == 1 else shown(f"{path}/{base}")
            with archive.open(member) as raw:
                yield Part(label, (base, path.name), _text(raw))


def shown(path: Path | str) -> str:
    """A path as text that can be printed whatever bytes it has."""
    return str(path).encode(errors="replace").decode()


def content_of(part: Part, path: Path, exchange: str) -> Content:
    """What a part of a file holds, by its name and folder. Raises UnsuitableError where it is not to be loaded."""
    folders = path.resolve().parts[:-1]
    if prices := _OTHER_PRICES & set(folders):
        raise UnsuitableError(f"it lies under {prices.pop()}, which are not traded prices")
    markets = [_MARKETS[pair] for pair in pairwise(folders) if pair in _MARKETS]
    if markets and exchange in _MARKETS.values() and markets[-1] != exchange:
        raise UnsuitableError(f"it lies under the folder of {markets[-1]}: load it with --exchange {markets[-1]}")
    match = next(filter(None, map(_NAME.fullmatch, part.names)), None)
    if match is None or not match["symbol"].isprintable():
        raise UnsuitableError("its name is neither SYMBOL-INTERVAL-DATE nor SYMBOL-metrics-DATE")
    symbol, what = match["symbol"], match["what"]
    if what == "metrics":
        return Content(symbol, INTERVALS["5m"], metrics=True)
    # 1mo is 1M in the archives, for file systems without upper and lower case.
    name = what.replace("mo", "M")
    if name not in INTERVALS:
        raise UnsuitableError(f"candlemill has no interval {name}")
    return Content(symbol, INTERVALS[name])


def _wanted(name: str, *endings: str) -> bool:
    # A dot begins what a Mac adds to a folder or a zip.
    return not name.startswith(".") and name.lower().endswith(endings or (".csv", ".zip"))


def _base(member: str) -> str:
    return re.split(r"[/\\]", member)[-1]


def _text(raw: IO[bytes]) -> IO[str]:
    return io.TextIOWrapper(raw, encoding="utf-8-sig", errors="replace")
