"""How printed commands name this program, so that a shell finds it."""

import os
import shlex
import shutil
import sys
from pathlib import Path


def as_found(command: str, folder: Path | None = None) -> str:
    """Return a command as a shell finds it: with the path of the program where `mlnb` is not on the PATH.

    Args:
        command: A command line that starts with `mlnb`.
        folder: Where it is to be typed; None: in the working directory.
    """
    program = Path(sys.argv[0])
    if shutil.which("mlnb") or program.name != "mlnb" or not program.exists():
        return command
    return shlex.quote(os.path.relpath(program.absolute(), folder)) + command.removeprefix("mlnb")
