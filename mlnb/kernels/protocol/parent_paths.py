"""Settings of the kernels, and the files of a warm parent: one per project, interpreter and environment, owner-only."""

import contextlib
import hashlib
import json
import os
import socket
import sys
from pathlib import Path
from typing import NamedTuple

from mlnb.kernels.protocol.messages import MessageError, PreloadRecord, decode, encode
from mlnb.kernels.protocol.os_helpers import write_whole
from mlnb.machine import cache_folder
from mlnb.settings import ProjectSettings
from mlnb.settings_file import read_sections

PACKAGE = Path(__file__).resolve().parents[2]  # mlnb itself: its built-in project is in it when it is installed
PROTOCOL_VERSION = 3  # raised when a driver and a parent of different versions would misunderstand each other
# Prefixes of variables that libraries and the interpreter read once, when loaded: a parent serves one set of values.
READ_AT_LOAD = (
    "PYTHON", "LD_", "LC_", "LANG", "OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "BLIS_", "GOTO_", "VECLIB_",
    "NUMEXPR_", "NUMBA_", "ARROW_", "POLARS_", "CUDA_", "MPL", "HOME", "VIRTUAL_ENV", "XDG_", "JUPYTER_", "IPYTHON",
    "SKLEARN_", "JOBLIB_", "MALLOC_",
)  # fmt: skip
# Options of the interpreter that change its behavior; those set by the environment show here as well.
FLAGS = ("dev_mode", "dont_write_bytecode", "isolated", "no_site", "no_user_site", "optimize", "safe_path", "utf8_mode")


class KernelSettings(NamedTuple):
    """The settings of a project's kernels: settings.ini [mlnb], overridden by the environment.

    `folder` holds sockets and records; `engine` is "warm" or "standard"; `preload` and `never_preload` are modules;
    `max_kernels` notebooks may run side by side.
    """

    folder: Path
    engine: str
    preload: tuple[str, ...]
    never_preload: tuple[str, ...]
    idle_seconds: float
    max_kernels: int


def settings(start: Path) -> KernelSettings:
    """Return the settings of the project around `start`.

    The folder is in the project's store. It is the user's runtime folder without a project, for the built-in project
    of an installation, and in a project where this user may not write.

    Raises:
        MlnbError: settings.ini cannot be read, or a setting is unknown or wrong.
    """
    project = ProjectSettings()
    folder = _runtime_folder()
    for root in (start, *start.parents):
        sections = read_sections(root / "settings.ini")
        if "mlnb" in sections:
            project = ProjectSettings(sections["mlnb"], file_name=str(root / "settings.ini"))
            own = root / os.path.expanduser(project.store) / "kernels"
            folder = own if _may_hold_state(own) else folder
            break
    return KernelSettings(
        folder,
        project.kernels,
        project.preload,
        project.preload_never,
        project.kernels_idle,
        project.kernels_at_once or max(2, os.cpu_count() or 1) + 1,  # one more that waits to continue
    )


def imports_cache() -> Path:
    """Return the file that keeps what modules import, for all projects of this user."""
    return _runtime_folder() / f"imports-{sys.version_info[0]}.{sys.version_info[1]}.cache"


def _runtime_folder() -> Path:
    """Return a folder of this user: the first of runtime, cache and temporary folder that can be written."""
    candidates = []
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        candidates.append(Path(runtime) / "mlnb-kernels")
    with contextlib.suppress(RuntimeError):  # this user has no home
        candidates.append(cache_folder() / "kernels")
    temporary = Path(os.environ.get("TMPDIR") or "/tmp") / f"mlnb-kernels-{os.getuid()}"
    return next(filter(_may_hold_state, candidates), temporary)


def _may_hold_state(folder: Path) -> bool:
    """Return whether this user may keep state in a folder: it is not in the installation, and can be written."""
    if folder.resolve().is_relative_to(PACKAGE):
        return False
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return os.access(existing, os.W_OK) and (existing != folder or existing.stat().st_uid == os.getuid())


def parent_key(environment: dict[str, str]) -> str:
    """Return the name of the parent that serves this interpreter under `environment`."""
    loaded = {name: value for name, value in environment.items() if name.startswith(READ_AT_LOAD)}
    flags = {name: getattr(sys.flags, name) for name in FLAGS}
    identity = [PROTOCOL_VERSION, sys.executable, sys.prefix, sys.version, flags, __file__, loaded]
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]


class ParentPaths(NamedTuple):
    """The files of one warm parent in the folder of its project."""

    folder: Path
    key: str

    def prepare(self) -> None:
        """Make the folder and its missing parents, readable by their owner alone.

        Raises:
            OSError: the folder belongs to another user.
        """
        missing = [folder for folder in (self.folder, *self.folder.parents) if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir(0o700, exist_ok=True)
        if self.folder.stat().st_uid != os.getuid():
            raise PermissionError(f"{self.folder} belongs to another user")
        if self.folder.stat().st_mode & 0o077:
            self.folder.chmod(0o700)

    @property
    def socket_path(self) -> Path:
        """The socket on which the parent listens."""
        return self.folder / f"{self.key}.sock"

    @property
    def lock_path(self) -> Path:
        """Held by the process that starts the parent."""
        return self.folder / f"{self.key}.lock"

    @property
    def log_path(self) -> Path:
        """The parent's standard output and error."""
        return self.folder / f"{self.key}.log"

    @property
    def record_path(self) -> Path:
        """The parent's `PreloadRecord`."""
        return self.folder / f"{self.key}.json"

    def address(self, descriptor: int) -> str:
        """Return the socket's path through an open descriptor of the folder: short, however long the path is."""
        return f"/proc/self/fd/{descriptor}/{self.socket_path.name}"

    def connect(self, timeout: float | None = None) -> socket.socket:
        """Return a connection to the parent. Raises `OSError` when none listens."""
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(timeout)
            connection.connect(self.address(descriptor))
        except OSError:
            connection.close()
            raise
        finally:
            os.close(descriptor)
        return connection

    def read_record(self) -> PreloadRecord:
        """Return the record; an empty one when there is none or it cannot be read."""
        with contextlib.suppress(OSError, MessageError):
            return decode(self.record_path.read_bytes(), PreloadRecord)
        return PreloadRecord()

    def write_record(self, record: PreloadRecord) -> None:
        """Write the record atomically."""
        write_whole(self.record_path, encode(record))


def recorded_imports(folder: Path) -> list[str]:
    """Return the imports that the parents of a folder preload, each once."""
    records = [ParentPaths(folder, path.stem).read_record() for path in sorted(folder.glob("*.json"))]
    return list(dict.fromkeys(name for record in records for name in record.imports))


def find_parents(folder: Path) -> list[ParentPaths]:
    """Return the paths of every parent that may be listening in a folder."""
    return [ParentPaths(folder, path.stem) for path in sorted(folder.glob("*.sock"))]
