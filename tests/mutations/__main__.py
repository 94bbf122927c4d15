"""Runs the tests on mutants, each in a copy of the checkout, and lists those that no test notices.

    python -m tests.mutations                        # the fixed sample
    python -m tests.mutations 'sql/*'                # the part of it that is in some files
    python -m tests.mutations --sample 0 'sql/*'     # all mutants of some files
    python -m tests.mutations --oracles              # a fixed sample of what computes, held by the oracles alone

Where tests/timescale/node_modules is missing, mutants that only the tests against TimescaleDB see are left out.

Exit code: 0 where each mutant is noticed or known to be equivalent, 1 where some are not, 2 where the tests fail
without any mutation.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import venv
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from time import monotonic
from typing import TYPE_CHECKING

from tests.mutations.plan import (
    CONCERNED,
    MODULES_OF_NODE,
    ROOT,
    all_mutants,
    computes,
    declared_in,
    equivalent,
    module_of,
    sample,
    seen_by,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.mutations.mutants import Mutant

SAMPLE, SEED = 200, 20260118
#: How many of what computes.
OF_ORACLES = 320


class Copy:
    """A copy of the checkout with an environment of its own, in which one mutant after the other is tested."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "checkout"
        self._temporary = folder / "tmp"
        self._temporary.mkdir(parents=True)
        # The embedded PostgreSQL may run as another user.
        folder.chmod(0o755)
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        )
        for name in listed.stdout.decode().split("\0"):
            if name and (ROOT / name).exists():
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.root / name, follow_symlinks=False)
        if (ROOT / MODULES_OF_NODE).exists():
            (self.root / MODULES_OF_NODE).symlink_to((ROOT / MODULES_OF_NODE).resolve())
        self._python = self._environment()
        self._written = 0
        self._process: subprocess.Popen[str] | None = None
        self._interrupted = False

    def _environment(self) -> Path:
        """Python that imports from this copy, and everything else from the environment that runs."""
        place = self.root / ".venv"
        venv.create(place, symlinks=True)
        [packages] = place.glob("lib/python*/site-packages")
        [installed] = [path for path in sys.path if path.endswith("site-packages")]
        (packages / "copy.pth").write_text(f"{self.root}\n{installed}\n")
        python = place / "bin" / "python"
        script = Path(sys.executable).with_name("candlemill").read_text()
        command = place / "bin" / "candlemill"
        command.write_text(re.sub(r"\A#!.*", f"#!{python}", script))
        command.chmod(0o755)
        return python

    def write(self, file: str, content: bytes) -> None:
        """Write a file with a time of its own: Python tells by time and size whether it knows a module already."""
        self._written += 1
        (self.root / file).write_bytes(content)
        os.utime(self.root / file, (self._written, self._written))

    def test(self, tests: Iterable[str], limit: float | None = None, concerned: Iterable[str] = ()) -> tuple[bool, str]:
        """Whether the tests pass within some seconds, and what was said of the first that does not.

        Where only some indicators are ``concerned``, the others are not asked.

        Raises InterruptedError where somebody ends them, which says nothing about the tests.
        """
        options = ("-x", "-q", "-p", "no:cacheprovider", "-p", "tests.mutations.frugal")
        words = [str(self._python), "-m", "pytest", *options, *(f"tests/{test}" for test in tests)]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        process = self._process = subprocess.Popen(
            words,
            cwd=self.root,
            env=environment | {"TMPDIR": str(self._temporary), CONCERNED: " ".join(concerned)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            # First the way that lets pytest stop the server it has started.
            process.send_signal(signal.SIGINT)
            try:
                process.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
            return False, "the time limit"
        if process.returncode == 0:
            return True, ""
        if self._interrupted or process.returncode in (-signal.SIGKILL, -signal.SIGTERM):
            raise InterruptedError(f"somebody ended {' '.join(words)}")
        said = re.findall(r"^(?:FAILED|ERROR) (\S+)", output, re.MULTILINE)
        # Where not even their fixtures can be imported.
        last = output.strip().rpartition("\n")[2]
        return False, said[0] if said else f"exit code {process.returncode}: {last}"

    def interrupt(self) -> None:
        """End the tests that run, and run no more."""
        self._interrupted = True
        if self._process:
            self._process.send_signal(signal.SIGINT)


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant: who noticed it, or nobody, or why nobody can."""

    mutant: Mutant
    noticed_by: str = ""
    equivalent: str = ""

    @property
    def survived(self) -> bool:
        return not (self.noticed_by or self.equivalent)


def run(chosen: Sequence[Mutant], jobs: int) -> list[Outcome]:
    """Test the mutants, some at a time. Raises SystemExit where the tests fail without any."""
    reasons = equivalent()
    open_ = [mutant for mutant in chosen if mutant.key not in reasons]
    outcomes = [Outcome(mutant, equivalent=reasons[mutant.key]) for mutant in chosen if mutant.key in reasons]
    with TemporaryDirectory(prefix="mutations-") as folder, ThreadPoolExecutor(jobs) as pool:
        copies: SimpleQueue[Copy] = SimpleQueue()
        Path(folder).chmod(0o755)
        made = [Copy(Path(folder) / str(number)) for number in range(jobs)]
        for copy in made:
            copies.put(copy)
        taken: dict[str, float] = {}

        def test(mutant: Mutant) -> Outcome:
            copy, began = copies.get(), monotonic()
            original = (ROOT / mutant.file).read_bytes()
            try:
                copy.write(mutant.file, mutant.apply(original))
                # One that takes many times as long as without it hangs.
                limit = 60 + 5 * sum(taken[test] for test in seen_by(mutant.file))
                passed, test = copy.test(seen_by(mutant.file), limit, declared_in(mutant.file))
            finally:
                copy.write(mutant.file, original)
                copies.put(copy)
            said = "SURVIVED" if passed else f"noticed by {test}"
            print(f"{monotonic() - began:6.1f} s  {mutant}\n          {said}", flush=True)
            return Outcome(mutant, test)

        try:
            taken |= _taken(copies, list(dict.fromkeys(name for m in open_ for name in seen_by(m.file))), pool)
            outcomes += pool.map(test, open_)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for copy in made:
                copy.interrupt()
            raise
    return outcomes


def _taken(copies: SimpleQueue[Copy], tests: Sequence[str], pool: ThreadPoolExecutor) -> dict[str, float]:
    """Seconds that each of the tests takes without a mutant. Raises SystemExit where one fails."""

    def seconds(test: str) -> float | None:
        copy, began = copies.get(), monotonic()
        passed, failed = copy.test([test])
        copies.put(copy)
        said = f"tests/{test} pass" if passed else f"this fails: {failed}"
        print(f"{monotonic() - began:6.1f} s  without any mutation {said}", flush=True)
        return monotonic() - began if passed else None

    taken = {test: found for test, found in zip(tests, pool.map(seconds, tests), strict=True) if found is not None}
    if len(taken) < len(tests):
        raise SystemExit(2)
    return taken


def report(outcomes: Sequence[Outcome]) -> None:
    """Print how many mutants of each module were noticed, and the survivors."""
    modules = sorted({module_of(outcome.mutant.file) for outcome in outcomes})
    print(f"\n{'module':36}{'mutants':>9}{'noticed':>9}{'survived':>10}{'equivalent':>12}")
    total: Counter[str] = Counter()
    for module in modules:
        own = [outcome for outcome in outcomes if module_of(outcome.mutant.file) == module]
        counts = Counter(
            mutants=len(own),
            noticed=sum(bool(outcome.noticed_by) for outcome in own),
            survived=sum(outcome.survived for outcome in own),
            equivalent=sum(bool(outcome.equivalent) for outcome in own),
        )
        total += counts
        _row(module, counts)
    _row("all", total)
    for outcome in outcomes:
        if outcome.equivalent:
            print(f"equivalent: {outcome.mutant}\n            {outcome.equivalent}")
    for outcome in outcomes:
        if outcome.survived:
            print(f"survived: {outcome.mutant}")


def _row(name: str, counts: Counter[str]) -> None:
    print(f"{name:36}{counts['mutants']:9}{counts['noticed']:9}{counts['survived']:10}{counts['equivalent']:12}")


def main() -> int:
    """Parse the words of the command line, run, report."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description="mutation testing")
    parser.add_argument("files", nargs="*", help="patterns of files (default: all)")
    parser.add_argument("--sample", type=int, default=SAMPLE, help="how many mutants, 0 for all (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=SEED, help="another one chooses others (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many at a time (default: %(default)s)")
    parser.add_argument("--list", action="store_true", help="list the mutants and do nothing else")
    parser.add_argument("--oracles", action="store_true", help="only files that compute, held by the oracles")
    asked = parser.parse_args()
    found = all_mutants()
    if asked.oracles:
        found = [mutant for mutant in found if computes(mutant.file)]
        asked.sample = OF_ORACLES if asked.sample == SAMPLE else asked.sample
    chosen = [
        mutant
        for mutant in sample(found, asked.sample or len(found), asked.seed)
        if not asked.files or any(fnmatch(mutant.file, pattern) for pattern in asked.files)
    ]
    if asked.list:
        print(*chosen, sep="\n")
        return 0
    unseen = [mutant for mutant in chosen if not seen_by(mutant.file)]
    outcomes = run([mutant for mutant in chosen if mutant not in unseen], asked.jobs)
    report(outcomes)
    if unseen:
        files = ", ".join(dict.fromkeys(mutant.file for mutant in unseen))
        print(f"left out, {len(unseen)} of {files}: run npm ci --prefix tests/timescale")
    return int(any(outcome.survived for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
