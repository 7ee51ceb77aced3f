"""Settings of W&B: they exist in the installed version, and so does what is replaced."""

import inspect

import wandb

from mlnb.tracking.wandb_settings import DEFAULTS


def test_the_settings_exist() -> None:
    settings = wandb.Settings(**DEFAULTS)
    assert {name: getattr(settings, name) for name in DEFAULTS} == DEFAULTS


def test_what_is_replaced_is_what_w_and_b_reads() -> None:
    assert wandb.util.pd_available is False
    assert "pd_available" in inspect.getsource(wandb.util.is_pandas_data_frame)
    assert "_detect_and_apply_job_inputs()" in inspect.getsource(wandb.sdk.wandb_run.Run)
