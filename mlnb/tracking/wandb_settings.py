"""What a run sets in W&B, and what W&B is not to import for it."""

from typing import Any

import wandb

# What a run sets for the settings that neither the environment nor a settings file of W&B sets.
DEFAULTS: dict[str, Any] = {
    "console": "off",
    "silent": True,
    "symlink": False,
    "disable_git": True,
    "disable_code": True,
    "save_code": False,
    "init_timeout": 20.0,
    "x_service_wait": 20.0,
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_disable_machine_info": True,
    "x_save_requirements": False,
    "x_transaction_log_flush_interval": 1.0,
}

# W&B imports pandas to see whether a logged value is a table of it, and its client of job queues to see whether a queue
# has started the run: half a second, and neither is so. Both are private; the versions are limited in settings.ini.
setattr(wandb.util, "pd_available", False)  # noqa: B010 -- it is not declared
setattr(wandb.sdk.wandb_run.Run, "_detect_and_apply_job_inputs", lambda _: None)  # noqa: B010 -- a method is replaced
