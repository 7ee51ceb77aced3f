"""The environment variables that mlnb sets for its processes and kernels: no telemetry, no banners.

Optuna, papermill, LightGBM and scikit-learn send no telemetry, so no variable is needed for them.
"""

import os
from collections.abc import MutableMapping

QUIET: dict[str, str] = {
    "DO_NOT_TRACK": "1",  # Evidently, and other tools that follow the convention
    "BENTOML_DO_NOT_TRACK": "True",  # BentoML sends usage statistics otherwise
    "ITERATIVE_DO_NOT_TRACK": "1",  # iterative-telemetry, which Evidently and DVC use
    "WANDB_ERROR_REPORTING": "false",  # W&B reports its own crashes otherwise
    "WANDB_SILENT": "true",  # no banners in the terminal or in a notebook's output
    "WANDB_CONSOLE": "off",  # printed text stays in the notebook
    "WANDB_DISABLE_CODE": "true",  # no copies of the source
    "WANDB_DISABLE_GIT": "true",  # the run record has the commit; W&B need not call git
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # the debugger of ipykernel warns about frozen modules otherwise
}


def apply(environment: MutableMapping[str, str] = os.environ) -> None:
    """Set every variable of `QUIET` that the user has not set."""
    for name, value in QUIET.items():
        environment.setdefault(name, value)
