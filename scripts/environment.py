"""Create .venv and install the project into it; `make` calls it when needed.

    python3 scripts/environment.py [--stamp FILE]

Run it with the Python that the environment is to have; it needs nothing else. An environment whose set-up was
interrupted is made anew; one that is merely out of date, or made by hand, is brought up to date in place.
Libraries are the files whose SHA-256 digests requirements-dev.txt lists. uv installs them when it can, else pip.
"""

import argparse
import fcntl
import os
import re
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
UNFINISHED = VENV / ".set-up-unfinished"
LOCKED = "requirements-dev.txt"
IMPORTS = (  # of the notebooks of a run, and of the processes around them
    "import importlib, pathlib\n"
    "for path in pathlib.Path('mlnb/stages').glob('[a-z]*.py'): importlib.import_module(f'mlnb.stages.{path.stem}')",
    "import bentoml, ipykernel.kernelapp, matplotlib_inline.backend_inline, papermill.execute, wandb\n"
    "import mlnb.api.run_execution, mlnb.cli.run, mlnb.reports.run_report, mlnb.serving.packaging.bento_server",
)
OLDEST, NEWEST = (3, 11), (3, 13)  # what the project is tested on


def version_of(python: Path | str) -> tuple[int, int] | None:
    """Return (major, minor) of an interpreter, or None when it does not start."""
    try:
        answer = subprocess.run(
            [python, "-c", "import sys; print(*sys.version_info[:2])"],
            capture_output=True,
            text=True,
            check=True,
        )
        major, minor = answer.stdout.split()
        return int(major), int(minor)
    except (OSError, ValueError, subprocess.CalledProcessError):
        return None


def create() -> None:
    """Make an empty environment, unless there is a sound one of this Python already."""
    if VENV.exists() and (UNFINISHED.exists() or version_of(PYTHON) != sys.version_info[:2]):
        print("  the environment is unfinished or of another Python: making it anew")
        shutil.rmtree(VENV)
    if not VENV.exists():
        VENV.mkdir()
        UNFINISHED.touch()
        try:
            venv.create(VENV, with_pip=True, symlinks=True)
        except subprocess.CalledProcessError:  # a Python without ensurepip, as some distributions have it
            venv.create(VENV, symlinks=True, clear=True)
            UNFINISHED.touch()
            bootstrap = [sys.executable, "-m", "pip", "--python", str(PYTHON), "install", "--quiet", "pip"]
            if subprocess.run(bootstrap).returncode:
                raise SystemExit("A new environment has no pip: apt install python3-venv, then try again.") from None
    UNFINISHED.touch()


def pip(*arguments: str, quiet: bool = False) -> subprocess.CompletedProcess[str]:
    """Run the environment's pip and return what came of it."""
    command = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, cwd=ROOT, text=True, capture_output=quiet)


def pip_settings() -> dict[str, str]:
    """Return pip's own settings by name, `index-url` for instance: uv does not read them."""
    lines = (line.partition("=") for line in pip("config", "list", quiet=True).stdout.splitlines())
    return {key.rpartition(".")[2]: value.strip().strip("'\"") for key, _, value in lines}


def install_with_uv(*commands: list[str]) -> bool:
    """Install with uv, several times faster than pip; return False when it cannot be had or fails."""
    settings = pip_settings()
    if "no-index" in settings:
        return False
    if pip("install", "--quiet", "--require-hashes", "-r", str(write_uv_pin()), quiet=True).returncode:
        return False
    environment = {**os.environ, "UV_SYSTEM_CERTS": "true"}
    if "index-url" in settings:
        environment.setdefault("UV_DEFAULT_INDEX", settings["index-url"])
    if "cert" in settings:
        environment.setdefault("SSL_CERT_FILE", settings["cert"])
    uv = [str(VENV / "bin" / "uv"), "pip", "install", "--quiet", "--python", str(PYTHON)]
    return all(
        subprocess.run([*uv, *command], cwd=ROOT, env=environment, capture_output=True).returncode == 0
        for command in commands
    )


def write_uv_pin() -> Path:
    """Return a requirements file that has uv alone, with its hashes."""
    entries = re.split(r"\n(?! )", (ROOT / LOCKED).read_text(encoding="utf-8"))
    path = VENV / "uv.txt"
    path.write_text("".join(f"{entry}\n" for entry in entries if entry.startswith("uv==")), encoding="utf-8")
    return path


def install() -> None:
    """Install the libraries, then the project, editable; or end with a message."""
    libraries = ["--no-deps", "--require-hashes", "-r", LOCKED]  # pip resolves extras of listed libraries anew
    project = ["--no-deps", "--no-build-isolation", "--editable", "."]
    if install_with_uv(libraries, project):
        return
    print("  uv cannot be used here; pip can, and takes a few minutes")
    if any(pip("install", "--quiet", "--no-compile", *command).returncode for command in (libraries, project)):
        raise SystemExit(
            "The installation failed, see the message of pip above. Fix the cause and run the same command again."
        )


def compile_imports() -> None:
    """Compile the modules that a run imports, in as many processes as there are groups of them.

    The libraries have 34,000 modules, most of which no run imports: compiling all of them took longer than installing
    them. Python compiles the others when they are imported first.
    """
    started = [subprocess.Popen([PYTHON, "-c", code], cwd=ROOT, stderr=subprocess.DEVNULL) for code in IMPORTS]
    for process in started:
        process.wait()  # what fails here is reported by the command that needs it


def main() -> None:
    """Set up the environment and write the file that marks it as complete."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--stamp", type=Path, help="file to write when all is done; older ones in its folder are removed first"
    )
    args = parser.parse_args()
    python = ".".join(map(str, sys.version_info[:2]))
    if sys.version_info[:2] < OLDEST:
        raise SystemExit(f"Found Python {python}, expected 3.11 or newer: make PYTHON=/path/to/python3.12")
    lock = os.open(ROOT, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)  # two commands on a fresh clone: the second waits, then finds the file
    if args.stamp and args.stamp.exists() and not UNFINISHED.exists() and version_of(PYTHON) == sys.version_info[:2]:
        return
    started = time.monotonic()
    untested = "" if sys.version_info[:2] <= NEWEST else ", newer than any this is tested on"
    print(f"Setting up .venv with Python {python}{untested} …", flush=True)
    create()
    for old in VENV.glob(".ready-*"):
        old.unlink()
    for old in ROOT.glob("*.egg-info"):  # of an earlier build: Python would take its versions for the installed ones
        shutil.rmtree(old)
    install()
    compile_imports()
    if args.stamp:
        args.stamp.touch()
    UNFINISHED.unlink()
    print(f"  ready after {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    main()
