"""The audit log: every change made outside the registry is detected."""

import json

import pytest
import sqlalchemy as sa

from mlnb.codec import convert
from mlnb.errors import RegistryError
from mlnb.registry.audit_log import Entry
from mlnb.registry.database import ALIASES, APPROVALS, LOG, VERSIONS, database_url
from mlnb.registry.known_head import head_path, known_head


@pytest.fixture
def filled(registry, verified_run):
    for number in (1, 2, 3):
        registry.register(verified_run(number))
    registry.promote("1", why="first")
    registry.promote("2", why="better")
    registry.approve("2", "seen")
    assert registry.verify()[0] == []
    return registry


def behind(registry, *statements):
    """What somebody does who may write to the database, and knows of the triggers."""
    with registry.engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            for verb in ("UPDATE", "DELETE"):
                connection.exec_driver_sql(f"DROP TRIGGER mlnb_log_{verb}")
        else:
            connection.exec_driver_sql("DROP TRIGGER mlnb_log_only_grows ON mlnb_log")
        for statement in statements:
            connection.execute(statement)


def rewrite(registry, number, **change):
    with registry.engine.connect() as connection:
        text = connection.execute(sa.select(LOG.c.entry).where(LOG.c.number == number)).scalar()
    return LOG.update().where(LOG.c.number == number).values(entry=json.dumps(json.loads(text) | change))


def test_the_log_refuses_to_be_rewritten(filled):
    for statement in (LOG.update().values(digest="0" * 64), LOG.delete()):
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), filled.engine.begin() as connection:
            connection.execute(statement)
    assert filled.verify()[0] == []


def test_an_altered_entry_is_detected(filled):
    behind(filled, rewrite(filled, 4, why="because"))
    (fault,) = filled.verify()[0]
    assert fault.startswith("altered: entry 4 (promoted")


def test_an_altered_entry_with_a_valid_digest_is_detected(filled):
    with filled.engine.connect() as connection:
        text = connection.execute(sa.select(LOG.c.entry).where(LOG.c.number == 4)).scalar()
    changed = json.loads(text) | {"who": "eve"}
    values = {"entry": json.dumps(changed), "digest": convert(changed, Entry).digest}
    behind(filled, LOG.update().where(LOG.c.number == 4).values(**values))
    assert filled.verify()[0] == ["broken: entry 5 does not follow entry 4 as that is now"]


def test_an_inserted_entry_is_detected(filled):
    with filled.engine.connect() as connection:
        text, digest = connection.execute(sa.select(LOG.c.entry, LOG.c.digest).where(LOG.c.number == 4)).one()
    behind(filled, LOG.insert().values(number=7, entry=text, digest=digest))
    assert "moved: entry 7 was written as entry 4" in filled.verify()[0]


def test_a_deleted_entry_is_detected(filled):
    behind(filled, LOG.delete().where(LOG.c.number == 3))
    assert "missing: entry 3" in filled.verify()[0]


def test_a_truncated_log_is_detected(filled):
    behind(filled, LOG.delete().where(LOG.c.number >= 5))
    faults = filled.verify()[0]
    assert any("champion" in fault for fault in faults) and any("approval" in fault for fault in faults)


def test_a_truncated_log_with_restored_tables_needs_a_recorded_head(filled):
    head = known_head(filled.project, database_url(filled.project))
    behind(
        filled,
        LOG.delete().where(LOG.c.number >= 5),
        ALIASES.update().values(number=1),
        APPROVALS.delete(),
    )
    assert "was once the head" in filled.verify()[0][0]  # the project recorded the head
    head_path(filled.project).unlink()
    assert filled.verify()[0] == []  # not detectable from the log alone
    assert "was once the head" in filled.verify(head)[0][0]  # detectable with a recorded head


def test_reordered_entries_are_detected(filled):
    behind(
        filled,
        LOG.update().where(LOG.c.number == 4).values(number=99),
        LOG.update().where(LOG.c.number == 5).values(number=4),
        LOG.update().where(LOG.c.number == 99).values(number=5),
    )
    faults = filled.verify()[0]
    assert any(fault.startswith("moved: entry 4 was written as entry 5") for fault in faults)


def test_an_unreadable_entry_is_detected(filled):
    behind(filled, LOG.update().where(LOG.c.number == 2).values(entry="{torn"))
    assert any("entry 2 cannot be read" in fault for fault in filled.verify()[0])
    with pytest.raises(RegistryError, match=r"Entry 2 of the audit log cannot be read .* `mlnb audit verify`"):
        filled.log()


def test_tables_that_differ_from_the_log_are_detected(filled):
    behind(
        filled,
        ALIASES.update().values(number=3),
        VERSIONS.update().where(VERSIONS.c.number == 1).values(run="another"),
        APPROVALS.insert().values(model=filled.find("1").model, number=1, who="eve"),
    )
    faults = "\n".join(filled.verify()[0])
    assert "in the log 2" in faults and ":1 was altered" in faults and "eve" in faults
