"""One running service from shadow to promotion and back: routing, withdrawal, and no lost request."""

import http.client
import itertools
import json
import shutil
from types import SimpleNamespace

import pytest
from clients import Clients
from waiting import wait_for

from mlnb.codec import encode
from mlnb.methods.contracts.decisions import Decision, ValueInterval
from mlnb.methods.contracts.responses import Golden
from mlnb.methods.decisions.decision_rules import write_decision
from mlnb.methods.models.fitted_models import Model, load_model, save_model
from mlnb.monitoring.prediction_table import read_log
from mlnb.serving.packaging.bento_server import send_request, serving
from mlnb.serving.packaging.bento_stores import build_bento
from mlnb.serving.runtime.predictor import Predictor
from mlnb.serving.runtime.traffic_routing import LEAST

FARES = [3.0, 7.25, 12.0, 18.5, 26.0, 30.0, 35.0, 11.0, 8.5, 500.0]
ROWS = [{"age": 31, "fare paid €": fare, "sex": "f", "note": "crew", "ok": True, "day": "2020-05-01"} for fare in FARES]
KEYS = [f"customer {number}" for number in range(200)]
OVERFLOWING = Decision(interval=ValueInterval(low=-1.0, high=1e200, x=(0.0, 200.0, 201.0), scale=(0.0, 0.0, 1e200)))


@pytest.fixture
def models(material, tmp_path):
    """The champion's bundle, and other models: good ones, one that fails on large fares, one that is slow."""
    champion = material("linear", "regression").bundle(tmp_path / "champion", name="fares")
    good = material("lightgbm", "regression").bundle(tmp_path / "good", name="fares").folder / "model"

    def vary(name, decision=None, members=0):
        folder = tmp_path / name
        shutil.copytree(good, folder)
        (folder / "version.txt").write_text(f"fares:{name}\n")
        if members:
            one = load_model(champion.folder / "model" / "fitted")
            together = {"members": [one] * members, "weights": [1 / members] * members}
            shutil.rmtree(folder / "fitted")
            save_model(Model("ensemble", "regression", 0, one.features, together), folder / "fitted")
        write_decision(decision or Decision(), folder / "fitted")
        predictor = Predictor.load(folder)
        rows = [row for row in predictor.golden.rows if row["fare paid €"] < 60]
        (folder / "golden.json").write_bytes(encode(Golden(rows=rows, predictions=predictor.predict(rows))))
        return folder

    others = {"good": good, "shadowed": vary("shadowed"), "failing": vary("failing", OVERFLOWING)}
    return champion, others | {"slow": vary("slow", members=60)}


class Routed(Clients):
    """Clients that ask without a pause while inside, each time as one of KEYS."""

    def __init__(self, server, count=3):
        super().__init__(count)
        self.server, self.seen, self.cut = server, [], []
        self.numbers = itertools.count()

    def ask(self):
        connection = http.client.HTTPConnection(self.server.host, self.server.port, timeout=10)
        while not self.ending.is_set():
            number = next(self.numbers)
            key, row = KEYS[number % len(KEYS)], number // 7 % len(ROWS)
            headers = {"X-Routing-Key": key, "X-Request-Id": f"r{number}", "Content-Type": "application/json"}
            try:
                connection.request("POST", "/predict", json.dumps([ROWS[row]]), headers)
                response = connection.getresponse()
                body = response.read()
            except (OSError, http.client.HTTPException) as error:
                self.cut.append(repr(error))
                connection.close()
                continue
            version = response.headers["X-Model-Version"]
            self.seen.append(
                SimpleNamespace(
                    id=f"r{number}", number=number, key=key, row=row, status=response.status, by=version, body=body
                )
            )
        connection.close()

    def next(self, count):
        """Return the responses to at least `count` requests that are sent from now on, not to those in flight."""
        start, now = len(self.seen), next(self.numbers)

        def sent_later():
            return [one for one in self.seen[start:] if one.number > now]

        return wait_for(lambda: len(later := sent_later()) >= count and later, 20, f"{count} more responses")


