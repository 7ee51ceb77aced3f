"""Small model folders whose requests may hold personal data."""

import json
from pathlib import Path
from typing import Any

from small_models import make_model, make_rows

from mlnb.codec import to_json
from mlnb.methods.contracts.declarations import ColumnDeclaration
from mlnb.methods.tables.columns import Column
from mlnb.methods.tables.pseudonyms import key_check_value

KEY = "a key for tests, of 32 characters"
SECRETS = ("ada@example.org", "1815-12-10", "Countess")
PERSONAL = {"mail": SECRETS[0], "born": SECRETS[1], "nick": SECRETS[2]}


def make_personal_model(folder: Path) -> Path:
    """Return the folder of a model with a pseudonymized, a dropped and a masked column."""
    make_model(folder)
    path = folder / "schema.json"
    path.write_text(json.dumps(with_personal_columns(json.loads(path.read_text()))))
    return folder


def with_personal_columns(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema with a pseudonymized, a dropped and a masked column."""
    columns = [*schema["columns"]]
    for name, personal in (("mail", "pseudonymize"), ("born", "drop"), ("nick", "mask")):
        declared = ColumnDeclaration(
            personal=personal, key=key_check_value(KEY.encode()) * (personal == "pseudonymize")
        )
        columns.append(Column(name, "category", "dropped", declared=declared).to_json())
    assert to_json(declared)["personal"] == "mask"
    return {**schema, "columns": columns}


def personal_rows(count: int) -> list[dict[str, object]]:
    """Return rows of requests with personal data."""
    return [
        {name: value for name, value in row.items() if name != "note"} | PERSONAL for row in make_rows(count, seed=5)
    ]
