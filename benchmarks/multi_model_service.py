"""One service of many models against one service each: memory, cost of a request, loading on demand, eviction.

    python benchmarks/multi_model_service.py PROJECT [--services 8] [--requests 500] [--rounds 20] [--limit 4]

PROJECT is a project with a model for each segment, such as `benchmarks/many_models.py --folder DIR` leaves in
DIR/project. Prints

- the memory (proportional set size) of one service with all models loaded, and of `--services` services of one model
  each that run at the same time, per service and for as many as there are models;
- the processor time of the service for a request of one row over one kept connection: the model served alone, the same
  model by its path, and by the segment of its row, in turns;
- the time of the first request to each model, which loads it, and of the next one;
- with `--limit` MB for loaded models: how many stay loaded, requests that failed, and the memory after each round of
  requests to all models in turn.

Ends with 1 when a request by path takes more than 1.1 times the processor time of the model served alone, or one fails.
"""

import argparse
import http.client
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import psutil

from mlnb.cli.selected_bento import find_models
from mlnb.codec import JsonObject
from mlnb.engine.project import Project
from mlnb.serving.deploy.kubernetes_manifests import measure_memory, prediction_requests
from mlnb.serving.packaging.bento_server import Server, free_port, serving
from mlnb.serving.packaging.bento_stores import BuiltBento, build_bento
from mlnb.serving.packaging.bundles import BentoSource
from mlnb.serving.packaging.multi_model_bundles import PackagedModel, make_multi_model_bundle

RATIO = 1.1  # highest processor time of a request by path, in multiples of that to the model served alone
EVICTION_ROUNDS = 4
LIMIT = "MLNB_MODELS_MEMORY"


class Client:
    """One connection that is kept."""

    def __init__(self, server: Server) -> None:
        self.connection = http.client.HTTPConnection(server.host, server.port, timeout=60)
        self.process = psutil.Process(server.process.pid)

    def post(self, path: str, body: bytes) -> tuple[int, float]:
        """Return status and seconds of a request."""
        start = time.perf_counter()
        self.connection.request("POST", path, body, {"Content-Type": "application/json"})
        response = self.connection.getresponse()
        response.read()
        return response.status, time.perf_counter() - start

    def processor_seconds(self) -> float:
        """Return the processor time of the service until now."""
        processes = [self.process, *self.process.children(recursive=True)]
        return sum(sum(process.cpu_times()[:2]) for process in processes)

    def cost(self, path: str, body: bytes, requests: int) -> float:
        """Return the processor time of the service for one of many requests, in microseconds."""
        before = self.processor_seconds()
        for _ in range(requests):
            status, _ = self.post(path, body)
            assert status == 200, status
        return 1e6 * (self.processor_seconds() - before) / requests


def compare_memory(source: BentoSource, built: BuiltBento, models: Sequence[PackagedModel], services: int) -> None:
    """Print the memory of one service of all models, and of services of one model each at the same time."""
    requests = prediction_requests(source)
    with tempfile.TemporaryDirectory() as folder, serving(built.path, Path(folder, "log")) as server:
        server.wait()
        empty = measure_memory(server, dict([next(iter(requests.items()))]))
        full = measure_memory(server, requests)
    print(f"one service: {empty / 2**20:.0f} MB with one model loaded, {full / 2**20:.0f} MB with {len(models)}")
    chosen = list(models)[:services]
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        servers = []
        for model in chosen:
            log = Path(folder, f"{model.bundle.name}.log")
            servers.append((model, stack.enter_context(serving(build_bento(model.bundle).path, log))))
        for _, server in servers:
            server.wait(seconds=300)
        total = sum(measure_memory(server, prediction_requests(model.bundle)) for model, server in servers)
    each = total / len(chosen)
    print(
        f"{len(chosen)} services: {total / 2**20:.0f} MB, {each / 2**20:.0f} MB each; "
        f"{len(models)} would take {len(models) * each / 2**20:.0f} MB, {len(models) * each / full:.1f} times as much"
    )


