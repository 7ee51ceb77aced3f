"""`mlnb simulate`: contradictory options are refused, and a custom table is replayed by its timestamps."""

import argparse
import json
from types import SimpleNamespace

import pytest
from listeners import Quiet, listening

from mlnb.cli import simulate
from mlnb.cli.simulate import DAY, FIRST, Day, Simulation, check, cycle_summary, table_days
from mlnb.engine.project import Project
from mlnb.errors import UsageError
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.tables.data_sources import read_table
from mlnb.methods.tables.type_inference import clean
from mlnb.monitoring.labels import read_labels
from mlnb.monitoring.monitoring_paths import label_database, log_folder
from mlnb.serving.runtime.prediction_log import PredictionLog

CSV = """id;ordered at;amount;colour;size;late
4;2026-02-09;3,5;red;9;no
1;2026-01-07;1,5;red;10;no
3;2026-02-08;;blue;11;yes
2;2026-01-31;2,5;green;9;yes
5;;7,5;red;9;no
6;2026-03-01;8,5;red;9;
"""


def arguments(*given):
    p = argparse.ArgumentParser()
    simulate.parser(p)
    return p.parse_args([str(value) for value in given])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--days", 0], "--days is 0; expected 1 or more"),
        (["--customers", -1], "--customers is -1"),
        (["--delay", -1], "--delay is -1; expected 0 or more"),
        (["--delay", "nan"], "--delay is nan"),
        (["--recovered", 3], "later day than that of --broken"),
        (["--broken", 3, "--recovered", 3], "later day"),
        (["--data", "a.csv"], "--data orders.csv --time ordered_at"),
        (["--time", "a"], "--data orders.csv --time ordered_at"),
        (
            ["--data", "a.csv", "--time", "a", "--drift", 3, "--history", "b.csv"],
            "--history, --drift: for synthetic data",
        ),
        (["--", "--promote"], "add --cycle DAYS"),
    ],
)
def test_contradictory_options_are_refused(given, message):
    with pytest.raises(UsageError, match=message):
        check(arguments(*given))


def test_consistent_options_are_accepted():
    check(arguments("--broken", 3, "--recovered", 4, "--cycle", 5, "--", "--promote"))
    check(arguments("--data", "a.csv", "--time", "when"))


@pytest.fixture
def table(tmp_path):
    """A table of orders, and a run that was trained on such a table."""
    path = tmp_path / "orders.csv"
    path.write_text(CSV)
    raw, _ = read_table(str(path))
    schema = clean(raw, "late")[1].to_json()
    for column in schema["columns"]:
        column["role"] = {"late": "target", "id": "identifier", "ordered at": "dropped"}.get(column["name"], "feature")
    artifacts = {"contract": ProblemContract(task="binary", target="late"), "schema": schema, "provenance": {}}
    return path, SimpleNamespace(load=lambda name, kind=None: artifacts[name])


def test_a_table_is_replayed_with_the_column_types_of_the_model(table, capsys):
    path, run = table
    days = list(table_days(run, arguments("--data", path, "--time", "ordered at", "--days", 2, "--delay", 3)))
    assert days == [
        ([{"amount": 1.5, "colour": "red", "size": 10}, {"amount": 2.5, "colour": "green", "size": 9}],
         ["no", "yes"], [3.0, 3.0]),
        ([{"amount": None, "colour": "blue", "size": 11}, {"amount": 3.5, "colour": "red", "size": 9}],
         ["yes", "no"], [3.0, 3.0]),
    ]  # fmt: skip
    assert "2 of 6 rows without ordered at or late are omitted" in capsys.readouterr().out


def test_a_table_is_read_in_the_formats_of_training(table):
    path, run = table
    path.write_text(
        CSV.replace("amount", "size").replace("3,5;red;9", "3,5;red;1.009").replace("size;late", "amount;late")
    )
    training = clean(read_table(str(path))[0], "late")[1].to_json()
    for column in training["columns"]:
        column["role"] = {"late": "target", "id": "identifier", "ordered at": "dropped"}.get(column["name"], "feature")
    artifacts = {"contract": run.load("contract"), "schema": training, "provenance": {}}
    run = SimpleNamespace(load=lambda name, kind=None: artifacts[name])
    path.write_text(
        'id,ordered at,size,colour,amount,late\n4,2026-02-09,"1,5",red,1.009,no\n1,2026-01-07,,red,1.480,no\n'
    )
    first, second = table_days(run, arguments("--data", path, "--time", "ordered at", "--days", 2))
    assert [first.rows[0]["amount"], second.rows[0]["amount"]] == [1480, 1009]


