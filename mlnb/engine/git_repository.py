"""The git repository around a project, read only: revisions, and the notebooks and files that differ between them."""

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from mlnb.engine.confined_names import confined_file, is_confined
from mlnb.errors import ProjectError, UsageError
from mlnb.suggestions import did_you_mean

DEFAULT_BRANCHES = ("origin/main", "origin/master", "main", "master")
REGULAR = ("100644", "100755")  # modes of files in a tree; links and submodules are left out
SECONDS = 60.0
ENVIRONMENT = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


class Revision(NamedTuple):
    """A commit as a user named it; the working tree has the commit that is checked out, and is no commit itself."""

    name: str
    commit: str
    is_working_tree: bool = False

    def __str__(self) -> str:
        """Return the name with the short id of the commit."""
        short = self.commit[:8]
        if self.is_working_tree:
            return self.name
        return short if self.commit.startswith(self.name) else f"{self.name} ({short})"


class GitRepository:
    """Reads revisions of the files below a folder; paths are relative to it."""

    def __init__(self, folder: Path) -> None:
        """Find the repository. Raises `ProjectError` where there is none, or no git."""
        self.folder = folder
        done = self._run("rev-parse", "--show-toplevel")
        if done.returncode:
            raise ProjectError(
                f"{folder} is in no git repository that can be read ({_reason(done)}); expected a project under "
                "version control: git init && git add . && git commit -m 'Start the project'"
            )

    def head(self) -> str:
        """Return the commit that is checked out. Raises `UsageError` where there is no commit yet."""
        return self.resolve("HEAD")

    def resolve(self, name: str) -> str:
        """Return the commit that a branch, tag or id names. Raises `UsageError` for another name."""
        done = self._run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        if done.returncode == 0:
            return done.stdout.decode().strip()
        names = self._lines("for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/remotes", "refs/tags")
        shallow = self._lines("rev-parse", "--is-shallow-repository") == ["true"]
        hint = " The clone is shallow: git fetch --unshallow" if shallow else ""
        raise UsageError(
            f"No commit {name[:80]!r} in the repository of {self.folder}; expected a branch, a tag or the id of a "
            f"commit.{did_you_mean(name, names)}{hint or ' `git branch --all` lists the branches.'}"
        )

    def revisions(self, text: str) -> tuple[Revision, Revision]:
        """Return the two revisions that a text names.

        Args:
            text: `BASE..HEAD`, or `BASE...HEAD` from their merge base; `BASE`: to the working tree; empty: from the
                merge base with the default branch to the working tree.

        Raises:
            UsageError: there is no such revision.
        """
        for separator in ("...", ".."):
            base, dots, head = text.partition(separator)
            if dots:
                names = base or "HEAD", head or "HEAD"
                first, second = (self.resolve(name) for name in names)
                if separator == "...":
                    first = self.merge_base(first, second, names)
                return Revision(names[0], first), Revision(names[1], second)
        checked_out = self.head()
        tree = Revision("working tree", checked_out, True)
        if text:
            return Revision(text, self.resolve(text)), tree
        branch = self.default_branch()
        return Revision(branch, self.merge_base(self.resolve(branch), checked_out, (branch, "HEAD"))), tree

    def merge_base(self, first: str, second: str, names: tuple[str, str]) -> str:
        """Return the newest common ancestor of two commits. Raises `UsageError` where they have none."""
        done = self._run("merge-base", first, second)
        if done.returncode:
            raise UsageError(
                f"{names[0]} and {names[1]} have no common commit here; expected branches of one history. Name both "
                f"revisions: mlnb diff {names[0]}..{names[1]}; in a shallow clone, first: git fetch --unshallow"
            )
        return done.stdout.decode().strip()

    def default_branch(self) -> str:
        """Return the branch that changes are compared with. Raises `UsageError` where none has a usual name."""
        remote = self._run("symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD").stdout.decode().strip()
        for name in (remote, *DEFAULT_BRANCHES):
            if name and self._run("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").returncode == 0:
                return name
        raise UsageError(
            f"Found none of the branches {', '.join(DEFAULT_BRANCHES)}; name the revision to compare with: "
            "mlnb diff BASE"
        )

    def is_clean(self) -> bool:
        """Return whether no tracked file of the repository differs from the commit that is checked out."""
        return not self._run("status", "--porcelain", "--untracked-files=no").stdout

    def notebooks(self, revision: Revision) -> dict[str, bytes]:
        """Return the notebooks of a revision by path; links and ignored files are left out."""
        if revision.is_working_tree:
            listed = self._names("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*.ipynb")
            files = {name: confined_file(self.folder, name) for name in sorted(set(listed))}
            return {name: file.read_bytes() for name, file in files.items() if file is not None}
        objects = {}
        for line in self._names("ls-tree", "-r", "-z", revision.commit):
            described, _, name = line.partition("\t")
            mode, _, digest = described.split()
            if name.endswith(".ipynb") and mode in REGULAR and is_confined(name):
                objects[name] = digest
        return dict(zip(objects, self._contents(objects.values()), strict=True))

    def changed_files(self, base: Revision, head: Revision) -> list[str]:
        """Return the paths of the tracked files that differ between two revisions, notebooks included."""
        commits = [base.commit] if head.is_working_tree else [base.commit, head.commit]
        return self._names("diff", "--name-only", "-z", "--no-renames", "--relative", "--no-ext-diff", *commits, "--")

    def _contents(self, digests: Iterable[str]) -> list[bytes]:
        """Return the bytes of objects."""
        request = "".join(f"{digest}\n" for digest in digests).encode()
        output = self._run("cat-file", "--batch", request=request).stdout
        contents, start = [], 0
        while start < len(output):
            end = output.index(b"\n", start)
            size = int(output[start:end].split()[2])
            contents.append(output[end + 1 : end + 1 + size])
            start = end + size + 2
        return contents

    def _names(self, *arguments: str) -> list[str]:
        """Return what a command lists between null bytes. Raises `ProjectError` when it fails."""
        done = self._run(*arguments)
        if done.returncode:
            raise ProjectError(f"`git {arguments[0]}` failed in {self.folder}: {_reason(done)}. `git fsck` checks it.")
        return [os.fsdecode(name) for name in done.stdout.split(b"\0") if name]

    def _lines(self, *arguments: str) -> list[str]:
        return self._run(*arguments).stdout.decode(errors="replace").splitlines()

    def _run(self, *arguments: str, request: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run git in the folder."""
        try:
            return subprocess.run(
                ["git", "-C", str(self.folder), *arguments],
                input=request,
                capture_output=True,
                timeout=SECONDS,
                env={**os.environ, **ENVIRONMENT},
                check=False,
            )
        except FileNotFoundError as error:
            raise ProjectError(
                "Found no program git; expected it on the PATH. Install it (Debian: apt install git), or compare two "
                "runs: mlnb runs compare A B"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise ProjectError(
                f"`git {arguments[0]}` took longer than {SECONDS:g} s in {self.folder}; run it yourself to see why."
            ) from error


def _reason(done: subprocess.CompletedProcess[bytes]) -> str:
    """Return the first line that git reported."""
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    return lines[0].removeprefix("fatal: ") if lines else f"exit code {done.returncode}"
