"""Which symbols a run looks at: symbols by name, groups, ``auto`` and ``all``, together, without what is excluded."""

from __future__ import annotations

import difflib
import logging
from typing import TYPE_CHECKING

from ..base.errors import NoCandlesError, UsageError
from ..settings import symbols_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..settings import Settings
    from .reader import Source

log = logging.getLogger(__name__)

#: Symbols for which others are looked for, and most that are named for one.
_HINTS = 5


def symbols_to_read(settings: Settings, source: Source) -> Sequence[str] | None:
    """The symbols of a run; None: all there are, for which nothing needs to be asked. Raises as ``choose`` does."""
    return None if every_symbol(settings) else list(choose(settings, source))


def every_symbol(settings: Settings) -> bool:
    """Whether all symbols of the source are asked for, without exception."""
    return "all" in symbols_of(settings.symbols) and not settings.symbol_rules.exclude


def choose(settings: Settings, source: Source) -> dict[str, list[str]]:
    """The symbols that settings choose, sorted, each with what chose it.

    That is a rule of ``auto`` (``turnover``, ``range``, ``move``, ``open_interest``, ``taker_ratio``,
    ``account_ratio``), ``all``, ``group NAME``, ``extra``, or ``list`` for a symbol that was named.

    Raises:
        UsageError: a group has no symbols, or all that was chosen is excluded.
        NoCandlesError: ``auto`` and ``all`` find no symbol, and nothing else was asked for.
        SourceError: the source cannot be read.
    """
    chosen: dict[str, list[str]] = {}
    words = symbols_of(settings.symbols)
    for word in words:
        for symbol, rules in _meant(word, settings, source).items():
            chosen.setdefault(symbol, []).extend(rules)
    if any(_means_many(word, settings) for word in words):
        for symbol in settings.symbol_rules.extra:
            chosen.setdefault(symbol, []).append("extra")
    if not chosen:
        within, hint = ("", "") if "all" in words else ("in the 24 hours ", ", or give --symbols all")
        raise NoCandlesError(
            f"no symbol of {settings.exchange} has candles {within}before {settings.as_of.isoformat()}: "
            f"check --exchange and --as-of{hint}"
        )
    return _without_excluded(chosen, settings)


def meant(missing: Sequence[str], known: Sequence[str]) -> str:
    """A question for the symbols that were probably meant by some that are missing; empty where none is like them."""
    found = [name for word in missing[:_HINTS] for name in _like(word.upper(), known)]
    return f"did you mean {', '.join(dict.fromkeys(found))}?" if found else ""


def _like(word: str, known: Sequence[str]) -> list[str]:
    """The symbol that is written almost so, or else those that begin so, as BTCUSDT does with BTC."""
    names = {name.upper(): name for name in known}
    # Most symbols end alike, so that even a half of each is the same.
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.8)
    begun = sorted(name for name in names if name.startswith(word))
    return [names[name] for name in (close or begun)[:_HINTS]]


def _means_many(word: str, settings: Settings) -> bool:
    return word in ("auto", "all") or settings.symbol_rules.group(word) is not None


def _meant(word: str, settings: Settings, source: Source) -> dict[str, list[str]]:
    """Symbols that one word of ``--symbols`` means, with their rules."""
    if word == "auto":
        found = source.auto_symbols(settings.exchange, settings.as_of, settings.symbol_rules.top)
        log.info("auto chose %d symbols", len(found))
        return found
    if word == "all":
        every = source.symbols(settings.exchange, settings.intervals, settings.as_of, settings.lookback)
        return {symbol: ["all"] for symbol in every}
    group = settings.symbol_rules.group(word)
    if group is None:
        if close := difflib.get_close_matches(word, settings.symbol_rules.groups, n=1):
            log.warning("%s is taken for a symbol: if the group %s is meant, write that", word, close[0])
        return {word: ["list"]}
    symbols = settings.symbol_rules.groups[group]
    if not symbols:
        raise UsageError(f"the group {group} has no symbols: set SYMBOLS_GROUP_{group}=SYMBOL,SYMBOL")
    return {symbol: [f"group {group}"] for symbol in symbols}


def _without_excluded(chosen: dict[str, list[str]], settings: Settings) -> dict[str, list[str]]:
    left_out = sorted(set(settings.symbol_rules.exclude) & set(chosen))
    if len(left_out) == len(chosen):
        raise UsageError(f"SYMBOLS_EXCLUDE leaves nothing of --symbols {settings.symbols}: shorten it, or ask for more")
    if left_out:
        named = any(rule in ("list", "extra") or rule.startswith("group ") for s in left_out for rule in chosen[s])
        log.log(logging.WARNING if named else logging.INFO, "SYMBOLS_EXCLUDE leaves out %s", ", ".join(left_out))
    return {symbol: chosen[symbol] for symbol in sorted(set(chosen) - set(left_out))}
