"""What was wrong with the replaced service, defect by defect, and what becomes of each.

Numbers 1 to 34 are of its storage and of one half of its indicators, D1 to D23 of the other half. The profile
``parity`` has the values with their defects; a variant of an indicator (``variants``) has them mended.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What becomes of a defect."""

    MENDED = "mended"
    CONVENTION = "kept"
    STORAGE = "storage"


@dataclass(frozen=True)
class Defect:
    """One defect.

    Attributes:
        number: its name.
        what: what is wrong.
        verdict: ``MENDED`` in the profile ``corrected``; ``CONVENTION``: kept in both profiles, as no definition says
            otherwise; ``STORAGE``: a matter of reading and writing, gone in both profiles.
        how: what holds instead, or why it is kept.
        indicators: ids of those whose values it concerns; empty: of none, or of all.
    """

    number: str
    what: str
    verdict: Verdict
    how: str
    indicators: tuple[str, ...] = ()


def _mended(number: str, indicators: str, what: str, how: str) -> Defect:
    return Defect(number, what, Verdict.MENDED, how, tuple(indicators.split()))


def _kept(number: str, indicators: str, what: str, how: str) -> Defect:
    return Defect(number, what, Verdict.CONVENTION, how, tuple(indicators.split()))


def _storage(number: str, what: str, how: str) -> Defect:
    return Defect(number, what, Verdict.STORAGE, how)


