"""The models that options select for one bento, without a registry."""

import argparse
from pathlib import Path
from types import SimpleNamespace

import pytest

from mlnb.cli import selected_bento as module
from mlnb.cli.selected_bento import add_options, build_selected, find_models, selection_words, serves_several
from mlnb.errors import StoreCorrupted, UsageError


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
    monkeypatch.setattr(module, "select_models", lambda registry, filters: versions)
    segments = {one.run: one.metadata.segment for one in versions}
    monkeypatch.setattr(module, "find_packaged_run", lambda project, run: run)
    monkeypatch.setattr(
        module.PackagedModel, "of", lambda run: SimpleNamespace(bundle=package(run), segment=segments[run])
    )
    return SimpleNamespace(runs=tmp_path)


ERASED = set()  # runs whose service was erased


def package(run):
    if run in ERASED:
        raise StoreCorrupted("was erased on 2026-05-03 by ann: request")
    return run


@pytest.fixture
def erased():
    yield ERASED
    ERASED.clear()


def runs(selected):
    return [model.bundle for model in selected.models]


def test_models_without_a_run_here_are_left_out(project):
    selected = find_models(project, parse("--all"))
    assert runs(selected) == ["run-churn", "run-churn.rome", "run-other"]
    assert [line.partition(":1 is left out: its run")[0] for line in selected.omitted] == ["churn.oslo"]
    with pytest.raises(UsageError, match=r"None of the selected models can be served\. churn.oslo:1: its run"):
        find_models(project, parse("--segment", "Oslo"))


def test_a_model_whose_rows_were_erased_does_not_keep_the_others_from_being_served(project, erased):
    erased.add("run-churn.rome")
    selected = find_models(project, parse("--all", "--fallback"))
    assert runs(selected) == ["run-churn", "run-other"] and selected.fallback
    assert "churn.rome:1 is left out: was erased on 2026-05-03 by ann: request" in selected.omitted
    erased |= {"run-churn", "run-other"}
    with pytest.raises(StoreCorrupted, match=r"None of the selected models can be served\. churn:1: was erased"):
        find_models(project, parse("--all"))


def test_an_erased_fallback_leaves_the_models_of_segments(project, erased):
    erased.add("run-churn")
    selected = find_models(project, parse("--segment", "Rome", "--fallback"))
    assert runs(selected) == ["run-churn.rome"] and not selected.fallback
    assert "There is no fallback" in selected.omitted[-1]


def test_a_fallback_that_no_model_can_be_is_not_dropped_for_the_error_of_another_model(project, monkeypatch):
    segments = [version("churn.rome", "Rome"), version("churn.oslo", "Oslo")]
    for name in ("selected_models", "select_models"):
        monkeypatch.setattr(module, name, lambda registry, args: segments)
    selected = find_models(project, parse("--all", "--fallback"))
    assert selected.fallback and len(selected.omitted) == 1  # `make_catalog` refuses it, as without an error


def test_the_fallback_adds_the_model_of_all_rows_with_the_same_name(project):
    assert runs(find_models(project, parse("--segment", "Rome"))) == ["run-churn.rome"]
    assert runs(find_models(project, parse("--segment", "Rome", "--fallback"))) == ["run-churn.rome", "run-churn"]


def test_options_that_contradict_each_other_are_refused():
    assert serves_several(parse("--all")) and not serves_several(parse("run-1"))
    with pytest.raises(UsageError, match="--all, --name or --segment"):
        serves_several(parse("--fallback"))
    with pytest.raises(UsageError, match="names one version"):
        serves_several(parse("run-1", "--all"))


def test_the_next_command_has_the_same_selection():
    words = ["--all", "--name", "churn*", "--segment", "Ro me", "--fallback", "--canary", "@next", "--share", "0.2"]
    assert selection_words(parse(*words)) == words and selection_words(parse()) == []
    assert selection_words(parse("--name", "churn*"), "--models") == ["--models", "churn*"]


def test_one_bento_is_built_of_several_models(project, monkeypatch, tmp_path):
    source = SimpleNamespace(name="shop-models", version="0123", model_version="")
    monkeypatch.setattr(module, "make_multi_model_bundle", lambda folder, models, project, *options: source)
    monkeypatch.setattr(module, "build_bento", lambda source: SimpleNamespace(path=Path("/store"), tag="shop-models:1"))
    selected = build_selected(project, parse("--all"))
    assert (selected.source.tag, selected.run, selected.origin) == ("shop-models:0123", "", "3 models")
    assert selected.source.folder == Path("/store/src")


def test_canary_and_shadow_are_aliases_of_several_models(project, monkeypatch, capsys):
    def assign(project, models, aliases):
        return [*models], [f"{alias} as {role}" for role, alias in aliases.items()]

    monkeypatch.setattr(module, "assign_roles", assign)
    args = parse("--all", "--canary", "@next", "--shadow", "@later", "--share", "0.3")
    selected = module.add_roles(project, find_models(project, args), args)
    assert selected.omitted[-2:] == ("next as canary", "later as shadow") and selected.share == 0.3
    with pytest.raises(UsageError, match="--canary is 'churn:2'; expected an alias"):
        build_selected(project, parse("--all", "--canary", "churn:2"))
    with pytest.raises(UsageError, match="need several models"):
        build_selected(project, parse("--canary", "@next"))
    with pytest.raises(UsageError, match=r"--share is 0\.6; expected above 0 and at most 0\.5"):
        build_selected(project, parse("--all", "--canary", "@next", "--share", "0.6"))
    with pytest.raises(UsageError, match=r"--share is 0\.3, and there is no canary; add --canary"):
        build_selected(project, parse("--all", "--share", "0.3"))
