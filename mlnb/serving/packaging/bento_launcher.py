"""Serves a bento in a separate process, with options from standard input: `python -P bento_launcher.py parent [own]`.

BentoML takes most of a second to import; it is ready before the bento is. Nothing of mlnb is imported, so that the
service finds the bento's copy. `own` is a folder that is removed when no options arrive.
"""

import json
import os
import shutil
import signal
import sys
from typing import Any


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


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, leave)
    if not has_parent(int(sys.argv[1])):
        leave()
    import bentoml
    from bentoml_cli.cli import cli

    if not (line := sys.stdin.readline()):  # the parent is gone, or does not need the server
        leave()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    options = json.loads(line)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.update(options["environment"])
    bentoml.load_config()
    os.chdir(options["folder"])
    sys.argv = ["bentoml", *options["arguments"]]
    cli()
