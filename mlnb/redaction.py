"""Replaces secrets, in any common encoding, in what a notebook shows before it is written."""

import base64
import html
import json
import re
import urllib.parse
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from mlnb.url_passwords import mask_passwords

SHORTEST = 6  # characters of an encoded secret: a shorter one is found in any text
_COLOR = r"(?:\x1b\[[0-9;]*m)*"
_GAP = rf"{_COLOR}(?:\\?\r?\n[ \t]*{_COLOR})?"  # what may be between two characters of a secret: colors, a line break
_IGNORED = dict.fromkeys(map(ord, " \t\r\n\\"))  # left out to see quickly whether there is a secret
_COLORS = re.compile(r"\x1b\[[0-9;]*m")


def redact(value: Any, secrets: Mapping[str, str]) -> Any:
    """Return text, or anything made of text, with every secret's value replaced by `${NAME}`.

    A secret is found as it is, and quoted for a URL, HTML, JSON, Python and a shell, in Base64 (also of a text around
    it), hexadecimal and escapes, over several lines and with colors in between.

    Args:
        value: text, or dicts and lists of it; other values stay as they are.
        secrets: name -> value.
    """
    used = tuple((name, secret) for name, secret in secrets.items() if secret)
    return _redact(value, used) if used else value


def redact_cells(cells: list[Any], secrets: Mapping[str, str]) -> None:
    """Replace every secret in the outputs of cells by its name, in place."""
    if secrets:
        for cell in cells:
            if cell.get("outputs"):
                cell["outputs"] = redact(cell["outputs"], secrets)


def redact_notebook(notebook: Any, secrets: Mapping[str, str]) -> None:
    """Replace every secret in the outputs and the widgets of a notebook by its name, in place.

    Passwords in URLs are masked in the sources of cells that have been executed.
    """
    redact_cells(notebook.cells, secrets)
    for cell in notebook.cells:
        if cell.get("execution_count") and "://" in cell.source:
            cell.source = mask_passwords(cell.source)
    if secrets and notebook.metadata.get("widgets"):
        notebook.metadata["widgets"] = redact(notebook.metadata["widgets"], secrets)


def encodings(secret: str) -> set[str]:
    """Return the spellings of a secret: itself, quoted, escaped, and encoded."""
    data = secret.encode("utf-8", "surrogatepass")
    texts = {secret, repr(secret)[1:-1], repr(data)[2:-1], ascii(secret)[1:-1], json.dumps(secret)[1:-1]}
    texts |= {json.dumps(secret, ensure_ascii=False)[1:-1], json.dumps(json.dumps(secret))[3:-3]}
    texts |= {html.escape(secret), html.escape(secret, quote=False), secret.encode("unicode_escape").decode()}
    texts |= {secret.replace("'", "'\\''"), "".join(f"\\x{byte:02x}" for byte in data)}
    for quoted in (urllib.parse.quote(data, safe=""), urllib.parse.quote(data), urllib.parse.quote_plus(data)):
        lower = re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), quoted)
        texts |= {quoted, lower, urllib.parse.quote(quoted, safe="")}
    texts |= {"".join(f"%{byte:02X}" for byte in data), data.hex(), data.hex().upper(), data.hex(" "), data.hex(":")}
    for before in range(3):  # in Base64 the spelling depends on the number of bytes before, modulo 3
        first = -(-before * 8 // 6)  # characters that depend on the bytes before
        last = (before + len(data)) * 8 // 6  # and from here on those that depend on the bytes after
        text = base64.b64encode(bytes(before) + data).decode()[first:last]
        texts |= {text, text.translate(str.maketrans("+/", "-_"))}
    return {text for text in texts if text == secret or len(text) >= SHORTEST}


class _Finder:
    """Finds one secret in all its encodings."""

    def __init__(self, secret: str) -> None:
        self.texts = sorted(encodings(secret), key=len, reverse=True)
        self.stripped = {_strip(text) for text in self.texts}
        self.pattern = re.compile("|".join(_spelling(text) for text in self.texts))

    def occurs(self, stripped: str) -> bool:
        """Return whether a text, from which `_strip` has removed what is ignored, may contain the secret."""
        return any(text in stripped for text in self.stripped)

    def replace(self, text: str, name: str) -> str:
        """Return a text with the secret replaced by its name."""
        for spelling in self.texts:  # much faster than the pattern, which finds the same and more
            text = text.replace(spelling, name)
        return self.pattern.sub(lambda match: name, text) if self.occurs(_strip(text)) else text


@lru_cache(maxsize=64)
def _finder(secret: str) -> _Finder:
    return _Finder(secret)


def _strip(text: str) -> str:
    """Return a text without line breaks, spaces, backslashes and colors."""
    return (_COLORS.sub("", text) if "\x1b" in text else text).translate(_IGNORED)


def _spelling(text: str) -> str:
    """Return a pattern of a text whose characters may have line breaks and colors between them."""
    return _GAP.join(r"\s+" if character == " " else re.escape(character) for character in text)


def _redact(value: Any, secrets: tuple[tuple[str, str], ...]) -> Any:
    if isinstance(value, str):
        stripped = _strip(value)
        for name, secret in secrets:
            finder = _finder(secret)
            if finder.occurs(stripped):
                value = finder.replace(value, f"${{{name}}}")
        return value
    if isinstance(value, dict):
        return type(value)({_redact(key, secrets): _redact(item, secrets) for key, item in value.items()})
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        between = "" if value[0].endswith("\n") else "\n"  # lines with their ends, or without as in a traceback
        whole = between.join(value)
        clean = _redact(whole, secrets)
        return value if clean == whole else clean.splitlines(keepends=True) if between == "" else clean.split("\n")
    return [_redact(item, secrets) for item in value] if isinstance(value, list) else value
