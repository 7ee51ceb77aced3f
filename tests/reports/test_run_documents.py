"""Documents as files: Markdown, pages that print, and nothing for a run that has none."""

from pathlib import Path

from example_run import Example

from mlnb.engine.runs import Run
from mlnb.reports.run_documents import render_document, write_documents


def make(example: Example, root: Path, upto: str = "document") -> Run:
    return example.make_run(example.make_project(root), upto=upto, reused=())


def test_documents_are_written(example: Example, tmp_path: Path) -> None:
    run = make(example, tmp_path)
    write_documents(run)
    written = {path.name: path.read_text() for path in (run.folder / "documents").iterdir()}
    assert len(written) == 7 and written["model_card.md"] == run.load("card")
    assert "Technical documentation: survived" in written["technical_documentation.html"]
    assert "@page" in written["model_card.html"] and "open point" not in written["model_card.html"]
    write_documents(run)
    assert written == {path.name: path.read_text() for path in (run.folder / "documents").iterdir()}


def test_a_run_without_documents_has_no_folder(example: Example, tmp_path: Path) -> None:
    run = make(example, tmp_path, upto="package")
    write_documents(run)
    assert not (run.folder / "documents").exists()


def test_a_page_escapes_and_counts_open_points(example: Example, tmp_path: Path) -> None:
    page = render_document(make(example, tmp_path), "# A <b>\n\n<script>x</script>", ("Who owns it?",))
    assert "1 open point" in page and "<script>x" not in page and "<title>A &lt;b&gt;" in page


def test_escaped_names_are_shown_as_they_are(example: Example, tmp_path: Path) -> None:
    page = render_document(make(example, tmp_path), "# Card\n\n18 &lt; age &lt;= 30 &amp; sex = m, &amp;lt;\n")
    assert "18 &lt; age &lt;= 30 &amp; sex = m, &amp;lt;" in page
