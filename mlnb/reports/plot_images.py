"""Plots as the addresses of images that hold their data; SVG of matplotlib in a third of its size.

An SVG in an image loads nothing and runs nothing, whatever it contains.
"""

import base64
import re
from collections.abc import Iterator
from functools import lru_cache
from html import escape
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from markupsafe import Markup

from mlnb.tracking.notebook_plots import PNG

SVG, XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"
DIGITS = 1  # decimals of a position: a tenth of a point
MARKER_DIGITS = 2  # of a marker, which is a few points wide
FONTS = "DejaVu Sans,Verdana,sans-serif"  # letters of the first two are equally wide, as the plot was laid out for
MADE_BY = "<dc:title>Matplotlib v"  # in the metadata of a plot that can be shortened
_PAIRS = {"M": 1, "L": 1, "Q": 2, "C": 3, "z": 0}  # points of a segment by the command of a path
_TOKEN = re.compile(r"[A-Za-z]|-?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?")
_POSITION = re.compile(r"-?\d+\.\d+")
_CLIP = re.compile(r"(?<=url\(#)[\w.-]+(?=\))")
_FONTS = re.compile(r"font-family: ('DejaVu Sans'[^;]*|[^;]*'DejaVu Sans', [^;]*)")
_UNTURNED = re.compile(r"rotate\(-?0 [^)]*\)")
_LENGTHS = ("x", "y", "width", "height", "transform", "viewBox")


def image_source(image: bytes) -> Markup:
    """Return a PNG or SVG plot as the address of an image, for an attribute in double quotes."""
    if image.startswith(PNG):
        return _encoded(image, "image/png")
    return svg_source(image.decode(errors="replace"))


@lru_cache(maxsize=64)  # a plot is in the page of its notebook and in the report
def svg_source(svg: str) -> Markup:
    """Return an SVG as the address of an image, for an attribute in double quotes."""
    short = shorten(svg)
    if short is None:
        return _encoded(svg.encode(errors="replace"), "image/svg+xml")
    text = short.replace("%", "%25").replace("#", "%23").replace("\n", " ").replace("&", "&amp;")
    return Markup("data:image/svg+xml," + text.replace('"', "'"))


def _encoded(data: bytes, media_type: str) -> Markup:
    return Markup("data:{};base64,{}").format(media_type, base64.b64encode(data).decode())


def shorten(svg: str) -> str | None:
    """Return a plot of matplotlib without metadata, groups and repeated styles, positions to a tenth of a point.

    No text and no attribute of the result contains a quotation mark. None for any other SVG, as its scale is unknown.
    """
    if MADE_BY not in svg:
        return None
    try:
        return _Writer(ElementTree.fromstring(svg)).text()
    except (ElementTree.ParseError, ValueError, LookupError, RecursionError):
        return None


