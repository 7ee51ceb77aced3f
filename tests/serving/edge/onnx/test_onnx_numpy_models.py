"""Models that are numbers as ONNX operators, against numpy."""

import numpy as np
import onnxruntime
import pytest
from numpy_families import CASES, fit_family
from onnx import TensorProto

from mlnb.methods.models.fitted_models import NUMPY_MODELS, predict
from mlnb.serving.edge.onnx.onnx_graph import Graph
from mlnb.serving.edge.onnx.onnx_models import write_model


@pytest.mark.parametrize("quantiles", [0, 1])
@pytest.mark.parametrize(("task", "classes"), CASES)
@pytest.mark.parametrize("family", NUMPY_MODELS)
def test_predictions_are_numpy_s(family, task, classes, quantiles):
    model, far = fit_family(family, task, classes, quantiles)
    graph = Graph()
    value = write_model(graph, model, graph.matrix("rows", 4))
    graph.add_output("output", value, TensorProto.DOUBLE, ["n", max(1, classes)])
    session = onnxruntime.InferenceSession(graph.model({}).SerializeToString(), providers=["CPUExecutionProvider"])
    expected = predict(model, far).reshape(30, -1)
    np.testing.assert_allclose(session.run(None, {"rows": far})[0], expected, rtol=0, atol=1e-13)
