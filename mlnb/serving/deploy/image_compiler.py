"""Compiles the modules that a service imports: `python -P image_compiler.py BENTO`, inside an image that is built.

It starts the service as the image will, waits until it is ready and requests what clients and probes request: Python
writes the compiled form of each module that it imports. Others, three quarters of the libraries' modules, would be
bytes that no process reads; Python compiles one in memory if it is needed after all. A service that does not start
without what only its place of use has, such as a key, gets all modules compiled. It imports the standard library only.
"""

import compileall
import json
import os
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

SECONDS = 60  # until ready; a build may run on a busy machine


def main(bento: Path) -> str:
    """Compile, and return a line about it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = ("127.0.0.1", str(probe.getsockname()[1]))
    command = [sys.executable, "-P", "-m", "bentoml", "serve", str(bento), "--host", address[0], "--port", address[1]]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    service = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = "http://" + ":".join(address)
        if ready := wait(service, url):
            send_requests(url, bento)
    finally:
        service.terminate()
        service.wait()
    if ready:
        return "compiled the modules that the service imports"
    folders = [*(sysconfig.get_path(name) for name in ("stdlib", "purelib")), str(bento / "src")]
    for folder in folders:
        compileall.compile_dir(folder, quiet=2)
    return "compiled all modules, because the service is not ready without the environment that it will have"


def wait(service: "subprocess.Popen[bytes]", address: str) -> bool:
    """Return whether the service became ready before it ended and in time."""
    deadline = time.monotonic() + SECONDS
    while service.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{address}/readyz", timeout=10).close()
            return True
        except OSError:  # it does not listen yet, or is not ready
            time.sleep(0.1)
    return False


def send_requests(address: str, bento: Path) -> None:
    """Request a prediction, and what monitoring and people request; a refusal is a response, too."""
    rows = json.loads((bento / "src" / "model" / "golden.json").read_text("utf-8"))["rows"][:1]
    post = urllib.request.Request(f"{address}/predict", json.dumps(rows).encode(), {"Content-Type": "application/json"})
    for request in (post, f"{address}/metrics", f"{address}/", f"{address}/docs.json"):
        with suppress(urllib.error.HTTPError):
            urllib.request.urlopen(request, timeout=10).close()


if __name__ == "__main__":
    print(main(Path(sys.argv[1])))
