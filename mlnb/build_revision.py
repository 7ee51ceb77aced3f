"""The git commit that this installation of mlnb was built from, for `mlnb --version` and bug reports."""

import os
import subprocess
from pathlib import Path

import mlnb

FILE = "build_commit.txt"  # in the package; setup.py writes it into wheels and source distributions
DIGITS = 12


def build_revision() -> str:
    """Return the commit, with a remark when files differ from it; empty when it is not recorded.

    A checkout has its commit in git; a wheel has a file, written when it was built.
    """
    package = Path(mlnb.__file__).parent
    recorded = package / FILE
    if recorded.is_file():
        return recorded.read_text(encoding="ascii", errors="replace").strip()[:DIGITS]
    return checkout_revision(package.parent)


def checkout_revision(root: Path) -> str:
    """Return the commit of the git checkout in a folder; empty when the folder is no checkout or has no git.

    Args:
        root: Top folder of the checkout; a repository around it does not count.
    """
    if not (root / ".git").exists():
        return ""
    commit = _git(root, "rev-parse", f"--short={DIGITS}", "HEAD")
    if not commit:
        return ""
    changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    return f"{commit}, with local changes" if changed else commit


def _git(root: Path, *arguments: str) -> str:
    """Return what git prints; empty when it fails."""
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10, env=environment
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
