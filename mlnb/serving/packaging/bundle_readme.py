"""The README of a bundle: how to start the service and to request a prediction."""

import json
from pathlib import Path

from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.contracts.responses import Golden
from mlnb.methods.recommendation.recommenders import METADATA, RecommenderMetadata
from mlnb.methods.tasks.task_traits import traits_of
from mlnb.serving.runtime.model_parts import read_record
from mlnb.settings import ProcessSettings


def make_readme(
    name: str, contract: ProblemContract, example: Golden, pseudonymized: list[str], command: str, recommender: Path
) -> str:
    """Return the text of README.md: what the service predicts, a request, and its response.

    Args:
        name: of the bento.
        contract: of the model's problem.
        example: a request of no real row, and its response.
        pseudonymized: columns whose values become pseudonyms.
        command: line that requests the example.
        recommender: folder of the recommender; it is missing where the model is of no interaction log.
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
    items = describe_recommender(recommender) if recommender.is_dir() else ""
    return README.format(name=name, key=key, summary=summary, usage=usage, curl=command, response=response, items=items)


def describe_recommender(folder: Path) -> str:
    """Return the part about recommendations: a request, what it uses, memory, and personal data."""
    metadata = read_record(RecommenderMetadata, folder / METADATA)
    pseudonymized = metadata.personal is not None and metadata.personal.personal == "pseudonymize"
    return RECOMMENDATIONS.format(
        user=metadata.user_column,
        users=metadata.users,
        items=metadata.items,
        interactions=metadata.interactions,
        megabytes=max(sum(path.stat().st_size for path in folder.iterdir()) / 1e6, 0.1),
        names="pseudonyms" if pseudonymized else "the names of the log",
    )


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
{items}
Rows that do not fit are refused with status 422 and a list of problems, each with `row`, `column`, `found` and
`expected`; a body that is not a JSON list of objects with 400, too many rows with 413. The header `X-Model-Version`
names the model. `GET /livez` shows that the process lives, `GET /readyz` that the model still gives the held-out rows
the notebook's predictions, `GET /metrics` is for Prometheus, `GET /docs.json` describes the columns.
"""

RECOMMENDATIONS = """
## Recommendations

`POST /recommend` takes a list of users and returns the best items for each, in order. Optional are `k`, the number of
items (10), and `exclude`, a list of items:

    curl -s http://127.0.0.1:3000/recommend -d '[{{"user": "unknown user", "k": 3, "exclude": []}}]'

A user whom the log does not have gets the items that were popular lately, and `"fallback": true`. Requests are not
logged. The service knows {users:,} users, {items:,} items and {interactions:,} interactions, as of the end of the log;
their files take {megabytes:.1f} MB, which all workers share.

**Personal data**: the folder `model/recommender` holds which user took which items; users (the column `{user}`) have
{names}. `mlnb erase` finds them, deletes the bento, and names the version that is to be trained again.
"""

PERSONAL_KEY = """
Values of {columns} become pseudonyms, for which the key of training must be in `{variable}`: with another key the
service does not start, and without one it refuses requests that hold values instead of pseudonyms.
"""
