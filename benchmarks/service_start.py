"""Start of a packaged service, from its process to the first successful request for readiness: phases and memory.

    python benchmarks/service_start.py [BENTO] [--rounds 5]

BENTO is the folder of a built bento, as `mlnb build --json` prints it; without one, the built-in example is trained in
a temporary project, with the profile quick. The bento is prepared as for an image and started without a container in
two ways, in turn: with `bentoml serve`, and with the command of an image, which serves without BentoML's command line,
with collections of garbage off until the service is ready. Libraries that the bento does not require look as if they
were not installed.

The table has the imports by library (wall-clock milliseconds, the lowest of the rounds, from `python -X importtime` in
separate starts), and what remains: Python itself, configuration, model, golden rows. On a busy machine compare the
processor times. An engine adds about 0.4 s to start a container; `scripts/container.py` measures it with a real image,
and memory too: here, pages are shared with other processes of the same environment.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from peers import figures

from mlnb.serving.deploy import image_start
from mlnb.serving.deploy.image_builder import prepare
from mlnb.serving.packaging.bento_server import free_port, send_request

SECONDS = 1.2  # target, until ready
REQUESTS = 200
TRACED = 3  # starts of each command for the table
IMPORT = re.compile(r"^import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", re.MULTILINE)
GROUPS = {
    "BentoML": ("bentoml", "_bentoml_impl", "_bentoml_sdk", "bentoml_cli"),
    "mlnb": ("mlnb", "service"),
    "NumPy": ("numpy",),
    "aiohttp": ("aiohttp", "yarl", "multidict", "frozenlist", "aiosignal", "propcache", "aiohappyeyeballs"),
    "pydantic": ("pydantic", "pydantic_core", "annotated_types", "typing_inspection"),
    "Circus": ("circus", "zmq", "tornado"),
    "OpenTelemetry": ("opentelemetry", "wrapt", "asgiref"),
    "httpx and rich": ("httpx", "httpx_ws", "httpcore", "h11", "wsproto", "rich", "pygments"),
    "uvicorn and Starlette": ("uvicorn", "uvloop", "httptools", "starlette", "anyio", "a2wsgi", "watchfiles"),
}
HIDDEN = ("lightgbm", "sklearn")  # libraries that services use where a bento requires them
# The port is free in an image. Here it is another one, which must not make it a service with options.
PROGRAM = """
import runpy, sys
bento, port, kind, hidden, program = sys.argv[1:]
sys.modules.update(dict.fromkeys(hidden.split()))
if kind == "image":
    from bentoml._internal.configuration.containers import BentoMLContainer
    BentoMLContainer.http.host.set("127.0.0.1")
    BentoMLContainer.http.port.set(int(port))
    sys.argv = [program, bento]
    runpy.run_path(program, run_name="__main__")
else:
    sys.argv = ["bentoml", "serve", bento, "--host", "127.0.0.1", "--port", port]
    runpy.run_module("bentoml", run_name="__main__", alter_sys=True)
"""


@dataclass(frozen=True)
class Start:
    """What a start showed.

    Args:
        wall: Seconds until ready.
        processor: Processor seconds until ready, of all processes.
        memory: Bytes after requests, of all processes; shared pages count once.
    """

    wall: float
    processor: float
    memory: int


class Service:
    """A bento prepared as for an image, and how to start it.

    Args:
        bento: Folder of the built bento.
        folder: That it is copied to.
    """

    def __init__(self, bento: Path, folder: Path) -> None:
        self.bento, self.folder = folder / "bento", folder
        shutil.copytree(bento, self.bento)
        prepare(self.bento, "python", [])
        golden = json.loads((self.bento / "src" / "model" / "golden.json").read_text("utf-8"))
        self.rows, self.predictions = golden["rows"], golden["predictions"]
        requirements = (self.bento / "src" / "requirements.txt").read_text("utf-8").lower()
        self.hidden = [name for name in HIDDEN if name.replace("sklearn", "scikit-learn") not in requirements]

    @contextmanager
    def start(self, kind: str, *flags: str) -> Iterator[tuple["subprocess.Popen[bytes]", int, Path]]:
        """Start the service; yield process, port and log."""
        log, port = self.folder / "log", free_port()
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("BENTOML_", "PYTHON"))}
        environment |= {"BENTOML_HOME": str(self.folder / "home"), "BENTOML_CONTAINERIZED": "true"}
        environment |= {"BENTOML_DO_NOT_TRACK": "True", "PYTHONNODEBUGRANGES": "1", "OMP_WAIT_POLICY": "passive"}
        arguments = [str(self.bento), str(port), kind, " ".join(self.hidden), str(image_start.__file__)]
        with open(log, "wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-P", *flags, "-c", PROGRAM, *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            yield process, port, log
        finally:
            process.terminate()
            process.wait(30)

    def wait(self, process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
        """Return once the service is ready; raises RuntimeError with its log when it ends."""
        while process.poll() is None:
            try:
                if send_request("127.0.0.1", port, "GET", "/readyz")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.005)
        raise RuntimeError(log.read_text("utf-8", "replace")[-2000:])

    def measure(self, kind: str) -> Start:
        """Return what one start shows."""
        begin = time.perf_counter()
        with self.start(kind) as (process, port, log):
            self.wait(process, port, log)
            wall = time.perf_counter() - begin
            parent = psutil.Process(process.pid)
            family = [parent, *parent.children(recursive=True)]
            processor = sum(sum(one.cpu_times()[:2]) for one in family)
            for rows in [self.rows, *([self.rows[:1]] * REQUESTS)]:
                status, body, _ = send_request("127.0.0.1", port, "POST", "/predict", rows)
                assert (status, json.loads(body)) == (200, self.predictions[: len(rows)]), status
            memory = sum(one.memory_full_info().pss for one in family)
        return Start(wall, processor, memory)

    def trace(self, kind: str) -> dict[str, float]:
        """Return the milliseconds of each module's own import."""
        with self.start(kind, "-X", "importtime") as (process, port, log):
            self.wait(process, port, log)
            output = log.read_text("utf-8", "replace")
        return {name: int(own) / 1000 for own, name in IMPORT.findall(output)}


