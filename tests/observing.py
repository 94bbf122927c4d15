"""An observer that counts what tests want to know."""

from __future__ import annotations

from dataclasses import dataclass, field

from candlemill.pipeline.record import Observer


@dataclass
class Heard(Observer):
    """Statements that were sent, rows that came, and what went wrong."""

    statements: int = 0
    rows: int = 0
    errors: list[dict[str, str]] = field(default_factory=list)

    def sent(self) -> None:
        self.statements += 1

    def received(self, rows: int, size: int) -> None:  # noqa: ARG002 - the bytes are the record's
        self.rows += rows

    def fail(self, table: str, symbol: str, interval: str, message: str) -> None:
        self.errors.append({"table": table, "symbol": symbol, "interval": interval, "message": message})
