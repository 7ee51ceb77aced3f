"""Latency and throughput of one row: in process, and over HTTP with FastAPI, plain BentoML and mlnb's service.

    python benchmarks/serving.py [--seconds 5] [--mixed 60] [--only http]

Each served by one worker, 16 clients, the same rows and the same kind of model, 300 trees of LightGBM. The ratio to
bare Starlette is measured in turn: both servers run, each is suspended while the other has a load, servers have one
core and the client the others, where there are several. `--mixed 600` is ten minutes with one bad request in a
hundred; a worker is killed in the end. Needs `pip install 'mlnb[bench]'`; wrk makes the load where it is installed.

One row in process, 20 columns that become 73 numbers, takes 1.4 to 1.45 times as long as LightGBM's C call. Its
parts, each the least of 300 rounds on a core that others used, too:

    part                                             µs   why
    LightGBM's trees, the prepared call             5.8   9.6 as a plain call, which the target compares with
    read 20 features, check names, copy a row       0.7
    ten numbers, two booleans, six categories       2.2   each value is checked: type, finite, known
    a text of three words                           2.0   0.3 to find the words, the rest for their weights
    a date                                          0.4   3.0 with a new day, whose numbers are kept
    to LightGBM's buffer, record of the response    0.5
    calls, personal data, loops                     0.7
    caches                                          1.2   the trees displace the interpreter, and are displaced
    together                                       13.5

This is the same row again and again, so that the processor predicts the branches of its trees. With 100 rows in turn,
the C call takes 21 µs and mlnb 27, 1.3 times as long.

A request over HTTP takes 74 µs of processor time of the worker, bare Starlette's 134:

    part                                             µs   why
    row to response                                13.5   as above
    JSON of request and response                    2.2   476 bytes, by msgspec
    metrics                                         4.9   four values that all workers share, in mapped files
    id, key, options, limits, headers               7.5
    HTTP parser and the state of the connection     5.0
    read, write and wait in the kernel               15
    event loop, caches                               26   kernel, client and interpreter displace each other
"""

import argparse
import asyncio
import ctypes
import json
import math
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
import timeit
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from peers import figures, turns
from peers.load import ask, measure, measure_mixed
from peers.material import make_bento
from peers.servers import program, serve_bento

from mlnb.serving.packaging.bento_server import Server, free_port, serving
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
    each = [bare_calls(predictor, predictor.handler._encode(row))[0] for row in rows]  # type: ignore[attr-defined]
    turned_bare = micro(lambda: [call() for call in each]) / len(rows)
    turned = micro(lambda: [predictor.respond([row]) for row in rows]) / len(rows)
    whole, frame = micro(lambda: predictor.respond(rows[:1])), micro(lambda: predict_rows(rows[:1]))
    text = micro(lambda: encode_responses(predictor.respond(rows[:1])))
    batches = {count: micro(partial(predictor.respond, rows[:count])) / count for count in (16, 100)}
    print(f"\nOne row in process, {len(rows[0])} columns, {encoded.size} encoded")
    print(f"  {len(rows)} rows in turn, each: mlnb {turned:.1f} µs, LightGBM's C call {turned_bare:.1f}, ", end="")
    print(f"{turned / turned_bare:.2f} x; the same row again and again:")
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
    rates = dict[str, float]()
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
            seen = turns.load(port, process, rows, seconds)
        rates[name] = seen.rate
        ratio = seen.rate / rates.get("FastAPI, joblib, DataFrame", math.nan)
        numbers = f"{seen.rate:12,.0f}{seen.middle:11.2f}{seen.late:9.2f}{seen.processor:13,.0f}"
        print(f"  {name:28}{numbers}{ratio:11.1f}", flush=True)
    return [] if wanted else compare(folder, bento, rows, ways["bare Starlette, same call"][0])


def compare(folder: Path, bento: Path, rows: list[dict[str, Any]], bare: list[str]) -> list[figures.Figure]:
    """Measure mlnb's service and bare Starlette in turn, under the same conditions; print and return the ratio."""
    servers, client = turns.split_cores()
    ports = [free_port(), free_port()]
    command = [part.format(port=ports[1]) for part in bare]
    with ExitStack() as running:
        with turns.on_cores(servers):
            ours = running.enter_context(serve_bento(bento, ports[0]))
            body = json.dumps(rows[:1])
            other = running.enter_context(program(*command, port=ports[1], body=body, PEERS=str(folder)))
        with turns.on_cores(client):
            seen = turns.take_turns({"mlnb": (ports[0], ours), "bare": (ports[1], other)}, rows)
    pairs = [*zip(seen["mlnb"], seen["bare"], strict=True)]
    ratios = sorted(one.rate / two.rate for one, two in pairs)
    ratio, late = statistics.median(ratios), statistics.median(one.late for one, _ in pairs)
    busy = statistics.median(two.processor / one.processor for one, two in pairs)
    cores = "one core for server and client" if servers == client else "separate cores for server and client"
    print(
        f"  in turn, {len(pairs)} rounds of {turns.SECONDS:.0f} s, {cores}: {ratio:.2f} x the requests of bare", end=""
    )
    print(f" Starlette ({ratios[0]:.2f} to {ratios[-1]:.2f}), which takes {busy:.2f} x the processor time for one")
    note = f"in turn, {cores}"
    return [
        figures.Figure("HTTP, one worker, 16 clients, against bare Starlette", ratio, 1.3, at_least=True, note=note),
        figures.Figure("the same, processor time of a request", busy, note=note),
        figures.Figure("the same, 99 % of the requests within", late, 5.0, "ms", note=note),
    ]


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
