"""A small bundle of an interaction log, for tests of recommendations."""

from pathlib import Path

import numpy as np
import pandas as pd

from mlnb.methods.contracts.declarations import ColumnDeclaration
from mlnb.methods.contracts.responses import Golden
from mlnb.methods.decisions.decision_rules import write_decision
from mlnb.methods.encoding.table_encoder import Encoder
from mlnb.methods.evaluation.fitted_pipeline import FittedPipeline
from mlnb.methods.evaluation.golden_rows import make_example, respond_to_rows
from mlnb.methods.evaluation.recommended_items import golden_recommendations
from mlnb.methods.evaluation.test_evaluation import json_rows
from mlnb.methods.models.fitted_models import save_model
from mlnb.methods.models.model_families import fit_model
from mlnb.methods.problem.problem_contract import state
from mlnb.methods.problem.task_contracts import complete_ranking, rank_log, set_roles
from mlnb.methods.recommendation.candidate_generation import QUERY, RELEVANCE, fit_recommender
from mlnb.methods.recommendation.interaction_logs import read_log
from mlnb.methods.tables.columns import to_arrays
from mlnb.methods.tables.type_inference import clean
from mlnb.serving.packaging.bundles import Bundle, make_bundle

SERVICE = Path(__file__).parent.parent / "bentos" / "tabular"


def make_log(users: int = 30, items: int = 20, rows: int = 500) -> pd.DataFrame:
    """Return interactions of customers, who prefer products of an odd or of an even number."""
    random = np.random.default_rng(0)
    customer, product = random.integers(0, users, rows), random.integers(0, items // 2, rows)
    table = pd.DataFrame({"customer": [f"customer {n}" for n in customer], "product": 2 * product + customer % 2})
    return table.drop_duplicates(ignore_index=True)


def make_recommender_bundle(
    folder: Path, table: pd.DataFrame | None = None, personal: ColumnDeclaration | None = None, users: int = 3
) -> Bundle:
    """Return the bundle of a log, with a linear ranker.

    Args:
        folder: to write to.
        table: the log; None: that of `make_log`.
        personal: what is declared about the customers.
        users: number of golden users.
    """
    log = read_log(make_log() if table is None else table, "customer", "product")
    rows, problem, _ = rank_log(log, state(task="ranking", details={"query": "customer", "item": "product"}))
    typed, schema, _ = clean(rows, RELEVANCE)
    contract = complete_ranking(problem, typed, RELEVANCE)
    schema = set_roles(schema, contract)
    arrays = to_arrays(typed, schema)
    encoder = Encoder.fit(arrays, schema)
    X = encoder.transform(arrays)
    model = fit_model("linear", {"alpha": 1.0}, X, typed[RELEVANCE].to_numpy(), "ranking", 0, contract.metric)
    fitted = folder.parent / f"{folder.name}-fitted"
    save_model(model, fitted)
    pipeline = FittedPipeline(contract, schema, encoder, model)
    write_decision(pipeline.decision, fitted)
    requested = json_rows(typed.head(5), schema, [QUERY])
    golden = Golden(rows=requested, predictions=respond_to_rows(pipeline, requested))
    recommender = fit_recommender(log, personal)
    saved = recommender.save(folder.parent / f"{folder.name}-recommender")
    return make_bundle(
        folder,
        service=SERVICE,
        name="products",
        contract=contract,
        schema=schema.to_json(),
        encoder=encoder.to_json(),
        model=fitted,
        golden=golden,
        example=make_example(pipeline, golden),
        recommended=(saved, golden_recommendations(pipeline, recommender, users)),
    )
