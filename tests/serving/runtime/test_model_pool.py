"""The models of a service: which are loaded, unloaded and replaced, and what a catalog that is wrong changes."""

import json
import threading
import weakref

import pytest
from model_catalogs import copy_model, write_catalog
from small_models import make_model

from mlnb.errors import SchemaError
from mlnb.serving.runtime import model_pool as module
from mlnb.serving.runtime import model_slots
from mlnb.serving.runtime.endpoint_resources import EndpointResources
from mlnb.serving.runtime.model_catalog import CATALOG
from mlnb.serving.runtime.model_pool import ModelPool, ModelUnavailable
from mlnb.settings import ServiceSettings

MEGABYTE = 2**20


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("pool") / "linear", "linear")


@pytest.fixture
def make(tmp_path, source):
    """Return a function that makes a pool of models a, b, c ...; of the memory that its settings state."""
    pools = []

    def make_pool(names="abc", **environment):
        folders = {name: copy_model(source, tmp_path / name, f"{name}:1") for name in names}
        settings = ServiceSettings(environment=environment)
        pool = ModelPool(write_catalog(tmp_path, folders), settings, EndpointResources(settings), follow=True)
        pools.append(pool)
        return pool

    yield make_pool
    for pool in pools:
        pool.close()
        pool.resources.close()


def fake_memory(monkeypatch):
    """Make each model take 20 MB, by its files alone."""
    monkeypatch.setattr(model_slots, "file_bytes", lambda folder: 20 * MEGABYTE)
    monkeypatch.setattr(model_slots, "FILE_FACTOR", 1.0)
    for one in (module, model_slots):
        monkeypatch.setattr(one, "resident_bytes", lambda: 0)


def loaded(pool):
    return "".join(name for name, slot in pool.slots.items() if slot.endpoint is not None)


def count(pool, result, model):
    return pool.resources.metrics.loads.labels(result, model)._value.get()


def test_the_least_recently_used_models_are_unloaded_within_the_limit(make, monkeypatch):
    pool = make("abcd", MLNB_MODELS_MEMORY="64")
    fake_memory(monkeypatch)
    for name in "abc":
        pool.load(pool.slots[name])
    assert loaded(pool) == "abc"
    first = pool.load(pool.slots["a"])  # b was not used for longest now
    evicted = weakref.ref(pool.slots["b"].endpoint)
    before = count(pool, "evicted", "b")
    pool.load(pool.slots["d"])
    assert loaded(pool) == "acd" and pool.slots["a"].endpoint is first
    assert count(pool, "evicted", "b") == before + 1
    assert pool.resources.metrics.models._value.get() == 3
    assert pool.resources.metrics.models_bytes._value.get() == 60 * MEGABYTE
    assert evicted() is None  # without a collection of cycles
    pool.load(pool.slots["b"])
    assert loaded(pool) == "abd"


def test_a_model_that_is_larger_than_the_limit_is_loaded_alone(make, monkeypatch):
    pool = make("ab", MLNB_MODELS_MEMORY="1")
    measured = iter(range(0, 900 * MEGABYTE, 9 * MEGABYTE))
    monkeypatch.setattr(module, "resident_bytes", measured.__next__)
    monkeypatch.setattr(model_slots, "resident_bytes", measured.__next__)
    pool.load(pool.slots["a"])
    pool.load(pool.slots["b"])
    assert loaded(pool) == "b" and pool.slots["b"].size == 9 * MEGABYTE


def test_threads_load_a_model_once(make):
    pool = make("a")
    before, results = count(pool, "loaded", "a"), []
    threads = [threading.Thread(target=lambda: results.append(pool.load(pool.slots["a"]))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, results))) == 1 and count(pool, "loaded", "a") == before + 1


def test_a_model_that_failed_is_tried_again_after_a_while(make, tmp_path, monkeypatch):
    pool = make("a")
    version = tmp_path / "a" / "version.txt"
    text = version.read_text()
    version.unlink()
    with pytest.raises(ModelUnavailable, match="model a cannot be loaded"):
        pool.load(pool.slots["a"])
    version.write_text(text)
    with pytest.raises(ModelUnavailable):
        pool.load(pool.slots["a"])
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.0)
    assert pool.load(pool.slots["a"]).reloader.current.version == "a:1" and not pool.slots["a"].failure


def test_a_changed_catalog_replaces_adds_and_removes_models(make, tmp_path, source):
    pool = make("abc")
    changes = []
    pool.on_change = lambda: changes.append(sorted(pool.slots))
    first = pool.load(pool.slots["a"])
    pool.load(pool.slots["b"])
    folders = {name: tmp_path / name for name in "ac"}
    folders["a"] = copy_model(source, tmp_path / "a2", "a:2")
    folders["d"] = copy_model(source, tmp_path / "d", "d:1")
    write_catalog(tmp_path, folders)
    assert pool.refresh() and not pool.refresh() and changes == [["a", "c", "d"]]
    assert pool.slots["a"].endpoint is first and first.reloader.current.version == "a:2"  # requests never wait for it
    assert loaded(pool) == "a" and pool.load(pool.slots["d"]).reloader.current.version == "d:1"


