"""Importing libraries ahead of the fork, except those whose import does more than define things.

What an import prints, warns, starts or registers belongs in the notebook that imports it, so such imports are rejected
here and happen there.
"""

import builtins
import contextlib
import functools
import importlib
import importlib.machinery
import io
import os
import re
import sys
import sysconfig
import threading
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

# What ipykernel and IPython import when the first cell runs.
KERNEL_MODULES = """
tornado.platform.asyncio pdb faulthandler IPython.core.debugger IPython.core.oinspect IPython.core.completerlib
IPython.core.magics IPython.core.magics.execution IPython.core.magics.script IPython.core.magics.namespace
IPython.core.magic_arguments IPython.core.logger IPython.extensions.storemagic IPython.utils.module_paths
IPython.utils.timing IPython.utils._process_posix sqlite3 unicodedata timeit resource pexpect pygments.formatters.html
pygments.formatters.terminal256 pygments.lexers.python pygments.styles.default executing asttokens pure_eval
stack_data psutil jupyter_client.session IPython.core.pylabtools asyncio.unix_events colorsys html
""".split()  # noqa: SIM905
# Never preloaded: they start devices or threads, or check at import whether a notebook imports them.
NEVER_PRELOADED = tuple(
    """
    torch tensorflow jax cupy cudf mxnet rmm numba.cuda tqdm.auto tqdm.autonotebook
    matplotlib_inline matplotlib.pylab google mpi4py ray pyspark debugpy pandas.plotting mlnb
    """.split()  # noqa: SIM905
)
IMPORT_STATEMENT = re.compile(r"^[ \t]*(?:from|import)[ \t]+([A-Za-z_]\w*)", re.MULTILINE)
REASON_LENGTH = 200  # characters of a reason that are kept
FileStamp = tuple[int, int]  # modification time in nanoseconds, size in bytes


def may_preload(name: str, never_preload: tuple[str, ...]) -> bool:
    """Return whether the name of a module permits preloading it."""
    parts = name.split(".")
    if any(part.startswith(("__", "enable_")) or part == "experimental" for part in parts):
        return False
    return not any(name == one or name.startswith(one + ".") for one in (*NEVER_PRELOADED, *never_preload))


def is_third_party(name: str) -> bool:
    """Return whether a module's top-level package is installed: neither the project's nor the standard library's."""
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names:
        return False
    if top in sys.modules:
        spec = getattr(sys.modules[top], "__spec__", None)
    else:
        spec = importlib.machinery.PathFinder.find_spec(top)
    origin = getattr(spec, "origin", None)
    return bool(origin) and str(origin).startswith(site_folders())


def imported_packages(modules: Iterable[tuple[str, ModuleType]]) -> set[str]:
    """Return the packages that import statements in the project's own modules name, inside functions too."""
    installed = (*site_folders(), sysconfig.get_paths()["stdlib"] + os.sep)
    packages: set[str] = set()
    for name, module in modules:
        file = getattr(module, "__file__", None)
        if (
            isinstance(file, str)
            and file.endswith(".py")
            and (name.startswith("mlnb.") or not file.startswith(installed))
        ):
            with contextlib.suppress(OSError, UnicodeDecodeError):
                packages.update(IMPORT_STATEMENT.findall(Path(file).read_text("utf-8")))
    return packages


@functools.cache
def site_folders() -> tuple[str, ...]:
    """Return the folders of installed packages."""
    paths = sysconfig.get_paths()
    return tuple(sorted({paths["purelib"] + os.sep, paths["platlib"] + os.sep}))


class StreamProxy(io.TextIOBase):
    """A standard stream that libraries may keep a reference to: it writes to whatever the stream is at that time.

    Args:
        name: "stdout" or "stderr".
    """

    def __init__(self, name: str) -> None:
        self._stream_name = name
        self.captured: list[str] = []
        self.preloading = True

    @property
    def _current(self) -> Any:
        stream = getattr(sys, self._stream_name)
        return getattr(sys, f"__{self._stream_name}__") if stream is self else stream

    def write(self, text: str) -> int:
        """Write to the current stream; capture the text instead while preloading."""
        if self.preloading:
            self.captured.append(text)
            return len(text)
        return int(self._current.write(text))

    def flush(self) -> None:
        """Flush the current stream."""
        if not self.preloading:
            self._current.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._current, name)

    def fileno(self) -> int:
        """Return the current stream's descriptor."""
        return int(self._current.fileno())

    def isatty(self) -> bool:
        """Return False, as a kernel's stream does."""
        return False


