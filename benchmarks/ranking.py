"""Rank the same test queries with LightGBM's defaults and with mlnb, and print NDCG of both, seed by seed.

    python benchmarks/ranking.py --train train.parquet --test test.parquet --query query --target relevance
    python benchmarks/ranking.py                             a synthetic set of 250 queries

The peer is `lightgbm.LGBMRanker()` with its defaults: LambdaMART, 100 rounds. mlnb searches for a number of seconds (or
trials) in folds by query and refits the winner on all training rows; neither reads a test row before scoring it. The
interval is of the mean difference over the seeds, by a bootstrap of whole test queries.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd

from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.encoding.table_encoder import Encoder
from mlnb.methods.evaluation.test_evaluation import draw_weights
from mlnb.methods.metrics.ranking_metrics import ndcg
from mlnb.methods.models.fitted_models import predict
from mlnb.methods.problem.problem_contract import state
from mlnb.methods.problem.task_contracts import complete_ranking, set_roles
from mlnb.methods.tables.columns import to_arrays
from mlnb.methods.tables.type_inference import clean
from mlnb.methods.training_data.data_splits import make_folds
from mlnb.methods.training_data.training_examples import fold_examples, learn_examples, read_groups, read_target
from mlnb.methods.tuning.final_fit import fit_winner
from mlnb.methods.tuning.hyperparameter_search import tune


def make_queries(queries: int, seed: int) -> pd.DataFrame:
    """Return queries of 5 to 25 rows with grades 0 to 4: few of 60 sparse columns are informative."""
    random = np.random.default_rng(seed)
    sizes = random.integers(5, 26, queries)
    query = np.repeat(np.arange(queries), sizes)
    X = random.gamma(0.5, size=(len(query), 60)) * (random.random((len(query), 60)) < 0.4)
    X[:, :10] += random.gamma(0.5, size=(queries, 10))[query]
    use = X[:, 10] + X[:, 11] * X[:, 12] + np.sqrt(X[:, 13]) - 0.5 * X[:, 14] + 0.7 * random.normal(size=len(query))
    table = pd.DataFrame(X, columns=[f"f{j}" for j in range(60)])
    return table.assign(query=query, relevance=np.digitize(use, [0.3, 0.9, 1.7, 3.0]))


def by_lightgbm(train: pd.DataFrame, test: pd.DataFrame, query: str, target: str, seed: int) -> np.ndarray:
    """Return the scores of LightGBM's ranker with its defaults."""
    columns = [name for name in train if name not in (query, target)]
    ordered = train.sort_values(query, kind="stable")
    ranker = lightgbm.LGBMRanker(random_state=seed, verbosity=-1, n_jobs=2)
    sizes = ordered.groupby(query, sort=True).size().to_numpy()
    ranker.fit(ordered[columns], ordered[target].astype(int), group=sizes)
    return np.asarray(ranker.predict(test[columns]))


def by_mlnb(
    train: pd.DataFrame, test: pd.DataFrame, query: str, target: str, k: int, seed: int, budget: dict[str, Any]
) -> tuple[np.ndarray, str]:
    """Return the scores of the winner of mlnb's search, and its description."""
    table, schema, _ = clean(train, target)
    contract = complete_ranking(state(target, "ranking", f"ndcg@{k}", details={"query": query}), table, target)
    schema = set_roles(schema, contract)
    folds, _ = make_folds(table, contract, "group", 5, seed, query)
    encoder = Encoder.fit(to_arrays(table, schema), schema)
    examples = learn_examples(contract, schema, encoder, table)
    parts = fold_examples(contract, schema, encoder, table, folds)
    best = tune(parts, "ranking", contract.metric, seed=seed, threads=2, **budget).best
    about = (best, "ranking", 0, contract.metric, examples.X, examples.y, None, examples.groups)
    model = fit_winner(*about, seed=seed, threads=2)
    held_out, _, _ = clean(test, target)
    members = ", ".join(f"{m.family} {m.weight:.2f}" for m in best.models)
    return predict(model, encoder.transform(to_arrays(held_out, schema))), members


def main() -> None:
    """Print NDCG of both, seed by seed, their means, and the interval of the difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, help="Parquet or CSV file")
    parser.add_argument("--test", type=Path, help="likewise")
    parser.add_argument("--query", default="query", help="column of the query")
    parser.add_argument("--target", default="relevance", help="column of the grades")
    parser.add_argument("--at", type=int, default=5, help="rows at the top that count")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each search, 0 for no bound")
    parser.add_argument("--trials", type=int, default=1000, help="of each search at most")
    requested = parser.parse_args()
    if (requested.train is None) != (requested.test is None):
        parser.error("found one of --train and --test, expected both or neither")
    read = {".parquet": pd.read_parquet, ".csv": pd.read_csv}
    if requested.train:
        train, test = (read[path.suffix](path) for path in (requested.train, requested.test))
    else:
        train, test = make_queries(200, 0), make_queries(50, 1)
    goal = ProblemContract(target=requested.target, query=requested.query, task="ranking", classes=None)
    y, groups = read_target(goal, test), read_groups(goal, test)
    budget = {"seconds": requested.seconds, "trials": requested.trials}
    queries = [part[requested.query].nunique() for part in (train, test)]
    shape = f"{queries[0]} + {queries[1]} queries, {len(train)} + {len(test)} rows"
    print(f"{shape}, {train.shape[1] - 2} columns; NDCG@{requested.at}")
    print(f"{'seed':>4} {'LightGBM':>9} {'mlnb':>7} {'seconds':>8}  what won")
    differences = []
    result: dict[str, list[float]] = {"LightGBM": [], "mlnb": []}
    for seed in range(requested.seeds):
        peer = ndcg(y, by_lightgbm(train, test, requested.query, requested.target, seed), groups, requested.at)
        began = time.perf_counter()
        scores, what = by_mlnb(train, test, requested.query, requested.target, requested.at, seed, budget)
        took = time.perf_counter() - began
        own = ndcg(y, scores, groups, requested.at)
        differences.append(own - peer)
        for who, each in (("LightGBM", peer), ("mlnb", own)):
            result[who].append(float(np.nanmean(each)))
        print(f"{seed:>4} {result['LightGBM'][-1]:>9.4f} {result['mlnb'][-1]:>7.4f} {took:>8.1f}  {what}", flush=True)
    each = np.mean(differences, axis=0)
    each = each[~np.isnan(each)]
    drawn = np.concatenate([weights @ each / len(each) for weights in draw_weights(len(each), 2000, 0)])
    low, high = np.quantile(drawn, [0.025, 0.975])
    means = {who: (np.mean(values), np.std(values)) for who, values in result.items()}
    print("mean " + "   ".join(f"{who} {mean:.4f} ± {spread:.4f}" for who, (mean, spread) in means.items()))
    print(f"mlnb is better by {each.mean():+.4f} [{low:+.4f}, {high:+.4f}] (bootstrap of the test queries)")


if __name__ == "__main__":
    main()
