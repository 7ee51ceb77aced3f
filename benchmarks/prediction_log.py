"""Cost of the prediction log: throughput, latency and processor time of a service with it and without it.

    python benchmarks/prediction_log.py [--rounds 4] [--seconds 4] [--rate 1000]

Two services of one bento, one worker each, 16 clients, the same row in every request. Each round loads both, first at
--rate requests a second, then as fast as they respond (with wrk where it is installed). The conversion of a finished
segment to Parquet, which a separate process does later, is measured on the log that the rounds wrote and is part of
the sum. Exit code 1 when the log costs 5 % or more at --rate.
"""

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from peers.load import Seen, measure, post
from peers.material import make

from mlnb.serving.packaging.bento_server import Server, send_request, serving
from mlnb.serving.packaging.bento_stores import build_bento
from mlnb.serving.runtime import log_segments
from mlnb.serving.runtime.prediction_log import COMMAND

MOST = 0.05  # of a worker's throughput that the log may take at --rate
CLIENTS = 16


async def pace(port: int, body: str, rate: float, seconds: float) -> Seen:
    """Return the responses to requests that are sent at fixed times, whether or not earlier ones were answered."""
    seen, began = Seen(), time.perf_counter()
    moments = iter([began + number / rate for number in range(int(rate * seconds))])

    async def client() -> None:
        streams = await asyncio.open_connection("127.0.0.1", port)
        for moment in moments:
            await asyncio.sleep(max(0.0, moment - time.perf_counter()))
            status, answer = await post(*streams, body)
            seen.milliseconds.append(1000 * (time.perf_counter() - moment))  # from when it was due
            seen.good += status == 200
            if status != 200:
                seen.wrong.append(f"{status}: {answer[:300]}")
        streams[1].close()

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    assert not seen.wrong, seen.wrong[:3]
    return seen


def used(server: Server) -> float:
    """Return the processor seconds of a service, its workers, and what these have started and ended."""
    top = psutil.Process(server.process.pid)
    times = [one.cpu_times() for one in [top, *top.children(recursive=True)]]
    ended = sum(each.children_user + each.children_system for each in times)
    return float(sum(each.user + each.system for each in times) + ended)


def ask(server: Server, rows: list[dict[str, Any]], rate: float, seconds: float) -> dict[str, float]:
    """Return what a service did at a rate (0: as fast as it can): requests a second, milliseconds, µs of processor."""
    before, began = used(server), time.perf_counter()
    if rate:
        seen = asyncio.run(pace(server.port, json.dumps(rows[:1]), rate, seconds))
        took = time.perf_counter() - began
        done, result = seen.good, (seen.good / took, seen.percentile(0.5), seen.percentile(0.99))
    else:
        result = measure(server.port, rows, seconds)
        done = round(result[0] * seconds)
    time.sleep(0.7)  # the log is written after half a second: that is part of its cost
    names = ("rate", "median", "p99", "cpu")
    return dict(zip(names, (*result, (used(server) - before) / max(done, 1) * 1e6), strict=True))


def convert(folder: Path) -> tuple[int, float]:
    """Return the rows that a service left in its log, and the processor seconds of turning them into Parquet."""
    left = list(folder.glob("*.jsonl"))
    rows = sum(len(log_segments.read_lines(path)[0]) for path in left)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for path in left:
        subprocess.run([*COMMAND, path], input=b"", check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return rows, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=4, help="of each load")
    parser.add_argument("--rate", type=float, default=1000, help="requests a second of the paced load")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        os.environ["BENTOML_HOME"] = str(folder / "bentoml")
        bento = build_bento(make(folder)).path
        rows = json.loads((folder / "rows.json").read_text())
        log = folder / "predictions"
        ways = {"without": {}, "with": {"MLNB_LOG": str(log), "MLNB_LOG_ROWS": "10000000"}}
        servers = {
            name: stack.enter_context(serving(bento, folder / f"{name}.log", environment=extra))
            for name, extra in ways.items()
        }
        seen: dict[tuple[str, float], list[dict[str, float]]] = {}
        for server in servers.values():
            server.wait()
            measure(server.port, rows, 1)
        for number in range(arguments.rounds):
            for rate in (arguments.rate, 0.0):
                for name in sorted(servers, reverse=number % 2 == 1):
                    seen.setdefault((name, rate), []).append(ask(servers[name], rows, rate, arguments.seconds))
        logged, took = convert(log)
        metrics = send_request("127.0.0.1", servers["with"].port, "GET", "/metrics")[1].decode()
        (lost,) = (line.split()[-1] for line in metrics.splitlines() if 'log_rows_total{result="dropped"}' in line)
    print(
        f"One row a request, {len(rows[0])} columns; medians of {arguments.rounds} rounds of {arguments.seconds:.0f} s"
    )
    print(f"  {'':34}{'requests/s':>12}{'median ms':>11}{'p99 ms':>9}{'CPU µs each':>13}")
    middle = {key: {name: median(one[name] for one in result) for name in result[0]} for key, result in seen.items()}
    for (name, rate), result in sorted(middle.items(), key=lambda item: -item[0][1]):
        label = f"{name} log, {f'{rate:,.0f} a second' if rate else 'as fast as it can'}"
        print(f"  {label:34}{result['rate']:12,.0f}{result['median']:11.2f}{result['p99']:9.2f}{result['cpu']:13,.1f}")
    pairs = {
        rate: [(one["cpu"] - two["cpu"], one["rate"] / two["rate"]) for one, two in zip(*both, strict=True)]
        for rate in (arguments.rate, 0.0)
        if (both := (seen["with", rate], seen["without", rate]))
    }
    each = median(more for more, _ in pairs[arguments.rate])
    later = took / max(logged, 1) * 1e6
    cost = (each + later) * arguments.rate / 1e6
    retained = median(share for _, share in pairs[0.0])
    print(f"  at {arguments.rate:,.0f} a second a request's entry takes {each:.1f} µs of processor in the service,")
    print(f"  and {later:.1f} µs later, in a separate process, as a row of Parquet ({logged:,} rows); together that is")
    print(f"  {100 * cost:.1f} % of one worker's processor (allowed: below {100 * MOST:.0f} %)")
    print(f"  as fast as it can, the service with its log does {retained:.3f} x the requests without;", end=" ")
    print(f"{float(lost):.0f} rows dropped")
    return int(cost >= MOST)


if __name__ == "__main__":
    sys.exit(main())
