"""Latency and throughput of one row: in process, and over HTTP with FastAPI, plain BentoML and mlnb's service.

    python benchmarks/serving.py [--seconds 5] [--mixed 60] [--only http]

All in one run on one machine, each served by one worker, 16 clients, the same rows and the same kind of model, 300
trees of LightGBM. `--mixed 600` is ten minutes with one bad request in a hundred; a worker is killed in the end. Needs
`pip install 'mlnb[bench]'`; wrk makes the load where it is installed.
"""

import argparse
import asyncio
import ctypes
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import timeit
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from peers import figures
from peers.load import ask, measure, measure_mixed
from peers.material import make_bento

from mlnb.serving.packaging.bento_server import Server, free_port, serving
from mlnb.serving.packaging.bento_stores import bentoml_environment
from mlnb.serving.runtime.predictor import Predictor
from mlnb.serving.runtime.response_bodies import encode_responses

HERE = Path(__file__).parent
QUIET = "api_server.logging.access.enabled=false"


def micro(call: Callable[[], Any]) -> float:
    """Return the best of several rounds, in microseconds."""
    number = max(1, int(0.05 / max(timeit.timeit(call, number=3) / 3, 1e-7)))
    return min(timeit.repeat(call, number=number, repeat=7)) / number * 1e6


def bare_calls(predictor: Predictor, row: np.ndarray) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return LightGBM's single-row C call, plain and prepared, on arrays that stay where they are."""
    booster = predictor.parts.model.native
    from lightgbm.libpath import _LIB

    data, out, length = np.array(row), ctypes.c_double(), ctypes.c_int64()
    where = data.ctypes.data_as(ctypes.c_void_p)
    fixed = (0, 0, -1)  # a probability, from the first tree to the last
    plain_arguments = (booster._handle, where, 1, data.size, 1, *fixed, b"num_threads=1")
    ready = ctypes.c_void_p()
    _LIB.LGBM_BoosterPredictForMatSingleRowFastInit(
        booster._handle, *fixed, 1, data.size, b"num_threads=1", ctypes.byref(ready)
    )
    result, count = ctypes.byref(out), ctypes.byref(length)

    def plain() -> int:
        keep = data  # noqa: F841 -- what `where` points to
        return int(_LIB.LGBM_BoosterPredictForMatSingleRow(*plain_arguments, count, result))

    def prepared() -> int:
        return int(_LIB.LGBM_BoosterPredictForMatSingleRowFast(ready, where, count, result))

    return plain, prepared


def in_process(folder: Path, rows: list[dict[str, Any]]) -> list[figures.Figure]:
    """Print what one row takes without HTTP; return the figure of the table."""
    os.environ["PEERS"] = str(folder)
    from peers.fastapi_recipe import predict_rows

    predictor = Predictor.load(folder / "bundle" / "model")
    encoded = predictor.handler._encode(rows[0])  # type: ignore[attr-defined]
    plain, prepared = bare_calls(predictor, encoded)
    assert plain() == prepared() == 0
    bare, fast = micro(plain), micro(prepared)
    whole, frame = micro(lambda: predictor.respond(rows[:1])), micro(lambda: predict_rows(rows[:1]))
    text = micro(lambda: encode_responses(predictor.respond(rows[:1])))
    batches = {count: micro(partial(predictor.respond, rows[:count])) / count for count in (16, 100)}
    print(f"\nOne row in process, {len(rows[0])} columns, {encoded.size} encoded")
    for name, took in (
        ("LightGBM's single-row C call", bare),
        ("  the same, prepared", fast),
        ("mlnb: row to response", whole),
        ("  and its JSON text", text),
        *((f"  a row of {count} in one batch", took) for count, took in batches.items()),
        ("DataFrame pipeline", frame),
    ):
        print(f"  {name:32}{took:10.1f} µs {took / bare:8.1f} x the bare call")
    return [figures.Figure("one row in process, against LightGBM's C call", whole / bare, 1.5)]


@contextmanager
def program(*command: str, port: int, body: str, **environment: str) -> Iterator[psutil.Process]:
    """Run a server while inside, once it answers."""
    everything = bentoml_environment() | {"PYTHONPATH": str(HERE)} | environment
    with tempfile.TemporaryFile() as log:
        running = subprocess.Popen(command, env=everything, stdout=log, stderr=subprocess.STDOUT, cwd=HERE)
        process = psutil.Process(running.pid)
        try:
            wait(port, body)
            yield process
        finally:
            for one in [*process.children(recursive=True), process]:
                one.terminate()
            running.wait(20)


