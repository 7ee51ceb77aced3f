"""Executed notebooks and pages without outputs that may show the selected rows."""

import json
from typing import Any

from mlnb.erasure.search_terms import SearchTerms

NOTE = "This output was erased, as it could show erased rows.\n"
PAGE = (
    '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Erased</title></head>'
    "<body><main><h1>Erased</h1><p>This page was erased, as it could show erased rows. "
    "<code>mlnb verify</code> names the erasure.</p></main></body></html>\n"
)
ROWS = ("image/", "application/")  # types of outputs that may show rows without their text
HARMLESS = ("application/vnd.jupyter.widget-view+json",)  # a progress bar


def redact_notebook(data: bytes, terms: SearchTerms, shows_rows: bool) -> bytes | None:
    """Return an executed notebook without the outputs that may show selected rows; None when there is none.

    Args:
        data: The notebook.
        terms: Values of the selected rows.
        shows_rows: Whether its stage has read or made a table with these rows: tables and figures are removed, too.
    """
    try:
        notebook = json.loads(data)
        cells = notebook["cells"]
        changed = sum(_redact_outputs(cell, terms, shows_rows) for cell in cells if cell.get("outputs"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return terms.masked(data) if terms.in_bytes(data) else None
    if not changed and not terms.in_bytes(data):
        return None
    written = (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "surrogatepass")
    return terms.masked(written)


def _redact_outputs(cell: dict[str, Any], terms: SearchTerms, shows_rows: bool) -> int:
    """Replace the outputs of a cell that may show rows; return how many were."""
    harmless = [output for output in cell["outputs"] if not _may_show(output, terms, shows_rows)]
    removed = len(cell["outputs"]) - len(harmless)
    if removed:
        note = {"name": "stdout", "output_type": "stream", "text": [NOTE]}
        cell["outputs"] = [*harmless, note]
    return removed


def _may_show(output: dict[str, Any], terms: SearchTerms, shows_rows: bool) -> bool:
    parts = [*(output.get("data") or {}).values()]
    parts += [output[name] for name in ("text", "traceback", "evalue") if name in output]
    text = "\n".join("".join(part) if isinstance(part, list) else str(part) for part in parts)
    data = text.encode("utf-8", "surrogatepass")
    if terms.in_bytes(data):
        return True
    if not shows_rows:
        return False
    types = (output.get("data") or {}).keys() - {*HARMLESS}
    return "<table" in text or any(name.startswith(ROWS) for name in types) or terms.in_text_of_rows(data)
