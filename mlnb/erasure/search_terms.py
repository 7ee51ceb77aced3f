"""Values that only the selected rows have, and their search in bytes of any encoding."""

import html
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mlnb.erasure.conditions import as_text

if TYPE_CHECKING:
    import pandas as pd

LEAST_DIGITS = 7  # of a number that is searched in bytes: shorter ones occur by chance
LEAST_TEXT = 8  # characters of a text with a digit, @ or space that is searched in bytes
LEAST_WORD = 4  # characters of a text that is searched as a whole string of JSON
LEAST_SHARED = 3  # columns of the data by which an object is recognized as a row
MOST_ROWS = 1000  # selected rows of a table that are compared with objects
SHOWN = 40  # characters of a long text that a display shows at least
MASK = b"[erased]"
_WORD = re.compile(r"\w{6,}")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_Tree = dict[bytes, "_Tree"]  # parts of patterns by what follows; the empty part ends one
_BOUND = (rb"(?<![0-9A-Za-z_@.])", rb"(?![0-9A-Za-z_@]|\.[0-9])")


class SearchTerms:
    """What identifies the selected rows.

    Attributes:
        strong: texts that are searched in the bytes of every file.
        exact: texts that are searched as whole strings of JSON artifacts.
        words: words of texts, searched in the vocabulary of encoders.
        rows: the selected rows, each as texts by column.
    """

    def __init__(self, given: Iterable[str]) -> None:
        """Start with the values of the conditions."""
        self._given = set(given)
        self._candidates: dict[str, set[str]] = {}  # by column
        self._others: dict[str, set[str]] = {}
        self.strong: set[str] = set()
        self.exact: set[str] = set()
        self.words: set[str] = set()
        self.rows: list[dict[str, str | None]] = []
        self._pattern: re.Pattern[bytes] | None = None

    def add(self, table: "pd.DataFrame", matches: Any) -> None:
        """Collect the values of a table's selected rows, and those of its other rows, which are no terms."""
        columns = {str(name).removeprefix("in."): position for position, name in enumerate(table.columns)}
        selected = table[matches].head(MOST_ROWS)
        texts = {name: [*map(as_text, selected.iloc[:, position])] for name, position in columns.items()}
        self.rows += [
            row
            for i in range(len(selected))
            if (row := {name: cells[i] for name, cells in texts.items()}) not in self.rows
        ]
        for position, name in enumerate(map(str, table.columns)):
            if name.startswith("out."):
                continue  # responses are numbers that occur anywhere
            column = name.removeprefix("in.")
            values = table.iloc[:, position]
            self._candidates.setdefault(column, set()).update(filter(None, map(term_text, values[matches].unique())))
            self._others.setdefault(column, set()).update(filter(None, map(term_text, values[~matches].unique())))

    def finish(self) -> None:
        """Decide which values are terms: those that no other row has."""
        own = {text for column, texts in self._candidates.items() for text in texts - self._others[column]}
        other_words = {
            word for texts in self._others.values() for text in texts for word in _WORD.findall(text.lower())
        }
        own |= self._given
        self.strong = {text for text in own if _is_strong(text)}
        self.exact = {text for text in own if len(text) >= LEAST_WORD} - self._others.keys()
        words = {word for text in own for word in _WORD.findall(text.lower()) if not _NUMBER.fullmatch(text)}
        self.words = words - other_words - {name.lower() for name in self._others}
        every = {part for text in self.strong for part in _encodings(text)}
        patterns = [[re.escape(bytes([byte])) for byte in part] for part in sorted(every)]
        patterns += [_number_pattern(text) for text in sorted(self.strong) if _NUMBER.fullmatch(text)]
        self._pattern = re.compile(_BOUND[0] + _any_of(patterns) + _BOUND[1]) if every else None

    def is_row(self, values: Mapping[str, Any]) -> bool:
        """Return whether an object has the columns of the data, with the values of a selected row."""
        shared = values.keys() & self._candidates.keys()
        if len(shared) < min(LEAST_SHARED, len(self._candidates)) or 2 * len(shared) < len(values):
            return False
        texts = {name: as_text(values[name]) for name in shared}
        return any(all(row.get(name) == text for name, text in texts.items() if name in row) for row in self.rows)

    def in_bytes(self, data: bytes | bytearray | memoryview) -> bool:
        """Return whether bytes hold a strong term."""
        return self._pattern is not None and self._pattern.search(data) is not None

    def masked(self, data: bytes) -> bytes:
        """Return bytes with MASK in place of each strong term."""
        return self._pattern.sub(MASK, data) if self._pattern else data

    def in_text_of_rows(self, data: bytes) -> bool:
        """Return whether a text about the data has a value of a condition, which may be too short for other texts."""
        given = b"|".join(re.escape(text.encode("utf-8", "surrogatepass")) for text in sorted(self._given) if text)
        return bool(given) and re.search(_BOUND[0] + b"(?:" + given + b")" + _BOUND[1], data) is not None

    def in_texts(self, values: Iterable[Any]) -> bool:
        """Return whether one of some values is, or contains, a strong term."""
        texts = "\n".join(filter(None, map(term_text, values)))
        return self.in_bytes(texts.encode("utf-8", "surrogatepass"))

    def in_json(self, value: Any, vocabulary: bool = False) -> bool:
        """Return whether a JSON value has a term as a whole string or number; `vocabulary`: or a word of a text."""
        if isinstance(value, dict):
            return any(self.in_json(key, vocabulary) or self.in_json(item, vocabulary) for key, item in value.items())
        if isinstance(value, list):
            return any(self.in_json(item, vocabulary) for item in value)
        if isinstance(value, str):
            return value in self.exact or (vocabulary and value.lower() in self.words)
        text = term_text(value)
        return text is not None and text in self.strong


