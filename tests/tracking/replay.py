"""Replays a run folder to the project's tracker, as the engine would:  replay.py <root> <run> [kill | online | file].

With `online` and `file` a server on 127.0.0.1 is W&B's, named in the environment or in W&B's settings file.
"""

import fcntl
import json
import os
import socket
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))

from fake_wandb import FakeWandb
from waiting import wait_for

from mlnb.codec import replace
from mlnb.engine.events import (
    CellStarted,
    RunFinished,
    RunStarted,
    StageFailed,
    StageFinished,
    StageReused,
    StageStarted,
)
from mlnb.engine.project import Project
from mlnb.engine.run_records import RunState, StageState
from mlnb.engine.runs import Run, open_run
from mlnb.tracking.tracker import open_tracker


def counters() -> dict[str, int]:
    """Packets and connections of this network namespace that went, or tried to go, anywhere."""
    lines = Path("/proc/net/snmp").read_text().splitlines()
    counts = {}
    for names, values in zip(lines[::2], lines[1::2], strict=True):
        protocol, *names = names.split()
        counts.update({protocol + name: int(value) for name, value in zip(names, values.split()[1:], strict=True)})
    return {name: counts[name] for name in ("Ip:OutRequests", "Ip:OutNoRoutes", "Tcp:ActiveOpens", "Udp:OutDatagrams")}


def children() -> list[str]:
    """Command lines of the processes that have this one as their parent."""
    commands = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if stat.read_text().rpartition(")")[2].split()[1] == str(os.getpid()):
                commands.append((stat.parent / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return commands


def start_server(in_file: bool) -> FakeWandb:
    """Start a server and make it that of W&B; a connection to any other host goes to it as a proxy, or has no route."""
    with socket.socket() as any_socket:  # a new network namespace has its loopback down
        up = struct.pack("16sh", b"lo", 1)  # IFF_UP
        with suppress(OSError):
            fcntl.ioctl(any_socket, 0x8914, up)  # SIOCSIFFLAGS
    server = FakeWandb()
    os.environ |= {"WANDB_API_KEY": "k" * 40, "HTTPS_PROXY": server.url, "HTTP_PROXY": server.url}
    if in_file:
        file = Path.home() / ".config" / "wandb" / "settings"
        file.parent.mkdir(parents=True)
        file.write_text(f"[default]\nbase_url = {server.url}\n")
    else:
        os.environ["WANDB_BASE_URL"] = server.url
    return server


def main(root: str, run_id: str, how: str = "") -> None:
    """Send all events of a run to the tracker; print the time it took and what is left behind."""
    project = Project(Path(root), Path(root))
    run = open_run(project, run_id)
    final = run.record
    live = Run(project, run.folder, replace(final, state=RunState.RUNNING))
    server = start_server(how == "file") if how in ("online", "file") else None
    before = counters()
    tracker = open_tracker(project)
    assert tracker is not None and "wandb" not in sys.modules
    began = time.perf_counter()
    tracker(RunStarted(live))
    for stage, record in final.stages.items():
        if record.state == StageState.SKIPPED:
            continue
        if record.state == StageState.REUSED:
            tracker(StageReused(live, stage))
            continue
        tracker(StageStarted(live, stage, "never run"))
        tracker(CellStarted(live, stage, 1, 2, "Search"))
        finished = record.state == StageState.FINISHED
        tracker(StageFinished(live, stage) if finished else StageFailed(live, stage, "ValueError"))
    sent = time.perf_counter()
    if how == "kill":
        logs = Path(root, "wandb")
        wait_for(
            lambda: any(b"evaluate/test_roc_auc" in path.read_bytes() for path in logs.glob("*/*.wandb")),
            60,
            "the metric",
        )
        os.kill(os.getpid(), 9)
    live.record = final
    tracker(RunFinished(live))
    tracker.close()
    ended = time.perf_counter()
    print(f"sending {sent - began:.3f} s, joining {ended - sent:.3f} s", file=sys.stderr)
    print("traffic", {name: value - before[name] for name, value in counters().items() if value != before[name]})
    if server is not None:
        print(
            "server",
            json.dumps({name: value for name, value in vars(server).items() if name != "server"}, default=list),
        )
    print("left", [command for command in children() if "wandb" in command])
    print("imported", [name for name in ("pandas", "wandb.sdk.launch") if name in sys.modules])


if __name__ == "__main__":
    main(*sys.argv[1:])
