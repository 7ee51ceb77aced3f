"""ForecastHandler as one ONNX graph: the service's predictions from examples that Python alone has made."""

import json
from runpy import run_path

import numpy as np
import onnxruntime
import pytest
from small_forecasts import make_forecaster

from mlnb.methods.contracts.responses import to_wire
from mlnb.methods.models.search_spaces import searched_families
from mlnb.serving.edge.onnx.onnx_export import export_onnx
from mlnb.serving.edge.portable_export import export_text
from mlnb.serving.runtime.forecast_handler import ForecastHandler
from mlnb.serving.runtime.model_parts import ModelParts


@pytest.mark.parametrize("family", sorted({*searched_families("forecasting"), "baseline", "ensemble"}))
def test_every_family_predicts_as_the_service_does(family, tmp_path):
    folder = make_forecaster(tmp_path / "model", family)
    assert export_onnx(folder, tmp_path / "model.onnx").largest_difference <= 1e-12


def test_the_graph_scores_examples_that_python_alone_has_made(tmp_path):
    folder, out = make_forecaster(tmp_path / "model", "ensemble"), tmp_path / "out"
    export_text(folder, out)
    export_onnx(folder, tmp_path / "model.onnx")
    service, rows = ForecastHandler(ModelParts.load(folder)), json.loads((folder / "golden.json").read_text())["rows"]
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    scorer, forecasts = (run_path(str(out / name)) for name in ("scorer.py", "forecasts.py"))
    stamped, examples, level, scale = zip(
        *forecasts["examples"](rows, scorer["MODEL"]["windows"], scorer["encode"]), strict=True
    )
    inputs = {"examples": np.array(examples), "level": np.array(level)[:, None], "scale": np.array(scale)[:, None]}
    assert json.loads(session.get_modelmeta().custom_metadata_map["mlnb.examples"]) == list(service.encoder.names)
    expected = to_wire(service.respond(rows))
    assert [row["time"] for row in stamped] == [answer["time"] for answer in expected]
    actual = np.hstack(session.run(["prediction", "low", "high"], inputs)).ravel()
    np.testing.assert_allclose(
        actual,
        [n for a in expected for n in (a["prediction"], a["interval"]["low"], a["interval"]["high"])],
        rtol=1e-12,
    )
