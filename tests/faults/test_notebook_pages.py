"""No output of a notebook makes its page run code or request anything, whatever the output is."""

import json
import re
import subprocess
import threading
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import planted
import pytest
from chromium import chromium
from hypothesis import given, settings
from hypothesis import strategies as st

from mlnb.engine.runs import Run
from mlnb.errors import DamagedFileWarning
from mlnb.reports.notebook_pages import read_cells, show_output
from mlnb.reports.run_report import write_report

HOSTILE = """
<meta http-equiv="refresh" content="0; url=URL/refresh">
<meta http-equiv="Content-Security-Policy" content="default-src *">
<script src="URL/script"></script>
<script>fetch("URL/fetch")</script>
<img src="URL/img" srcset="URL/srcset 2x" onerror="fetch('URL/onerror')">
<img src=x onerror="new Image().src='URL/error'">
<svg onload="fetch('URL/onload')"><image href="URL/svg" xlink:href="URL/xlink"/><use href="URL/use#a"/></svg>
<svg><style>@import url(URL/svgstyle);</style><foreignObject><iframe src="URL/foreign"></iframe></foreignObject></svg>
<math><mtext><img src="URL/math"></mtext></math>
<iframe src="URL/iframe"></iframe><iframe srcdoc="<img src=URL/srcdoc>"></iframe>
<object data="URL/object"></object><embed src="URL/embed"><applet code="URL/applet"></applet>
<link rel="stylesheet" href="URL/link"><link rel="prefetch" href="URL/prefetch"><link rel="dns-prefetch" href="//x">
<style>@import "URL/import"; body { background: url(URL/background) } @font-face { src: url(URL/font) }</style>
<p style="background-image: url('URL/style')">a</p><p style="background: image-set(url(URL/set) 1x)">b</p>
<p style="color: red; width: u\\72l(URL/escape)">c</p>
<p style="list-style: url(URL/list); cursor: url(URL/cursor)">d</p>
<table background="URL/table"><tr><td background="URL/td">e</td></tr></table><body background="URL/body">
<video src="URL/video" poster="URL/poster" autoplay></video><audio src="URL/audio" autoplay></audio>
<picture><source srcset="URL/source"><img src="URL/picture"></picture><track src="URL/track">
<input type="image" src="URL/input">
<form action="URL/form"><button autofocus onfocus="this.form.submit()">f</button></form>
<base href="URL/base"><a href="javascript:fetch('URL/javascript')">g</a><a href="data:text/html,<script>">h</a>
<a href="URL/link" ping="URL/ping" target="_self">i</a><portal src="URL/portal"></portal>
<frameset><frame src="URL/frame"></frameset><template><img src="URL/template"></template>
<noscript><img src="URL/noscript"></noscript><plaintext><img src="URL/plaintext">
"""
MARKDOWN = """![x](URL/markdown)

<img src='URL/html'>

[a](javascript:alert(1))

<meta http-equiv=refresh content='0;url=URL/m'>"""
PIECES = [*re.findall(r"<[^>]*>|[^<]+", HOSTILE), "<!--", "-->", "]]>", "<![CDATA[", "\x00", "</div>"]
SVG = '<svg xmlns="http://www.w3.org/2000/svg"><image href="URL/picture"/><script>fetch("URL/s")</script></svg>'


