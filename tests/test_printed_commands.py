"""What mlnb prints works as printed: a newcomer types it, in folders with spaces and umlauts in their names."""

import argparse
import contextlib
import importlib
import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd
import pytest
from in_process import mlnb_in_process
from printed_commands import as_pattern, commands_in_messages, printed_commands, words_of
from waiting import wait_for

from mlnb.cli.main import COMMANDS
from mlnb.serving.packaging.bento_server import free_port

pytestmark = pytest.mark.timeout(900)  # for the flow that the tests share

DATA, TARGET, PROJECT = "Kündigungen März.csv", "Churn", "Große Kunden"
SMALL = {
    "explore.most": "2",
    "split.folds": "2",
    "tune.families": '["linear"]',
    "tune.sampler": "random",
    "tune.trials": "2",
    "tune.ensemble": "false",
    "tune.bagging": "false",
    "evaluate.resamples": "50",
    "evaluate.repeats": "1",
    "package.golden_rows": "20",
    "plots": "false",
}
# What stands for a value in a printed command.
VALUES = {"FILE": "Etiketten Mai.csv", "june.csv": "Etiketten Mai.csv", "id": "request", "churned": TARGET}
VALUES |= {"STAGE": "tune", "NAME": "Jürgen", "ROLE": "approver"}
# Printed commands that run until they are stopped, or need another program, are executed there.
ELSEWHERE = {
    "containerize": "serving/deploy/test_container_images.py",
    "debug": "cli/test_debug.py",
    "lab": "cli/test_lab.py",
    "serve": "test_printed_commands.py, by `serving`",
    "ui": "cli/test_ui.py",
}
# Commands of messages that no newcomer gets to see; by their beginning: why, and the test that executes them.
OUTSIDE = {
    'mlnb diff "$BASE_COMMIT..HEAD"': "in the workflow for pull requests: cli/test_diff.py",
    "mlnb data": "needs two versions of the data: cli/test_data.py",
    "mlnb debug VALUE": "needs a snapshot of a kernel: cli/test_debug.py",
    "mlnb doctor --remote": "needs a remote store: engine/test_remote_link.py",
    "mlnb export --to mlflow": "needs a tracking store: api/test_mlflow_export.py",
    "mlnb export --to signed": "needs a key on an elliptic curve: signing/test_signed_export.py",
    "mlnb keys revoke": "cli/test_keys.py",
    "mlnb keys trust": "needs the key of another person: cli/test_keys.py",
    "mlnb monitor --all": "needs several models: cli/test_all_models.py",
    "mlnb plan --each": "needs a segment column: cli/test_each.py",
    "mlnb plan --push": "needs a remote store: api/test_planned_stages.py",
    "mlnb promote VALUE --reason 'predictions reviewed'": "many predictions change: `promote` is typed",
    "mlnb registry": "needs PostgreSQL: registry/test_database_roles.py",
    "mlnb retrain --all": "needs several models: cli/test_all_models.py",
    "mlnb run --data FILE": "as `mlnb run --data`; of rankings alone",
    "mlnb run --data churn.csv": "in the README of a new project",
    "mlnb run --data source:visits": "example notebook: cli/test_example_notebooks.py",
    "mlnb run --help": "has no effect",
    "mlnb run --force package": "needs a damaged run",
    "mlnb run --each COLUMN": "needs a segment column: cli/test_each.py",
    "mlnb run -p features.encoders": "example notebook: cli/test_example_notebooks.py",
    "mlnb run -p package.libraries": "needs remote storage: serving/packaging/test_library_requirements.py",
    "mlnb run -p problem.metric": "example notebook: cli/test_example_notebooks.py",
    "mlnb run -p tune.families": "example notebook: cli/test_example_family.py",
    "mlnb schedule --to airflow": "every file: orchestration/test_pipeline_files.py",
    "mlnb serve @champion --canary": "needs labels that arrive later: serving/runtime/test_traffic_routing_live.py",
    "mlnb stage VALUE": "needs a remote store: api/test_planned_stages.py",
    "mlnb worker": "needs a scheduler of Dask: api/test_stage_worker.py",
    "mlnb ui": "cli/test_ui.py",
}
PROGRAMS = {  # programs of clusters: the check of their command line that takes their place
    "kubectl": 'case "$*" in *apply*) for last; do :; done; test -f "$last/kustomization.yaml";; esac',
}


def customers(rows: int = 160) -> pd.DataFrame:
    """Return customers with a key, an apostrophe in a text, and a target that depends on the others."""
    random = np.random.default_rng(0)
    months, charge = random.integers(1, 72, rows), random.uniform(18, 118, rows).round(2)
    plan = random.choice(["it's monthly", "yearly"], rows)
    left = random.random(rows) < 1 / (1 + np.exp(1 + 0.05 * months - 0.02 * charge - 1.5 * (plan == "it's monthly")))
    columns = {"Kunde Nr": [f"K{row:04}" for row in range(rows)], "months": months, "monthly charge": charge}
    return pd.DataFrame({**columns, "plan": plan, TARGET: np.where(left, "Yes", "No")})


