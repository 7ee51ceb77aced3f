"""How a log is kept, as the settings state it."""

import pytest

from mlnb.errors import SettingsError
from mlnb.serving.runtime.log_policy import LogPolicy
from mlnb.settings import ServiceSettings


def test_the_settings_decide():
    environment = {"MLNB_LOG_MASK": "age,name", "MLNB_LOG_ROWS": "5", "MLNB_LOG_WHEN_FULL": "wait"}
    policy = LogPolicy.from_settings(ServiceSettings(environment=environment))
    assert policy == LogPolicy(rows=5, when_full="wait", masked=frozenset({"age", "name"}))
    with pytest.raises(SettingsError, match="MLNB_LOG_ROWS"):
        LogPolicy.from_settings(ServiceSettings(environment={"MLNB_LOG_ROWS": "0"}))
