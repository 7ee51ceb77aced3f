"""An executed notebook as one page: prose, code and what it showed, with no script and no request.

nbconvert needs 1.5 s for its import and 320 KB a page; this takes milliseconds and looks like the report.
"""

import base64
import json
import re
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from mlnb.reports.markdown import to_html
from mlnb.tracking.notebook_plots import joined

ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
DIRECTIVE = re.compile(r"^#\|.*\n?", re.MULTILINE)
LEXER, FORMATTER = PythonLexer(), HtmlFormatter(nowrap=True)
PICTURES = ("image/png", "image/jpeg", "image/gif", "image/svg+xml")


def read_cells(notebook: Path) -> list[dict[str, Any]]:
    """Return the cells ready to print, as {"kind", "tag", "body", "outputs"}; [] when the file is damaged."""
    try:
        cells = json.loads(notebook.read_bytes())["cells"]
    except (OSError, ValueError, KeyError):
        return []
    return [ready for cell in cells if (ready := _cell(cell))]


def _cell(cell: dict[str, Any]) -> dict[str, Any] | None:
    source = joined(cell.get("source", ""))
    tags = cell.get("metadata", {}).get("tags", [])
    if cell["cell_type"] == "markdown":
        return {"kind": "prose", "tag": "", "body": to_html(source), "outputs": []}
    if cell["cell_type"] != "code":
        return None
    code = DIRECTIVE.sub("", source).strip("\n")
    outputs = [part for output in cell.get("outputs", []) if (part := show(output))]
    if not code and not outputs:
        return None
    body = Markup(highlight(code, LEXER, FORMATTER)) if code else Markup("")
    failed = any(output["output_type"] == "error" for output in cell.get("outputs", []))
    kind = "failed code" if failed else "code"
    tag = "this run's parameters" if "injected-parameters" in tags else ""
    return {"kind": kind, "tag": tag, "body": body, "outputs": outputs}


def show(output: dict[str, Any]) -> Markup | None:
    """Return one output as HTML: the richest form that needs no script; None when it shows nothing."""
    kind = output["output_type"]
    if kind == "stream":
        text = screen(joined(output.get("text", "")))
        stream = "error" if output.get("name") == "stderr" else "said"
        return Markup('<pre class="{}">{}</pre>').format(stream, text) if text.strip() else None
    if kind == "error":
        trace = "\n".join(output.get("traceback") or [f"{output.get('ename')}: {output.get('evalue')}"])
        return Markup('<pre class="trace">{}</pre>').format(screen(trace))
    data = output.get("data", {})
    if "text/html" in data:
        return Markup('<div class="shown">{}</div>').format(Markup(joined(data["text/html"])))
    for picture in PICTURES:
        if picture in data:
            body = joined(data[picture])
            if picture == "image/svg+xml":
                body = base64.b64encode(body.encode()).decode()
            return Markup('<img alt="plot" src="data:{};base64,{}">').format(picture, body.replace("\n", ""))
    if "text/markdown" in data:
        return Markup('<div class="prose">{}</div>').format(to_html(joined(data["text/markdown"])))
    text = screen(joined(data.get("text/plain", "")))
    return Markup('<pre class="said">{}</pre>').format(escape(text)) if text.strip() else None


def screen(text: str) -> str:
    """Return text as a terminal would leave it: without colours, each line after its last carriage return."""
    lines = ANSI.sub("", text).replace("\r\n", "\n").split("\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines)
