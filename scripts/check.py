"""Run every check that needs no execution of the project: what `make check` calls. The tree stays as it is.

python scripts/check.py               all checks, two at a time
python scripts/check.py mypy ruff     only those
"""

import difflib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
LONGEST = 300
READ_IN_ONE_SITTING = ("mlnb", "scripts", "bentos", "benchmarks")


class Wrong(Exception):
    """A check found something; the message says what, and what to do."""


def tool(*command: str, cwd: Path = ROOT) -> Callable[[], None]:
    """Return a check that runs one command of the environment and shows what it says when it fails."""

    def run() -> None:
        program, *arguments = command
        done = subprocess.run([str(BIN / program), *arguments], cwd=cwd, capture_output=True, text=True)
        if done.returncode:
            raise Wrong((done.stdout + done.stderr).strip())

    return run


def unchanged(command: str, folder: str, pattern: str, cure: str) -> Callable[[], None]:
    """Return a check that `command`, run on a copy of the project, leaves the files of `folder` alone."""

    def run() -> None:
        with tempfile.TemporaryDirectory() as temporary:
            copy = Path(temporary)
            skipped = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
            for name in ("mlnb", "nbs"):
                shutil.copytree(ROOT / name, copy / name, ignore=skipped)
            shutil.copy(ROOT / "settings.ini", copy)
            tool(command, cwd=copy)()
            found = differences(ROOT / folder, copy / folder, pattern)
        if found:
            raise Wrong("\n".join([*found, cure]))

    return run


def differences(here: Path, there: Path, pattern: str) -> list[str]:
    """Return the first lines of what differs between two folders, one entry a file."""
    found = []
    for name in sorted({path.relative_to(top) for top in (here, there) for path in top.rglob(pattern)}):
        if {"__pycache__", ".ipynb_checkpoints"} & set(name.parts):
            continue
        actual, expected = (
            path.read_text(encoding="utf-8").splitlines() if path.exists() else []
            for path in (here / name, there / name)
        )
        titles = (f"{name} as it is", f"{name} as it should be")
        if lines := list(difflib.unified_diff(actual, expected, *titles, lineterm="", n=0)):
            found.append("\n".join(lines[:12]))
    return found


def short_modules() -> None:
    """Check that every module can be read in one sitting."""
    generated = (ROOT / "mlnb" / "_modidx.py",)
    paths = [path for folder in READ_IN_ONE_SITTING for path in (ROOT / folder).rglob("*.py") if path not in generated]
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in paths}
    long = [
        f"{path.relative_to(ROOT)}: {n} lines, expected {LONGEST} at most" for path, n in lengths.items() if n > LONGEST
    ]
    if long:
        raise Wrong("\n".join(long))


CHECKS: dict[str, Callable[[], None]] = {
    "mypy": tool("mypy"),
    "ruff": tool("ruff", "check", "."),
    "format": tool("ruff", "format", "--check", "--quiet", "."),
    "layers": tool("lint-imports", "--no-cache"),
    "exported": unchanged(
        "nbdev_export", "mlnb", "*.py", "mlnb/ is not what the notebooks say: nbdev_export, then commit"
    ),
    "clean": unchanged(
        "nbdev_clean", "nbs", "*.ipynb", "notebooks carry outputs or metadata: nbdev_clean, then commit"
    ),
    "stages": tool("mlnb", "check"),
    "readme": tool("python", "scripts/readme.py", "--check"),
    "constraints": tool("python", "scripts/constraints.py", "--check"),
    "length": short_modules,
}


def timed(name: str) -> tuple[str, str, float]:
    """Return the name of a check, what it found ("" when nothing), and its seconds."""
    started = time.monotonic()
    try:
        CHECKS[name]()
        found = ""
    except Wrong as wrong:
        found = str(wrong)
    return name, found, time.monotonic() - started


def main() -> int:
    """Run the checks named on the command line, or all; return 0 when none found anything."""
    names = sys.argv[1:] or list(CHECKS)
    unknown = [name for name in names if name not in CHECKS]
    if unknown:
        print(f"no check is called {', '.join(unknown)}; there are: {', '.join(CHECKS)}", file=sys.stderr)
        return 2
    failed = 0
    with ThreadPoolExecutor(2) as pool:
        for name, found, seconds in pool.map(timed, names):
            failed += bool(found)
            print(f"{'WRONG' if found else 'ok':6}{name:12}{seconds:5.1f} s", flush=True)
            print("".join(f"      {line}\n" for line in found.splitlines()), end="", flush=True)
    print(f"{len(names) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
