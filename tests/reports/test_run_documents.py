"""Documents as files: Markdown, pages that print, and nothing for a run that has none."""

from pathlib import Path

import pytest
from chromium import open_browser
from example_run import Example

from mlnb.engine.runs import Run
from mlnb.errors import UnknownRun
from mlnb.reports.run_documents import render_document, render_file, write_documents


def make(example: Example, root: Path, upto: str = "document") -> Run:
    return example.make_run(example.make_project(root), upto=upto, reused=())


def test_documents_are_written(example: Example, tmp_path: Path) -> None:
    run = make(example, tmp_path)
    write_documents(run)
    written = {path.name: path.read_text() for path in (run.folder / "documents").iterdir()}
    assert len(written) == 10 and written["model_card.md"] == run.load("card")
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


def test_nothing_is_cut_off_on_paper(example: Example, tmp_path: Path) -> None:
    long = "x" * 200
    table = f"| a | {long} |\n|---|---|\n| calibration | {long} |\n"
    text = f"# Card\n\n{long}\n\n{table}\n- `{long}`\n\n| classification | b | c | d | e |\n|---|---|---|---|---|\n"
    path = tmp_path / "page.html"
    path.write_text(render_document(make(example, tmp_path), text + "| classification | 1 | 2 | 3 | 4 |\n" * 3))
    with open_browser() as browser:
        browser.look(680)  # pixels between the margins of A4
        browser.call("Emulation.setEmulatedMedia", media="print")
        browser.open(path.as_uri())
        assert browser.evaluate("document.documentElement.scrollWidth") == 680
        lines = "(text => [...document.querySelectorAll('td')].find(one => one.textContent === text).clientHeight)"
        assert browser.evaluate(f"{lines}('calibration')") and browser.evaluate(f"{lines}('1')") < 40  # a word is whole


def test_files_are_shown_as_pages(example: Example, tmp_path: Path) -> None:
    run = make(example, tmp_path)
    assert render_file(run, "data_sheet.html").count("<h1>") == 1
    page = render_file(run, "croissant.json")
    assert "<pre" in page and "&#34;sc:Dataset&#34;" in page and "<title>Croissant" in page
    for wrong in ("../run.json", "model_card.md", ""):
        with pytest.raises(UnknownRun, match="has no document"):
            render_file(run, wrong)
