"""Graphs: constants, helpers and metadata."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto

from mlnb.serving.edge.onnx.onnx_graph import Graph

VALUES = np.array([[-7.5], [-1.0], [0.0], [0.5], [2.0], [9.0]])


def run(write):
    graph = Graph()
    graph.add_output("output", write(graph, graph.matrix("x", 1)), TensorProto.DOUBLE, ["rows", 1])
    model = graph.model({"key": "value"})
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map == {"key": "value"}
    return session.run(None, {"x": VALUES})[0]


@pytest.mark.parametrize(
    ("x", "y"), [([0.0], [3.0]), ([0.0, 1.0], [2.0, 4.0]), ([-5.0, 0.0, 1.0, 8.0], [1.0, 2.0, 2.0, 0.0])]
)
def test_interpolation_is_numpy_s(x, y):
    np.testing.assert_allclose(run(lambda graph, v: graph.interpolate(v, x, y)), np.interp(VALUES, x, y), atol=1e-15)


def test_division_rounds_down():
    assert run(lambda graph, v: graph.floor_divide(v, 2.0)).tolist() == np.floor(VALUES / 2).tolist()
    assert run(lambda graph, v: graph.modulo(v, 2.0)).tolist() == np.mod(VALUES, 2).tolist()


def test_constants_have_the_type_of_their_values():
    graph = Graph()
    for value in (1, 2.5, [1.0, 2.0], np.array([1, 2]), np.array(["a"])):
        graph.constant(value)
    assert [constant.data_type for constant in graph.constants] == [
        TensorProto.INT64, TensorProto.DOUBLE, TensorProto.DOUBLE, TensorProto.INT64, TensorProto.STRING,
    ]  # fmt: skip
