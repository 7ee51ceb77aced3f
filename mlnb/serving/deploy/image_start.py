"""Starts the service of an image: `python -P image_start.py BENTO [OPTION ...]`, as `bentoml serve BENTO [OPTION ...]`.

Without options, the process serves as the only worker of its container. With options, or with variables that configure
BentoML, it is BentoML's command. It runs in the image and imports the standard library and the bento's copy of mlnb.
"""

import gc
import os
import sys
from collections.abc import Mapping
from pathlib import Path

PLAIN = {"BENTOML_CONTAINERIZED", "BENTOML_DO_NOT_TRACK", "BENTOML_HOME"}  # variables of each image


def is_configured(environment: Mapping[str, str]) -> bool:
    """Return whether variables configure what BentoML's command reads, such as the port or the number of workers."""
    return any(name.startswith("BENTOML_") and name not in PLAIN for name in environment)


def serve_alone(bento: Path) -> None:
    """Serve a bento with one worker; return when it needs BentoML's command."""
    gc.disable()  # imports create many objects and hardly any garbage; the service enables it once it has started
    sys.path.insert(0, str(bento / "src"))
    from mlnb.serving.runtime import service_worker

    try:
        service_worker.serve_alone(bento)
    except service_worker.NeedsSupervisor:
        return
    raise SystemExit(0)


def main(bento: str, options: list[str]) -> None:
    """Serve a bento, until a signal."""
    if not options and not is_configured(os.environ):
        serve_alone(Path(bento))
    os.execv(sys.executable, [sys.executable, "-P", "-m", "bentoml", "serve", bento, *options])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
