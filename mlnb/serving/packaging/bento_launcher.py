"""Serves a bento in a separate process, with options from standard input: `python -P bento_launcher.py parent [own]`.

BentoML and what it serves with take a second to import; it is ready before the bento is. Nothing of mlnb is imported,
so that the service finds the bento's copy. `own` is a folder that is removed when no options arrive. A line with the
key "build" before the options runs the builder in a fork of this process, which has imported BentoML already.
"""

import gc
import importlib
import json
import os
import runpy
import shutil
import signal
import sys
import traceback
from contextlib import suppress
from typing import Any, NoReturn

SERVED = ("aiohttp", "circus.arbiter", "multiprocessing.connection", "numpy", "uvicorn")  # imported to serve any bento


def has_parent(pid: int) -> bool:
    """Return whether the parent process still lives; Linux ends this process when the parent ends in any way."""
    try:
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    except (AttributeError, OSError):  # on other systems the parent must end it
        pass
    return os.getppid() == pid


def leave(*_: Any) -> None:
    """End without having served."""
    for folder in sys.argv[2:]:
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def build(request: dict[str, Any]) -> None:
    """Run a program in a fork, and write its exit code to a file once it has ended.

    Args:
        request: program, arguments, environment, and the paths of the files stdout, stderr and code.
    """
    pid = os.fork()
    if not pid:
        run_and_exit(request)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    temporary = f"{request['code']}.part"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(str(code))
    os.replace(temporary, request["code"])


def run_and_exit(request: dict[str, Any]) -> NoReturn:
    """Run the program of a request as this process, and end."""
    code = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for number, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
        os.environ.clear()
        os.environ.update(request["environment"])
        bentoml.load_config()
        sys.argv = [request["program"], *request["arguments"]]
        runpy.run_path(request["program"], run_name="__main__")
        code = 0
    except BaseException:  # noqa: BLE001 -- whatever it is, the caller prints it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, leave)
    if not has_parent(int(sys.argv[1])):
        leave()
    gc.disable()  # an import creates many objects and hardly any garbage
    import bentoml
    from bentoml_cli.cli import cli

    for name in SERVED:
        with suppress(ImportError):
            importlib.import_module(name)
    gc.freeze()
    gc.enable()

    options: dict[str, Any] = {"build": True}
    while "build" in options:
        if not (line := sys.stdin.readline()):  # the parent is gone, or does not need the server
            leave()
        if "build" in (options := json.loads(line)):
            build(options["build"])
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.update(options["environment"])
    bentoml.load_config()
    os.chdir(options["folder"])
    sys.argv = ["bentoml", *options["arguments"]]
    cli()
