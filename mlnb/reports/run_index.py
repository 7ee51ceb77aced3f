"""Writes the index of a project's runs: runs/index.html, with a link to each report."""

from pathlib import Path
from urllib.parse import quote

from mlnb.engine.files import PRIVATE, write_whole
from mlnb.engine.project import Project
from mlnb.engine.runs import Run, read_runs
from mlnb.reports.run_report import REPORT, environment, style
from mlnb.tracking.run_table import describe, short_data


def write_index(project: Project) -> Path:
    """Write runs/index.html, one self-contained file; return its path. Raises `StoreFull` when the disk is full."""
    runs, problems = read_runs(project)
    page = (
        environment()
        .get_template("run_index.html")
        .render(
            project=project,
            rows=[describe(run) for run in runs],
            segmented=any(run.record.segment for run in runs),
            problems=problems,
            run_url=report_link,
            short_data=short_data,
            site=None,
            style=style(),
        )
    )
    path = project.runs / "index.html"
    write_whole(path, page.encode(errors="backslashreplace"), PRIVATE)
    return path


def report_link(run: Run, base: str = "") -> str:
    """Return the relative address of a run's report from the folder of the runs; empty where none was written.

    Args:
        run: The run.
        base: What leads from the page to the folder of the runs, such as "../".
    """
    return f"{base}{quote(run.id)}/{REPORT}" if (run.folder / REPORT).is_file() else ""