class Newcomer:
    """Types commands, and remembers which were printed and which were executed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.printed: dict[str, Path] = {}  # and the folder that it is to be typed in
        self.executed: set[str] = set()

    def type(self, line: str, code: int = 0, **options: object) -> str:
        """Execute a command line in the folder; return its output. `cd` changes the folder."""
        self.executed.add(" ".join(line.split()))
        start, output, command = self.folder, "", list[str]()
        for word in [*words_of(line), "&&"]:
            if word == "&&":
                output += self._execute(command, code, options)
                command = []
            else:
                command.append(VALUES.get(word, word))
        for one in printed_commands(output):
            self.printed.setdefault(one, start)
        return output

    def follow(self) -> None:
        """Execute every printed command that was not executed yet, and those that they print."""
        done = {alike(line) for line in self.executed}
        here = self.folder
        while waiting := [line for line in self.printed if alike(line) not in done]:
            for line in waiting:
                done.add(alike(line))
                if line.split()[1] not in ELSEWHERE or "&&" in line:
                    self.folder = self.printed[line]
                    self.type(line)
        self.folder = here

    def _execute(self, words: list[str], code: int, options: dict[str, object]) -> str:
        if words[0] == "cd":
            self.folder = self.folder / words[1]
            return ""
        if words[0] == "mlnb":
            if words[1] in ELSEWHERE and not code:  # the end of a line such as `cd my_project && mlnb lab`
                parse(words)
                return ""
            return mlnb_in_process(self.folder, *words[1:], code=code, **options)  # type: ignore[arg-type]
        done = subprocess.run(words, cwd=self.folder, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout


def alike(line: str) -> str:
    """Return a command without its numbers: each longer search suggests one that is longer still."""
    return re.sub(r"\d+", "0", line)


class Parser(argparse.ArgumentParser):
    """A parser that raises what mlnb would print."""

    def error(self, message: str) -> NoReturn:
        """Raise the error."""
        raise argparse.ArgumentError(None, message)


def parse(words: list[str]) -> argparse.Namespace:
    """Return the options of a command as mlnb reads them."""
    parser = Parser(exit_on_error=False)
    importlib.import_module(f"mlnb.cli.{COMMANDS[words[1]].module}").parser(parser)
    return parser.parse_args(words[2:])


@contextlib.contextmanager
def serving(folder: Path, command: str, *options: str) -> Iterator[str]:
    """Start a printed command that serves; yield what it has printed once it is ready, and stop it."""
    words = [sys.executable, "-m", "mlnb.cli.main", *shlex.split(command)[1:], *options]
    with (folder / "serve.txt").open("wb") as log:
        process = subprocess.Popen(words, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        text = (folder / "serve.txt").read_text
        wait_for(lambda: "Ctrl-C" in text("utf-8"), 120, "a service that is ready", detail=text)
        yield text("utf-8")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Newcomer:
    """Somebody who has followed everything from `mlnb new` to the end of a project."""
    folder = tmp_path_factory.mktemp("printed") / "Jürgens Dateien"
    folder.mkdir()
    customers().to_csv(folder / DATA, index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLNB_CONFIG", str(folder / "config"))
        patch.setenv("MLNB_TRACKER", "local")
        patch.setenv("BENTOML_HOME", os.environ.get("BENTOML_HOME", str(folder / "bentoml")))
        patch.setenv("GIT_CONFIG_GLOBAL", str(folder / "gitconfig"))
        for name, script in PROGRAMS.items():
            (folder / name).write_text(f"#!/bin/sh\n{script}\n")
            (folder / name).chmod(0o755)
        patch.setenv("PATH", str(folder), prepend=os.pathsep)
        (folder / "gitconfig").write_text("[user]\nname = Jürgen\nemail = j@example.org\n")
        one = Newcomer(folder)
        _train(one)
        _serve(one)
        _operate(one)
        _finish(one)
        one.follow()
    return one


def _train(newcomer: Newcomer) -> None:
    """Create the project and run it; the longer search that is suggested fails once."""
    values = shlex.join(word for name, value in SMALL.items() for word in ("-p", name, value))
    newcomer.type(f"mlnb new '{PROJECT}' --data '{DATA}' --target {TARGET} {values}")
    entered, run, _ = newcomer.printed
    assert (entered, run) == (f"cd '{PROJECT}'", "mlnb run")
    newcomer.type("mlnb new nothing --data 'Kündigung März.csv'", code=2)
    newcomer.type("mlnb lab", code=2)
    newcomer.type(entered)
    newcomer.type("mlnb runs")
    newcomer.type("mlnb diff", code=2)
    newcomer.type("mlnb models")
    newcomer.type("mlnb serve", code=2)
    newcomer.type(run)
    longer = next(line for line in newcomer.printed if line.startswith("mlnb run -p"))
    failed = newcomer.type(longer, code=3, fail={"train": "no memory"})
    newcomer.type(re.findall(r"continue  (.*)", failed)[0])


def _serve(newcomer: Newcomer) -> None:
    """Request the printed example and all rows; label the answers."""
    table = customers()
    with serving(newcomer.folder, "mlnb serve", "--port", str(free_port("127.0.0.1"))) as printed:
        newcomer.executed.add("mlnb serve")
        (request,) = printed_commands(printed)
        assert '"prediction"' in newcomer.type(request)
        body = table.drop(columns=TARGET).to_json(orient="records").encode()
        with urllib.request.urlopen(urllib.request.Request(request.split()[2], body), timeout=30) as response:
            name = response.headers["X-Request-Id"]
    labels = pd.DataFrame({"request": name, "row": range(len(table)), TARGET: table[TARGET]})
    newcomer.type("mlnb retrain", code=2)
    newcomer.type("mlnb labels add", code=2)
    labels.to_csv(newcomer.folder / VALUES["FILE"], index=False)


def _operate(newcomer: Newcomer) -> None:
    """Score, monitor, promote, deploy."""
    table = customers()
    first, second, *_ = sorted(path.name for path in (newcomer.folder / "runs").glob("*-train-*"))
    table.drop(columns=TARGET).to_csv(newcomer.folder.parent / "Neue Kunden.csv", index=False)
    for line in (
        "mlnb labels add FILE",
        "mlnb labels add FILE --replace",
        "mlnb labels",
        "mlnb monitor",
        "mlnb score '../Neue Kunden.csv' 'bewertete Kunden.csv'",
        "mlnb schema",
        "mlnb schema --check '../Neue Kunden.csv'",
        "mlnb schema --force",
        "mlnb plan",
        "mlnb run --upto features",
        "mlnb show latest",
        "mlnb show latest validate",
        "mlnb runs --last 1",
        f"mlnb runs compare {first} {second}",
        "mlnb models",
        "mlnb compare 1 1",
        "mlnb report",
        f"mlnb report --compare {first} {second}",
        "mlnb kernels status",
        "mlnb build",
        "mlnb export --to text",
        "mlnb deploy kubernetes --image registry.internal/churn:1 --memory 300",
        "mlnb lineage 1",
        "mlnb doctor",
        "mlnb check",
        "mlnb upgrade --check",
        "mlnb upgrade --dry-run",
    ):
        newcomer.type(line)
    for verb in ("promote 1", "approve 1"):
        message = newcomer.type(f"mlnb {verb}", code=2)
        newcomer.type(f"mlnb {verb} {re.findall(r'add (--reason .*)', message)[0]}")


def _finish(newcomer: Newcomer) -> None:
    """Sign, hold, list what an erasure would delete, verify."""
    for line in (
        "mlnb approvals",
        "mlnb audit verify",
        "mlnb clean",
        "mlnb keys",
        "mlnb erase --resume",
        "mlnb hold list",
    ):
        newcomer.type(line)
    newcomer.type("mlnb hold add 'lawsuit 12/26'")
    newcomer.type("mlnb erase --where '\"Kunde Nr\" = K0003'")
    newcomer.type("mlnb erase --where '\"Kunde Nr\" = K0003' --confirm --reason 'request of 3 May'", code=2)
    newcomer.type("mlnb hold remove x", code=2)
    newcomer.type("mlnb verify all")
    newcomer.type("mlnb verify latest")
    newcomer.follow()
    assert "make one" in newcomer.type("mlnb diff", code=2)
    newcomer.follow()
    assert "make one" not in newcomer.type("mlnb diff")
    newcomer.type("mlnb diff HEAD")
    newcomer.type("mlnb diff HEAD..HEAD")


def test_a_newcomer_types_everything_that_is_printed(newcomer: Newcomer) -> None:
    done = {alike(line) for line in newcomer.executed}
    assert len(newcomer.printed) > 20
    assert not [line for line in newcomer.printed if alike(line) not in done and line.split()[1] not in ELSEWHERE]


def test_every_command_of_a_message_was_executed_or_has_a_reason(newcomer: Newcomer) -> None:
    done = {command for line in newcomer.executed for command in line.split(" && ")}
    done |= {line for line in newcomer.printed if line.split()[1] in ELSEWHERE}
    missing = [command for command in commands_in_messages() if not any(map(as_pattern(command).fullmatch, done))]
    unexplained = [command for command in missing if not command.startswith(tuple(OUTSIDE))]
    assert not unexplained, "type them in the flow, or name the reason in OUTSIDE"
    assert not [start for start in OUTSIDE if not any(command.startswith(start) for command in missing)], "delete these"


def test_mlnb_reads_the_options_of_every_command_in_a_message() -> None:
    for command, module in commands_in_messages().items():
        words = words_of(command.replace("$", ""))
        if words[-1] == "--help":
            continue
        try:
            parse([words[0], words[1], *(VALUES.get(word, word) for word in words[2:])])
        except argparse.ArgumentError as error:  # `mlnb keys trust` in a sentence
            assert "are required" in str(error) or "'VALUE'" in str(error), f"{command} of {module}: {error}"
