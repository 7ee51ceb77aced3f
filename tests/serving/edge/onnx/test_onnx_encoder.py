"""The encoder as ONNX operators, against the encoder itself."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto
from small_models import make_model, make_rows

from mlnb.errors import UsageError
from mlnb.methods.encoding.table_encoder import Encoder
from mlnb.methods.tables.columns import to_arrays
from mlnb.serving.edge.onnx.onnx_encoder import write_encoder
from mlnb.serving.edge.onnx.onnx_export import to_inputs
from mlnb.serving.edge.onnx.onnx_graph import Graph
from mlnb.serving.runtime.model_parts import ModelParts


def test_numbers_are_the_encoder_s(tmp_path):
    parts = ModelParts.load(make_model(tmp_path / "model"))
    encoder, graph = Encoder.from_json(parts.encoder), Graph()
    graph.add_output("X", write_encoder(graph, encoder, parts.schema), TensorProto.DOUBLE, ["n", len(encoder.names)])
    session = onnxruntime.InferenceSession(graph.model({}).SerializeToString(), providers=["CPUExecutionProvider"])
    rows = [
        {**row, "town": "unseen" if number % 10 == 0 else row["town"]} for number, row in enumerate(make_rows(500, 9))
    ]
    rows = [{name: row[name] for name in to_arrays(rows[:1], parts.schema)} for row in rows]
    expected = encoder.transform(to_arrays(rows, parts.schema))
    np.testing.assert_allclose(session.run(None, to_inputs(rows, parts.schema))[0], expected, rtol=0, atol=1e-9)


def test_text_is_refused_with_the_reason(tmp_path):
    parts = ModelParts.load(make_model(tmp_path / "model", text=True))
    with pytest.raises(UsageError, match=r"Column 'note' holds text.*Export with --to text"):
        write_encoder(Graph(), Encoder.from_json(parts.encoder), parts.schema)
