"""Secrets are replaced in every text."""

from nbformat import NotebookNode

from mlnb.redaction import redact, redact_cells


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
