"""Requests of segments: what runs once, what each run is to do, and the names of models."""

from pathlib import Path
from typing import Any

import pytest
import segmented

from mlnb.api.run_request import RunRequest
from mlnb.api.segment_requests import SharedStages, file_segments, names_files
from mlnb.codec import replace
from mlnb.engine.project import Project
from mlnb.errors import UsageError


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.find(segmented.project(tmp_path))


def test_stages_before_the_split_are_shared(project: Project) -> None:
    shared = SharedStages.of(project, RunRequest())
    assert (shared.selecting, shared.names) == ("split", ("validate",))


@pytest.mark.parametrize(
    ("force", "once", "each"),
    [
        (None, None, None),
        ([], [], ["split", "train"]),
        (["train"], None, ["train"]),
        (["validate"], ["validate"], None),
        (["validate", "split"], ["validate"], ["split"]),
    ],
)
def test_forced_stages_run_once_or_for_each_segment(
    project: Project, force: list[str] | None, once: list[str] | None, each: list[str] | None
) -> None:
    request = RunRequest(force=force, upto="train")
    shared = SharedStages.of(project, request)
    assert shared.request(request).force == once and shared.own_force(request) == each
    assert shared.request(request).only == ("validate",) and shared.request(request).upto is None


def test_files_are_segments_named_by_their_stems(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.root)
    for name in ("b c.csv", "a.csv.gz"):
        Path(name).touch()
    segments = file_segments(project, RunRequest(pairs=[("threads", "4")]), "*.csv*")
    assert [segment.name for segment in segments] == ["a", "b c"]
    request = segments[1].request
    assert request is not None and (request.data, request.segment) == ("b c.csv", "b c")
    assert request.values == {"train.segment": "b c"}, "rows are not selected, and the stated threads hold"
    Path("B C.txt").touch()
    with pytest.raises(UsageError, match="would both be the model"):
        file_segments(project, RunRequest(), "[bB] *")


def test_columns_are_told_from_files(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.root)
    assert names_files("data/*.csv") and names_files("settings.ini") and not names_files("store")


def test_shared_stages_without_a_table_are_refused_before_they_run(project: Project) -> None:
    path = project.notebooks / "10_validate.ipynb"
    path.write_text(path.read_text().replace("contract", "problem"))
    with pytest.raises(UsageError, match="the artifact 'contract', which the stages before split do not make"):
        SharedStages.of(project, RunRequest())


def test_a_notebook_without_the_parameters_is_named(project: Project) -> None:
    path = project.notebooks / "30_split.ipynb"
    path.write_text(path.read_text().replace('each: str = \\"\\"', 'other: str = \\"\\"'))
    with pytest.raises(UsageError, match="mlnb upgrade"):
        SharedStages.of(project, RunRequest())


def test_a_pipeline_that_splits_nothing_is_no_case_for_an_upgrade(project: Project) -> None:
    other = replace(project, pipelines={**project.pipelines, "check": ("validate",)})
    with pytest.raises(UsageError, match="the pipeline check has no stage split") as caught:
        SharedStages.of(other, RunRequest(pipeline="check"))
    assert "mlnb upgrade" not in str(caught.value)


@pytest.mark.parametrize(
    "stated",
    [
        {"pairs": [("split.each", "id")]},
        {"pairs": [("segment", "x")]},
        {"values": {"split.segment": "x"}},
        {"profile": "one"},
    ],
)
def test_a_value_that_selects_the_rows_of_one_segment_contradicts_each(
    project: Project, stated: dict[str, Any]
) -> None:
    path = project.root / "settings.ini"
    path.write_text(path.read_text() + "\n[profile one]\nsplit.segment = x\n")
    with pytest.raises(UsageError, match=r"split\.(each|segment) \(.*\) selects the rows of one segment"):
        SharedStages.of(Project.find(project.root), RunRequest(**stated))
