"""The responses of a shadow are logged only; a canary gets a share of the keys and is withdrawn when it fails."""

from types import SimpleNamespace

import pytest
from waiting import wait_for

from mlnb.errors import SettingsError
from mlnb.methods.contracts.responses import ClassResponse
from mlnb.serving.runtime.http_messages import RequestOptions
from mlnb.serving.runtime.prometheus_metrics import service_metrics
from mlnb.serving.runtime.traffic_routing import LEAST, Canary, Shadow, TrafficRouter
from mlnb.settings import ServiceSettings

CHAMPION = SimpleNamespace(version="churn:1", predictor=None)


def response(name):
    return ClassResponse(prediction=name, probabilities={name: 1.0})


class ConstantModel:
    """A model with one prediction, or a failing one."""

    def __init__(self, prediction):
        self.prediction = prediction

    def respond(self, rows):
        if self.prediction is None:
            raise ValueError("broken")
        return [response(self.prediction) for _ in rows]


def reloader(version="churn:2", prediction="yes", named=True):
    return SimpleNamespace(
        current=SimpleNamespace(version=version, predictor=ConstantModel(prediction)), stop=lambda: None, named=named
    )


def test_a_canary_gets_its_share_and_a_key_always_the_same_model():
    canary = Canary(reloader(), 0.2, service_metrics())
    keys = [f"customer {number}" for number in range(5000)]
    first = [canary.choose(key, CHAMPION) is not None for key in keys]
    assert 0.18 < sum(first) / len(first) < 0.22
    assert [canary.choose(key, CHAMPION) is not None for key in keys] == first
    itself = Canary(reloader("churn:1"), 0.2, service_metrics())
    assert itself.choose("any", CHAMPION) is None
    unnamed = Canary(reloader("churn:0", named=False), 0.5, service_metrics())  # the bento's model, before a promotion
    assert not any(unnamed.choose(key, CHAMPION) for key in keys)


@pytest.mark.parametrize("share", ["0.0", "0.6", "-1.0", "many"])
def test_a_share_out_of_range_is_refused(share):
    with pytest.raises(SettingsError, match="MLNB_CANARY_SHARE"):
        ServiceSettings(environment={"MLNB_CANARY_SHARE": share})


def test_a_canary_that_fails_is_withdrawn_until_there_is_another():
    canary = Canary(reloader(), 0.5, service_metrics())
    for number in range(LEAST):
        canary.record("churn:2", 0.001, failed=number % 10 == 0, canary=True)
    assert canary.withdrawn == "churn:2"
    assert not any(canary.choose(f"{number}", CHAMPION) for number in range(100))
    canary.reloader.current = SimpleNamespace(version="churn:3", predictor=None)
    assert any(canary.choose(f"{number}", CHAMPION) for number in range(100))
    canary.record("churn:2", 9.0, failed=True, canary=True)  # a request of the one before
    assert canary.own.count == LEAST
    for _ in range(2 * LEAST):
        canary.record("churn:3", 0.001, failed=False, canary=True)
    assert canary.withdrawn == "churn:2"


def measure(canary, seconds):
    for _ in range(LEAST):
        canary.record("churn:1", 0.001, failed=False, canary=False)
        canary.record("churn:2", seconds, failed=False, canary=True)


def test_a_canary_that_is_slow_is_withdrawn_when_the_next_requests_are_slow_too():
    canary = Canary(reloader(), 0.5, service_metrics())
    measure(canary, 0.010)
    assert canary.withdrawn == ""
    measure(canary, 0.010)
    assert canary.withdrawn == "churn:2"


def test_one_busy_moment_does_not_withdraw_a_canary():
    canary = Canary(reloader(), 0.5, service_metrics())
    measure(canary, 0.010)
    for _ in range(10):
        measure(canary, 0.001)
    assert canary.withdrawn == "" and not canary.suspected
    for _ in range(40):
        measure(canary, 0.010)
    assert canary.withdrawn == "churn:2"


def test_the_suspicion_of_a_version_does_not_affect_the_next_one():
    canary = Canary(reloader(), 0.5, service_metrics())
    measure(canary, 0.010)
    canary.reloader.current = SimpleNamespace(version="churn:3", predictor=None)
    for _ in range(LEAST):
        canary.record("churn:1", 0.001, failed=False, canary=False)
        canary.record("churn:3", 0.010, failed=False, canary=True)
    assert canary.suspected and canary.withdrawn == ""


def test_occasional_stalls_do_not_withdraw_a_canary():
    canary = Canary(reloader(), 0.5, service_metrics())
    for number in range(2 * LEAST):
        canary.record("churn:1", 0.001, failed=False, canary=False)
        canary.record("churn:2", 0.300 if number % 25 == 0 else 0.001, failed=False, canary=True)
    assert canary.withdrawn == ""


def test_a_pointer_to_no_model_is_refused_once_at_the_start(tmp_path):
    (pointer := tmp_path / "pointer").symlink_to(tmp_path / "missing")
    router = TrafficRouter(0.1, service_metrics(), None)
    assert not router.point("canary", SimpleNamespace(version="once:1"), pointer, watch=True)
    router.close()
    assert service_metrics().swaps.labels("refused", "once")._value.get() == 1.0


def test_a_shadow_is_compared_and_logged_and_delays_nothing():
    logged = []
    shadow = Shadow(reloader(), lambda *entry: logged.append(entry), service_metrics())
    shadow.submit(
        RequestOptions(request_id="r1", numbers=(3, 5)),
        [{"a": 1}, {"a": 2}],
        [response("yes"), response("no")],
        "churn:1",
    )
    shadow.close()
    ((request, version, rows, responses, seconds),) = logged
    assert (request.request_id, request.numbers) == ("r1", (3, 5)) and seconds >= 0
    assert (version, len(rows), responses[0].prediction) == ("churn:2", 2, "yes")
    shadow.submit(RequestOptions(), [{"a": 1}], [response("yes")], "churn:1")  # counted as left out
    assert not shadow.waiting


def test_a_shadow_without_a_model_or_with_the_one_in_use_gets_nothing():
    for other in (reloader(named=False), reloader("churn:1")):
        shadow = Shadow(other, None, service_metrics())
        shadow.submit(RequestOptions(), [{"a": 1}], [response("yes")], "churn:1")
        assert not shadow.waiting
        shadow.close()


def test_a_failing_shadow_does_not_affect_responses():
    shadow = Shadow(reloader(prediction=None), None, service_metrics())
    for number in range(3):
        shadow.submit(RequestOptions(request_id=f"r{number}"), [{"a": 1}], [response("yes")], "churn:1")
    wait_for(lambda: not shadow.waiting, 5, "the end of the queue")
    assert shadow.thread.is_alive()
    shadow.close()
    assert not shadow.thread.is_alive()


def test_a_shadow_with_another_number_of_responses_goes_on_with_the_next_request():
    logged = []
    shadow = Shadow(reloader(), lambda *entry: logged.append(entry), service_metrics())
    count = service_metrics().shadowed.labels("failed", "churn:2")
    before = count._value.get()
    for responses in ([response("yes")] * 2, [response("yes")]):  # as of a forecast with another horizon
        shadow.submit(RequestOptions(), [{"a": 1}], responses, "churn:1")
    shadow.close()
    assert len(logged) == 1 and count._value.get() == before + 1
