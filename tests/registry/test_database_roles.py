"""Roles on a real PostgreSQL server: each may do what it is for, and the server refuses everything else."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from example_run import Example
from verified_runs import make_verified_run

from mlnb.cli.main import main
from mlnb.engine.project import Project
from mlnb.engine.runs import Run
from mlnb.errors import AccessDenied, UsageError
from mlnb.registry.audit_log import ProductionHead
from mlnb.registry.database import METADATA
from mlnb.registry.database_roles import ROLES, create_roles, list_members, role_statements
from mlnb.registry.registry import Registry

USERS = {"rita": "mlnb_reader", "reg": "mlnb_registrar", "bob": "mlnb_approver", "pam": "mlnb_promoter", "eve": ""}
HEAD = ProductionHead(file="labels/a.db", count=1, digest="0" * 64, store="here")
As = Callable[[str], Registry]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, example: Example) -> Run:
    run: Run = make_verified_run(example.make_project(tmp_path_factory.mktemp("roles")), example, 1)
    return run


@pytest.fixture(scope="module")
def server(postgresql: str, run: Run) -> Iterator[sa.Engine]:
    """The owner's connection to a registry with roles, users, and a version that `reg` has registered."""
    owner = Registry(run.project.with_settings(registry=postgresql), "owner")
    METADATA.drop_all(owner.engine)
    owner.engine.dispose()
    del owner.engine
    create_roles(owner.engine)
    create_roles(owner.engine)  # again, as after an upgrade
    with owner.engine.begin() as connection:
        for name, role in USERS.items():
            connection.exec_driver_sql(f"CREATE ROLE {name} LOGIN {f'IN ROLE {role}' if role else ''}")
    registry = Registry(_as(run.project, postgresql, "reg"))
    registry.register(run)
    registry.engine.dispose()
    yield owner.engine
    with owner.engine.begin() as connection:
        for name in USERS:
            connection.exec_driver_sql(f"DROP ROLE {name}")
    METADATA.drop_all(owner.engine)
    owner.engine.dispose()


def _as(project: Project, url: str, user: str) -> Project:
    return project.with_settings(registry=sa.make_url(url).set(username=user).render_as_string(hide_password=False))


@pytest.fixture
def acting(server: sa.Engine, postgresql: str, run: Run) -> Iterator[As]:
    """The registry for a user of the database."""
    opened: list[Registry] = []

    def act(user: str) -> Registry:
        opened.append(Registry(_as(run.project, postgresql, user), f"{user} of the team"))
        return opened[-1]

    yield act
    for registry in opened:
        registry.engine.dispose()


CHANGES: dict[str, tuple[str, Callable[[Registry, Run], Any]]] = {
    "approve": ("mlnb_approver", lambda registry, run: registry.approve("1", "report read")),
    "promote": ("mlnb_promoter", lambda registry, run: registry.promote("1", why="better")),
    "monitor": ("mlnb_registrar", lambda registry, run: registry.record_production(registry.find("1"), (HEAD,))),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("user", ["rita", "reg", "bob", "pam"])
def test_a_role_may_only_do_what_it_is_for(acting: As, run: Run, user: str, change: str) -> None:
    registry, (role, act) = acting(user), CHANGES[change]
    count = len(registry.log())
    if USERS[user] == role:
        entry = act(registry, run)
        assert entry.evidence.database_user == user and registry.verify()[0] == []
        assert len(registry.log()) == count + 1
        return
    with pytest.raises(AccessDenied, match=f"{user} may not do this.*needs the role {role}.*GRANT {role} TO {user}"):
        act(registry, run)
    assert len(registry.log()) == count


def test_who_has_no_role_may_not_even_read(acting: As) -> None:
    with pytest.raises(AccessDenied, match=r"eve may not do this.*GRANT mlnb_reader TO eve"):
        acting("eve").versions()


def test_a_version_is_registered_by_a_registrar_alone(acting: As, run: Run, example: Example) -> None:
    make_verified_run(run.project, example, 2)
    with pytest.warns(RuntimeWarning, match=r"is not registered: .*needs the role mlnb_registrar"):
        assert acting("rita").sync() == []
    assert [version.number for version in acting("reg").sync()] == [2]
    assert acting("rita").log()[-1].evidence.database_user == "reg"


@pytest.mark.parametrize("user", ["rita", "reg", "bob", "pam"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE mlnb_log SET entry = '{}'",
        "DELETE FROM mlnb_log",
        "TRUNCATE mlnb_log",
        "DELETE FROM mlnb_signatures",
        "DELETE FROM mlnb_approvals",
        "UPDATE mlnb_versions SET run = 'other'",
        "UPDATE mlnb_aliases SET model = 'other'",
        "DROP TRIGGER mlnb_log_checked ON mlnb_log",
    ],
)
def test_nobody_may_rewrite_what_is_recorded(acting: As, user: str, statement: str) -> None:
    with pytest.raises(sa.exc.ProgrammingError) as caught, acting(user).engine.begin() as connection:
        connection.exec_driver_sql(statement)
    assert getattr(caught.value.orig, "sqlstate", "") == "42501"


@pytest.mark.parametrize("statement", ["UPDATE mlnb_log SET entry = '{}'", "DELETE FROM mlnb_signatures"])
def test_the_owner_needs_to_drop_a_trigger_first(server: sa.Engine, statement: str) -> None:
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), server.begin() as connection:
        connection.exec_driver_sql(statement)


