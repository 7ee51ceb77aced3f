"""Writes the documents of a run: runs/<id>/documents with Markdown, HTML, the evidence, and machine-readable forms."""

from markupsafe import Markup

from mlnb.codec import encode
from mlnb.engine.files import PRIVATE, write_whole
from mlnb.engine.runs import Run
from mlnb.errors import UnknownRun
from mlnb.reports.document_links import link_documents
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


def render_file(run: Run, file: str) -> str:
    """Return a document of a run as it is now, as an HTML page; forms for other programs as their text.

    Args:
        run: The run.
        file: Name of the file in the folder of the documents.

    Raises:
        UnknownRun: The run has no such document.
    """
    titles = {link.file.rpartition("/")[2]: link.title for link in link_documents(run)}
    if file not in titles:
        raise UnknownRun(f"Run {run.id} has no document {file!r}; it has {', '.join(titles) or 'none'}.")
    from mlnb.governance.document_evidence import EVIDENCE, FILES, collect_evidence
    from mlnb.governance.machine_readable import machine_readable

    for name, stem in FILES.items():
        if file == f"{stem}.html":
            return render_document(run, str(run.load(name)), collect_evidence(run).documents[name].open_points)
    text = encode(collect_evidence(run)).decode() if file == EVIDENCE else machine_readable(run)[file]
    return _render(run, titles[file], Markup('<pre class="wide" tabindex="0">{}</pre>').format(text))


def render_document(run: Run, text: str, open_points: tuple[str, ...] = ()) -> str:
    """Return a document as an HTML page.

    Args:
        run: Its run.
        text: The document as Markdown.
        open_points: What is open in it.
    """
    return _render(run, text.partition("\n")[0].lstrip("# "), to_html(text), open_points)


def _render(run: Run, title: str, body: Markup, open_points: tuple[str, ...] = ()) -> str:
    template = environment().get_template("document.html")
    return template.render(run=run, title=title, body=body, open_points=open_points, style=style())