class Requests(HTMLParser):
    """Collects the elements and attributes of a page that run code or request something."""

    LOADS = ("src", "srcset", "href", "poster", "data", "action", "background", "ping", "content", "xlink:href")
    RUNS = ("script", "iframe", "frame", "object", "embed", "link", "form", "base", "svg", "video", "audio", "style")

    def __init__(self, own: str) -> None:
        super().__init__()
        self.matches: list[str] = []
        self.feed(own)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Note what an element would do."""
        if tag in self.RUNS or tag == "meta":
            self.matches.append(tag)
        for name, value in attributes:
            text = (value or "").lower()
            if name.startswith("on") or name == "srcdoc" or "javascript:" in text or "url(" in text or "\\" in text:
                self.matches.append(f"{tag} {name}={value}")
            if name in self.LOADS and not (tag == "a" and name == "href") and not text.startswith("data:image/"):
                self.matches.append(f"{tag} {name}={value}")


def outputs(url: str) -> list[dict[str, Any]]:
    html = HOSTILE.replace("URL", url)
    kinds = {"text/html": html, "text/markdown": MARKDOWN.replace("URL", url), "image/svg+xml": SVG.replace("URL", url)}
    kinds |= {"text/plain": html, "image/png": f'"><img src={url}/png>'}
    cells = [{"output_type": "display_data", "data": {kind: text}} for kind, text in kinds.items()]
    cells += [{"output_type": "display_data", "data": {"text/html": line}} for line in html.splitlines()]
    cells.append({"output_type": "stream", "name": "stdout", "text": html})
    cells.append({"output_type": "error", "ename": "E", "evalue": html, "traceback": [html]})
    return cells


@pytest.mark.parametrize("number", range(len(outputs(""))))
def test_no_output_requests_or_runs_anything(number: int) -> None:
    shown = str(show_output(outputs("http://127.0.0.1:9")[number]))
    assert Requests(shown).matches == []


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES)))
def test_no_mixture_of_pieces_does_either(pieces: list[str]) -> None:
    output = {
        "output_type": "display_data",
        "data": {"text/html": "".join(pieces).replace("URL", "http://127.0.0.1:9")},
    }
    assert Requests(str(show_output(output))).matches == []


def test_tables_pictures_and_links_stay() -> None:
    html = (
        '<table border="1" class="dataframe"><tr><td style="color: red">1</td></tr></table>'
        '<img src="data:image/png;base64,AAAA"><a href="https://example.org/">x</a>'
    )
    shown = str(show_output({"output_type": "display_data", "data": {"text/html": html}}))
    assert 'class="dataframe"' in shown and "color:red" in shown.replace(" ", "")
    assert 'src="data:image/png;base64,AAAA"' in shown and 'href="https://example.org/"' in shown


@pytest.mark.parametrize("cells", [5, [5], [{}], [{"cell_type": "code", "outputs": [{}]}], {"a": 1}, None, [[[]]]])
def test_a_damaged_notebook_has_an_empty_page(tmp_path: Path, cells: Any) -> None:
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps({"cells": cells}))
    with pytest.warns(DamagedFileWarning, match="a.ipynb is damaged"):
        assert read_cells(path) == []


def page(root: Path, url: str) -> Run:
    """Return a run whose notebook has all hostile outputs."""
    run = planted.plant_run(planted.plant_project(root), {}, notebook="notebooks/50_tune.ipynb")
    cell = {"cell_type": "code", "source": "#| stage\nshow()", "metadata": {}, "outputs": outputs(url)}
    markdown = {"cell_type": "markdown", "source": MARKDOWN.replace("URL", url), "metadata": {}}
    (run.folder / "notebooks" / "50_tune.ipynb").write_text(json.dumps({"cells": [markdown, cell]}))
    return run


def test_a_whole_page_has_a_policy_and_nothing_else(tmp_path: Path) -> None:
    run = page(tmp_path, "http://127.0.0.1:9")
    write_report(run)
    text = (run.folder / "notebooks" / "50_tune.html").read_text()
    assert "default-src 'none'" in text
    assert Requests(text.partition("<main>")[2]).matches == []


def test_chromium_requests_nothing(tmp_path: Path) -> None:
    browser = chromium()
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            self.send_error(404)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        run = page(tmp_path, f"http://127.0.0.1:{server.server_port}")
        write_report(run)
        target = (run.folder / "notebooks" / "50_tune.html").as_uri()
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000", "--dump-dom"]
        subprocess.run([browser, *options, target], capture_output=True, timeout=60, check=True)
    finally:
        server.shutdown()
        server.server_close()
    assert requests == []
