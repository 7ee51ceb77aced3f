"""HTML of outputs: nothing that runs code or makes a request remains; text, tables and inline pictures do."""

import html.parser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlnb.reports.sanitizer import ATTRIBUTES, TAGS, sanitize

PIECES = [
    "<script>", "</script>", "<img src=", "'http://a/'", "onerror=", "alert(1)", ">", "<svg/onload=", "<a href=",
    "javascript:", '"', "<style>", "@import", "<table style='background:url(//a)'>", "<iframe", "<base href=//a>",
    "<meta http-equiv=refresh>", "text", "<!--", "-->", "<p class=x>", "data:image/png;base64,AA==",
]  # fmt: skip


class Elements(html.parser.HTMLParser):
    """Collects the elements of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))


@given(st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join) | st.lists(st.sampled_from(PIECES)).map("".join))
def test_no_markup_leaves_code_or_a_request(markup: str) -> None:
    for tag, attributes in Elements(sanitize(markup)).elements:
        assert tag in TAGS
        allowed = ATTRIBUTES["*"] | ATTRIBUTES.get(tag, set()) | {"rel"}
        assert attributes.keys() <= allowed
        assert "url" not in (attributes.get("style") or "")
        assert (attributes.get("src") or "data:image/").startswith("data:image/")
        assert not (attributes.get("href") or "").lower().startswith(("javascript", "data"))


@pytest.mark.parametrize(
    "markup",
    [
        "<table><tbody><tr><td>1</td></tr></tbody></table>",
        "<table><tbody><tr><th>1</th></tr></tbody></table>",
        '<img src="data:image/png;base64,AA==" alt="a">',
        '<span style="color:red">a</span>',
        "<p>a &lt; b</p>",
    ],
)
def test_text_tables_and_inline_pictures_stay(markup: str) -> None:
    assert sanitize(markup) == markup


@pytest.mark.parametrize("head", ["<th></th>", '<th style="color:red"> \n</th>', "<th>\xa0</th>"])
def test_heads_without_a_text_become_cells(head: str) -> None:
    clean = sanitize(f"<table><tbody><tr>{head}<th>a</th></tr></tbody></table>")
    assert clean == "<table><tbody><tr><td></td><th>a</th></tr></tbody></table>"
