"""The documents of a run as its report links them."""

from typing import NamedTuple

from mlnb.engine.runs import Run


class DocumentLink(NamedTuple):
    """A file, relative to the folder of the run, and what it is called."""

    file: str
    title: str


def link_documents(run: Run) -> list[DocumentLink]:
    """Return the documents of a run; none for a run without."""
    if not run.has("evidence"):
        return []
    # numpy, which the report of a run without documents does not need
    from mlnb.governance.document_evidence import EVIDENCE, FILES, FOLDER
    from mlnb.governance.machine_readable import BILL, CARD, CROISSANT

    titles = {
        f"{FILES['card']}.html": "Model card",
        f"{FILES['data_sheet']}.html": "Data sheet",
        f"{FILES['technical_documentation']}.html": "Technical documentation (Annex IV)",
        EVIDENCE: "Evidence",
        CARD: "Hugging Face",
        BILL: "CycloneDX",
        CROISSANT: "Croissant",
    }
    return [DocumentLink(f"{FOLDER}/{name}", title) for name, title in titles.items()]
