"""Models and decisions as ONNX operators, against numpy."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto

from mlnb.methods.contracts.decisions import Beta, Decision, Isotonic, Sigmoid, Temperature
from mlnb.methods.decisions.decision_rules import calibrate, choose_classes
from mlnb.methods.models.fitted_models import Model, predict
from mlnb.serving.edge.onnx.onnx_graph import Graph
from mlnb.serving.edge.onnx.onnx_models import write_calibration, write_choice, write_model

P = np.random.default_rng(0).dirichlet([1.0, 1.0], 50)


def run(graph, value, kind, p):
    graph.add_output("output", value, kind, ["rows"] if kind == TensorProto.STRING else ["rows", p.shape[1]])
    session = onnxruntime.InferenceSession(graph.model({}).SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"p": p})[0]


@pytest.mark.parametrize(
    "calibration",
    [None, Sigmoid(a=1.1, c=0.2), Beta(a=0.9, b=1.2, c=-0.1), Temperature(temperature=1.7),
     Isotonic(x=(0.0, 0.3, 0.6, 1.0), y=(0.1, 0.1, 0.8, 0.9))],
)  # fmt: skip
def test_calibrations_are_numpy_s(calibration):
    graph = Graph()
    value = write_calibration(graph, graph.matrix("p", 2), calibration)
    np.testing.assert_allclose(run(graph, value, TensorProto.DOUBLE, P), calibrate(P, calibration), rtol=0, atol=1e-14)


@pytest.mark.parametrize("decision", [Decision(), Decision(threshold=0.4), Decision(costs=((0.0, 1.0), (5.0, 0.0)))])
def test_choices_are_numpy_s(decision):
    graph = Graph()
    value = write_choice(graph, graph.matrix("p", 2), decision, ["no", "yes"])
    expected = np.array(["no", "yes"])[choose_classes(P, decision)]
    assert run(graph, value, TensorProto.STRING, P).tolist() == expected.tolist()


def test_a_constant_is_repeated():
    model = Model("baseline", "binary", 2, 2, {"constant": np.array([0.25, 0.75])})
    graph = Graph()
    actual = run(graph, write_model(graph, model, graph.matrix("p", 2)), TensorProto.DOUBLE, P)
    assert actual.tolist() == predict(model, P).tolist()
