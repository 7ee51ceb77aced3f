"""The README of a bundle: how to start the service and to request a prediction."""

import json

from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.contracts.responses import Golden
from mlnb.methods.tasks.task_traits import traits_of
from mlnb.settings import ProcessSettings


def make_readme(name: str, contract: ProblemContract, example: Golden, pseudonymized: list[str], command: str) -> str:
    """Return the text of README.md: what the service predicts, a request, and its response.

    Args:
        name: of the bento.
        contract: of the model's problem.
        example: a request of no real row, and its response.
        pseudonymized: columns whose values become pseudonyms.
        command: line that requests the example.
    """
    response = json.dumps(example.predictions[:1], ensure_ascii=False)
    target = contract.target or "anomaly"
    summary = f"Predicts `{target}` from the other columns of a row."
    usage = (
        "`POST /predict` takes a list of rows, JSON objects by column name, and returns one prediction a row, in order:"
    )
    if traits_of(contract.task).unit == "history":
        summary = f"Forecasts `{target}`: {contract.horizon} periods of {contract.frequency} ahead of a history."
        usage = "`POST /predict` takes a history, JSON objects by column name, and returns the steps that follow it:"
    columns = ", ".join(f"`{column}`" for column in pseudonymized)
    key = PERSONAL_KEY.format(columns=columns, variable=ProcessSettings.personal_key.variable) if columns else ""
    return README.format(name=name, key=key, summary=summary, usage=usage, curl=command, response=response)


README = """# {name}

{summary}

    bentoml serve {name}:latest --host 127.0.0.1

On another address, that of a container included, it needs a key: `MLNB_API_KEY` in its environment, which clients send
as `Authorization: Bearer ...` or `X-API-Key: ...`; or `MLNB_ALLOW_ANONYMOUS=1`, to serve anyone.
{key}
{usage}

    {curl}
    {response}

The request is synthetic: its values are typical ones, and not those of a single row.

Rows that do not fit are refused with status 422 and a list of problems, each with `row`, `column`, `found` and
`expected`; a body that is not a JSON list of objects with 400, too many rows with 413. The header `X-Model-Version`
names the model. `GET /livez` shows that the process lives, `GET /readyz` that the model still gives the held-out rows
the notebook's predictions, `GET /metrics` is for Prometheus, `GET /docs.json` describes the columns.
"""

PERSONAL_KEY = """
Values of {columns} become pseudonyms, for which the key of training must be in `{variable}`: with another key the
service does not start, and without one it refuses requests that hold values instead of pseudonyms.
"""
