"""Two workers of a service against one, on two cores.

    python benchmarks/workers.py [--seconds 5] [--rounds 3]

Client and service share the cores here. So that the client costs little, each request has 32 rows, which a worker
handles in its event loop, in one thread: the client (wrk, 16 connections) needs about 5 % of the processor time that a
worker needs for a request, 0.1 of 2.3 ms, which bounds the ratio at 1.9 instead of 2. One and two workers are measured
in turn, in each round; the figure is the median of the ratios of each round.

On a busy machine the ratio of rates is of no use. The processor time of a request holds there, too: it rises when
workers disturb each other. Each connection sends its next request at once, so a worker is busy while it has any. The
ratio that follows from the processor times of service and client is printed as well: 1.87 (rates 1.53) at a load of 20.
"""

import argparse
import os
import resource
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from peers import figures
from peers.load import measure
from peers.material import make_bento

from mlnb.serving.packaging.bento_server import free_port, serving

ROWS = 32  # of a request
TARGET = 1.7


@dataclass(frozen=True)
class Load:
    """What a load on a service showed.

    Args:
        rate: Requests a second.
        late: Milliseconds within which 99 % of the requests were handled.
        server: Processor microseconds of the service for a request.
        client: Processor microseconds of the client for a request.
        busier: Share of the processor time of the workers that the busiest one had.
    """

    rate: float
    late: float
    server: float
    client: float
    busier: float


def used(processes: list[psutil.Process]) -> list[float]:
    """Return the processor seconds of each process."""
    return [sum(process.cpu_times()[:2]) for process in processes]


def client_seconds() -> float:
    """Return the processor seconds of the children of this process that have ended, and of this process."""
    ended, own = (resource.getrusage(who) for who in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF))
    return ended.ru_utime + ended.ru_stime + own.ru_utime + own.ru_stime


def load(bento: Path, rows: list[dict[str, object]], workers: int, seconds: float) -> Load:
    """Return what a load on a service with that many workers showed."""
    with (
        tempfile.TemporaryDirectory() as logs,
        serving(bento, Path(logs) / "log", port=free_port(), workers=workers) as server,
    ):
        server.wait()
        main = psutil.Process(server.process.pid)
        processes = main.children() or [main]  # one worker needs no supervisor
        measure(server.port, rows, 1, ROWS)
        before, client, began = used(processes), client_seconds(), time.monotonic()
        rate, _, late = measure(server.port, rows, seconds, ROWS)
        requests = rate * (time.monotonic() - began)
        each = [after - first for after, first in zip(used(processes), before, strict=True)]
        spent = client_seconds() - client
    assert len(each) == workers, f"{len(each)} processes, expected {workers}"
    return Load(rate, late, sum(each) / requests * 1e6, spent / requests * 1e6, max(each) / sum(each))


def processor_ratio(one: Load, two: Load) -> float:
    """Return the ratio of rates on two idle cores that follows from the processor times of service and client."""
    return one.server * 2 / (two.server + two.client)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5, help="of each load")
    parser.add_argument("--rounds", type=int, default=3)
    figures.add_json(parser)
    options = parser.parse_args()
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("Two workers need two cores.")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        _, rows, bento = make_bento(folder)
        rounds = [[load(bento, rows, workers, options.seconds) for workers in (1, 2)] for _ in range(options.rounds)]
    print(f"{ROWS} rows in a request, 16 connections, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print("workers  requests/s   p99 ms  service µs  client µs  busier worker")
    for number, loads in enumerate(zip(*rounds, strict=True), 1):
        columns = ("rate", "late", "server", "client", "busier")
        rate, late, server, client, busier = (
            statistics.median(getattr(one, name) for one in loads) for name in columns
        )
        print(f"{number:7}{rate:12,.0f}{late:9.1f}{server:12,.0f}{client:11,.0f}{busier:15.2f}")
    ratio = statistics.median(two.rate / one.rate for one, two in rounds)
    bound = statistics.median(processor_ratio(one, two) for one, two in rounds)
    print(f"two workers: {ratio:.2f} x the requests of one; {bound:.2f} x by processor time")
    note = f"{bound:.2f} by processor time"
    work = "two workers against one, 2 cores, client with little work"
    figures.write(options.json, [figures.Figure(work, ratio, TARGET, at_least=True, note=note)])


if __name__ == "__main__":
    main()
