"""Archives of Binance's public data on disk: which files there are, what each holds, and its lines as a stream.

Nothing is ever extracted: a zip's .csv members are read through, whatever their names say about folders. A zip is
somebody else's work: it is read as far as its size allows, and whatever is wrong with it is an ``UnreadableError``.
"""

from __future__ import annotations

import io
import re
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import IO, TYPE_CHECKING
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from ..base.errors import NoCandlesError, UsageError, one_line
from ..base.intervals import INTERVALS, Interval

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import Self

#: A symbol is at most as long as an index of the tables can take.
_NAME = re.compile(r"(?P<symbol>[^-\s]{1,100})-(?P<what>metrics|\d{1,4}(?:s|m|h|d|w|mo))-\d{4}-\d\d(?:-\d\d)?\.\w{3}")
#: Archives of prices that nobody traded at have the names of klines, and lie in folders of these names.
_OTHER_PRICES = {"markPriceKlines", "indexPriceKlines", "premiumIndexKlines"}
_MARKETS = {
    ("spot", "daily"): "binance_spot",
    ("spot", "monthly"): "binance_spot",
    ("futures", "um"): "binance_futures_um",
    ("futures", "cm"): "binance_futures_cm",
}
#: A zip may hold so many times its own size as text. Archives hold 4 to 30 times theirs.
_MOST_TIMES = 200
#: As much text is always read.
_ALWAYS_READ = 64 << 20
#: The other ways to compress can turn one block of a few bytes into gigabytes.
_COMPRESSIONS = (ZIP_STORED, ZIP_DEFLATED)
#: Zips that are kept open, since members of the same one follow each other.
_OPEN_ZIPS = 8


class UnsuitableError(Exception):
    """This file is not one to load here; the text says why."""


class UnreadableError(Exception):
    """This file cannot be read; the text says why."""


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
    """One .csv file, alone or in a zip: what to call it, the names that say what it holds, and where it is."""

    label: str
    names: tuple[str, ...]
    path: Path
    member: ZipInfo | None = None


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


class Archives:
    """Opens archives; a context manager that closes them."""

    def __init__(self) -> None:
        self._open: dict[Path, ZipFile] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for archive in self._open.values():
            archive.close()

    def parts(self, path: Path) -> list[Part]:
        """The .csv files of a path. Raises UnreadableError, or UnsuitableError where there is none to be read."""
        if path.suffix.lower() == ".csv":
            return [Part(shown(path), (path.name,), path)]
        directory = self._zip(path).infolist()
        members = [(_base(member.filename), member) for member in directory]
        members = [(base, member) for base, member in members if _wanted(base, ".csv")]
        if not members:
            raise UnsuitableError("it holds no .csv file")
        with _explained():
            size = path.stat().st_size
        text = sum(member.file_size for _, member in members)
        if text > max(_ALWAYS_READ, _MOST_TIMES * size):
            raise UnsuitableError(
                f"its {size} bytes hold {text} bytes of text, more than {_MOST_TIMES} times as many, which no archive "
                "of candles does: if you trust it, unpack it and give the .csv files"
            )
        return [
            Part(shown(path) if len(members) == 1 else shown(f"{path}/{base}"), (base, path.name), path, member)
            for base, member in members
        ]

    @contextmanager
    def text(self, part: Part) -> Iterator[IO[str]]:
        """The text of a part, to the end of the block. Raises UnreadableError, also while it is read."""
        if part.member and part.member.compress_type not in _COMPRESSIONS:
            raise UnreadableError("it is compressed in a way that no archive is: unpack it and give the .csv files")
        with _explained():
            raw = self._zip(part.path).open(part.member) if part.member else part.path.open("rb")
        with raw, io.TextIOWrapper(io.BufferedReader(_Guarded(raw)), encoding="utf-8-sig", errors="replace") as text:
            yield text

    def _zip(self, path: Path) -> ZipFile:
        if path not in self._open:
            if len(self._open) == _OPEN_ZIPS:
                self._open.pop(next(iter(self._open))).close()
            with _explained():
                self._open[path] = ZipFile(path)
        return self._open[path]


class _Guarded(io.RawIOBase):
    """The bytes of a file whose errors are all told as UnreadableError."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        with _explained():
            data = self._raw.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # damage to a zip comes as almost any exception of Python
        raise UnreadableError(f"it cannot be read: {one_line(error) or type(error).__name__}") from error


def shown(path: Path | str) -> str:
    """A path as text that can be printed whatever bytes it has."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in str(path))


def content_of(part: Part, exchange: str) -> Content:
    """What a part holds, by its name and folder. Raises UnsuitableError where it is not to be loaded."""
    folders = part.path.resolve().parts[:-1]
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