def compare_costs(source: BentoSource, built: BuiltBento, model: PackagedModel, requests: int, rounds: int) -> float:
    """Print the processor time of a request in each form; return the ratio of that by path."""
    row = dict(model.bundle.read_golden().rows[0])
    body, routed = (json.dumps([values]).encode() for values in (row, {**row, model.column: model.segment}))
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(build_bento(model.bundle).path, Path(folder, "one")) as one,
        serving(built.path, Path(folder, "all"), port=free_port()) as several,
    ):
        one.wait()
        several.wait()
        alone, together = Client(one), Client(several)
        forms = {
            "alone": (alone, "/predict", body),
            "by path": (together, source.route_of(model.bundle.name), body),
            "by segment": (together, "/predict", routed),
        }
        for path in prediction_requests(source):  # all models are loaded
            together.post(path, json.dumps([row]).encode())
        costs: dict[str, list[float]] = {name: [] for name in forms}
        for number in range(rounds + 1):
            for name, (client, path, content) in forms.items():
                cost = client.cost(path, content, requests)
                if number:  # the first round warms up
                    costs[name].append(cost)
    ratios = {}
    for name, values in costs.items():  # each round compares requests of about the same time
        pairs = zip(values, costs["alone"], strict=True)
        ratios[name] = statistics.median(value / max(alone, 1e-9) for value, alone in pairs)
        print(
            f"request {name:11} {statistics.median(values):7.1f} µs of processor time, {ratios[name]:.2f} times alone"
        )
    return ratios["by path"]


def measure_loading(built: BuiltBento, requests: dict[str, Sequence[JsonObject]]) -> None:
    """Print the time of the first and of the second request to each model."""
    with tempfile.TemporaryDirectory() as folder, serving(built.path, Path(folder, "log")) as server:
        server.wait()
        client, times = Client(server), ([], [])  # type: tuple[list[float], list[float]]
        for path, rows in requests.items():
            for seconds in times:
                seconds.append(client.post(path, json.dumps(rows[:1]).encode())[1])
    first, second = (sorted(1000 * value for value in values) for values in times)
    print(
        f"first request to a model: median {statistics.median(first):.1f} ms, highest {first[-1]:.1f} ms; "
        f"second: median {statistics.median(second):.1f} ms"
    )


def measure_eviction(built: BuiltBento, requests: dict[str, Sequence[JsonObject]], limit: float) -> bool:
    """Print what a limit of memory does to requests to all models in turn; return whether all had a response."""
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(built.path, Path(folder, "log"), environment={LIMIT: f"{limit:g}"}) as server,
    ):
        server.wait()
        client, failed, memory = Client(server), 0, []
        for _ in range(EVICTION_ROUNDS):
            for path, rows in requests.items():
                failed += client.post(path, json.dumps(rows[:1]).encode())[0] != 200
            processes = [client.process, *client.process.children(recursive=True)]
            memory.append(sum(process.memory_full_info().pss for process in processes) / 2**20)
        client.connection.request("GET", "/models")
        states = [model["state"] for model in json.loads(client.connection.getresponse().read())["models"]]
    print(
        f"limit of {limit:g} MB: {states.count('loaded')} of {len(states)} models stay loaded, {failed} requests "
        f"failed, memory after each round {', '.join(f'{value:.0f}' for value in memory)} MB"
    )
    return not failed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("--services", type=int, default=8)
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--limit", type=float, default=4.0, metavar="MB")
    requested = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    project = Project.find(requested.project.absolute())
    models = find_models(project, argparse.Namespace(name="", segment="", fallback=False)).models
    with tempfile.TemporaryDirectory() as folder:
        os.environ["BENTOML_HOME"] = str(Path(folder, "bentoml"))
        source = make_multi_model_bundle(Path(folder, "bundle"), models, project)
        built = build_bento(source)
        requests = prediction_requests(source)
        segmented = next(model for model in models if model.segment)
        ratio = compare_costs(source, built, segmented, requested.requests, requested.rounds)
        measure_loading(built, requests)
        complete = measure_eviction(built, requests, requested.limit)
        compare_memory(source, built, models, requested.services)
    sys.exit(not (ratio <= RATIO and complete))


if __name__ == "__main__":
    main()
