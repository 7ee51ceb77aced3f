"""mlnb's recommendations and those of implicit's models for the users of interaction logs, by NDCG@10 and recall@10.

    python benchmarks/recommendation.py --peers PYTHON [--seed 100] [--seconds 30] [--only clusters news]

Each log of `peers/interactions.py` is cut at nine tenths of its interactions. All methods learn from what is before the
cut, and recommend ten items to each user who takes something after it; items that a user has are left out, except in
logs whose users take items again. Relevant is what a user took after the cut, so items that no source proposes count
as misses. mlnb is the whole pipeline: `mlnb run` on the older part, then the recommendations of the bundle. Users who
are new after the cut get the same popular items from all methods. Prints both metrics by log, and the mean rank.

--seed: the logs of seed 0 were used to develop the method; any other seed draws new logs.
--peers: the Python of a separate environment with the peers (ALS, BPR, and item-kNN by cosine and BM25):
    python -m venv peers-env && peers-env/bin/pip install implicit
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from peers.interactions import LOGS

from mlnb.engine import runs
from mlnb.engine.project import Project
from mlnb.methods.recommendation.interaction_logs import Log, read_log
from mlnb.serving.runtime.predictor import Predictor
from mlnb.serving.runtime.recommendation_handler import MOST_REQUESTS

K = 10  # items for each user
OLDER = 0.9  # share of the interactions that are learned from
MLNB = [sys.executable, "-m", "mlnb.cli.main"]
COLUMNS = {"query": "user", "item": "item", "time": "day"}
Items = dict[str, list[str]]  # by user, the best first


def run_mlnb(table: pd.DataFrame, users: list[str], folder: Path, seconds: float) -> Items:
    """Return the recommendations of a bundle that the pipeline has made of a log."""
    subprocess.run([*MLNB, "new", folder.name], cwd=folder.parent, check=True, capture_output=True)
    table.to_parquet(folder / "log.parquet")
    command = [*MLNB, "run", "--data", "log.parquet", "-p", "problem.task", "ranking", "--upto", "package"]
    for name, value in {**{f"problem.{n}": v for n, v in COLUMNS.items()}, "tune.seconds": f"{seconds:g}"}.items():
        command += ["-p", name, value]
    command += ["-p", "package.require_gate", "false", "--no-report"]
    environment = {**os.environ, "BENTOML_HOME": str(folder / "bentoml")}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        raise SystemExit(f"mlnb run failed:\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}")
    print("\n".join(line for line in done.stdout.splitlines() if "winner" in line), flush=True)
    service = Path(runs.open_run(Project.find(folder)).load("service"))
    handler = Predictor.load(service / "model").recommendations
    assert handler is not None, "the bundle has no recommender"
    result: Items = {}
    for start in range(0, len(users), MOST_REQUESTS):
        part = users[start : start + MOST_REQUESTS]
        for user, each in zip(part, handler.respond([{"user": user, "k": K} for user in part]), strict=True):
            result[user] = [one.item for one in each.items]
    return result


def run_peers(python: str, log: Log, users: list[str], repeated: bool) -> dict[str, Items]:
    """Return the recommendations of each peer."""
    if not python:
        return {}
    codes = {user: code for code, user in enumerate(log.users.tolist())}
    requested = [codes[user] for user in users]
    request = {
        "user": log.user.tolist(),
        "item": log.item.tolist(),
        "items": len(log.items),
        "users": requested,
        "k": K,
        "repeated": repeated,
    }
    script = str(Path(__file__).parent / "peers" / "implicit_models.py")
    done = subprocess.run([python, script], input=json.dumps(request), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{python} failed; install implicit in its environment:\n{done.stderr[-800:]}")
    return {
        name: {user: [log.items[code] for code in row] for user, row in zip(users, rows, strict=True)}
        for name, rows in json.loads(done.stdout).items()
    }


def by_popularity(log: Log, users: list[str], repeated: bool) -> Items:
    """Return the items that were most popular in the newest quarter of the log, without those that a user has."""
    newest = log.item[int(len(log.item) * 0.75) :]
    order = np.argsort(-np.bincount(newest, minlength=len(log.items)), kind="stable")
    popular = log.items[order].tolist()
    taken: dict[str, set[str]] = {}
    for user, item in zip(log.users[log.user].tolist(), log.items[log.item].tolist(), strict=True):
        taken.setdefault(user, set()).add(item)
    return {user: [item for item in popular if repeated or item not in taken.get(user, ())][:K] for user in users}


def score(items: Items, relevant: dict[str, set[str]]) -> tuple[float, float]:
    """Return the mean NDCG@10 and recall@10 over users."""
    gains = 1.0 / np.log2(np.arange(K) + 2.0)
    values = []
    for user, wanted in relevant.items():
        hits = np.array([item in wanted for item in items.get(user, [])[:K]], dtype=float)
        ideal = gains[: min(K, len(wanted))].sum()
        values.append(((hits * gains[: len(hits)]).sum() / ideal, hits.sum() / len(wanted)))
    ndcg, recall = np.mean(values, axis=0).tolist()
    return ndcg, recall


def compare(table: pd.DataFrame, python: str, folder: Path, seconds: float) -> dict[str, tuple[float, float]]:
    """Return NDCG@10 and recall@10 of each method on one log."""
    cut = table["day"].iloc[int(len(table) * OLDER)]
    older, later = table[table["day"] < cut], table[table["day"] >= cut]
    log = read_log(older, "user", "item", "day")
    repeated = log.repeated()
    if not repeated:
        seen = pd.MultiIndex.from_frame(older[["user", "item"]])
        later = later[~pd.MultiIndex.from_frame(later[["user", "item"]]).isin(seen)]
    relevant = {str(user): set(items.astype(str)) for user, items in later.groupby("user")["item"]}
    users = set(log.users.tolist())
    present = [user for user in relevant if user in users]
    popular = by_popularity(log, list(relevant), repeated)
    methods = {"mlnb": run_mlnb(older, list(relevant), folder, seconds), "popular": popular}
    methods |= run_peers(python, log, present, repeated)
    return {name: score({**popular, **items}, relevant) for name, items in methods.items()}


def main() -> None:
    """Compare the methods on each log and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default="", help="Python of an environment with implicit")
    parser.add_argument("--seed", type=int, default=100, help="of the logs")
    parser.add_argument("--seconds", type=float, default=30.0, help="of mlnb's hyperparameter search")
    parser.add_argument("--only", nargs="*", default=[*LOGS], choices=LOGS, help="logs to compare on")
    options = parser.parse_args()
    tables: dict[str, dict[str, dict[str, float]]] = {"NDCG@10": {}, "recall@10": {}}
    with tempfile.TemporaryDirectory() as temporary:
        for name in options.only:
            began = time.perf_counter()
            table = LOGS[name](options.seed)
            scores = compare(table, options.peers, Path(temporary) / name, options.seconds)
            for at, metric in enumerate(tables):
                tables[metric][name] = {method: values[at] for method, values in scores.items()}
            line = "  ".join(f"{method} {values[0]:.3f}" for method, values in scores.items())
            print(f"{name} ({len(table):,} interactions, {time.perf_counter() - began:.0f} s): {line}", flush=True)
    for metric, values in tables.items():
        by_log = pd.DataFrame(values).T
        ranks = by_log.rank(axis=1, ascending=False)
        print(f"\n{metric}\n{by_log.round(3).to_string()}")
        summary = pd.DataFrame({"mean rank": ranks.mean(), f"mean {metric}": by_log.mean()})
        print(f"\n{metric}, {len(by_log)} logs\n{summary.sort_values('mean rank').round(3).to_string()}")


if __name__ == "__main__":
    main()
