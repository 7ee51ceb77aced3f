"""The documentation site: notebooks, parsers and docstrings become Markdown pages."""

import ast
import base64
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import docs
import docs_api
import docs_commands
import docs_math
import docs_notebooks
import pytest
import yaml

from mlnb.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
PIXEL = base64.b64encode(b"not really a picture").decode()


def code_cell(source: str, *outputs: dict[str, object]) -> dict[str, object]:
    return {"cell_type": "code", "source": source, "outputs": list(outputs)}


def test_links_outside_of_code_are_rewritten() -> None:
    text = "[a](x.ipynb) and `[b](x.ipynb)`\n\n```python\n[c](x.ipynb)\n```\n[d](x.ipynb)"
    written = docs_notebooks.rewrite_links(text, lambda link: link.replace("ipynb", "md"))
    assert written == text.replace("[a](x.ipynb)", "[a](x.md)").replace("[d](x.ipynb)", "[d](x.md)")


@pytest.mark.parametrize(
    ("file", "link", "expected"),
    [
        ("nbs/index.ipynb", "guides/start.ipynb", "guides/start.md"),
        ("nbs/stages/70_evaluate.ipynb", "../methods/audit/leak.ipynb#Plots", "../methods/audit/leak.md#Plots"),
        ("nbs/guides/start.ipynb", "../../SECURITY.md", "../security.md"),
        ("CONTRIBUTING.md", "nbs/guides/extend.ipynb", "guides/extend.md"),
        ("README.md", "https://example.org/a.ipynb", "https://example.org/a.ipynb"),
        ("README.md", "#quickstart", "#quickstart"),
    ],
)  # fmt: skip
def test_a_link_between_files_becomes_one_between_pages(file: str, link: str, expected: str) -> None:
    assert docs.link_rewriter(file)(link) == expected


def test_a_list_after_a_paragraph_gets_an_empty_line() -> None:
    text = "Two:\n- a\n  more\n- b\n\n```sh\nx\n- y\n```"
    assert docs_notebooks.separated_lists(text) == text.replace("Two:\n", "Two:\n\n")


def test_a_notebook_becomes_a_page_with_outputs(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "\n", "> Summary."]},
        code_cell("#| export\nx = 1", {"output_type": "stream", "name": "stdout", "text": "a < b\n"}),
        code_cell("plot()", {"output_type": "display_data", "data": {"image/png": PIXEL, "text/plain": "<Figure>"}}),
        code_cell("#| default_exp stages.none"),
    ]
    text = docs_notebooks.page(cells, str, tmp_path, "../images/")
    (image,) = tmp_path.iterdir()
    assert "```python\nx = 1\n```" in text and "#|" not in text and "a &lt; b" in text
    assert f'<img alt="Title" src="../images/{image.name}"' in text
    assert image.read_bytes() == b"not really a picture"


def test_outputs_belong_to_their_cells() -> None:
    cells = [code_cell("a"), {"cell_type": "markdown", "source": "m"}, code_cell("b")]
    assert [cell.get("outputs") for cell in docs.with_outputs(cells, [[1], [2]])] == [[1], None, [2]]
    assert [cell.get("outputs") for cell in docs.with_outputs(cells, {"b": [3]})] == [[], None, [3]]


def test_code_with_fences_stays_one_block() -> None:
    assert docs_notebooks.fence("```\nx\n```", "text") == "````text\n```\nx\n```\n````"


def test_formulas_are_found_in_prose_only() -> None:
    text = "a $x^2$ `$y$`\n\n    $z$\n\n```sh\n$HOME and $PATH\n```\ncosts 5$ or $6"
    prose = docs_math.outside_of_code(text)[::2]
    assert [match[2] for part in prose for match in docs_math.MATH.finditer(part)] == ["x^2"]
    assert "".join(docs_math.outside_of_code(text)) == text


def test_a_formula_at_the_start_of_a_line_stays_in_its_paragraph(monkeypatch: pytest.MonkeyPatch) -> None:
    converter = SimpleNamespace(convert=lambda formula, **_: f"<math>{formula}</math>")
    monkeypatch.setitem(sys.modules, "latex2mathml.converter", converter)
    monkeypatch.setitem(sys.modules, "latex2mathml", SimpleNamespace(converter=converter))
    page = docs_math.on_page_markdown("limited by\n$z/3$, the clipping\n\n$$x$$")
    assert "limited by\n<span><math>z/3</math></span>, the" in page and '<div class="math"><math>x</math></div>' in page


@pytest.mark.parametrize("name", ["run", "deploy", "keys"])
def test_the_page_of_a_command_has_all_arguments_and_the_examples(name: str) -> None:
    text = docs_commands.command_page(name)
    parser = docs_commands.command_parser(name)
    options = [option for action in parser._actions for option in action.option_strings if "help" not in action.dest]
    assert all(option in text for option in options)
    assert (parser.epilog or "").strip() in text
    assert "%(" not in text


def test_the_overview_lists_every_command() -> None:
    assert all(f"[mlnb {name}]({name}.md)" in docs_commands.overview_page() for name in COMMANDS)


def test_a_package_becomes_a_page(tmp_path: Path) -> None:
    module = tmp_path / "shapes.py"
    module.write_text(
        '"""Shapes."""\n\n\ndef area(width: float, *rest: float) -> float:\n    """Return <the> area of `a*b`.\n\n'
        "    Args:\n        width: in metres, and\n            more.\n        *rest: others.\n\n"
        '    Raises:\n        ValueError: The width is below 0.\n    """\n\n\n'
        'def _hidden() -> None:\n    """Hidden."""\n'
    )
    text = docs_api.package_page("mine", [module], "The package.")
    assert "def area(width: float, *rest: float) -> float" in text and "_hidden" not in text
    assert "Return &lt;the> area of `a*b`." in text
    assert "- `width`: in metres, and more." in text and "- `ValueError`: The width is below 0." in text


def test_a_long_signature_has_a_line_for_each_argument() -> None:
    arguments = "first: dict[str, int], second: str = 'a, b', *, third: tuple[int, ...] = (1, 2)"
    source = f"def a_function_with_a_long_name({arguments}) -> int: ..."
    node = ast.parse(source).body[0]
    assert isinstance(node, ast.FunctionDef)
    assert docs_api.signature(node).splitlines()[1:3] == ["    first: dict[str, int],", "    second: str='a, b',"]


def test_packages_without_public_names_have_no_page(tmp_path: Path) -> None:
    files = {"__init__.py": "", "a.py": "def f():\n    'F.'\n", "b/__init__.py": "", "b/_c.py": "x = 1\n"}
    for path, text in files.items():
        (tmp_path / "mine" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine" / path).write_text(text)
    assert docs_api.packages(tmp_path / "mine") == {"mine": [tmp_path / "mine" / "a.py"]}


def test_pages_load_nothing_from_other_hosts() -> None:
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert settings["theme"]["font"] is False
    assert not {"repo_url", "extra_javascript"} & set(settings)  # mkdocs-material would request facts of a repository
    assert all((ROOT / "scripts/docs_assets" / Path(name).name).is_file() for name in settings["extra"]["polyfills"])
    assert "mermaid" not in json.dumps(settings)  # it is loaded from another host


def test_the_site_has_the_address_of_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "settings.ini").write_text("[DEFAULT]\ndoc_host = https://docs.example.org/\ndoc_baseurl = /mlnb\n")
    monkeypatch.setattr(docs, "ROOT", tmp_path)
    assert docs.site_url() == "https://docs.example.org/mlnb/"
    (tmp_path / "settings.ini").write_text("[DEFAULT]\n")
    assert docs.site_url() == ""
