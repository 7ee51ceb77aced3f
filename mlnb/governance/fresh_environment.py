"""A virtual environment with the packages of a run: installed by pip, then verified against the recorded digests."""

import base64
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from mlnb.engine.digests import StatCache
from mlnb.errors import NotReproducible
from mlnb.governance.run_environment import INFO, Package, RunEnvironment, installed_packages, wheel_files

LIBRARY = "mlnb"  # in editable mode its modules come from the archive of the run
NOT_FOUND = re.compile(r"No matching distribution found for ([^\s(]+)")
THREADS = 4
LINES = 8  # of what pip reports


def build_environment(
    recorded: RunEnvironment,
    folder: Path,
    wheels: Path | None,
    has_library: bool,
    report: Callable[[str], None],
) -> tuple[Path, list[str]]:
    """Make a virtual environment with the packages of a run; return its Python, and notes for the reader.

    Args:
        recorded: The environment of the run.
        folder: Where it is made.
        wheels: Folder of wheels to install from, without any network; None: as pip is configured.
        has_library: Whether the modules of mlnb come from elsewhere.
        report: Takes a line on what happens next.

    Raises:
        NotReproducible: A wheel or the version of Python is missing, or a package has other contents than recorded.
    """
    skipped = {LIBRARY} if has_library else set()
    packages = {name: package for name, package in recorded.packages.items() if name not in skipped}
    without = [name for name, package in packages.items() if package.contents is None]
    if without and all(package.contents is None for package in packages.values()):
        raise NotReproducible("the digests of its wheels, which an earlier version of mlnb has not recorded: --here")
    if LIBRARY in without:
        raise NotReproducible("the source code of mlnb, which was installed in editable mode: --here")
    installed = {name: package for name, package in packages.items() if package.contents is not None}
    notes = [f"{', '.join(without)}: not installed from a wheel, left out"] if without else []
    python = _find_python(recorded.python)
    if wheels is not None:
        check_wheels(installed, wheels)
    source = (
        f"from {wheels}, offline" if wheels is not None else "with pip as it is configured, which may download them"
    )
    report(f"installs {len(installed)} packages {source}")
    _run([python, "-m", "venv", str(folder)], "a virtual environment")
    inside = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    _install(inside, installed, folder, wheels)
    report("verifies the installed files")
    verify_packages(installed, _site_packages(inside))
    return inside, notes


def _find_python(version: str) -> str:
    """Return an interpreter of a version's minor release. Raises `NotReproducible` where there is none."""
    minor = ".".join(version.split(".")[:2])
    if f"{sys.version_info.major}.{sys.version_info.minor}" == minor:
        return sys.executable
    path = shutil.which(f"python{minor}")
    if path is None:
        raise NotReproducible(f"Python {minor}: there is no python{minor} on the PATH; install it")
    return path


def check_wheels(packages: Mapping[str, Package], folder: Path) -> None:
    """Raise `NotReproducible` with the packages that a folder has no wheel of."""
    available = set()
    for path in folder.glob("*.whl"):
        try:
            name, version, _, _ = parse_wheel_filename(path.name)
        except InvalidWheelFilename:
            continue
        available.add((str(name), str(version)))
    missing = [
        f"{name}=={package.version}"
        for name, package in packages.items()
        if (canonicalize_name(name), package.version) not in available
    ]
    if missing:
        raise NotReproducible(f"the wheels of {', '.join(missing)}: not in {folder}")


def _install(python: Path, packages: Mapping[str, Package], folder: Path, wheels: Path | None) -> None:
    """Install exactly these packages. Raises `NotReproducible` with the one that pip does not find."""
    requirements = folder / "requirements.txt"
    requirements.write_text("".join(f"{name}=={package.version}\n" for name, package in packages.items()))
    offline = ["--no-index", "--find-links", str(wheels)] if wheels is not None else []
    command = [str(python), "-m", "pip", "install", "--no-deps", "--no-compile", "--disable-pip-version-check"]
    _run([*command, "--quiet", *offline, "-r", str(requirements)], "the packages")
    wanted = {canonicalize_name(name) for name in packages}
    present = installed_packages([str(_site_packages(python))], StatCache(folder / "no cache"))
    if extra := [name for name in present if canonicalize_name(name) not in wanted]:  # of the virtual environment
        _run([str(python), "-m", "pip", "uninstall", "--yes", "--quiet", *extra], "the packages")


def _run(command: list[str], what: str) -> None:
    """Run a command. Raises `NotReproducible` when it fails."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode == 0:
        return
    text = (done.stderr + done.stdout).strip()
    if missing := NOT_FOUND.findall(text):
        raise NotReproducible(f"the wheels of {', '.join(dict.fromkeys(missing))}: pip finds none")
    lines = "\n  ".join(text.splitlines()[-LINES:])
    raise NotReproducible(f"{what}, as {' '.join(command[1:4])} failed:\n  {lines}")


def _site_packages(python: Path) -> Path:
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return Path(subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True).stdout.strip())


def verify_packages(packages: Mapping[str, Package], folder: Path) -> None:
    """Raise `NotReproducible` with the packages whose files are not those that were recorded."""
    present = installed_packages([str(folder)], StatCache(folder / "no cache"))
    by_name = {canonicalize_name(name): package for name, package in present.items()}
    wrong = []
    for name, package in packages.items():
        now = by_name.get(canonicalize_name(name))
        if now is None or (now.version, now.contents) != (package.version, package.contents):
            wrong.append(f"{name}=={package.version}")
    if wrong:
        raise NotReproducible(f"wheels with the recorded contents: those of {', '.join(wrong)} have other files")
    damaged = sorted(_damaged_files(folder))
    if damaged:
        raise NotReproducible(f"the recorded files of packages: pip has installed another {', '.join(damaged[:5])}")


def _damaged_files(folder: Path) -> Iterator[str]:
    """Yield the installed files that do not have the digest of their RECORD."""
    for record in folder.glob(f"*{INFO}/RECORD"):
        files = list(wheel_files(record.read_text()))
        with ThreadPoolExecutor(THREADS) as pool:
            digests = pool.map(_digest, (folder / file.path for file in files))
            yield from (file.path for file, digest in zip(files, digests, strict=True) if digest != file.digest)


def _digest(path: Path) -> str:
    """Return the digest of a file as RECORD has it; empty when there is no file."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return ""
    return f"sha256={base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


def differences(recorded: RunEnvironment, current: RunEnvironment) -> list[str]:
    """Return in what two environments differ, a line each: machine, interpreter, limits of threads, and packages."""
    names = ("python", "implementation", "system", "machine", "processor", "cores", "blas", "threads")
    lines = [
        f"{name}: {before} -> {now}"
        for name in names
        if (before := getattr(recorded, name)) != (now := getattr(current, name))
    ]
    return lines + list(_package_differences(recorded.packages, current.packages))


def _package_differences(recorded: Mapping[str, Package], current: Mapping[str, Package]) -> Iterable[str]:
    for name in sorted(recorded.keys() | current.keys()):
        before, now = recorded.get(name), current.get(name)
        if before is None or now is None:
            versions = (package.version if package else "not installed" for package in (before, now))
            yield f"{name}: {' -> '.join(versions)}"
        elif before.version != now.version:
            yield f"{name}: {before.version} -> {now.version}"
        elif before.contents != now.contents and before.contents is not None and now.contents is not None:
            yield f"{name}: {before.version}, with other files"
