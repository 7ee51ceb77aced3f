"""mlnb runs where its installation cannot be written: system-wide, on a hub, in an image; projects may be read-only."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import toys
from in_process import mlnb_with_kernels

import mlnb

ROOT = Path(mlnb.__file__).parent.parent
OTHER = 65534  # the user nobody


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an installed mlnb and its built-in project, read-only."""
    folder = tmp_path_factory.mktemp("installation")
    skipped = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "mlnb", folder / "mlnb", ignore=skipped)
    for name in ("nbs/stages", "bentos"):
        shutil.copytree(ROOT / name, folder / "mlnb" / "builtin" / name, ignore=skipped)
    shutil.copy(ROOT / "settings.ini", folder / "mlnb" / "builtin" / "settings.ini")
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield folder
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755)


def as_another_user(folder: Path | None = None) -> list[str]:
    """Return how a command is run that may read everything and write only a folder, or nothing."""
    if os.getuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root writes everywhere, and there is no setpriv to become another user")
    for path in (folder, *folder.rglob("*")) if folder else ():
        os.chown(path, OTHER, OTHER)
    ids = [f"--reuid={OTHER}", f"--regid={OTHER}", "--clear-groups"]
    return ["setpriv", *ids, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]


@pytest.mark.parametrize("with_project", [True, False], ids=["in a project", "without a project"])
def test_a_run_writes_nothing_into_the_installation(installation: Path, tmp_path: Path, with_project: bool) -> None:
    work, home = tmp_path / "work", tmp_path / "home"
    home.mkdir()
    if with_project:
        toys.chain(work)
        command = ["run", "--no-report"]
    else:
        work.mkdir()
        rows = "\n".join(f"{n % 7},{'ab'[n % 2]},{'yn'[n % 2 if n % 5 else 0]}" for n in range(200))
        (work / "data.csv").write_text(f"size,kind,target\n{rows}\n")
        command = ["run", "--data", "data.csv", "--target", "target", "--upto", "ingest", "--profile", "smoke"]
    retained = {name: value for name, value in os.environ.items() if not name.startswith(("MLNB_", "XDG_", "PYTHON"))}
    variables = {"HOME": str(home), "PYTHONPATH": str(installation), "TMPDIR": str(home), "MLNB_KERNELS_IDLE": "2"}
    before = sorted(installation.rglob("*"))
    for again in range(2):
        done = subprocess.run(
            [*as_another_user(tmp_path), sys.executable, "-B", "-m", "mlnb.cli.main", *command, "--tracker", "local"],
            cwd=work,
            env=retained | variables,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "standard engine" not in done.stderr
        assert not again or "Nothing to do" in done.stdout
    assert sorted(installation.rglob("*")) == before
    assert (work / ".mlnb").is_dir() and (work / "runs" / "latest.json").exists()


def test_a_read_only_project_can_be_looked_at(tmp_path: Path) -> None:
    """What only reads works; what has to write names the file, without a traceback."""
    root, home = toys.chain(tmp_path / "project"), tmp_path / "home"
    mlnb_with_kernels(root, "run")
    mlnb_with_kernels(root, "kernels", "stop")
    home.mkdir()
    command = [*as_another_user(), sys.executable, "-B", "-m", "mlnb.cli.main"]
    if os.getuid() == 0:
        os.chown(home, OTHER, OTHER)
    else:
        for path in (root, *root.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
    environment = {**os.environ, "HOME": str(home), "MLNB_KERNELS_IDLE": "2"}
    expected = {
        ("runs",): 0,
        ("show",): 0,
        ("plan",): 0,
        ("stages",): 0,
        ("run",): 0,  # there is nothing to do
        ("clean",): 0,
        ("run", "--force", "total"): 2,
        ("report",): 2,
        ("models",): 3,
    }
    for arguments, code in expected.items():
        done = subprocess.run([*command, *arguments], cwd=root, env=environment, capture_output=True, text=True)
        assert (done.returncode, "Traceback" in done.stderr) == (code, False), (arguments, done.stderr)
        assert code == 0 or (str(root) in done.stderr and "Permission denied" in done.stderr), done.stderr
    for path in (root, *root.rglob("*")):
        path.chmod(0o755)
