"""Telemetry is off unless the user turned it on, and W&B is offline unless the user asked for the network."""

import subprocess
import sys

from mlnb import environment


def test_a_variable_that_the_user_set_is_kept():
    mine = {"DO_NOT_TRACK": "0"}
    environment.apply(mine)
    assert mine["DO_NOT_TRACK"] == "0"
    assert mine["BENTOML_DO_NOT_TRACK"] == "True"


def test_bentoml_believes_it():
    code = "from bentoml._internal.utils.analytics import usage_stats; print(usage_stats.do_not_track())"
    said = subprocess.run([sys.executable, "-c", code], env=environment.QUIET, capture_output=True, text=True)
    assert said.stdout == "True\n", said.stderr


def test_the_environment_wins_over_the_setting_and_offline_is_the_default():
    assert environment.wandb_mode({}, {}) == "offline"
    assert environment.wandb_mode({"wandb_mode": "online"}, {}) == "online"
    assert environment.wandb_mode({"wandb_mode": "online"}, {"WANDB_MODE": "disabled"}) == "disabled"