@pytest.mark.parametrize(
    ("user", "entry", "message"),
    [
        ("bob", {"what": "approved", "evidence": {"database_user": "pam"}}, "names the database user pam, but bob"),
        ("bob", {"what": "approved"}, "names the database user \\(none\\)"),
        ("bob", {"what": "promoted", "evidence": {"database_user": "bob"}}, "needs the role mlnb_promoter"),
        ("pam", {"what": "erased", "evidence": {"database_user": "pam"}}, "needs the role mlnb_registrar"),
    ],
)
def test_an_entry_names_its_user_and_needs_the_role(acting: As, user: str, entry: Any, message: str) -> None:
    values = {"number": 999, "entry": json.dumps(entry), "digest": "0" * 64}
    insert = sa.text("INSERT INTO mlnb_log VALUES (:number, :entry, :digest)")
    with pytest.raises(sa.exc.DBAPIError, match=message), acting(user).engine.begin() as connection:
        connection.execute(insert, values)


def test_who_registered_a_version_may_not_approve_it(server: sa.Engine, acting: As) -> None:
    with server.begin() as connection:
        connection.exec_driver_sql("GRANT mlnb_approver TO reg")
    try:
        with pytest.raises(AccessDenied, match="another user than reg, who has registered the version"):
            acting("reg").approve("1", "my own")
    finally:
        with server.begin() as connection:
            connection.exec_driver_sql("REVOKE mlnb_approver FROM reg")


def test_who_is_no_owner_cannot_create_roles(acting: As) -> None:
    with pytest.raises(AccessDenied, match="bob may not do this"):
        create_roles(acting("bob").engine)


def test_users_are_listed_with_their_roles(server: sa.Engine) -> None:
    members = {member.user: member.role for member in list_members(server)}
    assert members == {name: role for name, role in USERS.items() if role}


def test_the_command_prints_sql_and_needs_a_server(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["registry", "roles", "--schema", 'a"b']) == 0
    text = capsys.readouterr().out
    assert 'GRANT USAGE ON SCHEMA "a""b" TO mlnb_reader;' in text and text.endswith("COMMIT;\n")
    assert all(f"CREATE ROLE {role} NOLOGIN" in text for role in ROLES)
    for arguments in (["roles", "--apply"], ["users"]):
        assert main(["registry", *arguments]) == 2 and "roles need PostgreSQL" in capsys.readouterr().err
    assert main(["registry", "users", "--apply"]) == 2 and "--apply is for" in capsys.readouterr().err


def test_the_statements_grant_no_more_than_the_roles_need() -> None:
    grants = [statement for statement in role_statements() if statement.startswith("GRANT")]
    assert not any(word in grant for grant in grants for word in ("DELETE", "TRUNCATE", "ALL", "PUBLIC"))
    assert [grant for grant in grants if "UPDATE" in grant] == [
        "GRANT INSERT, UPDATE (number) ON mlnb_aliases TO mlnb_promoter"
    ]


def test_a_registry_in_a_file_has_no_roles(tmp_path: Any, example: Example) -> None:
    registry = Registry(example.make_project(tmp_path / "local"))
    with pytest.raises(UsageError, match="roles need PostgreSQL"):
        create_roles(registry.engine)
    registry.engine.dispose()
