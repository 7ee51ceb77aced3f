"""Roles of a shared registry on PostgreSQL: reader, registrar, approver and promoter, each with the least rights.

The database decides, not mlnb: a trigger requires that an entry of the audit log names the user who is logged in, that
this user has the role for the change, and that the approver of a version is another user than its registrar.
"""

import re

import sqlalchemy as sa

from mlnb.codec import Record
from mlnb.errors import UsageError
from mlnb.registry.database import writing
from mlnb.registry.entry_signatures import SIGNATURES

READER, REGISTRAR, APPROVER, PROMOTER = "mlnb_reader", "mlnb_registrar", "mlnb_approver", "mlnb_promoter"
ROLES = {
    READER: "reads versions, aliases, approvals and the audit log",
    REGISTRAR: "registers versions, records monitoring and erasure: people and jobs that train",
    APPROVER: "approves versions that another user has registered",
    PROMOTER: "moves aliases: promotion and rollback",
}
_WRITERS = f"{REGISTRAR}, {APPROVER}, {PROMOTER}"
_TABLES = "mlnb_log, mlnb_versions, mlnb_aliases, mlnb_approvals, mlnb_signatures"
_CREATE = """DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '{role}') THEN CREATE ROLE {role} NOLOGIN; END IF;
END $$"""
_GRANTS = (
    f"REVOKE ALL ON {_TABLES} FROM PUBLIC, {READER}, {_WRITERS}",
    f"GRANT {READER} TO {_WRITERS}",
    f"GRANT SELECT ON {_TABLES} TO {READER}",
    f"GRANT INSERT ON mlnb_log, mlnb_signatures TO {_WRITERS}",
    f"GRANT INSERT ON mlnb_versions TO {REGISTRAR}",
    f"GRANT INSERT ON mlnb_approvals TO {APPROVER}",
    f"GRANT INSERT, UPDATE (number) ON mlnb_aliases TO {PROMOTER}",
)
_CHECK = f"""CREATE OR REPLACE FUNCTION mlnb_check_entry() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  entry json := NEW.entry::json;
  named text := entry #>> '{{evidence,database_user}}';
  needed text := CASE entry ->> 'what' WHEN 'approved' THEN '{APPROVER}'
    WHEN 'promoted' THEN '{PROMOTER}' WHEN 'rolled back' THEN '{PROMOTER}' ELSE '{REGISTRAR}' END;
  author boolean;
BEGIN
  IF named IS DISTINCT FROM session_user::text THEN
    RAISE EXCEPTION 'the entry names the database user %, but % is logged in', coalesce(named, '(none)'), session_user
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  IF NOT pg_has_role(session_user, needed, 'MEMBER') THEN
    RAISE EXCEPTION 'an entry "%" needs the role %', entry ->> 'what', needed
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  IF entry ->> 'what' = 'approved' THEN
    EXECUTE format('SELECT EXISTS (SELECT FROM %I.mlnb_log WHERE entry::json ->> ''what'' = ''registered''
      AND entry::json ->> ''model'' = $1 AND entry::json ->> ''version'' = $2
      AND entry::json #>> ''{{evidence,database_user}}'' = $3)', TG_TABLE_SCHEMA)
      INTO author USING entry ->> 'model', entry ->> 'version', session_user::text;
    IF author THEN
      RAISE EXCEPTION 'another user than %, who has registered the version, has to approve it', session_user
        USING ERRCODE = 'insufficient_privilege';
    END IF;
  END IF;
  RETURN NEW;
END $$"""
_TRIGGERS = (
    """CREATE OR REPLACE FUNCTION mlnb_refuse() RETURNS trigger LANGUAGE plpgsql
AS 'BEGIN RAISE EXCEPTION ''the audit log is append-only''; END'""",
    """CREATE OR REPLACE TRIGGER mlnb_log_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON mlnb_log
EXECUTE FUNCTION mlnb_refuse()""",
    """CREATE OR REPLACE TRIGGER mlnb_signatures_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON mlnb_signatures
EXECUTE FUNCTION mlnb_refuse()""",
    _CHECK,
    """CREATE OR REPLACE TRIGGER mlnb_log_checked BEFORE INSERT ON mlnb_log
FOR EACH ROW EXECUTE FUNCTION mlnb_check_entry()""",
)


class RoleMember(Record, frozen=True, kw_only=True):
    """A user of the database with a role.

    Args:
        user: Name of the user, or of a group of users.
        role: The role.
    """

    user: str
    role: str


def role_statements(schema: str = "public") -> list[str]:
    """Return the SQL statements that create the roles with their rights, and the triggers; to repeat them is harmless.

    Args:
        schema: Schema of the registry's tables.
    """
    quoted = '"' + schema.replace('"', '""') + '"'
    create = [_CREATE.format(role=role) for role in ROLES]
    return [*create, *_GRANTS, f"GRANT USAGE ON SCHEMA {quoted} TO {READER}", *_TRIGGERS]


def create_roles(engine: sa.Engine) -> None:
    """Create the roles in the registry's database, in one transaction.

    Raises:
        AccessDenied: The user is not the owner of the tables, or may not create roles.
        UsageError: It is no PostgreSQL database.
        RegistryError: It cannot be written.
    """
    _require_server(engine)
    with writing(engine) as connection:
        SIGNATURES.create(connection, checkfirst=True)
        schema = str(connection.execute(sa.text("SELECT current_schema()")).scalar())
        for statement in role_statements(schema):
            connection.execute(sa.text(re.sub(r":(?=[:=\w])", r"\\:", statement)))


def list_members(engine: sa.Engine) -> list[RoleMember]:
    """Return who has which role, roles of roles left out. Raises as `create_roles`."""
    _require_server(engine)
    query = sa.text(
        "SELECT member.rolname AS member, granted.rolname AS role FROM pg_catalog.pg_auth_members grants "
        "JOIN pg_catalog.pg_roles granted ON granted.oid = grants.roleid "
        "JOIN pg_catalog.pg_roles member ON member.oid = grants.member ORDER BY member, role"
    )
    with engine.connect() as connection:
        lines = connection.execute(query).all()
    return [
        RoleMember(user=line.member, role=line.role)
        for line in lines
        if line.role in ROLES and line.member not in ROLES
    ]


def _require_server(engine: sa.Engine) -> None:
    if engine.dialect.name != "postgresql":
        raise UsageError(
            f"The registry is a database of {engine.dialect.name}, which has no users; roles need PostgreSQL: set "
            "registry = postgresql://… in settings.ini, [mlnb]. Locally, keys and file modes apply: `mlnb keys`."
        )
