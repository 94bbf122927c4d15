"""``python -m bench``: whole runs on a market made for the purpose, beside the floor of the same rows.

Each scale gets a market inside an embedded PostgreSQL. The installed program then runs as a child process, once to warm
up, then as often as asked; after every run the floor is measured: the same rows read by COPY and thrown away, and the
same rows written into a fresh SQLite file. Tables show the median, and the least and the most in brackets.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
from pathlib import Path
from typing import Any

from bench import document, live, report
from bench.market import BARS, Scale
from bench.measure import Bench
from candlemill.pipeline.demo.server import embedded_postgres


def main() -> None:
    """Measure, compare two results, or put the tables of a result into a document."""
    words = _parser().parse_args()
    if words.compare:
        report.print_comparison(*map(_load, words.compare))
        return
    if words.report:
        _write_report(words.report[0], _load(words.report[1]))
        return
    if not words.scales and not words.scaling:
        words.scales = [Scale.parse("30x7")]
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("bench").setLevel(logging.INFO)
    measured = _measure(words)
    report.print_result(measured)
    if words.json:
        words.json.write_text(json.dumps(measured, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _measure(words: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="candlemill-bench-") as place:
        folder = Path(place)
        # The server runs as another user where this process is root's.
        folder.chmod(0o755)
        with embedded_postgres(folder / "postgres") as server:
            bench = Bench(server, folder, words.bars, words.runs, words.delay)
            measured: dict[str, Any] = {
                "machine": bench.machine(),
                "runs": words.runs,
                "delay_ms": words.delay,
                "scales": {},
            }
            if words.watch:
                measured["watch"] = {
                    str(scale): live.watch_passes(server, folder, scale, words.bars, words.runs)
                    for scale in words.scales
                }
                return measured
            measured["scales"] = {str(scale): bench.scale(scale, words.filled) for scale in words.scales}
            if words.scaling:
                measured["scaling"] = bench.scaling()
    return measured


def _write_report(target: Path, result: dict[str, Any]) -> None:
    try:
        document.put_tables(target, result)
    except (OSError, ValueError) as error:
        raise SystemExit(f"bench: {error}") from error
    if "scaling" in result:
        from bench.plot import plot_scaling

        plot_scaling(result["scaling"], target.with_name(document.PICTURE))


def _load(path: Path) -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SystemExit(f"bench: {path} is not a result: {error}") from error
    return loaded


def _scale(text: str) -> Scale:
    try:
        return Scale.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__.partition(": ")[2] if __doc__ else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Example: python -m bench 4x2 30x7 --filled --json bench-now.json",
    )
    parser.add_argument(
        "scales", nargs="*", type=_scale, metavar="SCALE", help="symbols x intervals (default: 30x7 without --scaling)"
    )
    parser.add_argument("--runs", type=_count, default=5, metavar="N", help="counted runs (default: 5)")
    parser.add_argument("--bars", type=_count, default=BARS, metavar="N", help=f"bars per series (default: {BARS})")
    parser.add_argument(
        "--delay", type=float, default=0, metavar="MS", help="a server a round trip of so many milliseconds away"
    )
    parser.add_argument("--filled", action="store_true", help="also on result databases filled to the retention")
    parser.add_argument("--scaling", action="store_true", help="also the growth from 25 to 600 symbols x 7")
    parser.add_argument("--watch", action="store_true", help="the passes of a watch instead of whole runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result here")
    other = parser.add_argument_group("instead of measuring").add_mutually_exclusive_group()
    other.add_argument("--compare", nargs=2, type=Path, metavar=("BEFORE", "AFTER"), help="print two results together")
    other.add_argument(
        "--report",
        nargs=2,
        type=Path,
        metavar=("DOCUMENT", "RESULT"),
        help="put a result's tables into a document, and the growth as scaling.svg beside it",
    )
    return parser


if __name__ == "__main__":
    main()
