"""Writes the documents of a run: runs/<id>/documents with Markdown, HTML, the evidence, and machine-readable forms."""

from mlnb.codec import encode
from mlnb.engine.files import PRIVATE, write_whole
from mlnb.engine.runs import Run
from mlnb.reports.markdown import to_html
from mlnb.reports.run_report import environment, style


def write_documents(run: Run) -> None:
    """Write each document of a run as Markdown and HTML, their evidence, and what other programs read.

    Nothing is written for a run without documents.

    Raises:
        StoreFull: The disk is full.
    """
    if not run.has("evidence"):
        return
    # numpy, which the report of a run without documents does not need
    from mlnb.governance.document_evidence import EVIDENCE, FILES, FOLDER, collect_evidence, document_path
    from mlnb.governance.machine_readable import machine_readable

    evidence = collect_evidence(run)
    for name in FILES:
        text = str(run.load(name))
        write_whole(document_path(run, name), text.encode(errors="backslashreplace"), PRIVATE)
        page = render_document(run, text, evidence.documents[name].open_points)
        write_whole(document_path(run, name, ".html"), page.encode(errors="backslashreplace"), PRIVATE)
    write_whole(run.folder / FOLDER / EVIDENCE, encode(evidence), PRIVATE)
    for file, text in machine_readable(run).items():
        write_whole(run.folder / FOLDER / file, text.encode(errors="backslashreplace"), PRIVATE)


def render_document(run: Run, text: str, open_points: tuple[str, ...] = ()) -> str:
    """Return a document as an HTML page.

    Args:
        run: Its run.
        text: The document as Markdown.
        open_points: What is open in it.
    """
    title = text.partition("\n")[0].lstrip("# ")
    template = environment().get_template("document.html")
    return template.render(run=run, title=title, body=to_html(text), open_points=open_points, style=style())
