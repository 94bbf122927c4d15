"""Pictures of markets and of runs. Needs matplotlib, the extra ``plot``.

``arrange`` says what a picture of a market consists of, from the roles that the columns of indicators declare;
``candles`` draws that to PNG and SVG, ``interactive`` for the ``page`` that a browser draws.

May import: base, settings, compute, history, workfile.
"""

from ..base.errors import UsageError

try:
    import matplotlib  # noqa: F401 - looked for here, for all modules of the package
except ModuleNotFoundError as error:
    raise UsageError("drawing needs matplotlib, the extra candlemill[plot]: pip install matplotlib") from error
