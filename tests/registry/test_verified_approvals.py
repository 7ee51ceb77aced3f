"""Approvals count by verified key: spoofed actors, authors, other roles, and keys that do not count are refused."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from example_run import Example
from signing_people import People
from verified_runs import make_verified_run

from mlnb.codec import replace
from mlnb.engine.files import write_whole
from mlnb.engine.runs import Run, now, open_run
from mlnb.errors import AccessDenied, GateFailed, UsageError
from mlnb.governance.checks import Check, CheckState, SignaturePolicy, passed
from mlnb.governance.registry_verification import open_registry, verify_registry
from mlnb.machine import user_name
from mlnb.registry import audit_log
from mlnb.registry.database import APPROVALS, writing
from mlnb.registry.known_head import head_path
from mlnb.registry.registry import Registry
from mlnb.registry.verified_approvals import Approval, verified_people
from mlnb.signing.envelopes import IN_TOTO, MANIFEST, make_envelope
from mlnb.signing.signing_keys import find_key
from mlnb.signing.trusted_keys import keys_path, read_trusted_keys, revoke_key


@pytest.fixture(scope="module")
def verified(tmp_path_factory: pytest.TempPathFactory, example: Example) -> Run:
    """A run with a verified bento, which no registry has."""
    project = example.make_project(tmp_path_factory.mktemp("approvals"))
    run: Run = make_verified_run(project, example, 1)
    shutil.copy(run.folder / "run.json", run.folder / "copy.json")
    return run


@pytest.fixture
def people(verified: Run, monkeypatch: pytest.MonkeyPatch) -> Iterator[People]:
    yield People(verified.project, monkeypatch)
    shutil.copy(verified.folder / "copy.json", verified.folder / "run.json")
    for path in (keys_path(verified.project), head_path(verified.project), verified.project.store_root / "registry.db"):
        path.unlink(missing_ok=True)


def opened(people: People, needed: int = 1) -> Registry:
    """Return the registry for the person who acts."""
    return Registry(people.project.with_settings(approvals=needed))


def approvals(people: People) -> tuple[Approval, ...]:
    return next(iter(opened(people).approvals().values()), ())


def problem(people: People) -> str:
    return approvals(people)[-1].problem


def checks(people: People, needed: int = 1, strict: bool = False) -> dict[str, Check]:
    """Return the results of verifying approvals and promotions."""
    project = people.project.with_settings(approvals=needed)
    contents = open_registry(project)
    assert contents is not None
    policy = SignaturePolicy(read_trusted_keys(keys_path(project)), strict)
    return {
        check.subject: check
        for check in verify_registry(contents, policy)
        if check.subject.startswith(("approval", "promotion"))
    }


@pytest.fixture
def registered(people: People, verified: Run) -> People:
    """A version whose run ann has started with her key, and CI has registered."""
    people.trust("ann", "author")
    people.trust("bob", "approver")
    people.trust("cleo", "approver")
    people.trust("ci", "ci")
    people.act("ann")
    write_whole(verified.folder / MANIFEST, make_envelope(IN_TOTO, b"{}", find_key()))
    people.act("ci", "nightly")
    opened(people).register(verified)
    return people


def test_an_approval_of_another_person_counts_by_the_key(registered: People) -> None:
    registered.act("bob")
    entry = opened(registered).approve("1", "report read")
    assert entry.who == "bob" and set(entry.evidence.documents) == {"card", "technical_documentation"}
    (approval,) = approvals(registered)
    assert approval.verified and (approval.who, approval.role) == ("bob", "approver")
    assert verified_people(approvals(registered)) == ("bob",)
    with pytest.raises(UsageError, match="bob has approved"):
        opened(registered).approve("1", "again")
    registered.act("ci", "ci")
    assert opened(registered).promote("1", why="better").evidence.approved_by == ("bob",)
    results = checks(registered, strict=True)
    assert passed(results.values()) and len(results) == 2
    assert "1 of 1 verified" in results["promotion of survived-classifier:1 to champion"].detail


def test_who_registers_with_a_trusted_key_is_its_owner_unless_an_actor_is_stated(people: People, verified: Run) -> None:
    people.trust("ann", "author")
    people.act("ann")
    opened(people).register(verified)
    people.act("ann", "nightly")
    opened(people, 0).promote("1", why="first")
    people.act("nobody")
    opened(people, 0).promote("1", "challenger", why="shadow deployment")
    assert [entry.who for entry in opened(people).log()] == ["ann", "nightly", user_name()]


def test_a_spoofed_actor_is_refused(registered: People) -> None:
    for name, stated in (("bob", "the CEO"), ("ann", "bob"), ("nobody", "bob")):
        registered.act(name, stated)
        with pytest.raises(AccessDenied):
            opened(registered).approve("1", "report read")
    assert approvals(registered) == ()


def test_who_started_the_run_or_registered_it_may_not_approve(registered: People) -> None:
    keys = read_trusted_keys(keys_path(registered.project))
    ann = next(key for key in keys.keys if key.name == "ann")
    registered.act("ann")
    with pytest.raises(AccessDenied, match="has the role author"):
        opened(registered).approve("1", "my own")
    revoke_key(registered.project, ann.keyid)
    registered.trust("ann", "approver")  # another key of the same person
    registered.act("ann")
    with pytest.raises(AccessDenied, match="ann started the run of survived-classifier:1 or registered it"):
        opened(registered).approve("1", "my own")
    assert approvals(registered) == ()


@pytest.mark.parametrize("name", ["bob", "cleo"])
def test_an_author_by_name_or_by_key_may_not_approve(people: People, verified: Run, name: str) -> None:
    people.act("", "bob")  # without a key
    if name == "cleo":
        people.trust("cleo", "approver")
        people.act("cleo", "somebody")
    opened(people).register(verified)
    if name == "bob":
        people.trust("bob", "approver")
    people.act(name)
    with pytest.raises(AccessDenied, match="another person has to approve"):
        opened(people).approve("1", "my own")


def test_an_approval_without_documents_is_refused(registered: People) -> None:
    registry = opened(registered)
    (version,) = registry.versions()
    (registry.project.runs / version.run / "run.json").unlink()
    registered.act("bob")
    with pytest.raises(AccessDenied, match="no model card and technical documentation"):
        opened(registered).approve("1", "report read")
    assert approvals(registered) == ()


@pytest.mark.parametrize("state", ["unknown", "expired", "revoked", "none"])
def test_keys_that_do_not_count_are_refused(registered: People, state: str) -> None:
    name = "dan"
    if state == "unknown":
        registered.create(name)
    elif state != "none":
        registered.trust(name, "approver", until="2020-01-01" if state == "expired" else "")
    if state == "revoked":
        revoke_key(registered.project, name)
    registered.act(name)
    message = {"unknown": "does not have yours", "expired": "expired on 2020", "revoked": "was revoked"}
    with pytest.raises(AccessDenied, match=message.get(state, "you have no key")):
        opened(registered).approve("1", "report read")


def test_a_key_that_is_revoked_later_counts_for_what_it_signed_before(registered: People) -> None:
    registered.act("bob")
    opened(registered).approve("1", "report read")
    revoke_key(registered.project, "bob")
    assert problem(registered) == ""
    revoke_key(registered.project, "bob", "2026-01-01")  # stolen before
    assert "was revoked as of 2026-01-01" in problem(registered)
    registered.act("ci")
    with pytest.raises(GateFailed, match="approved by 0 of 1 people"):
        opened(registered).promote("1", why="better")
    assert not checks(registered)["approval of survived-classifier:1 by bob"].passed


def append(people: People, name: str, who: str, documents: dict[str, str], when: str = "") -> None:
    """Write an approval as somebody who has write access to the database, with the key of a person or without."""
    people.act(name)
    registry = opened(people)
    change: dict[str, Any] = {"what": "approved", "model": "survived-classifier", "version": 1, "why": "fine"}
    with writing(registry.engine) as connection:
        connection.execute(APPROVALS.insert().values(model="survived-classifier", number=1, who=who))
        evidence = audit_log.Evidence(documents=documents)
        audit_log.append(connection, when or now(), who, evidence=evidence, **change)


@pytest.mark.parametrize(
    ("name", "who", "reason"),
    [
        ("nobody", "bob", "it is not signed"),
        ("ann", "bob", "the key of ann has the role author"),
        ("cleo", "bob", "it was signed with the key of cleo"),
        ("bob", "bob", "it names no documents"),
    ],
)
def test_an_approval_that_was_written_past_the_command_does_not_count(
    registered: People, name: str, who: str, reason: str
) -> None:
    documents = {} if reason.endswith("documents") else {"card": "a" * 64}
    append(registered, name, who, documents)
    assert reason in problem(registered)
    registered.act("ci")
    with pytest.raises(GateFailed, match="approved by 0 of 1"):
        opened(registered).promote("1", why="better")
    registered.act("bob")  # bob may still approve, although the table has his name
    opened(registered).approve("1", "report read")
    assert verified_people(approvals(registered)) == ("bob",)


def test_an_entry_that_is_dated_back_does_not_revive_a_revoked_key(registered: People) -> None:
    revoke_key(registered.project, "bob", "2026-02-01")
    append(registered, "bob", "bob", {"card": "a" * 64}, "2026-01-01T00:00:00.000Z")
    assert "was revoked" in problem(registered)


def test_two_keys_of_a_person_are_one_approval(registered: People) -> None:
    registered.act("bob")
    opened(registered, 2).approve("1", "report read")
    registered.trust("bob", "approver")
    registered.act("bob")
    with pytest.raises(UsageError, match="bob has approved"):
        opened(registered, 2).approve("1", "again")
    registered.act("ci")
    with pytest.raises(GateFailed, match="approved by 1 of 2"):
        opened(registered, 2).promote("1", why="better")
    registered.act("cleo")
    opened(registered, 2).approve("1", "slices checked")
    registered.act("ci")
    assert opened(registered, 2).promote("1", why="better").evidence.approved_by == ("bob", "cleo")


def test_a_promotion_that_needs_approvals_is_signed_with_a_trusted_key(registered: People) -> None:
    registered.act("bob")
    opened(registered).approve("1", "report read")
    for name, stated in (("nobody", ""), ("ci", "the CEO")):
        registered.act(name, stated)
        with pytest.raises(AccessDenied):
            opened(registered).promote("1", why="better", force=True)
    registered.act("nobody", "dan")
    assert opened(registered, 0).promote("1", why="no approval is needed").who == "dan"


def test_a_promotion_past_the_setting_is_found(registered: People) -> None:
    registered.act("ci")
    opened(registered, 0).promote("1", why="with another setting")
    (check,) = checks(registered).values()
    assert (check.state, check.passed) == (CheckState.OPEN, False) and "0 of 1 verified approvals" in check.detail
    registered.act("bob")
    opened(registered).approve("1", "late")
    results = checks(registered)
    assert passed(results.values()) and any("1 after the promotion" in check.detail for check in results.values())


def test_without_keys_approvals_count_and_are_not_verified(people: People, verified: Run) -> None:
    people.act("", "ann")
    opened(people).register(verified)
    opened(people).approve("1", "my own")
    (approval,) = approvals(people)
    assert not approval.verified and approval.describe() == "ann (not verified)"
    assert opened(people).promote("1", why="better").evidence.approved_by == ("ann",)
    (check,) = checks(people).values()
    assert (check.state, check.passed) == (CheckState.UNSIGNED, True) and "the project trusts no key" in check.detail
    assert not passed(checks(people, strict=True).values())
    people.trust("bob", "approver")  # now that a name alone does not count
    with pytest.raises(AccessDenied):
        opened(people).promote("1", "challenger", why="better")
    people.act("bob")
    with pytest.raises(GateFailed, match="approved by 0 of 1"):
        opened(people).promote("1", "challenger", why="better")


def test_approvals_of_changed_documents_are_found(registered: People) -> None:
    registered.act("bob")
    registry = opened(registered)
    registry.approve("1", "report read")
    changed = open_run(registered.project, registry.find("1").run)
    outputs = changed.stages["document"].outputs
    changed.update_stage("document", outputs={**outputs, "card": replace(outputs["card"], digest="0" * 64)})
    changed.save()
    (check,) = checks(registered, 0).values()
    assert check.state == CheckState.ALTERED and check.detail == "it is about another card"