def test_a_new_version_that_fails_its_checks_leaves_the_old_one_in_use(make, tmp_path, source, monkeypatch):
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.0)
    pool = make("ab")
    bad = copy_model(source, tmp_path / "bad", "a:2")
    golden = json.loads((bad / "golden.json").read_text())
    golden["predictions"][0]["prediction"] = "other"
    (bad / "golden.json").write_text(json.dumps(golden))
    endpoint = pool.load(pool.slots["a"])
    write_catalog(tmp_path, {"a": bad, "b": bad})
    assert pool.refresh() and endpoint.reloader.current.version == "a:1"
    pool._unload(pool.slots["a"], "evicted")
    assert pool.load(pool.slots["a"]).reloader.current.version == "a:1"  # the last one that passed its checks
    with pytest.raises(ModelUnavailable, match="predictions of its notebook"):
        pool.load(pool.slots["b"])  # it was not loaded before
    assert pool.slots["b"].state == "failed" and pool.slots["a"].state == "loaded"


def test_a_catalog_that_is_wrong_changes_nothing(make, tmp_path):
    pool = make("ab")
    slots = pool.slots
    for text in ("{", '{"schema": "model-catalog/9"}'):
        (tmp_path / CATALOG).write_text(text)
        assert not pool.refresh() and pool.slots is slots
    (tmp_path / CATALOG).unlink()
    assert not pool.refresh() and pool.slots is slots
    with pytest.raises((OSError, SchemaError)):
        ModelPool(tmp_path / CATALOG, ServiceSettings(environment={}), pool.resources, follow=True)


def test_logs_of_models_that_are_not_loaded_are_closed_after_a_while(make, tmp_path, monkeypatch):
    monkeypatch.setattr("mlnb.serving.runtime.prediction_log.find_spec", lambda name: None)
    pool = make("ab", MLNB_LOG=str(tmp_path / "log"))
    for slot in pool.slots.values():
        pool.load(slot)
    pool._unload(pool.slots["b"], "evicted")
    pool._close_logs()
    assert sorted(pool.logs) == ["a", "b"]  # requests in progress may still be logged
    monkeypatch.setattr(module, "LOG_SECONDS", -1.0)
    pool._close_logs()
    assert sorted(pool.logs) == ["a"]
    pool.load(pool.slots["b"])
    assert sorted(pool.logs) == ["a", "b"]


def test_canary_and_shadow_are_loaded_counted_and_unloaded_with_their_model(make, tmp_path, source, monkeypatch):
    fake_memory(monkeypatch)
    pool = make("abc", MLNB_MODELS_MEMORY="90")
    folders = {name: tmp_path / name for name in "abc"}
    roles = {"canary": copy_model(source, tmp_path / "a2", "a:2"), "shadow": copy_model(source, tmp_path / "a3", "a:3")}
    for name in "abc":
        pool.load(pool.slots[name])
    slot = pool.slots["a"]
    endpoint = pool.load(slot)
    write_catalog(tmp_path, folders, routes={"a": {**roles, "share": 0.5}})
    assert pool.refresh() and slot.endpoint is endpoint  # requests never wait for canary and shadow
    assert slot.size == 60 * MEGABYTE and loaded(pool) == "ac"  # 80 MB of the two: b does not fit
    assert pool.resources.metrics.models_bytes._value.get() == 80 * MEGABYTE
    canary, shadow = endpoint.router.canary, endpoint.router.shadow
    assert (canary.reloader.current.version, canary.share, shadow.reloader.current.version) == ("a:2", 0.5, "a:3")
    canary.withdrawn = "a:2"
    pool._unload(slot, "evicted")
    shadow.thread.join(5.0)
    assert not shadow.thread.is_alive()
    again = pool.load(slot).router
    assert again is not endpoint.router and again.withdrawn == "a:2"  # it does not fail fifty requests again
    write_catalog(tmp_path, folders, routes={"a": {**roles, "canary": roles["shadow"]}})
    assert pool.refresh() and again.canary.reloader.current.version == "a:3"  # another canary, in the same endpoint
    assert any(again.canary.choose(f"{number}", slot.endpoint.reloader.current) for number in range(40))
    again.canary.withdrawn = "a:3"
    write_catalog(tmp_path, folders, routes={"a": {**roles, "canary": roles["shadow"], "share": 0.2}})
    assert pool.refresh() and again.withdrawn == "a:3"  # another share is no other attempt
    write_catalog(tmp_path, folders, routes={"a": {"canary": roles["canary"]}})
    ending = again.shadow
    assert pool.refresh() and again.shadow is None and ending.ending and slot.size == 40 * MEGABYTE
    write_catalog(tmp_path, {**folders, "a": roles["canary"]})  # it is promoted
    assert pool.refresh() and again.canary is None and slot.endpoint.reloader.current.version == "a:2"
    assert slot.size == 20 * MEGABYTE


def test_a_canary_that_fails_its_checks_leaves_its_model_alone(make, tmp_path, source):
    pool = make("a")
    bad = copy_model(source, tmp_path / "bad", "a:2")
    (bad / "golden.json").write_text(
        (bad / "golden.json").read_text().replace('"prediction": "no"', '"prediction": "yes"', 1)
    )
    swaps = pool.resources.metrics.swaps.labels("refused", "a")
    before = swaps._value.get()
    write_catalog(tmp_path, {"a": tmp_path / "a"}, routes={"a": {"canary": bad, "shadow": tmp_path / "missing"}})
    assert pool.refresh()
    endpoint = pool.load(pool.slots["a"])
    assert swaps._value.get() == before + 1 and not endpoint.router.canary.reloader.named
    assert endpoint.reloader.current.version == "a:1" and set(pool.slots["a"].sizes) == {"model"}
