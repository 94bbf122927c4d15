"""URLs of the source: what is shown of them."""

from __future__ import annotations

from candlemill.pipeline.source.urls import redacted, redacted_line, without_secrets


def test_what_is_shown_of_a_url() -> None:
    assert redacted("postgresql://reader:s:e@cret@db.example:5433/market?password=x") == (
        "postgresql://reader@db.example:5433/market"
    )
    assert redacted("postgresql://db.example/market") == "postgresql://db.example/market"
    assert without_secrets("p@ss and p%40ss", ("p@ss",)) == "*** and ***"
    assert redacted_line("first\nsecret", ("secret",)) == "first ***"
