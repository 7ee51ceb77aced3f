"""Notebooks as Markdown pages of the documentation site, with the outputs of an execution."""

import base64
import hashlib
import re
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from typing import Any

from docs_math import outside_of_code

from mlnb.reports.notebook_pages import DIRECTIVE, IMAGES, show_output

LINK = re.compile(r"(\]\()([^)\s]+)(\))")
ITEM = re.compile(r"\s*(?:[-*+]|\d+\.) ")
HEADING = re.compile(r"^#+ +(.+?)\s*$", re.MULTILINE)
SUFFIXES = {"image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "image/svg+xml": "svg"}


def joined(text: str | list[str]) -> str:
    """Return a multi-line text of the notebook format as one string."""
    return text if isinstance(text, str) else "".join(text)


def rewrite_links(text: str, rewrite: Callable[[str], str]) -> str:
    """Return Markdown with each link target outside of code replaced by what `rewrite` returns for it."""
    parts = outside_of_code(text)
    parts[::2] = [LINK.sub(lambda link: link[1] + rewrite(link[2]) + link[3], part) for part in parts[::2]]
    return "".join(parts)


def separated_lists(text: str) -> str:
    """Return Markdown with an empty line before each list, which Python-Markdown needs after a paragraph."""
    lines: list[str] = []
    fenced = False
    for line in text.split("\n"):
        before = lines[-1] if lines else ""
        is_new = ITEM.match(line) and before.strip() and not ITEM.match(before) and not before.startswith(" ")
        if is_new and not fenced and not line.startswith("    "):
            lines.append("")
        fenced ^= line.startswith("```")
        lines.append(line)
    return "\n".join(lines)


def fence(code: str, language: str) -> str:
    """Return code in a fence that is longer than any in it."""
    longest = max(map(len, re.findall(r"`{3,}", code)), default=2)
    marks = "`" * (longest + 1)
    return f"{marks}{language}\n{code}\n{marks}"


def page(cells: list[Any], rewrite: Callable[[str], str], images: Path, prefix: str) -> str:
    """Return a notebook as a Markdown page.

    Args:
        cells: its cells, with or without outputs.
        rewrite: returns the target of a link on the site.
        images: folder that gets the plots.
        prefix: its path, relative to the page.
    """
    texts = []
    title = "plot"
    for cell in cells:
        source = joined(cell["source"])
        if cell["cell_type"] == "markdown":
            title = (HEADING.findall(source) or [title])[-1]
            texts.append(separated_lists(rewrite_links(source, rewrite)))
        elif cell["cell_type"] == "code":
            code = DIRECTIVE.sub("", source).strip("\n")
            texts += [fence(code, "python")] if code else []
            texts += shown_outputs(cell.get("outputs", []), title, images, prefix)
    return "\n\n".join(texts) + "\n"


def shown_outputs(outputs: list[Any], title: str, images: Path, prefix: str) -> Iterator[str]:
    """Yield each output of a cell as HTML; plots become files."""
    for output in outputs:
        data = output.get("data", {})
        kind = next((kind for kind in IMAGES if kind in data and "text/html" not in data), None)
        if kind:
            body = joined(data[kind])
            content = body.encode() if kind == "image/svg+xml" else base64.b64decode(body)
            name = f"{hashlib.sha256(content).hexdigest()[:16]}.{SUFFIXES[kind]}"
            images.mkdir(parents=True, exist_ok=True)
            (images / name).write_bytes(content)
            yield f'<div class="output"><img alt="{escape(title)}" src="{prefix}{name}" loading="lazy"></div>'
        elif html := show_output(output, title):
            yield f'<div class="output" data-search-exclude>{html}</div>'
