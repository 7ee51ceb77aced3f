"""YAML with texts of several lines as blocks, and without references."""

import yaml

from mlnb.orchestration.readable_yaml import dump_yaml


def test_documents_are_read_back_and_texts_are_blocks():
    shared = {"image": "mlnb"}
    documents = [{"b": "one\ntwo\n", "a": shared, "on": "yes"}, {"c": [shared, shared], "Köln": "x" * 300}]
    text = dump_yaml(documents)
    assert [*yaml.safe_load_all(text)] == documents
    assert text.startswith("b: |\n  one\n  two\n") and "&id" not in text and "Köln" in text
    assert max(len(line) for line in text.splitlines()) > 300  # a long command stays on its line
