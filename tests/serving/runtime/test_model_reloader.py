"""A model is replaced under load, or the new one is refused and the old one stays."""

import json
import shutil

import pytest

from mlnb.errors import SettingsError
from mlnb.serving.runtime.model_reloader import LoadedModel, ModelReloader, find_model
from mlnb.serving.runtime.row_protection import RowProtection


@pytest.fixture(scope="module")
def bundles(material, tmp_path_factory):
    """The bundles of two fits of the same problem."""
    folder = tmp_path_factory.mktemp("bundles")
    return material().bundle(folder / "one").folder, material("linear").bundle(folder / "other", name="other").folder


@pytest.fixture
def models(bundles, tmp_path):
    """Model folders: the one in use, another fit of the same problem, and ways to be wrong."""
    one, other = (shutil.copytree(bundle, tmp_path / bundle.name) / "model" for bundle in bundles)

    def spoiled(name, file, change):
        folder = tmp_path / name
        shutil.copytree(other, folder)
        value = json.loads((folder / file).read_text())
        change(value)
        (folder / file).write_text(json.dumps(value))
        (folder / "version.txt").write_text(f"{name}:1\n")
        return folder

    return one, other, spoiled


class Calls:
    """Records the calls that a service counts."""

    def __init__(self):
        self.switches, self.refusals = [], 0

    def switched(self, old, new):
        self.switches.append((old, new))

    def refused(self, current):
        self.refusals += bool(current)


def follow(own, pointer):
    calls = Calls()
    return ModelReloader(LoadedModel.load(own), pointer, calls.switched, calls.refused), calls


def test_without_a_pointer_the_packaged_model_predicts(models, tmp_path):
    reloader, calls = follow(models[0], None)
    assert not reloader.check()
    reloader, calls = follow(models[0], tmp_path / "nothing there yet")
    assert not reloader.check()
    assert calls.refusals == 0 and calls.switches == [("", reloader.current.version)]


@pytest.mark.parametrize("form", ["text", "link", "bundle"])
def test_a_pointer_is_followed_there_and_back(models, tmp_path, form):
    one, other, _ = models
    pointer = tmp_path / "pointer"

    def point(folder):
        pointer.unlink(missing_ok=True)
        if form == "text":
            pointer.write_text(f"{folder}\n")
        else:
            pointer.symlink_to(folder.parent if form == "bundle" else folder)

    reloader, calls = follow(one, pointer)
    first = reloader.current
    point(other)
    assert reloader.check()
    assert reloader.current.version == LoadedModel.load(other).version != first.version
    assert not reloader.check()
    assert first.predictor.replay() is None  # who still answers with the old model can
    point(one)
    assert reloader.check()
    assert [new for _, new in calls.switches] == [first.version, LoadedModel.load(other).version, first.version]


def change_task(contract):
    contract["task"] = "multiclass"


def change_golden(golden):
    golden["predictions"][3]["probabilities"]["yes"] += 1e-12


def drop_column(schema):
    schema["columns"] = [column for column in schema["columns"] if column["name"] != "note"]


@pytest.mark.parametrize(
    ("name", "file", "change", "message"),
    [
        ("task", "contract.json", change_task, "found task 'multiclass', expected 'binary'"),
        ("golden", "golden.json", change_golden, "does not give the predictions of its notebook: row 3, prob"),
        ("column", "schema.json", drop_column, ""),
    ],
)
def test_a_bad_model_is_refused_with_a_reason(models, tmp_path, caplog, name, file, change, message):
    one, other, spoiled = models
    pointer = tmp_path / "pointer"
    pointer.write_text(str(spoiled(name, file, change)))
    reloader, calls = follow(one, pointer)
    with caplog.at_level("ERROR", "mlnb.serving"):
        assert not reloader.check()
    assert reloader.current.version == LoadedModel.load(one).version
    assert (calls.refusals, len(calls.switches)) == (1, 1)
    record = caplog.records[-1]
    assert record.getMessage() == "model refused"
    assert message in str(record.exc_info)
    assert not reloader.check() and calls.refusals == 1  # it is not tried again until it changes
    assert not reloader.named
    pointer.write_text(str(other))
    assert reloader.check() and reloader.named


def test_a_model_that_needs_another_key_is_refused(models, tmp_path, monkeypatch):
    pointer = tmp_path / "pointer"
    pointer.write_text(str(models[1]))
    reloader, calls = follow(models[0], pointer)  # as a canary begins with the model in use

    def other_key(self):
        raise SettingsError("MLNB_PERSONAL_KEY is another key than that of training")

    monkeypatch.setattr(RowProtection, "check_key", other_key)
    assert not reloader.check() and calls.refusals == 1
    pointer.write_text(str(models[0]))
    assert not reloader.check() and reloader.named  # it names the model in use


def test_an_invalid_pointer_is_refused(models, tmp_path):
    pointer = tmp_path / "pointer"
    reloader, calls = follow(models[0], pointer)
    for content in ("", "/nowhere", "\0"):
        pointer.write_text(content)
        assert not reloader.check()
    assert calls.refusals == 3
    with pytest.raises(OSError):
        find_model(pointer.with_name("dangling")) or pointer.with_name("x").symlink_to("y") or find_model(
            pointer.with_name("x")
        )
