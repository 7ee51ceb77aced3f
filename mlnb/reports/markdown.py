"""Markdown as HTML in which nothing from the text can act: raw HTML is shown, not obeyed."""

import re

import mistune
from markupsafe import Markup

_RENDER = mistune.create_markdown(escape=True, plugins=["table", "strikethrough", "footnotes", "url"])
_FRONT = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)


def to_html(text: str) -> Markup:
    """Return markdown as HTML, without its YAML head; HTML in the text is escaped, script links dropped."""
    return Markup(str(_RENDER(_FRONT.sub("", text))))
