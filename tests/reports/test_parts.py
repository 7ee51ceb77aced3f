"""The parts of a page: words, layout of the graph, figures, outputs of cells."""

import re

import pytest
from chromium import open_browser
from hypothesis import given
from hypothesis import strategies as st

from mlnb.engine.run_records import StageRecord, StageState
from mlnb.reports import formatting
from mlnb.reports.figures import IntervalRow, TrialPoint, draw_history, draw_intervals, ticks
from mlnb.reports.notebook_pages import read_cells, show_output, terminal_text
from mlnb.reports.pipeline_graph import draw_graph, lay_out
from mlnb.reports.run_report import style


@pytest.mark.parametrize(
    "value, text",
    [(None, "–"), (0, "0"), (0.0, "0"), (0.86234, "0.8623"), (-0.5, "−0.5000"), (12345, "12,345"), (12345.6, "12,346"),
     (3.2e-5, "3.20e−05"),
     (float("nan"), "–"), (float("inf"), "–"), (True, "True"), ("text", "text"), (100.0, "100"), (1.0, "1.000")],
)  # fmt: skip
def test_numbers(value, text):
    assert formatting.number(value) == text


def test_times_sizes_and_values():
    assert [formatting.seconds(value) for value in (None, 0.04, 9.96, 59.7, 3725)] == [
        "–",
        "0.0 s",
        "10 s",
        "1 min 0 s",
        "1 h 2 min",
    ]
    assert [formatting.size(value) for value in (None, 12, 2150, 3.2e6, 4e9)] == [
        "–",
        "12 B",
        "2.1 KB",
        "3.2 MB",
        "4.0 GB",
    ]
    assert formatting.moment("2026-03-14T09:15:00Z") == "14 March 2026, 09:15 UTC"
    assert formatting.moment("yesterday") == "yesterday"
    assert (
        formatting.metric("precision_at@0.05") == "precision in the top 0.05"
        and formatting.metric("ndcg@10") == "ndcg@10"
    )
    assert formatting.metric("mean_cost@[[0,1],[5,0]]") == "mean cost" and formatting.metric("roc_auc") == "ROC AUC"
    results = [formatting.gate(passed, "roc_auc") for passed in (True, False, None)]
    assert results == ["passed", "failed", ""]
    assert [formatting.gate(passed, "stability") for passed in (True, False)] == ["unknown", "failed"]
    assert formatting.parameter(["a", 1]) == '["a", 1]' and formatting.parameter("") == '""'


def test_layout_keeps_only_arrows_that_others_do_not_imply():
    layout = lay_out({"a": [], "b": ["a"], "c": ["a", "b"], "d": ["a"], "e": ["c", "d"]})
    assert set(layout.arrows) == {("a", "b"), ("b", "c"), ("a", "d"), ("c", "e"), ("d", "e")}
    assert layout.places["a"] == (0, 0) and layout.places["c"] == (2, 0) and layout.places["e"] == (3, 0)
    assert layout.arrows["d", "e"] == [(2, 1)]


def test_no_two_boxes_or_lanes_share_a_place():
    layout = lay_out({"a": [], "b": [], "c": ["a"], "d": ["b", "c"], "e": ["a"], "f": ["d", "e"], "g": ["b", "f"]})
    taken = [*layout.places.values(), *(cell for way in layout.arrows.values() for cell in way)]
    assert len(taken) == len(set(taken))


def test_a_graph_of_nothing_is_nothing_and_names_are_escaped():
    assert draw_graph({}) == ""
    assert "<b>" not in draw_graph({"<b>": StageRecord(state=StageState.FAILED, producers={"x": "y"})})


def test_figures_leave_out_what_is_not_there():
    assert draw_intervals([IntervalRow("a", None)]) == ""
    assert draw_intervals([IntervalRow("a", float("nan"))]) == ""
    drawn = draw_intervals([IntervalRow("<i>", 1.0), IntervalRow("b", 1.0, 1.0, 1.0)], bound=1.0)
    assert "&lt;i&gt;" in drawn and 'class="bound"' in drawn
    assert draw_history([TrialPoint(0, 0.5)], "maximize") == ""
    for direction in ("maximize", "minimize"):
        drawn = draw_history([TrialPoint(n, s) for n, s in enumerate([0.5, 0.4, -1e9, 0.6, 0.6])], direction)
        assert "nan" not in drawn and drawn.count("<circle") + drawn.count('class="point outside') == 5


@given(st.lists(st.tuples(st.text("abcdefg hijk", min_size=1, max_size=30), st.booleans()), min_size=1, max_size=5))
def test_labels_have_room_in_the_larger_font_of_phones(labels):
    drawn = draw_intervals([IntervalRow(label, 1.0 + n, best=best) for n, (label, best) in enumerate(labels)])
    starts = [float(x) for x in re.findall(r'class="label \w+" x="([\d.]+)"', drawn)]
    assert len(starts) == len(labels)
    for start, (label, best) in zip(starts, labels, strict=True):
        assert start >= 15 * len(label) * (0.69 if best else 0.6)


