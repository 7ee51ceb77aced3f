"""Plots of an executed notebook: titles from headings, numbers for repeated ones, and damaged files."""

import base64
import json
from pathlib import Path

import pytest

from mlnb.tracking.notebook_plots import Plot, joined, read_plots

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 8 + (640).to_bytes(4, "big") + (480).to_bytes(4, "big")


def image(data: bytes = PNG) -> dict[str, dict[str, object]]:
    return {"data": {"image/png": base64.b64encode(data).decode()}}


def drawing(head: str) -> dict[str, object]:
    return {"data": {"image/svg+xml": ["<?xml version='1.0'?>\n", f"<svg {head}>", "</svg>"], **image()["data"]}}


def write(path: Path, cells: list[tuple[str, str | list[str], list[dict[str, object]]]]) -> Path:
    document = {"cells": [{"cell_type": kind, "source": s, "outputs": outputs} for kind, s, outputs in cells]}
    path.write_text(json.dumps(document))
    return path


def test_plots_have_the_heading_above_and_repeated_titles_a_number(tmp_path: Path) -> None:
    path = write(
        tmp_path / "25_explore.ipynb",
        [
            ("code", "#| stage\nplot()", [image()]),
            ("markdown", ["# The *first* `part`\n", "text"], []),
            ("code", "#| stage\nplot()", [image(), {"data": {"text/plain": "x"}}, image()]),
            ("code", "example()", [image()]),
            ("markdown", "no heading", []),
            ("code", ["#| stage\n", "plot()"], [image(b"GIF"), {"data": {"image/png": "not base64!"}}]),
        ],
    )
    plots = read_plots(path)
    assert [plot.title for plot in plots] == ["25_explore", "The first part", "The first part (2)"]
    assert [plot.heading for plot in plots][1:] == ["The first part"] * 2
    assert plots[0] == Plot("25_explore", PNG, "25_explore") and plots[0].size == (640, 480)


@pytest.mark.parametrize(
    ("head", "size"),
    [
        ('height="36pt" width="72pt"', (110, 55)),
        ("width='96px' height='48'", (110, 55)),
        ('width="100%" height="3"', (660, 440)),
        ('stroke-width="1pt" viewBox="0 0 1 1"', (660, 440)),
    ],
)
def test_an_output_in_both_formats_is_an_svg_plot(tmp_path: Path, head: str, size: tuple[int, int]) -> None:
    (plot,) = read_plots(write(tmp_path / "a.ipynb", [("code", "#| stage\nplot()", [drawing(head)])]))
    assert plot.is_svg and plot.size == size and f"<svg {head}></svg>".encode() in plot.image


@pytest.mark.parametrize("text", [None, "", "{", "{}"])
def test_a_missing_or_damaged_notebook_has_no_plots(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "a.ipynb").write_text(text)
    assert read_plots(tmp_path / "a.ipynb") == []


def test_lines_are_joined() -> None:
    assert joined("a\nb") == joined(["a\n", "b"]) == "a\nb"
