"""Every id of a version names it, and its run, in every command; a reference to a run needs no registry."""

import pytest
from in_process import mlnb_in_process

from mlnb.errors import UnknownRun
from mlnb.registry.known_head import registry_exists
from mlnb.registry.registry import Registry
from mlnb.registry.run_references import names_version, open_referenced, run_reference


def ids(version) -> list[str]:
    """Return everything by which a version is named in output, headers, logs and records."""
    metadata = version.metadata
    tags = [metadata.certificate.model, metadata.bento, f"{version.model}:{version.number}"]
    return [*tags, str(version.number), version.service, version.service[:12], version.run, "@champion"]


@pytest.fixture
def versions(project, verified_run):
    """Two versions, the second of which is the champion."""
    registry = Registry(project, "ann")
    both = [registry.register(verified_run(number)) for number in (1, 2)]
    registry.promote("2", why="better")
    yield both
    registry.engine.dispose()


def test_every_id_of_a_version_names_its_run(project, versions):
    _, second = versions
    metadata = second.metadata
    shared = {metadata.certificate.model, metadata.bento}  # both runs hold the same model: the newest version is meant
    for reference in ids(second):
        assert open_referenced(project, reference).id == second.run, reference
    first = versions[0]
    for reference in {*ids(first)} - shared - {"@champion"}:
        assert open_referenced(project, reference).id == first.run, reference


def test_the_commands_accept_them(project, versions):
    second = versions[1]
    for reference in (second.service[:12], "2", second.name):
        shown = mlnb_in_process(project.root, "show", reference)
        assert second.run in shown, reference
        assert second.run in mlnb_in_process(project.root, "models", reference)
        assert second.run in mlnb_in_process(project.root, "lineage", reference)


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("latest", False),
        ("20260314-090100-train-a1b2", False),
        ("2026", False),
        ("a1b2", False),
        ("20260314-0901", False),
        ("tune", False),
        ("2", True),
        ("999", True),
        ("model:1000", True),
        ("@champion", True),
        ("churn@champion", True),
        ("churn:06532242e32d", True),
        ("06532242e32d", True),
    ],
)
def test_what_names_a_version(project, reference, expected):
    assert names_version(reference) is expected
    if not expected:
        assert run_reference(project, reference) == reference
        assert not registry_exists(project)


def test_a_version_that_does_not_exist(project, versions):
    for reference, message in [("7", "no version 7; it has 1 to 2"), ("f" * 12, f"No model is called '{'f' * 12}'")]:
        with pytest.raises(UnknownRun, match=message):
            open_referenced(project, reference)
