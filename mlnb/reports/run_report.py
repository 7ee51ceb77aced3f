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


def write_report(run: Run) -> Path:
    """Write runs/<id>/report.html and the pages of the run's notebooks; return the path of the report.

    The page is self-contained: styles and images are inside, there is no script, and a content security policy forbids
    any request. It can be written for a run in any state.

    Raises:
        StoreFull: The disk is full.
    """
    _write_notebooks(run)
    page = environment().get_template("report.html").render(page=collect_page(run), style=style())
    path = run.folder / "report.html"
    write_whole(path, page.encode(errors="backslashreplace"), PRIVATE)
    return path


def _write_notebooks(run: Run) -> None:
    template = environment().get_template("notebook.html")
    for name, record in run.stages.items():
        source = run.notebook_file(name)
        if source is None or record.notebook is None:
            continue
        page = template.render(run=run, stage=name, record=record, cells=read_cells(source), style=style())
        write_whole(run.folder / page_name(record.notebook), page.encode(errors="backslashreplace"), PRIVATE)


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
