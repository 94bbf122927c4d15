"""Reading, the order of work and writing: everything around the computation in ``indicators``."""

__version__ = "0.1.0"
