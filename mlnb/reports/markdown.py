"""Markdown as HTML; raw HTML in the text is shown as text."""

import re

import mistune
from markupsafe import Markup

from mlnb.reports.sanitizer import sanitize

_RENDER = mistune.create_markdown(escape=True, plugins=["table", "strikethrough", "footnotes", "url"])
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_ENTITY = re.compile(r"&amp;(amp|lt|gt);")
_SCROLLING = {
    Markup("<table>"): Markup('<div class="wide" tabindex="0"><table>'),
    Markup("</table>"): Markup("</table></div>"),
    Markup("<pre>"): Markup('<pre tabindex="0">'),
}
_RELATIVE_LINK = re.compile(r'<a href="(?!#|[a-z]+:)[^"]*"[^>]*>(.*?)</a>', re.DOTALL)


def to_html(text: str) -> Markup:
    """Return Markdown as HTML without its YAML front matter; HTML in the text is escaped, script links are dropped.

    Relative links become text, as their targets are not next to the page. Tables and code scroll sideways on narrow
    screens, also with the keyboard.
    """
    html = sanitize(_RELATIVE_LINK.sub(r"\1", str(_RENDER(_FRONT_MATTER.sub("", text)))))
    html = Markup(_ENTITY.sub(r"&\1;", str(html)))  # an entity of the text was escaped again
    for plain, scrolling in _SCROLLING.items():
        html = html.replace(plain, scrolling)
    return html
