"""Jupyter's sockets for a kernel that was kept and is woken by hand: any client finds an ordinary kernel there."""

import json
from pathlib import Path
from typing import Any

import zmq
from ipykernel.heartbeat import Heartbeat
from zmq.eventloop.zmqstream import ZMQStream


def open_sockets(app: Any, connection_file: Path) -> None:
    """Bind shell, control, input, publishing and heartbeat where a connection file says, and take requests there."""
    about = json.loads(connection_file.read_text())
    context = zmq.Context()
    joint = "-" if about["transport"] == "ipc" else ":"

    def bound(kind: int, name: str) -> Any:
        made = context.socket(kind)
        made.linger = 1000
        made.bind(f"{about['transport']}://{about['ip']}{joint}{about[f'{name}_port']}")
        return made

    app.session.key = about["key"].encode()
    published = bound(zmq.PUB, "iopub")
    app.iopub_thread.out = published.send_multipart  # used by its thread alone
    kernel = app.kernel
    kernel.stdin_socket = bound(zmq.ROUTER, "stdin")
    kernel.control_stream = ZMQStream(bound(zmq.ROUTER, "control"))
    kernel.shell_stream = ZMQStream(bound(zmq.ROUTER, "shell"))
    Heartbeat(context, (about["transport"], about["ip"], about["hb_port"])).start()  # type: ignore[no-untyped-call]
    kernel.start()