def test_from_shadow_to_promotion_and_back(models, tmp_path):
    champion, others = models
    folders = {"own": champion.folder / "model", **others}
    names = {name: (folder / "version.txt").read_text().strip() for name, folder in folders.items()}
    pointers = {name: tmp_path / f"{name}.txt" for name in ("follow", "shadow", "canary")}
    environment = {f"MLNB_{name.upper()}": str(path) for name, path in pointers.items()}
    environment |= {"MLNB_CANARY_SHARE": "0.3", "MLNB_LOG": str(tmp_path / "log")}
    expected = {names[name]: Predictor.load(folder).predict(ROWS) for name, folder in folders.items()}

    def point(pointer, name):
        pointers[pointer].write_text(f"{folders[name]}\n")

    point("shadow", "shadowed")
    with serving(build_bento(champion).path, tmp_path / "service.log", environment=environment) as server:
        server.wait()

        def events(name):
            lines = [json.loads(line) for line in server.output().splitlines() if line.startswith("{")]
            return [line for line in lines if line["event"] == name]

        with Routed(server) as clients:
            assert {one.by for one in clients.next(LEAST)} == {names["own"]}

            point("canary", "good")
            wait_for(lambda: clients.seen[-1].by == names["good"], 20, "a response of the new canary")
            by_key = {key: set() for key in KEYS}
            for one in clients.next(3 * len(KEYS)):
                by_key[one.key].add(one.by)
            assert {key: seen for key, seen in by_key.items() if len(seen) != 1} == {}, server.output()
            chosen = {key for key, models in by_key.items() if models == {names["good"]}}
            assert 0.2 < len(chosen) / len(KEYS) < 0.4

            point("canary", "failing")
            wait_for(lambda: len(events("canary withdrawn")) == 1, 20, "a withdrawn canary")
            assert {one.by for one in clients.next(LEAST)} == {names["own"]}

            point("canary", "slow")
            wait_for(lambda: len(events("canary withdrawn")) == 2, 20, "another withdrawn canary")
            assert {one.by for one in clients.next(LEAST)} == {names["own"]}

            point("follow", "good")
            wait_for(lambda: clients.seen[-1].by == names["good"], 20, "a response of the new canary")
            assert {one.by for one in clients.next(LEAST)} == {names["good"]}
            point("follow", "own")
            wait_for(lambda: clients.seen[-1].by == names["own"], 20, "a response of the champion")
        withdrawn = {event["model_version"]: event["reason"] for event in events("canary withdrawn")}
        counted = send_request(server.host, server.port, "GET", "/metrics")[1].decode()

    assert withdrawn[names["failing"]].endswith("of its requests failed")
    assert withdrawn[names["slow"]] == "it is too slow"
    assert clients.cut == [] and {one.status for one in clients.seen} == {200}  # not one request was lost
    for one in clients.seen:
        assert json.loads(one.body) == [expected[one.by][one.row]]
    assert {one.by for one in clients.seen} == {names[n] for n in ("own", "good", "failing", "slow")}
    assert 'mlnb_log_rows_total{result="dropped"} 0.0' in counted

    returned = read_log(tmp_path / "log")[0]
    assert dict(zip(returned["request"], returned["model"], strict=True)) == {one.id: one.by for one in clients.seen}
    every = read_log(tmp_path / "log", shadows=True)[0]
    shadow_log = every[every["shadow"].astype(bool)].set_index("request")
    assert set(shadow_log["model"]) == {names["shadowed"]} and set(shadow_log.index) <= {one.id for one in clients.seen}
    by_id = {one.id: one for one in clients.seen}
    for request, prediction in shadow_log["out.prediction"].items():
        assert prediction == expected[names["shadowed"]][by_id[request].row]["prediction"]
    compared = sum(
        float(line.split()[-1])
        for line in counted.splitlines()
        if line.startswith("mlnb_shadow_rows_total") and ('"same"' in line or '"different"' in line)
    )
    assert compared > 0.9 * len(clients.seen)
