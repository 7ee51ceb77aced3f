"""`mlnb keys`: create this user's signing key; list, trust and revoke the keys of a project."""

import argparse
import json
from pathlib import Path

from mlnb.cli.text_tables import table
from mlnb.codec import to_json
from mlnb.engine.project import Project
from mlnb.engine.runs import now
from mlnb.errors import UsageError
from mlnb.machine import actor
from mlnb.signing.signing_keys import create_key, find_key, key_file
from mlnb.signing.trusted_keys import (
    FILE,
    ROLES,
    TrustedKey,
    keys_path,
    parse_time,
    read_trusted_keys,
    revoke_key,
    trust_key,
)

ACTIONS = ("list", "new", "trust", "revoke")


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb keys`."""
    p.add_argument("action", nargs="?", choices=ACTIONS, default="list", help="default: %(default)s")
    p.add_argument(
        "key", nargs="?", help="trust: the public key that `mlnb keys new` printed, or a file; revoke: its id"
    )
    p.add_argument("--name", default="", help="owner of the key (new: MLNB_ACTOR or the user)")
    p.add_argument("--role", choices=ROLES, default="author", help="role of the owner (default: %(default)s)")
    p.add_argument("--until", default="", metavar="DATE", help="new, trust: when the key expires, such as 2027-01-31")
    p.add_argument("--since", default="", metavar="DATE", help="revoke: from when its signatures do not count (now)")
    p.add_argument("--json", action="store_true", help="list: print JSON lines")
    p.epilog = (
        "examples:\n  mlnb keys new                            create a key, and trust it in this project\n"
        "  mlnb keys trust 9kf0…= --name bob --role approver --until 2027-01-31\n"
        "  mlnb keys revoke 3f9a2c51 --since 2026-11-02   stolen on that day; earlier signatures count\n  mlnb keys\n\n"
        "The private key is in ~/.config/mlnb (MLNB_CONFIG names another folder), readable by you alone; in CI, the\n"
        "environment variable MLNB_SIGNING_KEY has it. Manifests of runs and entries of the audit log are signed when\n"
        f"there is one. The project trusts the public keys in {FILE}: commit this file. When it trusts a key, only\n"
        "approvals that an approver has signed count, and not those of the author of a version."
    )


def main(args: argparse.Namespace) -> int:
    """Create, list or trust keys; return 0."""
    project = Project.find()
    if args.key and args.action in ("list", "new"):
        raise UsageError(f"`mlnb keys {args.action}` takes no public key; `mlnb keys trust {args.key}` adds it.")
    if (args.until and args.action not in ("new", "trust")) or (args.since and args.action != "revoke"):
        raise UsageError("--until is for `mlnb keys new` and `mlnb keys trust`, --since for `mlnb keys revoke`.")
    if args.action == "new":
        until = parse_time(args.until) if args.until else ""  # before there is a key
        key = create_key()
        _print_trusted(trust_key(project, key.public, args.name or actor(), args.role, until))
        print(f"private key  {key_file()}\npublic key   {key.public}")
    elif args.action == "trust":
        if not args.key:
            raise UsageError("Found no public key; expected the one that `mlnb keys new` printed: mlnb keys trust KEY")
        path = Path(args.key)
        public = path.read_text(encoding="utf-8").strip() if path.is_file() else args.key
        _print_trusted(trust_key(project, public, args.name, args.role, args.until))
    elif args.action == "revoke":
        if not args.key:
            raise UsageError("Found no key; expected its id, as `mlnb keys` prints it: mlnb keys revoke ID")
        revoked = revoke_key(project, args.key, args.since)
        print(
            f"{FILE} revokes {revoked.keyid[:12]}, the key of {revoked.name}, as of {revoked.revoked}; "
            "commit this file."
        )
    else:
        _list(project, args.json)
    return 0


def _print_trusted(key: TrustedKey) -> None:
    print(f"{FILE} trusts {key.keyid[:12]}, the key of {key.name} ({key.role}); commit this file.")


def _list(project: Project, as_json: bool) -> None:
    trusted, own = read_trusted_keys(keys_path(project)), find_key()
    mine = own.keyid if own else ""
    if as_json:
        for key in trusted.keys:
            print(json.dumps(to_json(key) | {"keyid": key.keyid, "own": key.keyid == mine}, ensure_ascii=False))
        return
    rows = [
        [
            key.name,
            key.role,
            key.keyid[:12],
            key.since[:10],
            _state(key),
            "yes" if key.keyid == mine else "",
            key.public,
        ]
        for key in trusted.keys
    ]
    if rows:
        print(table(["name", "role", "key", "since", "state", "yours", "public key"], rows, optional=("public key",)))
    else:
        print("This project trusts no key: signatures are not required.")
    if own is None:
        print("You have no key: `mlnb keys new` creates one. What you do is unsigned.")
    elif trusted.find(own.keyid) is None:
        print(f"Your key is not trusted here: mlnb keys trust {own.public} --name NAME")


def _state(key: TrustedKey) -> str:
    return key.why_invalid(now()) or (f"valid until {key.until[:10]}" if key.until else "valid")
