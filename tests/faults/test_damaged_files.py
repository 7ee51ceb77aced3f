"""Every kind of damage to every kind of file: a command works around it and reports it, or fails and names the file.

Nothing is deleted: the damaged bytes are where they were, or in the quarantine of the store.
"""

import shutil
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import toys
from in_process import mlnb_in_process

from mlnb.engine.digests import digest_bytes
from mlnb.engine.project import Project
from mlnb.engine.runs import list_runs, open_run

DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "empty": lambda data: b"",
    "cut": lambda data: data[: len(data) // 2],
    "cut by a byte": lambda data: data.rstrip()[:-1],
    "an empty object": lambda data: b"{}",
    "a list": lambda data: b"[1]",
    "a number": lambda data: b"1",
    "null": lambda data: b"null",
    "zeros": lambda data: bytes(len(data)),
    "no UTF-8": lambda data: b'{"a": "\xff"}',
    "another schema": lambda data: b'{"schema": "other/1"}',
    "deep": lambda data: b"[" * 100_000,
    "swapped bytes": lambda data: data[::-1],
    "missing": lambda data: None,
}
KINDS = {
    "run": "runs/*-*/run.json",
    "latest": "runs/latest.json",
    "key": ".mlnb/keys/*.json",
    "notebook of a run": "runs/*-*/notebooks/10_number.ipynb",
    "report": "runs/*-*/stages/number.report.json",
    "cache of objects": ".mlnb/cache/objects.json",
    "cache of sources": ".mlnb/cache/sources.json",
    "plan": ".mlnb/plans/*",
    "artifact": "",
    "stored notebook": "",
    "audit head": ".mlnb/audit_head.json",
}
COMMANDS = (
    "show", "show --json", "show latest number", "show --artifact number", "runs", "runs --json", "report", "plan",
    "stages", "clean --dry-run", "check",
)  # fmt: skip
# What a command cannot work without, and so names: for those that do not read the file nothing is to be reported.
READS = {
    "run": ("show", "runs", "report", "clean --dry-run"),
    "key": ("plan", "clean --dry-run"),
    "artifact": ("plan", "show --artifact number"),
    "stored notebook": ("plan",),
    "latest": ("show",),
    "notebook of a run": ("report",),
}
EQUAL = {
    "latest": ("missing",),
    "notebook of a run": ("missing",),
    "key": ("missing",),
    "stored notebook": ("missing",),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one finished run."""
    root = toys.chain(tmp_path_factory.mktemp("finished"))
    mlnb_in_process(root, "run", "--no-report")
    time.sleep(2.1)  # a younger file is not cached
    mlnb_in_process(root, "plan")
    return root


def target(root: Path, kind: str) -> Path:
    """Return the file of a kind in a project."""
    project = Project.find(root)
    if kind in ("artifact", "stored notebook"):
        run = open_run(project)
        key = run.stages["number"].key or ""
        result = project.store.result(key)
        assert result is not None
        return project.store.path(result.notebook if kind == "stored notebook" else run.require_output("number").digest)
    return next(iter(sorted(root.glob(KINDS[kind]))), root / KINDS[kind])


def everything(root: Path) -> set[str]:
    """Return the digest of every file of a project."""
    return {digest_bytes(path.read_bytes()) for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_reported_and_kept(finished: Path, tmp_path: Path, kind: str, damage: str) -> None:
    start = list(DAMAGES).index(damage) + list(KINDS).index(kind)
    others = {COMMANDS[(start + step) % len(COMMANDS)] for step in (0, 5)}
    for command in sorted({*READS.get(kind, ()), *others}):
        root = tmp_path / command.replace(" ", "-")
        shutil.copytree(finished, root, symlinks=True)
        path = target(root, kind)
        before = path.read_bytes() if path.exists() else b"{}"
        data = DAMAGES[damage](before)
        path.unlink(missing_ok=True)
        if data is not None:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
        text = mlnb_in_process(root, *command.split(), code=None)
        assert "Traceback" not in text
        if damage not in EQUAL.get(kind, ()) and command in READS.get(kind, ()) and data != before:
            words = ("damaged", "missing", "found ", "is no ", "not as expected", "No run", "no readable", "unchanged")
            assert any(word in text for word in words), f"{command} reports nothing:\n{text}"
        if data is not None:
            assert digest_bytes(data) in everything(root), f"{command} deleted the damaged file"
        shutil.rmtree(root)


@pytest.mark.parametrize("damage", ["empty", "a list", "no UTF-8", "missing"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_run_makes_again_what_is_damaged(finished: Path, tmp_path: Path, kind: str, damage: str) -> None:
    root = tmp_path / "project"
    shutil.copytree(finished, root, symlinks=True)
    path = target(root, kind)
    data = DAMAGES[damage](path.read_bytes() if path.exists() else b"{}")
    path.unlink(missing_ok=True)
    if data is not None:
        path.write_bytes(data)
    mlnb_in_process(root, "run", "--no-report")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        runs = list_runs(Project.find(root))
        assert open_run(Project.find(root), runs[0].id).load("total") == {"total": 7.0, "note": "number 3"}
    if data is not None and kind != "latest" and not kind.startswith("cache") and kind not in ("plan", "report"):
        assert digest_bytes(data) in everything(root), "the damaged file was deleted"
