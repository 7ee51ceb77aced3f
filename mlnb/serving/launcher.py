"""Serves a bento in a process of its own: `python -P launcher.py parent`, told what to serve by a line of its input.

BentoML, which takes most of a second to import, is there before the bento is. Nothing of mlnb is imported, so that the
service finds the bento's own copy.
"""

import json
import os
import signal
import sys


def has_parent(pid: int) -> bool:
    """Return whether the process that asked still lives; Linux ends this one when it dies, however it dies."""
    try:
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    except (AttributeError, OSError):  # elsewhere whoever asked must end it
        pass
    return os.getppid() == pid


if __name__ == "__main__" and has_parent(int(sys.argv[1])):
    import bentoml
    from bentoml_cli.cli import cli

    if told := sys.stdin.readline():  # nothing: whoever asked is gone, or needs no server any more
        asked = json.loads(told)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ.update(asked["environment"])
        bentoml.load_config()
        os.chdir(asked["folder"])
        sys.argv = ["bentoml", *asked["arguments"]]
        cli()
