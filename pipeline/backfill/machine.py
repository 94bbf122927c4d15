"""What computes a task, as far as the last bit of a value may depend on it."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import talib


@cache
def computed_by() -> dict[str, Any]:
    """The processor's features and the versions of the libraries that compute; of one that is not there None.

    Files of machines that are equal in it are equal in all bytes.
    """
    found: Any = np.show_config(mode="dicts")
    features = found["SIMD Extensions"]
    return {
        "machine": platform.machine(),
        "features": [*features["baseline"], *features["found"]],
        "libc": " ".join(platform.libc_ver()),
        "numpy": np.__version__,
        "numba": _version("numba"),
        "talib": f"{talib.__version__}, {talib.__ta_version__.decode()}",
        "pyarrow": _version("pyarrow"),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