@pytest.mark.parametrize(
    ("time", "days", "change", "message"),
    [
        ("orderd at", 2, str, "no column 'orderd at'; did you mean 'ordered at'"),
        ("colour", 2, str, "holds 'red', expected dates or numbers"),
        ("ordered at", 60, str, "found 4 rows for 60 days"),
        ("ordered at", 2, lambda text: text.replace("late", "delayed"), "no column 'late'"),
        ("ordered at", 2, lambda text: text.replace("size", "width"), "no column 'size'"),
        ("ordered at", 2, lambda text: "", "the file is empty"),
    ],
)
def test_tables_that_cannot_be_replayed(table, time, days, change, message):
    path, run = table
    path.write_text(change(CSV))
    with pytest.raises(UsageError, match=message):
        list(table_days(run, arguments("--data", path, "--time", time, "--days", days)))


def test_a_missing_file_and_a_task_without_independent_rows_are_refused(table, tmp_path):
    _, run = table
    with pytest.raises(UsageError, match=r"none\.csv cannot be replayed"):
        list(table_days(run, arguments("--data", tmp_path / "none.csv", "--time", "a")))
    forecasting = {"contract": ProblemContract(task="forecasting", target="late"), "schema": {}, "provenance": {}}
    with pytest.raises(UsageError, match="whole requests"):
        list(
            table_days(
                SimpleNamespace(load=lambda name, kind=None: forecasting[name]), arguments("--data", "a", "--time", "a")
            )
        )


@pytest.fixture
def service():
    """A service that records its requests: headers and rows."""

    class Service(Quiet):
        def do_POST(self):
            self.server.requests.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            body = json.dumps({"error": "column 'size': found nothing"} if self.server.status != 200 else []).encode()
            self.send_response(self.server.status)
            self.send_header("X-Model-Version", "late:1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with listening(Service, requests=[], status=200) as server:
        yield server


def test_requests_carry_the_simulated_time_and_labels_are_delayed(tmp_path, service, capsys):
    project = Project(tmp_path, tmp_path)
    given = arguments("--url", f"http://127.0.0.1:{service.server_port}", "--start", 3, "--delay", 2)
    simulation = Simulation(project, "late", given)
    simulation.send_day(3, Day([{"n": n} for n in range(60)], ["no"] * 60, [2.0] * 60))
    ((first, body), (second, _)) = service.requests
    assert first["X-Request-Id"] == "late-0-3-0" and float(first["X-Event-Time"]) == FIRST + 3 * DAY
    assert len(json.loads(body)) == 50 and float(second["X-Event-Time"]) == FIRST + 3 * DAY + 50 / 60 * DAY
    assert read_labels(label_database(project, "late")) == {}
    for number in (4, 5):
        simulation.send_day(number, Day([], [], []))
    assert len(read_labels(label_database(project, "late"))) == 60
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0][0] == "day" and lines[1] == ["3", "60", "late:1", "0"] and lines[3][:2] == ["5", "0"]


def test_a_service_that_refuses_is_unreachable_or_has_another_clock(tmp_path, service):
    project = Project(tmp_path, tmp_path)
    url = f"http://127.0.0.1:{service.server_port}"
    service.status = 422
    with pytest.raises(UsageError, match="responded with 422: column 'size': found nothing"):
        Simulation(project, "late", arguments("--url", url)).send_day(0, Day([{"n": 1}], ["no"], [1.0]))
    with pytest.raises(UsageError, match=r"No service at http://127\.0\.0\.1:1"):
        simulation = Simulation(project, "late", arguments("--url", "http://127.0.0.1:1"))
        simulation.send_day(0, Day([{"n": 1}], ["no"], [1.0]))
    with pytest.raises(UsageError, match="expected an address such as"):
        Simulation(project, "late", arguments("--url", "https://models.internal"))
    service.status = 200
    recorder = PredictionLog(log_folder(project, "late"))
    recorder.record("late-0-0-0", "late:1", [{"n": 1}], [{"prediction": "no"}], 0.001)
    recorder.close()
    with pytest.raises(UsageError, match="MLNB_LOG_EVENT_TIME=1"):
        Simulation(project, "late", arguments("--url", url)).send_day(0, Day([{"n": 1}], ["no"], [1.0]))


def test_a_cycle_is_summarized():
    watched = "run 1\n\nchurn:1: retrain\n  retrain   roc_auc is worse by 0.3\n  watch     charge has moved\n"
    assert cycle_summary(0, "\nchurn:1: keep\n", "") == "keep"
    assert cycle_summary(11, watched, "") == "retrain: roc_auc is worse by 0.3; charge has moved"
    promoted = "churn:2 promoted as champion, it was version 1. Entry 4 of the audit log, by ann."
    assert cycle_summary(0, watched + promoted, "").endswith(f"charge has moved; {promoted}")
    assert cycle_summary(13, watched, "").endswith("approval needed")
    assert cycle_summary(2, "", "mlnb loop: no\n  such thing") == "failed with code 2: mlnb loop: no such thing"
