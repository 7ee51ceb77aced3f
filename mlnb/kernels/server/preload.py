"""Importing ahead, with care: what an import does besides defining things must happen in the notebook, not here."""

import builtins
import contextlib
import importlib
import importlib.machinery
import io
import os
import re
import sys
import sysconfig
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

# What ipykernel and IPython import when the first cell runs.
KERNEL = """
tornado.platform.asyncio pdb faulthandler IPython.core.debugger IPython.core.oinspect IPython.core.completerlib
IPython.core.magics IPython.core.magics.execution IPython.core.magics.script IPython.core.magics.namespace
IPython.core.magic_arguments IPython.core.logger IPython.extensions.storemagic IPython.utils.module_paths
IPython.utils.timing IPython.utils._process_posix sqlite3 unicodedata timeit resource pexpect pygments.formatters.html
pygments.formatters.terminal256 pygments.lexers.python pygments.styles.default executing asttokens pure_eval
stack_data psutil jupyter_client.session IPython.core.pylabtools asyncio.unix_events colorsys html
""".split()  # noqa: SIM905
# Never ahead: they start devices or threads, or ask at import whether a notebook imports them.
NEVER = tuple(
    """
    torch tensorflow jax cupy cudf mxnet rmm numba.cuda tqdm.auto tqdm.autonotebook
    matplotlib_inline.backend_inline matplotlib.pylab google mpi4py ray pyspark debugpy pandas.plotting mlnb
    """.split()  # noqa: SIM905
)
IMPORT = re.compile(r"^[ \t]*(?:from|import)[ \t]+([A-Za-z_]\w*)", re.MULTILINE)
SAID = 200  # characters kept of what an import printed


def allowed(name: str, never: tuple[str, ...]) -> bool:
    """Return whether a module may be imported ahead by its name alone."""
    parts = name.split(".")
    if any(part.startswith(("__", "enable_")) or part == "experimental" for part in parts):
        return False
    return not any(name == one or name.startswith(one + ".") for one in (*NEVER, *never))


def third_party(name: str) -> bool:
    """Return whether a module's top-level package is installed, neither the project's nor the interpreter's own."""
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names:
        return False
    spec = sys.modules[top].__spec__ if top in sys.modules else importlib.machinery.PathFinder.find_spec(top)
    origin = getattr(spec, "origin", None)
    return bool(origin) and str(origin).startswith(site_folders())


def named(modules: list[tuple[str, Any]]) -> set[str]:
    """Return the packages that an import statement of the project's own loaded modules names, also in functions."""
    installed = (*site_folders(), sysconfig.get_paths()["stdlib"] + os.sep)
    found: set[str] = set()
    for name, module in modules:
        file = getattr(module, "__file__", None)
        if (
            isinstance(file, str)
            and file.endswith(".py")
            and (name.startswith("mlnb.") or not file.startswith(installed))
        ):
            with contextlib.suppress(OSError, UnicodeDecodeError):
                found.update(IMPORT.findall(Path(file).read_text("utf-8")))
    return found


def site_folders() -> tuple[str, ...]:
    """Return the folders that installed packages are in."""
    paths = sysconfig.get_paths()
    return tuple(sorted({paths["purelib"] + os.sep, paths["platlib"] + os.sep}))


class Standin(io.TextIOBase):
    """A standard stream that libraries may keep when they are imported: it hands on to whatever the stream is now."""

    def __init__(self, name: str) -> None:
        self._stream_name = name
        self.heard: list[str] = []
        self.preloading = True

    @property
    def _now(self) -> Any:
        stream = getattr(sys, self._stream_name)
        return getattr(sys, f"__{self._stream_name}__") if stream is self else stream

    def write(self, text: str) -> int:
        """Write to the stream of now; remember it while importing ahead."""
        if self.preloading:
            self.heard.append(text)
            return len(text)
        return int(self._now.write(text))

    def flush(self) -> None:
        """Flush the stream of now."""
        if not self.preloading:
            self._now.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._now, name)

    def fileno(self) -> int:
        """Return the stream's descriptor."""
        return int(self._now.fileno())

    def isatty(self) -> bool:
        """Return False, as a kernel's stream does."""
        return False


