"""What a warm parent has imported, learns to import, and must leave alone; and whether any of it has changed since."""

import contextlib
import gc
import sys
import time
import warnings
from typing import Any

from mlnb.kernels.protocol.parent_paths import Place
from mlnb.kernels.protocol.wire import request, requested
from mlnb.kernels.server import forked_process, preload

CHECK = 0.5  # seconds for which files that were looked at count as unchanged


class Library:
    """The imports of one parent, remembered in its notes from life to life."""

    def __init__(self, place: Place, never: list[str]) -> None:
        self.place = place
        self.done: set[str] = set()
        notes = place.read_notes()
        self.packages = [preload.stamp(file) for file in (*preload.site_folders(), preload.__file__)]
        same = notes.get("packages") == [list(stamp) for stamp in self.packages]
        self.never: dict[str, str] = notes.get("never", {}) if same else {}  # new packages get a new chance
        if same and notes.get("trying"):  # the process before this one did not survive that import
            self.never[notes["trying"]] = "ended the process that imported it"
        self.declared_never = tuple(never)
        self.imports: list[str] = notes.get("imports", [])
        self.handed_on: list[list[Any]] = notes.get("kept", []) if notes.get("pid") == forked_process.identity() else []
        self.signed: dict[str, tuple[int, int]] = {}
        self.checked = 0.0

    def prepare(self) -> None:
        """Import what every kernel needs."""
        sys.stdout, sys.stderr = preload.Standin("stdout"), preload.Standin("stderr")
        sys.modules["debugpy"] = None  # type: ignore[assignment]  # no debugger: it costs 0.1 s and starts threads
        import ipykernel.debugger  # noqa: F401

        del sys.modules["debugpy"]
        from mlnb.kernels.kernel.ipython_kernel import launch, serve

        forked_process.from_parent.update(
            serve=serve, launch=launch, request=request, requested=requested, named=preload.named
        )
        for name in preload.KERNEL:
            with contextlib.suppress(ImportError):
                __import__(name)
        forked_process.from_parent["filters"] = list(warnings.filters)
        forked_process.from_parent["base"] = {name.partition(".")[0] for name in sys.modules}
        self._sign()

    def _sign(self) -> None:
        self.signed = preload.signature()
        self.checked = time.monotonic()
        gc.collect()
        gc.freeze()  # the memory that children share is not touched by their garbage collection

    def note(self, trying: str = "", kept: list[list[Any]] | None = None) -> None:
        """Write down what the next life must know."""
        notes = {"imports": self.imports, "never": self.never, "trying": trying, "packages": self.packages}
        with contextlib.suppress(OSError):
            self.place.write_notes(notes | ({"kept": kept, "pid": forked_process.identity()} if kept else {}))

    def unknown(self, names: list[str]) -> list[str]:
        """Return those of `names` that are still to be imported, and may be."""
        names = [name for name in names if name not in self.done and name not in self.never]
        return [name for name in names if preload.allowed(name, self.declared_never) and preload.third_party(name)]

    def learn(self, names: list[str]) -> bool:
        """Import libraries ahead; return whether one may not be, which leaves this process unfit to fork from."""
        self.imports += [name for name in names if name not in self.imports]
        if preload.preload(names, self.done, self.never, self.note):
            self.imports = [name for name in self.imports if name not in self.never]
            return True
        self._sign()
        return False

    def changed(self) -> str | None:
        """Return a file that is not what was imported from it, or None; what was refused then gets a new chance."""
        if time.monotonic() - self.checked < CHECK:
            return None
        self.checked = time.monotonic()
        file = preload.changed(self.signed)
        if file is not None:
            self.never = {}
        return file