def group_of(module: str) -> str:
    """Return the row of the table that a module belongs to."""
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names:
        return "standard library"
    return next((group for group, names in GROUPS.items() if top in names), "other libraries")


def sum_groups(traces: Sequence[dict[str, float]]) -> dict[str, tuple[float, int]]:
    """Return milliseconds and number of modules by group, of the lowest time of each module."""
    totals: dict[str, tuple[float, int]] = defaultdict(lambda: (0.0, 0))
    for module in traces[0].keys() & traces[-1].keys():
        milliseconds, count = totals[group_of(module)]
        lowest = min(trace.get(module, float("inf")) for trace in traces)
        totals[group_of(module)] = milliseconds + lowest, count + 1
    return totals


def print_table(groups: dict[str, dict[str, tuple[float, int]]], starts: dict[str, list[Start]]) -> None:
    """Print the phases of each way to start, and the sums."""
    print(f"{'phase':32}" + "".join(f"{kind:>24}" for kind in groups))
    rows = sorted({row for table in groups.values() for row in table}, key=lambda row: -groups["bentoml"][row][0])
    for row in rows:
        cells = (groups[kind][row] for kind in groups)
        print(f"import {row:25}" + "".join(f"{time:11.0f} ms {count:5} mod." for time, count in cells))
    lowest = {kind: min(start.processor for start in starts[kind]) for kind in groups}
    rest = (1000 * lowest[kind] - sum(time for time, _ in groups[kind].values()) for kind in groups)
    print(f"{'Python, configuration, model':32}" + "".join(f"{max(0.0, time):11.0f} ms{'':10}" for time in rest))
    for title, key, scale, unit in (
        ("processor time until ready", "processor", 1, "s"),
        ("wall-clock time until ready", "wall", 1, "s"),
        ("memory after requests", "memory", 1e-6, "MB"),
    ):
        values = {kind: [scale * getattr(start, key) for start in starts[kind]] for kind in groups}
        texts = (f"{min(value):.2f} ({statistics.median(value):.2f}) {unit}" for value in values.values())
        print(f"{title:32}" + "".join(f"{text:>24}" for text in texts))
    print("lowest value (median)")


def build_example(folder: Path) -> Path:
    """Return the bento of the built-in example, trained in a new project in the folder."""
    environment = os.environ | {"BENTOML_HOME": str(folder / "bentoml")}

    def mlnb(where: Path, *words: str) -> str:
        command = [sys.executable, "-m", "mlnb.cli.main", *words]
        done = subprocess.run(
            command, cwd=where, env=environment, check=True, stdin=subprocess.DEVNULL, capture_output=True
        )
        return done.stdout.decode()

    mlnb(folder, "new", "project")
    mlnb(folder / "project", "run", "--profile", "quick", "--no-report")
    return Path(json.loads(mlnb(folder / "project", "build", "--json"))["path"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bento", nargs="?", type=Path, metavar="BENTO")
    parser.add_argument("--rounds", type=int, default=5)
    figures.add_json(parser)
    options = parser.parse_args()
    kinds = ("bentoml", "image")
    with tempfile.TemporaryDirectory() as temporary:
        bento = options.bento or build_example(Path(temporary))
        service = Service(bento, Path(temporary) / "service")
        for kind in kinds:  # modules are compiled, and files in memory
            service.measure(kind)
        starts: dict[str, list[Start]] = {kind: [] for kind in kinds}
        traces: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
        for number in range(max(options.rounds, TRACED)):
            for kind in kinds:
                if number < options.rounds:
                    starts[kind].append(service.measure(kind))
                if number < TRACED:
                    traces[kind].append(service.trace(kind))
    print(f"{bento}, {options.rounds} rounds, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print_table({kind: sum_groups(traces[kind]) for kind in kinds}, starts)
    wall = min(start.wall for start in starts["image"])
    ratio = min(start.processor for start in starts["image"]) / min(start.processor for start in starts["bentoml"])
    alone = service.hidden[:1] == ["lightgbm"]  # the target is that of a model that needs NumPy alone
    note = f"{ratio:.2f} × the processor time of `bentoml serve`; without a container"
    work = "packaged service, start of its process until ready"
    figures.write(options.json, [figures.Figure(work, wall, SECONDS if alone else None, "s", note=note)])


if __name__ == "__main__":
    main()
