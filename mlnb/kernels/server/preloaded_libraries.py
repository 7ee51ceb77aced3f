"""The libraries that a warm parent has preloaded, must not preload, and whether their files have changed since."""

import contextlib
import gc
import sys
import time
import warnings
from collections.abc import Iterator

from mlnb.kernels.protocol.messages import InheritedSnapshot, PreloadRecord
from mlnb.kernels.protocol.os_helpers import process_identity
from mlnb.kernels.protocol.parent_paths import ParentPaths
from mlnb.kernels.protocol.self_test import KernelSelfTest
from mlnb.kernels.server import preload
from mlnb.kernels.server.forked_process import KernelEntry

CHECK_INTERVAL = 0.5  # seconds for which files that were checked count as unchanged


@contextlib.contextmanager
def paused_collection() -> Iterator[None]:
    """Pause garbage collection: imports create many objects and hardly any garbage, a tenth of their time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class PreloadedLibraries:
    """The imports of one parent, remembered across restarts in its record.

    Args:
        paths: where the record is.
        never_preload: modules that the settings exclude.
    """

    def __init__(self, paths: ParentPaths, never_preload: list[str]) -> None:
        self.paths = paths
        self.preloaded: set[str] = set()
        record = paths.read_record()
        self.packages = [preload.file_stamp(file) for file in (*preload.site_folders(), preload.__file__)]
        same_packages = record.packages == self.packages
        self.rejected = dict(record.rejected) if same_packages else {}
        if same_packages and record.importing:  # the process before this one died in that import
            self.rejected[record.importing] = "ended the process that imported it"
        self.never_preload = tuple(never_preload)
        self.imports = list(record.imports)
        self.inherited = record.snapshots if record.process == process_identity() else []
        self.stamps: dict[str, preload.FileStamp] = {}
        self.checked = 0.0

    @paused_collection()
    def prepare(self) -> tuple[KernelEntry | None, str | None]:
        """Import what every kernel needs; return what a forked kernel runs, or None and why none can be forked."""
        sys.stdout, sys.stderr = preload.StreamProxy("stdout"), preload.StreamProxy("stderr")
        # ipykernel imports the debugger if it can, which takes 0.1 s and starts threads; kernels here have none
        sys.modules["debugpy"] = None  # type: ignore[assignment]
        import ipykernel.debugger  # noqa: F401

        del sys.modules["debugpy"]
        test = KernelSelfTest()
        for name in preload.KERNEL_MODULES:
            with contextlib.suppress(ImportError):
                __import__(name)
        problem = test.problem()
        if problem is not None:
            self._stamp_files()
            return None, problem
        from mlnb.kernels.kernel.ipython_kernel import run_jupyter_kernel, run_notebook_kernel

        base_packages = frozenset(name.partition(".")[0] for name in sys.modules)
        self._stamp_files()
        return KernelEntry(run_notebook_kernel, run_jupyter_kernel, list(warnings.filters), base_packages), None

    def _stamp_files(self) -> None:
        self.stamps |= preload.file_stamps(self.stamps)
        self.checked = time.monotonic()
        gc.collect()
        gc.freeze()  # garbage collection in kernels does not touch, and so copy, the memory that they share

    def write_record(self, importing: str = "", snapshots: list[InheritedSnapshot] | None = None) -> None:
        """Write the record for the next start of this parent."""
        record = PreloadRecord(
            imports=self.imports,
            rejected=self.rejected,
            importing=importing,
            packages=self.packages,
            process=process_identity() if snapshots else "",
            snapshots=snapshots or [],
        )
        with contextlib.suppress(OSError):
            self.paths.write_record(record)

    def not_preloaded(self, names: list[str]) -> list[str]:
        """Return the modules among `names` that can be preloaded and are not yet."""
        new = [name for name in names if name not in self.preloaded and name not in self.rejected]
        return [name for name in new if preload.may_preload(name, self.never_preload) and preload.is_third_party(name)]

    def preload(self, names: list[str]) -> bool:
        """Import modules; return whether one was rejected, after which this process must not be forked from."""
        self.imports += [name for name in names if name not in self.imports]
        with paused_collection():
            rejected = preload.preload(names, self.preloaded, self.rejected, self.write_record)
        if rejected:
            self.imports = [name for name in self.imports if name not in self.rejected]
            return True
        self._stamp_files()
        return False

    def changed_file(self) -> str | None:
        """Return a file that has changed since it was imported, or None; rejected modules are then tried again."""
        if time.monotonic() - self.checked < CHECK_INTERVAL:
            return None
        self.checked = time.monotonic()
        file = preload.changed_file(self.stamps)
        if file is not None:
            self.rejected = {}
        return file
