"""Each hand-written module has a test file of its name, or is listed here with a reason: the check `mirrors`.

python scripts/mirrors.py      the modules that have neither, and wrong entries
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TESTS, CODE = ROOT / "tests", ROOT / "mlnb"
GENERATED = ("methods", "stages")

# Modules that are tested in another file. Test file: (reason, the modules).
TOGETHER = {
    "api/test_model_operations.py": ("the outcomes are those of these operations", "api/several_models"),
    "api/test_monitored_models.py": ("an operation is tested with its outcomes", "api/champion_operations"),
    "api/test_stage_worker.py": (
        "workers are tested with the runs that send them stages",
        "api/dispatched_stages cli/run_worker engine/stage_orders executors/dask_cluster executors/worker_versions",
    ),
    "cli/test_lab.py": ("the command starts JupyterLab with the files", "lab/jupyter_files"),
    "cli/test_data.py": (
        "versions are compared as a reader sees it",
        "cli/data_difference governance/typed_versions",
    ),
    "cli/test_diff.py": (
        "a diff is tested as a reader sees it, on one repository with runs",
        "api/revision_runs cli/diff_blocks cli/diff_formats cli/revision_diff reports/run_changes "
        "tracking/notebook_changes",
    ),
    "cli/test_each.py": (
        "a table is tested with the runs that fill it",
        "api/segment_plans cli/segment_table tracking/segment_results",
    ),
    "cli/test_example_notebooks.py": (
        "the examples of a new project are tested alike",
        "cli/example_encoder cli/example_metric cli/example_source",
    ),
    "cli/test_models.py": (
        "the commands of the registry act on shared state",
        "cli/approvals cli/approve cli/audit cli/compare cli/promote cli/rollback",
    ),
    "cli/test_reading_runs.py": (
        "the commands list, show, compare and report the same runs",
        "cli/comparison_text cli/main cli/report cli/runs cli/show tracking/run_comparison tracking/run_table",
    ),
    "engine/test_shared_database.py": (
        "what machines share is tested with one database server",
        "engine/active_runs engine/run_processes engine/shared_accesses engine/stage_locks",
    ),
    "dashboard/test_application.py": (
        "a page is tested as a reader sees it",
        "dashboard/file_warnings dashboard/live_run dashboard/model_overview dashboard/project_views "
        "dashboard/registry_view dashboard/run_differences dashboard/run_listing "
        "dashboard/stage_timeline dashboard/study_page",
    ),
    "erasure/test_erasure_journal.py": (
        "an erasure is tested as a whole, from the command to the audit log",
        "cli/erase cli/hold engine/project_lock engine/tombstones erasure/erasure_changes erasure/erasure_plan "
        "erasure/notebook_redaction erasure/production_rows erasure/stored_rows "
        "registry/legal_holds registry/retraining_marks",
    ),
    "cli/test_upgrade.py": (
        "an upgrade is tested as a whole, from the template to the journal",
        "engine/project_template engine/project_upgrade engine/upgrade_journal",
    ),
    "engine/test_pipeline.py": (
        "a run is tested from the command to its record",
        "api/progress api/run_execution api/run_request cli/arguments cli/plan cli/run cli/stages "
        "engine/initial_record "
        "engine/job_factory engine/pipeline_stage engine/plan engine/runs engine/session engine/stage_jobs",
    ),
    "engine/test_pipeline_failures.py": (
        "they report the failures of notebooks, which need a kernel",
        "engine/notebook_shell engine/stage_runner",
    ),
    "api/test_planned_stages.py": (
        "a worker is tested from the command to the pushed result",
        "cli/run_stage remote/shared_plans",
    ),
    "engine/test_remote_link.py": (
        "the remote store is tested as clones use it, with a server that has faults",
        "engine/finished_runs engine/recipe_keys engine/remote_messages remote/entries remote/helper remote/probe "
        "remote/pulling remote/pushing remote/remote_session remote/shared_runs",
    ),
    "engine/test_store.py": ("a folder is stored with its list of files", "engine/store_listings"),
    "engine/test_stage.py": (
        "the base class is tested by this subclass",
        "engine/draft_artifacts engine/interactive_stage",
    ),
    "engine/test_three_way.py": (
        "the merges of an upgrade share their cases",
        "engine/cell_matching engine/parameter_merge engine/settings_merge engine/text_merge",
    ),
    "governance/test_reproduction.py": (
        "a reproduction is tested as a whole, on one small project",
        "cli/reproduce governance/reproduction_project governance/reproduction_run governance/reproduction_stages",
    ),
    "governance/test_version_lineage.py": (
        "the command prints what the modules trace",
        "cli/lineage governance/logged_requests",
    ),
    "governance/test_machine_readable.py": (
        "each document is validated against its format",
        "governance/croissant_metadata governance/document_inputs governance/hugging_face_card governance/model_bill",
    ),
    "governance/test_run_manifest.py": ("the manifest has the environment", "governance/run_environment"),
    "governance/test_project_verification.py": (
        "one changed byte in each kind of file is found by the parts together",
        "cli/verify governance/checks governance/production_verification governance/registry_verification "
        "governance/run_verification monitoring/production_heads "
        "governance/stored_objects registry/entry_signatures",
    ),
    "kernels/driver/test_warm_engine.py": ("a record of options without code", "kernels/driver/execution"),
    "kernels/kernel/test_state_snapshot.py": (
        "the sockets exist only in a kernel restored for Jupyter",
        "kernels/kernel/jupyter_sockets",
    ),
    "lab/test_panel_service.py": (
        "requests are answered by the parts together, about one project with runs",
        "executors/failed_stages lab/failed_cell lab/open_notebook lab/panel_state lab/run_pages lab/run_process "
        "lab/stage_views",
    ),
    "monitoring/test_monitor.py": (
        "an optional report of one call; the library is not among the requirements of the tests",
        "monitoring/evidently",
    ),
    "monitoring/test_collect.py": ("the stage reads what the module returns", "monitoring/production_data"),
    "monitoring/test_schedules.py": ("the command prints the files of the module", "cli/schedule"),
    "packaging/test_workflows.py": ("every workflow meets the same rules", "cli/ci_workflow"),
    "api/test_mlflow_export.py": ("a model is tested as MLflow loads it", "api/mlflow_model"),
    "tracking/test_openlineage_file.py": ("events are tested as they are written", "tracking/openlineage_events"),
    "registry/test_ledger.py": (
        "the audit log is a table of the database, and its last entry is remembered",
        "registry/audit_log registry/database registry/known_head registry/registry_state",
    ),
    "registry/test_registry.py": (
        "versions and champions exist only in a registry",
        "registry/champion registry/model_versions registry/version_comparison registry/version_table",
    ),
    "reports/test_comparison_page.py": ("both pages link reports", "reports/run_index"),
    "reports/test_monitoring_page.py": (
        "the page shows the timeline and the results",
        "reports/monitoring_results reports/timeline",
    ),
    "reports/test_parts.py": (
        "parts of a page of a few lines each",
        "reports/figures reports/formatting reports/notebook_pages reports/pipeline_graph",
    ),
    "reports/test_run_report.py": (
        "a page is tested as a reader sees it",
        "reports/document_links reports/markdown reports/run_page reports/run_page_sections",
    ),
    "registry/test_database_roles.py": ("the command prints and executes the SQL", "cli/registry_roles"),
    "registry/test_verified_approvals.py": (
        "an approval is tested from the key of the approver to its verification",
        "governance/approval_verification registry/required_signer registry/version_requirements",
    ),
    "serving/runtime/test_recommendation_handler.py": (
        "recommendations are tested through their endpoint",
        "serving/runtime/recommendation_endpoint",
    ),
    "serving/attacks/test_json_attacks.py": (
        "slices matter for requests that are large",
        "serving/runtime/sliced_requests",
    ),
    "serving/runtime/test_table_decoder.py": (
        "it runs in a process that the decoder starts",
        "serving/runtime/table_worker",
    ),
    "serving/batch/test_batch_job.py": ("jobs read the same rows from every format", "serving/batch/csv_files"),
    "serving/deploy/test_container_images.py": (
        "an image is built from parts that are used nowhere else",
        "cli/containerize serving/deploy/bill_of_materials serving/deploy/container_engines "
        "serving/deploy/image_builder serving/deploy/image_contents serving/deploy/image_probe",
    ),
    "serving/deploy/test_lambda_package.py": ("the handler runs from the package", "serving/deploy/lambda_handler"),
    "serving/edge/test_portable_export.py": ("a record without code", "serving/edge/exports"),
    "serving/packaging/test_bento_server.py": ("a server starts in the launcher", "serving/packaging/bento_launcher"),
    "serving/packaging/test_bento_stores.py": (
        "the builder puts a bento into a store",
        "serving/packaging/bento_builder",
    ),
    "serving/packaging/test_packaged_runs.py": ("the command builds the bento of a packaged run", "cli/build"),
    "serving/runtime/test_prediction_log.py": (
        "rows are followed from the log of the service to a table",
        "monitoring/monitoring_paths monitoring/prediction_table serving/runtime/log_segments",
    ),
    "serving/runtime/test_scored_handlers.py": (
        "rows are explained by the handlers that score them",
        "serving/runtime/sum_explanations",
    ),
    "serving/runtime/test_served_tasks.py": ("handlers exist for tasks only", "serving/runtime/request_handler"),
    "test_loop.py": (
        "the monitoring cycle is tested as a whole",
        "cli/labels cli/monitor cli/retrain",
    ),
    "test_settings.py": ("the settings are read by these modules", "settings_file typed_settings"),
    "tracking/test_wandb_tracker.py": ("it chooses and runs a tracker", "tracking/tracker"),
}


def modules() -> list[str]:
    """Return the hand-written modules, as `engine/runs`."""
    paths = [path.relative_to(CODE) for path in CODE.rglob("*.py") if path.name not in ("__init__.py", "_modidx.py")]
    return sorted(path.with_suffix("").as_posix() for path in paths if path.parts[0] not in GENERATED)


def test_files(module: str) -> list[Path]:
    """Return the paths that the test file of a module may have: in the mirrored folder, or in one above it."""
    *folders, name = module.split("/")
    return [TESTS.joinpath(*folders[:depth], f"test_{name}.py") for depth in range(len(folders), -1, -1)]


def find() -> list[str]:
    """Return a line for each module with neither a test file nor a reason, and for each wrong entry of the table."""
    listed = [module for _, names in TOGETHER.values() for module in names.split()]
    existing = modules()
    lines = [
        f"mlnb/{name}.py has no tests/{name.rpartition('/')[0]}/test_{name.rpartition('/')[2]}.py: "
        "write it, or list the module with a reason in scripts/mirrors.py"
        for name in existing
        if name not in listed and not any(path.exists() for path in test_files(name))
    ]
    lines += [
        f"scripts/mirrors.py lists tests/{file}, which does not exist"
        for file in TOGETHER
        if not (TESTS / file).is_file()
    ]
    lines += [f"scripts/mirrors.py lists {name}, which is no module" for name in sorted({*listed} - {*existing})]
    lines += [f"scripts/mirrors.py lists {name} twice" for name in sorted({n for n in listed if listed.count(n) > 1})]
    lines += [
        f"scripts/mirrors.py lists {name}, which has a test file: remove the entry"
        for name in listed
        if test_files(name)[0].exists()
    ]
    return lines


if __name__ == "__main__":
    print("\n".join(find()))