def test_ticks_are_round_and_inside():
    assert ticks(0.47, 0.93) == pytest.approx([0.5, 0.6, 0.7, 0.8, 0.9])
    assert ticks(1.0, 1.0) == [1.0]
    assert all(-3 <= tick <= 7 for tick in ticks(-3, 7))


def test_what_a_cell_shows():
    assert terminal_text("\x1b[31mred\x1b[0m\n10%\r20%\r\ndone") == "red\n20%\ndone"
    assert show_output({"output_type": "stream", "name": "stdout", "text": ["\n"]}) is None
    assert "<pre" in show_output({"output_type": "stream", "name": "stderr", "text": "a < b"})
    assert "a &lt; b" in show_output({"output_type": "stream", "name": "stderr", "text": "a < b"})
    picture = show_output(
        {"output_type": "display_data", "data": {"image/svg+xml": "<svg onload='x'/>", "text/plain": ""}}
    )
    assert picture.startswith('<img alt="plot" src="data:image/svg+xml;base64,') and "onload" not in picture
    assert (
        show_output({"output_type": "display_data", "data": {"text/plain": "<b>"}})
        == '<pre class="text">&lt;b&gt;</pre>'
    )


def test_cells_without_anything_to_show_are_left_out(tmp_path):
    path = tmp_path / "n.ipynb"
    path.write_text(
        '{"cells": [{"cell_type": "code", "source": ["#| default_exp a"], "outputs": []}, {"cell_type": "raw"}]}'
    )
    assert read_cells(path) == []
    assert read_cells(tmp_path / "none") == []


@pytest.mark.parametrize(("direction", "outlier"), [("maximize", 0.1), ("minimize", 9.0)])
def test_trials_outside_of_the_scale_are_marked_and_not_moved(direction, outlier):
    """A trial that is far from the others is no point among them, and the page counts it."""
    drawn = draw_history([TrialPoint(n, s) for n, s in enumerate([outlier, 0.81, 0.82, 0.83, 0.84])], direction)
    assert drawn.count("<circle") == 4 and drawn.count('class="point outside') == 1
    assert f"trial 0: {formatting.number(outlier)}, outside of the scale" in drawn


def luminance(color):
    """Return the relative luminance of a color: https://www.w3.org/TR/WCAG21/#dfn-relative-luminance."""
    digits = color.lstrip("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_texts_have_enough_contrast():
    """At least 4.5:1 (WCAG 2.1, AA) in light, dark and print."""
    blocks = re.findall(r":root {(.*?)}", style(), re.DOTALL)
    palettes = [dict(re.findall(r"--([a-z-]+): (#[0-9a-f]+)", block)) for block in blocks]
    assert len(palettes) == 3
    for palette in palettes:
        for text in ("ink", "soft", "faint", "accent", "good", "bad", "warn"):
            for ground in ("paper", "raised", f"{text}-tint"):
                pair = sorted((luminance(palette[text]), luminance(palette.get(ground, palette["paper"]))))
                assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5, (text, ground, palette)
        for line in "abcdef":
            pair = sorted((luminance(palette[f"line-{line}"]), luminance(palette["paper"])))
            assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5, (line, palette)
    assert not re.search(r"(\.name|\.time|\.waiting|\.skipped|\.label)[^{]*{[^}]*opacity", style())


def test_tables_of_outputs_have_no_rules_of_their_own_and_empty_ones_state_it():
    html = '<table border="1" class="dataframe"><thead><tr><th></th><th>a</th></tr></thead><tbody>\n  </tbody></table>'
    shown = show_output({"output_type": "display_data", "data": {"text/html": html}})
    assert "border" not in shown and '<td class="soft">no rows</td>' in shown


def test_a_wide_table_scrolls_in_its_box_with_a_cue_and_whole_words(tmp_path):
    cells = "".join(
        f'<td class="text">{word}</td>' for word in ("severity", "interquartile", "interquartile", "column")
    )
    table = f'<div class="wide"><table><tr>{cells}</tr></table></div>'
    head = f'<!doctype html><meta name="viewport" content="width=device-width"><style>{style()}</style>'
    (tmp_path / "page.html").write_text(f"{head}<main>{table}</main>", encoding="utf-8")
    with open_browser() as browser:
        browser.look(390)
        browser.open(f"file://{tmp_path}/page.html")
        box = "document.querySelector('.wide')"
        assert browser.evaluate(f"{box}.scrollWidth > {box}.clientWidth")
        assert browser.evaluate("document.documentElement.scrollWidth <= 390")
        assert browser.evaluate(f"getComputedStyle({box}).backgroundImage").count("linear-gradient") == 4
        heights = browser.evaluate("[...document.querySelectorAll('td')].map((cell) => cell.clientHeight)")
        assert max(heights) == min(heights) < 40  # each word is in one line