class _Writer:
    """Writes the elements of a plot with short names for identifiers and styles."""

    def __init__(self, root: Element) -> None:
        self.root = root
        self.classes: dict[str, str] = {}
        self.names: dict[str, str] = {}
        for element in root.iter():
            for name in _references(element):
                self.names.setdefault(name, f"i{len(self.names)}")

    def text(self) -> str:
        """Return the plot."""
        box = _positions(self.root.get("viewBox", ""), DIGITS)
        size = " ".join(f'{name}="{escape(self.root.get(name, ""))}"' for name in ("width", "height"))
        body = "".join(part for child in self.root for part in self._write(child, DIGITS))
        styles = "".join(f".{name}{{{escape(style)}}}" for style, name in self.classes.items())
        head = f'<svg xmlns="{SVG[1:-1]}" {size} viewBox="{box}">'
        return f"{head}<style>*{{stroke-linejoin:round}}text{{font-family:{FONTS}}}{styles}</style>{body}</svg>"

    def _write(self, element: Element, digits: int) -> Iterator[str]:
        tag = element.tag.removeprefix(SVG)
        if tag in ("metadata", "style"):
            return
        attributes = " ".join(self._attributes(element, digits))
        inner = MARKER_DIGITS if tag == "defs" else digits
        content = escape(element.text or "") if tag in ("text", "tspan") else ""
        content += "".join(part for child in element for part in self._write(child, inner))
        if tag in ("g", "defs") and not attributes:
            yield content if tag == "g" else f"<defs>{content}</defs>" if content else ""
        else:
            head = f"<{tag} {attributes}" if attributes else f"<{tag}"
            yield f"{head}>{content}</{tag}>" if content else f"{head}/>"

    def _attributes(self, element: Element, digits: int) -> Iterator[str]:
        for name, value in element.attrib.items():
            if name == "id":
                if value in self.names:
                    yield f'id="{self.names[value]}"'
            elif name == "style":
                yield f'class="{self._class(value)}"'
            elif name == "d":
                yield f'd="{_path(value, digits)}"'
            elif name in ("href", XLINK + "href"):
                yield f'href="#{self.names[value[1:]]}"' if value.startswith("#") else f'href="{escape(value)}"'
            elif name in _LENGTHS:
                text = _UNTURNED.sub("", _positions(value, digits)) if "scale" not in value else value
                if text.strip():
                    yield f'{name}="{escape(text.strip())}"'
            elif not name.startswith("{"):
                yield f'{name}="{escape(self._clipped(value))}"'

    def _class(self, style: str) -> str:
        """Return the name of the class of a style; the font of every plot is written once."""
        style = _FONTS.sub("", style).replace("; ", ";").replace(": ", ":").strip("; ")
        return self.classes.setdefault(self._clipped(style), f"c{len(self.classes)}")

    def _clipped(self, value: str) -> str:
        """Return a value with the short names of the elements that it refers to."""
        return _CLIP.sub(lambda match: self.names[match[0]], value)


def _references(element: Element) -> Iterator[str]:
    """Yield the names of the elements to which an element refers."""
    for name, value in element.attrib.items():
        if name in ("href", XLINK + "href"):
            yield from [value[1:]] if value.startswith("#") else ()
        else:
            yield from _CLIP.findall(value)


def _positions(text: str, digits: int) -> str:
    """Return a text with its decimal numbers rounded."""
    return _POSITION.sub(lambda number: _number(round(float(number[0]) * 10**digits), digits), text)


def _number(units: int, digits: int) -> str:
    """Return a number of units of the last decimal as short as possible."""
    text = f"{units / 10**digits:.{digits}f}".rstrip("0").rstrip(".")
    text = re.sub(r"^(-?)0\.", r"\1.", text)
    return "0" if text in ("-0", "-", "") else text


def _path(data: str, digits: int) -> str:
    """Return the data of a path with relative positions."""
    tokens = _TOKEN.findall(data)
    parts: list[str] = []
    at, start, last, index = (0, 0), (0, 0), "", 0
    while index < len(tokens):
        command = tokens[index]
        count = 2 * _PAIRS[command]
        numbers = [round(float(token) * 10**digits) for token in tokens[index + 1 : index + 1 + count]]
        index += 1 + count
        if command == "z":
            parts.append("z")
            at, last = start, "z"
            continue
        points = list(zip(numbers[::2], numbers[1::2], strict=True))
        written = "".join(
            _joined(_number(x - at[0], digits), _number(y - at[1], digits), first=not number and command != last)
            for number, (x, y) in enumerate(points)
        )
        parts.append(written if command == last else command.lower() + written)
        at, last = points[-1], command if command != "M" else "M "
        start = at if command == "M" else start
    return "".join(parts)


def _joined(x: str, y: str, first: bool) -> str:
    """Return two numbers with the separators that they need after another number, or after a command."""
    before = "" if first or x.startswith("-") else " "
    return f"{before}{x}{'' if y.startswith('-') else ' '}{y}"
