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

import figures
import lengths
import mirrors
import prose
import release
import task_names

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
Check = Callable[[], str]  # returns a note to show, or nothing; raises Wrong


class Wrong(Exception):
    """A check failed; the message states what was found and what to do."""


def tool(*command: str, cwd: Path = ROOT) -> Check:
    """Return a check that runs one command of the environment and shows its output when it fails."""

    def run() -> str:
        program, *arguments = command
        if not (BIN / program).exists():
            raise Wrong(f"found no {program} in {BIN}, expected the programs of requirements-dev.txt: make check")
        done = subprocess.run([str(BIN / program), *arguments], cwd=cwd, capture_output=True, text=True)
        if done.returncode:
            raise Wrong((done.stdout + done.stderr).strip())
        return ""

    return run


def unchanged(command: str, folder: str, pattern: str, cure: str) -> Check:
    """Return a check that `command`, run on a copy of the project, leaves the files of `folder` alone."""

    def run() -> str:
        with tempfile.TemporaryDirectory() as temporary:
            copy = Path(temporary)
            skipped = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
            for name in ("mlnb", "nbs"):
                shutil.copytree(ROOT / name, copy / name, ignore=skipped)
            shutil.copy(ROOT / "settings.ini", copy)
            tool(command, cwd=copy)()
            changes = differences(ROOT / folder, copy / folder, pattern)
        if changes:
            raise Wrong("\n".join([*changes, cure]))
        return ""

    return run


def differences(here: Path, there: Path, pattern: str) -> list[str]:
    """Return the first lines of what differs between two folders, one entry a file."""
    changes = []
    for name in sorted({path.relative_to(top) for top in (here, there) for path in top.rglob(pattern)}):
        if {"__pycache__", ".ipynb_checkpoints"} & set(name.parts):
            continue
        actual, expected = (
            path.read_text(encoding="utf-8").splitlines() if path.exists() else []
            for path in (here / name, there / name)
        )
        titles = (f"{name} as it is", f"{name} as it should be")
        if lines := list(difflib.unified_diff(actual, expected, *titles, lineterm="", n=0)):
            changes.append("\n".join(lines[:12]))
    return changes


def short_modules() -> str:
    """Check that every module can be read in one sitting."""
    if long := lengths.long_modules():
        raise Wrong("\n".join(long))
    return ""


def measured_code() -> str:
    """Check the figures of the code that have a limit, and return all of them."""
    lines, failing = figures.figures()
    if failing:
        raise Wrong("\n".join(failing))
    return "\n".join(lines)


def standard_terms() -> str:
    """Check that text and names use the terms of the field."""
    if findings := prose.find():
        raise Wrong("\n".join(map(str, findings)))
    return ""


def no_task_names() -> str:
    """Check that only `mlnb.methods.tasks` compares with the names of problem types."""
    if lines := task_names.find():
        raise Wrong("\n".join([*lines, "ask for a trait of the task (`traits_of`), or add a step to its strategies"]))
    return ""


def mirrored_tests() -> str:
    """Check that each hand-written module has a test file of its name, or a reason."""
    if lines := mirrors.find():
        raise Wrong("\n".join(lines))
    return ""


def ready_to_release() -> str:
    """Check the form of the changelog, the citation, and that all files have the same version."""
    if lines := release.problems():
        raise Wrong("\n".join(lines))
    return ""


CHECKS: dict[str, Check] = {
    "mypy": tool("mypy"),
    "ruff": tool("ruff", "check", "."),
    "format": tool("ruff", "format", "--check", "--quiet", "."),
    "layers": tool("lint-imports", "--no-cache"),
    "exported": unchanged(
        "nbdev_export", "mlnb", "*.py", "mlnb/ differs from the notebooks: nbdev_export, then commit"
    ),
    "clean": unchanged(
        "nbdev_clean", "nbs", "*.ipynb", "notebooks carry outputs or metadata: nbdev_clean, then commit"
    ),
    "stages": tool("mlnb", "check"),
    "readme": tool("python", "scripts/readme.py", "--check"),
    "workflows": tool("zizmor", "--offline", "--no-progress", "--quiet", ".github"),
    "constraints": tool("python", "scripts/constraints.py", "--check"),
    "length": short_modules,
    "figures": measured_code,
    "prose": standard_terms,
    "tasks": no_task_names,
    "mirrors": mirrored_tests,
    "release": ready_to_release,
}


def timed(name: str) -> tuple[str, bool, str, float]:
    """Return the name of a check, whether it passed, what is to be shown, and its seconds."""
    started = time.monotonic()
    try:
        shown, passed = CHECKS[name](), True
    except Wrong as wrong:
        shown, passed = str(wrong), False
    return name, passed, shown, time.monotonic() - started


def main() -> int:
    """Run the checks named on the command line, or all; return 0 when none found anything."""
    names = sys.argv[1:] or list(CHECKS)
    unknown = [name for name in names if name not in CHECKS]
    if unknown:
        print(f"no check is called {', '.join(unknown)}; there are: {', '.join(CHECKS)}", file=sys.stderr)
        return 2
    failed = 0
    with ThreadPoolExecutor(2) as pool:
        for name, passed, shown, seconds in pool.map(timed, names):
            failed += not passed
            print(f"{'ok' if passed else 'WRONG':6}{name:12}{seconds:5.1f} s", flush=True)
            print("".join(f"      {line}\n" for line in shown.splitlines()), end="", flush=True)
    print(f"{len(names) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
