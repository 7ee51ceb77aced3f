"""The documents of a run that other programs read: Hugging Face, CycloneDX and Croissant."""

import json

from mlnb.engine.runs import Run
from mlnb.governance.croissant_metadata import croissant_metadata
from mlnb.governance.document_inputs import read_inputs
from mlnb.governance.hugging_face_card import hugging_face_card
from mlnb.governance.model_bill import model_bill

CARD, BILL, CROISSANT = "README.md", "model.cdx.json", "croissant.json"


def machine_readable(run: Run) -> dict[str, str]:
    """Return the text of each file by its name; the same artifacts give the same bytes.

    Raises:
        UnknownRun: The run has no documents.
    """
    inputs = read_inputs(run)
    documents = {BILL: model_bill(inputs), CROISSANT: croissant_metadata(inputs)}
    texts = {name: json.dumps(value, indent=1, ensure_ascii=False) + "\n" for name, value in documents.items()}
    return {CARD: hugging_face_card(inputs, str(run.load("card"))), **texts}
