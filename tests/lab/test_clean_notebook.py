"""Notebooks are cleaned as `nbdev_clean` does it, at each save and by the filter of git."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbdev.clean import clean_nb

from mlnb.lab import clean_notebook
from mlnb.lab.clean_notebook import AllowedKeys, clean, clean_bytes, read_allowed_keys
from mlnb.lab.server_extension import clean_before_save

ALLOWED = AllowedKeys(frozenset([*clean_notebook.NOTEBOOK_KEYS, "title"]), frozenset(["hide_input", "tags"]))
KEYS = st.sampled_from(["tags", "hide_input", "collapsed", "execution", "title", "widgets", "language_info", "toc"])
TEXT = st.sampled_from(["1", "<a.B at 0x7f12>", "<a at 0x1>\n", ""])
DATA = st.dictionaries(
    st.sampled_from(["text/plain", "text/html", "image/png", "image/svg+xml", clean_notebook.COLAB]), TEXT, max_size=3
)
OUTPUTS = st.one_of(
    st.fixed_dictionaries({"output_type": st.just("stream"), "name": st.just("stdout"), "text": TEXT}),
    st.fixed_dictionaries({"output_type": st.just("stream"), "text": st.lists(TEXT, max_size=2)}),
    st.fixed_dictionaries(
        {"output_type": st.just("execute_result"), "execution_count": st.integers(1, 9), "data": DATA}
    ),
)
CELLS = st.fixed_dictionaries(
    {
        "cell_type": st.just("code"),
        "id": st.just("c1"),
        "metadata": st.dictionaries(KEYS, st.integers(), max_size=3),
        "source": st.sampled_from([[""], ["a = 1"], []]),
        "execution_count": st.none() | st.integers(1, 9),
        "outputs": st.lists(OUTPUTS, max_size=2),
    }
)
NOTEBOOKS = st.fixed_dictionaries(
    {
        "cells": st.lists(CELLS, max_size=2),
        "metadata": st.dictionaries(KEYS, st.integers(), max_size=3).map(
            lambda metadata: metadata | {"kernelspec": {"display_name": "Python 3 (mlnb, warm)", "name": "python3"}}
        ),
        "nbformat": st.just(4),
        "nbformat_minor": st.just(5),
    }
)


@settings(max_examples=60)
@given(NOTEBOOKS)
def test_a_notebook_is_cleaned_as_nbdev_does(notebook):
    expected = copy.deepcopy(notebook)
    clean_nb(expected, allowed_metadata_keys=["title"], allowed_cell_metadata_keys=["tags"])
    clean(notebook, ALLOWED)
    assert notebook == expected
    again = copy.deepcopy(notebook)
    clean(again, ALLOWED)
    assert again == notebook
    clean(notebook, ALLOWED, keep_outputs=False)
    assert all(cell["outputs"] == [] for cell in notebook["cells"])


def test_settings_name_more_keys(tmp_path):
    assert read_allowed_keys(tmp_path).cell >= {"tags", "hide_input"}
    (tmp_path / "settings.ini").write_text(
        "[DEFAULT]\nallowed_cell_metadata_keys = slideshow\n[mlnb]\nregistry = ${A}%\n"
    )
    assert read_allowed_keys(tmp_path / "nbs" / "stages").cell == {"slideshow", "hide_input"}
    (tmp_path / "settings.ini").write_text("no section")
    assert "tags" in read_allowed_keys(tmp_path).cell


def test_a_kernel_of_this_machine_is_not_named():
    notebook = {"cells": [], "metadata": {"kernelspec": {"display_name": "mlnb debug: a", "name": "mlnb-debug"}}}
    clean(notebook, ALLOWED)
    assert notebook["metadata"]["kernelspec"] == {"display_name": "python3", "name": "python3"}


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"<<<<<<< ours\n{}", b'{"nbformat": 3}', b'{"nbformat": 4}', b"\xff", b"null"]
)
def test_the_filter_leaves_other_files_as_they_are(data, tmp_path):
    assert clean_bytes(data, tmp_path) == data


def test_the_filter_leaves_cleaned_notebooks_as_they_are():
    stages = Path(__file__).resolve().parents[2] / "nbs" / "stages"
    for path in stages.glob("*.ipynb"):
        assert clean_bytes(path.read_bytes(), stages) == path.read_bytes()


def test_the_filter_imports_little(tmp_path):
    code = "import runpy, sys; runpy.run_path(sys.argv[1]); print([m for m in sys.modules if m in ('mlnb', 'asyncio')])"
    done = subprocess.run([sys.executable, "-I", "-c", code, clean_notebook.__file__], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def test_other_notebooks_are_saved_as_they_are(tmp_path):
    class Manager:
        root_dir = str(tmp_path)

    cell = {"cell_type": "code", "source": "1", "metadata": {"a": 1}, "execution_count": 3, "outputs": []}
    content = {"nbformat": 4, "metadata": {"language_info": {}}, "cells": [cell]}
    for model in ({"type": "file", "content": "x"}, {"type": "notebook"}, {"type": "notebook", "content": content}):
        before = json.dumps(model)
        clean_before_save(model=model, path="a/b.ipynb", contents_manager=Manager())
        assert json.dumps(model) == before
    (tmp_path / "settings.ini").write_text("[mlnb]\n")
    clean_before_save(model=model, path="/a/b.ipynb", contents_manager=Manager())
    assert content["metadata"] == {} and cell["execution_count"] is None and cell["metadata"] == {}
