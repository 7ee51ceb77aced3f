"""Secrets are replaced in every text."""

import base64
import urllib.parse

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbformat import NotebookNode

from mlnb.redaction import is_ordinary, redact, redact_cells, redact_notebook, redact_widgets


def test_secrets_are_replaced_in_anything_made_of_text() -> None:
    value = {"text": ["a secret b", {"deep": "secret"}], "number": 3, "none": None}
    assert redact(value, {"KEY": "secret"}) == {"text": ["a ${KEY} b", {"deep": "${KEY}"}], "number": 3, "none": None}
    assert redact("x", {"EMPTY": ""}) == "x"


def test_a_notebook_keeps_its_types() -> None:
    assert isinstance(redact(NotebookNode(text="secret"), {"KEY": "secret"}), NotebookNode)


def test_outputs_of_cells_are_redacted_in_place() -> None:
    cells = [{"outputs": [{"text": "a secret"}], "source": "secret"}, {"source": "secret"}]
    redact_cells(cells, {})
    assert cells[0]["outputs"] == [{"text": "a secret"}]
    redact_cells(cells, {"KEY": "secret"})
    assert cells == [{"outputs": [{"text": "a ${KEY}"}], "source": "secret"}, {"source": "secret"}]


WORDS = (
    *("output", "data", "p", "text", "name", "cell", "metadata", "stream", "traceback", "html", "svg", "value"),
    *("state", "table", "style", "1", "2026", "output_type"),
)
HTML = "<style>td {{ data: 1 }}</style><table class='data'><tr><td>text</td><td><a href='{url}'>{url}</a></td></table>"


def shown(url: str) -> NotebookNode:
    """Return a notebook whose outputs and widgets, of each kind, show a URL."""
    document = {"data": [{"type": "text", "name": "value", "x": url}], url: "output"}
    media = {"text/plain": url, "text/html": HTML.format(url=url), "application/json": document}
    media["image/svg+xml"] = f"<svg><style>text {{}}</style><text name='data'>{url}</text></svg>"
    outputs = [
        nbformat.v4.new_output("stream", text=f"outputs {url} names\n"),
        nbformat.v4.new_output("display_data", media, metadata={"isolated": True, "text/html": {"name": url}}),
        nbformat.v4.new_output("execute_result", {"text/plain": url}, execution_count=1),
        nbformat.v4.new_output("error", ename="ValueError", evalue=url, traceback=["a", url, "b"]),
    ]
    model = {"_model_name": "HTMLModel", "_view_module": "output", "value": f"<b class='data'>{url}</b>"}
    state = {"w": {"model_name": "HTMLModel", "model_module": "html", "state": model, "buffers": []}}
    widgets = {"application/vnd.jupyter.widget-state+json": {"version_major": 2, "version_minor": 0, "state": state}}
    cell = nbformat.v4.new_code_cell("data = text", outputs=outputs, execution_count=1)
    return nbformat.v4.new_notebook(cells=[cell], metadata={"widgets": widgets})


@pytest.mark.parametrize("word", WORDS)
def test_a_word_as_password_leaves_the_notebook_as_it_is_but_for_urls(word: str) -> None:
    notebook = shown(f"http://ann:{word}@host/shops.csv")
    redact_notebook(notebook, {"URL_PASSWORD_1": word})
    nbformat.validate(notebook)
    expected = shown("http://ann:${URL_PASSWORD_1}@host/shops.csv")
    if word == "text":  # the only one that is a whole word of what a page shows
        data = expected.cells[0].outputs[1].data
        data["text/html"] = data["text/html"].replace("<td>text<", "<td>${URL_PASSWORD_1}<")
    expected.cells[0].id = notebook.cells[0].id
    assert notebook == expected


@settings(max_examples=20)
@given(st.text(st.characters(min_codepoint=33, exclude_categories=["C", "Z"]), min_size=1))
def test_no_password_is_left_in_a_url_and_every_notebook_is_valid(password: str) -> None:
    if any(character in password for character in "/<>'\"$&%\\{}"):  # what a URL or the page quotes otherwise
        return
    notebook = shown(f"http://ann:{password}@host/")
    redact_notebook(notebook, {"KEY": password})
    nbformat.validate(notebook)
    assert f"ann:{password}@host" not in nbformat.writes(notebook)


@pytest.mark.parametrize("word", ["output", "p", "data", "p@", "100%", "a&b"])
def test_an_ordinary_password_is_masked_as_a_word_in_a_url_and_encoded(word: str) -> None:
    assert is_ordinary(word)
    secrets = {"K": word}
    quoted = urllib.parse.quote(word, safe="")
    for text in (word, f"so: {word}.", f"'{word}'", f"\x1b[31m{word}\x1b[0m", f"a://u:{word}@h", f"a://u:{quoted}@h"):
        assert redact(text, secrets) == text.replace(quoted, word).replace(word, "${K}"), text
    assert redact(f"a://h/?password={quoted}&x=1", secrets) == "a://h/?password=${K}&x=1"
    assert (
        word not in redact(urllib.parse.quote(f"a://u:{quoted}@h", safe=""), secrets).replace("${K}", "").split("h")[0]
    )
    for text in (f"x{word}x", f"{word}_", f"--{word}s", f"a/{word}/b", f"x.{word}x", f"x{word}.csv"):
        assert redact(text, secrets) == text
    assert redact({word: 1, f"u:{word}@h": 2}, secrets) == {word: 1, "u:${K}@h": 2}


def test_an_ordinary_password_is_masked_in_basic_authentication() -> None:
    text = base64.b64encode(b"ann:output").decode()
    assert redact(f"Authorization: Basic {text}", {"K": "output"}).count("${K}") == 1


@pytest.mark.parametrize("secret", ["hunter2", "correct-horse-battery", "abcdefghijklmnop", "s3cr3t!", "xkCdqWerTy"])
def test_a_real_secret_is_masked_inside_words_and_in_keys(secret: str) -> None:
    assert not is_ordinary(secret)
    assert redact({f"x{secret}x": [f"_{secret}_"]}, {"K": secret}) == {"x${K}x": ["_${K}_"]}


def test_a_widget_keeps_the_names_of_its_model() -> None:
    state = {"w": {"_model_name": "hunter2", "value": "a hunter2"}}
    assert redact_widgets(state, {"K": "hunter2"}) == {"w": {"_model_name": "hunter2", "value": "a ${K}"}}
