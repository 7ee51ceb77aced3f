"""Jupyter's ZeroMQ sockets for a kernel restored from a snapshot: any client finds an ordinary kernel there."""

import json
from pathlib import Path
from typing import Any

import zmq
from ipykernel.heartbeat import Heartbeat
from zmq.eventloop.zmqstream import ZMQStream

LINGER = 1000  # milliseconds that messages of a closed socket wait to be sent, as ipykernel has it


def open_sockets(app: Any, connection_file: Path) -> None:
    """Bind shell, control, stdin, iopub and heartbeat as a connection file describes, and take requests there."""
    connection = json.loads(connection_file.read_text())
    transport, ip = connection["transport"], connection["ip"]
    separator = "-" if transport == "ipc" else ":"
    context = zmq.Context()

    def bind(kind: int, channel: str) -> Any:
        socket = context.socket(kind)
        socket.linger = LINGER
        socket.bind(f"{transport}://{ip}{separator}{connection[f'{channel}_port']}")
        return socket

    app.session.key = connection["key"].encode()
    app.iopub_thread.send = bind(zmq.PUB, "iopub").send_multipart  # called by its thread alone
    kernel = app.kernel
    kernel.stdin_socket = bind(zmq.ROUTER, "stdin")
    kernel.control_stream = ZMQStream(bind(zmq.ROUTER, "control"))
    kernel.shell_stream = ZMQStream(bind(zmq.ROUTER, "shell"))
    Heartbeat(context, (transport, ip, connection["hb_port"])).start()  # type: ignore[no-untyped-call]
    kernel.start()
