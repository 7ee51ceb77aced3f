"""Clones share results, objects and runs by a remote store; faults of it cost time and never change a result."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import toys
from in_process import mlnb_in_process
from remote_clones import Clones, output, run, shared_clones, states, stored

from mlnb.engine import remote_link
from mlnb.engine.digests import digest_file
from mlnb.engine.project import Project
from mlnb.engine.remote_link import check_url
from mlnb.engine.test_set_access import count_accesses
from mlnb.engine.tombstones import ErasedFile, Erasure, marker_path
from mlnb.erasure.erasure_journal import erase_remote
from mlnb.errors import MissingExtra, ProjectError, RemoteError, SettingsError
from mlnb.remote import remote_session
from mlnb.remote.entries import object_name
from mlnb.signing import signing_keys
from mlnb.signing.trusted_keys import trust_key


@pytest.fixture
def clones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clones]:
    with shared_clones(tmp_path, monkeypatch) as shared:
        yield shared


def test_a_clone_reuses_what_another_ran_and_pulls_what_is_read(clones: Clones) -> None:
    _, first = clones.first_run()
    keys = [stage.key for stage in first.stages.values()]
    assert all(clones.named(f"/stages/{remote_session.platform_name()}/{key}") for key in keys)
    bob = clones.clone("bob")
    clones.forget()
    plan = mlnb_in_process(bob, "plan")
    assert plan.count(f"reuse   run {first.id} by ana") == 4
    assert len(clones.server.requests) == 2 * 4 and clones.server.count("GET") == 8  # two rounds, nothing is listed
    text, same = run(bob)
    assert f"Nothing to do: run {first.id} by ana is up to date" in text and same.record == first.record
    artifacts = {output.digest for stage in first.stages.values() for output in stage.outputs.values()}
    assert not stored(bob) & artifacts
    assert json.loads(mlnb_in_process(bob, "show", "--artifact", "total")) == {"total": 7.0, "note": "number 3"}
    assert stored(bob) & artifacts == {output(first, "total")}
    text, other = run(bob, "-p", "double.factor", "3")
    assert f"= number: reused, run {first.id} by ana" in text and states(other)["double"] == "finished"
    assert other.load("total") == {"total": 10.0, "note": "number 3"}
    assert stored(bob) & artifacts == {output(first, name) for name in ("number", "note", "total")}  # what was read
    clones.forget()
    run(bob, "-p", "double.factor", "3")
    assert not clones.server.requests  # all is local


def test_runs_of_other_clones_are_listed_shown_and_verified(clones: Clones) -> None:
    _, first = clones.first_run()
    bob = clones.clone("bob")
    listed = mlnb_in_process(bob, "runs", "--remote")
    assert first.id in listed and "ana" in listed
    (record,) = json.loads(mlnb_in_process(bob, "runs", "--remote", "--json"))
    assert record["metrics"] == {"number.number": 3.0} and record["person"] == "ana"
    shown = mlnb_in_process(bob, "show", first.id[-8:], "number")
    assert "one number" in shown and (bob / "runs" / first.id / "notebooks" / "10_number.ipynb").exists()
    assert "0 missing" not in (text := mlnb_in_process(bob, "verify", first.id, code=None)) and "missing" not in text
    for arguments, message in ((("--sort", "number"), "no --sort"), (("--filter", "state=failed"), "no --filter")):
        assert message in mlnb_in_process(bob, "runs", "--remote", *arguments, code=2)
    clones.patch.delenv("MLNB_REMOTE")
    assert "There is no remote store" in mlnb_in_process(bob, "runs", "--remote", code=2)


def test_read_only_mode_writes_nothing(clones: Clones) -> None:
    clones.first_run()
    clones.patch.setenv("MLNB_REMOTE_MODE", "r")
    bob = clones.clone("bob")
    clones.forget()
    text, _ = run(bob, "-p", "double.factor", "3")
    assert "by ana" in text and clones.server.count("PUT") + clones.server.count("POST") == 0
    remote = Project.find(bob).store.remote
    assert remote is not None
    with pytest.raises(RemoteError, match="remote_mode = r"):
        remote.erase(["0" * 64])


def test_a_store_that_cannot_be_used_is_one_warning(clones: Clones) -> None:
    clones.patch.setenv("MLNB_REMOTE_TIMEOUT", "0.2")
    root = clones.clone("ana")
    clones.server.refused = "AccessDenied"
    text, _ = run(root)
    assert text.count("The remote store s3://b/team is not used: access was refused") == 1
    assert len(clones.server.requests) < 10  # those that were sent at once
    clones.server.refused, clones.server.silent = "", True
    text, _ = run(root, "-p", "number", "4")
    assert text.count("is not used") == 1
    clones.server.silent, clones.server.overwrites = False, True
    text, _ = run(root, "-p", "number", "5")
    assert text.count("ignores conditional writes") == 1 and not clones.named("/stages/")
    assert "wrong  writes" in mlnb_in_process(root, "doctor", "--remote", code=2)
    clones.server.overwrites = False
    assert "Nothing is wrong" in mlnb_in_process(root, "doctor", "--remote")
    text, _ = run(root, "-p", "number", "5")  # nothing to do here, and the run is pushed after all
    assert "Nothing to do" in text and len(clones.named("/stages/")) == 4


def test_a_flipped_byte_is_a_miss_and_is_replaced(clones: Clones) -> None:
    _, first = clones.first_run()
    name = next(iter(clones.named(object_name(output(first, "number")))))
    data = clones.objects[name]
    clones.objects[name] = bytes([data[0] ^ 1])
    bob = clones.clone("bob")
    text, second = run(bob, "-p", "double.factor", "3")
    assert "does not match its digest" in text and states(second)["number"] == "finished"
    assert second.load("total") == {"total": 10.0, "note": "number 3"} and clones.objects[name] == data
    carl = clones.clone("carl")
    notebook = Project.find(bob).store.result(str(first.stages["note"].key))
    assert notebook is not None
    del clones.objects[next(iter(clones.named(object_name(notebook.notebook))))]
    text, second = run(carl, "-p", "double.factor", "4")
    assert "is missing in the remote store" in text
    assert (states(second)["note"], states(second)["number"]) == ("finished", "reused")


def test_cut_connections_change_no_byte(clones: Clones) -> None:
    _, first = clones.first_run()
    clones.server.cut = 0.4
    bob = clones.clone("bob")
    text, second = run(bob, "-p", "double.factor", "3")
    assert "is not used" not in text and "by ana" in text
    clones.server.cut = 0.0
    assert {output(second, name) for name in ("number", "note")} == {output(first, name) for name in ("number", "note")}
    assert Project.find(bob).store.fetch_outputs({name: second.require_output(name) for name in ("number", "total")})
    assert "by bob" in mlnb_in_process(clones.clone("carl"), "plan", "-p", "double.factor", "3")


def test_results_of_another_platform_are_a_miss_unless_they_are_allowed(clones: Clones) -> None:
    clones.patch.setattr(remote_session, "platform_name", lambda: "Linux-x86_64-other-1")
    run(clones.clone("ana"))
    clones.patch.setattr(remote_session, "platform_name", lambda: "Linux-x86_64-own-2")
    bob = clones.clone("bob")
    assert "by ana" not in mlnb_in_process(bob, "plan")
    clones.patch.setenv("MLNB_REMOTE_PLATFORMS", "Linux-x86_64-third-3 Linux-x86_64-other-1")
    assert mlnb_in_process(bob, "plan").count("by ana") == 4


def test_a_second_writer_with_other_bytes_is_warned_about(clones: Clones) -> None:
    random = 'import os\nstage.save("double", os.urandom(4).hex())'
    for person in ("ana", "bob"):
        root = clones.clone(person)
        toys.edit(root, "20_double", 'stage.save("double", factor * stage.load("number"))', random)
        text, second = run(root, "--force", "--upto", "double")
    assert "has made other bytes of double than run" in text and "by ana" in text and "not deterministic" in text
    (entry,) = clones.named(str(second.stages["double"].key)).values()
    assert b"signatures" in entry
    assert "number" not in text.partition("other bytes of ")[2].partition(" than ")[0]


def test_entries_are_signed_and_others_are_not_used(clones: Clones, tmp_path: Path) -> None:
    clones.patch.setenv("MLNB_CONFIG", str(tmp_path / "config"))
    clones.first_run()  # without a key
    bob = clones.clone("bob")
    trust_key(Project.find(bob), signing_keys.create_key().public, "ana", "author")
    text = mlnb_in_process(bob, "plan")
    assert "is unsigned; expected a trusted signature" in text and "by ana" not in text
    run(bob)  # replaces them, signed
    carl = clones.clone("carl")
    (carl / "trusted_keys.json").write_bytes((bob / "trusted_keys.json").read_bytes())
    assert mlnb_in_process(carl, "plan").count("by bob") == 4
    for name, data in clones.named("/stages/").items():
        clones.objects[name] = data.replace(b'"sig":"', b'"sig":"AA', 1)
    (dora := clones.clone("dora") / "trusted_keys.json").write_bytes((bob / "trusted_keys.json").read_bytes())
    assert "signature does not match" in mlnb_in_process(dora.parent, "plan")


def test_what_was_erased_is_never_pulled_nor_pushed_again(clones: Clones) -> None:
    ana, first = clones.first_run()
    digest = output(first, "number")
    bob = clones.clone("bob")
    run(bob)
    marker = marker_path(bob / ".mlnb", digest)
    marker.parent.mkdir(parents=True)
    marker.touch()
    assert not Project.find(bob).store.fetch([digest]) and digest not in stored(bob)
    remote = Project.find(ana).store.remote
    assert remote is not None
    remote.erase([digest])
    assert not clones.named(object_name(digest)) and clones.named(f"erased/{digest}")
    text, _ = run(clones.clone("carl"), "--force", "--only", "number")
    assert f"object {digest[:12]} was erased" in text and not clones.named(object_name(digest))


def test_another_remote_store_gets_what_is_here(clones: Clones) -> None:
    _, first = clones.first_run()
    bob = clones.clone("bob")
    run(bob)  # pulls the run without its artifacts
    clones.patch.setenv("MLNB_REMOTE", "s3://b/other")
    text, _ = run(bob, "-p", "double.factor", "3")
    assert "is not used" not in text and len(clones.named("other/stages/")) == 4  # what it has read, or run
    before = len(clones.objects)
    assert "deleted" in mlnb_in_process(bob, "clean", "--runs", "0") and len(clones.objects) == before
    assert not list((bob / ".mlnb" / "remote").glob("*/stages/*"))
    assert clones.named("other/runs/") and first.id not in "".join(clones.named("other/runs/"))


def test_an_erasure_deletes_from_the_remote_store(clones: Clones) -> None:
    ana, first = clones.first_run()
    project, report = Project.find(ana), digest_file(ana / "runs" / first.id / "run.json")
    changed = ErasedFile(path=f"runs/{first.id}/run.json", before=report)
    erasure = Erasure(id="e", when="", who="", reason="", objects=(output(first, "number"),), files=(changed,))
    for digest in (report, output(first, "number")):
        assert clones.named(object_name(digest))
    clones.patch.setenv("MLNB_REMOTE_MODE", "r")
    with pytest.raises(ProjectError, match=r"the remote store may have them still.*mlnb erase --resume"):
        erase_remote(Project.find(ana), erasure)
    erase_remote(project, erasure)
    for digest in (report, output(first, "number")):
        assert not clones.named(object_name(digest)) and clones.named(f"erased/{digest}")
    erase_remote(project.with_settings(remote=""), erasure)


def test_accesses_to_test_sets_by_other_clones_count(clones: Clones) -> None:
    for person in ("ana", "bob"):
        root = clones.clone(person)
        toys.edit(root, "20_double", "the number times the factor", "held-out number")
        _, latest = run(root)
    digest = output(latest, "double")
    assert count_accesses(root / ".mlnb", digest) == 1 and latest.record.pipeline == "train"
    assert (root / ".mlnb" / "test_set_accesses" / digest / latest.id).exists()  # of ana, whose run it is
    assert "was deleted" not in mlnb_in_process(root, "verify", latest.id, code=None)


def test_an_interruption_while_a_run_is_pushed_is_no_failure(clones: Clones) -> None:
    def interrupted(link: remote_link.RemoteLink, *arguments: object) -> int:
        raise KeyboardInterrupt

    root = clones.clone("ana")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(remote_link.RemoteLink, "share", interrupted)
        text, first = run(root, "--upto", "number")
    assert f"Run {first.id} is not pushed completely" in text and states(first)["number"] == "finished"
    assert not clones.named("/runs/")
    run(root, "--upto", "number")
    assert clones.named(f"/runs/{first.id}")


def test_a_missing_client_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_link, "find_spec", lambda name: None)
    monkeypatch.setenv("MLNB_REMOTE", "s3://b")
    with pytest.raises(MissingExtra, match=r"pip install 'mlnb\[remote\]'"):
        _ = Project.find(toys.chain(tmp_path)).store


def test_a_url_of_another_kind_is_refused() -> None:
    for url in ("http://host/x", "s3://", "file://folder", "bucket"):
        with pytest.raises(SettingsError, match="expected s3://BUCKET"):
            check_url(url)
    for url in ("s3://b", "gs://b/p", "az://c/p", "file:///srv/share"):
        check_url(url)
