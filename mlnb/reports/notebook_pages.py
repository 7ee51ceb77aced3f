"""An executed notebook as one HTML page: prose, code and outputs, without scripts or requests.

nbconvert needs 1.5 s for its import and 320 KB per page; this takes milliseconds and looks like the report.
"""

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup, escape
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from mlnb.engine.files import warn_damaged
from mlnb.reports.markdown import to_html
from mlnb.reports.plot_images import svg_source
from mlnb.reports.sanitizer import sanitize
from mlnb.tracking.notebook_plots import HEADING, MARK, joined

ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
DIRECTIVE = re.compile(r"^#\|.*\n?", re.MULTILINE)
NO_ROWS = re.compile(r"<tbody>\s*</tbody>")  # of an empty table, which would be an empty box
LEXER, FORMATTER = PythonLexer(), HtmlFormatter(nowrap=True)
LONGEST = 200_000  # characters of an output that a page shows; all of it is in the notebook
IMAGES = ("image/svg+xml", "image/png", "image/jpeg", "image/gif")


class PageCell(NamedTuple):
    """A cell ready to print: its kind (prose, code or failed code), a label, its body and its outputs."""

    kind: str
    label: str
    body: Markup
    outputs: list[Markup]


def read_cells(notebook: Path) -> list[PageCell]:
    """Return the cells of a notebook that show something; [] when it is missing, with a warning when it is damaged."""
    try:
        cells = json.loads(notebook.read_bytes())["cells"]
        return [ready for cell, title in _with_titles(cells) if (ready := _read_cell(cell, title))]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        warn_damaged(f"{notebook} is damaged and its page stays empty: {type(error).__name__}: {error}.")
        return []


def _with_titles(cells: Any) -> Iterator[tuple[Any, str]]:
    """Yield each cell with the heading above it."""
    title = "plot"
    for cell in cells:
        if cell["cell_type"] == "markdown" and (headings := HEADING.findall(joined(cell.get("source", "")))):
            title = MARK.sub("", headings[-1])
        yield cell, title


def _read_cell(cell: Any, title: str) -> PageCell | None:
    source = joined(cell.get("source", ""))
    tags = cell.get("metadata", {}).get("tags", [])
    if cell["cell_type"] == "markdown":
        return PageCell("prose", "", to_html(source), [])
    if cell["cell_type"] != "code":
        return None
    code = DIRECTIVE.sub("", source).strip("\n")
    outputs = [part for output in cell.get("outputs", []) if (part := show_output(output, title))]
    if not code and not outputs:
        return None
    body = highlighted(code) if code else Markup("")
    failed = any(output["output_type"] == "error" for output in cell.get("outputs", []))
    label = "parameters of this run" if "injected-parameters" in tags else ""
    return PageCell("failed code" if failed else "code", label, body, outputs)


@lru_cache(maxsize=1024)
def highlighted(code: str) -> Markup:
    """Return code with its syntax marked; the code of a stage is the same in many runs."""
    return Markup(highlight(code, LEXER, FORMATTER))


def show_output(output: Any, title: str = "plot") -> Markup | None:
    """Return one output of a cell as HTML: the richest form, without what runs or loads; None when it shows nothing.

    Args:
        output: An output in the notebook format.
        title: What an image shows, for those who cannot see it.
    """
    kind = output["output_type"]
    if kind == "stream":
        text = terminal_text(_shorten(joined(output.get("text", ""))))
        stream = "error" if output.get("name") == "stderr" else "text"
        return Markup('<pre class="{}">{}</pre>').format(stream, text) if text.strip() else None
    if kind == "error":
        trace = "\n".join(output.get("traceback") or [f"{output.get('ename')}: {output.get('evalue')}"])
        return Markup('<pre class="trace">{}</pre>').format(terminal_text(_shorten(trace)))
    data = output.get("data", {})
    if "text/html" in data and len(joined(data["text/html"])) <= 10 * LONGEST:
        shown = NO_ROWS.sub(
            '<tbody><tr><td class="soft">no rows</td></tr></tbody>', sanitize(joined(data["text/html"]))
        )
        return Markup('<div class="shown">{}</div>').format(Markup(shown))
    for image in IMAGES:
        if image in data:
            body = joined(data[image])
            if image == "image/svg+xml":
                return Markup('<img alt="{}" src="{}">').format(title, svg_source(body))
            return Markup('<img alt="{}" src="data:{};base64,{}">').format(title, image, body.replace("\n", ""))
    if "text/markdown" in data:
        return Markup('<div class="prose">{}</div>').format(to_html(joined(data["text/markdown"])))
    text = terminal_text(_shorten(joined(data.get("text/plain", ""))))
    return Markup('<pre class="text">{}</pre>').format(escape(text)) if text.strip() else None


def _shorten(text: str) -> str:
    """Return a text without its middle when it is too long for a page."""
    if len(text) <= LONGEST:
        return text
    half = LONGEST // 2
    gap = f"… {len(text) - LONGEST:,} characters are left out here; the notebook has them …"
    return f"{text[:half]}\n{gap}\n{text[-half:]}"


def terminal_text(text: str) -> str:
    """Return text as a terminal leaves it: without colors, each line after its last carriage return."""
    lines = ANSI.sub("", text).replace("\r\n", "\n").split("\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines)
