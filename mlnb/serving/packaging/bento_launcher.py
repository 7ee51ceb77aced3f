"""Serves a bento in a process of its own, told what by a line of its input: `python -P launcher.py parent [own]`.

BentoML, which takes most of a second to import, is there before the bento is. Nothing of mlnb is imported, so that the
service finds the bento's own copy. `own` is a folder that goes when it is not told anything.
"""

import json
import os
import shutil
import signal
import sys
from typing import Any


def has_parent(pid: int) -> bool:
    """Return whether the process that asked still lives; Linux ends this one when it dies, however it dies."""
    try:
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    except (AttributeError, OSError):  # elsewhere whoever asked must end it
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

    if not (told := sys.stdin.readline()):  # whoever asked is gone, or needs no server any more
        leave()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    asked = json.loads(told)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.update(asked["environment"])
    bentoml.load_config()
    os.chdir(asked["folder"])
    sys.argv = ["bentoml", *asked["arguments"]]
    cli()
