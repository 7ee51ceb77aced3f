"""Links of notebooks to the documentation of mlnb, which a project does not have: to the site, or as names of modules.

It imports nothing of mlnb: setup.py runs it for the notebooks in the wheel.
"""

import configparser
import re

LINK = re.compile(r"\[([^\]\n]+)\]\(\.\./(methods|guides)/([\w/]+)\.ipynb(#[^)\s]*)?\)")


def documentation_address(settings: str) -> str:
    """Return the address of the documentation site, without a slash at its end; empty when none is published.

    Args:
        settings: Text of settings.ini; nbdev's keys `doc_host` and `doc_baseurl` of [DEFAULT] name the site.
    """
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(settings)
    host = parser["DEFAULT"].get("doc_host", "").strip().rstrip("/")
    base = parser["DEFAULT"].get("doc_baseurl", "").strip().strip("/")
    return f"{host}/{base}".rstrip("/") if host else ""


def resolve_links(notebook: str, address: str) -> str:
    """Return the text of a notebook file whose links to methods and guides of mlnb lead to the documentation site.

    Without a site, a link becomes its text, followed by the name of the module that has the docstrings.

    Args:
        notebook: JSON text; everything else in it stays as it is.
        address: Of the site, without a slash at its end; empty: there is none.
    """

    def resolve(link: re.Match[str]) -> str:
        text, folder, path, anchor = link[1], link[2], link[3], link[4] or ""
        if address:
            return f"[{text}]({address}/{folder}/{path}.html{anchor})"
        return text if folder == "guides" else f"{text} (`mlnb.methods.{path.replace('/', '.')}`)"

    return LINK.sub(resolve, notebook)
