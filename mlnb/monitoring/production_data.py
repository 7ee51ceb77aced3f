"""The prediction log and the labels of a model, as the stages `monitor` and `collect` read them."""

from pathlib import Path

from mlnb.methods.operations.production_window import ProductionData
from mlnb.monitoring.labels import read_labels
from mlnb.monitoring.prediction_table import read_log


def read_production_data(folder: str, labels: str = "") -> ProductionData:
    """Return the whole prediction log, its refused requests, and the labels.

    Args:
        folder: folder of the prediction log.
        labels: database of the labels; empty: none.
    """
    log, damaged = read_log(Path(folder))
    refused, _ = read_log(Path(folder), refusals=True)
    return ProductionData(log, refused, damaged, read_labels(Path(labels)) if labels else {})