def wait(port: int, body: str) -> None:
    """Return when the first request is answered: a supervisor listens before its worker can answer."""
    for _ in range(600):
        if asyncio.run(ask(port, [(body, 200, None)], 0.05, 1)).good:
            return
    raise TimeoutError(f"nothing answers on port {port}")


def processor_seconds(process: psutil.Process) -> float:
    """Return what a server and its workers have used."""
    times = [one.cpu_times() for one in [process, *process.children(recursive=True)]]
    return sum(each.user + each.system for each in times)


def over_http(
    folder: Path, bento: Path, rows: list[dict[str, Any]], seconds: float, wanted: str
) -> list[figures.Figure]:
    """Print requests a second and latencies of the ways to serve one row whose names hold `wanted`; return figures."""
    layers = [sys.executable, "-m", "bentoml", "serve", "peers.bento_layers:Layers", "--host", "127.0.0.1", "--port"]
    uvicorn = [sys.executable, "-m", "uvicorn", "--log-level", "warning", "--port"]
    ways: dict[str, tuple[list[str], dict[str, str]]] = {
        "FastAPI, joblib, DataFrame": ([*uvicorn, "{port}", "peers.fastapi_recipe:app"], {}),
        "BentoML, the same pipeline": ([*layers, "{port}"], {"LAYER": "pipeline"}),
        "BentoML, fast row": ([*layers, "{port}"], {"LAYER": "api"}),
        "  adaptive batching": ([*layers, "{port}"], {"LAYER": "batched"}),
        "  access log off": ([*layers, "{port}"], {"LAYER": "api", "BENTOML_CONFIG_OPTIONS": QUIET}),
        "  mounted route, log off": ([*layers, "{port}"], {"LAYER": "mounted", "BENTOML_CONFIG_OPTIONS": QUIET}),
        "mlnb bento": ([], {}),
        "bare Starlette, same call": ([*uvicorn, "{port}", "peers.bare_starlette:app"], {}),
    }
    print(f"\nOver HTTP, one worker, 16 clients, {seconds:.0f} s each")
    print(f"  {'':28}{'requests/s':>12}{'median ms':>11}{'p99 ms':>9}{'CPU µs each':>13}{'x FastAPI':>11}")
    rates, latest = dict[str, float](), dict[str, float]()
    for name, (command, environment) in ways.items():
        if wanted not in name:
            continue
        port = free_port()
        command = [part.format(port=port) for part in command]
        with (
            serve_bento(bento, port)
            if not command
            else program(*command, port=port, body=json.dumps(rows[:1]), PEERS=str(folder), **environment) as process
        ):
            measure(port, rows, 1)
            before, began = processor_seconds(process), time.monotonic()
            rate, middle, late = measure(port, rows, seconds)
            used = (processor_seconds(process) - before) / max(rate * (time.monotonic() - began), 1) * 1e6
        rates[name], latest[name] = rate, late
        ratio = rate / rates.get("FastAPI, joblib, DataFrame", math.nan)
        print(f"  {name:28}{rate:12,.0f}{middle:11.2f}{late:9.2f}{used:13,.0f}{ratio:11.1f}", flush=True)
    if wanted:
        return []
    ratio = rates["mlnb bento"] / rates["bare Starlette, same call"]
    print(f"  mlnb is {ratio:.2f} x bare Starlette")
    return [
        figures.Figure("HTTP, one worker, 16 clients, against bare Starlette", ratio, 1.3, at_least=True),
        figures.Figure("the same, 99 % of the requests within", latest["mlnb bento"], 5.0, "ms"),
    ]


@contextmanager
def serve_bento(bento: Path, port: int) -> Iterator[psutil.Process]:
    """Serve the bento while inside."""
    with tempfile.TemporaryDirectory() as logs, serving(bento, Path(logs) / "log", port=port) as server:
        server.wait()
        yield psutil.Process(server.process.pid)


