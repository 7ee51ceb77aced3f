"""What the endpoints of a process share: request ids, threads, and refusals of what is too much."""

import asyncio
import time

import pytest

from mlnb.serving.runtime import endpoint_resources as module
from mlnb.serving.runtime.endpoint_resources import EndpointResources
from mlnb.serving.runtime.http_messages import Reply
from mlnb.settings import ServiceSettings


@pytest.fixture
def resources():
    created = EndpointResources(ServiceSettings(environment={}))
    yield created
    created.close()


def test_work_in_a_thread_is_limited_in_number_and_time(resources, monkeypatch):
    def respond(seconds=0.0):
        work = lambda deadline: time.sleep(seconds) or Reply(200, b"[]", "a:1")  # noqa: E731
        return asyncio.run(resources.respond_in_thread(work, "a:1")).status

    assert respond() == 200 and resources.pending == 0
    resources.pending = module.WAITING + module.THREADS
    assert respond() == 503
    resources.pending = 0
    monkeypatch.setattr(module, "SECONDS", 0.01)
    assert respond(0.1) == 504 and resources.pending == 0


def test_ids_of_requests_are_kept_where_a_header_can_hold_them(resources):
    assert resources.request_id({b"x-request-id": b"mine"}) == b"mine"
    new = {resources.request_id({b"x-request-id": text}) for text in (b"", b"\xff", b"a\x00", b"x" * 200)}
    assert len(new) == 4 and b"" not in new


def test_a_response_of_several_models_counts_for_each(resources):
    def count(version):
        return resources.metrics.requests.labels("200", version)._value.get()

    before = count("a:1"), count("b:1")
    resources.count_request(Reply(200, b"[]", "a:1, b:1"), b"id", 0.1)
    assert (count("a:1"), count("b:1")) == (before[0] + 1, before[1] + 1)
