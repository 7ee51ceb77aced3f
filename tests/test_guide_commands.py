"""Commands of README and guides: those that read a project or write small files are executed, the others are listed."""

import importlib.util
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from example_run import TABLES, Example
from recorded_runs import recorded_run

from mlnb.cli.main import COMMANDS, main

TESTS = Path(__file__).resolve().parent
# The commands as the pages have them, in an order in which they can be executed.
EXECUTED = (
    """
mlnb stages ingest
mlnb show
mlnb show latest
mlnb show --artifact declarations
mlnb runs
mlnb runs --sort roc_auc
mlnb plan
mlnb plan -p split.folds 10
mlnb plan train
mlnb report
mlnb report --all
mlnb report --monitoring
mlnb models
mlnb models @champion
mlnb models --name 'churn-classifier.*'
mlnb audit
mlnb audit verify
mlnb verify
mlnb verify all --problems
mlnb lineage @champion
mlnb keys
mlnb keys new
mlnb labels
mlnb data
mlnb schema
mlnb schema --check june.csv
mlnb monitor --alert-rules
mlnb schedule --to cron
mlnb schedule --to github-actions
mlnb schedule --to kubernetes --image registry.internal/mlnb:1 -- --promote --rollback
mlnb schedule --to airflow --write dags
mlnb schedule --to airflow --by stage --when '0 3 * * 1' --write dags -- --data sales.parquet --target sold
mlnb schedule --to argo --image registry.internal/sales@sha256:DIGEST --write argo
mlnb schedule --to kubeflow --image registry.internal/sales@sha256:DIGEST --write kubeflow
mlnb schedule --to github-actions --pipeline train --write .
mlnb export --to text
mlnb build
mlnb score june.csv scored.parquet
mlnb kernels status
mlnb doctor
mlnb new churn
mlnb new parts --with-encoder
mlnb new shop --with-metric
mlnb check
mlnb upgrade --dry-run
mlnb upgrade --check
""".strip()
    .replace("DIGEST", "0123456789abcdef" * 4)
    .splitlines()
)
INSIDE = ("check", "upgrade")  # of the new project `churn`

# Commands that take long, need a service, a browser or two versions. Verb: the test that executes it.
ELSEWHERE = {
    "approvals": "registry/test_verified_approvals.py",
    "approve": "registry/test_registry.py",
    "audit": "registry/test_ledger.py",
    "build": "serving/packaging/test_multi_model_bundles.py",
    "compare": "cli/test_models.py",
    "containerize": "serving/deploy/test_container_images.py",
    "data": "cli/test_data.py",
    "debug": "cli/test_debug.py",
    "deploy": "serving/deploy/test_kubernetes_manifests.py",
    "diff": "cli/test_diff.py",
    "doctor": "engine/test_remote_link.py",
    "erase": "erasure/test_erasure_journal.py",
    "export": "cli/test_export.py",
    "hold": "erasure/test_erasure_journal.py",
    "kernels": "cli/test_kernels.py",
    "keys": "cli/test_keys.py",
    "lab": "cli/test_lab.py",
    "labels": "monitoring/test_monitor.py",
    "lineage": "governance/test_version_lineage.py",
    "loop": "test_loop.py",
    "monitor": "monitoring/test_monitor.py",
    "new": "cli/test_new.py",
    "plan": "api/test_planned_stages.py",
    "promote": "cli/test_models.py",
    "registry": "registry/test_database_roles.py",
    "report": "reports/test_comparison_page.py",
    "reproduce": "governance/test_reproduction.py",
    "retrain": "test_loop.py",
    "rollback": "cli/test_models.py",
    "run": "engine/test_pipeline.py",
    "runs": "cli/test_reading_runs.py",
    "schema": "cli/test_schema.py",
    "score": "cli/test_score.py",
    "serve": "test_loop.py",
    "show": "cli/test_reading_runs.py",
    "simulate": "cli/test_simulate.py",
    "stage": "api/test_planned_stages.py",
    "traffic": "cli/test_traffic.py",
    "ui": "cli/test_ui.py",
    "upgrade": "cli/test_upgrade.py",
    "verify": "governance/test_project_verification.py",
    "worker": "api/test_stage_worker.py",
}


def documentation() -> Any:
    """Return the module that reads the commands of the pages."""
    spec = importlib.util.spec_from_file_location("pages_of_guides", TESTS / "test_documentation.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAGES = documentation()


def commands_of_pages() -> Iterator[str]:
    """Yield each `mlnb` command of README, SECURITY.md and the guides."""
    for page in PAGES.PAGES:
        for words in PAGES.commands(PAGES.prose(page)):
            if words[0] == "mlnb" and len(words) > 1 and words[1] in COMMANDS:
                yield shlex.join(words)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, example: Example) -> Path:
    """A project with a recorded run, and the files that commands read."""
    root = tmp_path_factory.mktemp("guides") / "project"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLNB_CONFIG", str(root.parent / "config"))
        run = recorded_run(example, root)
    table = TABLES["binary"]("fare")
    for name in ("titanic.csv", "june.csv"):
        table.to_csv(run.project.root / name, index=False)
    return run.project.root


def test_short_commands_of_the_guides_succeed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLNB_CONFIG", str(folder.parent / "config"))
    monkeypatch.chdir(folder)
    for command in EXECUTED:
        words = shlex.split(command)[1:]
        monkeypatch.chdir(folder / "churn" if words[0] in INSIDE else folder)
        code = main(words)
        output = capsys.readouterr()
        assert code == 0, f"{command}: {code}\n{output.out[-500:]}{output.err[-500:]}"
        assert output.out, command


def test_every_command_of_the_guides_is_executed_here_or_in_a_named_test() -> None:
    stated = set(commands_of_pages())
    assert set(EXECUTED) <= stated, "delete what no page has"
    missing = sorted(command for command in stated - set(EXECUTED) if command.split()[1] not in ELSEWHERE)
    assert not missing, "add to EXECUTED, or name the test in ELSEWHERE"
    assert [file for file in ELSEWHERE.values() if not (TESTS / file).is_file()] == []
