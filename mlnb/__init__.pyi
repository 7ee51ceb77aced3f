from mlnb.api.champion_operations import monitor as monitor
from mlnb.api.champion_operations import retrain as retrain
from mlnb.api.estimators import TableClassifier as TableClassifier
from mlnb.api.estimators import TableRegressor as TableRegressor
from mlnb.api.model_operations import promote as promote
from mlnb.api.model_operations import write_reports as write_reports
from mlnb.api.project_runs import latest as latest
from mlnb.api.project_runs import load_model as load_model
from mlnb.api.project_runs import open_recorded_run as open_run
from mlnb.api.project_runs import run as run
from mlnb.api.project_runs import runs as runs
from mlnb.engine.session import open_stage as open_stage

__version__: str
__all__ = [
    "TableClassifier",
    "TableRegressor",
    "__version__",
    "latest",
    "load_model",
    "monitor",
    "open_run",
    "open_stage",
    "promote",
    "retrain",
    "run",
    "runs",
    "write_reports",
]
