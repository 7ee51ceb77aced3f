"""The timestamp of a period is the same however a label file or a request writes it."""

import pytest

from mlnb.methods.operations.label_matching import period_text
from mlnb.methods.series.calendars import Frequency

DAYS, HOURS = Frequency("D", 1), Frequency("h", 1)


@pytest.mark.parametrize("text", ["2024-07-19", "2024-07-19T00:00:00+02:00", "2024-07-19 13:00:00-05:00"])
def test_a_local_day_stays_that_day_in_any_zone(text):
    assert period_text(text, DAYS) == "2024-07-19"


def test_an_hour_is_an_instant_whatever_its_zone():
    assert period_text("2024-07-19T02:00:00+02:00", HOURS) == period_text("2024-07-19T00:00:00+00:00", HOURS)


def test_text_that_is_no_date_is_refused():
    with pytest.raises(ValueError, match="soon"):
        period_text("soon", DAYS)
