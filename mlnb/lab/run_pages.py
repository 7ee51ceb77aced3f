"""Reports, executed notebooks and comparisons of runs as pages that JupyterLab shows in a tab."""

from functools import partial
from urllib.parse import quote

from mlnb.dashboard.file_warnings import collect_warnings
from mlnb.dashboard.project_views import ProjectView
from mlnb.dashboard.run_differences import RunDifferences
from mlnb.engine.runs import Run, open_run
from mlnb.errors import UnknownRun
from mlnb.reports.comparison_page import collect_comparison, render_comparison
from mlnb.reports.run_documents import render_file
from mlnb.reports.run_page import page_name
from mlnb.reports.run_report import REPORT, render_notebook, render_report

# As of the dashboard: nothing in a page runs. JupyterLab may show it in a frame.
PAGE_POLICY = (
    "sandbox allow-same-origin; default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'self'"
)


class RunPages:
    """Renders the pages of a project's runs."""

    def __init__(self) -> None:
        self._differences = RunDifferences()

    def report(self, view: ProjectView, run_id: str) -> str:
        """Return the report of a run. Raises `UnknownRun`."""
        run = find_run(view, run_id)
        return collect_warnings(partial(render_report, run))[0]

    def document(self, view: ProjectView, run_id: str, name: str) -> str:
        """Return a document of a run. Raises `UnknownRun` when there is no such run or document."""
        return collect_warnings(partial(render_file, find_run(view, run_id), name))[0]

    def notebook(self, view: ProjectView, run_id: str, name: str) -> str:
        """Return the page of an executed notebook.

        Args:
            view: The project.
            run_id: The run.
            name: Of the page, such as 40_features.html.

        Raises:
            UnknownRun: There is no such run, or it has no such notebook.
        """
        run = find_run(view, run_id)
        for stage, record in run.stages.items():
            if record.notebook and page_name(record.notebook) == f"notebooks/{name}" and run.notebook_file(stage):
                return collect_warnings(partial(render_notebook, run, stage))[0]
        raise UnknownRun(f"Run {run.id} has no executed notebook for the page {name!r}.")

    def comparison(self, view: ProjectView, run_ids: list[str]) -> str:
        """Return the comparison of runs.

        Raises:
            UnknownRun: There is no such run.
            UsageError: There are fewer than two different runs, or too many.
        """
        compared = [find_run(view, name) for name in run_ids]
        page, _ = collect_warnings(partial(collect_comparison, compared, self._differences))
        return render_comparison(page, _report_address)


def find_run(view: ProjectView, run_id: str) -> Run:
    """Return the run with an id, or what `mlnb show` would show for it. Raises `UnknownRun`."""
    return view.run(run_id) or open_run(view.project, run_id)


def _report_address(run: Run) -> str:
    """Return the address of a run's report, relative to that of a comparison."""
    return f"runs/{quote(run.id, safe='')}/{REPORT}"
