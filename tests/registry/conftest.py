"""A project with verified runs whose models differ, on SQLite and on a PostgreSQL server that the tests start."""

from collections.abc import Callable, Iterator
from functools import partial

import pytest
from database_server import run_postgresql
from verified_runs import make_verified_run

from mlnb.engine.project import Project
from mlnb.engine.runs import Run
from mlnb.registry.registry import Registry


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a real server, reached through a socket in a temporary folder."""
    with run_postgresql() as (url, _):
        yield url


@pytest.fixture
def project(tmp_path, example) -> Project:
    return example.make_project(tmp_path / "titanic")


@pytest.fixture
def verified_run(project, example) -> Callable[..., Run]:
    """Make a run with a verified bento: its number, its score, and its predictions of the test rows."""

    return partial(make_verified_run, project, example)


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
