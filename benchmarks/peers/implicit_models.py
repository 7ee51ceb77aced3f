"""Recommendations of implicit's models, of ALS also with 16 factors; run by a Python in which implicit is installed.

    PYTHON implicit_models.py < request.json > response.json

A request has the interactions (codes of users and items), the users to recommend to, the number of items, and whether
items that a user has may be recommended again; a response has for each model one list of items a user.
"""

import json
import sys
import warnings

import numpy as np


def main() -> None:
    """Read the request, and write the items of every model."""
    from implicit.als import AlternatingLeastSquares
    from implicit.bpr import BayesianPersonalizedRanking
    from implicit.nearest_neighbours import BM25Recommender, CosineRecommender
    from scipy import sparse

    warnings.simplefilter("ignore")
    request = json.load(sys.stdin)
    user, item, users = (np.array(request[name]) for name in ("user", "item", "users"))
    shape = (max(int(user.max()), int(users.max())) + 1, int(request["items"]))
    counts = sparse.csr_matrix((np.ones(len(user), np.float32), (user, item)), shape=shape)
    models = {
        "implicit ALS": AlternatingLeastSquares(random_state=0),
        "implicit ALS 16": AlternatingLeastSquares(16, alpha=10.0, regularization=20.0, random_state=0),
        "implicit BPR": BayesianPersonalizedRanking(random_state=0),
        "item-kNN cosine": CosineRecommender(),
        "item-kNN BM25": BM25Recommender(),
    }
    out: dict[str, list[list[int]]] = {}
    for name, model in models.items():
        model.fit(counts, show_progress=False)
        new = not request["repeated"]
        items, scores = model.recommend(users, counts[users], N=int(request["k"]), filter_already_liked_items=new)
        usable = (items >= 0) & np.isfinite(scores) & (scores > -1e30)
        out[name] = [row[there].tolist() for row, there in zip(items, usable, strict=True)]
    json.dump(out, sys.stdout)


if __name__ == "__main__":
    main()
