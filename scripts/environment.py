"""Create .venv and install the project into it; `make` calls it when needed.

    python3 scripts/environment.py [--stamp FILE]

Run it with the Python that the environment is to have; it needs nothing else. An environment whose set-up was
interrupted is made anew; one that is merely out of date, or made by hand, is brought up to date in place.
Libraries are the files whose SHA-256 digests requirements-dev.txt lists. uv installs them when it can, else pip.
"""

import argparse
import fcntl
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
UNFINISHED = VENV / ".set-up-unfinished"
UNPACKED = VENV / ".unpacked-pip"
LOCKED = "requirements-dev.txt"
IMPORTS = (  # of the notebooks of a run, and of the processes around them
    "import importlib, pathlib\n"
    "for path in pathlib.Path('mlnb/stages').glob('[a-z]*.py'): importlib.import_module(f'mlnb.stages.{path.stem}')",
    "import bentoml, ipykernel.kernelapp, matplotlib_inline.backend_inline, papermill.execute, wandb\n"
    "import mlnb.api.run_execution, mlnb.cli.run, mlnb.reports.run_report, mlnb.serving.packaging.bento_server",
)
NO_PIP = "A new environment has no pip: apt install python3-venv, then try again."
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


def create() -> "subprocess.Popen[bytes] | None":
    """Make an empty environment, unless there is a sound one of this Python already.

    Returns:
        The process that installs pip in the meantime; None when there is pip already.
    """
    if VENV.exists() and (UNFINISHED.exists() or version_of(PYTHON) != sys.version_info[:2]):
        print("  the environment is unfinished or of another Python: making it anew")
        shutil.rmtree(VENV)
    if not VENV.exists():
        VENV.mkdir()
        UNFINISHED.touch()
        if unpack_pip():
            venv.create(VENV, symlinks=True)
            command = [str(PYTHON), "-m", "ensurepip", "--upgrade", "--default-pip"]
            return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        create_with_pip()
    UNFINISHED.touch()
    return None


def create_with_pip() -> None:
    """Make an environment with pip where the files of Python's own pip are not known."""
    try:
        venv.create(VENV, with_pip=True, symlinks=True)
    except subprocess.CalledProcessError:  # a Python without ensurepip, as some distributions have it
        venv.create(VENV, symlinks=True, clear=True)
        UNFINISHED.touch()
        bootstrap = [sys.executable, "-m", "pip", "--python", str(PYTHON), "install", "--quiet", "pip"]
        if subprocess.run(bootstrap).returncode:
            raise SystemExit(NO_PIP) from None


def unpack_pip() -> bool:
    """Unpack the pip that Python has for new environments: it installs uv while pip is installed, which takes longer.

    Returns:
        Whether Python has one.
    """
    spec = importlib.util.find_spec("ensurepip")
    if spec is None or spec.origin is None:
        return False
    folder = sysconfig.get_config_var("WHEEL_PKG_DIR") or Path(spec.origin).parent / "_bundled"
    wheels = sorted(Path(folder).glob("pip-*.whl"))
    if wheels:
        with zipfile.ZipFile(wheels[-1]) as wheel:
            wheel.extractall(UNPACKED)
    return bool(wheels)


def pip(*arguments: str, quiet: bool = False) -> subprocess.CompletedProcess[str]:
    """Run pip for the environment and return what came of it: the unpacked one while there is one."""
    program = [str(UNPACKED / "pip")] if UNPACKED.exists() else ["-m", "pip"]
    command = [str(PYTHON), *program, "--disable-pip-version-check", *arguments]
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


def install(installing_pip: "subprocess.Popen[bytes] | None" = None) -> None:
    """Install the libraries, then the project, editable; or end with a message.

    Args:
        installing_pip: the process that installs pip.
    """
    libraries = ["--no-deps", "--require-hashes", "-r", LOCKED]  # pip resolves extras of listed libraries anew
    project = ["--no-deps", "--no-build-isolation", "--editable", "."]
    done = install_with_uv(libraries, project)
    shutil.rmtree(UNPACKED, ignore_errors=True)
    if installing_pip is not None and installing_pip.wait():
        raise SystemExit(NO_PIP)
    if done:
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
    installing_pip = create()
    for old in VENV.glob(".ready-*"):
        old.unlink()
    for old in ROOT.glob("*.egg-info"):  # of an earlier build: Python would take its versions for the installed ones
        shutil.rmtree(old)
    install(installing_pip)
    compile_imports()
    if args.stamp:
        args.stamp.touch()
    UNFINISHED.unlink()
    print(f"  ready after {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    main()
