"""Each module that is written by hand has a test file of its name, or is tested together with others for a reason.

python tests/test_mirrors.py      the modules that have neither
"""

from pathlib import Path

import pytest

ENFORCED = False  # True: a module without a test file and without a reason fails the tests
TESTS = Path(__file__).resolve().parent
CODE = TESTS.parent / "mlnb"
GENERATED = ("methods", "stages")

# Test file: (why its modules are tested together, the modules).
TOGETHER = {
    "cli/test_models.py": (
        "commands of the registry act on one another",
        "cli/approve cli/audit cli/compare cli/promote cli/rollback",
    ),
    "cli/test_reading_runs.py": (
        "one set of runs is listed, shown, compared and reported",
        "cli/main cli/report cli/run_comparison cli/runs cli/show cli/text_tables",
    ),
    "cli/test_upgrade.py": (
        "an upgrade is tested from template to journal",
        "engine/project_template engine/project_upgrade engine/upgrade_journal",
    ),
    "engine/test_pipeline.py": (
        "a run is tested from the command to its record",
        "cli/arguments cli/plan cli/progress cli/run cli/run_summary cli/stages engine/initial_record engine/runs",
    ),
    "engine/test_three_way.py": (
        "the merges of an upgrade share their cases",
        "engine/cell_matching engine/parameter_merge engine/settings_merge engine/text_merge",
    ),
    "monitoring/test_schedules.py": ("the command prints what the module makes", "cli/schedule"),
    "registry/test_ledger.py": (
        "the log is rows of the database",
        "registry/audit_log registry/database registry/registry_state",
    ),
    "registry/test_registry.py": (
        "versions and champions exist only in a registry",
        "registry/champion registry/model_versions registry/version_comparison",
    ),
    "reports/test_monitoring_page.py": ("the timeline is a part of the page", "reports/timeline"),
    "reports/test_parts.py": (
        "parts of a page of a few lines each",
        "reports/figures reports/formatting reports/notebook_pages reports/pipeline_graph",
    ),
    "reports/test_run_report.py": (
        "a page is tested as a reader sees it",
        "reports/markdown reports/run_page reports/run_page_sections",
    ),
    "serving/deploy/test_container_images.py": (
        "an image is built from parts that only exist there",
        "cli/containerize serving/deploy/bill_of_materials serving/deploy/container_engines "
        "serving/deploy/image_builder serving/deploy/image_contents serving/deploy/image_probe",
    ),
    "serving/deploy/test_kubernetes_manifests.py": ("the command writes the manifests", "cli/deploy"),
    "serving/deploy/test_lambda_package.py": ("the handler runs from the package", "serving/deploy/lambda_handler"),
    "serving/packaging/test_bento_server.py": ("a server starts in the launcher", "serving/packaging/bento_launcher"),
    "serving/packaging/test_bento_stores.py": (
        "a bento gets into a store by the builder",
        "serving/packaging/bento_builder",
    ),
    "serving/packaging/test_packaged_runs.py": ("the command builds the bento of a packaged run", "cli/build"),
    "serving/runtime/test_prediction_log.py": (
        "rows are followed from the service's log to a table",
        "monitoring/monitoring_paths monitoring/prediction_table serving/runtime/log_segments",
    ),
    "serving/runtime/test_served_tasks.py": ("handlers exist for tasks only", "serving/runtime/request_handler"),
    "tracking/test_wandb_tracker.py": ("a replayed run is what trackers are for", "tracking/tracker"),
    "test_loop.py": (
        "the monitoring cycle is tested whole",
        "cli/labels cli/monitor cli/retrain cli/serve",
    ),
}


def modules() -> list[str]:
    """Return the modules that are written by hand, as `engine/runs`."""
    paths = [path.relative_to(CODE) for path in CODE.rglob("*.py") if path.name not in ("__init__.py", "_modidx.py")]
    return sorted(path.with_suffix("").as_posix() for path in paths if path.parts[0] not in GENERATED)


def mirrors(module: str) -> list[Path]:
    """Return where the test file of a module may be: in the mirrored folder, or in one above it."""
    *folders, name = module.split("/")
    return [TESTS.joinpath(*folders[:depth], f"test_{name}.py") for depth in range(len(folders), -1, -1)]


def untested() -> list[str]:
    """Return the modules with neither a test file of their name nor a reason."""
    excused = {module for _, listed in TOGETHER.values() for module in listed.split()}
    return [name for name in modules() if name not in excused and not any(path.exists() for path in mirrors(name))]


def test_each_module_has_a_test_file_or_a_reason():
    missing = untested()
    if not ENFORCED and missing:
        pytest.skip(f"{len(missing)} of {len(modules())} modules have no test file yet: python tests/test_mirrors.py")
    assert missing == []


def test_reasons_are_of_modules_and_files_that_exist_and_have_none_of_their_own():
    assert [file for file in TOGETHER if not (TESTS / file).is_file()] == []
    listed = [module for _, names in TOGETHER.values() for module in names.split()]
    assert sorted(set(listed) - set(modules())) == []
    assert len(set(listed)) == len(listed)
    assert [module for module in listed if mirrors(module)[0].exists()] == []


if __name__ == "__main__":
    print("\n".join(untested()))
