"""Reading, the order of work and writing: everything around the computation in ``indicators``.

One run is ``engine.run``; its docstring lists the steps. Each room below is a package for one purpose, and says in its
first paragraphs what it is for and what it may import. From bottom to top: ``base``; ``record``, ``settings`` and
``options``; ``source``; ``compute``; ``history``; ``results`` and ``workfile``; ``reading`` and ``engine``; ``live``,
``ingest``, ``backfill``, ``analysis``, ``plotting``, ``reporting``, ``parity``, ``demo``, ``doctor`` and ``documents``;
``commands``. No import runs upward; a test holds it.
"""

__version__ = "0.1.0"