def mixed_requests(bundle: Path) -> list[tuple[str, int, str | None]]:
    """Return 99 good requests for each bad one, with the very answers that the notebook gave."""
    golden = json.loads((bundle / "model" / "golden.json").read_text())
    pairs = list(zip(golden["rows"], golden["predictions"], strict=True))
    good = [(json.dumps([row]), 200, json.dumps([predicted], separators=(",", ":"))) for row, predicted in pairs[:99]]
    row = pairs[0][0]
    changes: list[tuple[str, Any]] = [("amount_3", "many"), ("colour", 1), ("day", "yesterday"), ("member", "perhaps")]
    changes += [("kind_2", ["a"]), ("note", 7), ("amount_0", True)]
    bad = [(json.dumps([{**row, name: value}]), 422, f'"column":"{name}"') for name, value in changes]
    return good * len(bad) + bad


def mixed_load(bento: Path, bundle: Path, seconds: float) -> None:
    """Print what a long load with bad requests does to memory, and what killing the worker does to clients."""
    port, sizes = free_port(), []
    with tempfile.TemporaryDirectory() as logs, serving(bento, Path(logs) / "log", port=port) as server:
        server.wait()
        stop = threading.Event()
        watcher = threading.Thread(target=lambda: watch(server, sizes, stop))
        watcher.start()
        requests = mixed_requests(bundle)
        if shutil.which("wrk"):
            answered, refused, errors, slow = measure_mixed(port, requests[0][0], requests[-1][0], seconds)
            print(
                f"\nwrk, {seconds:.0f} s, 16 connections: {answered:,} answered, {refused:,} bad ones refused", end=""
            )
            print(f", {errors} errors; p99 {slow:.1f} ms\n  memory of the worker {describe_growth(sizes)}")
            sizes.clear()
        seen = asyncio.run(ask(port, requests, seconds))
        stop.set()
        watcher.join()
        done = f"{seen.good:,} answered right, {seen.bad:,} bad ones refused by column"
        print(f"\nMixed load, {seconds:.0f} s: {done}, {len(seen.wrong)} wrong, {seen.broken} cut", end="")
        print(f"; p99 {seen.percentile(0.99):.1f} ms with a client in Python on the same machine")
        print(f"  memory of the worker {describe_growth(sizes)}")
        print(*seen.wrong[:3], sep="\n", end="")
        asyncio.run(kill_under_load(server, mixed_requests(bundle)))


def describe_growth(sizes: list[float]) -> str:
    """Return the memory in the second and in the last third of a load."""
    third = max(1, len(sizes) // 3)
    early, late = np.median(sizes[third : 2 * third]), np.median(sizes[-third:])
    return f"{early / 2**20:.1f} MiB, then {late / 2**20:.1f} MiB: {100 * (late / early - 1):+.2f} %"


def watch(server: Server, sizes: list[float], stop: threading.Event) -> None:
    """Note the memory of the workers every half second."""
    while not stop.wait(0.5):
        workers = psutil.Process(server.process.pid).children(recursive=True)
        sizes.append(sum(worker.memory_info().rss for worker in workers))


async def kill_under_load(server: Server, requests: list[tuple[str, int, str | None]]) -> None:
    """Print how long clients waited after their worker was killed."""
    load = asyncio.ensure_future(ask(server.port, requests, 16))
    await asyncio.sleep(2)
    victim = psutil.Process(server.process.pid).children()[0]
    victim.kill()
    killed = time.monotonic()
    seen = await load
    back = min(at for at in seen.times if at > killed + 0.05) - killed
    print(f"  kill -9 of the worker: answered again after {back:.1f} s, {len(seen.wrong)} wrong answers")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=5, help="load on each server")
    parser.add_argument("--mixed", type=float, default=60, help="seconds of mixed load; 0: none")
    parser.add_argument("--way", default="", help="over HTTP only the ways whose names hold this, such as mlnb")
    parser.add_argument("--only", choices=["process", "http", "mixed"], help="one part alone")
    figures.add_json(parser)
    arguments = parser.parse_args()
    if not find_spec("fastapi"):
        sys.exit("benchmarks/serving.py compares with FastAPI: pip install 'mlnb[bench]'")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        bundle, rows, bento = make_bento(folder)
        parts: dict[str, Callable[[], list[figures.Figure] | None]] = {
            "process": lambda: in_process(folder, rows),
            "http": lambda: over_http(folder, bento, rows, arguments.seconds, arguments.way),
            "mixed": lambda: mixed_load(bento, bundle.folder, arguments.mixed),
        }
        measured: list[figures.Figure] = []
        for name, part in parts.items():
            if arguments.only in (None, name) and (name != "mixed" or arguments.mixed):
                measured += part() or []
        figures.write(arguments.json, measured)


if __name__ == "__main__":
    main()
