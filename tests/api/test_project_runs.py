"""The runs and models of a project, as a user of `import mlnb` gets them."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
import pytest
import toys
from example_run import EARLIER, RUN
from in_process import InProcess

import mlnb
import mlnb.api.project_runs
from mlnb.api.segment_runs import SegmentRuns
from mlnb.errors import CellFailed, GateFailed, ParameterError, ServingError, StageError, UnknownRun, UsageError
from mlnb.executors import local
from mlnb.tracking.segment_results import SegmentResult, SegmentState


@pytest.fixture(scope="module")
def root(example, tmp_path_factory):
    """The folder of a project with two runs."""
    project = example.make_project(tmp_path_factory.mktemp("project"))
    example.make_run(project, EARLIER, minute=2)
    example.make_run(project)
    return project.root


@pytest.fixture
def here(root, monkeypatch):
    """The project as the working folder."""
    monkeypatch.chdir(root)
    return root


def test_runs_of_the_working_folder_newest_first(here, tmp_path):
    assert [run.id for run in mlnb.runs()] == [RUN, EARLIER]
    assert mlnb.latest().id == RUN == mlnb.open_run("091500-train-a1b2").id
    assert mlnb.open_run(EARLIER, here).id == EARLIER
    assert len(mlnb.runs(tmp_path)) == 0
    with pytest.raises(UnknownRun, match="No model is registered"):  # a version, and not the start of an id
        mlnb.open_run("2", here)
    with pytest.raises(UnknownRun, match="No runs in"):
        mlnb.latest(tmp_path)


def test_a_model_by_run_id_version_run_or_folder(here):
    toys.mlnb(here, "models")  # registers
    toys.mlnb(here, "promote", "1", "--reason", "the first")
    bundle = mlnb.latest().artifact("service")
    versions = [mlnb.load_model(), mlnb.load_model(RUN), mlnb.load_model("@champion"), mlnb.load_model(mlnb.latest())]
    versions += [mlnb.load_model(bundle), mlnb.load_model(bundle / "model")]
    assert len({model.version for model in versions}) == 1 and versions[0].target == "survived"


def test_wrong_references_are_errors_that_say_what_to_do(here, tmp_path):
    with pytest.raises(UnknownRun, match="No run is called 'nothing'"):
        mlnb.load_model("nothing")
    with pytest.raises(UsageError, match="holds no model; expected the folder of a service bundle"):
        mlnb.load_model(tmp_path)
    (tmp_path / "contract.json").write_text("{}")
    with pytest.raises((UsageError, ServingError, OSError)):
        mlnb.load_model(tmp_path)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mlnb.run(data=pd.DataFrame({"a": [1]})), r"data is of type DataFrame; expected a path, .*save a data"),
        (lambda: mlnb.run(data="x" * 5000), "no file 'xxx"),
        (lambda: mlnb.run(data=__file__, target=3), "target is of type int; expected the name of a column"),
        (lambda: mlnb.run(each="city", least_rows="a"), "least_rows is 'a'; expected a whole number"),
        (lambda: mlnb.run(each="city", most=True), "most is True; expected a whole number"),
        (lambda: mlnb.run(workers=1.5), "workers is 1.5; expected a whole number"),
        (lambda: mlnb.run(params=["tune.trials"]), "params is of type list; expected a dict"),
        (lambda: mlnb.open_run(5), "reference is of type int; expected the id of a run"),
        (lambda: mlnb.open_run(None), "Found None; expected the id of a run"),
        (lambda: mlnb.load_model(3), "reference is of type int; expected the id of a run"),
        (lambda: mlnb.latest().compare("earlier"), "Found str; expected a run"),
        (lambda: mlnb.run(folder="gone"), "there is no folder 'gone'"),
        (lambda: mlnb.runs("gone"), "there is no folder 'gone'"),
    ],
)
def test_arguments_of_wrong_types_and_missing_folders_are_usage_errors(here, call, message):
    with pytest.raises(UsageError, match=message):
        call()
    assert not (here / "gone").exists()


@pytest.fixture
def chain(tmp_path, monkeypatch):
    """A project of four small stages, whose cells are executed in this process."""
    monkeypatch.setattr(local, "LocalExecutor", lambda workers: InProcess({}, pictures=False))
    monkeypatch.chdir(toys.chain(tmp_path))
    return tmp_path


def test_a_run_from_python_equals_one_of_the_command(chain, capsys):
    run = mlnb.run(params={"number.number": 4, "factor": 2.5}, report=False)
    assert (run.state, run.artifact("total")["total"], run.metrics["number.number"]) == ("finished", 11.0, 4)
    assert "total" in capsys.readouterr().out
    assert mlnb.run(params={"number.number": 4, "factor": 2.5}).id == run.id == mlnb.latest().id  # nothing to do
    toys.mlnb(chain, "run", "-p", "number.number", "4", "-p", "factor", "2.5")  # and nothing for the command
    assert len(mlnb.runs()) == 1
    assert mlnb.open_run(run.id)._run.record.command == (
        "mlnb",
        "run",
        "-p",
        "number.number",
        "4",
        "-p",
        "factor",
        "2.5",
    )
    other = mlnb.run(upto="double", force=["double"], progress=False, workers=1)
    assert other.artifacts == ("number", "double") and capsys.readouterr().out == ""
    difference = run.compare(other)
    assert difference.loc[("parameter", "double.factor"), "difference"] == -0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"params": {"double.factor": "much"}}, r"params, double.factor: factor is 'much' .*expected"),
        ({"params": {"factr": 2}}, r"params: No stage .* parameter 'factr'. Did you mean 'factor'"),
        ({"params": {"note.source": "missing.txt"}}, r"params note.source: no file 'missing.txt'"),
        ({"pipeline": "tain"}, r"tain.*train"),
        ({"upto": "totl"}, r"totl.*total"),
        ({"workers": 0}, r"workers is 0; expected 1 or more"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_runs(chain, arguments, message):
    with pytest.raises(UsageError, match=message):
        mlnb.run(**arguments)
    assert len(mlnb.runs()) == 0


@pytest.mark.parametrize(
    ("statement", "raised"),
    [
        ("raise ValueError('no rows')", CellFailed),
        ("from mlnb.errors import GateFailed\nraise GateFailed('too low')", GateFailed),
        ("from mlnb.errors import ParameterError\nraise ParameterError('too low')", StageError),
    ],
)
def test_a_failed_stage_is_raised_as_its_error(chain, statement, raised):
    toys.project(chain, {"10_only": toys.stage("only", statement)})
    with pytest.raises(
        raised, match=r"Run .*: stage only, cell 8 failed: .*(no rows|too low).*notebook: .*ipynb"
    ) as caught:
        mlnb.run(progress=False)
    assert caught.type is raised and not isinstance(caught.value, ParameterError)
    assert mlnb.latest().state == "failed"


def test_importing_mlnb_imports_nothing_else():
    code = "import sys, mlnb; print(sorted(m for m in sys.modules if m.split('.')[0] in ('mlnb', 'pandas', 'numpy')))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "['mlnb']"


def test_public_names_are_listed_and_others_refused():
    assert set(mlnb.__all__) <= set(dir(mlnb))
    assert all(getattr(mlnb, name) is not None for name in mlnb.__all__)
    with pytest.raises(AttributeError, match="module 'mlnb' has no attribute 'runz'"):
        _ = mlnb.runz


def test_the_examples_of_the_guide_work(example, tmp_path, monkeypatch):
    """Runs the guide's blocks of Python on a project with two runs."""
    project = example.make_project(tmp_path)
    example.make_run(project, EARLIER, minute=2)
    example.make_run(project)
    monkeypatch.chdir(tmp_path)
    toys.mlnb(tmp_path, "models")
    toys.mlnb(tmp_path, "promote", "1", "--reason", "the first")

    def run(**arguments):
        """It has run before, and the segment's run, too."""
        if "each" not in arguments:
            return mlnb.latest()
        return SegmentRuns(
            project, [SegmentResult(segment="Berlin", state=SegmentState.REUSED, run=RUN)], mlnb.latest()
        )

    monkeypatch.setattr(mlnb.api.project_runs, "run", run)
    guide = nbformat.read(Path(__file__).parents[2] / "nbs" / "guides" / "python_api.ipynb", 4)
    blocks = re.findall(r"```python\n(.*?)```", "\n".join(cell.source for cell in guide.cells), re.DOTALL)
    scope = {"mlnb": mlnb, "frame": pd.DataFrame(mlnb.latest().artifact("golden")["rows"])}
    assert len(blocks) == 4
    exec("\n".join(blocks), scope)
    assert len(scope["frame"]) == len(scope["model"].predict(scope["frame"]))
    (reason,) = scope["outcomes"].failed.values()
    assert "has no labels" in reason and not scope["verdicts"]  # nothing was served
