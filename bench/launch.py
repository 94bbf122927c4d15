"""Start a program, wait for it, and write down what the operating system accounts it with.

A process of its own, because Linux lets a child begin with the memory peak of the process that started it, and that of
the bench is a large one. It imports little for the same reason.

    python -I launch.py USAGE_FILE PROGRAM [ARGUMENT …]
"""

import json
import os
import sys
from time import perf_counter

if __name__ == "__main__":
    usage_file, *words = sys.argv[1:]
    begun = perf_counter()
    child = os.posix_spawn(words[0], words, os.environ)
    _, status, used = os.wait4(child, 0)
    wall = perf_counter() - begun
    # Linux counts the peak in KiB, macOS in bytes.
    peak = used.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    with open(usage_file, "w", encoding="utf-8") as file:  # noqa: PTH123 - pathlib would be the largest import here
        json.dump({"wall": wall, "cpu_user": used.ru_utime, "cpu_system": used.ru_stime, "max_rss_mb": peak}, file)
    sys.exit(os.waitstatus_to_exitcode(status))
