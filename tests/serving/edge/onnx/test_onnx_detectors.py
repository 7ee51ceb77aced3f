"""Anomaly detectors as ONNX operators, against `anomaly_detectors`."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto

from mlnb.methods.models.anomaly_detectors import DETECTORS
from mlnb.methods.models.fitted_models import predict
from mlnb.methods.models.model_families import fit_model
from mlnb.methods.models.search_spaces import default_params
from mlnb.serving.edge.onnx.onnx_detectors import write_detector
from mlnb.serving.edge.onnx.onnx_graph import Graph


@pytest.mark.parametrize("family", DETECTORS)
def test_scores_are_the_detector_s(family):
    rng = np.random.default_rng(0)
    X, far = rng.normal(size=(300, 3)), 4 * rng.normal(size=(60, 3))
    X[:, 2], far[:4, 0] = np.round(X[:, 2]), np.nan
    model = fit_model(family, default_params(family), X, np.zeros(300), "anomaly", 0)
    graph = Graph()
    graph.add_output("output", write_detector(graph, model.native, graph.matrix("x", 3)), TensorProto.DOUBLE, ["n", 1])
    session = onnxruntime.InferenceSession(graph.model({}).SerializeToString(), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"x": far})[0].ravel(), predict(model, far), rtol=1e-9, atol=1e-9)
