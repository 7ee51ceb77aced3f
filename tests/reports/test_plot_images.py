"""Plots as image addresses: SVG of matplotlib is shortened and shows the same; other images stay as they are."""

import base64
import io
import re
from html import unescape
from urllib.parse import unquote
from xml.etree import ElementTree

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from mlnb.methods.tables.plot_style import use_style
from mlnb.reports.plot_images import SVG, image_source, shorten, svg_source

PNG = b"\x89PNG\r\n\x1a\n"
TEXT = "50 % of \"a\" & 'b' <c> #1"


def as_svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def plot() -> str:
    with mpl.rc_context():
        use_style()
        figure = Figure(figsize=(5, 3))
        axes = figure.subplots()
        axes.plot([0, 1.234567, 3, 2], [0.1, 0.7, -0.2, 0.5], marker="o")
        axes.bar([0, 1], [0.3, 0.4])
        axes.scatter([0.1, 0.2], [0.3, 0.4], c=[0, 1], cmap="cividis")
        axes.add_patch(Circle((2, 0), 0.1))
        axes.set(title=TEXT, ylabel="up")
        return as_svg(figure)


def shown(address: str) -> str:
    """Return the SVG that a browser reads from an attribute."""
    head, _, data = unescape(address).partition(",")
    assert head == "data:image/svg+xml" and '"' not in address and "#" not in address
    return unquote(data)


def positions(path: str) -> list[tuple[float, float]]:
    """Return the absolute positions of a path, whose commands may be relative and without spaces."""
    at, start, result = (0.0, 0.0), (0.0, 0.0), []
    for command, numbers in re.findall(r"([MLQCmlqcz])([^MLQCmlqcz]*)", path):
        values = [float(number) for number in re.findall(r"-?(?:\d+\.?\d*|\.\d+)", numbers)]
        pairs = list(zip(values[::2], values[1::2], strict=True))
        size = {"q": 2, "c": 3}.get(command.lower(), 1)
        for index in range(0, len(pairs), size):
            base = at if command.islower() else (0.0, 0.0)
            group = [(base[0] + x, base[1] + y) for x, y in pairs[index : index + size]]
            result += group
            start = group[-1] if command in "mM" and not index else start
            at = group[-1]
        at = start if command == "z" else at
    return result


def test_a_plot_is_a_third_as_long_with_the_same_texts_and_positions(plot: str) -> None:
    short = shown(svg_source(plot))
    before, after = ElementTree.fromstring(plot), ElementTree.fromstring(short)
    assert len(short) < len(plot) / 3
    assert [each.text for each in after.iter(f"{SVG}text")] == [each.text for each in before.iter(f"{SVG}text")]
    assert TEXT in [each.text for each in after.iter(f"{SVG}text")]
    assert (after.get("width"), after.get("height")) == (before.get("width"), before.get("height"))
    for tag in ("path", "use", "clipPath", "text"):
        assert len([*after.iter(SVG + tag)]) == len([*before.iter(SVG + tag)]), tag
    for old, new in zip(before.iter(f"{SVG}path"), after.iter(f"{SVG}path"), strict=True):
        pairs = zip(positions(old.get("d", "")), positions(new.get("d", "")), strict=True)
        assert all(abs(a - b) <= 0.0501 for one, other in pairs for a, b in zip(one, other, strict=True))


def test_references_lead_to_elements_and_styles_stay(plot: str) -> None:
    before, after = ElementTree.fromstring(plot), ElementTree.fromstring(shown(svg_source(plot)))
    names = {each.get("id") for each in after.iter() if each.get("id")}
    assert {use.get("href") for use in after.iter(f"{SVG}use")} <= {f"#{name}" for name in names}
    assert set(re.findall(r"url\(#(\w+)\)", ElementTree.tostring(after, "unicode"))) <= names
    rules = dict(re.findall(r"\.(c\d+)\{([^}]*)\}", next(after.iter(f"{SVG}style")).text or ""))
    for old, new in zip(before.iter(f"{SVG}path"), after.iter(f"{SVG}path"), strict=True):
        assert rules.get(new.get("class", ""), "") == old.get("style", "").replace("; ", ";").replace(": ", ":")
    turned = next(each for each in after.iter(f"{SVG}text") if each.text == "up")
    assert (turned.get("transform") or "").startswith("rotate(-90 ")


def test_the_same_figure_has_the_same_bytes(plot: str) -> None:
    assert shorten(re.sub(r"<dc:date>.*?</dc:date>", "<dc:date>2000</dc:date>", plot)) == shorten(plot)


@pytest.mark.parametrize(
    "svg",
    [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><path d="M0.123 0.456h1"/></svg>',
        "<svg><dc:title>Matplotlib v3</dc:title>",
        '<svg xmlns="http://www.w3.org/2000/svg"><!--<dc:title>Matplotlib v3--><path d="M 0 0 A 1 1 0 0 0 1 1"/></svg>',
    ],
)
def test_other_and_damaged_svg_is_not_changed(svg: str) -> None:
    address = svg_source(svg)
    assert shorten(svg) is None
    assert base64.b64decode(address.removeprefix("data:image/svg+xml;base64,")).decode() == svg


def test_plots_are_told_apart_by_their_bytes(plot: str) -> None:
    assert image_source(plot.encode()) == svg_source(plot)
    assert image_source(PNG + b"x") == "data:image/png;base64," + base64.b64encode(PNG + b"x").decode()
