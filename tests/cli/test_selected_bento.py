"""The models that options select for one bento, without a registry."""

import argparse
from pathlib import Path
from types import SimpleNamespace

import pytest

from mlnb.cli import selected_bento as module
from mlnb.cli.selected_bento import add_options, build_selected, find_models, selection_words, serves_several
from mlnb.errors import UsageError


def parse(*words):
    parser = argparse.ArgumentParser()
    add_options(parser)
    return parser.parse_args(words)


def version(model, segment=""):
    return SimpleNamespace(
        model=model, name=f"{model}:1", run=f"run-{model}", metadata=SimpleNamespace(segment=segment)
    )


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with runs of three models; that of Oslo is elsewhere."""
    versions = [version("churn"), version("churn.rome", "Rome"), version("churn.oslo", "Oslo"), version("other")]
    for one in versions:
        if one.model != "churn.oslo":
            (tmp_path / one.run).mkdir()
    monkeypatch.setattr(module, "Registry", lambda project: SimpleNamespace(sync=lambda: None))
    monkeypatch.setattr(
        module,
        "selected_models",
        lambda registry, args: [one for one in versions if not args.segment or one.metadata.segment == args.segment],
    )
    monkeypatch.setattr(module, "find_packaged_run", lambda project, run: run)
    monkeypatch.setattr(module.PackagedModel, "of", lambda run: run)
    return SimpleNamespace(runs=tmp_path)


def test_models_without_a_run_here_are_left_out(project, capsys):
    assert find_models(project, parse("--all")) == ["run-churn", "run-churn.rome", "run-other"]
    assert "churn.oslo:1 is left out" in capsys.readouterr().err
    with pytest.raises(UsageError, match="No run of the selected models"):
        find_models(project, parse("--segment", "Oslo"))


def test_the_fallback_adds_the_model_of_all_rows_with_the_same_name(project):
    assert find_models(project, parse("--segment", "Rome")) == ["run-churn.rome"]
    assert find_models(project, parse("--segment", "Rome", "--fallback")) == ["run-churn.rome", "run-churn"]


def test_options_that_contradict_each_other_are_refused():
    assert serves_several(parse("--all")) and not serves_several(parse("run-1"))
    with pytest.raises(UsageError, match="--all, --name or --segment"):
        serves_several(parse("--fallback"))
    with pytest.raises(UsageError, match="names one version"):
        serves_several(parse("run-1", "--all"))


def test_the_next_command_has_the_same_selection():
    words = ["--all", "--name", "churn*", "--segment", "Ro me", "--fallback"]
    assert selection_words(parse(*words)) == words and selection_words(parse()) == []
    assert selection_words(parse("--name", "churn*"), "--models") == ["--models", "churn*"]


def test_one_bento_is_built_of_several_models(project, monkeypatch, tmp_path):
    source = SimpleNamespace(name="shop-models", version="0123", model_version="")
    monkeypatch.setattr(module, "make_multi_model_bundle", lambda folder, models, project, fallback: source)
    monkeypatch.setattr(module, "build_bento", lambda source: SimpleNamespace(path=Path("/store"), tag="shop-models:1"))
    selected = build_selected(project, parse("--all"))
    assert (selected.source.tag, selected.run, selected.origin) == ("shop-models:0123", "", "3 models")
    assert selected.source.folder == Path("/store/src")
