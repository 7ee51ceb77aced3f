"""Telemetry is off unless the user turned it on."""

import subprocess
import sys

from mlnb import environment


def test_variables_of_the_user_are_kept():
    variables = {"DO_NOT_TRACK": "0"}
    environment.apply(variables)
    assert variables["DO_NOT_TRACK"] == "0"
    assert variables["BENTOML_DO_NOT_TRACK"] == "True"


def test_bentoml_sends_nothing_with_these_variables():
    code = "from bentoml._internal.utils.analytics import usage_stats; print(usage_stats.do_not_track())"
    result = subprocess.run([sys.executable, "-c", code], env=environment.QUIET, capture_output=True, text=True)
    assert result.stdout == "True\n", result.stderr
