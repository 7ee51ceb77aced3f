"""Replaces secrets, in any common encoding, in what a notebook shows before it is written."""

import base64
import html
import json
import re
import urllib.parse
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from mlnb.url_passwords import KEYS, mask_passwords

Secrets = tuple[tuple[str, str], ...]  # (name, value)

SHORTEST = 6  # characters of an encoded secret: a shorter one is found in any text
LONGEST_WORD = 12  # characters of a word or number that other text may have by chance; longer ones are secrets
RARE = 8  # characters of an encoded ordinary secret that no other text has by chance
_COLOR = r"(?:\x1b\[[0-9;]*m)*"
_GAP = rf"{_COLOR}(?:\\?\r?\n[ \t]*{_COLOR})?"  # what may be between two characters of a secret: colors, a line break
_ESCAPE = r"\x1b\[[0-9;]*m|\\[nrt]"  # a color or an escaped line break: what follows begins a word
_BEFORE_WORD = rf"^|{_ESCAPE}|[^\w./\\-]"
_AFTER_WORD = r"$|\\|\.(?!\w)|[^\w./-]"
_COLONS = (":", "%3A", "%3a", "%253A", "&#58;")
_BEFORE_PASSWORD = "|".join(f"{re.escape(colon)}{_COLOR}" for colon in _COLONS)
_AFTER_PASSWORD = rf"{_COLOR}(?:@|%40|%2540|&#64;|\\x40)"
_BEFORE_KEY = rf"(?i:{KEYS})(?:=|%3[Dd]){_COLOR}"
_TEXTS = ("text", "ename", "evalue", "traceback")  # of an output; its other keys are nbformat's own
_MARKUP = ("text/html", "image/svg+xml")
_TAGS = re.compile(r"(<style\b.*?</style\s*>|<script\b.*?</script\s*>|<!--.*?-->|<[^<>]*>)", re.DOTALL | re.IGNORECASE)
_IGNORED = dict.fromkeys(map(ord, " \t\r\n\\"))  # left out to see quickly whether there is a secret
_COLORS = re.compile(r"\x1b\[[0-9;]*m")


def redact(value: Any, secrets: Mapping[str, str]) -> Any:
    """Return text, or anything made of text, with every secret's value replaced by `${NAME}`.

    A secret is found as it is, and quoted for a URL, HTML, JSON, Python and a shell, in Base64 (also of a text around
    it), hexadecimal and escapes, over several lines and with colors in between. One that is short or an ordinary word
    is replaced where it is a whole word, in a URL, or encoded; in keys of dicts not as a whole word.

    Args:
        value: text, or dicts and lists of it; other values stay as they are.
        secrets: name -> value.
    """
    return _redact(value, _used(secrets), words=True)


def redact_outputs(outputs: list[Any], secrets: Mapping[str, str]) -> list[Any]:
    """Return the outputs of a cell, as nbformat has them, with every secret replaced by its name.

    The keys and types of nbformat stay, also the media types. A secret that is an ordinary word stays where it may be
    vocabulary of a format: in tags of HTML, and outside of URLs in JSON documents, scripts and images.
    """
    used = _used(secrets)
    return [_redact_output(output, used) for output in outputs] if used else outputs


def redact_widgets(states: Mapping[str, Any], secrets: Mapping[str, str]) -> dict[str, Any]:
    """Return the states of widgets by comm, with secrets replaced; names of models and views stay."""
    used = _used(secrets)
    return {comm: _redact_widget(state, used) for comm, state in states.items()}


def redact_cells(cells: list[Any], secrets: Mapping[str, str]) -> None:
    """Replace every secret in the outputs of cells by its name, in place."""
    for cell in cells:
        if cell.get("outputs"):
            cell["outputs"] = redact_outputs(cell["outputs"], secrets)


def redact_notebook(notebook: Any, secrets: Mapping[str, str]) -> None:
    """Replace every secret in the outputs and the widgets of a notebook by its name, in place.

    Passwords in URLs are masked in the sources of cells that have been executed.
    """
    redact_cells(notebook.cells, secrets)
    for cell in notebook.cells:
        if cell.get("execution_count") and "://" in cell.source:
            cell.source = mask_passwords(cell.source)
    used = _used(secrets)
    for document in notebook.metadata.get("widgets", {}).values() if used else ():
        for model in document.get("state", {}).values():
            model["state"] = _redact_widget(model.get("state", {}), used)
            for buffer in model.get("buffers", []):
                buffer["data"] = _redact(buffer["data"], used, words=False)


