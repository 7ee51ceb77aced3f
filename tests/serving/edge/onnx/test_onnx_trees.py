"""Trees as one ONNX operator, against a row-by-row reference."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto
from random_trees import make_tree, score_row_by_row

from mlnb.serving.edge.lightgbm_text import BoostedTrees
from mlnb.serving.edge.onnx.onnx_graph import Graph
from mlnb.serving.edge.onnx.onnx_trees import write_trees


@pytest.mark.parametrize(("leaves", "outputs"), [([1], 1), ([2, 1, 9], 1), ([5, 30, 1, 12], 2)])
def test_scores_are_the_reference_s(leaves, outputs):
    rng = np.random.default_rng(0)
    boosted = BoostedTrees(outputs, "identity", 1.0, False, [make_tree(rng, 3, n, False) for n in leaves])
    X = rng.normal(size=(200, 3))
    X[rng.random(X.shape) < 0.2] = np.nan
    graph = Graph()
    graph.add_output("output", write_trees(graph, boosted, graph.matrix("x", 3)), TensorProto.DOUBLE, ["n", outputs])
    session = onnxruntime.InferenceSession(graph.model({}).SerializeToString(), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"x": X})[0], score_row_by_row(boosted, X), rtol=0, atol=1e-14)
