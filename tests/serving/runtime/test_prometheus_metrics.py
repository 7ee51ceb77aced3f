"""The metrics of a service: series exist before their first event, and labels are bounded."""

from prometheus_client import REGISTRY

from mlnb.methods.contracts.responses import AnomalyResponse, ClassResponse, RankResponse, RowProblem, ValueResponse
from mlnb.serving.runtime.prometheus_metrics import UNKNOWN, count_classes, service_metrics


def sample(name, **labels):
    return REGISTRY.get_sample_value(name, labels)


def problem(row, column):
    return RowProblem(row=row, column=column, found="nothing", expected="a number")


def test_a_process_has_one_set_whose_series_exist_from_the_start():
    assert service_metrics() is service_metrics()
    service_metrics().switch_version("", "first:1")
    assert sample("mlnb_model_swaps_total", result="withdrawn", model="first") == 0.0
    assert sample("mlnb_log_rows_total", result="dropped") is not None


def test_predictions_are_counted_by_name_and_numbers_together():
    metrics = service_metrics()
    named = [ClassResponse(prediction="yes", probabilities={"yes": 1.0})] * 2
    named += [AnomalyResponse(prediction="anomaly", score=3.0)]
    counted: dict[str, int] = {}
    count_classes([*named, ValueResponse(prediction=2.0), RankResponse(score=1.0, rank=1)], counted)
    metrics.count_predictions(counted, "metrics:1")
    counts = {"yes": 2.0, "anomaly": 1.0, "": 2.0}
    for name, count in counts.items():
        assert sample("mlnb_predictions_total", prediction=name, model_version="metrics:1") == count


def test_rejected_rows_are_counted_once_a_column_and_unknown_columns_together():
    metrics = service_metrics()
    problems = [problem(0, "age"), problem(0, "age"), problem(1, "age"), problem(1, "a client's column")]
    metrics.count_rejected([*problems, problem(2, None)], frozenset({"age"}), "metrics:2")
    assert sample("mlnb_rejected_rows_total", column="age", model_version="metrics:2") == 2.0
    assert sample("mlnb_rejected_rows_total", column=UNKNOWN, model_version="metrics:2") == 1.0


def test_one_version_is_in_use():
    metrics = service_metrics()
    metrics.switch_version("", "metrics:3")
    metrics.switch_version("metrics:3", "metrics:4")
    assert sample("mlnb_model_info", model_version="metrics:3") == 0.0
    assert sample("mlnb_model_info", model_version="metrics:4") == 1.0
    assert sample("mlnb_model_swaps_total", result="switched", model="metrics") == 1.0
    metrics.count_refused_model("metrics:4")
    metrics.count_withdrawn("metrics:5")
    for result in ("refused", "withdrawn"):
        assert sample("mlnb_model_swaps_total", result=result, model="metrics") == 1.0
