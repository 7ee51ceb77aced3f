"""The guide for auditors: its commands are executed, and their output is the one that it shows."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from example_run import RUN, Example
from recorded_runs import recorded_run
from signing_people import People

from mlnb.cli.main import main
from mlnb.codec import encode
from mlnb.engine.files import write_whole
from mlnb.engine.runs import Run
from mlnb.monitoring.labels import add_labels
from mlnb.monitoring.monitoring_paths import label_database
from mlnb.registry.registry import Registry
from mlnb.signing.signing_keys import create_key
from mlnb.signing.trusted_keys import FILE, TrustedKey, TrustedKeys

GUIDE = Path(__file__).resolve().parents[1] / "nbs" / "guides" / "audit.ipynb"


def blocks() -> list[tuple[str, list[str]]]:
    """Return the commands of the guide with the lines of their output."""
    cells = json.loads(GUIDE.read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    shown = re.findall(r"^    \$ (mlnb [^\n]*)\n((?:    (?!\$)[^\n]*\n?)*)", text, re.M)
    return [(command, [line[4:] for line in output.splitlines()]) for command, output in shown]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, example: Example) -> Run:
    """A champion with a signed manifest, an approval, and a logged request with a label."""
    root = tmp_path_factory.mktemp("audit")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLNB_CONFIG", str(root / "config"))
        key = TrustedKey(name="ann", role="ci", public=create_key().public, since="2026-01-01")
        write_whole(root / "project" / FILE, encode(TrustedKeys(keys=(key,))))
        run = recorded_run(example, root / "project")
        people = People(run.project, patch)
        people.trust("bob", "approver")
        people.act("bob")
        registry = Registry(run.project)
        registry.approve("1", "report and technical documentation read")
        (version,) = registry.versions()
        registry.engine.dispose()
    folder = run.project.store_root / "predictions" / version.model
    folder.mkdir(parents=True)
    request: dict[str, Any] = {"id": "8f3c2a51", "ms": 1.0, "shadow": False, "time": 1773480000.0}
    request |= {"model": version.metadata.certificate.model, "rows": [{"fare": 7.25, "sex": "male", "age": 22.0}]}
    request |= {"responses": [{"prediction": "0", "probabilities": {"0": 0.75, "1": 0.25}}]}
    (folder / "20260314T091500-1-ab-1.jsonl").write_text(json.dumps(request) + "\n")
    add_labels(label_database(run.project, version.model), [("8f3c2a51", 0, "1")], at=1773580000.0)
    return run


def shows(output: str, expected: list[str]) -> bool:
    """Return whether an output begins as the guide shows it: `…` is any text, and on a separate line any lines."""
    pattern = "".join(
        r"(?:[^\n]*\n)*?" if line.strip() == "…" else r"[^\n]*".join(map(re.escape, line.rstrip().split("…"))) + " *\n"
        for line in expected
    )
    return re.match(pattern, output + "\n") is not None


def test_the_guide_has_questions_with_commands() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    assert [int(number) for number in re.findall(r"\*\*(\d+)\. [A-Z]", text)] == list(range(1, 22))
    assert len(blocks()) >= 20


def test_every_command_gives_the_output_that_the_guide_shows(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.id == RUN
    monkeypatch.setenv("BENTOML_HOME", str(run.project.root.parent / "bentoml"))  # the last question deletes bentos
    monkeypatch.setenv("MLNB_CONFIG", str(run.project.root.parent / "config"))  # which signs the erasure
    monkeypatch.chdir(run.project.root)
    outputs: dict[str, str] = {}
    for command, expected in blocks():
        if command not in outputs or "erase" in "".join(outputs):  # it changes what others print
            assert main(shlex.split(command)[1:]) == 0, command
            outputs[command] = capsys.readouterr().out
        assert shows(outputs[command], expected), (command, expected, outputs[command][:3000])


def test_a_difference_is_found() -> None:
    assert shows("a\nx\nb 12\nc", ["a", "…", "b 1…"]) and shows("a\nb 2\nb 12", ["a", "…", "b 1…"])
    assert not shows("a\nx\nb 12", ["a", "b 1…"]) and not shows("", ["a"]) and not shows("a\nb 2", ["a", "…", "b 1…"])