DEFECTS = (
    _storage(
        "1",
        "the first rows ever written fixed the columns and their types",
        "every table has the columns that its indicator declares, whatever its first rows are",
    ),
    _storage(
        "2",
        "rows of the gap monitor had no interval and no time, so that they were never replaced",
        "they have both, and one row per symbol is kept",
    ),
    _storage("3", "errors were swallowed", "an error is logged and counted, and stands in the record of the run"),
    _storage(
        "4",
        "a row without values replaced a good one",
        "a series with too few bars has a row of NULL, which never replaces one with values",
    ),
    _storage(
        "5",
        "views that nothing created were wanted, and one that lacked cost all market shares",
        "the schema has them, and each interval is read by itself",
    ),
    _storage(
        "6",
        "market shares of old rows were divided by the total of today",
        "the share is computed with its row, from the totals of its time",
    ),
    _storage("7", "rows at 1m were computed to be deleted", "metrics indicators have no rows at 1m"),
    _storage("8", "times carried the zone of the database session", "all times are UTC"),
    _kept(
        "9",
        "",
        "the bar that forms counts, so that values change until it closes",
        "a desk wants the newest price; --closed-only leaves forming bars out",
    ),
    _mended(
        "10",
        "zero_lag_band_cross zero_lag_trend_state atr_bands bollinger volume_ratio obv support_resistance "
        "smoothed_heikin_ashi candle_patterns",
        "the window depended on what else was selected, and half a lookback decided which series has values",
        "the window is --lookback for all, and values begin with the bars that the formula needs",
    ),
    _storage("11", "the option of the lookback had no effect", "--lookback has"),
    _storage("12", "an error while writing left half a run", "a run is one transaction"),
    _storage(
        "13", "live operation kept the first state of a bar, and wrote rounded texts", "a watch writes as a run does"
    ),
    _storage("14", "the cache of futures was emptied while others read it", "each pass reads what it computes"),
    _storage(
        "15",
        "a running deviation kept a residue of what had left its window",
        "deviations are computed in two passes, in both profiles",
    ),
    _storage(
        "16",
        "rounding to six decimals left small prices one digit",
        "values below 1 keep six significant digits on their way to SQLite; the work file has all",
    ),
    _mended(
        "17",
        "macd kdj atr_bands bollinger vwap candle_patterns liquidity_score base_data taker_buy_ratio volume_ratio cvd",
        "what the source does not know was 0 here, half the volume there, and an estimate elsewhere",
        "it is NULL, and so is what follows from it",
    ),
    _mended(
        "18",
        "futures_aggregate",
        "a value of 0 was taken for missing",
        "NULL alone is missing",
    ),
    _mended(
        "19",
        "futures_aggregate",
        "the stability compared amounts of money with a ratio, and was always 0",
        "it is the percentile of the newest 20-row variation among those of the window",
    ),
    _kept(
        "20",
        "futures_aggregate futures_sentiment base_data",
        "columns that are always NULL, and columns that repeat others",
        "readers know the columns; what no source has stays NULL",
    ),
    _mended(
        "21",
        "futures_aggregate",
        "slope, streak and changes bridged gaps, and a turn that stopped at 1 was missed",
        "they go by time, and a turn is one from the last side of 1; the age is that of the run, as a row is, and the "
        "fraction keeps its unit",
    ),
    _mended(
        "22",
        "futures_aggregate",
        "the risk added z-scores of opposite signs, so that they cancelled, and of varying number",
        "it is the mean of the sizes of those that are known",
    ),
    _mended(
        "23",
        "mfi scalping harmonic_rsi",
        "there was no value where nothing fell",
        "100 where nothing fell, 50 where nothing moved",
    ),
    _mended(
        "24",
        "scalping",
        "rebound and pullback wanted an RSI and prices that exclude each other",
        "the RSI was extreme in one of the newest 10 bars",
    ),
    _mended(
        "25",
        "bollinger",
        "the deviation was a sample's, and the slope divided the change of nine bars by ten",
        "the deviation is the population's, and nine bars are nine",
    ),
    _mended(
        "26",
        "obv cvd",
        "the change was relative to a sum whose beginning is arbitrary, over one bar less than meant",
        "it is the flow of the window divided by its volume",
    ),
    _mended(
        "27",
        "data_monitor",
        "a week of bars was expected of the 400 that were loaded",
        "those from the oldest to the newest bar are expected, at every interval",
    ),
    _mended(
        "28",
        "futures_gap_monitor",
        "the gap up to now was not seen, and a step of less than ten minutes was a gap that lacked no row",
        "every five minutes up to now want a row; the window stays 240 rows",
    ),
    _mended(
        "29",
        "macd",
        "the cross of zero was that of the histogram, which only repeats the other cross",
        "it is that of DIF; columns that repeat others stay, as readers know them",
    ),
    _mended(
        "30",
        "volume_ratio support_resistance",
        "the newest bar was among those that it was compared with",
        "it is compared with the 20 bars before it",
    ),
    _mended(
        "31",
        "vwap",
        "the band did not weigh by volume, and an empty bar had a volume of 1e-9",
        "it does, and 0 is 0; the window rolls, as markets that never close have no session",
    ),
    _mended(
        "32",
        "kdj",
        "K stood still and D went on over bars without a range",
        "such bars have the position 50, and K and D begin with 50",
    ),
    _kept(
        "33",
        "harmonic_rsi",
        "it is no harmonic pattern",
        "the name of a table and of its column is not its value; the title says what it is",
    ),
    _kept(
        "34",
        "futures_sentiment",
        "the row may be 30 days old",
        "its time says so, and futures_aggregate has its age and whether it is stale",
    ),
    _mended(
        "D1",
        "vpvr_profile",
        "rounding destroyed small prices and impacts",
        "values below 1 keep six significant digits, nodes among them, in both profiles; the bins of one price have "
        "no least width",
    ),
    _mended(
        "D2",
        "trend_line_rank",
        "lines were held against closes mirrored in time, resistance always came first, a line below 0 counted",
        "each close is held against the line at its bar, the nearer line counts, one at 0 or below does not",
    ),
    _storage("D3", "rows of too few bars had columns of other tables", "a row has the columns of its table"),
    _storage("D4", "Kyle's impact was lost where the source gave decimals", "all fields are read as doubles"),
    _mended("D5", "liquidity_score", "Amihud's sample was the oldest 99 bars", "it is the newest 100"),
    _mended(
        "D6",
        "liquidity_score",
        "Kyle's score was 50 for every coin, as its scale went by the unit of the coin",
        "the impact is the move by a net flow of a mean bar's volume, on the scale of the volatility",
    ),
    _mended(
        "D7",
        "zero_lag_band_cross zero_lag_trend_state smart_money_structure",
        "0 was stored as NULL",
        "NULL is what is not defined",
    ),
    _mended(
        "D8",
        "vwma_fib_bands",
        "200 bars without volume raised an error",
        "they have the signal to wait, and no basis",
    ),
    _mended(
        "D9",
        "vwma_fib_bands",
        "every close inside the widest band was in the same zone, and what lies outside was called the middle",
        "the zone is the narrowest band that holds the close; beyond the widest it has a name of its own",
    ),
    _mended(
        "D10",
        "smart_rsi cci williams_r ichimoku vwma_fib_bands smoothed_heikin_ashi vpvr_profile",
        "absolute constants distorted small prices, and decided those of large ones",
        "there is none: what was divided by nothing has a value by definition, and scales go by the range of prices",
    ),
    _mended(
        "D11",
        "smart_rsi",
        "weights other than Wilder's, no divergence below 140 bars, a trend filter that excludes the signal",
        "Wilder's RSI, divergences from the newest 50 bars on, a trend of 100 bars, and NULL for what is not known",
    ),
    _mended(
        "D12",
        "trend_cloud_reversal",
        "a strike beyond the wrong open, engulfing of any colour, a drift without bound, noise as the direction",
        "the definitions of the books, a drift of 0 at least, and averages that stand still where the price does",
    ),
    _mended(
        "D13",
        "smart_money_structure",
        "events added up, extremes did not count, a mean return was called ATR, the newest bar made no gap, broken "
        "blocks stayed, equilibrium could not be",
        "one event counts, extremes count, the ATR is Wilder's, three bars make a gap, a broken block is none, the "
        "middle 5 % are at equilibrium",
    ),
    _mended(
        "D14",
        "zero_lag_band_cross",
        "without any cross the trend was down, and both closes were held against the newest band",
        "without a cross there is no trend, and each close has its band",
    ),
    _mended(
        "D15",
        "zero_lag_band_cross zero_lag_trend_state",
        "declared minima were not those that held",
        "values begin with the bars that the formula needs",
    ),
    _mended(
        "D16",
        "ema_ribbon",
        "the strength had one scale for signals and another one elsewhere; its name speaks of volume",
        "the strength is ten times the larger fraction; the name of the table stays",
    ),
    _mended(
        "D17",
        "candle_patterns",
        "the last label of the whole window counted, and the shapes were three bars",
        "shapes of pivots within the newest bars",
    ),
    _mended(
        "D18",
        "candle_patterns",
        "the strength had no sign, and two functions had one name",
        "it has, and each has its own; --closed-only leaves the forming bar out",
    ),
    _mended(
        "D19",
        "macd supertrend ema_gc ema_ribbon adx zero_lag_band_cross zero_lag_trend_state trend_cloud_reversal "
        "smoothed_heikin_ashi scalping harmonic_rsi smart_rsi atr_bands keltner support_resistance "
        "smart_money_structure",
        "recursions began with the first bar or with 0",
        "they begin with a mean, as TA-Lib does, over a window that is the same for runs and histories",
    ),
    _mended(
        "D20",
        "ichimoku",
        "the second span was 0 below 52 bars and counted as a price, and the cloud was not displaced",
        "NULL until the cloud of 26 bars ago has its 52 bars; the lagging line is the close, as its newest point is",
    ),
    _mended(
        "D21",
        "cci williams_r smart_money_structure",
        "bars of one price had noise, the top of a scale, or an extreme zone",
        "0, -50 and equilibrium",
    ),
    _storage("D22", "errors of single parts were swallowed", "an error is logged and counted"),
    _storage("D23", "data for a ridge plot, which nothing read", "`plot` draws from the source"),
)
