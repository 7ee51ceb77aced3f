"""The environment that mlnb's processes and kernels run in: quiet, and nothing leaves the machine unasked.

Optuna, papermill, LightGBM and scikit-learn report nothing to anyone, so they have no line here.
"""

import os
from collections.abc import Mapping, MutableMapping

QUIET: dict[str, str] = {
    "DO_NOT_TRACK": "1",  # Evidently, and whoever keeps the common convention
    "BENTOML_DO_NOT_TRACK": "True",  # BentoML sends usage statistics otherwise
    "ITERATIVE_DO_NOT_TRACK": "1",  # iterative-telemetry, which Evidently and DVC use
    "WANDB_ERROR_REPORTING": "false",  # W&B reports its own crashes otherwise
    "WANDB_SILENT": "true",  # no banners in the terminal or in a notebook's output
    "WANDB_CONSOLE": "off",  # what is printed stays in the notebook
    "WANDB_DISABLE_CODE": "true",  # no copies of the source
    "WANDB_DISABLE_GIT": "true",  # the run record knows the commit; W&B need not ask git for it
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # the debugger of ipykernel warns about frozen modules otherwise
}


def apply(environment: MutableMapping[str, str] = os.environ) -> None:
    """Set every variable of `QUIET` that the user has not set."""
    for name, value in QUIET.items():
        environment.setdefault(name, value)


def wandb_mode(settings: Mapping[str, str], environment: Mapping[str, str] = os.environ) -> str:
    """Return W&B's mode: `WANDB_MODE` of the environment, else `wandb_mode` of the settings, else offline."""
    return (environment.get("WANDB_MODE") or settings.get("wandb_mode") or "offline").strip().lower()
