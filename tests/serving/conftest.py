"""A small model of each task with the files of a service, and one built bento that several tests query."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_models import fit_skewed

from mlnb.engine.project import Project
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.contracts.responses import Golden, to_wire
from mlnb.methods.encoding.table_encoder import Encoder
from mlnb.methods.evaluation.fitted_pipeline import assemble_pipeline
from mlnb.methods.evaluation.golden_rows import make_example
from mlnb.methods.models.fitted_models import predict, save_model
from mlnb.methods.models.model_families import fit_model
from mlnb.methods.models.search_spaces import default_params
from mlnb.methods.tables.columns import Column, Schema, to_arrays
from mlnb.methods.tasks.responders import respond
from mlnb.methods.tasks.task_traits import Task
from mlnb.serving.packaging.bento_server import Server, serving, start_launcher
from mlnb.serving.packaging.bento_stores import BuiltBento, build_bento
from mlnb.serving.packaging.bundles import Bundle, find_service, make_bundle

SCHEMA = Schema(
    (
        Column("age", "number", nullable=True, minimum=1.0, maximum=80.0, example=31.0),
        Column("fare paid €", "number", nullable=False, minimum=0.0, maximum=300.0, example=7.25),
        Column("sex", "category", nullable=False, categories=("f", "m"), example="f"),
        Column("note", "text", example="no remarks"),
        Column("ok", "boolean", example=True),
        Column("day", "date", minimum="2020-01-01", maximum="2020-12-28", example="2020-05-01"),
        Column("survived", "category", role="target", categories=("no", "yes")),
    ),
    rows=300,
)


@dataclass(frozen=True)
class Material:
    """Everything that a bundle is built from."""

    contract: ProblemContract
    schema: dict[str, Any]
    encoder: dict[str, Any]
    model: Path
    golden: Golden
    example: Golden

    def bundle(self, folder: Path, **changes: Any) -> Bundle:
        """Return the bundle in `folder`."""
        parts = {**vars(self), "name": "", "service": find_service("tabular", Project.find()), **changes}
        return make_bundle(folder, **parts)


def make_material(folder: Path, family: str, task: str) -> Material:
    """Return a fitted model of a family, with golden rows predicted in one batch."""
    rng = np.random.default_rng(7)
    rows = [
        {
            "age": None if number % 11 == 0 else float(rng.integers(1, 80)),
            "fare paid €": round(float(rng.exponential(30)), 2),
            "sex": str(rng.choice(["f", "m"])),
            "note": str(rng.choice(["first class", "third class", "crew"])),
            "ok": bool(rng.integers(2)),
            "day": f"2020-{rng.integers(1, 13):02}-{rng.integers(1, 29):02}",
        }
        for number in range(300)
    ]
    fare = np.array([row["fare paid €"] for row in rows])
    women = np.array([row["sex"] == "f" for row in rows])
    classes = {"binary": ("no", "yes"), "multiclass": ("a", "b", "c"), "regression": None}[task]
    y = {
        "binary": (women & (fare > 10)).astype(int),
        "multiclass": np.digitize(fare, [10, 40]),
        "regression": 2.5 * fare + women,
    }[task]
    arrays = to_arrays(rows, SCHEMA)
    count = len(classes or ())
    encoder = Encoder.fit(arrays, SCHEMA, y, classes=count)
    encoded = encoder.transform(arrays)
    skewed = family == "skewed"
    params = {} if skewed else default_params(family)
    model = fit_skewed(encoded, y) if skewed else fit_model(family, params, encoded, y, task, count, threads=1)
    contract = ProblemContract(task=Task(task), target="survived", classes=classes)
    golden = Golden(rows=rows[:25], predictions=to_wire(respond(predict(model, encoded[:25]), contract)))
    folder = save_model(model, folder / "model")
    example = make_example(assemble_pipeline(contract, SCHEMA.to_json(), encoder.to_json(), folder), golden)
    return Material(contract, SCHEMA.to_json(), encoder.to_json(), folder, golden, example)


@pytest.fixture(scope="session")
def material(tmp_path_factory):
    """Return a function from family and task to the material of a bundle."""
    cached: dict[tuple[str, str], Material] = {}

    def make(family: str = "lightgbm", task: str = "binary") -> Material:
        if (family, task) not in cached:
            cached[family, task] = make_material(tmp_path_factory.mktemp(family), family, task)
        return cached[family, task]

    return make


@pytest.fixture(scope="session", autouse=True)
def bentoml_home(tmp_path_factory):
    """Stores for the tests only."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("bentoml")
        patch.setenv("BENTOML_HOME", str(folder))
        yield folder


@pytest.fixture(scope="session")
def build(bentoml_home, tmp_path_factory) -> Iterator[Callable[[Bundle], BuiltBento]]:
    """Build bentos as the stage `package` does: in forks of a process that has imported BentoML."""
    launcher = start_launcher(tmp_path_factory.mktemp("launcher") / "log")
    yield partial(build_bento, run=launcher.run)
    assert launcher.process.stdin is not None
    launcher.process.stdin.close()
    launcher.process.wait(20)


@pytest.fixture(scope="session")
def bundle(material, tmp_path_factory) -> Bundle:
    """The bundle of a LightGBM classifier."""
    return material().bundle(tmp_path_factory.mktemp("bundle") / "service")


@pytest.fixture(scope="session")
def built(bundle, build) -> BuiltBento:
    """Its bento."""
    return build(bundle)


@pytest.fixture(scope="session")
def quick_bundle(material, tmp_path_factory) -> Bundle:
    """The bundle of a linear model."""
    return material("linear").bundle(tmp_path_factory.mktemp("quick") / "service", name="quick")


@pytest.fixture(scope="session")
def quick(quick_bundle, build) -> BuiltBento:
    """The bento of a linear model, which starts sooner."""
    return build(quick_bundle)


@pytest.fixture(scope="session")
def server(built, tmp_path_factory) -> Server:
    """The running bento; a header of its copy of mlnb shows whose code runs."""
    own = built.path / "src" / "mlnb" / "serving" / "runtime" / "http_messages.py"
    original, header = own.read_text(), '(b"x-request-id", request_id),'
    assert original.count(header) == 1
    own.write_text(original.replace(header, f'{header} (b"x-code", b"bento"),'))
    with serving(built.path, tmp_path_factory.mktemp("log") / "service.log") as running:
        running.wait()
        own.write_text(original)
        yield running


@pytest.fixture
def altered(material):
    """Return a function that makes material with a golden prediction changed by one bit."""

    def alter(**changes: Any) -> Material:
        base = material(**changes)
        predictions = [dict(prediction) for prediction in base.golden.predictions]
        probabilities = dict(predictions[3]["probabilities"])
        probabilities["yes"] = float(np.nextafter(probabilities["yes"], 1))
        predictions[3]["probabilities"] = probabilities
        return replace(base, golden=Golden(rows=base.golden.rows, predictions=predictions))

    return alter
