"""Monitoring cycle of each task on synthetic data that changes: serve, label, monitor, retrain, evaluate, promote."""

import http.client
import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import toys
from in_process import call_in_process, mlnb_in_process
from waiting import wait_for

import mlnb
from mlnb.codec import decode
from mlnb.engine import runs
from mlnb.engine.project import Project
from mlnb.methods.contracts.challenge_records import ChallengeResult
from mlnb.methods.contracts.monitoring_records import MonitoringVerdict
from mlnb.serving.packaging.bento_server import free_port

DAY, FIRST = 86_400.0, 1_700_000_000.0
SMALL = ["-p", "tune.trials", "2", "-p", "evaluate.resamples", "50", "-p", "evaluate.repeats", "1"]
SMALL += ["-p", "explore.most", "2", "--no-report"]
WON = ["-p", "most_changed", "1", "-p", "challenge.slower", "50", "--promote"]


class Service:
    """A champion that answers over HTTP; each request states its time."""

    def __init__(self, root):
        self.port = free_port()
        command = [sys.executable, "-m", "mlnb.cli.main", "serve", "@champion", "--port", str(self.port)]
        self.log = (root / "serve.txt").open("wb")
        environment = {**os.environ, "MLNB_LOG_EVENT_TIME": "1"}
        self.process = subprocess.Popen(command, cwd=root, env=environment, stdout=self.log, stderr=self.log)

    def __enter__(self):
        wait_for(self.ready, 60, "a service that is ready")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)
        self.log.close()

    def ready(self):
        """Whether the service answers; fails at once when its process has ended."""
        assert self.process.poll() is None, "the service ended"
        return self._send("GET", "/readyz", "", {}) is not None

    def ask(self, rows, request, days):
        headers = {"Content-Type": "application/json", "X-Request-Id": request, "X-Event-Time": str(FIRST + days * DAY)}
        return self._send("POST", "/predict", json.dumps(rows), headers)

    def _send(self, method, path, body, headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            answer = response.read()
            return (json.loads(answer) if path == "/predict" else answer) if response.status == 200 else None
        except OSError:
            return None
        finally:
            connection.close()


def champion(folder, table, *arguments):
    """Return a project whose champion learned from the table."""
    root = toys.new_project(folder)
    table.to_csv(root / "past.csv", index=False)
    mlnb_in_process(root, "run", "--data", "past.csv", *SMALL, *arguments)
    mlnb_in_process(root, "promote", "1", "--reason", "the first")
    return root


def add(root, labels):
    pd.DataFrame(labels).to_csv(root / "labels.csv", index=False)
    mlnb_in_process(root, "labels", "add", "labels.csv")
    return json.loads(mlnb_in_process(root, "labels", "--json"))["labeled rows"]


def look(root, days, code):
    """Return verdict and performance."""
    mlnb_in_process(root, "monitor", "--days", str(days), code=code)
    run = runs.open_run(Project.find(root))
    return run.load("verdict"), run.load("performance")


def won(root, *arguments):
    """Retrain; return the champion/challenger evaluation after checking the order of the trials."""
    output = mlnb_in_process(root, "retrain", *arguments, *WON)
    assert "promoted as champion, which was version 1" in output
    return won_evaluation(root)


def won_in_python(root, policy):
    """Retrain as `won` with `mlnb.retrain`."""
    params = {"most_changed": 1.0, "challenge.slower": 50.0}
    (outcome,) = call_in_process(
        root, lambda: mlnb.retrain(policy=policy, promote=True, params=params, report=False, progress=False)
    )
    evaluation = won_evaluation(root)
    assert (outcome.result, outcome.champion[-2:], outcome.challenger[-2:]) == ("promoted", ":1", ":2")
    assert outcome.run == runs.open_run(Project.find(root)).id
    assert outcome.evaluation == decode(ChallengeResult, json.dumps(evaluation).encode())
    return evaluation


def won_evaluation(root):
    """Return the evaluation of the latest run, in which the challenger has won."""
    run = runs.open_run(Project.find(root))
    evaluation, trials = run.load("challenge"), run.load("trials")
    assert evaluation["decision"] == "promote" and evaluation["low"] > 0 and evaluation["rows"] > 50
    assert ":1, trial " in trials["origin"][0]  # the champion's went first
    return evaluation


@pytest.mark.slow
def test_a_forecaster_is_retrained_and_promoted(tmp_path):
    random, days = np.random.default_rng(0), 230
    t = np.arange(days)
    parts = []
    for shop, size in (("north", 1.0), ("south", 20.0)):
        price = 1.0 + (random.random(days) < 0.2)
        season = np.where(t < 150, np.sin(2 * np.pi * t / 7), np.cos(4 * np.pi * t / 7))
        sold = size * (30 + 9 * season - np.where(t < 150, 8, 1) * price + random.normal(size=days))
        stamps = pd.date_range("2023-01-01", periods=days).strftime("%Y-%m-%d")
        parts.append(pd.DataFrame({"day": stamps, "shop": shop, "price": price, "sold": sold.round(2), "t": t}))
    stream = pd.concat(parts, ignore_index=True)
    plain = stream.drop(columns="t")
    families = ("-p", "tune.families", '["autoregression", "linear"]')
    about = ("--target", "sold", "-p", "problem.horizon", "7", "-p", "features.known", '["price"]')
    root = champion(tmp_path, plain[stream["t"] < 150], *about, *families)
    with Service(root) as service:
        for day in range(150, days - 7):
            history = plain[stream["t"].between(day - 40, day - 1)].to_dict("records")
            ahead = plain[stream["t"].between(day, day + 6)].assign(sold=None).to_dict("records")
            assert len(service.ask(history + ahead, f"r{day}", day)) == 14
    verdict, performance = look(root, 21, 11)  # later requests have brought the values
    assert performance["now"]["rows"] == 2 * 21 * 7 and performance["lost"]["low"] > 1
    assert any("intervals contain" in reason["text"] for reason in verdict["reasons"])
    truth = plain[stream["t"].between(days - 20, days - 1)]
    assert add(root, truth[["day", "shop", "sold"]]) > 200
    assert look(root, 21, 11)[1]["now"] == performance["now"]  # the same truth, as labels
    evaluation = won(root, "-p", "collect.least", "100", "--policy", "since_last")
    assert evaluation["metric"] == "mase" and evaluation["challenger"] < evaluation["champion"] / 2


@pytest.mark.slow
def test_a_ranker_is_retrained_and_promoted(tmp_path):
    def searches(count, seed, sign):
        random = np.random.default_rng(seed)
        table = pd.DataFrame({"query": np.repeat([f"q{n}" for n in range(count)], 8)})
        table["item"] = np.tile([f"i{n}" for n in range(8)], count)
        table["match"], table["noise"] = random.normal(size=(2, len(table)))
        table["relevance"] = np.clip(np.round(sign * table["match"] + 0.2 * table["noise"]), 0, 3).astype(int)
        return table

    about = ("--target", "relevance", "-p", "problem.task", "ranking", "-p", "problem.query", "query")
    families = ("-p", "tune.families", '["linear", "lambdarank"]', "-p", "split.folds", "2")
    root = champion(tmp_path, searches(60, 0, 1), *about, "-p", "problem.item", "item", *families)
    labels = []
    with Service(root) as service:
        for number, (_, query) in enumerate(searches(80, 1, -1).groupby("query", sort=False)):
            rows = query.drop(columns="relevance").to_dict("records")
            assert len(service.ask(rows, f"r{number}", number / 8)) == 8
            graded = query[["item", "relevance"]].assign(request=f"r{number}")
            labels.append(graded if number < 76 else graded.head(3))
    assert add(root, pd.concat(labels)) == 76 * 8 + 4 * 3
    (seen,) = call_in_process(root, lambda: mlnb.monitor(days=8, progress=False))
    verdict, performance = (mlnb.open_run(seen.run, root).artifact(name) for name in ("verdict", "performance"))
    assert (seen.result, seen.code) == ("retrain", 11)
    assert seen.verdict == decode(MonitoringVerdict, json.dumps(verdict).encode())
    assert performance["now"]["rows"] < 76 * 8 and performance["now"]["rows"] % 8 == 0  # whole queries of the window
    assert performance["lost"]["low"] > 0.5
    evaluation = won_in_python(root, "since_last")
    assert evaluation["metric"] == "ndcg@5" and evaluation["challenger"] > 0.9 > 0.5 > evaluation["champion"]


@pytest.mark.slow
@pytest.mark.parametrize("labelled", [True, False])
def test_a_detector_is_retrained_and_promoted(tmp_path, labelled):
    def machines(count, seed, turned):
        random = np.random.default_rng(seed)
        table = pd.DataFrame(random.normal(size=(count, 3)), columns=list("abc"))
        odd = random.random(count) < 0.06
        table["c"] *= 0.05 if turned else 1.0
        table.loc[odd, "c" if turned else "b"] += 1.5 if turned else 6.0
        return table.assign(fault=np.where(odd, "bad", "fine"))

    past = machines(500, 0, False)
    about = ("--target", "fault") if labelled else ("-p", "problem.alert_budget", "0.06")
    table = past if labelled else past.drop(columns="fault")
    root = champion(tmp_path, table, *about, "-p", "problem.task", "anomaly", "-p", "split.folds", "2")
    random, labels = np.random.default_rng(5), []
    words = {"bad": "bad", "fine": "fine"} if labelled else {"bad": "anomaly", "fine": "normal"}
    with Service(root) as service:
        met = machines(900, 1, True)
        for number in range(90):
            part = met.iloc[10 * number : 10 * number + 10]
            responses = service.ask(part[list("abc")].to_dict("records"), f"r{number}", number / 9)
            for row, (answer, fault) in enumerate(zip(responses, part["fault"], strict=True)):
                if answer["prediction"] == "anomaly" or random.random() < 0.5:  # alerts, and half of the others
                    label = {"fault" if labelled else "label": words[fault]}
                    labels.append({"request": f"r{number}", "row": row, **label})
    assert 350 < add(root, labels) == len(labels) < 550
    verdict, performance = look(root, 8, 11)  # the champion does not see the anomalies of column c
    assert any(reason["text"].startswith("c: its values moved") for reason in verdict["reasons"])
    assert performance["now"]["value"] is not None
    evaluation = won(root, "--policy", "since_last")
    assert evaluation["metric"] == ("average_precision" if labelled else "stability")