def term_text(value: Any) -> str | None:
    """Return a value as text files have it, numbers as Python writes them; None for missing ones and truth values."""
    if value is None or value != value or isinstance(value, bool):
        return None
    if hasattr(value, "dtype") and hasattr(value, "item"):
        value = value.item()
        if isinstance(value, bool):
            return None
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, list | dict | tuple | bytes):
        return None
    if hasattr(value, "isoformat"):
        return None  # dates occur by chance
    return str(value).strip() or None


def _is_strong(text: str) -> bool:
    if _NUMBER.fullmatch(text):
        return len(text.replace("-", "").replace(".", "").lstrip("0")) >= LEAST_DIGITS
    return len(text) >= LEAST_TEXT and any(not character.isalpha() for character in text)


def _number_pattern(text: str) -> list[bytes]:
    """Return the parts of a pattern of a number as tables print it: with zeros at the end, and with separators."""
    whole, _, decimals = text.partition(".")
    sign, digits = ("-" if whole.startswith("-") else ""), whole.lstrip("-")
    separator = "(?:,|\\.|'| |\u00a0|\u202f)?".encode()
    parts = [sign.encode()] if sign else []
    for at, digit in enumerate(digits):
        parts += [separator] if at and (len(digits) - at) % 3 == 0 else []
        parts.append(digit.encode())
    if not decimals:
        return [*parts, b"(?:[.,]0+)?"]
    return [*parts, b"[.,]", *(digit.encode() for digit in decimals), b"0*"]


def _any_of(patterns: Iterable[Sequence[bytes]]) -> bytes:
    """Return a pattern of any of some patterns, the longest first, with common beginnings once.

    A list of thousands of alternatives would be tried at each byte of a file.

    Args:
        patterns: each as parts that follow each other.
    """
    root: _Tree = {}
    for parts in patterns:
        node = root
        for part in parts:
            node = node.setdefault(part, {})
        node[b""] = {}
    return _to_pattern(root)


def _to_pattern(node: "_Tree") -> bytes:
    """Return the pattern of a tree of parts."""
    ends = b"" in node
    branches = []
    for part, child in node.items():
        if part:
            chain = [part]
            while len(child) == 1 and b"" not in child:
                ((following, child),) = child.items()
                chain.append(following)
            branches.append(b"".join(chain) + (b"" if set(child) == {b""} else _to_pattern(child)))
    if not branches:
        return b""
    return b"(?:" + b"|".join(branches) + b")" + (b"?" if ends else b"")


def _encodings(text: str) -> set[bytes]:
    """Return a text as JSON, HTML, URLs and encoders write it, also without its end when displays cut it off."""
    parts = {text, text.lower()}
    if len(text) > SHOWN + 7:
        parts |= {text[:SHOWN], text[:SHOWN].lower()}
    forms = set(parts)
    for part in parts:
        forms |= {json.dumps(part)[1:-1], json.dumps(part, ensure_ascii=False)[1:-1]}
        forms |= {
            html.escape(part),
            html.escape(part, quote=False),
            html.escape(part).replace("&#x27;", "&#39;"),
            quote(part),
        }
    encoded = {form.encode("utf-8", "surrogatepass") for form in forms}
    return {form for form in encoded if len(form) >= LEAST_DIGITS}
