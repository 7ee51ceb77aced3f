"""HTML from outputs and Markdown, reduced to what cannot run code or make a request: text, tables, lists, pictures."""

import re
from collections.abc import Mapping

import nh3
from markupsafe import Markup

TAGS = {
    *("a", "abbr", "b", "blockquote", "br", "caption", "center", "code", "col", "colgroup", "dd", "del", "details"),
    *("div", "dl", "dt", "em", "figcaption", "figure", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "ins"),
    *("kbd", "li", "mark", "ol", "p", "pre", "q", "s", "samp", "section", "small", "span", "strong", "sub", "summary"),
    *("sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "tt", "u", "ul", "var"),
}
EVERYWHERE = {"class", "style", "title", "align", "valign", "dir", "lang"}
ATTRIBUTES: Mapping[str, set[str]] = {
    "*": EVERYWHERE,
    "a": {"href"},
    "img": {"src", "alt", "width", "height"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
    "ol": {"start"},
    "details": {"open"},
}
STYLES = {  # properties whose values name no resource
    *("color", "background-color", "text-align", "vertical-align", "font-weight", "font-style", "font-size"),
    *("font-family", "text-decoration", "white-space", "width", "height", "max-width", "min-width", "max-height"),
    *("padding", "padding-left", "padding-right", "margin", "margin-left", "margin-right", "margin-top"),
    *("margin-bottom", "border", "border-collapse", "border-color", "border-spacing", "border-left", "border-right"),
    *("border-top", "border-bottom", "display", "overflow-x", "opacity"),
}
_EMPTY_HEAD = re.compile(r"<th(?: [^>]*)?>(?:\s|&nbsp;)*</th>")  # above row labels, as pandas writes it
_LINK = re.compile(r"(https?://|mailto:|#)", re.IGNORECASE)
_PICTURE = re.compile(r"data:image/(png|jpeg|gif|webp|svg\+xml)[;,]", re.IGNORECASE)


def sanitize(html: str) -> Markup:
    """Return HTML without scripts, frames, forms, styles of the page and anything that a browser would load.

    Table heads without a text become cells, as screen readers read a head with each cell of its column.

    Pictures stay when their data is in the page; links stay, as nothing is requested before a click.
    """
    clean = nh3.clean(
        html,
        tags=TAGS,
        attributes={tag: set(names) for tag, names in ATTRIBUTES.items()},
        attribute_filter=_filter,
        filter_style_properties=STYLES,
        url_schemes={"http", "https", "mailto", "data"},
        link_rel="noopener noreferrer nofollow",
    )
    return Markup(_EMPTY_HEAD.sub("<td></td>", clean))


def _filter(tag: str, attribute: str, value: str) -> str | None:
    """Return the value of an attribute, or None to drop it."""
    if attribute == "href":
        return value if _LINK.match(value) else None
    if attribute == "src":
        return value if _PICTURE.match(value) else None
    if attribute == "style":
        return None if "url" in value.lower() or "\\" in value or "image" in value.lower() else value
    return value
