"""Writes the report of a run: report.html, and a page for each executed notebook."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mlnb.engine.files import PRIVATE, write_whole
from mlnb.engine.runs import Run
from mlnb.reports import formatting
from mlnb.reports.notebook_pages import read_cells
from mlnb.reports.run_page import collect_page, page_name

HERE = Path(__file__).parent
REPORT = "report.html"  # its name in the folder of the run


def write_report(run: Run) -> Path:
    """Write runs/<id>/report.html and the pages of the run's notebooks; return the path of the report.

    The page is self-contained: styles and images are inside, there is no script, and a content security policy forbids
    any request. It can be written for a run in any state.

    Raises:
        StoreFull: The disk is full.
    """
    for name, record in run.stages.items():
        if record.notebook is not None and run.notebook_file(name) is not None:
            _write(run.folder / page_name(record.notebook), render_notebook(run, name))
    path = run.folder / REPORT
    _write(path, render_report(run))
    return path


def render_report(run: Run) -> str:
    """Return the report of a run in any state as HTML."""
    return environment().get_template("report.html").render(page=collect_page(run), style=style())


def render_notebook(run: Run, stage: str) -> str:
    """Return the page of a stage's executed notebook as HTML."""
    source = run.notebook_file(stage)
    cells = read_cells(source) if source else []
    template = environment().get_template("notebook.html")
    return template.render(run=run, stage=stage, record=run.stages[stage], cells=cells, style=style())


def _write(path: Path, page: str) -> None:
    write_whole(path, page.encode(errors="backslashreplace"), PRIVATE)


@cache
def environment() -> Environment:
    """Return the template environment; every value is escaped, as names come from data that may be hostile."""
    templates = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    templates.globals["formatting"] = formatting
    return templates


@cache
def style() -> str:
    """Return the styles of every page."""
    return (HERE / "style.css").read_text(encoding="utf-8")
