"""AWS Lambda's runtime interface on loopback: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html."""

import json
import os
import queue
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

CLIENT = ("awslambdaric", "runtime_client", "simplejson", "snapshot_restore_py")


class Runtime:
    """Hands events to a function's process and takes its answers."""

    def __init__(self, server: ThreadingHTTPServer, process: subprocess.Popen[bytes]) -> None:
        self.server, self.process = server, process
        self.events: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self.answers: queue.Queue[tuple[str, Any]] = queue.Queue()

    def invoke(self, event: Any, patience: float = 60) -> Any:
        """Return the function's answer; AssertionError when it fails."""
        self.events.put((f"request-{time.monotonic_ns()}", json.dumps(event).encode()))
        until = time.monotonic() + patience
        while True:
            try:
                kind, answer = self.answers.get(timeout=0.5)
                break
            except queue.Empty:
                assert self.process.poll() is None and time.monotonic() < until, "the function ended, or hangs"
        assert kind == "response", answer
        return answer


class Server(ThreadingHTTPServer):
    """A server that takes a client's death as the end of its connection."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def running(folder: Path, handler: str, **environment: str) -> Iterator[Runtime]:
    """Yield a function that runs from its unpacked folder by AWS's own runtime client, as on Lambda."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            number, body = runtime.events.get()
            self.send_response(200)
            self.send_header("Lambda-Runtime-Aws-Request-Id", number)
            self.send_header("Lambda-Runtime-Deadline-Ms", str(int(1000 * (time.time() + 30))))
            self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-west-1:0:function:test")
            self.send_header("Lambda-Runtime-Trace-Id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            runtime.answers.put((self.path.rpartition("/")[2], json.loads(body)))
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    wanted = {
        "PATH": os.environ["PATH"],
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.server_port}",
        "LAMBDA_TASK_ROOT": str(folder),
        "LD_LIBRARY_PATH": str(folder / "lib"),
        "_HANDLER": handler,
    }
    # Lambda's own Python has the runtime client; all else must come from the package.
    client = folder.parent / "client"
    client.mkdir(exist_ok=True)
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if path.name.startswith(CLIENT) and not (client / path.name).exists():
            (client / path.name).symlink_to(path)
    start = (
        f"import sys; sys.path[:0] = [{str(folder)!r}, {str(client)!r}]\n"
        "from awslambdaric.__main__ import main\n"
        "main(['awslambdaric', sys.argv[1]])"
    )
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", start, handler], cwd=folder, env={**wanted, **environment}
    )
    runtime = Runtime(server, process)
    try:
        yield runtime
    finally:
        process.kill()
        process.wait()
        server.shutdown()
        server.server_close()
