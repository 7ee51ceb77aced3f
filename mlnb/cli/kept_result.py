"""The output of `mlnb run` with nothing to do, kept until anything that the check has read changes.

The check itself imports for several times as long as Python starts. It therefore leaves its output in the user's cache,
with the signature of each file and folder that it has read or looked up: settings, notebooks, modules, data, records,
libraries. The same command prints it again while all signatures are the same. What has no signature (a network, a
database, another program) is never kept. This module imports next to nothing.
"""

import os
import sys
import time

RACE = 2_000_000_000  # nanoseconds in which a file can change again without a different time
MOST = 64  # commands whose output is kept for each user
READS = ("open", "os.listdir", "os.scandir", "mlnb.stat")  # audit events with the path that is read
WITHOUT_SIGNATURE = ("socket.connect", "sqlite3.connect", "subprocess.Popen", "os.posix_spawn", "mlnb.warning")
IGNORED = ("_", "OLDPWD", "SHLVL")  # environment variables that change between two commands of a shell


class Recording:
    """The paths that a check reads, from its start."""

    def __init__(self) -> None:
        self.paths: set[str] = set()
        self.complete = not any("://" in word for word in sys.argv)

    def note(self, event: str, arguments: tuple[object, ...]) -> None:
        """Take in an audit event."""
        if event in WITHOUT_SIGNATURE:
            self.complete = False
        elif event in READS and arguments:
            path = "." if arguments[0] is None else arguments[0]
            if isinstance(path, str | bytes | os.PathLike):
                self.paths.add(os.path.abspath(os.fsdecode(path)))

    def end(self, root: str | None, output: str, errors: str) -> None:
        """End the recording, and keep what the check has printed where that can be repeated safely.

        Args:
            root: Folder of the project: its folders are watched for new files; None: there is something to do.
            output, errors: What was printed to standard output and standard error.
        """
        global _recording
        _recording = None
        if root is None or not self.complete:
            return
        modules = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
        paths = {path for path in [*self.paths, *filter(None, modules)] if not _is_standard(path)}
        for path in list(paths):
            while path.startswith(root + os.sep):
                path = os.path.dirname(path)
                paths.add(path)
        lines = list[str]()
        for path in sorted(paths):
            signature = _signature(path)
            young = signature is not None and time.time_ns() - max(signature[1:3]) <= RACE
            if young or "\n" in path:
                return
            lines.append(f"{_line(signature)} {path}")
        try:
            _write("\n".join([str(len(lines)), *lines, output]) + "\0" + errors)
        except OSError:
            return  # it only saves time


_recording: Recording | None = None
_hooked = False


def start_recording() -> Recording:
    """Return a recording of what this process reads from now on, until it is ended."""
    global _recording, _hooked
    _recording = Recording()
    if not _hooked:  # a hook stays for as long as the process
        sys.addaudithook(_hook)
        _hooked = True
    return _recording


def print_kept() -> bool:
    """Print the kept output of this process's command; return False when there is none, or anything has changed."""
    if any("://" in word for word in sys.argv):
        return False
    try:
        with open(_path(), encoding="utf-8") as file:
            count, *lines = file.read().split("\n")
    except (OSError, UnicodeError):
        return False
    size = int(count) if count.isdecimal() else len(lines)
    for line in lines[:size]:
        signature, _, path = line.partition(" ")
        if _line(_signature(path)) != signature:
            return False
    output, separator, errors = "\n".join(lines[size:]).partition("\0")
    if not separator:
        return False
    print(output)
    print(errors, end="", file=sys.stderr)
    return True


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if _recording is not None:
        _recording.note(event, arguments)


def _is_standard(path: str) -> bool:
    """Return whether a path belongs to Python itself, whose version is part of the command."""
    library = os.path.dirname(os.__file__)
    return path.startswith("/proc/") or (path.startswith(library) and "site-packages" not in path)


def _signature(path: str) -> tuple[int, int, int, int] | None:
    try:
        stat = os.stat(path)
    except (OSError, ValueError):
        return None
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


def _line(signature: tuple[int, int, int, int] | None) -> str:
    return "-" if signature is None else ",".join(map(str, signature))


def _folder() -> str:
    """Return the folder of all kept results. Raises `OSError` for a user without a home folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if not os.path.isabs(cache):
        raise FileNotFoundError(cache)
    return os.path.join(cache, "mlnb", "results")


def _path() -> str:
    """Return the file for this command: its words, folder, environment, terminal and Python."""
    import hashlib

    environment = sorted(f"{name}={value}" for name, value in os.environ.items() if name not in IGNORED)
    try:
        columns = os.get_terminal_size().columns
    except OSError:
        columns = 0
    parts = [os.getcwd(), sys.executable, sys.version, __file__, str(columns), *sys.argv, "", *environment]
    key = "\0".join(parts).encode(errors="surrogatepass")
    return os.path.join(_folder(), hashlib.sha256(key).hexdigest()[:32])


def _write(text: str) -> None:
    """Write the file of this command, and remove the oldest when there are too many."""
    folder, path = _folder(), _path()
    os.makedirs(folder, 0o700, exist_ok=True)
    temporary = f"{path}.{os.getpid()}"
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(temporary, path)
    by_age = sorted((entry.stat().st_mtime_ns, entry.path) for entry in os.scandir(folder))
    for _, old in by_age[:-MOST]:
        os.unlink(old)
