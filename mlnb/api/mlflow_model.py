"""A packaged model as MLflow loads it: `loader_module` of a logged model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlnb.api.packaged_model import Data, PackagedModel


class LoadedModel:
    """What `mlflow.pyfunc.load_model` wraps."""

    def __init__(self, model: PackagedModel) -> None:
        self.model = model

    def predict(self, model_input: Data, params: Mapping[str, Any] | None = None) -> Any:
        """Return everything that the service returns, a row per response; see `PackagedModel.predict_table`.

        Args:
            model_input: Rows as a data frame, or as JSON objects.
            params: Parameters of MLflow; there are none.
        """
        return self.model.predict_table(model_input)


def _load_pyfunc(path: str) -> LoadedModel:
    """Return the model in a folder, after its golden rows got the notebook's predictions. Raises `ServingError`."""
    return LoadedModel(PackagedModel(Path(path)))
