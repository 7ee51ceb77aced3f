"""Charts: any values can be drawn, names are escaped, and those who cannot see a chart read its values."""

import json
import xml.etree.ElementTree as ET

from hypothesis import example, given
from hypothesis import strategies as st

from mlnb.reports.charts import Chart, Series

HOSTILE = '<script>alert("x")</script>'
KINDS = st.sampled_from(["line", "points", "step", "thin"])
VALUES = st.one_of(st.none(), st.floats(), st.floats(-1, 1))
LONG = [0.1 * at for at in range(40)]


def chart(x, *series, **more):
    return Chart(title="Score", x_label="run", y_label="ROC AUC", x=tuple(x), series=series, **more)


@given(
    st.one_of(st.lists(VALUES, max_size=5), st.just(LONG)),
    KINDS,
    st.floats(-1e9, 1e9),
    st.floats(0, 1e6),
)
@example([1.7285510912137653e308], "line", 0.0, 0.0)
@example([-1.7e308, 1.7e308, 1e308], "points", 0.0, 1.0)
def test_any_values_can_be_drawn_and_are_json(values, kind, start, step):
    drawn = chart([start + step * at for at in range(len(values))], Series("a", values, kind), diagonal=True)
    root = ET.fromstring(drawn.svg())
    assert "nan" not in str(drawn.svg()) and "inf" not in str(drawn.svg()) and root.get("role") == "img"
    assert len(json.loads(drawn.data)["x"]) == len(values)


def test_the_values_are_in_the_text_for_those_who_cannot_see_the_chart():
    few = chart([1, 2, 3], Series("AUC", [0.5, None, 0.75]), names=("first", "second", "third"))
    assert ET.fromstring(few.svg()).get("aria-label") == "Score: AUC 0.5000 at first, 0.7500 at third"
    many = chart(range(50), Series("AUC", [abs(at - 20) for at in range(50)]))
    assert ET.fromstring(many.svg()).get("aria-label") == "Score: AUC 20 at 0, 0 at 20, 29 at 49"
    assert "AUC has no values" in chart([], Series("AUC", [])).svg()


def test_names_are_escaped_and_thin_lines_are_no_legend():
    drawn = chart([0, 1], Series(HOSTILE, [1, 2]), Series("row", [0, 1], "thin", 0), names=(HOSTILE, "b"))
    assert HOSTILE not in drawn.svg() and [one.label for one in drawn.shown] == [HOSTILE]
    assert len(json.loads(drawn.data)["series"]) == 2 and drawn.svg().count('class="thin soft"') == 1
