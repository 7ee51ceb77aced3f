"""Writes the report of a run: report.html, and a page for each executed notebook."""

from functools import cache
from pathlib import Path

from jinja2 import ChainableUndefined, Environment, FileSystemLoader

from mlnb.engine.files import write_whole
from mlnb.engine.runs import Run
from mlnb.reports import formatting
from mlnb.reports.notebook_pages import read_cells
from mlnb.reports.run_page import gather, page_name
from mlnb.tracking import run_facts

HERE = Path(__file__).parent


def write_report(run: Run) -> Path:
    """Write runs/<id>/report.html and the pages of the run's notebooks; return the report's path.

    The page stands alone: styles and pictures are inside, there is no script, and a policy in its head
    forbids any request. It can be written for a run in any state. Raises `StoreFull` when the disk is full.
    """
    _write_notebooks(run)
    page = environment().get_template("report.html").render(gather(run), style=style())
    path = run.folder / "report.html"
    write_whole(path, page.encode())
    return path


def _write_notebooks(run: Run) -> None:
    template = environment().get_template("notebook.html")
    for name, entry in run_facts.stages(run.record).items():
        source = run.folder / entry["notebook"] if entry.get("notebook") else None
        if source is None or not source.is_file():
            continue
        page = template.render(
            run=run, stage=name, entry=entry, cells=read_cells(source), style=style(), formatting=formatting
        )
        write_whole(run.folder / page_name(entry["notebook"]), page.encode())


@cache
def environment() -> Environment:
    """Return an environment in which every value is escaped: names come from data, and data is hostile."""
    return Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def style() -> str:
    """Return the styles of every page."""
    return (HERE / "style.css").read_text(encoding="utf-8")
