"""Where a warm parent lives: one a project, interpreter and environment, in the project's own folder, owner-only."""

import configparser
import contextlib
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

PROTOCOL = 2  # raised when driver and parent of different versions would misunderstand each other
# What libraries and the interpreter read once, when they are loaded; a parent serves one set of these values.
READ_AT_LOAD = (
    "PYTHON", "LD_", "LC_", "LANG", "OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "BLIS_", "GOTO_", "VECLIB_",
    "NUMEXPR_", "NUMBA_", "ARROW_", "POLARS_", "CUDA_", "MPL", "HOME", "VIRTUAL_ENV", "XDG_", "JUPYTER_", "IPYTHON",
    "SKLEARN_", "JOBLIB_", "MALLOC_",
)  # fmt: skip
# Options of the interpreter that change what it does; those that the environment sets are seen there.
FLAGS = ("dev_mode", "dont_write_bytecode", "isolated", "no_site", "no_user_site", "optimize", "safe_path", "utf8_mode")
IDLE = 600.0  # seconds without a notebook after which a parent ends


class Settings(NamedTuple):
    """What a project says about kernels: settings.ini [mlnb], the environment before it."""

    folder: Path  # where sockets and notes are
    kernels: str  # warm or standard
    preload: tuple[str, ...]  # imported ahead, besides what the notebooks import
    never: tuple[str, ...]  # never imported ahead
    idle: float  # seconds
    at_once: int  # notebooks side by side


def settings(start: Path) -> Settings:
    """Return the settings of the project around `start`; outside of one, kernels live in the user's runtime folder."""
    values: dict[str, str] = {}
    folder = _runtime_folder()
    for root in (start, *start.parents):
        if (root / "settings.ini").is_file():
            parser = configparser.ConfigParser(interpolation=None)
            with contextlib.suppress(configparser.Error, OSError, UnicodeDecodeError):
                parser.read(root / "settings.ini", encoding="utf-8")
            if parser.has_section("mlnb"):
                values = dict(parser["mlnb"])
                folder = root / values.get("store", ".mlnb") / "kernels"
                break
    return Settings(
        folder,
        os.environ.get("MLNB_KERNELS", values.get("kernels", "warm")),
        tuple(values.get("preload", "").split()),
        tuple(values.get("preload_never", "").split()),
        float(os.environ.get("MLNB_KERNELS_IDLE", values.get("kernels_idle", IDLE))),
        int(values.get("kernels_at_once", 0)) or max(2, os.cpu_count() or 1) + 1,  # one that waits to go on
    )


def _runtime_folder() -> Path:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.access(runtime, os.W_OK):
        return Path(runtime) / "mlnb-kernels"
    return Path.home() / ".cache" / "mlnb" / "kernels"


def key(environment: dict[str, str]) -> str:
    """Return the name of the parent that serves this interpreter under `environment`."""
    seen = {name: value for name, value in environment.items() if name.startswith(READ_AT_LOAD)}
    flags = {name: getattr(sys.flags, name) for name in FLAGS}
    about = [PROTOCOL, sys.executable, sys.prefix, sys.version, flags, __file__, seen]
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:12]


class Place(NamedTuple):
    """The files of one warm parent."""

    folder: Path
    key: str

    def prepare(self) -> None:
        """Make the folder, for its owner alone."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.folder.stat().st_mode & 0o077:
            self.folder.chmod(0o700)

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.folder / f"{self.key}.sock"

    @property
    def lock(self) -> Path:
        """Held by whoever starts it."""
        return self.folder / f"{self.key}.lock"

    @property
    def log(self) -> Path:
        """What it has said."""
        return self.folder / f"{self.key}.log"

    @property
    def notes(self) -> Path:
        """What it has learned: which imports notebooks need, and which must not be made ahead, and why."""
        return self.folder / f"{self.key}.json"

    def address(self, descriptor: int) -> str:
        """Return the socket's path by way of an open descriptor of the folder: short, however long the path is."""
        return f"/proc/self/fd/{descriptor}/{self.socket.name}"

    def read_notes(self) -> dict[str, Any]:
        """Return the notes; none when there are none or they cannot be read."""
        with contextlib.suppress(OSError, ValueError):
            found = json.loads(self.notes.read_text())
            if isinstance(found, dict):
                return found
        return {}

    def write_notes(self, notes: dict[str, Any]) -> None:
        """Write the notes whole."""
        partial = self.notes.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(json.dumps(notes, indent=1, sort_keys=True))
        partial.replace(self.notes)


def learned(folder: Path) -> list[str]:
    """Return the imports that any parent of a folder has learned to have ready."""
    notes = [Place(folder, path.stem).read_notes() for path in sorted(folder.glob("*.json"))]
    return list(dict.fromkeys(name for note in notes for name in note.get("imports", [])))


def here(folder: Path) -> list[Place]:
    """Return the places in a folder at which a parent may listen."""
    return [Place(folder, path.stem) for path in sorted(folder.glob("*.sock"))]