def is_ordinary(secret: str) -> bool:
    """Return whether a secret is so short, or so like a word or a number, that other text has it by chance."""
    words = re.split("[_-]", secret)
    written = all(word.isalpha() and word in (word.lower(), word.upper(), word.title()) for word in words)
    return len(secret) < SHORTEST or (len(secret) <= LONGEST_WORD and (written or secret.isdigit()))


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
        ordinary = is_ordinary(secret)
        self.texts = sorted(_rare_encodings(secret) if ordinary else encodings(secret), key=len, reverse=True)
        self.pattern = re.compile("|".join(map(_spelling, self.texts)) or "(?!)")
        self.word = self.in_url = re.compile("(?!)")
        if ordinary:
            plain = "|".join(_spelling(text) if len(text) >= SHORTEST else re.escape(text) for text in _plain(secret))
            self.word = re.compile(rf"({_BEFORE_WORD})(?:{plain})(?={_AFTER_WORD})")
            in_user, in_query = rf"(?:{plain})(?={_AFTER_PASSWORD})", rf"(?:{plain})(?!{_GAP}\w)"
            self.in_url = re.compile(
                rf"((?:{_BEFORE_PASSWORD})(?={in_user})|(?:{_BEFORE_KEY})(?={in_query}))(?:{plain})"
            )
        self.stripped = {_strip(text) for text in (*self.texts, *(_plain(secret) if ordinary else ()))}

    def occurs(self, stripped: str) -> bool:
        """Return whether a text, from which `_strip` has removed what is ignored, may contain the secret."""
        return any(text in stripped for text in self.stripped)

    def replace(self, text: str, name: str, words: bool) -> str:
        """Return a text with the secret replaced by its name.

        Args:
            text: which may contain the secret.
            name: the replacement.
            words: whether an ordinary secret is replaced where it is a whole word, not only in URLs and encoded.
        """
        for spelling in self.texts:  # much faster than the pattern, which finds the same and more
            text = text.replace(spelling, name)
        if self.occurs(_strip(text)):
            text = self.pattern.sub(lambda match: name, text)
            for pattern in (self.in_url, self.word) if words else (self.in_url,):
                text = pattern.sub(lambda match: match[1] + name, text)
        return text


@lru_cache(maxsize=64)
def _finder(secret: str) -> _Finder:
    return _Finder(secret)


def _plain(secret: str) -> list[str]:
    """Return the spellings of an ordinary secret that other text may have by chance, the longest first."""
    quoted = urllib.parse.quote(secret, safe="", errors="replace")
    twice = urllib.parse.quote(quoted, safe="")
    return sorted({secret, repr(secret)[1:-1], html.escape(secret), quoted, twice}, key=len, reverse=True)


def _rare_encodings(secret: str) -> set[str]:
    """Return the spellings of an ordinary secret, or of one after a user's name, that no other text has by chance."""
    texts = {text for text in encodings(secret) if len(text) >= RARE} | encodings(f":{secret}")
    return {text for text in texts if not any(plain in text for plain in _plain(secret))}


def _strip(text: str) -> str:
    """Return a text without line breaks, spaces, backslashes and colors."""
    return (_COLORS.sub("", text) if "\x1b" in text else text).translate(_IGNORED)


def _spelling(text: str) -> str:
    """Return a pattern of a text whose characters may have line breaks and colors between them."""
    return _GAP.join(r"\s+" if character == " " else re.escape(character) for character in text)


def _used(secrets: Mapping[str, str]) -> Secrets:
    """Return the secrets that have a value."""
    return tuple((name, secret) for name, secret in secrets.items() if secret)


def _redact_text(value: str, secrets: Secrets, words: bool) -> str:
    stripped = _strip(value)
    for name, secret in secrets:
        finder = _finder(secret)
        if finder.occurs(stripped):
            value = finder.replace(value, f"${{{name}}}", words)
    return value


def _redact(value: Any, secrets: Secrets, words: bool) -> Any:
    if not secrets:
        return value
    if isinstance(value, str):
        return _redact_text(value, secrets, words)
    if isinstance(value, dict):
        clean = {_redact(key, secrets, False): _redact(item, secrets, words) for key, item in value.items()}
        return type(value)(clean)
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return _on_lines(value, lambda text: _redact_text(text, secrets, words))
    return [_redact(item, secrets, words) for item in value] if isinstance(value, list) else value


def _on_lines(lines: list[str], clean: Callable[[str], str]) -> list[str]:
    """Return the lines of a text that a function changes; they have their ends, or not, as in a traceback."""
    between = "" if lines[0].endswith("\n") else "\n"
    whole = between.join(lines)
    text = clean(whole)
    return lines if text == whole else text.splitlines(keepends=True) if between == "" else text.split("\n")


def _redact_output(output: Any, secrets: Secrets) -> Any:
    """Return one output with the texts redacted that a notebook's code wrote."""
    clean = {key: _redact(output[key], secrets, words=True) for key in _TEXTS if key in output}
    if "data" in output:
        media = output["data"]
        clean["data"] = type(media)({kind: _redact_medium(kind, value, secrets) for kind, value in media.items()})
    if "metadata" in output:
        clean["metadata"] = _redact(output["metadata"], secrets, words=False)
    return type(output)({**output, **clean})


def _redact_medium(kind: str, value: Any, secrets: Secrets) -> Any:
    """Return what an output shows as one media type."""
    if kind not in _MARKUP:
        return _redact(value, secrets, words=kind.startswith("text/"))

    def clean(text: str) -> str:
        text = _redact_text(text, secrets, words=False)
        parts = _TAGS.split(text)  # text, tag, text, …
        return "".join(part if n % 2 else _redact_text(part, secrets, words=True) for n, part in enumerate(parts))

    return clean(value) if isinstance(value, str) else _on_lines(value, clean) if value else value


def _redact_widget(state: Any, secrets: Secrets) -> Any:
    """Return the state of a widget; names that begin with an underscore are the protocol's."""
    return type(state)(
        {key: item if key.startswith("_") else _redact(item, secrets, words=False) for key, item in state.items()}
    )
