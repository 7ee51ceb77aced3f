"""The session of a stage: declared artifacts only, metrics as numbers, and what closing requires.

Interactive sessions are used, which need no run.
"""

from pathlib import Path

import pytest
import toys

from mlnb.engine.interactive_stage import InteractiveStage
from mlnb.engine.project import Project
from mlnb.errors import ContractBroken, UnknownRun


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.find(toys.chain(tmp_path))


def open_stage(project: Project, name: str, reads: list[str], writes: dict[str, str]) -> InteractiveStage:
    return InteractiveStage(project, name, "draft", reads, writes)


def test_a_draft_is_read_by_the_next_stage(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    first = open_stage(project, "number", [], {"number": "a number"})
    first.save("number", 3)
    first.log(number=3)
    first.close()
    second = open_stage(project, "double", ["number"], {"double": "twice the number"})
    assert second.load("number") == 3
    assert "number: from the draft of number" in capsys.readouterr().out


def test_an_artifact_that_no_run_has_names_the_command(project: Project) -> None:
    with pytest.raises(UnknownRun, match=r"No run has made 'number'.*mlnb run --upto"):
        open_stage(project, "double", ["number"], {}).load("number")


def test_undeclared_artifacts_are_refused_with_a_suggestion(project: Project) -> None:
    stage = open_stage(project, "double", ["number"], {"double": "twice the number"})
    with pytest.raises(ContractBroken, match=r"loads 'numbr' .* Did you mean 'number'"):
        stage.load("numbr")
    with pytest.raises(ContractBroken, match=r"saves 'doubel' .*Did you mean 'double'"):
        stage.save("doubel", 1)


def test_a_declared_artifact_must_be_saved(project: Project) -> None:
    stage = open_stage(project, "double", [], {"double": "twice the number"})
    with pytest.raises(ContractBroken, match="double"):
        stage.close()


@pytest.mark.parametrize("value", ["three", None])
def test_a_metric_is_a_number(project: Project, value: object) -> None:
    with pytest.raises((ContractBroken, TypeError, ValueError)):
        open_stage(project, "double", [], {}).log(score=value)  # type: ignore[arg-type]


def test_scratch_is_deleted_at_the_end(project: Project) -> None:
    stage = open_stage(project, "double", [], {})
    (stage.scratch / "half").touch()
    stage.close()
    assert not (stage.folder / "double.scratch").exists()
