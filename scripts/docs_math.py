"""Formulas of the documentation site as MathML, which browsers show without a script: a hook of mkdocs."""

import re
from typing import Any

MATH = re.compile(r"\$\$(.+?)\$\$|(?<![\\$\w])\$(?![\s$])([^$\n]*?[^\s$\\])\$(?![\d$])", re.DOTALL)
CODE = re.compile(r"(^(`{3,}).*?^\2$|^(?: {4}|\t)[^\n]*$|`[^`\n]+`)", re.DOTALL | re.MULTILINE)


def outside_of_code(text: str) -> list[str]:
    """Return Markdown in parts: those at even positions are prose, those at odd ones code."""
    parts, end = [], 0
    for match in CODE.finditer(text):
        parts += [text[end : match.start()], match[0]]
        end = match.end()
    return [*parts, text[end:]]


def to_mathml(formula: re.Match[str]) -> str:
    """Return a formula as MathML; one between two dollar signs on each side as a block."""
    from latex2mathml.converter import convert  # a requirement of the site only

    if formula[1] is None:
        return f"<span>{convert(formula[2])}</span>"  # Markdown begins a block at a line that starts with <math>
    return f'\n\n<div class="math">{convert(" ".join(formula[1].split()), display="block")}</div>\n\n'


def on_page_markdown(markdown: str, **event: Any) -> str:
    """Return the Markdown of a page with MathML in the place of each formula."""
    parts = outside_of_code(markdown)
    parts[::2] = [MATH.sub(to_mathml, part) for part in parts[::2]]
    return "".join(parts)
