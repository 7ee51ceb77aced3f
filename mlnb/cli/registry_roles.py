"""`mlnb registry`: the roles of a shared registry on PostgreSQL, and who has them."""

import argparse
import json

from mlnb.cli.text_tables import table
from mlnb.codec import to_json
from mlnb.engine.project import Project
from mlnb.errors import UsageError
from mlnb.registry.database_roles import ROLES, create_roles, list_members, role_statements
from mlnb.registry.registry import Registry


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb registry`."""
    p.add_argument("action", choices=("roles", "users"), help="roles: print or create them; users: list who has them")
    p.add_argument("--apply", action="store_true", help="roles: create them in the registry's database")
    p.add_argument("--schema", default="public", help="roles: schema of the tables in the printed SQL (%(default)s)")
    p.add_argument("--json", action="store_true", help="users: print JSON lines")
    roles = "\n".join(f"  {role:<15} {text}" for role, text in ROLES.items())
    p.epilog = (
        f"roles:\n{roles}\n\n"
        "examples:\n  mlnb registry roles > roles.sql    the SQL, for an administrator to review\n"
        "  mlnb registry roles --apply        execute it as the owner of the tables, who may create roles\n"
        "  psql -c 'GRANT mlnb_approver TO bob'\n  mlnb registry users\n\n"
        "The audit log can only be added to, and each entry has the user who was logged in to the server. The server\n"
        "refuses entries of another user, changes without the role, and approvals by the user who registered the\n"
        "version. To execute the SQL again is harmless; do so after an upgrade of mlnb."
    )


def main(args: argparse.Namespace) -> int:
    """Print or create the roles, or list who has them; return 0."""
    if (args.apply and args.action != "roles") or (args.json and args.action != "users"):
        raise UsageError("--apply is for `mlnb registry roles`, --json for `mlnb registry users`.")
    if args.action == "roles" and not args.apply:
        print("-- Roles of mlnb's model registry; execute as the owner of its tables.\nBEGIN;\n")
        print(";\n\n".join(role_statements(args.schema)), end=";\n\nCOMMIT;\n")
        return 0
    engine = Registry(Project.find()).engine
    try:
        if args.action == "roles":
            create_roles(engine)
            print(f"Created: {', '.join(ROLES)}. An administrator gives them to users: GRANT mlnb_approver TO bob")
            return 0
        members = list_members(engine)
    finally:
        engine.dispose()
    if args.json:
        for member in members:
            print(json.dumps(to_json(member), ensure_ascii=False))
    elif members:
        rows = [[member.user, member.role, ROLES[member.role]] for member in members]
        print(table(["user", "role", "may"], rows, optional=("may",)))
    else:
        print("No user has a role of the registry: `mlnb registry roles --apply` creates them, GRANT gives them.")
    return 0
