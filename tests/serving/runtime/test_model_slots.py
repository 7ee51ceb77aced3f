"""A model of a service of several: what it takes, before and after it was measured."""

import mmap

from mlnb.serving.runtime import model_slots as module
from mlnb.serving.runtime.model_catalog import ServedModel
from mlnb.serving.runtime.model_slots import ModelSlot

MEGABYTE = 2**20


def test_memory_is_measured():
    before = module.resident_bytes()
    with mmap.mmap(-1, 16 * MEGABYTE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as block:  # not freed memory again
        block[:: mmap.PAGESIZE] = b"x" * (len(block) // mmap.PAGESIZE)
        assert module.resident_bytes() - before > 8 * MEGABYTE or not before
    module.return_memory()


def test_the_size_of_a_slot_is_that_of_its_models(tmp_path, monkeypatch):
    for name, size in (("own", 10), ("next", 100)):
        (tmp_path / name / "model").mkdir(parents=True)
        (tmp_path / name / "model" / "fitted").write_bytes(b"x" * size)
    slot = ModelSlot(ServedModel(name="a", folder="own", canary="next"), tmp_path)
    assert slot.size == 0 and slot.expected_size() == 330 and slot.pointers["shadow"] is None
    resident = iter([25, 50])
    monkeypatch.setattr(module, "resident_bytes", lambda: next(resident))
    slot.measure("model", slot.folder, 0)
    assert slot.size == 25 and slot.expected_size() == 325
    slot.measure("canary", slot.pointers["canary"], 0)
    assert slot.size == 125 and slot.expected_size() == 125
    slot.measure("canary", None, 0)
    assert slot.size == 25
