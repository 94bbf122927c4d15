"""``python -m pipeline`` is the command ``candlemill``."""

from pipeline.cli import main

main()
