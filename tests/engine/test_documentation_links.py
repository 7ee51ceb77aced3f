"""Links of stage notebooks to methods and guides, which a project does not have."""

import json
import re
from pathlib import Path

import pytest

from mlnb.cli.new import create
from mlnb.engine.documentation_links import documentation_address, resolve_links
from mlnb.reports.notebook_pages import read_cells

STAGES = Path(__file__).resolve().parents[2] / "nbs" / "stages"
TEXT = (
    "see [metrics](../methods/metrics/goals.ipynb#Limits), [costs](../guides/decide.ipynb) and [split](30_split.ipynb)"
)
LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+\.\w+)[^)]*\)")


def test_links_lead_to_the_site_if_there_is_one() -> None:
    assert resolve_links(TEXT, "https://docs.example.org/mlnb") == (
        "see [metrics](https://docs.example.org/mlnb/methods/metrics/goals.html#Limits), "
        "[costs](https://docs.example.org/mlnb/guides/decide.html) and [split](30_split.ipynb)"
    )


def test_links_become_names_of_modules_without_a_site() -> None:
    expected = "see metrics (`mlnb.methods.metrics.goals`), costs and [split](30_split.ipynb)"
    assert resolve_links(TEXT, "") == expected
    assert resolve_links(expected, "") == expected


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        ("doc_host = https://a.example\ndoc_baseurl = /b/", "https://a.example/b"),
        ("doc_host = https://a.example/", "https://a.example"),
        ("doc_baseurl = /b", ""),
        ("git_url = https://example.org/100%", ""),
    ],
)
def test_the_address_is_that_of_nbdev(settings: str, address: str) -> None:
    assert documentation_address(f"[DEFAULT]\n{settings}\n") == address


def test_a_new_project_and_the_pages_of_its_notebooks_have_no_dead_links(tmp_path: Path) -> None:
    create(tmp_path / "shop")
    notebooks = sorted((tmp_path / "shop" / "nbs" / "stages").glob("*.ipynb"))
    assert len(notebooks) == len(list(STAGES.glob("*.ipynb")))
    for notebook in notebooks:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
        dead = [link for link in LINK.findall(text) if not (notebook.parent / link).is_file()]
        assert not dead, f"{notebook.name}: {dead}"
        html = "".join(str(cell.body) for cell in read_cells(notebook) if cell.kind == "prose")
        assert not re.findall(r'href="(?!https?:|#|mailto:)', html), notebook.name
