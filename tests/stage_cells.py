"""All stages of the main pipeline on one table, in this process: for tests that try very many tables.

The `#| stage` cells of the notebooks are executed with the project's store, without plan, run record and kernel, which
`in_process` has. Stages up to `evaluate` are the real ones. Of `package` the bundle is made and its predictor answers
the golden rows in this process; nothing is built, served or verified over HTTP. Plots are drawn, and not rendered.
"""

import ast
import contextlib
import importlib
import io
import shutil
import types
import warnings
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import pytest

import mlnb
from mlnb.codec import replace
from mlnb.engine.digests import parse_python
from mlnb.engine.formats import load_object
from mlnb.engine.project import Project, builtin_folder
from mlnb.engine.run_records import OutputRecord, Outputs
from mlnb.engine.stage import Stage
from mlnb.engine.stage_files import ProgressNote

STAGES = ("problem", "ingest", "validate", "explore", "split", "features", "tune", "train", "evaluate")
QUICK: dict[str, Any] = {
    "tune.trials": 1,
    "tune.seconds": 0.0,
    "tune.workers": 1,
    "tune.threads": 1,
    "train.threads": 1,
    "evaluate.threads": 1,
    "evaluate.resamples": 20,
    "evaluate.repeats": 1,
    "explore.most": 2,
}


class StageCells:
    """Runs the stages of one table; `artifacts` holds what was saved, by name."""

    def __init__(self, root: Path, render: bool = False) -> None:
        """Use a folder as the project.

        Args:
            root: An empty folder.
            render: Whether plots are rendered, as a notebook does.
        """
        self.project = replace(Project.find(root), home=root, root=root)
        self.artifacts: Outputs = {}
        self.metrics: dict[str, float] = {}
        self.render = render

    def load(self, artifact: str, kind: Any = None) -> Any:
        """Return an artifact as the next stage would load it."""
        output = self.artifacts[artifact]
        return load_object(self.project.store, output.format, output.digest, kind, artifact)

    def run(self, parameters: Mapping[str, Any], upto: str = "bundle") -> "StageCells":
        """Run the stages; the first exception of a cell ends it.

        Args:
            parameters: "stage.name" -> value; those of `QUICK` unless stated.
            upto: The last stage; "bundle": all, and the predictor has answered the golden rows.
        """
        values = {**QUICK, **parameters}
        for name in STAGES:
            mine = {key.partition(".")[2]: value for key, value in values.items() if key.startswith(f"{name}.")}
            self._execute(name, mine)
            if name == upto:
                return self
        self.bundle()
        return self

    def bundle(self) -> Any:
        """Make the bundle, load its predictor and let it answer the golden rows; return the predictor."""
        from mlnb.methods.contracts.problems import ProblemContract
        from mlnb.methods.contracts.responses import Golden
        from mlnb.methods.evaluation.fitted_pipeline import assemble_pipeline
        from mlnb.methods.evaluation.golden_rows import make_example
        from mlnb.serving.packaging.bundles import find_service, make_bundle
        from mlnb.serving.runtime.predictor import Predictor
        from mlnb.stages.package import choose_golden

        contract, schema, encoder = self.load("contract", ProblemContract), self.load("schema"), self.load("encoder")
        golden = choose_golden(self.load("golden", Golden), 20)
        example = make_example(assemble_pipeline(contract, schema, encoder, self.load("model")), golden)
        bundle = make_bundle(
            self.project.root / "bundle", service=find_service("tabular", self.project), name="", contract=contract,
            schema=schema, encoder=encoder, model=self.load("model"), golden=golden, example=example,
        )  # fmt: skip
        predictor = Predictor.load(bundle.folder / "model")
        assert predictor.predict(example.rows) == example.predictions
        difference = predictor.replay()
        assert difference is None, difference
        return predictor

    def _execute(self, name: str, parameters: Mapping[str, Any]) -> None:
        scope: dict[str, Any] = {**vars(importlib.import_module(f"mlnb.stages.{name}")), "__name__": "stage_cells"}
        head, cells = stage_code(name)
        with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(), _plots(self.render):
            warnings.simplefilter("ignore")
            patch.setattr(mlnb, "open_stage", self._open, raising=False)
            patch.chdir(self.project.root)
            exec(head, scope)
            unknown = parameters.keys() - scope.keys()
            assert not unknown, f"the stage {name} has no parameter {sorted(unknown)}"
            scope.update(parameters, run="fuzz")
            for cell in cells:
                scope["display"] = lambda *values, **options: types.SimpleNamespace(update=lambda value: None)
                with contextlib.redirect_stdout(io.StringIO()):
                    exec(cell, scope)

    def _open(self, name: str, run: str, reads: list[str], writes: Mapping[str, str]) -> Stage:
        return _CellStage(self, name, list(reads), dict(writes))


class _CellStage(Stage):
    """A stage whose artifacts are those of `StageCells`."""

    def __init__(self, cells: StageCells, name: str, reads: list[str], writes: dict[str, str]) -> None:
        super().__init__(cells.project, name, "fuzz", reads, writes, reader="fuzz")
        self.cells = cells

    @property
    def scratch(self) -> Path:
        folder = self.project.root / "scratch" / self.name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _find(self, artifact: str) -> OutputRecord:
        return self.cells.artifacts[artifact]

    def _report_progress(self, note: ProgressNote) -> None:
        pass

    def _report(self) -> None:
        self.cells.artifacts.update(self.outputs)
        self.cells.metrics.update({f"{self.name}.{name}": value for name, value in self.metrics.items()})
        shutil.rmtree(self.project.root / "scratch", ignore_errors=True)


@cache
def stage_code(name: str) -> tuple[types.CodeType, tuple[types.CodeType, ...]]:
    """Return the compiled imports and parameters of a stage notebook, and its `#| stage` cells."""
    folder = builtin_folder() / "nbs" / "stages"
    path = next(path for path in folder.glob("*.ipynb") if path.stem.partition("_")[2] == name)
    head: list[ast.stmt] = []
    cells = []
    for cell in nbformat.read(path, 4).cells:
        if cell.cell_type != "code" or cell.source.startswith("#| default_exp"):
            continue
        tree = parse_python(cell.source)
        if cell.source.startswith("#| stage"):
            cells.append(compile(_without_display(tree), f"<{name}>", "exec"))
        elif "parameters" in cell.metadata.get("tags", ()):
            head += tree.body
        else:
            head += [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    return compile(ast.Module(head, []), f"<{name}>", "exec"), tuple(cells)


def _without_display(tree: ast.Module) -> ast.Module:
    """Return a cell that does not import IPython's `display`."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == "IPython.display":
            node.names = [name for name in node.names if name.name != "display"]
    tree.body = [node for node in tree.body if not isinstance(node, ast.ImportFrom) or node.names]
    return tree


@contextlib.contextmanager
def _plots(render: bool) -> Iterator[None]:
    """Close plots when they are shown, and at the end; render them first where that is requested."""
    import matplotlib.pyplot as plt
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    def show(*_: Any, **__: Any) -> None:
        for number in plt.get_fignums() if render else ():
            figure = plt.figure(number)
            figure.set_layout_engine("none")  # half of the time, and no text is read for it that is not drawn
            figure.set_dpi(20)
            FigureCanvasAgg(figure).draw()  # once; `savefig` draws for a layout first
        plt.close("all")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plt, "show", show)
        try:
            yield
            show()
        finally:
            plt.close("all")