class ZMQInteractiveShell:
    """What a library that asks at import whether it is in a notebook is told: yes; to anything more, nothing."""

    config: Mapping[str, Any] = MappingProxyType({"IPKernelApp": MappingProxyType({})})
    kernel = None

    def __init__(self, asked: list[str]) -> None:
        self.__dict__["_asked"] = asked

    def __getattr__(self, name: str) -> Any:
        self._asked.append(f"uses the notebook's shell when it is imported ({name})")
        raise AttributeError(name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._asked.append(f"changes the notebook's shell when it is imported ({name})")


class Refused(Exception):
    """An import may not be made ahead; the text says why."""


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Raise Refused when what happens inside prints, warns, starts threads, or does something to a notebook's shell."""
    asked: list[str] = []
    shell = ZMQInteractiveShell(asked)

    def get_ipython() -> ZMQInteractiveShell:
        return shell

    def showwarning(message: Any, *_: Any, **__: Any) -> None:
        asked.append(f"warns: {message}"[:SAID])

    import IPython
    import IPython.core.getipython

    streams = [sys.stdout, sys.stderr]
    before = threading.active_count()
    kept = IPython.get_ipython, IPython.core.getipython.get_ipython, warnings.showwarning
    IPython.get_ipython = IPython.core.getipython.get_ipython = get_ipython  # type: ignore[assignment]
    builtins.get_ipython = get_ipython  # type: ignore[attr-defined]
    warnings.showwarning = showwarning
    try:
        yield
    finally:
        IPython.get_ipython, IPython.core.getipython.get_ipython, warnings.showwarning = kept
        del builtins.get_ipython  # type: ignore[attr-defined]
    for stream in streams:
        if isinstance(stream, Standin) and stream.heard:
            asked.append(f"prints: {''.join(stream.heard)}"[:SAID])
            stream.heard.clear()
    if threading.active_count() > before:
        asked.append("starts a thread")
    if asked:
        raise Refused(asked[0])


def preload(names: list[str], done: set[str], never: dict[str, str], trying: Callable[[str], None]) -> bool:
    """Import `names` ahead; return whether one was refused, which leaves this process unfit to fork from.

    Those that are there are added to `done`, a refused one to `never` with its reason. `trying` is told before each
    import, so that one that kills the process is known afterwards.
    """
    wanted = [name for name in names if name not in done and name not in never]
    for name in wanted:
        done.add(name)
        if name in sys.modules:
            continue
        trying(name)
        try:
            with watched():
                _import(name)
        except Refused as refusal:
            never[name] = str(refusal)
            return True
        except BaseException as error:  # noqa: BLE001 -- the notebook that imports it shall see this, not the parent
            never[name] = f"fails to import: {type(error).__name__}: {error}"[:SAID]
            return True
    if wanted:
        trying("")
    return False


def _import(name: str) -> None:
    """Import a module; `package.name` may also be something that the package defines."""
    package, _, _ = name.rpartition(".")
    if not package:
        importlib.import_module(name)
        return
    parent = importlib.import_module(package)
    path = getattr(parent, "__path__", None)
    if path is not None and importlib.machinery.PathFinder.find_spec(name, path) is not None:
        importlib.import_module(name)


def signature() -> dict[str, tuple[int, int]]:
    """Return time and size of every file that loaded modules came from, and of what says which packages there are."""
    files = {sys.executable}
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str):
            files.add(file)
    for folder in site_folders():
        files.add(folder)
        files.update(str(path) for path in Path(folder).glob("*.pth"))
    return {file: stamp(file) for file in files}


def stamp(file: str) -> tuple[int, int]:
    """Return a file's time and size; zeros when it is gone."""
    try:
        found = os.stat(file)
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)


def changed(signed: dict[str, tuple[int, int]]) -> str | None:
    """Return the first file that is not what it was, or None."""
    return next((file for file, was in signed.items() if stamp(file) != was), None)
