"""candlemill: candles into technical indicators.

The packages ``indicators`` and ``pipeline`` and the statements in ``sql`` are parts of this one, so that a desk's own
folders of these names never stand in their way. In a checkout they lie beside it, and links lead there.
"""
