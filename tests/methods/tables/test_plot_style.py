"""Figures of a notebook are SVG unless another format was set, and hold dense scatter plots as pixels."""

import io
import re

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib_inline.config import InlineBackend

from mlnb.methods.evaluation.evaluation_plots import plot_residuals
from mlnb.methods.tables.plot_style import DENSE, use_style

INLINE = "module://matplotlib_inline.backend_inline"


@pytest.mark.filterwarnings("ignore:InlineBackend._figure_formats_changed is deprecated")
@pytest.mark.parametrize(
    ("backend", "before", "after"), [(INLINE, "png", "svg"), (INLINE, "retina", "retina"), ("agg", "png", "png")]
)
def test_notebooks_show_svg_unless_a_format_was_set(monkeypatch, backend, before, after):
    monkeypatch.setattr(mpl, "get_backend", lambda auto_select: backend)
    InlineBackend.clear_instance()
    InlineBackend.instance(figure_formats={before})
    try:
        with mpl.rc_context():
            use_style()
            use_style()
        assert InlineBackend.instance().figure_formats == {after}
    finally:
        InlineBackend.clear_instance()


@pytest.mark.parametrize(("rows", "marks"), [(DENSE - 1, 2 * (DENSE - 1)), (DENSE, 0)])
def test_many_marks_are_pixels(rows, marks):
    values = np.random.default_rng(0).normal(size=(2, rows))
    with mpl.rc_context():
        figure = plot_residuals(*values, "y")
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg")
    plt.close(figure)
    assert len(re.findall(r"<use [^>]*opacity: 0\.6", buffer.getvalue())) == marks
    assert ("<image " in buffer.getvalue()) == (marks == 0)