class ZMQInteractiveShell:
    """A stand-in for IPython's shell: libraries check its name and config at import to see that they are in a notebook.

    Any other use of it is a side effect, and is reported.
    """

    config: Mapping[str, Any] = MappingProxyType({"IPKernelApp": MappingProxyType({})})
    kernel = None

    def __init__(self, side_effects: list[str]) -> None:
        self.__dict__["_side_effects"] = side_effects

    def __getattr__(self, name: str) -> Any:
        self._side_effects.append(f"uses the notebook's shell when it is imported ({name})")
        raise AttributeError(name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._side_effects.append(f"changes the notebook's shell when it is imported ({name})")


class ImportRejected(Exception):
    """A module cannot be preloaded; the text is the reason."""


@contextlib.contextmanager
def reject_side_effects() -> Iterator[None]:
    """Raise `ImportRejected` when the code inside prints, warns, starts threads, or uses a notebook's shell."""
    side_effects: list[str] = []
    shell = ZMQInteractiveShell(side_effects)

    def get_ipython() -> ZMQInteractiveShell:
        return shell

    def showwarning(message: Any, *_: Any, **__: Any) -> None:
        side_effects.append(f"warns: {message}"[:REASON_LENGTH])

    import IPython
    import IPython.core.getipython

    streams = [sys.stdout, sys.stderr]
    threads = threading.active_count()
    original = IPython.get_ipython, IPython.core.getipython.get_ipython, warnings.showwarning
    IPython.get_ipython = IPython.core.getipython.get_ipython = get_ipython  # type: ignore[assignment]
    builtins.get_ipython = get_ipython  # type: ignore[attr-defined]
    warnings.showwarning = showwarning
    try:
        yield
    finally:
        IPython.get_ipython, IPython.core.getipython.get_ipython, warnings.showwarning = original
        del builtins.get_ipython  # type: ignore[attr-defined]
    for stream in streams:
        if isinstance(stream, StreamProxy) and stream.captured:
            side_effects.append(f"prints: {''.join(stream.captured)}"[:REASON_LENGTH])
            stream.captured.clear()
    if threading.active_count() > threads:
        side_effects.append("starts a thread")
    if side_effects:
        raise ImportRejected(side_effects[0])


def preload(names: list[str], preloaded: set[str], rejected: dict[str, str], on_import: Callable[[str], None]) -> bool:
    """Import modules; return whether one was rejected, after which this process must not be forked from.

    Args:
        names: the modules.
        preloaded: modules that are done; extended.
        rejected: rejected modules with the reason; extended.
        on_import: called before each import, so that one that kills the process is known, and with "" at the end.
    """
    missing = [name for name in names if name not in preloaded and name not in rejected]
    for name in missing:
        preloaded.add(name)
        if name in sys.modules:
            continue
        on_import(name)
        try:
            with reject_side_effects():
                _import(name)
        except ImportRejected as rejection:
            rejected[name] = str(rejection)
            return True
        except BaseException as error:  # noqa: BLE001 -- the notebook that imports it raises this, not the parent
            rejected[name] = f"fails to import: {type(error).__name__}: {error}"[:REASON_LENGTH]
            return True
    if missing:
        on_import("")
    return False


def _import(name: str) -> None:
    """Import a module; `package.name` may also be an attribute of the package."""
    package, _, _ = name.rpartition(".")
    if not package:
        importlib.import_module(name)
        return
    parent = importlib.import_module(package)
    path = getattr(parent, "__path__", None)
    if path is not None and importlib.machinery.PathFinder.find_spec(name, path) is not None:
        importlib.import_module(name)


def file_stamps(existing: Collection[str] = ()) -> dict[str, FileStamp]:
    """Return time and size of every file that modules were loaded from, and of the folders of installed packages.

    Args:
        existing: files that are left out, except folders: an import may write compiled code there.
    """
    files = {sys.executable}
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and file not in existing:
            files.add(file)
    for folder in site_folders():
        files.add(folder)
        files.update(str(path) for path in Path(folder).glob("*.pth"))
    return {file: file_stamp(file) for file in files}


def file_stamp(file: str) -> FileStamp:
    """Return a file's time and size; zeros when it is gone."""
    try:
        status = os.stat(file)
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_size)


def changed_file(stamps: dict[str, FileStamp]) -> str | None:
    """Return the first file whose time or size has changed, or None."""
    return next((file for file, before in stamps.items() if file_stamp(file) != before), None)
